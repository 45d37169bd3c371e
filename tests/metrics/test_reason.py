"""The classifier's evidence on two pictures."""

from __future__ import annotations

import pytest
import torch

from stylex.metrics.reason import evidence, same_reason


def test_the_same_gradients_are_the_same_reason() -> None:
    random = torch.Generator().manual_seed(0)
    gradients = torch.randn(4, 3, 32, 32, generator=random) * torch.rand(4, 1, 32, 32, generator=random)
    maps = evidence(gradients)
    assert maps.shape == (4, 32, 32)
    torch.testing.assert_close(same_reason(maps, maps), torch.ones(4))
    torch.testing.assert_close(same_reason(maps, 3 * maps + 1), torch.ones(4), msg="scale and level say nothing")
    assert same_reason(maps, evidence(-gradients)).min() == pytest.approx(1, abs=1e-5), "nor does the sign"
    apart = evidence(torch.randn(4, 3, 32, 32, generator=random))
    assert same_reason(maps, apart).abs().max() < 0.4
    assert same_reason(torch.ones(1, 8, 8), maps[:1, :8, :8]).item() == 0, "an even map points nowhere"
