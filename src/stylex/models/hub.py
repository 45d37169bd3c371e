"""The Hugging Face hub: a run there is called ``hf://ORG/NAME``; of its files only known ones are fetched.

Files that come from there are read as any others from elsewhere: safetensors and checked JSON, of limited size. Nobody
is called but the hub (``HF_ENDPOINT``), and only because a person gives such a name.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import Any
from urllib.parse import urlsplit

from stylex.core.errors import ConfigError, SnapshotError, first_line
from stylex.core.progress import Found, Listener, silent
from stylex.core.reference import package

SNAPSHOT, CLASSIFIER, CARD = "snapshot", "classifier", "README.md"
PANEL = f"{SNAPSHOT}/panel.png"
FETCHED: Mapping[str, int] = {
    f"{SNAPSHOT}/snapshot.json": 2**27,
    f"{SNAPSHOT}/weights.safetensors": 2**33,
    f"{SNAPSHOT}/domain.json": 2**24,
    f"{SNAPSHOT}/domain.safetensors": 2**33,
    f"{CLASSIFIER}/classifier.json": 2**24,
    f"{CLASSIFIER}/weights.safetensors": 2**30,
}
"""What is fetched of a repository, and how many bytes it may have; the classifier lies beside the snapshot's folder."""
_NEEDED = tuple(FETCHED)[:2]
_OURS = frozenset({*FETCHED, CARD, PANEL})
_THEIRS = frozenset({".gitattributes", CARD})
"""What the hub itself puts into a new repository."""
_REPOSITORY = r"[A-Za-z0-9][A-Za-z0-9._-]{0,95}/[A-Za-z0-9][A-Za-z0-9._-]{0,95}"
_NAME = re.compile(rf"hf:/{{1,2}}({_REPOSITORY})(?:@([A-Za-z0-9][A-Za-z0-9._/-]{{0,199}}))?")
_PATIENCE_S = 20.0
_NETWORK = ("httpx", "httpx2", "httpcore", "httpcore2", "requests", "urllib3")
"""Packages whose errors say that the hub cannot be reached."""


@dataclass(frozen=True, kw_only=True)
class HubName:
    """A repository on the hub.

    Attributes:
        repository: ``ORG/NAME``.
        revision: a branch, a tag or a commit; None: the newest.
    """

    repository: str
    revision: str | None = None

    @classmethod
    def parse(cls, given: str | PurePath) -> HubName:
        """The repository that a name means; a path, in which two slashes are one, is understood as well.

        Raises:
            SnapshotError: it is no such name.
        """
        found = _NAME.fullmatch(_text(given))
        if found is None:
            raise SnapshotError(
                f"{_text(given)[:200]!r} names no run on the hub; expected hf://ORG/NAME, or hf://ORG/NAME@REVISION"
            )
        return cls(repository=found[1], revision=found[2])

    def __str__(self) -> str:
        return f"hf://{self.repository}" + ("" if self.revision is None else f"@{self.revision}")


def on_the_hub(given: object) -> bool:
    """Whether something on the hub is meant, and nothing on this machine."""
    return isinstance(given, str | PurePath) and _text(given).startswith("hf:/")


def _text(given: str | PurePath) -> str:
    return given.as_posix() if isinstance(given, PurePath) else given


def fetched(given: str | PurePath, listener: Listener = silent) -> Path:
    """The snapshot's folder of a run on the hub, in the library's cache; where the hub is out of reach, as it was.

    Args:
        given: ``hf://ORG/NAME`` or ``hf://ORG/NAME@REVISION``.
        listener: hears which commit it is.

    Raises:
        ConfigError: huggingface_hub is not installed.
        SnapshotError: there is no such run, it may not be read, or it is none.
    """
    name, hub = HubName.parse(given), _library()
    fetch = {"repo_id": name.repository, "revision": name.revision, "allow_patterns": list(FETCHED)}
    try:
        with _quiet(hub):
            info = hub.HfApi(endpoint=_endpoint()).model_info(
                name.repository, revision=name.revision, files_metadata=True, timeout=_PATIENCE_S
            )
    except Exception as error:
        if not _out_of_reach(error):
            raise _refused(name, error) from None
        try:
            folder = Path(hub.snapshot_download(**fetch, local_files_only=True))
        except Exception:
            raise _refused(name, error) from None
        listener(Found(message=f"{name}: the hub cannot be reached; taken from this machine's cache, {folder.name}"))
        return _checked(name, folder)
    sizes = {file.rfilename: file.size or 0 for file in info.siblings or []}
    if missing := [file for file in _NEEDED if file not in sizes]:
        raise SnapshotError(f"{name} is no run of stylex: {missing[0]} is not there; give one that `stylex push` wrote")
    for file, most in FETCHED.items():
        _check_size(name, file, sizes.get(file, 0), most)
    weighs = sum(sizes.get(file, 0) for file in FETCHED)
    listener(Found(message=f"{name}: {weighs / 1e6:.1f} MB of commit {info.sha}"))
    try:
        with _quiet(hub):
            folder = Path(hub.snapshot_download(**fetch, endpoint=_endpoint(), etag_timeout=_PATIENCE_S))
    except Exception as error:
        raise _refused(name, error) from None
    if folder.name != info.sha:
        raise SnapshotError(f"{name} was changed while it was fetched; give the same command again")
    return _checked(name, folder)


def _checked(name: HubName, folder: Path) -> Path:
    """The snapshot's folder, if nothing that was fetched is larger than it may be."""
    for file, most in FETCHED.items():
        if (folder / file).exists():
            _check_size(name, file, (folder / file).stat().st_size, most)
    return folder / SNAPSHOT


