"""The study in a real browser: two raters take part, one by keyboard and one on a telephone, and a third leaves."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from stylex.core.study import Answer, Study
from stylex.store.answers import read_answers
from stylex.store.study import read_tokens
from stylex.study.analysis import analyse
from stylex.study.machine import served

pytestmark = pytest.mark.browser
pytest.importorskip("playwright.sync_api", reason="NOT RUN in a browser: pip install playwright")
from playwright.sync_api import Page, expect  # noqa: E402


@pytest.fixture
def study(made) -> tuple[Path, Study]:
    return made(tasks=("sort", "describe", "clinical"), raters=3, attributes=2, images=2, checks=2)


@pytest.fixture
def visit(browser, study) -> Iterator[Any]:
    """Open a rater's link; what goes wrong in the page is an error of the test."""
    contexts, wrong = [], []
    with served(study[0]) as address:

        def opened(rater: int, *, token: str | None = None, **options: Any) -> Page:
            context = browser.new_context(**{"viewport": {"width": 1100, "height": 800}, **options})
            context.set_default_timeout(20_000)
            contexts.append(context)
            page = context.new_page()
            page.on("pageerror", lambda error: wrong.append(str(error)))
            page.on("console", lambda told: wrong.append(told.text) if "Security Policy" in told.text else None)
            page.on("dialog", lambda dialog: dialog.accept())
            page.goto(f"{address}/r/{token or read_tokens(study[0])[rater]}/")
            return page

        yield opened
        for context in contexts:
            context.close()
    assert wrong == []


def asked(page: Page, place: int, total: int) -> None:
    """Until that question is there, its pictures too, and may be answered."""
    expect(page.locator("#progress")).to_have_text(f"{place + 1} of {total}")
    expect(page.locator("main")).to_have_attribute("data-ready", str(place))
    page.wait_for_timeout(300)


def answers_of(study: Study, rater: int) -> list[Answer]:
    """What this script answers: rater 0 is always right, rater 1 never."""
    out = []
    for place, entry in enumerate(study.orders[rater]):
        item = study.items[entry.item]
        side = None if item.kind != "sort" else entry.right if rater != 1 or item.role == "check" else 1 - entry.right
        words = None if side is not None else item.word or ("darker corner" if rater else "brighter corner")
        plausible = ("yes", "no", "unsure")[place % 3] if item.kind == "clinical" else None
        out.append(Answer(rater=rater, place=place, seconds=0, side=side, words=words, plausible=plausible))
    return out


def press(page: Page, answer: Answer) -> None:
    """By keyboard alone."""
    if answer.side is not None:
        page.keyboard.press(("ArrowLeft", "ArrowRight")[answer.side])
        return
    field = page.locator("[name=words]")
    if answer.plausible is None:
        expect(field).to_be_focused()
        page.keyboard.type(answer.words)
        page.keyboard.press("Enter")
        return
    page.keyboard.press("Tab")
    expect(field).to_be_focused()
    page.keyboard.type(answer.words)
    page.keyboard.press("Tab")
    page.keyboard.press("Space")
    for _ in range(("yes", "no", "unsure").index(answer.plausible)):
        page.keyboard.press("ArrowRight")
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")


def touch(page: Page, answer: Answer) -> None:
    if answer.side is not None:
        page.locator(f"[data-side='{answer.side}']").tap()
        return
    page.locator("[name=words]").fill(answer.words)
    if answer.plausible is not None:
        page.locator(f".choices label:has([value={answer.plausible}])").tap()
    page.get_by_role("button", name="Next").tap()


PHONE = {"viewport": {"width": 390, "height": 844}, "has_touch": True, "is_mobile": True, "device_scale_factor": 2}


def test_the_whole_study_with_two_raters_and_one_who_leaves(visit, study) -> None:
    folder, known = study
    total = len(known.orders[0])
    for rater, hand, options, stop in ((0, press, {}, total), (1, touch, PHONE, total), (2, press, {}, 3)):
        page = visit(rater, **options)
        expect(page.locator("main")).to_contain_text("What is not kept: your name")
        page.get_by_role("button", name="I agree, begin").click()
        for answer in answers_of(known, rater)[:stop]:
            asked(page, answer.place, total)
            hand(page, answer)
        if stop == total:
            expect(page.locator("main")).to_contain_text("Thank you, that was all")
        else:
            asked(page, stop, total)
            page.close()
    kept = read_answers(folder, known)
    expected = [answer for rater in (0, 1) for answer in answers_of(known, rater)] + answers_of(known, 2)[:3]
    given = [Answer(**{**vars(answer), "seconds": 0}) for answer in kept.given]
    assert given == expected
    assert all(0.2 < answer.seconds < 60 for answer in kept.given)
    analysis = analyse(known, kept, machine=None)
    assert (analysis.raters.began, analysis.raters.finished, analysis.raters.stopped) == (3, 2, 1)
    assert analysis.raters.left_out == ()
    questions = sum(item.kind == "sort" and item.role == "question" for item in known.items)
    early = sum(known.items[entry.item].role == "question" for entry in known.orders[2][:3])
    assert sum(entry.answers for entry in analysis.methods) == 2 * questions + early
    right = sum(round(entry.accuracy.value * entry.answers) for entry in analysis.methods)
    assert right == questions + early


