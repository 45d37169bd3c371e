"""Snapshot: a trained generator, encoder and discriminator with StyleSpace statistics, as safetensors and JSON.

A snapshot folder holds ``snapshot.json`` and ``weights.safetensors``; nothing in it can run code.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from numpy import ndarray
from safetensors import SafetensorError
from safetensors.torch import load as load_tensors
from safetensors.torch import save as save_tensors
from torch import Tensor, nn

from stylex.core.demo import SNAPSHOT, shipped
from stylex.core.errors import SnapshotError, StylexError, first_line
from stylex.core.files import new_folder, read_whole
from stylex.core.progress import Listener, silent
from stylex.core.stylespace import StyleSpace, StyleStatistics
from stylex.core.untrusted import parse_json
from stylex.models.config import DiscriminatorConfig, EncoderConfig, GeneratorConfig, config_from_json
from stylex.models.encoder import Encoder
from stylex.models.generator import Generator
from stylex.models.hub import fetched, on_the_hub
from stylex.models.ops import channels_last
from stylex.models.projected import Judge, judge_of
from stylex.models.steered import Directions, SteeredSynthesis

FORMAT = "stylex-snapshot"
VERSION = 1
_JSON = "snapshot.json"
_WEIGHTS = "weights.safetensors"
_LATENTS, _MAPS = "latents", "maps"
IMPORTED = "imported"
"""In the place of a training's configuration: where an imported generator is from."""
_FIELDS: Mapping[str, type | tuple[type, ...]] = {
    "generator": dict,
    "encoder": dict,
    "discriminator": dict,
    "space": list,
    "classifier": dict,
    "classifier_reference": (str, type(None)),
    "classifier_fingerprint": str,
    "nimg": int,
    "training": dict,
    "figures": dict,
}


@dataclass(frozen=True, eq=False, kw_only=True)
class Snapshot:
    """Networks to use: moving averages, frozen, in eval mode.

    Attributes:
        generator, encoder, discriminator: the networks.
        space: StyleSpace with the statistics observed over the training images' style vectors.
        latents: ``[n, w_dim]``, the encoder's for some training images, from which directions are found; None in a
            snapshot that keeps none.
        maps: ``[m, m_dim]``, the encoder's maps of some training images, for pictures that are of no image; None of
            networks without maps.
        classifier: JSON of the explained classifier's spec.
        classifier_reference: how the classifier was given at training (``pkg.module:callable`` or a path), if it can be
            given by text.
        classifier_fingerprint: identity of its weights or behaviour.
        classifier_answers: its logits on a few fixed images, by which a classifier without weights is known again;
            None in a snapshot that keeps none.
        nimg: images trained on.
        training: JSON of the training's configuration.
        figures: held-out measurements made when it was written.
        path: its folder.
        sha256: of its weights file.
    """

    generator: Generator
    encoder: Encoder
    discriminator: Judge
    space: StyleSpace
    latents: Float[ndarray, "n w_dim"] | None
    maps: Float[Tensor, "m m_dim"] | None
    classifier: Mapping[str, Any]
    classifier_reference: str | None
    classifier_fingerprint: str
    classifier_answers: Sequence[Sequence[float]] | None
    nimg: int
    training: Mapping[str, Any]
    figures: Mapping[str, float]
    path: Path
    sha256: str

    @property
    def has_encoder(self) -> bool:
        """Whether its encoder was ever trained; that of an imported generator was not."""
        return IMPORTED not in self.training

    def to(self, device: torch.device) -> Snapshot:
        """Move the networks to a device."""
        for network in (self.generator, self.encoder, self.discriminator):
            network.to(device)
        return self

    def styles_of(self, x: Float[Tensor, "n c h w"], c: Float[Tensor, "n k"] | None = None) -> Float[Tensor, "n s_dim"]:
        """The style vectors of images, conditioned on c: everything that their reconstructions are drawn from."""
        generator, encoder = self.generator, self.encoder
        given = None if c is None else generator.condition(c)
        return generator.synthesis.styles(encoder(x, c), given, encoder.maps(x))

    def some_maps(self, n: int) -> Float[Tensor, "n m_dim"] | None:
        """Maps of training images for ``n`` pictures that are of no image, each in its turn; None without maps."""
        if self.maps is None:
            return None
        device = next(self.generator.parameters()).device
        return self.maps[torch.arange(n) % len(self.maps)].to(device)

    def steered(self, directions: Sequence[Directions]) -> Snapshot:
        """The same networks, with directions in w as further style values, which are then what is searched."""
        synthesis = SteeredSynthesis(self.generator.synthesis, self.space, directions)
        synthesis.to(next(self.generator.parameters()).device).eval().requires_grad_(False)
        return dataclasses.replace(self, generator=self.generator.with_synthesis(synthesis), space=synthesis.space)


