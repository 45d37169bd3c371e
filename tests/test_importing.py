"""Somebody's StyleGAN2 at the door: imported, given an encoder, searched; and written for elsewhere."""

from __future__ import annotations

import os
import pickle
from pathlib import Path
from typing import Any

import pytest
import torch
from tests.models.layouts import ada_checkpoint
from tests.training.conftest import discs

import stylex
from stylex.cli import main
from stylex.core.errors import StylexError
from stylex.models.config import DiscriminatorConfig, GeneratorConfig
from stylex.models.discriminator import Discriminator
from stylex.models.generator import Generator

pytestmark = pytest.mark.integration


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Discs, a classifier of them, a checkpoint, and the run that was made of it."""
    root = tmp_path_factory.mktemp("importing")
    discs(root / "discs.zip")
    discs(root / "coloured.zip", channels=3)
    stylex.fit_classifier(root / "discs.zip", root / "classifier", epochs=1)
    torch.manual_seed(0)
    shape: dict[str, Any] = {"resolution": 16, "channels": 1, "widths": (12, 8, 6), "c_dim": 0}
    generator = Generator(GeneratorConfig(**shape, z_dim=6, w_dim=10, mapping_layers=2))
    discriminator = Discriminator(DiscriminatorConfig(**shape, mapping_layers=1))
    (root / "theirs.pkl").write_bytes(ada_checkpoint(generator, discriminator))
    assert main(["import", "stylegan2", str(root / "theirs.pkl"), *given(root), "--out", str(root / "mine")]) == 0
    return root


def given(place: Path) -> list[str]:
    return ["--data", str(place / "discs.zip"), "--classifier", str(place / "classifier")]


def test_from_a_checkpoint_to_attributes(place: Path, tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    freeze = ["--generator", str(place / "mine"), "--freeze", "generator"]
    fitted, tuned = tmp_path / "fitted", tmp_path / "tuned"
    short = ["--preset", "tiny-16", "--kimg", "0.064"]
    assert main(["train", *given(place), *freeze, *short, "--out", str(fitted)]) == 0
    theirs, ours = (stylex.load_snapshot(run) for run in (place / "mine", fitted))
    z = torch.randn(4, 6)
    assert torch.equal(
        *(s.generator.synthesis(s.generator.synthesis.styles(s.generator.mapping(z))) for s in (theirs, ours))
    )
    found = stylex.find(fitted, data=place / "discs.zip", out=tmp_path / "found", images=8, attributes=2)
    assert found.labels == ("small", "large")
    assert stylex.open_studio(fitted, data=place / "discs.zip") is not None
    assert main(["train", *given(place), "--generator", str(fitted), *short, "--out", str(tuned)]) == 0
    assert stylex.load_snapshot(tuned).generator.config == theirs.generator.config
    capsys.readouterr()


def test_what_is_said_of_an_import(place: Path, tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    command = ["import", "stylegan2", str(place / "theirs.pkl"), *given(place), "--out"]
    assert main([*command, str(tmp_path / "again")]) == 0
    said = capsys.readouterr()
    assert "stylegan2-ada-pytorch, 16 px, 1 channel(s), widths 12, 8, 6, z 6, w 10" in said.err
    assert "of which nothing was run" in said.err
    assert "of 512 pictures that it draws, the classifier calls" in said.err
    assert f"next: stylex train --generator {tmp_path / 'again'} --freeze generator" in said.out
    snapshot = stylex.load_snapshot(tmp_path / "again")
    assert (snapshot.path / "panel.png").read_bytes()[:4] == b"\x89PNG"
    assert snapshot.latents is not None
    assert snapshot.latents.shape == (2048, 10)
    assert main([*command, str(tmp_path / "again")]) == 2
    assert "exists already" in capsys.readouterr().err


def test_a_generator_without_an_encoder_says_what_to_do(place: Path, tmp_path: Path) -> None:
    for verb in (stylex.find, stylex.evaluate, stylex.adapt):
        with pytest.raises(StylexError, match=r"without an encoder; train one with generator=.*freeze='generator'"):
            verb(place / "mine", data=place / "discs.zip", out=tmp_path / "out")
    assert not (tmp_path / "out").exists()
    stylex.morph(place / "mine", str(place / "mine"), out=tmp_path / "new.png", images=2, frames=2)
    with pytest.raises(StylexError, match="without an encoder"):
        stylex.morph(place / "mine", str(place / "mine"), out=tmp_path / "m.png", data=place / "discs.zip")


def test_what_cannot_be_imported_is_refused_in_one_line(
    place: Path, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    class Runs:
        def __reduce__(self) -> Any:
            return os.system, (f"touch {tmp_path / 'marker'}",)

    (tmp_path / "evil.pkl").write_bytes(pickle.dumps({"G_ema": Runs()}))
    (tmp_path / "cut.pkl").write_bytes((place / "theirs.pkl").read_bytes()[:1000])
    coloured = ["--data", str(place / "coloured.zip"), "--classifier", str(place / "classifier")]
    small: dict[str, Any] = {"resolution": 8, "channels": 1, "widths": (4, 4), "c_dim": 0}
    networks = (
        Generator(GeneratorConfig(**small, z_dim=6, w_dim=10, mapping_layers=2)),
        Discriminator(DiscriminatorConfig(**small, mapping_layers=1)),
    )
    (tmp_path / "small.pkl").write_bytes(ada_checkpoint(*networks))
    for kind, file, with_, says in (
        ("stylegan2", tmp_path / "small.pkl", given(place), "draws 8 px; archives hold images of 16 to 256 px"),
        ("stylegan2", tmp_path / "evil.pkl", given(place), "nothing of it was run"),
        ("stylegan2", tmp_path / "cut.pkl", given(place), "cut short"),
        ("stylegan2", tmp_path / "none.pkl", given(place), "cannot be read"),
        ("stylegan2", place / "theirs.pkl", coloured, "--resolution 16 and --channels 1"),
        ("stylegan2", place / "theirs.pkl", [*given(place)[:2], "--classifier", str(tmp_path / "no")], "no"),
        ("diffusion", place / "theirs.pkl", given(place), "expected stylegan2"),
    ):
        assert main(["import", kind, str(file), *with_, "--out", str(tmp_path / "out")]) == 2
        said = capsys.readouterr().err
        assert says in said
        assert len(said.strip().splitlines()) == 1
        assert not (tmp_path / "out").exists()
    assert not (tmp_path / "marker").exists()


def test_freezing_needs_a_generator(place: Path, tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    assert main(["train", *given(place), "--freeze", "generator", "--out", str(tmp_path / "run")]) == 2
    assert "--freeze generator needs a --generator" in capsys.readouterr().err
    coloured = ["--data", str(place / "coloured.zip"), "--classifier", str(place / "classifier")]
    assert main(["train", *coloured, "--generator", str(place / "mine"), "--out", str(tmp_path / "run")]) == 2
    assert not (tmp_path / "run").exists()


def test_out_and_in_again_draws_the_same(place: Path, tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    file = tmp_path / "ours.pt"
    assert main(["export", str(place / "mine"), "--to", "rosinality", "--out", str(file)]) == 0
    assert torch.load(file, weights_only=True).keys() == {"g_ema", "g", "d", "latent_avg"}
    assert main(["export", str(place / "mine"), "--to", "rosinality", "--out", str(file)]) == 2
    assert "--overwrite" in capsys.readouterr().err
    assert main(["import", "stylegan2", str(file), *given(place), "--out", str(tmp_path / "again")]) == 0
    first, again = (stylex.load_snapshot(run) for run in (place / "mine", tmp_path / "again"))
    for name in ("generator", "discriminator"):
        states = [getattr(s, name).state_dict() for s in (first, again)]
        assert states[0].keys() == states[1].keys()
        assert all(torch.equal(states[0][key], states[1][key]) for key in states[0])
    assert main(["export", str(place / "mine"), "--to", "keras", "--out", str(tmp_path / "x")]) == 2
