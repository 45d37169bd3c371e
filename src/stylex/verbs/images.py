"""Photographs to an archive, and a first classifier of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from stylex.core.errors import ClassifierError, ConfigError, DataError
from stylex.core.lock import one_writer
from stylex.core.progress import Found, Listener, silent
from stylex.core.wording import option

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from stylex.data.prepare import Labeller, PrepareSummary
    from stylex.opening import ClassifierLike
else:  # names for those who read the signatures at run time, without what they would import
    ClassifierLike = PrepareSummary = Any


@one_writer("out", error=DataError)
def prepare(
    source: str | Path | Any,
    out: str | Path,
    *,
    resolution: int = 64,
    channels: Literal[1, 3] | None = None,
    fit: Literal["crop", "pad"] = "crop",
    label_column: str | None = None,
    group_column: str | None = None,
    white: float | None = None,
    labels_from: ClassifierLike | None = None,
    shard_size: str | int | None = None,
    overwrite: bool = False,
    listener: Listener = silent,
) -> PrepareSummary:
    """Turn a folder of photographs, or another set of images, into an archive that training and search read.

    The source holds one sub-folder a class, or a table ``metadata.csv`` or ``metadata.jsonl`` with a column
    ``file_name`` and columns of labels; DICOM files are photographs too, and nothing of whom they show is kept. Files
    that cannot be used are left out and named in the summary; the archive appears only when it is complete.

    Args:
        source: folder of photographs, or a zip of one; WebDataset shards (``a-{000..003}.tar``, a glob, one ``.tar``);
            ``hf://datasets/ORG/NAME`` or a folder that ``save_to_disk`` of the package datasets wrote, with options
            behind it (``,split=train,config=...,image=...,label=...``). In Python also a data set with a length whose
            items are (image, label) or dictionaries, arrays ``[n, h, w, c]``, or (arrays, labels).
        out: the archive to write, a ``.zip``; with ``shard_size`` a folder.
        resolution: side of the square images in pixels: 16, 32, 64, 128 or 256.
        channels: 1 for grey, 3 for colour; not given: grey if every photograph is.
        fit: how a photograph becomes square: ``crop`` its centre, or ``pad`` it.
        label_column: the table's column that names the class; several joined by commas make a multi-label set.
        group_column: the table's column that names what must stay together when images are split for
            training and test: a patient, a plant, a scene.
        white: the number that stands for white in grey photographs of more than 8 bits; larger ones are cut. Not
            given: the end of the smallest usual range that holds all of them.
        labels_from: a classifier whose answers become the labels of a source that has none; the archive says so.
        shard_size: write several zips of about this size (``2GB``, ``500MB``) and an index into a folder, where one
            file would be too large to keep or to move; every verb reads the folder as it reads the zip.
        overwrite: replace an archive that is already there.
        listener: hears the progress.

    Returns:
        What was read, what was left out, and why.

    Raises:
        DataError: nothing usable in the source, or ``out`` cannot be written.
        ClassifierError: the one that gives the labels cannot be opened, or takes other images.
    """
    from stylex.data.prepare import PrepareConfig, bytes_in
    from stylex.data.prepare import prepare as write_archive

    config = PrepareConfig(
        resolution=resolution,
        channels=channels,
        fit=fit,
        label_column=label_column,
        group_column=group_column,
        white=white,
    )
    labeller = None if labels_from is None else _labeller(labels_from)
    return write_archive(
        source,
        Path(out),
        config,
        labeller=labeller,
        shard_bytes=None if shard_size is None else bytes_in(shard_size),
        overwrite=overwrite,
        listener=listener,
    )


def _labeller(classifier: ClassifierLike) -> Labeller:
    """A classifier whose answers are labels: the likeliest class, or every label above one half."""
    import torch

    from stylex.classifiers import load_classifier
    from stylex.classifiers.identity import fingerprint
    from stylex.classifiers.load import describe
    from stylex.data.images import to_tensor
    from stylex.data.prepare import Labeller
    from stylex.opening import refuse_regression

    opened = load_classifier(classifier)
    refuse_regression(opened)

    def answer(pictures: NDArray[np.uint8]) -> Sequence[int | tuple[int, ...]]:
        with torch.inference_mode():
            logits = opened.logits(to_tensor(pictures))
        if opened.activation == "sigmoid":
            return [tuple(int(value > 0) for value in row) for row in logits.tolist()]
        return [int(row) for row in logits.argmax(1)]

    said = f"answers of the classifier {describe(classifier)} (fingerprint {fingerprint(opened)[:12]})"
    return Labeller(said=said, names=opened.spec.labels, answer=answer)


@one_writer("out", error=ClassifierError, typed="classifier")
def fit_classifier(
    data: str | Path,
    out: str | Path,
    *,
    epochs: int = 6,
    mirror: bool = False,
    from_: str | Path | None = None,
    groups: str | Path | None = None,
    learning_rate: float | None = None,
    seed: int = 0,
    device: str = "auto",
    overwrite: bool = False,
    listener: Listener = silent,
) -> Path:
    """Train a small classifier on an archive, for those who have photographs but no classifier yet.

    Args:
        data: the archive that ``prepare`` or ``repair`` wrote; its labels are the classes.
        out: the classifier's folder to write; ``train`` takes it as ``classifier``.
        epochs: how often every training image is seen.
        mirror: train on mirrored images too (only where left and right mean the same).
        from_: a small classifier's folder to begin with, which stays as it is: it is trained further.
        groups: a table (CSV with columns ``image`` and ``group``, or ``.jsonl``) such as ``repair`` writes; training
            images are drawn so that each group is seen as often as any other.
        learning_rate: the highest one; not given: 0.004, of a classifier that is trained further 0.001.
        seed: the same seed gives the same classifier on the same machine.
        device: ``auto``, ``cpu``, ``cuda`` or ``cuda:1``.
        overwrite: replace a classifier that is already there.
        listener: hears the progress, and the accuracy on the test images.

    Returns:
        The classifier's folder.

    Raises:
        DataError: the archive or the table cannot be read, or there are no labels.
        ClassifierError: ``out`` exists, holds something else or cannot be written; or ``from_`` is no small classifier
            of the archive's labels.
        ConfigError: there is no such device, or the learning rate is no rate.
    """
    import numpy as np

    from stylex.classifiers import FitConfig, LabelledRows, fit_small_classifier, save_small_classifier
    from stylex.classifiers.small import check_place, load_small_classifier
    from stylex.data import open_images
    from stylex.data.groups import read_groups, weights_of
    from stylex.opening import device_of

    folder, on = Path(out), device_of(device)
    check_place(folder, overwrite=overwrite)
    table = None if groups is None else read_groups(groups)
    start = None if from_ is None else load_small_classifier(Path(from_))
    if learning_rate is not None and not 0 < learning_rate <= 1:
        raise ConfigError(
            f"{option('learning_rate', learning_rate)}: expected a number above 0, up to 1, such as 0.001"
        )
    images = open_images(data)
    if images.labels is None or images.numbered_names is None:
        raise DataError(f"{data} has no labels to learn; prepare it from class folders or a table with labels")
    position = {name: row for row, name in enumerate(images.names)}
    rows = [np.array([position[name] for name in images.split(part).names]) for part in ("train", "test")]
    learned, tested = (LabelledRows(indices=part, labels=images.labels[part]) for part in rows)
    if table is not None and groups is not None:
        weights = weights_of(table, [images.names[row] for row in learned.indices], groups)
        learned = replace(learned, weights=weights)
    rate = learning_rate or (_RATE_ANEW if start is None else _RATE_FURTHER)
    classifier, figures = fit_small_classifier(
        images.batch,
        learned,
        tested,
        images.numbered_names,
        FitConfig(epochs=epochs, mirror=mirror, seed=seed, learning_rate=rate),
        start=start,
        device=on,
        listener=listener,
    )
    save_small_classifier(classifier, folder, figures=figures)
    found = ", ".join(f"{name.replace('_', ' ')} {value:.3f}" for name, value in figures.items())
    listener(Found(message=f"on {len(tested.indices)} test images: {found}"))
    return folder


_RATE_ANEW, _RATE_FURTHER = 4e-3, 1e-3
"""Highest learning rates of the small classifier: of a new one, and of one that has learnt already."""
