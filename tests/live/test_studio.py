"""The live studio over the networks that come with the package: what the explorer does, without a browser."""

from __future__ import annotations

import io
import threading
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

import stylex
from stylex.classifiers import ClassifierSpec
from stylex.classifiers.classifier import Classifier, Directed
from stylex.core.errors import DataError, SearchError, StylexError
from stylex.core.numbers import Numbers
from stylex.core.progress import Event, Step, silent
from stylex.core.studio import Studio, Turn
from stylex.data.images import to_pictures
from stylex.live import drafts, fitted, own
from stylex.live import studio as room
from stylex.live.studio import MAX_OWN, LiveStudio
from stylex.models.precision import multiplications
from stylex.search.editor import StyleEditor
from stylex.search.render import InBfloat16
from stylex.search.tuning import TuneConfig
from stylex.store.folder import read_explanation, write_explanation

pytestmark = pytest.mark.integration


@pytest.fixture(scope="module")
def opened() -> LiveStudio:
    """Twelve images, and what was found to drive the first of them."""
    studio = stylex.open_studio("demo", images=12, device="cpu")
    assert isinstance(studio, LiveStudio)
    assert studio.coming == 12
    while studio.load_more():
        pass
    return studio


@pytest.fixture(scope="module")
def searched(opened: LiveStudio) -> tuple[LiveStudio, str, stylex.core.studio.OwnKnobs]:
    image = next(iter(opened.images))
    return opened, image, opened.search(image, None, silent)


def png(width: int = 40, height: int = 30, kind: str = "PNG") -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", (width, height), (200, 30, 30)).save(buffer, kind)
    return buffer.getvalue()


def test_images_are_what_the_networks_make_of_them(opened) -> None:
    live: Studio = opened
    assert isinstance(opened, Studio)
    assert (len(live.images), live.coming) == (12, 0)
    assert {image.label for image in live.images.values()} == {"sneaker", "ankle boot"}
    for image_id, image in live.images.items():
        (frame,) = live.render([Turn(image=image_id, knobs={})])
        np.testing.assert_array_equal(frame.picture, image.rebuilt.picture)
        np.testing.assert_allclose(frame.probabilities, image.rebuilt.probabilities, atol=1e-5)
        assert image.original is not None
        assert image.original.shape == frame.picture.shape == (32, 32, 1)


def test_a_search_finds_knobs_that_do_what_it_says(searched) -> None:
    studio, image, found = searched
    target = found.flip.target
    still = studio.render([Turn(image=image, knobs={})])[0].probabilities
    assert int(still.argmax()) != target
    for knob in found.knobs:
        assert studio.knobs[knob].image == image
        turned = studio.render([Turn(image=image, knobs={knob: 1.0})])[0].probabilities
        assert turned[target] > still[target] or knob in found.flip.knobs
    together = studio.render([Turn(image=image, knobs=found.flip.knobs)])[0].probabilities
    assert (int(together.argmax()) == target) == found.flip.flipped
    # To search again adds no knob twice.
    again = studio.search(image, target, silent)
    assert again.knobs == found.knobs


def test_flip_takes_the_fewest_knobs(searched) -> None:
    studio, image, found = searched
    flip = studio.flip(image, None, found.knobs)
    after = studio.render([Turn(image=image, knobs=flip.knobs)])[0].probabilities
    assert (int(after.argmax()) == flip.target) == flip.flipped
    for knob in flip.knobs if flip.flipped else ():
        rest = {other: share for other, share in flip.knobs.items() if other != knob}
        without = studio.render([Turn(image=image, knobs=rest)])[0].probabilities
        assert int(without.argmax()) != flip.target
    said = int(studio.images[image].rebuilt.probabilities.argmax())
    assert studio.flip(image, said, found.knobs).sentence.endswith("already.")
    assert not studio.flip(image, None, []).flipped


