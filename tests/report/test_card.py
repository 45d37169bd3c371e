"""The card of a shared run: every figure beside what passes by accident, and nothing claimed that was not said."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from stylex.report.card import Shared, card

FIGURES = {
    "agreement": 0.97,
    "agreement_other": 0.52,
    "pixel_l1": 0.08,
    "pixel_l1_other": 0.31,
    "follows_w": 0.96,
    "follows_maps": 0.04,
    "kl": 0.1,
}
DESCRIPTION: dict[str, Any] = {
    "generator": {"resolution": 32, "channels": 3},
    "classifier": {"labels": ["boot", "shoe"], "input_size": 32, "channels": 3, "output": "logits"},
    "classifier_fingerprint": "abc",
    "figures": FIGURES,
    "nimg": 120000,
}
SHARED = Shared(
    name="me/shoes",
    description=DESCRIPTION,
    imported=False,
    licence=None,
    about_data=None,
    classifier="It is not here.",
    latents=0,
    maps=0,
    panel=False,
    version="1",
)


def test_figures_stand_beside_what_passes_by_accident() -> None:
    said = card(SHARED)
    for row in (
        "| 97% | 52% with another image's reconstruction |",
        "| 0.08 | 0.31 with another image's reconstruction |",
        "| 96% | where the two images differ, 4% say what the image of the maps is |",
    ):
        assert row in said
    assert "The classifier says the same of photograph and reconstruction for 97.0%" in said
    bare = card(replace(SHARED, description={**DESCRIPTION, "figures": {"agreement": 0.97}}))
    assert "| 97% | not measured |" in bare
    assert "Nothing was measured" in card(replace(SHARED, description={**DESCRIPTION, "figures": {}}))


def test_what_was_not_said_is_not_claimed() -> None:
    said = card(SHARED)
    assert "What the images are was not said" in said
    assert "None was given: ask" in said
    assert "license:" not in said
    assert "No image is in this repository." in said
    told = card(replace(SHARED, licence="cc-by-4.0", about_data="Shoes of a shop.", panel=True, latents=9, maps=3))
    assert "\nlicense: cc-by-4.0\n" in told
    assert "Shoes of a shop." in told
    assert "`snapshot/panel.png` shows some held-out ones" in told
    assert "the encoder's latents of 9 training images and its maps of 3" in told


@pytest.mark.parametrize("labels", [["a", "b"], ["a", "b", "c d"], [f"l{i}" for i in range(30)]])
def test_the_command_in_it_can_be_given(labels: list[str]) -> None:
    spec = {**DESCRIPTION["classifier"], "labels": labels}
    said = card(replace(SHARED, description={**DESCRIPTION, "classifier": spec}))
    assert ("--target" in said) == (len(labels) > 2)
    assert ("and 10 more" in said) == (len(labels) == 30)
    imported = card(replace(SHARED, imported=True))
    assert "stylex train --generator hf://me/shoes --freeze generator" in imported
    assert "It has no encoder" in imported