def _check_size(name: HubName, file: str, size: int, most: int) -> None:
    if size > most:
        raise SnapshotError(f"{file} of {name} has {size:,} bytes; no run has more than {most:,}: it is not fetched")


def put(name: HubName, files: Mapping[str, Path | bytes], *, private: bool, message: str) -> str:
    """Write the files of a run to its repository, as one commit, and return that commit.

    A repository that is not there is made. Files of an earlier run in it that are not among these are removed.

    Args:
        name: the repository.
        files: what is to be in it, by name.
        private: that nobody else may see it.
        message: of the commit.

    Raises:
        ConfigError: huggingface_hub is not installed.
        SnapshotError: it cannot be written, holds something else, or is public and was to be private.
    """
    assert files.keys() <= _OURS
    hub = _library()
    api = hub.HfApi(endpoint=_endpoint())
    try:
        with _quiet(hub):
            there = _there(hub, api, name)
            if there is None:
                api.create_repo(name.repository, private=private)
            elif private and not there.private:
                raise SnapshotError(
                    f"{name} is there and is public, but was to be private; make it private on the hub, or choose "
                    "another name"
                )
            held = set() if there is None else {file.rfilename for file in there.siblings or []}
            if foreign := sorted(held - _OURS - _THEIRS):
                raise SnapshotError(
                    f"{name} holds something else ({foreign[0]}) and stays as it is; choose another name"
                )
            commit = api.create_commit(
                name.repository,
                [
                    *(hub.CommitOperationAdd(path_in_repo=at, path_or_fileobj=data) for at, data in files.items()),
                    *(hub.CommitOperationDelete(path_in_repo=at) for at in sorted((held & _OURS) - files.keys())),
                ],
                commit_message=message,
            )
    except SnapshotError:
        raise
    except Exception as error:
        raise _refused(name, error, writing=True) from None
    return str(commit.oid)


def _there(hub: Any, api: Any, name: HubName) -> Any:
    """What is known of a repository; None where there is none that may be seen."""
    try:
        return api.model_info(name.repository, timeout=_PATIENCE_S)
    except hub.errors.GatedRepoError:
        raise
    except hub.errors.RepositoryNotFoundError:
        return None


def page_of(name: HubName) -> str:
    """Where a person looks at it."""
    return f"{_host()}/{name.repository}"


def _library() -> Any:
    """The package huggingface_hub.

    Raises:
        ConfigError: it is not installed.
    """
    for part in ("errors", "utils"):  # which it imports only when it is asked for something else
        package(f"huggingface_hub.{part}", "hub", "a run on the hub", ConfigError)
    return package("huggingface_hub", "hub", "a run on the hub", ConfigError)


def _endpoint() -> str | None:
    """Where the hub is; None: where the library knows it to be."""
    return os.environ.get("HF_ENDPOINT", "").rstrip("/") or None


def _host() -> str:
    """The hub's address for people, without what may stand in it of a user."""
    parts = urlsplit(_endpoint() or "https://huggingface.co")
    return f"{parts.scheme}://{parts.hostname}" + (f":{parts.port}" if parts.port else "")


@contextmanager
def _quiet(hub: Any) -> Iterator[None]:
    """The library's own progress bars stay away: whoever listens hears of progress."""
    bars = hub.utils
    shown = not bars.are_progress_bars_disabled()
    if shown:
        bars.disable_progress_bars()
    try:
        yield
    finally:
        if shown:
            bars.enable_progress_bars()


def _status(error: BaseException) -> int | None:
    status = getattr(getattr(error, "response", None), "status_code", None)
    return status if isinstance(status, int) else None


def _out_of_reach(error: BaseException) -> bool:
    if _status(error) is not None:
        return False
    kinds = {kind.__module__.split(".")[0] for kind in type(error).__mro__}
    return isinstance(error, ConnectionError | TimeoutError) or bool(kinds & set(_NETWORK))


def _refused(name: HubName, error: BaseException, *, writing: bool = False) -> SnapshotError:
    """What the hub's refusal means, and what to do; never what was sent along to say who asks."""
    while (
        isinstance(error, RuntimeError) and error.__cause__ is not None
    ):  # the library's word for a file's own trouble
        error = error.__cause__
    status, kind = _status(error), type(error).__name__
    log_in = "set HF_TOKEN, or log in once: hf auth login"
    if _out_of_reach(error):
        return SnapshotError(
            f"{name}: the hub at {_host()} cannot be reached ({kind}); look at the connection, or give a folder on "
            "this machine"
        )
    if kind == "RevisionNotFoundError":
        return SnapshotError(f"{name}: there is no such revision; give a branch, a tag or a commit of it")
    if kind == "GatedRepoError":
        return SnapshotError(f"{name} is given only to whom its owner lets in; ask on {page_of(name)}, then {log_in}")
    if status in (401, 403):
        may = "write there" if writing else "read it"
        return SnapshotError(
            f"{name}: the hub at {_host()} does not know that you may {may} ({status}); {log_in}, with a token that "
            "may, and check the name"
        )
    if status == 404:
        return SnapshotError(
            f"{name}: there is no such run at {_host()} (404), or a private one that you may not see; check the "
            f"name, or {log_in}"
        )
    said = first_line(error)[:200]
    doing = "written" if writing else "fetched"
    return SnapshotError(f"{name} could not be {doing} ({kind}: {said}); give the same command again")
