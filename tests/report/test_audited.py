"""An audit as Markdown and JUnit: numbers with intervals, failures where a condition holds, no name that breaks out."""

from __future__ import annotations

from dataclasses import replace
from xml.etree import ElementTree

from stylex.core.audited import Audit, AuditedAttribute, Checked, Group, Versus
from stylex.core.evaluation import Interval
from stylex.report.audited import audit_junit, audit_markdown


def versus(before: float, after: float) -> Versus:
    def number(value: float) -> Interval:
        return Interval(value=value, low=value - 0.1, high=value + 0.1)

    return Versus(before=number(before), after=number(after), difference=number(after - before))


AUDIT = Audit(
    before="old",
    after="new",
    labels=("healthy", "sick"),
    images=100,
    attributes=(
        AuditedAttribute(
            number=1,
            name="a | b <script>\x00",
            target_label="sick",
            weight=versus(2.0, 0.4),
            weight_photograph=versus(2.0, 0.4),
            kept=Interval(value=0.2, low=0.1, high=0.3),
            flips=versus(0.5, 0.2),
            flips_photograph=versus(0.5, 0.25),
            random_weight=(0.1, 0.1),
            random_flips=(0.01, 0.01),
            worst=versus(0.4, 0.8),
            groups=(Group(label="sick", place="low", images=12, accuracy=versus(0.4, 0.8)),),
        ),
    ),
    accuracy=versus(0.93, 0.92),
    checks=(
        Checked(said="attribute 1 > 0.3", values={"attribute 1 weight": 0.4}, holds=True),
        Checked(said="accuracy < 0.9", values={"accuracy": 0.92}, holds=False),
    ),
    notes=("Said <b>so</b>.",),
)


def test_markdown_says_all_and_no_name_ends_a_cell() -> None:
    text = audit_markdown(AUDIT)
    assert "**failed**: `attribute 1 > 0.3` (attribute 1 weight 0.400)" in text
    assert "passed: `accuracy < 0.9`" in text
    assert "2.000 [1.900, 2.100]" in text
    assert "a \\| b &lt;script>" in text
    assert "<b>" not in text
    rows = [line for line in text.splitlines() if line.startswith("|")]
    assert all(line.endswith("|") for line in rows)


def test_junit_is_xml_with_one_failure_for_what_holds() -> None:
    root = ElementTree.fromstring(audit_junit(AUDIT))
    (suite,) = root
    assert (suite.get("tests"), suite.get("failures")) == ("3", "1")
    assert len(suite) == 3
    (failure,) = root.iter("failure")
    assert failure.get("message") == "attribute 1 > 0.3: attribute 1 weight 0.400"
    passed = ElementTree.fromstring(audit_junit(replace(AUDIT, checks=AUDIT.checks[1:])))
    assert not list(passed.iter("failure"))


def test_what_became_of_an_attribute_is_said_only_where_its_interval_is_sure() -> None:
    (a,) = AUDIT.attributes
    assert a.verdict == "lost"
    assert replace(a, weight=versus(0.4, 2.0)).verdict == "gained"
    assert replace(a, weight=versus(2.0, -1.0)).verdict == "turned round"
    assert replace(a, weight=versus(2.0, 2.05)).verdict == "unchanged"
