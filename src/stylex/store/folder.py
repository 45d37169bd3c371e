"""The explanation folder: ``manifest.json`` and pictures. Its contract is docs/explanation-folder.md."""

from __future__ import annotations

import dataclasses
import math
from collections import Counter
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stylex.core.attribute import Attribute, AttributeRanking, Meaning, Tested
from stylex.core.errors import StoreError
from stylex.core.explanation import Counterfactual, ExplainedImage, Explanation, Picture, Strip
from stylex.core.figures import Flips, flips_in
from stylex.core.files import new_folder
from stylex.core.progress import Alarm, Listener, silent
from stylex.core.stylespace import StyleCoordinate
from stylex.store.manifest import MANIFEST, SCHEMA, VERSION, check_references, dump_manifest, load_manifest
from stylex.store.members import Pictures, check_ids, load_space, numbers, png, statistics_file
from stylex.store.names import NAMES, Mark, carried_over, naming, packed, said_of, waiting_in
from stylex.store.place import check_free, is_ours

REPORT = "report.html"
EVALUATION = "evaluation.json"

# What this package puts at the top of a folder. Everything else there belongs to a person and outlives a replacement.
_OURS = frozenset({MANIFEST, "images", "statistics.npz", REPORT, EVALUATION, NAMES})


# Writing.


def write_explanation(
    explanation: Explanation, path: str | Path, *, overwrite: bool = False, listener: Listener = silent
) -> Path:
    """Write the folder, whole or not at all, and return its path.

    The folder is built beside its place and renamed. With ``overwrite`` an older explanation folder is replaced;
    what a person added to it (files this package does not write) is kept, and what was typed for its attributes goes on
    with them, or waits in ``names.json``. A folder of any other kind is never touched.

    Raises:
        StoreError: the place is taken, the disk refuses, or the explanation holds numbers that JSON cannot say.
    """
    target = Path(path).absolute()
    check_place(target, overwrite=overwrite)
    with ExitStack() as stack:
        waiting: list[Mark] = []
        if overwrite and is_explanation_folder(target):
            stack.enter_context(naming(target))
            explanation, waiting, new = carried_over(explanation, target)
            if new:
                listener(Alarm(message=said_of(new, target)))
        files, manifest = _pack(explanation)
        files[MANIFEST] = dump_manifest(manifest)
        if waiting:
            files[NAMES] = packed(waiting)
        with new_folder(target, replace=overwrite, keep=lambda name: name not in _OURS) as building:
            for name, data in files.items():
                (building / name).parent.mkdir(parents=True, exist_ok=True)
                (building / name).write_bytes(data)
    return target


def is_explanation_folder(path: str | Path) -> bool:
    """Whether the folder's manifest says that this package wrote it (of whatever version)."""
    return is_ours(Path(path) / MANIFEST, SCHEMA)


def check_place(target: Path, *, overwrite: bool) -> None:
    """Say before any work that an explanation could not be written there.

    Raises:
        StoreError: something else stands there, an explanation that may not be replaced, or the system refuses.
    """
    check_free(target, MANIFEST, SCHEMA, overwrite=overwrite)
    if target.is_dir():
        waiting_in(target)


