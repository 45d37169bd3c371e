"""Writes the pages of docs/reference from the code: ``make docs``. With ``--check``: names those that are stale."""

from __future__ import annotations

import argparse
import dataclasses
import inspect
import re
import sys
import types
import typing
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import docstring_parser

import stylex
from stylex.cli.parser import build_parser, shown, verb_parsers
from stylex.training.config import PRESETS, TrainConfig

REFERENCE = Path(__file__).parent / "reference"
_NOTE = "<!-- Written by docs/generate.py (make docs); change the docstrings, not this page. -->\n"


def main() -> int:
    """Write the pages, or say which of them are not what the code says."""
    written = {"cli.md": command_line(), "settings.md": settings(), "python.md": python()}
    pages = {name: re.sub(r"\n{3,}", "\n\n", "\n".join(lines)).rstrip() + "\n" for name, lines in written.items()}
    if "--check" in sys.argv[1:]:
        stale = [
            name
            for name, text in pages.items()
            if not (REFERENCE / name).exists() or (REFERENCE / name).read_text(encoding="utf-8") != text
        ]
        print("\n".join(f"docs/reference/{name} is stale; run: make docs" for name in stale), end="")
        return 1 if stale else 0
    REFERENCE.mkdir(exist_ok=True)
    for name, text in pages.items():
        (REFERENCE / name).write_text(text, encoding="utf-8")
    return 0


def command_line() -> Iterator[str]:
    """Every command with every option."""
    yield "# The command line\n"
    yield _NOTE
    yield "Options may be written with `-` or `_`. A file given with `--config` holds any of them by name, with `_`:"
    yield "YAML or JSON, as `--print_config` and `--dry-run` print it. What comes later on the line wins."
    yield "The exit code is 0, or 2 for a mistake you can mend (one line on stderr says how), 130 when interrupted.\n"
    for verb, parser in verb_parsers(build_parser()).items():
        yield f"## stylex {verb}\n"
        yield f"{parser.description}\n"
        yield f"```\n{parser.format_usage().strip()}\n```\n"
        bare, *groups = _groups(parser)
        yield from _table(bare)
        for title, actions in groups:
            yield f"**{title}** ([what the presets say](settings.md))\n"
            yield from _table(actions)


def _groups(parser: argparse.ArgumentParser) -> Iterator[Any]:
    """The options that stand alone, then those of each part of the settings with its title."""
    positionals, options, *titled = parser._action_groups
    yield [*positionals._group_actions, *(action for action in options._group_actions if action.dest != "help")]
    for group in titled:
        if group._group_actions:
            yield group.title, group._group_actions


def _table(actions: Sequence[argparse.Action]) -> Iterator[str]:
    yield "| option | default | |"
    yield "|---|---|---|"
    for action in actions:
        yield _row(_option(action), _default(action), action.help or "")
    yield ""


def settings() -> Iterator[str]:
    """Every field of ``TrainConfig``, and what the presets say."""
    yield "# The settings of a training\n"
    yield _NOTE
    yield "A preset is a starting point; an option such as `--schedule.batch 32` changes one value of it, and in"
    yield "Python `dataclasses.replace` does. The settings are saved with every snapshot.\n"
    for owner, part in _parts():
        doc = docstring_parser.parse(type(part).__doc__ or "")
        yield f"## {owner or 'TrainConfig'}\n"
        yield f"{_plain(doc.short_description)}\n"
        help_of = {param.arg_name: _plain(param.description) for param in doc.params}
        yield _row("setting", *(f"`{name}`" for name in PRESETS), "")
        yield "|" + "---|" * (len(PRESETS) + 2)
        for field in dataclasses.fields(part):
            if dataclasses.is_dataclass(getattr(part, field.name)):
                continue
            values = []
            for config in PRESETS.values():
                value = getattr(getattr(config, owner) if owner else config, field.name)
                values.append(", ".join(map(str, value)) if isinstance(value, tuple) else str(value))
            yield _row(f"`{owner}.{field.name}`" if owner else f"`{field.name}`", *values, help_of[field.name])
        yield ""


