"""Laws of the settings of a training."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from stylex.core.errors import ConfigError
from stylex.training.config import PRESETS, TrainConfig, preset, preset_for, resolved


@pytest.mark.parametrize("name", PRESETS)
def test_presets_are_whole_and_survive_json(name: str) -> None:
    config = preset(name)
    assert TrainConfig.from_json(json.loads(json.dumps(config.to_json()))) == config
    assert name.endswith(f"-{config.model.resolution}")
    assert config.schedule.total_nimg % config.schedule.batch == 0
    config.model.generator(3, 5), config.model.discriminator(3, 5), config.model.encoder(3, 5)


def test_no_such_preset() -> None:
    with pytest.raises(
        ConfigError, match="no preset 'huge'; the presets are tiny-16, small-32, medium-64, large-128, paper-256"
    ):
        preset("huge")


def test_each_resolution_has_its_preset() -> None:
    for config in PRESETS.values():
        assert preset(preset_for(config.model.resolution)).model.resolution == config.model.resolution
    with pytest.raises(ConfigError, match=r"no preset is for images of 48 px; the presets are tiny-16 \(16 px\)"):
        preset_for(48)


def test_length_and_seed_go_before_the_preset() -> None:
    config = resolved("tiny-16", None, kimg=1.0, seed=3)
    assert (config.schedule.kimg, config.seed, config.model) == (1.0, 3, PRESETS["tiny-16"].model)
    assert resolved("tiny-16", config, kimg=None, seed=None) == config


@pytest.mark.parametrize(("kimg", "batch", "total"), [(1, 8, 1000), (0.001, 8, 8), (1, 3, 999), (1e-9, 16, 16)])
def test_a_training_is_a_whole_number_of_steps(kimg: float, batch: int, total: int) -> None:
    assert replace(PRESETS["tiny-16"].schedule, kimg=kimg, batch=batch).total_nimg == total


WRONG: dict[str, tuple[dict[str, Any], str]] = {
    "unknown": ({"bogus": 1}, "unknown training option bogus"),
    "unknown in a part": ({"loss": {"bogus": 1}}, "unknown training option loss.bogus"),
    "part is no mapping": ({"loss": 3}, "loss.: expected names with values, got 3"),
    "part is missing": ({"schedule": {}}, "training options schedule.: missing"),
    "text for a number": ({"schedule": {"kimg": "many"}}, "training options schedule."),
    "endless": ({"schedule": {"kimg": float("inf")}}, "schedule.kimg is inf, but must be positive"),
    "not a number": ({"loss": {"pixel": float("nan")}}, "loss.pixel is nan"),
    "negative weight": ({"loss": {"latent_moments": -1}}, "loss.latent_moments is -1, but must be"),
    "never": ({"loss": {"r1_every": 0}}, "loss.r1_every is 0, but must be 1 or more"),
    "perceptual net": (
        {"loss": {"perceptual_net": "vgg"}},
        "'vgg', but must be one of classifier, efficientnet, lpips, multiscale, none",
    ),
    "precision": ({"precision": "fp16"}, "precision is 'fp16', but must be one of auto, bf16, fp32"),
    "rate": ({"optimizer": {"encoder_lr": 0}}, "optimizer.encoder_lr is 0, but must be positive"),
    "moment": ({"optimizer": {"beta2": 1}}, "optimizer.beta2 is 1, but must be 0 or more and below 1"),
    "warm-up": ({"optimizer": {"encoder_warmup_nimg": -5}}, "encoder_warmup_nimg is -5, but must not be negative"),
    "decay": ({"optimizer": {"decay": 2}}, "optimizer.decay is 2, but must lie in 0..1"),
    "share": ({"schedule": {"kimg": 1, "reconstruct_first": 1.5}}, "reconstruct_first is 1.5, but must lie in 0..1"),
    "classifier's share": ({"schedule": {"kimg": 1, "classifier_from": -1}}, "classifier_from is -1, but must lie in"),
    "swap's start": ({"schedule": {"kimg": 1, "swap_from": 2}}, "swap_from is 2, but must lie in"),
    "two shares": ({"schedule": {"kimg": 1, "encoder_after": 0.7}}, "must not exceed 1 together"),
    "class input": ({"model": PRESETS["tiny-16"].model.__dict__ | {"class_input": "some"}}, "one of all, coarse, fine"),
    "class encoder": ({"model": PRESETS["tiny-16"].model.__dict__ | {"class_encoder": "now"}}, "one of never, after"),
    "class encoder after nothing": (
        {"model": PRESETS["tiny-16"].model.__dict__ | {"class_encoder": "after"}},
        "schedule.encoder_after is 0",
    ),
    "class input's type": ({"model": PRESETS["tiny-16"].model.__dict__ | {"class_input": 3}}, "one of all, coarse"),
    "truth": ({"loss": {"noise_kl": "yes"}}, "loss.noise_kl is 'yes', but must be true or false"),
    "told nothing": (
        {"loss": {"noise_kl": True}, "model": PRESETS["tiny-16"].model.__dict__ | {"class_input": "none"}},
        "loss.noise_kl compares samples with what the generator was given, but model.class_input is none",
    ),
    "swap without maps": ({"loss": {"swap": 1}}, "loss.swap exchanges maps, but model.map_resolutions is empty"),
    "features nobody looks at": (
        {"loss": {"swap_features": 1, "perceptual_net": "none"}},
        "loss.swap_features compares the classifier's features",
    ),
    "map noise": ({"model": PRESETS["tiny-16"].model.__dict__ | {"map_noise": -1}}, "model.map_noise is -1"),
    "map width": ({"model": PRESETS["tiny-16"].model.__dict__ | {"map_width": 0}}, "model.map_width is 0"),
    "swap share": ({"schedule": {"kimg": 1, "swap_share": 2}}, "schedule.swap_share is 2, but must lie in 0..1"),
    "no weight": ({"loss": {"noise_kl": True, "classifier": 0}}, "weighted by loss.classifier, which"),
    "augmentation": ({"augment": {"mode": "some"}}, "augment.mode is 'some', but must be one of none, ada, fixed"),
    "probability": ({"augment": {"mode": "fixed", "p": 1.5}}, "augment.p is 1.5, but must lie in 0..1"),
    "no probability": ({"augment": {"mode": "fixed"}}, "augment.mode is fixed, but augment.p is 0"),
    "target": ({"augment": {"target": 1}}, "augment.target is 1, but must lie between -1 and 1"),
    "speed": ({"augment": {"speed_kimg": 0}}, "augment.speed_kimg is 0, but must be positive"),
    "no change left": (
        {"augment": {"mode": "ada", "flip": False, "turn": False, "move": False, "size": False, "colour": False}},
        "augment.mode is ada, but all changes are turned off",
    ),
    "negative seed": ({"seed": -1}, "seed is -1, but must lie in 0..16777215"),
    "seed too large": ({"seed": 2**24}, "seed is 16777216"),
}


@pytest.mark.parametrize(("changes", "said"), WRONG.values(), ids=WRONG.keys())
def test_settings_that_cannot_be_meant_are_refused(changes: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigError) as caught:
        TrainConfig.from_json(PRESETS["tiny-16"].to_json() | changes)
    assert said in str(caught.value)


@pytest.mark.parametrize(("before", "now"), [(True, "all"), (False, "none")])
def test_class_input_was_once_a_truth_value(before: bool, now: str) -> None:
    tree = PRESETS["tiny-16"].to_json()
    tree["model"]["class_input"] = before
    assert TrainConfig.from_json(tree).model.class_input == now


@pytest.mark.parametrize(
    ("changes", "steps"),
    [
        # e: from the encoder alone, without a discriminator; E and N: against it; a: the encoder alone, in the end.
        ({"noise_every": 2}, "eeeeENEN"),
        ({"noise_every": 2, "encoder_after": 0.25}, "eeeeENaa"),
        ({"noise_every": 1, "encoder_after": 0.5, "reconstruct_first": 0}, "NNNNaaaa"),
        ({"noise_every": 0}, "eeeeEEEE"),
        ({"noise_every": 3, "reconstruct_first": 0}, "EENEENEE"),
    ],
)
def test_the_order_of_the_steps(changes: dict[str, Any], steps: str) -> None:
    schedule = replace(PRESETS["tiny-16"].schedule, kimg=0.064, reconstruct_first=0.5)
    schedule = replace(schedule, **changes)
    done = [schedule.step(nimg) for nimg in range(0, 64, 8)]
    assert [step.number for step in done] == list(range(8))
    letters = ["a" if s.encoder_alone else "N" if s.from_noise else "E" if s.adversarial else "e" for s in done]
    assert "".join(letters) == steps
    learns = {"a": ("encoder",), "N": ("generator",), "E": ("generator", "encoder"), "e": ("generator", "encoder")}
    assert [step.trains for step in done] == [learns[letter] for letter in letters]


def test_widths_must_fit_the_resolution() -> None:
    model = replace(PRESETS["tiny-16"].model, generator_widths=(8, 8))
    with pytest.raises(ConfigError, match=r"generator: 2 widths \(8, 8\) for resolution 16; give 3"):
        model.generator(1, 2)
    with pytest.raises(ConfigError, match=r"model\.w_dim is 0"):
        replace(PRESETS["tiny-16"].model, w_dim=0)
