"""Pages of ours filled from their templates: one file, which loads nothing from anywhere."""

from __future__ import annotations

import base64
import hashlib
from importlib import resources
from typing import Any, Literal

from stylex.core.explanation import Picture
from stylex.report import words
from stylex.report.figures import encode

_ROOM = "stylex.report"
Asset = Literal[
    "page.html.j2", "page.css", "page.js", "page_knobs.js", "attack.html.j2", "attack.css", "compared.html.j2",
    "compared.css", "analysis.html.j2", "analysis.css", "overview.html.j2", "overview.css", "overview.js",
]  # fmt: skip


def picture_uri(picture: Picture, *, quality: int = 92) -> str:
    """A picture as text that a page carries."""
    return "data:image/webp;base64," + base64.b64encode(encode(picture, "webp", quality=quality)).decode()


def filled(template: Asset, css: str, js: str, *, room: str = _ROOM, **given: Any) -> str:
    """A page of ours, which loads nothing from anywhere.

    Args:
        template: its file.
        css, js: the only style and the only script that it allows; no script where that is empty.
        room: the package that the file lies in.
        given: what the template is given; everything is escaped.
    """
    # Imported here because a training draws its panels without ever needing a template.
    from jinja2 import Environment, StrictUndefined
    from markupsafe import Markup

    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    environment.filters["percent"] = words.percent
    environment.filters["signed"] = words.signed
    script = f"script-src '{_hash(js)}'; " if js else ""
    policy = f"default-src 'none'; img-src data:; style-src '{_hash(css)}'; {script}base-uri 'none'; form-action 'none'"
    # The two files are our own; everything else in the page is escaped.
    return environment.from_string(asset(template, room)).render(css=Markup(css), js=Markup(js), policy=policy, **given)


def asset(name: Asset, room: str = _ROOM) -> str:
    """The text of a file beside this one, or in another room."""
    return resources.files(room).joinpath(name).read_text(encoding="utf-8")


def _hash(text: str) -> str:
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
