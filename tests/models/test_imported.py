"""A generator from elsewhere, opened: whichever program wrote it, it draws what it drew there."""

from __future__ import annotations

import json
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save
from tests.models.layouts import ada_checkpoint, ada_network, ada_pickle, ada_state, legacy, zipped
from torch import Tensor

from stylex.core.errors import SnapshotError
from stylex.core.stylespace import StyleStatistics
from stylex.models.config import EncoderConfig, GeneratorConfig
from stylex.models.discriminator import Discriminator
from stylex.models.encoder import Encoder
from stylex.models.generator import Generator
from stylex.models.imported import Imported, read_stylegan2
from stylex.models.rosinality import to_rosinality
from stylex.models.snapshot import SnapshotNetworks, SnapshotRecord, save_snapshot

Plain = tuple[Generator, Discriminator]


def written(path: Path, data: bytes) -> Path:
    path.write_bytes(data)
    return path


def same(ours: Imported, theirs: Plain) -> None:
    generator, discriminator = theirs
    z, x = torch.randn(2, generator.config.z_dim), torch.randn(4, 3, 16, 16)
    assert torch.equal(ours.generator.mapping(z), generator.mapping(z))
    s = generator.synthesis.styles(generator.mapping(z))
    for noise in ("const", "none"):
        torch.testing.assert_close(ours.generator.synthesis(s, noise=noise), generator.synthesis(s, noise=noise))
    assert torch.equal(ours.generator.mapping.w_avg, generator.mapping.w_avg)
    assert ours.discriminator is not None
    torch.testing.assert_close(ours.discriminator(x), discriminator(x))
    assert not ours.generator.training
    assert not any(p.requires_grad for p in ours.generator.parameters())


def test_each_layout_in_each_container(plain: Plain, tmp_path: Path) -> None:
    rosinality = to_rosinality(*plain)
    ada = {f"G_ema.{k}": v for k, v in ada_state(plain[0]).items()} | {
        f"D.{k}": v for k, v in ada_state(plain[1]).items()
    }
    flat = {f"g_ema.{k}": v for k, v in rosinality["g_ema"].items()} | {f"d.{k}": v for k, v in rosinality["d"].items()}
    for name, data in {
        "a.pkl": ada_checkpoint(*plain),
        "a.pt": zipped(rosinality),
        "old.pt": legacy(rosinality),
        "a.safetensors": save({k: v.contiguous() for k, v in ada.items()}),
        "b.safetensors": save(flat | {"latent_avg": rosinality["latent_avg"]}),
    }.items():
        same(read_stylegan2(written(tmp_path / name, data)), plain)


def test_code_that_a_file_brings_along_is_named_and_not_run(plain: Plain, tmp_path: Path) -> None:
    networks = read_stylegan2(written(tmp_path / "a.pkl", ada_checkpoint(*plain)))
    assert networks.layout == "stylegan2-ada-pytorch"
    assert any("of which nothing was run" in remark for remark in networks.remarks)


def test_a_mapping_network_of_another_scale_computes_the_same(plain: Plain, tmp_path: Path) -> None:
    state = ada_state(plain[0])
    scaled = {k: v / 10 if k.startswith("mapping.fc") else v for k, v in state.items()}
    gains = {f"mapping.fc{i}.bias_gain": 0.1 for i in range(2)}
    path = written(tmp_path / "a.pkl", ada_pickle({"G_ema": ada_network(scaled, gains)}))
    z = torch.randn(2, 5)
    ours = read_stylegan2(path).generator
    assert ours.config == plain[0].config
    torch.testing.assert_close(ours.mapping(z), plain[0].mapping(z))
    mixed = ada_pickle({"G_ema": ada_network(scaled, {**gains, "mapping.fc0.bias_gain": 0.01})})
    with pytest.raises(SnapshotError, match="scaled in 2 ways"):
        read_stylegan2(written(tmp_path / "b.pkl", mixed))


def test_numbers_that_change_what_is_computed(plain: Plain, tmp_path: Path) -> None:
    g = ada_network(ada_state(plain[0]), {"synthesis.b8.conv0.conv_clamp": 256})
    state = {**ada_state(plain[1]), "b4.mbstd.resample_filter": ada_state(plain[1])["b8.resample_filter"]}
    d = ada_network(state, {"b4.mbstd.group_size": 2})
    whole: dict[str, Any] = {"G_ema": g, "D": d}
    networks = read_stylegan2(written(tmp_path / "a.pkl", ada_pickle(whole)))
    assert any("cuts features at 256" in remark for remark in networks.remarks)
    assert networks.discriminator is not None
    assert networks.discriminator.config.group_size == 2


