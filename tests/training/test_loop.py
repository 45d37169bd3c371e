"""Laws of the training loop: it goes on as if it had never stopped, and stops when it makes no sense."""

from __future__ import annotations

import dataclasses
import json
import shutil
import sys
import types
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from tests.training.conftest import Judge, Stop, cut, different, discs, judge, run, tiny
from torch import Tensor, nn

from stylex.classifiers import Classifier, ClassifierSpec
from stylex.core.errors import ConfigError, SnapshotError, TrainingError
from stylex.core.progress import Alarm, Done, Event, Found, SnapshotWritten, Started, Tick
from stylex.core.stylespace import StyleStatistics
from stylex.data.archive import ArchiveIndex, ImageSet, open_images, write_archive
from stylex.models.snapshot import find_snapshot, load_snapshot
from stylex.search.encoding import encode
from stylex.search.methods import suited
from stylex.search.subject import TrainedSubject
from stylex.training.config import PRESETS, TrainConfig
from stylex.training.held_out import HeldOut, Seen, measure
from stylex.training.loop import Networks, _set_rates
from stylex.training.perceptual import losses_with

pytestmark = pytest.mark.integration

# Everything that depends on the image counter happens within eight steps: the discriminator joins after three, lazy
# penalties, path lengths on every second noise step, the latent term on every second step.
LAZY: dict[str, Any] = {
    "schedule__reconstruct_first": 0.375,
    "loss__r1_every": 2,
    "loss__path_length": 1.0,
    "loss__path_length_every": 2,
    "loss__latent_every": 2,
    "mirror": True,
}


# All that a training may do besides.
BESIDES: dict[str, Any] = {
    "schedule__class_dropout": 0.5,
    "schedule__style_mixing": 0.7,
    "schedule__encoder_after": 0.25,
    "schedule__reconstruct_first": 0.25,
    "loss__noise_kl": True,
    "loss__perceptual_net": "multiscale",
    "model__class_input": "coarse",
    "model__map_resolutions": (4, 8),
    "model__map_width": 4,
    "loss__swap": 1.0,
    "schedule__map_dropout": 0.3,
    "augment__mode": "ada",
    "augment__p": 0.3,
    "augment__speed_kimg": 0.1,
}


# Maps, and all that counts of them.
MAPPED: dict[str, Any] = {
    "model__map_resolutions": (4, 8),
    "model__map_width": 4,
    "loss__swap": 1.0,
    "loss__swap_features": 0.5,
}


@pytest.mark.parametrize("besides", [{}, BESIDES], ids=["usual", "besides"])
def test_a_training_cut_into_pieces_is_the_whole_one_bit_for_bit(
    data: ImageSet, tmp_path: Path, besides: dict[str, Any]
) -> None:
    config, parts = tiny(**LAZY | besides), tmp_path / "parts"
    run(config, data, tmp_path / "whole")
    for nimg in (16, 32, 48):
        with pytest.raises(Stop):
            run(config, data, parts, listener=cut(after=1))
        assert torch.load(parts / "state.pt", weights_only=True)["nimg"] == nimg
    run(config, data, parts)
    assert different(tmp_path / "whole", parts) == []
    if besides:
        assert torch.load(parts / "state.pt", weights_only=True)["parts"]["augment"]["p"] != 0.3
        assert all(row.keys() >= {"augment_p", "real_signs"} for row in rows(parts) if "discriminator" in row)
    for name in ("000000032", "000000064"):
        for file in ("weights.safetensors", "snapshot.json"):
            one, other = (folder / "snapshots" / name / file for folder in (tmp_path / "whole", parts))
            assert one.read_bytes() == other.read_bytes()


def test_the_seed_decides(trained: Callable[..., Path]) -> None:
    short = {"schedule__kimg": 0.016, "schedule__reconstruct_first": 0.0}
    first = trained("a", **short)
    assert different(first, trained("b", **short)) == []
    assert different(first, trained("c", **short, seed=1))


