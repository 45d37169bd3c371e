"""The pixel-space attack: what flips a classifier without explaining anything, as a yardstick for attributes.

A gradient attack of the same size flips nearly every image. But what it adds is no picture of anything: encoded and
drawn again, it is gone. A change that a generator can draw survives.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import torch
from jaxtyping import Float, Float32
from numpy import ndarray
from torch import Tensor

from stylex.core.errors import EvaluationError
from stylex.core.evaluation import About
from stylex.evaluation.sheet import Sheet
from stylex.models.snapshot import Snapshot
from stylex.search.attack import gradients
from stylex.search.decision import margin, margins
from stylex.search.shifts import apply_attributes

_STEPS = 10
_STRIDE = 2.5
"""The attack could walk so many times the allowed length, as in the source."""


def attack(
    margin: Callable[[Float[Tensor, "n c h w"]], Float[Tensor, " n"]],
    x: Float[Tensor, "n c h w"],
    length: Float[Tensor, " n"],
    *,
    steps: int = _STEPS,
) -> Float[Tensor, "n c h w"]:
    """Climb a margin by its gradient, within a ball of pixels.

    Args:
        margin: what to raise, a number for each image.
        x: where to start, in [-1, 1].
        length: Euclidean length allowed to each image's change.
        steps: of the climb.

    Raises:
        EvaluationError: the classifier gives no gradient.

    Source: Madry et al. 2018 (projected gradient ascent, L2 ball).
    """
    radius = length.view(-1, 1, 1, 1)
    with gradients():
        start = x.detach().clone()
        now = start.clone()
        for _ in range(steps):
            now = now.detach().requires_grad_()
            height = margin(now)
            if not height.requires_grad:
                raise EvaluationError("the classifier gives no gradient to the image, so it cannot be attacked")
            (slope,) = torch.autograd.grad(height.sum(), now)
            unit = slope / slope.flatten(1).norm(dim=1).clamp(min=1e-12).view(-1, 1, 1, 1)
            change = now.detach() + _STRIDE * radius / steps * unit - start
            change = change * (radius / change.flatten(1).norm(dim=1).clamp(min=1e-12).view(-1, 1, 1, 1)).clamp(max=1)
            now = (start + change).clamp(-1, 1)
    return now.detach()


@torch.inference_mode()
def redrawn(snapshot: Snapshot, x: Float[Tensor, "n c h w"], c: Float[Tensor, "n k"]) -> Float[Tensor, "n c h w"]:
    """Images encoded and drawn again by networks with the condition ``c``."""
    pieces = zip(x.split(64), c.split(64), strict=True)
    return torch.cat(
        [snapshot.generator.synthesis(snapshot.styles_of(part, condition)).clamp(-1, 1) for part, condition in pieces]
    )


def measure(sheet: Sheet) -> None:
    """A pixel attack as large as the attributes' change: does it turn images, and does either survive a redraw."""
    for target, ranking in sheet.found.rankings.items():
        label, s, rows = sheet.starts(target)
        if len(s) == 0 or not ranking:
            continue
        picked = torch.from_numpy(rows).to(s.device)
        before, condition = sheet.measured.x_rec[picked], sheet.subject.condition(sheet.measured.logits_rec[picked])
        pictures, logits = sheet.subject.show(apply_attributes(s, ranking, sheet.subject.space))
        changed = torch.from_numpy(pictures).to(before)
        length = (changed - before).flatten(1).norm(dim=1)
        climb = partial(_height, sheet, target=target)
        try:
            pieces = zip(before.split(64), length.split(64), strict=True)
            attacked = torch.cat([attack(climb, x, far) for x, far in pieces])
        except EvaluationError as error:
            sheet.notes.append(f"No attack: {error}.")
            return
        after = sheet.said(attacked)
        again = _again(sheet, before, condition)
        start, redrawn_start = (margin(x, target, sheet.output) for x in (sheet.base[rows], again))
        size = f"changes of equal length, {float(length.mean()):.2f} on average"
        for name, x, said in (("attributes", changed, logits), ("pixels", attacked, after)):
            turned = sheet.turned(sheet.base[rows], said, target)
            flips = sheet.mean(turned)
            sheet.add(About("attack", f"{name}_turn", target=label), flips, images=len(s), note=size)
            new_answer = sheet.subject.condition(torch.from_numpy(said).to(condition))
            still = sheet.turned(again, _again(sheet, x, new_answer), target)[turned]
            sheet.add(
                About("attack", f"{name}_survive", target=label),
                sheet.mean(still),
                images=int(turned.sum()),
                note="of those turned: still so after G(E(x), C(x))",
            )
            # A generator conditioned on an answer draws it, whatever the picture shows: given the old one, the
            # picture must carry the change.
            rise = margin(said, target, sheet.output) - start
            kept = margin(_again(sheet, x, condition), target, sheet.output) - redrawn_start
            sheet.add(
                About("attack", f"{name}_kept", target=label),
                sheet.ratio(kept, rise),
                images=len(s),
                note="fraction of the margin's change that is left after G(E(x), the old answer)",
            )


def _height(sheet: Sheet, x: Float[Tensor, "n c h w"], *, target: int) -> Float[Tensor, " n"]:
    """The margin to climb."""
    logits = sheet.subject.classifier.logits(x)
    return margins(logits, torch.full((len(x),), target, device=x.device), sheet.output)


def _again(sheet: Sheet, x: Float[Tensor, "n c h w"], condition: Float[Tensor, "n own"]) -> Float32[ndarray, "n k"]:
    """What the classifier says of images that were encoded and drawn again."""
    return sheet.said(redrawn(sheet.subject.snapshot, x, condition))
