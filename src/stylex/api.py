"""The verbs of the library: prepare, fit_classifier, train, find, explain, report, demo.

Each verb reads what the one before it wrote, and none of them prints: give a ``listener`` to hear how far it
is. What a person can mend is raised as a ``StylexError`` before work begins. The networks (and with them
torch) are imported inside the verbs, so that this module, and the command line built on it, load at once.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from stylex.core.progress import Listener, silent

if TYPE_CHECKING:
    from torch import nn

    from stylex.classifiers.spec import ClassifierSpec
    from stylex.core.explanation import Explanation
    from stylex.data.prepare import PrepareSummary
    from stylex.training.config import TrainConfig

    ClassifierLike = str | Path | nn.Module | Callable[..., Any]
    ClassifierSpecLike = ClassifierSpec | str | Path
else:  # names for those who read the signatures at run time, without what they would import
    ClassifierLike = ClassifierSpecLike = Explanation = PrepareSummary = TrainConfig = Any


def prepare(
    source: str | Path,
    out: str | Path,
    *,
    resolution: int = 64,
    channels: Literal[1, 3] | None = None,
    fit: Literal["crop", "pad"] = "crop",
    label_column: str | None = None,
    group_column: str | None = None,
    overwrite: bool = False,
    listener: Listener = silent,
) -> PrepareSummary:
    """Turn a folder of photographs into an archive that training and search read.

    The source is a folder with one sub-folder a class, a folder with a CSV or JSONL table (a ``file_name``
    column and label columns), or a zip of either. Files that cannot be used are left out and named in the
    summary; the archive appears only when it is complete.

    Args:
        source: folder of photographs, or a zip of one.
        out: the archive to write, a ``.zip``.
        resolution: side of the square images in pixels: 16, 32, 64, 128 or 256.
        channels: 1 for grey, 3 for colour; not given: grey if every photograph is.
        fit: how a photograph becomes square: ``crop`` its centre, or ``pad`` it.
        label_column: the table's column that names the class; several joined by commas make a multi-label set.
        group_column: the table's column that names what must stay together when images are split for
            training and test: a patient, a plant, a scene.
        overwrite: replace an archive that is already there.
        listener: hears the progress.

    Returns:
        What was read, what was left out, and why.

    Raises:
        DataError: nothing usable in the source, or ``out`` cannot be written.
    """
    from stylex.data.prepare import prepare as write_archive

    return write_archive(
        Path(source),
        Path(out),
        resolution=resolution,
        channels=channels,
        fit=fit,
        label_column=label_column,
        group_column=group_column,
        overwrite=overwrite,
        listener=listener,
    )


def fit_classifier(
    data: str | Path,
    out: str | Path,
    *,
    epochs: int = 10,
    seed: int = 0,
    device: str = "auto",
    overwrite: bool = False,
    listener: Listener = silent,
) -> Path:
    """Train a small classifier on an archive, for those who have photographs but no classifier yet.

    Args:
        data: the archive that ``prepare`` wrote; its labels are the classes.
        out: the classifier file to write, which ``--classifier`` takes.
        epochs: how often every training image is seen.
        seed: the same seed gives the same classifier on the same machine.
        device: ``auto``, ``cpu``, ``cuda`` or ``cuda:1``.
        overwrite: replace a file that is already there.
        listener: hears the progress, and the accuracy on the held-out images.

    Returns:
        The file that was written.

    Raises:
        DataError: the archive has no labels.
    """
    raise NotImplementedError


def train(
    *,
    data: str | Path,
    classifier: ClassifierLike,
    out: str | Path,
    preset: str = "small-32",
    kimg: float | None = None,
    config: TrainConfig | None = None,
    classifier_spec: ClassifierSpecLike | None = None,
    seed: int | None = None,
    device: str = "auto",
    dry_run: bool = False,
    listener: Listener = silent,
) -> Path:
    """Train a generator and an encoder with the classifier in the loop.

    The same command again goes on where the last one stopped, however it stopped.

    Args:
        data: the archive that ``prepare`` wrote.
        classifier: the classifier to explain: ``package.module:callable``, a TorchScript file or a ``.pt2``
            program; in Python also a module or a function.
        out: the run's folder: snapshots, panels, ``stats.jsonl`` and the state to resume from.
        preset: the settings to start from: ``tiny-16``, ``small-32``, ``medium-64`` or ``paper-256``.
        kimg: how long to train, in thousands of images shown; not given: as the preset says.
        config: all the settings, instead of a preset.
        classifier_spec: a JSON file that says what the classifier takes and gives (labels, input size, mean
            and std, kind of output), where the classifier does not say it itself.
        seed: the same seed gives the same run on the same machine; not given: as the preset says, 0.
        device: ``auto``, ``cpu``, ``cuda`` or ``cuda:1``.
        dry_run: check everything and say what would run, but train nothing and write nothing.
        listener: hears the progress.

    Returns:
        The run's folder.

    Raises:
        ClassifierError: the classifier does not fit its spec or the images.
        ConfigError: settings that cannot be meant, or not those of the run that is to go on.
    """
    raise NotImplementedError


def find(
    run: str | Path,
    *,
    data: str | Path,
    out: str | Path,
    target: str | None = None,
    source: str | None = None,
    classifier: ClassifierLike | None = None,
    images: int = 200,
    attributes: int = 8,
    selection: Literal["attfind", "notebook"] = "attfind",
    torgb: bool = False,
    shift_range: float = 1.0,
    device: str = "auto",
    overwrite: bool = False,
    listener: Listener = silent,
) -> Explanation:
    """Find the attributes that move the classifier towards a class, and show them.

    Args:
        run: a run's folder (its newest snapshot is used) or one snapshot.
        data: the archive; its test images are searched, never those of the training.
        out: the explanation folder to write.
        target: the class to explain, by name or number; not given with two classes: both together.
        source: start only from images of this class (one class against one).
        classifier: where the classifier is now, if it has moved since the training.
        images: how many images to search on.
        attributes: how many attributes to look for.
        selection: how attributes are chosen from the effects: ``attfind`` as in the paper's Algorithm 1,
            ``notebook`` as in its authors' notebook.
        torgb: search the styles of the ToRGB layers too.
        shift_range: how far each coordinate is moved: 1 is to the observed extreme.
        device: ``auto``, ``cpu``, ``cuda`` or ``cuda:1``.
        overwrite: replace an explanation folder that is already there.
        listener: hears the progress.

    Returns:
        The explanation, as written to ``out``.

    Raises:
        SearchError: an unknown class, or too few images.
        SnapshotError: no snapshot there, or a damaged one.
    """
    raise NotImplementedError


def explain(
    run: str | Path,
    image: str | Path,
    *,
    out: str | Path,
    target: str | None = None,
    classifier: ClassifierLike | None = None,
    data: str | Path | None = None,
    attributes: int = 5,
    torgb: bool = False,
    shift_range: float = 1.0,
    device: str = "auto",
    overwrite: bool = False,
    listener: Listener = silent,
) -> Explanation:
    """Explain what the classifier says of one image.

    Args:
        run: a run's folder (its newest snapshot is used) or one snapshot.
        image: a photograph; or, with ``data``, the name of one of its images.
        out: the explanation folder to write.
        target: the class to explain, by name or number; not given: the one the classifier chooses.
        classifier: where the classifier is now, if it has moved since the training.
        data: the archive that ``image`` is one of.
        attributes: how many attributes to look for.
        torgb: search the styles of the ToRGB layers too.
        shift_range: how far each coordinate is moved: 1 is to the observed extreme.
        device: ``auto``, ``cpu``, ``cuda`` or ``cuda:1``.
        overwrite: replace an explanation folder that is already there.
        listener: hears the progress.

    Returns:
        The explanation, as written to ``out``.

    Raises:
        DataError: the image cannot be read.
        SnapshotError: no snapshot there, or a damaged one.
    """
    raise NotImplementedError


def report(explanation_folder: str | Path, *, out: str | Path | None = None) -> Path:
    """Write the report of an explanation: one HTML file that opens anywhere, without a network.

    Args:
        explanation_folder: what ``find`` or ``explain`` wrote.
        out: the HTML file; not given: ``report.html`` in the explanation folder.

    Returns:
        The report's path.

    Raises:
        StoreError: the folder is not an explanation, or is damaged.
    """
    from stylex.report import write_report

    folder = Path(explanation_folder)
    path = folder / "report.html" if out is None else Path(out)
    write_report(folder, path)
    return path


def demo(out: str | Path, *, listener: Listener = silent) -> Path:
    """Explain a classifier of sneakers and ankle boots on real photographs, all shipped with the package.

    The search is run here and now, in about a minute on two cores; nothing is downloaded.

    Args:
        out: the folder to write: the explanation and its report.
        listener: hears the progress.

    Returns:
        The report's path.
    """
    raise NotImplementedError
