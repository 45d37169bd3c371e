"""The face of the package: every name is there, and nothing heavy comes before it is used."""

from __future__ import annotations

import ast
import socket
import subprocess
import sys
from pathlib import Path

import pytest

import stylex

HEAVY = ("torch", "numpy", "scipy", "PIL", "jinja2", "rich.progress")


def modules_after(code: str) -> set[str]:
    """The heavy modules that a fresh interpreter has loaded after running ``code``."""
    script = f"{code}\nimport sys; print([name for name in {HEAVY!r} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-W", "error", "-c", script], capture_output=True, text=True, check=True)
    return set(ast.literal_eval(done.stdout.splitlines()[-1]))


def test_importing_brings_nothing_heavy() -> None:
    assert modules_after("import stylex, stylex.api, stylex.cli") == set()


def test_the_parser_of_the_command_line_brings_nothing_heavy() -> None:
    code = "from stylex.cli.parser import build_parser; build_parser().format_help()"
    assert modules_after(code) == set()


def test_an_explanation_is_read_without_torch() -> None:
    assert "torch" not in modules_after("from stylex import Explanation, read_explanation")


@pytest.mark.parametrize("name", stylex.__all__)
def test_every_name_is_there(name: str) -> None:
    assert getattr(stylex, name) is not None
    assert name in dir(stylex)


def test_what_type_checkers_see_is_what_there_is() -> None:
    tree = ast.parse(Path(stylex.__file__).read_text(encoding="utf-8"))
    block = next(node for node in tree.body if isinstance(node, ast.If))
    seen = {
        (node.module, alias.name) for node in block.body if isinstance(node, ast.ImportFrom) for alias in node.names
    }
    assert seen == {(home, name) for name, home in stylex._HOME_OF.items()}
    assert sorted(stylex.__all__) == sorted([*stylex._HOME_OF, "__version__"])


def test_the_verb_report_outlives_the_folder_of_that_name() -> None:
    import stylex.report.figures

    assert stylex.report is stylex.api.report


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'nonsense'"):
        _ = stylex.nonsense


def test_the_tests_reach_no_other_machine() -> None:
    with socket.socket() as other, pytest.raises(AssertionError, match="a connection to"):
        other.connect(("192.0.2.1", 80))
