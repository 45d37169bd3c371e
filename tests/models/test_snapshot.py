"""A snapshot is read as it was written, or refused in one line."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
import pickle
import resource
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from stylex.core.errors import SnapshotError
from stylex.core.stylespace import StyleStatistics
from stylex.models.discriminator import Discriminator
from stylex.models.encoder import Encoder
from stylex.models.generator import Generator
from stylex.models.snapshot import (
    Snapshot,
    SnapshotNetworks,
    SnapshotRecord,
    find_snapshot,
    load_snapshot,
    save_snapshot,
)

Networks = tuple[Generator, Encoder, Discriminator]


@pytest.fixture
def networks(generator: Generator, encoder: Encoder, discriminator: Discriminator) -> Networks:
    return generator, encoder, discriminator


def statistics() -> StyleStatistics:
    return StyleStatistics.observe(np.random.default_rng(0).normal(size=(9, 50)).astype(np.float32))


def write(path: Path, networks: Networks, **changes: Any) -> Path:
    generator, encoder, discriminator = networks
    given: dict[str, Any] = {
        "classifier": {"labels": ["a", "b"]},
        "classifier_reference": "pkg.module:load",
        "classifier_fingerprint": "0123",
        "nimg": 1000,
        "training": {"kimg": 1},
        "figures": {"agreement": 0.5},
    }
    observed = {name: changes.pop(name) for name in ("statistics", "latents", "maps") if name in changes}
    kept = SnapshotNetworks(
        generator=generator,
        encoder=encoder,
        discriminator=discriminator,
        **({"statistics": statistics()} | observed),
    )
    save_snapshot(path, kept, SnapshotRecord(**(given | changes)), files={"panel.png": b"picture"})
    return path


@pytest.fixture
def folder(tmp_path: Path, networks: Networks) -> Path:
    return write(tmp_path / "run" / "snapshots" / "000001000", networks)


def test_loading_draws_no_random_numbers(folder: Path) -> None:
    state = torch.get_rng_state()
    load_snapshot(folder)
    assert torch.equal(torch.get_rng_state(), state)


def explain(snapshot: Snapshot) -> tuple[Tensor, ...]:
    x = torch.rand(3, 3, 16, 16, generator=torch.Generator().manual_seed(0)) * 2 - 1
    c = torch.tensor([[0.2, 0.8]]).repeat(3, 1)
    w = snapshot.encoder(x)
    image = snapshot.generator(w, c)
    return w, image, snapshot.discriminator(image, c), snapshot.generator.mapping(torch.ones(2, 5))


def test_what_is_loaded_is_what_was_saved(folder: Path, networks: Networks) -> None:
    snapshot = load_snapshot(folder)
    for ours, theirs in zip((snapshot.generator, snapshot.encoder, snapshot.discriminator), networks, strict=True):
        assert ours.config == theirs.config
        assert not ours.training
        assert not any(p.requires_grad for p in ours.parameters())
        for (name, a), (_, b) in zip(ours.state_dict().items(), theirs.state_dict().items(), strict=True):
            assert torch.equal(a, b), name
    assert snapshot.space.layers == networks[0].synthesis.space.layers
    assert snapshot.space.statistics is not None
    for name, value in vars(statistics()).items():
        np.testing.assert_array_equal(getattr(snapshot.space.statistics, name), value)
    assert (snapshot.classifier, snapshot.classifier_reference) == ({"labels": ["a", "b"]}, "pkg.module:load")
    assert (snapshot.classifier_fingerprint, snapshot.nimg) == ("0123", 1000)
    assert (snapshot.training, snapshot.figures) == ({"kimg": 1}, {"agreement": 0.5})
    assert snapshot.path == folder
    assert snapshot.sha256 == hashlib.sha256((folder / "weights.safetensors").read_bytes()).hexdigest()
    assert (folder / "panel.png").read_bytes() == b"picture"
    assert sorted(p.name for p in folder.iterdir()) == ["panel.png", "snapshot.json", "weights.safetensors"]


def test_networks_compute_the_same_after_a_journey(folder: Path, networks: Networks, tmp_path: Path) -> None:
    first = load_snapshot(folder)
    second = load_snapshot(write(tmp_path / "again", (first.generator, first.encoder, first.discriminator)))
    assert all(torch.equal(a, b) for a, b in zip(explain(first), explain(second), strict=True))
    assert first.sha256 == second.sha256
    state = first.generator.synthesis.prefix(torch.ones(2, 50))[-1]
    assert state.x is not None
    assert state.x.is_contiguous(memory_format=torch.channels_last), "loading keeps the fast order of bytes"
    assert first.to(torch.device("cpu")) is first


def test_a_training_folder_stands_for_its_newest_snapshot(folder: Path, networks: Networks) -> None:
    run = folder.parents[1]
    assert find_snapshot(run) == find_snapshot(folder) == folder
    newer = write(folder.parent / "000002000", networks, nimg=2000)
    # What killed processes left behind, before and after the place was written, is none.
    shutil.copytree(newer, folder.parent / ".000003000.0123abcd")
    (folder.parent / "000009000").mkdir()
    assert find_snapshot(run) == newer
    assert load_snapshot(str(run)).nimg == 2000


def test_a_folder_without_a_snapshot_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(SnapshotError, match="does not exist; give the folder"):
        load_snapshot(tmp_path / "nowhere")
    with pytest.raises(SnapshotError, match="holds no snapshot"):
        load_snapshot(tmp_path)
    (tmp_path / "file").write_text("")
    with pytest.raises(SnapshotError, match="holds no snapshot"):
        load_snapshot(tmp_path / "file")
    (tmp_path / "snapshots" / ".000001000.0123abcd").mkdir(parents=True)
    (tmp_path / "snapshots" / ".000001000.0123abcd" / "snapshot.json").write_text("{}")
    with pytest.raises(SnapshotError, match="holds no snapshot"):
        load_snapshot(tmp_path)


def test_a_snapshot_is_written_whole_or_not_at_all(tmp_path: Path, networks: Networks) -> None:
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (5000, before[1]))
    try:
        with pytest.raises(SnapshotError, match=r"cannot write .*: File too large; free some space"):
            write(tmp_path / "a", networks)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert list(tmp_path.iterdir()) == []
    write(tmp_path / "a", networks)
    write(tmp_path / "a", networks, nimg=5)
    assert load_snapshot(tmp_path / "a").nimg == 5
    assert [path.name for path in tmp_path.iterdir()] == ["a"]


def edit(folder: Path, change: Callable[[dict[str, Any]], object]) -> None:
    description = json.loads((folder / "snapshot.json").read_text())
    change(description)
    (folder / "snapshot.json").write_text(json.dumps(description))


def edit_weights(folder: Path, change: Callable[[dict[str, Tensor]], object]) -> None:
    weights = load_file(folder / "weights.safetensors")
    change(weights)
    save_file(weights, folder / "weights.safetensors")


def test_a_snapshot_from_before_layers_could_be_chosen_tells_all(folder: Path) -> None:
    edit(folder, lambda d: d["generator"].pop("class_layers"))
    assert load_snapshot(folder).generator.config.class_layers == "all"


def test_a_snapshot_from_before_there_were_maps_has_none(folder: Path) -> None:
    for network in ("generator", "encoder"):
        edit(folder, lambda d, network=network: d[network].pop("map_resolutions"))
    edit(folder, lambda d: d["encoder"].pop("map_width"))
    snapshot = load_snapshot(folder)
    assert snapshot.maps is snapshot.some_maps(3) is None
    x = torch.rand(3, 3, 16, 16) * 2 - 1
    c = torch.tensor([[0.2, 0.8]]).repeat(3, 1)
    expected = snapshot.generator.synthesis.styles(snapshot.encoder(x), c)
    assert torch.equal(snapshot.styles_of(x, c), expected)


@pytest.fixture
def with_maps(networks: Networks, mapped: Generator) -> Networks:
    torch.manual_seed(0)
    encoder = Encoder(dataclasses.replace(networks[1].config, map_resolutions=(8, 16), map_width=4))
    return mapped, encoder.eval().requires_grad_(False), networks[2]


def test_maps_travel_with_the_snapshot(tmp_path: Path, with_maps: Networks) -> None:
    generator, encoder, _ = with_maps
    x = torch.rand(3, 3, 16, 16, generator=torch.Generator().manual_seed(0)) * 2 - 1
    c = torch.tensor([[0.2, 0.8]]).repeat(3, 1)
    maps = encoder.maps(x)
    assert maps is not None
    seen = StyleStatistics.observe(np.random.default_rng(0).normal(size=(9, 690)).astype(np.float32))
    snapshot = load_snapshot(write(tmp_path / "run", with_maps, statistics=seen, maps=maps))
    torch.testing.assert_close(snapshot.some_maps(5), maps[[0, 1, 2, 0, 1]], atol=1e-2, rtol=1e-2)
    assert torch.equal(snapshot.styles_of(x, c), generator.synthesis.styles(encoder(x), c, maps))
    edit(tmp_path / "run", lambda d: d["encoder"].update(map_resolutions=[8]))
    with pytest.raises(SnapshotError, match="its generator and its encoder have maps at different resolutions"):
        load_snapshot(tmp_path / "run")


def cut(path: Path, size: int) -> None:
    path.write_bytes(path.read_bytes()[:size])


def replaced(path: Path, by: str) -> None:
    path.unlink()
    os.mkfifo(path) if by == "pipe" else path.symlink_to(by)


CONST = "generator.synthesis.const"


@pytest.mark.parametrize(
    ("damage", "says"),
    [
        (lambda f: (f / "weights.safetensors").unlink(), "weights.safetensors is missing; copy the whole"),
        (lambda f: cut(f / "weights.safetensors", 4), "weights.safetensors is damaged"),
        (lambda f: cut(f / "weights.safetensors", 4000), "weights.safetensors is damaged"),
        (lambda f: cut(f / "weights.safetensors", -1), "weights.safetensors is damaged"),
        (lambda f: (f / "weights.safetensors").write_bytes(b""), "weights.safetensors is damaged"),
        (
            lambda f: (f / "weights.safetensors").write_bytes(pickle.dumps({CONST: [1.0] * 100})),
            "weights.safetensors is damaged",
        ),
        (lambda f: torch.save({"a": torch.ones(99)}, f / "weights.safetensors"), "weights.safetensors is damaged"),
        (lambda f: edit_weights(f, lambda w: w.pop(CONST)), f"weight {CONST} is missing"),
        (lambda f: edit_weights(f, lambda w: w.update({CONST: torch.ones(2)})), r"const has shape \[2\]"),
        (lambda f: edit_weights(f, lambda w: w[CONST].fill_(torch.nan)), f"weight {CONST} is not finite"),
        (lambda f: edit_weights(f, lambda w: w["encoder.out.bias"].fill_(torch.inf)), "is not finite"),
        (lambda f: edit_weights(f, lambda w: w.update({CONST: w[CONST].to(torch.int64)})), f"{CONST} is of type"),
        (lambda f: edit_weights(f, lambda w: w.pop("space.mean")), "space.mean is missing"),
        (lambda f: edit_weights(f, lambda w: w.update({"space.std": torch.ones(3)})), r"space.std has shape \[3\]"),
        (lambda f: edit_weights(f, lambda w: w["space.maximum"].fill_(torch.nan)), "space.maximum"),
        (lambda f: edit_weights(f, lambda w: w.update({"space.std": torch.ones(50).half()})), "space.std is of type"),
        (lambda f: (f / "snapshot.json").write_text("{"), "snapshot.json cannot be read"),
        (lambda f: (f / "snapshot.json").write_text("[" * 100_000), "snapshot.json cannot be read"),
        (lambda f: (f / "snapshot.json").write_bytes(b"\xff\xfe"), "snapshot.json cannot be read"),
        (lambda f: (f / "snapshot.json").write_text("[]"), "does not describe a stylex snapshot"),
        (lambda f: (f / "snapshot.json").write_text('{"name": "other"}'), "does not describe a stylex snapshot"),
        (lambda f: edit(f, lambda d: d.update(version=2)), "has version 2, this stylex reads 1"),
        (lambda f: edit(f, lambda d: d.pop("version")), "has version None"),
        (lambda f: edit(f, lambda d: d.pop("generator")), "generator is missing"),
        (lambda f: edit(f, lambda d: d.pop("figures")), "figures is missing"),
        (lambda f: edit(f, lambda d: d.update(generator=3)), "generator is of type int"),
        (lambda f: edit(f, lambda d: d.update(nimg="many")), "nimg"),
        (lambda f: edit(f, lambda d: d.update(classifier=[1])), "classifier"),
        (lambda f: edit(f, lambda d: d.update(figures={"kl": "low"})), "figures"),
        (lambda f: edit(f, lambda d: d["generator"].update(depth=3)), "depth"),
        (lambda f: edit(f, lambda d: d["generator"].update(resolution=24)), "power of two"),
        (lambda f: edit(f, lambda d: d["generator"].update(resolution="16")), "resolution is '16', expected int"),
        (lambda f: edit(f, lambda d: d["generator"].update(widths=[8, 6, 0])), "positive"),
        (lambda f: edit(f, lambda d: d["generator"].update(w_dim=-1)), "w_dim is -1"),
        (lambda f: edit(f, lambda d: d["encoder"].update(w_dim=2**16)), "must lie in"),
        (lambda f: edit(f, lambda d: d["encoder"].update(w_dim=2**13)), "has shape"),
        (lambda f: edit(f, lambda d: d["encoder"].update(w_dim=8)), "has shape"),
        (lambda f: edit(f, lambda d: d["encoder"].update(w_dim=10**13)), "w_dim is 10000000000000"),
        (lambda f: edit(f, lambda d: d["generator"].update(channels=2)), "channels is 2"),
        (lambda f: edit(f, lambda d: d["discriminator"].update(group_size=0)), "group_size is 0"),
        (lambda f: edit(f, lambda d: d["discriminator"].pop("c_dim")), "c_dim is missing"),
        (lambda f: edit(f, lambda d: d["generator"].update(c_dim=True)), "c_dim is True"),
        (lambda f: edit(f, lambda d: d["generator"].update(class_layers=[])), r"class_layers is \[\]"),
        (lambda f: edit(f, lambda d: d["generator"].update(mapping_layers=65536)), "more layers than weights"),
        (lambda f: edit(f, lambda d: d["discriminator"].update(mapping_layers=65536)), "more layers than weights"),
        (lambda f: edit(f, lambda d: d["generator"].update(mapping_layers=10**400)), "more layers than weights"),
        (lambda f: edit(f, lambda d: d.update(nimg=10**400)), "nimg is beyond"),
        (lambda f: edit(f, lambda d: d.update(figures={"kl": 10**400})), "figures are not numbers"),
        (lambda f: replaced(f / "snapshot.json", "pipe"), "snapshot.json"),
        (lambda f: replaced(f / "snapshot.json", "/dev/zero"), "snapshot.json"),
        (lambda f: replaced(f / "snapshot.json", "snapshot.json"), "snapshot.json"),
        (lambda f: replaced(f / "weights.safetensors", "pipe"), "weights.safetensors is damaged"),
        (lambda f: replaced(f / "weights.safetensors", "/dev/zero"), "weights.safetensors is damaged"),
        (lambda f: replaced(f / "weights.safetensors", "weights.safetensors"), "weights.safetensors is damaged"),
        (lambda f: edit(f, lambda d: d.update(classifier_answers=[3])), "classifier_answers are not rows"),
        (lambda f: edit(f, lambda d: d.update(classifier_answers=[[1, True]])), "classifier_answers are not rows"),
        (lambda f: edit(f, lambda d: d.update(classifier_answers=[[10**400]])), "classifier_answers are not rows"),
        (lambda f: edit(f, lambda d: d.update(classifier_answers=[[1], [1, 2]])), "of different lengths"),
        (lambda f: edit(f, lambda d: d.update(space=[])), "not its generator's"),
        (lambda f: edit(f, lambda d: d["space"].reverse()), "not its generator's"),
        (lambda f: edit(f, lambda d: d["space"][0].update(name="b4.conv9")), "not its generator's"),
        (lambda f: edit(f, lambda d: d["space"][0].pop("kind")), "not its generator's"),
    ],
)
def test_every_damage_is_one_line_with_a_remedy(folder: Path, damage: Callable[[Path], object], says: str) -> None:
    damage(folder)
    with pytest.raises(SnapshotError, match=says) as caught:
        load_snapshot(folder)
    message = str(caught.value)
    assert "\n" not in message
    assert str(folder) in message
    assert len(message) < 500
    assert any(word in message for word in ("copy", "use ", "give ")), "the remedy"


def test_latents_come_back_in_half_precision(tmp_path: Path, networks: Networks) -> None:
    latents = np.random.default_rng(0).normal(size=(20, 7)).astype(np.float32)
    snapshot = load_snapshot(write(tmp_path / "kept", networks, latents=latents))
    assert snapshot.latents is not None
    np.testing.assert_allclose(snapshot.latents, latents, rtol=1e-3, atol=1e-6)
    assert load_snapshot(write(tmp_path / "none", networks)).latents is None


@pytest.mark.parametrize("wrong", [torch.zeros(3, 6).half(), torch.zeros(3, 7), torch.full((3, 7), torch.nan).half()])
def test_foreign_latents_are_refused(tmp_path: Path, networks: Networks, wrong: Tensor) -> None:
    folder = write(tmp_path / "run", networks, latents=np.zeros((3, 7), np.float32))
    path = folder / "weights.safetensors"
    save_file(load_file(path) | {"latents": wrong}, path)
    with pytest.raises(SnapshotError, match=r"its latents are .* expected finite float16"):
        load_snapshot(folder)
