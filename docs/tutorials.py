"""Run the tutorials anew: ``make tutorials``. With ``--check``: only that every cell runs; the files stay as they are.

Cells run here, one after the other, in an empty folder; what their last line shows is kept as Jupyter would keep it.
"""

from __future__ import annotations

import argparse
import ast
import base64
import contextlib
import io
import json
import os
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from stylex.core.files import write_whole

TUTORIALS = Path(__file__).parent / "tutorials"
LARGEST = 300_000


def main() -> int:
    """Run them, in the order of their names."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="*", help="which, such as shoes; not given: all")
    parser.add_argument("--check", action="store_true", help="write nothing")
    options = parser.parse_args()
    for path in [TUTORIALS / f"{name}.ipynb" for name in options.names] or sorted(TUTORIALS.glob("*.ipynb")):
        book, begun = json.loads(path.read_text("utf-8")), time.monotonic()
        run(book)
        written = (json.dumps(book, indent=1, ensure_ascii=False) + "\n").encode()
        print(f"{path.name}: {time.monotonic() - begun:.0f} s, {len(written)} bytes")
        if len(written) > LARGEST:
            print(f"{path.name} is larger than {LARGEST} bytes: show less")
            return 1
        if not options.check:
            write_whole(path, written)
    return 0


def run(book: dict[str, Any]) -> None:
    """Run a notebook's cells in an empty folder, and put what they show in their outputs."""
    names: dict[str, Any] = {"__name__": "__main__"}
    home = Path.cwd()
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        try:
            for number, cell in enumerate(c for c in book["cells"] if c["cell_type"] == "code"):
                cell["outputs"] = shown("".join(cell["source"]), names, number + 1)
                cell["execution_count"] = number + 1
        finally:
            os.chdir(home)


def shown(source: str, names: dict[str, Any], number: int) -> list[dict[str, Any]]:
    """Run one cell: what it printed, and what its last line is."""
    tree = ast.parse(source)
    last = tree.body.pop() if tree.body and isinstance(tree.body[-1], ast.Expr) else None
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        exec(compile(tree, f"cell {number}", "exec"), names)
        value = None if last is None else eval(compile(ast.Expression(last.value), f"cell {number}", "eval"), names)
    outputs: list[dict[str, Any]] = []
    if printed.getvalue():
        outputs.append({"output_type": "stream", "name": "stdout", "text": printed.getvalue().splitlines(True)})
    if value is not None:
        outputs.append(
            {"output_type": "execute_result", "execution_count": number, "metadata": {}, "data": forms(value)}
        )
    return outputs


def forms(value: object) -> dict[str, Any]:
    """A value in the richest form that it has of its own, beside its text."""
    if draws := getattr(value, "_repr_png_", None):
        return {"image/png": base64.b64encode(draws()).decode(), "text/plain": [f"<{type(value).__name__}>"]}
    if tells := getattr(value, "_repr_html_", None):
        return {"text/html": tells().splitlines(True), "text/plain": [f"<{type(value).__name__}>"]}
    return {"text/plain": repr(value).splitlines(True)}


if __name__ == "__main__":
    sys.exit(main())
