"""The door of the command: exit codes, and what goes to stdout and to stderr."""

from __future__ import annotations

import errno
import functools
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any, NoReturn

import pytest
import torch

import stylex
from stylex import api
from stylex.cli import main
from stylex.core.errors import DataError
from stylex.core.progress import Done, Listener, Started

REPORT = ["report", "e"]
ENVIRONMENT = {name: value for name, value in os.environ.items() if name != "STYLEX_DEBUG"}


def replace_report(monkeypatch: pytest.MonkeyPatch, does: Any) -> None:
    """Have ``stylex report`` do something else, under the same signature."""

    @functools.wraps(api.report)
    def stand_in(**call: Any) -> Any:
        return does()

    monkeypatch.setattr(api, "report", stand_in)
    monkeypatch.delenv("STYLEX_DEBUG", raising=False)


def raising(error: BaseException) -> Any:
    def raise_it() -> NoReturn:
        raise error

    return raise_it


def test_the_result_goes_to_stdout(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    replace_report(monkeypatch, lambda: "e/report.html")
    assert main(REPORT) == 0
    assert capsys.readouterr() == ("report: e/report.html\n", "")


def test_a_mistake_is_one_line_and_exit_code_2(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    replace_report(monkeypatch, raising(DataError("no pictures in x;\n give some")))
    assert main(REPORT) == 2
    assert capsys.readouterr() == ("", "stylex: error: no pictures in x; give some\n")


@pytest.mark.parametrize(
    ("error", "says"),
    [
        (MemoryError(), "there is not enough memory (MemoryError)"),
        (RuntimeError("[enforce fail at alloc_cpu.cpp:116] . DefaultCPUAllocator: can't allocate memory: you tried to "
                      "allocate 400 bytes"), "there is not enough memory ([enforce fail"),
        (RuntimeError("could not create a primitive"), "there is not enough memory (could not"),
        (torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB"), "there is not enough memory (CUDA"),
        (OSError(errno.EMFILE, "Too many open files", "x.png"), "too many files are open at once ("),
        (OSError(errno.ENOSPC, "No space left on device"), "the disk refuses ("),
    ],
)  # fmt: skip
def test_a_machine_that_has_no_more_to_give_is_one_line_and_exit_code_2(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], error: Exception, says: str
) -> None:
    replace_report(monkeypatch, raising(error))
    assert main(REPORT) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith(f"stylex: error: {says}")
    assert err.count("\n") == 1
    with pytest.raises(type(error)):
        main([*REPORT, "-v"])


@pytest.mark.parametrize("end", [KeyboardInterrupt(), "term"])
def test_a_signal_while_the_command_line_is_read_is_one_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], end: object
) -> None:
    import stylex.cli.parser

    def parse(arguments: object) -> NoReturn:
        os.kill(os.getpid(), signal.SIGTERM if end == "term" else signal.SIGINT)
        raise AssertionError("it went on")

    monkeypatch.setattr(stylex.cli.parser, "parse", parse)
    assert main(REPORT) == (143 if end == "term" else 130)
    said = "told to end" if end == "term" else "interrupted"
    assert capsys.readouterr() == ("", f"stylex: {said}; nothing was begun\n")


@pytest.mark.parametrize(("number", "code", "said"), [(15, 143, "told to end"), (2, 130, "interrupted")])
def test_a_signal_that_a_library_makes_an_error_of_is_still_one_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], number: int, code: int, said: str
) -> None:
    def half_imported() -> NoReturn:
        try:
            os.kill(os.getpid(), number)
            raise AssertionError("it went on")
        except BaseException:
            raise RecursionError("maximum recursion depth exceeded") from None

    replace_report(monkeypatch, half_imported)
    assert main(REPORT) == code
    assert capsys.readouterr() == ("", f"stylex: {said}; nothing was written\n")


def test_a_name_that_no_system_takes_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["runs", "x" * 300]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert "takes no name as long as that" in line


def test_an_unknown_option_is_one_line_and_exit_code_2(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*REPORT, "--nonsense"]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err == "stylex: error: unrecognized arguments: --nonsense (see stylex report --help)\n"


