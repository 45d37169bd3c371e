"""A run shared on the hub: what goes there, what stays here, and what its card says."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import Any

from safetensors.torch import load as load_tensors
from safetensors.torch import save as save_tensors

from stylex.classifiers import is_same, load_classifier, recorded_place
from stylex.classifiers.load import is_import
from stylex.core.errors import ClassifierError, ConfigError, SnapshotError
from stylex.core.files import read_whole
from stylex.core.untrusted import parse_json
from stylex.core.wording import option
from stylex.models.hub import CARD, CLASSIFIER, PANEL, SNAPSHOT
from stylex.models.snapshot import Snapshot
from stylex.report.card import Shared, card

_OF_IMAGES = ("latents", "maps")
_LONGEST = 2000


@dataclass(frozen=True, kw_only=True)
class Wishes:
    """What who shares a run has said of it.

    Attributes:
        licence: an identifier of the hub's, such as ``apache-2.0``.
        about_data: what the images are.
        panel: send the panel, which shows held-out photographs.
        latents: send the encodings of training images with the weights.
        classifier: the small classifier's folder, to send it; None: it stays here.
        version: of stylex.
    """

    licence: str | None
    about_data: str | None
    panel: bool
    latents: bool
    classifier: Path | None
    version: str

    def __post_init__(self) -> None:
        if self.licence is not None and not re.fullmatch(r"[a-z0-9][a-z0-9.-]{0,40}", self.licence):
            raise ConfigError(
                f"{option('license', self.licence)}: expected an identifier such as apache-2.0, cc-by-4.0 or other"
            )
        if self.about_data is not None and len(self.about_data) > _LONGEST:
            raise ConfigError(f"{option('about_data')} has {len(self.about_data)} characters; {_LONGEST} are read")


def parcel(snapshot: Snapshot, name: str, wishes: Wishes) -> dict[str, Path | bytes]:
    """The files of a run as they are shared, by name; large ones where they lie.

    Paths on this machine are left out of all JSON.

    Args:
        snapshot: the run's.
        name: ``ORG/NAME``.
        wishes: what goes with it.

    Raises:
        SnapshotError: a panel was asked for, and there is none.
    """
    folder = snapshot.path
    description = parse_json(read_whole(folder / "snapshot.json"))
    reference, said = _told(snapshot, along=wishes.classifier is not None)
    description |= {"classifier_reference": reference, "training": _placeless(description["training"])}
    files: dict[str, Path | bytes] = {
        f"{SNAPSHOT}/snapshot.json": json.dumps(description, indent=1).encode(),
        f"{SNAPSHOT}/weights.safetensors": folder / "weights.safetensors",
    }
    if not wishes.latents:
        weights = load_tensors(read_whole(folder / "weights.safetensors"))
        files[f"{SNAPSHOT}/weights.safetensors"] = save_tensors(
            {key: value for key, value in weights.items() if key not in _OF_IMAGES}
        )
    if (folder / "domain.json").is_file():
        domain = _placeless(parse_json(read_whole(folder / "domain.json")))
        files[f"{SNAPSHOT}/domain.json"] = json.dumps(domain, indent=1).encode()
        files[f"{SNAPSHOT}/domain.safetensors"] = folder / "domain.safetensors"
    if wishes.classifier is not None:
        for own in ("classifier.json", "weights.safetensors"):
            files[f"{CLASSIFIER}/{own}"] = wishes.classifier / own
    if wishes.panel:
        if not (folder / "panel.png").is_file():
            raise SnapshotError(f"{folder} has no panel.png to go along; leave out {option('with_panel')}")
        files[PANEL] = folder / "panel.png"
    kept = {name: getattr(snapshot, name) if wishes.latents else None for name in _OF_IMAGES}
    text = card(
        Shared(
            name=name,
            description=description,
            imported=not snapshot.has_encoder,
            licence=wishes.licence,
            about_data=wishes.about_data,
            classifier=said,
            latents=0 if kept["latents"] is None else len(kept["latents"]),
            maps=0 if kept["maps"] is None else len(kept["maps"]),
            panel=wishes.panel,
            version=wishes.version,
        )
    )
    return {CARD: text.encode(), **files}


def classifier_to_share(snapshot: Snapshot, given: str | Path | None) -> Path:
    """The folder of the run's small classifier.

    Args:
        snapshot: the run's.
        given: where it is now; None: where the run says.

    Raises:
        ClassifierError: it is none of ours, is not there, or is another one than that of the training.
    """
    reference = given if given is not None else snapshot.classifier_reference
    place = None if reference is None else Path(recorded_place(str(reference), snapshot.path))
    if place is None or not (place / "classifier.json").is_file():
        raise ClassifierError(
            f"{option('with_classifier')} sends a small classifier's folder, as `stylex classifier` writes it, and "
            f"{str(reference)[:200]!r} is none: say where it is, with {option('classifier')}, or leave it out: the "
            "card says which it was"
        )
    own = load_classifier(place)
    if not is_same(own, fingerprint_then=snapshot.classifier_fingerprint, answers_then=snapshot.classifier_answers):
        raise ClassifierError(
            f"{place} is not the classifier that the run was trained with; give that one, or leave it out"
        )
    return place


def listed(files: Mapping[str, Path | bytes]) -> list[str]:
    """A line a file, with how large it is."""
    return [f"{_size(data):>13,} bytes  {name}" for name, data in files.items()]


def _size(data: Path | bytes) -> int:
    return len(data) if isinstance(data, bytes) else data.stat().st_size


def _told(snapshot: Snapshot, *, along: bool) -> tuple[str | None, str]:
    """What others are told of where the classifier is: as a reference, and in a sentence."""
    reference = snapshot.classifier_reference
    again = "give it again with `--classifier`"
    if along:
        return CLASSIFIER, "It is a small convolutional network, and lies here in the folder `classifier`."
    if reference is None:
        return None, f"It is not here, and was given as an object in Python: {again}."
    if reference.startswith(("http://", "https://")):
        return None, f"It is not here: a server answered, whose address is not told. To ask it, {again}."
    here = Path(recorded_place(reference, snapshot.path))
    if (public := _public(reference)) is not None:
        return public, f"It is not here. It was opened as `{public}`: {again}."
    if is_import(reference) and not here.exists():
        return reference, f"It is not here. It is Python code, given as `{reference}`: {again}, if you trust it."
    name = _last(reference.split(",")[0])
    return name, f"It is not here. It was a file or a folder called `{name}`: {again}."


def _public(reference: str) -> str | None:
    """A classifier by name, without options that name files; None: it is none, or lies on this machine."""
    kind, _, rest = reference.partition(":")
    name, *options = rest.split(",")
    if (
        kind not in ("timm", "torchvision", "hf")
        or not re.fullmatch(r"[\w.-]+(/[\w.-]+)?", name)
        or Path(name).exists()
    ):
        return None
    return ",".join([f"{kind}:{name}", *(part for part in options if not re.search(r"[/\\]", part))])


def _placeless(value: Any) -> Any:
    """JSON in which of every path only the last name is left."""
    if isinstance(value, dict):
        return {_last(key): _placeless(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [_placeless(inner) for inner in value]
    return _last(value) if isinstance(value, str) else value


def _last(text: str) -> str:
    windows = bool(re.match(r"[A-Za-z]:\\|\\\\", text)) or ("\\" in text and "/" not in text)
    return (PureWindowsPath(text) if windows else PurePosixPath(text)).name or text
