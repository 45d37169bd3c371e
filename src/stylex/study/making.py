"""From explanations to a study: which attributes, which pictures, which questions, and in which order."""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from stylex.core.errors import ConfigError
from stylex.core.explanation import Explanation, Picture
from stylex.core.files import read_whole
from stylex.core.study import KINDS, Asked, Flicker, Item, Kind, Study, Subject
from stylex.core.wording import option
from stylex.report.words import name_of, turned_back
from stylex.store.folder import read_explanation

EXAMPLES = 2
"""Flickers of each side of a question, as in the paper."""
DESCRIBED = 4
"""Flickers of an attribute that is to be described, at most."""
_LONGEST_CONSENT = 16_000
_SECONDS = {"sort": 8, "describe": 25, "clinical": 40}
"""What an answer may take, for the estimate that raters are told."""
_WORDS = ("river", "window", "seven", "garden", "paper", "orange", "bridge", "winter")

CONSENT = """\
You will see pictures that a computer has changed, and say what you see. It takes about {minutes}.

What is kept: your choices, the words that you type, and how many seconds each answer took, under a number. What is \
not kept: your name, your address, your device, the day or the hour. Please write nothing that tells who you are.

Taking part is your choice. You may stop at any time by closing the page, and go on later with the same link. You may \
also take back everything that you have answered; it is then deleted.

The pictures flicker slowly. You can hold them still."""


@dataclass(frozen=True, kw_only=True)
class Design:
    """How large a study is.

    Attributes:
        tasks: what raters do.
        raters: how many links there are.
        attributes: of each explanation, the first so many.
        images: to be sorted for each pair of attributes, and to be judged of each attribute.
        checks: of attention, for each rater.
        seed: of all orders.
    """

    tasks: tuple[Kind, ...]
    raters: int
    attributes: int
    images: int
    checks: int
    seed: int

    def __post_init__(self) -> None:
        for name, least, most in (
            ("raters", 1, 10_000), ("attributes", 1, 50), ("images", 1, 50), ("checks", 0, 20), ("seed", 0, 2**53)
        ):  # fmt: skip
            if not least <= getattr(self, name) <= most:
                raise ConfigError(f"{option(name)} must be from {least} to {most}, not {getattr(self, name)}")


def kinds_of(tasks: str) -> tuple[Kind, ...]:
    """The tasks that a text names, in the order in which raters do them.

    Raises:
        ConfigError: there is no such task.
    """
    named = [name.strip() for name in tasks.split(",") if name.strip()]
    if not named or (unknown := [name for name in named if name not in KINDS]):
        what = f"there is no task {unknown[0]!r}" if named else "there is no task"
        raise ConfigError(f"{what}; give {option('tasks')} one or more of {', '.join(KINDS)}, with commas")
    return tuple(kind for kind in KINDS if kind in named)


def make_study(
    explanations: Mapping[str, Explanation], design: Design, *, title: str, consent: str | None
) -> tuple[Study, dict[str, Picture]]:
    """A study of these explanations, and its pictures by the names of their files.

    Args:
        explanations: by the name of their method.
        design: how large.
        title: one line for raters.
        consent: what they agree to; None: ``CONSENT``.

    Raises:
        ConfigError: they have too few attributes or pictures for what is asked.
    """
    if not 1 <= len(title.strip()) <= 200:
        raise ConfigError(f"{option('title')} must be a line of 1 to 200 characters")
    return _Maker(explanations, design).study(" ".join(title.split()), consent)


def consent_in(file: Path) -> str:
    """What raters agree to, as a file says it.

    Raises:
        ConfigError: it cannot be read, or is no such text.
    """
    try:
        text = read_whole(file, largest=_LONGEST_CONSENT).decode().strip()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{file} cannot be read ({error}); give {option('consent')} a text file in UTF-8") from error
    if not text:
        raise ConfigError(f"{file} is empty; write into it what raters agree to, paragraphs parted by empty lines")
    return text


