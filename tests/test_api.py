"""The door: every verb from end to end on tiny data, and what is said of all that cannot be used."""

from __future__ import annotations

import inspect
import json
import os
import re
import resource
import shutil
import time
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

import stylex
from stylex.cli import main
from stylex.cli.parser import parse
from stylex.core.errors import StylexError
from stylex.core.lock import sole_writer
from stylex.store.folder import read_explanation
from stylex.store.names import save_labels

pytestmark = pytest.mark.integration

# The classifiers under explanation, as a person would write them.
JUDGES = """
import torch
from torch import nn
from stylex.classifiers import BlackBox, ClassifierSpec

RANDOM = torch.Generator()

class Net(nn.Module):
    def __init__(self, k, channels=1):
        super().__init__()
        torch.manual_seed(0)
        self.one, self.two = nn.Conv2d(channels, 6, 3, 2, 1), nn.Conv2d(6, 6, 3, 2, 1)
        self.head = nn.Linear(6, k)

    def forward(self, x):
        return self.head(self.two(self.one(x).relu()).mean(dim=(2, 3))) * 8

def spec(labels, **more):
    return ClassifierSpec(labels=labels, **{"input_size": 16, "channels": 1} | more)

class Light(nn.Module):
    def forward(self, x):
        return 100 * x.mean(dim=(1, 2, 3))[:, None]

def light(): return Light(), spec(("light",), output="regression", unit="percent")
def two(): return Net(2), spec(("small", "large"))
class Half(nn.Module):
    def __init__(self):
        super().__init__()
        self.net = Net(2).half()

    def forward(self, x): return self.net(x.half())

def half(): return Half(), spec(("small", "large"))
def wrapped(): return lambda x: Net(2)(x), spec(("small", "large"))
def nearly():
    net = Net(2)
    with torch.no_grad():
        net.head.bias[0] += 0.01
    return net, spec(("small", "large"))
def swapped(): return lambda x: Net(2)(x).flip(1), spec(("small", "large"))
def three(): return Net(3), spec(("small", "large", "huge"))
def several(): return Net(2), spec(("left", "big"), output="multi-label")
def other_labels(): return Net(2), spec(("cat", "dog"))
def half_known(): return Net(2), spec(("small", "enormous"))
def colour(): return Net(2, 3), spec(("small", "large"), channels=3)
def too_few(): return Net(2), spec(("small", "large", "huge"))
def plain(): return Net(2)
def no_spec(): return lambda x: x.flatten(1)[:, :2]
def a_number(): return 3
def broken(): raise OSError("weights.bin is not there")
def nan(): return lambda x: Net(2)(x) * float("nan"), spec(("small", "large"))
def one_by_one(): return lambda x: Net(2)(x.view(1, 1, 16, 16)), spec(("small", "large"))
def one_answer(): return lambda x: Net(2)(x)[:1], spec(("small", "large"))
def cut_off(): return lambda x: Net(2)(x).detach(), spec(("small", "large"))
def random(): return lambda x: Net(2)(x) + torch.rand(len(x), 2, generator=RANDOM), spec(("small", "large"))
class Tires(Net):
    answers = 36

    def forward(self, x):
        Tires.answers -= 1
        return super().forward(x) * (1.0 if Tires.answers > 0 else float("nan"))

def tires():
    Tires.answers = 36  # two of them as it is opened
    return Tires(2), spec(("small", "large"))
def size(x):
    bright = (x > 0.5).float().mean(dim=(2, 3))
    return torch.cat([bright - 0.12, 0.12 - bright], 1).neg() * 99 + Net(2)(x) * 0.001
def knows(): return size, spec(("small", "large"))
def mistakes(): return size, spec(("large", "small"))
def place(x):
    left = (x[:, :, 8, 4:7].mean(2) - x[:, :, 8, 9:12].mean(2)) * 9
    return torch.cat([-left, left], 1)
def where(): return place, spec(("small", "large"))
def words(): return lambda x: "large", spec(("small", "large"))
def sure(x): return ((x.mean(dim=(2, 3)) - 0.15) * 60).sigmoid()
def one_sigmoid(): return sure, spec(("small", "large"), output="single-logit")
def one_each(): return lambda x: torch.cat([sure(x), 1 - sure(x) ** 2], 1), spec(("left", "big"), output="multi-label")
def answers(images):
    with torch.no_grad():
        return Net(2)(torch.from_numpy(images).permute(0, 3, 1, 2) / 127.5 - 1).softmax(1).numpy()
def box(): return BlackBox(answers, labels=("small", "large"), input_size=16, channels=1)
def percent(): return lambda x: Net(2)(x).softmax(1), spec(("small", "large"))
"""
TRAINING = ["--preset", "tiny-16", "--kimg", "0.032", "--schedule.tick-nimg", "16", "--schedule.snapshot-nimg", "16"]


@dataclass(frozen=True)
class World:
    """A folder with all that the verbs need."""

    root: Path

    def __truediv__(self, name: str) -> str:
        return str(self.root / name)

    def train(self, *more: str, data: str = "two.zip", judge: str = "two", out: str = "new") -> list[str]:
        return [
            "train",
            "--data",
            self / data,
            "--classifier",
            f"judges:{judge}",
            "--out",
            self / out,
            *TRAINING,
            *more,
        ]

    def find(
        self, *more: str, run: str = "run", data: str = "two.zip", out: str = "new", judge: str = "two"
    ) -> list[str]:
        given = ["--data", self / data, "--classifier", f"judges:{judge}", "--out", self / out, "--images", "6"]
        return ["find", self / run, *given, *more]

    def evaluate(self, *more: str, run: str = "run", out: str = "new.json", judge: str = "two") -> list[str]:
        small = ["--images", "4", "--measured", "8", "--attributes", "2", "--without", "own,observer,attack"]
        given = ["--data", self / "even.zip", "--classifier", f"judges:{judge}", "--out", self / out]
        return ["evaluate", self / run, *given, *small, *more]

    def explain(
        self, *more: str, run: str = "run", image: str = "photo.png", out: str = "new", judge: str = "two"
    ) -> list[str]:
        return ["explain", self / run, self / image, "--classifier", f"judges:{judge}", "--out", self / out, *more]


def disc(i: int, kinds: int, channels: int = 1) -> Image.Image:
    y, x = np.mgrid[:16, :16]
    column = 5 if i % 2 else 10
    picture = 255 / (1 + np.exp((np.hypot(y - 8 - i % 3, x - column) - 2 - 2 * (i % kinds)) * 2))
    grey = Image.fromarray(
        (picture + np.random.default_rng(i).uniform(0, 9, picture.shape)).clip(0, 255).astype(np.uint8)
    )
    return grey if channels == 1 else grey.convert("RGB")


def draw_folder(folder: Path, kinds: tuple[str, ...], channels: int = 1, first: int = 0) -> None:
    for i in range(first, first + 60):
        place = folder / kinds[i % len(kinds)]
        place.mkdir(parents=True, exist_ok=True)
        disc(i, len(kinds), channels).save(place / f"{i}.png")


