"""What a person typed is never lost: not to another who types, not to a folder written anew."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from stylex.core.errors import StoreError
from stylex.core.explanation import Explanation
from stylex.core.progress import Alarm, Event
from stylex.core.stylespace import StyleCoordinate, StyleLayer, StyleSpace, StyleStatistics
from stylex.store.folder import check_place, read_explanation, write_explanation
from stylex.store.names import NAMES, save_hidden, save_labels

pytestmark = pytest.mark.integration

AHEAD = ("layer", "channel", "sign", "target_label")


@pytest.fixture
def plain(explanation: Explanation) -> Explanation:
    """Nothing is named."""
    return with_attributes(explanation, lambda a: replace(a, label=None))


def with_attributes(e: Explanation, change: Callable[..., Any]) -> Explanation:
    return replace(e, ranking=replace(e.ranking, attributes=tuple(map(change, e.ranking))))


def typed(folder: Path) -> list[tuple[str | None, bool]]:
    return [(a.label, a.hidden) for a in read_explanation(folder).ranking]


def replaced(e: Explanation, folder: Path) -> str:
    heard: list[Event] = []
    write_explanation(e, folder, overwrite=True, listener=heard.append)
    return " ".join(event.message for event in heard if isinstance(event, Alarm))


@pytest.fixture
def named(plain: Explanation, tmp_path: Path) -> Path:
    folder = write_explanation(plain, tmp_path / "e")
    save_labels(folder, {0: "Heel"})
    save_hidden(folder, {1: True})
    return folder


def test_names_go_on_with_their_attributes(plain: Explanation, named: Path) -> None:
    turned = replace(
        plain, ranking=replace(plain.ranking, attributes=plain.ranking.attributes[::-1]), counterfactuals=()
    )
    assert replaced(turned, named) == ""
    assert typed(named) == [(None, True), ("Heel", False)]
    assert not (named / NAMES).exists()
    assert list(named.parent.iterdir()) == [named]


@pytest.mark.parametrize(
    "change",
    [
        lambda e: replace(e, snapshot={**e.snapshot, "sha256": "cd" * 32}),
        lambda e: with_attributes(e, lambda a: replace(a, sign=-a.sign)),
        lambda e: with_attributes(e, lambda a: replace(a, target=0, target_label="sneaker")),
        lambda e: with_attributes(
            e, lambda a: replace(a, coordinate=replace(a.coordinate, channel=a.coordinate.channel - 1))
        ),
        lambda e: replace(e, ranking=replace(e.ranking, attributes=()), counterfactuals=()),
    ],
)
def test_names_without_their_attributes_wait_until_these_are_found_again(
    plain: Explanation, named: Path, change: Callable[[Explanation], Explanation]
) -> None:
    other = change(plain)
    said = replaced(other, named)
    assert f"'Heel', (hidden b8.conv0:2); kept in {named / NAMES}, and given back" in said
    assert all(kept == (None, False) for kept in typed(named))
    assert replaced(other, named) == "", "it is said once"
    waiting = json.loads((named / NAMES).read_text())["names"]
    assert [row["label"] for row in waiting] == ["Heel", None]
    assert replaced(plain, named) == ""
    assert typed(named) == [("Heel", False), (None, True)]
    assert not (named / NAMES).exists()


def test_a_direction_is_known_by_what_was_observed_along_it(plain: Explanation, tmp_path: Path) -> None:
    layers = [*plain.space.layers, StyleLayer(name="ica", kind="direction", resolution=0, channels=2)]
    observed = np.random.default_rng(0).normal(size=(5, 22)).astype(np.float32)

    def found(columns: list[int], *channels: int) -> Explanation:
        space = StyleSpace(layers).observed(StyleStatistics.observe(observed[:, [*range(20), *columns]]))
        first = plain.ranking[0]
        attributes = [replace(first, coordinate=StyleCoordinate("ica", channel)) for channel in channels]
        ranking = replace(plain.ranking, attributes=tuple(attributes))
        return replace(plain, space=space, ranking=ranking, counterfactuals=())

    folder = write_explanation(found([20, 21], 0, 1), tmp_path / "e")
    save_labels(folder, {0: "Heel", 1: "Toe"})
    # Another order of the same directions; then one is another.
    assert replaced(found([21, 20], 0, 1), folder) == ""
    assert typed(folder) == [("Toe", False), ("Heel", False)]
    observed[:, 21] += 1
    assert "'Toe'" in replaced(found([20, 21], 0, 1), folder)
    assert typed(folder) == [("Heel", False), (None, False)]


def test_a_newer_name_is_kept_and_a_removed_one_does_not_come_back(plain: Explanation, named: Path) -> None:
    replaced(replace(plain, ranking=replace(plain.ranking, attributes=()), counterfactuals=()), named)
    replaced(plain, named)
    save_labels(named, {0: "  "})
    assert replaced(plain, named) == ""
    assert typed(named) == [(None, False), (None, True)]
    replaced(with_attributes(plain, lambda a: replace(a, label="Given")), named)
    assert typed(named) == [("Given", False), ("Given", True)]


@pytest.mark.parametrize(
    "content", [b"{", b"[]", b'{"schema": "stylex-names", "version": 2}', b"\xff", b"[" * 99_999]
    + [json.dumps({"schema": "stylex-names", "version": 1, "names": names}).encode() for names in (3, [3], [{}])],
)  # fmt: skip
def test_names_that_cannot_be_read_are_told_before_any_work_and_stay(
    plain: Explanation, named: Path, content: bytes
) -> None:
    (named / NAMES).write_bytes(content)
    for attempt in (lambda: check_place(named, overwrite=True), lambda: replaced(plain, named)):
        with pytest.raises(StoreError, match=r"names.json cannot be read .*; mend it, or move it away"):
            attempt()
    assert (named / NAMES).read_bytes() == content
    assert typed(named) == [("Heel", False), (None, True)]


def test_nothing_is_named_in_another_explanation_than_was_seen(plain: Explanation, named: Path) -> None:
    seen = read_explanation(named)
    replaced(replace(plain, snapshot={**plain.snapshot, "sha256": "cd" * 32}), named)
    with pytest.raises(StoreError, match="written anew since it was opened, and its attribute 1 is another now"):
        save_labels(named, {0: "Toe"}, seen=seen)
    with pytest.raises(StoreError, match="open it again"):
        save_hidden(named, {1: True}, seen=seen)
    assert typed(named) == [(None, False), (None, False)]
    save_labels(named, {0: "Toe"}, seen=read_explanation(named))
    assert typed(named) == [("Toe", False), (None, False)]


def test_of_several_who_type_at_once_nothing_is_lost(plain: Explanation, tmp_path: Path) -> None:
    many = tuple(
        replace(plain.ranking[0], coordinate=StyleCoordinate("b4.conv1", channel), sign=sign)
        for channel in range(8)
        for sign in (-1, 1)
    )
    e = replace(plain, ranking=replace(plain.ranking, attributes=many), counterfactuals=())
    folder = write_explanation(e, tmp_path / "e")
    children = []
    for nth in range(4):
        children.append(os.fork())
        if children[-1] == 0:
            try:
                for position in range(nth, 16, 4):
                    save_labels(folder, {position: f"name {position}"})
                    if nth == 0:
                        write_explanation(e, folder, overwrite=True)  # as a search does
                os._exit(0)
            finally:
                os._exit(1)
    assert [os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children] == [0] * 4
    assert typed(folder) == [(f"name {position}", False) for position in range(16)]
    assert list(tmp_path.iterdir()) == [folder]
