"""How progress looks, on a terminal and elsewhere."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
from rich.console import Console

from stylex.cli.progress import Bars, Lines, _bars, duration, listener_for
from stylex.core.progress import Alarm, Done, Event, Found, SnapshotWritten, Started, Step, Tick

STORY: list[Event] = [
    Started(task="train", total=2000, unit="images"),
    Tick(nimg=500, total_nimg=2000, seconds=5.0, images_per_s=100.0, figures={"pixel": 0.1234567}),
    SnapshotWritten(nimg=1000, path=Path("runs/a/snapshot"), figures={"agreement": 0.99}),
    Alarm(message="the encoder gives [every] image the same w; lower its rate"),
    Done(task="train", path=Path("runs/a")),
    Started(task="effects", total=None, unit="coordinates"),
    Step(task="effects", done=3, figures={"n": 1}),
    Found(message="b4.conv1:3 moves 'boot'"),
    Done(task="effects"),
    Step(task="never begun", done=1),
]
KEPT = [
    "kimg 0.5/2 (25%)  15 s left  100 images/s  pixel 0.1235",
    "snapshot at kimg 1: runs/a/snapshot  agreement 0.99",
    "warning: the encoder gives [every] image the same w; lower its rate",
    "train: done, runs/a",
    "b4.conv1:3 moves 'boot'",
]


def test_elsewhere_plain_lines_without_control_characters() -> None:
    stream = io.StringIO()
    with listener_for(stream, quiet=False) as listener:
        for event in STORY:
            listener(event)
    text = stream.getvalue()
    assert text.splitlines() == ["train: 2,000 images", *KEPT[:4], "effects: coordinates", KEPT[4]]
    assert all(character.isprintable() or character == "\n" for character in text)


def test_a_line_now_and_then_says_how_far_it_is() -> None:
    stream, now = io.StringIO(), [0.0]
    lines = Lines(stream, clock=lambda: now[0])
    lines(Started(task="effects", total=1000, unit="coordinates", done=100))
    for done in range(200, 1001, 100):
        now[0] += 4
        lines(Step(task="effects", done=done))
    assert stream.getvalue().splitlines() == [
        "effects: 1,000 coordinates, 100 already done",
        "effects: 400/1,000 coordinates (40%), 24 s left",
        "effects: 700/1,000 coordinates (70%), 12 s left",
        "effects: 1,000/1,000 coordinates (100%), 0 s left",
    ]


def test_on_a_terminal_bars_and_the_same_words_above_them() -> None:
    stream = io.StringIO()
    with _bars(Console(file=stream, force_terminal=True, width=120)) as progress:
        bars = Bars(progress)
        for event in STORY:
            bars(event)
        assert bars.running == {}
    text = stream.getvalue()
    assert [line for line in KEPT if line not in text] == []


def test_a_terminal_gets_bars(monkeypatch: pytest.MonkeyPatch) -> None:
    stream = io.StringIO()
    monkeypatch.setattr(stream, "isatty", lambda: True)
    with listener_for(stream, quiet=False) as listener:
        assert isinstance(listener, Bars)


def test_quiet_leaves_warnings() -> None:
    stream = io.StringIO()
    with listener_for(stream, quiet=True) as listener:
        for event in STORY:
            listener(event)
        listener(Alarm(message="the labels look exchanged"))
    assert stream.getvalue().splitlines()[-1] == "warning: the labels look exchanged"
    assert all(line.startswith("warning: ") for line in stream.getvalue().splitlines())


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(0.4, "0 s"), (59.4, "59 s"), (60, "1 min 00 s"), (3725, "1 h 02 min"), (float("inf"), "?"), (float("nan"), "?")],
)
def testdurations(seconds: float, words: str) -> None:
    assert duration(seconds) == words
