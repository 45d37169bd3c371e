"""The verdict on an agreement."""

import pytest

from stylex.core.verdict import agreement_level


@pytest.mark.parametrize(
    ("agreement", "level"),
    [(1.0, "good"), (0.95, "good"), (0.949, "care"), (0.9, "care"), (0.899, "warning"), (0.0, "warning")],
)
def test_agreement_is_good_from_95_percent_and_a_warning_below_90(agreement: float, level: str) -> None:
    assert agreement_level(agreement) == level
