"""The settings of a search: what cannot be meant is refused, and what was meant is read back."""

from __future__ import annotations

import pytest

from stylex.core.errors import ConfigError
from stylex.search.config import SearchConfig


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"recall": 1.0}, "recall is 1, but must be between 0 and 1"),
        ({"shift_range": 0.0}, "shift_range is 0, but must be a number above 0"),
        ({"accounted": 1.0}, "accounted is 1, but must be from 0"),
        ({"accounted": -0.1}, "accounted is -0.1"),
        ({"accounted": 0.5, "method": "attfind"}, "accounted is a rule of .*method.*directions"),
        ({"accounted": 0.0, "selection": "together"}, "accounted is a rule of"),
        ({"threshold": 0.0, "method": "attfind"}, "threshold is 0, but must be a number of logits above 0"),
        ({"threshold": 0.3}, "threshold is a rule of .*method.*attfind"),
        ({"threshold": 0.3, "method": "attfind", "selection": "notebook"}, "threshold is a rule of"),
        ({"shift_range": float("inf")}, "shift_range is inf"),
    ],
)
def test_what_cannot_be_meant_is_refused(wrong: dict[str, object], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        SearchConfig(**wrong)  # type: ignore[arg-type]


def test_settings_are_read_back_from_what_an_explanation_records() -> None:
    config = SearchConfig(target="boot", method="attfind", selection="together", torgb=True, shift_range=0.5)
    assert SearchConfig.from_json({"verb": "find", "run": "runs/shoes", **config.to_json()}) == config
    assert SearchConfig.from_json({"target": "boot"}) == SearchConfig(target="boot", accounted=0.0)


def test_what_an_older_explanation_recorded_was_found_without_the_account() -> None:
    assert SearchConfig.from_json({"images": 50}).accounted == 0
    assert SearchConfig.from_json({"images": 50, "accounted": 0.2}).accounted == 0.2
    assert SearchConfig.from_json({"method": "attfind"}).accounted == SearchConfig().accounted
    assert SearchConfig.from_json(SearchConfig().to_json()) == SearchConfig()
