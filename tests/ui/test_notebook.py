"""In a notebook: the viewer over strips and live, without a port; plain HTML where no widget runs."""

from __future__ import annotations

import ast
import dataclasses
import json
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import stylex
from stylex.core.errors import ConfigError
from stylex.core.explanation import Explanation, Strip
from stylex.store.folder import read_explanation
from stylex.ui import notebook
from stylex.ui.notebook import Channel, Still

ROOT = Path(__file__).parents[2]


@pytest.fixture
def explanation() -> Explanation:
    plain = read_explanation(ROOT / "tests" / "data_files" / "explanation")
    image = plain.images[0]
    strip = Strip(
        image=image.id,
        attribute=0,
        shares=(-1.0, 0.0, 1.0),
        frames=np.stack([image.reconstruction] * 3),
        probabilities=np.stack([image.reconstruction_probabilities] * 3),
    )
    return dataclasses.replace(plain, strips=(strip,))


def test_nouns_show_themselves(explanation: Explanation) -> None:
    evil = dataclasses.replace(explanation.ranking[0], label="<script>")
    assert "&lt;script&gt;" in evil._repr_html_()
    assert "<script" not in evil._repr_html_()
    table = explanation.ranking._repr_html_()
    assert "Shaft height" in table
    assert table.count("<tr>") == 1 + len(explanation.ranking)
    page = explanation._repr_html_()
    assert explanation.title in page
    assert page.count("<img ") == page.count('alt="') > 3
    assert len(page) < 500_000


def test_an_explanation_is_shown_with_knobs_and_with_html_beside_them(explanation: Explanation) -> None:
    pytest.importorskip("anywidget")
    widget = explanation.show()
    data = json.loads(widget.strips)
    assert data["knobs"][0]["stops"] == [-1.0, 0.0, 1.0]
    bundle, _ = widget._repr_mimebundle_()
    assert "application/vnd.jupyter.widget-view+json" in bundle
    assert bundle["text/html"] == explanation._repr_html_()
    widget.close()


def test_without_widgets_or_strips_it_is_html(explanation: Explanation, monkeypatch: pytest.MonkeyPatch) -> None:
    plain = dataclasses.replace(explanation, strips=())
    assert isinstance(plain.show(), Still)
    monkeypatch.setitem(sys.modules, "anywidget", None)
    notebook._widget.cache_clear()
    shown = explanation.show()
    assert isinstance(shown, Still)
    assert "pip install anywidget starlette" in shown._repr_html_()
    notebook._widget.cache_clear()


def test_a_figure_has_a_row_for_each_attribute(explanation: Explanation, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("matplotlib")
    figure = explanation.plot(images=1)
    assert sum(bool(axes.get_ylabel()) for axes in figure.axes) == len(explanation.ranking)
    assert len(figure.axes) == 3 * len(explanation.ranking)
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    with pytest.raises(ConfigError, match="pip install matplotlib"):
        explanation.plot()


def test_the_explorer_answers_without_a_port(read_studio: Any) -> None:
    channel = Channel(read_studio)
    try:
        status, kind, body = channel.ask("GET", "/api/describe")
        assert (status, kind) == (200, "application/json")
        assert json.loads(body)["labels"] == list(read_studio.labels)
        image = next(iter(read_studio.images))
        turns = json.dumps({"viewer": "v", "lane": "knob", "turns": [{"image": image, "knobs": {"0": 1}}]}).encode()
        status, kind, body = channel.ask("POST", "/api/frames", "application/json", turns)
        assert (status, kind) == (200, "application/octet-stream")
        assert len(body) > 100
        assert channel.ask("GET", f"/api/images/{image}/rebuilt.png")[1] == "image/png"
        assert channel.ask("GET", "/api/images/nobody")[0] in (404, 422)
        # A fit is a job here too.
        job = json.loads(channel.ask("POST", "/api/fit", "application/json", json.dumps({"image": image}).encode())[2])
        while job["state"] in ("waiting", "running"):
            job = json.loads(channel.ask("GET", f"/api/jobs/{job['job']}")[2])
        assert (job["state"], job["image"]["fitted"]["l1"]) == ("done", 0.046)
        assert channel.ask("POST", "/api/frames", "application/json", b"{")[0] == 400
    finally:
        channel.close()
    assert channel.ask("GET", "/api/describe")[0] == 503


def test_what_was_asked_before_the_end_is_answered(read_studio: Any) -> None:
    channel = Channel(read_studio)
    image = next(iter(read_studio.images))
    with ThreadPoolExecutor(8) as people:
        asked = [people.submit(channel.ask, "GET", f"/api/images/{image}/rebuilt.png") for _ in range(32)]
        channel.close()
        answers = {answer.result(timeout=60)[0] for answer in asked}
    assert answers <= {200, 503}


def cells() -> list[str]:
    book = json.loads((ROOT / "docs" / "notebook.ipynb").read_text(encoding="utf-8"))
    assert all(not cell["outputs"] for cell in book["cells"] if cell["cell_type"] == "code")
    return ["".join(cell["source"]) for cell in book["cells"] if cell["cell_type"] == "code"]


def test_the_notebook_in_the_docs_uses_what_there_is() -> None:
    for cell in cells():
        for node in ast.walk(ast.parse(cell)):
            if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "stylex":
                assert node.attr in stylex.__all__ or node.attr == "__file__"


@pytest.mark.slow
def test_the_notebook_in_the_docs_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("anywidget")
    pytest.importorskip("matplotlib")
    monkeypatch.chdir(tmp_path)
    names: dict[str, Any] = {}
    for cell in cells():
        tree = ast.parse(cell)
        last = tree.body.pop() if isinstance(tree.body[-1], ast.Expr) else None
        exec(compile(tree, "cell", "exec"), names)
        if last is not None:
            shown = eval(compile(ast.Expression(last.value), "cell", "eval"), names)
            ways = ("_repr_mimebundle_", "_repr_html_", "_repr_png_")
            assert shown is None or isinstance(shown, str) or any(getattr(shown, way, lambda: None)() for way in ways)
