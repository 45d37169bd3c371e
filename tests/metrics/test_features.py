"""Features know their extractor."""

from __future__ import annotations

import numpy as np
import pytest

from stylex.core.errors import EvaluationError
from stylex.metrics.features import Features
from stylex.metrics.frechet import frechet_distance
from stylex.metrics.kid import kernel_distance
from stylex.metrics.manifold import precision_recall

RANDOM = np.random.default_rng(0)


def features(values: np.ndarray, extractor: str = "net") -> Features:
    return Features(values=values, extractor=extractor)


@pytest.mark.parametrize("measure", [frechet_distance, kernel_distance, precision_recall])
def test_features_of_two_extractors_are_not_compared(measure: object) -> None:
    a, b = RANDOM.standard_normal((2, 8, 3))
    assert callable(measure)
    with pytest.raises(EvaluationError, match=r"by classifier .* not compared with features by inception"):
        measure(features(a, "classifier"), features(b, "inception"))
