"""Command lines: what they mean, and what is said of those that mean nothing."""

from __future__ import annotations

import functools
import inspect
import json
import os
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

import stylex
from stylex import api
from stylex.cli.parser import build_parser, parse, verb_parsers
from stylex.cli.verbs import VERBS, function_of
from stylex.core.errors import ConfigError
from stylex.core.progress import silent
from stylex.training.config import PRESETS

FIND = ["find", "runs/a", "--data", "a.zip", "--out", "e"]
TRAIN = ["train", "--data", "a.zip", "--classifier", "m:f", "--out", "runs/a"]
LINES = {
    "prepare": ["prepare", "photos", "--out", "a.zip"],
    "classifier": ["classifier", "--data", "a.zip", "--out", "c"],
    "train": TRAIN,
    "runs": ["runs"],
    "watch": ["watch", "runs/a"],
    "push": ["push", "runs/a", "me/shoes"],
    "import": ["import", "stylegan2", "g.pkl", "--data", "a.zip", "--classifier", "m:f", "--out", "runs/a"],
    "export": ["export", "runs/a", "--to", "onnx", "--out", "g.onnx"],
    "adapt": ["adapt", "runs/a", "--data", "b.zip", "--out", "runs/b"],
    "guide": ["guide", "runs/a", "--data", "b.zip", "--out", "runs/b"],
    "mix": ["mix", "runs/a", "--of", "runs/b:0.5", "--data", "b.zip", "--out", "runs/c"],
    "morph": ["morph", "runs/a", "runs/b", "--out", "m.png"],
    "find": FIND,
    "classes": ["classes", "runs/a", "--data", "a.zip", "--out", "e"],
    "explain": ["explain", "runs/a", "photo.jpg", "--out", "e"],
    "attack": ["attack", "runs/a", "--data", "a.zip", "--out", "k"],
    "evaluate": ["evaluate", "runs/a", "--data", "a.zip"],
    "compare": ["compare", "demo", "--out", "c"],
    "repair": ["repair", "e", "--data", "a.zip", "--out", "b.zip"],
    "audit": ["audit", "runs/a", "runs/b", "--data", "a.zip"],
    "report": ["report", "e"],
    "explore": ["explore", "runs/a"],
    "study new": ["study", "new", "e", "f", "--out", "s"],
    "study serve": ["study", "serve", "s"],
    "study analyse": ["study", "analyse", "s"],
    "study demo": ["study", "demo", "--out", "d"],
    "demo": ["demo", "--out", "d"],
}


@pytest.mark.parametrize("verb", VERBS)
def test_a_bare_command_calls_the_function_with_its_own_defaults(verb: str) -> None:
    command = parse(LINES[verb])
    signature = inspect.signature(function_of(command.verb))
    signature.bind(**command.call)
    for name, parameter in signature.parameters.items():
        if parameter.default is not inspect.Parameter.empty and name not in ("listener", "dry_run", "config"):
            assert command.call[name] == parameter.default, name


@pytest.mark.parametrize("verb", VERBS)
def test_every_option_has_help(verb: str) -> None:
    for action in verb_parsers(build_parser())[verb]._actions:
        assert action.help, action.dest


@pytest.mark.parametrize("verb", VERBS)
def test_what_a_dry_run_prints_can_be_given_back_as_a_config_file(verb: str, tmp_path: Path) -> None:
    first = parse(LINES[verb])
    file = tmp_path / "settings.yaml"
    file.write_text(first.settings)
    assert parse([*verb.split(), "--config", str(file)]).call == first.call


def test_a_verb_of_two_words_takes_many(capsys: pytest.CaptureFixture[str]) -> None:
    command = parse(LINES["study new"])
    assert command.call["explanations"] == ["e", "f"]
    assert command.settings.startswith("# stylex study new\n")
    with pytest.raises(SystemExit):
        parse(["study", "--help"])
    assert re.findall(r"^    (\w+)  ", capsys.readouterr().out, re.MULTILINE) == ["new", "serve", "analyse", "demo"]
    with pytest.raises(SystemExit):
        parse(["study", "new", "--help"])
    assert "usage: stylex study new EXPLANATIONS ... --out OUT" in capsys.readouterr().out


def test_options_may_be_spelled_either_way() -> None:
    assert parse([*FIND, "--shift-range", "0.5"]).call == parse([*FIND, "--shift_range=0.5"]).call
    assert parse([*FIND, "--target", "ankle-boot_2"]).call["target"] == "ankle-boot_2"


