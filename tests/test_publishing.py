"""A run shared on a hub and used from there: what goes, what never does, and each refusal in one line."""

from __future__ import annotations

import io
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from safetensors.torch import load_file
from tests.models.hub_server import TOKEN, Hub, serving

import stylex
from stylex.cli import main
from stylex.core.demo import SNAPSHOT, shipped
from stylex.core.errors import ClassifierError, ConfigError, SearchError, SnapshotError
from stylex.core.progress import Alarm, Event, Found
from stylex.opening import Run
from stylex.verbs.opened import run_of

pytestmark = pytest.mark.filterwarnings("ignore:Use 'content=:DeprecationWarning")  # how the hub's library uploads

SHIPPED = shipped("demo", SNAPSHOT)
WEIGHTS = {"snapshot/weights.safetensors": (SHIPPED / "weights.safetensors").read_bytes()}
WHOLE = {"snapshot/snapshot.json": (SHIPPED / "snapshot.json").read_bytes(), **WEIGHTS}


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    """A hub, its owner's token in the environment, and an empty cache."""
    constants: Any = pytest.importorskip(
        "huggingface_hub.constants", reason="NOT RUN against a hub: pip install 'stylex[hub]'"
    )
    for name, value in (
        ("HF_HUB_CACHE", str(tmp_path / "cache")),
        ("HF_TOKEN_PATH", str(tmp_path / "token")),
        ("HF_HUB_DISABLE_XET", True),
    ):
        monkeypatch.setattr(constants, name, value)
    with serving() as hub:
        monkeypatch.setenv("HF_ENDPOINT", hub.address)
        monkeypatch.setenv("HF_TOKEN", TOKEN)
        yield hub


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """A run of one snapshot, whose classifier lies beside it."""
    folder = tmp_path / "alice" / "run"
    shutil.copytree(SHIPPED, folder / "snapshots" / "000120000")
    shutil.copytree(SHIPPED.parent / "classifier", tmp_path / "alice" / "judge")
    named(folder, str(tmp_path / "alice" / "judge"))
    return folder


def named(run: Path, reference: str | None) -> None:
    """Let a run name another classifier."""
    path = run / "snapshots" / "000120000" / "snapshot.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "classifier_reference": reference}))


def held(hub: Hub, name: str = "me/shoes") -> dict[str, bytes]:
    there = hub.repositories[name]
    return {path: data for path, data in there.commits[there.head].items() if path != ".gitattributes"}


def test_a_run_comes_back_as_it_was(hub: Hub, run: Path) -> None:
    pinned = stylex.push(run, "me/shoes", with_classifier=True, with_encodings=True)
    assert pinned == f"hf://me/shoes@{hub.repositories['me/shoes'].head}"
    ours = stylex.load_snapshot(run)
    for name in ("hf://me/shoes", pinned, Path("hf://me/shoes")):
        heard: list[Event] = []
        opened = Run.open(name, listener=heard.append)
        assert opened.snapshot.sha256 == ours.sha256
        assert opened.snapshot.classifier_fingerprint == ours.classifier_fingerprint
        assert opened.identity["other_classifier"] is False
        assert any(isinstance(event, Found) and "commit" in event.message for event in heard)


def test_what_goes_is_what_was_asked_for(hub: Hub, run: Path) -> None:
    stylex.push(run, "me/shoes", with_classifier=True, with_panel=True, with_encodings=True)
    always = {"README.md", "snapshot/snapshot.json", "snapshot/weights.safetensors"}
    asked = {"classifier/classifier.json", "classifier/weights.safetensors", "snapshot/panel.png"}
    assert held(hub).keys() == always | asked
    assert held(hub)["snapshot/weights.safetensors"] == WEIGHTS["snapshot/weights.safetensors"]
    stylex.push(run, "me/shoes")  # what is no longer asked for is gone from there
    assert held(hub).keys() == always


def test_no_path_of_this_machine_is_told(hub: Hub, run: Path, tmp_path: Path) -> None:
    folder = run / "snapshots" / "000120000"
    (folder / "domain.json").write_text(json.dumps({"of": {str(tmp_path / "alice" / "boots"): 0.5}}))
    (folder / "domain.safetensors").write_bytes(b"")
    stylex.push(run, "me/shoes")
    for name, data in held(hub).items():
        assert b"alice" not in data, name
    assert json.loads(held(hub)["snapshot/domain.json"]) == {"of": {"boots": 0.5}}
    assert "called `judge`" in held(hub)["README.md"].decode()


