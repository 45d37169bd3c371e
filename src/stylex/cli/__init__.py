"""Floor 5: the command line, a thin layer over ``stylex.api``.

Exit codes: 0 done; 2 a mistake the user can mend, told in one line on stderr; 3 done, and a check has failed (a
condition of ``audit`` holds); 130 interrupted; 143 told to end by SIGTERM; 1 a fault of stylex itself, with its
traceback. Results go to stdout, everything else to stderr.
"""

from __future__ import annotations

import errno
import os
import signal
import sys
import threading
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from types import FrameType

from stylex.core.errors import StylexError, first_line
from stylex.core.progress import Event, Found, silent
from stylex.core.wording import on_the_command_line


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; returns its exit code.

    ``STYLEX_DEBUG=1`` (or ``--verbose``) adds the traceback to an error, and Python's warnings.
    """
    arguments = list(sys.argv[1:] if argv is None else argv)
    debug = os.environ.get("STYLEX_DEBUG", "") not in ("", "0") or bool({"-v", "--verbose"} & set(arguments))
    if not debug and not sys.warnoptions:
        warnings.simplefilter("ignore")
    try:
        try:
            with on_the_command_line(), _told_to_end() as came:
                return _run(arguments, came, debug=debug)
        finally:
            sys.stdout.flush()
    except BrokenPipeError:
        # Whoever read our output has gone (`stylex ... | head`): say nothing more, and do not fail on exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 141


class _Terminated(BaseException):
    """SIGTERM came: a batch system, a container or ``kill`` ends this command."""


@contextmanager
def _told_to_end() -> Iterator[list[int]]:
    """SIGTERM ends a command as Ctrl-C does; Ctrl-C does so too where the shell began with it ignored (``nohup``).

    Gives the signals that came: a library that was just being imported may make something else of the exception.
    """
    came: list[int] = []
    if threading.current_thread() is not threading.main_thread():
        yield came
        return
    own = os.getpid()

    def end(number: int, frame: FrameType | None) -> None:
        if os.getpid() == own:
            came.append(number)
            raise _Terminated if number == signal.SIGTERM else KeyboardInterrupt
        signal.signal(number, signal.SIG_DFL)  # a child process ends at once
        signal.raise_signal(number)

    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    for number in before:
        signal.signal(number, end)
    try:
        yield came
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _run(arguments: list[str], came: list[int], *, debug: bool) -> int:
    command = None
    first = os.environ.get("RANK", "0") == "0"  # of several processes under torchrun, one speaks
    try:
        from stylex.cli.parser import parse
        from stylex.cli.progress import listener_for

        command = parse(arguments)
        if command.dry_run and first:
            print(command.settings, end="")
        with listener_for(sys.stderr, quiet=command.quiet) if first else nullcontext(silent) as listener:
            heard: set[str] = set()

            def hear(event: Event) -> None:
                if isinstance(event, Found) and not command.quiet:
                    heard.add(event.message)
                listener(event)

            said, failed = command.run(hear)
        for line in said if first else ():
            if not (line in heard and sys.stdout.isatty() and sys.stderr.isatty()):  # a person has just read it
                print(line)
    except (Exception, KeyboardInterrupt, _Terminated) as error:
        told = isinstance(error, _Terminated) or signal.SIGTERM in came
        if not told and not isinstance(error, KeyboardInterrupt) and signal.SIGINT not in came:
            return _mistake(error, debug=debug)
        then = command.verb.interrupted(command.call) if command else "nothing was begun"
        how, code = ("told to end", 143) if told else ("interrupted", 130)
        if first:
            print(f"stylex: {how}; {then}", file=sys.stderr)
        return code
    return 3 if failed else 0


def _mistake(error: BaseException, *, debug: bool) -> int:
    """Say what a person can mend in a line; a fault of stylex itself goes on."""
    said = str(error) if isinstance(error, StylexError) else _refused_by_the_system(error)
    if said is None or (debug and not isinstance(error, StylexError)):
        raise error
    if debug:
        import traceback

        traceback.print_exc()
    print(f"stylex: error: {said}", file=sys.stderr)
    return 2


_NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS, errno.EIO)
_NO_HANDLES = (errno.EMFILE, errno.ENFILE)
_NO_MEMORY = (
    "out of memory",
    "can't allocate memory",
    "could not create a primitive",
    "bad_alloc",
    "can't start new thread",
)
"""What errors say whose types do not tell: torch's, oneDNN's, C++'s, Python's own."""


def _refused_by_the_system(error: BaseException) -> str | None:
    """What a person can do where the machine has no more to give; None: it is something else."""
    said = first_line(error)[:200]
    code = error.errno if isinstance(error, OSError) else None
    if isinstance(error, MemoryError) or code == errno.ENOMEM or any(words in str(error) for words in _NO_MEMORY):
        return f"there is not enough memory ({said}); end other programs, or give smaller images, or fewer at once"
    if code in _NO_HANDLES:
        return f"too many files are open at once ({said}); end other programs, or raise the limit (ulimit -n)"
    if code == errno.ENAMETOOLONG:
        return f"the system takes no name as long as that of a file that was given ({said[:80]}...); give a shorter one"
    if code in _NO_ROOM:
        return f"the disk refuses ({said}); free some space, or choose a place you may write to"
    return None