def test_a_classifier_may_be_shown_a_part_of_each_step(data: ImageSet, tmp_path: Path) -> None:
    def asked(out: str, **besides: Any) -> int:
        network, images = Judge(), 0

        def count(_: nn.Module, given: tuple[Tensor, ...]) -> None:
            nonlocal images
            images += len(given[0])

        network.register_forward_pre_hook(count)
        seen = Classifier(network, judge().spec)
        run(tiny(**MAPPED | {"schedule__reconstruct_first": 1.0} | besides), data, tmp_path / out, classifier=seen)
        return images

    # In each of eight steps two reconstructions of eight, and one of four images drawn with other maps.
    assert asked("part", schedule__classifier_share=0.25) == asked("whole") - 8 * (6 + 3)
    told = [row for row in rows(tmp_path / "part") if "pixel" in row]
    assert told
    assert all(row.keys() >= {"kl", "swap", "swap_features", "perceptual"} for row in told)
    assert different(tmp_path / "whole", tmp_path / "part")


def test_the_classifiers_answers_count_from_when_they_are_said_to(trained: Callable[..., Path]) -> None:
    never, late = trained("never", loss__classifier=0.0), trained("late", schedule__classifier_from=0.5)
    assert rows(never)[1]["kl"] == rows(late)[1]["kl"]
    assert rows(never)[-2]["kl"] != rows(late)[-2]["kl"]
    at_the_end = trained("at-the-end", schedule__classifier_from=1.0)
    assert {name.split(".")[1] for name in different(never, at_the_end)} == {"identity"}


def test_answers_with_swapped_maps_count_from_when_they_are_said_to(trained: Callable[..., Path]) -> None:
    maps = {"model__map_resolutions": (8,), "loss__swap_features": 1.0}
    never, late = (
        trained("never", **maps),
        trained("late", **maps, loss__swap=1.0, schedule__swap_from=0.5),
    )
    assert rows(never)[1]["swap"] == rows(late)[1]["swap"]
    assert rows(never)[-2]["swap"] != rows(late)[-2]["swap"]


def rows(out: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (out / "stats.jsonl").read_text().splitlines()]


def test_reports_are_told_and_kept_once(data: ImageSet, tmp_path: Path) -> None:
    heard: list[Event] = []
    newest = run(tiny(), data, tmp_path / "whole", listener=heard.append)
    kinds = [type(event) for event in heard if not isinstance(event, Alarm)]
    assert kinds == [Started, Tick, Tick, SnapshotWritten, Tick, Tick, SnapshotWritten, Done]
    assert newest == tmp_path / "whole" / "snapshots" / "000000064" == find_snapshot(tmp_path / "whole")
    assert (newest / "panel.png").read_bytes() == b"a panel"
    assert load_snapshot(newest).figures.keys() >= {"pixel_l1", "agreement", "probability_error", "kl"}

    out = tmp_path / "parts"
    with pytest.raises(Stop):
        run(tiny(), data, out, listener=cut(after=2))  # its third report is written, its state is not
    assert [row["nimg"] for row in rows(out)] == [16, 32, 32, 48]
    with (out / "stats.jsonl").open("a") as file:
        file.write('{"nimg": 64, "pix')  # killed while it wrote
    heard.clear()
    run(tiny(), data, out, listener=heard.append)
    assert heard[0] == Started(task="train", total=64, unit="images", done=32)
    timeless = [[{k: v for k, v in row.items() if k not in ("seconds", "images_per_s")} for row in rows(o)]
                for o in (tmp_path / "whole", out)]  # fmt: skip
    assert timeless[0] == timeless[1]
    assert [("held_out" in row, row["nimg"]) for row in rows(out)] == [
        (False, 16), (False, 32), (True, 32), (False, 48), (False, 64), (True, 64)
    ]  # fmt: skip


def test_a_first_snapshot_comes_early_and_changes_nothing(data: ImageSet, tmp_path: Path) -> None:
    heard: list[Event] = []
    config = tiny(**BESIDES)
    run(config, data, tmp_path / "late")
    run(config, data, tmp_path / "early", first_snapshot_s=0.0, listener=heard.append)
    early = tmp_path / "early" / "snapshots" / "000000008"
    assert [type(event) for event in heard if not isinstance(event, Alarm)][:3] == [Started, SnapshotWritten, Tick]
    assert (early / "panel.png").read_bytes() == b"a panel"
    assert load_snapshot(early).figures.keys() >= {"pixel_l1", "agreement"}
    assert different(tmp_path / "late", tmp_path / "early") == []
    names = sorted(path.name for path in (tmp_path / "early" / "snapshots").iterdir())
    assert names == ["000000008", "000000032", "000000064"]

    # Cut off behind it, before any state: the training begins again, and shows nothing twice.
    with pytest.raises(Stop):
        run(config, data, tmp_path / "cut", first_snapshot_s=0.0, listener=cut(after=0))
    assert not (tmp_path / "cut" / "state.pt").exists()
    run(config, data, tmp_path / "cut", first_snapshot_s=0.0, listener=heard.append)
    assert different(tmp_path / "late", tmp_path / "cut") == []
    assert len([event for event in heard if isinstance(event, SnapshotWritten)]) == 3 + 2


