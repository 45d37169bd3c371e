"""Counterfactual attacks: images moved in a latent space, up the gradient, until the classifier says the target.

Goldwasser & Hooker (Counterfactual Attacks) raise the probability with Adam, and judge pictures that are not clamped.
Here the margin is raised by default, which is never flat where the classifier is sure; a step has the same length in
every latent space; and what is judged is the 8-bit picture that is shown.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor

from stylex.core.errors import SearchError
from stylex.core.progress import Done, Listener, Started, Step, silent
from stylex.search.config import AttackConfig
from stylex.search.decision import Output, margins
from stylex.search.latents import Latents, Placed
from stylex.search.render import HasLogits

_MEMORY = 0.9
"""Of the gradients of earlier steps, in each."""

Realism = Callable[[Float[Tensor, "n c h w"], Float[Tensor, "n k"]], Float[Tensor, " n"]]
"""How real pictures look that get these logits; larger is more so."""


@contextmanager
def gradients() -> Iterator[None]:
    """A gradient to the image, also where the caller has switched gradients off."""
    with torch.inference_mode(False), torch.enable_grad():
        yield


@dataclass(frozen=True, eq=False, kw_only=True)
class Attacked:
    """What became of images, in their order.

    Attributes:
        change: ``[n, m]``, in standard deviations of the latent space's coordinates.
        x: the pictures, as they are shown.
        logits: the classifier's of these.
        converged: whether the target's probability was reached.
        steps: after how many steps, or when the search ended.
    """

    change: Float[Tensor, "n m"]
    x: Float[Tensor, "n c h w"]
    logits: Float[Tensor, "n k"]
    converged: Bool[Tensor, " n"]
    steps: Int64[Tensor, " n"]


def as_shown(x: Float[Tensor, "n c h w"]) -> Float[Tensor, "n c h w"]:
    """Pictures clamped and rounded to 8 bits, as they are saved.

    The gradient is that of clamping alone, and on its edge still there: a black pixel can become brighter. (What
    ``clamp`` gives there differs between versions of torch.)
    """
    eight_bit = ((x.detach().clamp(-1, 1) + 1) * 127.5).round() / 127.5 - 1
    within = (x.detach().abs() <= 1).to(x.dtype)
    return eight_bit + (x - x.detach()) * within


def target_probability(
    logits: Float[Tensor, "n k"], targets: Int64[Tensor, " n"], output: Output
) -> Float[Tensor, " n"]:
    """The probability of each image's target."""
    p = logits.softmax(dim=1) if output == "softmax" else logits.sigmoid()
    return p.gather(1, targets[:, None])[:, 0]


def shrunk(values: Float[Tensor, "n m"], by: Float[Tensor, "n #m"] | float) -> Float[Tensor, "n m"]:
    """Soft threshold: nearer to 0 by so much, and exactly 0 within that (the proximal step of L1)."""
    return values.sign() * (values.abs() - by).clamp(min=0)


@dataclass(frozen=True, eq=False, kw_only=True)
class Opponent:
    """Whom an attack moves images against.

    Attributes:
        latents: where they are moved.
        classifier: the explained one.
        output: how its logits become probabilities.
        realism: how real pictures look, where that is to count.
    """

    latents: Latents
    classifier: HasLogits
    output: Output
    realism: Realism | None = None


def attack(
    opponent: Opponent,
    placed: Placed,
    targets: Int64[Tensor, " n"],
    config: AttackConfig,
    *,
    listener: Listener = silent,
) -> Attacked:
    """Move images until the classifier says their targets with a wanted probability.

    Each step goes ``stride`` standard deviations up the gradient (with a memory of those before) of what is raised:
    the margin, or the probability; less ``distance`` times half the squared length of the change; less ``realism``
    times softplus(-realism). With sparsity, coordinates that pull less than this fraction of the strongest one are
    drawn back to 0, where they began (proximal steps with an L1 penalty relative to the gradient). An image stays
    where it first reaches the probability; one whose gradient is exactly zero stays where it is.

    Args:
        opponent: the latent space, and the classifier.
        placed: the images in it.
        targets: of each image, the class to drive it to.
        config: how.
        listener: hears of images that are done.

    Raises:
        SearchError: there is no gradient to the latent.

    Source: Goldwasser & Hooker (Counterfactual Attacks); Daubechies et al. 2004 (iterative soft threshold).
    """
    listener(Started(task="attack", total=len(targets), unit="images"))
    parts: list[Attacked] = []
    for start in range(0, len(targets), config.batch):
        rows = slice(start, start + config.batch)
        parts.append(_batch(opponent, Placed(placed.z[rows], placed.rest[rows]), targets[rows], config))
        done = min(start + config.batch, len(targets))
        share = torch.cat([part.converged for part in parts]).float().mean().item()
        listener(Step(task="attack", done=done, figures={"converged": share}))
    listener(Done(task="attack"))
    return Attacked(
        change=torch.cat([part.change for part in parts]),
        x=torch.cat([part.x for part in parts]),
        logits=torch.cat([part.logits for part in parts]),
        converged=torch.cat([part.converged for part in parts]),
        steps=torch.cat([part.steps for part in parts]),
    )


