"""The training loop, read from top to bottom.

Sources: Lang et al., ICCV 2021 (joint training of encoder and generator with the classifier in the loop);
Karras et al., CVPR 2020 (losses, lazy regularisation, moving average).
"""

from __future__ import annotations

import copy
import dataclasses
import math
import os
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from stylex.classifiers.classifier import Classifier
from stylex.classifiers.identity import Answers
from stylex.core.errors import SnapshotError, TrainingError, first_line
from stylex.core.progress import Alarm, Done, Found, Listener, SnapshotWritten, Started, Tick, silent
from stylex.core.wording import option
from stylex.data.archive import ImageSet
from stylex.models.encoder import Encoder
from stylex.models.generator import Generator
from stylex.models.precision import has_fast_bf16, set_up_gpu
from stylex.models.processes import Processes, join
from stylex.models.projected import Judge, judge_of
from stylex.models.snapshot import SnapshotNetworks, SnapshotRecord, save_snapshot
from stylex.training import losses
from stylex.training.ahead import Ahead
from stylex.training.augment import Augmentation
from stylex.training.config import LossConfig, Step, TrainConfig
from stylex.training.draw import Batch, draw
from stylex.training.held_out import STATISTICS_IMAGES, HeldOut, Panel, measure, observe
from stylex.training.perceptual import losses_with, perceptual_for
from stylex.training.start import Start
from stylex.training.state import append_row, load_state, save_state, tidy
from stylex.training.tensorboard import scalars_in

_EARLY_IMAGES = 2_000
"""Images over which the StyleSpace of the first snapshot is observed, which is there to be looked at soon."""
_FIRST_SNAPSHOT_S = 120.0
"""Seconds after which a training shows its first snapshot and panel."""


@dataclass(frozen=True, eq=False, kw_only=True)
class Networks:
    """What is trained, and the moving averages that are used afterwards."""

    generator: Generator
    encoder: Encoder
    discriminator: Judge
    generator_ema: Generator
    encoder_ema: Encoder

    @classmethod
    def build(cls, config: TrainConfig, channels: int, k: int, start: Start | None = None) -> Networks:
        """Fresh networks, by the training's seed; or those that it begins with."""
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(config.seed)
            generator = Generator(config.model.generator(channels, k))
            encoder = Encoder(config.model.encoder(channels, k))
            discriminator = judge_of(config.discriminator(channels, k))
            if start is not None:
                start.begin(generator, encoder, discriminator)
        return cls(
            generator=generator,
            encoder=encoder,
            discriminator=discriminator,
            generator_ema=copy.deepcopy(generator).eval().requires_grad_(False),
            encoder_ema=copy.deepcopy(encoder).eval().requires_grad_(False),
        )

    def by_name(self) -> dict[str, nn.Module]:
        """The networks by name."""
        return {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}


@dataclass(frozen=True, eq=False, kw_only=True)
class TrainingTask:
    """What is to be trained, on what, for which classifier.

    Attributes:
        config: the settings.
        images: training images.
        held_out: other images, to measure on; never trained on.
        classifier: the explained classifier.
        classifier_reference: how a later command finds the classifier.
        classifier_fingerprint: identity of its weights.
        classifier_answers: what it says of a few fixed images, to know it again where it has no weights.
        identity: JSON of options, data and classifier, kept in the state and compared when going on.
        start: what it begins with; None: with fresh networks.
    """

    config: TrainConfig
    images: ImageSet
    held_out: ImageSet
    classifier: Classifier
    classifier_reference: str | None
    classifier_fingerprint: str
    identity: Mapping[str, Any]
    classifier_answers: Answers | None = None
    start: Start | None = None

    def latents_of(self, generator: Generator, z: Tensor) -> Tensor:
        """The latents of pictures that are drawn from noise."""
        w: Tensor = generator.mapping(z) if self.start is None else self.start.latents_of(generator.mapping, z)
        return w

    def samples(self, nimg: int) -> bool:
        """Whether the mapping network has learnt, before image ``nimg``, to sample pictures."""
        learnt = self.config.schedule.sampled_by(nimg)
        return learnt if self.start is None else self.start.samples(learnt)

    def finished(self, nets: Networks) -> Networks:
        """The networks as they are to be used: an adapted generator with plain weights."""
        if self.start is None:
            return nets
        return dataclasses.replace(nets, generator_ema=self.start.finished(nets.generator_ema))


