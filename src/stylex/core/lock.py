"""One writer a place: whoever writes there holds a lock file beside it, and the next one is told who does.

The lock is the system's own (``flock``), which ends with the process that holds it, however that ends; what stands in
the file (JSON) is for the words of a refusal, and for disks that know no such locks.
"""

from __future__ import annotations

import errno
import functools
import hashlib
import inspect
import json
import os
import socket
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from datetime import datetime
from pathlib import Path
from typing import Any, Literal, ParamSpec, TypeVar

from stylex.core.errors import StoreError, StylexError
from stylex.core.files import cannot_write, is_alive, parents_of, sayable

if sys.platform != "win32":
    import fcntl

P = ParamSpec("P")
T = TypeVar("T")

Answer = Literal["taken", "denied", "unknown"]

_held: set[int] = set()
"""File descriptors of locks held. A forked child lets go of them: it is not who writes, and may live longer."""


def one_writer(
    *outputs: str,
    into: tuple[str, ...] = (),
    unless: str | None = None,
    error: type[StylexError] = StoreError,
    typed: str | None = None,
) -> Callable[[Callable[P, T]], Callable[P, T]]:
    """A verb that is the only one to write to its places while it runs; of several processes, the first holds them.

    Args:
        outputs: its parameters that name what it writes; None of them is nothing.
        into: parameters that name folders which it adds to, where these are there.
        unless: a parameter that says that nothing is written.
        error: what its users know.
        typed: what the command line calls it, where that is not its name.
    """

    def decorate(verb: Callable[P, T]) -> Callable[P, T]:
        known = inspect.signature(verb)

        @functools.wraps(verb)
        def alone(*args: P.args, **kwargs: P.kwargs) -> T:
            try:
                given = known.bind(*args, **kwargs).arguments
            except TypeError:
                return verb(*args, **kwargs)  # Python says what is wrong with the call
            places = [given[name] for name in outputs if given.get(name) is not None]
            places += [given[name] for name in into if given.get(name) is not None and os.path.isdir(given[name])]
            if os.environ.get("RANK", "0") != "0" or (unless is not None and given.get(unless)):
                places = []
            with ExitStack() as stack:
                for place in dict.fromkeys(Path(place) for place in places):
                    stack.enter_context(sole_writer(place, verb=typed or verb.__name__, error=error))
                return verb(*args, **kwargs)

        return alone

    return decorate


@contextmanager
def sole_writer(
    path: Path, *, verb: str, kind: str = "lock", patience_s: float = 0, error: type[StylexError] = StoreError
) -> Iterator[None]:
    """Be the only one to write to a place while the block runs; nothing stays of the lock.

    Args:
        path: a file or a folder, there or not.
        verb: what is being done, for whoever comes second.
        kind: locks of different kinds know nothing of each other.
        patience_s: how many seconds to wait for somebody else to be done.
        error: what its users know.

    Raises:
        StylexError: of type ``error``: somebody else is writing there, or the system refuses a file.
    """
    path = sayable(path, error)
    with ExitStack() as stack:
        try:
            place = path.resolve()
            stack.enter_context(parents_of(place, keep=False))
            file = _lock_file(place, kind)
            descriptor = _take(path, file, error, until=time.monotonic() + patience_s)
            stack.callback(_release, file, descriptor)
        except RuntimeError as refusal:  # links in a circle
            raise error(f"cannot write {path}: {refusal}; choose another place") from refusal
        except OSError as refusal:
            raise cannot_write(path, refusal, error) from refusal
        _write(descriptor, {"verb": verb, **_self(), "since": datetime.now().strftime("%Y-%m-%d %H:%M:%S")})
        yield


def writer_of(path: Path) -> Mapping[str, Any] | None:
    """Who is writing to a place: ``verb``, ``process``, ``host`` and ``since``; None: nobody, as far as can be seen.

    Nothing is locked by asking. A holder on another machine is believed.
    """
    with suppress(OSError, RuntimeError):
        place = path.resolve()
        descriptor = os.open(_lock_file(place, "lock"), os.O_RDONLY)
        try:
            holder = _read(descriptor)
        finally:
            os.close(descriptor)
        foreign = holder.get("host", socket.gethostname()) != socket.gethostname()
        return holder if holder and (foreign or _lives(holder)) else None
    return None