def test_what_a_killed_training_was_writing_is_removed(data: ImageSet, trained: Callable[..., Path]) -> None:
    out = trained()
    leftovers = [
        out / ".state.pt.0123abcd",
        out / ".stats.jsonl.0123abcd",
        out / "snapshots" / ".000000064.0123abcd",
        out / "snapshots" / ".000000064.89abcdef.old",
    ]
    for leftover in leftovers[:2]:
        leftover.write_text("half")
    for leftover in leftovers[2:]:
        shutil.copytree(out / "snapshots" / "000000064", leftover)
    (out / ".mine").write_text("a person's")
    shutil.rmtree(out / "snapshots" / "000000064")
    assert find_snapshot(out).name == "000000032"
    run(tiny(), data, out)
    assert not any(leftover.exists() for leftover in leftovers)
    assert (out / ".mine").exists()


def test_a_snapshot_ahead_of_the_state_is_written_again(data: ImageSet, tmp_path: Path) -> None:
    out = tmp_path / "run"

    def killed_before_the_state(event: Event) -> None:
        if isinstance(event, SnapshotWritten):
            (event.path / "panel.png").write_text("an older one")
            raise Stop

    with pytest.raises(Stop):
        run(tiny(schedule__tick_nimg=32), data, out, listener=killed_before_the_state)
    assert not (out / "state.pt").exists()
    run(tiny(schedule__tick_nimg=32), data, out)
    assert (out / "snapshots" / "000000032" / "panel.png").read_text() == "a panel"


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"optimizer__encoder_lr": 0.5}, "options.optimizer.encoder_lr was 0.002, now 0.5"),
        ({"schedule__kimg": 0.032}, "options.schedule.kimg was 0.064, now 0.032"),
        ({"seed": 4}, "options.seed was 0, now 4"),
    ],
)
def test_a_training_of_other_options_is_not_continued(
    data: ImageSet, trained: Callable[..., Path], changes: dict[str, Any], said: str
) -> None:
    out = trained()
    before = sorted((path, path.stat().st_mtime_ns) for path in out.rglob("*"))
    with pytest.raises(ConfigError, match=said):
        run(tiny(**changes), data, out)
    (out / "state.pt").rename(out / "elsewhere.pt")
    with pytest.raises(ConfigError, match="snapshots of another training"):
        run(tiny(**changes), data, out)
    (out / "elsewhere.pt").rename(out / "state.pt")
    assert sorted((path, path.stat().st_mtime_ns) for path in out.rglob("*") if path != out)[1:] == before[1:]


def test_a_finished_training_goes_on_as_a_longer_one(data: ImageSet, tmp_path: Path) -> None:
    first = tiny(schedule__kimg=0.032)
    run(first, data, tmp_path / "run")
    shutil.copytree(tmp_path / "run", tmp_path / "other")
    longer = replace(first, schedule=replace(first.schedule, kimg=0.064))
    heard: list[Event] = []
    run(longer, data, tmp_path / "run", listener=heard.append)
    started = next(event for event in heard if isinstance(event, Started))
    assert (started.done, started.total) == (32, 64)
    rows = [json.loads(line)["nimg"] for line in (tmp_path / "run" / "stats.jsonl").read_text().splitlines()]
    assert rows == sorted(rows)
    assert {16, 32, 48, 64} == set(rows)
    # Cut off and called again, it is the same to the last bit.
    with pytest.raises(Stop):
        run(longer, data, tmp_path / "other", listener=cut(after=0))
    run(longer, data, tmp_path / "other")
    assert different(tmp_path / "run", tmp_path / "other") == []
    for wrong in (first, replace(longer, seed=1), replace(longer, mirror=True)):
        with pytest.raises(ConfigError, match="holds a training with other options"):
            run(wrong, data, tmp_path / "run")


