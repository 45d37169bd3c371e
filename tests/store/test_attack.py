"""The attack folder: written, then read, it is the same; what is damaged, foreign or in the way is refused."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from stylex.core.attacked import Attack, AttackedImage, Likeness, Probe, Score
from stylex.core.errors import StoreError
from stylex.core.evaluation import Interval
from stylex.core.explanation import Explanation
from stylex.store.attack import read_attack, write_attack
from stylex.store.folder import write_explanation


@pytest.fixture
def attack() -> Attack:
    random = np.random.default_rng(0)

    def image(name: str, converged: bool, steps: int) -> AttackedImage:
        def picture() -> np.ndarray:
            return random.integers(0, 256, (16, 16, 3), dtype=np.uint8)

        def said() -> np.ndarray:
            p = np.float32(0.5 + random.random() / 2)  # of the class that it is not driven to
            return np.array([p, 1 - p], np.float32)

        return AttackedImage(
            id=name, original=picture(), rebuilt=picture(), counterfactual=picture(), probabilities=said(),
            rebuilt_probabilities=said(), counterfactual_probabilities=said()[::-1].copy(), target=1,
            converged=converged, steps=steps, changed=3, length=1.25, turned=converged and steps > 0,
            turned_at_random=False, scores={"spots": 0.5, "coin": -0.1}, label="sick",
        )  # fmt: skip

    return Attack(
        title="What turns images",
        labels=("healthy", "sick"),
        towards="sick",
        coordinates=8,
        probability=0.75,
        images=(image("a", True, 7), image("b", False, 500), image("c", True, 0)),
        probes=(
            Probe(descriptor="spots", kind="continuous", images=99, quality=0.9, shuffled=0.0, weak=False),
            Probe(descriptor="coin", kind="binary", images=99, quality=0.5, shuffled=0.51, weak=True),
        ),
        scores=(Score(descriptor="spots", change=Interval(value=0.5, low=float("nan"), high=0.7), images=1),),
        likeness=Likeness(
            attacked=Interval(value=0.5, low=0.4, high=0.6),
            rebuilt=Interval(value=0.1, low=0.0, high=0.2),
            random=Interval(value=0.3, low=0.2, high=0.4),
            images=2,
            by="a net",
        ),
        settings={"verb": "attack"},
        notes=("one",),
    )


def same(a: Any, b: Any) -> bool:
    if dataclasses.is_dataclass(a):
        return all(same(getattr(a, field.name), getattr(b, field.name)) for field in dataclasses.fields(a))
    if isinstance(a, tuple):
        return len(a) == len(b) and all(map(same, a, b))
    return bool(np.array_equal(a, b, equal_nan=True)) if isinstance(a, float | np.ndarray) else bool(a == b)


def test_written_then_read_it_is_the_same(attack: Attack, tmp_path: Path) -> None:
    write_attack(attack, tmp_path / "a", beside={"report.html": b"page"})
    assert same(read_attack(tmp_path / "a"), attack)
    assert (tmp_path / "a" / "report.html").read_bytes() == b"page"
    assert (tmp_path / "a" / "images" / "b" / "counterfactual.png").is_file()
    assert attack.converged == 2
    assert [image.id for image in attack.turned] == ["a"], "not what was turned by being rebuilt alone"


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        (lambda c: c["images"][0].update(converged="yes"), r"damaged at \$.images\[0\].converged"),
        (lambda c: c["images"][0].update(target=2), "does not have 2 classes"),
        (lambda c: c["images"][0].update(changed=9), "more changed coordinates than there are"),
        (lambda c: c["images"][1].update(id="a"), "two images have one id"),
        (lambda c: c["images"][0]["scores"].update(other=1.0), "a score without a probe"),
        (lambda c: c["scores"][0].update(descriptor="other"), "a score without a probe"),
        (lambda c: c["images"][0].update(original="../../secret.png"), "not a file inside the folder"),
        (lambda c: c.update(towards="nobody"), "which is no label"),
        (lambda c: c.update(version=3), "has version 3"),
        (lambda c: c.update(schema="stylex-explanation"), "not the manifest of an attack"),
    ],
)
def test_what_is_damaged_is_refused(attack: Attack, tmp_path: Path, wrong: Any, says: str) -> None:
    file = write_attack(attack, tmp_path / "a") / "attack.json"
    content = json.loads(file.read_text())
    wrong(content)
    file.write_text(json.dumps(content))
    with pytest.raises(StoreError, match=says):
        read_attack(tmp_path / "a")


def test_only_an_attack_is_replaced_and_only_on_request(
    attack: Attack, explanation: Explanation, tmp_path: Path
) -> None:
    write_attack(attack, tmp_path / "a")
    (tmp_path / "a" / "mine.txt").write_text("keep me")
    with pytest.raises(StoreError, match="already holds an attack"):
        write_attack(attack, tmp_path / "a")
    write_attack(dataclasses.replace(attack, title="Newer"), tmp_path / "a", overwrite=True)
    assert read_attack(tmp_path / "a").title == "Newer"
    assert (tmp_path / "a" / "mine.txt").read_text() == "keep me"
    write_explanation(explanation, tmp_path / "e")
    with pytest.raises(StoreError, match="holds something else"):
        write_attack(attack, tmp_path / "e", overwrite=True)
    with pytest.raises(StoreError, match=r"it has no attack\.json"):
        read_attack(tmp_path / "e")
