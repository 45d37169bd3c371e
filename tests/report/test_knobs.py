"""Knobs in the report: the explorer's viewer over frames that were drawn before; within the size, and safe."""

from __future__ import annotations

import dataclasses
import html as markup
import json
import re
from typing import Any

import numpy as np
import pytest

from stylex.core.explanation import Explanation, Strip
from stylex.report.knobs import FULL, strip_data
from stylex.report.page import MAX_BYTES, render_report

SHARES = (-1.5, -1.0, 0.0, 0.5, 1.0, 1.5)


def turned(explanation: Explanation, side: int = 16, *, noise: bool = False) -> Explanation:
    """The recorded explanation with strips of every attribute on two images."""
    rng = np.random.default_rng(0)
    k = len(explanation.labels)
    strips = []
    for image in explanation.images[:2]:
        for place in range(len(explanation.ranking)):
            frames = np.stack([np.full((side, side, 3), 100 + 40 * share, np.uint8) for share in SHARES])
            if noise:
                frames = rng.integers(0, 256, frames.shape, dtype=np.uint8)
            answers = np.full((len(SHARES), k), 1 / k, np.float32)
            strips.append(Strip(image=image.id, attribute=place, shares=SHARES, frames=frames, probabilities=answers))
    return dataclasses.replace(explanation, strips=tuple(strips))


def data_in(page: str) -> dict[str, Any]:
    (found,) = re.findall(r'data-knobs="([^"]*)"', page)
    return json.loads(markup.unescape(found))


def test_the_page_carries_viewer_and_frames(explanation: Explanation) -> None:
    page = render_report(turned(explanation))
    data = data_in(page)
    assert [knob["stops"] for knob in data["knobs"]] == [list(SHARES)] * 2
    assert len(data["strips"]) == 4
    assert {image["id"] for image in data["images"]} == {image.id for image in explanation.images[:2]}
    assert len(page.encode()) < MAX_BYTES
    script = page.split("<script>")[1]
    assert script.count("function mount(") == script.count("function stripSource(") == 1
    assert not re.search(r"\nexport |fetch\(|XMLHttp|WebSocket|import\(|innerHTML|\beval", script)
    assert '<section id="turn" aria-labelledby="turn-title" hidden>' in page, "nothing empty where scripts do not run"
    # The names of namespaces are no addresses.
    assert "://" not in page.replace("http://www.w3.org/2000/svg", "")


def test_without_strips_nothing_of_it_is_there(explanation: Explanation) -> None:
    page = render_report(explanation)
    assert "data-knobs" not in page
    assert "function mount(" not in page
    assert strip_data(explanation) is None


@pytest.mark.integration
def test_frames_shrink_and_go_before_the_page_grows_too_large(explanation: Explanation) -> None:
    many = turned(explanation, side=96, noise=True)
    full = render_report(many)
    for most in (len(full.encode()) - 1, 200_000):
        small = render_report(many, max_bytes=most)
        assert len(small.encode()) <= most
    assert "data-knobs" not in render_report(many, max_bytes=100_000)


def test_what_a_person_put_away_is_not_told(explanation: Explanation) -> None:
    first, second = explanation.ranking
    ranking = dataclasses.replace(
        explanation.ranking, attributes=(dataclasses.replace(first, hidden=True, label="secret"), second)
    )
    data = strip_data(turned(dataclasses.replace(explanation, ranking=ranking)))
    assert data is not None
    assert "secret" not in json.dumps(data)
    assert {strip["knob"] for strip in data["strips"]} == {1}


def test_texts_of_people_cannot_become_code(explanation: Explanation) -> None:
    evil = '"></div><script>alert(1)</script>'
    page = render_report(dataclasses.replace(turned(explanation), labels=(evil, evil + "2"), title=evil))
    assert page.count("<script>") == 1
    assert data_in(page)["labels"] == [evil, evil + "2"]


@pytest.mark.parametrize("k", [3, 1000])
def test_of_very_many_classes_those_that_matter(explanation: Explanation, k: int) -> None:
    labels = tuple(f"species {i}" for i in range(k))
    answers = np.full((len(SHARES), k), 0.1 / k, np.float32)
    answers[:, k - 1] = 0.8
    wide = np.full(k, 1 / k, np.float32)
    images = tuple(
        dataclasses.replace(image, original=None, probabilities=None, reconstruction_probabilities=wide)
        for image in explanation.images
    )
    strips = tuple(dataclasses.replace(s, probabilities=answers) for s in turned(explanation).strips)
    data = strip_data(dataclasses.replace(explanation, labels=labels, images=images, strips=strips), FULL)
    assert data is not None
    assert len(data["labels"]) == min(k, 20)
    assert f"species {k - 1}" in data["labels"]
    assert data["labels"][data["knobs"][0]["target"]] == labels[explanation.ranking[0].target]
