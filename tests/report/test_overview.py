"""The page of all classes: every class in it, with a link to its own report, found by its name, from disk."""

from __future__ import annotations

import html
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from stylex.core.attribute import AttributeRanking
from stylex.core.explanation import Explanation
from stylex.core.overview import Overview, Standing
from stylex.report.overview import overview_page, pairs_of, row_of

STANDING = Standing(images=20, turned=3, place=9.0, moved=2.0, random_turned=0.05, random_place=8.0)
LABELS = ("red <spotted> beetle", "blue spotted beetle", "green & plain", "nobody's")


@pytest.fixture
def page(explanation: Explanation) -> str:
    nothing = AttributeRanking(
        attributes=(), strategy="directions", images=20, explained=0.0, finding="Nothing found: none of 8 directions."
    )
    empty = replace(explanation, ranking=nothing, counterfactuals=(), strips=())
    rows, pairs = [], {}
    for i, label in enumerate(LABELS):
        e = empty if label == "nobody's" else explanation
        rows.append(row_of(e, None if e is empty else STANDING, label=label, folder=f"classes/{i}"))
        pairs[f"classes/{i}"] = pairs_of(e)
    overview = Overview(rows=tuple(rows), images=21, figures={"agreement": 0.99}, settings={})
    return overview_page(overview, pairs)


def test_every_class_has_its_row_and_a_link_to_its_report(page: str) -> None:
    assert [html.unescape(name) for name in re.findall(r'<h3><a href="[^"]*">(.*?)</a></h3>', page)] == list(LABELS)
    assert re.findall(r'<h3><a href="(.*?)"', page) == [f"classes/{i}/report.html" for i in range(4)]
    assert page.count("Alone it turns <b>3</b> of 20 images (random: 1.0)") == 3
    assert "from place 9 to <b>2</b> (random: 8)" in page


def test_a_class_of_which_nothing_was_found_says_so(page: str) -> None:
    row = page[page.index('id="class-4"') :]
    assert "<b>Nothing found.</b> Nothing found: none of 8 directions." not in row
    assert "<b>Nothing found:</b> none of 8 directions." in row
    assert "<img" not in row


def test_it_needs_no_network_and_no_script(page: str) -> None:
    assert "default-src &#39;none&#39;" in page
    assert not re.findall(r'(?:src|href)="(?:https?:)?//', page)
    assert all(source.startswith("data:") for source in re.findall(r'src="(.*?)"', page))
    assert '<form class="find" role="search" id="find" hidden>' in page
    assert page.count("<img") == page.count(' alt="')


@pytest.mark.browser
def test_a_class_is_found_by_the_words_of_its_name(page: str, browser: Any, tmp_path: Path) -> None:
    (tmp_path / "index.html").write_text(page)
    tab = browser.new_page()
    said: list[str] = []
    tab.on("pageerror", lambda error: said.append(str(error)))
    tab.goto((tmp_path / "index.html").as_uri())
    tab.get_by_label("Find a class").fill("beetle RED")
    assert tab.locator(".classes .card:visible h3").all_inner_texts() == [LABELS[0]]
    assert tab.get_by_role("status").inner_text() == "1 of 4 classes"
    tab.keyboard.press("Enter")
    assert tab.evaluate("document.activeElement.textContent") == LABELS[0]
    tab.reload()
    assert tab.locator(".classes .card:visible").count() == 1  # the address keeps what was typed
    tab.get_by_label("Find a class").fill("no such thing")
    assert tab.locator("#none").is_visible()
    tab.get_by_role("button", name="Show all").click()
    assert tab.locator(".classes .card:visible").count() == 4
    tab.get_by_label("only classes with nothing found").check()
    assert tab.locator(".classes .card:visible h3").all_inner_texts() == [LABELS[3]]
    assert said == []
    tab.close()
