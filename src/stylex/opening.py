"""Opening a run: its snapshot, the classifier that it was trained with, and what is asked of them by name."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import nn

from stylex.classifiers import (
    ClassifierSpec,
    bound,
    check_classifier,
    describe,
    fingerprint,
    has_weights,
    is_same,
    load_classifier,
    load_recorded,
    recorded_place,
)
from stylex.classifiers.classifier import Classifier, Directed, WithOpposite, less_name, more_name, opposite_name
from stylex.classifiers.load import read_spec
from stylex.core.errors import ClassifierError, ConfigError, DataError, SearchError, SnapshotError
from stylex.core.explanation import Explanation
from stylex.core.numbers import Numbers
from stylex.core.progress import Alarm, Found, Listener, silent
from stylex.core.verdict import classifier_remark
from stylex.core.wording import option
from stylex.data import ImageSet, open_images
from stylex.models.snapshot import Snapshot, load_snapshot
from stylex.search.encoding import latents_of
from stylex.search.methods import method, prepared_as
from stylex.search.subject import TrainedSubject

ClassifierLike = str | Path | nn.Module | Callable[..., Any]
ClassifierSpecLike = ClassifierSpec | str | Path


@dataclass(frozen=True, eq=False, kw_only=True)
class Run:
    """A run, opened.

    Attributes:
        path: a run's folder, or one snapshot.
        snapshot: the newest one.
        classifier: that of the training, or the one given instead.
        allowed_other: whether the one given instead may be another.
        identity: of the classifier, for the record: ``classifier_fingerprint``, and as ``other_classifier`` whether it
            is another than that of the training (null: not known).
    """

    path: Path
    snapshot: Snapshot
    classifier: Classifier
    allowed_other: bool
    identity: Mapping[str, Any]

    @classmethod
    def open(
        cls,
        path: str | Path,
        *,
        classifier: ClassifierLike | None = None,
        classifier_spec: ClassifierSpecLike | None = None,
        other_classifier: bool = False,
        max_calls: int | None = None,
        device: str = "cpu",
        regression: bool = False,
        listener: Listener = silent,
    ) -> Run:
        """Open a run's newest snapshot and its classifier, on a device; a regression only where that is expected.

        Raises:
            SnapshotError: no snapshot there, or a damaged one.
            ClassifierError: the classifier is not found, has other labels, or is another and may not be.
            ConfigError: calls are bounded of a classifier that is no black box.
        """
        snapshot = with_encoder(load_snapshot(path, listener=listener), path).to(torch.device(device))
        recorded = ClassifierSpec.from_json(dict(snapshot.classifier))
        spec = spec_of(classifier_spec) or recorded
        if spec.output == recorded.output == "regression" and not spec.scale and spec.k == recorded.k:
            spec = replace(spec, center=recorded.center, scale=recorded.scale, low=recorded.low, high=recorded.high)
        if classifier is not None:
            loaded = load_classifier(classifier, spec)
        elif snapshot.classifier_reference is not None:
            loaded = load_recorded(recorded_place(snapshot.classifier_reference, snapshot.path), spec)
        else:
            raise ClassifierError(
                f"{path} was trained with a classifier that was given as an object; give it again as classifier"
            )
        loaded = loaded.to(device)
        if not regression:
            refuse_regression(loaded)
        bound(loaded, max_calls)
        if loaded.remark is not None:
            listener(Found(message=loaded.remark))
        if loaded.spec.labels != tuple(snapshot.classifier["labels"]):
            raise ClassifierError(
                f"{path} was trained with a classifier of {', '.join(snapshot.classifier['labels'][:5])}, this one "
                f"knows {', '.join(loaded.spec.labels[:5])}; give the classifier of the training"
            )
        config = snapshot.generator.config
        check_classifier(loaded, channels=config.channels, resolution=config.resolution, need_gradient=False)
        same = is_same(
            loaded,
            fingerprint_then=snapshot.classifier_fingerprint,
            answers_then=snapshot.classifier_answers,
        )
        if same is False and not other_classifier:
            weights = has_weights(loaded) and fingerprint(loaded) != snapshot.classifier_fingerprint
            raise ClassifierError(
                f"{named(classifier)} is not the classifier that {path} was trained with: its "
                f"{'weights' if weights else 'answers'} are others; give that one, or "
                f"{option('other_classifier', True)} to go on with this one, which every page will then say"
            )
        identity = {
            "classifier_fingerprint": fingerprint(loaded),
            "other_classifier": None if same is None else not same,
        }
        if remark := classifier_remark(identity):
            listener(Alarm(message=remark))
        return cls(
            path=Path(path),
            snapshot=snapshot,
            classifier=loaded,
            allowed_other=other_classifier,
            identity=identity,
        )

    @property
    def effects_folder(self) -> Path | None:
        """Where measured effects are kept, so that an interrupted search goes on: beside the snapshots."""
        return self.path / "effects" if (self.path / "snapshots").is_dir() else None

    def aimed(self, target: str | None, by: float | None = None) -> tuple[Run, int | None]:
        """The class meant by a name; ``not NAME`` of several labels is one more, which is added to the classifier.

        Of a regression, ``more`` and ``less`` (of several numbers ``more age``), and the change that counts.

        Raises:
            SearchError: there is no such label, or no such change.
        """
        if self.classifier.activation == "regression":
            whole = self.classifier
            if isinstance(whole, Directed):
                by = whole.numbers.by if by is None else by
                whole = whole.whole
            classifier, goal = directed(whole, target, by)
        elif by is not None:
            raise SearchError(f"{option('by')} is of a regression, which tells numbers; this classifier names classes")
        else:
            classifier, goal = aimed(self.classifier, target)
        return self if classifier is self.classifier else replace(self, classifier=classifier), goal

    def label(self, name: str | None) -> int | None:
        """The position of a label given by name or number.

        Raises:
            SearchError: there is no such label.
        """
        return position_of(name, self.classifier.spec.labels)

    def explaining(self, explanation: Explanation, folder: str | Path) -> Run:
        """The run in the space, and with the labels, that an explanation was made with.

        Raises:
            SearchError: it was made with another snapshot, or explains a classifier of other labels.
        """
        run = self
        if (numbers := Numbers.of(explanation)) is not None and numbers.names[:-1] == list(self.classifier.spec.labels):
            run = self.aimed(explanation.labels[-1], numbers.by)[0]
        elif explanation.labels[:-1] == self.classifier.spec.labels:
            run = self.aimed(explanation.labels[-1])[0]  # one of several labels, turned round
        if explanation.labels != run.classifier.spec.labels:
            raise SearchError(
                f"{folder} explains a classifier of {', '.join(explanation.labels[:5])}, this one knows "
                f"{', '.join(run.classifier.spec.labels[:5])}; open it with the run that it was found with"
            )
        ours = self.identity["classifier_fingerprint"]
        if explanation.settings.get("classifier_fingerprint", ours) != ours and has_weights(self.classifier):
            if not self.allowed_other:
                theirs = explanation.settings.get("classifier") or "that one"
                raise SearchError(
                    f"{folder} explains another classifier than the one given, whose weights are others; give "
                    f"{option('classifier', theirs)} with {option('other_classifier', True)}, or that alone to go on "
                    "with this one, which every page will then say"
                )
            run = replace(run, identity={**self.identity, "explains_other": True})
        if explanation.snapshot.get("sha256") != self.snapshot.sha256:
            raise SearchError(
                f"{folder} was made with another snapshot than {self.snapshot.path}; open it with the one that it names"
            )
        return replace(run, snapshot=prepared_as(explanation.space, run.snapshot, run.classifier))

    def remarked(self, explanation: Explanation) -> Explanation:
        """The explanation with a note of a classifier that gives no gradient, and so of what is left out."""
        if self.classifier.gradient or self.classifier.remark is None:
            return explanation
        said = f"{self.classifier.remark[0].upper()}{self.classifier.remark[1:]}."
        return replace(explanation, notes=(*explanation.notes, said))

    def images(self, data: str | Path) -> ImageSet:
        """The images of an archive.

        Raises:
            DataError: they are not of the size and kind that the snapshot was trained on.
        """
        images, config = open_images(data), self.snapshot.generator.config
        if (images.resolution, images.channels) != (config.resolution, config.channels):
            raise DataError(
                f"{data} holds images of {images.resolution} px with {images.channels} channel(s), the snapshot was "
                f"trained on {config.resolution} px with {config.channels}; prepare the data with "
                f"{option('resolution', config.resolution)} and {option('channels', config.channels)}"
            )
        return images

    def subject(self, name: str, images: ImageSet | None, *, torgb: bool = False) -> TrainedSubject:
        """What a method searches.

        Args:
            name: of the method, as in ``methods.METHODS``.
            images: to tell the range of directions by, where the snapshot keeps no latents.
            torgb: search single coordinates of ToRGB layers too.

        Raises:
            SearchError: the method cannot be used with this snapshot.
        """
        snapshot = method(name).prepare(
            self.snapshot,
            lambda: latents_of(TrainedSubject.of(self.snapshot, self.classifier), images),
            self.classifier,
        )
        return TrainedSubject.of(snapshot, self.classifier, torgb=torgb)


def with_encoder(snapshot: Snapshot, path: str | Path) -> Snapshot:
    """The snapshot, if images can be encoded with it.

    Args:
        snapshot: of a run.
        path: how the run was given.

    Raises:
        SnapshotError: it is an imported generator, for which no encoder has been trained.
    """
    if not snapshot.has_encoder:
        raise SnapshotError(
            f"{path} is an imported generator without an encoder; train one with {option('generator', str(path))} and "
            f"{option('freeze', 'generator')}, and give that run"
        )
    return snapshot


def aimed(classifier: Classifier, target: str | None) -> tuple[Classifier, int | None]:
    """A classifier and the class meant by a name; ``not NAME`` of several labels is one more, which it then has.

    Raises:
        SearchError: there is no such label.
    """
    labels = classifier.spec.labels
    opposites = [opposite_name(label) for label in labels] if classifier.activation == "sigmoid" else []
    if target in opposites and target not in labels:
        return WithOpposite(classifier, opposites.index(target)), len(labels)
    return classifier, position_of(target, labels)


def directed(classifier: Classifier, target: str | None, by: float | None) -> tuple[Classifier, int | None]:
    """A regression asked for more and less of one of its numbers, and which of them a name means; None: both.

    Raises:
        SearchError: it has no such number, or no change was given by which it could move.
    """
    labels, device = classifier.spec.labels, next(classifier.buffers()).device
    if by is not None and not (0 < by < float("inf")):
        raise SearchError(f"{option('by', by)}: expected a change above 0, in the unit of the answer")
    if len(labels) == 1 and target in (None, "more", "less"):
        return Directed(classifier, 0, by).to(device), {None: None, "more": 0, "less": 1}[target]
    for i, label in enumerate(labels):
        if target in (more_name(label), less_name(label)):
            return Directed(classifier, i, by).to(device), i if target == more_name(label) else len(labels)
    names = [name(label) for label in labels[:5] for name in (more_name, less_name)]
    known = ", ".join((["more", "less"] if len(labels) == 1 else []) + names)
    raise SearchError(f"the classifier tells numbers; give {option('target')} as one of {known}")


def refuse_regression(classifier: Classifier) -> None:
    """Tell that a command does not take numbers.

    Raises:
        ClassifierError: the classifier tells them.
    """
    if classifier.activation == "regression":
        told = ", ".join(classifier.spec.labels[:3])
        raise ClassifierError(
            f"this classifier is a regression (it tells numbers: {told}), which only train, find, explain, explore, "
            "evaluate and report take"
        )


def position_of(name: str | None, labels: Sequence[str]) -> int | None:
    """The position of a label given by name or number.

    Raises:
        SearchError: there is no such label.
    """
    if name is None or name in labels:
        return None if name is None else labels.index(name)
    if name.isdecimal() and len(name) < 10 and int(name) < len(labels):
        return int(name)
    known = ", ".join(labels[:10]) + (", ..." if len(labels) > 10 else "")
    raise SearchError(
        f"the classifier has no label {name[:80]!r}; it knows {known} (or give a number below {len(labels)})"
    )


def named(classifier: ClassifierLike | None) -> str:
    """A classifier as a message calls it."""
    return "what the run names" if classifier is None else describe(classifier)


def spec_of(given: ClassifierSpecLike | None) -> ClassifierSpec | None:
    """A classifier's spec, from a JSON file where it is one.

    Raises:
        ClassifierError: the file cannot be read, or is not a spec.
    """
    return given if given is None or isinstance(given, ClassifierSpec) else read_spec(Path(given))


def device_of(name: str) -> str:
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
    try:
        (torch.zeros(2, device=device) + 1).sum().item()
    except Exception as error:  # each kind of device has its own way to say that it is not there, or only a shell
        raise ConfigError(f"device {name} cannot be used on this machine; try auto or cpu") from error
    return name


def record(
    run: str | Path, data: str | Path | None, classifier: ClassifierLike | None, spec: ClassifierSpecLike | None
) -> dict[str, str | None]:
    """Where everything came from, to repeat a command; what was given as an object cannot be named."""
    return {
        "run": str(run),
        "data": None if data is None else str(data),
        "classifier": str(classifier) if isinstance(classifier, str | Path) else None,
        "classifier_spec": str(spec) if isinstance(spec, str | Path) else None,
    }
