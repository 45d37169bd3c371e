"""Tensors by name out of other programs' checkpoints: pickles, files of ``torch.save``, safetensors. No code is run."""

from __future__ import annotations

import io
import math
import struct
import zipfile
import zlib
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load as load_safetensors
from torch import Tensor

from stylex.core.errors import SnapshotError, first_line
from stylex.core.files import read_whole
from stylex.core.pickled import MOST_STEPS, Kept, Made, Name, read_pickle

_TYPES: Mapping[str, torch.dtype] = {
    "FloatStorage": torch.float32,
    "DoubleStorage": torch.float64,
    "HalfStorage": torch.float16,
    "BFloat16Storage": torch.bfloat16,
    "LongStorage": torch.int64,
    "IntStorage": torch.int32,
    "ShortStorage": torch.int16,
    "CharStorage": torch.int8,
    "ByteStorage": torch.uint8,
    "BoolStorage": torch.bool,
}
_TENSOR = frozenset({"torch._utils._rebuild_tensor", "torch._utils._rebuild_tensor_v2"})
_PARAMETER = "torch._utils._rebuild_parameter"
_BYTES = "torch.storage._load_from_bytes"
_OBJECT = "torch_utils.persistence._reconstruct_persistent_obj"
_PLAIN = frozenset({"collections.OrderedDict", "dnnlib.util.EasyDict", "dnnlib.EasyDict"})
_NAMES = frozenset(
    {
        *_TENSOR, _PARAMETER, _BYTES, _OBJECT, *_PLAIN, *(f"torch.{name}" for name in _TYPES),
        "argparse.Namespace", "builtins.set", "numpy.dtype", "numpy.ndarray", "torch.Size", "torch.device",
        *(f"numpy.{core}.multiarray.{name}" for core in ("core", "_core") for name in ("scalar", "_reconstruct")),
        *(f"torch.{kind}" for kind in ("float16", "float32", "float64")),
    }
)  # fmt: skip
"""All that checkpoints of StyleGAN2 were seen to name; of these, what is not read here is passed over."""

_MAGIC = 0x1950A86A20F9469CFC6C
"""With this number begins what ``torch.save`` wrote before it wrote zips."""
_DEEPEST, _MOST, _TENSORS = 32, 2**16, 2**13
"""Levels of modules in modules, entries looked at, and tensors, at most."""
_INNER_STEPS = 500
"""Instructions of a pickle inside of a pickle, which says one tensor."""


@dataclass(frozen=True, eq=False)
class Checkpoint:
    """What a file holds that is of use.

    Attributes:
        tensors: by name, ``G_ema.synthesis.b4.const``; not yet known to be finite, or of a shape that is expected.
        numbers: the layers' own numbers, by name: ``D.b4.mbstd.group_size``.
        passed_over: kinds of objects whose code the file brings along; it was not run.
    """

    tensors: Mapping[str, Tensor]
    numbers: Mapping[str, float]
    passed_over: tuple[str, ...] = ()


def read_checkpoint(path: Path) -> Checkpoint:
    """Read tensors, numbers and names out of a checkpoint.

    Raises:
        SnapshotError: it cannot be read, is damaged, or holds what a checkpoint does not need.
    """
    try:
        data = read_whole(path)
        return _safetensors(data) if path.suffix == ".safetensors" else _pickled(data)
    except OSError as error:
        raise SnapshotError(f"{path} cannot be read ({error.strerror or first_line(error)})") from None
    except (ValueError, SafetensorError, MemoryError) as error:
        raise SnapshotError(
            f"{path} cannot be imported: {first_line(error)}; give a checkpoint as stylegan2-ada-pytorch (.pkl) or "
            "rosinality's stylegan2-pytorch (.pt) wrote it, or a .safetensors file"
        ) from None


def _safetensors(data: bytes) -> Checkpoint:
    try:
        return Checkpoint(load_safetensors(data), {})
    except (KeyError, OverflowError) as error:
        raise ValueError(f"it is no safetensors file ({first_line(error)})") from None


def _pickled(data: bytes) -> Checkpoint:
    view = memoryview(data)
    if data[:2] == b"PK":
        root, kept = _zipped(data)
    elif _is_legacy(view):
        root, kept = _legacy(view, MOST_STEPS)
    else:
        (root, _), kept = read_pickle(view, 0, names=_NAMES), _nothing_kept
    harvest = _Harvest(kept)
    harvest.gather(root)
    return Checkpoint(harvest.tensors, harvest.numbers, tuple(sorted(harvest.passed_over)))