def test_a_cancelled_search_leaves_nothing(opened) -> None:
    before, heard = opened.knobs, []

    class Enough(Exception):
        pass

    def listener(event: Event) -> None:
        heard.append(event)
        if isinstance(event, Step) and len(heard) > 2:
            raise Enough

    with pytest.raises(Enough):
        opened.search(list(opened.images)[1], None, listener)
    assert opened.knobs == before
    assert heard[-1].done < heard[0].total


def test_names_and_hidden_knobs_are_kept_in_the_folder(searched, tmp_path: Path) -> None:
    studio, image, found = searched
    folder = tmp_path / "explanation"
    knobs = dict.fromkeys(found.knobs[:2], 0.8)
    written = studio.explanation(Turn(image=image, knobs=knobs))
    write_explanation(written, folder)
    assert len(written.counterfactuals) == 4
    second = stylex.open_studio("demo", explanation=folder, images=3, device="cpu")
    while second.load_more():
        pass
    assert second.first == image
    assert len(second.images) == 3  # the explanation's image is one of the archive's
    assert [knob.kept for knob in second.knobs] == [True, True]
    whole = second.render([Turn(image=image, knobs={0: 1.0, 1: 1.0})])[0]
    np.testing.assert_allclose(whole.probabilities, written.counterfactuals[-1].probabilities, atol=1e-4)
    second.rename(1, "  shaft   height ")
    second.hide(0, True)
    kept = read_explanation(folder).ranking
    assert (kept[1].label, kept[0].hidden, kept[1].hidden) == ("shaft height", True, False)
    assert second.knobs[1].attribute.name == "shaft height"
    # The folder is written anew: what is open here shows another explanation.
    other = replace(written, ranking=replace(written.ranking, attributes=written.ranking.attributes[::-1]))
    write_explanation(replace(other, counterfactuals=(), strips=()), folder, overwrite=True)
    for change in (lambda: second.rename(1, "heel"), lambda: second.hide(1, True)):
        with pytest.raises(StylexError, match="written anew since it was opened, and its attribute 2 is another now"):
            change()
    again = read_explanation(folder).ranking
    assert [(a.label, a.hidden) for a in again] == [("shaft height", False), (None, True)]
    assert second.knobs[1].attribute.name == "shaft height"
    write_explanation(written, folder, overwrite=True)
    second.rename(1, " ")
    assert read_explanation(folder).ranking[1].label is None
    for wrong, words in ((9, "no knob 9"), (-1, "no knob -1")):
        with pytest.raises(SearchError, match=words):
            second.rename(wrong, "x")
    with pytest.raises(StylexError, match="at most 120"):
        second.rename(0, "x" * 121)
    assert stylex.report(folder).read_text().count('class="head"') == 1