@pytest.fixture(scope="session")
def made(tmp_path_factory: pytest.TempPathFactory) -> World:
    """Archives of two, three and several classes, and a run on the first; made by the commands themselves."""
    root = tmp_path_factory.mktemp("world")
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(root))
        (root / "judges.py").write_text(JUDGES)
        draw_folder(root / "photos", ("small", "large"))
        draw_folder(root / "photos3", ("small", "large", "huge"))
        draw_folder(root / "colours", ("small", "large"), channels=3)
        draw_folder(root / "several", ("all",))
        rows = [f"{i}.png,{i % 2},{int(i % 3 == 0)}" for i in range(60)]
        for file in (root / "several" / "all").iterdir():
            file.rename(root / "several" / file.name)
        (root / "several" / "all").rmdir()
        (root / "several" / "metadata.csv").write_text("\n".join(["file_name,left,big", *rows]))
        for source, out, more in (
            ("photos", "two.zip", []),
            ("photos3", "three.zip", []),
            ("colours", "colour.zip", ["--channels", "3"]),
            ("several", "several.zip", ["--label-column", "left,big"]),
        ):
            given = [str(root / source), "--out", str(root / out), "--resolution", "16", *more]
            assert main(["prepare", *given, "-q"]) == 0
        for first, part in ((0, "train"), (60, "test")):  # an archive with as many images held out
            draw_folder(root / "photos-even" / part, ("small", "large"), first=first)
        assert (
            main(["prepare", str(root / "photos-even"), "--out", str(root / "even.zip"), "--resolution", "16", "-q"])
            == 0
        )
        disc(3, 2).save(root / "photo.png")
        world = World(root)
        assert main(world.train("-q", out="run")) == 0
    return world