def _batch(opponent: Opponent, placed: Placed, targets: Int64[Tensor, " n"], config: AttackConfig) -> Attacked:
    n, latents = len(targets), opponent.latents
    with gradients():
        z, rest, targets = (tensor.clone() for tensor in (*placed, targets))  # not tensors of an inference
        change = z.new_zeros(n, latents.coordinates)
        memory = torch.zeros_like(change)
        pictures: list[Tensor] = [z] * n
        answers: list[Tensor] = [z] * n
        converged, steps = torch.zeros(n, dtype=torch.bool), torch.zeros(n, dtype=torch.int64)
        alive = torch.arange(n, device=z.device)
        for step in range(config.steps + 1):
            own = change[alive].requires_grad_()
            x = as_shown(latents.draw(latents.moved(z[alive], own), rest[alive]))
            logits = opponent.classifier.logits(x)
            p = target_probability(logits, targets[alive], opponent.output)
            reached = p.detach() >= config.probability
            for i, row in enumerate(alive.tolist()):
                pictures[row], answers[row] = x[i].detach(), logits[i].detach()
                converged[row], steps[row] = bool(reached[i]), step
            if step == config.steps or bool(reached.all()):
                break
            gradient = _gradient(opponent, config, own, (x, logits, p), targets[alive])
            going = ~reached & (gradient.abs().amax(dim=1) > 0) & gradient.isfinite().all(dim=1)
            alive, own, gradient = alive[going], own.detach()[going], gradient[going]
            if len(alive) == 0:
                break
            memory[alive] = _MEMORY * memory[alive] + (1 - _MEMORY) * gradient
            change[alive] = _stepped(own, memory[alive], config)
    return Attacked(
        change=change,
        x=torch.stack(pictures).float(),
        logits=torch.stack(answers).float(),
        converged=converged.to(z.device),
        steps=steps.to(z.device),
    )


def _gradient(
    opponent: Opponent,
    config: AttackConfig,
    change: Float[Tensor, "n m"],
    seen: tuple[Tensor, Tensor, Tensor],
    targets: Int64[Tensor, " n"],
) -> Float[Tensor, "n m"]:
    """The gradient of what is raised, to the change."""
    x, logits, p = seen
    raised = p if config.objective == "probability" else margins(logits, targets, opponent.output)
    if config.realism and opponent.realism is not None:
        real = opponent.realism(x, logits.detach())
        raised = raised - config.realism * torch.nn.functional.softplus(-real)
    if not raised.requires_grad:
        raise SearchError(
            "there is no gradient from the classifier to the latent, so nothing can be attacked; give a classifier "
            "and a model that are differentiable"
        )
    (gradient,) = torch.autograd.grad(raised.sum(), change)
    return gradient - config.distance * change.detach()


def _stepped(change: Float[Tensor, "n m"], pull: Float[Tensor, "n m"], config: AttackConfig) -> Float[Tensor, "n m"]:
    """One step, ``stride`` long where it begins at 0."""
    relative = pull / pull.abs().amax(dim=1, keepdim=True).clamp(min=torch.finfo(pull.dtype).tiny)
    length = shrunk(relative, config.sparsity).norm(dim=1, keepdim=True)
    rate = config.stride / length.clamp(min=1e-12)
    return shrunk(change + rate * relative, rate * config.sparsity)
