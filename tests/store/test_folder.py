"""The explanation folder: what is written is read back, whole; what is not ours stays; damage is named."""

from __future__ import annotations

import dataclasses
import json
import math
import os
import struct
import tracemalloc
import zipfile
from collections.abc import Callable, Mapping
from importlib import resources
from pathlib import Path
from typing import Any

import jsonschema
import numpy as np
import pytest
from PIL import Image

from stylex.core.errors import StoreError
from stylex.core.explanation import Explanation
from stylex.core.figures import Flips, flip_figures
from stylex.core.stylespace import StyleSpace
from stylex.store.folder import is_explanation_folder, read_explanation, write_explanation
from stylex.store.names import save_labels

ROOT = Path(__file__).parents[2]


def same(a: Any, b: Any) -> bool:
    if isinstance(a, np.ndarray):
        return isinstance(b, np.ndarray) and a.dtype == b.dtype and np.array_equal(a, b)
    if isinstance(a, StyleSpace):
        return a.layers == b.layers and same(a.statistics, b.statistics)
    if dataclasses.is_dataclass(a):
        return type(a) is type(b) and all(same(getattr(a, f.name), getattr(b, f.name)) for f in dataclasses.fields(a))
    if isinstance(a, Mapping):
        return a.keys() == b.keys() and all(same(a[k], b[k]) for k in a)
    if isinstance(a, tuple | list):
        return type(a) is type(b) and len(a) == len(b) and all(map(same, a, b))
    return a == b or (a != a and b != b)


def edit(folder: Path, change: Callable[[dict[str, Any]], None]) -> None:
    manifest = json.loads((folder / "manifest.json").read_text())
    change(manifest)
    (folder / "manifest.json").write_text(json.dumps(manifest))


@pytest.fixture
def folder(explanation: Explanation, tmp_path: Path) -> Path:
    return write_explanation(explanation, tmp_path / "explanation")


def test_what_is_written_is_read_back(explanation: Explanation, tmp_path: Path) -> None:
    assert same(read_explanation(write_explanation(explanation, tmp_path / "a")), explanation)
    empty = dataclasses.replace(
        explanation,
        ranking=dataclasses.replace(explanation.ranking, attributes=()),
        counterfactuals=(),
        images=(),
        space=StyleSpace(explanation.space.layers),
        notes=(),
    )
    assert same(read_explanation(write_explanation(empty, tmp_path / "b" / "c")), empty)
    grey = dataclasses.replace(
        explanation,
        images=tuple(dataclasses.replace(i, reconstruction=i.reconstruction[:, :, :1]) for i in explanation.images),
    )
    assert same(read_explanation(write_explanation(grey, tmp_path / "d")), grey)


def test_flips_and_notes_on_attributes_are_read_back_and_older_folders_have_flips_among_their_figures(
    explanation: Explanation, tmp_path: Path
) -> None:
    flips = Flips(target_label="a_to_b", top={1: 0.25, 10: 0.75}, random=0.1, random_std=0.05, images=40)
    first = dataclasses.replace(explanation.ranking[0], note="Only 1 of 6 images shows it.")
    e = dataclasses.replace(
        explanation,
        ranking=dataclasses.replace(explanation.ranking, attributes=(first, *explanation.ranking.attributes[1:])),
        flips=(flips,),
        figures={**explanation.figures, **flip_figures(flips)},
    )
    folder = write_explanation(e, tmp_path / "a")
    assert same(read_explanation(folder), e)
    edit(folder, lambda manifest: manifest.pop("flips"))
    assert flips in read_explanation(folder).flips


def test_a_folder_of_version_1_stays_readable(explanation: Explanation) -> None:
    assert same(read_explanation(ROOT / "tests" / "data_files" / "explanation"), explanation)


@pytest.mark.parametrize(("strategy", "which"), [("directions", "q"), ("attfind", "p")])
def test_an_older_folder_holds_q_of_directions_and_p_of_all_else(folder: Path, strategy: str, which: str) -> None:
    manifest = json.loads((folder / "manifest.json").read_text())
    manifest["ranking"]["strategy"] = strategy
    for row in manifest["ranking"]["attributes"]:
        del row["tested"]
    (folder / "manifest.json").write_text(json.dumps(manifest))
    assert [a.tested for a in read_explanation(folder).ranking] == [which, None]


