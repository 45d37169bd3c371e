"""What comes with the package, under the name ``demo``: a run, the classifier that it explains, and photographs."""

from __future__ import annotations

from pathlib import Path

NAME = "demo"
SNAPSHOT, ARCHIVE = "snapshot", "shoes.zip"

_FOLDER = Path(__file__).parent.parent / "demo_data"


def is_demo(path: str | Path) -> bool:
    """Whether what comes with the package is meant, and not a run or an archive of the same name.

    A folder of that name may be what ``stylex demo`` wrote, which is neither.
    """
    own = Path(path).is_file() or any((Path(path) / name).exists() for name in ("snapshots", "snapshot.json"))
    return str(path) == NAME and not own


def shipped(path: str | Path, part: str) -> Path:
    """That part of what comes with the package where ``path`` is ``demo``, else ``path`` itself."""
    return _FOLDER / part if is_demo(path) else Path(path)
