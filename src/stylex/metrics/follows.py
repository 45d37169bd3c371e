"""Whose decision a picture has that is drawn from one image's w and another image's maps."""

from __future__ import annotations

from jaxtyping import Float
from torch import Tensor

from stylex.metrics.agreement import NEAR, Activation


def follows(
    logits: Float[Tensor, "n k"],
    logits_others: Float[Tensor, "n k"],
    logits_swapped: Float[Tensor, "n k"],
    activation: Activation,
) -> dict[str, float]:
    """Does the classifier's answer go with w, or with the maps?

    Args:
        logits: C(x_i), of the images whose w is taken.
        logits_others: C(x_j), of the images whose maps are taken.
        logits_swapped: C(G(w_i, maps_j)).
        activation: of the classifier; of several labels each is a decision, at 0.5; numbers are the same answer
            where they differ by half a standard deviation at most.

    Returns:
        ``follows_w``: fraction of the pictures whose decision is that on x_i. ``follows_maps``: among the pairs whose
        decisions on x_i and x_j differ, the fraction whose decision is that on x_j; 0 without such pairs.
        Small is good: for two classes 1 - ``follows_maps`` is what ``follows_w`` is over those pairs.
    """
    if activation == "regression":
        apart = (logits - logits_others).abs() > NEAR
        taken = ((logits_swapped - logits_others).abs() <= NEAR)[apart]
        kept = (logits_swapped - logits).abs() <= NEAR
        return {
            "follows_w": kept.float().mean().item(),
            "follows_maps": taken.float().mean().item() if len(taken) else 0.0,
        }
    if activation == "softmax":
        own, other, drawn = (t.argmax(dim=1) for t in (logits, logits_others, logits_swapped))
    else:
        own, other, drawn = (t >= 0 for t in (logits, logits_others, logits_swapped))
    apart = own != other
    taken = (drawn == other)[apart]
    return {
        "follows_w": (drawn == own).float().mean().item(),
        "follows_maps": taken.float().mean().item() if len(taken) else 0.0,
    }
