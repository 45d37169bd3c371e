"""Whether an explanation is true."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from stylex.core.errors import ConfigError, EvaluationError
from stylex.core.lock import one_writer
from stylex.core.progress import Listener, silent
from stylex.core.verdict import classifier_remark
from stylex.core.wording import option
from stylex.search.config import MethodName, SearchConfig
from stylex.verbs.searching import asked

if TYPE_CHECKING:
    from stylex.core.evaluation import Evaluation
    from stylex.opening import ClassifierLike, ClassifierSpecLike, Run
else:  # names for those who read the signatures at run time, without what they would import
    ClassifierLike = ClassifierSpecLike = Evaluation = Run = Any


@one_writer("out", into=("explanation",))
def evaluate(
    run: str | Path,
    *,
    data: str | Path,
    explanation: str | Path | None = None,
    against: str | Path | None = None,
    out: str | Path | None = None,
    report: bool = False,
    target: str | None = None,
    by: float | None = None,
    classifier: ClassifierLike | None = None,
    images: int = 100,
    measured: int = 200,
    attributes: int = 10,
    method: MethodName | Literal["auto"] = "auto",
    selection: Literal["attfind", "together"] = "attfind",
    torgb: bool = False,
    shift_range: float = 1.0,
    extractor: str = "classifier",
    without: str = "",
    seed: int = 0,
    classifier_spec: ClassifierSpecLike | None = None,
    other_classifier: bool = False,
    max_calls: int | None = None,
    device: str = "auto",
    overwrite: bool = False,
    listener: Listener = silent,
) -> Evaluation:
    """Measure how far an explanation can be trusted: faithful, sufficient, distinct, stable, more than chance.

    Attributes are found on some test images and everything is measured on others, with 95% intervals over images.

    Args:
        run: a run's folder (its newest snapshot is used) or one snapshot.
        data: the archive; its test images are used, and its training images as a reference.
        explanation: the explanation folder to evaluate; not given: search for attributes first. The evaluation is
            written into it, where the report finds it.
        against: a second run, trained alike with another seed: does it find the same attributes?
        out: a JSON file to write.
        report: write the report of the explanation anew, with the evaluation in it.
        target: where it searches itself, the class to explain; not given: all, one after another.
        by: where it searches itself, of a regression, the change of its number, in its unit, that counts as an answer
            turned; not given: one standard deviation of its answers on the training images.
        classifier: where the classifier is now, if it has moved since the training; Python code
            (``package.module:callable``) always, since no code is imported because a run names it.
        images: where it searches itself, how many images to search on.
        measured: how many other images to measure on.
        attributes: where it searches itself, how many attributes to look for towards each class.
        method: where it searches itself, along what, as in ``find``.
        selection: how it then chooses attributes from the effects, as in ``find``.
        torgb: search the styles of the ToRGB layers too, and draw random coordinates from them.
        shift_range: where it searches itself, how far each coordinate is moved.
        extractor: what images are compared with: ``classifier`` (its own features), ``random`` (a network of fixed
            random weights), a program's file such as Inception, or ``timm:NAME``. Changed pictures are never judged by
            the classifier, but by ``random`` where nothing else is given.
        without: parts to leave out, with commas: reconstruction, reason, lost, follows, realism, sufficiency,
            account, photograph, preservation, own, attack, significance, sparsity, observer, stability.
        seed: of everything random.
        classifier_spec: a JSON file that describes the classifier, as in ``train``.
        other_classifier: go on although the classifier is not the one that the run was trained with; every page then
            says so.
        max_calls: how many images a black box (a server, a function) may be asked about; not given: any number.
        device: ``auto``, ``cpu``, ``cuda`` or ``cuda:1``.
        overwrite: replace an evaluation that is already in ``out``.
        listener: hears the progress.

    Returns:
        The evaluation, as written.

    Raises:
        EvaluationError: too few images, an unknown part or extractor, or an explanation that is not the snapshot's.
        SnapshotError: no snapshot there, or a damaged one.
    """
    from stylex.classifiers import tell_calls
    from stylex.evaluation.evaluate import evaluate_subject
    from stylex.evaluation.extractors import extractor_for
    from stylex.evaluation.found import found_in, searched_images
    from stylex.evaluation.options import Inputs, Options
    from stylex.evaluation.subject import steered_alike, subject_of
    from stylex.opening import Run, device_of, record
    from stylex.report import write_report
    from stylex.search.methods import method_for, suited
    from stylex.store.evaluation import check_file, write_evaluation
    from stylex.store.folder import EVALUATION, read_explanation

    known = None if explanation is None else read_explanation(explanation)
    # An explanation was searched for already, by settings of its own.
    search = (
        SearchConfig(
            target=target,
            images=images,
            attributes=attributes,
            method=asked(method),
            selection=selection,
            torgb=torgb,
            shift_range=shift_range,
        )
        if known is None
        else SearchConfig.from_json(known.settings)
    )
    options = Options(
        searched=images,
        measured=measured,
        attributes=attributes,
        search=search,
        without=frozenset(part.strip() for part in without.split(",") if part.strip()),
        seed=seed,
    )
    if by is not None and known is not None:
        raise ConfigError(f"{option('by')} was chosen when {explanation} was found; leave it out, or find anew")
    if report and explanation is None:
        raise ConfigError(
            f"{option('report', True)} writes an explanation's report anew; give that explanation with "
            f"{option('explanation')}"
        )
    if out is not None:
        check_file(Path(out), overwrite=overwrite)
    on = device_of(device)
    opened = Run.open(
        run,
        classifier=classifier,
        classifier_spec=classifier_spec,
        other_classifier=other_classifier,
        max_calls=max_calls,
        device=on,
        regression=True,
        listener=listener,
    )
    archive = opened.images(data)
    other = None
    if against is not None:
        other = Run.open(
            against,
            classifier=opened.classifier,
            classifier_spec=classifier_spec,
            other_classifier=other_classifier,
            device=on,
            regression=True,
        )
        other.images(data)
    goal = None
    if known is not None and known.snapshot.get("sha256") != opened.snapshot.sha256:
        raise EvaluationError(
            f"{explanation} was made with another snapshot than {opened.snapshot.path}; give the run that it was made "
            "with"
        )
    if known is not None:
        opened = opened.explaining(known, str(explanation))
        opened, goal = opened.aimed(known.settings.get("target"))
        snapshot = opened.snapshot
    else:
        opened, goal = opened.aimed(target, by)
        search = replace(search, method=suited(method, opened.snapshot))
        method_for(search)
        options = replace(options, search=search)
        snapshot = opened.subject(search.method, archive).snapshot
    explained = opened.classifier
    instrument = extractor_for(extractor, explained, on)
    held_out = archive.split("test")
    found = None
    if known is not None:
        found = found_in(known, searched_images(known, explained, held_out, archive.fingerprint, listener))
        torgb = torgb or any(known.space.layer(a.coordinate.layer).kind == "torgb" for a in known.ranking)
    evaluation = evaluate_subject(
        subject_of(snapshot, explained, torgb=torgb),
        Inputs(
            held_out=held_out,
            training=archive.part("train"),
            targets=range(explained.k) if goal is None else [goal],
            extractor=instrument,
            against=None
            if other is None
            else subject_of(steered_alike(other.snapshot, snapshot, explained), explained, torgb=torgb),
            listener=listener,
        ),
        options,
        found=found,
        settings={
            "verb": "evaluate",
            **record(run, data, classifier, classifier_spec),
            **search.to_json(),
            **opened.identity,
            "data_fingerprint": archive.fingerprint,
            "explanation": None if explanation is None else str(explanation),
            "against": None if against is None else str(against),
            "by": by,
            "measured": measured,
            "extractor": extractor,
            "without": without,
            "seed": seed,
        },
    )
    if remark := classifier_remark(opened.identity):
        evaluation = replace(evaluation, notes=(remark, *evaluation.notes))
    tell_calls(explained, listener)
    if out is not None:
        write_evaluation(evaluation, out)
    if explanation is not None:
        write_evaluation(evaluation, Path(explanation) / EVALUATION)
    if report and explanation is not None:
        write_report(explanation)
    return evaluation
