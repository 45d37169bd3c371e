"""What a study says, as one HTML page, one table of answers (CSV) and JSON: a folder that opens anywhere."""

from __future__ import annotations

import csv
import dataclasses
import io
import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from stylex.core.errors import StoreError
from stylex.core.evaluation import Interval
from stylex.core.files import new_folder
from stylex.core.study import Study
from stylex.report.figures import enlarge
from stylex.report.filled import asset, filled, picture_uri
from stylex.store.place import check_free
from stylex.store.study import read_picture
from stylex.study.analysed import Analysis, Row, Sorted

ANALYSIS, PAGE, TABLE = "analysis.json", "analysis.html", "answers.csv"
ANALYSIS_SCHEMA, ANALYSIS_VERSION = "stylex-analysis", 1
_COLUMNS = (
    "rater", "place", "task", "role", "method", "attribute", "other", "image", "side", "correct", "chosen", "words",
    "plausible", "seconds", "left_out",
)  # fmt: skip
_THUMB = 96
_FEW = 5
"""With fewer raters, no pattern of signs is rare enough to be called significant."""


def check_analysis_place(target: Path, *, overwrite: bool) -> None:
    """Say before any work that an analysis could not be written there.

    Raises:
        StoreError: something else stands there, an analysis that may not be replaced, or the system refuses.
    """
    check_free(target, ANALYSIS, ANALYSIS_SCHEMA, overwrite=overwrite)


def write_analysis(
    analysis: Analysis, study: Study, rows: Sequence[Row], *, pictures: Path, out: Path, overwrite: bool = False
) -> Path:
    """Write the page, the numbers and the answers, whole or not at all; returns the page's path.

    Args:
        analysis: the numbers.
        study: what was asked.
        rows: every answer beside what was asked.
        pictures: the study's folder.
        out: the folder to write.
        overwrite: replace an older analysis; what a person added to it is kept.

    Raises:
        StoreError: the place is taken, or the disk refuses.
    """
    check_analysis_place(out, overwrite=overwrite)
    content = {
        "schema": ANALYSIS_SCHEMA,
        "version": ANALYSIS_VERSION,
        "subjects": [dataclasses.asdict(subject) for subject in study.subjects],
        **_plain(dataclasses.asdict(analysis)),
    }
    files = {
        ANALYSIS: json.dumps(content, allow_nan=False, ensure_ascii=False, indent=1),
        PAGE: analysis_page(analysis, study, pictures),
        TABLE: table_of(study, rows),
    }
    with new_folder(out, replace=overwrite, keep=lambda name: name not in files) as building:
        for name, text in files.items():
            (building / name).write_text(text, encoding="utf-8", newline="")
    return out / PAGE


def _plain(value: Any) -> Any:
    """The same for JSON, in which what could not be measured is null."""
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if isinstance(value, dict):
        return {str(key): _plain(inner) for key, inner in value.items()}
    return [_plain(inner) for inner in value] if isinstance(value, list | tuple) else value


def table_of(study: Study, rows: Sequence[Row]) -> str:
    """Every answer as a line of CSV; a typed text that a spreadsheet would take for a formula begins with a quote."""
    text = io.StringIO()
    lines = csv.writer(text, lineterminator="\n")
    lines.writerow(_COLUMNS)

    def name(place: int | None) -> str:
        return "" if place is None else _harmless(study.subjects[place].name)

    for row in rows:
        item, answer = row.item, row.answer
        others = [place for i, place in enumerate(item.subjects) if len(item.subjects) > 1 and i != (item.truth or 0)]
        lines.writerow(
            [
                answer.rater + 1, answer.place + 1, item.kind, item.role,
                _harmless(study.subjects[item.subjects[0]].method) if item.subjects else "",
                name(row.subject), name(others[0] if others else None),
                "" if item.picture is None else _harmless(study.flickers[item.picture].image),
                "" if answer.side is None else ("left", "right")[answer.side],
                "" if row.correct is None else int(row.correct), name(row.chosen),
                _harmless(" ".join((answer.words or "").split())), answer.plausible or "", round(answer.seconds, 3),
                int(row.left_out),
            ]
        )  # fmt: skip
    return text.getvalue()


def _harmless(text: str) -> str:
    return f"'{text}" if text.startswith(("=", "+", "-", "@", "\t", "\r", "'")) else text


# The page.


@dataclass(frozen=True)
class Line:
    """A line of the table of accuracies.

    Attributes:
        kind: ``method``, ``attribute`` or ``control``.
        pictures: one image before and after, where there is one to show.
    """

    kind: str
    name: str
    below: str
    entry: Sorted
    pictures: tuple[str, str] | None = None


def analysis_page(analysis: Analysis, study: Study, folder: Path) -> str:
    """The page's HTML: one file with everything in it, which opens anywhere without a network."""
    thumbs = {i: _thumbs(study, folder, i) for i in range(len(study.subjects))}
    return filled(
        "analysis.html.j2",
        asset("page.css") + asset("analysis.css", "stylex.study"),
        "",
        room="stylex.study",
        a=analysis,
        study=study,
        says=list(findings(analysis)),
        cautions=list(cautions(analysis)),
        lines=list(_lines(analysis, study, thumbs)),
        thumbs=thumbs,
        share=share,
        reach=reach,
        number=number,
        chance=chance,
        place=_place,
        failed=_more_than(analysis.most_failed),
    )


