"""Which images are searched."""

from __future__ import annotations

import numpy as np

from stylex.search.choosing import few


def test_a_few_images_are_some_of_each_targets() -> None:
    base = np.repeat([[1.0, 0.0], [0.0, 1.0], [1.0, 0.0]], [400, 100, 300], axis=0)
    rows = few(base, (0, 1), "softmax")
    towards_1 = base[rows].argmax(axis=1) == 0
    assert (towards_1.sum(), (~towards_1).sum()) == (700 // 8, 32)
    assert len(np.unique(rows)) == len(rows)
    assert few(base[:20], (1,), "softmax").tolist() == list(range(20))
    assert few(base[:20], (0,), "softmax").tolist() == [0]
    assert len(few(base, (0,), "softmax", source=1)) == 32
