"""Files and folders appear whole or not at all."""

from __future__ import annotations

import os
import resource
import signal
import stat
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from stylex.core import files
from stylex.core.errors import DataError, StoreError
from stylex.core.files import check_writable, is_inside, new_file, new_folder, read_whole, write_whole


@contextmanager
def full_disk(room: int) -> Iterator[None]:
    """Files may have so many bytes and no more; the system refuses the rest."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (room, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


@contextmanager
def umask(mask: int) -> Iterator[None]:
    before = os.umask(mask)
    try:
        yield
    finally:
        os.umask(before)


def names(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*"))


def folder_with(path: Path, **files: str) -> Path:
    path.mkdir()
    for name, text in files.items():
        (path / name).write_text(text)
    return path


# Files.


def test_a_file_appears_with_its_folders_and_is_replaced(tmp_path: Path) -> None:
    path = tmp_path / "a" / "b.bin"
    write_whole(path, b"old")
    write_whole(path, memoryview(b"new"))
    assert path.read_bytes() == b"new"
    assert names(tmp_path) == ["a", "a/b.bin"]


def test_until_the_block_ends_the_old_file_is_there(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_text("old")
    with new_file(path) as temporary:
        assert temporary.parent == path.parent
        temporary.write_text("new")
        assert path.read_text() == "old"
    assert path.read_text() == "new"
    assert names(tmp_path) == ["a"]


def test_a_full_disk_leaves_the_old_file_and_says_so_in_the_rooms_own_error(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_text("old")
    with full_disk(100), pytest.raises(StoreError, match=r"cannot write .*a: File too large; free some space"):
        write_whole(path, bytes(1000))
    with full_disk(100), pytest.raises(DataError, match="cannot write"):
        write_whole(path, bytes(1000), error=DataError)
    assert path.read_text() == "old"
    assert names(tmp_path) == ["a"]


@pytest.mark.parametrize("stop", [KeyboardInterrupt, ValueError, SystemExit])
def test_whatever_ends_the_block_leaves_the_old_file(tmp_path: Path, stop: type[BaseException]) -> None:
    path = tmp_path / "a"
    path.write_text("old")

    def half() -> None:
        with new_file(path) as temporary:
            temporary.write_text("ne")
            raise stop

    with pytest.raises(stop):
        half()
    assert path.read_text() == "old"
    assert names(tmp_path) == ["a"]


@pytest.mark.parametrize("place", ["file/a", "folder", "x" * 300])
def test_a_place_that_cannot_be_is_one_line(tmp_path: Path, place: str) -> None:
    (tmp_path / "file").write_text("")
    (tmp_path / "folder").mkdir()
    with pytest.raises(StoreError, match="cannot write") as caught:
        write_whole(tmp_path / place, b"new")
    assert "\n" not in str(caught.value)
    assert names(tmp_path) == ["file", "folder"]
    if place != "folder":
        with pytest.raises(StoreError, match="cannot write"):
            check_writable(tmp_path / place)
    assert names(tmp_path) == ["file", "folder"]


def test_a_place_is_tried_without_a_trace(tmp_path: Path) -> None:
    for place in ("new", "a/b/new", "old"):
        (tmp_path / "old").write_text("mine")
        check_writable(tmp_path / place)
    assert names(tmp_path) == ["old"]
    with pytest.raises(DataError, match="cannot write /proc/nothing/new"):
        check_writable(Path("/proc/nothing/new"), error=DataError)
    with pytest.raises(StoreError, match="no null characters"):
        check_writable(tmp_path / "a\0b")


def test_a_refusal_leaves_no_folders_above(tmp_path: Path) -> None:
    with full_disk(100), pytest.raises(StoreError, match="cannot write"):
        write_whole(tmp_path / "a" / "b" / "file", bytes(1000))
    with full_disk(100), pytest.raises(StoreError), new_folder(tmp_path / "a" / "b" / "folder") as building:
        (building / "file").write_bytes(bytes(1000))
    assert names(tmp_path) == []


KILLED = """
import os, signal, sys
from pathlib import Path
from stylex.core import files
path, how = Path(sys.argv[1]), sys.argv[2]
if how == "file":
    with files.new_file(path) as temporary:
        temporary.write_text("ne")
        os.kill(os.getpid(), signal.SIGKILL)
