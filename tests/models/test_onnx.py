"""The ONNX graph of a generator draws what the generator draws, for any number of pictures."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from stylex.models.discriminator import Discriminator
from stylex.models.generator import Generator
from stylex.models.onnx import to_onnx

pytest.importorskip("onnxscript")
pytestmark = pytest.mark.integration


@pytest.mark.parametrize("name", ["plain", "generator", "mapped"])
def test_the_graph_draws_the_same(name: str, request: pytest.FixtureRequest) -> None:
    runtime = pytest.importorskip("onnxruntime")
    given: tuple[Generator, Discriminator] | Generator = request.getfixturevalue(name)
    generator = given[0] if isinstance(given, tuple) else given
    session = runtime.InferenceSession(to_onnx(generator))
    names = {"plain": ["w"], "generator": ["w", "c"], "mapped": ["w", "c", "maps"]}[name]
    assert [one.name for one in session.get_inputs()] == names
    for n in (1, 2, 5):
        more: dict[str, Any] = {"w": torch.randn(n, 7), "c": torch.rand(n, 2)}
        more["maps"] = torch.randn(n, generator.synthesis.space.s_dim - generator.synthesis.space.style_dim)
        inputs = {key: more[key].numpy() for key in names}
        (image,) = session.run(["image"], inputs)
        ours = generator.synthesis(
            generator.synthesis.styles(more["w"], *(more[key] if key in names else None for key in ("c", "maps")))
        )
        torch.testing.assert_close(torch.from_numpy(image), ours, rtol=1e-4, atol=1e-5)
