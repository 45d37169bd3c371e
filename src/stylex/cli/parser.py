"""From the signatures of ``stylex.api`` to a command line, and from a command line to a call.

Options, their types, defaults and help come from the functions' signatures and docstrings, those of
``train`` also from ``TrainConfig``; nothing is written twice. Torch is not imported here, but for a
``train`` without a preset, whose data say which one is meant.
"""

from __future__ import annotations

import argparse
import inspect
import re
import typing
from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, fields, is_dataclass, replace
from functools import cache
from keyword import iskeyword
from pathlib import Path
from types import MappingProxyType
from typing import Any, NoReturn, cast

import docstring_parser
import yaml
from jsonargparse import ArgumentParser, DefaultHelpFormatter, Namespace

import stylex
from stylex.cli.verbs import VERBS, Verb, function_of
from stylex.core.errors import ConfigError, StylexError
from stylex.core.files import read_whole
from stylex.core.progress import Listener
from stylex.training.config import TrainConfig, preset_for
from stylex.training.config import preset as settings_of

COMMON = ("config", "dry_run", "quiet", "verbose")
"""Options that every verb has and no function sees."""

_NOT_OPTIONS = ("config", "dry_run", "listener")


@dataclass(frozen=True, kw_only=True)
class Command:
    """A command line, understood.

    Attributes:
        verb: what to do.
        call: with which arguments.
        settings: every option with its value, as YAML that ``--config`` reads.
        dry_run: only say what would run.
        quiet: no progress, only warnings.
    """

    verb: Verb
    call: Mapping[str, Any]
    settings: str
    dry_run: bool
    quiet: bool

    def run(self, listener: Listener) -> tuple[list[str], bool]:
        """Do it; returns the lines to print, and whether what was to be checked has failed."""
        function = function_of(self.verb)
        known = inspect.signature(function).parameters
        extra = {"listener": listener, "dry_run": self.dry_run}
        if not self.dry_run:
            result = function(**self.call, **_among(extra, known))
            return self.verb.closing(self.call, result), self.verb.failed(result)
        if "dry_run" in known:
            function(**self.call, **_among(extra, known))
        return [], False


def parse(arguments: Sequence[str]) -> Command:
    """Understand a command line.

    Raises:
        ConfigError: an unknown command or option, or a value that cannot be meant.
        SystemExit: ``--help``, ``--version`` or ``--print_config`` were asked for, and answered.
    """
    spelled = _bracketed([_spelled(argument) for argument in _joined(arguments)])
    parser = build_parser(_in_files(spelled))
    try:
        chosen = parser.parse_args(spelled)
    except OverflowError as error:
        raise ConfigError(f"a number that was given is too large ({error}); give a smaller one") from error
    name = _parted(chosen.verb)
    verb, options = VERBS[name], chosen[chosen.verb]
    verb_parser = verb_parsers(parser)[name]
    for positional in verb.positional:
        if options[positional] in (None, []):
            verb_parser.error(f"missing: {positional.upper()}, {_parameter_help(function_of(verb))[positional]}")
    return Command(
        verb=verb,
        call=_call(verb, options),
        settings=f"# stylex {name}\n" + verb_parser.dump(_without(options, COMMON)),
        dry_run=options.dry_run,
        quiet=options.quiet,
    )


def _among(values: Mapping[str, Any], names: Collection[str]) -> dict[str, Any]:
    return {name: value for name, value in values.items() if name in names}


def _call(verb: Verb, options: Namespace) -> dict[str, Any]:
    parameters = [name for name in inspect.signature(function_of(verb)).parameters if name not in _NOT_OPTIONS]
    call = {name: options[name] for name in parameters}
    if verb.function == "train":
        call["config"] = _configured(settings_of(_preset(options.preset, options.data)), options)
    return call


def _without(options: Namespace, names: Sequence[str]) -> Namespace:
    kept = options.clone()
    for name in names:
        kept.pop(name, None)
    return kept


# The parsers.