rename = os.rename
def killed(source, target):
    rename(source, target)
    os.kill(os.getpid(), signal.SIGKILL)
if how == "aside":
    files._exchange = lambda one, other: False
    os.rename = killed
if how == "exchanged":
    exchange = files._exchange
    files._exchange = lambda one, other: exchange(one, other) and os.kill(os.getpid(), signal.SIGKILL)
with files.new_folder(path, replace=True) as building:
    (building / "file").write_text("new")
    if how == "filling":
        os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.mark.parametrize(("how", "then"), [("file", "old"), ("filling", "old"), ("exchanged", "new"), ("aside", None)])
def test_the_next_writer_clears_what_a_killed_one_left(tmp_path: Path, how: str, then: str | None) -> None:
    path = tmp_path / "place"
    path.write_text("old") if how == "file" else folder_with(path, file="old")
    assert subprocess.run([sys.executable, "-c", KILLED, path, how]).returncode == -signal.SIGKILL
    hidden = [name for name in os.listdir(tmp_path) if name.startswith(".")]
    assert hidden
    if then is not None:
        assert (path if how == "file" else path / "file").read_text() == then
    mine = tmp_path / f".place.{files._host()}-{os.getpid()}-01234567"
    foreign = tmp_path / ".place.mine"
    mine.write_text("another thread's")
    foreign.write_text("a person's")
    if how == "file":
        write_whole(path, b"newer")
    else:
        with new_folder(path, replace=True, keep=lambda name: True) as building:
            if how == "aside":
                assert (path / "file").read_text() == "old", "what stepped aside is back"
            (building / "other").write_text("newer")
    visible = ["place"] if how == "file" else ["place", "place/file", "place/other"]
    assert names(tmp_path) == sorted([mine.name, foreign.name, *visible])


def test_a_relative_name_lies_where_one_stands(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    write_whole(Path("a"), b"new")
    with pytest.raises(StoreError, match="cannot write"):
        write_whole(Path(), b"new")
    assert names(tmp_path) == ["a"]


@pytest.mark.parametrize("mask", [0o022, 0o077])
def test_permissions_are_the_users_ordinary_ones(tmp_path: Path, mask: int) -> None:
    with umask(mask):
        write_whole(tmp_path / "file", b"new")
        with new_folder(tmp_path / "folder") as building:
            (building / "file").write_text("new")
    modes = [stat.S_IMODE((tmp_path / name).stat().st_mode) for name in ("file", "folder", "folder/file")]
    assert modes == [0o666 & ~mask, 0o777 & ~mask, 0o666 & ~mask]


# Folders.


def test_a_folder_appears_when_it_is_filled(tmp_path: Path) -> None:
    path = tmp_path / "a" / "folder"
    with new_folder(path) as building:
        (building / "inner").mkdir()
        (building / "inner" / "file").write_text("new")
        assert not path.exists()
    assert names(path) == ["inner", "inner/file"]
    assert names(tmp_path / "a") == ["folder", "folder/inner", "folder/inner/file"]


def test_an_empty_folder_is_a_place_and_a_full_one_is_not(tmp_path: Path) -> None:
    with new_folder(folder_with(tmp_path / "empty")) as building:
        (building / "file").write_text("new")
    assert names(tmp_path) == ["empty", "empty/file"]
    began = False
    with pytest.raises(DataError, match="exists already"), new_folder(tmp_path / "empty", error=DataError):
        began = True
    assert not began, "nothing is worked for that cannot be kept"
    assert (tmp_path / "empty" / "file").read_text() == "new"


def test_a_folder_is_replaced_and_what_is_to_be_kept_goes_on(tmp_path: Path) -> None:
    path = folder_with(tmp_path / "folder", ours="old", notes="mine")
    folder_with(path / "letters", one="mine too")
    (path / "link").symlink_to("notes")
    with new_folder(path, replace=True, keep=lambda name: name not in ("ours", "older")) as building:
        (building / "ours").write_text("new")
    assert names(tmp_path) == ["folder", *(f"folder/{n}" for n in ("letters", "letters/one", "link", "notes", "ours"))]
    assert [(path / n).read_text() for n in ("ours", "notes", "link", "letters/one")] == [
        "new",
        "mine",
        "mine",
        "mine too",
    ]
    assert (path / "link").is_symlink()
    with new_folder(path, replace=True) as building:
        (building / "alone").write_text("new")
    assert names(path) == ["alone"]


def test_a_linked_folder_is_replaced_and_the_link_stays(tmp_path: Path) -> None:
    folder_with(tmp_path / "folder", file="old")
    (tmp_path / "link").symlink_to("folder")
    with new_folder(tmp_path / "link", replace=True) as building:
        (building / "file").write_text("new")
    assert (tmp_path / "folder" / "file").read_text() == "new"
    assert names(tmp_path) == ["folder", "folder/file", "link"]


def test_a_full_disk_leaves_the_old_folder(tmp_path: Path) -> None:
    path = folder_with(tmp_path / "folder", file="old")
    with full_disk(100), pytest.raises(StoreError, match="cannot write"), new_folder(path, replace=True) as building:
        (building / "file").write_bytes(bytes(1000))
    assert names(tmp_path) == ["folder", "folder/file"]
    assert (path / "file").read_text() == "old"


@pytest.mark.parametrize("stop", [KeyboardInterrupt, OSError])
def test_an_exchange_of_names_that_is_refused_changes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, stop: type[BaseException]
) -> None:
    path = folder_with(tmp_path / "folder", file="old")

    def stopped(one: Path, other: Path) -> bool:
        raise stop

    monkeypatch.setattr(files, "_exchange", stopped)

    def replace() -> None:
        with new_folder(path, replace=True) as building:
            (building / "file").write_text("new")

    with pytest.raises(StoreError if stop is OSError else stop):
        replace()
    assert names(tmp_path) == ["folder", "folder/file"]
    assert (path / "file").read_text() == "old"


