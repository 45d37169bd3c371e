"""What moves a class, every class, one image."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from stylex.core.errors import DataError, SearchError
from stylex.core.lock import one_writer
from stylex.core.progress import Alarm, Found, Listener, silent
from stylex.core.wording import option
from stylex.search.config import MethodName, Precision, Search, SearchConfig, Selection

if TYPE_CHECKING:
    from stylex.core.explanation import Explanation
    from stylex.core.overview import Overview
    from stylex.data import ImageSet
    from stylex.opening import ClassifierLike, ClassifierSpecLike, Run
    from stylex.search.encoding import Searched
    from stylex.search.subject import TrainedSubject
else:  # names for those who read the signatures at run time, without what they would import
    ClassifierLike = ClassifierSpecLike = Explanation = ImageSet = Overview = Run = Searched = TrainedSubject = Any


@one_writer("out")
def find(
    run: str | Path,
    *,
    data: str | Path,
    out: str | Path,
    target: str | None = None,
    source: str | None = None,
    by: float | None = None,
    classifier: ClassifierLike | None = None,
    images: int = 200,
    attributes: int = 8,
    selection: Selection = "attfind",
    threshold: float | None = None,
    accounted: float = 0.1,
    torgb: bool = False,
    shift_range: float = 1.0,
    realism: float | None = None,
    method: MethodName | Literal["auto"] = "auto",
    search: Search = "auto",
    recall: float = 0.99,
    precision: Precision = "float32",
    descriptors: str | Path | None = None,
    classifier_spec: ClassifierSpecLike | None = None,
    tune: bool = False,
    other_classifier: bool = False,
    max_calls: int | None = None,
    device: str = "auto",
    overwrite: bool = False,
    listener: Listener = silent,
) -> Explanation:
    """Find the attributes that move the classifier towards a class, and show them.

    Args:
        run: a run's folder (its newest snapshot is used) or one snapshot.
        data: the archive; its test images are searched, never those of the training.
        out: the explanation folder to write.
        target: the class to explain, by name or number; of several labels also ``not NAME``, what takes it away;
            not given with two classes: both together. Of a regression ``more`` or ``less`` (of several numbers
            ``more age``); not given with one number: both.
        source: start only from images of this class (one class against one).
        by: of a regression, the change of its number, in its unit, that counts as an answer turned; not given: one
            standard deviation of its answers on the training images.
        classifier: where the classifier is now, if it has moved since the training; Python code
            (``package.module:callable``) always, since no code is imported because a run names it.
        images: how many images to search on.
        attributes: how many attributes to look for.
        selection: how attributes are chosen from the effects: ``attfind`` each for what it does alone (single
            coordinates by the paper's Algorithm 1, directions by a test of their effect), ``together`` each for what it
            adds to those already chosen, ``notebook`` (single coordinates) as in the authors' notebook.
        threshold: with ``attfind``, an image counts as explained once one attribute raises the target's logit by so
            much, as in the paper, which leaves the number open (not given: once its answer turns).
        accounted: with ``directions``, claim nothing where all that could be claimed accounts for less than this
            fraction of how the classifier's answers on the photographs differ (variance of the log odds); 0 claims
            whatever moves the rebuilt pictures.
        torgb: search the styles of the ToRGB layers too.
        shift_range: how far each coordinate is moved: 1 is to the observed extreme.
        realism: reject attributes that move the discriminator's logit by more than this (not given: reject none).
        method: ``directions`` tries ICA directions in w, and lists only those whose effect is
            significant and large enough to matter; ``attfind`` searches single style coordinates, as published;
            ``eigenfind`` tries the 20 directions that change the generator's styles most, and ranks them by itself;
            four baselines: ``sefa`` does so with every style value's weights brought to one length, ``ganalyze`` trains
            one direction for each class against the classifier, ``stylespace`` ranks coordinates in which the class's
            images stand out, without asking the classifier, ``random`` puts random directions to the test of
            ``directions``; ``auto`` is ``directions``, but
            ``attfind`` where the generator is given the classifier's answer (``model.class_input``), which may draw
            what w does not hold.
        search: ``exact`` moves every coordinate on every image; ``screened`` only those that a screen by gradients
            keeps, and says how many of the strongest it holds (``eigenfind``: ranks on some of the images); ``auto``
            is exact where that takes minutes.
        recall: the fraction of the strongest moves that a screen must hold, as estimated on images searched in full.
        precision: ``bf16`` draws in bfloat16 where the hardware has it and effects change by 2% of the largest at
            most, measured on some moves of one image; a screen's survivors are measured in ``float32`` anyway.
        descriptors: a CSV table of what is known of images (a column ``image`` with their names, the others binary or
            numbers); attributes are named after what they change of it. Needs scikit-learn (the extra ``descriptors``).
        classifier_spec: a JSON file that describes the classifier, as in ``train``.
        other_classifier: go on although the classifier is not the one that the run was trained with; every page then
            says so.
        tune: draw the images that are shown by copies of the generator, each fitted to one photograph (some seconds an
            image, so that fewer are shown), which are nearer to it; the search itself is the generator's as trained.
        max_calls: how many images a black box (a server, a function) may be asked about; not given: any number.
        device: ``auto``, ``cpu``, ``cuda`` or ``cuda:1``.
        overwrite: replace an explanation folder that is already there.
        listener: hears the progress.

    Returns:
        The explanation, as written to ``out``.

    Raises:
        SearchError: an unknown class, or too few images.
        SnapshotError: no snapshot there, or a damaged one.
    """
    from stylex.classifiers import tell_calls
    from stylex.models.processes import join
    from stylex.opening import Run, device_of, record
    from stylex.search.class_search import explain_class
    from stylex.search.classes import Workplace
    from stylex.search.followed import follow
    from stylex.store.folder import check_place, read_explanation, write_explanation, written_before

    on, folder = device_of(device), Path(out)
    config = SearchConfig(
        target=target,
        source=source,
        images=images,
        attributes=attributes,
        selection=selection,
        threshold=threshold,
        accounted=accounted,
        torgb=torgb,
        shift_range=shift_range,
        realism=realism,
        method=asked(method),
        search=search,
        recall=recall,
        precision=precision,
    )
    check_place(folder, overwrite=overwrite)
    table = None
    if descriptors is not None:
        from stylex.data.descriptors import read_descriptors
        from stylex.search.probes import check_installed

        check_installed()
        table = read_descriptors(descriptors)
    processes = join(on)
    on = processes.device(on)
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
    opened, to = opened.aimed(target, by)
    if opened.classifier.activation == "regression" and (source is not None or descriptors is not None):
        given = "descriptors" if source is None else "source"
        raise SearchError(f"{option(given)} is not for a regression, which has no classes to start from or to name by")
    start, archive = opened.label(source), opened.images(data)
    subject, chosen, encoded, config = _to_search(
        opened, archive, config, method, listener, target=to, source=start, targets=2 if to is None else 1
    )
    explanation = explain_class(
        subject,
        encoded,
        config,
        target=to,
        source=start,
        tune=tune,
        settings={
            "verb": "find",
            **record(run, data, classifier, classifier_spec),
            **opened.identity,
            "data_fingerprint": archive.fingerprint,
            **config.to_json(),
            "tune": tune,
            "by": by,
            **({} if descriptors is None else {"descriptors": str(descriptors)}),
            "searched": list(chosen.names),
        },
        at=Workplace(folder=opened.effects_folder, processes=processes, listener=listener),
    )
    if explanation is not None:
        if table is not None and not len(explanation.ranking):
            listener(Alarm(message=f"nothing was found that {descriptors} could name, so it was not used"))
        if table is not None and len(explanation.ranking):
            from stylex.search.naming import named

            explanation = named(explanation, subject, encoded.s, archive, table, listener=listener)
        explanation = opened.remarked(explanation)
        if (earlier := written_before(folder)) is not None:
            explanation, went = follow(explanation, earlier, subject, encoded)
            for followed in went:
                listener(Alarm(message=f"{followed}.") if followed.doubtful else Found(message=f"{followed}."))
        write_explanation(explanation, folder, overwrite=overwrite, listener=listener)
        tell_calls(opened.classifier, listener)
    processes.wait()
    processes.leave()
    return read_explanation(folder) if explanation is None or overwrite else explanation


@one_writer("out")
def classes(
    run: str | Path,
    *,
    data: str | Path,
    out: str | Path,
    classifier: ClassifierLike | None = None,
    images: int = 200,
    attributes: int = 3,
    selection: Selection = "attfind",
    accounted: float = 0.1,
    shift_range: float = 1.0,
    method: MethodName | Literal["auto"] = "auto",
    search: Search = "auto",
    classifier_spec: ClassifierSpecLike | None = None,
    other_classifier: bool = False,
    max_calls: int | None = None,
    device: str = "auto",
    overwrite: bool = False,
    listener: Listener = silent,
) -> Overview:
    """Find what moves the classifier towards every one of its classes, and show it on one page.

    Effects are measured once for all classes. Each class gets an explanation folder with a report, of a few attributes
    and pictures, below ``out/classes``; ``out/index.html`` lists all and finds a class by its name.

    Args:
        run: a run's folder (its newest snapshot is used) or one snapshot.
        data: the archive; its test images are searched, never those of the training.
        out: the folder to write.
        classifier: where the classifier is now, if it has moved since the training; Python code
            (``package.module:callable``) always, since no code is imported because a run names it.
        images: how many images to search on, the same ones for all classes.
        attributes: how many attributes to look for, of each class.
        selection: how attributes are chosen from the effects, as in ``find``; ``together`` draws pictures for each
            class, which takes long where there are many.
        accounted: claim nothing of a class for which all that could be claimed accounts for less than this fraction
            (of more than 20 classes: a tenth of it) of how the answers on the photographs differ, as in ``find``; 0
            claims whatever moves the rebuilt pictures.
        shift_range: how far each coordinate is moved: 1 is to the observed extreme.
        method: what is moved, and how it is ranked, as in ``find``.
        search: ``exact``, ``screened`` or ``auto``, as in ``find``; a screen asks gradients of every class.
        classifier_spec: a JSON file that describes the classifier, as in ``train``.
        other_classifier: go on although the classifier is not the one that the run was trained with; every page then
            says so.
        max_calls: how many images a black box (a server, a function) may be asked about; not given: any number.
        device: ``auto``, ``cpu``, ``cuda`` or ``cuda:1``.
        overwrite: replace an overview that is already there; names that were typed for attributes go on with them.
        listener: hears the progress.

    Returns:
        The overview, as written to ``out``.

    Raises:
        SearchError: too few images, or a regression, which has no classes.
        SnapshotError: no snapshot there, or a damaged one.
    """
    from stylex.classifiers import tell_calls
    from stylex.core.overview import Overview
    from stylex.models.processes import Processes
    from stylex.opening import Run, device_of, record
    from stylex.report.overview import overview_page, pairs_of, row_of
    from stylex.report.page import write_report
    from stylex.search.class_search import quality
    from stylex.search.classes import Workplace
    from stylex.search.encoding import file_names
    from stylex.search.every_class import explain_every
    from stylex.store.folder import write_explanation
    from stylex.store.overview import CLASSES, begin_overview, check_overview, finish_overview

    on, folder = device_of(device), Path(out)
    config = SearchConfig(
        images=images,
        attributes=attributes,
        selection=selection,
        accounted=accounted,
        shift_range=shift_range,
        method=asked(method),
        search=search,
    )
    check_overview(folder, overwrite=overwrite)
    opened = Run.open(
        run,
        classifier=classifier,
        classifier_spec=classifier_spec,
        other_classifier=other_classifier,
        max_calls=max_calls,
        device=on,
        listener=listener,
    )
    archive, labels = opened.images(data), opened.classifier.spec.labels
    subject, chosen, encoded, config = _to_search(opened, archive, config, method, listener, targets=len(labels))
    figures = quality(subject, encoded)
    settings = {
        "verb": "classes",
        **record(run, data, classifier, classifier_spec),
        **opened.identity,
        "data_fingerprint": archive.fingerprint,
        **config.to_json(),
        "searched": list(chosen.names),
    }
    begin_overview(folder)
    places = [f"{CLASSES}/{name}" for name in file_names(labels)]
    rows, pairs = [], {}
    at = Workplace(folder=opened.effects_folder, processes=Processes(), listener=listener)
    found = explain_every(subject, encoded, config, range(len(labels)), figures=figures, settings=settings, at=at)
    for (explanation, standing), label, place in zip(found, labels, places, strict=True):
        written = opened.remarked(explanation)
        write_explanation(written, folder / place, overwrite=True, listener=listener)
        write_report(folder / place, largest=_SMALL_REPORT)
        rows.append(row_of(written, standing, label=label, folder=place))
        pairs[place] = pairs_of(written)
    tell_calls(opened.classifier, listener)
    overview = Overview(rows=tuple(rows), images=len(chosen), figures=figures, settings=settings)
    finish_overview(overview, overview_page(overview, pairs), folder)
    return overview


def _to_search(
    opened: Run,
    archive: ImageSet,
    config: SearchConfig,
    method: MethodName | Literal["auto"],
    listener: Listener,
    *,
    target: int | None = None,
    source: int | None = None,
    targets: int,
) -> tuple[TrainedSubject, ImageSet, Searched, SearchConfig]:
    """What is searched: the networks in the method's space, test images chosen, the same encoded, the config with both.

    Raises:
        SearchError: too few images, or a method that does not suit the config.
    """
    from stylex.classifiers import expect
    from stylex.search.calls import calls_needed
    from stylex.search.choosing import LOOKED_AT, choose_to_search, keeping_back
    from stylex.search.encoding import encode_stream
    from stylex.search.methods import method_for, suited

    test = archive.split("test")
    if (searching := keeping_back(config.images, len(test))) < config.images and searching < len(test):
        left = "the others are left to evaluate on"
        listener(Found(message=f"searching on {searching} of {len(test)} test images; {left}"))
    chosen = choose_to_search(opened.classifier, test, searching, target=target, source=source)
    config = replace(config, method=suited(method, opened.snapshot))
    method_for(config)
    if config.method != "attfind" and opened.snapshot.generator.synthesis.c_dim:
        listener(
            Found(
                message="this generator is given the classifier's answer, which may draw causes that w does not hold: "
                f"directions in w can miss them; {option('method', 'attfind')} is the published search"
            )
        )
    subject = opened.subject(config.method, archive, torgb=config.torgb)
    looked_at = min(len(test), LOOKED_AT * searching)
    calls = calls_needed(subject, config, looked_at=looked_at, images=len(chosen), targets=targets)
    expect(opened.classifier, calls, listener)
    return subject, chosen, encode_stream(subject, chosen, chosen.label_texts()), config


_SMALL_REPORT = 192
"""Side of the pictures in the reports of many classes, in pixels."""


@one_writer("out")
def explain(
    run: str | Path,
    image: str | Path,
    *,
    out: str | Path,
    target: str | None = None,
    classifier: ClassifierLike | None = None,
    data: str | Path | None = None,
    by: float | None = None,
    attributes: int = 5,
    torgb: bool = False,
    shift_range: float = 1.0,
    method: Literal["directions", "attfind", "auto"] = "auto",
    fit: Literal["crop", "pad"] = "crop",
    tune: bool | None = None,
    classifier_spec: ClassifierSpecLike | None = None,
    other_classifier: bool = False,
    max_calls: int | None = None,
    device: str = "auto",
    overwrite: bool = False,
    listener: Listener = silent,
) -> Explanation:
    """Explain what the classifier says of one image.

    Args:
        run: a run's folder (its newest snapshot is used) or one snapshot.
        image: a photograph; or, with ``data``, the name of one of its images.
        out: the explanation folder to write.
        target: the class to explain, by name or number; of several labels also ``not NAME``, what takes it away;
            not given: the nearest other decision. Of a regression ``more`` or ``less`` (of several numbers
            ``more age``); not given with one number: both.
        classifier: where the classifier is now, if it has moved since the training; Python code
            (``package.module:callable``) always, since no code is imported because a run names it.
        data: the archive that ``image`` is one of.
        by: of a regression, the change of its number, in its unit, that counts as an answer turned; not given: one
            standard deviation of its answers on the training images.
        attributes: how many attributes to look for.
        torgb: search the styles of the ToRGB layers too.
        shift_range: how far each coordinate is moved: 1 is to the observed extreme.
        method: ``directions`` moves along ICA directions in w, ``attfind`` single style coordinates; ``auto`` as in
            ``find``.
        fit: how a photograph becomes square: ``crop`` its centre, or ``pad`` it, as ``prepare`` did.
        tune: fit a copy of the generator to this photograph first, so that what it redraws is nearer to it; knobs are
            held to what they did before. Not given: where it takes some seconds (the presets up to 128 pixels)
            and the classifier gives a gradient.
        classifier_spec: a JSON file that describes the classifier, as in ``train``.
        other_classifier: go on although the classifier is not the one that the run was trained with; every page then
            says so.
        max_calls: how many images a black box (a server, a function) may be asked about; not given: any number.
        device: ``auto``, ``cpu``, ``cuda`` or ``cuda:1``.
        overwrite: replace an explanation folder that is already there.
        listener: hears the progress.

    Returns:
        The explanation, as written to ``out``.

    Raises:
        DataError: the image cannot be read.
        SnapshotError: no snapshot there, or a damaged one.
    """
    from stylex.classifiers import expect, tell_calls
    from stylex.data.images import load_image
    from stylex.opening import Run, device_of, record
    from stylex.search.calls import calls_needed
    from stylex.search.classes import Workplace
    from stylex.search.encoding import encode
    from stylex.search.image_search import explain_image
    from stylex.search.methods import method_for, suited
    from stylex.search.tuning import tune as fit_to
    from stylex.search.tuning import tunes_quickly
    from stylex.store.folder import check_place, read_explanation, write_explanation

    config = SearchConfig(
        target=target, attributes=attributes, torgb=torgb, shift_range=shift_range, method=asked(method), images=1
    )
    on, folder = device_of(device), Path(out)
    check_place(folder, overwrite=overwrite)
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
    opened, goal = opened.aimed(target, by)
    archive, label = None, None
    if data is None:
        size, channels = opened.snapshot.generator.config.resolution, opened.snapshot.generator.config.channels
        x = load_image(image, resolution=size, channels=1 if channels == 1 else 3, fit=fit)
        name = Path(image).stem
    else:
        archive, name = opened.images(data), str(image)
        if name not in archive.names:
            raise DataError(f"{data} has no image {name!r}; its images are named like {archive.names[0]!r}")
        one = archive.subset([archive.names.index(name)])
        x, label = one.batch([0]), one.label_texts()[0]
    config = replace(config, method=suited(method, opened.snapshot))
    method_for(config)
    subject = opened.subject(config.method, archive, torgb=torgb)
    expect(opened.classifier, calls_needed(subject, config, images=1, targets=1 if goal is not None else 2), listener)
    encoded = encode(subject, x.to(on), [name], [label])
    if tune is None:
        tune = tunes_quickly(subject)
    if tune:
        subject, encoded = fit_to(subject, encoded, listener=listener)
    explanation = explain_image(
        subject,
        encoded,
        config,
        target=goal,
        settings={
            "verb": "explain",
            **record(run, data, classifier, classifier_spec),
            **opened.identity,
            "image": str(image),
            "fit": fit,
            "tune": tune,
            "by": by,
            **{key: value for key, value in config.to_json().items() if key in _EXPLAIN},
        },
        at=Workplace(listener=listener),
    )
    explanation = opened.remarked(explanation)
    write_explanation(explanation, folder, overwrite=overwrite, listener=listener)
    tell_calls(opened.classifier, listener)
    return read_explanation(folder) if overwrite else explanation


def asked(method: MethodName | Literal["auto"]) -> MethodName:
    """By what other settings are checked, before there is a snapshot that says what ``auto`` is."""
    return "directions" if method == "auto" else method


_EXPLAIN = ("target", "attributes", "torgb", "shift_range", "method")
"""The settings of a search that ``explain`` takes."""
