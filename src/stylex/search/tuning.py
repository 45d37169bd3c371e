"""Pivotal tuning: generator and style vector fitted to one photograph, so that this is what is explained."""

from __future__ import annotations

import copy
from dataclasses import dataclass, replace

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor, nn

from stylex.classifiers import perceptual_distance
from stylex.core.progress import Done, Listener, Started, Step, silent
from stylex.metrics.agreement import divergence
from stylex.models.precision import multiplications
from stylex.search.encoding import Encoded
from stylex.search.moves import moves_to_extremes
from stylex.search.subject import TrainedSubject

_QUICK = 1_000_000_000
"""Multiplications a picture up to which tuning takes some seconds: a hundred steps of some passes each."""


@dataclass(frozen=True, kw_only=True)
class TuneConfig:
    """How to tune.

    Attributes:
        steps: of Adam; some seconds at 64 px.
        generator_lr, style_lr: learning rates of the network's weights and of the style vector.
        pixel, perceptual, classifier: weights of L1, of the distance in the classifier's features, and of KL between
            its answers on photograph and picture (the latter two where it has a gradient: a black box is not asked).
        locality: weight of L1 between what a random knob does to the tuned picture and what it did before, so that
            knobs keep their meaning.
        seed: of these knobs.
    """

    steps: int = 100
    generator_lr: float = 2e-3
    style_lr: float = 2e-2
    pixel: float = 5.0
    perceptual: float = 0.5
    classifier: float = 1.0
    locality: float = 1.25
    seed: int = 0


def tune(
    subject: TrainedSubject, encoded: Encoded, config: TuneConfig | None = None, *, listener: Listener = silent
) -> tuple[TrainedSubject, Encoded]:
    """Fit a copy of the generator, and the style vector, to one photograph.

    An image's places along directions stay as they are: the rest of its style vector (maps too, where there are some)
    and the weights take up what the rebuilt picture lacks.

    Args:
        subject: the networks; they stay as they are.
        encoded: the photograph, alone.
        config: how.
        listener: hears the steps.

    Returns:
        The subject with the fitted generator, and the photograph in its space.

    Source: Roich et al. 2021 (pivotal tuning); that knobs are held, and not random latents, is our own.
    """
    assert len(encoded.ids) == 1, "a generator is fitted to one photograph"
    config = config or TuneConfig()
    random = torch.Generator().manual_seed(config.seed)
    with torch.inference_mode(False), torch.enable_grad():
        x, start = encoded.x.clone(), encoded.s.clone()
        synthesis = copy.deepcopy(subject.synthesis)
        assert isinstance(synthesis, nn.Module)
        weights = list(synthesis.parameters())
        for weight in weights:
            weight.requires_grad_(True)
        layers = subject.space.layers
        fitted = torch.cat([torch.full((layer.channels,), float(layer.kind != "direction")) for layer in layers])
        fitted = fitted.to(start)
        shift = torch.zeros_like(start, requires_grad=True)
        optimizer = torch.optim.Adam(
            [{"params": weights, "lr": config.generator_lr}, {"params": [shift], "lr": config.style_lr}]
        )
        teaches = subject.classifier.gradient  # else it would be asked in vain
        with torch.no_grad():
            logits, features = subject.classifier.logits_and_features(x) if teaches else (encoded.logits, [])
            before = subject.synthesis(start)
        listener(Started(task="tune", total=config.steps, unit="steps"))
        for step in range(config.steps):
            s = start + shift * fitted
            drawn = synthesis(s)
            loss = config.pixel * (drawn - x).abs().mean()
            if teaches:
                said, seen = subject.classifier.logits_and_features(drawn)
                loss = loss + config.classifier * divergence(logits, said, subject.output).mean()
                if features:
                    loss = loss + config.perceptual * perceptual_distance(seen, features).mean()
            if config.locality > 0:
                index = subject.indices[int(torch.randint(len(subject.indices), (), generator=random))]
                sign = int(torch.randint(2, (), generator=random))
                extreme = moves_to_extremes(subject.space, start, np.array([index]), 1.0)[0, sign]
                with torch.no_grad():
                    change = subject.synthesis(_at(start, int(index), extreme)) - before
                kept = synthesis(_at(s, int(index), extreme)) - drawn
                loss = loss + config.locality * (kept - change).abs().mean()
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            optimizer.step()
            listener(Step(task="tune", done=step + 1, figures={"pixel_l1": float((drawn - x).abs().mean().detach())}))
        listener(Done(task="tune"))
        s = (start + shift * fitted).detach()
    synthesis.eval().requires_grad_(False)
    tuned = replace(subject, synthesis=synthesis, key="")  # no key: effects of one photograph's generator are not kept
    x_rec = tuned.draw(s)
    with torch.inference_mode():
        logits_rec = subject.classifier.logits(x_rec)
    return tuned, replace(encoded, s=s, x_rec=x_rec, logits_rec=logits_rec)


def tunes_quickly(subject: TrainedSubject) -> bool:
    """Whether tuning is worth it unasked: the networks are small, and the classifier's answer can be kept by gradients.

    By a rule and no measurement, so that the same command does the same everywhere.
    """
    synthesis = subject.synthesis
    assert isinstance(synthesis, nn.Module)
    return subject.classifier.gradient and multiplications(synthesis) <= _QUICK


def _at(s: Float[Tensor, "1 s_dim"], index: int, value: Float[Tensor, " 1"]) -> Float[Tensor, "1 s_dim"]:
    moved = s.clone()
    moved[:, index] = value
    return moved
