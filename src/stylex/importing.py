"""A generator from elsewhere made a run, to which a training adds an encoder; and a run's generator for elsewhere."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, get_args

import torch
from jaxtyping import Float
from torch import Tensor

from stylex.classifiers import answers, check_classifier, describe, fingerprint, load_classifier
from stylex.classifiers.classifier import Classifier
from stylex.core.errors import ConfigError, DataError, SnapshotError
from stylex.core.files import read_whole, write_whole
from stylex.core.progress import Alarm, Done, Found, Listener, SnapshotWritten, Started, Step
from stylex.core.stylespace import StyleStatistics
from stylex.core.wording import option
from stylex.data import ImageSet, open_images
from stylex.data.images import RESOLUTIONS, to_pictures
from stylex.models.config import DiscriminatorConfig, EncoderConfig
from stylex.models.discriminator import Discriminator
from stylex.models.encoder import Encoder
from stylex.models.imported import Imported, read_stylegan2
from stylex.models.onnx import to_onnx
from stylex.models.rosinality import to_rosinality
from stylex.models.snapshot import IMPORTED, SnapshotNetworks, SnapshotRecord, load_snapshot, save_snapshot
from stylex.opening import ClassifierLike, ClassifierSpecLike, refuse_regression, spec_of
from stylex.training.held_out import Panel

Layout = Literal["rosinality", "onnx"]
"""What a generator can be written as."""

_DRAWN = 2_048
"""Pictures over whose style values the StyleSpace is observed."""
_ANSWERED = 512
"""Of these, pictures that the classifier is shown."""
_SHOWN = 10
"""Pictures in a row of the panel."""
_COLLAPSED = 0.15
"""Variety below this fraction of the real images' raises an alarm."""


