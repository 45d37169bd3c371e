"""The verdict on an agreement."""

import pytest

from stylex.core.verdict import agreement_level, agreement_verdict


@pytest.mark.parametrize(
    ("agreement", "level"),
    [(1.0, "good"), (0.95, "good"), (0.949, "care"), (0.9, "care"), (0.899, "warning"), (0.0, "warning")],
)
def test_agreement_is_good_from_95_percent_and_a_warning_below_90(agreement: float, level: str) -> None:
    assert agreement_level(agreement) == level
    assert agreement_level(agreement, 0.5) == level


def test_a_training_a_search_and_a_report_say_the_same() -> None:
    assert agreement_verdict(0.99).endswith("for 99.0% of the images.")
    assert "a longer training helps" in agreement_verdict(0.92)
    assert agreement_verdict(0.99, 0.5).endswith(
        "for 99.0% of the images (with another image's reconstruction for 50.0%)."
    )
    assert agreement_verdict(0.886).endswith("train longer before believing anything else.")


def test_one_answer_for_all_images_is_no_agreement() -> None:
    assert agreement_level(1.0, 0.97) == "warning"
    assert "nearly all images one answer, so that this says little" in agreement_verdict(1.0, 0.97)