def test_an_unfinished_training_does_not_become_longer(data: ImageSet, tmp_path: Path) -> None:
    with pytest.raises(Stop):
        run(tiny(), data, tmp_path / "run", listener=cut(after=1))
    with pytest.raises(ConfigError, match=r"schedule.kimg was 0.064, now 0.128"):
        run(tiny(schedule__kimg=0.128), data, tmp_path / "run")


def test_a_training_from_before_there_were_so_many_options_goes_on(
    data: ImageSet, trained: Callable[..., Path]
) -> None:
    out = trained()

    def as_before(options: dict[str, Any]) -> None:
        options["model"]["class_input"] = True
        del options["model"]["class_encoder"]
        for part, name in (("schedule", "encoder_after"), ("schedule", "class_dropout"), ("loss", "noise_kl")):
            del options[part][name]
        del options["augment"], options["model"]["map_resolutions"], options["loss"]["swap"]

    state = torch.load(out / "state.pt", weights_only=True)
    as_before(state["identity"]["options"])
    del state["parts"]["augment"]
    torch.save(state, out / "state.pt")
    run(tiny(), data, out)
    for path in (out / "snapshots").glob("*/snapshot.json"):
        description = json.loads(path.read_text())
        as_before(description["training"])
        path.write_text(json.dumps(description))
    (out / "state.pt").unlink()
    run(tiny(), data, out, listener=cut(after=5))


@pytest.mark.parametrize(
    "damage",
    [
        lambda path: path.write_bytes(b""),
        lambda path: path.write_bytes(b"not a state"),
        lambda path: path.write_bytes(path.read_bytes()[:-2000]),
        lambda path: torch.save({"some": torch.ones(3)}, path),
        lambda path: torch.save({"format": "stylex-state", "version": 1}, path),
        lambda path: torch.save(Judge(), path),  # would run code when unpickled
        lambda path: torch.save(torch.load(path, weights_only=True) | {"version": 99}, path),
        lambda path: torch.save(torch.load(path, weights_only=True) | {"parts": {}}, path),
    ],
)
def test_a_damaged_or_foreign_state_is_told(
    data: ImageSet, trained: Callable[..., Path], damage: Callable[[Path], None]
) -> None:
    out = trained(schedule__kimg=0.016)
    damage(out / "state.pt")
    with pytest.raises(SnapshotError, match=r"state\.pt .*; remove it .*or choose another out"):
        run(tiny(schedule__kimg=0.016), data, out)


class TurnsNaN(Judge):
    """Answers a number of times, then no more."""

    def __init__(self, answers: int) -> None:
        super().__init__()
        self.answers = answers

    def forward(self, x: Tensor) -> Tensor:
        self.answers -= 1
        return super().forward(x) * (1.0 if self.answers > 0 else float("nan"))


def test_losses_that_are_not_finite_stop_at_the_last_good_state(data: ImageSet, tmp_path: Path) -> None:
    out = tmp_path / "run"
    spec = ClassifierSpec(labels=("small", "large"), input_size=16, channels=1)
    with pytest.raises(TrainingError, match=r"kl, .* no longer finite near image 48; the last good state is kept"):
        run(tiny(), data, out, classifier=Classifier(TurnsNaN(17), spec))
    state = torch.load(out / "state.pt", weights_only=True)
    assert state["nimg"] == 32
    assert all(value.isfinite().all() for value in state["parts"]["generator"].values())
    assert [path.name for path in (out / "snapshots").iterdir()] == ["000000032"]
    run(tiny(), data, out)  # the state is good: with a classifier that answers it goes on
    with pytest.raises(TrainingError, match=r"near image 16; no state was kept before it: train anew into another"):
        run(tiny(), data, tmp_path / "early", classifier=Classifier(TurnsNaN(3), spec))


def test_weights_that_fly_apart_stop_the_training(data: ImageSet, tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match="lower learning rates"):
        run(tiny(optimizer__generator_lr=1e30, optimizer__encoder_warmup_nimg=0), data, tmp_path / "run")
    assert not (tmp_path / "run" / "state.pt").exists()
    assert list((tmp_path / "run" / "snapshots").iterdir()) == []