def build_parser(in_files: Mapping[str, Any] = MappingProxyType({})) -> ArgumentParser:
    """The parser of the whole command line; a ``preset`` in the files gives the defaults of the training's settings."""
    parser = _Parser(
        prog="stylex",
        version=stylex.__version__,
        description="What does this image classifier look at? Attributes that drive it, shown as pictures.",
        epilog="Start with: stylex demo --out stylex-demo",
    )
    _add_verbs(parser, VERBS, in_files)
    return parser


def _add_verbs(parser: ArgumentParser, verbs: Mapping[str, Verb], in_files: Mapping[str, Any]) -> None:
    commands = parser.add_subcommands(required=True, dest="verb", title="commands", description=" ")
    for name, verb in verbs.items():
        verb_parser = _verb_parser(verb, in_files)
        commands.add_subcommand(name.replace(" ", "-"), verb_parser, help=_summary(function_of(verb)))
        verb_parser.prog = f"stylex {name}"
        commands._choices_actions[-1].metavar = name


# Verbs of two words, such as ``study new``: to the parser they are one, with a dash.


def _parted(name: str) -> str:
    """A verb as it is typed."""
    return next((verb for verb in VERBS if verb.replace(" ", "-") == name), name)


def _joined(arguments: Sequence[str]) -> list[str]:
    """The arguments with a verb of two words as one.

    Raises:
        ConfigError: the second word is missing, or none that is known.
        SystemExit: ``--help`` was asked for, and answered.
    """
    first = arguments[0] if arguments else ""
    family = {name: verb for name, verb in VERBS.items() if name.startswith(f"{first} ")}
    if not first or not family:
        return list(arguments)
    second = arguments[1] if len(arguments) > 1 else ""
    if f"{first} {second}" in family:
        return [f"{first}-{second}", *arguments[2:]]
    if second in ("-h", "--help"):
        parser = _Parser(prog=f"stylex {first}", description=" ")
        _add_verbs(parser, {name.removeprefix(f"{first} "): verb for name, verb in family.items()}, {})
        parser.print_help()
        raise SystemExit(0)
    said = f"there is no command stylex {first} {second}" if second else f"stylex {first} does several things"
    raise ConfigError(f"{said}; choose from {', '.join(f'stylex {name}' for name in family)}")


def verb_parsers(parser: ArgumentParser) -> Mapping[str, ArgumentParser]:
    """The parser of each verb, by its name."""
    action = next(action for action in parser._actions if isinstance(action, argparse._SubParsersAction))
    return {_parted(name): verb_parser for name, verb_parser in action.choices.items()}


def _verb_parser(verb: Verb, in_files: Mapping[str, Any]) -> ArgumentParser:
    function = function_of(verb)
    doc = docstring_parser.parse(function.__doc__ or "")
    help_of = _parameter_help(function)
    types = typing.get_type_hints(function)
    parameters = [p for p in inspect.signature(function).parameters.values() if p.name not in _NOT_OPTIONS]
    parser = _Parser(description=_plain_text(doc.description))
    parser.add_argument("--config", action="config", help="a YAML or JSON file with any of these options.")
    next(
        action for action in parser._actions if action.dest == "print_config"
    ).help = "print every setting as such a file, and exit."
    for parameter in parameters:
        name, text = parameter.name, help_of[parameter.name]
        if name in verb.positional:
            # Not required here, so that a config file may hold it; `parse` asks for it in the end.
            many = typing.get_origin(types[name]) is Sequence
            own = None if parameter.default is inspect.Parameter.empty else parameter.default
            parser.add_argument(name, nargs="*" if many else "?", type=str, default=in_files.get(name, own), help=text)
        else:
            _add_option(parser, parameter, types[name], text)
    if verb.function == "train":
        preset = _preset(in_files.get("preset"), in_files.get("data"))
        _add_config(parser, settings_of(preset), {parameter.name for parameter in parameters})
    parser.add_argument(
        "--dry_run", action="store_true", help="say what would run, with every setting, and do nothing."
    )
    parser.add_argument("-q", "--quiet", action="store_true", help="no progress, only warnings and the result.")
    parser.add_argument("-v", "--verbose", action="store_true", help="show the traceback of an error, and warnings.")
    return parser