def _pack(explanation: Explanation) -> tuple[dict[str, bytes], dict[str, Any]]:
    """The folder's files except the manifest, by relative path, and the manifest."""
    e = explanation
    files: dict[str, bytes] = {}

    def picture(name: str, pixels: Picture) -> str:
        files[name] = png(pixels)
        return name

    check_ids([image.id for image in e.images])
    images = [
        {
            "id": image.id,
            "label": image.label,
            "original": None if image.original is None else picture(f"images/{image.id}/original.png", image.original),
            "reconstruction": picture(f"images/{image.id}/reconstruction.png", image.reconstruction),
            "logits": numbers(image.logits, image.id),
            "probabilities": numbers(image.probabilities, image.id),
            "reconstruction_logits": numbers(image.reconstruction_logits, image.id),
            "reconstruction_probabilities": numbers(image.reconstruction_probabilities, image.id),
        }
        for image in e.images
    ]
    count: Counter[tuple[str, str]] = Counter()
    counterfactuals = []
    for cf in e.counterfactuals:
        count[cf.image, cf.role] += 1
        name = f"images/{cf.image}/changed/{cf.role}-{count[cf.image, cf.role]}.png"
        counterfactuals.append(
            {
                "image": cf.image,
                "attributes": [int(i) for i in cf.attributes],
                "picture": picture(name, cf.picture),
                "logits": numbers(cf.logits, cf.image),
                "probabilities": numbers(cf.probabilities, cf.image),
                "target": int(cf.target),
                "role": cf.role,
            }
        )
    strips = [
        {
            "image": strip.image,
            "attribute": int(strip.attribute),
            "picture": picture(f"images/{strip.image}/turned/{strip.attribute + 1}.png", np.hstack(list(strip.frames))),
            "shares": [float(share) for share in strip.shares],
            "probabilities": [numbers(row, strip.image) for row in strip.probabilities],
        }
        for strip in e.strips
    ]
    statistics = e.space.statistics
    if statistics is not None:
        files["statistics.npz"] = statistics_file(statistics)
    manifest = {
        "schema": SCHEMA,
        "version": VERSION,
        "scope": e.scope,
        "title": e.title,
        "labels": list(e.labels),
        "output": e.output,
        "ranking": {
            "strategy": e.ranking.strategy,
            "images": int(e.ranking.images),
            "explained": float(e.ranking.explained),
            "finding": e.ranking.finding,
            "attributes": [_pack_attribute(attribute) for attribute in e.ranking],
        },
        "images": images,
        "counterfactuals": counterfactuals,
        "strips": strips,
        # A figure that could not be measured is NaN in Python and null in JSON.
        "figures": {name: None if math.isnan(value) else float(value) for name, value in e.figures.items()},
        "flips": [_pack_flips(flips) for flips in e.flips],
        "settings": dict(e.settings),
        "snapshot": dict(e.snapshot),
        "space": {"layers": e.space.to_json(), "statistics": None if statistics is None else "statistics.npz"},
        "notes": list(e.notes),
    }
    check_references(manifest, "the explanation")
    return files, manifest


def _pack_attribute(a: Attribute) -> dict[str, Any]:
    return {
        "layer": a.coordinate.layer,
        "channel": int(a.coordinate.channel),
        "sign": int(a.sign),
        "shift_range": float(a.shift_range),
        "target": int(a.target),
        "target_label": a.target_label,
        "effect": float(a.effect),
        "source_label": a.source_label,
        "significance": None if a.significance is None else float(a.significance),
        "tested": a.tested,
        "label": a.label,
        "hidden": a.hidden,
        "note": a.note,
        "meaning": None if a.meaning is None else dataclasses.asdict(a.meaning),
    }


def _pack_flips(flips: Flips) -> dict[str, Any]:
    return dataclasses.asdict(flips) | {"top": {str(count): fraction for count, fraction in flips.top.items()}}


def _unpack_flips(row: Mapping[str, Any]) -> Flips:
    return Flips(
        target_label=row["target_label"],
        top={int(count): float(fraction) for count, fraction in row["top"].items()},
        random=row["random"],
        random_std=row["random_std"],
        images=row["images"],
    )


# Reading.


def written_before(path: str | Path) -> Explanation | None:
    """The explanation that a folder holds; None where it holds none that can be read."""
    try:
        return read_explanation(path)
    except StoreError:
        return None


