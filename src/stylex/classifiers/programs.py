"""Programs in files: TorchScript and torch.export, opened without unpickling anything but plain tensors."""

from __future__ import annotations

import ast
import inspect
import io
import json
import logging
import os
import re
import subprocess
import sys
import warnings
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import nn

from stylex.core.errors import ClassifierError
from stylex.core.files import read_whole


def load_torchscript(path: Path, *, channels: int = 3, size: int = 224) -> nn.Module:
    """A TorchScript program, tried in another process first, on one image of so many channels and pixels a side.

    Raises:
        ClassifierError: the file is not TorchScript, e.g. a pickled module or weights alone.
    """
    content = _content(path)
    if damaged := _damaged_record(content):
        raise ClassifierError(f"{path} is damaged at its record {damaged}: copy it or save it again")
    if end := _ends_badly(content, channels, size):
        raise ClassifierError(f"{path} is damaged: a process that runs it {end}; copy it or save it again")
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message=".*torch.jit.*")
            module: nn.Module = torch.jit.load(io.BytesIO(content), map_location="cpu")
    except Exception as error:  # whatever a damaged archive makes of the reader
        raise ClassifierError(
            f"{path} is not a TorchScript program; a pickled module or weights alone are not opened, since unpickling "
            "runs code: save it with torch.export.save as a .pt2 program, or give pkg.module:callable"
        ) from error
    return module


def load_exported(path: Path) -> nn.Module:
    """The module of a torch.export program.

    Raises:
        ClassifierError: the file is no such program, or it holds more than operators and plain tensors.
    """
    content = _content(path)
    if reason := _why_not_open(content):
        raise ClassifierError(
            f"{path} is not opened: {reason}; save it again with torch.export.save, or give pkg.module:callable"
        )
    try:
        with _quiet():
            program = torch.export.load(io.BytesIO(content))
            # Guards are Python text out of the file, which this torch would compile; older ones have none.
            unguarded = "check_guards" in inspect.signature(program.module).parameters
            module: nn.Module = program.module(check_guards=False) if unguarded else program.module()
    except Exception as error:  # whatever a damaged archive makes of the reader
        text = " ".join(str(error).split())[:300]
        raise ClassifierError(
            f"{path} is not a torch.export program that torch {torch.__version__} reads: {type(error).__name__}: {text}"
        ) from error
    return module


def _damaged_record(content: bytes) -> str | None:
    """The first record of a zip whose checksum is wrong: torch reads such records, and dies of some of them."""
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            return archive.testzip()
    except Exception as error:  # zipfile, zlib and friends raise nearly anything on damaged data
        return "list" if isinstance(error, zipfile.BadZipFile) and content[:2] == b"PK" else None


_PATIENCE_S = 45
_TRY = """
import io, sys, torch
model = torch.jit.load(io.BytesIO(sys.stdin.buffer.read()), map_location="cpu").eval()
with torch.no_grad():
    model(torch.zeros(1, int(sys.argv[1]), int(sys.argv[2]), int(sys.argv[2])))
"""


def _ends_badly(content: bytes, channels: int, size: int) -> str | None:
    """What becomes of a process that runs the TorchScript, if that is bad: torch trusts what the records say."""
    if not content.startswith(b"PK"):
        return None
    # Torch is to be found where this process found it.
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
    command = [sys.executable, "-c", _TRY, str(channels), str(size)]
    try:
        tried = subprocess.run(
            command, input=content, env=environment, capture_output=True, check=False, timeout=_PATIENCE_S
        )
    except subprocess.TimeoutExpired:
        return f"has not ended after {_PATIENCE_S} s"
    return "dies" if tried.returncode < 0 else None


@contextmanager
def _quiet() -> Iterator[None]:
    """torch.export logs warnings of its own; a failure is told by the exception."""
    logger = logging.getLogger("torch")
    before = logger.level
    logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        logger.setLevel(before)


def _content(path: Path) -> bytes:
    try:
        return read_whole(path)
    except OSError as error:
        raise ClassifierError(f"{path} cannot be read: {error.strerror or error}") from error


# torch.export.load unpickles some records, evaluates the expressions of symbolic sizes as Python, looks up
# operators by name and writes names into source code. An ordinary classifier needs none of the dangerous
# forms, so an archive that has them is refused before torch sees it. The records are read with torch's own
# reader, from the same bytes.


