"""The explanation folder's manifest: its JSON, the schema, and what a schema cannot say."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from functools import cache
from importlib import resources
from pathlib import Path
from typing import Any, cast

from stylex.core.errors import StoreError
from stylex.core.files import read_whole
from stylex.core.untrusted import parse_json

SCHEMA = "stylex-explanation"
VERSION = 1
MANIFEST = "manifest.json"
LARGEST_MANIFEST = 2**27


def dump_manifest(manifest: Mapping[str, Any]) -> bytes:
    """The manifest as the file's bytes.

    Raises:
        StoreError: it holds what JSON cannot say.
    """
    try:
        return json.dumps(manifest, allow_nan=False, ensure_ascii=False, indent=1).encode()
    except (TypeError, ValueError) as error:
        raise StoreError(
            f"the explanation holds a value that JSON cannot say ({error}); use plain finite numbers, texts and lists"
        ) from error


@cache
def schema(name: str = "explanation") -> dict[str, Any]:
    """The JSON schema of a manifest."""
    text = resources.files("stylex.store").joinpath(f"{name}.schema.json").read_text(encoding="utf-8")
    rules: dict[str, Any] = json.loads(text)
    return rules


def load_manifest(folder: Path) -> dict[str, Any]:
    """Read a folder's manifest and check it.

    Raises:
        StoreError: the folder is missing, foreign, of another version or damaged.
    """
    if not folder.is_dir():
        raise StoreError(f"{folder} is not a folder; give the folder that 'stylex find' or 'stylex explain' wrote")
    manifest = load_checked(folder / MANIFEST, SCHEMA, VERSION)
    check_references(manifest, str(folder / MANIFEST))
    return manifest


def load_checked(file: Path, kind: str, version: int) -> dict[str, Any]:
    """Read a JSON file that says which schema of ours it follows (``stylex-NAME``), and check that it does.

    Raises:
        StoreError: it is missing, foreign, of another version or damaged.
    """
    # Imported here because it is slow to import, and writing does not need it.
    from jsonschema import Draft202012Validator
    from jsonschema.exceptions import best_match
    from jsonschema.validators import extend

    noun = kind.removeprefix("stylex-")
    one = f"{'an' if noun[0] in 'aeiou' else 'a'} {noun}"
    try:
        content = read_whole(file, largest=LARGEST_MANIFEST)
        manifest = parse_json(content, parse_constant=_finite, parse_float=_finite, parse_int=_whole)
    except FileNotFoundError:
        raise StoreError(f"{file.parent} is not {one} folder: it has no {file.name}") from None
    except (OSError, ValueError) as error:
        raise StoreError(f"{file} cannot be read ({error}); write the {noun} again") from error
    if not isinstance(manifest, dict) or manifest.get("schema") != kind:
        raise StoreError(f'{file} is not the manifest of {one}: expected "schema": "{kind}"')
    said = manifest.get("version")
    if said != version:
        raise StoreError(
            f"{file} has version {said!r} and this stylex reads version {version}; "
            f"use the stylex that wrote it, or write the {noun} again"
        )
    # To the standard 1.0 is an integer; to Python it is no index.
    types = Draft202012Validator.TYPE_CHECKER.redefine("integer", lambda checker, value: type(value) is int)
    validator: Any = cast(Any, extend)(Draft202012Validator, type_checker=types)
    wrong = best_match(validator(schema(noun)).iter_errors(manifest))
    if wrong is not None:
        raise StoreError(f"{file} is damaged at {wrong.json_path}: {wrong.message[:200]}; write the {noun} again")
    return manifest


def _whole(text: str) -> int:
    if len(text) > 18:
        raise ValueError(f"{text[:20]}... is larger than any number here")
    return int(text)


def _finite(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise ValueError(f"{text} is not a finite number")
    return value


def check_references(manifest: Mapping[str, Any], where: str) -> None:
    """What a JSON schema cannot say: numbers point at things that exist, and lengths agree."""

    def check(true: bool, problem: str) -> None:
        if not true:
            raise StoreError(f"{where} contradicts itself: {problem}; write the explanation again")

    k, attributes = len(manifest["labels"]), manifest["ranking"]["attributes"]
    ids = [row["id"] for row in manifest["images"]]
    check(len(set(ids)) == len(ids), "two images have one id")
    channels = {row["name"]: row["channels"] for row in manifest["space"]["layers"]}
    for i, row in enumerate(attributes):
        check(row["channel"] < channels.get(row["layer"], 0), f"attribute {i} lies outside the space")
        check(row["target"] < k, f"attribute {i} has target {row['target']} of {k} labels")
    for row in manifest["images"]:
        for key in ("logits", "probabilities", "reconstruction_logits", "reconstruction_probabilities"):
            check(row[key] is None or len(row[key]) == k, f"image {row['id']!r} needs {k} {key}")
    for i, row in enumerate(manifest["counterfactuals"]):
        check(row["image"] in ids, f"counterfactual {i} changes the image {row['image']!r}, which is not there")
        check(max(row["attributes"]) < len(attributes), f"counterfactual {i} uses an attribute that is not there")
        check(row["target"] < k, f"counterfactual {i} has target {row['target']} of {k} labels")
        check(len(row["logits"]) == len(row["probabilities"]) == k, f"counterfactual {i} needs {k} logits")
    for i, row in enumerate(manifest.get("strips", ())):
        shares, n = row["shares"], len(row["shares"])
        check(row["image"] in ids, f"strip {i} turns the image {row['image']!r}, which is not there")
        check(row["attribute"] < len(attributes), f"strip {i} turns an attribute that is not there")
        check(all(a < b for a, b in zip(shares, shares[1:], strict=False)), f"the shares of strip {i} do not ascend")
        check(len(row["probabilities"]) == n, f"strip {i} needs {n} rows of probabilities")
        check(all(len(p) == k for p in row["probabilities"]), f"strip {i} needs {k} probabilities in each row")
