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
    verbs = {("api.py", name) for name in stylex.__all__}
    waiting = {("evaluate.py", "evaluate_subject")}
    long = {
        (path.name, function.name): count
        for path in (ROOT / "src").rglob("*.py")
        for function in ast.walk(ast.parse(path.read_text()))
        if isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef) and (count := parameters(function)) > 8
    }
    assert {where: count for where, count in long.items() if where not in verbs | waiting} == {}


def parameters(function: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    """How many a function has, ``self`` and ``cls`` not counted."""
    given = function.args
    named = [*given.posonlyargs, *given.args, *given.kwonlyargs, *(x for x in (given.vararg, given.kwarg) if x)]
    return sum(argument.arg not in ("self", "cls") for argument in named)


def test_files_of_the_middle_floors_stay_short() -> None:
    waiting = {"evaluation/evaluate.py"}
    long = {
        path.relative_to(ROOT / "src" / "stylex").as_posix()
        for room in ("search", "evaluation", "ui", "live", "store", "report")
        for path in (ROOT / "src" / "stylex" / room).glob("*.py")
        if len(path.read_text().splitlines()) > 420
    }
    assert long <= waiting