def test_a_photograph_is_fitted_while_others_are_drawn(searched, monkeypatch) -> None:
    studio, _, found = searched
    monkeypatch.setattr(fitted, "HOW", TuneConfig(steps=12))
    monkeypatch.setattr(fitted, "MOST_FITTED", 1)
    monkeypatch.setattr(own, "_MEASURED", 24)
    image, other = list(studio.images)[2:4]
    knob = {found.knobs[0]: 0.7}
    under_way, drawn = threading.Event(), threading.Event()

    def listener(event: Event) -> None:
        if isinstance(event, Step) and event.done == 3:
            under_way.set()
            assert drawn.wait(timeout=60)

    plain = studio.render([Turn(image=image, knobs={}), Turn(image=image, knobs=knob)])
    fit = threading.Thread(target=studio.fit, args=(image, listener))
    fit.start()
    assert under_way.wait(timeout=120)
    (beside,) = studio.render([Turn(image=other, knobs=knob, fitted=True)])
    assert not beside.fitted, "no copy is fitted to the other one, and the frame says so"
    assert fit.is_alive()
    drawn.set()
    fit.join()

    copy = studio.images[image].fitted
    assert copy is not None
    assert copy.l1 < copy.l1_before
    turns = [Turn(image=image, knobs={}, fitted=True), Turn(image=image, knobs=knob, fitted=True)]
    rest, turned, beside_again, *again = studio.render(
        [*turns, Turn(image=other, knobs=knob), Turn(image=image, knobs={}), Turn(image=image, knobs=knob)]
    )
    assert rest is copy.rebuilt
    assert [rest.fitted, turned.fitted, beside_again.fitted] == [True, True, False]
    assert (turned.picture != rest.picture).any()
    np.testing.assert_array_equal(beside.picture, beside_again.picture)
    for one, before in zip(again, plain, strict=True):
        np.testing.assert_array_equal(one.picture, before.picture)
    photograph = studio.images[image].original
    assert photograph is not None
    far, near = (np.abs(x.picture.astype(int) - photograph).mean() for x in (plain[0], rest))
    assert near < far
    # What is searched, turned and exported is drawn by the copy.
    own_knobs = studio.search(image, None, silent, fitted=True)
    flip = studio.flip(image, None, own_knobs.knobs, fitted=True)
    after = studio.render([Turn(image=image, knobs=flip.knobs, fitted=True)])[0].probabilities
    assert (int(after.argmax()) == flip.target) == flip.flipped
    written = studio.explanation(turns[1])
    np.testing.assert_array_equal(written.images[0].reconstruction, rest.picture)
    assert f"{copy.l1:.3f} on average instead of {copy.l1_before:.3f}" in written.notes[0]
    # One more makes room; one that is cancelled does not.
    with pytest.raises(_Enough):
        studio.fit(other, _enough)
    assert studio.images[image].fitted is not None
    monkeypatch.setattr(fitted, "HOW", TuneConfig(steps=2))
    studio.fit(other)
    assert studio.images[image].fitted is None
    assert not studio.render([turns[1]])[0].fitted
    with pytest.raises(SearchError, match="made room for newer ones"):
        studio.explanation(turns[1])


class _Enough(Exception):
    pass


def _enough(event: Event) -> None:
    if isinstance(event, Step):
        raise _Enough


def test_how_long_a_fit_takes_is_known_after_two_steps(opened, monkeypatch) -> None:
    monkeypatch.setattr(opened._copies, "seconds", None)
    image = next(iter(opened.images))
    seconds = opened.measure_fit(image)
    assert opened.fit_seconds == seconds > 0
    assert opened.images[image].fitted is None
    assert opened.measure_fit(image) == seconds


def test_own_pictures_are_bounded_and_re_encoded(opened, monkeypatch) -> None:
    added = opened.add("  my shoe.jpg\n", png(50, 90, "JPEG"))
    assert (added.name, added.own, added.label) == ("my shoe.jpg", True, None)
    assert added.original is not None
    assert added.original.shape == (32, 32, 1)
    assert opened.render([Turn(image=added.id, knobs={})])[0].picture.shape == (32, 32, 1)
    for data in (b"", b"GIF89a", png()[:50], b"<svg/>", b"%PDF-1.4"):
        with pytest.raises(DataError):
            opened.add("bad", data)
    monkeypatch.setattr(room, "MAX_PIXELS", 1000)
    with pytest.raises(DataError, match="refused"):
        opened.add("bomb", png(50, 50))
    for i in range(MAX_OWN + 3):
        opened.add(f"picture {i}", png(20, 20))
    assert sum(image.own for image in opened.images.values()) == MAX_OWN
    with pytest.raises(SearchError, match="no image"):
        opened.render([Turn(image=added.id, knobs={})])


def test_what_does_not_fit_is_said(opened, searched, tmp_path: Path) -> None:
    _, image, found = searched
    other = replace(opened.explanation(Turn(image=image, knobs={found.knobs[0]: 1.0})), snapshot={"sha256": "00" * 32})
    write_explanation(other, tmp_path / "other")
    with pytest.raises(SearchError, match="made with another snapshot"):
        stylex.open_studio("demo", explanation=tmp_path / "other", device="cpu")
    write_explanation(replace(other, labels=("cat", "dog")), tmp_path / "cats")
    with pytest.raises(SearchError, match="explains a classifier of cat, dog"):
        stylex.open_studio("demo", explanation=tmp_path / "cats", device="cpu")
    with pytest.raises(SearchError, match="no knob is turned"):
        opened.explanation(Turn(image=image, knobs={0: 0.0}))
    with pytest.raises(SearchError, match="no class 7"):
        opened.search(image, 7, silent)
    with pytest.raises(SearchError, match="no image 'none'"):
        opened.flip("none", None, [0])