def test_layout(folder: Path) -> None:
    names = {p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file()}
    assert {"manifest.json", "images/test-0/original.png", "images/test-0/reconstruction.png"} <= names
    assert {"images/test-0/changed/shows-1.png", "images/test-0/changed/subset-1.png"} <= names
    assert "images/test-2/original.png" not in names, "a sample from noise has no original"
    assert [p.name for p in folder.parent.iterdir()] == ["explanation"], "nothing is left beside it"


def test_manifest_is_plain_json_that_keeps_its_schema(folder: Path) -> None:
    def refuse(name: str) -> None:
        pytest.fail(f"{name} is not JSON")

    manifest = json.loads((folder / "manifest.json").read_text(encoding="utf-8"), parse_constant=refuse)
    assert manifest["figures"]["kl"] is None
    schema = json.loads(resources.files("stylex.store").joinpath("explanation.schema.json").read_text())
    jsonschema.Draft202012Validator.check_schema(schema)
    jsonschema.Draft202012Validator(schema).validate(manifest)


def test_contract_mentions_every_property() -> None:
    schema = json.loads(resources.files("stylex.store").joinpath("explanation.schema.json").read_text())
    text = (ROOT / "docs" / "explanation-folder.md").read_text(encoding="utf-8")

    def properties(node: Any) -> set[str]:
        if isinstance(node, dict):
            return set(node.get("properties", {})).union(*map(properties, node.values()))
        return set().union(*map(properties, node)) if isinstance(node, list) else set()

    assert {name for name in properties(schema) if f"`{name}`" not in text} == set()
    assert f"version {schema['properties']['version']['const']}" in text


def test_an_older_explanation_is_replaced_only_on_request(explanation: Explanation, folder: Path) -> None:
    newer = dataclasses.replace(explanation, title="Newer", counterfactuals=explanation.counterfactuals[:1])
    (folder / "my-notes.txt").write_text("keep me")
    (folder / "report.html").write_text("of the older explanation")
    with pytest.raises(StoreError, match="already holds an explanation"):
        write_explanation(newer, folder)
    assert read_explanation(folder).title == explanation.title
    write_explanation(newer, folder, overwrite=True)
    assert same(read_explanation(folder), newer)
    assert (folder / "my-notes.txt").read_text() == "keep me"
    assert not (folder / "report.html").exists()
    assert not (folder / "images" / "test-2" / "changed").exists()
    assert [p.name for p in folder.parent.iterdir()] == ["explanation"]


@pytest.mark.parametrize("manifest", [None, "{}", "[]", "not json", '{"schema": "other"}'])
def test_foreign_folders_are_never_touched(explanation: Explanation, tmp_path: Path, manifest: str | None) -> None:
    (tmp_path / "thesis.txt").write_text("years of work")
    if manifest is not None:
        (tmp_path / "manifest.json").write_text(manifest)
    assert not is_explanation_folder(tmp_path)
    with pytest.raises(StoreError, match="holds something else"):
        write_explanation(explanation, tmp_path, overwrite=True)
    assert (tmp_path / "thesis.txt").read_text() == "years of work"


def test_an_empty_folder_is_a_place_and_a_file_is_not(explanation: Explanation, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    write_explanation(explanation, tmp_path / "empty")
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError, match="is not a folder"):
        write_explanation(explanation, tmp_path / "file", overwrite=True)


