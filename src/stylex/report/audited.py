"""An audit for people and pipelines: as Markdown, and as JUnit's XML."""

from __future__ import annotations

import math
from collections.abc import Mapping
from xml.etree.ElementTree import Element, SubElement, indent, tostring

from stylex.core.audited import Audit, AuditedAttribute, Versus
from stylex.core.evaluation import Interval


def audit_markdown(audit: Audit) -> str:
    """The audit as Markdown: checks first, then a row for each attribute, then groups."""
    lines = [f"# {_plain(audit.before)} against {_plain(audit.after)}", ""]
    lines += [
        f"- {'**failed**' if check.holds else 'passed'}: `{check.said}` ({values(check.values)})"
        for check in audit.checks
    ]
    lines += ["", f"Measured on {audit.images} held-out images; 95% intervals over images in brackets.", ""]
    lines += _table(
        ("", "before", "after", "difference"),
        [("accuracy", *_three(audit.accuracy))] if audit.accuracy else [],
    )
    lines += [
        "Weight: change of the target's log odds from one end of the attribute to the other, on rebuilt pictures; "
        "beside it the mean size of that along random directions turned as far.",
        "",
    ]
    lines += _table(
        ("attribute", "towards", "weight before", "after", "kept", "random before", "after", ""),
        [
            (
                f"{a.number} {_plain(a.name)}",
                _plain(a.target_label),
                bracketed(a.weight.before),
                bracketed(a.weight.after),
                bracketed(a.kept),
                *map(_number, a.random_weight),
                a.verdict,
            )
            for a in audit.attributes
        ],
    )
    lines += ["Flips: share of the photographs whose answers differ between the attribute's two ends.", ""]
    lines += _table(
        ("attribute", "flips before", "after", "random before", "after", "worst group before", "after", "difference"),
        [
            (
                f"{a.number} {_plain(a.name)}",
                bracketed(a.flips_photograph.before),
                bracketed(a.flips_photograph.after),
                *map(_number, a.random_flips),
                *_three(a.worst),
            )
            for a in audit.attributes
        ],
    )
    for a in audit.attributes:
        lines += _groups(a)
    return "\n".join([*lines, *(f"Note: {_plain(note)}" for note in audit.notes), ""])


def audit_junit(audit: Audit) -> str:
    """The audit as JUnit's XML: a test case for each check, and one for each attribute, which tells and never fails."""
    failed = sum(check.holds for check in audit.checks)
    suite = Element(
        "testsuite",
        name="stylex audit",
        tests=str(len(audit.checks) + len(audit.attributes)),
        failures=str(failed),
        errors="0",
        skipped="0",
    )
    for check in audit.checks:
        case = SubElement(suite, "testcase", classname="stylex.audit.checks", name=_text(f"not ({check.said})"))
        if check.holds:
            SubElement(case, "failure", message=_text(f"{check.said}: {values(check.values)}"))
    for a in audit.attributes:
        name = _text(f"attribute {a.number}: {a.name} towards {a.target_label}")
        case = SubElement(suite, "testcase", classname="stylex.audit.attributes", name=name)
        said = f"{a.verdict}: weight {bracketed(a.weight.before)}, then {bracketed(a.weight.after)}"
        SubElement(case, "system-out").text = _text(said)
    root = Element("testsuites", tests=suite.get("tests", ""), failures=str(failed), errors="0")
    root.append(suite)
    indent(root)
    return f'<?xml version="1.0" encoding="UTF-8"?>\n{tostring(root, encoding="unicode")}\n'


def bracketed(interval: Interval) -> str:
    """A number with its interval in brackets."""
    if not math.isfinite(interval.value):
        return "-"
    if not math.isfinite(interval.low):
        return _number(interval.value)
    return f"{_number(interval.value)} [{_number(interval.low)}, {_number(interval.high)}]"


def values(measured: Mapping[str, float]) -> str:
    """What a condition names, with what was measured of it."""
    return ", ".join(f"{name} {_number(value)}" for name, value in measured.items())


def _groups(a: AuditedAttribute) -> list[str]:
    if not a.groups:
        return []
    rows = [(_plain(group.label), group.place, str(group.images), *_three(group.accuracy)) for group in a.groups]
    head = ("label", "place", "images", "accuracy before", "after", "difference")
    return [f"## Groups by attribute {a.number} {_plain(a.name)}", "", *_table(head, rows)]


def _table(head: tuple[str, ...], rows: list[tuple[str, ...]]) -> list[str]:
    if not rows:
        return []
    lines = [head, tuple("---" for _ in head), *rows]
    return [*(f"| {' | '.join(line)} |" for line in lines), ""]


def _three(pair: Versus | None) -> tuple[str, ...]:
    if pair is None:
        return ("-", "-", "-")
    return bracketed(pair.before), bracketed(pair.after), bracketed(pair.difference)


def _number(value: float) -> str:
    return f"{value:.3g}" if abs(value) >= 100 else f"{value:.2f}" if abs(value) >= 10 else f"{value:.3f}"


def _plain(text: str) -> str:
    """A name that neither ends a cell nor begins a tag."""
    return " ".join(text.split()).replace("\\", "\\\\").replace("|", "\\|").replace("<", "&lt;")


def _text(text: str) -> str:
    """Without what XML cannot say."""
    return "".join(letter for letter in text if letter in "\t\n" or letter.isprintable())
