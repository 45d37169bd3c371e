"""The page of an attack: all images in a sensible order, nothing from elsewhere, nothing claimed of weak probes."""

from __future__ import annotations

import io
import re

import numpy as np
from PIL import Image

from stylex.core.attacked import Attack, AttackedImage, Likeness, Probe, Score
from stylex.core.evaluation import Interval
from stylex.report.attack import in_order, overview, render_attack


def image(name: str, *, converged: bool = True, steps: int = 5, changed: int = 3, after: float = 0.8) -> AttackedImage:
    told = 0.5 if changed else 0.0
    picture = np.random.default_rng(len(name)).integers(0, 256, (16, 16, 1), dtype=np.uint8)
    return AttackedImage(
        id=name, original=picture, rebuilt=picture, counterfactual=255 - picture,
        probabilities=np.array([0.9, 0.1], np.float32), rebuilt_probabilities=np.array([0.95, 0.05], np.float32),
        counterfactual_probabilities=np.array([1 - after, after], np.float32), target=1, converged=converged,
        steps=steps, changed=changed, length=1.0, turned=converged and steps > 0, turned_at_random=name == "far",
        scores={"spots": told, "<coin>": 4 * told}, label="<b>healthy</b>",
    )  # fmt: skip


def attack() -> Attack:
    return Attack(
        title="What turns images to <sick>",
        labels=("healthy", "<sick>"),
        towards="<sick>",
        coordinates=8,
        probability=0.75,
        images=(
            image("far", changed=8), image("stuck", converged=False, steps=500, after=0.3), image("near", changed=1),
            image("rebuilt", steps=0, changed=0), image("hopeless", converged=False, steps=9, after=0.06),
        ),
        probes=(
            Probe(descriptor="spots", kind="continuous", images=99, quality=0.9, shuffled=-0.02, weak=False),
            Probe(descriptor="<coin>", kind="binary", images=99, quality=0.5, shuffled=0.51, weak=True),
        ),
        scores=(Score(descriptor="spots", change=Interval(value=0.5, low=-0.1, high=0.7), images=2),),
        likeness=Likeness(
            attacked=Interval(value=0.5, low=0.4, high=0.6), rebuilt=Interval(value=0.1, low=0.0, high=0.2),
            random=Interval(value=0.3, low=0.2, high=0.4), images=2, by="<net>",
        ),
        settings={"space": "w", "other_classifier": True, "run": "runs/<a>"},
        notes=("2 images did not reach it.",),
    )  # fmt: skip


def test_images_are_sorted_by_what_became_of_them() -> None:
    groups = {name: [each.id for each in images] for name, images in in_order(attack())}
    assert list(groups.values()) == [["near", "far"], ["rebuilt"], ["stuck", "hopeless"]]
    html = render_attack(attack())
    places = [html.index(f'id="{name}"') for name in ("near", "far", "rebuilt", "stuck", "hopeless")]
    assert places == sorted(places)
    assert html.count("not converged</span>") == 2
    assert "converged after 5 steps" in html
    assert "Of the 2 that are turned by it, random moves of as many coordinates and as long turn 1." in html
    assert "look whether they are still pictures of the domain" in html


def test_the_page_loads_nothing_and_escapes_everything() -> None:
    html = render_attack(attack())
    assert "default-src &#39;none&#39;" in html
    assert not re.findall(r'(?:src|href)="(?!data:|#)', html)
    assert "<script" not in html
    assert not any(word in html for word in ("<sick>", "<coin>", "<b>healthy", "<net>", "<a>"))
    assert html.count('alt="near, ') == 4
    assert "This is not the classifier that the networks were trained with" in html


def test_weak_probes_are_shown_as_such_and_not_scored() -> None:
    html = render_attack(attack())
    scores = html.split('id="scores"')[1].split('class="plain"')[0]
    assert "spots" in scores
    assert "coin" not in scores
    assert "weak: left out of the scores" in html
    assert "R2 0.90" in html
    assert "-0.02" in html
    assert 'class="unsure"' in scores, "an interval that covers zero is pale"
    assert "&lt;coin&gt; (weak probe)" in html


def test_the_overview_is_a_picture_of_the_turned_images() -> None:
    with Image.open(io.BytesIO(overview(attack()))) as picture:
        two = picture.size
    with Image.open(io.BytesIO(overview(Attack(**{**vars(attack()), "images": attack().images[1:2]})))) as picture:
        assert picture.size[1] == two[1]
        assert picture.size[0] < two[0], "none was turned, so the one that there is"


def test_pictures_get_smaller_where_there_is_little_room() -> None:
    assert len(render_attack(attack(), max_bytes=1)) < len(render_attack(attack()))
