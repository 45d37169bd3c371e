"""Trainings that begin with a given generator: what stays to the last bit, what learns, and that they go on."""

from __future__ import annotations

import dataclasses
import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from tests.training.conftest import Stop, cut, different, judge, run, tiny

from stylex.core.errors import ConfigError
from stylex.core.progress import Listener, silent
from stylex.data.archive import ImageSet
from stylex.models.config import Freeze
from stylex.models.snapshot import IMPORTED, Snapshot, load_snapshot
from stylex.training.config import TrainConfig
from stylex.training.loop import Networks, TrainingTask, train_networks
from stylex.training.start import GivenGenerator


@pytest.fixture(scope="module")
def source(data: ImageSet, tmp_path_factory: pytest.TempPathFactory) -> Snapshot:
    out = tmp_path_factory.mktemp("source") / "run"
    run(tiny(model__class_input="none", model__conditional_discriminator=False), data, out)
    return load_snapshot(out)


def given(source: Snapshot, freeze: Freeze, *, imported: bool = False, **changes: Any) -> GivenGenerator:
    training = {IMPORTED: {}} if imported else source.training
    return GivenGenerator(snapshot=replace(source, training=training, **changes), freeze=freeze)


def trained(
    start: GivenGenerator, data: ImageSet, out: Path, *, listener: Listener = silent, **changes: Any
) -> Snapshot:
    options = start.settings(tiny(**changes), channels=1, k=2)
    train_networks(
        TrainingTask(
            config=options,
            images=data.split("train"),
            held_out=data.split("test"),
            classifier=judge(),
            identity={"options": options.to_json(), "generator": start.to_json()},
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


def weights(network: torch.nn.Module) -> list[torch.Tensor]:
    return list(network.state_dict().values())


def test_a_frozen_generator_stays_to_the_last_bit(source: Snapshot, data: ImageSet, tmp_path: Path) -> None:
    start = given(source, "generator", imported=True)
    done = trained(start, data, tmp_path / "run")
    assert all(map(torch.equal, weights(done.generator), weights(source.generator)))
    assert all(map(torch.equal, weights(done.discriminator), weights(source.discriminator)))
    assert not all(map(torch.equal, weights(done.encoder), weights(source.encoder)))
    assert TrainConfig.from_json(done.training).schedule.encoder_after == 1
    assert done.has_encoder
    assert not start.snapshot.has_encoder


def test_a_new_encoder_begins_where_the_mapping_networks_latents_lie(source: Snapshot, data: ImageSet) -> None:
    start = given(source, "generator", imported=True)
    options = start.settings(tiny(), channels=1, k=2)
    nets = Networks.build(options, 1, 2, start)
    with torch.no_grad():
        x = data.batch(range(40))
        w, drawn = nets.encoder(x), source.generator.mapping(torch.randn(2_000, options.model.z_dim))
    assert (w.mean(dim=0) - drawn.mean(dim=0)).abs().max() < 3 * drawn.std(dim=0).max()
    fresh = Networks.build(options, 1, 2)
    assert (drawn.mean(dim=0) - w.mean(dim=0)).norm() < (drawn.mean(dim=0) - fresh.encoder(x).mean(dim=0)).norm()


def test_an_encoder_that_is_there_is_gone_on_with(source: Snapshot) -> None:
    for freeze in ("generator", "nothing"):
        start = given(source, freeze)
        nets = Networks.build(start.settings(tiny(), channels=1, k=2), 1, 2, start)
        assert all(map(torch.equal, weights(nets.encoder), weights(source.encoder)))
        other = start.settings(tiny(model__encoder_widths=(4, 4, 4)), channels=1, k=2)
        assert Networks.build(other, 1, 2, start).encoder.config.widths == (4, 4, 4)


def test_without_freezing_both_learn(source: Snapshot, data: ImageSet, tmp_path: Path) -> None:
    done = trained(given(source, "nothing"), data, tmp_path / "run", schedule__reconstruct_first=0.5)
    for network in ("generator", "encoder", "discriminator"):
        assert not all(map(torch.equal, weights(getattr(done, network)), weights(getattr(source, network))))


def test_a_training_that_was_cut_goes_on_to_the_last_bit(source: Snapshot, data: ImageSet, tmp_path: Path) -> None:
    start = given(source, "generator", imported=True)
    trained(start, data, tmp_path / "whole")
    with pytest.raises(Stop):
        trained(start, data, tmp_path / "cut", listener=cut(after=1))
    trained(start, data, tmp_path / "cut")
    assert different(tmp_path / "whole", tmp_path / "cut") == []


def test_it_does_not_go_on_with_another_generator_or_unfrozen(source: Snapshot, data: ImageSet, tmp_path: Path) -> None:
    trained(given(source, "generator"), data, tmp_path / "run")
    for other in (given(source, "generator", sha256="0"), given(source, "nothing")):
        with pytest.raises(ConfigError, match="other options"):
            trained(other, data, tmp_path / "run")


def test_shapes_are_the_given_networks_and_the_rest_stays(source: Snapshot) -> None:
    config = tiny(loss__swap=0.0, schedule__kimg=3.0)
    wide = given(source, "generator").settings(config, channels=1, k=2)
    assert wide.model.generator(1, 2) == source.generator.config
    assert wide.model.discriminator(1, 2) == source.discriminator.config
    assert wide.schedule.kimg == 3
    tuned = given(source, "nothing").settings(config, channels=1, k=2)
    assert tuned.schedule == config.schedule
    assert TrainConfig.from_json(tuned.to_json()) == tuned


def test_what_does_not_fit_is_said(source: Snapshot) -> None:
    start = given(source, "generator")
    with pytest.raises(ConfigError, match=r"draws 16 px with 1 channel.*resolution=16 and channels=1"):
        start.settings(tiny(), channels=3, k=2)
    told = dataclasses.replace(source.generator.config, c_dim=3)
    source.generator.config = told
    try:
        with pytest.raises(ConfigError, match="told 3 answers of its classifier, this one gives 2"):
            start.settings(tiny(), channels=1, k=2)
    finally:
        source.generator.config = dataclasses.replace(told, c_dim=0)