@pytest.mark.parametrize("how", ["-v", "--verbose", "STYLEX_DEBUG"])
def test_the_traceback_is_there_for_those_who_ask(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], how: str
) -> None:
    replace_report(monkeypatch, raising(DataError("no pictures")))
    if how == "STYLEX_DEBUG":
        monkeypatch.setenv(how, "1")
    assert main([*REPORT, how] if how != "STYLEX_DEBUG" else REPORT) == 2
    err = capsys.readouterr().err
    assert err.startswith("Traceback")
    assert err.endswith("stylex: error: no pictures\n")


def test_ctrl_c_says_what_holds(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    replace_report(monkeypatch, raising(KeyboardInterrupt()))
    assert main(REPORT) == 130
    assert capsys.readouterr().err == "stylex: interrupted; nothing was written\n"


def test_a_training_goes_on_only_from_a_state_that_is_there(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    @functools.wraps(api.train)
    def train(**_: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(api, "train", train)
    command = ["train", "--data", "a.zip", "--classifier", "m:f", "--out", str(tmp_path), "--preset", "small-32"]
    assert main(command) == 130
    assert "begins anew: no state has been kept yet" in capsys.readouterr().err
    (tmp_path / "state.pt").touch()
    assert main(command) == 130
    assert "goes on from the last state" in capsys.readouterr().err


def test_sigterm_says_what_holds(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    before = signal.getsignal(signal.SIGTERM)
    replace_report(monkeypatch, lambda *given, **more: signal.raise_signal(signal.SIGTERM))
    assert main(REPORT) == 143
    assert capsys.readouterr().err == "stylex: told to end; nothing was written\n"
    assert signal.getsignal(signal.SIGTERM) is before


def test_ctrl_c_works_where_the_shell_began_with_it_ignored(monkeypatch: pytest.MonkeyPatch) -> None:
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        replace_report(monkeypatch, lambda *given, **more: signal.raise_signal(signal.SIGINT))
        assert main(REPORT) == 130
    finally:
        signal.signal(signal.SIGINT, before)


def test_a_fault_of_our_own_is_not_hidden(monkeypatch: pytest.MonkeyPatch) -> None:
    replace_report(monkeypatch, raising(ZeroDivisionError()))
    with pytest.raises(ZeroDivisionError):
        main(REPORT)


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as leaving:
        main(["--version"])
    assert leaving.value.code == 0
    assert capsys.readouterr().out == f"stylex {stylex.__version__}\n"


def test_a_dry_run_prints_the_settings_and_does_nothing(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    replace_report(monkeypatch, raising(AssertionError("it ran")))
    assert main([*REPORT, "--dry-run"]) == 0
    assert capsys.readouterr().out == "# stylex report\nexplanation_folder: e\nstrips: false\n"


@pytest.mark.parametrize(("quiet", "said"), [([], "work: 3 images\nwork: done, e\n"), (["-q"], "")])
def test_progress_goes_to_stderr_unless_quiet(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], quiet: list[str], said: str
) -> None:
    @functools.wraps(api.demo)
    def demo(*, listener: Listener, **call: Any) -> Any:
        listener(Started(task="work", total=3, unit="images"))
        listener(Done(task="work", path=Path("e")))
        return Path("e/report.html")

    monkeypatch.setattr(api, "demo", demo)
    assert main(["demo", "--out", "e", *quiet]) == 0
    assert capsys.readouterr() == (
        "report: e/report.html\nnext: stylex explore demo --explanation e/explanation\n",
        said,
    )


def test_a_reader_that_goes_away_is_no_error() -> None:
    command = subprocess.Popen(
        [sys.executable, "-m", "stylex", "report", "e", "--dry-run"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=ENVIRONMENT,
    )
    assert command.stdout is not None
    assert command.stderr is not None
    command.stdout.close()
    assert command.stderr.read() == b""
    command.stderr.close()
    assert command.wait() == 141


def test_the_module_runs_as_the_command_does() -> None:
    done = subprocess.run([sys.executable, "-m", "stylex", "fnid"], capture_output=True, text=True, env=ENVIRONMENT)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("stylex: error: unknown command: 'fnid'")
    assert done.stderr.count("\n") == 1