def measured(watch: HeldOut, networks: Networks) -> tuple[dict[str, float], list[str]]:
    with torch.no_grad():
        latents = networks.encoder_ema(watch.x, judge().probabilities(watch.logits)).numpy()
        maps = networks.encoder_ema.maps(watch.x[:5])
        seen = Seen(statistics=StyleStatistics.observe(latents), latents=latents, maps=maps)
        figures, panel, alarms = measure(watch, networks.generator_ema, networks.encoder_ema, judge(), seen)
    swapped = [] if maps is None else ["swapped"]
    assert list(panel.rows) == ["real", "reconstructed", *swapped, "sampled", "drawn"]
    assert (figures.keys() >= {"follows_w", "follows_maps"}) == (maps is not None)
    return figures, alarms


def test_networks_with_maps_are_also_measured_with_the_maps_of_others(data: ImageSet) -> None:
    watch = HeldOut.choose(data.split("test"), judge(), torch.device("cpu"))
    networks = Networks.build(tiny(**MAPPED), 1, 2)
    figures, _ = measured(watch, networks)
    assert 0 <= figures["follows_maps"] <= 1
    for layer in networks.generator_ema.synthesis.layers.values():
        layer.noise_strength = nn.Parameter(torch.zeros_like(layer.noise_strength)) if hasattr(layer, "up") else None
    figures, _ = measured(watch, networks)
    assert figures["follows_w"] == figures["agreement"], "maps that are not drawn change no answer"


def test_a_collapsed_encoder_or_mapping_raises_an_alarm(data: ImageSet) -> None:
    networks = Networks.build(tiny(model__class_input="none"), 1, 2)
    watch = HeldOut.choose(data.split("test"), judge(), torch.device("cpu"))
    assert measured(watch, networks)[1] == []
    networks.encoder_ema.out.weight.zero_()
    networks.generator_ema.mapping.fc[-1].weight.zero_()
    figures, alarms = measured(watch, networks)
    assert figures["variety_reconstructed"] == figures["variety_sampled"] == pytest.approx(0, abs=1e-6)
    assert [message[:30] for message in alarms] == ["the encoder has collapsed: rec", "images sampled from noise hard"]


@pytest.mark.parametrize(("k", "channels", "output"), [(3, 3, "logits"), (2, 1, "multi-label"), (3, 1, "multi-label")])
def test_other_classifiers_train(tmp_path: Path, k: int, channels: int, output: str) -> None:
    images = open_images(discs(tmp_path / "discs.zip", n=40, channels=channels, labels=k))
    newest = run(tiny(**LAZY), images, tmp_path / "run", classifier=judge(k, channels, output))
    snapshot = load_snapshot(newest)
    assert snapshot.generator.config.c_dim == snapshot.discriminator.config.c_dim == k
    assert snapshot.generator.config.channels == channels
    assert all(row["kl"] >= 0 for row in rows(tmp_path / "run") if "kl" in row)


def test_a_classifier_without_features_is_compared_at_all_sizes_and_by_its_answers(
    data: ImageSet, tmp_path: Path
) -> None:
    heard: list[Event] = []
    model, spec = judge().model, judge().spec
    closed = Classifier(lambda x: model(x), spec)
    config = tiny(loss__classifier=0.0, loss__perceptual=0.5)
    run(config, data, tmp_path / "run", classifier=closed, listener=heard.append)
    assert any(isinstance(event, Found) and "no feature maps" in event.message for event in heard)
    assert all(row["perceptual"] > 0 for row in rows(tmp_path / "run") if "perceptual" in row)
    x = data.batch(range(2))
    used = losses_with(config.loss, closed, x)
    assert (used.perceptual_net, used.perceptual, used.classifier) == ("multiscale", 0.5, 1.0)
    assert losses_with(config.loss, judge(), x) is config.loss


def test_a_training_with_maps_keeps_what_pictures_are_drawn_from(data: ImageSet, trained: Callable[..., Path]) -> None:
    out = trained(**LAZY | MAPPED)
    assert all(row["swap"] >= 0 and row["swap_features"] >= 0 for row in rows(out) if "kl" in row)
    assert all(row["held_out"].keys() >= {"follows_w", "follows_maps"} for row in rows(out) if "held_out" in row)
    snapshot, classifier = load_snapshot(out), judge()
    assert snapshot.maps is not None
    assert snapshot.maps.shape == (48, 16 + 2 * 64), "of all training images, where there are few"
    space = snapshot.space
    assert space.statistics is not None
    np.testing.assert_allclose(space.statistics.maximum[space.maps], snapshot.maps.amax(dim=0), rtol=1e-3)
    x = data.batch(range(4))
    encoded = encode(TrainedSubject.of(snapshot, classifier), x, data.names[:4])
    c = classifier.probabilities(classifier.logits(x))
    again = snapshot.generator(snapshot.encoder(x, c), c, snapshot.encoder.maps(x)).clamp(-1, 1)
    torch.testing.assert_close(encoded.x_rec, again)
    assert not torch.allclose(again, snapshot.generator(snapshot.encoder(x, c), c).clamp(-1, 1)), "maps are drawn"