def test_a_full_disk_leaves_the_old_folder_and_nothing_else(
    explanation: Explanation, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(StoreError, match="No space left on device"):
        write_explanation(dataclasses.replace(explanation, title="Newer"), folder, overwrite=True)
    with pytest.raises(StoreError, match="No space left on device"):
        save_labels(folder, {0: "Heel"})
    assert same(read_explanation(folder), explanation)
    assert [p.name for p in folder.parent.iterdir()] == ["explanation"]
    assert sorted(p.name for p in folder.iterdir()) == ["images", "manifest.json", "statistics.npz"]


def test_labels_are_saved_and_taken_back(explanation: Explanation, folder: Path) -> None:
    save_labels(folder, {0: "  ", 1: "  Heel\n height "})
    assert [a.label for a in read_explanation(folder).ranking] == [None, "Heel height"]
    with pytest.raises(StoreError, match="none at 2"):
        save_labels(folder, {0: "Toe", 2: "Sole"})
    with pytest.raises(StoreError, match="at most 120"):
        save_labels(folder, {0: "x" * 121})
    assert [a.label for a in read_explanation(folder).ranking] == [None, "Heel height"]


@pytest.mark.parametrize("image_id", ["../up", "a/b", "", ".", "-rf", "a b", "é", "x" * 121, "test-1", "TEST-1"])
def test_ids_that_cannot_name_a_file_are_refused(explanation: Explanation, tmp_path: Path, image_id: str) -> None:
    images = (dataclasses.replace(explanation.images[0], id=image_id), *explanation.images[1:])
    with pytest.raises(StoreError, match=r"cannot name a file|used twice"):
        write_explanation(dataclasses.replace(explanation, images=images, counterfactuals=()), tmp_path / "x")
    assert not list(tmp_path.iterdir())


def test_numbers_that_json_cannot_say_are_refused(explanation: Explanation, tmp_path: Path) -> None:
    image = dataclasses.replace(explanation.images[0], reconstruction_logits=np.array([np.nan, 0], np.float32))
    with pytest.raises(StoreError, match="'test-0' is not finite"):
        write_explanation(dataclasses.replace(explanation, images=(image,), counterfactuals=()), tmp_path / "x")
    for settings in ({"threshold": math.inf}, {"path": Path("x")}):
        with pytest.raises(StoreError, match="JSON cannot say"):
            write_explanation(dataclasses.replace(explanation, settings=settings), tmp_path / "x")
    assert not list(tmp_path.iterdir())


def _put(*keys: str | int, value: Any) -> Callable[[dict[str, Any]], None]:
    def change(manifest: dict[str, Any]) -> None:
        node: Any = manifest
        for key in keys[:-1]:
            node = node[key]
        node[keys[-1]] = value

    return change


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (_put("version", value=2), "has version 2"),
        (_put("schema", value="other"), "is not the manifest"),
        (_put("scope", value="galaxy"), r"\$.scope"),
        (_put("title", value=3), r"\$.title"),
        (_put("ranking", "attributes", 0, "sign", value=0), r"attributes\[0\].sign"),
        (_put("ranking", "attributes", 0, "target", value=2), "has target 2 of 2 labels"),
        (_put("ranking", "attributes", 0, "channel", value=8), "outside the space"),
        (_put("ranking", "attributes", 0, "layer", value="b512.conv9"), "outside the space"),
        (_put("images", 0, "reconstruction_logits", value=[1.0]), "needs 2 reconstruction_logits"),
        (_put("images", 0, "id", value="../../etc"), r"images\[0\].id"),
        (_put("images", 0, "id", value="test-1"), "one id"),
        (_put("images", 0, "probabilities", value=[0.5, 1.5]), "probabilities"),
        (_put("images", 0, "original", value="../secret.png"), "not a file inside"),
        (_put("images", 0, "original", value="/etc/passwd"), "not a file inside"),
        (_put("images", 0, "original", value="C:\\secret.png"), "not a file inside"),
        (_put("images", 0, "original", value="images/../../x.png"), "not a file inside"),
        (_put("images", 0, "original", value="manifest.json"), "manifest.json is damaged"),
        (_put("images", 0, "original", value="images"), "images is missing"),
        (_put("counterfactuals", 0, "image", value="nobody"), "'nobody', which is not there"),
        (_put("counterfactuals", 0, "attributes", value=[7]), "attribute that is not there"),
        (_put("counterfactuals", 0, "attributes", value=[]), r"counterfactuals\[0\].attributes"),
        (_put("counterfactuals", 0, "target", value=5), "has target 5"),
        (_put("counterfactuals", 0, "logits", value=[]), "needs 2 logits"),
        (_put("space", "layers", 0, "kind", value="torgb"), "convolution layers come before"),
        (_put("space", "layers", 0, "channels", value=9), "statistics.npz is damaged"),
        (_put("space", "statistics", value="../s.npz"), "not a file inside"),
        (_put("figures", "agreement", value="high"), r"\$.figures"),
        (_put("ranking", "attributes", 0, "target", value=0.0), r"attributes\[0\].target"),
        (_put("space", "layers", 0, "channels", value=8.0), r"layers\[0\].channels"),
        (_put("ranking", "attributes", 0, "target", value=10**400), "cannot be read"),
        (_put("figures", "agreement", value=10**400), "cannot be read"),
        (_put("images", 0, "original", value="."), "manifest.json names '.'|is missing"),
        (_put("images", 0, "original", value="a\0b"), "not a file inside|is missing"),
        (_put("images", 0, "original", value="x" * 300), "is damaged|is missing"),
    ],
)
def test_a_damaged_manifest_is_named(folder: Path, change: Callable[[dict[str, Any]], None], words: str) -> None:
    edit(folder, change)
    with pytest.raises(StoreError, match=words) as caught:
        read_explanation(folder)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 600


