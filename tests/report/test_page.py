"""The report: one file, complete without a network and without scripts, safe, within its size."""

from __future__ import annotations

import base64
import dataclasses
import hashlib
import json
import math
import os
import re
import shutil
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest

from stylex.core.errors import StoreError
from stylex.core.explanation import Explanation
from stylex.core.figures import Flips
from stylex.report import write_report
from stylex.report.page import MAX_BYTES, render_report
from stylex.store.folder import read_explanation

pytestmark = pytest.mark.integration

FOLDER = Path(__file__).parents[1] / "data_files" / "explanation"
VOID = {"meta", "img", "br", "input", "link", "hr"}


class Page(HTMLParser):
    """The elements of a page, and its text by element."""

    def __init__(self, html: str) -> None:
        super().__init__(convert_charrefs=True)
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.text: dict[str, list[str]] = {}
        self.open: list[str] = []
        self.feed(html)
        assert self.open == [], "every element is closed"

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open:
            self.text.setdefault(self.open[-1], []).append(data)

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attrs for name, attrs in self.elements if name == tag]

    def words(self) -> str:
        return " ".join(" ".join(v) for k, v in self.text.items() if k not in ("script", "style"))


def with_class(page: Page, name: str) -> list[dict[str, str | None]]:
    return [attrs for _, attrs in page.elements if name in (attrs.get("class") or "").split()]


@pytest.fixture(scope="module")
def html() -> str:
    return render_report(read_explanation(FOLDER))


def test_it_is_written_into_the_folder_or_where_told(explanation: Explanation, tmp_path: Path) -> None:
    folder = tmp_path / "explanation"
    shutil.copytree(FOLDER, folder)
    assert write_report(folder) == folder / "report.html"
    assert write_report(explanation, tmp_path / "new" / "r.html").read_bytes() == (folder / "report.html").read_bytes()
    assert [p.name for p in (tmp_path / "new").iterdir()] == ["r.html"]
    with pytest.raises(StoreError, match=r"has no manifest\.json"):
        write_report(tmp_path)


def test_a_report_replaces_a_report_and_nothing_else(explanation: Explanation, tmp_path: Path) -> None:
    path = write_report(explanation, tmp_path / "r.html")
    before = path.read_bytes()
    assert write_report(explanation, path).read_bytes() == before
    for name, text in (("important.htm", "mine"), ("other.html", "<!doctype html><title>stylex</title>")):
        (tmp_path / name).write_text(text)
        with pytest.raises(StoreError, match="holds something else and stays as it is"):
            write_report(explanation, tmp_path / name)
        assert (tmp_path / name).read_text() == text
    for name in ("x.py", "report"):
        with pytest.raises(
            StoreError, match=r"is no name for a report, which is a page; give out one ending in \.html"
        ):
            write_report(explanation, tmp_path / name)
        assert not (tmp_path / name).exists()
    os.mkfifo(tmp_path / "pipe.html")
    with pytest.raises(StoreError, match="is a pipe or a device"):
        write_report(explanation, tmp_path / "pipe.html")
    with pytest.raises(StoreError, match="is a folder; give out a file"):
        write_report(explanation, tmp_path)


def test_it_loads_nothing_and_allows_nothing(html: str) -> None:
    page = Page(html)
    for tag, attrs in page.elements:
        assert tag not in {"link", "iframe", "object", "embed", "form", "base", "audio", "video"}
        assert not [name for name in attrs if name == "style" or name.startswith("on")], "the policy forbids these"
        for name in ("src", "href", "srcset", "data", "action", "poster"):
            value = attrs.get(name)
            assert value is None or value.startswith(("data:image/webp;base64,", "#"))
    assert "://" not in html
    style, script = "".join(page.text["style"]), "".join(page.text["script"])
    assert "url(" not in style
    assert "@import" not in style
    assert not re.search(r"fetch|XMLHttp|WebSocket|import\(|innerHTML|eval", script)
    policy = next(m["content"] for m in page.all("meta") if m.get("http-equiv") == "Content-Security-Policy")
    assert policy is not None
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    for text in (style, script):
        digest = base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
        assert f"'sha256-{digest}'" in policy


def test_without_scripts_every_change_is_a_pair(explanation: Explanation, html: str) -> None:
    page = Page(html)
    shows = [cf for cf in explanation.counterfactuals if cf.role == "shows"]
    assert len(with_class(page, "tile")) == len(with_class(page, "pair")) == len(shows)
    assert len(with_class(page, "after")) == len(with_class(page, "before")) == 2 * len(shows)
    root = page.all("html")[0]
    assert "flickers" not in (root.get("class") or ""), "only the script makes them flicker"
    css = "".join(page.text["style"])
    still = re.sub(r"@media screen \{\n.*?\n\}", "", css, flags=re.DOTALL)
    assert "opacity: 0" not in still.replace("0% { opacity: 0; }", ""), "nothing is hidden without scripts, or in print"
    hidden = [attrs for _, attrs in page.elements if "hidden" in attrs]
    assert {attrs.get("class", attrs.get("id")) for attrs in hidden} == {"bar", "buttons", "swap"}
    assert "prefers-reduced-motion: reduce" in "".join(page.text["script"])