def _preset(name: object, data: object) -> str:
    """The preset whose settings are the defaults: the one named, or the first for the data's resolution.

    Where the data cannot be read, or no preset fits it, this is ``small-32``: the verb says what is wrong.
    """
    if name is not None:
        return str(name)
    if data is not None and Path(str(data)).exists():
        from stylex.data import open_images

        with suppress(StylexError):
            return preset_for(open_images(str(data)).resolution)
    return "small-32"


def _add_option(parser: ArgumentParser, parameter: inspect.Parameter, hint: Any, text: str) -> None:
    name, required = parameter.name, parameter.default is inspect.Parameter.empty
    if isinstance(parameter.default, bool):
        parser.add_argument(f"--{name}", action="store_true", default=parameter.default, help=text)
    elif set(typing.get_args(hint)) == {bool, type(None)}:
        parser.add_argument(f"--{name}", type=hint, default=parameter.default, help=text, nargs="?", const=True)
    elif required:
        parser.add_argument(f"--{name}", required=True, type=_on_command_line(hint), help=text)
    else:
        parser.add_argument(f"--{name}", default=parameter.default, type=_on_command_line(hint), help=text)


def _on_command_line(hint: Any) -> Any:
    """The type of an option: a path, a classifier, a spec are all given as text."""
    members = typing.get_args(hint)
    if hint is Any or str in members:
        return str | None if hint is Any or type(None) in members else str
    if type(None) in members and Any in members:
        return str | None
    return hint


def _add_config(parser: ArgumentParser, config: TrainConfig, taken: Collection[str]) -> None:
    """Each part of the training's settings becomes a group of options ``--part.field``."""
    for field in fields(config):
        value = getattr(config, field.name)
        if is_dataclass(value):
            group = parser.add_argument_group(f"{field.name}: {_summary(type(value))}".rstrip("."))
            _add_fields(group, value, f"{field.name}.", taken=())
    _add_fields(parser.add_argument_group("more: Images and numbers"), config, "", taken)


def _add_fields(group: Any, part: Any, prefix: str, taken: Collection[str]) -> None:
    help_of, types = _parameter_help(type(part)), typing.get_type_hints(type(part))
    for field in fields(part):
        name, value = field.name, getattr(part, field.name)
        if name not in taken and not is_dataclass(value):
            # A truth value may stand bare, as the verbs' own do, or be said: --mirror, --mirror false.
            bare = {"nargs": "?", "const": True} if types[name] is bool else {}
            group.add_argument(f"--{prefix}{name}", type=types[name], default=value, help=help_of[name], **bare)


def _configured(config: TrainConfig, options: Namespace) -> TrainConfig:
    """The settings that the options say, beginning from a preset's."""
    values: dict[str, Any] = {}
    for field in fields(config):
        part = getattr(config, field.name)
        if is_dataclass(part):
            if not isinstance(options[field.name], Namespace):
                raise ConfigError(f"{field.name}: expected a group of options, got {options[field.name]!r:.80}")
            said = {name: value for name, value in vars(options[field.name]).items() if value is not None}
            values[field.name] = replace(cast(Any, part), **said)
        elif options[field.name] is not None:
            values[field.name] = options[field.name]
    return replace(config, **values)


def _parameter_help(documented: Any) -> dict[str, str]:
    doc = docstring_parser.parse(documented.__doc__ or "")
    return {param.arg_name: _plain_text(param.description) for param in doc.params}


def _summary(documented: Any) -> str:
    return _plain_text(docstring_parser.parse(documented.__doc__ or "").short_description)


def _plain_text(text: str | None) -> str:
    return " ".join((text or "").replace("``", "").split())