def test_the_swap_loss_teaches_the_maps_too(data: ImageSet, tmp_path: Path) -> None:
    others = ("pixel", "perceptual", "classifier", "latent", "latent_moments", "swap_features")
    alone = MAPPED | {f"loss__{name}": 0.0 for name in others}
    alone |= {"schedule__reconstruct_first": 1.0, "optimizer__encoder_warmup_nimg": 0}
    steps = states_of(data, tmp_path / "run", **alone)
    first, last = steps[0]["encoder"], steps[-1]["encoder"]
    changed = {key for key in first if not torch.equal(first[key], last[key])}
    assert any(key.startswith("where.") for key in changed)
    assert any(key.startswith("trunk.") for key in changed)


def test_networks_may_be_told_nothing_of_the_class(trained: Callable[..., Path]) -> None:
    snapshot = load_snapshot(trained(model__class_input="none", model__conditional_discriminator=False))
    assert snapshot.generator.config.c_dim == snapshot.discriminator.config.c_dim == 0


def test_an_encoder_that_is_told_c_is_told_it_ever_after(data: ImageSet, trained: Callable[..., Path]) -> None:
    snapshot, classifier = load_snapshot(trained(model__class_encoder="always")), judge()
    assert snapshot.encoder.config.c_dim == 2
    x = data.batch(range(4))
    encoded = encode(TrainedSubject.of(snapshot, classifier), x, data.names[:4])
    c = classifier.probabilities(classifier.logits(x))
    again = snapshot.generator(snapshot.encoder(x, c), c).clamp(-1, 1)
    torch.testing.assert_close(encoded.x_rec, again)


def test_an_encoder_is_told_c_when_it_learns_alone(data: ImageSet, tmp_path: Path) -> None:
    steps = states_of(
        data, tmp_path / "run", schedule__reconstruct_first=0.5, schedule__encoder_after=0.5,
        model__class_encoder="after", optimizer__encoder_warmup_nimg=0,
    )  # fmt: skip
    told = [{key: value for key, value in step["encoder"].items() if key.startswith("told.")} for step in steps]
    changed = [any(not torch.equal(a[key], b[key]) for key in a) for a, b in zip(told, told[1:], strict=False)]
    assert changed == [False, False, True, True, True]


def states_of(data: ImageSet, out: Path, **changes: Any) -> list[dict[str, dict[str, Tensor]]]:
    """The networks after every step."""
    states: list[dict[str, dict[str, Tensor]]] = []

    def hear(event: Event) -> None:
        if isinstance(event, Tick) and event.nimg > 8:  # the state of the tick before is written
            states.append(torch.load(out / "state.pt", weights_only=True)["parts"])

    config = tiny(schedule__tick_nimg=8, schedule__kimg=0.048, schedule__snapshot_nimg=1000, **changes)
    run(config, data, out, listener=hear)
    return [*states, torch.load(out / "state.pt", weights_only=True)["parts"]]


def moved(one: dict[str, dict[str, Tensor]], other: dict[str, dict[str, Tensor]]) -> set[str]:
    names = ("generator", "encoder", "discriminator", "generator_ema", "encoder_ema")
    return {name for name in names if any(not torch.equal(one[name][key], other[name][key]) for key in one[name])}


def test_an_encoder_afterwards_meets_a_finished_generator(data: ImageSet, tmp_path: Path) -> None:
    steps = states_of(
        data, tmp_path / "run", model__class_input="none", model__conditional_discriminator=False,
        schedule__encoder_after=0.5, schedule__reconstruct_first=0.0, schedule__noise_every=1,
        optimizer__encoder_warmup_nimg=0,
    )  # fmt: skip
    assert [moved(one, other) for one, other in zip(steps, steps[1:], strict=False)] == [
        *[{"generator", "generator_ema", "discriminator"}] * 2,
        *[{"encoder", "encoder_ema"}] * 3,
    ]


