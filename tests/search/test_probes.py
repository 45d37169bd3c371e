"""Laws of probes: what is in the latent is read, what is not is called weak, and scores keep their signs."""

from __future__ import annotations

import builtins
from typing import Any

import numpy as np
import pytest

from stylex.core.attacked import Probe
from stylex.core.errors import ConfigError, SearchError
from stylex.data.descriptors import Descriptors
from stylex.search.probes import Probes, check_installed, fit_probes, global_scores

pytest.importorskip("sklearn")

N = 300


def fitted(seed: int = 0) -> tuple[Probes, np.ndarray]:
    """Latents of six numbers: the first is told, the second in two kinds, and a coin that is in none."""
    random = np.random.default_rng(seed)
    latents = random.standard_normal((N, 6))
    values = np.stack([3 * latents[:, 0] + 7, latents[:, 1] > 0.3, random.random(N) > 0.5], axis=1).astype(float)
    values[:20, 0] = np.nan
    table = Descriptors(names=("size", "spots", "coin"), binary=(False, True, True), images=(), values=values)
    return fit_probes(latents, values, table), latents


def test_what_the_latent_holds_is_read_and_what_it_does_not_is_weak() -> None:
    probes, _ = fitted()
    size, spots, coin = probes.probes
    assert (size.measure, size.images) == ("R2", N - 20)
    assert size.quality > 0.99
    assert (spots.measure, spots.images) == ("AUC", N)
    assert spots.quality > 0.97
    assert [probe.weak for probe in probes.probes] == [False, False, True]
    assert abs(size.shuffled) < 0.2
    assert all(abs(probe.shuffled - 0.5) < 0.15 for probe in (spots, coin))


def test_readings_are_in_deviations_of_the_descriptor() -> None:
    probes, latents = fitted()
    further = latents.copy()
    further[:, 0] += 2.0  # latents of unit deviation, so two deviations of what they say
    change = probes.read(further) - probes.read(latents)
    np.testing.assert_allclose(change[:, 0], 2.0, atol=0.2)
    np.testing.assert_allclose(change[:, 1:], 0, atol=0.3)


def test_the_quality_is_held_out_and_not_that_of_the_fit() -> None:
    """As many latents as images: a fit learns anything by heart, and reads nothing new."""
    random = np.random.default_rng(1)
    values = random.standard_normal((60, 1))
    table = Descriptors(names=("noise",), binary=(False,), images=(), values=values)
    probes = fit_probes(random.standard_normal((60, 80)), values, table)
    assert probes.probes[0].quality < 0.25
    assert probes.probes[0].weak


def probe(name: str, weak: bool = False) -> Probe:
    return Probe(descriptor=name, kind="continuous", images=99, quality=0.9, shuffled=0.0, weak=weak)


def test_global_scores_are_signed_sorted_and_without_weak_probes() -> None:
    random = np.random.default_rng(0)
    signs = np.where(np.arange(80) % 2, 1.0, -1.0)
    changes = random.normal(0, 0.3, (80, 4)) + np.stack([0.4 * signs, -1.5 * signs, 0 * signs, 9 * signs], axis=1)
    scores = global_scores([probe("up"), probe("down"), probe("not"), probe("weak", True)], changes, signs)
    assert [score.descriptor for score in scores] == ["down", "up", "not"]
    assert scores[0].change.value == pytest.approx(-1.5, abs=0.1)
    assert scores[0].change.high < 0 < scores[1].change.low
    assert scores[2].change.low < 0 < scores[2].change.high
    assert all(score.images == 80 for score in scores)


def test_too_little_is_said_in_one_line() -> None:
    latents, values = np.random.default_rng(0).standard_normal((60, 3)), np.zeros((60, 1))
    values[:4] = 1
    table = Descriptors(names=("rare",), binary=(True,), images=(), values=values)
    with pytest.raises(SearchError, match="'rare' is known of 60 images that are read, of 4 in its rarer kind"):
        fit_probes(latents, values, table)
    few = Descriptors(names=("few",), binary=(False,), images=(), values=values)
    with pytest.raises(SearchError, match="known of 20 images"):
        fit_probes(latents[:20], latents[:20, :1], few)


def test_without_scikit_learn_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    known = builtins.__import__

    def gone(name: str, *rest: Any) -> Any:
        if name.startswith("sklearn"):
            raise ImportError(name)
        return known(name, *rest)

    monkeypatch.setattr(builtins, "__import__", gone)
    with pytest.raises(ConfigError, match=r"pip install 'stylex\[descriptors\]'"):
        check_installed()


def test_copies_of_a_picture_do_not_vouch_for_each_other() -> None:
    random = np.random.default_rng(0)
    latents = np.repeat(random.standard_normal((30, 60)), 6, axis=0) + 0.02 * random.standard_normal((180, 60))
    noise = np.repeat(random.standard_normal(30), 6)[:, None]
    table = Descriptors(names=("noise",), binary=(False,), images=(), values=noise)
    keys = [str(i // 6) for i in range(180)]
    assert fit_probes(latents, noise, table).probes[0].quality > 0.9
    probe = fit_probes(latents, noise, table, keys=keys).probes[0]
    assert probe.weak
    assert probe.quality < 0.2
