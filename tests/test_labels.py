"""Many classes and several labels, from photographs to a report; and classifiers that are sure to many digits."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import stylex
from stylex.cli import main

PLACES = [(4, 4), (11, 4), (4, 11), (11, 11), (8, 8)]
LABELS = ["nw", "ne", "sw", "se", "mid"]
Y, X = np.mgrid[:16, :16]


def disc(place: tuple[int, int], radius: float) -> Any:
    return 200 / (1 + np.exp((np.hypot(X - place[0], Y - place[1]) - radius) * 2))


def save(picture: Any, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(picture.clip(0, 255).astype(np.uint8)).save(path)


def ten_classes(folder: Path) -> None:
    """One disc: in one of five places, small or large."""
    rng = np.random.default_rng(0)
    for i in range(400):
        picture = disc(PLACES[i % 5], 1.5 + 2 * (i % 10 // 5)) + rng.uniform(0, 30, (16, 16))
        save(picture, folder / f"class{i % 10}" / f"{i}.png")


def five_labels(folder: Path) -> None:
    """Discs in any of five places."""
    rng = np.random.default_rng(0)
    rows = ["file_name," + ",".join(LABELS)]
    for i in range(200):
        there = rng.integers(0, 2, 5)
        picture = sum((disc(place, 2) for place, on in zip(PLACES, there, strict=True) if on), np.zeros((16, 16)))
        save(picture + rng.uniform(0, 30, (16, 16)), folder / f"{i}.png")
        rows.append(f"{i}.png," + ",".join(map(str, there)))
    (folder / "metadata.csv").write_text("\n".join(rows))


def sure(classifier: Path, times: float) -> None:
    """Make a house classifier say the same with so many times larger logits."""
    from stylex.classifiers import SmallCNN, load_classifier, save_small_classifier

    judge = load_classifier(classifier)
    assert isinstance(judge.model, SmallCNN)
    judge.model.head.weight.data *= times
    judge.model.head.bias.data *= times
    save_small_classifier(judge, classifier)


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run for ten classes and one for five labels, and one for five labels whose logits reach a hundred."""
    root = tmp_path_factory.mktemp("labels")
    ten_classes(root / "ten")
    five_labels(root / "five")
    training = ["--preset", "tiny-16", "--schedule.tick-nimg", "400", "--schedule.snapshot-nimg", "400"]
    training += ["--loss.pixel", "5", "--kimg", "0.8", "-q"]
    for name, more in (("ten", []), ("five", ["--label-column", ",".join(LABELS)])):
        data = str(root / f"{name}.zip")
        assert main(["prepare", str(root / name), "--out", data, "--resolution", "16", *more, "-q"]) == 0
        assert main(["classifier", "--data", data, "--out", str(root / f"{name}-c"), "--epochs", "30", "-q"]) == 0
    shutil.copytree(root / "five-c", root / "sure-c")
    sure(root / "sure-c", 30.0)
    for name, data in (("ten", "ten.zip"), ("five", "five.zip"), ("sure", "five.zip")):
        given = ["--data", str(root / data), "--classifier", str(root / f"{name}-c"), "--out", str(root / name / "run")]
        assert main(["train", *given, *training]) == 0
    return root


def found(runs: Path, name: str, out: str, *aims: str) -> dict[str, Any]:
    data = runs / ("ten.zip" if name == "ten" else "five.zip")
    run, folder = runs / name / "run", runs / name / out
    given = ["--data", str(data), "--out", str(folder), "--images", "16", "--method", "attfind"]
    assert main(["find", str(run), *given, *aims, "-q"]) == 0
    assert main(["report", str(folder), "-q"]) == 0
    manifest = json.loads((folder / "manifest.json").read_text())
    assert all(np.isfinite(value) for value in manifest["figures"].values())
    return dict(manifest)


@pytest.mark.slow
@pytest.mark.parametrize("selection", ["attfind", "together", "notebook"])
def test_ten_classes_one_against_all_and_one_against_one(runs: Path, selection: str) -> None:
    everything = found(runs, "ten", f"all-{selection}", "--target", "class3", "--selection", selection)
    assert everything["labels"] == [f"class{i}" for i in range(10)]
    several = selection == "together" and len(everything["ranking"]["attributes"]) > 1
    assert any("what each adds to those before it" in note for note in everything["notes"]) == several
    one = found(runs, "ten", f"one-{selection}", "--target", "class3", "--source", "class8", "--selection", selection)
    assert {attribute["source_label"] for attribute in one["ranking"]["attributes"]} <= {"class8"}
    named = [np.argmax(image["logits"]) for image in one["images"]]
    assert set(named) <= {3, 8}
    for image in everything["images"]:
        assert sum(image["probabilities"]) == pytest.approx(1, abs=1e-4)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["five", "sure"])
