"""Knobs without networks: an explanation's strips, packed for the viewer that the explorer uses too.

The viewer's files lie in ``ui/static``; here they are only read as text, for a page or a notebook that carries them.
"""

from __future__ import annotations

import base64
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import resources
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from stylex.core.attribute import Attribute
from stylex.core.explanation import ExplainedImage, Explanation, Picture, Strip
from stylex.core.numbers import Numbers
from stylex.core.studio import Frame, Knob, StudioImage
from stylex.report.figures import encode, enlarge
from stylex.report.words import name_of, technical

_LOSSLESS = 64
"""Frames up to this many pixels are packed as they are: enlarged, the traces of a packing would be seen."""
_CLASSES = 20
"""With more classes than this, only those that matter in some frame are told."""


@dataclass(frozen=True)
class StripSize:
    """How strips are packed: largest side of a frame in pixels, quality of WebP (0 to 100), and how many images."""

    side: int
    quality: int
    images: int


FULL = StripSize(side=256, quality=90, images=8)


File = Literal["viewer.js", "viewer.css", "strip_source.js", "http_source.js", "widget.js"]


def viewer_script(*sources: File) -> str:
    """The viewer and some of its sources as one text of plain JavaScript without imports and exports."""
    return "\n".join(viewer_file(name).replace("\nexport function ", "\nfunction ") for name in ("viewer.js", *sources))


def viewer_file(name: File) -> str:
    """The text of one of the viewer's files."""
    return (resources.files("stylex") / "ui" / "static" / name).read_text(encoding="utf-8")


def strip_data(explanation: Explanation, size: StripSize = FULL) -> dict[str, Any] | None:
    """What ``stripSource`` is given, JSON-able; None where no strip is to be shown.

    Attributes that a person put away are left out, with their names.
    """
    e = explanation
    shown = [image.id for image in e.images if any(strip.image == image.id for strip in e.strips)][: size.images]
    strips = [
        strip for strip in e.strips if strip.image in shown and not e.ranking[strip.attribute].hidden and strip.shares
    ]
    if not strips:
        return None
    classes = _classes(e, strips)
    rows = {image_id: e.image(image_id) for image_id in shown}
    told = Numbers.of(e)
    return {
        "title": e.title,
        "labels": [e.labels[i] for i in classes],
        "output": e.output,
        "numbers": numbers_row(told),
        "resolution": int(strips[0].frames.shape[1]),
        "channels": int(strips[0].frames.shape[3]),
        "notes": [],
        "first": max(strips, key=lambda strip: (-strip.attribute, _reach(strip, e))).image,
        "knobs": [_knob(e, position, attribute, strips, classes) for position, attribute in enumerate(e.ranking)],
        "images": [_image(image, classes, size, told is not None) for image in rows.values()],
        "strips": [
            {
                "image": strip.image,
                "knob": strip.attribute,
                "src": _uri(_sheet(strip, size.side), size),
                "shares": list(strip.shares),
                "probabilities": [numbers(row[classes]) for row in strip.probabilities],
            }
            for strip in strips
        ],
    }


# What the viewer is told, by this source as by the explorer; the head of viewer.js says what it means.


def knob_row(position: int, knob: Knob) -> dict[str, Any]:
    """A knob, by its position among all."""
    attribute = knob.attribute
    return {
        "id": position,
        "label": attribute.label,
        "meaning": None if attribute.meaning is None else attribute.meaning.descriptor,
        "technical": technical(attribute),
        "target": attribute.target,
        "effect": round(attribute.effect, 4),
        "full": attribute.shift_range,
        "sign": attribute.sign,
        "hidden": attribute.hidden,
        "image": knob.image,
        "kept": knob.kept,
    }


def numbers_row(told: Numbers | None) -> dict[str, Any] | None:
    """What a regression's numbers mean; None of any other classifier."""
    if told is None:
        return None
    return {
        "names": list(told.names),
        "unit": told.unit,
        "center": list(told.center),
        "scale": list(told.scale),
        "by": told.by,
        "digits": told.digits,
        "ends": [list(told.ends(label)) for label in range(len(told.names))],
        "measured": bool(told.low),
    }


