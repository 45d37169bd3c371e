"""Adapted, mixed and morphed at the door: commands, what they write, and what is said of all that cannot be used."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from tests.training.conftest import discs
from tests.training.test_guided import Brightness

import stylex
from stylex.adapting import powers_of
from stylex.cli import main
from stylex.core.errors import ConfigError, StylexError
from stylex.models.domain import read_domain

pytestmark = pytest.mark.integration

SHORT = ["--kimg", "0.032", "--encoder-kimg", "0.016", "--block", "8"]


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Discs, a classifier of them, a run, and two adaptations of it."""
    root = tmp_path_factory.mktemp("adapting")
    discs(root / "discs.zip")
    discs(root / "few.zip", n=30)
    discs(root / "three.zip", labels=3)
    discs(root / "coloured.zip", channels=3)
    for name in ("discs", "three"):
        stylex.fit_classifier(root / f"{name}.zip", root / f"{name}-classifier", epochs=1)
    training = ["--preset", "tiny-16", "--kimg", "0.064", "--model.class-input", "none", "--model.w-dim", "8"]
    given = ["--data", str(root / "discs.zip"), "--classifier", str(root / "discs-classifier")]
    assert main(["train", *given, "--out", str(root / "run"), *training]) == 0
    for name, method in (("one", "affine+"), ("two", "affinelight+")):
        done = ["adapt", str(root / "run"), "--data", str(root / "few.zip"), "--out", str(root / name)]
        assert main([*done, "--method", method, *SHORT]) == 0
    return root


def test_an_adapted_run_is_found_in_and_explained(place: Path, tmp_path: Path) -> None:
    found = stylex.find(place / "one", data=place / "few.zip", out=tmp_path / "found", images=4, attributes=2)
    assert found.labels == ("small", "large")
    picture = tmp_path / "one.png"
    Image.fromarray(np.zeros((16, 16), np.uint8)).save(picture)
    stylex.explain(place / "one", picture, out=tmp_path / "explained")
    assert stylex.open_studio(place / "one", data=place / "few.zip") is not None