def test_a_generator_alone_begins_with_a_new_discriminator(plain: Plain, tmp_path: Path) -> None:
    for name, whole in (("g", {"g": to_rosinality(*plain)["g"]}), ("bare", to_rosinality(*plain)["g"])):
        networks = read_stylegan2(written(tmp_path / f"{name}.pt", zipped(whole)))
        assert networks.discriminator is None
        assert any("a new one begins" in remark for remark in networks.remarks)
    broken = to_rosinality(*plain)
    broken["d"].pop("final_conv.0.weight")
    networks = read_stylegan2(written(tmp_path / "broken.pt", zipped(broken)))
    assert networks.discriminator is None
    assert any("cannot be used" in remark for remark in networks.remarks)


def test_a_generator_of_classes_is_refused(plain: Plain, tmp_path: Path) -> None:
    config = plain[0].config
    told = Generator(
        GeneratorConfig(
            resolution=16, channels=3, widths=config.widths, z_dim=5, w_dim=7, c_dim=3, mapping_layers=2,
            mapping_conditional=True, style_conditional=False,
        )
    )  # fmt: skip
    path = written(tmp_path / "a.pkl", ada_pickle({"G_ema": ada_network(ada_state(told), {})}))
    with pytest.raises(SnapshotError, match="one of 3 classes"):
        read_stylegan2(path)


def test_files_without_a_generator(plain: Plain, tmp_path: Path) -> None:
    nan = ada_state(plain[0])
    nan["synthesis.b8.conv0.weight"].fill_(torch.nan)
    short = {k: v for k, v in ada_state(plain[0]).items() if "b8.conv0" not in k}
    filtered = {**ada_state(plain[0]), "synthesis.b8.resample_filter": torch.ones(4, 4) / 16}
    for whole, says in (
        ({"a": 1}, "no generator of StyleGAN2 .found no tensors"),
        ({"g_ema": {"conv.weight": torch.zeros(1)}}, "found g_ema.conv.weight"),
        ({"G_ema": ada_network(nan, {})}, "not finite"),
        ({"G_ema": ada_network(short, {})}, "missing"),
        ({"G_ema": ada_network(filtered, {})}, "another filter"),
        ({"G_ema": ada_network({k: v.half() for k, v in ada_state(plain[0]).items()}, {})}, "float16"),
    ):
        with pytest.raises(SnapshotError, match=says) as caught:
            read_stylegan2(written(tmp_path / "a.pkl", ada_pickle(whole)))
        assert "\n" not in str(caught.value)
    with pytest.raises(SnapshotError, match="cannot be imported"):
        read_stylegan2(written(tmp_path / "b.pkl", pickle.dumps(Path("a"))))


def snapshot(folder: Path, generator: Generator, discriminator: Discriminator) -> Path:
    config = generator.config
    maps = generator.config.map_resolutions
    encoder = Encoder(EncoderConfig(resolution=16, channels=3, widths=(4, 4, 4), w_dim=7, map_resolutions=maps))
    length = generator.synthesis.space.s_dim
    style = np.random.default_rng(0).normal(size=(9, length)).astype(np.float32)
    save_snapshot(
        folder,
        SnapshotNetworks(
            generator=generator, encoder=encoder, discriminator=discriminator, statistics=StyleStatistics.observe(style)
        ),
        SnapshotRecord(
            classifier={"labels": ["a", "b"][: config.c_dim or 2]}, classifier_reference=None,
            classifier_fingerprint="0", nimg=8, training={}, figures={},
        ),
    )  # fmt: skip
    return folder


def test_our_own_snapshots(plain: Plain, generator: Generator, discriminator: Discriminator, tmp_path: Path) -> None:
    folder = snapshot(tmp_path / "run" / "snapshots" / "000000008", *plain)
    for path in (tmp_path / "run", folder, folder / "weights.safetensors"):
        same(read_stylegan2(path), plain)
    told = read_stylegan2(snapshot(tmp_path / "told", plain[0], discriminator))
    assert told.discriminator is None
    with pytest.raises(SnapshotError, match="told its classifier's answer"):
        read_stylegan2(snapshot(tmp_path / "c", generator, discriminator))


def test_a_snapshots_weights_alone_are_no_checkpoint(plain: Plain, tmp_path: Path) -> None:
    folder = snapshot(tmp_path / "s", *plain)
    (folder / "snapshot.json").rename(tmp_path / "snapshot.json")
    assert json.loads((tmp_path / "snapshot.json").read_text())["nimg"] == 8
    with pytest.raises(SnapshotError, match="no generator of StyleGAN2"):
        read_stylegan2(folder / "weights.safetensors")


def test_tensors_are_not_shared_with_the_file(plain: Plain, tmp_path: Path) -> None:
    """One storage behind two names: tuning the one network must not move the other."""
    state: dict[str, Tensor] = to_rosinality(*plain)["g_ema"]
    shared = zipped({"g_ema": state, "g": state})
    networks = read_stylegan2(written(tmp_path / "a.pt", shared))
    places = [p.data_ptr() for p in networks.generator.parameters()]
    assert len(set(places)) == len(places)
