"""Methods side by side where the causes are known: drawn images, a short training, ``stylex compare``."""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path

from causes import Drawing

import stylex
from stylex.cli.compared import tables_of
from stylex.training.config import preset


def main() -> None:
    """Draw, train, compare; what is there already is kept."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("out", type=Path)
    parser.add_argument("--family", default="leaves")
    parser.add_argument("--kimg", type=float, default=40)
    parser.add_argument("--measured", type=int, default=40)
    options = parser.parse_args()
    drawing = Drawing(family=options.family, images=6000)
    work: Path = options.out / drawing.folder
    work.mkdir(parents=True, exist_ok=True)
    archive, classifier = drawing.drawn_and_fitted(work)
    base = preset("small-32")
    config = replace(base, schedule=replace(base.schedule, kimg=options.kimg, snapshot_nimg=10_000))
    if not (work / "run").exists():
        stylex.train(data=archive, classifier=classifier, out=work / "run", config=config)
    compared = stylex.compare(
        work / "run", data=archive, measured=options.measured, out=work / "comparison", overwrite=True
    )
    print("\n".join(tables_of(compared)))


if __name__ == "__main__":
    main()
