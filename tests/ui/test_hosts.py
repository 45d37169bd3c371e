"""The viewer's other hosts in a real browser: the report, opened from disk without a network, and the notebook."""

from __future__ import annotations

import base64
import dataclasses
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from stylex.core.explanation import Explanation, Strip
from stylex.report import write_report
from stylex.store.folder import read_explanation

pytestmark = pytest.mark.browser
pytest.importorskip("playwright.sync_api", reason="NOT RUN in a browser: pip install playwright")
from playwright.sync_api import Page, expect  # noqa: E402

SHARES = (-1.5, -1.0, 0.0, 0.5, 1.0, 1.5)


@pytest.fixture
def opened(browser) -> Iterator[Any]:
    """A page of a file, with the network off; what goes wrong in it is an error of the test."""
    contexts, wrong = [], []

    def open_file(path: Path, **options: Any) -> Page:
        context = browser.new_context(offline=True, **options)
        context.set_default_timeout(20_000)
        contexts.append(context)
        page = context.new_page()
        page.on("pageerror", lambda error: wrong.append(str(error)))
        page.on("console", lambda message: wrong.append(message.text) if message.type == "error" else None)
        page.goto(path.as_uri())
        return page

    yield open_file
    for context in contexts:
        context.close()
    assert wrong == []


@pytest.fixture
def report(tmp_path: Path) -> Path:
    """Of the recorded explanation, whose strips go from dark to bright as the second class becomes likely."""
    plain: Explanation = read_explanation(Path(__file__).parents[1] / "data_files" / "explanation")
    frames = np.stack([np.full((16, 16, 3), 120 + 60 * share, np.uint8) for share in SHARES])
    second = np.linspace(0.1, 0.9, len(SHARES), dtype=np.float32)
    answers = np.stack([1 - second, second], axis=1)
    strips = tuple(
        Strip(image=image.id, attribute=place, shares=SHARES, frames=frames, probabilities=answers)
        for image in plain.images[:2]
        for place in range(2)
    )
    return write_report(dataclasses.replace(plain, strips=strips), tmp_path / "report.html")


def brightness(page: Page) -> float:
    return page.locator(".frame:has(.wiper) canvas").evaluate(
        "c => c.getContext('2d').getImageData(0, 0, c.width, c.height).data[0]"
    )


def test_the_report_turns_its_knobs_by_keyboard(opened, report) -> None:
    page = opened(report)
    slider, answer = page.locator(".slider").first, page.locator(".answer .word")
    expect(answer).to_have_text("sneaker")
    dark = brightness(page)
    slider.focus()
    for _ in range(9):  # past the end, where it stays
        slider.press("ArrowRight")
    expect(answer).to_have_text("ankle boot")
    expect(slider).to_have_attribute("aria-valuetext", re.compile("beyond what was seen"))
    expect(page.locator(".answer .sure")).to_have_text("90%")
    assert brightness(page) > dark + 50
    slider.press("0")
    expect(answer).to_have_text("sneaker")


def test_a_card_turns_its_own_knob(opened, report) -> None:
    page = opened(report, color_scheme="dark")
    page.get_by_role("button", name="Turn it").nth(1).click()
    second = page.locator("[data-knob='1'] .slider")
    expect(second).to_be_focused()
    expect(second).to_have_attribute("aria-valuetext", "100 percent of the way to the most extreme seen")


def test_without_scripts_and_on_a_telephone(opened, report) -> None:
    still = opened(report, java_script_enabled=False)
    expect(still.locator("#turn")).to_be_hidden()
    expect(still.locator(".tile .after img").first).to_be_visible()
    phone = opened(report, viewport={"width": 390, "height": 844})
    expect(phone.locator(".answer .word")).to_have_text("sneaker")
    assert phone.evaluate("document.documentElement.scrollWidth") <= 390


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_serious_in_the_report(axe, opened, report, scheme) -> None:
    page = opened(report, color_scheme=scheme, bypass_csp=True, reduced_motion="reduce")
    expect(page.locator(".answer .word")).to_have_text("sneaker")
    page.add_script_tag(content=axe)
    found = page.evaluate("axe.run()")["violations"]
    assert [(v["id"], v["nodes"][0]["html"]) for v in found if v["impact"] in ("serious", "critical")] == []


HOST = """async (esm) => {
  const widget = await import(URL.createObjectURL(new Blob([esm], { type: "text/javascript" })));
  const listeners = [];
  const model = {
    get: () => "",
    on: (kind, f) => listeners.push(f),
    async send(message, _, buffers) {
      const body = buffers.length ? btoa(String.fromCharCode(...new Uint8Array(buffers[0]))) : "";
      const [status, type, answer] = await window.ask(message, body);
      const bytes = Uint8Array.from(atob(answer), (c) => c.charCodeAt(0));
      for (const f of listeners) f({ id: message.id, status, type }, [new DataView(bytes.buffer)]);
    },
  };
  widget.default.render({ model, el: document.getElementById("cell") });
}"""


def test_the_widget_is_the_explorer_over_messages(opened, read_studio, tmp_path) -> None:
    pytest.importorskip("anywidget")
    from stylex.report.knobs import viewer_file, viewer_script
    from stylex.ui.notebook import Channel

    channel = Channel(read_studio)
    (tmp_path / "cell.html").write_text(f"<style>{viewer_file('viewer.css')}</style><div id=cell></div>")

    def ask(message: dict[str, str], body: str) -> list[Any]:
        status, kind, data = channel.ask(message["method"], message["path"], message["type"], base64.b64decode(body))
        return [status, kind, base64.b64encode(data).decode()]

    try:
        page = opened(tmp_path / "cell.html")
        page.expose_function("ask", ask)
        script = viewer_script("strip_source.js", "http_source.js") + "\n" + viewer_file("widget.js")
        page.evaluate(HOST, script)
        expect(page.locator(".answer .word")).to_have_text("boot")
        before = page.locator(".answer .sure").inner_text()
        slider = page.locator(".slider").first
        slider.focus()
        slider.press("End")
        expect(page.locator(".answer .sure")).not_to_have_text(before)
        expect(page.locator(".tiles img").first).to_have_js_property("complete", True)
        page.locator(".rename").first.click()
        page.keyboard.type("Dark left half")
        page.keyboard.press("Enter")
        expect(page.locator(".knob .name").first).to_have_text("Dark left half")
        assert read_studio.knobs[0].attribute.label == "Dark left half"
    finally:
        channel.close()