def train_networks(
    task: TrainingTask,
    *,
    out: Path,
    draw_panel: Callable[[Panel], bytes],
    device: str = "cpu",
    first_snapshot_s: float = _FIRST_SNAPSHOT_S,
    listener: Listener = silent,
) -> Path:
    """Train, or go on with the training in ``out``, and return the newest snapshot's folder.

    The result depends on the arguments alone: all randomness follows from (seed, images seen), so a training
    that was killed goes on as if it had not been, and several processes compute what one would.

    Args:
        task: everything that decides the result.
        out: folder of the training: ``state.pt``, ``stats.jsonl``, ``snapshots/``.
        draw_panel: draws real, reconstructed and sampled images into a PNG.
        device: ``cpu``, ``cuda`` (under torchrun each process its own) or ``cuda:1``.
        first_snapshot_s: seconds after which a training that has no snapshot yet writes one, between the others. It
            changes nothing that is trained.
        listener: hears Started, Tick, SnapshotWritten, Alarm and Done.

    Raises:
        TrainingError: losses are no longer finite; the last good state stays.
        ConfigError, SnapshotError: ``out`` holds another training or a damaged one.
    """
    config, classifier, identity = task.config, task.classifier, task.identity
    images, held_out = task.images, task.held_out
    processes = join(device)
    schedule = config.schedule
    shard = processes.shard(schedule.batch, config.model.discriminator(images.channels, classifier.k).group_size)
    torch.set_flush_denormal(True)
    on = torch.device(device)
    if on.type == "cuda":
        local = os.environ.get("LOCAL_RANK", "0") if processes.size > 1 or on.index is None else on.index
        on = torch.device(f"cuda:{local}")
        torch.cuda.set_device(on)
        set_up_gpu(exact=config.precision == "fp32")
    autocast = _autocast(config.precision, on)

    # Build.
    nets = Networks.build(config, images.channels, classifier.k, task.start)
    for network in nets.by_name().values():
        network.to(on)
    classifier = classifier.to(on)
    loss_weights = losses_with(config.loss, classifier, images.batch([0]).to(on))
    perceptual = perceptual_for(loss_weights, classifier)
    projected = loss_weights.discriminator == "projected"
    generator, encoder, discriminator = nets.generator, nets.encoder, nets.discriminator
    optimizers = {
        "generator": _adam(generator, config),
        "encoder": _adam(encoder, config),
        "discriminator": _adam(discriminator, config),
    }
    augment = Augmentation(config.augment).to(on)
    path_mean = torch.zeros((), device=on)
    draws_classes = task.start is None or task.start.draws_classes
    some_unconditional = draws_classes and (config.model.class_input == "none" or schedule.class_dropout > 0)

    # Resume.
    state_path, nimg = out / "state.pt", 0
    if state_path.exists():
        nimg, parts = load_state(state_path, identity=identity)
        try:
            for name, network in nets.by_name().items():
                network.load_state_dict(parts[name])
            for name, optimizer in optimizers.items():
                optimizer.load_state_dict(parts[f"{name}_optimizer"])
            path_mean.copy_(parts["path_mean"])
            augment.load_state_dict(parts.get("augment", augment.state_dict()))
        except (KeyError, RuntimeError, ValueError, TypeError) as error:
            raise SnapshotError(
                f"the training state {state_path} does not fit its own options ({first_line(error)[:120]}); "
                f"remove it to train from the beginning, or choose another {option('out')}"
            ) from None
    if processes.first:
        tidy(out, nimg=nimg, training=config.to_json(), classifier_fingerprint=task.classifier_fingerprint)
        listener = scalars_in(out / "tensorboard", listener, nimg=nimg)
    processes.wait()
    if not classifier.gradient:
        listener(
            Found(
                message="the classifier gives no gradient: its answers are left out of the losses (classifier, swap, "
                f"noise_kl), and images are compared by {loss_weights.perceptual_net}"
            )
        )
    elif loss_weights is not config.loss:
        listener(
            Found(
                message="the classifier shows no feature maps: "
                + (
                    "swapped pictures are held to its answers alone (no swap_features)"
                    if loss_weights.perceptual_net == config.loss.perceptual_net
                    else f"images are compared at all sizes (multiscale), and its answers with weight "
                    f"{loss_weights.classifier:g}"
                )
            )
        )
    listener(Started(task="train", total=schedule.total_nimg, unit="images", done=nimg))

    sums: dict[str, list[Tensor]] = {}
    tick_start, tick_nimg = time.perf_counter(), nimg
    watch = HeldOut.choose(held_out, classifier, on) if processes.first else None
    finished: Networks | None = None
    began, shown = tick_start, any((out / "snapshots").glob("[0-9]*/snapshot.json"))

    def drawn_at(nimg: int) -> Batch:
        paths = _penalizes_paths(config, loss_weights, nimg)
        return draw(config, images, generator.synthesis, nimg, shard, on, paths=paths)

    ahead = Ahead(drawn_at, size=schedule.batch, total=schedule.total_nimg, by_thread=on.type == "cuda")

    while nimg < schedule.total_nimg:
        step = schedule.step(nimg)
        _set_rates(optimizers, config, nimg, adversarial=step.adversarial)
        penalize_paths = _penalizes_paths(config, loss_weights, nimg)
        batch = ahead.take(nimg)
        if step.encoder_alone and finished is None:
            finished = task.finished(nets)
        decoder = finished.generator_ema if finished is not None else generator
        encode = encoder if step.encoder_alone or config.model.class_encoder == "always" else _unconditional(encoder)
        figures: dict[str, Tensor] = {}
        n = len(batch.x)
        asked = n if step.from_noise else max(1, round(schedule.classifier_share * n))

        # Images: reconstructed from real ones, or sampled from noise; both conditioned on the real images' c. Of an
        # unconditional sample, the discriminator is given what the classifier says of it.
        with autocast():
            with torch.no_grad():
                told = _told(config, step)
                logits, features = perceptual.of_real(batch.x if told else batch.x[:asked])
                c = classifier.probabilities(logits)
                c = c if len(c) == n else c.new_zeros((n, classifier.k))  # of which nothing is made
                given = decoder.condition(c * batch.conditioned[:, None])
            w = task.latents_of(generator, batch.z) if step.from_noise else encode(batch.x, c)
            maps = batch.stirred(encoder, decoder.synthesis, config.model.map_noise, learns=not step.from_noise)
            s = decoder.synthesis.styles(w, given, maps)
            if step.from_noise and batch.mixed is not None:
                s = torch.where(
                    batch.mixed, generator.synthesis.styles(generator.mapping(batch.z_mixed), given, maps), s
                )
            # What is sampled has the maps of some image; some images are also drawn with the maps of others.
            exchanged = batch.exchanged(s, decoder.synthesis)
            swaps = 0 if step.from_noise else batch.swaps
            drawn = decoder.synthesis(
                torch.cat([exchanged if step.from_noise else s, exchanged[:swaps]]),
                noise=[torch.cat([one, one[:swaps]]) for one in batch.noise],
            )
            fake, swapped = drawn[: len(s)], drawn[len(s) :]
            scored = torch.cat([swapped, fake[swaps:]])
            c_fake = c
            if step.from_noise and some_unconditional and config.model.conditional_discriminator:
                with torch.no_grad():
                    said = classifier.probabilities(classifier.logits(fake))
                    c_fake = torch.where(batch.conditioned[:, None], c, said)

        # Discriminator.
        if step.adversarial:
            with autocast():
                real_logits = discriminator.scores(augment(batch.x, batch.numbers[0]), c)
                fake_logits = discriminator.scores(augment(scored.detach(), batch.numbers[1]), c_fake)
                loss = (losses.discriminator_hinge if projected else losses.discriminator_logistic)(
                    real_logits, fake_logits
                )
            figures |= {"discriminator": loss, "real_signs": real_logits.sign().mean(), **augment.figures()}
            if step.number % loss_weights.r1_every == 0 and loss_weights.r1_gamma > 0 and not projected:
                # float32: the penalty's second derivatives are too coarse in bfloat16.
                x = batch.x.detach().requires_grad_(True)
                penalty = losses.r1_penalty(discriminator(augment(x, batch.numbers[0]), c), x)
                figures["r1"] = penalty
                loss = loss + penalty * loss_weights.r1_gamma * loss_weights.r1_every
            _update(optimizers["discriminator"], discriminator, loss, processes)
            augment.adapt(processes.mean(figures["real_signs"].detach()), schedule.batch)

        # Encoder and generator.
        total = torch.zeros((), device=on)
        with autocast(), _frozen(discriminator):
            if step.adversarial:
                scores = discriminator.scores(augment(scored, batch.numbers[2]), c_fake)
                loss = (losses.generator_hinge if projected else losses.generator_logistic)(scores)
                figures["generator_noise" if step.from_noise else "generator_encoder"] = loss
                total = total + loss * loss_weights.adversarial
            if step.from_noise:
                generator.mapping.w_avg.lerp_(processes.mean(w.detach().float().mean(dim=0)), 0.002)
                if loss_weights.noise_kl:
                    said = classifier.logits(fake)
                    figures["kl_noise"] = losses.classifier_kl(logits, said, classifier.activation, batch.conditioned)
                    total = total + figures["kl_noise"] * loss_weights.classifier
            else:
                # One without a gradient is not asked about what it cannot teach: the image's own answer stands for it.
                swaps_asked = -(-swaps * asked // n)
                looked_at = drawn if asked == n else torch.cat([fake[:asked], swapped[:swaps_asked]])
                logits, features = logits[:asked], [f[:asked] for f in features]
                own = torch.cat([logits, logits[:swaps_asked]])
                logits_all, features_all = perceptual.of_fake(looked_at) if classifier.gradient else (own, features)
                logits_rec, features_rec = logits_all[:asked], [f[:asked] for f in features_all]
                figures["pixel"] = losses.pixel_l1(fake, batch.x)
                figures["perceptual"] = perceptual.distance(fake, batch.x, features_rec, features)
                if classifier.gradient:
                    figures["kl"] = losses.classifier_kl(logits, logits_rec, classifier.activation)
                total = total + figures["pixel"] * loss_weights.pixel + figures["perceptual"] * loss_weights.perceptual
                if step.consistent and loss_weights.classifier > 0:
                    total = total + figures["kl"] * loss_weights.classifier
                if swaps > 0 and classifier.gradient:
                    figures["swap"] = losses.classifier_kl(
                        logits[:swaps_asked], logits_all[asked:], classifier.activation
                    )
                    if step.follows:
                        total = total + figures["swap"] * loss_weights.swap
                    if loss_weights.swap_features > 0 and features:
                        figures["swap_features"] = losses.pooled_features(
                            [f[:swaps_asked] for f in features], [f[asked:] for f in features_all]
                        )
                        total = total + figures["swap_features"] * loss_weights.swap_features
                # A finished generator sets the scale of the latents itself.
                if loss_weights.latent_moments > 0 and not step.encoder_alone:
                    figures["latent_moments"] = losses.latent_moments(processes.gather(w.float()))
                    total = total + figures["latent_moments"] * loss_weights.latent_moments * processes.size
                if loss_weights.latent > 0 and step.number % loss_weights.latent_every == 0:
                    figures["latent"] = (
                        (encode(fake[:asked], classifier.probabilities(logits_rec)) - w[:asked]).abs().mean()
                    )
                    total = total + figures["latent"] * loss_weights.latent * loss_weights.latent_every
        if penalize_paths:
            assert batch.path_noise is not None
            w = generator.mapping(batch.z)[:, None].repeat(1, generator.synthesis.w_layers, 1)
            s = generator.synthesis.layer_styles(w, given, None if maps is None else maps.detach())
            lengths = losses.path_lengths(generator.synthesis(s, noise=batch.noise), w, batch.path_noise)
            path_mean.lerp_(processes.mean(lengths.detach().mean()), 0.01)
            figures["path_length"] = (lengths - path_mean).square().mean()
            total = total + figures["path_length"] * loss_weights.path_length * loss_weights.path_length_every
        for name in step.trains:
            optimizers[name].zero_grad(set_to_none=True)
        total.backward()
        for name in step.trains:
            processes.average_gradients(getattr(nets, name).parameters())
            optimizers[name].step()

        # Moving averages.
        nimg += schedule.batch
        keep = 0.5 ** (schedule.batch / max(1.0, min(schedule.ema_nimg, nimg * 0.05)))
        if not step.encoder_alone:
            _average(nets.generator_ema, generator, keep)
        _average(nets.encoder_ema, encoder, keep)
        for name, value in figures.items():
            sums.setdefault(name, []).append(value.detach().float())

        # Report.
        last = nimg >= schedule.total_nimg
        ticks = last or nimg // schedule.tick_nimg > tick_nimg // schedule.tick_nimg
        if ticks:
            means = {name: processes.mean(torch.stack(v).mean()).item() for name, v in sums.items()}
            _stop_unless_finite(means, nets, out, nimg)
            seconds = time.perf_counter() - tick_start
            speed = (nimg - tick_nimg) / seconds
            if processes.first:
                times = {"seconds": round(seconds, 3), "images_per_s": round(speed, 2)}
                append_row(out / "stats.jsonl", {"nimg": nimg, "total_nimg": schedule.total_nimg, **times, **means})
            listener(
                Tick(nimg=nimg, total_nimg=schedule.total_nimg, seconds=seconds, images_per_s=speed, figures=means)
            )

        # Snapshot.
        early = not shown and not ticks and time.perf_counter() - began >= first_snapshot_s
        due = ticks and (last or nimg // schedule.snapshot_nimg > tick_nimg // schedule.snapshot_nimg)
        if watch is not None and (due or early):
            shown, since = True, time.perf_counter()
            if early:
                _stop_unless_finite({n: torch.stack(v).mean().item() for n, v in sums.items()}, nets, out, nimg)
            newest = out / "snapshots" / f"{nimg:09d}"
            used = task.finished(nets)
            with torch.no_grad():
                most = _EARLY_IMAGES if early else STATISTICS_IMAGES
                seen = observe(used.generator_ema, used.encoder_ema, images, classifier, on, most=most)
                measured, panel, alarms = measure(
                    watch, used.generator_ema, used.encoder_ema, classifier, seen, samples=task.samples(nimg)
                )
            save_snapshot(
                newest,
                SnapshotNetworks(
                    generator=used.generator_ema,
                    encoder=used.encoder_ema,
                    discriminator=discriminator,
                    statistics=seen.statistics,
                    latents=seen.latents,
                    maps=seen.maps,
                ),
                SnapshotRecord(
                    classifier=classifier.spec.to_json(),
                    classifier_reference=task.classifier_reference,
                    classifier_fingerprint=task.classifier_fingerprint,
                    classifier_answers=task.classifier_answers,
                    nimg=nimg,
                    training=config.to_json(),
                    figures=measured,
                ),
                files={
                    "panel.png": draw_panel(panel),
                    **({} if task.start is None else task.start.files(nets.generator_ema)),
                },
            )
            append_row(out / "stats.jsonl", {"nimg": nimg, "held_out": measured})
            for message in [*alarms, *augment.alarms()]:
                listener(Alarm(message=message))
            listener(SnapshotWritten(nimg=nimg, path=newest, figures=measured))
            if early:
                tick_start += time.perf_counter() - since

        # State: last, so that no snapshot and no report is missing behind a state. What is ahead of the state is
        # written again after a kill.
        if ticks:
            if processes.first:
                parts = {name: network.state_dict() for name, network in nets.by_name().items()}
                parts |= {f"{name}_optimizer": o.state_dict() for name, o in optimizers.items()}
                parts |= {"path_mean": path_mean, "augment": augment.state_dict()}
                save_state(state_path, nimg=nimg, identity=identity, parts=parts)
            sums, tick_start, tick_nimg = {}, time.perf_counter(), nimg

    ahead.close()
    processes.wait()
    newest = out / "snapshots" / f"{nimg:09d}"
    processes.leave()
    listener(Done(task="train", path=newest))
    return newest


def _adam(network: nn.Module, config: TrainConfig) -> torch.optim.Adam:
    return torch.optim.Adam(network.parameters(), lr=0.0, betas=(0.0, config.optimizer.beta2), eps=1e-8, fused=True)


def _set_rates(
    optimizers: Mapping[str, torch.optim.Adam], config: TrainConfig, nimg: int, *, adversarial: bool
) -> None:
    """Learning rates and first moments as they are at ``nimg``."""
    options = config.optimizer
    schedule = config.schedule

    def decay(end: float) -> float:
        remaining = max(0.0, 1 - nimg / end) if end > 0 else 0.0
        return min(1.0, 0.1 + 0.9 * remaining / options.decay) if options.decay > 0 else 1.0

    learnt = max(0.0, nimg - schedule.encoder_from_nimg)
    warmup = min(1.0, learnt / options.encoder_warmup_nimg) if options.encoder_warmup_nimg > 0 else 1.0
    rates = {
        "generator": options.generator_lr * decay(schedule.encoder_alone_nimg),
        "discriminator": options.discriminator_lr * decay(schedule.encoder_alone_nimg),
        "encoder": options.encoder_lr * decay(schedule.total_nimg) * warmup,
    }
    beta1 = options.beta1 if adversarial else options.beta1_reconstruction
    for name, optimizer in optimizers.items():
        for group in optimizer.param_groups:
            group["lr"] = rates[name]
            group["betas"] = (options.beta1 if name == "discriminator" else beta1, options.beta2)


def _penalizes_paths(config: TrainConfig, loss: LossConfig, nimg: int) -> bool:
    step = config.schedule.step(nimg)
    nth = step.number // config.schedule.noise_every
    return step.from_noise and loss.path_length > 0 and nth % config.loss.path_length_every == 0


def _unconditional(encoder: Encoder) -> Callable[[Tensor, Tensor], Tensor]:
    return lambda x, c: encoder.unconditional(x)


def _update(optimizer: torch.optim.Adam, network: nn.Module, loss: Tensor, processes: Processes) -> None:
    optimizer.zero_grad(set_to_none=True)
    loss.backward()
    processes.average_gradients(network.parameters())
    optimizer.step()


@contextmanager
def _frozen(network: nn.Module) -> Iterator[None]:
    """No gradients for the network's weights: they would be computed and thrown away."""
    network.requires_grad_(False)
    try:
        yield
    finally:
        network.requires_grad_(True)


def _average(ema: nn.Module, network: nn.Module, keep: float) -> None:
    with torch.no_grad():
        torch._foreach_lerp_(list(ema.parameters()), list(network.parameters()), 1 - keep)
        for own, new in zip(ema.buffers(), network.buffers(), strict=True):
            own.copy_(new)


def _told(config: TrainConfig, step: Step) -> bool:
    """Whether a step gives what the classifier says of each real image to a network."""
    model = config.model
    return (
        step.from_noise
        or model.class_input != "none"
        or model.class_encoder == "always"
        or (model.class_encoder == "after" and step.encoder_alone)
        or (step.adversarial and model.conditional_discriminator)
    )


def _autocast(precision: str, on: torch.device) -> Callable[[], torch.autocast]:
    enabled = precision == "bf16" or (precision == "auto" and has_fast_bf16(on))
    return lambda: torch.autocast(on.type, dtype=torch.bfloat16, enabled=enabled)


def _stop_unless_finite(means: Mapping[str, float], nets: Networks, out: Path, nimg: int) -> None:
    wrong = [name for name, value in means.items() if not math.isfinite(value)]
    wrong += [
        f"{name} weights"
        for name, network in nets.by_name().items()
        if not all(p.isfinite().all() for p in network.parameters())
    ]
    if wrong:
        kept = f"the last good state is kept in {out}" if (out / "state.pt").exists() else "no state was kept before it"
        raise TrainingError(
            f"{', '.join(wrong)} no longer finite near image {nimg}; {kept}: train anew "
            "into another folder with lower learning rates (the encoder's first), a larger r1_gamma, or precision fp32"
        )
