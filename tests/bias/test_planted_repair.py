"""A planted bias, from end to end by the command line: marked, turned, unlearnt, and a pipeline that sees it gone."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from stylex.cli import main
from stylex.data.archive import open_images
from stylex.data.descriptors import table_of
from stylex.planted.images import Planted, write_planted

pytestmark = [pytest.mark.integration, pytest.mark.slow]


def test_the_audit_fails_the_ancestor_and_passes_what_was_repaired(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    archive, old, new, run = (tmp_path / name for name in ("leaves.zip", "old", "new", "run"))
    write_planted(archive, family="leaves", images=1500, resolution=32, bias=0.8)
    training = open_images(archive).split("train")
    known = Planted.named(training.names)
    warm = known.factors[:, known.family.factors.index("background")] > 0.5
    chosen = np.arange(0, len(training), 3)
    marks = {"ground": warm[chosen].astype(float).tolist()}
    (tmp_path / "marks.csv").write_text(table_of(training.subset(chosen).names, marks))
    data = ["--data", str(archive), "-q"]
    assert main(["classifier", *data, "--epochs", "10", "--out", str(old)]) == 0
    short = ["--preset", "small-32", "--kimg", "4", "--out", str(run)]
    assert main(["train", *data, "--classifier", str(old), *short]) == 0
    given = ["--descriptors", str(tmp_path / "marks.csv"), *data]
    assert main(["repair", str(run), *given, "--realism", "null", "--out", str(tmp_path / "repaired.zip")]) == 0
    further = ["--data", str(tmp_path / "repaired.zip"), "--groups", str(tmp_path / "repaired.groups.csv"), "-q"]
    assert main(["classifier", "--from", str(old), *further, "--epochs", "3", "--out", str(new)]) == 0
    watch = ["--run", str(run), *given, "--fail-if", "attribute 1 kept > 0.5"]
    assert main(["audit", str(old), str(old), *watch]) == 3
    capsys.readouterr()
    assert main(["audit", str(old), str(new), *watch]) == 0
    assert "1. ground" in capsys.readouterr().out