def test_probabilities_with_three_decimals_stand_on_every_picture(explanation: Explanation, html: str) -> None:
    for cf in explanation.counterfactuals:
        before = explanation.image(cf.image).reconstruction_probabilities[cf.target]
        assert f'aria-hidden="true">{before:.3f}</span>' in html
        assert f'aria-hidden="true">{cf.probabilities[cf.target]:.3f}</span>' in html


def test_it_says_what_was_explained(explanation: Explanation, html: str) -> None:
    text = Page(html).words()
    for words in (
        explanation.title,
        explanation.ranking.finding,
        "sneaker",
        "Shaft height",
        "Attribute 2",
        "b8.conv0:2-",
        "99%",
        "Measured on held-out images.",
        "When not to trust this",
        explanation.snapshot["sha256"][:10],
        '"seed": 0',
        "naïve ✓",
    ):
        assert words in text, words


def test_it_can_be_used_without_eyes_or_mouse(html: str) -> None:
    page = Page(html)
    assert page.all("html")[0]["lang"] == "en"
    assert all(img.get("alt") for img in page.all("img"))
    assert len({img["alt"] for img in page.all("img")}) > 10
    ids = [attrs["id"] for _, attrs in page.elements if "id" in attrs]
    assert len(set(ids)) == len(ids)
    for _, attrs in page.elements:
        for name in ("aria-labelledby", "href"):
            value = attrs.get(name)
            assert value is None or value.lstrip("#") in ids
    assert [tag for tag, _ in page.elements].count("h1") == 1
    assert all("type" in button for button in page.all("button"))


def test_texts_of_people_cannot_become_code(explanation: Explanation) -> None:
    evil = "<script>alert(1)</script>\"'><img src=x onerror=alert(1)>{{ 7 * 7 }}</style>"
    first, second = explanation.ranking
    attributes = (
        dataclasses.replace(first, label=evil, target_label=evil, source_label=evil),
        dataclasses.replace(second, label=evil),
    )
    hostile = dataclasses.replace(
        explanation,
        title=evil,
        labels=(evil, evil + "2"),
        ranking=dataclasses.replace(explanation.ranking, attributes=attributes, finding=evil),
        settings={evil: [evil, {"a": evil}]},
        snapshot={"sha256": evil},
        notes=(evil,),
        figures={**explanation.figures, evil: 1.0},
        flips=(Flips(target_label=evil, top={2: 0.5}),),
        images=tuple(dataclasses.replace(i, label=evil) for i in explanation.images),
    )
    for scope in ("class", "image"):
        page = Page(render_report(dataclasses.replace(hostile, scope=scope)))
        assert len(page.all("script")) == len(page.all("style")) == 1
        assert not [img for img in page.all("img") if not (img["src"] or "").startswith("data:")]
        assert evil in page.words(), "the text itself is shown, unharmed"
        assert "49" not in page.text["h1"][0]


def test_it_stays_within_its_size(explanation: Explanation) -> None:
    rng = np.random.default_rng(0)

    def noisy() -> np.ndarray:
        return rng.integers(0, 256, (16, 16, 3), dtype=np.uint8)

    images = tuple(dataclasses.replace(i, original=None, reconstruction=noisy()) for i in explanation.images)
    first = explanation.counterfactuals[0]
    many = dataclasses.replace(
        explanation,
        images=images,
        counterfactuals=tuple(
            dataclasses.replace(first, picture=noisy(), image=f"test-{n % 3}", attributes=(n % 2,)) for n in range(8)
        ),
    )
    full = render_report(many)
    assert len(full.encode()) < MAX_BYTES
    small = render_report(many, max_bytes=140_000)
    assert len(small.encode()) < 140_000
    assert 0 < small.count('<figure class="tile') < full.count('<figure class="tile') == 8
    assert "more images are in the explanation folder" in small
    assert "more images are in the explanation folder" not in full


def test_when_nothing_was_found_it_says_so(explanation: Explanation) -> None:
    ranking = dataclasses.replace(explanation.ranking, attributes=(), explained=0.0, finding="Nothing moves it.")
    for scope in ("class", "image"):
        nothing = dataclasses.replace(explanation, scope=scope, ranking=ranking, counterfactuals=())
        text = Page(render_report(nothing)).words()
        assert "Nothing was found" in text
        assert "Nothing moves it." in text