def lines_of(analysis: Analysis) -> list[str]:
    """The same in lines for a terminal, controls beside the accuracies."""
    raters = analysis.raters
    rows = [*analysis.methods, *analysis.controls]
    wide = max((len(row.about) for row in rows), default=0)
    return [
        f"{raters.began} of {raters.invited} raters began, {raters.finished} finished, {raters.stopped} stopped early, "
        f"{len(raters.left_out)} left out",
        *(
            f"  {row.about:<{wide}}  {share(row.accuracy):>4} of {row.answers:<5} ({reach(row.accuracy)})"
            for row in rows
        ),
        *findings(analysis),
        *(f"note: {said}" for said in cautions(analysis)),
    ]


def findings(analysis: Analysis) -> Iterator[str]:
    """What the numbers say, in sentences; only what was measured is said."""
    for entry in analysis.methods:
        better = entry.p_corrected <= 0.05
        beside = "more often than by guessing" if better else "which guessing may do as well"
        yield (
            f"{entry.about}: {share(entry.accuracy)} of {entry.answers} pictures were sorted to the right attribute "
            f"({reach(entry.accuracy)}), {beside} (one half; {chance(entry.p_corrected)})."
        )
    for row in analysis.differences:
        sure = row.p_corrected <= 0.05
        one, other = (row.one, row.other) if row.accuracy.value >= 0 else (row.other, row.one)
        if sure:
            yield (
                f"Raters told {one} apart better than {other}, by {abs(100 * row.accuracy.value):.0f} points on "
                f"average ({chance(row.p_corrected)})."
            )
        else:
            yield f"Between {one} and {other} no difference is shown ({chance(row.p_corrected)}; {row.raters} raters)."
    for words in analysis.words:
        if words.task == "describe":
            yield (
                f"{words.method}: {words.common} of {len(words.attributes)} attributes have a word that at least half "
                f"of the raters used; two raters share a word in {share(words.shared)} of pairs, of two different "
                f"attributes in {share(words.by_accident)}."
            )
    for judged in analysis.judged:
        if judged.subject is None:
            yield (
                f"{judged.about}: {share(judged.plausible)} of {judged.answers} changes were called plausible "
                f"({reach(judged.plausible)}), {share(judged.implausible)} not."
            )


def cautions(analysis: Analysis) -> Iterator[str]:
    """What to hold against the numbers."""
    raters = analysis.raters
    if raters.left_out:
        one = len(raters.left_out) == 1
        yield (
            f"{len(raters.left_out)} rater{'' if one else 's'} failed {_more_than(analysis.most_failed)} of attention "
            f"and {'is' if one else 'are'} left out of everything below but one line."
        )
    if 0 < raters.began - raters.withdrew - len(raters.left_out) < _FEW:
        yield f"With fewer than {_FEW} raters nothing can be called more than chance."
    for entry in analysis.controls:
        high = entry.accuracy.low > 0.5
        if "first picture alone" in entry.about and high:
            yield (
                f"Even {entry.about.replace(': ', ' of ')}, sorts more than half: raters may have told images apart, "
                "and not what changes."
            )
        if entry.about.startswith("the same attribute") and (high or entry.accuracy.high < 0.5):
            yield "With the same attribute on both sides raters are not at one half: something else tells sides apart."
    yield from analysis.notes


def _more_than(most_failed: int) -> str:
    return f"more than {most_failed} checks" if most_failed > 1 else "two checks or more" if most_failed else "a check"


def _lines(analysis: Analysis, study: Study, thumbs: Mapping[int, tuple[str, str] | None]) -> Iterator[Line]:
    for entry in analysis.methods:
        yield Line("method", entry.about, "all its attributes", entry)
        for i, own in analysis.attributes.items():
            if study.subjects[i].method == entry.about:
                yield Line("attribute", own.about, f"towards {study.subjects[i].target}", own, thumbs[i])
    for entry in analysis.controls:
        yield Line("control", entry.about, "", entry)


def _thumbs(study: Study, folder: Path, subject: int) -> tuple[str, str] | None:
    """An image that an attribute changes, before and after."""
    for item in study.items:
        if subject in item.subjects:
            side = item.subjects.index(subject)
            places = item.examples[side] if item.examples else (item.picture,)
            if places[0] is not None:
                flicker = study.flickers[places[0]]
                before, after = (_thumb(folder, name) for name in (flicker.before, flicker.after))
                return before, after
    return None


def _thumb(folder: Path, name: str) -> str:
    try:
        with Image.open(io.BytesIO(read_picture(folder, name)), formats=("PNG",)) as image:
            pixels = np.asarray(image.convert("RGB" if image.mode != "L" else "L"), dtype=np.uint8)
    except StoreError:
        raise
    except Exception as error:  # Pillow raises nearly anything at bytes that are not what they should be
        raise StoreError(f"{folder / name} cannot be read ({error}); make the study again") from error
    return picture_uri(enlarge(pixels.reshape(*pixels.shape[:2], -1), _THUMB), quality=88)


# Numbers in few digits.


def share(value: Interval | float) -> str:
    """A share in percent; a dash where nothing was measured."""
    known = value.value if isinstance(value, Interval) else value
    return "–" if math.isnan(known) else f"{100 * known:.0f}%"


def reach(interval: Interval) -> str:
    """An interval of a share; nothing where nothing was measured."""
    if math.isnan(interval.low):
        return ""
    return f"{100 * interval.low:.0f} to {100 * interval.high:.0f}%".replace("-", "−")


def number(value: float, digits: int = 2) -> str:
    """A number; a dash where nothing was measured."""
    return "–" if math.isnan(value) else f"{value:.{digits}f}".replace("-", "−")


def chance(p: float) -> str:
    """A corrected p-value."""
    if math.isnan(p):
        return "–"
    return "p < 0.001" if p < 0.001 else f"p = {p:.3f}"


def _place(value: float) -> float:
    """A share's place in a drawing 200 wide."""
    return round(200 * min(1.0, max(0.0, value)), 1)