def test_a_word_of_pythons_own_is_an_option_like_others() -> None:
    classifier = ["classifier", "--data", "a.zip", "--out", "c"]
    assert parse([*classifier, "--from", "b"]).call["from_"] == parse([*classifier, "--from=b"]).call["from_"] == "b"


def test_an_attribute_named_by_a_number_stays_text() -> None:
    assert parse([*LINES["repair"], "--attribute", "3"]).call["attribute"] == "3"
    assert parse([*LINES["repair"], "--realism", "null"]).call["realism"] is None


def test_a_class_named_by_a_number_stays_text() -> None:
    assert parse([*FIND, "--target", "3"]).call["target"] == "3"


def test_a_preset_gives_the_settings_and_options_change_them() -> None:
    base = PRESETS["medium-64"]
    command = parse([*TRAIN, "--preset", "medium-64", "--schedule.batch", "8", "--mirror", "true", "--seed", "3"])
    assert command.call["config"] == replace(base, schedule=replace(base.schedule, batch=8), mirror=True, seed=3)


def test_without_a_preset_the_settings_are_those_for_the_resolution_of_the_data(tmp_path: Path) -> None:
    for place in range(12):
        picture = tmp_path / "photos" / "ab"[place % 2] / f"{place}.png"
        picture.parent.mkdir(parents=True, exist_ok=True)
        Image.new("L", (64, 64), place * 20).save(picture)
    stylex.prepare(tmp_path / "photos", tmp_path / "a.zip")  # of 64 px, as nothing else is said
    train = ["train", "--data", str(tmp_path / "a.zip"), "--classifier", "m:f", "--out", "runs/a"]
    assert parse(train).call["config"] == PRESETS["medium-64"]
    assert parse([*train, "--preset", "tiny-16"]).call["config"] == PRESETS["tiny-16"]


def test_the_command_line_wins_over_the_file(tmp_path: Path) -> None:
    file = tmp_path / "train.json"
    file.write_text(json.dumps({"preset": "medium-64", "data": "b.zip", "loss": {"pixel": 2, "r1_gamma": 5}}))
    call = parse([*TRAIN, "--config", str(file), "--loss.pixel", "3"]).call
    assert (call["preset"], call["config"].model) == ("medium-64", PRESETS["medium-64"].model)
    assert (call["config"].loss.pixel, call["config"].loss.r1_gamma) == (3, 5)
    assert call["data"] == "b.zip"  # the file comes after --data, and the last one counts
    assert parse([*TRAIN, "--config", str(file), "--preset", "tiny-16"]).call["preset"] == "tiny-16"


def test_only_training_has_a_dry_run_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[dict[str, Any]] = []

    @functools.wraps(api.train)
    def train(*, dry_run: bool = False, **call: Any) -> None:
        calls.append({"dry_run": dry_run})

    monkeypatch.setattr(api, "train", train)
    assert parse([*TRAIN, "--dry-run"]).run(silent) == ([], False)
    assert calls == [{"dry_run": True}]


WRONG = {
    "no command": ([], "no command given; choose from prepare, classifier, train"),
    "unknown command": (["trian"], "unknown command: 'trian'"),
    "nothing given": (["train"], "missing: --data, --classifier, --out (see stylex train --help)"),
    "no positional": (["find", "--data", "a", "--out", "b"], "missing: RUN, a run's folder"),
    "unknown option": ([*FIND, "--bogus", "1"], "unrecognized arguments: --bogus 1 (see stylex find --help)"),
    "abbreviated": ([*FIND, "--imag", "1"], "unrecognized arguments: --imag 1"),
    "one word too many": ([*FIND, "more"], "unrecognized arguments: more"),
    "no value": ([*FIND, "--images"], "argument --images: expected one argument"),
    "not a number": ([*FIND, "--shift-range", "far"], "--shift-range: expected a number, got 'far'"),
    "not whole": ([*FIND, "--images", "2.5"], "--images: expected a whole number, got '2.5'"),
    "not a choice": ([*FIND, "--selection", "best"], "--selection: expected one of 'attfind', 'together', 'notebook'"),
    "not a channel count": ([*LINES["prepare"], "--channels", "2"], "--channels: expected one of 1, 3, got '2'"),
    "not a list": ([*TRAIN, "--model.generator-widths", "64"], "expected a list like [64,32], got '64'"),
    "no such preset": ([*TRAIN, "--preset", "huge"], "no preset 'huge'; the presets are tiny-16, small-32"),
    "no preset": ([*TRAIN, "--preset"], "argument --preset: expected one argument"),
    "a setting that cannot be": ([*TRAIN, "--schedule.batch", "0"], "schedule.batch is 0, but must be 1 or more"),
    "no such group": ([*TRAIN, "--loss.nonsense", "1"], "unrecognized arguments: --loss.nonsense 1"),
    "no config file": ([*FIND, "--config", "none.yaml"], "--config none.yaml: No such file or directory"),
    "no second word": (["study"], "stylex study does several things; choose from stylex study new, stylex study serve"),
    "no such second word": (["study", "old"], "there is no command stylex study old; choose from stylex study new"),
    "none of many": (["study", "new", "--out", "s"], "missing: EXPLANATIONS, what find or explain wrote"),
    "of two words": (["study", "new", "e"], "missing: --out (see stylex study new --help)"),
    "config is a folder": ([*FIND, "--config", "."], "--config .: Is a directory"),
}


