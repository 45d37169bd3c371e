"""An attribute is named after what it changes in the picture, and after nothing where nothing is known to change."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from stylex.core.attribute import Attribute, AttributeRanking
from stylex.core.stylespace import StyleCoordinate
from stylex.data.descriptors import Descriptors
from stylex.search.naming import with_meanings, within
from stylex.search.probes import fit_probes

pytest.importorskip("sklearn")


def attribute(layer: str, channel: int, sign: int) -> Attribute:
    return Attribute(
        coordinate=StyleCoordinate(layer, channel), sign=sign, shift_range=1.0, target=1, target_label="dog", effect=1.0
    )  # type: ignore[arg-type]


@pytest.mark.parametrize("shuffled", [False, True])
def test_each_attribute_gets_the_name_of_what_it_changes(make_world: Callable[..., object], shuffled: bool) -> None:
    world = make_world(n=400)  # type: ignore[attr-defined]
    s = world.s.numpy()  # type: ignore[attr-defined]
    # Two coordinates are described, the second with its sign turned; the third is described by nobody.
    values = np.stack([s[:, 0], -s[:, 5]], axis=1).astype(float)
    if shuffled:
        values = values[np.random.default_rng(3).permutation(len(values))]
    table = Descriptors(names=("length", "width"), binary=(False, False), images=(), values=values)
    subject = world.subject  # type: ignore[attr-defined]

    def read(x: object) -> np.ndarray:
        return x.flatten(1).numpy()  # type: ignore[attr-defined, no-any-return]

    probes = fit_probes(read(subject.draw(world.s)), values, table)  # type: ignore[attr-defined]
    found = (
        attribute("b4.conv0", 0, 1),
        attribute("b4.conv0", 0, -1),
        attribute("b4.conv1", 1, 1),
        attribute("b4.conv0", 2, 1),
    )
    ranking = AttributeRanking(attributes=found, strategy="attfind", images=9, explained=1.0, finding="")
    named = with_meanings(subject, world.s[:40], ranking, probes, read)  # type: ignore[attr-defined]
    meanings = [each.meaning for each in named]
    if shuffled:
        assert meanings == [None] * 4
        return
    assert [None if m is None else m.descriptor for m in meanings] == ["length", "length", "width", None]
    up, down, other = meanings[:3]
    assert up is not None and down is not None and other is not None  # noqa: PT018
    assert up.r == pytest.approx(1, abs=1e-3)
    assert down.r == pytest.approx(-1, abs=1e-3), "its own direction is the other way"
    assert other.r == pytest.approx(-1, abs=1e-3)
    assert str(up).startswith(f"length ({up.change:+.1f} sd, r 1.00)")
    assert up.change > 1


def test_the_correlation_is_within_images() -> None:
    turns = np.linspace(-1, 1, 5)[:, None]
    value = turns + np.arange(20) * 10.0
    assert within(value, 3 * turns - np.arange(20) * 50.0) == pytest.approx(1)
    assert np.isnan(within(value, np.zeros((5, 20))))