def c_columns(parts: dict[str, dict[str, Tensor]]) -> Tensor:
    return torch.cat([value[:, -2:] for key, value in parts["generator"].items() if key.endswith("affine.weight")])


@pytest.mark.parametrize(("dropped", "learns"), [(1.0, False), (0.5, True)])
def test_a_generator_that_is_never_told_c_learns_nothing_of_it(
    trained: Callable[..., Path], dropped: float, learns: bool
) -> None:
    config: dict[str, Any] = {"schedule__reconstruct_first": 0.25, "schedule__class_dropout": dropped}
    parts = torch.load(trained(**config) / "state.pt", weights_only=True)["parts"]
    start = {"generator": Networks.build(tiny(**config), 1, 2).generator.state_dict()}
    assert torch.equal(c_columns(parts), c_columns(start)) == (not learns)


def test_samples_are_compared_with_what_was_told_when_asked(trained: Callable[..., Path]) -> None:
    asked = {"loss__noise_kl": True, "schedule__reconstruct_first": 0.0}
    assert all("kl_noise" in row for row in rows(trained("a", **asked)) if "kl" in row)
    assert not any("kl_noise" in row for row in rows(trained("b", schedule__reconstruct_first=0.0)))


def test_the_moving_average_follows_its_closed_form(trained: Callable[..., Path]) -> None:
    config: dict[str, Any] = {"schedule__kimg": 0.016, "schedule__batch": 16, "schedule__ema_nimg": 1}
    parts = torch.load(trained(**config) / "state.pt", weights_only=True)["parts"]
    start = Networks.build(tiny(**config), 1, 2).by_name()
    for name in ("generator", "encoder"):
        for key, weight in start[name].named_parameters():
            expected = parts[name][key].lerp(weight.detach(), 0.5**16)  # one step of 16 half-lives
            assert torch.allclose(parts[f"{name}_ema"][key], expected, atol=1e-6), key


def rates(config: TrainConfig, nimg: int, *, adversarial: bool = True) -> dict[str, tuple[float, float]]:
    optimizers = {
        name: torch.optim.Adam(nn.Linear(1, 1).parameters()) for name in ("generator", "encoder", "discriminator")
    }
    _set_rates(optimizers, config, nimg, adversarial=adversarial)
    return {name: (o.param_groups[0]["lr"], o.param_groups[0]["betas"][0]) for name, o in optimizers.items()}


def test_learning_rates_warm_up_stay_and_fall_to_a_tenth() -> None:
    config = tiny(
        schedule__kimg=8, optimizer__decay=0.25, optimizer__encoder_warmup_nimg=1000, optimizer__generator_lr=1.0,
        optimizer__encoder_lr=2.0, optimizer__discriminator_lr=3.0, optimizer__beta1=0.1,
    )  # fmt: skip
    assert [rates(config, nimg)["encoder"][0] for nimg in (0, 500, 1000, 6000)] == [0, 1.0, 2.0, 2.0]
    assert [rates(config, nimg)["generator"][0] for nimg in (0, 6000, 7000, 8000)] == pytest.approx([1, 1, 0.55, 0.1])
    assert rates(config, 6000)["discriminator"][0] == 3
    assert {beta for _, beta in rates(config, 0).values()} == {0.1}
    before = rates(config, 0, adversarial=False)
    assert [before[name][1] for name in ("generator", "encoder", "discriminator")] == [0.9, 0.9, 0.1]
    steady = dataclasses.replace(
        config, optimizer=dataclasses.replace(config.optimizer, decay=0.0, encoder_warmup_nimg=0)
    )
    assert rates(steady, 0)["encoder"] == rates(steady, 7999)["encoder"] == (2.0, 0.1)


def test_lpips_that_is_not_there_is_told_with_its_remedy(data: ImageSet, tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.setitem(sys.modules, "lpips", None)
    with pytest.raises(ConfigError, match=r"install it \(pip install lpips\), or use loss.perceptual_net='classifier'"):
        run(tiny(loss__perceptual_net="lpips"), data, tmp_path / "run")
    assert not (tmp_path / "run").exists()


@pytest.fixture
def lpips(monkeypatch: pytest.MonkeyPatch) -> None:
    """A stand-in for the package ``lpips``, whose weights would have to be fetched."""

    class Lpips(nn.Module):
        def __init__(self, **options: Any) -> None:
            super().__init__()

        def forward(self, one: Tensor, other: Tensor) -> Tensor:
            assert one.shape[1] == other.shape[1] == 3
            return (one - other).square().mean(dim=(1, 2, 3), keepdim=True)

    module = types.ModuleType("lpips")
    module.LPIPS = Lpips  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "lpips", module)


