"""Runs that a verb is given or finds recorded, opened."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from stylex.core.demo import is_demo
from stylex.core.errors import ConfigError, SearchError
from stylex.core.progress import Listener
from stylex.core.wording import option

if TYPE_CHECKING:
    from stylex.classifiers import Classifier
    from stylex.core.explanation import Explanation
    from stylex.opening import ClassifierLike, ClassifierSpecLike, Run
else:  # names for those who read the signatures at run time, without what they would import
    Classifier = ClassifierLike = ClassifierSpecLike = Explanation = Run = Any


def require_same_answers(run: Path, classifier: Classifier) -> None:
    """A training goes on with the classifier that it began with: of the same weights, and of the same code.

    Raises:
        ConfigError: its newest snapshot was written with one that answers otherwise.
    """
    from stylex.classifiers import is_same
    from stylex.models.snapshot import load_snapshot

    if not any((run / "snapshots").glob("[0-9]*/snapshot.json")):
        return
    begun = load_snapshot(run)
    weights, answers = begun.classifier_fingerprint, begun.classifier_answers
    if is_same(classifier, fingerprint_then=weights, answers_then=answers) is False:
        raise ConfigError(
            f"{run} holds a training with another classifier: this one answers otherwise; give the one that it began "
            f"with, or choose another {option('out')}"
        )


def run_of(
    explanation: Explanation,
    folder: str | Path,
    run: str | Path | None,
    classifier: ClassifierLike | None,
    classifier_spec: ClassifierSpecLike | None,
    other_classifier: bool,
    device: str,
    listener: Listener,
) -> Run:
    """The run that an explanation was found with, in its own space.

    Raises:
        SearchError: neither the one given nor the recorded one is there.
    """
    from stylex.models.hub import on_the_hub

    said = explanation.settings.get("run")
    path = run if run is not None else said
    if run is None and on_the_hub(said):
        raise SearchError(
            f"{folder} was found with the run {said!r:.300}, and nothing is fetched because a file names it: give it "
            f"again, with {option('run', said)}"
        )
    if not isinstance(path, str | Path) or not (on_the_hub(path) or is_demo(path) or Path(path).exists()):
        raise SearchError(
            f"{folder} was found with the run {str(said)!r}, which is not there; say where it is now, with "
            f"{option('run')}"
        )
    if classifier is None and isinstance(explanation.settings.get("classifier"), str):
        recorded = Path(explanation.settings["classifier"])
        classifier = recorded if recorded.exists() else None
    return run_at(path, classifier, classifier_spec, other_classifier, device, listener)


def run_at(
    path: str | Path,
    classifier: ClassifierLike | None,
    classifier_spec: ClassifierSpecLike | None,
    other_classifier: bool,
    device: str,
    listener: Listener,
) -> Run:
    """A run by its place, with the classifier given or the one that it names."""
    from stylex.opening import Run

    return Run.open(
        path,
        classifier=classifier,
        classifier_spec=classifier_spec,
        other_classifier=other_classifier,
        device=device,
        listener=listener,
    )


def is_run(given: str | Path) -> bool:
    """Whether a run's folder or a snapshot is meant, rather than a classifier."""
    from stylex.models.hub import on_the_hub

    return on_the_hub(given) or any((Path(given) / own).exists() for own in ("snapshots", "snapshot.json"))
