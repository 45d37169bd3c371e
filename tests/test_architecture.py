"""The floors: who may import whom, and what no file is called."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import stylex

ROOT = Path(__file__).parents[1]


def test_floors_import_only_lower_floors() -> None:
    check = "from importlinter.cli import lint_imports; raise SystemExit(lint_imports(cache_dir=None, no_cache=True))"
    done = subprocess.run([sys.executable, "-c", check], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


def test_a_function_lives_with_its_noun() -> None:
    homeless = {"utils.py", "util.py", "helpers.py", "common.py", "misc.py"}
    assert [path for path in (ROOT / "src").rglob("*.py") if path.name in homeless] == []


def test_no_function_takes_more_than_eight_parameters() -> None:
    """But the verbs, whose parameters are the options of the commands."""
    verbs = {(path.name, name) for path in (ROOT / "src" / "stylex" / "verbs").glob("*.py") for name in stylex.__all__}
    long = {
        (path.name, function.name): count
        for path in (ROOT / "src").rglob("*.py")
        for function in ast.walk(ast.parse(path.read_text()))
        if isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef) and (count := parameters(function)) > 8
    }
    assert {where: count for where, count in long.items() if where not in verbs} == {}


DOORS = {
    "bias": "test_audit.py",
    "classifiers": "test_load.py",
    "cli": "test_main.py",
    "comparison": "test_compare.py",
    "core": "test_attribute.py",
    "data": "test_prepare.py",
    "evaluation": "test_evaluate.py",
    "live": "test_studio.py",
    "models": "test_snapshot.py",
    "planted": "test_images.py",
    "report": "test_page.py",
    "search": "test_class_search.py",
    "store": "test_folder.py",
    "study": "test_server.py",
    "training": "test_loop.py",
    "ui": "test_server.py",
}
"""Where the files of a room are tested that have no tests of their own name; the verbs, and those at the top, in
``test_api.py``."""

SCENES = {
    "bias/test_planted_repair.py", "cli/test_main.py", "planted/test_number.py", "search/test_memory.py",
    "store/test_strips.py", "study/test_browser.py", "training/test_distributed.py", "training/test_kill.py",
    "ui/test_browser.py", "ui/test_hosts.py", "test_architecture.py", "test_demo.py", "test_docs.py",
    "test_face.py", "test_fuzz.py", "test_gpu.py", "test_kills.py", "test_labels.py", "test_load.py",
    "test_site.py", "test_supply.py",
}  # fmt: skip
"""Tests of no one file: of processes, browsers, documents, and what is shipped."""


def test_tests_are_found_by_the_name_of_the_file() -> None:
    source, tests = ROOT / "src" / "stylex", ROOT / "tests"
    files = {path.relative_to(source).as_posix() for path in source.rglob("*.py") if not path.name.startswith("_")}
    for path in tests.rglob("test_*.py"):
        name = path.relative_to(tests).as_posix()
        assert name in SCENES or name.replace("test_", "", 1) in files, f"{name}: of which file?"
    for room in {file.split("/")[0] for file in files if "/" in file} - {"metrics", "verbs"}:
        assert (tests / room / DOORS[room]).is_file()
    own = {path.name.removeprefix("test_") for path in (tests / "metrics").glob("test_*.py")}
    assert {path.name for path in (source / "metrics").glob("*.py") if not path.name.startswith("_")} <= own


def parameters(function: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    """How many a function has, ``self`` and ``cls`` not counted."""
    given = function.args
    named = [*given.posonlyargs, *given.args, *given.kwonlyargs, *(x for x in (given.vararg, given.kwarg) if x)]
    return sum(argument.arg not in ("self", "cls") for argument in named)


def test_files_of_the_middle_floors_stay_short() -> None:
    long = {
        path.relative_to(ROOT / "src" / "stylex").as_posix()
        for room in ("search", "evaluation", "ui", "live", "store", "study", "report")
        for path in (ROOT / "src" / "stylex" / room).glob("*.py")
        if len(path.read_text().splitlines()) > 420
    }
    assert long == set()