@pytest.mark.usefixtures("lpips")
def test_lpips_judges_colour(data: ImageSet, tmp_path: Path) -> None:
    run(tiny(loss__perceptual_net="lpips"), data, tmp_path / "run")
    assert all(row["perceptual"] > 0 for row in rows(tmp_path / "run") if "perceptual" in row)


@pytest.mark.usefixtures("small_eyes")
def test_a_pretrained_network_compares_images_and_judges_them(data: ImageSet, tmp_path: Path) -> None:
    """A cut training is the whole one; the snapshot knows its judge, and the classifier's features still count."""
    pretrained = {
        "loss__perceptual_net": "efficientnet",
        "loss__discriminator": "projected",
        "schedule__reconstruct_first": 0.25,
    }
    config, parts = tiny(**MAPPED | pretrained), tmp_path / "parts"
    run(config, data, tmp_path / "whole")
    with pytest.raises(Stop):
        run(config, data, parts, listener=cut(after=2))
    run(config, data, parts)
    assert different(tmp_path / "whole", parts) == []
    told = rows(parts)
    assert all(row["perceptual"] > 0 for row in told if "perceptual" in row)
    assert any("swap_features" in row for row in told)
    assert any("discriminator" in row for row in told)
    assert not any("r1" in row for row in told)
    judge = load_snapshot(parts).discriminator
    assert judge.config.kind == "projected"
    assert judge(data.batch([0, 1]), torch.eye(2)).shape == (2, 1)


def test_tensorboard_hears_what_is_reported(data: ImageSet, tmp_path: Path, monkeypatch: Any) -> None:
    told: list[tuple[str, float, int]] = []
    opened: list[tuple[str, int | None]] = []

    class SummaryWriter:
        def __init__(self, folder: str, purge_step: int | None) -> None:
            opened.append((folder, purge_step))

        def add_scalar(self, name: str, value: float, step: int) -> None:
            told.append((name, value, step))

        def flush(self) -> None: ...

        def close(self) -> None:
            opened.append(("closed", None))

    module = types.ModuleType("torch.utils.tensorboard")
    module.SummaryWriter = SummaryWriter  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", module)
    with pytest.raises(Stop):
        run(tiny(), data, tmp_path / "run", listener=cut(after=2))
    run(tiny(), data, tmp_path / "run")
    folder = str(tmp_path / "run" / "tensorboard")
    assert opened == [(folder, None), (folder, 33), ("closed", None)]
    assert [step for name, _, step in told if name == "training/pixel"] == [16, 32, 48, 48, 64]
    assert [step for name, _, step in told if name == "held_out/pixel_l1"] == [32, 64]


@pytest.mark.slow
@pytest.mark.usefixtures("lpips")
def test_the_published_training_takes_its_first_step(tmp_path: Path) -> None:
    pictures = (np.asarray(np.random.default_rng(0).integers(0, 256, (6, 256, 256, 3)), np.uint8)).copy()
    index = ArchiveIndex(
        resolution=256, channels=3, names=list("abcdef"), labels=[0, 1] * 3, label_names=["small", "large"],
        split_keys=list("abcdef"), splits=["train"] * 4 + ["test"] * 2, groups=[None] * 6, contents=[None] * 6,
    )  # fmt: skip
    write_archive(tmp_path / "pictures.zip", list(pictures), index)
    published = PRESETS["paper-256"]
    batch = 4  # as many as fit into a small machine's memory
    step = replace(published.schedule, batch=batch, kimg=batch / 1000, tick_nimg=batch, snapshot_nimg=batch)
    out = run(
        replace(published, schedule=step), open_images(tmp_path / "pictures.zip"), tmp_path / "run",
        classifier=judge(channels=3),
    )  # fmt: skip
    (told, *_) = rows(tmp_path / "run")
    # Every loss of the paper but path lengths, which begin with the second step; none of ours.
    assert {"pixel", "perceptual", "kl", "latent", "discriminator", "r1"} <= told.keys(), told.keys()
    assert not {"latent_moments", "swap", "swap_features"} & told.keys()
    snapshot = load_snapshot(out)
    assert suited("auto", snapshot) == "attfind"
