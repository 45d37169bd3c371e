"""Adaptations: what learns and what stays, that they go on where they were cut, and what the snapshot holds."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from tests.training.conftest import Stop, cut, different, judge, tiny
from torch import nn

from stylex.classifiers import Classifier
from stylex.core.errors import ConfigError
from stylex.core.progress import Listener, silent
from stylex.data.archive import ImageSet
from stylex.models.discriminator import Discriminator
from stylex.models.domain import read_domain
from stylex.models.snapshot import Snapshot, load_snapshot
from stylex.training.adaptation import (
    RATES,
    Adaptation,
    AdaptConfig,
    training_config,
    what_is_trained,
)
from stylex.training.augment import Augmentation
from stylex.training.config import AugmentConfig
from stylex.training.loop import TrainingTask, train_networks

try:
    Augmentation(AugmentConfig(mode="ada"))  # with which an adaptation learns
except ConfigError as error:
    pytest.skip(str(error), allow_module_level=True)

ADAPT = AdaptConfig(kimg=0.032, encoder_kimg=0.032, block=8)


@pytest.fixture(scope="module")
def source(data: ImageSet, tmp_path_factory: pytest.TempPathFactory) -> Snapshot:
    from tests.training.conftest import run

    out = tmp_path_factory.mktemp("source") / "run"
    run(tiny(model__class_input="none", schedule__reconstruct_first=0.5), data, out)
    return load_snapshot(out)


def adapted(
    source: Snapshot,
    data: ImageSet,
    out: Path,
    config: AdaptConfig = ADAPT,
    *,
    classifier: Classifier | None = None,
    listener: Listener = silent,
) -> Snapshot:
    """Adapt in ``out``, reporting every 16 images."""
    start = Adaptation.planned(source, config)
    options = training_config(source, config)
    options = replace(options, schedule=replace(options.schedule, tick_nimg=16, snapshot_nimg=10**6))
    train_networks(
        TrainingTask(
            config=options,
            images=data.split("train"),
            held_out=data.split("test"),
            classifier=classifier or judge(),
            identity={"options": options.to_json(), "adaptation": start.to_json()},
            classifier_reference=None,
            classifier_fingerprint="judge",
            start=start,
        ),
        out=out,
        draw_panel=lambda panel: b"a panel",
        first_snapshot_s=math.inf,
        listener=listener,
    )
    return load_snapshot(out)


def changed(one: nn.Module, other: nn.Module) -> set[str]:
    """Which weights differ."""
    theirs = other.state_dict()
    return {name for name, value in one.state_dict().items() if not torch.equal(value, theirs[name])}


def test_the_snapshot_is_its_parent_and_the_vector_beside_it(source: Snapshot, data: ImageSet, tmp_path: Path) -> None:
    after = adapted(source, data, tmp_path / "a")
    vector = read_domain(after.path)
    assert vector.record["method"] == "affine+"
    assert vector.record["parent"] == source.sha256
    assert changed(vector.added_to(source.generator), after.generator) == set()
    names = changed(source.generator, after.generator)
    assert names
    assert all(".affine." in name or name.startswith("synthesis.layers.b8_") for name in names)
    assert not any(name.startswith("mapping.") for name in names)
    assert changed(source.discriminator, after.discriminator)


def test_cut_off_it_goes_on_as_if_it_had_not_been(source: Snapshot, data: ImageSet, tmp_path: Path) -> None:
    whole = adapted(source, data, tmp_path / "whole")
    for after in (1, 2):  # while the generator learns, and the encoder
        with pytest.raises(Stop):
            adapted(source, data, tmp_path / f"cut{after}", listener=cut(after=after))
        assert not any((tmp_path / f"cut{after}" / "snapshots").iterdir())
        again = adapted(source, data, tmp_path / f"cut{after}")
        assert different(tmp_path / "whole", tmp_path / f"cut{after}") == []
        assert again.sha256 == whole.sha256


def test_another_adaptation_does_not_go_on_with_it(source: Snapshot, data: ImageSet, tmp_path: Path) -> None:
    with pytest.raises(Stop):
        adapted(source, data, tmp_path / "a", listener=cut(after=1))
    with pytest.raises(ConfigError, match="method was affine"):
        adapted(source, data, tmp_path / "a", replace(ADAPT, method="affine", lr=RATES["affine+"]))


def test_the_encoder_is_kept_or_learns_after_the_generator(source: Snapshot, data: ImageSet, tmp_path: Path) -> None:
    kept = adapted(source, data, tmp_path / "kept", replace(ADAPT, encoder_kimg=0))
    assert changed(source.encoder, kept.encoder) == set()
    assert changed(source.encoder, adapted(source, data, tmp_path / "fitted").encoder)


def test_sparse_keeps_a_fifth_of_the_vector_in_the_network(source: Snapshot, data: ImageSet, tmp_path: Path) -> None:
    after = adapted(source, data, tmp_path / "a", replace(ADAPT, method="stylespace-sparse"))
    styles = sum(layer.channels for layer in source.space.layers if layer.kind == "conv")
    assert read_domain(after.path).size == round(0.2 * styles)
    w = torch.from_numpy(np.zeros((1, source.generator.config.w_dim), np.float32))
    moved = after.generator.synthesis.styles(w) - source.generator.synthesis.styles(w)
    assert int((moved.abs() > 1e-7).sum()) <= round(0.2 * styles)


def test_a_classifier_of_other_classes_may_be_explained_there(source: Snapshot, data: ImageSet, tmp_path: Path) -> None:
    after = adapted(source, data, tmp_path / "a", classifier=judge(3))
    assert after.classifier["labels"] == ["small", "large", "huge"]
    assert changed(source.generator, after.generator)


def test_latents_are_the_encoders_unless_the_run_learnt_from_noise_alone(
    data: ImageSet, tmp_path: Path, trained: Callable[..., Path]
) -> None:
    noise = load_snapshot(trained("noise", schedule__reconstruct_first=0.0, schedule__noise_every=1))
    assert Adaptation.planned(noise, ADAPT).axes is None
    rebuilt = load_snapshot(trained(schedule__reconstruct_first=0.5))
    start = Adaptation.planned(rebuilt, ADAPT)
    assert start.axes is not None
    assert rebuilt.latents is not None
    z = torch.randn(4000, rebuilt.generator.config.z_dim, generator=torch.Generator().manual_seed(0))
    w = start.latents_of(rebuilt.generator.mapping, z).numpy()
    deviation = rebuilt.latents.std(axis=0, ddof=1)
    np.testing.assert_allclose(w.mean(axis=0), rebuilt.latents.mean(axis=0), atol=0.1 * deviation.max())
    np.testing.assert_allclose(w.std(axis=0), deviation, rtol=0.1, atol=0.02 * deviation.max())
    assert Adaptation.planned(rebuilt, replace(ADAPT, latents="mapping")).axes is None
    # What was adapted where the encoder's latents lie is not taken for what learnt from noise alone.
    again = adapted(rebuilt, data, tmp_path / "a", replace(ADAPT, encoder_kimg=0))
    assert Adaptation.planned(again, ADAPT).axes is not None
    with pytest.raises(ConfigError, match="the mapping network is to be trained"):
        Adaptation.planned(rebuilt, replace(ADAPT, latents="encoder", method="mapping"))


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"kimg": 0}, "kimg is 0"),
        ({"encoder_kimg": -1}, "encoder_kimg is -1"),
        ({"lr": math.nan}, "lr is nan"),
        ({"keep": 0}, "keep is 0"),
        ({"keep": 0.5, "method": "affinelight+"}, "cannot be pruned"),
    ],
)
def test_settings_that_cannot_be_meant(change: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        AdaptConfig(**change)


def test_what_is_trained_is_said_with_its_number(source: Snapshot) -> None:
    styles = sum(layer.channels for layer in source.space.layers if layer.kind == "conv")
    config = replace(ADAPT, method="stylespace-sparse", encoder_kimg=0)
    said = what_is_trained(Adaptation.planned(source, config), config)
    assert f"trains {styles} parameters" in said
    assert "20% are kept" in said
    assert said.endswith("the encoder is kept")


def test_pictures_are_judged_with_the_answers_that_real_images_get(
    source: Snapshot, data: ImageSet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Their own answers, still those of the run's domain, would give them away whatever they look like."""
    given: list[torch.Tensor | None] = []
    forward = Discriminator.forward

    def heard(self: Discriminator, x: torch.Tensor, c: torch.Tensor | None = None) -> torch.Tensor:
        given.append(c)
        return forward(self, x, c)

    monkeypatch.setattr(Discriminator, "forward", heard)
    adapted(source, data, tmp_path / "a", replace(ADAPT, kimg=0.008, encoder_kimg=0))
    real, *others = given
    assert len(others) >= 2  # of pictures, when the discriminator learns and when the generator does
    assert all(c is not None and real is not None and torch.equal(c, real) for c in others)