def test_two_folders_exchange_their_names_in_one_step(tmp_path: Path) -> None:
    one, other = folder_with(tmp_path / "one", a="1"), folder_with(tmp_path / "other", b="2")
    assert files._exchange(one, other), "this system can"
    assert names(tmp_path) == ["one", "one/b", "other", "other/a"]
    with pytest.raises(OSError, match="No such file"):
        files._exchange(one, tmp_path / "none")


@pytest.mark.parametrize("stop", [KeyboardInterrupt, OSError])
@pytest.mark.parametrize("at", [1, 2])
def test_a_replacement_stopped_between_two_names_is_undone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, at: int, stop: type[BaseException]
) -> None:
    path = folder_with(tmp_path / "folder", file="old")
    monkeypatch.setattr(files, "_exchange", lambda one, other: False)
    rename, calls = os.rename, 0

    def stopped(source: Path, target: Path) -> None:
        nonlocal calls
        calls += 1
        if calls == at:
            raise stop
        rename(source, target)

    def replace() -> None:
        with new_folder(path, replace=True) as building:
            (building / "file").write_text("new")
            monkeypatch.setattr(os, "rename", stopped)

    with pytest.raises(StoreError if stop is OSError else stop):
        replace()
    assert names(tmp_path) == ["folder", "folder/file"]
    assert (path / "file").read_text() == "old"


def test_a_file_in_the_way_stays(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("mine")
    with pytest.raises(StoreError, match="cannot write"), new_folder(tmp_path / "file", replace=True) as building:
        (building / "file").write_text("new")
    assert names(tmp_path) == ["file"]
    assert (tmp_path / "file").read_text() == "mine"


# Reading.


def test_only_regular_files_of_a_bearable_size_are_read(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"12345")
    assert read_whole(tmp_path / "file", largest=5) == b"12345"
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "loop").symlink_to("loop")
    (tmp_path / "device").symlink_to("/dev/zero")
    wrong = {"pipe": "not a regular file", "device": "not a regular file", "loop": "symbolic links", ".": "directory"}
    wrong |= {"none": "No such file", "a\0b": "null character", "x" * 300: "too long"}
    for name, words in wrong.items():
        with pytest.raises(OSError, match=words):
            read_whole(tmp_path / name)
    with pytest.raises(OSError, match="larger than 0 MiB"):
        read_whole(tmp_path / "file", largest=4)


def test_a_path_is_inside_with_all_links_followed(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "out").symlink_to("..")
    (tmp_path / "in" / "loop").symlink_to("loop")
    assert is_inside(tmp_path / "in" / "none", tmp_path / "in")
    for name in ("out/file", "loop", "../other", "a\0b"):
        assert not is_inside(tmp_path / "in" / name, tmp_path / "in"), name