def _release(file: Path, descriptor: int) -> None:
    if descriptor not in _held:
        return  # in a forked child
    with suppress(OSError):
        file.unlink()  # before it is let go: nobody takes a lock that is about to vanish
    _held.discard(descriptor)
    os.close(descriptor)


def _lock_file(place: Path, kind: str) -> Path:
    """Beside the place; in it where nothing may be written beside it, as in a mounted folder."""
    if place.is_dir() and not os.access(place.parent, os.W_OK):
        return place / f".{kind}"
    name = place.name
    if len(os.fsencode(name)) > 200:
        name = f"{name[:40]}-{hashlib.sha256(os.fsencode(name)).hexdigest()[:16]}"
    return place.parent / f".{name}.{kind}"


def _take(path: Path, file: Path, error: type[StylexError], *, until: float) -> int:
    """A descriptor of the lock file, locked."""
    signed = time.monotonic() + 0.5
    while True:
        descriptor = os.open(file, os.O_RDWR | os.O_CREAT, 0o666)  # no other program inherits it
        _held.add(descriptor)
        answer: Answer = "unknown"
        try:
            answer = _try(descriptor)
            holder = _read(descriptor)
            foreign = holder.get("host", socket.gethostname()) != socket.gethostname()
            free = not foreign and (answer == "taken" or (answer == "unknown" and not _lives(holder)))
            if free and _is(descriptor, file):
                return descriptor
            # Its holder has removed it just now, or has not signed it yet.
            soon = free or (answer == "denied" and not holder and time.monotonic() < signed)
            if not soon and time.monotonic() >= until:
                raise error(_refusal(path, file, holder, foreign=foreign, alive=answer == "denied"))
        except BaseException:
            _held.discard(descriptor)
            os.close(descriptor)
            raise
        _held.discard(descriptor)
        os.close(descriptor)
        time.sleep(0.01)


def _try(descriptor: int) -> Answer:
    """Lock a file; ``unknown`` where the system or the disk cannot."""
    if sys.platform == "win32":
        return "unknown"
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as refusal:
        if refusal.errno in (errno.EWOULDBLOCK, errno.EACCES):
            return "denied"
        if refusal.errno in (errno.ENOLCK, errno.ENOSYS, errno.EINVAL, errno.ENOTSUP, errno.EOPNOTSUPP):
            return "unknown"
        raise
    return "taken"


def _is(descriptor: int, file: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(descriptor), os.stat(file))
    except FileNotFoundError:
        return False


def _refusal(path: Path, file: Path, holder: Mapping[str, Any], *, foreign: bool, alive: bool) -> str:
    verb, process, host, since = (str(holder.get(key, "?"))[:100] for key in ("verb", "process", "host", "since"))
    where = f" on the machine {host}" if foreign else ""
    remedy = "wait until it has ended, end it, or choose another place"
    if foreign and not alive:
        remedy = f"if it has ended there, remove {file}, else wait, or choose another place"
    return f"{path} is being written by `stylex {verb}` (process {process}{where}, since {since}); {remedy}"


# What stands in a lock file.


def _self() -> dict[str, Any]:
    return {"process": os.getpid(), "began": _began(os.getpid()), "host": socket.gethostname()}


def _lives(holder: Mapping[str, Any]) -> bool:
    """Whether the process of this machine that a file names is still the one that wrote it."""
    process = holder.get("process")
    return type(process) is int and is_alive(process) and holder.get("began") == _began(process)


def _began(process: int) -> str | None:
    """When a process began, in the system's own count, so that a number given anew is not believed; None: unknown."""
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[19]
    except (OSError, IndexError, UnicodeDecodeError):
        return None


def _write(descriptor: int, holder: Mapping[str, Any]) -> None:
    with suppress(OSError):  # the lock holds without words, and a full disk is told by what is written next
        os.ftruncate(descriptor, 0)
        os.lseek(descriptor, 0, os.SEEK_SET)
        os.write(descriptor, json.dumps(holder).encode())


def _read(descriptor: int) -> Mapping[str, Any]:
    try:
        os.lseek(descriptor, 0, os.SEEK_SET)
        holder = json.loads(os.read(descriptor, 4096))
    except (OSError, ValueError, RecursionError):
        return {}
    return holder if isinstance(holder, dict) else {}


def _let_go() -> None:
    for descriptor in _held:
        with suppress(OSError):
            os.close(descriptor)
    _held.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_let_go)