def named_explanations(folders: Sequence[str | Path]) -> dict[str, Explanation]:
    """Explanations by the names of their folders; those of one name are numbered.

    Raises:
        StoreError: one is missing, foreign or damaged.
        ConfigError: there is none.
    """
    if not folders:
        raise ConfigError("a study needs an explanation to ask about; give the folder that 'stylex find' wrote")
    found: dict[str, Explanation] = {}
    if len({Path(folder).resolve() for folder in folders}) < len(folders):
        raise ConfigError("a folder is named twice, and would be asked about twice; name each explanation once")
    for folder in folders:
        path = Path(folder)
        plain = path.resolve().name[:200]
        name = next(n for i in range(len(folders)) if (n := plain if not i else f"{plain} ({i + 1})") not in found)
        found[name] = read_explanation(path)
    return found


class _Maker:
    def __init__(self, explanations: Mapping[str, Explanation], design: Design) -> None:
        self.design = design
        self.rng = random.Random(design.seed)
        self.subjects: list[Subject] = []
        self.shown: list[dict[str, int]] = []
        """For each subject, its flickers by image."""
        self.flickers: list[tuple[Picture, Picture, str]] = []
        self.items: list[Item] = []
        self.notes: list[str] = []
        self.block = 0
        for method, explanation in explanations.items():
            self._take(method, explanation)

    def _take(self, method: str, explanation: Explanation) -> None:
        """The first attributes of an explanation that a person has not hidden and that have pictures."""
        taken = 0
        for position, attribute in enumerate(explanation.ranking):
            pictures = {} if attribute.hidden else _pictures(explanation, position)
            if len(pictures) < EXAMPLES or taken == self.design.attributes:
                continue
            name = name_of(explanation.ranking, position)
            self.subjects.append(Subject(method=method, position=position, name=name, target=attribute.target_label))
            at = len(self.flickers)
            self.flickers += [(*pair, image) for image, pair in pictures.items()]
            self.shown.append({image: at + i for i, image in enumerate(pictures)})
            taken += 1
        if not taken:
            raise ConfigError(
                f"the explanation {method!r} has no attribute with {EXAMPLES} changed pictures; find attributes on "
                "more images, or leave it out"
            )
        if taken < min(self.design.attributes, len(explanation.ranking)):
            self.notes.append(f"Of {method}, {taken} attributes have pictures enough; no more are asked about.")

    def study(self, title: str, consent: str | None) -> tuple[Study, dict[str, Picture]]:
        """Ask everything."""
        for kind in self.design.tasks:
            {"sort": self._sort, "describe": self._describe, "clinical": self._clinical}[kind]()
        checks = self._checks()
        orders = tuple(self._order(rater, checks) for rater in range(self.design.raters))
        files, pictures = self._files()
        seconds = sum(_SECONDS[self.items[asked.item].kind] for asked in orders[0])
        study = Study(
            title=title,
            consent=(CONSENT if consent is None else consent).replace("{minutes}", _minutes(seconds)),
            seed=self.design.seed,
            subjects=tuple(self.subjects),
            flickers=files,
            items=tuple(self.items),
            orders=orders,
            notes=tuple(self.notes),
        )
        return study, pictures

    # Items.

    def _sort(self) -> None:
        """Neighbours on a ring of a method's attributes are told apart, so that each stands in two pairs."""
        before = len(self.items)
        for method in dict.fromkeys(subject.method for subject in self.subjects):
            own = [i for i, subject in enumerate(self.subjects) if subject.method == method]
            if len(own) < 2:
                self.notes.append(f"{method} has one attribute only; there is nothing to tell it apart from.")
                continue
            self.rng.shuffle(own)
            ring = list(zip(own, [*own[1:], own[0]], strict=True)) if len(own) > 2 else [(own[0], own[1])]
            for a, b in ring:
                self._pair(a, b)
            self._same(own)
        if len(self.items) == before:
            raise ConfigError(
                "no explanation has two attributes with pictures enough to be told apart; find more attributes, or "
                f"leave that task out: {option('tasks', 'describe')}"
            )

    def _pair(self, a: int, b: int) -> None:
        """Questions of two attributes: images that both change first, since those alone tell nothing by themselves."""
        wanted = self.design.images
        both = sorted(self.shown[a].keys() & self.shown[b].keys())
        self.rng.shuffle(both)
        sides = [side for _ in range(wanted) for side in (0, 1)][:wanted]
        self.rng.shuffle(sides)
        # Two examples a side stay, taken from what is least useful otherwise.
        examples: list[tuple[int, ...]] = []
        used: set[str] = set()
        for subject in (a, b):
            alone = sorted(image for image in self.shown[subject] if image not in both and image not in used)
            self.rng.shuffle(alone)
            chosen = [*alone, *[image for image in reversed(both) if image not in used]][:EXAMPLES]
            used.update(chosen)
            examples.append(tuple(self.shown[subject][image] for image in chosen))
        if min(map(len, examples)) < EXAMPLES:
            self._left_out(a, b)
            return
        asked, alone_asked = [], 0
        free = [image for image in both if image not in used]
        for side in sides:
            subject = (a, b)[side]
            if free:
                asked.append((side, self.shown[subject][free.pop()]))
                continue
            rest = sorted(
                image for image, place in self.shown[subject].items()
                if image not in used and (side, place) not in asked
            )  # fmt: skip
            if rest:
                asked.append((side, self.shown[subject][self.rng.choice(rest)]))
                alone_asked += 1
        if not asked:
            self._left_out(a, b)
            return
        if alone_asked:
            self.notes.append(
                f"{self._named(a, b)}: {alone_asked} of {len(asked)} pictures to be sorted are of images that only one "
                "of the two changes; see what the first picture alone tells."
            )
        for side, place in asked:
            self._add("sort", (a, b), tuple(examples), place, truth=side)
        self.block += 1

    def _left_out(self, a: int, b: int) -> None:
        self.notes.append(f"{self._named(a, b)} have too few pictures in common or alone; they are not told apart.")

    def _named(self, a: int, b: int) -> str:
        one, other = self.subjects[a], self.subjects[b]
        return f"{one.method}: {one.name} and {other.name}"

    def _same(self, own: Sequence[int]) -> None:
        """One attribute on both sides."""
        rich = [subject for subject in own if len(self.shown[subject]) > 2 * EXAMPLES]
        if not rich:
            self.notes.append(
                f"{self.subjects[own[0]].method} has too few pictures to put one attribute on both sides."
            )
            return
        subject = self.rng.choice(rich)
        places = self.rng.sample(sorted(self.shown[subject].values()), 2 * EXAMPLES + 1)
        examples = (tuple(places[:EXAMPLES]), tuple(places[EXAMPLES : 2 * EXAMPLES]))
        self._add("sort", (subject, subject), examples, places[-1], role="same")
        self.block += 1

    def _describe(self) -> None:
        for subject, shown in enumerate(self.shown):
            places = self.rng.sample(sorted(shown.values()), min(DESCRIBED, len(shown)))
            self._add("describe", (subject,), (tuple(places),))
            self.block += 1

    def _clinical(self) -> None:
        for subject, shown in enumerate(self.shown):
            for place in self.rng.sample(sorted(shown.values()), min(self.design.images, len(shown))):
                self._add("clinical", (subject,), picture=place)
                self.block += 1

    def _add(
        self, kind: Kind, subjects: tuple[int, ...], examples: tuple[tuple[int, ...], ...] = (),
        picture: int | None = None, *, truth: int | None = None, role: str = "question",
    ) -> None:  # fmt: skip
        self.items.append(
            Item(
                kind=kind,
                role="same" if role == "same" else "check" if role == "check" else "question",
                block=self.block,
                subjects=subjects,
                examples=examples,
                picture=picture,
                truth=truth,
            )
        )

    def _checks(self) -> dict[Kind, list[int]]:
        """Items that no attentive person misses, spread over the tasks: an example comes again, a word is typed."""
        out: dict[Kind, list[int]] = {kind: [] for kind in self.design.tasks}
        sorts = [item for item in self.items if item.kind == "sort" and item.role == "question"]
        for number in range(self.design.checks):
            kind = self.design.tasks[number % len(self.design.tasks)]
            out[kind].append(len(self.items))
            if kind == "sort":
                item, side = self.rng.choice(sorts), self.rng.randrange(2)
                self.items.append(
                    Item(
                        kind="sort",
                        role="check",
                        block=item.block,
                        subjects=item.subjects,
                        examples=item.examples,
                        picture=self.rng.choice(item.examples[side]),
                        truth=side,
                    )
                )
            else:
                word = _WORDS[(number + self.design.seed) % len(_WORDS)]
                self.items.append(Item(kind="describe", role="check", block=self.block, subjects=(), word=word))
                self.block += 1
        return out

    def _order(self, rater: int, checks: Mapping[Kind, Sequence[int]]) -> tuple[Asked, ...]:
        """Task by task; in each, blocks of all methods and checks in any order, sides exchanged by a coin."""
        rng = random.Random(f"{self.design.seed} {rater}")
        order: list[Asked] = []
        for kind in self.design.tasks:
            blocks: dict[int, list[int]] = {}
            for number, item in enumerate(self.items):
                if number in checks[kind] or (item.kind == kind and item.role != "check"):
                    blocks.setdefault(item.block, []).append(number)
            numbers = list(blocks)
            rng.shuffle(numbers)
            for number in numbers:
                flipped = rng.random() < 0.5
                rng.shuffle(blocks[number])
                order += [self._asked(item, flipped, rng) for item in blocks[number]]
        return tuple(order)

    def _asked(self, number: int, flipped: bool, rng: random.Random) -> Asked:
        item = self.items[number]
        if item.kind != "sort":
            return Asked(item=number)
        right = rng.randrange(2) if item.truth is None else item.truth ^ flipped
        return Asked(item=number, flipped=flipped, right=right)

    def _files(self) -> tuple[tuple[Flicker, ...], dict[str, Picture]]:
        """Files whose names tell neither the method nor the attribute."""
        numbers = list(range(2 * len(self.flickers)))
        self.rng.shuffle(numbers)
        flickers: list[Flicker] = []
        pictures: dict[str, Picture] = {}
        for i, (before, after, image) in enumerate(self.flickers):
            names = [f"pictures/{numbers[2 * i + k]:05d}.png" for k in (0, 1)]
            pictures |= {names[0]: before, names[1]: after}
            flickers.append(Flicker(before=names[0], after=names[1], image=image))
        return tuple(flickers), pictures


def _minutes(seconds: float) -> str:
    return "a minute" if seconds < 90 else f"{round(seconds / 60)} minutes"


def _pictures(explanation: Explanation, position: int) -> dict[str, tuple[Picture, Picture]]:
    """For each image that an attribute visibly changes the way it goes, the picture before and after."""
    return dict(pair for pair in _all_pictures(explanation, position) if not np.array_equal(*pair[1]))


def _all_pictures(explanation: Explanation, position: int) -> Iterator[tuple[str, tuple[Picture, Picture]]]:
    for strip in explanation.strips:
        if strip.attribute == position and {0.0, 1.0} <= set(strip.shares):
            yield strip.image, (strip.frames[strip.shares.index(0.0)], strip.frames[strip.shares.index(1.0)])
    for cf in explanation.counterfactuals:
        if cf.attributes == (position,) and cf.role != "subset" and not turned_back(cf, explanation):
            yield cf.image, (explanation.image(cf.image).reconstruction, cf.picture)
