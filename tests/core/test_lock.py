"""One writer a place: between processes, and whatever a dead one leaves."""

from __future__ import annotations

import errno
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from stylex.core.errors import DataError, StoreError
from stylex.core.lock import one_writer, sole_writer

HOLDS = """
import sys, time
from pathlib import Path
from stylex.core.lock import sole_writer
with sole_writer(Path(sys.argv[1]), verb="train"):
    print("held", flush=True)
    time.sleep(60)
"""


@contextmanager
def held_elsewhere(place: Path) -> Iterator[subprocess.Popen[str]]:
    """A process that writes there."""
    process = subprocess.Popen([sys.executable, "-c", HOLDS, str(place)], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    try:
        assert process.stdout.readline() == "held\n"
        yield process
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


def test_the_second_process_is_told_who_the_first_is(tmp_path: Path) -> None:
    place = tmp_path / "new" / "run"
    with held_elsewhere(place) as first:
        with pytest.raises(StoreError) as told, sole_writer(place, verb="find"):
            pass
        assert f"{place} is being written by `stylex train` (process {first.pid}, since 20" in str(told.value)
        assert "wait until it has ended, end it, or choose another place" in str(told.value)
        with sole_writer(tmp_path / "new" / "run2", verb="find"):  # its neighbour is free
            pass
        os.symlink(place, tmp_path / "link")
        with pytest.raises(StoreError), sole_writer(tmp_path / "link", verb="find"):
            pass
    # It was killed, and left its file.
    assert [path.name for path in (tmp_path / "new").iterdir()] == [".run.lock"]
    with sole_writer(place, verb="find"):
        assert json.loads((tmp_path / "new" / ".run.lock").read_text())["process"] == os.getpid()
    assert list((tmp_path / "new").iterdir()) == []


def test_of_many_threads_one_writes_at_a_time(tmp_path: Path) -> None:
    inside, most, refused = [0], [0], [0]

    def work() -> None:
        for _ in range(20):
            try:
                with sole_writer(tmp_path / "a", verb="find", patience_s=5):
                    inside[0] += 1
                    most[0] = max(most[0], inside[0])
                    time.sleep(0.0005)
                    inside[0] -= 1
            except StoreError:
                refused[0] += 1

    threads = [threading.Thread(target=work) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert most == [1]
    assert refused == [0]
    assert list(tmp_path.iterdir()) == []


def test_a_forked_child_does_not_hold_on(tmp_path: Path) -> None:
    ready, child = os.pipe(), 0
    with sole_writer(tmp_path / "a", verb="train"):
        child = os.fork()
        if child == 0:
            os.write(ready[1], b".")
            time.sleep(60)
            os._exit(0)
        os.read(ready[0], 1)
    try:
        with sole_writer(tmp_path / "a", verb="train"):
            pass
    finally:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        for end in ready:
            os.close(end)


def lock_of(place: Path, **more: object) -> Path:
    began = Path(f"/proc/{os.getpid()}/stat").read_text().rpartition(")")[2].split()[19]
    known = {"verb": "train", "process": os.getpid(), "began": began, "host": socket.gethostname(), "since": "noon"}
    file = place.with_name(f".{place.name}.lock")
    file.write_text(json.dumps(known | more))
    return file


def test_a_lock_of_another_machine_is_believed_until_a_person_removes_it(tmp_path: Path) -> None:
    file = lock_of(tmp_path / "a", host="elsewhere", process=7)
    said = f"`stylex train` .process 7 on the machine elsewhere, since noon.; if it has ended there, remove {file}"
    with pytest.raises(StoreError, match=said), sole_writer(tmp_path / "a", verb="find"):
        pass
    file.unlink()
    with sole_writer(tmp_path / "a", verb="find"):
        pass


@pytest.mark.parametrize(
    ("more", "believed"),
    [({}, True), ({"began": "1"}, False), ({"process": 2**22 + 7}, False), ({"process": "x"}, False)],
)
def test_where_a_disk_has_no_locks_the_process_named_is_looked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, more: dict[str, object], believed: bool
) -> None:
    import fcntl

    def unknown(*given: object) -> None:
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(fcntl, "flock", unknown)
    lock_of(tmp_path / "a", **more)
    if believed:
        with pytest.raises(StoreError, match="is being written by"), sole_writer(tmp_path / "a", verb="find"):
            pass
    else:
        with sole_writer(tmp_path / "a", verb="find"):
            pass
        assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("content", [b"", b"\xff", b"[]", b"[" * 4000, b'{"host": 3}'[:5]])
def test_a_file_of_anything_else_is_no_lock(tmp_path: Path, content: bytes) -> None:
    (tmp_path / ".a.lock").write_bytes(content)
    with sole_writer(tmp_path / "a", verb="find"):
        pass
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("place", ["\0", "circle/a", "/proc/x/y"])
def test_a_place_where_no_file_can_be_is_told(tmp_path: Path, place: str) -> None:
    (tmp_path / "circle").symlink_to(tmp_path / "circle")
    with pytest.raises(DataError, match="cannot write"), sole_writer(tmp_path / place, verb="find", error=DataError):
        pass
    assert [path.name for path in tmp_path.iterdir()] == ["circle"]


def test_long_names_have_locks_of_their_own(tmp_path: Path) -> None:
    one, other = (tmp_path / f"{'x' * 240}{end}" for end in "ab")
    with sole_writer(one, verb="find"), sole_writer(other, verb="find"):
        assert len(list(tmp_path.iterdir())) == 2
    assert list(tmp_path.iterdir()) == []


def test_what_the_work_raises_is_not_called_a_refused_write(tmp_path: Path) -> None:
    with pytest.raises(BrokenPipeError), sole_writer(tmp_path / "a", verb="find"):
        raise BrokenPipeError
    assert list(tmp_path.iterdir()) == []


def test_a_verb_holds_its_places(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    @one_writer("out", into=("explanation",), unless="dry_run")
    def verb(out: str | None, *, explanation: Path | None = None, dry_run: bool = False) -> list[str]:
        return sorted(path.name for path in tmp_path.iterdir())

    folder = tmp_path / "e"
    folder.mkdir()
    assert verb(str(tmp_path / "a")) == [".a.lock", "e"]
    assert verb(None, explanation=folder) == [".e.lock", "e"]
    assert verb(str(folder), explanation=folder) == [".e.lock", "e"]
    assert verb(None, explanation=tmp_path / "none") == ["e"]
    assert verb(str(tmp_path / "a"), dry_run=True) == ["e"]
    with pytest.raises(TypeError, match="missing 1 required positional argument"):
        verb()  # type: ignore[call-arg]
    monkeypatch.setenv("RANK", "1")  # of several processes the first writes
    assert verb(str(tmp_path / "a")) == ["e"]
