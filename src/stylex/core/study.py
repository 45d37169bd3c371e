"""Study: what people are asked about explanations, in which order each is asked it, and what they answered."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Kind = Literal["sort", "describe", "clinical"]
"""To sort a picture to one of two attributes; to say in words what changes; to judge a change as a clinician would."""
Role = Literal["question", "check", "same"]
"""What is measured; what an attentive person cannot miss; one attribute on both sides, where nobody can be right."""
Plausible = Literal["yes", "no", "unsure"]

KINDS: tuple[Kind, ...] = ("sort", "describe", "clinical")
LONGEST_WORDS = 400
"""Characters of what a person types at once."""


@dataclass(frozen=True, kw_only=True)
class Flicker:
    """A picture before and after a change.

    Attributes:
        before, after: names of the pictures' files, which tell nothing.
        image: id of the image in its explanation.
    """

    before: str
    after: str
    image: str


@dataclass(frozen=True, kw_only=True)
class Subject:
    """An attribute that is asked about.

    Attributes:
        method: whose it is: the name of its explanation.
        position: in that explanation's ranking.
        name: what the explanation calls it; no rater sees it.
        target: the class that it drives to.
    """

    method: str
    position: int
    name: str
    target: str


@dataclass(frozen=True, kw_only=True)
class Item:
    """One question, the same for all raters.

    Attributes:
        kind: what is to be done.
        role: what it is for.
        block: items of one block are asked one after the other.
        subjects: positions in ``Study.subjects``: the two sides of a ``sort``, else one; none of a word to be typed.
        examples: positions in ``Study.flickers``: of each side of a ``sort``; of a ``describe`` one row.
        picture: position of the flicker that is to be sorted or judged.
        truth: the side whose attribute changes the picture; None where there is none (``same``).
        word: what a check asks to be typed.
    """

    kind: Kind
    role: Role
    block: int
    subjects: tuple[int, ...]
    examples: tuple[tuple[int, ...], ...] = ()
    picture: int | None = None
    truth: int | None = None
    word: str | None = None


@dataclass(frozen=True, kw_only=True)
class Asked:
    """An item as one rater gets it.

    Attributes:
        item: its position.
        flipped: whether the sides are exchanged.
        right: the side that counts as right, 0 left and 1 right; by a coin where nobody can know. None of words.
    """

    item: int
    flipped: bool = False
    right: int | None = None


@dataclass(frozen=True, kw_only=True)
class Study:
    """A study, before it is answered.

    Attributes:
        title: one line for raters.
        consent: what they agree to; paragraphs are parted by empty lines.
        seed: of all orders.
        subjects: the attributes asked about.
        flickers: all pictures.
        items: all questions.
        orders: for each rater, what is asked in which order.
        notes: for who reads the result.
    """

    title: str
    consent: str
    seed: int
    subjects: tuple[Subject, ...]
    flickers: tuple[Flicker, ...]
    items: tuple[Item, ...]
    orders: tuple[tuple[Asked, ...], ...]
    notes: tuple[str, ...] = ()

    @property
    def methods(self) -> tuple[str, ...]:
        """The names of the explanations."""
        return tuple(dict.fromkeys(subject.method for subject in self.subjects))


@dataclass(frozen=True, kw_only=True)
class Answer:
    """What one rater said of one item.

    Attributes:
        rater: number, from 0 on; nothing else is known of a person.
        place: the item's place in the rater's order.
        seconds: from when the pictures were there until the answer.
        side: chosen, 0 left and 1 right; of a ``sort``.
        words: typed.
        plausible: of a ``clinical``.
    """

    rater: int
    place: int
    seconds: float
    side: int | None = None
    words: str | None = None
    plausible: Plausible | None = None


@dataclass(frozen=True, kw_only=True)
class Answers:
    """All that raters did.

    Attributes:
        consented: numbers of the raters who agreed to take part, and did not take it back.
        withdrawn: those who took back all that they had answered.
        given: what was answered, by rater and place.
    """

    consented: tuple[int, ...]
    withdrawn: tuple[int, ...]
    given: tuple[Answer, ...]


def problem_of(
    asked: Item, *, side: object = None, words: object = None, plausible: object = None, seconds: object = None
) -> str | None:
    """Why these values answer no such item; None where they do."""
    number = isinstance(seconds, int | float) and not isinstance(seconds, bool)
    if not (number and 0 <= seconds <= 86400):  # type: ignore[operator]  # no float: an integer may be larger than all
        return "seconds must be a number from 0 to 86400"
    if asked.kind == "sort":
        fits = words is None and plausible is None and type(side) is int and side in (0, 1)
        return None if fits else "a side must be 0 or 1, and nothing else"
    said = isinstance(words, str) and len(words.strip()) >= 1 and len(words) <= LONGEST_WORDS
    if side is not None or not said:
        return f"words must be a text of 1 to {LONGEST_WORDS} characters"
    judged = plausible in ("yes", "no", "unsure") if asked.kind == "clinical" else plausible is None
    return None if judged else "plausible must be yes, no or unsure in the clinicians' form, and nowhere else"