@dataclass(frozen=True, eq=False, kw_only=True)
class Meeting:
    """What is brought together: a generator from elsewhere, images such as it draws, and the classifier to explain.

    Attributes:
        file: where the generator is from.
        networks: the generator, perhaps with its discriminator.
        images: of what it draws.
        classifier: the explained classifier.
        reference: how a later command finds the classifier.
    """

    file: Path
    networks: Imported
    images: ImageSet
    classifier: Classifier
    reference: str | None

    @classmethod
    def open(
        cls,
        file: Path,
        data: str | Path,
        *,
        classifier: ClassifierLike,
        classifier_spec: ClassifierSpecLike | None,
        device: str,
    ) -> Meeting:
        """Read a checkpoint, images and a classifier, and see that they go together.

        Raises:
            SnapshotError, DataError, ClassifierError: one of them cannot be used, or not with the others.
        """
        networks = read_stylegan2(file)
        config = networks.generator.config
        if config.resolution not in RESOLUTIONS:
            raise SnapshotError(
                f"{file} draws {config.resolution} px; archives hold images of {RESOLUTIONS[0]} to {RESOLUTIONS[-1]} "
                "px, so give a generator of one of these sizes"
            )
        images = open_images(data)
        if (images.resolution, images.channels) != (config.resolution, config.channels):
            raise DataError(
                f"{data} holds images of {images.resolution} px with {images.channels} channel(s), {file} draws "
                f"{config.resolution} px with {config.channels}; prepare the data with "
                f"{option('resolution', config.resolution)} and {option('channels', config.channels)}"
            )
        explained = load_classifier(classifier, spec_of(classifier_spec)).to(device)
        refuse_regression(explained)
        some = images.batch(range(0, len(images), -(-len(images) // 64)))
        check_classifier(explained, channels=config.channels, resolution=config.resolution, images=some)
        return cls(
            file=file,
            networks=networks,
            images=images,
            classifier=explained,
            reference=describe(classifier) if isinstance(classifier, str | Path) else None,
        )


@torch.inference_mode()
def import_run(
    meeting: Meeting, *, out: Path, device: str, draw_panel: Callable[[Panel], bytes], listener: Listener
) -> Path:
    """A run of one snapshot with the generator and without an encoder, written to ``out``.

    Raises:
        SnapshotError: ``out`` holds something, or the generator draws what is no number.
    """
    if out.exists() and any(out.iterdir()):
        raise SnapshotError(f"{out} exists already; remove it, or choose another {option('out')}")
    networks, classifier, on = meeting.networks, meeting.classifier, torch.device(device)
    generator, config = networks.generator.to(on), networks.generator.config
    widths = ", ".join(map(str, config.widths))
    listener(
        Found(
            message=f"{meeting.file}: {networks.layout}, {config.resolution} px, {config.channels} channel(s), widths "
            f"{widths}, z {config.z_dim}, w {config.w_dim}, {config.mapping_layers} mapping layers"
        )
    )
    for remark in networks.remarks:
        listener(Found(message=remark))
    listener(Started(task="import", total=_ANSWERED, unit="pictures"))
    z = torch.randn(_DRAWN, config.z_dim, generator=torch.Generator().manual_seed(0))
    w = torch.cat([generator.mapping(part.to(on)) for part in z.split(64)])
    s = torch.cat([generator.synthesis.styles(part) for part in w.split(64)])
    drawn, said = [], []
    for part in s[:_ANSWERED].split(64):
        drawn.append(generator.synthesis(part).clamp(-1, 1))
        said.append(classifier.probabilities(classifier.logits(drawn[-1])))
        listener(Step(task="import", done=64 * len(drawn)))
    pictures, p = torch.cat(drawn), torch.cat(said)
    if not (s.isfinite().all() and pictures.isfinite().all()):
        raise SnapshotError(f"{meeting.file}: its generator draws what is no number; give another checkpoint")
    spread = torch.linspace(0, len(meeting.images) - 1, min(len(meeting.images), _ANSWERED)).round().long()
    real = meeting.images.batch(spread.numpy()).to(on)
    variety = _variety(pictures) / max(_variety(real), 1e-6)
    for event in _verdict(p, classifier, variety):
        listener(event)
    snapshot = out / "snapshots" / f"{0:09d}"
    figures = {"variety_sampled": variety}
    shape: dict[str, Any] = {"resolution": config.resolution, "channels": config.channels}
    discriminator = networks.discriminator or Discriminator(
        DiscriminatorConfig(**shape, widths=config.widths, c_dim=0, mapping_layers=1)
    )
    # A snapshot has an encoder; one feature wide, this one only holds the place of the one that is to be trained.
    encoder = Encoder(EncoderConfig(**shape, widths=(1,) * len(config.widths), w_dim=config.w_dim))
    save_snapshot(
        snapshot,
        SnapshotNetworks(
            generator=generator,
            encoder=encoder,
            discriminator=discriminator,
            statistics=StyleStatistics.observe(s.cpu().numpy()),
            latents=w.cpu().numpy(),
        ),
        SnapshotRecord(
            classifier=classifier.spec.to_json(),
            classifier_reference=meeting.reference,
            classifier_fingerprint=fingerprint(classifier),
            classifier_answers=answers(classifier),
            nimg=0,
            training={
                IMPORTED: {"file": meeting.file.name, "layout": networks.layout, "sha256": _sha256(meeting.file)}
            },
            figures=figures,
        ),
        files={"panel.png": draw_panel(_panel(real[:: -(-len(real) // _SHOWN)], pictures[:_SHOWN], classifier))},
    )
    listener(SnapshotWritten(nimg=0, path=snapshot, figures=figures))
    listener(Done(task="import", path=out))
    return out


def export_run(run: str | Path, to: Layout, out: Path, *, listener: Listener) -> Path:
    """Write a run's generator, and for rosinality's program its discriminator where it fits.

    Raises:
        ConfigError: there is no such layout, or a package for it is missing.
        SnapshotError: the run cannot be read, its generator has no place in that layout, or ``out`` cannot be written.
    """
    if to not in get_args(Layout):
        raise ConfigError(f"{option('to')} is {to!r:.80}, but must be one of {', '.join(get_args(Layout))}")
    snapshot = load_snapshot(run)
    if to == "onnx":
        write_whole(out, to_onnx(snapshot.generator), error=SnapshotError)
        return out
    if snapshot.discriminator.config.kind == "projected":
        listener(Found(message="its discriminator looks through another network, and is left out"))
    elif snapshot.discriminator.config.c_dim:
        listener(Found(message="its discriminator is told the classifier's answer, and is left out"))
    buffer = io.BytesIO()  # torch.save has its own error for a full disk
    torch.save(to_rosinality(snapshot.generator, snapshot.discriminator), buffer)
    write_whole(out, buffer.getbuffer(), error=SnapshotError)
    return out


def _verdict(p: Float[Tensor, "n k"], classifier: Classifier, variety: float) -> list[Found | Alarm]:
    """What the classifier says of the pictures, and what that means for an explanation."""
    labels = classifier.spec.labels
    events: list[Found | Alarm] = []
    if classifier.activation == "sigmoid":
        shares, how, said = (p > 0.5).float().mean(dim=0).tolist(), "sees", "{label} in {share:.0%}"
    else:
        counts = torch.bincount(p.argmax(dim=1), minlength=len(labels))
        shares, how, said = (counts / len(p)).tolist(), "calls", "{share:.0%} {label}"
    rows = sorted(zip(shares, labels, strict=True), reverse=True)[:5]
    told = ", ".join(said.format(label=label, share=share) for share, label in rows)
    events.append(Found(message=f"of {len(p)} pictures that it draws, the classifier {how} {told}"))
    never = [label for share, label in zip(shares, labels, strict=True) if share == 0]
    if never:
        events.append(
            Alarm(
                message=f"no picture that the generator draws is one of {', '.join(never[:5])} to the classifier; see "
                "that both were made for the same images, colours and range of values, or tune the generator"
            )
        )
    if variety < _COLLAPSED:
        events.append(
            Alarm(
                message=f"the generator's pictures differ {variety:.0%} as much as the images do; see panel.png in the "
                "snapshot's folder"
            )
        )
    return events


def _panel(real: Tensor, drawn: Tensor, classifier: Classifier) -> Panel:
    n = min(len(real), len(drawn))
    rows = {"real": real[:n], "sampled": drawn[:n]}
    return Panel(
        rows={name: to_pictures(x.cpu()) for name, x in rows.items()},
        probabilities={name: classifier.probabilities(classifier.logits(x)).cpu().numpy() for name, x in rows.items()},
        labels=classifier.spec.labels,
    )


def _variety(x: Float[Tensor, "n c h w"]) -> float:
    return x.std(dim=0).mean().item()


def _sha256(file: Path) -> str:
    """Of the file, or of a run's folder none: its snapshot says it."""
    return hashlib.sha256(read_whole(file)).hexdigest() if file.is_file() else ""