_Storages = Callable[[str], memoryview]


def _nothing_kept(key: str) -> memoryview:
    raise ValueError("it holds tensors outside of itself")


def _zipped(data: bytes) -> tuple[Any, _Storages]:
    """What ``torch.save`` writes: the pickle, and beside it a member for each storage, uncompressed."""
    try:
        archive = zipfile.ZipFile(io.BytesIO(data))
        infos = {info.filename: info for info in archive.infolist()}
        root = next((name.removesuffix("data.pkl") for name in infos if name.endswith("/data.pkl")), None)
        if root is None:
            raise ValueError("it is a zip without data.pkl, so not of torch.save")
        if any(info.file_size != info.compress_size for info in infos.values()):
            raise ValueError("it is a compressed zip, so not of torch.save")
        if sum(info.file_size for info in infos.values()) > len(data):
            raise ValueError("its members are larger than the file")

        def member(name: str) -> memoryview:
            info = infos.get(root + name)
            if info is None:
                raise ValueError(f"its member {name[:80]!r} is missing")
            try:
                return memoryview(archive.read(info))
            except _DAMAGE as error:
                raise ValueError(f"its member {name[:80]!r} is damaged ({first_line(error)[:80]})") from None

        if f"{root}byteorder" in infos and bytes(member("byteorder")) != b"little":
            raise ValueError("its numbers are of another byte order")
        value, _ = read_pickle(member("data.pkl"), 0, names=_NAMES)
    except _DAMAGE as error:
        raise ValueError(f"it is no whole zip ({first_line(error)[:80]})") from None
    return value, lambda key: member(f"data/{key}")


_DAMAGE = (EOFError, KeyError, NotImplementedError, RuntimeError, OSError, struct.error, zlib.error, zipfile.BadZipFile)
"""What zipfile raises at bytes which are not what they should be."""


def _is_legacy(view: memoryview) -> bool:
    try:
        return read_pickle(view, 0, names=(), most=10)[0] == _MAGIC
    except ValueError:
        return False


def _legacy(view: memoryview, most: int) -> tuple[Any, _Storages]:
    """What ``torch.save`` wrote before 2020, and writes inside of pickles: five pickles, then the storages' bytes."""
    at, parts = 0, []
    for _ in range(5):
        value, at = read_pickle(view, at, names=_NAMES, most=most)
        parts.append(value)
    magic, protocol, system, value, keys = parts
    if magic != _MAGIC or protocol != 1001 or not isinstance(system, dict) or not isinstance(keys, list):
        raise ValueError("it is no file of torch.save")
    if system.get("little_endian") is False:
        raise ValueError("its numbers are of another byte order")
    # Each storage says only how many numbers it has, so its length follows from the type that the pickle gives it.
    sizes = {key: kind.itemsize for key, kind in _declared(value)}
    places: dict[str, memoryview] = {}
    for key in keys:
        if key not in sizes or len(view) - at < 8:
            raise ValueError("its storages are cut short, or not those that it names")
        (count,) = struct.unpack_from("<q", view, at)
        size = count * sizes[key]
        if not 0 <= size <= len(view) - at - 8:
            raise ValueError("it is cut short")
        places[key] = view[at + 8 : at + 8 + size]
        at += 8 + size

    def storage(key: str) -> memoryview:
        if key not in places:
            raise ValueError(f"its storage {key[:80]!r} is missing")
        return places[key]

    return value, storage


def _declared(value: Any) -> Iterator[tuple[str, torch.dtype]]:
    """The storages that a value names, with their types."""
    seen: set[int] = set()
    left = [value]
    while left:
        one = left.pop()
        if isinstance(one, Kept):
            yield _identity(one)
        elif isinstance(one, (dict, list, tuple, Made)) and id(one) not in seen:
            seen.add(id(one))
            if isinstance(one, Made):
                left.extend([*one.given, *one.items.values(), one.state])
            else:
                left.extend(one.values() if isinstance(one, dict) else one)


def _identity(kept: Any) -> tuple[str, torch.dtype]:
    """The key and the type of a storage."""
    match kept:
        case Kept(identity=("storage", Name(module="torch", name=kind), str(key), _, *_)) if kind in _TYPES:
            return key, _TYPES[kind]
    raise ValueError("a tensor in it is not kept as torch keeps tensors")


