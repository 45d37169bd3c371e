"""Programs in files: TorchScript and torch.export, opened without unpickling what is not a tensor."""

from __future__ import annotations

import io
import warnings
from pathlib import Path

import torch
from torch import nn

from stylex.core.errors import ClassifierError


def load_torchscript(path: Path) -> nn.Module:
    """A TorchScript program.

    Raises:
        ClassifierError: the file is not TorchScript, e.g. pickled weights.
    """
    content = _content(path)
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message=".*torch.jit.*", category=DeprecationWarning)
            module: nn.Module = torch.jit.load(io.BytesIO(content), map_location="cpu")  # type: ignore[no-untyped-call]
    except (RuntimeError, ValueError) as error:
        raise ClassifierError(
            f"{path} is not a TorchScript program: a pickled module or weights alone are not loaded, since unpickling "
            "runs code; save it with torch.export.save(torch.export.export(...), 'name.pt2'), or give"
            " pkg.module:callable"
        ) from error
    return module


def load_exported(path: Path) -> nn.Module:
    """The module of a torch.export program.

    Raises:
        ClassifierError: the file is not such a program, or holds pickled objects.
    """
    content = _content(path)
    try:
        module: nn.Module = torch.export.load(io.BytesIO(content)).module()
    except Exception as error:
        raise ClassifierError(
            f"{path} is not a torch.export program that this torch reads: {type(error).__name__}: {error}"
        ) from error
    return module


def _content(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise ClassifierError(f"{path} cannot be read: {error.strerror or error}") from error