def python() -> Iterator[str]:
    """Every exported name."""
    yield "# The Python face\n"
    yield _NOTE
    yield "Everything here is `stylex.NAME`. `import stylex` is fast and brings no torch; each name is imported when"
    yield "it is first used.\n"
    for name in stylex.__all__:
        value = getattr(stylex, name)
        yield f"## {name}\n"
        if inspect.isfunction(value):
            yield f"```python\n{_signature(name, value)}\n```\n"
            yield _docstring(value)
        elif isinstance(value, type):
            yield _docstring(value)
            for method, function in _methods(value):
                yield f"- `{method}`: {_first_line(function)}"
        elif name == "PRESETS":
            yield f"The [settings](settings.md) to start from, by name: {', '.join(f'`{x}`' for x in value)}."
        elif name == "Listener":
            yield "What hears the progress: a function of one event. The events are in `stylex.core.progress`:\n"
            for event in typing.get_args(stylex.core.progress.Event):
                yield f"- `{event.__name__}`: {_first_line(event)}"
        elif name == "__version__":
            yield "The version, as text."
        else:
            raise AssertionError(f"say in docs/generate.py what {name} is")
        yield ""


def _parts() -> Iterator[tuple[str, Any]]:
    config = next(iter(PRESETS.values()))
    for field in dataclasses.fields(TrainConfig):
        if dataclasses.is_dataclass(getattr(config, field.name)):
            yield field.name, getattr(config, field.name)
    yield "", config


def _option(action: argparse.Action) -> str:
    if not action.option_strings:
        return f"`{action.dest.upper()}`"
    return ", ".join(f"`{shown(option)}`" for option in action.option_strings)


def _default(action: argparse.Action) -> str:
    if action.required or (not action.option_strings and action.nargs == "?" and action.default is None):
        return "required"
    if action.default in (None, argparse.SUPPRESS) or action.nargs == 0:
        return ""
    value = action.default
    return f"`{','.join(map(str, value)) if isinstance(value, tuple) else value}`"


def _row(*cells: str) -> str:
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def _signature(name: str, function: types.FunctionType) -> str:
    signature = inspect.signature(function)
    lines = [f"    {parameter}," for parameter in _parameters(signature)]
    returns = f" -> {signature.return_annotation}" if signature.return_annotation is not signature.empty else ""
    return "\n".join([f"{name}(", *lines, f"){returns}"]).replace("'", '"')


def _parameters(signature: inspect.Signature) -> Iterator[str]:
    starred = False
    for parameter in signature.parameters.values():
        if parameter.kind is parameter.KEYWORD_ONLY and not starred:
            starred = True
            yield "*"
        default = "" if parameter.default is parameter.empty else f" = {_value(parameter.default)}"
        annotation = "" if parameter.annotation is parameter.empty else f": {parameter.annotation}"
        yield f"{parameter.name}{annotation}{default}"


def _value(value: Any) -> str:
    return value.__name__ if callable(value) else str(value) if not isinstance(value, str) else f'"{value}"'


def _methods(kind: type) -> Iterator[tuple[str, Any]]:
    for name, value in vars(kind).items():
        if name.startswith("_"):
            continue
        inner = value.__func__ if isinstance(value, classmethod | staticmethod) else value
        function = inner.fget if isinstance(inner, property) else getattr(inner, "func", inner)
        if inspect.isfunction(function):
            yield name if inner is not function else f"{name}()", function


def _docstring(documented: Any) -> str:
    doc = docstring_parser.parse(inspect.getdoc(documented) or "")
    out = [_code(doc.description or ""), ""]
    out += [f"- `{param.arg_name}`: {_plain(param.description)}" for param in doc.params]
    if doc.returns and doc.returns.description:
        out += ["", f"Returns: {_plain(doc.returns.description)}"]
    for raised in doc.raises:
        out += ["", f"Raises `{raised.type_name}`: {_plain(raised.description)}"]
    return "\n".join(out) + "\n"


def _first_line(documented: Any) -> str:
    lines = (inspect.getdoc(documented) or "").splitlines()
    return _code(lines[0]) if lines else ""


def _code(text: str) -> str:
    return text.replace("``", "`")


def _plain(text: str | None) -> str:
    return _code(" ".join((text or "").split()))


if __name__ == "__main__":
    sys.exit(main())
