"""A short form of ``benchmarks/fuzz.py``: harmed files at every door end in a StylexError or are opened."""

from __future__ import annotations

import importlib.util
import sys
from collections import Counter
from pathlib import Path
from types import ModuleType

import pytest

pytestmark = pytest.mark.integration

FUZZ = Path(__file__).parents[1] / "benchmarks" / "fuzz.py"
if not FUZZ.is_file():
    pytest.skip("benchmarks/ is not here", allow_module_level=True)

QUICK = (
    "archive", "foreign", "PNG", "JPEG", "TIFF", "WebP", "requests", "snapshot", "classifier", "explanation", "names",
    "effects", "state", "evaluation", "config", "study", "pickle", "rosinality",
    "legacy", "generator",
)  # fmt: skip


@pytest.fixture(scope="module")
def fuzz() -> ModuleType:
    spec = importlib.util.spec_from_file_location("stylex_fuzz", FUZZ)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("name", QUICK)
def test_harmed_files_are_refused_or_opened(fuzz: ModuleType, tmp_path: Path, name: str) -> None:
    door = fuzz.DOORS[name]
    good = tmp_path / "good"
    good.mkdir()
    door.make(good)
    door.load(good)
    place = tmp_path / "place"
    ends = Counter(fuzz.check(door, good, fuzz.drawn(name, 0, number), place) for number in range(12))
    assert ends.keys() <= {"opened", "refused"}


# What longer runs found: kind of harm and place, as the benchmark prints them.
FOUND = {
    "a zip that is a pipe": ("packed", [("file", 141, 62556, 3649), ("json", 14952, 374, 274)]),
    "weights that are a device": ("classifier", [("file", 824, 5716, 21177), ("file", 3668, 919, 3668)]),
    "deep JSON in a program": ("program", [("weights", 671, 53, 671)]),
    "an array with another name": ("explanation", [("zip", 0, 0, 47)]),
    "a picture that links to itself": ("explanation", [("file", 908, 65536, 65536)]),
    "an array whose header is cut": ("explanation", [("zip", 7854, 63691, 7854)]),
    "channels that are no whole number": ("explanation", [("json", 4217, 5247, 65536)]),
    "an evaluation that is a pipe": ("evaluation", [("file", 161, 2303, 1)]),
    "a group of settings that is none": ("config", [("json", 65536, 54, 65536)]),
    "settings of thousands of digits": ("config", [("weights", 65535, 7425254, 30960), ("json", 290, 37, 11583)]),
    "a preset of thousands of digits": ("config", [("weights", 279, 279, 279)]),
    "a number beyond all floats": ("config", [("json", 991, 3098074, 488)]),
    "a script that kills its reader": ("script", [("zip", 16304, 63, 125), ("json", 137, 6686, 10347)]),
    "another script that does": ("script", [("zip", 367, 10000, 395), ("zip", 1686, 241, 6), ("zip", 367, 10000, 395)]),
    "a member of a zip without a name": (
        "archive",
        [("bytes", 30500, 586196, 51759), ("weights", 22474, 9957499, 49695)],
    ),
    "a name with half of a surrogate pair": (
        "explanation",
        [("json", 2770, 11471489, 1961), ("json", 40762, 3967369, 12788)],
    ),
    "an array whose header is no Python": ("effects", [("json", 994, 9164958, 6783), ("zip", 44105, 16046682, 7589)]),
    "a part of a picture that is cut": ("explanation", [("png", 35681, 15875324, 21816)]),
    "a class of a large number": ("foreign", [("zip", 43511, 11434373, 56149)]),
    "a record of a program that is damaged": (
        "program",
        [("png", 7902, 1293788, 26380), ("zip", 51047, 4913272, 2055)],
    ),
    "a rate beyond all floats": ("snapshot", [("json", 60624, 3619438, 44688)]),
    "a setting that is null": ("config", [("json", 35617, 12020862, 6086)]),
    "an old archive that links to itself": ("photographs", [("file", 0, 0, 0)]),
}


@pytest.mark.parametrize("case", FOUND)
def test_what_was_found_once_is_mended(fuzz: ModuleType, tmp_path: Path, case: str) -> None:
    name, harms = FOUND[case]
    door = fuzz.DOORS[name]
    (tmp_path / "good").mkdir()
    door.make(tmp_path / "good")
    assert fuzz.check(door, tmp_path / "good", [fuzz.Harm(*harm) for harm in harms], tmp_path / "place") in (
        "opened",
        "refused",
    )
