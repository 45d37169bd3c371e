"""A machine that takes part: it compares pixels, and tells what a study's pictures give away without any insight."""

from __future__ import annotations

import http.client
import io
import json
import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal
from urllib.parse import urlsplit

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from stylex.core.errors import ConfigError, StoreError
from stylex.core.study import Study
from stylex.core.wording import option
from stylex.store.study import read_picture, read_tokens

Manner = Literal["looks", "guesses", "left", "leaves"]
"""Of a simulated rater: one who looks, who guesses, who always presses left, who looks and leaves half way."""
_SIDE = 24
_LAPSE = 0.05
"""How often one who looks errs by not looking."""

Pair = tuple[NDArray[np.float64], NDArray[np.float64]]
"""A small grey picture before and after a change, ``[h, w]``, 0 to 1."""


def seen(before: bytes, after: bytes) -> Pair:
    """Two picture files as the machine sees them.

    Raises:
        StoreError: one is no picture.
    """
    one, other = (_small(data) for data in (before, after))
    return one, other


def _small(data: bytes) -> NDArray[np.float64]:
    try:
        with Image.open(io.BytesIO(data), formats=("PNG",)) as image:
            grey = image.convert("L").resize((_SIDE, _SIDE), Image.Resampling.BOX)
    except Exception as error:  # Pillow raises nearly anything at bytes that are not what they should be
        raise StoreError(f"a picture of the study cannot be read ({error}); make the study again") from error
    return np.asarray(grey, dtype=np.float64) / 255


def by_change(pair: Pair) -> NDArray[np.float64]:
    """What changes, as a direction."""
    return _unit(pair[1] - pair[0])


def by_first_picture(pair: Pair) -> NDArray[np.float64]:
    """What is there before anything changes: who tells attributes apart by this tells images apart."""
    return _unit(pair[0] - pair[0].mean())


def chosen(
    examples: Sequence[Sequence[Pair]], picture: Pair, look: Callable[[Pair], NDArray[np.float64]] = by_change
) -> int:
    """The side whose examples look more like the picture (mean cosine); 0 where both do alike."""
    own = look(picture)
    left, right = (float(np.mean([(look(pair) * own).sum() for pair in row])) for row in examples)
    return int(right > left)


def _unit(values: NDArray[np.float64]) -> NDArray[np.float64]:
    length = float(np.sqrt((values**2).sum()))
    return values / length if length > 0 else values


@dataclass(frozen=True)
class Told:
    """Whether the machine is right about one question: by what changes, and by the first picture alone."""

    change: bool
    first: bool


def observed(folder: Path, study: Study) -> dict[int, Told]:
    """What the machine makes of every question, by its position.

    Raises:
        StoreError: a picture is missing or damaged.
    """
    pairs = [seen(*(read_picture(folder, name) for name in (flicker.before, flicker.after))) for flicker in
             study.flickers]  # fmt: skip
    out = {}
    for number, item in enumerate(study.items):
        if item.truth is None or item.role != "question":
            continue
        assert item.picture is not None
        examples = [[pairs[place] for place in row] for row in item.examples]
        change, first = (chosen(examples, pairs[item.picture], look) == item.truth for look in
                         (by_change, by_first_picture))  # fmt: skip
        out[number] = Told(change=change, first=first)
    return out


# Taking part.


