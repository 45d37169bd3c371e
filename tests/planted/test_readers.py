"""Factor readers: they read what made the pictures, and are kept as they were."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from stylex.core.errors import EvaluationError
from stylex.planted.readers import FactorReader, ReaderConfig, fit_reader, load_reader, save_reader

pytestmark = pytest.mark.integration

N = 300


def drawn(seed: int = 0) -> tuple[torch.Tensor, np.ndarray]:
    """Discs of which the column and the brightness are known."""
    random = np.random.default_rng(seed)
    y, x = np.mgrid[:16, :16]
    factors = random.uniform((4, 0.2), (11, 1), (N, 2))
    disc = 1 / (1 + np.exp(2 * (np.hypot(y[None] - 8, x[None] - factors[:, 0, None, None]) - 4)))
    pictures = 2 * disc * factors[:, 1, None, None] - 1 + random.normal(0, 0.02, (N, 16, 16))
    return torch.from_numpy(pictures[:, None].astype(np.float32)), factors


@pytest.fixture(scope="module")
def reader() -> FactorReader:
    return fit_reader(*drawn(), ("column", "brightness"), ReaderConfig(width=6, epochs=12, batch=32))


def test_factors_are_read_in_standard_deviations(reader: FactorReader) -> None:
    assert min(reader.r2.values()) > 0.9
    x, factors = drawn(1)
    read = reader.read(x)
    wanted = (factors - factors.mean(axis=0)) / factors.std(axis=0)
    assert np.abs(read - wanted).mean() < 0.3
    assert np.corrcoef(read[:, 0], wanted[:, 0])[0, 1] > 0.97


def test_the_same_seed_gives_the_same_reader() -> None:
    config = ReaderConfig(width=4, epochs=1, seed=3)
    one, other = (fit_reader(*drawn(), ("a", "b"), config) for _ in range(2))
    assert one.r2 == other.r2


def test_a_reader_is_kept_as_it_was(reader: FactorReader, tmp_path: Path) -> None:
    save_reader(reader, tmp_path / "reader")
    kept = load_reader(tmp_path / "reader")
    assert kept.names == reader.names
    assert kept.r2 == reader.r2
    x = drawn(2)[0][:5]
    assert np.array_equal(kept.read(x), reader.read(x))


def test_a_damaged_reader_is_told(reader: FactorReader, tmp_path: Path) -> None:
    folder = tmp_path / "reader"
    save_reader(reader, folder)
    (folder / "weights.safetensors").write_bytes(b"x")
    with pytest.raises(EvaluationError, match="damaged"):
        load_reader(folder)
    (folder / "reader.json").write_text("{}")
    with pytest.raises(EvaluationError, match="does not describe"):
        load_reader(folder)
    with pytest.raises(EvaluationError, match="no factor reader"):
        load_reader(tmp_path / "none")


def test_what_cannot_be_learned_is_told() -> None:
    x, factors = drawn()
    with pytest.raises(EvaluationError, match="do not fit each other"):
        fit_reader(x, factors[:5], ("a", "b"))
    with pytest.raises(EvaluationError, match="b never varies"):
        fit_reader(x, np.stack([factors[:, 0], np.ones(N)], axis=1), ("a", "b"))
    with pytest.raises(EvaluationError, match="too few"):
        fit_reader(x[:9], factors[:9], ("a", "b"))