@pytest.mark.parametrize(("arguments", "said"), WRONG.values(), ids=WRONG.keys())
def test_a_command_line_that_means_nothing_is_refused_in_one_line(arguments: list[str], said: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parse(arguments)
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)


WRONG_FILES = {
    "unknown key": (b"bogus: 1", "there is no option 'bogus'"),
    "unknown key in a group": (b"loss:\n  bogus: 1", "there is no option 'loss.bogus'"),
    "wrong type": (b"kimg: many", "--kimg: expected a number, got 'many'"),
    "number for text": (b"out: 3", "--out: expected text (in a config file: in quotes), got '3'"),
    "broken": (b"kimg: [", "not readable as YAML or JSON"),
    "a list": (b"- 1", "expected lines like 'resolution: 32', got list"),
    "empty": (b"", "expected lines like 'resolution: 32', got NoneType"),
    "binary": (b"\xff\xfe\x00", "not a text file"),
    "preset": (b"preset: 7", "no preset '7'"),
}


@pytest.mark.parametrize(("content", "said"), WRONG_FILES.values(), ids=WRONG_FILES.keys())
def test_a_config_file_that_means_nothing_is_refused_in_one_line(tmp_path: Path, content: bytes, said: str) -> None:
    file = tmp_path / "c.yaml"
    file.write_bytes(content)
    with pytest.raises(ConfigError) as caught:
        parse(["train", "--config", str(file)])
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("text", ["64,48,32,16", "[64,48,32,16]", "(64, 48, 32, 16)", "[64, 48, 32, 16]"])
def test_lists_are_taken_as_the_help_shows_them(text: str) -> None:
    for form in (["--model.encoder-widths", text], [f"--model.encoder_widths={text}"]):
        assert parse([*TRAIN, *form]).call["config"].model.encoder_widths == (64, 48, 32, 16)


def test_the_help_shows_lists_as_they_can_be_typed(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        parse(["train", "--help"])
    shown = " ".join(capsys.readouterr().out.split())
    default = re.search(r"feature channels of the generator at 4, 8, ... px. \(default: ([^)]*)\)", shown)
    assert default is not None
    given = parse([*TRAIN, "--model.generator-widths", default[1]]).call["config"]
    assert given.model.generator_widths == parse(TRAIN).call["config"].model.generator_widths


PAIRS = zip("abcdefgh", "bcdefghi", strict=True)
BOMB = "a: &a [1,1,1,1,1,1,1,1,1]\n" + "".join(f"{y}: &{y} [{','.join(['*' + x] * 9)}]\n" for x, y in PAIRS)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (BOMB, "names for other parts of the file"),
        ("[" * 100_000, "too many brackets"),
        ("kimg: " + "9" * 5000, "not readable"),
        ("a: 1\n" * 200_000 + "b" * 1_000_000, "larger than 1 MiB"),
        ("kimg: 1" + "0" * 400, "too large|kimg"),
        ("loss: 5\n", "loss"),
        ("? [a]\n: 1\n", "not readable|expected"),
        ("kimg: \x00", "not readable"),
    ],
    ids=["aliases", "deep", "digits", "large", "beyond floats", "no group", "list as a name", "null"],
)
def test_a_settings_file_that_is_a_trap_is_refused_in_one_line(tmp_path: Path, text: str, says: str) -> None:
    (tmp_path / "c.yaml").write_text(text)
    with pytest.raises(ConfigError, match=says) as caught:
        parse([*TRAIN, "--config", str(tmp_path / "c.yaml")])
    assert "\n" not in str(caught.value)


def test_a_settings_file_that_is_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "c.yaml")
    with pytest.raises(ConfigError, match="not a regular file"):
        parse([*TRAIN, "--config", str(tmp_path / "c.yaml")])
