"""What is depended upon is documented, and free to use."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterable, Iterator
from importlib import metadata
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PAGE, PROJECT = ROOT / "docs" / "dependencies.md", ROOT / "pyproject.toml"
PERMISSIVE = r"MIT|BSD|0BSD|Apache|ISC|PSF|Python Software Foundation|Zlib|CC0|BSL-1.0|matplotlib|Unlicense|HPND"
COPYLEFT = r"\bA?GPL|General Public License|Mozilla|MPL"

if not PROJECT.is_file():
    pytest.skip("pyproject.toml is not here", allow_module_level=True)


def _name(requirement: str) -> str:
    found = re.match(r"[A-Za-z0-9._-]+", requirement)
    assert found is not None, requirement
    return re.sub(r"[-_.]+", "-", found.group()).lower()


def _declared() -> dict[str, list[str]]:
    """Names of packages by extra; the core's under an empty name."""
    project = tomllib.loads(PROJECT.read_text())["project"]
    groups = {"": project["dependencies"]} | project["optional-dependencies"]
    return {extra: [name for x in group if (name := _name(x)) != "stylex"] for extra, group in groups.items()}


def test_every_dependency_and_extra_is_on_the_page() -> None:
    page = PAGE.read_text(encoding="utf-8")
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in page.splitlines() if line.startswith("|")]
    declared = _declared()
    core = {name for row in rows if not row[0].startswith("`") for name in row[0].split(", ")}
    assert core - {"package", "extra", "---"} - _listed_beside().keys() == set(declared.pop(""))
    extras = {row[0].strip("`"): set(row[1].split(", ")) for row in rows if row[0].startswith("`")}
    assert extras.keys() == declared.keys()
    for extra in declared.keys() - {"dev"}:
        assert extras[extra] == set(declared[extra]), extra


def _needed(names: Iterable[str]) -> Iterator[metadata.Distribution]:
    """What is installed of these packages and of all that they need without extras."""
    seen: set[str] = set()
    waiting = list(names)
    while waiting:
        name = waiting.pop()
        if name in seen:
            continue
        seen.add(name)
        try:
            found = metadata.distribution(name)
        except metadata.PackageNotFoundError:
            continue
        yield found
        waiting += [_name(x) for x in found.requires or [] if "extra ==" not in x]


def _licence(found: metadata.Distribution) -> str:
    """The classifiers and the expression, else the first words of the text."""
    known = [found.metadata.get("License-Expression"), *(found.metadata.get_all("Classifier") or [])]
    known = [word for word in known if word and (word.startswith("License") or " :: " not in word)]
    files = [file for file in found.files or [] if file.name.startswith("LICENSE")] if not known else []
    text = found.metadata.get("License") or (files[0].read_text() if files else "")
    return "; ".join(known) or " ".join(text.split())[:60]


def _listed_beside() -> dict[str, tuple[str, set[str]]]:
    """What the page names of packages that others bring along: licence, and the extras that it comes with."""
    rows = re.findall(r"^\| ([\w-]+) \| ([^|`]+) \| (`[^|]+`) \|$", PAGE.read_text(encoding="utf-8"), re.MULTILINE)
    return {name: (licence, set(re.findall(r"`(\w+)`", extras))) for name, licence, extras in rows}


def test_all_that_is_installed_with_stylex_may_be_used_in_closed_products() -> None:
    beside = _listed_beside()
    assert {name: licence for name, (licence, _) in beside.items()} == {
        "tqdm": "MPL-2.0 and MIT",
        "certifi": "MPL-2.0",
    }
    seen: set[str] = set()
    for extra, names in _declared().items():
        if extra in ("dev", "docs"):  # for working on stylex, not with it
            continue
        licences = {found.metadata["Name"]: _licence(found) for found in _needed(names)}
        seen |= licences.keys()
        for name, licence in licences.items():
            if name.startswith(("nvidia-", "cuda-")):  # which builds of torch for their cards bring along
                continue
            if name in beside and extra in beside[name][1]:
                assert re.search(r"MPL[- ]2\.0", licence), f"{name}: {licence!r}"
                continue
            assert re.search(PERMISSIVE, licence), f"{name}: {licence!r}"
            assert not re.search(COPYLEFT, licence), f"{name} with {extra or 'the core'}: {licence!r}"
    assert len(seen) > 20