@dataclass(frozen=True, eq=False, kw_only=True)
class SnapshotNetworks:
    """Networks to keep, and what was observed with them.

    Attributes:
        generator, encoder, discriminator: the networks.
        statistics: of the training images' style vectors.
        latents: ``[n, w_dim]``, the encoder's for some training images (kept in half precision).
        maps: ``[m, m_dim]``, the encoder's maps of some training images (kept in half precision).
    """

    generator: Generator
    encoder: Encoder
    discriminator: Judge
    statistics: StyleStatistics
    latents: Float[ndarray, "n w_dim"] | None = None
    maps: Float[Tensor, "m m_dim"] | None = None

    def by_name(self) -> dict[str, nn.Module]:
        """The networks by name."""
        return {name: getattr(self, name) for name in ("generator", "encoder", "discriminator")}


@dataclass(frozen=True, eq=False, kw_only=True)
class SnapshotRecord:
    """Where a snapshot's networks come from; the fields are those of ``Snapshot``."""

    classifier: Mapping[str, Any]
    classifier_reference: str | None
    classifier_fingerprint: str
    nimg: int
    training: Mapping[str, Any]
    figures: Mapping[str, float]
    classifier_answers: Sequence[Sequence[float]] | None = None


def save_snapshot(
    path: Path, networks: SnapshotNetworks, record: SnapshotRecord, *, files: Mapping[str, bytes] | None = None
) -> None:
    """Write a snapshot folder, whole or not at all; an older one in its place is replaced.

    Args:
        path: the folder to write.
        networks: what is kept, and what was observed with it.
        record: where it comes from.
        files: more files for the folder (a panel, say), by name.

    Raises:
        SnapshotError: the place cannot be written; what was there stays.
    """
    weights: dict[str, Tensor] = {}
    for name, network in networks.by_name().items():
        for key, value in network.state_dict().items():
            weights[f"{name}.{key}"] = value.detach().cpu().contiguous()
    for field in dataclasses.fields(networks.statistics):
        weights[f"space.{field.name}"] = torch.from_numpy(getattr(networks.statistics, field.name))
    if networks.latents is not None:
        weights[_LATENTS] = torch.from_numpy(networks.latents.astype(np.float16))
    if networks.maps is not None:
        weights[_MAPS] = networks.maps.cpu().half().contiguous()
    description = {
        "format": FORMAT,
        "version": VERSION,
        "nimg": record.nimg,
        "generator": dataclasses.asdict(networks.generator.config),
        "encoder": dataclasses.asdict(networks.encoder.config),
        "discriminator": dataclasses.asdict(networks.discriminator.config),
        "space": networks.generator.synthesis.space.to_json(),
        "classifier": dict(record.classifier),
        "classifier_reference": record.classifier_reference,
        "classifier_fingerprint": record.classifier_fingerprint,
        "classifier_answers": record.classifier_answers,
        "training": dict(record.training),
        "figures": dict(record.figures),
    }
    with new_folder(path, replace=True, error=SnapshotError) as folder:
        # Not save_file: it has its own error for a full disk, and hides the file from the owner's group.
        (folder / _WEIGHTS).write_bytes(save_tensors(weights))
        (folder / _JSON).write_text(json.dumps(description, indent=1))
        for name, data in (files or {}).items():
            (folder / name).write_bytes(data)