@pytest.mark.parametrize(
    ("reference", "told", "said"),
    [
        ("timm:resnet18,checkpoint=/home/alice/w.safetensors", "timm:resnet18", "opened as `timm:resnet18`"),
        ("hf:org/model", "hf:org/model", "opened as `hf:org/model`"),
        ("onnx:/home/alice/judge.onnx", "judge.onnx", "called `judge.onnx`"),
        ("http://alice.example/ask?key=1", None, "whose address is not told"),
        ("alices.module:load", "alices.module:load", "if you trust it"),
        (None, None, "as an object in Python"),
    ],
)
def test_a_classifier_that_stays_is_named_as_far_as_others_can_use_it(
    hub: Hub, run: Path, reference: str | None, told: str | None, said: str
) -> None:
    named(run, reference)
    stylex.push(run, "me/shoes")
    assert json.loads(held(hub)["snapshot/snapshot.json"])["classifier_reference"] == told
    assert said in held(hub)["README.md"].decode()
    with pytest.raises(ClassifierError, match="sends a small classifier's folder"):
        stylex.push(run, "me/shoes", with_classifier=True)


def test_encodings_of_images_stay_unless_asked_for_and_are_told(hub: Hub, run: Path, tmp_path: Path) -> None:
    heard: list[Event] = []
    stylex.push(run, "me/shoes", with_encodings=True, listener=heard.append)
    (alarm,) = (event.message for event in heard if isinstance(event, Alarm))
    assert "8,192 training images" in alarm
    assert "latents of 8,192 training images" in held(hub)["README.md"].decode()
    heard.clear()
    stylex.push(run, "me/shoes", listener=heard.append)
    assert not [event for event in heard if isinstance(event, Alarm)]
    (tmp_path / "w").write_bytes(held(hub)["snapshot/weights.safetensors"])
    ours = load_file(SHIPPED / "weights.safetensors")
    theirs = load_file(tmp_path / "w")
    assert ours.keys() - theirs.keys() == {"latents"}
    assert all(bool((ours[key] == theirs[key]).all()) for key in theirs)
    assert stylex.load_snapshot("hf://me/shoes").latents is None
    assert "latents of" not in held(hub)["README.md"].decode()


def test_a_dry_run_lists_what_would_go_and_calls_nobody(hub: Hub, run: Path, capsys: pytest.CaptureFixture) -> None:
    assert (
        main(["push", str(run), "me/shoes", "--with-panel", "--with-encodings", "--license", "cc-by-4.0", "--dry-run"])
        == 0
    )
    said = capsys.readouterr()
    for line in ("snapshot/panel.png", f"{len(WEIGHTS['snapshot/weights.safetensors']):,} bytes", "license: cc-by-4.0"):
        assert line in said.err
    assert hub.asked == []
    assert main(["push", str(run), "me/shoes", "--with-panel", "--with-encodings", "--license", "cc-by-4.0"]) == 0
    said = capsys.readouterr()
    assert "next: stylex find hf://me/shoes --data" in said.out
    assert TOKEN not in said.out + said.err
    assert hub.tokens == {TOKEN}


