"""What was found, for a person: the report, the explorer, the demo."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from stylex.core.demo import NAME as DEMO
from stylex.core.demo import is_demo
from stylex.core.errors import SearchError
from stylex.core.lock import sole_writer
from stylex.core.progress import Found, Listener, silent
from stylex.verbs.searching import find

if TYPE_CHECKING:
    from stylex.core.studio import Studio
    from stylex.opening import ClassifierLike, ClassifierSpecLike, Run
else:  # names for those who read the signatures at run time, without what they would import
    ClassifierLike = ClassifierSpecLike = Run = Studio = Any


def report(
    explanation_folder: str | Path,
    *,
    out: str | Path | None = None,
    strips: bool = False,
    flicker: Literal["webp", "gif"] | None = None,
) -> Path:
    """Write the report of an explanation: one HTML file that opens anywhere, without a network.

    Args:
        explanation_folder: what ``find`` or ``explain`` wrote.
        out: the HTML file; not given: ``report.html`` in the explanation folder.
        strips: also write a latent traversal (a strip) of each attribute as a PNG, rebuilt pictures above changed ones.
        flicker: also write an animation for each attribute, ``webp`` or ``gif``.

    Returns:
        The report's path; strips and flickers are in a folder ``pictures`` beside it.

    Raises:
        StoreError: the folder is not an explanation, or is damaged.
    """
    from stylex.report import write_report
    from stylex.report.media import write_flickers, write_strips
    from stylex.store.evaluation import evaluation_in
    from stylex.store.folder import read_explanation

    folder = Path(explanation_folder)
    path = folder / "report.html" if out is None else Path(out)
    known = read_explanation(folder)
    with sole_writer(folder if out is None else path, verb="report"):
        write_report(known, path, evaluation=evaluation_in(folder))
        if strips:
            write_strips(known, path.parent / "pictures")
        if flicker is not None:
            write_flickers(known, path.parent / "pictures", flicker)
    return path


def open_studio(
    run: str | Path,
    *,
    data: str | Path | None = None,
    explanation: str | Path | None = None,
    classifier: ClassifierLike | None = None,
    images: int = 240,
    classifier_spec: ClassifierSpecLike | None = None,
    other_classifier: bool = False,
    max_calls: int | None = None,
    device: str = "auto",
    listener: Listener = silent,
) -> Studio:
    """Open the networks of a run for turning knobs live: what ``serve`` shows, for scripts and notebooks.

    Args:
        run: a run's folder (its newest snapshot is used) or one snapshot; ``demo``: what comes with the package.
        data: the archive; images of its test part can be chosen.
        explanation: an explanation folder; its attributes are the knobs, and names are kept in it.
        classifier: where the classifier is now, if it has moved since the training; Python code
            (``package.module:callable``) always, since no code is imported because a run names it.
        images: how many images of ``data`` to choose from, spread over its test part.
        classifier_spec: a JSON file that describes the classifier, as in ``train``.
        other_classifier: go on although the classifier is not the one that the run was trained with; every page then
            says so.
        max_calls: how many images a black box (a server, a function) may be asked about; not given: any number.
            Behind it only what is known already is answered.
        device: ``auto``, ``cpu``, ``cuda`` or ``cuda:1``.
        listener: hears warnings.

    Returns:
        The studio. Its images are read by ``load_more``, a few at a time; knobs are turned by ``render``.

    Raises:
        SnapshotError: no snapshot there, or a damaged one.
        SearchError: the explanation was made with another snapshot.
        ConfigError: calls are bounded of a classifier that is no black box, or reading the images takes more of them.
    """
    from stylex.classifiers import expect
    from stylex.live.studio import LiveStudio
    from stylex.opening import Run, device_of, record
    from stylex.store.folder import read_explanation

    data = DEMO if data is None and is_demo(run) else data
    found = None if explanation is None else read_explanation(explanation)
    on = device_of(device)
    listener(Found(message=f"loading the networks of {run}"))
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
    if found is not None:
        opened = opened.explaining(found, str(explanation))
    elif opened.classifier.activation == "regression":
        opened, _ = opened.aimed(f"more {opened.classifier.spec.labels[0]}")
    chosen = None
    if data is not None:
        if images < 1:
            raise SearchError(f"{images} images were to choose from; give at least 1")
        archive = opened.images(data)
        held_out = archive.part("test") or archive
        count = min(images, len(held_out))
        chosen = held_out.subset([i * len(held_out) // count for i in range(count)])
    studio = LiveStudio(
        opened.snapshot,
        opened.classifier,
        explanation=found,
        folder=None if explanation is None else Path(explanation),
        images=chosen,
        identity=opened.identity,
        repeat={
            **record(run, data, classifier, classifier_spec),
            "other_classifier": other_classifier,
            "explanation": None if explanation is None else str(explanation),
        },
    )
    if studio.coming:  # each photograph, and what the generator makes of it
        expect(opened.classifier, 2 * studio.coming, listener)
    return studio


def _tell_calls(studio: Studio, listener: Listener) -> None:
    from stylex.classifiers import tell_calls
    from stylex.live.studio import LiveStudio

    if isinstance(studio, LiveStudio):
        tell_calls(studio.classifier, listener)


def explore(
    run: str | Path,
    *,
    data: str | Path | None = None,
    explanation: str | Path | None = None,
    classifier: ClassifierLike | None = None,
    images: int = 48,
    classifier_spec: ClassifierSpecLike | None = None,
    other_classifier: bool = False,
    max_calls: int | None = None,
    device: str = "auto",
    listener: Listener = silent,
) -> Any:
    """Turn knobs in a notebook: the explorer of ``serve`` in a cell, without a port.

    Live in Jupyter, VS Code, Colab and marimo. Needs anywidget and starlette (the extra ``notebook``).

    Args:
        run: a run's folder (its newest snapshot is used) or one snapshot; ``demo``: what comes with the package.
        data: the archive; images of its test part can be chosen.
        explanation: an explanation folder; its attributes are the knobs, and names are kept in it.
        classifier: where the classifier is now, if it has moved since the training; Python code
            (``package.module:callable``) always, since no code is imported because a run names it.
        images: how many images of ``data`` to choose from, spread over its test part.
        classifier_spec: a JSON file that describes the classifier, as in ``train``.
        other_classifier: go on although the classifier is not the one that the run was trained with; every page then
            says so.
        max_calls: how many images a black box (a server, a function) may be asked about; not given: any number.
            Behind it only what is known already is answered.
        device: ``auto``, ``cpu``, ``cuda`` or ``cuda:1``.
        listener: hears warnings.

    Returns:
        The widget; end a cell with it. Its ``close`` stops what draws for it.

    Raises:
        SnapshotError: no snapshot there, or a damaged one.
        ConfigError: anywidget or starlette are not installed, or the bound of calls cannot be meant, as in
            ``open_studio``.
    """
    from stylex.ui.notebook import explore as in_a_cell

    studio = open_studio(
        run,
        data=data,
        explanation=explanation,
        classifier=classifier,
        images=images,
        classifier_spec=classifier_spec,
        other_classifier=other_classifier,
        max_calls=max_calls,
        device=device,
        listener=listener,
    )
    return in_a_cell(studio, lambda: _tell_calls(studio, listener))


def serve(
    run: str | Path,
    *,
    data: str | Path | None = None,
    explanation: str | Path | None = None,
    classifier: ClassifierLike | None = None,
    images: int = 240,
    host: str = "127.0.0.1",
    port: int = 8600,
    no_browser: bool = False,
    root_path: str = "",
    classifier_spec: ClassifierSpecLike | None = None,
    other_classifier: bool = False,
    max_calls: int | None = None,
    device: str = "auto",
    listener: Listener = silent,
) -> None:
    """Turn knobs in the browser: a page on this machine, until Ctrl-C.

    Images of the archive, of the explanation and one's own photographs can be chosen; the explanation's attributes
    are knobs, and an image's own are found on request. Needs starlette and uvicorn (the extra ``ui``).

    Args:
        run: a run's folder (its newest snapshot is used) or one snapshot; ``demo``: what comes with the package.
        data: the archive; images of its test part can be chosen.
        explanation: an explanation folder; its attributes are the knobs, and names are kept in it.
        classifier: where the classifier is now, if it has moved since the training; Python code
            (``package.module:callable``) always, since no code is imported because a run names it.
        images: how many images of ``data`` to choose from, spread over its test part.
        host: the address to listen at; another than this machine's own asks everybody for a token.
        port: the port to listen at; taken by something else: the next free one. 0: any.
        no_browser: only say the address; do not open a browser.
        root_path: the path at which a proxy (Jupyter's, VS Code's, a web server) shows the page, such as
            ``/user/me/proxy/8600``; the page then asks for a token.
        classifier_spec: a JSON file that describes the classifier, as in ``train``.
        other_classifier: go on although the classifier is not the one that the run was trained with; every page then
            says so.
        max_calls: how many images a black box (a server, a function) may be asked about; not given: any number.
            Behind it only what is known already is answered.
        device: ``auto``, ``cpu``, ``cuda`` or ``cuda:1``.
        listener: hears the address.

    Raises:
        SnapshotError: no snapshot there, or a damaged one.
        ConfigError: starlette and uvicorn are not installed, the address cannot be used, or the bound of calls cannot
            be meant, as in ``open_studio``.
    """
    from stylex.ui.serving import check_installed, serve_studio

    check_installed()
    studio = open_studio(
        run,
        data=data,
        explanation=explanation,
        classifier=classifier,
        images=images,
        classifier_spec=classifier_spec,
        other_classifier=other_classifier,
        max_calls=max_calls,
        device=device,
        listener=listener,
    )
    try:
        serve_studio(studio, host=host, port=port, open_browser=not no_browser, root_path=root_path, listener=listener)
    finally:  # it is ended by Ctrl-C
        _tell_calls(studio, listener)


def demo(out: str | Path, *, images: int = 80, listener: Listener = silent) -> Path:
    """Explain a classifier of sneakers and ankle boots on real photographs, all shipped with the package.

    The search is run here and now, in about a minute on two cores; nothing is downloaded.

    Args:
        out: the folder to write: the explanation and its report.
        images: how many of the 400 photographs to search on.
        listener: hears the progress.

    Returns:
        The report's path.

    Raises:
        StoreError: ``out`` cannot be written, or holds something else.
    """
    folder = Path(out)
    find(
        DEMO,
        data=DEMO,
        out=folder / "explanation",
        images=images,
        device="cpu",
        overwrite=True,
        listener=listener,
    )
    return report(folder / "explanation", out=folder / "report.html")