def _in_files(arguments: Sequence[str]) -> dict[str, Any]:
    """What the config files say, the preset and the data: all must be known before the options are read.

    The preset sets the defaults of the training's settings; what stands bare on the command line cannot be set
    by a file while that line is read.
    """
    early = argparse.ArgumentParser(add_help=False, allow_abbrev=False, exit_on_error=False)
    early.add_argument("--preset")
    early.add_argument("--data")
    early.add_argument("--config", action="append", default=[])
    try:
        given, _ = early.parse_known_args(list(arguments))
    except argparse.ArgumentError as error:
        raise ConfigError(str(error)) from None
    known: dict[str, Any] = {}
    for path in given.config:
        known |= _read_config(path)
    if given.preset:
        known["preset"] = given.preset
    if given.data:
        known["data"] = given.data
    if arguments[:1] != ["train"]:
        known.pop("data", None)  # only a training's settings depend on it
    return known


_LARGEST_CONFIG = 2**20
_MOST_BRACKETS = 2000


class _NoAliases(yaml.SafeLoader):
    """YAML without ``*name``: a few lines of names for names would unfold to more than fits into memory."""

    def compose_node(self, parent: Any, index: Any) -> Any:
        if self.check_event(yaml.AliasEvent):
            raise yaml.YAMLError("names for other parts of the file (*name) are not read here")
        return super().compose_node(parent, index)


def _read_config(path: str) -> Mapping[str, Any]:
    try:
        text = read_whole(Path(path), largest=_LARGEST_CONFIG).decode()
        if text.count("[") + text.count("{") > _MOST_BRACKETS:
            raise yaml.YAMLError("too many brackets for settings")
        content = yaml.load(text, _NoAliases)
    except OSError as error:
        raise ConfigError(f"--config {path}: {error.strerror}; expected a YAML or JSON file") from error
    except UnicodeDecodeError as error:
        raise ConfigError(f"--config {path}: not a text file; expected YAML or JSON in UTF-8") from error
    except (yaml.YAMLError, ValueError, TypeError, RecursionError) as error:
        raise ConfigError(f"--config {path}: not readable as YAML or JSON: {str(error)[:300]}") from error
    if not isinstance(content, dict):
        raise ConfigError(f"--config {path}: expected lines like 'resolution: 32', got {type(content).__name__}")
    return content


# How options are spelled, and how what is wrong with them is said.


def _spelled(argument: str) -> str:
    """``--label-column`` and ``--label_column`` are the same option; ``--from``, a word of Python's, is ``from_``."""
    if not argument.startswith("--"):
        return argument
    name, equals, value = argument.partition("=")
    name = name[2:].replace("-", "_")
    return f"--{name}{'_' if iskeyword(name) else ''}{equals}{value}"


def _bracketed(arguments: Sequence[str]) -> list[str]:
    """Lists of numbers may come bare or in round brackets: ``--model.encoder-widths 64,64,32``."""
    out: list[str] = []
    for argument in arguments:
        name, equals, value = argument.partition("=")
        if equals and name in _list_options():
            out.append(f"{name}={_in_brackets(value)}")
        else:
            out.append(_in_brackets(argument) if out and out[-1] in _list_options() else argument)
    return out


def _in_brackets(value: str) -> str:
    bare = value.strip().removeprefix("(").removesuffix(")").strip().removesuffix(",")
    return f"[{bare}]" if re.fullmatch(r"\d+(\s*,\s*\d+)+", bare) else value


@cache
def _list_options() -> frozenset[str]:
    """The settings of a training that are lists."""
    parts = [(field.name, hint) for field, hint in _hinted(TrainConfig) if is_dataclass(hint)]
    return frozenset(
        f"--{part}.{field.name}"
        for part, kind in parts
        for field, hint in _hinted(kind)
        if typing.get_origin(hint) is tuple
    )


def _hinted(kind: Any) -> list[tuple[Any, Any]]:
    hints = typing.get_type_hints(kind)
    return [(field, hints[field.name]) for field in fields(kind)]


def shown(option: str) -> str:
    """An option as help and messages write it."""
    return option if option == "--print_config" else option.rstrip("_").replace("_", "-")


