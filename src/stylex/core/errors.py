"""The exception tree: every mistake that a user can make and mend.

StylexError
├── ConfigError           an option, a preset or a config file that cannot be meant
├── DataError             images, archives, splits
├── ClassifierError       the classifier under explanation does not fit its spec, the data or the snapshot
├── SnapshotError         a snapshot or training state that is missing, foreign or damaged
├── TrainingError         a training that cannot go on
├── SearchError           a search that was asked for something impossible
├── EvaluationError       measures that cannot be taken, or not compared
└── StoreError            an explanation folder that is missing, foreign, damaged or cannot be written

Each message says what was given, what was expected and the remedy, in one line. The command line
prints it and exits with code 2. A broken invariant of our own is an ``assert``, never one of these.
"""

_LONGEST = 4000


class StylexError(Exception):
    """A mistake the user can mend; the message is one line."""

    def __init__(self, message: str) -> None:
        line = " ".join(message.split())
        # What was given may be of any length; the remedy stands at the end.
        super().__init__(line if len(line) <= _LONGEST else f"{line[: _LONGEST // 2]} ... {line[-_LONGEST // 2 :]}")


def first_line(error: BaseException) -> str:
    """What another library's error says in its first line, or its type where it says nothing."""
    lines = str(error).splitlines()
    return lines[0] if lines else type(error).__name__


class ConfigError(StylexError):
    """An option, a preset or a config file that cannot be meant."""


class DataError(StylexError):
    """Images, archives or splits that cannot be used."""


class ClassifierError(StylexError):
    """The classifier does not fit its spec, the data or the snapshot."""


class SnapshotError(StylexError):
    """A snapshot or training state that is missing, foreign or damaged."""


class TrainingError(StylexError):
    """A training that cannot go on."""


class SearchError(StylexError):
    """A search that was asked for something impossible."""


class EvaluationError(StylexError):
    """Measures that cannot be taken, or not compared."""


class StoreError(StylexError):
    """An explanation folder that is missing, foreign, damaged or cannot be written."""
