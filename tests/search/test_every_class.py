"""Every class at once, at the command line's door: a small run of four classes."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from stylex.cli import main

pytestmark = pytest.mark.integration

KINDS = ("one", "two", "three & more", "four")


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("classes")
    for i in range(80):
        y, x = np.mgrid[:16, :16]
        kind = i % 4
        bright = (np.hypot(y - 4 - 8 * (kind // 2), x - 4 - 8 * (kind % 2)) < 3) * 220.0
        picture = bright + np.random.default_rng(i).uniform(0, 30, bright.shape)
        place = root / "photos" / KINDS[kind]
        place.mkdir(parents=True, exist_ok=True)
        Image.fromarray(picture.astype(np.uint8)).save(place / f"{i}.png")
    data = ["--data", str(root / "four.zip")]
    assert main(["prepare", str(root / "photos"), "--out", str(root / "four.zip"), "--resolution", "16", "-q"]) == 0
    assert main(["classifier", *data, "--out", str(root / "judge"), "--epochs", "5", "-q"]) == 0
    training = [
        "--preset",
        "tiny-16",
        "--kimg",
        "0.032",
        "--schedule.tick-nimg",
        "16",
        "--schedule.snapshot-nimg",
        "16",
    ]
    given = ["--classifier", str(root / "judge"), "--out", str(root / "run"), "-q"]
    assert main(["train", *data, *given, *training]) == 0
    return root


def line(run: Path, out: Path, *more: str) -> list[str]:
    given = ["--data", str(run / "four.zip"), "--out", str(out), "--images", "8", "--method", "eigenfind"]
    return ["classes", str(run / "run"), *given, "--attributes", "1", "-q", *more]


def test_each_class_has_a_folder_and_all_are_on_one_page(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "all"
    assert main(line(run, out)) == 0
    told = capsys.readouterr().out
    assert f"page: {out / 'index.html'}" in told
    said = json.loads((out / "overview.json").read_text())
    assert said["finished"]
    assert {row["label"] for row in said["classes"]} == set(KINDS)
    page = (out / "index.html").read_text()
    assert any(row["attributes"] for row in said["classes"])
    for row in said["classes"]:
        folder = out / row["folder"]
        manifest = json.loads((folder / "manifest.json").read_text())
        assert manifest["settings"]["target"] == row["label"]
        assert len(manifest["ranking"]["attributes"]) == row["attributes"] <= 1
        assert {each["target_label"] for each in manifest["ranking"]["attributes"]} <= {row["label"]}
        assert (folder / "report.html").exists()
        assert f'href="{row["folder"]}/report.html"' in page
        standing = row["standing"]
        assert (standing is None) == (row["attributes"] == 0)
        assert standing is None or (standing["turned"] <= standing["images"] and 1 <= standing["moved"] <= 4)

    # A finished one is not replaced unasked; one that was interrupted goes on, and so does one that may be replaced.
    before = page
    assert main(line(run, out)) == 2
    assert len(capsys.readouterr().err.strip().splitlines()) == 1
    assert (out / "index.html").read_text() == before
    assert main(line(run, out, "--overwrite")) == 0
    assert (out / "index.html").read_text() == before  # the same command gives the same page
    capsys.readouterr()


def test_find_says_that_there_is_a_way_to_explain_every_class(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    given = ["--data", str(run / "four.zip"), "--out", str(tmp_path / "one"), "--images", "8", "-q"]
    assert main(["find", str(run / "run"), *given]) == 2
    assert "`stylex classes` explains every one" in capsys.readouterr().err