class _Help(DefaultHelpFormatter):
    """Help without type names, and with defaults only where there are any."""

    def _get_help_string(self, action: argparse.Action) -> str:
        text = action.help or ""
        if isinstance(action, argparse._SubParsersAction):
            return text
        if action.required:
            return f"{text} (required)"
        if isinstance(action.default, tuple):  # as it is typed
            return f"{text} (default: {','.join(map(str, action.default))})"
        if action.option_strings and action.nargs != 0 and action.default not in (None, argparse.SUPPRESS):
            return f"{text} (default: %(default)s)"
        return text

    def _format_action_invocation(self, action: argparse.Action) -> str:
        return re.sub(r"--[\w.]+", lambda option: shown(option[0]), super()._format_action_invocation(action))

    def _get_default_metavar_for_optional(self, action: argparse.Action) -> str:
        return action.dest.rsplit(".")[-1].rstrip("_").rsplit("_")[-1].upper()

    def _format_usage(self, usage: Any, actions: Any, groups: Any, prefix: str | None) -> str:
        words = [self._prog.replace(" [options]", "")]
        words += [_bare(action) for action in actions if not action.option_strings and action.nargs in ("?", "*")]
        words += [
            f"{shown(action.option_strings[-1])} {action.dest.upper()}"
            for action in actions
            if action.required and action.option_strings
        ]
        if prefix != "":  # else the words become a subcommand's own name
            commands = any(isinstance(action, argparse._SubParsersAction) for action in actions)
            words.append("COMMAND ..." if commands else "[options]")
        return f"{'usage: ' if prefix is None else prefix}{' '.join(words)}\n\n"


def _bare(action: argparse.Action) -> str:
    """An argument without a name, in a usage line."""
    name = action.dest.upper() + (" ..." if action.nargs == "*" else "")
    return name if action.default is None else f"[{name}]"


class _Parser(ArgumentParser):
    """A parser whose complaints are one line, raised as a ``ConfigError``."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(formatter_class=_Help, allow_abbrev=False, **kwargs)

    def error(self, message: str, ex: Exception | None = None) -> NoReturn:
        parser = getattr(ex, "subcommand_parser", None) or self
        program = parser.prog.replace(" [options]", "")
        missing = re.search(r"the following arguments are required: ([\w-]+)\.", message)
        if missing:  # told by the main parser, of a command's options
            program = f"{program} {_parted(missing[1])}"
        raise ConfigError(f"{_one_line(message)} (see {program} --help)") from ex


_PLAIN = {
    "<class 'float'>": "a number",
    "<class 'int'>": "a whole number",
    "<class 'bool'>": "true or false",
    "<class 'str'>": "text (in a config file: in quotes)",
    "<class 'tuple'>": "a list like [64,32]",
}


def _one_line(message: str) -> str:
    """What jsonargparse says over several lines, with options spelled as they are typed."""
    if message.startswith('expected "verb"'):
        return f"no command given; choose from {', '.join(VERBS)}"
    missing = re.search(r"the following arguments are required: (.*)", message)
    if missing:
        names = [key.strip().split(".", 1)[-1] for key in missing[1].split(",")]
        return f"missing: {', '.join(shown('--' + name) for name in names)}"
    key = re.search(r'Parser key "([^"]+)"', message)
    value = re.search(r"(?:Given value|Got value): (.*)", message)
    kinds = re.findall(r"Expected an? (.*?)(?:\. Got value.*)?$", message, re.MULTILINE)
    if key and value and kinds:
        expected = " or ".join(dict.fromkeys(_plain(kind) for kind in kinds if kind != "<class 'NoneType'>"))
        return f"{shown('--' + key[1])}: expected {expected}, got {value[1]!r}"
    if key:
        return f"{shown('--' + key[1])}: {' '.join(message.split(':', 1)[1].split())}"
    message = re.sub(r"Subcommand '[\w-]+' does not accept option", "there is no option", message)
    for verb in VERBS:
        message = message.replace(f"'{verb.replace(' ', '-')}'", f"'{verb}'")
    return message.replace("argument verb: invalid choice", "unknown command")


def _plain(kind: str) -> str:
    if kind.startswith("typing.Literal"):
        return "one of " + kind[len("typing.Literal[") : -1]
    return _PLAIN.get(kind, kind)
