"""The shipped demo: real photographs, a trained snapshot and its classifier explain one image."""

from __future__ import annotations

from importlib.resources import as_file, files
from pathlib import Path

import pytest

import stylex
from stylex.cli import main

pytestmark = pytest.mark.integration


def test_the_shipped_photographs_are_explained(tmp_path: Path) -> None:
    with as_file(files("stylex") / "demo_data") as shipped:
        photographs = stylex.open_images(shipped / "shoes.zip")
        assert len(photographs) == 400
        assert photographs.label_names == ("ankle boot", "sneaker")
        explanation = stylex.explain(
            shipped / "snapshot",
            photographs.names[0],
            data=shipped / "shoes.zip",
            classifier=shipped / "classifier",
            out=tmp_path / "one",
            attributes=3,
        )
        assert (shipped / "NOTICE").read_text().count("MIT") >= 1
        assert sum(file.stat().st_size for file in shipped.rglob("*")) < 10_000_000
    assert len(explanation.ranking) >= 3
    assert all(attribute.effect > 0 for attribute in explanation.ranking)
    assert stylex.report(tmp_path / "one").read_text().startswith("<!doctype html>")


def test_demo_is_a_run_and_an_archive_for_every_verb(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "demo").mkdir()  # as `stylex demo --out demo` leaves one
    given = ["--data", "demo", "--images", "4", "-q"]
    assert main(["attack", "demo", *given, "--steps", "20", "--out", "attack"]) == 0
    assert main(["find", "demo", *given, "--attributes", "1", "--out", "found"]) == 0
    assert main(["morph", "demo", "demo", "--out", "strip.png", "--images", "2", "--frames", "2"]) == 0
    explanation = stylex.read_explanation("found")
    assert explanation.settings["run"] == explanation.settings["data"] == "demo"
    (tmp_path / "demo" / "snapshots").mkdir()  # and as a training called so begins
    assert main(["attack", "demo", *given, "--out", "other"]) == 2


def test_the_shipped_photographs_are_compared(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = tmp_path / "comparison"
    given = ["--methods", "pixels,grad-cam", "--change", "0.05", "--images", "8", "--measured", "8", "--shown", "2"]
    assert main(["compare", "demo", "--out", str(folder), *given, "-q"]) == 0
    said = capsys.readouterr().out
    assert "gradient in pixels" in said
    assert f"page: {folder / 'comparison.html'}" in said
    read = stylex.read_comparison(folder)
    assert read["pixels"].cells["flips"].value > read["random"].cells["flips"].value
    assert read.settings["run"] == "demo"
    page = (folder / "comparison.html").read_text()
    assert page.count("<img") == 2 * (2 + 2 * 5 + 1 + 1)  # what is unchanged has no difference
    assert main(["compare", "demo", "--out", str(folder), *given, "-q"]) == 2
    assert "already holds a comparison" in capsys.readouterr().err


def test_a_whole_study_runs_by_itself(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = tmp_path / "demo"
    assert main(["study", "demo", "--out", str(folder), "--raters", "4", "--images", "16", "-q"]) == 0
    said = capsys.readouterr().out
    assert said.startswith("4 of 4 raters began, 3 finished, 1 stopped early")
    for accident in ("who guesses", "who always presses left", "the same attribute on both sides"):
        assert accident in said
    page = folder / "study" / "analysis" / "analysis.html"
    assert f"analysis: {page}\n" in said
    assert page.read_text().startswith("<!doctype html>")
    # What it wrote goes on: more of its answers, and other studies of its explanations.
    assert main(["study", "analyse", str(folder / "study"), "-q"]) == 2
    assert "already holds an analysis" in capsys.readouterr().err
    assert main(["study", "analyse", str(folder / "study"), "--most-failed", "9", "--overwrite", "-q"]) == 0
    assert "0 left out" in capsys.readouterr().out
    given = [str(folder / method) for method in ("eigenfind", "sefa")]
    assert main(["study", "new", *given, "--out", str(tmp_path / "s"), "--tasks", "describe,clinical", "-q"]) == 0
    assert capsys.readouterr().out == f"study: {tmp_path / 's'}\nnext: stylex study serve {tmp_path / 's'}\n"
    assert main(["study", "new", *given, "--out", str(tmp_path / "s"), "-q"]) == 2
    assert "already holds a study, whose answers would be lost" in capsys.readouterr().err
    assert main(["study", "analyse", str(tmp_path / "s"), "-q"]) == 2
    assert "let raters answer first: stylex study serve" in capsys.readouterr().err
    assert sorted(path.name for path in (tmp_path / "s").iterdir()) == ["links.csv", "pictures", "study.json"]