def image_row(image: StudioImage, *, places: bool = False) -> dict[str, Any]:
    """An image, as a list of images names it; with ``places``, which are a regression's answers, if asked for."""
    rebuilt = image.rebuilt.probabilities
    given = rebuilt if image.probabilities is None else image.probabilities
    said, fitted = int(given.argmax()), image.fitted
    return {
        "id": image.id,
        "name": image.name,
        "label": image.label,
        "said": said,
        "confidence": round(float(given[said]), 4),
        "rebuilt_said": int(rebuilt.argmax()),
        "rebuilt_confidence": round(float(rebuilt[said]), 4),
        "original": image.original is not None,
        "own": image.own,
        "fitted": None
        if fitted is None
        else {
            "said": int(fitted.rebuilt.probabilities.argmax()),
            "l1": round(fitted.l1, 4),
            "l1_before": round(fitted.l1_before, 4),
            **({"places": numbers(fitted.rebuilt.probabilities)} if places else {}),
        },
        **({"places": numbers(given), "rebuilt_places": numbers(rebuilt)} if places else {}),
    }


def image_detail(image: StudioImage) -> dict[str, Any]:
    """What more is told of the image that is shown."""
    return {
        "probabilities": None if image.probabilities is None else numbers(image.probabilities),
        "rebuilt_probabilities": numbers(image.rebuilt.probabilities),
        "notes": list(image.notes),
    }


def numbers(values: NDArray[np.float32]) -> list[float]:
    """Probabilities, as exact as a regression's numbers are read from them."""
    return [round(float(value), 7) for value in values]


def _reach(strip: Strip, e: Explanation) -> float:
    """How much the target's probability moves from end to end."""
    return float(np.ptp(strip.probabilities[:, e.ranking[strip.attribute].target]))


def _classes(e: Explanation, strips: Sequence[Strip]) -> list[int]:
    """The classes to tell of, in their order: all, or of very many the targets and the likely ones."""
    if len(e.labels) <= _CLASSES or e.output == "regression":
        return list(range(len(e.labels)))
    highest = np.max([strip.probabilities.max(axis=0) for strip in strips], axis=0)
    answers = {int(row.argmax()) for strip in strips for row in strip.probabilities}
    targets = {e.ranking[strip.attribute].target for strip in strips}
    likely = [int(i) for i in np.argsort(-highest, kind="stable")]
    chosen = [*dict.fromkeys([*sorted(targets | answers), *likely])]
    return sorted(chosen[: max(_CLASSES, len(targets | answers))])


def _knob(
    e: Explanation, position: int, attribute: Attribute, strips: Sequence[Strip], classes: Sequence[int]
) -> dict[str, Any]:
    own = [strip for strip in strips if strip.attribute == position]
    return knob_row(position, Knob(attribute=attribute, image=None, kept=False)) | {
        "label": None if attribute.hidden else name_of(e.ranking, position),
        "target": classes.index(attribute.target) if own else 0,
        "stops": list(own[0].shares) if own else [0],
        "images": [strip.image for strip in own],
    }


def _image(image: ExplainedImage, classes: Sequence[int], size: StripSize, places: bool) -> dict[str, Any]:
    shown = StudioImage(
        id=image.id,
        name=image.id,
        label=image.label,
        original=image.original,
        probabilities=None if image.probabilities is None else image.probabilities[classes],
        rebuilt=Frame(picture=image.reconstruction, probabilities=image.reconstruction_probabilities[classes]),
    )
    picture = None if image.original is None else _uri(_shrunk(image.original, size.side), size)
    return image_row(shown, places=places) | image_detail(shown) | {"picture": picture}


def _sheet(strip: Strip, side: int) -> Picture:
    return np.hstack([_shrunk(frame, side) for frame in strip.frames])


def _shrunk(picture: Picture, side: int) -> Picture:
    return enlarge(picture, side) if max(picture.shape[:2]) > side else picture


def _uri(picture: Picture, size: StripSize) -> str:
    # The side of a frame: a strip is as high as that.
    exact = picture.shape[0] <= min(_LOSSLESS, size.side) and size.quality >= FULL.quality
    data = encode(picture, "webp", quality=100 if exact else size.quality, exact=exact)
    return "data:image/webp;base64," + base64.b64encode(data).decode()