def test_what_is_trained_is_said_before_it_begins(place: Path, tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    command = ["adapt", str(place / "run"), "--data", str(place / "few.zip"), "--out", str(tmp_path / "dry")]
    assert main([*command, "--method", "stylespace", "--dry-run"]) == 0
    said = capsys.readouterr()
    styles = sum(layer.channels for layer in stylex.load_snapshot(place / "run").space.layers if layer.kind == "conv")
    assert f"stylespace trains {styles} parameters" in said.out + said.err
    assert not (tmp_path / "dry").exists()


def test_how_near_it_came_is_said_beside_what_it_was(
    place: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "near"
    command = ["adapt", str(place / "run"), "--data", str(place / "few.zip"), "--out", str(out), *SHORT, "-q"]
    assert main(command) == 0
    said = capsys.readouterr().out
    held_out = len(stylex.open_images(place / "few.zip").split("test"))
    if held_out < 3:
        assert not (out / "nearness.json").exists()
    else:
        near = json.loads((out / "nearness.json").read_text())
        assert near["held_out"] == held_out
        assert all(
            near[name]["low"] <= near[name]["value"] <= near[name]["high"] for name in ("after", "before", "real")
        )
        assert f"from {held_out} held-out images; before it was {near['before']['value']:.3f}" in said
    assert str(sorted((out / "snapshots").glob("*/panel.png"))[-1]) in said
    # There are too few held-out images to search on.
    assert f"next: stylex morph {place / 'run'} {out} --out morph-near.png" in said


def test_a_runs_own_vector_is_not_added_to_it_in_silence(
    place: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    one = str(place / "one")
    assert main(["mix", one, "--of", one, "--data", str(place / "few.zip"), "--out", str(tmp_path / "twice")]) == 0
    said = capsys.readouterr()
    assert "it will be there once more" in said.out + said.err


def test_another_classifier_with_other_classes(place: Path, tmp_path: Path) -> None:
    stylex.adapt(
        place / "run",
        data=place / "three.zip",
        out=tmp_path / "three",
        classifier=place / "three-classifier",
        kimg=0.016,
        encoder_kimg=0,
    )
    found = stylex.find(
        tmp_path / "three", data=place / "three.zip", out=tmp_path / "found", target="huge", images=4, attributes=1
    )
    assert found.labels == ("small", "large", "huge")


def test_mixed_vectors_lie_in_the_weights(place: Path, tmp_path: Path) -> None:
    out = tmp_path / "mixed"
    stylex.mix(place / "run", of=f"{place / 'one'}:0.5,{place / 'two'}:0.25", data=place / "discs.zip", out=out)
    snapshot, base = stylex.load_snapshot(out), stylex.load_snapshot(place / "run")
    vectors = [read_domain(stylex.load_snapshot(place / name).path) for name in ("one", "two")]
    expected = vectors[1].times(0.25).added_to(vectors[0].times(0.5).added_to(base.generator)).state_dict()
    for name, weight in snapshot.generator.state_dict().items():
        torch.testing.assert_close(weight, expected[name], rtol=1e-5, atol=1e-6)
    assert read_domain(snapshot.path).record["of"] == {str(place / "one"): 0.5, str(place / "two"): 0.25}
    again = tmp_path / "again"  # what was mixed is a vector too
    stylex.mix(place / "run", of={str(out): 1.0}, data=place / "discs.zip", out=again)
    for name, weight in stylex.load_snapshot(again).generator.state_dict().items():
        torch.testing.assert_close(weight, expected[name], rtol=1e-5, atol=1e-6)
    with pytest.raises(StylexError, match="exists already"):
        stylex.mix(place / "run", of={str(place / "one"): 1.0}, data=place / "discs.zip", out=out)


def test_the_whole_vector_of_a_run_is_that_run_again(place: Path, tmp_path: Path) -> None:
    stylex.mix(place / "run", of=str(place / "one"), data=place / "few.zip", out=tmp_path / "same")
    theirs = stylex.load_snapshot(place / "one").generator.state_dict()
    for name, weight in stylex.load_snapshot(tmp_path / "same").generator.state_dict().items():
        torch.testing.assert_close(weight, theirs[name], rtol=0, atol=0)


def test_a_strip_begins_with_the_one_run_and_ends_with_the_other(place: Path, tmp_path: Path) -> None:
    from stylex.adapting import morphed

    drawn = morphed([place / "run", place / "one"], [0.0, 0.5, 1.0], data=place / "few.zip", count=3, seed=0)
    begin, end = (morphed([place / name] * 2, [0.0], data=None, count=3, seed=0) for name in ("run", "one"))
    assert drawn.shape == (3, 3, 16, 16, 1)
    assert not np.array_equal(drawn[0], drawn[2])
    new = morphed([place / "run", place / "one"], [0.0, 1.0], data=None, count=3, seed=0)
    assert np.array_equal(new[0], begin[0])
    assert not np.array_equal(new[1], begin[0])
    assert end.shape == begin.shape
    stages = morphed([place / "run", place / "one", place / "two"], [0.0, 1.0], data=None, count=3, seed=0)
    assert len(stages) == 3  # no place twice
    assert np.array_equal(stages[:2], new)


def test_strips_and_animations_are_written(place: Path, tmp_path: Path) -> None:
    one, two = str(place / "one"), str(place / "two")
    assert main(["morph", str(place / "run"), one, "--out", str(tmp_path / "m.png"), "--frames", "3"]) == 0
    assert Image.open(tmp_path / "m.png").size[0] > 3 * 96
    command = ["morph", str(place / "run"), f"{one},{two}", "--out", str(tmp_path / "m.gif"), "--frames", "4"]
    assert main(command) == 0
    assert Image.open(tmp_path / "m.gif").n_frames >= 6  # there and back; equal neighbours are one
    stylex.morph(place / "run", one, out=tmp_path / "two.gif", frames=2)
    assert Image.open(tmp_path / "two.gif").info["duration"] >= 334  # faster it flickers
    with pytest.raises(StylexError, match="exists already"):
        stylex.morph(place / "run", one, out=tmp_path / "m.gif")
    with pytest.raises(StylexError, match="give two runs"):
        stylex.morph(place / "run", f"{one},{two}", out=tmp_path / "x.gif", power=0.5)
    with pytest.raises(StylexError, match=r"ends in \.png"):
        stylex.morph(place / "run", one, out=tmp_path / "m.avi")
    pytest.importorskip("av")
    film = stylex.morph(place / "run", one, out=tmp_path / "m.mp4", frames=3)
    assert film.read_bytes()[4:8] == b"ftyp"
    stylex.morph(place / "run", one, out=film, frames=3, overwrite=True)


def test_words_or_an_image_bring_a_run_elsewhere(place: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("stylex.adapting.open_clip_guides", lambda device: [Brightness()])
    picture = tmp_path / "white.png"
    Image.fromarray(np.full((16, 16), 255, np.uint8)).save(picture)
    command = ["guide", str(place / "run"), "--data", str(place / "discs.zip"), "--steps", "3"]
    words = ["--text", "bright", "--instead-of", "dark"]
    for name, aim in (("words", words), ("image", ["--image", str(picture)])):
        assert main([*command, *aim, "--out", str(tmp_path / name)]) == 0
        assert read_domain(stylex.load_snapshot(tmp_path / name).path).record["method"] == "stylespace"
    for wrong in ([], words[:2], [*words, "--image", str(picture)]):
        assert main([*command, *wrong, "--out", str(tmp_path / "x")]) == 2
        assert not (tmp_path / "x").exists()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["adapt", "run", "--data", "coloured.zip", "--out", "x"], "--channels 1"),
        (["adapt", "run", "--data", "few.zip", "--out", "x", "--block", "64"], "--block"),
        (["adapt", "run", "--data", "few.zip", "--out", "one"], "--out"),
        (["adapt", "run", "--data", "few.zip", "--out", "x", "--keep", "2"], "a fraction above 0"),
        (["mix", "run", "--of", "run:0.5", "--data", "few.zip", "--out", "x"], "holds no domain vector"),
        (["mix", "run", "--of", "", "--data", "few.zip", "--out", "x"], "--of names no run"),
    ],
)
def test_one_line_says_what_is_wrong(
    place: Path,
    arguments: list[str],
    said: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture,
) -> None:
    monkeypatch.chdir(place)
    assert main(arguments) == 2
    error = capsys.readouterr().err.strip().splitlines()[-1]
    assert error.startswith("stylex: error:")
    assert said in error
    assert not (place / "x").exists()


def test_powers_are_read_as_they_are_written() -> None:
    assert powers_of("a:0.5,b:-1") == {"a": 0.5, "b": -1.0}
    assert powers_of("a,b") == {"a": 0.5, "b": 0.5}
    assert powers_of("runs/a") == {"runs/a": 1.0}
    assert powers_of({"a": 2}) == {"a": 2.0}
    for wrong in ("", "a:0.5,a:0.5", "a:1e9", "a:nan"):
        with pytest.raises(ConfigError):
            powers_of(wrong)


def test_the_record_names_the_method_and_its_size(place: Path) -> None:
    folder = stylex.load_snapshot(place / "one").path
    record = json.loads((folder / "domain.json").read_text())
    assert record["method"] == "affine+"
    assert record["size"] == read_domain(folder).size > 0
