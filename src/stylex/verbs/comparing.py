"""Methods side by side."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from stylex.core.demo import NAME as DEMO
from stylex.core.demo import is_demo
from stylex.core.errors import ConfigError, SearchError
from stylex.core.lock import one_writer
from stylex.core.progress import Listener, silent
from stylex.core.verdict import classifier_remark
from stylex.core.wording import option

if TYPE_CHECKING:
    from stylex.core.comparison import Comparison
    from stylex.opening import ClassifierLike, ClassifierSpecLike, Run
else:  # names for those who read the signatures at run time, without what they would import
    ClassifierLike = ClassifierSpecLike = Comparison = Run = Any


@one_writer("out")
def compare(
    run: str | Path,
    *,
    out: str | Path,
    data: str | Path | None = None,
    methods: str = "",
    target: str | None = None,
    classifier: ClassifierLike | None = None,
    images: int = 60,
    measured: int = 64,
    attributes: int = 8,
    change: float | None = None,
    shown: int = 7,
    extractor: str = "random",
    seed: int = 0,
    classifier_spec: ClassifierSpecLike | None = None,
    other_classifier: bool = False,
    max_calls: int | None = None,
    device: str = "auto",
    overwrite: bool = False,
    listener: Listener = silent,
) -> Comparison:
    """Set methods of explanation side by side, on the same images and at the same size of change.

    Methods are fitted on some test images and measured on others, beside what passes each measure by accident. Writes
    the numbers as JSON and a page with the same images in a row for every method.

    Args:
        run: a run's folder (its newest snapshot is used) or one snapshot; ``demo``: what comes with the package.
        out: the folder to write: ``comparison.json`` and ``comparison.html``.
        data: the archive; its test images are used.
        methods: which, with commas: directions, attfind, eigenfind, sefa, ganalyze, stylespace, attack, attack-s,
            pixels, grad-cam, integrated-gradients; not given: all that this classifier allows.
        target: the class to drive to, by name or number; of several labels also ``not NAME``; not given with two
            classes: each image to the other one.
        classifier: where the classifier is now, if it has moved since the training; Python code
            (``package.module:callable``) always, since no code is imported because a run names it.
        images: how many images to fit methods on.
        measured: how many other images to measure on.
        attributes: how many attributes a method may have towards each class; of these, each image gets the one that
            moves it most.
        change: mean change of a pixel that all are brought to, of 2; not given: that at which the first method turns
            three quarters of the images (where it never does, the median of its own changes).
        shown: how many images the page shows.
        extractor: what pictures are compared with, as in ``evaluate``; never the explained classifier.
        seed: of everything random.
        classifier_spec: a JSON file that describes the classifier, as in ``train``.
        other_classifier: go on although the classifier is not the one that the run was trained with; every page then
            says so.
        max_calls: how many images a black box (a server, a function) may be asked about; not given: any number.
        device: ``auto``, ``cpu``, ``cuda`` or ``cuda:1``.
        overwrite: replace a comparison that is already there.
        listener: hears the progress.

    Returns:
        The comparison, as written.

    Raises:
        ConfigError: there is no such method, or no data.
        EvaluationError: too few images, or no size of change to bring the methods to.
        SearchError: an unknown class, or more than two and none given.
        SnapshotError: no snapshot there, or a damaged one.
    """
    from stylex.classifiers import tell_calls
    from stylex.comparison.compare import Inputs, Options, compare_methods
    from stylex.comparison.contenders import asked
    from stylex.comparison.gallery import gallery_of
    from stylex.evaluation.extractors import extractor_for
    from stylex.evaluation.subject import subject_of
    from stylex.opening import Run, device_of, record
    from stylex.report.compared import comparison_page
    from stylex.search.encoding import latents_of
    from stylex.store.comparison import check_folder, write_comparison

    folder, repeat = Path(out), record(run, data, classifier, classifier_spec)
    data = DEMO if data is None and is_demo(run) else data
    options = Options(
        methods=asked(methods),
        asked=bool(methods.strip(" ,")),
        searched=images,
        measured=measured,
        attributes=attributes,
        change=change,
        shown=shown,
        seed=seed,
    )
    if data is None:
        raise ConfigError(f"a comparison needs images; give an archive that prepare wrote with {option('data')}")
    check_folder(folder, overwrite=overwrite)
    on = device_of(device)
    opened = Run.open(
        run,
        classifier=classifier,
        classifier_spec=classifier_spec,
        other_classifier=other_classifier,
        max_calls=max_calls,
        device=on,
        listener=listener,
    )
    opened, goal = opened.aimed(target)
    explained, archive = opened.classifier, opened.images(data)
    if goal is None and (explained.k > 2 or explained.activation == "sigmoid"):
        raise SearchError(
            f"the classifier has labels {', '.join(explained.spec.labels[:5])}; say which one all images are to be "
            f"driven to, such as {option('target', explained.spec.labels[-1])}"
        )
    subject = subject_of(opened.snapshot, explained)
    comparison, pictures = compare_methods(
        subject,
        Inputs(
            held_out=archive.split("test"),
            targets=range(explained.k) if goal is None else [goal],
            extractor=extractor_for(extractor, explained, on),
            latents=lambda: latents_of(subject, archive),
            listener=listener,
        ),
        options,
        settings={
            "verb": "compare",
            **repeat,
            **opened.identity,
            "snapshot": opened.snapshot.sha256,
            "data_fingerprint": archive.fingerprint,
            "methods": list(options.methods),
            "target": target,
            "images": images,
            "measured": measured,
            "attributes": attributes,
            "change": change,
            "extractor": extractor,
            "seed": seed,
        },
    )
    if remark := classifier_remark(opened.identity):
        comparison = replace(comparison, notes=(remark, *comparison.notes))
    write_comparison(comparison, comparison_page(comparison, gallery_of(pictures)), folder)
    tell_calls(opened.classifier, listener)
    return comparison
