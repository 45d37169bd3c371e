"""Questions to people, and what their answers say."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from stylex.core.errors import ConfigError
from stylex.core.lock import one_writer, sole_writer
from stylex.core.progress import Found, Listener, silent
from stylex.core.wording import option
from stylex.search.config import MethodName
from stylex.verbs.searching import find

if TYPE_CHECKING:
    from stylex.study.analysed import Analysis
else:  # names for those who read the signatures at run time, without what they would import
    Analysis = Any


@one_writer("out", typed="study new")
def new_study(
    explanations: Sequence[str | Path],
    *,
    out: str | Path,
    tasks: str = "sort,describe",
    raters: int = 20,
    attributes: int = 4,
    images: int = 4,
    checks: int = 2,
    title: str = "What do you see?",
    consent: str | Path | None = None,
    seed: int = 0,
) -> Path:
    """Make a user study of explanations: can people tell attributes apart, and do they name the same things?

    Of several explanations, such as one by each method of ``find``, all are mixed and no rater is told which is which.

    Args:
        explanations: what ``find`` or ``explain`` wrote, one folder or more; their names are the methods' names.
        out: the folder to write: the questions, their pictures, and a secret link for each rater.
        tasks: what raters do, with commas: ``sort`` pictures to one of two attributes, ``describe`` in a few words what
            changes, ``clinical``: say what changed, and whether that is medically plausible.
        raters: how many links there are.
        attributes: how many of each explanation, from the first on; those that a person has hidden are left out.
        images: how many pictures are to be sorted for each pair of attributes, and judged of each attribute.
        checks: of attention, for each rater.
        title: the one line that raters read above everything.
        consent: a text file that raters agree to before they begin; ``{minutes}`` in it becomes how long it may take.
        seed: of which pictures are shown, and in which order.

    Returns:
        The study's folder.

    Raises:
        StoreError: an explanation cannot be read, or ``out`` not be written.
        ConfigError: there are too few attributes or pictures for what is asked.
    """
    from stylex.store.study import check_study_place, write_study
    from stylex.study.making import Design, consent_in, kinds_of, make_study, named_explanations

    design = Design(
        tasks=kinds_of(tasks), raters=raters, attributes=attributes, images=images, checks=checks, seed=seed
    )
    check_study_place(Path(out))
    text = None if consent is None else consent_in(Path(consent))
    study, pictures = make_study(named_explanations(explanations), design, title=title, consent=text)
    write_study(study, pictures, out)
    return Path(out)


def serve_study(
    study: str | Path,
    *,
    host: str = "127.0.0.1",
    port: int = 8610,
    address: str | None = None,
    root_path: str = "",
    listener: Listener = silent,
) -> None:
    """Let raters answer a study in their browsers, until Ctrl-C; the same command again goes on.

    Every answer is on the disk before its rater sees the next question. Needs starlette and uvicorn (the extra ``ui``).

    Args:
        study: the folder that ``new_study`` wrote; its ``links.csv`` is written anew, with the address.
        host: the address to listen at; ``0.0.0.0`` for telephones in the same network.
        port: the port to listen at; taken by something else: the next free one. 0: any.
        address: what raters reach it by, such as ``https://study.example.org``, for their links.
        root_path: the path at which a proxy shows the study, such as ``/study``.
        listener: hears the address.

    Raises:
        StoreError: the study cannot be read, its answers not be written, or another process serves it.
        ConfigError: starlette and uvicorn are not installed, or the address cannot be used.
    """
    from stylex.study.serving import serve_folder
    from stylex.ui.serving import check_installed

    check_installed("a study")
    serve_folder(Path(study), host=host, port=port, address=address, root_path=root_path, listener=listener)


def analyse_study(
    study: str | Path,
    *,
    out: str | Path | None = None,
    answers: str | Path | None = None,
    most_failed: int = 0,
    overwrite: bool = False,
) -> Analysis:
    """Say what a study's answers mean: accuracy, agreement, words and time, beside what passes by accident.

    Writes a page, every answer as CSV, and the numbers as JSON. A study may be analysed while it is served.

    Args:
        study: the folder that ``new_study`` wrote, with its answers.
        out: the folder to write; not given: ``analysis`` in the study's.
        answers: the file of answers, where it has come back from elsewhere.
        most_failed: how many checks of attention a rater may fail before all of his answers are left out.
        overwrite: replace an older analysis.

    Returns:
        The analysis, as written.

    Raises:
        StoreError: the study or its answers cannot be read, or ``out`` not be written.
    """
    from stylex.store.answers import read_answers
    from stylex.store.study import read_study
    from stylex.study.analysis import analyse, rows_of
    from stylex.study.machine import observed
    from stylex.study.page import check_analysis_place, write_analysis

    folder = Path(study)
    place = folder / "analysis" if out is None else Path(out)
    if most_failed < 0:
        raise ConfigError(f"{option('most_failed')} is {most_failed}; give 0 or more")
    asked = read_study(folder)
    check_analysis_place(place, overwrite=overwrite)
    with sole_writer(place, verb="study analyse"):
        said = read_answers(folder, asked, answers)
        analysis = analyse(asked, said, most_failed=most_failed, machine=observed(folder, asked))
        write_analysis(
            analysis, asked, rows_of(asked, said, most_failed), pictures=folder, out=place, overwrite=overwrite
        )
    return analysis


@one_writer("out", typed="study demo")
def demo_study(
    out: str | Path, *, raters: int = 12, images: int = 60, seed: int = 0, listener: Listener = silent
) -> Analysis:
    """Run a whole study with simulated raters, on what comes with the package, in about two minutes.

    Two methods explain the classifier of the demo; a machine that compares pixels answers through the server as a rater
    does. Of the last three raters one guesses, one always presses left, and one leaves half way.

    Args:
        out: the folder to write: both explanations, and the study with its answers and its analysis.
        raters: how many simulated raters there are, 4 or more.
        images: how many of the 400 photographs to explain the classifier on.
        seed: of the study.
        listener: hears the progress.

    Returns:
        The analysis, as written.

    Raises:
        StoreError: ``out`` is not empty, or cannot be written.
        ConfigError: too few raters, or starlette and uvicorn are not installed.
    """
    import shutil
    from importlib.resources import as_file, files

    from stylex.store.study import check_study_place
    from stylex.study.machine import cast_of, simulate
    from stylex.ui.serving import check_installed

    check_installed("a study")
    manners, folder = cast_of(raters), Path(out)
    check_study_place(folder)
    methods: tuple[MethodName, ...] = ("eigenfind", "sefa")
    was_there = folder.exists()
    try:
        with as_file(files("stylex") / "demo_data") as shipped:
            for method in methods:
                find(
                    shipped / "snapshot",
                    data=shipped / "shoes.zip",
                    classifier=shipped / "classifier",
                    out=folder / method,
                    method=method,
                    images=images,
                    attributes=4,
                    device="cpu",
                    listener=listener,
                )
        study = new_study([folder / method for method in methods], out=folder / "study", raters=raters, seed=seed)
        given = simulate(study, manners, seed=seed)
        listener(Found(message=f"{len(given)} simulated raters gave {sum(given)} answers"))
        return analyse_study(study)
    except BaseException:  # told to end, too: half a study is of no use
        for part in (*methods, "study"):
            shutil.rmtree(folder / part, ignore_errors=True)
        if not was_there:
            shutil.rmtree(folder, ignore_errors=True)
        raise
