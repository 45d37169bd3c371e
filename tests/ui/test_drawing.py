"""One thread draws for everybody: batches, order, stale requests, other people's mistakes."""

from __future__ import annotations

import threading

import pytest

from stylex.core.errors import SearchError
from stylex.core.studio import Turn
from stylex.ui import drawing
from stylex.ui.drawing import Busy, Drawing


def turns(*shares: float, image: str = "shoe-1") -> list[Turn]:
    return [Turn(image=image, knobs={0: share}) for share in shares]


@pytest.fixture
def held(read_studio, monkeypatch):
    """A drawing thread that is held at its first picture until told to go on."""
    go, begun = threading.Event(), threading.Event()
    render = read_studio.render

    def waiting(turns, **how):
        begun.set()
        assert go.wait(10)
        return render(turns, **how)

    monkeypatch.setattr(read_studio, "render", waiting)
    drawing = Drawing(read_studio)
    first = drawing.ask("somebody", "knob", turns(0.0))
    assert begun.wait(10)
    yield read_studio, drawing, first, go
    go.set()
    drawing.close()


def test_what_waits_together_is_drawn_together_and_knobs_come_first(held) -> None:
    studio, drawing, first, go = held
    strip = drawing.ask("a", "strip", turns(0.1, 0.2))
    knobs = [drawing.ask(name, "knob", turns(share)) for name, share in (("a", 0.3), ("b", 0.4))]
    go.set()
    assert [len(future.result(10)) for future in (first, strip, *knobs)] == [1, 2, 1, 1]
    assert studio.drawn[1] == turns(0.3, 0.4)
    assert [turn for batch in studio.drawn[2:] for turn in batch] == turns(0.1, 0.2)
    assert knobs[0].result()[0].probabilities[1] < knobs[1].result()[0].probabilities[1]


def test_a_newer_request_of_the_same_viewer_and_lane_takes_the_place_of_an_older_one(held) -> None:
    studio, drawing, first, go = held
    old, other, strip, new = (
        drawing.ask("a", "knob", turns(0.1)),
        drawing.ask("b", "knob", turns(0.2)),
        drawing.ask("a", "strip", turns(0.3)),
        drawing.ask("a", "knob", turns(0.4)),
    )
    assert old.result(10) is None
    go.set()
    assert all(future.result(10) is not None for future in (first, other, strip, new))
    assert turns(0.1)[0] not in [turn for batch in studio.drawn for turn in batch]


def test_the_newer_request_waits_in_the_place_of_the_older_one(held) -> None:
    studio, drawing_, _, go = held
    asked = [drawing_.ask(name, "strip", turns(*[share] * 20)) for name, share in (("a", 0.1), ("b", 0.2), ("a", 0.3))]
    go.set()
    assert [asked[0].result(10), len(asked[1].result(10)), len(asked[2].result(10))] == [None, 20, 20]
    drawn = [turn.knobs[0] for batch in studio.drawn for turn in batch][1:]
    assert drawn == [0.3] * 20 + [0.2] * 20


def test_strips_of_several_viewers_are_drawn_together(held) -> None:
    studio, drawing_, first, go = held
    drawing_._seconds_each = 0.001
    strips = [drawing_.ask(name, "others", turns(share, share)) for name, share in (("a", 0.1), ("b", 0.2))]
    go.set()
    assert [len(future.result(10)) for future in (first, *strips)] == [1, 2, 2]
    assert studio.drawn[1] == turns(0.1, 0.1, 0.2, 0.2)


def test_a_strip_that_waited_long_is_drawn_beside_knobs(held, monkeypatch) -> None:
    studio, drawing_, first, go = held
    strip = drawing_.ask("a", "strip", turns(0.1, 0.2))
    monkeypatch.setattr(drawing, "_LONG_S", 0.0)
    drawing_.ask("b", "strip", turns(*[0.3] * 40))
    knob = drawing_.ask("a", "knob", turns(0.9))
    go.set()
    assert [len(future.result(10)) for future in (first, knob, strip)] == [1, 1, 2]
    assert studio.drawn[1][:3] == turns(0.9, 0.1, 0.2)
    assert len(studio.drawn[1]) == drawing.MOST_ROWS


def test_drafts_and_exact_pictures_are_not_drawn_together(held) -> None:
    studio, drawing, first, go = held
    draft, exact = drawing.ask("a", "knob", turns(0.1), draft=True), drawing.ask("b", "knob", turns(0.2))
    other = drawing.ask("c", "knob", turns(0.3), draft=True)
    go.set()
    assert [len(future.result(10)) for future in (first, draft, exact, other)] == [1, 1, 1, 1]
    assert studio.drawn[1:] == [turns(0.1, 0.3), turns(0.2)]


def test_small_pictures_teach_nothing_of_how_long_a_strip_takes(read_studio) -> None:
    drawing, read_studio.slow = Drawing(read_studio), True
    known = drawing._seconds_each
    small = drawing.ask("a", "knob", turns(0.5), draft=True).result(10)
    assert small is not None
    assert small[0].small
    assert drawing._seconds_each == known
    strip = drawing.ask("a", "strip", turns(0.5), draft=True).result(10)
    assert strip is not None
    assert not strip[0].small
    drawing.close()
    assert drawing._seconds_each != known


def test_one_viewers_mistake_is_not_the_others(held) -> None:
    _, drawing, _, go = held
    bad, good = drawing.ask("a", "knob", turns(1.0, image="none")), drawing.ask("b", "knob", turns(1.0))
    go.set()
    assert len(good.result(10)) == 1
    with pytest.raises(SearchError, match="no image 'none'"):
        bad.result(10)


def test_who_has_gone_and_who_are_too_many(held, monkeypatch) -> None:
    _, drawing_, _, go = held
    gone = drawing_.ask("gone", "knob", turns(0.7))
    assert gone.cancel()
    monkeypatch.setattr(drawing, "MOST_WAITING", 3)
    kept = [drawing_.ask(f"viewer {i}", "knob", turns(0.1 * i)) for i in range(2)]
    with pytest.raises(Busy):
        drawing_.ask("one more", "knob", turns(0.9))
    go.set()
    assert all(future.result(10) for future in kept)
    last = drawing_.ask("later", "knob", turns(0.5))
    assert len(last.result(10)) == 1


def test_long_strips_are_drawn_in_pieces(read_studio) -> None:
    read_studio.seconds_each = 0.03
    drawing = Drawing(read_studio)
    drawing.ask("a", "knob", turns(0.0)).result(10)
    assert len(drawing.ask("a", "strip", turns(*[0.1] * 12)).result(10)) == 12
    assert 1 < len(read_studio.drawn) - 1 <= 12
    drawing.close()
    read_studio.seconds_each = 0.0
