"""An explanation as a figure of matplotlib: for each attribute what it does to probabilities and to pictures."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any

import numpy as np

from stylex.core.errors import ConfigError, SearchError
from stylex.core.explanation import Explanation, Picture
from stylex.report.words import about, name_of, place, signed, turned_back

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def plot(explanation: Explanation, *, images: int = 3) -> Figure:
    """A row for each attribute: the target's probability from end to end, then images as rebuilt and changed.

    Args:
        explanation: what to draw; attributes that a person put away are left out.
        images: how many images to show of each attribute.

    Raises:
        ConfigError: matplotlib is not installed.
        SearchError: there is no attribute to draw.
    """
    try:
        from matplotlib.figure import Figure
    except ImportError:
        raise ConfigError("a figure needs matplotlib; install it with: pip install matplotlib") from None

    class CellFigure(Figure):
        """A figure that a notebook shows, though pyplot does not know of it."""

        def _repr_png_(self) -> bytes:
            buffer = io.BytesIO()
            self.savefig(buffer, format="png")
            return buffer.getvalue()

    e = explanation
    positions = [position for position, attribute in enumerate(e.ranking) if not attribute.hidden]
    if not positions:
        raise SearchError("the explanation has no attribute to draw; find some first")
    shown = {position: _shown(e, position)[:images] for position in positions}
    columns = 2 * max(1, *(len(pairs) for pairs in shown.values())) if any(shown.values()) else 2
    figure = CellFigure(figsize=(3.4 + 1.1 * columns, 1.5 * len(positions) + 0.5), layout="constrained")
    grid = figure.add_gridspec(len(positions), columns + 3)
    figure.suptitle(e.title, wrap=True)
    for row, position in enumerate(positions):
        attribute = e.ranking[position]
        curve = figure.add_subplot(grid[row, :3])
        curve.set_title(f"{name_of(e.ranking, position)}  ({signed(attribute.effect)})", loc="left", fontsize=9)
        curve.set_ylim(0, 1)
        curve.set_ylabel(about(e, attribute.target), fontsize=7)
        curve.tick_params(labelsize=7)
        curve.axvspan(-1, 1, alpha=0.12, color="gray", lw=0)  # what was observed
        for strip in (strip for strip in e.strips if strip.attribute == position):
            way = np.array(strip.shares) * attribute.shift_range
            curve.plot(way, strip.probabilities[:, attribute.target], marker=".", lw=1)
        if row == len(positions) - 1:
            curve.set_xlabel("fraction of the way to the observed extreme", fontsize=7)
        for column, (before, after, words) in enumerate(shown[position]):
            for offset, picture in enumerate((before, after)):
                axes = figure.add_subplot(grid[row, 3 + 2 * column + offset])
                axes.axis("off")
                _draw(axes, picture)
                axes.set_title(words[offset], fontsize=7)
    return figure


def _shown(e: Explanation, position: int) -> list[tuple[Picture, Picture, tuple[str, str]]]:
    """Images as rebuilt and changed by one attribute, with the target's probabilities."""
    return [
        (
            e.image(cf.image).reconstruction,
            cf.picture,
            (
                place(float(e.image(cf.image).reconstruction_probabilities[cf.target]), e, cf.target),
                place(float(cf.probabilities[cf.target]), e, cf.target),
            ),
        )
        for cf in e.counterfactuals
        if cf.attributes == (position,) and cf.role != "subset" and not turned_back(cf, e)
    ]


def _draw(axes: Any, picture: Picture) -> None:
    if picture.shape[2] == 1:
        axes.imshow(picture[:, :, 0], cmap="gray", vmin=0, vmax=255)
    else:
        axes.imshow(picture)