def test_one_image_gets_its_classes_its_changes_and_its_path(explanation: Explanation) -> None:
    labels = tuple(f"species {i}" for i in range(1000))
    rng = np.random.default_rng(0)

    def answer() -> np.ndarray:
        p = rng.random(1000).astype(np.float32) ** 40 + np.float32(1e-9)
        return p / p.sum()

    shown = explanation.images[0]
    image = dataclasses.replace(
        shown, probabilities=answer(), reconstruction_probabilities=answer(), reconstruction_logits=np.log(answer())
    )
    roles = {(0,): "independent", (1,): "independent", (0, 1): "subset"}
    changes = [
        dataclasses.replace(cf, probabilities=answer(), logits=np.log(answer()), role=roles[cf.attributes])
        for cf in explanation.counterfactuals
        if cf.image == shown.id
    ]
    changes.insert(0, dataclasses.replace(changes[0], role="subset"))
    page = Page(
        render_report(
            dataclasses.replace(
                explanation, scope="image", labels=labels, images=(image,), counterfactuals=tuple(changes)
            )
        )
    )
    assert len(with_class(page, "tile")) == 2
    assert len(with_class(page, "steps")) == 1
    assert page.words().count("+ Shaft height") == page.words().count("+ Attribute 2") == 1
    assert sum(t.startswith("species ") for t in page.text["th"]) == 5, "five classes are drawn"
    assert "995 less likely classes" in page.words()
    assert "The photograph" in page.words()
    # What rebuilding did is shown, also where the answers agree.
    assert "What rebuilding changed" in page.words()
    assert "Rebuilding alone took P(species 1) from" in page.words()


def test_attributes_turned_back_stand_apart(explanation: Explanation) -> None:
    cf = explanation.counterfactuals[0]
    back = dataclasses.replace(
        cf, logits=np.array([2, -3], np.float32), probabilities=np.array([0.99, 0.01], np.float32)
    )
    assert "Turned the other way" not in render_report(explanation)
    both = dataclasses.replace(explanation, counterfactuals=(*explanation.counterfactuals, back))
    assert "Turned the other way" in render_report(both)


def test_weak_attributes_are_folded_away_behind_the_strong(explanation: Explanation) -> None:
    named, strong = explanation.ranking
    for weak in (dataclasses.replace(named, label=None, effect=0.1), dataclasses.replace(named, label=None,
                 significance=0.2)):  # fmt: skip
        ranking = dataclasses.replace(explanation.ranking, attributes=(weak, strong))
        html = render_report(dataclasses.replace(explanation, ranking=ranking))
        folded = html.index('<details class="weak"><summary>1 weaker or unclaimed attribute</summary>')
        assert html.index('id="attribute-2"') < folded < html.index('id="attribute-1"')
        assert "The last 1, much weaker or possibly chance, is folded away" in html
    assert 'class="weak"' not in render_report(explanation)
    kept = dataclasses.replace(explanation.ranking, attributes=(dataclasses.replace(named, effect=0.1), strong))
    assert 'class="weak"' not in render_report(dataclasses.replace(explanation, ranking=kept)), "a person named it"


def test_images_are_counted_as_the_search_and_the_evaluation_count_them(explanation: Explanation) -> None:
    names = [f"{i}.png" for i in range(explanation.ranking.images + 4)]
    counted = dataclasses.replace(explanation, settings={**explanation.settings, "searched": names})
    said = f"{len(names)} searched, {explanation.ranking.images} of them not yet the target"
    assert said in Page(render_report(counted)).words()
    assert "of them not yet" not in Page(render_report(explanation)).words()


def test_the_order_over_two_targets_is_explained(explanation: Explanation) -> None:
    assert "strongest towards each class in turn" not in render_report(explanation)
    first, second = explanation.ranking
    ranking = dataclasses.replace(
        explanation.ranking, attributes=(first, dataclasses.replace(second, target=0, target_label="sneaker"))
    )
    assert "strongest towards each class in turn" in render_report(dataclasses.replace(explanation, ranking=ranking))


def test_figures_that_were_not_measured_are_left_out(explanation: Explanation) -> None:
    html = render_report(dataclasses.replace(explanation, figures={"agreement": math.nan, "kl": math.nan}))
    assert "nan" not in Page(html).words().lower().split()
    assert json.loads(Page(html).text["pre"][0])["figures"]["kl"] is None


def _luminance(colour: str) -> float:
    parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    r, g, b = (v / 12.92 if v <= 0.04045 else ((v + 0.055) / 1.055) ** 2.4 for v in parts)
    return 0.2126 * r + 0.7152 * g + 0.0722 * b


def test_words_have_contrast_in_light_and_dark(html: str) -> None:
    css = "".join(Page(html).text["style"])
    light, dark = (
        dict(re.findall(r"--([\w-]+): (#[0-9a-f]{6})", block))
        for block in re.findall(r":root \{(.*?)\}", css, re.DOTALL)
    )
    for colours in (light, dark):
        grounds = [colours["ground"], colours["surface"]]
        pairs = [(ink, g) for g in grounds for ink in ("ink", "muted", "towards", "away", "warning", "care", "good")]
        pairs += [("towards", colours["tint"]), ("ink", colours["tint"]), ("warning", colours["warning-tint"])]
        pairs += [("ink", colours["warning-tint"]), ("towards", colours["warning-tint"])]
        for ink, ground in pairs:
            high, low = sorted((_luminance(colours[ink]), _luminance(ground)), reverse=True)
            assert (high + 0.05) / (low + 0.05) >= 4.5, (ink, ground)