@pytest.mark.parametrize("text", ["", "{", "[1]", '{"schema": NaN}', '{"schema": 1e999}', "\xff", "[" * 100000])
def test_a_manifest_that_is_no_manifest(folder: Path, text: str) -> None:
    (folder / "manifest.json").write_bytes(text.encode("latin-1"))
    with pytest.raises(StoreError, match=r"manifest\.json"):
        read_explanation(folder)


def test_a_missing_or_damaged_file_is_named(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(StoreError, match=r"nowhere is not a folder"):
        read_explanation(tmp_path / "nowhere")
    with pytest.raises(StoreError, match=r"has no manifest\.json"):
        read_explanation(tmp_path)
    for name in ("images/test-1/reconstruction.png", "images/test-0/changed/shows-2.png", "statistics.npz"):
        file, data = folder / name, (folder / name).read_bytes()
        for damage in (data[: len(data) // 2], b"", b"GIF89a" + data):
            file.write_bytes(damage)
            with pytest.raises(StoreError, match=f"{file.name} is damaged"):
                read_explanation(folder)
        file.unlink()
        with pytest.raises(StoreError, match=f"{file.name} is missing"):
            read_explanation(folder)
        file.write_bytes(data)
    read_explanation(folder)


@pytest.mark.parametrize("what", ["pipe", "loop", "device", "folder"])
@pytest.mark.parametrize("name", ["manifest.json", "statistics.npz", "images/test-0/original.png"])
def test_what_is_no_file_is_not_opened(folder: Path, name: str, what: str) -> None:
    (folder / name).unlink()
    if what == "pipe":
        os.mkfifo(folder / name)
    elif what == "folder":
        (folder / name).mkdir()
    else:
        (folder / name).symlink_to({"loop": Path(name).name, "device": "/dev/zero"}[what])
    with pytest.raises(StoreError, match=Path(name).name):
        read_explanation(folder)


def npy(shape: str, kind: str = "<f4", data: bytes = b"") -> bytes:
    header = f"{{'descr': '{kind}', 'fortran_order': False, 'shape': {shape}, }}\n".encode()
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header + data


@pytest.mark.parametrize(
    "member",
    [
        npy("(10000000000000,)"),
        npy("(20,)", "|O", b"." * 80),
        npy("(20,)", "<U9999999"),
        npy("(4, 5)", data=bytes(80)),
        npy("(20,)", data=bytes(79)),
        npy("(20,", data=bytes(80)),
        npy("(20,)", data=bytes(60_000_000)),
        b"no array",
    ],
    ids=range(8),
)
@pytest.mark.integration
def test_statistics_that_declare_something_else_are_refused_unread(folder: Path, member: bytes) -> None:
    with zipfile.ZipFile(folder / "statistics.npz", "w", zipfile.ZIP_DEFLATED) as archive:
        for name in ("minimum", "maximum", "mean", "std"):
            archive.writestr(f"{name}.npy", member)
    tracemalloc.start()
    with pytest.raises(StoreError, match=r"statistics\.npz is damaged"):
        read_explanation(folder)
    assert tracemalloc.get_traced_memory()[1] < 10_000_000
    tracemalloc.stop()


def test_pictures_of_two_sizes_are_refused(folder: Path) -> None:
    Image.new("RGB", (8, 8)).save(folder / "images" / "test-1" / "original.png")
    with pytest.raises(StoreError, match=r"original\.png is 8 x 8 pixels, others are 16 x 16 pixels"):
        read_explanation(folder)


def test_a_link_does_not_lead_out(folder: Path, tmp_path: Path) -> None:
    picture = folder / "images" / "test-0" / "original.png"
    os.replace(picture, tmp_path / "elsewhere.png")
    picture.symlink_to(tmp_path / "elsewhere.png")
    with pytest.raises(StoreError, match="not a file inside"):
        read_explanation(folder)


def test_unknown_properties_are_for_later_readers(explanation: Explanation, folder: Path) -> None:
    edit(folder, _put("mood", value="calm"))
    edit(folder, _put("images", 0, "weight", value=1))
    assert same(read_explanation(folder), explanation)
