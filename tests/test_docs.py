"""Docs that cannot rot: the reference is what the code says, links lead somewhere, and nothing is left out."""

from __future__ import annotations

import dataclasses
import json
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

import stylex
from stylex.cli.parser import build_parser, parse, shown, verb_parsers
from stylex.cli.verbs import VERBS
from stylex.training.config import PRESETS

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md")), *sorted((ROOT / "recipes").rglob("*.md"))]


def read(path: str) -> str:
    return (ROOT / path).read_text(encoding="utf-8")


@pytest.mark.integration
def test_the_reference_is_what_the_code_says() -> None:
    done = subprocess.run(
        [sys.executable, "docs/generate.py", "--check"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("verb", VERBS)
def test_every_command_and_option_is_documented(verb: str) -> None:
    assert f"`stylex {verb}`" in read("docs/index.md")
    section = read("docs/reference/cli.md").split(f"\n## stylex {verb}\n")[1].split("\n## ")[0]
    for action in verb_parsers(build_parser())[verb]._actions:
        if action.dest != "help":
            names = [shown(option) for option in action.option_strings] or [action.dest.upper()]
            assert all(f"`{name}`" in section for name in names)


def test_every_setting_is_documented() -> None:
    page, config = read("docs/reference/settings.md"), PRESETS["small-32"]
    for field in dataclasses.fields(config):
        part = getattr(config, field.name)
        for name in (
            [f"{field.name}.{inner.name}" for inner in dataclasses.fields(part)]
            if dataclasses.is_dataclass(part)
            else [field.name]
        ):
            assert f"| `{name}` |" in page


@pytest.mark.parametrize("name", stylex.__all__)
def test_every_exported_name_is_documented(name: str) -> None:
    section = read("docs/reference/python.md").split(f"\n## {name}\n")[1].split("\n## ")[0]
    assert section.strip()


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page: Path) -> None:
    text = re.sub(r"```.*?```", "", page.read_text(encoding="utf-8"), flags=re.DOTALL)
    targets = [target.split("#")[0] for target in re.findall(r"\]\(([^)\s]+)\)", text) if "://" not in target]
    assert [target for target in targets if target and not (page.parent / target).exists()] == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_scripts_and_tests_that_are_named_are_there(page: Path) -> None:
    named = re.findall(r"\b(?:tests|benchmarks|recipes)/[\w/-]+\.(?:py|sh)\b", page.read_text(encoding="utf-8"))
    assert [name for name in named if not (ROOT / name).exists()] == []


def test_every_page_is_reached_from_the_first() -> None:
    seen, todo = set(), [ROOT / "README.md"]
    while todo:
        page = todo.pop()
        if page not in seen and page.suffix == ".md" and page.exists():
            seen.add(page)
            links = re.findall(r"\]\(([^)#\s]+)", page.read_text(encoding="utf-8"))
            todo += [(page.parent / link).resolve() for link in links if "://" not in link]
    assert [str(page.relative_to(ROOT)) for page in PAGES if "docs" in page.parts and page not in seen] == []


@pytest.mark.integration
def test_commands_in_the_pages_are_understood(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "shoes.yaml").write_text("{data: shoes.zip, classifier: 'm:f', out: runs/shoes}")
    understood = 0
    for page in PAGES:
        for block in re.findall(r"```\n(.*?)```", page.read_text(encoding="utf-8"), flags=re.DOTALL):
            for line in block.replace("\\\n", " ").splitlines():
                command = re.match(r"(?:torchrun [-\w ]+ -m )?stylex +(?!COMMAND)([a-z].*)", line)
                if command and "--print_config" not in line:
                    parse(words(command[1]))
                    understood += 1
    assert understood > 10


def words(line: str) -> list[str]:
    return shlex.split(line.split(" > ")[0], comments=True)


def test_the_spec_in_the_page_is_a_spec() -> None:
    blocks = re.findall(r"```json\n(.*?)```", read("docs/how-to/own-classifier.md"), flags=re.DOTALL)
    two, number = (stylex.ClassifierSpec.from_json(json.loads(block)) for block in blocks)
    assert (two.k, number.k, number.output) == (2, 1, "regression")


def test_the_table_of_what_it_costs_follows_from_the_parts() -> None:
    told = json.loads((ROOT / "docs" / "results" / "scale.json").read_text())
    page = (ROOT / "docs" / "scale.md").read_text()
    for row in told["table"]:
        assert "| " + " | ".join(row) + " |" in page
    program = "import argparse, json, sys; sys.path.insert(0, 'benchmarks'); import scale; "
    program += "given = argparse.Namespace(images=10**6, classes=1000, side=1024, gpus=8, batch=32); "
    program += "print(json.dumps(list(scale.table(json.load(open('docs/results/scale.json'))['parts'], given))))"
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True)
    assert json.loads(done.stdout) == told["table"]
