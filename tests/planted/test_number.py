"""A planted number from end to end: a small network learns how yellow leaves are, and its explanation finds that."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from torch import Tensor, nn

import stylex
from stylex.classifiers import ClassifierSpec
from stylex.data.archive import open_images
from stylex.data.images import to_tensor
from stylex.planted.images import Planted, write_planted
from stylex.planted.readers import FactorReader, ReaderConfig, fit_reader

pytestmark = [pytest.mark.integration, pytest.mark.slow]

SIDE = 32


class Age(nn.Module):
    """Days since the leaf came out, 20 to 80 of them, told by a network that learnt it from drawings."""

    def __init__(self, reader: FactorReader) -> None:
        super().__init__()
        self.reader = reader

    def forward(self, x: Tensor) -> Tensor:
        return 50 + 17 * self.reader(x)


def reader_of(names: tuple[str, ...], seed: int) -> FactorReader:
    drawn = Planted.sample("leaves", range(1200), seed=seed)
    columns = [drawn.family.factors.index(name) for name in names]
    x = to_tensor(drawn.pictures(SIDE))
    return fit_reader(x, drawn.factors[:, columns], names, ReaderConfig(epochs=8, seed=seed))


def test_the_first_attribute_of_a_planted_number_is_its_cause(tmp_path: Path) -> None:
    drawn = write_planted(tmp_path / "leaves.zip", family="leaves", images=1200, resolution=SIDE)
    archive, names = str(tmp_path / "leaves.zip"), drawn.family.factors
    told = reader_of(("yellow",), seed=71)
    assert told.r2["yellow"] > 0.9
    spec = ClassifierSpec(
        labels=("age",), unit="days", input_size=SIDE, channels=3, value_range=(-1, 1), output="regression"
    )
    given = {"classifier": Age(told), "classifier_spec": spec, "device": "cpu"}
    run = stylex.train(data=archive, out=tmp_path / "run", preset="small-32", kimg=4, **given)
    found = stylex.find(run, data=archive, out=tmp_path / "found", images=40, by=10.0, **given)
    first = [cf for cf in found.counterfactuals if cf.attributes == (0,)]
    way = 1 if found.ranking[0].target == 0 else -1
    assert found.ranking[0].effect > 5  # days
    # Another reader, of all factors, on what was drawn: the cause moves, and moves most.
    reader = reader_of(names, seed=72)
    before, after = (
        reader.read(to_tensor(np.stack(pictures)))
        for pictures in (
            [found.image(cf.image).reconstruction for cf in first],
            [cf.picture for cf in first],
        )
    )
    turned = np.sign(
        [float(cf.logits[cf.target] - found.image(cf.image).reconstruction_logits[cf.target]) for cf in first]
    )
    moved = (way * turned[:, None] * (after - before)).mean(axis=0)
    assert names[int(np.abs(moved).argmax())] == "yellow"
    assert moved[names.index("yellow")] > 0
    # The number of one photograph is explained by the same cause.
    photograph = open_images(archive).split("test").names[0]
    one = stylex.explain(run, photograph, data=archive, out=tmp_path / "one", tune=False, by=10.0, **given)
    change = next(cf for cf in one.counterfactuals if cf.attributes == (0,))
    pair = reader.read(to_tensor(np.stack([one.images[0].reconstruction, change.picture])))
    assert names[int(np.abs(pair[1] - pair[0]).argmax())] == "yellow"
    measured = stylex.evaluate(
        run, data=archive, explanation=tmp_path / "found", measured=40, without="own,observer,attack,realism", **given
    )
    assert measured["reconstruction.correlation"] > measured["reconstruction.correlation_other"] + 0.5
    assert measured["reconstruction.answer_error"] < measured["reconstruction.answer_error_other"] / 2
