"""A generator from elsewhere, opened: which program wrote the file, and what of it can be used."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from torch import Tensor

from stylex.core.errors import SnapshotError
from stylex.models.checkpoint import Checkpoint, read_checkpoint
from stylex.models.discriminator import Discriminator
from stylex.models.generator import Generator
from stylex.models.hub import on_the_hub
from stylex.models.import_stylegan2 import discriminator_from_stylegan2, generator_from_stylegan2
from stylex.models.rosinality import discriminator_from_rosinality, generator_from_rosinality
from stylex.models.snapshot import find_snapshot, load_snapshot


@dataclass(frozen=True, eq=False, kw_only=True)
class Imported:
    """Networks of another program, as ours.

    Attributes:
        generator: frozen, in eval mode; neither told a class nor drawing from maps.
        discriminator: likewise; None where there is none that fits.
        layout: whose names the file uses.
        remarks: sentences for who imports it.
    """

    generator: Generator
    discriminator: Discriminator | None
    layout: str
    remarks: tuple[str, ...] = ()


def read_stylegan2(path: Path) -> Imported:
    """The networks of a StyleGAN2 checkpoint, or of one of our snapshots.

    Raises:
        SnapshotError: it is none, is damaged, or its generator is conditioned on classes.
    """
    whole = path.is_dir() or on_the_hub(path)
    if whole or (path.name == "weights.safetensors" and (path.parent / "snapshot.json").is_file()):
        return _from_snapshot(find_snapshot(path if whole else path.parent))
    checkpoint = read_checkpoint(path)
    for prefix in ("G_ema.", "G.", ""):
        if f"{prefix}synthesis.b4.const" in checkpoint.tensors:
            return _from_stylegan2(path, checkpoint, prefix)
    for prefix in ("g_ema.", "g.", ""):
        if f"{prefix}input.input" in checkpoint.tensors:
            return _from_rosinality(path, checkpoint, prefix)
    names = ", ".join(sorted(checkpoint.tensors)[:3]) or "no tensors"
    raise SnapshotError(
        f"{path} holds no generator of StyleGAN2 (found {names}); expected synthesis.b4.const as stylegan2-ada-pytorch "
        "calls it, or input.input as rosinality's stylegan2-pytorch does"
    )


def _from_stylegan2(path: Path, checkpoint: Checkpoint, prefix: str) -> Imported:
    numbers = checkpoint.numbers
    gains = {v for k, v in numbers.items() if k.startswith(f"{prefix}mapping.fc") and k.endswith(".bias_gain")}
    if len(gains) > 1:
        raise SnapshotError(f"{path}: its mapping network's layers are scaled in {len(gains)} ways; expected one")
    state = _under(checkpoint.tensors, prefix)
    try:
        generator = generator_from_stylegan2(state, lr_multiplier=float(next(iter(gains), 0.01)))
    except SnapshotError as error:
        raise SnapshotError(f"{path}: {error}") from None
    if generator.config.mapping_conditional:
        raise SnapshotError(
            f"{path}: its generator is told one of {generator.config.c_dim} classes; give one that was trained without "
            "labels, since here the classifier says what is to be seen"
        )
    remarks = []
    if checkpoint.passed_over:
        remarks.append(
            f"{path} brings the code of {len(checkpoint.passed_over)} classes along "
            f"({', '.join(checkpoint.passed_over[:3])}, ...), of which nothing was run: tensors, numbers and names "
            "were read"
        )
    clamps = {v for k, v in numbers.items() if k.startswith(f"{prefix}synthesis.") and k.endswith(".conv_clamp")}
    if clamps:
        remarks.append(
            f"its program cuts features at {max(clamps):g} where it computes in half precision; here nothing is cut"
        )
    size = numbers.get("D.b4.mbstd.group_size", 4)
    group = int(size) if 1 <= size <= 64 else 4
    discriminator, said = _discriminator(
        _under(checkpoint.tensors, "D."), lambda given: discriminator_from_stylegan2(given, group_size=group), generator
    )
    return Imported(
        generator=generator,
        discriminator=discriminator,
        layout="stylegan2-ada-pytorch",
        remarks=(*remarks, *said),
    )


def _from_rosinality(path: Path, checkpoint: Checkpoint, prefix: str) -> Imported:
    tensors = checkpoint.tensors
    try:
        generator = generator_from_rosinality(_under(tensors, prefix), tensors.get("latent_avg") if prefix else None)
    except SnapshotError as error:
        raise SnapshotError(f"{path}: {error}") from None
    discriminator, said = _discriminator(_under(tensors, "d."), discriminator_from_rosinality, generator)
    return Imported(
        generator=generator, discriminator=discriminator, layout="rosinality's stylegan2-pytorch", remarks=said
    )


def _from_snapshot(folder: Path) -> Imported:
    snapshot = load_snapshot(folder)
    config = snapshot.generator.config
    if config.c_dim or config.map_resolutions:
        what = "draws from an image's maps" if config.map_resolutions else "is told its classifier's answer"
        raise SnapshotError(
            f"{folder}: its generator {what}, and means nothing without its own encoder; adapt it, or import one that "
            "was trained with model.class_input none and model.map_resolutions []"
        )
    judge = snapshot.discriminator
    kept = judge if isinstance(judge, Discriminator) and judge.config.c_dim == 0 else None
    return Imported(
        generator=snapshot.generator,
        discriminator=kept,
        layout="stylex",
        remarks=()
        if kept
        else (
            f"{folder}: its discriminator is told its classifier's answer, or looks through another network: a new one "
            "begins",
        ),
    )


def _discriminator(
    state: Mapping[str, Tensor], read: Callable[[Mapping[str, Tensor]], Discriminator], generator: Generator
) -> tuple[Discriminator | None, tuple[str, ...]]:
    """The discriminator, if one is there and fits the generator; else a sentence why a new one begins."""
    if not state:
        return None, ("the file holds no discriminator: a new one begins",)
    try:
        discriminator = read(state)
    except SnapshotError as error:
        return None, (f"its discriminator cannot be used, and a new one begins: {error}",)
    ours, theirs = generator.config, discriminator.config
    if (theirs.resolution, theirs.channels) != (ours.resolution, ours.channels) or theirs.c_dim:
        return None, ("its discriminator judges other images, or is told a class; a new one begins",)
    return discriminator, ()


def _under(tensors: Mapping[str, Tensor], prefix: str) -> dict[str, Tensor]:
    """The tensors below a name; of a file that holds one network alone, all."""
    return {name.removeprefix(prefix): value for name, value in tensors.items() if name.startswith(prefix)}
