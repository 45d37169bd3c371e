"""An attribute that should not matter: data turned both ways along it, and versions of a classifier measured."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from stylex.core.errors import ConfigError, DataError, SearchError
from stylex.core.lock import one_writer
from stylex.core.progress import Alarm, Found, Listener, silent
from stylex.core.verdict import classifier_remark
from stylex.core.wording import option
from stylex.search.config import MethodName, SearchConfig
from stylex.verbs.opened import is_run, run_at, run_of

if TYPE_CHECKING:
    from stylex.bias.marked import Marked
    from stylex.bias.repair import Repaired
    from stylex.classifiers import Classifier
    from stylex.core.attribute import Attribute
    from stylex.core.audited import Audit
    from stylex.core.explanation import Explanation
    from stylex.data import ImageSet
    from stylex.data.descriptors import Descriptors
    from stylex.opening import ClassifierLike, ClassifierSpecLike, Run
    from stylex.search.subject import TrainedSubject
else:  # names for those who read the signatures at run time, without what they would import
    Attribute = Audit = Classifier = ClassifierLike = ClassifierSpecLike = Explanation = ImageSet = Repaired = Run = (
        TrainedSubject
    ) = Any


@one_writer("out", error=DataError)
def repair(
    explanation: str | Path,
    *,
    data: str | Path,
    out: str | Path,
    attribute: str | None = None,
    descriptors: str | Path | None = None,
    descriptor: str | None = None,
    run: str | Path | None = None,
    classifier: ClassifierLike | None = None,
    images: int | None = None,
    to: Literal["places", "ends"] = "places",
    realism: float | None = 0.95,
    extractor: str = "random",
    control: bool = False,
    seed: int = 0,
    classifier_spec: ClassifierSpecLike | None = None,
    other_classifier: bool = False,
    device: str = "auto",
    overwrite: bool = False,
    listener: Listener = silent,
) -> Repaired:
    """Write data in which an attribute tells nothing: training images also with it turned both ways, their labels kept.

    What is turned is an attribute of an explanation, or the direction along which images differ that a table marks as
    different. The change is laid on the photographs, and test images are never turned. Beside the archive two files are
    written: a table of groups (label and the attribute's place), so that a training shows all of them as often, and a
    sheet of turned photographs to look at. A classifier that is trained further on both has nothing to gain from the
    attribute.

    Args:
        explanation: the explanation folder that the attribute is one of; with ``descriptors``, a run will do.
        data: the archive that the classifier learnt from.
        out: the archive to write, a ``.zip``.
        attribute: which one, by its number as listed, from 1, or by its name.
        descriptors: instead of an attribute, a CSV table (a column ``image`` with the images' names, and one that says
            what should not matter: two words, or numbers) of some training images. A hundred or more, a dozen or more
            of each label on either side.
        descriptor: which of its columns is meant; not given: the only one.
        run: the run that the explanation was found with; not given: where the explanation says it was.
        classifier: where the classifier is now, if it has moved since the training; Python code
            (``package.module:callable``) always, since no code is imported because a run names it.
        images: how many training images are turned, spread over all; not given: all.
        to: where the attribute is turned to: ``places`` where it lies in other training images, drawn at random, one on
            its side and one on the other; or its ``ends``, which are seldom seen.
        realism: keep both turns of an image only while each changes it by no more than this fraction of pairs of real
            ones differ, and is as near to a real one as this fraction of them are to another; ``null``: keep all.
        extractor: whose features say what is near, as in ``evaluate``; never the explained classifier.
        control: turn one random direction as far instead, to see what comes of any change.
        seed: of what is random.
        classifier_spec: a JSON file that describes the classifier, as in ``train``.
        other_classifier: go on although the classifier is not the one that the run was trained with.
        device: ``auto``, ``cpu``, ``cuda`` or ``cuda:1``.
        overwrite: replace what is already there.
        listener: hears the progress.

    Returns:
        What was written: counts, what was left out as unreal, and how labels and the attribute's places go together.

    Raises:
        SearchError: there is no such attribute, the explanation was made with another snapshot, or too few images are
            marked.
        DataError: the archive or the table cannot be used, or ``out`` cannot be written.
        ConfigError: settings that cannot be meant.
    """
    from stylex.bias.repair import RepairConfig, write_repaired
    from stylex.core.files import write_whole
    from stylex.data.groups import groups_table
    from stylex.data.prepare import check_out
    from stylex.evaluation.extractors import extractor_for
    from stylex.opening import device_of
    from stylex.report.figures import encode, panel
    from stylex.search.subject import TrainedSubject
    from stylex.store.folder import read_explanation

    place = Path(out)
    table, sheet = place.with_suffix(".groups.csv"), place.with_suffix(".png")
    config = RepairConfig(images=images, to=to, realism=realism, control=control, seed=seed)
    if (attribute is None) == (descriptors is None):
        raise ConfigError(
            f"what should not matter is an attribute or a column of a table: give {option('attribute')} or "
            f"{option('descriptors')}, one of them"
        )
    table_of_marks = _marks_in(descriptors, descriptor)
    known = None if table_of_marks is not None and is_run(explanation) else read_explanation(explanation)
    chosen = None if attribute is None or known is None else _attribute_of(known, attribute, explanation)
    check_out(Path(data), place, overwrite=overwrite)
    for beside in (table, sheet):
        if beside.exists() and not overwrite:
            raise DataError(f"{beside} exists already: give {option('overwrite', True)} to replace it, or another name")
    on = device_of(device)
    where = (run, classifier, classifier_spec, other_classifier, on, listener)
    opened = run_at(run or explanation, *where[1:]) if known is None else run_of(known, explanation, *where)
    if known is not None and chosen is not None:
        opened = opened.explaining(known, explanation)
    archive = opened.images(data)
    instrument = extractor_for(extractor, opened.classifier, on)
    if instrument.explained:
        raise ConfigError(
            f"{option('extractor', 'classifier')}: the explained classifier is no judge of what an attribute changes "
            f"that was chosen to move it; give {option('extractor', 'random')}, a program's file or timm:NAME"
        )
    subject, marks = TrainedSubject.of(opened.snapshot, opened.classifier), None
    if chosen is None:
        assert table_of_marks is not None
        marked = _marked_in(subject, archive, table_of_marks, descriptor, seed, listener)
        subject, chosen, marks = marked.subject, marked.attribute, marked.high
    repaired = write_repaired(subject, archive, chosen, instrument, place, config, marks=marks, listener=listener)
    write_whole(table, groups_table(repaired.groups).encode(), error=DataError)
    captions = ("photograph", "turned up", "turned down")
    picture = panel([list(row) for row in repaired.sheet], captions, title=repaired.attribute, cell=96)
    write_whole(sheet, encode(picture), error=DataError)
    return repaired


@one_writer("out")
def audit(
    before: str | Path,
    after: str | Path,
    *,
    data: str | Path,
    out: str | Path | None = None,
    explanation: str | Path | None = None,
    descriptors: str | Path | None = None,
    descriptor: str | None = None,
    run: str | Path | None = None,
    fail_if: str = "",
    images: int = 100,
    measured: int = 300,
    attributes: int = 8,
    method: MethodName | Literal["auto"] = "auto",
    seed: int = 0,
    classifier_spec: ClassifierSpecLike | None = None,
    device: str = "auto",
    overwrite: bool = False,
    listener: Listener = silent,
) -> Audit:
    """Compare two versions of a classifier by one generator: which attributes gained or lost weight.

    Attributes, their places and their pictures are the same for both versions, so that differences are theirs alone.
    Measured on test images that the attributes were not found on, with 95% intervals over images.

    Args:
        before: the earlier version: a run's folder (its classifier is meant), or a classifier as ``train`` takes it.
        after: the later version, likewise.
        data: the archive; its test images are used.
        out: the folder to write: ``audit.json``, ``audit.md`` for people, ``junit.xml`` for pipelines; not given:
            nothing is written.
        explanation: an explanation folder, whose attributes are compared; not given: attributes are searched for with
            both versions.
        descriptors: instead of an explanation, a table as ``repair`` takes it: the one attribute is then the direction
            between its groups.
        descriptor: which of its columns is meant; not given: the only one.
        run: the run whose generator turns the attributes; not given: the explanation's, or the first version that is
            one.
        fail_if: conditions that must not hold, with commas, such as ``attribute 3 > 0.5``: the command's exit code is
            then 3. Of an attribute (its number, or ``any attribute``) can be asked ``weight`` (what is meant where
            nothing is said), ``gain``, ``kept``, ``flips`` and ``worst group``, and of the later version ``accuracy``,
            ``accuracy drop`` and ``worst group``; joined by ``and``, ``or``.
        images: where it searches itself, how many images to search on.
        measured: how many other images to measure on.
        attributes: where it searches itself, how many attributes to look for towards each class.
        method: where it searches itself, along what, as in ``find``.
        seed: of the random directions that stand beside.
        classifier_spec: a JSON file that describes the classifiers, as in ``train``.
        device: ``auto``, ``cpu``, ``cuda`` or ``cuda:1``.
        overwrite: replace an audit that is already there.
        listener: hears the progress.

    Returns:
        The audit, as written.

    Raises:
        ConfigError: a condition that cannot be read, or no run to draw with.
        EvaluationError: the versions know other labels, or too few images are left.
        SearchError: the explanation was made with another snapshot.
    """
    import numpy as np

    from stylex.bias.audit import Versions, audit_versions
    from stylex.classifiers import describe, fingerprint
    from stylex.core.conditions import conditions
    from stylex.evaluation.found import searched_images
    from stylex.evaluation.subject import subject_of
    from stylex.opening import device_of
    from stylex.report.audited import audit_junit, audit_markdown
    from stylex.search.choosing import spread
    from stylex.search.subject import TrainedSubject
    from stylex.store.audit import check_audit_place, write_audit
    from stylex.store.folder import read_explanation

    on = device_of(device)
    if explanation is not None and descriptors is not None:
        raise ConfigError(
            f"attributes are an explanation's or a table's: give {option('explanation')} or {option('descriptors')}, "
            "one of them"
        )
    known, table = None if explanation is None else read_explanation(explanation), _marks_in(descriptors, descriptor)
    listed = len(known.ranking) if known is not None else 1 if table is not None else 2 * attributes
    asked = conditions(fail_if, listed)
    if out is not None:
        check_audit_place(Path(out), overwrite=overwrite)
    earlier, later = (_version(given, classifier_spec, on) for given in (before, after))
    runs = [given for given in (before, after) if is_run(given)]
    if known is not None and explanation is not None:
        opened = run_of(
            known, explanation, run or next(iter(runs), None), earlier, classifier_spec, True, on, listener
        ).explaining(known, explanation)
    elif run is not None or runs:
        opened = run_at(run if run is not None else runs[0], earlier, classifier_spec, True, on, listener)
    else:
        raise ConfigError(
            f"neither {before} nor {after} is a run, and none is named to draw with; give {option('run')}, or "
            f"{option('explanation')}"
        )
    archive = opened.images(data)
    held_out = archive.split("test")
    if known is not None:
        shown, searched = (
            known.ranking.attributes,
            searched_images(known, opened.classifier, held_out, archive.fingerprint, listener),
        )
    elif table is not None:
        plain = TrainedSubject.of(opened.snapshot, opened.classifier)
        marked = _marked_in(plain, archive, table, descriptor, seed, listener)
        opened = replace(opened, snapshot=marked.subject.snapshot)
        shown, searched = (marked.attribute,), frozenset()  # of training images, which are not measured on
    else:
        opened, shown, searched = _found_with_both(
            opened, (earlier, later), archive, (images, attributes, method), listener
        )
        asked = conditions(fail_if, len(shown))
    others = np.flatnonzero([name not in searched for name in held_out.names])
    result = audit_versions(
        subject_of(opened.snapshot, opened.classifier),
        Versions(before=earlier, after=later, names=(describe(before), describe(after))),
        held_out.subset(others[spread(len(others), min(measured, len(others)))]),
        shown,
        seed=seed,
        listener=listener,
    )
    remark = classifier_remark(opened.identity)
    result = replace(
        result,
        checks=tuple(condition.check(result) for condition in asked),
        notes=(*result.notes, *([] if remark is None else [remark])),
        snapshot={"path": str(opened.snapshot.path), "sha256": opened.snapshot.sha256},
        settings={
            "verb": "audit",
            "before": str(before),
            "after": str(after),
            "fingerprints": [fingerprint(earlier), fingerprint(later)],
            "run": str(opened.path),
            "data": str(data),
            "data_fingerprint": archive.fingerprint,
            "explanation": None if explanation is None else str(explanation),
            "descriptors": None if descriptors is None else str(descriptors),
            "descriptor": descriptor,
            "fail_if": fail_if,
            "images": images,
            "measured": measured,
            "attributes": attributes,
            "method": method,
            "seed": seed,
        },
    )
    if out is not None:
        write_audit(result, out, markdown=audit_markdown(result), junit=audit_junit(result))
    return result


def _found_with_both(
    run: Run,
    versions: tuple[Classifier, Classifier],
    archive: ImageSet,
    how: tuple[int, int, MethodName | Literal["auto"]],
    listener: Listener,
) -> tuple[Run, tuple[Attribute, ...], frozenset[str]]:
    """Attributes that move either version, no coordinate twice, and the images that they were found on."""
    from stylex.evaluation.found import find as search_for
    from stylex.evaluation.options import Options
    from stylex.evaluation.subject import subject_of
    from stylex.search.methods import suited

    images, attributes, asked = how
    method = suited(asked, run.snapshot)
    run = replace(run, snapshot=run.subject(method, archive).snapshot)
    config = SearchConfig(images=images, attributes=attributes, method=method)
    options = Options(searched=images, attributes=attributes, search=config)
    shown: list[Attribute] = []
    searched: frozenset[str] = frozenset()
    for version in versions:
        targets = range(version.k)
        found = search_for(
            subject_of(run.snapshot, version), archive.split("test"), targets, options, listener=listener
        )
        shown += [a for a in found.shown if all(a.coordinate != other.coordinate for other in shown)]
        searched |= found.images
    return run, tuple(shown), searched


def _attribute_of(explanation: Explanation, named: str, folder: str | Path) -> Attribute:
    """An attribute by its number, from 1, or its name.

    Raises:
        SearchError: there is none.
    """
    ranking = explanation.ranking
    given = str(named).strip()
    if given.isdecimal() and len(given) < 10 and 1 <= int(given) <= len(ranking):
        return ranking[int(given) - 1]
    alike = [attribute for attribute in ranking if attribute.name == given]
    if len(alike) == 1:
        return alike[0]
    listed = ", ".join(f"{i} {a.name}" for i, a in enumerate(ranking, start=1)) or "none"
    raise SearchError(
        f"{folder} has no attribute {given[:80]!r}; its attributes are {listed[:500]}: give one's number or name"
    )


def _marks_in(descriptors: str | Path | None, descriptor: str | None) -> Descriptors | None:
    """The table of marks, where there is one; with the column that is meant.

    Raises:
        ConfigError: a column is named of no table.
        DataError: the table cannot be read, or has no such column.
    """
    from stylex.bias.marked import column_of
    from stylex.data.descriptors import read_descriptors

    if descriptors is None:
        if descriptor is not None:
            raise ConfigError(
                f"{option('descriptor', descriptor)} is a column of a table: give {option('descriptors')} too"
            )
        return None
    table = read_descriptors(descriptors)
    column_of(table, descriptor)
    return table


def _marked_in(
    subject: TrainedSubject,
    images: ImageSet,
    descriptors: Descriptors,
    descriptor: str | None,
    seed: int,
    listener: Listener,
) -> Marked:
    """The direction between the groups that a table marks; tells how well it reads them."""
    from stylex.bias.marked import WEAK, marked_direction

    marked = marked_direction(subject, images, descriptors, descriptor, seed=seed)
    many = "; ".join(f"{label} {up} high, {down} low" for label, (up, down) in marked.counts.items())
    said = (
        f"{marked.attribute.name}: {len(marked.high)} training images are marked ({many}); {marked.right:.0%} of those "
        f"left out of the fit are read right ({marked.by_chance:.0%} with marks exchanged)"
    )
    listener(Found(message=said) if marked.right >= WEAK else Alarm(message=f"{said}: mark more of the rarer kinds"))
    if unknown := len(descriptors.images) - len(descriptors.of(images.names, images.files)[0]):
        listener(Alarm(message=f"{unknown} rows of the table name no image of {images.path}, and count for nothing"))
    return marked


def _version(given: str | Path, spec: ClassifierSpecLike | None, device: str) -> Classifier:
    """One version of a classifier: a run's, or one by itself."""
    from stylex.classifiers import load_classifier
    from stylex.opening import Run, refuse_regression, spec_of

    if is_run(given):
        return Run.open(given, classifier_spec=spec, device=device).classifier
    opened = load_classifier(given, spec_of(spec)).to(device)
    refuse_regression(opened)
    return opened
