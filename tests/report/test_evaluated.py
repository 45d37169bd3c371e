"""An evaluation in the report: in words, with every number, and only where there is one."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from stylex.core.attribute import AttributeRanking
from stylex.core.evaluation import About, Evaluation, Interval, Measure, MeasuredAttribute
from stylex.core.explanation import Explanation
from stylex.report import write_report
from stylex.report.evaluated import evaluated
from stylex.report.page import render_report
from stylex.report.words import name_of, technical
from stylex.store.evaluation import write_evaluation
from stylex.store.folder import EVALUATION

FOLDER = Path(__file__).parents[1] / "data_files" / "explanation"


def about(name: str) -> dict[str, object]:
    known = About.named(name)
    return {"kind": known.kind, "target": known.target, "top": known.top}


def measure(name: str, value: float, images: int = 40, **more: object) -> Measure:
    return Measure(
        name=name, value=value, low=value - 0.05, high=min(value + 0.05, 1.0), images=images, **about(name), **more
    )  # type: ignore[arg-type]


def evaluation(**changes: float) -> Evaluation:
    values = {
        "reconstruction.agreement": 0.97,
        "reason.same": 0.6,
        "reason.same_other": 0.2,
        "lost.turned": 0.06,
        "lost.turned_other": 0.02,
        "lost.turned_mixed": 0.03,
        "follows.w": 0.98,
        "follows.w_chance": 0.5,
        "account.top1_to_boot": 0.3,
        "account.top10_to_boot": 0.7,
        "account.mixtures_top10_to_boot": 0.25,
        "sufficiency.top1_to_boot": 0.2,
        "sufficiency.top10_to_boot": 0.9,
        "sufficiency.random10_equal_length_to_boot": 0.05,
        "photograph.rebuilt_top10_to_boot": 0.9,
        "photograph.photograph_top10_to_boot": 0.85,
        "photograph.random_photograph_top10_to_boot": 0.04,
        "preservation.perceptual": 0.2,
        "preservation.perceptual_random": 0.3,
        "observer.accuracy_of_4": 0.95,
        "stability.matched": 0.8,
        "stability.p": 0.005,
    } | {name.replace("__", "."): value for name, value in changes.items()}
    return Evaluation(
        title="How far",
        labels=("shoe", "boot"),
        searched=30,
        measured=50,
        measures=tuple(measure(name, value) for name, value in values.items()),
        attributes=(
            MeasuredAttribute(
                name="<b>heel</b>", target_label="boot", shift_range=1.0, q=0.01, p=0.01, claimed=True,
                effect=Interval(value=1.2, low=1.0, high=1.4), random_effect=-0.02,
            ),
        ),
        settings={},
        snapshot={},
        notes=("A note on it.",),
    )  # fmt: skip


NOTHING = AttributeRanking(attributes=(), strategy="attfind", images=0, explained=0.0, finding="")


def test_good_numbers_are_good_news() -> None:
    checks = evaluated(evaluation(), NOTHING).checks
    assert {check.level for check in checks} == {"good"}
    account, towards, laid = [check.text for check in checks if check.text.startswith("Towards boot")]
    assert "on the photographs themselves turns 85% (80% to 90%) of 40, where it turns 90%" in laid
    assert "turn 4% of the photographs" in laid
    assert "the best 10 attributes together turn 90% (85% to 95%) of 40 images" in towards
    assert "turn 5%" in towards
    assert "the 10 attributes together account for 70% (65% to 75%) of how the answers on 40 photographs" in account
    assert account.endswith("as many random directions for 25%.")


@pytest.mark.parametrize(
    ("changes", "level", "said"),
    [
        ({"reconstruction__agreement": 0.8}, "warning", "same answer"),
        ({"account__top10_to_boot": 0.06}, "warning", "how the answers on 40 photographs differ"),
        ({"account__top10_to_boot": 0.3}, "care", "how the answers on 40 photographs differ"),
        ({"account__mixtures_top10_to_boot": 0.68}, "care", "as many random directions for 68%"),
        ({"sufficiency__top10_to_boot": 0.08}, "warning", "Towards boot"),
        ({"sufficiency__top10_to_boot": 0.3}, "care", "Towards boot"),
        ({"photograph__photograph_top10_to_boot": 0.3}, "care", "on the photographs themselves"),
        ({"photograph__random_photograph_top10_to_boot": 0.6}, "warning", "turn 60% of the photographs"),
        ({"reason__same": 0.35}, "care", "What the classifier looks at"),
        ({"reason__same": 0.22}, "warning", "What the classifier looks at"),
        ({"lost__turned": 0.4}, "warning", "most decisive tenth"),
        ({"lost__turned": 0.4, "lost__turned_mixed": 0.33}, "care", "33% by chance"),
        ({"lost__turned": 0.14}, "care", "most decisive tenth"),
        ({"follows__w": 0.8}, "care", "another image's fine structure"),
        ({"follows__w": 0.52}, "warning", "another image's fine structure"),
        ({"preservation__perceptual": 0.4}, "care", "An attribute changes the look"),
        ({"observer__accuracy_of_4": 0.3}, "care", "named the right one of 4"),
        ({"stability__p": 0.4}, "warning", "chance alone explains"),
    ],
)
def test_bad_numbers_come_first(changes: dict[str, float], level: str, said: str) -> None:
    first = evaluated(evaluation(**changes), NOTHING).checks[0]
    assert first.level == level
    assert said in first.text


def test_the_report_shows_what_lies_in_the_folder(tmp_path: Path) -> None:
    folder = tmp_path / "explanation"
    shutil.copytree(FOLDER, folder)
    without = write_report(folder).read_text()
    assert "Does it hold on other images?" not in without
    write_evaluation(evaluation(), folder / EVALUATION)
    page = write_report(folder).read_text()
    assert "Does it hold on other images?" in page
    assert "Found on 30 images, measured on 50 others" in page
    assert "&lt;b&gt;heel&lt;/b&gt;" in page
    assert "<b>heel</b>" not in page
    assert "A note on it." in page


def test_attributes_have_the_names_of_the_explanation(explanation: Explanation) -> None:
    found = evaluation()
    own = replace(found.attributes[0], name=technical(explanation.ranking[0]))
    shown = evaluated(replace(found, attributes=(own, *found.attributes)), explanation.ranking)
    assert [name for name, _ in shown.attributes] == [name_of(explanation.ranking, 0), "<b>heel</b>"]


def test_an_explanation_without_an_evaluation_is_a_report_as_before(explanation: Explanation) -> None:
    assert render_report(explanation) == render_report(explanation, None)
