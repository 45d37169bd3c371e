"""Adapting by a guide: a stand-in for CLIP that sees how bright the parts of a picture are, and reads two words."""

from __future__ import annotations

import math
import sys
from collections.abc import Sequence
from dataclasses import replace
from types import SimpleNamespace

import pytest
import torch
import torch.nn.functional as F
from tests.training.conftest import run, tiny
from torch import Tensor, nn

from stylex.core.errors import ConfigError, TrainingError
from stylex.core.progress import Event, Step
from stylex.data.archive import ImageSet
from stylex.models.snapshot import Snapshot, load_snapshot
from stylex.training.adaptation import Adaptation, AdaptConfig
from stylex.training.guided import (
    GuidedConfig,
    OpenClip,
    Pictures,
    aim_of_image,
    aim_of_words,
    direction_loss,
    guided,
    in_domain_loss,
    open_clip_guides,
    what_is_learnt,
)

CONFIG = GuidedConfig(steps=30)


class Brightness:
    """Sixteen means of a picture's parts and a constant; "bright" lies where bright pictures do."""

    name = "brightness"

    def see(self, x: Tensor) -> Tensor:
        means = F.adaptive_avg_pool2d(x.mean(dim=1, keepdim=True), 4).flatten(1)
        return torch.cat([means, torch.full_like(means[:, :1], 2.0)], dim=1)

    def read(self, texts: Sequence[str]) -> Tensor:
        return torch.stack([torch.full((17,), 1.0 if "bright" in text else -1.0) for text in texts])


@pytest.fixture(scope="module")
def snapshot(data: ImageSet, tmp_path_factory: pytest.TempPathFactory) -> Snapshot:
    out = tmp_path_factory.mktemp("source") / "run"
    run(tiny(model__class_input="none"), data, out)
    return load_snapshot(out)


def planned(snapshot: Snapshot) -> Adaptation:
    return Adaptation.planned(snapshot, AdaptConfig(method="stylespace"))


def brightness(adaptation: Adaptation, generator: nn.Module) -> float:
    given = Pictures(adaptation, 7).latents(32)
    with torch.no_grad():
        return float(generator(*given).mean())


def test_pictures_go_where_the_words_say(snapshot: Snapshot) -> None:
    start, guide = planned(snapshot), Brightness()
    heard: list[Event] = []
    before = brightness(start, snapshot.generator)
    means = {}
    for words, others in (("bright", "dark"), ("dark", "bright")):
        aim = aim_of_words(guide, words, others)
        vector = guided(start, [(guide, aim)], CONFIG, listener=heard.append)
        means[words] = brightness(start, vector.added_to(snapshot.generator))
        assert vector.record["method"] == "stylespace"
    assert means["dark"] < before - 0.02 < before + 0.02 < means["bright"]
    losses = [event.figures["direction"] for event in heard if isinstance(event, Step)][: CONFIG.steps]
    assert losses[0] == pytest.approx(1.0)  # nothing has moved
    assert losses[-1] < 0.9


def test_the_same_seed_learns_the_same_and_another_does_not(snapshot: Snapshot) -> None:
    start, guide = planned(snapshot), Brightness()
    aim, short = aim_of_words(guide, "bright", "dark"), replace(CONFIG, steps=3)
    one, again, other = (guided(start, [(guide, aim)], replace(short, seed=seed)) for seed in (0, 0, 1))
    name = next(iter(one.offsets))
    assert torch.equal(one.offsets[name], again.offsets[name])
    assert not torch.equal(one.offsets[name], other.offsets[name])


def test_an_image_aims_from_the_runs_own_pictures_to_it(snapshot: Snapshot) -> None:
    start, guide = planned(snapshot), Brightness()
    aim = aim_of_image(guide, torch.ones(1, 1, 16, 16), Pictures(start, 0).some())
    vector = guided(start, [(guide, aim)], CONFIG)
    assert brightness(start, vector.added_to(snapshot.generator)) > brightness(start, snapshot.generator) + 0.02


def test_losses_are_what_they_say() -> None:
    before = F.normalize(torch.randn(4, 6, generator=torch.Generator().manual_seed(0)), dim=1)
    aim = torch.randn(6, generator=torch.Generator().manual_seed(1))
    assert direction_loss(before, before + 3 * aim, aim).item() == pytest.approx(0, abs=1e-6)
    assert direction_loss(before, before - 3 * aim, aim).item() == pytest.approx(2, abs=1e-6)
    assert direction_loss(before, before, aim).item() == pytest.approx(1)
    assert in_domain_loss(before, 5 * before).item() == pytest.approx(0, abs=1e-9)
    assert in_domain_loss(before, before[:1].expand(4, -1)).item() > 0.1  # all alike
    still = before.clone().requires_grad_()
    direction_loss(before, still, aim).backward()
    assert still.grad is not None
    assert still.grad.norm() < 30  # bounded where nothing has moved


def test_without_open_clip_one_line_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "open_clip", None)
    with pytest.raises(TrainingError, match="pip install open_clip_torch"):
        open_clip_guides("cpu")


def test_open_clip_is_asked_as_it_wants_to_be(monkeypatch: pytest.MonkeyPatch) -> None:
    class Model(nn.Module):
        visual = SimpleNamespace(image_size=(8, 8), image_mean=(0.5, 0.5, 0.5), image_std=(0.5, 0.5, 0.5))

        def encode_image(self, x: Tensor) -> Tensor:
            assert x.shape[1:] == (3, 8, 8)
            return x.flatten(1)

        def encode_text(self, tokens: Tensor) -> Tensor:
            return tokens.double()

    def refuse(name: str, **more: object) -> nn.Module:
        raise RuntimeError("no network\nat all")

    package = SimpleNamespace(
        create_model=lambda name, **more: Model(),
        get_tokenizer=lambda name: lambda texts: torch.tensor([[len(text)] for text in texts]),
    )
    monkeypatch.setitem(sys.modules, "open_clip", package)
    clip = OpenClip("ViT-B-32", "openai", "cpu")
    assert clip.read(["ab", "abc"]).tolist() == [[2.0], [3.0]]
    white = clip.see(torch.ones(2, 1, 16, 16))  # grey in [-1, 1] becomes colour in the network's own range
    assert white.shape == (2, 192)
    torch.testing.assert_close(white, torch.ones(2, 192))
    package.create_model = refuse
    with pytest.raises(TrainingError, match=r"\(no network\); put them into its cache"):
        OpenClip("ViT-B-32", "openai", "cpu")


def test_what_cannot_be_meant_and_what_is_said(snapshot: Snapshot) -> None:
    for wrong in ({"steps": 0}, {"lr": -1.0}, {"lr": math.nan}):
        with pytest.raises(ConfigError, match="expected 1 step"):
            GuidedConfig(**wrong)  # type: ignore[arg-type]
    styles = sum(layer.channels for layer in snapshot.space.layers if layer.kind == "conv")
    assert f"stylespace trains {styles} parameters" in what_is_learnt(planned(snapshot), CONFIG)
