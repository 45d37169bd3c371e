"""The attack folder: ``attack.json`` and pictures, written whole, checked on reading; its page and figures beside."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from stylex.core.attacked import Attack, AttackedImage, Likeness, Probe, Score
from stylex.core.errors import StoreError
from stylex.core.evaluation import Interval
from stylex.core.explanation import Picture
from stylex.core.files import new_folder
from stylex.store.manifest import dump_manifest, load_checked
from stylex.store.members import Pictures, check_ids, numbers, png
from stylex.store.place import check_free

ATTACK, ATTACK_SCHEMA, ATTACK_VERSION = "attack.json", "stylex-attack", 2
PAGE, OVERVIEW = "report.html", "overview.png"
_SAID = ("probabilities", "rebuilt_probabilities", "counterfactual_probabilities")
_OURS = frozenset({ATTACK, PAGE, OVERVIEW, "images"})


def check_attack_place(target: Path, *, overwrite: bool) -> None:
    """Say before any work that an attack could not be written there.

    Raises:
        StoreError: something else stands there, an attack that may not be replaced, or the system refuses.
    """
    check_free(target, ATTACK, ATTACK_SCHEMA, overwrite=overwrite)


def write_attack(
    attack: Attack, path: str | Path, *, overwrite: bool = False, beside: Mapping[str, bytes] | None = None
) -> Path:
    """Write the folder, whole or not at all, and return its path; what a person added to an older one is kept.

    Args:
        attack: what to write.
        path: the folder.
        overwrite: replace an older attack.
        beside: more files for the folder, by name: its page and its figures.

    Raises:
        StoreError: the place is taken, the disk refuses, or the attack holds numbers that JSON cannot say.
    """
    target = Path(path).absolute()
    check_attack_place(target, overwrite=overwrite)
    files, content = _pack(attack)
    files |= {ATTACK: dump_manifest(content), **(beside or {})}
    with new_folder(target, replace=overwrite, keep=lambda name: name not in _OURS) as building:
        for name, data in files.items():
            (building / name).parent.mkdir(parents=True, exist_ok=True)
            (building / name).write_bytes(data)
    return target


def read_attack(path: str | Path) -> Attack:
    """Read what ``write_attack`` wrote: the same attack, number for number and pixel for pixel.

    Raises:
        StoreError: the folder is missing, foreign, of another version or damaged; the message names the file.
    """
    folder = Path(path)
    if not folder.is_dir():
        raise StoreError(f"{folder} is not a folder; give the folder that 'stylex attack' wrote")
    content = load_checked(folder / ATTACK, ATTACK_SCHEMA, ATTACK_VERSION)
    _check_references(content, folder / ATTACK)
    pictures = Pictures(folder)
    return Attack(
        title=content["title"],
        labels=tuple(content["labels"]),
        towards=content["towards"],
        coordinates=content["coordinates"],
        probability=float(content["probability"]),
        images=tuple(_image(row, pictures) for row in content["images"]),
        probes=tuple(Probe(**{field.name: row[field.name] for field in dataclasses.fields(Probe)})
                     for row in content["probes"]),
        scores=tuple(
            Score(
                descriptor=row["descriptor"],
                change=Interval(
                    value=_number(row["change"]), low=_number(row["low"]), high=_number(row["high"])
                ),
                images=row["images"],
            )
            for row in content["scores"]
        ),
        likeness=None if content["likeness"] is None else _likeness(content["likeness"]),
        settings=content["settings"],
        notes=tuple(content["notes"]),
    )  # fmt: skip


def _pack(attack: Attack) -> tuple[dict[str, bytes], dict[str, Any]]:
    files: dict[str, bytes] = {}

    def picture(image: AttackedImage, name: str, pixels: Picture) -> str:
        place = f"images/{image.id}/{name}.png"
        files[place] = png(pixels)
        return place

    check_ids([image.id for image in attack.images])
    images = [
        {
            "id": image.id,
            "label": image.label,
            "original": picture(image, "original", image.original),
            "rebuilt": picture(image, "rebuilt", image.rebuilt),
            "counterfactual": picture(image, "counterfactual", image.counterfactual),
            "probabilities": numbers(image.probabilities, image.id),
            "rebuilt_probabilities": numbers(image.rebuilt_probabilities, image.id),
            "counterfactual_probabilities": numbers(image.counterfactual_probabilities, image.id),
            "target": int(image.target),
            "converged": bool(image.converged),
            "steps": int(image.steps),
            "changed": int(image.changed),
            "length": float(image.length),
            "turned": bool(image.turned),
            "turned_at_random": bool(image.turned_at_random),
            "scores": {name: float(value) for name, value in image.scores.items()},
        }
        for image in attack.images
    ]
    content = {
        "schema": ATTACK_SCHEMA,
        "version": ATTACK_VERSION,
        "title": attack.title,
        "labels": list(attack.labels),
        "towards": attack.towards,
        "coordinates": int(attack.coordinates),
        "probability": float(attack.probability),
        "images": images,
        "probes": [dataclasses.asdict(probe) for probe in attack.probes],
        "scores": [
            {
                "descriptor": score.descriptor,
                "change": _said(score.change.value),
                "low": _said(score.change.low),
                "high": _said(score.change.high),
                "images": int(score.images),
            }
            for score in attack.scores
        ],
        "likeness": None if attack.likeness is None else dataclasses.asdict(attack.likeness),
        "settings": dict(attack.settings),
        "notes": list(attack.notes),
    }
    return files, content


def _image(row: Mapping[str, Any], pictures: Pictures) -> AttackedImage:
    said = {name: np.asarray(row[name], np.float32) for name in _SAID}
    return AttackedImage(
        id=row["id"],
        label=row["label"],
        original=pictures.load(row["original"]),
        rebuilt=pictures.load(row["rebuilt"]),
        counterfactual=pictures.load(row["counterfactual"]),
        probabilities=said["probabilities"],
        rebuilt_probabilities=said["rebuilt_probabilities"],
        counterfactual_probabilities=said["counterfactual_probabilities"],
        target=row["target"],
        converged=row["converged"],
        steps=row["steps"],
        changed=row["changed"],
        length=float(row["length"]),
        turned=row["turned"],
        turned_at_random=row["turned_at_random"],
        scores={name: float(value) for name, value in row["scores"].items()},
    )


def _likeness(row: Mapping[str, Any]) -> Likeness:
    distances = {name: Interval(**{end: float(row[name][end]) for end in ("value", "low", "high")})
                 for name in ("attacked", "rebuilt", "random")}  # fmt: skip
    return Likeness(**distances, images=row["images"], by=row["by"])


def _check_references(content: Mapping[str, Any], file: Path) -> None:
    """What a JSON schema cannot say."""
    k, known = len(content["labels"]), {row["descriptor"] for row in content["probes"]}
    ids = [row["id"] for row in content["images"]]
    wrong = "two images have one id" if len(set(ids)) != len(ids) else None
    if content["towards"] not in content["labels"]:
        wrong = f"it is about {content['towards']!r}, which is no label"
    for row in content["images"]:
        lengths = {len(row[key]) for key in _SAID}
        if lengths != {k} or row["target"] >= k:
            wrong = f"image {row['id']!r} does not have {k} classes"
        if row["changed"] > content["coordinates"]:
            wrong = f"image {row['id']!r} has more changed coordinates than there are"
        if not set(row["scores"]) <= known:
            wrong = f"image {row['id']!r} has a score without a probe"
    if not {row["descriptor"] for row in content["scores"]} <= known:
        wrong = "there is a score without a probe"
    if wrong is not None:
        raise StoreError(f"{file} contradicts itself: {wrong}; write the attack again")


def _said(value: float) -> float | None:
    return float(value) if math.isfinite(value) else None


def _number(value: float | None) -> float:
    return math.nan if value is None else float(value)
