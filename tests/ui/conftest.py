"""A studio of a few lines, without networks: knob 0 brightens the left half and drives to the boot, 1 the right."""

from __future__ import annotations

import contextlib
import io
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from PIL import Image

from stylex.core.attribute import Attribute, AttributeRanking
from stylex.core.errors import DataError, SearchError, StoreError
from stylex.core.explanation import Counterfactual, ExplainedImage, Explanation
from stylex.core.progress import Listener, Started, Step
from stylex.core.studio import Fitted, Flip, Frame, Knob, OwnKnobs, StudioImage, Turn
from stylex.core.stylespace import StyleCoordinate, StyleLayer, StyleSpace

SIDE = 16


def attribute(channel: int, *, label: str | None = None, shift_range: float = 1.0) -> Attribute:
    return Attribute(
        coordinate=StyleCoordinate("b4.conv1", channel),
        sign=1,
        shift_range=shift_range,
        target=1,
        target_label="boot",
        effect=3.0 - channel,
        label=label,
    )


class DrawnStudio:
    title, labels, output = "What makes a shoe a boot?", ("shoe", "boot"), "softmax"
    resolution, channels, notes = SIDE, 1, ("Drawn for tests.",)
    remark = numbers = None
    first, repeat = "shoe-1", {"run": "runs/shoes", "data": None, "explanation": None, "classifier": None}

    def __init__(self, images: int = 12, kept: bool = True) -> None:
        self.knobs: tuple[Knob, ...] = tuple(
            Knob(attribute=attribute(c, shift_range=r), image=None, kept=kept) for c, r in enumerate((1.0, 0.8, 2.0))
        )
        self.images: dict[str, StudioImage] = {}
        self.coming = images
        self.lock = threading.Lock()
        self.drawn: list[list[Turn]] = []
        self.drafts = self.slow = False
        self.seconds_each = 0.0
        self.search_steps, self.search_seconds = 10, 0.0
        self.fit_steps, self.step_seconds, self.takes, self.most_fitted = 10, 0.0, 60.0, 2
        self.fit_seconds: float | None = None
        self.asked: list[tuple[str, bool]] = []
        self.full = False

    def load_more(self) -> bool:
        at = len(self.images)
        if self.coming:
            self.take(f"shoe-{at}", f"shoe {at}", ("shoe", "boot")[at % 2], np.full((SIDE, SIDE, 1), 40 + at, np.uint8))
            self.coming -= 1
        return self.coming > 0

    def take(self, image_id: str, name: str, label: str | None, picture: np.ndarray, **more: Any) -> StudioImage:
        number = len(self.images)
        # Number 3 is a mistake of the classifier, of number 5 the rebuilt picture gets another answer.
        said = -2.0 if number == 3 else 2.0 if label == "boot" else -2.0
        logit = -said if number == 5 else said * 0.75
        self.images[image_id] = StudioImage(
            id=image_id,
            name=name,
            label=label,
            original=picture,
            probabilities=shares(said),
            rebuilt=Frame(picture=picture // 2, probabilities=shares(logit)),
            **more,
        )
        return self.images[image_id]

    def drawn_by(self, turn: Turn) -> Frame:
        image = self.images[turn.image]
        return image.fitted.rebuilt if turn.fitted and image.fitted else image.rebuilt

    def logit(self, turn: Turn) -> float:
        p = self.drawn_by(turn).probabilities
        for knob in turn.knobs:
            if knob >= len(self.knobs):
                raise SearchError(f"there is no attribute {knob} to turn")
        return float(np.log(p[1] / p[0])) + sum(
            share * (3.0 - self.knobs[k].attribute.coordinate.channel) for k, share in turn.knobs.items()
        )

    def render(self, turns: Sequence[Turn], *, draft: bool = False, small: bool = False) -> list[Frame]:
        if missing := [turn.image for turn in turns if turn.image not in self.images]:
            raise SearchError(f"there is no image {missing[0]!r} to edit")
        self.drawn.append(list(turns))
        time.sleep(self.seconds_each * len(turns))
        frames = []
        for turn in turns:
            logit, rough = self.logit(turn), draft and self.drafts and bool(turn.knobs)
            rest = self.drawn_by(turn)
            picture = rest.picture.astype(np.float64)
            picture[:, : SIDE // 2] += 60 * turn.knobs.get(0, 0.0)
            picture[:, SIDE // 2 :] += 60 * turn.knobs.get(1, 0.0)
            picture = (picture + 40 * rough).clip(0, 255).astype(np.uint8)
            half = self.slow and draft and small and bool(turn.knobs)
            frames.append(
                Frame(
                    picture=picture[::2, ::2] if half else picture,
                    probabilities=np.empty(0, np.float32) if half else shares(logit),
                    draft=rough or half,
                    fitted=rest.fitted,
                )
            )
        return frames

    def add(self, name: str, data: bytes) -> StudioImage:
        try:
            with Image.open(io.BytesIO(data)) as image:
                picture = np.asarray(image.convert("L").resize((SIDE, SIDE)), np.uint8)[:, :, None]
        except Exception:
            raise DataError(f"{name}: not a picture in a known format, or its beginning is damaged") from None
        return self.take(f"own-{len(self.images)}", name, None, picture, own=True)

    def fit(self, image: str, listener: Listener) -> StudioImage:
        """The copy draws the photograph, nearly."""
        before = self.images[image]
        if before.original is None or before.probabilities is None:
            raise SearchError(f"{before.name} has no photograph")
        listener(Started(task="tune", total=self.fit_steps, unit="steps"))
        for done in range(self.fit_steps):
            time.sleep(self.step_seconds)
            listener(Step(task="tune", done=done + 1))
        near = Frame(picture=before.original - 2, probabilities=before.probabilities, fitted=True)
        kept = [name for name, other in self.images.items() if other.fitted and name != image]
        for old in kept[: len(kept) + 1 - self.most_fitted]:
            self.images[old] = replace(self.images[old], fitted=None)
        self.images[image] = replace(before, fitted=Fitted(rebuilt=near, l1=0.046, l1_before=0.109))
        return self.images[image]

    def measure_fit(self, image: str) -> float:
        self.fit_seconds = self.takes
        return self.takes

    def search(self, image: str, target: int | None, listener: Listener, *, fitted: bool = False) -> OwnKnobs:
        self.asked.append(("search", fitted))
        listener(Started(task="search", total=self.search_steps, unit="style values"))
        for done in range(self.search_steps):
            time.sleep(self.search_seconds)
            listener(Step(task="search", done=done + 1))
        new = Knob(attribute=attribute(0, label=f"only of {image}"), image=image, kept=False)
        self.knobs = (*self.knobs, new)
        place = len(self.knobs) - 1
        flip = Flip(knobs={place: 1.0}, target=1, flipped=True, sentence="One knob turns the answer to boot.")
        return OwnKnobs(knobs=(place,), flip=flip, finding="1 change drives the answer.")

    def flip(self, image: str, target: int | None, knobs: Sequence[int], *, fitted: bool = False) -> Flip:
        self.asked.append(("flip", fitted))
        share = 1.0 if self.logit(Turn(image=image, knobs={})) < 0 else -1.0
        return Flip(knobs={0: share}, target=1, flipped=True, sentence="One knob turns the answer.")

    def rename(self, knob: int, label: str | None) -> None:
        if self.full:
            raise StoreError("cannot write explanation/manifest.json: No space left on device; free some space")
        self.change(knob, label=label or None)

    def hide(self, knob: int, hidden: bool) -> None:
        self.change(knob, hidden=hidden)

    def change(self, knob: int, **values: Any) -> None:
        if knob >= len(self.knobs):
            raise SearchError(f"there is no knob {knob}")
        knobs = list(self.knobs)
        knobs[knob] = replace(knobs[knob], attribute=replace(knobs[knob].attribute, **values))
        self.knobs = tuple(knobs)

    def explanation(self, turn: Turn) -> Explanation:
        if not any(turn.knobs.values()):
            raise SearchError("no knob is turned; turn one, then export")
        image, frame = self.images[turn.image], self.render([turn])[0]
        assert image.original is not None
        logits = np.zeros(2, np.float32)
        return Explanation(
            scope="image",
            title="By hand",
            labels=self.labels,
            output="softmax",
            ranking=AttributeRanking(
                attributes=(attribute(0),), strategy="by hand", images=1, explained=1.0, finding="Turned."
            ),
            images=(
                ExplainedImage(
                    id=image.id,
                    original=image.original,
                    reconstruction=image.rebuilt.picture,
                    logits=logits,
                    probabilities=image.probabilities,
                    reconstruction_logits=logits,
                    reconstruction_probabilities=image.rebuilt.probabilities,
                ),
            ),
            counterfactuals=(
                Counterfactual(
                    image=image.id,
                    attributes=(0,),
                    picture=frame.picture,
                    logits=logits,
                    probabilities=frame.probabilities,
                    target=1,
                    role="independent",
                ),
            ),
            figures={},
            settings={},
            snapshot={},
            space=StyleSpace([StyleLayer(name="b4.conv1", kind="conv", resolution=4, channels=3)]),
        )


def shares(logit: float) -> np.ndarray:
    boot = 1 / (1 + np.exp(-logit))
    return np.array([1 - boot, boot], np.float32)


@pytest.fixture
def studio() -> DrawnStudio:
    return DrawnStudio()


@pytest.fixture
def read_studio() -> DrawnStudio:
    """All its images are read."""
    studio = DrawnStudio()
    while studio.load_more():
        pass
    return studio


@contextlib.contextmanager
def listening(studio: Any, **options: Any) -> Iterator[str]:
    """The real server, on a free port of this machine; gives its address."""
    import uvicorn

    from stylex.ui.server import build_app

    config = uvicorn.Config(
        build_app(studio, **options),
        port=0,
        log_level="warning",
        access_log=False,
        ws="none",
        timeout_graceful_shutdown=1,
    )
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    until = time.monotonic() + 20
    while not server.started and time.monotonic() < until:
        time.sleep(0.01)
    port = server.servers[0].sockets[0].getsockname()[1]
    yield f"http://127.0.0.1:{port}"
    server.should_exit = True
    thread.join(timeout=10)


@pytest.fixture
def serve() -> Iterator[Callable[..., str]]:
    with contextlib.ExitStack() as stack:
        yield lambda studio, **options: stack.enter_context(listening(studio, **options))
