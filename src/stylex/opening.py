"""Opening a run: its snapshot and the classifier that it was trained with, checked against each other."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import nn

from stylex.classifiers import (
    Classifier,
    ClassifierSpec,
    check_classifier,
    fingerprint,
    load_classifier,
    load_recorded,
)
from stylex.classifiers.classifier import WithOpposite, opposite_name
from stylex.classifiers.load import read_spec
from stylex.core.errors import ClassifierError, ConfigError, DataError, SearchError
from stylex.core.progress import Alarm, Listener
from stylex.data.archive import ImageSet
from stylex.models.snapshot import Snapshot, load_snapshot

ClassifierLike = str | Path | nn.Module | Callable[..., Any]
ClassifierSpecLike = ClassifierSpec | str | Path


@dataclass(frozen=True, eq=False, kw_only=True)
class OpenedRun:
    """A run that is ready to be asked.

    Attributes:
        path: the run's folder, or the snapshot, as it was given.
        snapshot: its networks.
        classifier: the one of the training.
    """

    path: str | Path
    snapshot: Snapshot
    classifier: Classifier

    @classmethod
    def open(
        cls,
        run: str | Path,
        *,
        classifier: ClassifierLike | None,
        spec: ClassifierSpecLike | None,
        device: str,
        listener: Listener,
    ) -> OpenedRun:
        """Open a run's newest snapshot, or one snapshot, with the classifier that it was trained with.

        Args:
            run: the run's folder or the snapshot.
            classifier: the classifier; None: the one that the snapshot names.
            spec: what it takes and gives; None: as in the training.
            device: where the networks go.
            listener: hears that this is not the very classifier of the training.

        Raises:
            SnapshotError: no snapshot there, or a damaged one.
            ClassifierError: the classifier is not found, or has other labels.
        """
        snapshot = load_snapshot(run).to(torch.device(device))
        known = spec_of(spec) or ClassifierSpec.from_json(dict(snapshot.classifier))
        if classifier is not None:
            judge = load_classifier(classifier, known)
        elif snapshot.classifier_reference is not None:
            judge = load_recorded(snapshot.classifier_reference, known)
        else:
            raise ClassifierError(
                f"{run} was trained with a classifier that was given as an object; give it again as classifier"
            )
        judge = judge.to(device)
        if judge.spec.labels != tuple(snapshot.classifier["labels"]):
            raise ClassifierError(
                f"{run} was trained with a classifier of {', '.join(snapshot.classifier['labels'][:5])}, this one "
                f"knows {', '.join(judge.spec.labels[:5])}; give the classifier of the training"
            )
        config = snapshot.generator.config
        check_classifier(judge, channels=config.channels, resolution=config.resolution, need_gradient=False)
        if fingerprint(judge) != snapshot.classifier_fingerprint:
            message = "this is not the very classifier of the training: what is found may fit it less well"
            listener(Alarm(message=message))
        return cls(path=run, snapshot=snapshot, classifier=judge)

    @property
    def effects_folder(self) -> Path | None:
        """Where measured effects are kept, so that a repeated search goes on; None for one snapshot."""
        run = Path(self.path)
        return run / "effects" if (run / "snapshots").is_dir() else None

    def aimed_at(self, name: str | None) -> tuple[OpenedRun, int | None]:
        """The run, and the position of the class meant by a name.

        ``not NAME`` of several labels is one class more, which is added to the classifier.

        Raises:
            SearchError: there is no such label.
        """
        labels = self.classifier.spec.labels
        opposites = [opposite_name(label) for label in labels] if self.classifier.activation == "sigmoid" else []
        if name in opposites and name not in labels:
            return replace(self, classifier=WithOpposite(self.classifier, opposites.index(name))), len(labels)
        return self, self.label(name)

    def label(self, name: str | None) -> int | None:
        """The position of a label given by name or number; None for None.

        Raises:
            SearchError: there is no such label.
        """
        labels = self.classifier.spec.labels
        if name is None or name in labels:
            return None if name is None else labels.index(name)
        if name.isdecimal() and int(name) < len(labels):
            return int(name)
        known = ", ".join(labels[:10]) + (", ..." if len(labels) > 10 else "")
        raise SearchError(
            f"the classifier has no label {name!r}; it knows {known} (or give a number below {len(labels)})"
        )

    def check_images(self, images: ImageSet, data: str | Path) -> None:
        """Check that images are of the size and kind that the snapshot was trained on.

        Raises:
            DataError: they are not.
        """
        config = self.snapshot.generator.config
        if (images.resolution, images.channels) != (config.resolution, config.channels):
            raise DataError(
                f"{data} holds images of {images.resolution} px with {images.channels} channel(s), the snapshot was "
                f"trained on {config.resolution} px with {config.channels}; prepare the data with "
                f"--resolution {config.resolution} --channels {config.channels}"
            )


def device_named(name: str) -> str:
    """The device to use; ``auto`` is the first GPU where there is one.

    Raises:
        ConfigError: no such device, or not on this machine.
    """
    if name == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    try:
        device = torch.device(name)
    except RuntimeError:
        raise ConfigError(f"no device {name!r}; expected auto, cpu, cuda or cuda:1") from None
    if device.type == "cuda" and (device.index or 0) >= torch.cuda.device_count():
        raise ConfigError(f"device {name} is not on this machine ({torch.cuda.device_count()} GPUs); try auto or cpu")
    return name


def spec_of(given: ClassifierSpecLike | None) -> ClassifierSpec | None:
    """The classifier's spec, from a JSON file where it is one.

    Raises:
        ClassifierError: the file cannot be read, or is not a spec.
    """
    return given if given is None or isinstance(given, ClassifierSpec) else read_spec(Path(given))


def label_texts(images: ImageSet) -> list[str | None]:
    """The data's own label of each image, in words."""
    if images.labels is None or images.label_names is None:
        return [None] * len(images)
    names = images.label_names
    if images.multi_label:
        return [", ".join(name for name, yes in zip(names, row, strict=True) if yes) for row in images.labels]
    return [names[label] for label in images.labels]


def training_part(images: ImageSet) -> ImageSet | None:
    """The training images of an archive; None where it holds only test images."""
    try:
        return images.split("train")
    except DataError:
        return None


def record(
    run: str | Path, data: str | Path | None, classifier: ClassifierLike | None, spec: ClassifierSpecLike | None
) -> dict[str, Any]:
    """Where everything came from, to repeat a command; what was given as an object cannot be named."""
    return {
        "run": str(run),
        "data": None if data is None else str(data),
        "classifier": str(classifier) if isinstance(classifier, str | Path) else None,
        "classifier_spec": str(spec) if isinstance(spec, str | Path) else None,
    }