@pytest.mark.parametrize("selection", ["attfind", "together"])
def test_five_labels_each_both_ways(runs: Path, name: str, selection: str) -> None:
    more = ["--selection", selection, "--realism", "1e9"]
    towards = found(runs, name, f"towards-{selection}", "--target", "sw", *more)
    away = found(runs, name, f"away-{selection}", "--target", "not sw", *more)
    assert towards["output"] == away["output"] == "sigmoid"
    assert towards["labels"] == LABELS
    assert away["labels"] == [*LABELS, "not sw"]
    for one, labelled in ((towards, "sw"), (away, "not sw")):
        if one["ranking"]["attributes"] or name == "five":
            assert {attribute["target_label"] for attribute in one["ranking"]["attributes"]} == {labelled}
    either = [*towards["counterfactuals"], *away["counterfactuals"]]
    assert either, "images of a classifier that is sure are shown all the same"
    assert all(np.isfinite(changed["logits"]).all() for changed in either)
    for image in away["images"]:
        assert image["logits"][5] == pytest.approx(-image["logits"][2], abs=1e-4)
        assert image["probabilities"][5] + image["probabilities"][2] == pytest.approx(1, abs=1e-5)
    if name == "sure":
        assert max(max(np.abs(image["logits"])) for image in [*towards["images"], *away["images"]]) > 30
    losses = [json.loads(line) for line in (runs / name / "run" / "stats.jsonl").read_text().splitlines()]
    assert all(np.isfinite(row["kl"]) for row in losses if "kl" in row)


@pytest.mark.slow
def test_one_image_of_five_labels_is_turned_the_nearest_way(runs: Path) -> None:
    rows = (runs / "five" / "metadata.csv").read_text().splitlines()[1:]
    whole = next(row.split(",")[0] for row in rows if row.endswith("1,1,1,1,1"))
    given = ["explain", str(runs / "five" / "run"), str(runs / "five" / whole), "--out"]
    assert main([*given, str(runs / "five" / "nearest"), "-q"]) == 0
    manifest = json.loads((runs / "five" / "nearest" / "manifest.json").read_text())
    before = np.array(manifest["images"][0]["reconstruction_logits"])[:5]
    least = int(np.abs(before).argmin())
    target = manifest["labels"][manifest["counterfactuals"][0]["target"]]
    assert target == (f"not {LABELS[least]}" if before[least] >= 0 else LABELS[least])
    assert main([*given, str(runs / "five" / "asked"), "--target", "not se", "-q"]) == 0
    manifest = json.loads((runs / "five" / "asked" / "manifest.json").read_text())
    assert manifest["title"] == "What decides between this image and not se"


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "targets"), [("ten", ("class3", "class8", "class5")), ("five", ("mid", "not mid", "sw"))]
)
def test_methods_are_compared_and_attacks_made_towards_one_of_many(
    runs: Path, name: str, targets: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    done = 0
    for target in targets:
        compared, attacked = (runs / f"{verb}-{name}-{target.replace(' ', '-')}" for verb in ("compared", "attacked"))
        given = [str(runs / name / "run"), "--data", str(runs / f"{name}.zip"), "--target", target, "-q"]
        few = ["--methods", "pixels,grad-cam", "--change", "0.1", "--images", "6", "--measured", "40", "--shown", "2"]
        code = main(["compare", *given, "--out", str(compared), *few])
        if code == 2:  # so short a training draws nearly all images with that answer
            assert "not predicted" in capsys.readouterr().err
            continue
        done += 1
        comparison = stylex.read_comparison(compared)
        assert 0 <= comparison["pixels"].cells["flips"].value <= 1
        assert target in (compared / "comparison.html").read_text()
        assert main(["attack", *given, "--out", str(attacked), "--images", "6", "--steps", "60"]) == 0
        attack = stylex.read_attack(attacked)
        assert attack.towards == target
        for image in (image for image in attack.images if image.turned):
            p, before = (q[image.target] for q in (image.counterfactual_probabilities, image.rebuilt_probabilities))
            # Each label is there or not by itself; of classes it is the likeliest.
            assert before < 0.5 <= p if name == "five" else image.counterfactual_probabilities.argmax() == image.target
    assert done > 0
