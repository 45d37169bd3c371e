"""What a study's answers say: accuracy, agreement, words and time, beside what passes by accident."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from itertools import combinations

import numpy as np

from stylex.core.evaluation import Interval
from stylex.core.study import Answers, Kind, Study
from stylex.metrics.interval import bootstrap
from stylex.metrics.krippendorff import alpha, apart
from stylex.metrics.significance import holm, sign_flip
from stylex.metrics.wilson import Z, wilson
from stylex.study.analysed import Analysis, Described, Difference, Judged, Raters, Row, Sorted, Worded
from stylex.study.machine import Told
from stylex.study.words import spoken, stems


def analyse(
    study: Study, answers: Answers, *, most_failed: int = 0, machine: Mapping[int, Told] | None = None
) -> Analysis:
    """Everything that was asked, answered in numbers.

    Args:
        study: what was asked.
        answers: what was said.
        most_failed: how many checks a rater may fail before all of his answers are left out.
        machine: what a machine makes of each question.
    """
    rows = rows_of(study, answers, most_failed)
    counted = [row for row in rows if not row.left_out]
    asked = [row for row in counted if row.item.kind == "sort" and row.item.role == "question"]
    by_method = {method: [row for row in asked if _method(study, row) == method] for method in study.methods}
    by_subject = {i: [row for row in asked if row.subject == i] for i in range(len(study.subjects))}
    own = [i for i, of_it in by_subject.items() if of_it]
    return Analysis(
        title=study.title,
        most_failed=most_failed,
        raters=_raters(study, answers, rows),
        methods=_tested([(method, of_it) for method, of_it in by_method.items() if of_it]),
        controls=tuple(_controls(study, rows, machine)),
        attributes={
            i: replace(entry, alpha=math.nan)
            for i, entry in zip(own, _tested([(study.subjects[i].name, by_subject[i]) for i in own]), strict=True)
        },
        differences=tuple(_differences(study, asked)),
        words=tuple(_worded(study, counted)),
        judged=tuple(_judged(study, counted)),
        notes=study.notes,
    )


def rows_of(study: Study, answers: Answers, most_failed: int) -> list[Row]:
    """Every answer beside what was asked, by rater and place."""
    failed: Counter[int] = Counter()
    out = []
    for answer in answers.given:
        asked = study.orders[answer.rater][answer.place]
        item = study.items[asked.item]
        side, correct = None, None
        if item.kind == "sort":
            assert answer.side is not None
            side, correct = answer.side ^ asked.flipped, answer.side == asked.right
        elif item.role == "check":
            correct = stems(answer.words or "") == stems(item.word or "")
        failed[answer.rater] += item.role == "check" and not correct
        out.append((asked, item, answer, side, correct))
    return [
        Row(asked=a, item=i, answer=n, side=s, correct=r, left_out=failed[n.rater] > most_failed)
        for a, i, n, s, r in out
    ]


def _method(study: Study, row: Row) -> str:
    return study.subjects[row.item.subjects[0]].method


def _raters(study: Study, answers: Answers, rows: Sequence[Row]) -> Raters:
    given = Counter(answer.rater for answer in answers.given)
    finished = sum(given[rater] == len(study.orders[rater]) for rater in answers.consented)
    checks = [row.correct for row in rows if row.item.role == "check"]
    return Raters(
        invited=len(study.orders),
        began=len(answers.consented) + len(answers.withdrawn),
        finished=finished,
        stopped=len(answers.consented) - finished,
        withdrew=len(answers.withdrawn),
        left_out=tuple(sorted({row.answer.rater for row in rows if row.left_out})),
        checks=wilson(sum(map(bool, checks)), len(checks)),
    )


# Sorting.


def _sorted(about: str, rows: Sequence[Row]) -> Sorted:
    own = _accuracies(rows)
    values = np.array(list(own.values()))
    units: dict[int, list[int]] = {}
    for row in rows:
        assert row.side is not None
        units.setdefault(row.asked.item, []).append(row.side)
    return Sorted(
        about=about,
        answers=len(rows),
        raters=len(own),
        accuracy=wilson(sum(bool(row.correct) for row in rows), len(rows)),
        of_raters=bootstrap(lambda places: float(values[places].mean()), len(values)),
        alpha=alpha(list(units.values())) if len({row.item.truth for row in rows}) > 1 else math.nan,
        seconds=_median(rows),
    )


def _accuracies(rows: Iterable[Row]) -> dict[int, float]:
    """Of each rater."""
    own: dict[int, list[bool]] = {}
    for row in rows:
        own.setdefault(row.answer.rater, []).append(bool(row.correct))
    return {rater: sum(said) / len(said) for rater, said in sorted(own.items())}


def _tested(groups: Sequence[tuple[str, Sequence[Row]]]) -> tuple[Sorted, ...]:
    """Each with the p-value of its raters guessing, corrected for the number of all."""
    p = [sign_flip(np.array(list(_accuracies(rows).values())) - 0.5) for _, rows in groups]
    corrected = holm(np.array(p))
    return tuple(
        replace(_sorted(about, rows), p=p[i], p_corrected=float(corrected[i])) for i, (about, rows) in enumerate(groups)
    )


def _controls(study: Study, rows: Sequence[Row], machine: Mapping[int, Told] | None) -> Iterable[Sorted]:
    """What passes by accident."""
    sorts = [row for row in rows if row.item.kind == "sort"]
    asked = [row for row in sorts if row.item.role == "question" and not row.left_out]
    if not asked:
        return
    n, nobody = len(asked), Interval.nothing()
    reach = Z * math.sqrt(0.25 / n)
    yield Sorted(
        about="who guesses", answers=n, raters=0, of_raters=nobody,
        accuracy=Interval(value=0.5, low=max(0.0, 0.5 - reach), high=min(1.0, 0.5 + reach)),
    )  # fmt: skip
    left = sum(row.asked.right == 0 for row in asked)
    yield Sorted(
        about="who always presses left", answers=n, raters=0, accuracy=wilson(left, n), of_raters=nobody
    )  # fmt: skip
    same = [row for row in sorts if row.item.role == "same" and not row.left_out]
    if same:
        yield _sorted("the same attribute on both sides", same)
    if any(row.left_out for row in sorts):
        yield _sorted(
            "raters who failed checks", [row for row in sorts if row.item.role == "question" and row.left_out]
        )
    for method in study.methods if machine else ():
        assert machine is not None
        told = [machine[row] for row in sorted({row.asked.item for row in asked if _method(study, row) == method})]
        for words, right in (
            ("by what changes", [one.change for one in told]),
            ("by the first picture alone", [one.first for one in told]),
        ):
            yield Sorted(
                about=f"a machine, {words}: {method}", answers=len(told), raters=0,
                accuracy=wilson(sum(right), len(right)), of_raters=nobody,
            )  # fmt: skip


def _differences(study: Study, asked: Sequence[Row]) -> list[Difference]:
    own = {method: _accuracies(row for row in asked if _method(study, row) == method) for method in study.methods}
    found = []
    for one, other in combinations([method for method, known in own.items() if known], 2):
        both = sorted(own[one].keys() & own[other].keys())
        values = np.array([own[one][rater] - own[other][rater] for rater in both])
        p = min(1.0, 2 * min(sign_flip(values), sign_flip(-values)))
        interval = bootstrap(lambda places, values=values: float(values[places].mean()), len(values))  # type: ignore[misc]
        found.append((one, other, len(both), interval, p))
    corrected = holm(np.array([row[4] for row in found]))
    return [
        Difference(one=one, other=other, raters=n, accuracy=interval, p=p, p_corrected=float(corrected[i]))
        for i, (one, other, n, interval, p) in enumerate(found)
    ]


# Words and judgements.


def _worded(study: Study, rows: Sequence[Row]) -> Iterable[Worded]:
    for task in ("describe", "clinical"):
        for method in study.methods:
            said: dict[int, list[Row]] = {}
            for row in rows:
                if row.item.kind == task and row.item.role == "question" and _method(study, row) == method:
                    assert row.subject is not None
                    said.setdefault(row.subject, []).append(row)
            if said:
                yield _worded_method(method, "describe" if task == "describe" else "clinical", said)


def _worded_method(method: str, task: Kind, said: Mapping[int, Sequence[Row]]) -> Worded:
    # Of several pictures of one attribute, a rater's words count together.
    own = {subject: _by_rater(rows) for subject, rows in sorted(said.items())}
    sets = {subject: list(by.values()) for subject, by in own.items()}
    attributes = tuple(_described(subject, said[subject]) for subject in sets)
    within = [bool(a & b) for unit in sets.values() for a, b in combinations(unit, 2)]
    across = [
        bool(a & b)
        for one, other in combinations(own.values(), 2)
        for rater, a in one.items()
        for another, b in other.items()
        if rater != another
    ]
    tops = Counter(stem for entry in attributes if entry.words for stem in stems(entry.words[0][0]))
    return Worded(
        method=method,
        task=task,
        alpha=alpha(list(sets.values()), apart),
        shared=_share(within),
        by_accident=_share(across),
        common=sum(bool(entry.words) and entry.words[0][1] >= 0.5 for entry in attributes),
        collisions=sum(many * (many - 1) // 2 for many in tops.values()),
        attributes=attributes,
    )


def _by_rater(rows: Sequence[Row]) -> dict[int, frozenset[str]]:
    out: dict[int, frozenset[str]] = {}
    for row in rows:
        out[row.answer.rater] = out.get(row.answer.rater, frozenset()) | stems(row.answer.words or "")
    return out


def _described(subject: int, rows: Sequence[Row]) -> Described:
    sets = _by_rater(rows)
    written: dict[str, Counter[str]] = {}
    for row in rows:
        for stem, word in spoken(row.answer.words or "").items():
            written.setdefault(stem, Counter())[word] += 1
    used = Counter(stem for said in sets.values() for stem in said)
    best = sorted(used.items(), key=lambda entry: (-entry[1], entry[0]))[:5]
    return Described(
        subject=subject,
        raters=len(sets),
        words=tuple((written[stem].most_common(1)[0][0], many / len(sets)) for stem, many in best),
        shared=_share([bool(a & b) for a, b in combinations(sets.values(), 2)]),
        seconds=_median(rows),
    )


def _judged(study: Study, rows: Sequence[Row]) -> Iterable[Judged]:
    clinical = [row for row in rows if row.item.kind == "clinical" and row.item.role == "question"]
    for method in study.methods:
        own = [row for row in clinical if _method(study, row) == method]
        if own:
            yield _judgement(method, None, own)
        for subject in sorted({row.item.subjects[0] for row in own}):
            of_it = [row for row in own if row.item.subjects[0] == subject]
            yield _judgement(study.subjects[subject].name, subject, of_it)


def _judgement(about: str, subject: int | None, rows: Sequence[Row]) -> Judged:
    said = Counter(row.answer.plausible for row in rows)
    units: dict[int, list[str]] = {}
    for row in rows:
        units.setdefault(row.asked.item, []).append(row.answer.plausible or "")
    return Judged(
        about=about,
        subject=subject,
        answers=len(rows),
        plausible=wilson(said["yes"], len(rows)),
        implausible=wilson(said["no"], len(rows)),
        alpha=alpha(list(units.values())),
        seconds=_median(rows),
    )


def _share(said: Sequence[bool]) -> float:
    return sum(said) / len(said) if said else math.nan


def _median(rows: Sequence[Row]) -> float:
    return float(np.median([row.answer.seconds for row in rows])) if rows else math.nan
