"""Drawn explanations of a few lines: each attribute brightens or darkens its own part of any picture."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from stylex.core.attribute import Attribute, AttributeRanking
from stylex.core.explanation import Counterfactual, ExplainedImage, Explanation, Strip
from stylex.core.study import Study
from stylex.core.stylespace import StyleCoordinate, StyleLayer, StyleSpace
from stylex.store.study import write_study
from stylex.study.making import Design, make_study

SIDE = 12


def changed(picture: np.ndarray, attribute: int) -> np.ndarray:
    """Brighter in one of four corners; of every second attribute darker."""
    out = picture.astype(int)
    row, column = divmod(attribute % 4, 2)
    part = slice(6 * row, 6 * row + 6), slice(6 * column, 6 * column + 6)
    out[part] += 60 if attribute % 2 == 0 else -60
    return out.clip(0, 255).astype(np.uint8)


def drawn(attributes: int = 3, images: int = 8, *, strips: bool = True, seed: int = 0, **ranked: Any) -> Explanation:
    """An explanation in which every attribute changes every image; no image looks like another."""
    rng = np.random.default_rng(seed)
    pictures = [rng.integers(60, 190, (SIDE, SIDE, 1), dtype=np.uint8) for _ in range(images)]
    half = np.array([0.5, 0.5], np.float32)
    one, other = np.array([0, 0], np.float32), np.array([-1, 1], np.float32)
    return Explanation(
        scope="class",
        title="Corners",
        labels=("dark", "bright"),
        output="softmax",
        ranking=AttributeRanking(
            attributes=tuple(
                Attribute(
                    coordinate=StyleCoordinate("b4.conv1", i),
                    sign=1,
                    shift_range=1.0,
                    target=1,
                    target_label="bright",
                    effect=2.0 - i / 10,
                    label=f"corner {i}",
                    **ranked,
                )
                for i in range(attributes)
            ),
            strategy="attfind",
            images=20,
            explained=1.0,
            finding="Corners.",
        ),
        images=tuple(
            ExplainedImage(
                id=f"image-{i}",
                original=picture,
                reconstruction=picture,
                logits=one,
                probabilities=half,
                reconstruction_logits=one,
                reconstruction_probabilities=half,
            )
            for i, picture in enumerate(pictures)
        ),
        counterfactuals=tuple(
            Counterfactual(
                image=f"image-{i}",
                attributes=(a,),
                picture=changed(picture, a),
                logits=other,
                probabilities=np.array([0.1, 0.9], np.float32),
                target=1,
                role="shows",
            )
            for a in range(attributes)
            for i, picture in enumerate(pictures[4:] if strips else pictures, start=4 if strips else 0)
        ),
        strips=tuple(
            Strip(
                image=f"image-{i}",
                attribute=a,
                shares=(0.0, 1.0),
                frames=np.stack([picture, changed(picture, a)]),
                probabilities=np.stack([half, half]),
            )
            for a in range(attributes)
            for i, picture in enumerate(pictures[:4])
            if strips
        ),
        figures={},
        settings={},
        snapshot={},
        space=StyleSpace([StyleLayer(name="b4.conv1", kind="conv", resolution=4, channels=attributes)]),
    )


def design(**given: Any) -> Design:
    return Design(
        **{
            "tasks": ("sort", "describe"), "raters": 6, "attributes": 3, "images": 4, "checks": 2, "seed": 0, **given,
        }
    )  # fmt: skip


@pytest.fixture(scope="session")
def written(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., tuple[Path, Study]]:
    """A study of two drawn explanations, written once for all tests; gives its folder and what it asks."""

    @cache
    def write(**given: Any) -> tuple[Path, Study]:
        explanations = {"ours": drawn(), "baseline": drawn(seed=1)}
        study, pictures = make_study(explanations, design(**given), title="Corners", consent=None)
        return write_study(study, pictures, tmp_path_factory.mktemp("written") / "study"), study

    return write


@pytest.fixture
def made(written: Callable[..., tuple[Path, Study]], tmp_path: Path) -> Callable[..., tuple[Path, Study]]:
    """A copy of it, to be answered."""

    def make(**given: Any) -> tuple[Path, Study]:
        folder, study = written(**given)
        return Path(shutil.copytree(folder, tmp_path / "study")), study

    return make
