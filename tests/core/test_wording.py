"""Messages name options as their reader writes them."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

import stylex
from stylex.cli import main
from stylex.core.wording import on_the_command_line, option

SOURCE = Path(stylex.__file__).parent


@pytest.mark.parametrize(
    ("given", "in_python", "typed"),
    [
        (("out",), "out", "--out"),
        (("overwrite", True), "overwrite=True", "--overwrite"),
        (("shift_range", 1.5), "shift_range=1.5", "--shift-range 1.5"),
        (("loss.perceptual_net", "classifier"), "loss.perceptual_net='classifier'", "--loss.perceptual-net classifier"),
    ],
)
def test_an_option_is_a_keyword_or_what_is_typed(given: tuple[object, ...], in_python: str, typed: str) -> None:
    assert option(*given) == in_python
    with on_the_command_line():
        assert option(*given) == typed
    assert option(*given) == in_python


def test_the_same_mistake_is_told_to_both(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "photos").mkdir()
    (tmp_path / "there.zip").write_bytes(b"")
    with pytest.raises(stylex.StylexError, match="exists already: give overwrite=True to replace it"):
        stylex.prepare(tmp_path / "photos", tmp_path / "there.zip")
    assert main(["prepare", str(tmp_path / "photos"), "--out", str(tmp_path / "there.zip")]) == 2
    assert "exists already: give --overwrite to replace it" in capsys.readouterr().err


def test_no_message_spells_an_option_by_itself() -> None:
    found = []
    for path in SOURCE.rglob("*.py"):
        if (SOURCE / "cli") in path.parents or path.name == "card.py":  # the card is a page of commands
            continue
        tree = ast.parse(path.read_text(encoding="utf-8"))
        texts = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}  # docstrings
        found += [
            f"{path.name}:{node.lineno}"
            for node in ast.walk(tree)
            if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in texts
            and re.search(r"(^|[\s(\"'])--[a-z]", node.value)
        ]  # fmt: skip
    assert found == []
