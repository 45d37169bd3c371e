"""Draw these pages' pictures of explorer, report and comparison: the real ones, in Chromium, light and dark."""

from __future__ import annotations

import argparse
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from PIL import Image
from playwright.sync_api import Browser, Page, sync_playwright

from stylex.report import write_report

IMAGES = Path(__file__).parent / "images"
_NARROW = 860


def main() -> None:
    """Draw them."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("explanation", type=Path, nargs="?", help="the explanation folder, of `stylex demo`")
    parser.add_argument("--run", default="demo", help="the run that it is of")
    parser.add_argument("--chromium", default=shutil.which("chromium"), help="the browser's program")
    parser.add_argument("--comparison", type=Path, help="the folder of `stylex compare demo`: draws its page alone")
    options = parser.parse_args()
    if options.comparison is not None:
        _comparison(options.comparison / "comparison.html", options.chromium)
        return
    words = ["-m", "stylex", "explore", options.run, "--explanation", str(options.explanation), "--no-browser"]
    explorer = subprocess.Popen([sys.executable, *words, "--port", "8690"], stderr=subprocess.PIPE, text=True)
    try:
        assert explorer.stderr is not None
        url = next(line.split()[1] for line in explorer.stderr if line.startswith("explorer: "))
        with sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path=options.chromium, args=["--no-sandbox"])
            for name, width, height, scheme in (
                ("explore-light", 1440, 1080, "light"),
                ("explore-dark", 1440, 1080, "dark"),
                ("explore-phone", 390, 844, "light"),
            ):
                page = browser.new_page(viewport={"width": width, "height": height}, color_scheme=scheme)
                page.set_default_timeout(60_000)
                page.goto(url)
                _turned(page, scroll=width < 500)
                page.screenshot(path=IMAGES / f"{name}.png")
                page.close()
            _report(browser, options.explanation)
            browser.close()
    finally:
        explorer.terminate()
        explorer.wait()


def _report(browser: Browser, explanation: Path) -> None:
    """The one-file report, opened from disk, its first knob turned."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "report.html"
        write_report(explanation, file)
        for scheme in ("light", "dark"):
            page = browser.new_page(viewport={"width": 1200, "height": 1500}, color_scheme=scheme)
            page.goto(file.as_uri())
            knob = page.get_by_role("slider").first
            knob.wait_for()
            knob.focus()
            for _ in range(3):
                page.keyboard.press("ArrowRight")
            page.wait_for_timeout(500)
            page.evaluate("window.scrollTo(0, 0)")
            page.screenshot(path=IMAGES / f"report-{scheme}.png")
            page.close()


def _comparison(file: Path, chromium: str) -> None:
    """The rows of pictures of a comparison's page."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": 1320, "height": 1000}, color_scheme="light")
        page.goto(file.resolve().as_uri())
        page.locator("table.rows").screenshot(path=IMAGES / "compare.png")
        browser.close()
    drawn = Image.open(IMAGES / "compare.png").convert("RGB")  # long, and so kept small
    drawn.resize((_NARROW, round(drawn.height * _NARROW / drawn.width)), Image.Resampling.LANCZOS).quantize(
        96, dither=Image.Dither.NONE
    ).save(IMAGES / "compare.png", optimize=True)


def _turned(page: Page, *, scroll: bool) -> None:
    """The first image, flipped."""
    page.locator(".answer .word", has_text=re.compile(".")).wait_for()
    page.locator(".count", has_text=re.compile("^[0-9]+$")).wait_for()
    page.get_by_role("button", name="Flip it").click()
    page.locator(".knobs .finding").first.wait_for()
    page.locator(".others canvas").first.wait_for()
    page.wait_for_timeout(1500)
    page.mouse.move(0, 0)
    if scroll:
        page.evaluate("window.scrollTo(0, 150)")
        page.wait_for_timeout(300)


if __name__ == "__main__":
    main()