def find_snapshot(path: str | Path, *, listener: Listener = silent) -> Path:
    """The snapshot folder that is meant.

    Args:
        path: a snapshot's folder, a training's (then the newest), ``demo`` (the package's), or ``hf://ORG/NAME``.
        listener: hears what is fetched from the hub.

    Raises:
        SnapshotError: there is none.
    """
    if on_the_hub(path):
        return fetched(path, listener)
    path = shipped(path, SNAPSHOT)
    if (path / _JSON).is_file():
        return path
    # Not the hidden ones, which a killed process was still writing.
    found = sorted(p.parent for p in (path / "snapshots").glob(f"[!.]*/{_JSON}"))
    if found:
        return found[-1]
    if not path.exists():
        raise SnapshotError(f"{path} does not exist; give the folder of a training or of a snapshot")
    raise SnapshotError(
        f"{path} holds no snapshot (no {_JSON}, no snapshots/ with one); give the folder of a training that has "
        "written its first snapshot"
    )


def load_snapshot(path: str | Path, *, listener: Listener = silent) -> Snapshot:
    """Load a snapshot, from its folder or from the training's folder (then the newest one), or from the hub.

    Args:
        path: the folder; ``hf://ORG/NAME`` or ``hf://ORG/NAME@REVISION`` of one on the Hugging Face hub.
        listener: hears what is fetched.

    Raises:
        SnapshotError: it is missing, foreign, damaged or of a newer version; the message names file and remedy.
    """
    folder = find_snapshot(path, listener=listener)
    description = _description(folder / _JSON)
    weights_path = folder / _WEIGHTS
    try:
        data = read_whole(weights_path)
        weights = load_tensors(data)
    except FileNotFoundError:
        raise SnapshotError(f"{weights_path} is missing; copy the whole snapshot folder") from None
    except (OSError, SafetensorError, ValueError, KeyError, MemoryError) as error:
        raise SnapshotError(
            f"{weights_path} is damaged ({first_line(error)}); copy it again or use an older snapshot"
        ) from None
    try:
        _check_fields(description)
        for name in ("generator", "discriminator"):  # each layer has a weight: a lie would build layers without end
            if _layers(description[name]) > len(weights):
                raise SnapshotError(f"its {name} has more layers than weights")
        # Without memory until the weights are seen to fit: a damaged file cannot ask for all there is.
        with torch.device("meta"):
            generator = Generator(config_from_json(GeneratorConfig, description["generator"]))
            encoder = Encoder(config_from_json(EncoderConfig, description["encoder"]))
            discriminator = judge_of(config_from_json(DiscriminatorConfig, description["discriminator"]))
        space = generator.synthesis.space
        if description["space"] != space.to_json():
            raise SnapshotError("its StyleSpace layout is not its generator's")
        if generator.config.map_resolutions != encoder.config.map_resolutions:
            raise SnapshotError("its generator and its encoder have maps at different resolutions")
        for name, network in (("generator", generator), ("encoder", encoder), ("discriminator", discriminator)):
            _fill(network, name, weights)
        statistics = StyleStatistics(
            **{
                field.name: _weight(weights, f"space.{field.name}", torch.Size([space.s_dim])).numpy()
                for field in dataclasses.fields(StyleStatistics)
            }
        )
        return Snapshot(
            generator=generator,
            encoder=encoder,
            discriminator=discriminator,
            space=space.observed(statistics),
            latents=None if (kept := _rows(weights, _LATENTS, encoder.config.w_dim)) is None else kept.numpy(),
            maps=_rows(weights, _MAPS, space.maps.stop - space.maps.start),
            classifier=description["classifier"],
            classifier_reference=description["classifier_reference"],
            classifier_fingerprint=description["classifier_fingerprint"],
            classifier_answers=_answers(description),
            nimg=description["nimg"],
            training=description["training"],
            figures=description["figures"],
            path=folder,
            sha256=hashlib.sha256(data).hexdigest(),
        )
    except (StylexError, OverflowError) as error:
        raise SnapshotError(
            f"{folder} is not a whole stylex snapshot: {error}; copy it again or use an older snapshot"
        ) from None