def test_private_means_private(hub: Hub, run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stylex.push(run, "me/hidden", private=True)
    assert hub.repositories["me/hidden"].private
    stylex.load_snapshot("hf://me/hidden")
    hub.put("me/seen", WHOLE)
    before = held(hub, "me/seen")
    with pytest.raises(SnapshotError, match="is public, but was to be private"):
        stylex.push(run, "me/seen", private=True)
    assert held(hub, "me/seen") == before
    monkeypatch.delenv("HF_TOKEN")
    with pytest.raises(SnapshotError, match=r"does not know that you may read it \(401\); set HF_TOKEN"):
        stylex.load_snapshot("hf://me/hidden")


def test_what_somebody_else_has_there_stays(hub: Hub, run: Path) -> None:
    hub.put("me/other", {"README.md": b"mine", "model.bin": b"x"})
    with pytest.raises(SnapshotError, match=r"holds something else \(model.bin\)"):
        stylex.push(run, "me/other")
    assert held(hub, "me/other") == {"README.md": b"mine", "model.bin": b"x"}


def test_refusals_are_one_line_each(
    hub: Hub, run: Path, capsys: pytest.CaptureFixture, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    hub.put("me/shoes", WHOLE)
    hub.put("me/else", {"model.bin": b"x"})
    out = ["--data", "demo", "--out", str(tmp_path / "out")]
    find, push = (lambda name: ["find", name, *out]), (lambda name: ["push", str(run), name])
    for command, says in (
        (find("hf://me/none"), "there is no such run at http://127.0.0.1"),
        (find("hf://me/shoes@old"), "there is no such revision"),
        (find("hf://me"), "names no run on the hub; expected hf://ORG/NAME"),
        (find("hf://me/else"), "is no run of stylex: snapshot/snapshot.json is not there"),
        (push("me"), "expected hf://ORG/NAME"),
        (push("me/shoes@main"), "names a revision"),
        ([*push("me/shoes"), "--license", "mine, all mine"], "expected an identifier such as apache-2.0"),
    ):
        refused(command, says, capsys)
    monkeypatch.setenv("HF_TOKEN", "hf_of_somebody_else")
    refused(push("me/shoes"), "does not know that you may write there (403); set HF_TOKEN", capsys)
    refused(push("me/new"), "does not know that you may write there (401); set HF_TOKEN", capsys)
    monkeypatch.setenv("HF_ENDPOINT", "http://user:secret@127.0.0.1:9")
    for command in (find("hf://me/shoes"), push("me/shoes")):
        refused(command, "the hub at http://127.0.0.1:9 cannot be reached", capsys)
    monkeypatch.setitem(__import__("sys").modules, "huggingface_hub", None)
    refused(find("hf://me/shoes"), "pip install 'stylex[hub]'", capsys)
    assert not (tmp_path / "out").exists()


@pytest.mark.integration
def test_a_name_on_the_hub_is_the_first_thing_that_a_process_reads(tmp_path: Path) -> None:
    environment = os.environ | {"HF_ENDPOINT": "http://127.0.0.1:9", "HF_HOME": str(tmp_path / "home")}
    command = [sys.executable, "-m", "stylex", "export", "hf://me/shoes", "--to", "rosinality", "--out", "e.pt"]
    done = subprocess.run(command, env=environment, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert (done.returncode, "cannot be reached" in done.stderr) == (2, True), done.stderr


def refused(command: list[str], says: str, capsys: pytest.CaptureFixture) -> None:
    assert main([*command, "--quiet"]) == 2
    (line,) = [line for line in capsys.readouterr().err.splitlines() if not line.startswith("warning:")]
    assert says in line
    assert "secret" not in line
    assert "hf_of" not in line


def test_without_a_connection_what_was_fetched_is_used(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    commit = hub.put("me/shoes", WHOLE)
    first = stylex.load_snapshot("hf://me/shoes")
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    heard: list[Event] = []
    again = stylex.load_snapshot("hf://me/shoes", listener=heard.append)
    assert again.sha256 == first.sha256
    assert [event.message for event in heard if isinstance(event, Found)] == [
        f"hf://me/shoes: the hub cannot be reached; taken from this machine's cache, {commit}"
    ]


def test_only_known_files_are_fetched(hub: Hub, tmp_path: Path) -> None:
    hub.put("me/shoes", {**WHOLE, "snapshot/evil.pkl": b"x", "evil.py": b"x", "classifier/judge.pt": b"x"})
    stylex.load_snapshot("hf://me/shoes")
    assert {path.name for path in (tmp_path / "cache").rglob("*") if path.is_symlink()} == {
        "snapshot.json",
        "weights.safetensors",
    }
    assert not [line for line in hub.asked if "evil" in line or "judge.pt" in line]


def test_what_comes_from_there_is_checked_as_from_anywhere(hub: Hub) -> None:
    hub.put("me/large", WHOLE)
    hub.lies["snapshot/weights.safetensors"] = 2**40
    with pytest.raises(SnapshotError, match=r"1,099,511,627,776 bytes; no run has more than .* it is not fetched"):
        stylex.load_snapshot("hf://me/large")
    assert not [line for line in hub.asked if "/resolve/" in line]
    hub.lies.clear()
    hub.put("me/cut", {**WHOLE, "snapshot/weights.safetensors": WEIGHTS["snapshot/weights.safetensors"][:1000]})
    with pytest.raises(SnapshotError, match=r"weights.safetensors is damaged"):
        stylex.load_snapshot("hf://me/cut")
    hub.put("me/other", {**WHOLE, "snapshot/snapshot.json": b"{}"})
    with pytest.raises(SnapshotError, match="does not describe a stylex snapshot"):
        stylex.load_snapshot("hf://me/other")


def test_nothing_is_fetched_because_a_file_names_it(hub: Hub) -> None:
    explanation: Any = SimpleNamespace(settings={"run": "hf://me/shoes"})
    with pytest.raises(SearchError, match="nothing is fetched because a file names it: give it again, with run="):
        run_of(explanation, "found", None, None, None, False, "cpu", lambda event: None)
    assert hub.asked == []


def test_a_classifier_goes_along_only_if_it_is_that_of_the_run(run: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    shutil.copytree(tmp_path / "alice" / "judge", other)
    record = json.loads((other / "classifier.json").read_text())
    record["spec"]["labels"] = ["a", "b"]
    (other / "classifier.json").write_text(json.dumps(record))
    with pytest.raises(ClassifierError, match="is not the classifier that the run was trained with"):
        stylex.push(run, "me/shoes", with_classifier=True, classifier=other, dry_run=True)
    (run / "snapshots" / "000120000" / "panel.png").unlink()
    with pytest.raises(SnapshotError, match=r"no panel\.png to go along"):
        stylex.push(run, "me/shoes", with_panel=True, dry_run=True)
    with pytest.raises(ConfigError, match="2000 are read"):
        stylex.push(run, "me/shoes", about_data="x" * 2001, dry_run=True)


def test_progress_is_the_listeners_alone(hub: Hub, run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    said = io.StringIO()
    monkeypatch.setattr("sys.stderr", said)
    stylex.push(run, "me/shoes")
    stylex.load_snapshot("hf://me/shoes")
    assert said.getvalue() == ""
