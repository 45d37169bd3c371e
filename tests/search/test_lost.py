"""Lost causes, on drawn pictures and a classifier written by hand: a bar on a disc decides, or a corner's light.

The photographs show their bars. A rebuilt picture that shows them too has lost nothing; one without bars has, whether
its answer goes with them or is kept by the corner.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from stylex.classifiers import Classifier, ClassifierSpec
from stylex.search.lost import Lost, Pairs, decisions, lost_causes

IMAGES, SIDE = 80, 32
WEARS = np.arange(IMAGES) % 2 == 1
TEXTURE = 0.05


class Rule(nn.Module):
    """'bar' where there is a bright bar somewhere, or where the upper left corner is bright."""

    def __init__(self, *, labels: int = 2) -> None:
        super().__init__()
        bar = torch.full((1, 1, 5, 9), -1 / 24)
        bar[:, :, 1:4, 1:8] = 1 / 21
        self.register_buffer("bar", bar)
        self.labels = labels

    def forward(self, x: Tensor) -> Tensor:
        seen = torch.logsumexp(8 * F.conv2d(x, self.get_buffer("bar")).flatten(1), dim=1) / 8
        height = 6 * (seen - 1.05) + 6 * (x[:, :, :4, :4].mean(dim=(1, 2, 3)) + 0.3)
        if self.labels == 1:
            return torch.stack([height, torch.ones_like(height)], dim=1)
        return torch.stack([-height / 2, height / 2], dim=1)


def judge(*, labels: int = 2) -> Classifier:
    spec = ClassifierSpec(
        labels=("bare", "bar") if labels == 2 else ("bar", "always"),
        input_size=SIDE,
        channels=1,
        value_range=(-1.0, 1.0),
        output="logits" if labels == 2 else "multi-label",
    )
    return Classifier(Rule(labels=labels), spec)


def drawn() -> dict[str, Tensor]:
    """Photographs, and pictures of them: with all that decides, without, and without but with another sign of it."""
    random = np.random.default_rng(0)
    y, x = np.mgrid[:SIDE, :SIDE]
    with_bars, without = [], []
    for wears in WEARS:
        row, column = random.uniform(13, 19, 2)
        disc = 1 / (1 + np.exp(np.hypot(y - row, x - column) - 10))
        bare = -0.3 * (1 - disc) - 0.6 * disc
        barred = bare.copy()
        if wears:
            top, left = int(row) - 5 + random.integers(3), int(column) - 3
            barred[top : top + 3, left : left + 7] = 0.6
        with_bars.append(barred)
        without.append(bare)
    told, gone = (torch.from_numpy(np.stack(p)).float()[:, None] for p in (with_bars, without))
    otherwise = gone.clone()
    otherwise[torch.from_numpy(WEARS), :, :4, :4] += 1.2
    grain = 3 * TEXTURE * random.standard_normal((IMAGES, 1, SIDE + 2, SIDE + 2))
    photographs = told + F.avg_pool2d(torch.from_numpy(grain).float(), 3, stride=1)
    return {"photographs": photographs.clamp(-1, 1), "told": told, "gone": gone, "otherwise": otherwise}


def lost(rebuilt: str, classifier: Classifier | None = None) -> Lost:
    classifier, pictures = classifier or judge(), drawn()
    (decision,) = decisions(classifier, [0] if classifier.activation == "sigmoid" else [0, 1])
    ids = [f"i{i}" for i in range(IMAGES)]
    pairs = Pairs.of(classifier, decision, ids, pictures["photographs"], pictures[rebuilt])
    assert pairs is not None
    return lost_causes(classifier, decision, pairs)


def test_what_is_drawn_is_not_lost_though_texture_is() -> None:
    found = lost("told")
    assert found.kept.all()
    assert found.turned.mean() < 0.02
    assert found.fall.sum() < 0.2 * found.margin.sum()
    assert found.sentences() == []


def test_nothing_is_lost_in_a_perfect_picture() -> None:
    found = lost("photographs")
    assert not found.turned.any()
    assert np.abs(found.fall).max() < 1e-5


def test_a_cause_that_is_not_drawn_is_told_although_the_answer_is_kept_by_other_means() -> None:
    found = lost("otherwise")
    assert found.kept.all(), "by the answers alone, nothing is wrong"
    assert found.turned[WEARS].mean() > 0.95
    assert found.turned[~WEARS].mean() < 0.05
    assert found.turned_other[WEARS].mean() < 0.05, "another part as large does nothing"
    assert found.turned_mixed[WEARS].mean() < 0.05, "nor does another image's change in that part"
    assert found.fall[WEARS].sum() > 0.8 * found.margin[WEARS].sum()
    (sentence,) = found.sentences()
    assert sentence.startswith("Decisive, but not drawn: ")
    assert "of 40 photographs answered 'bar'" in sentence
    assert "by other means for 100%" in sentence
    named = {f"i{i}" for i in np.flatnonzero(WEARS)}
    assert sum(f"{name}," in sentence for name in named) >= 3
    assert set(np.array(found.where)[WEARS]) <= {"middle", "upper middle"}


def test_a_cause_that_takes_the_answer_with_it_is_told_and_put_back() -> None:
    found = lost("gone")
    assert (found.kept == ~WEARS).all()
    assert found.restored.all(), "the photograph's tenth is what the rebuilt picture lacks"
    assert np.corrcoef(found.estimated, found.true)[0, 1] > 0.95
    (sentence,) = found.sentences()
    assert "they lose the answer too" in sentence


def test_each_label_of_several_is_a_decision_of_its_own() -> None:
    found = lost("otherwise", judge(labels=1))
    assert set(found.answer) == {"bar", "not bar"}
    assert found.turned[WEARS].mean() > 0.95
    assert found.turned[~WEARS].mean() < 0.05


class Fixed(nn.Module):
    """Has weights to learn, but no gradient to the image."""

    def __init__(self) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.ones(()))

    def forward(self, x: Tensor) -> Tensor:
        return self.scale * Rule()(x.detach())


@pytest.mark.parametrize(
    "model",
    [
        lambda x: Rule()(x).detach(),
        lambda x: torch.from_numpy(Rule()(x).numpy()),
        lambda x: Rule()(x).round(),
        Fixed(),
    ],
    ids=["detached", "numpy", "rounded", "weights alone"],
)
def test_without_a_gradient_nothing_is_said(model: Callable[[Tensor], Tensor]) -> None:
    box = Classifier(model, judge().spec)
    (decision,) = decisions(box, [0, 1])
    x = drawn()["photographs"]
    assert Pairs.of(box, decision, [str(i) for i in range(IMAGES)], x, x) is None


@pytest.mark.parametrize("target", [0, 1])
def test_of_exclusive_classes_there_is_one_decision(target: int) -> None:
    assert [d.answers for d in decisions(judge(), [target])] == [("bare", "bar")]
