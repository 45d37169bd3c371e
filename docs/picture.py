"""Draw the README's picture from an explanation: for some attributes, rebuilt pictures above the changed ones."""

from __future__ import annotations

import argparse
from pathlib import Path

from stylex.report.figures import panel, save_picture
from stylex.report.words import turned_back
from stylex.store.folder import read_explanation


def main() -> None:
    """Draw it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("explanation", type=Path, help="the explanation folder")
    parser.add_argument("out", type=Path, help="the PNG to write")
    parser.add_argument("--attributes", type=int, nargs="+", default=[1, 2, 3], help="which, by their rank")
    parser.add_argument("--images", type=int, default=4, help="images an attribute")
    options = parser.parse_args()
    explanation = read_explanation(options.explanation)
    before, after, before_notes, after_notes = [], [], [], []
    for rank in options.attributes:
        shown = [
            cf
            for cf in explanation.counterfactuals
            if cf.attributes == (rank - 1,) and not turned_back(cf, explanation)
        ][: options.images]
        for cf in shown:
            image = explanation.image(cf.image)
            label = explanation.labels[cf.target]
            before.append(image.reconstruction)
            after.append(cf.picture)
            before_notes.append(f"{label} {image.reconstruction_probabilities[cf.target]:.2f}")
            after_notes.append(f"{label} {cf.probabilities[cf.target]:.2f}")
    save_picture(panel([before, after], ["rebuilt", "one knob turned"], notes=[before_notes, after_notes]), options.out)


if __name__ == "__main__":
    main()