def _why_not_open(content: bytes) -> str | None:
    """What in the archive of a torch.export program could run code of its author; None if nothing."""
    try:
        reader = torch._C.PyTorchFileReader(io.BytesIO(content))
        names: list[str] = reader.get_all_records()
    except (RuntimeError, ValueError):
        if b"serialized_exported_program.json" in content:
            return f"it was saved by an older torch, in a form that is not read (torch {torch.__version__} is here)"
        return "it is not a torch.export program"
    if "archive_format" not in names or "models/model.json" not in names:
        return "it is not a torch.export program of the present format"
    if any(name.startswith("data/aotinductor/") for name in names):
        return "it holds compiled machine code"
    if any(re.fullmatch(r"data/(weights|constants)/[^/]*\.pt", name) for name in names):
        return "its weights are pickled (an older format)"
    for name in names:
        if not name.startswith("data/sample_inputs/") and not name.endswith(".json"):
            continue
        try:
            record = reader.get_record(name)
        except RuntimeError:
            return f"its record {name} is damaged"
        if name.startswith("data/sample_inputs/") and record:
            try:
                torch.load(io.BytesIO(record), weights_only=True)
            except Exception:
                return "its sample inputs are pickled objects"
        if name.endswith(".json"):
            try:
                tree = json.loads(record)
            except (ValueError, RecursionError):
                return f"its record {name} is not JSON"
            if reason := next(_hazards(tree), None):
                return reason
    return None


_NAME = re.compile(r"[\w.\-/ ]*")
_OPERATOR = re.compile(r"torch\.ops\.\w+\.\w+(\.\w+)?|torch\.sym_\w+|_operator\.\w+|math\.\w+|")


def _hazards(tree: Any, key: str = "") -> Iterator[str]:
    """Every place in an archive's JSON that torch would run, or could be made to run, as Python."""
    if isinstance(tree, dict):
        for name, value in tree.items():
            if not _NAME.fullmatch(name):
                yield f"it has an odd name {name!r}"
            yield from _hazards(value, name)
    elif isinstance(tree, list):
        for value in tree:
            yield from _hazards(value, key)
    elif key == "use_pickle" and tree:
        yield "it holds pickled objects"
    elif isinstance(tree, str):
        if "__enum__" in tree or "default_factory" in tree:
            yield "its input or output is a Python class of its own"
        elif key == "expr_str" and not _is_plain_expression(tree):
            yield f"a size in it is not plain arithmetic ({tree[:60]!r})"
        elif key == "target" and (not _OPERATOR.fullmatch(tree) or "__" in tree):
            yield f"it calls {tree[:60]!r}, which is no tensor operator"
        elif key in ("name", "path_name", "forward_arg_names") and not _NAME.fullmatch(tree):
            yield f"it has an odd name {tree[:60]!r}"


_FUNCTIONS = re.compile(
    "Symbol|Integer|Float|Rational|Add|Mul|Pow|Abs|Max|Min|Mod|Eq|Ne|Lt|Le|Gt|Ge|And|Or|Not|floor|ceiling|sqrt|FloorDiv"
    "|ModularIndexing|Where|PythonMod|CleanDiv|CeilToInt|FloorToInt|CeilDiv|LShift|RShift|PowByNatural|FloatPow"
    "|FloatTrueDiv|IntTrueDiv|IsNonOverlappingAndDenseIndicator|TruncToFloat|TruncToInt|RoundToInt|RoundDecimal|ToFloat"
    "|Identity"
)
_QUOTED = frozenset(("Symbol", "Integer", "Float"))
_PLAIN = (
    ast.Expression, ast.BinOp, ast.UnaryOp, ast.Compare, ast.BoolOp, ast.Call, ast.Name, ast.Constant, ast.keyword,
    ast.operator, ast.unaryop, ast.cmpop, ast.boolop, ast.expr_context,
)  # fmt: skip


def _is_plain_expression(text: str) -> bool:
    """Whether the text is arithmetic over numbers and symbols, with known functions only."""
    try:
        tree = ast.parse(text, mode="eval")
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return False
    named: set[ast.AST] = set()
    for node in ast.walk(tree):
        if not isinstance(node, _PLAIN):
            return False
        if isinstance(node, ast.Call):
            if not isinstance(node.func, ast.Name) or not _FUNCTIONS.fullmatch(node.func.id):
                return False
            named.add(node.func)
            if node.func.id in _QUOTED:
                named.update(arg for arg in node.args if isinstance(arg, ast.Constant))
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str | bytes):
            if node not in named or not re.fullmatch(r"[\w.+\-]{1,60}", str(node.value)):
                return False
        elif isinstance(node, ast.Name) and node not in named and not re.fullmatch(r"[a-z]+\d+|oo|int_oo", node.id):
            return False
    return True
