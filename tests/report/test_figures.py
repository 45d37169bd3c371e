"""Figures: laws of enlarging, of what changed, and of what is written."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from stylex.core.errors import ConfigError
from stylex.core.explanation import Explanation, Picture
from stylex.report.figures import (
    Box,
    changed_box,
    difference_map,
    difference_scale,
    encode,
    enlarge,
    flicker,
    panel,
    save_picture,
)
from stylex.report.media import write_flickers, write_strips


def noise(side: int = 16, channels: int = 3, seed: int = 0) -> Picture:
    return np.random.default_rng(seed).integers(0, 256, (side, side, channels), dtype=np.uint8)


@pytest.mark.parametrize("channels", [1, 3])
def test_enlarging_keeps_kind_and_shape(channels: int) -> None:
    picture = noise(16, channels)
    assert enlarge(picture, 48).shape == (48, 48, channels)
    assert enlarge(picture[:, :8], 48).shape == (48, 24, channels), "the longer side counts"
    assert np.array_equal(enlarge(picture, 16), picture), "its own size changes nothing"
    assert np.array_equal(enlarge(picture, 48, "blocks"), picture.repeat(3, 0).repeat(3, 1))
    flat = np.full((16, 16, channels), 77, np.uint8)
    assert np.array_equal(enlarge(flat, 50), np.full((50, 50, channels), 77)), "a flat picture stays flat"


def test_the_box_holds_what_changed() -> None:
    before = np.zeros((64, 64, 1), np.uint8)
    for left, top in ((0, 0), (40, 8), (54, 54), (30, 20)):
        after = before.copy()
        after[top : top + 10, left : left + 10] = 200
        box = changed_box(before, after)
        assert 3 * 64 // 8 <= box.side <= 5 * 64 // 8
        assert box.left >= 0
        assert box.top >= 0
        assert max(box.left, box.top) + box.side <= 64
        assert box.of(after).sum() >= 0.8 * after.sum()
    assert changed_box(before, before) == Box(12, 12, 40)
    # A change all over is magnified where it is strongest.
    after = np.full_like(before, 20)
    after[50:, 50:] = 120
    assert box.side <= 40
    assert changed_box(before, after).of(after).max() == 120


def test_the_box_is_the_smallest_square_that_holds_the_share() -> None:
    rng = np.random.default_rng(1)
    before = np.zeros((24, 24, 1), np.uint8)
    for _ in range(5):
        after = (255 * rng.random((24, 24, 1)) ** 6).astype(np.uint8)
        energy = (after[:, :, 0] / 255.0) ** 2
        side = changed_box(before, after, fraction=0.3, pad=0).side
        best = {
            n: max(energy[i : i + n, j : j + n].sum() for i in range(25 - n) for j in range(25 - n))
            for n in (side - 1, side)
        }
        assert best[side] >= 0.3 * energy.sum()
        assert best[side - 1] < 0.3 * energy.sum() or side == 9


def test_differences_say_brighter_darker_and_recoloured() -> None:
    before = np.full((8, 8, 3), 128, np.uint8)
    brighter, darker, recoloured = (before + np.array(d, np.int16) for d in ((60,) * 3, (-60,) * 3, (90, -27, 0)))
    for after, (high, low) in ((brighter, (1, 0)), (darker, (2, 1)), (recoloured, (0, 2))):
        r, g, b = difference_map(before, after.astype(np.uint8), scale=0.2)[4, 4].astype(int)
        assert (r, g, b)[high] > (r, g, b)[low] + 60
    unchanged = difference_map(before, before, scale=0.2, ghost=False)
    assert (unchanged == 255).all()
    assert difference_map(before[:, :, :1], before[:, :, :1], scale=0.2).shape == (8, 8, 3)


def test_the_scale_is_shared_and_never_stretches_noise() -> None:
    before = np.full((8, 8, 1), 100, np.uint8)
    assert difference_scale([]) == difference_scale([(before, before + 1)]) == 0.1
    assert difference_scale([(before, before + 1), (before, before + 51)]) == pytest.approx(0.2)


def test_a_panel_shows_every_picture(tmp_path: Path) -> None:
    rows = [[noise(16, 1, i) for i in range(3)], [noise(16, 3, 9)]]
    sheet = panel(rows, ["real", "reconstructed"], notes=[["0.100", "", "0.300"], []], title="1 kimg", cell=64)
    assert sheet.shape[2] == 3
    assert sheet.shape[0] > 2 * 64
    assert sheet.shape[1] > 3 * 64
    plain = panel(rows, cell=64)
    drawn = enlarge(rows[1][0], 64)
    margin, gap = 8, 2
    assert np.array_equal(plain[margin + 64 + gap : margin + 2 * 64 + gap, margin : margin + 64], drawn)
    assert np.asarray(Image.open(save_picture(sheet, tmp_path / "deep" / "panel.png"))).tolist() == sheet.tolist()


@pytest.mark.parametrize("kind", ["gif", "webp"])
def test_a_flicker_changes_once_a_second_for_ever(kind: str, tmp_path: Path) -> None:
    path = flicker(noise(32), noise(32, seed=1), tmp_path / f"x.{kind}")
    with Image.open(path) as image:
        assert (image.n_frames, image.info["loop"]) == (2, 0)
        for frame in range(2):
            image.seek(frame)
            image.load()
            assert image.info["duration"] == 1000


def test_a_flicker_that_harms_or_that_no_one_reads_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="epilepsy"):
        flicker(noise(), noise(), tmp_path / "x.gif", seconds_each=0.1)
    with pytest.raises(ConfigError, match=r"\.gif, \.webp or \.mp4"):
        flicker(noise(), noise(), tmp_path / "x.avi")
    assert not list(tmp_path.iterdir())


def test_encoded_pictures_come_back() -> None:
    import io

    for channels in (1, 3):
        picture = noise(16, channels)
        back = np.asarray(Image.open(io.BytesIO(encode(picture)))).reshape(picture.shape)
        assert np.array_equal(back, picture)
    assert Image.open(io.BytesIO(encode(noise(), "webp"))).format == "WEBP"


def test_strips_and_flickers_of_every_attribute(explanation: Explanation, tmp_path: Path) -> None:
    strips = write_strips(explanation, tmp_path, images=2, cell=32)
    assert [p.name for p in strips] == ["attribute-1-shaft-height.png", "attribute-2.png"]
    assert [p.name for p in write_flickers(explanation, tmp_path, "gif", images=2, cell=32)] == [
        "attribute-1-shaft-height.gif",
        "attribute-2.gif",
    ]
    assert len(list(tmp_path.iterdir())) == 4
