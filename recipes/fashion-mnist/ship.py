"""Put a finished training of this recipe into the package as the demo: snapshot, classifier, 400 test photographs."""

from __future__ import annotations

import argparse
import shutil
from pathlib import Path

import numpy as np

from stylex.data.archive import ArchiveIndex, open_images, write_archive
from stylex.models.snapshot import find_snapshot

NOTICE = """\
shoes.zip holds 400 test photographs of Fashion-MNIST (sneakers and ankle boots), on squares of 32 px.

Fashion-MNIST: Han Xiao, Kashif Rasul, Roland Vollgraf, "Fashion-MNIST: a Novel Image Dataset for Benchmarking
Machine Learning Algorithms", 2017. https://github.com/zalandoresearch/fashion-mnist

The MIT License (MIT)

Copyright (c) 2017 Zalando SE, https://tech.zalando.com

Permission is hereby granted, free of charge, to any person obtaining a copy of this software and associated
documentation files (the "Software"), to deal in the Software without restriction, including without limitation the
rights to use, copy, modify, merge, publish, distribute, sublicense, and/or sell copies of the Software, and to permit
persons to whom the Software is furnished to do so, subject to the following conditions:

The above copyright notice and this permission notice shall be included in all copies or substantial portions of the
Software.

THE SOFTWARE IS PROVIDED "AS IS", WITHOUT WARRANTY OF ANY KIND, EXPRESS OR IMPLIED, INCLUDING BUT NOT LIMITED TO THE
WARRANTIES OF MERCHANTABILITY, FITNESS FOR A PARTICULAR PURPOSE AND NONINFRINGEMENT. IN NO EVENT SHALL THE AUTHORS OR
COPYRIGHT HOLDERS BE LIABLE FOR ANY CLAIM, DAMAGES OR OTHER LIABILITY, WHETHER IN AN ACTION OF CONTRACT, TORT OR
OTHERWISE, ARISING FROM, OUT OF OR IN CONNECTION WITH THE SOFTWARE OR THE USE OR OTHER DEALINGS IN THE SOFTWARE.
"""


def main() -> None:
    """Ship."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("work", type=Path, help="the folder that run.sh wrote")
    parser.add_argument("--package", type=Path, default=Path(__file__).parents[2] / "src/stylex/demo_data")
    options = parser.parse_args()
    package: Path = options.package
    shutil.rmtree(package, ignore_errors=True)
    package.mkdir(parents=True)
    shutil.copytree(options.work / "classifier", package / "classifier")
    shutil.copytree(find_snapshot(options.work / "run"), package / "snapshot")
    test = open_images(options.work / "shoes.zip").split("test")
    assert test.labels is not None
    rows = np.sort(np.concatenate([np.flatnonzero(test.labels == label)[::5][:200] for label in (0, 1)]))
    chosen = test.subset(rows)
    assert chosen.labels is not None
    n = len(chosen)
    index = ArchiveIndex(
        resolution=chosen.resolution,
        channels=chosen.channels,
        names=chosen.names,
        labels=chosen.labels.tolist(),
        label_names=chosen.label_names,
        split_keys=chosen.names,
        splits=["test"] * n,
        groups=[None] * n,
        contents=[None] * n,
    )
    write_archive(package / "shoes.zip", list(chosen.pictures(np.arange(n))), index)
    (package / "NOTICE").write_text(NOTICE)
    size = sum(file.stat().st_size for file in package.rglob("*") if file.is_file())
    print(f"{package}: {n} photographs, {size / 2**20:.1f} MiB")


if __name__ == "__main__":
    main()
