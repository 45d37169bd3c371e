"""Memory: the published size at 256 px is searched within 8 GiB."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

SEARCH = """
import json, resource
import numpy as np, torch
from stylex.core.stylespace import StyleStatistics
from stylex.models.generator import Generator
from stylex.search.effects import measure_effects
from stylex.search.first_order import first_order
from stylex.training.config import preset

torch.manual_seed(0)
model = preset("paper-256").model
synthesis = Generator(model.generator(3, 2)).eval().requires_grad_(False).synthesis
told = torch.rand(64, 2) if synthesis.c_dim else None
s = synthesis.styles(torch.randn(64, model.w_dim), told)
space = synthesis.space.observed(StyleStatistics.observe(s.numpy()))
weight = torch.randn(3 * 256 * 256, 2) / 256

class Judge:
    def logits(self, x):
        return x.flatten(1) @ weight

# Two coordinates of every layer, both ways, fill a chunk of four: what is held grows with that, not with the moves.
indices = np.array([space.offsets[layer.name] + i for layer in space.layers if layer.kind == "conv" for i in (0, 1)])
assert space.conv_dim == 5760
effects = measure_effects(synthesis, Judge(), space, s[:1], image_ids=["a"], indices=indices)
first_order(synthesis, Judge(), space, s[:2], 0, indices)
said = {"gib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20, "effects": effects.values.size}
print(json.dumps(said))
"""


@pytest.mark.slow
def test_the_published_size_is_searched_within_8_gib() -> None:
    done = subprocess.run([sys.executable, "-c", SEARCH], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    said = json.loads(done.stdout)
    assert said["effects"] == 2 * 26 * 2
    assert said["gib"] < 8, said
