"""What is on screen as a file: a sheet (PNG), a moving picture (GIF, WebP, MP4), or a page (HTML)."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from stylex.core.errors import ConfigError, SearchError
from stylex.core.studio import Frame, Knob, Studio, Turn
from stylex.report.figures import check_film, encode, film, panel
from stylex.report.page import render_report

Kind = Literal["png", "gif", "webp", "mp4", "html"]
TYPES: Mapping[Kind, str] = {
    "png": "image/png",
    "gif": "image/gif",
    "webp": "image/webp",
    "mp4": "video/mp4",
    "html": "text/html",
}

_CELL = 320
_STEPS = 8


def export(studio: Studio, kind: Kind, turn: Turn) -> bytes:
    """The bytes of a file that shows an image with knobs turned.

    ``png``: photograph, rebuilt and changed side by side. ``gif``, ``webp`` and ``mp4``: the knobs turned there and
    back, never faster than three changes a second in brightness, since it moves in small steps. ``html``: a report.

    Raises:
        SearchError: an image, knob or fitted copy that is not there; for a page or a moving picture, no knob is turned.
        ConfigError: an unknown kind, or PyAV is not installed for a film.
    """
    if kind == "html":
        return render_report(studio.explanation(turn)).encode()
    if kind not in TYPES:
        raise ConfigError(f"cannot export {kind!r}; choose one of {', '.join(TYPES)}")
    image = studio.images.get(turn.image)
    title = _title(studio.knobs, turn)
    if kind == "png":
        frames = _drawn(studio, [replace(turn, knobs={}), turn])
        if image is not None and image.original is not None and image.probabilities is not None:
            frames.insert(0, Frame(picture=image.original, probabilities=image.probabilities))
        notes = [_said(studio, frame.probabilities) for frame in frames]
        return encode(panel([[frame.picture for frame in frames]], notes=[notes], title=title, cell=_CELL))
    if not any(turn.knobs.values()):
        raise ConfigError("no knob is turned, so nothing would move; turn one, then export")
    if kind == "mp4":
        check_film()
    fractions = [step / _STEPS for step in range(_STEPS + 1)]
    frames = _drawn(
        studio, [replace(turn, knobs={knob: fraction * s for knob, fraction in turn.knobs.items()}) for s in fractions]
    )
    return _moving(studio, frames, kind, title)


def _drawn(studio: Studio, turns: Sequence[Turn]) -> list[Frame]:
    frames = studio.render(turns)
    if any(turn.fitted and not frame.fitted for turn, frame in zip(turns, frames, strict=True)):
        raise SearchError("the copy of the generator that was fitted to this photograph has made room for newer ones")
    return frames


def _moving(studio: Studio, frames: Sequence[Frame], kind: Literal["gif", "webp", "mp4"], title: str) -> bytes:
    sheets = [
        panel([[frame.picture]], notes=[[_said(studio, frame.probabilities)]], title=title, cell=_CELL)
        for frame in frames
    ]
    there_and_back = [*sheets, *sheets[-2:0:-1]]
    # Both ends are held for a second, so that they can be looked at.
    duration = [1000 if i in (0, len(sheets) - 1) else 120 for i in range(len(there_and_back))]
    if kind == "mp4":
        return film(there_and_back, duration)
    first, *others = (Image.fromarray(sheet) for sheet in there_and_back)
    buffer = io.BytesIO()
    options = {"quality": 85} if kind == "webp" else {"disposal": 1}
    first.save(buffer, kind.upper(), save_all=True, append_images=others, duration=duration, loop=0, **options)
    return buffer.getvalue()


def _said(studio: Studio, p: NDArray[np.float32]) -> str:
    best = int(p.argmax())
    return f"{studio.labels[best][:16]} {p[best]:.2f}"


def _title(knobs: Sequence[Knob], turn: Turn) -> str:
    turned = [
        f"{knobs[k].attribute.label or f'attribute {k + 1}'} {100 * fraction * knobs[k].attribute.shift_range:+.0f}%"
        for k, fraction in sorted(turn.knobs.items())
        if fraction and k < len(knobs)
    ]
    return ", ".join(turned[:3]) + (" and more" if len(turned) > 3 else "")