def test_kept_features_change_nothing(searched) -> None:
    studio, _, found = searched
    editor = studio._editor
    images = list(studio.images)[:3]
    a, b = found.knobs[:2]
    walks = [
        [Turn(image=image, knobs=knobs) for image in images]
        for knobs in ({}, {a: 0.3}, {a: 0.6}, {a: 0.6, b: 0.2}, {a: 0.6, b: 0.9}, {b: 0.9}, {a: -1.0, b: 2.0}, {})
    ]
    walks.append([Turn(image=images[0], knobs={a: share / 4}) for share in range(-4, 5)])

    def fresh(cache_bytes: int) -> StyleEditor:
        return StyleEditor(
            studio._subject,
            torch.cat([editor.style(image) for image in images]),
            images,
            editor.attributes,
            cache_bytes=cache_bytes,
        )

    kept, tight, forgetful = fresh(2**28), fresh(300_000), fresh(0)
    for turns in walks:
        other = forgetful.render_all(turns)
        for one in (kept.render_all(turns), tight.render_all(turns)):
            np.testing.assert_allclose(one[1], other[1], atol=2e-4)
            assert max(np.abs(x.astype(int) - y).max() for x, y in zip(one[0], other[0], strict=True)) <= 1
    sizes = [sum(t.nbytes for state in e._kept.values() for t in state if t is not None) for e in (kept, tight)]
    assert sizes == [kept._kept_bytes, tight._kept_bytes]
    assert sizes[0] > 300_000 >= sizes[1] > 0, sizes
    assert not forgetful._kept


def test_viewers_drawn_together_see_what_each_sees_alone(searched) -> None:
    studio, _, found = searched
    random, images = np.random.default_rng(0), list(studio.images)[:4]
    s = torch.cat([studio._editor.style(image) for image in images])
    together, alone = (StyleEditor(studio._subject, s, images, studio._editor.attributes) for _ in range(2))
    of_layers = {int(together._step_of[together.space.index(together.attributes[k].coordinate)]) for k in found.knobs}
    assert len(of_layers) > 1, "they begin at several layers"
    settings: list[dict[int, float]] = [{} for _ in range(12)]
    for _ in range(4):
        for knobs in settings:
            knobs[int(random.choice(found.knobs))] = float(random.uniform(-1.5, 1.5))
        turns = [Turn(image=images[viewer % 4], knobs=dict(knobs)) for viewer, knobs in enumerate(settings)]
        pictures, logits = together.render_all(turns)
        for turn, picture, its_logits in zip(turns, pictures, logits, strict=True):
            own, own_logits = alone.render(turn.image, turn.knobs)
            assert np.abs(picture.astype(int) - own).max() <= 1
            np.testing.assert_allclose(its_logits, own_logits, atol=2e-4)


def test_what_another_viewer_does_to_an_image_does_not_slow_a_drag(searched, monkeypatch) -> None:
    studio, image, found = searched
    editor = StyleEditor(studio._subject, studio._editor.style(image), [image], studio._editor.attributes)
    late, early = _by_layer(editor, found.knobs)
    drawn = _count(editor, monkeypatch)
    for share in (0.1, 0.2, 0.3):
        editor.render(image, {late: share})
        editor.render(image, {early: share, late: -share})
        drawn.clear()
    editor.render(image, {late: 0.4})
    assert drawn[0] == editor._step_of[editor.space.index(editor.attributes[late].coordinate)]