def read_explanation(path: str | Path) -> Explanation:
    """Read what ``write_explanation`` wrote: the same explanation, number for number and pixel for pixel.

    Nothing in the folder is executed or unpickled, and nothing outside it is opened.

    Raises:
        StoreError: the folder is missing, foreign, of a newer version or damaged; the message names the file.
    """
    folder = Path(path)
    manifest = load_manifest(folder)
    ranking = manifest["ranking"]
    pictures = Pictures(folder)
    figures = {name: math.nan if value is None else float(value) for name, value in manifest["figures"].items()}
    return Explanation(
        scope=manifest["scope"],
        title=manifest["title"],
        labels=tuple(manifest["labels"]),
        output=manifest["output"],
        ranking=AttributeRanking(
            attributes=tuple(_unpack_attribute(row, ranking["strategy"]) for row in ranking["attributes"]),
            strategy=ranking["strategy"],
            images=ranking["images"],
            explained=float(ranking["explained"]),
            finding=ranking["finding"],
        ),
        images=tuple(
            ExplainedImage(
                id=row["id"],
                original=None if row["original"] is None else pictures.load(row["original"]),
                reconstruction=pictures.load(row["reconstruction"]),
                logits=_array(row["logits"]),
                probabilities=_array(row["probabilities"]),
                reconstruction_logits=np.asarray(row["reconstruction_logits"], dtype=np.float32),
                reconstruction_probabilities=np.asarray(row["reconstruction_probabilities"], dtype=np.float32),
                label=row["label"],
            )
            for row in manifest["images"]
        ),
        counterfactuals=tuple(
            Counterfactual(
                image=row["image"],
                attributes=tuple(row["attributes"]),
                picture=pictures.load(row["picture"]),
                logits=np.asarray(row["logits"], dtype=np.float32),
                probabilities=np.asarray(row["probabilities"], dtype=np.float32),
                target=row["target"],
                role=row["role"],
            )
            for row in manifest["counterfactuals"]
        ),
        strips=tuple(_load_strip(pictures, row) for row in manifest.get("strips", ())),
        figures=figures,
        # Older folders have them among the figures only.
        flips=tuple(map(_unpack_flips, manifest["flips"])) if "flips" in manifest else flips_in(figures),
        settings=manifest["settings"],
        snapshot=manifest["snapshot"],
        space=load_space(folder, manifest["space"]),
        notes=tuple(manifest["notes"]),
    )


def _unpack_attribute(row: Mapping[str, Any], strategy: str) -> Attribute:
    return Attribute(
        coordinate=StyleCoordinate(row["layer"], row["channel"]),
        sign=row["sign"],
        shift_range=float(row["shift_range"]),
        target=row["target"],
        target_label=row["target_label"],
        effect=float(row["effect"]),
        source_label=row["source_label"],
        significance=row["significance"],
        tested=row["tested"] if "tested" in row else _tested(row, strategy),
        label=row["label"],
        hidden=row.get("hidden", False),
        note=row.get("note"),
        meaning=None if row.get("meaning") is None else _unpack_meaning(row["meaning"]),
    )


def _unpack_meaning(row: Mapping[str, Any]) -> Meaning:
    others = tuple(_unpack_meaning(other) for other in row.get("others", ()))
    return Meaning(descriptor=row["descriptor"], r=float(row["r"]), change=float(row["change"]), others=others)


def _tested(row: Mapping[str, Any], strategy: str) -> Tested | None:
    """Which value an older folder holds, where it says only how its attributes were chosen."""
    if row["significance"] is None:
        return None
    return "q" if strategy == "directions" else "p"


def _array(values: list[float] | None) -> NDArray[np.float32] | None:
    return None if values is None else np.asarray(values, dtype=np.float32)


def _load_strip(pictures: Pictures, row: Mapping[str, Any]) -> Strip:
    return Strip(
        image=row["image"],
        attribute=row["attribute"],
        shares=tuple(float(share) for share in row["shares"]),
        frames=pictures.frames(row["picture"], len(row["shares"])),
        probabilities=np.asarray(row["probabilities"], dtype=np.float32),
    )
