"""Truth scores on tables made by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest

from stylex.planted.truth import FactorChanges, truth

CAUSES = (0, 1, 2)
STRENGTHS = np.array([3.0, 2.0, 1.0, 0.0, 0.0])
N = 30


def table(rows: list[list[float]], effects: list[float], claimed: list[bool] | None = None) -> FactorChanges:
    """The same changes on every image, but for noise that cancels."""
    noise = np.where(np.arange(N) % 2, 0.01, -0.01)[None, :, None]
    changes = np.array(rows, dtype=np.float64).reshape(len(rows), 1, 5) + noise
    return FactorChanges(
        changes=changes,
        effects=np.repeat(np.array(effects, dtype=np.float64)[:, None], N, axis=1),
        claimed=np.array([True] * len(rows) if claimed is None else claimed, dtype=np.bool_),
        noise=np.full(5, 0.01),
    )


def purity(changes: np.ndarray, noise: float = 0.0) -> float:
    """Of one attribute, from its changes ``n f``."""
    measured = FactorChanges(
        changes=changes[None].astype(np.float64),
        effects=np.ones((1, len(changes))),
        claimed=np.ones(1, dtype=np.bool_),
        noise=np.full(changes.shape[1], noise),
    )
    return truth(measured, STRENGTHS, CAUSES, draws=2).purity.value


def alternating(rows: int) -> np.ndarray:
    """+1 on half of the images, -1 on the others."""
    return np.where(np.arange(rows) % 2, 1.0, -1.0)


def test_a_move_that_raises_a_factor_on_half_the_images_and_lowers_it_on_the_others_is_impure() -> None:
    changes = np.zeros((N, 5))
    changes[:, 0] = 0.5
    assert purity(changes) == pytest.approx(1)
    changes[:, 3] = alternating(N)  # its mean is 0: by signed means the move would be pure
    assert purity(changes) == pytest.approx(0.5 / 1.5)
    # The same of the main factor alone: what it does alike is a small part of what it does.
    changes[:, 3] = 0
    changes[:, 0] = 0.5 + 2 * alternating(N)
    assert purity(changes) == pytest.approx(0.5 / 2)


def test_purity_is_the_same_whichever_way_the_images_go() -> None:
    same, opposite = np.zeros((N, 5)), np.zeros((N, 5))
    same[:, 1], opposite[:, 1] = 1.0, 1.0
    same[:, 2], opposite[:, 2] = 0.4, 0.4 * alternating(N)
    assert purity(opposite) == pytest.approx(purity(same)) == pytest.approx(1 / 1.4)


def test_the_readers_noise_makes_no_move_impure() -> None:
    random = np.random.default_rng(0)
    rows, deviation = 4000, 0.2
    pure = random.normal(0, deviation, (rows, 5))
    noise = deviation * math.sqrt(2 / math.pi)
    pure[:, 0] += 1.0
    assert purity(pure) < 0.65
    assert purity(pure, noise) > 0.9
    # A change beside the noise is seen as large as it is.
    mixed = pure.copy()
    mixed[:, 4] += random.normal(0, 0.5, rows)
    assert purity(mixed, noise) == pytest.approx(1 / (1 + 0.5 * math.sqrt(2 / math.pi)), abs=0.06)


def test_the_truth_scores_one_throughout() -> None:
    found = truth(table([[2, 0, 0, 0, 0], [0, -1.5, 0, 0, 0], [0, 0, 1, 0, 0]], [3, 2, 1]), STRENGTHS, CAUSES, draws=50)
    assert {name: score.value for name, score in found.figures().items()} == pytest.approx(
        {"recall": 1, "precision": 1, "purity": 1, "order": 1, "silence": 1}, abs=1e-9
    )
    assert found.recall_x_purity.value == pytest.approx(1)
    assert found.main == (0, 1, 2)
    assert found.found == CAUSES
    assert found.false_claims == 0
    assert found.top == 6


def test_what_is_missed_mixed_misordered_and_wrongly_claimed_is_scored() -> None:
    rows = [[0, 0, 0, 1.0, 0], [0, 0, 2.0, 1.0, 1.0], [1.0, 0, 0, 0, 0], [0.01, 0, 0, 0, 0]]
    found = truth(table(rows, [4, 3, 1, 0]), STRENGTHS, CAUSES, draws=50)
    assert found.main == (3, 2, 0, -1)
    assert found.recall.value == pytest.approx(2 / 3)
    assert found.precision.value == pytest.approx(2 / 4)
    assert found.purity.value == pytest.approx((1 + 0.5 + 1) / 3)
    assert found.recall_x_purity.value == pytest.approx(2 / 3 * (1 + 0.5 + 1) / 3)
    # Shown strengths 1, 0, 3 against true 3, 2, 1.
    assert found.order.value == pytest.approx(-0.5)
    assert found.silence.value == pytest.approx(1 / 2)
    assert found.false_claims == 1


def test_only_the_first_count_but_every_claim_does() -> None:
    rows = [[1.0, 0, 0, 0, 0], [0, 1.0, 0, 0, 0], [0, 0, 0, 0, 1.0]]
    measured = table(rows, [3, 2, 1])
    assert truth(measured, STRENGTHS, CAUSES, top=1, draws=20).recall.value == pytest.approx(1 / 3)
    assert truth(measured, STRENGTHS, CAUSES, top=2, draws=20).precision.value == 1
    assert truth(measured, STRENGTHS, CAUSES, top=2, draws=20).false_claims == 1
    humble = table(rows, [3, 2, 1], [True, True, False])
    assert truth(humble, STRENGTHS, CAUSES, draws=20).silence.value == 1


def test_nothing_found_is_silent_and_recalls_nothing() -> None:
    nothing = FactorChanges(
        changes=np.zeros((0, N, 5)), effects=np.zeros((0, N)), claimed=np.zeros(0, dtype=np.bool_), noise=np.zeros(5)
    )
    found = truth(nothing, STRENGTHS, CAUSES, draws=20)
    assert (found.recall.value, found.silence.value, found.false_claims) == (0, 1, 0)
    assert math.isnan(found.precision.value)
    assert math.isnan(found.order.value)


def test_changes_that_differ_from_image_to_image_make_intervals_wide() -> None:
    random = np.random.default_rng(0)
    changes = np.zeros((1, N, 5))
    changes[0, :, 0], changes[0, :, 3] = random.normal(0.5, 1, N), random.normal(0.5, 1, N)
    measured = FactorChanges(
        changes=changes, effects=np.ones((1, N)), claimed=np.ones(1, dtype=np.bool_), noise=np.zeros(5)
    )
    found = truth(measured, STRENGTHS, CAUSES, draws=200)
    assert found.precision.low < found.precision.high
    assert found.purity.low < found.purity.value < found.purity.high
