"""What is read off features linearly."""

from __future__ import annotations

import numpy as np
import pytest

from stylex.metrics.linear import linear_r2


def test_what_is_linear_in_the_features_is_read_off_them() -> None:
    random = np.random.default_rng(0)
    features = np.concatenate([random.normal(size=(400, 6)) * [1, 10, 1e-3, 1, 1, 1], np.ones((400, 1))], axis=1)
    values = np.stack([features @ random.normal(size=7), random.normal(size=400), features[:, 2]], axis=1)
    values[:, 0] += 0.5 * values[:, 0].std() * random.normal(size=400)
    known, chance, small = linear_r2(features, values)
    assert known == pytest.approx(0.8, abs=0.06)
    assert chance < 0.05
    assert small > 0.99, "features are standardized"
    wide = random.normal(size=(400, 1000))
    assert linear_r2(wide, values).max() < 0.1, "more features than images read nothing into chance"
