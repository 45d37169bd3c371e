"""Build the documentation site: ``make site``. The Markdown of the repository, laid out as it lies there, and checked.

GitHub shows the same files, so a link between two of them works in both places: nothing is rewritten but links to
notebooks, which become pages of their own here.
"""

from __future__ import annotations

import argparse
import html
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterable
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urldefrag, urljoin

ROOT = Path(__file__).parents[1]
SOURCE, SITE = ROOT / "build" / "site-source", ROOT / "build" / "site"
FILES = (
    *("README.md", "CHANGELOG.md", "CITATION.cff", "LICENSE", "NOTICE", "docs/**/*.md", "docs/**/*.ipynb"),
    *("docs/images/*", "docs/results/*.json"),
    *("recipes/*/README.md", "recipes/*/*.png", "recipes/*/*.jpg", "recipes/*/report.html"),
)
VERBS = (
    *("images", "training", "searching", "attacking", "evaluating", "comparing", "showing"),
    *("generators", "domains", "repairing", "studies"),
)
# Pages of the site alone, where sources are read by mkdocstrings; GitHub shows the sources themselves.
SOURCES = {
    "verbs": ("The verbs, with their source", *(f"stylex.verbs.{file}" for file in VERBS)),
    "explanation": ("An explanation, with its source", "stylex.core.explanation"),
    "attribute": ("An attribute, with its source", "stylex.core.attribute"),
    "stylespace": ("StyleSpace, with its source", "stylex.core.stylespace"),
}
ADDRESSES = {"a": "href", "link": "href", "script": "src", "img": "src", "source": "src", "iframe": "src"}


def main() -> int:
    """Lay out, build strictly, check every internal link; or, with ``--check``, only check what was built."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("report", type=Path, nargs="?", help="the page that `stylex demo` wrote, shown as a live page")
    parser.add_argument("--check", type=Path, metavar="SITE", help="only check the links of a built site")
    options = parser.parse_args()
    if options.check is None:
        if options.report is None:
            parser.error("which report? stylex demo --out build/demo, then docs/site.py build/demo/report.html")
        lay_out(options.report)
        built = subprocess.run(
            [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet"],
            cwd=ROOT,
            env=os.environ | {"NO_MKDOCS_2_WARNING": "1"},  # what its theme says of the next version in every build
            check=False,
        )
        if built.returncode:
            return built.returncode
    broken, links = faults(options.check or SITE)
    print("\n".join([*broken, f"{links} internal links, {len(broken)} broken"]))
    return 1 if broken else 0


def lay_out(report: Path) -> None:
    """Copy what the site is made of, every file at its place in the repository, notebooks as pages too."""
    shutil.rmtree(SOURCE, ignore_errors=True)
    for path in sorted(path for pattern in FILES for path in ROOT.glob(pattern)):
        to = SOURCE / path.relative_to(ROOT)
        to.parent.mkdir(parents=True, exist_ok=True)
        if path.suffix == ".md":
            to.write_text(re.sub(r"(\]\([^)\s]+)\.ipynb\)", r"\1.md)", path.read_text("utf-8")), "utf-8")
        else:
            shutil.copyfile(path, to)
        if path.suffix == ".ipynb":
            to.with_suffix(".md").write_text(page_of(json.loads(path.read_text("utf-8")), path.name), "utf-8")
    for name, (title, *modules) in SOURCES.items():
        page = "\n\n".join([f"# {title}", *(f"::: {module}" for module in modules)])
        (SOURCE / "docs" / "reference" / f"source-{name}.md").write_text(page + "\n", "utf-8")
    shutil.copyfile(report, SOURCE / "docs" / "demo-report.html")


def page_of(book: dict[str, Any], name: str) -> str:
    """A notebook as Markdown: its text, its code, and what its cells showed."""
    parts = [part for cell in book["cells"] for part in cell_of(cell)]
    parts.insert(1, f"[This page as a notebook]({name})")
    return "\n\n".join(parts) + "\n"


def cell_of(cell: dict[str, Any]) -> list[str]:
    """One cell's text or code, and its outputs."""
    text = "".join(cell["source"])
    if cell["cell_type"] != "code":
        return re.split(r"\n\n", text, maxsplit=1)
    return [f"```python\n{text}\n```", *(shown for output in cell["outputs"] if (shown := output_of(output)))]


def output_of(output: dict[str, Any]) -> str:
    """What a cell showed, in the richest form that a page without scripts can hold."""
    data = output.get("data", {"text/plain": output.get("text", "")})
    if "image/png" in data:
        return f'<img alt="What the cell drew" src="data:image/png;base64,{"".join(data["image/png"]).strip()}">'
    if "text/html" in data:
        shown = "".join(data["text/html"])
        return '<div class="shown">' + re.sub(r"\n\s*", " ", shown) + "</div>"
    return f'<pre class="shown">{html.escape("".join(data.get("text/plain", "")).rstrip())}</pre>'


class Page(HTMLParser):
    """The addresses that a page leads to or loads, and the names in it that a link may end at."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.addresses: list[tuple[str, str]] = []
        self.names: set[str] = set()
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Keep its address and its names."""
        found = dict(attrs)
        self.names |= {value for key in ("id", "name") if (value := found.get(key))}
        if tag in ADDRESSES and (address := found.get(ADDRESSES[tag])) is not None:
            self.addresses.append((tag, address))


def faults(site: Path) -> tuple[list[str], int]:
    """What leads nowhere within a built site, or is loaded from elsewhere; and how many links were followed."""
    pages = {path: Page(path.read_text("utf-8")) for path in sorted(site.rglob("*.html"))}
    broken, followed = [], 0
    for path, page in pages.items():
        here = f"/{path.relative_to(site).as_posix()}"
        for tag, address in page.addresses:
            if re.match(r"[a-z][a-z0-9+.-]*:|//", address):
                if tag != "a" and not address.startswith("data:"):
                    broken.append(f"{here}: <{tag}> loads {address[:100]}")
                continue
            followed += 1
            if not leads_somewhere(site, urljoin(here, address), pages):
                broken.append(f"{here}: {address[:100]} leads nowhere")
    return broken, followed


def leads_somewhere(site: Path, address: str, pages: dict[Path, Page]) -> bool:
    """Whether a file of the site is there, and in it the name after ``#``."""
    where, name = urldefrag(address)
    path = site / unquote(where).lstrip("/").split("?")[0]
    path = path / "index.html" if path.is_dir() else path
    names: Iterable[str] = pages[path].names if path in pages else ()
    return path.is_file() and (not name or unquote(name) in names or name.startswith("__"))


if __name__ == "__main__":
    sys.exit(main())