@pytest.fixture
def world(made: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> World:
    """A copy to do harm to."""
    monkeypatch.delenv("STYLEX_DEBUG", raising=False)
    monkeypatch.syspath_prepend(str(made.root))
    shutil.copytree(made.root, tmp_path / "w", ignore=shutil.ignore_patterns("__pycache__", "photos*", "colours"))
    return World(tmp_path / "w")


# What works.


@pytest.mark.parametrize(
    ("data", "judge", "aims", "labels"),
    [
        ("two.zip", "two", [], ["small", "large"]),
        ("three.zip", "three", ["--target", "huge", "--source", "small"], ["small", "large", "huge"]),
        ("several.zip", "several", ["--target", "big"], ["left", "big"]),
    ],
)
def test_from_photographs_to_a_report(
    world: World, capsys: pytest.CaptureFixture[str], data: str, judge: str, aims: list[str], labels: list[str]
) -> None:
    run = "run" if judge == "two" else "other"
    if run == "other":
        assert main(world.train(data=data, judge=judge, out=run)) == 0
    assert sorted(path.name for path in (world.root / run).iterdir()) == ["snapshots", "state.pt", "stats.jsonl"]
    with Image.open(world.root / run / "snapshots" / "000000032" / "panel.png") as panel:
        assert panel.width > 16 * 6
    assert main(world.find(*aims, run=run, data=data, out="explained", judge=judge)) == 0
    assert main(world.explain(*aims[:2], run=run, out="one", judge=judge)) == 0
    for folder in ("explained", "one"):
        manifest = json.loads((world.root / folder / "manifest.json").read_text())
        assert [label if isinstance(label, str) else label["name"] for label in manifest["labels"]] == labels
        assert main(["report", world / folder]) == 0
        assert (world.root / folder / "report.html").read_text().lstrip().lower().startswith("<!doctype html>")
    told = capsys.readouterr()
    assert f"next: stylex report {world / 'explained'}" in told.out
    if run == "other":  # the command that is suggested can be typed as it is
        assert f"--classifier judges:{judge} --out explanation/ --target {labels[-1]}" in told.out
    assert "stylex: error" not in told.err


def write_table(path: Path) -> None:
    """What is known of the discs: on which side they lie, how low, and a coin."""
    coins = np.random.default_rng(0).integers(0, 2, 60)
    rows = [f"{i}.png,{'left' if i % 2 else 'right'},{i % 3},{coins[i]}" for i in range(60)]
    path.write_text("\n".join(["image,side,low,coin", *rows]))


def test_a_number_is_explained_in_its_unit(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(world.train(judge="light", out="other")) == 0
    snapshot = json.loads((world.root / "other" / "snapshots" / "000000032" / "snapshot.json").read_text())
    assert snapshot["classifier"]["unit"] == "percent"
    assert snapshot["classifier"]["scale"][0] > 0
    assert main(world.find("--by", "1.5", run="other", out="explained", judge="light")) == 0
    assert main(world.find("--target", "less", run="other", out="less", judge="light")) == 0
    told = capsys.readouterr()
    assert "at most; on average it differs by" in told.out
    explanation = read_explanation(world / "explained")
    assert explanation.labels == ("more light", "less light")
    assert explanation.settings["regression"]["by"] == pytest.approx(1.5)
    assert main(["report", world / "explained"]) == 0
    assert main(world.explain("--by", "1.5", run="other", judge="light", out="moved")) == 0
    moved = read_explanation(world / "moved")
    assert moved.settings["regression"]["by"] == pytest.approx(1.5)
    assert len(moved.settings["regression"]["low"]) == 2
    assert main(["report", world / "moved"]) == 0
    assert "logits" not in capsys.readouterr().out
    assert main(world.evaluate("--by", "1.5", run="other", judge="light", out="told.json")) == 0
    measured = stylex.read_evaluation(world / "told.json")
    assert measured.settings["regression"]["by"] == pytest.approx(1.5)
    for name in ("correlation", "r2", "answer_error"):
        assert {f"reconstruction.{name}", f"reconstruction.{name}_other"} <= {m.name for m in measured.measures}
    given = ["--data", world / "two.zip", "--classifier", "judges:light", "--out"]
    capsys.readouterr()
    for command, said in (
        (world.find("--by", "0", run="other", judge="light"), "--by 0.0: expected a change above 0"),
        (world.find("--target", "dark", run="other", judge="light"), "one of more, less, more light, less light"),
        (world.find("--source", "light", run="other", judge="light"), "--source is not for a regression"),
        (world.find("--by", "1"), "--by is of a regression"),
        (world.explain("--target", "dark", run="other", judge="light"), "one of more, less, more light, less light"),
        (world.explain("--by", "1"), "--by is of a regression"),
        (
            world.evaluate("--by", "2", "--explanation", world / "explained", run="other", judge="light"),
            "--by was chosen",
        ),
        (
            ["adapt", world / "other", *given, world / "adapted"],
            "which only train, find, explain, explore, evaluate and",
        ),
    ):
        assert main(command) == 2
        assert said in capsys.readouterr().err


def test_a_black_box_is_explained_and_its_calls_are_counted(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(world.train("--max-calls", "5000", judge="box", out="boxed")) == 0
    said = "".join(capsys.readouterr())
    assert "the classifier is a black box" in said
    assert "its answers are left out of the losses" in said
    expected, called = calls(said)
    assert called <= expected <= called + 150
    assert main(world.find("--max-calls", "5000", run="boxed", judge="box", out="found")) == 0
    expected, called = calls("".join(capsys.readouterr()))
    assert called <= expected <= 2 * called
    assert any("black box" in note for note in stylex.read_explanation(world / "found").notes)
    assert main(world.find("--max-calls", "20", run="boxed", judge="box", out="not-found")) == 2
    assert "calls of the classifier, and --max-calls allows 20" in capsys.readouterr().err
    assert not (world.root / "not-found").exists()
    assert main(world.find("--search", "screened", "--method", "attfind", run="boxed", judge="box", out="none")) == 2
    assert "screens by gradients, and the classifier gives none" in capsys.readouterr().err
    assert main(world.explain(run="boxed", judge="box", out="one")) == 0
    assert main(world.evaluate("--max-calls", "50000", run="boxed", judge="box")) == 0
    said = "".join(capsys.readouterr())
    assert "No lost causes: the classifier gives no gradient" in said
    assert "the classifier was called for" in said
    assert main(["report", world / "found"]) == 0
    assert main(world.find("--max-calls", "5000", out="other")) == 2
    assert "this classifier is computed here" in capsys.readouterr().err


def calls(said: str) -> tuple[int, int]:
    """How many calls were expected, and how many there were."""
    found = re.search(r"about ([\d,]+) calls.*?called for ([\d,]+) images", said, re.DOTALL)
    assert found is not None
    expected, called = (int(number.replace(",", "")) for number in found.groups())
    return expected, called


@pytest.mark.parametrize("space", ["w", "s"])
def test_images_are_attacked_and_what_changed_is_told(
    world: World, capsys: pytest.CaptureFixture[str], space: str
) -> None:
    pytest.importorskip("sklearn")
    write_table(world.root / "table.csv")
    given = ["attack", world / "run", "--data", world / "two.zip", "--classifier", "judges:two", "--out", world / "atk"]
    more = ["--space", space, "--images", "4", "--steps", "20", "--descriptors", world / "table.csv"]
    assert main([*given, *more]) == 0
    told = capsys.readouterr()
    assert f"report: {world / 'atk'}/report.html" in told.out
    for words in ("side=right: AUC", "low: R2", "coin: AUC", "(shuffled"):
        assert words in told.err
    attack = stylex.read_attack(world / "atk")
    assert [probe.kind for probe in attack.probes] == ["binary", "continuous", "binary"]
    assert 1 <= len(attack.images) <= 4
    classifier = stylex.load_classifier("judges:two")
    for image in attack.images:
        x = torch.from_numpy(image.counterfactual.transpose(2, 0, 1)[None].copy()).float() / 127.5 - 1
        p = classifier.probabilities(classifier.logits(x))[0]
        np.testing.assert_allclose(image.counterfactual_probabilities, p.numpy(), atol=1e-5)
        assert image.converged == (p[image.target] >= 0.75)
        assert image.steps <= 20
        assert set(image.scores) == {"side=right", "low", "coin"}
    assert {path.name for path in (world.root / "atk").iterdir()} == {
        "attack.json",
        "report.html",
        "overview.png",
        "images",
    }
    assert main([*given, *more]) == 2
    assert "already holds an attack" in capsys.readouterr().err


def test_attributes_are_named_by_a_table(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("sklearn")
    write_table(world.root / "table.csv")
    easy = ["--method", "attfind", "--threshold", "0.001", "--other-classifier", "--descriptors", world / "table.csv"]
    assert main(world.find(*easy, judge="where", out="named")) == 0
    told = capsys.readouterr()
    assert "low: R2" in told.err
    explanation = read_explanation(world / "named")
    assert len(explanation.ranking) > 0
    assert any("probes of descriptors: side=right" in note for note in explanation.notes)
    assert explanation.settings["descriptors"] == world / "table.csv"
    for attribute in explanation.ranking:
        if attribute.meaning is not None:
            assert f"goes with {attribute.meaning}" in told.out
            assert attribute.meaning.descriptor in ("side=right", "low", "coin")
    for wrong, says in ((world / "none.csv", "cannot be read"), (world / "two.zip", "not UTF-8 text")):
        assert main(world.find("--descriptors", wrong)) == 2
        assert says in capsys.readouterr().err


class Shrinks:
    """An autoencoder of the dullest kind: every other pixel, twice as large."""

    def encode(self, x: torch.Tensor) -> torch.Tensor:
        return x[:, :, ::2, ::2]

    def decode(self, z: torch.Tensor) -> torch.Tensor:
        return torch.nn.functional.interpolate(z, scale_factor=2)


def test_any_generative_model_can_be_attacked_in(world: World) -> None:
    given = {"data": world / "two.zip", "classifier": "judges:where", "device": "cpu", "images": 4}
    got = stylex.attack(Shrinks(), out=world / "own", **given)
    assert got.coordinates == 64
    assert got.converged == len(got.images)
    assert any(image.steps > 0 for image in got.images)
    assert all((image.counterfactual[::2] == image.counterfactual[1::2]).all() for image in got.images), "as it decodes"
    assert stylex.read_attack(world / "own").settings["run"] == "Shrinks"
    for model, more, says in (
        (Shrinks(), {"realism": 1.0}, "realism needs a discriminator"),
        (Shrinks(), {"classifier": None}, "give one as classifier"),
        (object(), {}, "object is neither a run nor a generative model"),
    ):
        with pytest.raises(StylexError, match=says):
            stylex.attack(model, out=world / "wrong", **{**given, **more})  # type: ignore[arg-type]


def test_a_search_may_be_screened_or_go_along_eigenvectors(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(world.find("--method", "attfind", "--search", "screened", out="explained")) == 0
    assert "coordinates were kept" in capsys.readouterr().err
    assert list((world.root / "run" / "effects").glob("moves-*/*.npz")), "nothing was kept to go on with"
    manifest = json.loads((world.root / "explained" / "manifest.json").read_text())
    assert any("as learnt from" in note for note in manifest["notes"])
    assert main(world.find("--method", "eigenfind", "--search", "screened", "--precision", "bf16", out="eigen")) == 0
    assert "direction" in capsys.readouterr().out
    layers = json.loads((world.root / "eigen" / "manifest.json").read_text())["space"]["layers"]
    assert [layer["name"] for layer in layers if layer["kind"] == "direction"] == ["eigen", "eigenrandom"]
    for wrong, says in (
        (
            ["--method", "eigenfind", "--selection", "notebook"],
            "--selection notebook is not for --method eigenfind",
        ),
        (["--search", "screened", "--recall", "1"], "--recall is 1"),
    ):
        assert main(world.find(*wrong)) == 2
        assert says in capsys.readouterr().err


def test_at_its_end_a_training_says_what_decides_and_is_not_drawn(
    world: World, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(world.train(data="even.zip", judge="where")) == 0
    heard = capsys.readouterr().err
    assert "Decisive, but not drawn" in heard[heard.index("train: done") :]


def test_a_training_is_rehearsed_without_a_trace(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    before = listing(world.root)
    assert main(world.train("--dry-run")) == 0
    told = capsys.readouterr().err
    for words in (
        "would train for",
        "32 images in 4 steps",
        "generator",
        "encoder",
        "discriminator",
        "parameters",
        "about",
    ):
        assert words in told
    assert main(world.train("--dry-run", out="run")) == 0
    assert "go on" in capsys.readouterr().err
    assert listing(world.root) == before


@pytest.mark.parametrize("more", [["--dry-run"], [], ["--precision", "bf16"]])
def test_a_classifier_that_casts_to_half_inside_trains(world: World, more: list[str]) -> None:
    assert main(world.train("-q", *more, judge="half")) == 0


@pytest.mark.parametrize("more", [["--dry-run"], []])
def test_whether_the_classifier_knows_the_labels_is_told_before_the_training(
    world: World, capsys: pytest.CaptureFixture[str], more: list[str]
) -> None:
    for judge, right, warned in (("knows", "100.0%", False), ("mistakes", "0.0%", True)):
        assert main(world.train(*more, judge=judge, out=judge)) == 0
        told = capsys.readouterr().err
        assert f"the classifier is right on {right} of 60 of the archive's labelled images" in told
        assert ("warning: the classifier's labels look exchanged" in told) is warned
        assert more or told.index("is right on") < told.index("train: 32 images")


def test_an_explanation_is_evaluated_on_other_images(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*world.find("--overwrite", data="even.zip", out="explained"), "-q"]) == 0
    assert main(["report", world / "explained", "-q"]) == 0
    again = ["--explanation", world / "explained", "--report", "--against", world / "run"]
    assert main(world.evaluate(*again)) == 0
    told = capsys.readouterr()
    assert "reconstruction" in told.out
    assert f"evaluation: {world / 'new.json'}" in told.out
    evaluation = json.loads((world.root / "new.json").read_text())
    assert evaluation == json.loads((world.root / "explained" / "evaluation.json").read_text())
    assert (evaluation["searched"], evaluation["measured"]) == (6, 8)
    measures = {row["name"]: row["value"] for row in evaluation["measures"]}
    assert 0 <= measures["reconstruction.agreement"] <= 1
    assert "Does it hold on other images?" in (world.root / "explained" / "report.html").read_text()
    assert main(world.evaluate("--overwrite", "--without", "own,observer,attack,stability,significance")) == 0
    assert json.loads((world.root / "new.json").read_text())["searched"] == 4


def test_a_bias_is_repaired_and_the_next_version_is_watched(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    easy = ["--method", "attfind", "--threshold", "0.001", "--other-classifier", "-q"]
    assert main(world.find(*easy, data="even.zip", judge="where", out="found")) == 0
    assert len(read_explanation(world / "found").ranking) > 0
    repair = ["repair", world / "found", "--data", world / "even.zip", "--classifier", "judges:where"]
    repair += ["--other-classifier", "-q"]
    assert main([*repair, "--attribute", "1", "--realism", "null", "--out", world / "repaired.zip"]) == 0
    assert "60 training and 60 test images as they are, 60 turned both ways" in capsys.readouterr().out
    assert len(stylex.open_images(world / "repaired.zip").split("train")) == 180
    assert (world.root / "repaired.png").read_bytes().startswith(b"\x89PNG")
    learn = ["classifier", "--epochs", "1", "-q"]
    assert main([*learn, "--data", world / "even.zip", "--out", world / "old"]) == 0
    further = ["--from", world / "old", "--groups", world / "repaired.groups.csv", "--out", world / "next"]
    assert main([*learn, "--data", world / "repaired.zip", *further]) == 0
    audit = ["audit", "judges:where", "judges:two", "--data", world / "even.zip", "--run", world / "run", "-q"]
    known = [*audit, "--explanation", world / "found", "--out", world / "audit", "--overwrite"]
    assert main([*known, "--fail-if", "any attribute > 1000"]) == 0
    assert main([*known, "--fail-if", "any attribute >= 0"]) == 3
    assert "FAILED: any attribute >= 0" in capsys.readouterr().out
    told = json.loads((world.root / "audit" / "audit.json").read_text())
    assert told["failed"] is True
    assert {file.name for file in (world.root / "audit").iterdir()} == {"audit.json", "audit.md", "junit.xml"}
    for wrong, said in (
        ([*repair, "--attribute", "99", "--out", world / "no.zip"], "has no attribute '99'"),
        ([*repair, "--attribute", "1", "--out", world / "repaired.zip"], "exists already"),
        ([*repair, "--attribute", "1", "--out", world / "no.zip", "--extractor", "classifier"], "no judge"),
        ([*known, "--fail-if", "attribute 99 > 1"], "no attribute 99"),
        (["audit", "judges:where", "judges:two", "--data", world / "even.zip"], "none is named to draw with"),
        ([*learn, "--data", world / "even.zip", "--out", world / "no", "--from", world / "run"], "no classifier in"),
    ):
        assert main(wrong) == 2
        assert said in capsys.readouterr().err
    assert not (world.root / "no.zip").exists()


def test_what_a_table_marks_is_turned_and_watched_without_an_explanation(
    world: World, capsys: pytest.CaptureFixture[str]
) -> None:
    training = stylex.open_images(world / "even.zip").split("train")
    bright = training.batch(range(len(training))).mean(dim=(1, 2, 3)).numpy()
    middle = np.array([np.median(bright[training.labels == label]) for label in training.labels])
    sides = ["dim" if dim else "plain" for dim in (bright < middle).tolist()]
    lines = [f"{name},{side},{i}" for i, (name, side) in enumerate(zip(training.names, sides, strict=True))]
    (world.root / "marks.csv").write_text("\n".join(["image,side,number", *lines]))
    marks = ["--descriptors", world / "marks.csv", "--descriptor", "side", "--data", world / "even.zip", "-q"]
    own = ["--classifier", "judges:two"]
    repair = ["repair", world / "run", *marks, *own, "--realism", "null"]
    assert main([*repair, "--images", "5", "--out", world / "marked.zip"]) == 0
    assert "side=plain: 60 training" in capsys.readouterr().out
    assert len(stylex.open_images(world / "marked.zip").split("train")) == 70
    audit = ["audit", "judges:two", "judges:where", *marks, "--run", world / "run"]
    assert main([*audit, "--fail-if", "attribute 1 > 1000"]) == 0
    assert "1. side=plain" in capsys.readouterr().out
    plain = ["repair", world / "run", *own, "--data", world / "even.zip", "--out", world / "none.zip"]
    for wrong, said in (
        (plain, "give --attribute or --descriptors, one of them"),
        ([*repair, "--attribute", "1", "--out", world / "none.zip"], "one of them"),
        ([*plain, "--attribute", "1", "--descriptor", "side"], "give --descriptors too"),
        ([*plain, "--descriptors", world / "marks.csv"], "no descriptor was chosen; the table has side=plain, number"),
        ([*plain, "--descriptors", world / "marks.csv", "--descriptor", "size"], "there is no descriptor 'size'"),
        ([*audit, "--explanation", world / "run"], "one of them"),
        ([*audit, "--fail-if", "attribute 2 > 1"], "no attribute 2"),
    ):
        assert main(wrong) == 2
        assert said in capsys.readouterr().err
    assert not (world.root / "none.zip").exists()


def test_directions_in_a_generator_that_is_given_the_answer_are_said_to_miss_causes(
    world: World, capsys: pytest.CaptureFixture[str]
) -> None:
    for method, said in (("directions", True), ("attfind", False)):
        main(world.find("--method", method, data="even.zip", out=method))
        assert ("--method attfind is the published search" in capsys.readouterr().err) == said


def test_an_evaluation_is_repeated_from_its_own_record(world: World) -> None:
    assert main(world.find("--method", "attfind", "--shift-range", "0.5", "--target", "large", "-q", out="made")) == 0
    fast = "realism,own,attack,significance,sparsity,observer,stability,lost,preservation"
    of_its_own = ["--method", "attfind", "--target", "large", "--attributes", "2", "--without", fast, "--measured", "8"]
    given = ["--explanation", world / "made", "--without", fast, "--measured", "8"]
    for arguments in (of_its_own, given):
        assert main([*world.evaluate(*arguments, "--overwrite"), "-q"]) == 0
        made = json.loads((world.root / "new.json").read_text())
        assert (made["settings"]["method"], made["settings"]["target"]) == ("attfind", "large")
        assert made["settings"]["shift_range"] == (0.5 if arguments is given else 1)
        parameters = inspect.signature(stylex.evaluate).parameters
        recorded = {key: value for key, value in made["settings"].items() if key in parameters}
        unsaid = {"out", "report", "device", "overwrite", "listener", "max_calls"}  # they decide no number
        assert set(parameters) - set(recorded) == unsaid
        again = stylex.evaluate(**recorded, out=world.root / "again.json", overwrite=True)
        same, before = (
            [row for row in measures if "seconds" not in row["name"]]
            for measures in (json.loads((world.root / "again.json").read_text())["measures"], made["measures"])
        )
        assert same == before
        assert again.settings == made["settings"]


def test_images_that_were_searched_are_known_by_name_in_an_archive_prepared_anew(world: World) -> None:
    assert main([*world.find("--overwrite", data="even.zip", out="explained"), "-q"]) == 0
    folder = world.root / "explained" / "manifest.json"
    manifest = json.loads(folder.read_text())
    manifest["settings"]["data_fingerprint"] = "of an archive with one photograph less"
    folder.write_text(json.dumps(manifest))
    assert main([*world.evaluate("--explanation", world / "explained", "--without", "own,attack,observer"), "-q"]) == 0
    assert json.loads((world.root / "new.json").read_text())["searched"] == 6


def test_effects_of_one_classifier_are_not_those_of_another(world: World) -> None:
    """The same run, asked with a classifier and then with its answers swapped, is measured anew."""
    # Networks that do not see the classifier's answer: the images' style vectors are the same with both.
    unconditional = ["--model.class-input", "none", "--loss.noise-kl", "false", "-q"]
    assert main(world.train(*unconditional, out="plain")) == 0
    shutil.copytree(world.root / "plain", world.root / "fresh")
    single = ["--method", "attfind", "--target", "large", "-q"]
    assert main(world.find(*single, out="first", run="plain")) == 0
    assert list((world.root / "plain" / "effects").iterdir()), "nothing was kept that could be mistaken"
    assert main(world.find(*single, "--other-classifier", out="second", judge="swapped", run="plain")) == 0
    assert main(world.find(*single, "--other-classifier", out="anew", judge="swapped", run="fresh")) == 0
    first, second, anew = (read_explanation(world.root / name) for name in ("first", "second", "anew"))
    assert second.ranking == anew.ranking
    assert second.figures == pytest.approx(anew.figures, nan_ok=True)
    assert second.ranking != first.ranking


@pytest.mark.parametrize("verb", ["find", "explain"])
def test_an_explanation_is_repeated_from_its_own_record(world: World, verb: str) -> None:
    rules = {"labels": ["small", "large"], "input_size": 16, "channels": 1}
    (world.root / "spec.json").write_text(json.dumps(rules))
    chosen = ["--method", "attfind", "--target", "large", "--attributes", "3", "--shift-range", "0.5", "-q"]
    chosen += ["--classifier-spec", world / "spec.json"]
    more = ["--selection", "together", "--images", "5"] if verb == "find" else ["--fit", "pad"]
    arguments = getattr(world, verb)(*chosen, *more, judge="plain", out="made")
    assert main(arguments) == 0
    made = read_explanation(world.root / "made")
    again = getattr(stylex, verb)
    recorded = {key: made.settings[key] for key in inspect.signature(again).parameters if key in made.settings}
    assert (recorded["classifier"], recorded["classifier_spec"]) == ("judges:plain", world / "spec.json")
    assert verb == "find" or recorded["fit"] == "pad"
    unsaid = set(inspect.signature(again).parameters) - set(recorded)
    assert unsaid - {"descriptors"} == {"out", "device", "overwrite", "listener", "max_calls"}  # none were given
    shutil.rmtree(world.root / "run" / "effects", ignore_errors=True)
    again(**recorded, out=world.root / "again")
    assert listing(world.root / "again") == listing(world.root / "made")


# What does not.

Harm = Callable[[World], None]


def listing(root: Path) -> dict[str, bytes | None]:
    """Everything below a folder, with its content; but measured effects, which the next search goes on with."""
    return {
        str(path.relative_to(root)): path.read_bytes() if path.is_file() else None
        for path in root.rglob("*")
        if not {"__pycache__", "effects"} & set(path.parts)
    }


def write(name: str, content: bytes | str) -> Harm:
    def harm(world: World) -> None:
        path = world.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content.encode() if isinstance(content, str) else content)

    return harm


def change(name: str, how: Callable[[bytes], bytes]) -> Harm:
    def harm(world: World) -> None:
        path = world.root / name
        path.write_bytes(how(path.read_bytes()))

    return harm


def remove(name: str) -> Harm:
    def harm(world: World) -> None:
        path = world.root / name
        shutil.rmtree(path) if path.is_dir() else path.unlink()

    return harm


def with_json(**values: Any) -> Callable[[bytes], bytes]:
    return lambda content: json.dumps(json.loads(content) | values).encode()


def nan_weight(content: bytes) -> bytes:
    from safetensors.torch import load, save

    weights = load(content)
    weights["generator.synthesis.const"][0] = float("nan")
    return save(weights)


def pickled(world: World) -> None:
    torch.save(torch.nn.Linear(2, 2), world.root / "judge.pt")


def without(*names: str) -> Harm:
    """An archive ``less.zip``: the one of two classes without some of its own files."""

    def harm(world: World) -> None:
        with zipfile.ZipFile(world / "two.zip") as ours, zipfile.ZipFile(world / "less.zip", "w") as less:
            for name in ours.namelist():
                if name not in names:
                    less.writestr(name, ours.read(name))

    return harm


def nothing(world: World) -> None:
    pass


def explained(world: World) -> None:
    shutil.copytree(Path(__file__).parent / "data_files" / "explanation", world.root / "e")


SNAPSHOT = "run/snapshots/000000032"
WEIGHTS = f"{SNAPSHOT}/weights.safetensors"
PLAIN_SPEC = {"labels": ["small", "large"], "input_size": 16, "channels": 1}

BAD: dict[str, tuple[Harm, Callable[[World], list[str]], str]] = {
    # options
    "no such preset": (nothing, lambda w: w.train("--preset", "huge"), "no preset 'huge'"),
    "no such option": (nothing, lambda w: w.train("--loss.nonsense", "1"), "unrecognized arguments"),
    "endless training": (nothing, lambda w: w.train("--kimg", "inf"), "--kimg: expected a number, got 'inf'"),
    "seed below zero": (nothing, lambda w: w.train("--seed", "-1"), "seed is -1"),
    "widths of another resolution": (nothing, lambda w: w.train("--model.generator-widths", "[8,8]"), "2 widths"),
    "no such device": (nothing, lambda w: w.train("--device", "gpu"), "no device 'gpu'"),
    "a device of another machine": (nothing, lambda w: w.train("--device", "cuda:77"), "is not on this machine"),
    "target of very many digits": (nothing, lambda w: w.find("--target", "9" * 5000), "has no label '999"),
    **{
        f"device {name}": (
            nothing,
            lambda w, name=name: w.train("--device", name),
            f"device {name} cannot be used on this machine",
        )
        for name in ("mps", "xpu", "hpu", "vulkan", "meta", "xla", "privateuseone")
    },
    "lpips is not installed": (nothing, lambda w: w.train("--loss.perceptual-net", "lpips"), "pip install lpips"),
    "config file that is none": (write("c", "kimg: ["), lambda w: w.train("--config", w / "c"), "not readable"),
    "config file with other words": (write("c", "bogus: 1"), lambda w: w.train("--config", w / "c"), "'bogus'"),
    # data
    "no archive": (nothing, lambda w: w.train(data="none.zip"), "there is no archive"),
    "a folder for an archive": (nothing, lambda w: w.train(data="several"), "is a folder"),
    "archive cut short": (change("two.zip", lambda b: b[: len(b) // 2]), lambda w: w.train(), "not a readable zip"),
    "archive with a damaged picture": (
        change("two.zip", lambda b: b.replace(b"IDAT", b"IDOT", 1)), lambda w: w.train(), "is damaged",
    ),
    "archive of something else": (write("two.zip", "PK"), lambda w: w.train(), "not a readable zip"),
    "images of another size": (nothing, lambda w: [*w.train(), "--preset", "small-32"], "holds images of 16 px"),
    "nothing to prepare": (nothing, lambda w: ["prepare", w / "void", "--out", w / "new.zip"], "no folder or zip"),
    "nothing usable to prepare": (
        write("junk/a/1.png", "no picture"), lambda w: ["prepare", w / "junk", "--out", w / "new.zip"], "",
    ),
    "archive that is there": (nothing, lambda w: ["prepare", w / "several", "--out", w / "two.zip"], "exists already"),
    "archive in the place of another zip": (
        lambda w: zipfile.ZipFile(w.root / "mine.zip", "w").close(),
        lambda w: ["prepare", w / "several", "--out", w / "mine.zip", "--overwrite"], "holds something else",
    ),
    "archive in the place of a pipe": (
        lambda w: os.mkfifo(w.root / "mine.zip"),
        lambda w: ["prepare", w / "several", "--out", w / "mine.zip", "--overwrite"], "holds something else",
    ),
    "archive in the place of a device": (
        lambda w: (w.root / "mine.zip").symlink_to("/dev/zero"),
        lambda w: ["prepare", w / "several", "--out", w / "mine.zip", "--overwrite"], "holds something else",
    ),
    "mapping of very many layers": (
        nothing, lambda w: w.train("--model.mapping-layers", "65536", "--dry-run"), "must lie in 1..64",
    ),
    "no such label column": (
        nothing, lambda w: ["prepare", w / "several", "--out", w / "n.zip", "--label-column", "hue"], "no label column",
    ),
    # the house classifier
    "classifier that is there": (
        write("c/classifier.json", '{"format": "stylex-small-classifier"}'),
        lambda w: ["classifier", "--data", w / "two.zip", "--out", w / "c"], "exists already: give --overwrite",
    ),
    "classifier in the place of something else": (
        write("c/mine.txt", "x"),
        lambda w: ["classifier", "--data", w / "two.zip", "--out", w / "c", "--overwrite"], "holds something else",
    ),
    "classifier of no labels": (
        without("stylex.json", "dataset.json"),
        lambda w: ["classifier", "--data", w / "less.zip", "--out", w / "c"], "has no labels",
    ),
    # classifiers
    "no such module": (nothing, lambda w: w.train("--classifier", "judge_of_none:two"), "no module"),
    "no such function": (nothing, lambda w: w.train(judge="ten"), "has no 'ten'"),
    "function that fails": (nothing, lambda w: w.train(judge="broken"), "weights.bin is not there"),
    "function of something else": (nothing, lambda w: w.train(judge="a_number"), "gave int"),
    "no spec": (nothing, lambda w: w.train(judge="no_spec"), "comes without a spec"),
    "spec that is no JSON": (
        write("s.json", "{"), lambda w: w.train("--classifier-spec", w / "s.json"), "cannot be read",
    ),
    "spec with an unknown key": (
        write("s.json", json.dumps(PLAIN_SPEC | {"colour": 1})),
        lambda w: w.train("--classifier-spec", w / "s.json"), "unknown key colour",
    ),
    "spec of another number of labels": (nothing, lambda w: w.train(judge="too_few"), "expects [1, 3]"),
    "labels half known": (nothing, lambda w: w.train(judge="half_known"), "does not know"),
    "other channels": (nothing, lambda w: w.train(judge="colour"), "takes 3 channel(s), the images have 1"),
    "answers NaN": (nothing, lambda w: w.train(judge="nan"), "not finite"),
    "batch fixed at one": (nothing, lambda w: w.train(judge="one_by_one"), "make its batch dimension dynamic"),
    "one answer for all": (nothing, lambda w: w.train(judge="one_answer"), "make its batch dimension dynamic"),
    "no gradient": (nothing, lambda w: w.train(judge="cut_off"), "gives no gradient"),
    "answers at random": (nothing, lambda w: w.train(judge="random"), "differently each time"),
    "answers in words": (nothing, lambda w: w.train(judge="words"), "answered with str"),
    "probabilities called logits": (nothing, lambda w: w.train(judge="percent"), "set output to probabilities"),
    "sigmoid called single-logit": (nothing, lambda w: w.train(judge="one_sigmoid"), "set output to probabilities"),
    "sigmoids called logits": (
        nothing, lambda w: w.train(judge="one_each", data="several.zip"), "set output to multi-label-probabilities",
    ),
    "pickled module": (pickled, lambda w: w.train("--classifier", w / "judge.pt"), "without a spec"),
    "pickled module with a spec": (
        lambda w: (pickled(w), write("judge.pt.json", json.dumps(PLAIN_SPEC))(w))[0],
        lambda w: w.train("--classifier", w / "judge.pt"), "not a TorchScript program",
    ),
    "weights alone": (write("j.pth", "x"), lambda w: w.train("--classifier", w / "j.pth"), "no program"),
    "program cut short": (
        lambda w: (write("j.pt2", "PK12")(w), write("j.pt2.json", json.dumps(PLAIN_SPEC))(w))[0],
        lambda w: w.train("--classifier", w / "j.pt2"), "not a torch.export program",
    ),
    # runs
    "run of other options": (nothing, lambda w: w.train("--seed", "5", out="run"), "seed was 0, now 5"),
    "run of other data": (nothing, lambda w: w.train(data="several.zip", out="run"), "data was"),
    "state cut short": (change("run/state.pt", lambda b: b[:-3000]), lambda w: w.train(out="run"), "is damaged"),
    "state of something else": (write("run/state.pt", "text"), lambda w: w.train(out="run"), "is damaged"),
    "state pickled": (
        lambda w: torch.save(torch.nn.Linear(2, 2), w.root / "run" / "state.pt"),
        lambda w: w.train(out="run"), "is damaged",
    ),
    "state gone": (
        remove("run/state.pt"), lambda w: w.train("--seed", "5", out="run"), "snapshots of another training",
    ),
    "run in the place of a file": (write("new", "text"), lambda w: w.train(), "cannot write"),
    "run that is not there": (nothing, lambda w: w.find(run="void"), "does not exist"),
    "run without a snapshot": (remove("run/snapshots"), lambda w: w.find(), "holds no snapshot"),
    "snapshot without weights": (remove(WEIGHTS), lambda w: w.find(), "is missing"),
    "snapshot cut short": (change(WEIGHTS, lambda b: b[:-9]), lambda w: w.find(), "is damaged"),
    "snapshot of no numbers": (change(WEIGHTS, nan_weight), lambda w: w.find(), "not finite"),
    "snapshot without words": (write(f"{SNAPSHOT}/snapshot.json", "{"), lambda w: w.find(), "cannot be read"),
    "snapshot of something else": (write(f"{SNAPSHOT}/snapshot.json", "[]"), lambda w: w.find(), "does not describe"),
    "snapshot of another version": (
        change(f"{SNAPSHOT}/snapshot.json", with_json(version=9)), lambda w: w.find(), "has version 9",
    ),
    "snapshot of another shape": (
        change(f"{SNAPSHOT}/snapshot.json", with_json(encoder={"resolution": 16})), lambda w: w.find(), "not a whole",
    ),
    "run that names code": (
        nothing,
        lambda w: ["find", w / "run", "--data", w / "two.zip", "--out", w / "new"],
        "give it again, --classifier judges:two, if you trust it",
    ),
    "run whose classifier is elsewhere": (
        change(f"{SNAPSHOT}/snapshot.json", with_json(classifier_reference="models/judge.pt")),
        lambda w: ["find", w / "run", "--data", w / "two.zip", "--out", w / "new"],
        "is not there: say where it is now, with --classifier",
    ),
    # search
    "no such target": (nothing, lambda w: w.find("--target", "boot"), "no label 'boot'"),
    "no such source": (nothing, lambda w: w.find("--target", "large", "--source", "7"), "no label '7'"),
    "no images to search on": (nothing, lambda w: w.find("--images", "0"), "give at least one"),
    "search in colour": (nothing, lambda w: w.find(data="colour.zip"), "3 channel(s)"),
    "another classifier": (nothing, lambda w: w.find("--classifier", "judges:three"), ""),
    "explanation that is there": (
        write("new/manifest.json", '{"schema": "stylex-explanation"}'),
        lambda w: w.find(),
        "already holds an explanation",
    ),
    "something else that is there": (write("new/mine.txt", "x"), lambda w: w.find(), "holds something else"),
    "folder that is no explanation": (
        write("new/mine.txt", "x"), lambda w: w.find("--overwrite"), "holds something else",
    ),
    # one image
    "no image": (nothing, lambda w: w.explain(image="none.png"), "none.png"),
    "image that is none": (write("photo.png", "text"), lambda w: w.explain(), "photo.png"),
    "image cut short": (change("photo.png", lambda b: b[:100]), lambda w: w.explain(), "photo.png"),
    "empty image": (write("photo.png", b""), lambda w: w.explain(), "photo.png"),
    "a pipe for an image": (
        lambda w: ((w.root / "photo.png").unlink(), os.mkfifo(w.root / "photo.png"))[0],
        lambda w: w.explain(), "is a pipe or a device, not a picture",
    ),
    "no such image in the archive": (nothing, lambda w: w.explain("--data", w / "two.zip"), "has no image"),
    # evaluation
    "no such part": (nothing, lambda w: w.evaluate("--without", "own,pictures"), "no part 'pictures'"),
    "no such extractor": (nothing, lambda w: w.evaluate("--extractor", "inception"), "no extractor 'inception'"),
    "evaluation of a run without a snapshot": (nothing, lambda w: w.evaluate(run="photo.png"), "holds no snapshot"),
    "evaluation of no explanation": (nothing, lambda w: w.evaluate("--explanation", w / "run"), "no manifest.json"),
    "report of no explanation": (nothing, lambda w: w.evaluate("--report"), "--explanation"),
    "too few images to measure": (nothing, lambda w: w.evaluate("--measured", "3"), "measured is 3"),
    "evaluation in the place of something else": (
        write("new.json", "{}"), lambda w: w.evaluate("--overwrite"), "holds something else",
    ),
    "evaluation in the place of a folder": (
        write("new.json/mine.txt", "x"), lambda w: w.evaluate(), "is not a file",
    ),
    # report
    "no explanation": (nothing, lambda w: ["report", w / "void"], "not a folder"),
    "report in the place of something else": (
        explained, lambda w: ["report", w / "e", "--out", w / "photo.png"], "is no name for a report",
    ),
    "report in the place of a folder": (explained, lambda w: ["report", w / "e", "--out", w / "e"], "is a folder"),
    "report of a run": (nothing, lambda w: ["report", w / "run"], "not an explanation folder"),
    "manifest of something else": (write("e/manifest.json", "{}"), lambda w: ["report", w / "e"], "not the manifest"),
    "manifest cut short": (write("e/manifest.json", "{"), lambda w: ["report", w / "e"], "cannot be read"),
}  # fmt: skip


@pytest.mark.parametrize(("judge", "what"), [("nearly", "weights"), ("swapped", "answers")])
def test_another_classifier_is_refused_unless_it_is_meant(
    world: World, capsys: pytest.CaptureFixture[str], judge: str, what: str
) -> None:
    said = f"judges:{judge} is not the classifier that {world / 'run'} was trained with: its {what} are others"
    for command in (world.find(judge=judge), world.explain(judge=judge), world.evaluate(judge=judge)):
        assert said in refusal(world, command, capsys)
    with pytest.raises(StylexError, match="is not the classifier that"):
        stylex.open_studio(world / "run", classifier=f"judges:{judge}")

    remark = "This is not the classifier that the networks were trained with"
    allowed = ["--other-classifier", "-q"]
    for command, out in ((world.find(*allowed, judge=judge, data="even.zip", out="found"), "found"),
                         (world.explain(*allowed, judge=judge, out="one"), "one")):  # fmt: skip
        assert main(command) == 0
        assert remark in capsys.readouterr().out
        explanation = read_explanation(world / out)
        assert explanation.settings["other_classifier"] is True
        assert remark in explanation._repr_html_()
        assert main(["report", world / out]) == 0
        assert remark in (world.root / out / "report.html").read_text()
    capsys.readouterr()
    assert main(world.evaluate(*allowed, "--explanation", world / "found", "--report", judge=judge)) == 0
    assert remark in capsys.readouterr().out.replace("\n", " ")
    evaluation = stylex.read_evaluation(world / "new.json")
    assert remark in evaluation.notes[0]
    assert evaluation.settings["other_classifier"] is True
    given = {"classifier": f"judges:{judge}", "other_classifier": True}
    studio = stylex.open_studio(world / "run", **given)
    assert remark in (studio.remark or "")


def test_an_explanation_is_shown_with_the_classifier_that_it_explains(
    world: World, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(world.find("--other-classifier", "-q", judge="nearly", data="even.zip", out="found")) == 0
    capsys.readouterr()
    found = ["--explanation", world / "found"]
    said = (
        "found explains another classifier than the one given, whose weights are others; give --classifier judges:nea"
    )
    assert said in refusal(world, world.evaluate(*found), capsys)
    assert main(world.evaluate(*found, "--other-classifier", "-q")) == 0
    assert "were found with another classifier than the one that answers here" in capsys.readouterr().out
    studio = stylex.open_studio(
        world / "run", explanation=world / "found", classifier="judges:two", other_classifier=True
    )
    assert studio.remark == "The attributes were found with another classifier than the one that answers here."


def test_what_a_person_typed_survives_a_search_anew(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(world.explain("-q", out="one")) == 0
    save_labels(world / "one", {0: "Heel"})
    given = {"classifier": "judges:two", "out": world / "one", "overwrite": True}
    assert stylex.explain(world / "run", world / "photo.png", **given).ranking[0].label == "Heel"
    assert read_explanation(world / "one").ranking[0].label == "Heel"
    assert main(world.train("-q", "--seed", "3", out="other")) == 0
    capsys.readouterr()
    assert main(world.explain("--overwrite", run="other", out="one")) == 0
    assert f"not found again: 'Heel'; kept in {world / 'one'}/names.json" in capsys.readouterr().err
    assert stylex.explain(world / "run", world / "photo.png", **given).ranking[0].label == "Heel"


def test_a_classifier_without_weights_is_known_by_its_answers(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(world.explain(judge="wrapped", out="one")) == 0
    assert "trained with" not in capsys.readouterr().err
    assert read_explanation(world / "one").settings["other_classifier"] is False
    # A snapshot of before keeps no answers.
    change(f"{SNAPSHOT}/snapshot.json", with_json(classifier_answers=None))(world)
    assert main(world.explain(judge="wrapped", out="two")) == 0
    assert "Whether this is the classifier that the networks were trained with is not known" in capsys.readouterr().err
    assert read_explanation(world / "two").settings["other_classifier"] is None
    assert main(["report", world / "two"]) == 0
    assert "is not known: it shows no weights" in (world.root / "two" / "report.html").read_text()


def refusal(world: World, arguments: list[str], capsys: pytest.CaptureFixture[str]) -> str:
    """The one line that a command is refused with."""
    before = listing(world.root)
    assert main([*arguments, "-q"]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert listing(world.root) == before
    return error_in(err)


def error_in(err: str) -> str:
    """The one line of an error, behind what was warned of before."""
    *before, last = err.splitlines()
    assert all(line.startswith("warning: ") for line in before), err
    assert last.startswith("stylex: error: ")
    return last


@pytest.mark.parametrize(("harm", "arguments", "said"), BAD.values(), ids=BAD.keys())
def test_what_cannot_be_used_is_told_in_one_line_and_leaves_nothing(
    world: World, capsys: pytest.CaptureFixture[str], harm: Harm, arguments: Callable[[World], list[str]], said: str
) -> None:
    harm(world)
    assert said in refusal(world, arguments(world), capsys)


def test_a_classifier_that_turns_nan_leaves_the_last_good_state(
    world: World, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(world.train("-q", judge="tires")) == 2
    said = error_in(capsys.readouterr().err)
    assert "kl" in said
    assert "no longer finite near image 32; the last good state is kept" in said
    assert [path.name for path in (world.root / "new" / "snapshots").iterdir()] == ["000000016"]
    assert torch.load(world.root / "new" / "state.pt", weights_only=True)["nimg"] == 16


WRITING: dict[str, Callable[[World], list[str]]] = {
    "prepare": lambda w: ["prepare", w / "several", "--out", w / "new.zip"],
    "classifier": lambda w: ["classifier", "--data", w / "two.zip", "--out", w / "new", "--epochs", "1"],
    "train": lambda w: w.train(),
    "find": lambda w: w.find(),
    "explain": lambda w: w.explain(),
    "evaluate": lambda w: w.evaluate("--without", "realism,own,observer,attack,significance,sparsity"),
    "report": lambda w: ["report", w / "explained"],
}


@contextmanager
def files_no_larger_than(size: int) -> Iterator[None]:
    """The system refuses to write more into a file, as it does on a full disk."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


@pytest.mark.parametrize("verb", WRITING)
@pytest.mark.parametrize("how", ["write", "replace", "fsync"])
def test_a_full_disk_is_told_and_nothing_half_written_stays(
    world: World, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, verb: str, how: str
) -> None:
    if verb == "report":
        assert main(world.explain("-q", out="explained")) == 0
        capsys.readouterr()

    def full(*given: Any, **options: Any) -> None:
        raise OSError(28, "No space left on device")

    before = listing(world.root)
    if how == "write":
        with files_no_larger_than(500):
            assert main([*WRITING[verb](world), "-q"]) == 2
    else:
        with monkeypatch.context() as patch:
            patch.setattr(os, how, full)
            if how == "replace":
                patch.setattr(os, "rename", full)
            assert main([*WRITING[verb](world), "-q"]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert error_in(err).startswith("stylex: error: cannot write")
    left = listing(world.root)
    if verb == "train":  # a run's folder appears at once, and its reports grow line by line
        assert all(name in before or name in ("new", "new/snapshots", "new/stats.jsonl") for name in left)
    else:
        assert left == before


@pytest.mark.parametrize("verb", WRITING)
def test_a_place_that_cannot_be_written_is_told(world: World, capsys: pytest.CaptureFixture[str], verb: str) -> None:
    if verb == "report":
        assert main(world.explain("-q", out="explained")) == 0
        capsys.readouterr()
    arguments = [*WRITING[verb](world), "--out", "/proc/stylex/new.zip"]  # nobody may make a folder there
    assert "cannot write" in refusal(world, arguments, capsys)


@pytest.mark.parametrize("verb", WRITING)
def test_of_two_processes_that_write_into_one_place_the_second_is_told(
    world: World, capsys: pytest.CaptureFixture[str], verb: str
) -> None:
    if verb in ("report", "evaluate"):
        assert main(world.find("-q", data="even.zip", out="explained")) == 0
        capsys.readouterr()
    arguments = WRITING[verb](world)
    place = arguments[1] if verb == "report" else arguments[arguments.index("--out") + 1]
    with written_elsewhere(place) as process:
        assert f"{place} is being written by `stylex find` (process {process}, since 2" in refusal(
            world, arguments, capsys
        )
    if verb == "evaluate":
        assert main([*arguments, "-q"]) == 0  # the other was killed, and left its lock
        capsys.readouterr()
        arguments += ["--explanation", world / "explained", "--overwrite"]
        with written_elsewhere(world / "explained"):
            assert "explained is being written by" in refusal(world, arguments, capsys)
    assert main([*arguments, "-q"]) == 0
    assert list(world.root.rglob(".*")) == []


def test_two_trainings_that_begin_together_are_one(world: World) -> None:
    def train() -> None:
        os._exit(main(world.train("-q")))

    with in_another_process(train) as one, in_another_process(train) as other:
        codes = sorted(os.waitstatus_to_exitcode(os.waitpid(process, 0)[1]) for process in (one, other))
    assert codes == [0, 2]
    rows = [json.loads(line)["nimg"] for line in (world.root / "new" / "stats.jsonl").read_text().splitlines()]
    assert rows == [16, 16, 32, 32]  # a report of the training and one of held-out images, each once
    assert main(world.train("-q", out="alone")) == 0
    ours, alone = (torch.load(world.root / name / "state.pt", weights_only=True) for name in ("new", "alone"))
    assert all(torch.equal(ours["parts"]["encoder"][key], value) for key, value in alone["parts"]["encoder"].items())


@contextmanager
def in_another_process(work: Callable[[], object]) -> Iterator[int]:
    """Work in a copy of this process, which is killed in the end."""
    process = os.fork()
    if process == 0:
        try:
            work()
        finally:
            os._exit(9)
    try:
        yield process
    finally:
        with suppress(ProcessLookupError, ChildProcessError):
            os.kill(process, 9)
            os.waitpid(process, 0)


@contextmanager
def written_elsewhere(place: str) -> Iterator[int]:
    """Another process writes there."""
    came, begun = os.pipe()

    def write() -> None:
        with sole_writer(Path(place), verb="find"):
            os.write(begun, b".")
            time.sleep(60)

    with in_another_process(write) as process:
        os.read(came, 1)
        yield process
    os.close(came)
    os.close(begun)


@pytest.mark.parametrize("verb", ["classifier", "find", "explain", "evaluate"])
def test_a_place_that_cannot_be_written_is_told_before_anything_is_read(world: World, verb: str) -> None:
    heard: list[object] = []
    command = parse([*WRITING[verb](world), "--out", "/proc/stylex/new"])
    with pytest.raises(StylexError, match="cannot write"):
        command.run(heard.append)
    shutil.rmtree(world.root)
    with pytest.raises(StylexError, match="cannot write"):
        command.run(heard.append)
    assert heard == []


def test_labels_without_names_are_enough_for_a_classifier(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    without("stylex.json")(world)
    assert main(["classifier", "--data", world / "less.zip", "--out", world / "c", "--epochs", "1", "-q"]) == 0
    assert json.loads((world.root / "c" / "classifier.json").read_text())["spec"]["labels"] == ["label 0", "label 1"]


def test_a_comparison_needs_images_and_known_methods(tmp_path: Path) -> None:
    with pytest.raises(StylexError, match="a comparison needs images; give an archive that prepare wrote with data"):
        stylex.compare(tmp_path, out=tmp_path / "comparison")
    with pytest.raises(StylexError, match="methods names 'magic' and is none; expected some of directions, attfind"):
        stylex.compare("demo", out=tmp_path / "comparison", methods="sefa, magic")
    with pytest.raises(StylexError, match="measured is 2; expected 8 or more"):
        stylex.compare("demo", out=tmp_path / "comparison", measured=2)
    assert list(tmp_path.iterdir()) == []