class _Harvest:
    """Tensors and numbers, gathered out of a value that may be nested deeply, in circles, or say what is not so.

    However often a value says the same bytes, they are read once, so that nothing here outgrows the file.
    """

    def __init__(self, storages: _Storages) -> None:
        self.storages = storages
        self.tensors: dict[str, Tensor] = {}
        self.numbers: dict[str, float] = {}
        self.passed_over: set[str] = set()
        self.looked_at = 0
        self.inner: dict[int, tuple[Any, _Storages]] = {}
        self.flat: dict[int | str, Tensor] = {}

    def gather(self, value: Any, at: str = "", depth: int = 0) -> None:
        """Take what lies under a name; networks are followed into their modules."""
        if depth > _DEEPEST or len(self.tensors) > _TENSORS:
            raise ValueError("its networks are nested too deeply, or have too many tensors")
        match value:
            case Made(by=by) if str(by) in _TENSOR or str(by) == _PARAMETER:
                self.tensors[at] = self.tensor(value)
            case Made(by=by, given=(dict() | Made() as meta,)) if str(by) == _OBJECT:
                self.module(_items(meta), at, depth)
            case _:
                for name, part in self.entries(value):
                    # An optimiser's numbers go by integers.
                    if isinstance(name, str) and isinstance(part, dict | Made):
                        self.gather(part, f"{at}.{name}" if at else name, depth + 1)

    def entries(self, value: Any) -> Collection[tuple[Any, Any]]:
        """What a mapping holds; counted, since few bytes may say the same mapping without end."""
        found = _items(value).items()
        self.looked_at += 1 + len(found)
        if self.looked_at > _MOST:
            raise ValueError(f"it has more than {_MOST:,} entries")
        return found

    def module(self, meta: Mapping[Any, Any], at: str, depth: int) -> None:
        """A network's own numbers and tensors, then its parts'."""
        if isinstance(kind := meta.get("class_name"), str):
            self.passed_over.add(kind[:80])
        own = meta.get("state")
        for name, value in self.entries(own):
            if type(value) in (int, float):
                self.numbers[f"{at}.{name}"] = value
        for group in ("_parameters", "_buffers", "_modules"):
            for name, part in self.entries(_items(own).get(group)):
                if isinstance(name, str) and part is not None:
                    self.gather(part, f"{at}.{name}" if at else name, depth + 1)

    def tensor(self, made: Made) -> Tensor:
        """The tensor that is described, inside of what is kept of it."""
        if str(made.by) == _PARAMETER:
            match made.given:
                case (Made(by=by) as inner, *_) if str(by) in _TENSOR:
                    made = inner
                case _:
                    raise ValueError("a parameter in it is no tensor")
        match made.given:
            case (storage, int(offset), tuple(shape), tuple(strides), *_) if len(shape) == len(strides) <= 8:
                numbers = (offset, *shape, *strides)
            case _:
                raise ValueError("a tensor in it is not described as torch describes tensors")
        if not all(type(n) is int and 0 <= n < 2**40 for n in numbers):
            raise ValueError("a tensor in it has a shape that cannot be meant")
        flat, count = self.storage(storage), math.prod(shape)
        last = offset + sum((n - 1) * step for n, step in zip(shape, strides, strict=True))
        if count > len(flat) or (count and last >= len(flat)):
            raise ValueError(f"a tensor of shape {list(shape)} is larger than what is kept of it")
        return flat.as_strided(shape, strides, offset) if count else torch.empty(shape, dtype=flat.dtype)

    def storage(self, value: Any) -> Tensor:
        """All numbers behind a tensor."""
        storages, inside = self.storages, 0
        match value:
            case Made(by=by, given=(memoryview() as inner,)) if str(by) == _BYTES:
                inside = id(inner)
                if inside not in self.inner:
                    self.inner[inside] = _legacy(inner, _INNER_STEPS)
                value, storages = self.inner[inside]
        key, dtype = _identity(value)
        known = inside or key
        if known not in self.flat:
            content = storages(key)
            whole = len(content) // dtype.itemsize * dtype.itemsize
            self.flat[known] = torch.frombuffer(bytearray(content[:whole]), dtype=dtype) if whole else torch.empty(0)
        if self.flat[known].dtype != dtype:
            raise ValueError(f"its storage {key[:80]!r} is of two types")
        return self.flat[known]


def _items(value: Any) -> Mapping[Any, Any]:
    """What a mapping holds, of whatever kind it was to be made."""
    match value:
        case dict():
            return value
        case Made(by=by, items=items) if str(by) in _PLAIN:
            return items
    return {}