def _description(path: Path) -> dict[str, Any]:
    try:
        description = parse_json(read_whole(path, largest=2**27))
    except (OSError, ValueError) as error:
        raise SnapshotError(f"{path} cannot be read ({first_line(error)}); copy the snapshot again") from None
    if not isinstance(description, dict) or description.get("format") != FORMAT:
        raise SnapshotError(f"{path} does not describe a stylex snapshot; give a folder that `stylex train` wrote")
    if description.get("version") != VERSION:
        raise SnapshotError(
            f"{path} has version {description.get('version')}, this stylex reads {VERSION}; use a matching stylex"
        )
    return description


def _answers(description: Mapping[str, Any]) -> list[list[float]] | None:
    rows = description.get("classifier_answers")
    if rows is None:
        return None
    whole = isinstance(rows, list) and len(rows) <= 64 and all(isinstance(row, list) and row for row in rows)
    if not whole or not all(type(v) in (int, float) and abs(v) < 1e30 for row in rows for v in row):
        raise SnapshotError("its classifier_answers are not rows of finite numbers")
    if len({len(row) for row in rows}) > 1:
        raise SnapshotError("its classifier_answers are of different lengths")
    return rows


def _check_fields(description: Mapping[str, Any]) -> None:
    for name, kinds in _FIELDS.items():
        if name not in description:
            raise SnapshotError(f"{name} is missing")
        if not isinstance(description[name], kinds):
            raise SnapshotError(f"{name} is of type {type(description[name]).__name__}")
    if not 0 <= description["nimg"] < 2**63:
        raise SnapshotError("nimg is beyond what can be counted")
    figures = description["figures"].values()
    if not all(isinstance(value, float) or (isinstance(value, int) and abs(value) < 2**63) for value in figures):
        raise SnapshotError("figures are not numbers")


def _layers(row: Mapping[str, Any]) -> int:
    given = row.get("mapping_layers")
    return given if isinstance(given, int) else 0


def _fill(network: nn.Module, name: str, weights: Mapping[str, Tensor]) -> None:
    """Give a network without memory its weights, and make it ready to use."""
    state = {key: _weight(weights, f"{name}.{key}", own.shape) for key, own in network.state_dict().items()}
    network.load_state_dict(state, assign=True)
    channels_last(network)
    network.eval().requires_grad_(False)


def _rows(weights: Mapping[str, Tensor], name: str, length: int) -> Tensor | None:
    given = weights.get(name)
    if given is None:
        return None
    if given.ndim != 2 or given.shape[1] != length or given.dtype != torch.float16 or not given.isfinite().all():
        raise SnapshotError(
            f"its {name} are {given.dtype} of shape {list(given.shape)}, expected finite float16 of shape [n, {length}]"
        )
    return given.float()


def _weight(weights: Mapping[str, Tensor], name: str, shape: torch.Size) -> Tensor:
    given = weights.get(name)
    if given is None:
        raise SnapshotError(f"weight {name} is missing")
    if given.shape != shape:
        raise SnapshotError(f"weight {name} has shape {list(given.shape)}, expected {list(shape)}")
    if given.dtype != torch.float32:
        raise SnapshotError(f"weight {name} is of type {given.dtype}, expected float32")
    if not given.isfinite().all():
        raise SnapshotError(f"weight {name} is not finite")
    return given