def test_a_draft_is_near_the_exact_picture_and_says_that_it_is_one(searched, monkeypatch) -> None:
    studio, image, found = searched
    turns = [Turn(image=image, knobs={knob: 1.0}) for knob in found.knobs[:3]]
    exact = studio.render(turns, draft=True)
    assert not any(frame.draft for frame in exact), "a network as fast as this one draws no drafts"
    monkeypatch.setattr(studio._editor, "drafts", InBfloat16(studio._editor.synthesis, torch.device("cpu")))
    drafts = studio.render([*turns, Turn(image=image, knobs={})], draft=True)
    assert [frame.draft for frame in drafts] == [True, True, True, False]
    for one, other in zip(exact, drafts[:3], strict=True):
        assert np.abs(one.picture.astype(int) - other.picture).mean() < 2
        assert np.abs(one.probabilities - other.probabilities).max() < 0.05
    assert drafts[3].picture is studio.images[image].rebuilt.picture
    again = studio.render(turns)
    assert all((one.picture == other.picture).all() for one, other in zip(exact, again, strict=True))


def test_a_drag_is_drawn_at_half_size_where_full_size_takes_long(searched, monkeypatch) -> None:
    studio, image, found = searched
    turns = [*(Turn(image=image, knobs={knob: 1.0}) for knob in found.knobs[:3]), Turn(image=image, knobs={})]
    exact, side = studio.render(turns), studio.resolution
    studio._pace[False].took(1e-6, 1)
    monkeypatch.setattr(drafts, "SLOW_S", 1.0)
    assert not any(frame.small for frame in studio.render(turns, draft=True, small=True)), "it is fast"
    monkeypatch.setattr(drafts, "SLOW_S", 0.0)
    drawn = studio.render(turns, draft=True, small=True)
    assert [(frame.small, frame.draft) for frame in drawn] == [(True, True)] * 3 + [(False, False)]
    assert [len(frame.probabilities) for frame in drawn] == [0, 0, 0, 2]
    # Near the full picture, made smaller, which the sum of colours so far is not.
    editor, images = studio._editor, list(studio.images)
    for one, whole in zip(drawn[:3], exact, strict=False):
        assert one.picture.shape == (side // 2, side // 2, 1)
        assert _apart(one.picture, _halved(whole.picture)) < 20
    others = [_halved(studio.images[other].rebuilt.picture) for other in images if other != image]
    assert min(_apart(drawn[0].picture, other) for other in others) > _apart(
        drawn[0].picture, _halved(exact[0].picture)
    )
    assert editor.half is not None
    state = editor.synthesis.between(editor.style(image), 0, editor.half.step)
    assert _apart(to_pictures(state.image.clamp(-1, 1))[0], _halved(exact[3].picture)) > 50
    for how in ({}, {"draft": True}, {"small": True}):
        again = studio.render(turns, **how)
        assert all(np.abs(a.picture.astype(int) - b.picture).max() <= 1 for a, b in zip(exact, again, strict=True))


def _halved(picture: np.ndarray) -> np.ndarray:
    side = len(picture) // 2
    return picture.reshape(side, 2, side, 2, -1).mean(axis=(1, 3))


def _apart(one: np.ndarray, other: np.ndarray) -> float:
    return float(np.abs(one.astype(float) - other).mean())


def test_the_pace_is_the_median_of_the_last_passes() -> None:
    here = drafts.Pace()
    assert not here.slow(1000), "nothing is known yet"
    for seconds in (0.06, 9.0, 0.06):
        here.took(seconds, 1)
    assert (here.slow(1), here.slow(2)) == (False, True)
    for _ in range(9):
        here.took(0.4, 20)
    assert (here.slow(5), here.slow(6)) == (False, True)


def test_drafts_are_drawn_where_a_picture_is_much_work(searched, monkeypatch) -> None:
    synthesis, here = searched[0]._editor.synthesis, torch.device("cpu")
    monkeypatch.setattr(drafts, "has_fast_bf16", lambda place: True)
    assert drafts.in_bfloat16(synthesis, here) is None
    monkeypatch.setattr(drafts, "HEAVY", multiplications(synthesis))
    assert drafts.in_bfloat16(synthesis, here) is not None
    assert drafts.in_bfloat16(synthesis, torch.device("cuda")) is None
    monkeypatch.setattr(drafts, "has_fast_bf16", lambda place: False)
    assert drafts.in_bfloat16(synthesis, here) is None


def test_only_what_lies_behind_a_knob_is_drawn_again(searched, monkeypatch) -> None:
    studio, image, found = searched
    editor = StyleEditor(studio._subject, studio._editor.style(image), [image], studio._editor.attributes)
    late, _ = _by_layer(editor, found.knobs)
    step = int(editor._step_of[editor.space.index(editor.attributes[late].coordinate)])
    drawn = _count(editor, monkeypatch)
    editor.render(image, {late: 0.1})
    assert drawn == list(range(len(editor.synthesis.steps))), "the first time, all, each layer once"
    drawn.clear()
    for share in (0.2, 0.4, 0.6):
        editor.render(image, {late: share})
    assert drawn == list(range(step, len(editor.synthesis.steps))) * 3


def _by_layer(editor: StyleEditor, knobs: Sequence[int]) -> tuple[int, int]:
    """The knob of the last layer, and that of the first."""
    steps = [int(editor._step_of[editor.space.index(editor.attributes[knob].coordinate)]) for knob in knobs]
    return knobs[int(np.argmax(steps))], knobs[int(np.argmin(steps))]


def _count(editor: StyleEditor, monkeypatch) -> list[int]:
    """Steps as they are drawn."""
    drawn: list[int] = []
    take: Callable[..., object] = type(editor.synthesis)._take

    def counted(self, step, *given):
        drawn.append(step)
        return take(self, step, *given)

    monkeypatch.setattr(type(editor.synthesis), "_take", counted)
    return drawn


class Light(torch.nn.Module):
    """Tells how light a picture is, in percent."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return 100 * x.mean((1, 2, 3))[:, None]


@pytest.fixture(scope="module")
def telling(opened: LiveStudio) -> LiveStudio:
    """A studio over a classifier that tells a number: an exact function of the picture."""
    spec = ClassifierSpec(
        labels=("light",), input_size=32, channels=1, output="regression", unit="percent", center=(25.0,),
        scale=(10.0,), low=(5.0,), high=(60.0,),
    )  # fmt: skip
    told = Directed(Classifier(Light(), spec), 0, by=2.0)
    archive = opened._archive
    assert archive is not None
    studio = LiveStudio(opened.snapshot, told, images=archive.subset(np.arange(4)))
    while studio.load_more():
        pass
    return studio


def light(picture: np.ndarray) -> float:
    return 100 * float(picture.astype(np.float64).mean()) / 255


def test_a_number_is_raised_and_lowered_by_knobs(telling: LiveStudio, tmp_path: Path) -> None:
    studio, image = telling, next(iter(telling.images))
    numbers = studio.numbers
    assert numbers is not None
    assert numbers.ends(0) == (5.0, 60.0)
    rest = light(studio.images[image].rebuilt.picture)
    assert numbers.value(float(studio.images[image].rebuilt.probabilities[0]), 0) == pytest.approx(rest, abs=0.3)
    for target, way in ((None, 1), (1, -1)):
        found = studio.search(image, target, silent)
        verb = "raise" if way > 0 else "lower"
        assert f"changes {verb} light on" in found.finding
        assert f"{verb}" in found.flip.sentence
        assert "light by 2.0 percent or more" in found.flip.sentence
        for knob in found.knobs[:2]:  # what a knob is said to do, it does, in the unit
            (frame,) = studio.render([Turn(image=image, knobs={knob: 1.0})])
            effect = studio.knobs[knob].attribute.effect
            assert way * (light(frame.picture) - rest) == pytest.approx(effect, abs=0.5)
        flip = studio.flip(image, found.flip.target, found.knobs)
        (frame,) = studio.render([Turn(image=image, knobs=flip.knobs)])
        assert flip.flipped == (way * (light(frame.picture) - rest) >= 2 - 0.3)
    turned = studio.explanation(Turn(image=image, knobs=flip.knobs))
    assert turned.ranking.finding.startswith("Turned by hand: light goes from ")
    folder = tmp_path / "turned"
    write_explanation(turned, folder)
    assert Numbers.of(read_explanation(folder)) is not None
    assert studio.flip(image, 0, []).sentence == "None of these knobs raises light."