class Visitor:
    """A simulated rater's browser: it knows its link, and what it is shown."""

    def __init__(self, link: str) -> None:
        parts = urlsplit(link)
        assert parts.hostname is not None
        self.path = parts.path
        self.line = http.client.HTTPConnection(parts.hostname, parts.port, timeout=60)
        self.pictures: dict[str, bytes] = {}

    def close(self) -> None:
        """Leave."""
        self.line.close()

    def ask(self, path: str, body: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """What the server answers.

        Raises:
            StoreError: it refuses.
        """
        data = self._get(path, None if body is None else json.dumps(body).encode())
        told: dict[str, Any] = json.loads(data)
        return told

    def pair(self, names: Mapping[str, str]) -> Pair:
        """A flicker's pictures."""
        for name in names.values():
            if name not in self.pictures:
                self.pictures[name] = self._get(name, None)
        return seen(self.pictures[names["before"]], self.pictures[names["after"]])

    def _get(self, path: str, body: bytes | None) -> bytes:
        self.line.request(
            "GET" if body is None else "POST", self.path + path, body=body,
            headers={} if body is None else {"Content-Type": "application/json"},
        )  # fmt: skip
        answer = self.line.getresponse()
        data = answer.read()
        if answer.status != 200:
            raise StoreError(f"the study's server refuses {path!r}: {data[:300].decode(errors='replace')}")
        return data


def takes_part(link: str, manner: Manner, *, seed: int) -> int:
    """Answer a study through its server, as a rater of this manner; returns how many answers were given."""
    rng = random.Random(seed)
    with closing(Visitor(link)) as visitor:
        state = visitor.ask("state")
        if state["phase"] == "consent":
            state = visitor.ask("consent", {})
        given = 0
        while state["phase"] == "question" and not (manner == "leaves" and 2 * state["done"] >= state["total"]):
            question = state["question"]
            said = _said(visitor, question, manner, rng)
            seconds = round(rng.lognormvariate(1.2, 0.4), 3)
            state = visitor.ask("answer", {"place": question["place"], "seconds": seconds, **said})
            given += 1
    return given


def _said(visitor: Visitor, question: Mapping[str, Any], manner: Manner, rng: random.Random) -> dict[str, Any]:
    looks = manner in ("looks", "leaves") and rng.random() >= _LAPSE
    if question["kind"] == "sort":
        if not looks:
            return {"side": 0 if manner == "left" else rng.randrange(2)}
        examples = [[visitor.pair(names) for names in row] for row in question["examples"]]
        return {"side": chosen(examples, visitor.pair(question["picture"]))}
    if question["word"] is not None:
        return {"words": question["word"] if looks else "?"}
    if question["kind"] == "clinical":
        pairs = [visitor.pair(question["picture"])]
        return {"words": _named(pairs, rng, looks=looks), "plausible": "yes" if looks else rng.choice(("yes", "no"))}
    return {"words": _named([visitor.pair(names) for names in question["examples"][0]], rng, looks=looks)}


def _named(pairs: Sequence[Pair], rng: random.Random, *, looks: bool) -> str:
    """Where pictures change most, and which way."""
    rows, columns, ways = ("top", "middle", "bottom"), ("left", "centre", "right"), ("brighter", "darker")
    if not looks:
        return " ".join(rng.choice(words) for words in (rows, columns, ways))
    change = np.mean([after - before for before, after in pairs], axis=0)
    third = _SIDE // 3
    blocks = change.reshape(3, third, 3, third).mean(axis=(1, 3))
    row, column = np.unravel_index(int(np.abs(blocks).argmax()), blocks.shape)
    return f"{rows[row]} {columns[column]} {ways[int(blocks[row, column] < 0)]}"


def cast_of(raters: int) -> list[Manner]:
    """So many simulated raters: three who do not do as they are asked, all others look.

    Raises:
        ConfigError: too few.
    """
    if raters < 4:
        raise ConfigError(f"{option('raters')} is {raters}; a simulated study needs 4 or more")
    manners: list[Manner] = ["guesses", "left", "leaves"]
    looking: list[Manner] = ["looks"]
    return looking * (raters - len(manners)) + manners


@contextmanager
def served(folder: Path) -> Iterator[str]:
    """Serve a study on a free port of this machine while the block runs; gives its address."""
    from stylex.study.server import build_study_app
    from stylex.ui.serving import listen, running

    with listen("127.0.0.1", 0) as listening, running(build_study_app(folder), listening):
        yield f"http://127.0.0.1:{listening.getsockname()[1]}"


def simulate(folder: Path, manners: Sequence[Manner], *, seed: int = 0, together: int = 8) -> list[int]:
    """Let simulated raters answer a study, several at once; returns how many answers each gave.

    Raises:
        StoreError: the study has too few links, or cannot be read.
    """
    tokens = read_tokens(folder)
    if len(tokens) < len(manners):
        raise StoreError(f"{folder} has links for {len(tokens)} raters; {len(manners)} are to take part")
    with served(folder) as address, ThreadPoolExecutor(together) as room:
        links = [f"{address}/r/{token}/" for token in tokens]
        parts = [
            room.submit(takes_part, link, manner, seed=1000 * seed + i)
            for i, (link, manner) in enumerate(zip(links, manners, strict=False))
        ]
        return [part.result() for part in parts]
