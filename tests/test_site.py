"""The documentation site: every page is in its navigation, its links are checked, and notebooks become pages."""

from __future__ import annotations

import ast
import importlib.util
import json
import re
from pathlib import Path
from types import ModuleType

import pytest
import yaml

import stylex

ROOT = Path(__file__).parents[1]
TUTORIALS = sorted((ROOT / "docs" / "tutorials").glob("*.ipynb"))

if not (ROOT / "mkdocs.yml").is_file():
    pytest.skip("mkdocs.yml is not here", allow_module_level=True)


def program(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(f"docs_{name}", ROOT / "docs" / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


SITE = program("site")


def pages_of(nav: object) -> set[str]:
    if isinstance(nav, str):
        return {nav}
    return set().union(*map(pages_of, nav.values() if isinstance(nav, dict) else nav))


def test_every_page_is_in_the_navigation() -> None:
    nav = pages_of(yaml.safe_load((ROOT / "mkdocs.yml").read_text("utf-8"))["nav"])
    files = {path.relative_to(ROOT) for pattern in SITE.FILES for path in ROOT.glob(pattern)}
    pages = {str(path.with_suffix(".md")) for path in files if path.suffix in (".md", ".ipynb")}
    made = {f"docs/reference/source-{name}.md" for name in SITE.SOURCES}
    live = {str(path) for path in files if path.suffix == ".html"}
    assert nav == pages | made | live | {"docs/demo-report.html"}


def test_the_site_asks_nobody_for_fonts() -> None:
    assert yaml.safe_load((ROOT / "mkdocs.yml").read_text("utf-8"))["theme"]["font"] is False


def test_links_that_lead_nowhere_are_found(tmp_path: Path) -> None:
    (tmp_path / "how").mkdir()
    (tmp_path / "how" / "index.html").write_text('<h2 id="here">x</h2><a href="../a.html#there">a</a>')
    (tmp_path / "a.html").write_text(
        '<p id="there"><a href="how/#here"></a><a href="how/"></a><a href="#there"></a><img src="data:,"></p>'
        '<a href="https://example.org/">elsewhere</a>'
    )
    assert SITE.faults(tmp_path) == ([], 4)
    (tmp_path / "b.html").write_text(
        '<a href="how/#not"></a><a href="c.html"></a><img src="x.png"><script src="https://example.org/x.js"></script>'
    )
    broken, links = SITE.faults(tmp_path)
    assert links == 7
    assert [line.split(": ")[1] for line in broken] == [
        "how/#not leads nowhere",
        "c.html leads nowhere",
        "x.png leads nowhere",
        "<script> loads https://example.org/x.js",
    ]


def test_a_notebook_becomes_a_page() -> None:
    book = {
        "cells": [
            {"cell_type": "markdown", "source": ["# Shoes\n", "\n", "What it is."]},
            {
                "cell_type": "code",
                "source": ["1 < 2"],
                "outputs": [
                    {"output_type": "stream", "text": ["<said>\n"]},
                    {"data": {"text/plain": ["True"]}},
                    {"data": {"text/html": ["<b>\n", "bold</b>"], "text/plain": ["x"]}},
                    {"data": {"image/png": "AAAA", "text/plain": ["x"]}},
                ],
            },
        ]
    }
    page = SITE.page_of(book, "shoes.ipynb")
    assert page.startswith(
        "# Shoes\n\n[This page as a notebook](shoes.ipynb)\n\nWhat it is.\n\n```python\n1 < 2\n```\n"
    )
    assert '<pre class="shown">&lt;said&gt;</pre>' in page
    assert '<pre class="shown">True</pre>' in page
    assert '<div class="shown"><b> bold</b></div>' in page
    assert 'src="data:image/png;base64,AAAA"' in page


def test_a_cell_shows_what_it_prints_and_what_its_last_line_is() -> None:
    names: dict[str, object] = {}
    outputs = program("tutorials").shown("x = 2\nprint('said')\nx + 1", names, 1)
    assert [output["output_type"] for output in outputs] == ["stream", "execute_result"]
    assert outputs[0]["text"] == ["said\n"]
    assert outputs[1]["data"] == {"text/plain": ["3"]}
    assert program("tutorials").shown("x = None\nx", names, 2) == []


@pytest.mark.parametrize("path", TUTORIALS, ids=lambda path: path.stem)
def test_tutorials_are_small_and_tell_no_machine(path: Path) -> None:
    text = path.read_text("utf-8")
    assert len(text.encode()) <= program("tutorials").LARGEST
    assert not re.findall(r"/(?:home|root|tmp|usr|work|Users)/[\w.]*", re.sub(r"[A-Za-z0-9+/=]{200,}", "", text))
    code = [cell for cell in json.loads(text)["cells"] if cell["cell_type"] == "code"]
    counts = [cell["execution_count"] for cell in code]
    assert counts == list(range(1, len(code) + 1)), "run from top to bottom"
    assert any(cell["outputs"] for cell in code)
    assert not [output for cell in code for output in cell["outputs"] if output["output_type"] == "error"]
    for cell in code:
        for node in ast.walk(ast.parse("".join(cell["source"]))):
            if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "stylex":
                assert node.attr in stylex.__all__


@pytest.mark.parametrize("path", TUTORIALS, ids=lambda path: path.stem)
def test_links_of_tutorials_lead_somewhere(path: Path) -> None:
    cells = json.loads(path.read_text("utf-8"))["cells"]
    text = "\n".join("".join(cell["source"]) for cell in cells if cell["cell_type"] == "markdown")
    targets = [target.split("#")[0] for target in re.findall(r"\]\(([^)\s]+)\)", text) if "://" not in target]
    assert targets
    assert [target for target in targets if not (path.parent / target).exists()] == []


@pytest.mark.slow
@pytest.mark.parametrize("path", TUTORIALS, ids=lambda path: path.stem)
def test_tutorials_run(path: Path) -> None:
    program("tutorials").run(json.loads(path.read_text("utf-8")))
