"""The panel of a training as a file."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from stylex.training.held_out import Panel


def draw_panel(panel: Panel) -> bytes:
    """A training's panel as a PNG: rows of pictures with the classifier's probabilities."""
    from stylex.report.figures import encode
    from stylex.report.figures import panel as grid

    def note(p: NDArray[np.float32]) -> str:
        best = int(p.argmax())
        return f"{panel.labels[best][:12]} {p[best]:.2f}"

    return encode(
        grid(
            [list(pictures) for pictures in panel.rows.values()],
            list(panel.rows),
            notes=[[note(p) for p in row] for row in panel.probabilities.values()],
        )
    )
