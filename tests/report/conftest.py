"""The recorded explanation, read once for each test."""

from __future__ import annotations

from pathlib import Path

import pytest

from stylex.core.explanation import Explanation
from stylex.store.folder import read_explanation


@pytest.fixture
def explanation() -> Explanation:
    return read_explanation(Path(__file__).parents[1] / "data_files" / "explanation")