def test_a_reload_loses_neither_the_place_nor_what_is_half_typed(visit, study) -> None:
    _, known = study
    page, total = visit(0), len(known.orders[0])
    page.get_by_role("button", name="I agree, begin").click()
    for answer in answers_of(known, 0):
        asked(page, answer.place, total)
        if answer.side is None:
            break
        press(page, answer)
    page.keyboard.type("half a th")
    page.reload()
    asked(page, answer.place, total)
    expect(page.locator("[name=words]")).to_have_value("half a th")
    page.locator("[name=words]").fill("done")
    page.keyboard.press("Enter")
    asked(page, answer.place + 1, total)
    assert page.locator("[name=words]").input_value() == ""


def test_no_press_counts_twice_and_none_before_the_picture_is_there(visit, study) -> None:
    folder, known = study
    page, total = visit(0), len(known.orders[0])
    page.get_by_role("button", name="I agree, begin").click()
    asked(page, 0, total)
    for _ in range(4):
        page.keyboard.press("ArrowLeft")
    asked(page, 1, total)
    assert len(read_answers(folder, known).given) == 1


def test_without_a_network_the_answer_waits(visit, study) -> None:
    folder, known = study
    page, total = visit(0), len(known.orders[0])
    page.get_by_role("button", name="I agree, begin").click()
    asked(page, 0, total)
    page.context.set_offline(True)
    page.keyboard.press("ArrowLeft")
    expect(page.locator("#alert")).to_contain_text("Not connected")
    page.context.set_offline(False)
    asked(page, 1, total)
    expect(page.locator("#alert")).to_be_hidden()
    assert len(read_answers(folder, known).given) == 1


def test_pictures_flicker_and_can_be_held_still(visit) -> None:
    page = visit(0)
    page.get_by_role("button", name="I agree, begin").click()
    first = page.locator(".flicker").first
    expect(first).to_have_class(re.compile("changed"))
    expect(first).not_to_have_class(re.compile("changed"))
    page.get_by_role("button", name="Hold the pictures still").click()
    before = page.evaluate("document.querySelectorAll('.flicker.changed').length")
    page.wait_for_timeout(1800)
    assert page.evaluate("document.querySelectorAll('.flicker.changed').length") == before
    was = "changed" in first.get_attribute("class").split()
    first.click()
    assert ("changed" in first.get_attribute("class").split()) != was


@pytest.mark.parametrize("options", [PHONE, {"viewport": {"width": 320, "height": 568}}, {}])
def test_everything_fits_and_can_be_touched(visit, study, options) -> None:
    _, known = study
    page, total = visit(0, **options), len(known.orders[0])
    page.get_by_role("button", name="I agree, begin").click()
    seen = set()
    for answer in answers_of(known, 0):
        asked(page, answer.place, total)
        kind = known.items[known.orders[0][answer.place].item].kind
        if kind not in seen:
            seen.add(kind)
            assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
            small = page.evaluate(
                "[...document.querySelectorAll('main button:not(.flicker), .choices label, input[type=text]')]"
                ".map((x) => x.getBoundingClientRect()).filter((x) => x.height < 44 || x.width < 44).length"
            )
            assert small == 0
        touch(page, answer) if options.get("has_touch") else press(page, answer)
    assert seen == {"sort", "describe", "clinical"}


def test_answers_can_be_taken_back(visit, study) -> None:
    folder, known = study
    page, total = visit(0), len(known.orders[0])
    page.get_by_role("button", name="I agree, begin").click()
    asked(page, 0, total)
    press(page, answers_of(known, 0)[0])
    asked(page, 1, total)
    page.get_by_role("button", name="Take back my answers").click()
    expect(page.locator("main")).to_contain_text("Your answers are deleted")
    assert read_answers(folder, known).withdrawn == (0,)
    page.reload()
    expect(page.locator("main")).to_contain_text("Your answers are deleted")


def test_a_link_that_is_none_says_so(visit) -> None:
    page = visit(0, token="x" * 22)
    expect(page.locator("#alert")).to_contain_text("Nobody has this link")


def test_axe_finds_nothing(visit, study, axe) -> None:
    _, known = study
    page, total = visit(0), len(known.orders[0])
    expect(page.get_by_role("button", name="I agree, begin")).to_be_visible()
    seen = {"consent"}
    assert violations(page, axe) == []
    page.get_by_role("button", name="I agree, begin").click()
    for answer in answers_of(known, 0):
        asked(page, answer.place, total)
        kind = known.items[known.orders[0][answer.place].item].kind
        if kind not in seen:
            seen.add(kind)
            assert violations(page, axe) == []
        press(page, answer)


def violations(page: Page, axe: str) -> list[str]:
    if not page.evaluate("typeof axe !== 'undefined'"):
        page.evaluate(axe)
    return [row["id"] for row in page.evaluate("axe.run().then((found) => found.violations)")]
