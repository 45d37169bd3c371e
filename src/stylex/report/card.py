"""The card of a run that is shared: what it was trained on, for which classifier, how true it is, and its limits."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from stylex.core.verdict import agreement_verdict
from stylex.report.words import percent

_LABELS = 20
PANEL = "snapshot/panel.png"


@dataclass(frozen=True, kw_only=True)
class Shared:
    """A run as it is shared.

    Attributes:
        name: ``ORG/NAME``.
        description: of the snapshot, as its JSON.
        imported: whether its generator is from elsewhere and has no encoder.
        licence: an identifier such as ``cc-by-4.0``; None: none was given.
        about_data: what the images are, in the words of who shares it; None: nothing was said.
        classifier: a sentence on where the classifier is.
        latents: encodings of single training images that are kept; 0: none.
        maps: training images whose maps are kept.
        panel: whether a panel of held-out photographs goes along.
        version: of stylex.
    """

    name: str
    description: Mapping[str, Any]
    imported: bool
    licence: str | None
    about_data: str | None
    classifier: str
    latents: int
    maps: int
    panel: bool
    version: str


def card(shared: Shared) -> str:
    """The card, as Markdown with the hub's header."""
    spec, figures = shared.description["classifier"], shared.description["figures"]
    parts = [
        f"# {shared.name.partition('/')[2]}",
        "Pictures that show what one image classifier looks at: a generator"
        + (" from elsewhere" if shared.imported else " and an encoder, trained with that classifier in the loop")
        + f". To be used with the program stylex (this was written by version {shared.version}). It holds weights "
        "(safetensors) and JSON, and nothing that runs.",
        _use(shared, spec),
        "## Data",
        _data(shared),
        "## Classifier",
        _classifier(shared, spec),
        "## Figures",
        _figures(figures),
        "## Limits",
        _bullets(_limits(shared, figures)),
        "## Intended use",
        "To see and to test what this classifier looks at, on images like those that it was trained on: which changes "
        "of an image move its answer, and by how much. It is not meant for making pictures of people, for deciding "
        "about people, or as a proof that a classifier is right, fair or safe.",
        "## Licence",
        "None was given: ask whoever shared this before using it."
        if shared.licence is None
        else f"{shared.licence}, for the files in this repository. Images and classifier have licences of their own.",
    ]
    return f"{_header(shared)}\n" + "\n\n".join(parts) + "\n"


def _header(shared: Shared) -> str:
    lines = ["---", "library_name: stylex"]
    lines += [] if shared.licence is None else [f"license: {shared.licence}"]
    tags = ("stylex", "explainability", "counterfactual", "image-classification", "stylegan2")
    return "\n".join([*lines, "tags:", *(f"- {tag}" for tag in tags), "---", ""])


def _use(shared: Shared, spec: Mapping[str, Any]) -> str:
    if shared.imported:
        command = f"stylex train --generator hf://{shared.name} --freeze generator --data images.zip --classifier ..."
    else:
        target = "" if len(spec["labels"]) == 2 else f" --target {json.dumps(str(spec['labels'][-1]))}"
        command = f"stylex find hf://{shared.name} --data images.zip --out explanation/{target}"
    return f"```\npip install 'stylex[hub]'\n{command}\n```"


def _data(shared: Shared) -> str:
    shape = shared.description["generator"]
    kind = "grey" if shape["channels"] == 1 else "colour"
    said = (
        "What the images are was not said by who shared this; ask before relying on it."
        if shared.about_data is None
        else shared.about_data
    )
    shown = "" if shared.imported else f" In training, {shared.description['nimg']:,} were shown, each many times."
    pictures = (
        f"`{PANEL}` shows some held-out ones, beside what the generator makes of them; no other image is in this "
        "repository."
        if shared.panel
        else "No image is in this repository."
    )
    kept = []
    if shared.latents:
        kept.append(f"the encoder's latents of {shared.latents:,} training images")
    if shared.maps:
        kept.append(f"its maps of {shared.maps:,}")
    text = f"{said}\n\n{kind.capitalize()} images of {shape['resolution']} px.{shown} {pictures}"
    if kept:
        text += (
            f" With the weights are kept {' and '.join(kept)}, without names: directions are found in them, and the "
            "generator draws from them pictures like those images."
        )
    return text


def _classifier(shared: Shared, spec: Mapping[str, Any]) -> str:
    labels = [str(label) for label in spec["labels"]]
    shown = ", ".join(labels[:_LABELS]) + (f" and {len(labels) - _LABELS} more" if len(labels) > _LABELS else "")
    return (
        f"{shared.classifier}\n\n"
        f"It tells {shown} ({spec['output']}), on images of {spec['input_size']} px with {spec['channels']} channel(s)."
        f" Its fingerprint is `{shared.description['classifier_fingerprint']}`: another one is refused, unless you ask "
        "for it."
    )


_ROWS: Sequence[tuple[str, str, str, str | None]] = (
    ("agreement", "the classifier says the same of an image and of its reconstruction", "share", "agreement_other"),
    ("pixel_l1", "mean difference of pixels, of 2 at most", "number", "pixel_l1_other"),
    ("probability_error", "mean difference of the probability of the class that it names", "number", None),
    ("follows_w", "drawn with another image's maps, it still says what it said of the image", "share", "follows_maps"),
)
"""Measures: their names in a snapshot, what they are, how they are written, and what stands beside them."""

_BESIDE = {
    "agreement_other": "{} with another image's reconstruction",
    "pixel_l1_other": "{} with another image's reconstruction",
    "follows_maps": "where the two images differ, {} say what the image of the maps is",
}


def _figures(figures: Mapping[str, float]) -> str:
    rows = []
    for name, what, kind, beside in _ROWS:
        if name in figures:
            known = "not measured"
            if beside is not None and beside in figures:
                known = _BESIDE[beside].format(_written(figures[beside], kind))
            rows.append(f"| `{name}`: {what} | {_written(figures[name], kind)} | {known} |")
    if not rows:
        return "Nothing was measured on held-out images."
    head = "| on held-out images | measured | what passes by accident |\n|---|---|---|\n"
    verdict = agreement_verdict(figures["agreement"], figures.get("agreement_other")) if "agreement" in figures else ""
    return head + "\n".join(rows) + (f"\n\n{verdict}" if verdict else "")


def _written(value: float, kind: str) -> str:
    return percent(value) if kind == "share" else f"{value:.3g}"


def _limits(shared: Shared, figures: Mapping[str, float]) -> list[str]:
    said = [
        "It says something of this classifier alone, on images like those of the training.",
        "What is shown are changes of *reconstructions*. What the generator cannot draw, it cannot explain.",
        "An attribute that moves the classifier is no cause in the world: what goes together in the data goes together "
        "here.",
        "The figures are of reconstruction. Whether found attributes hold on other images is measured by `stylex "
        "evaluate`, and stands in no card.",
        "A generator can draw pictures much like single training images.",
    ]
    if shared.imported:
        said.insert(0, "It has no encoder: no image can be rebuilt with it before one is trained.")
    if "follows_maps" in figures:
        said.append("Part of each picture is drawn from maps of where; what the classifier reads there, no knob turns.")
    return said


def _bullets(sentences: Sequence[str]) -> str:
    return "\n".join(f"- {sentence}" for sentence in sentences)
