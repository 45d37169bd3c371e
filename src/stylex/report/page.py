"""The report: an explanation as one HTML file that opens anywhere, without a network."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from stylex.core.errors import StoreError
from stylex.core.evaluation import Evaluation
from stylex.core.explanation import Counterfactual, ExplainedImage, Explanation, Picture
from stylex.core.files import cannot_write, write_whole
from stylex.core.numbers import Numbers
from stylex.core.wording import option
from stylex.report import words
from stylex.report.content import Bar, Card, Page, PathStep, Shot, StepPath, Subject, Tile
from stylex.report.evaluated import evaluated
from stylex.report.figures import changed_box, difference_map, difference_scale, enlarge
from stylex.report.filled import asset, filled, picture_uri
from stylex.report.knobs import StripSize, strip_data, viewer_file, viewer_script
from stylex.store.evaluation import evaluation_in
from stylex.store.folder import REPORT, read_explanation

MAX_BYTES = 8_000_000
"""A report stays below this, so that it can be sent by mail."""

_MARK = b"default-src &#39;none&#39;; img-src data:; style-src"
"""What every report has had in its head; no other page has it."""

_CLASSES_SHOWN = 5
_LONGEST_SETTINGS = 100_000


@dataclass(frozen=True)
class _Size:
    """Sides of the pictures in the page, in pixels, and how many of them an attribute gets."""

    large: int
    small: int
    strips: StripSize | None
    tiles: int | None = None


# From what looks best to what fits any explanation.
_SIZES = (
    _Size(384, 224, StripSize(256, 90, 4)),
    _Size(288, 176, StripSize(192, 80, 4)),
    _Size(192, 128, StripSize(128, 75, 3)),
    _Size(128, 96, StripSize(96, 70, 2)),
    _Size(128, 96, StripSize(64, 70, 1), tiles=4),
    _Size(96, 64, None, tiles=2),
    _Size(96, 64, None, tiles=1),
)


def write_report(
    explanation: Explanation | str | Path,
    out: str | Path | None = None,
    *,
    evaluation: Evaluation | None = None,
    largest: int | None = None,
) -> Path:
    """Write the report and return its path.

    One HTML file with everything in it, below 8 MB; pictures and frames of the knobs get smaller, then fewer, where
    there are very many.

    Args:
        explanation: an explanation, or the folder of one.
        out: the file to write; not given: ``report.html`` in the explanation's folder.
        evaluation: what was measured of it; not given: what lies in the explanation's folder.
        largest: side of its pictures at most, in pixels, for many reports.

    Raises:
        StoreError: the folder cannot be read, something else stands in the file's place, or it cannot be written.
    """
    if out is not None:
        _check_place(Path(out))
    if isinstance(explanation, Explanation):
        assert out is not None, "an explanation that is not in a folder needs a place for its report"
    else:
        folder = Path(explanation)
        out = out if out is not None else folder / REPORT
        explanation = read_explanation(folder)
        evaluation = evaluation if evaluation is not None else evaluation_in(folder)
    path = Path(out)
    write_whole(path, render_report(explanation, evaluation, largest=largest).encode())
    return path


def _check_place(path: Path) -> None:
    """A report replaces a report, and nothing else that a person may have there."""
    if path.is_dir():
        raise StoreError(f"{path} is a folder; give {option('out')} a file for the report, such as {path / REPORT}")
    if path.suffix.lower() not in (".html", ".htm"):
        raise StoreError(f"{path} is no name for a report, which is a page; give {option('out')} one ending in .html")
    if path.exists() and not path.is_file():
        raise StoreError(f"{path} is a pipe or a device, no file; choose another name for the report")
    if path.exists():
        try:
            with path.open("rb") as file:
                ours = _MARK in file.read(4096)
        except OSError as refusal:
            raise cannot_write(path, refusal) from refusal
        if not ours:
            raise StoreError(f"{path} holds something else and stays as it is; choose another name for the report")


def render_report(
    explanation: Explanation,
    evaluation: Evaluation | None = None,
    *,
    max_bytes: int = MAX_BYTES,
    largest: int | None = None,
) -> str:
    """The report's HTML; pictures as large as ``max_bytes`` and ``largest`` (their side in pixels) allow."""
    html = ""
    for size in (size for size in _SIZES if largest is None or size.large <= largest):
        html = _render(_Drawing(explanation, size).page(evaluation))
        if len(html.encode()) <= max_bytes:
            break
    return html


class _Drawing:
    """Draws an explanation's pictures at one size."""

    def __init__(self, explanation: Explanation, size: _Size) -> None:
        self.e = explanation
        self.size = size
        self.images = {image.id: image for image in explanation.images}
        self.drawn: dict[tuple[int, int], str] = {}

    def page(self, evaluation: Evaluation | None = None) -> Page:
        e, agreement = self.e, self.e.figures.get("agreement", math.nan)
        cards = sorted(self.cards(evaluation), key=lambda card: card.weak)
        if all(card.weak for card in cards):
            cards = [replace(card, weak=False) for card in cards]
        record = {
            "strategy": e.ranking.strategy,
            "explained": e.ranking.explained,
            "figures": {name: None if math.isnan(value) else value for name, value in e.figures.items()},
            "snapshot": dict(e.snapshot),
            "settings": dict(e.settings),
        }
        numbers = Numbers.of(e)
        told = list(e.labels) if numbers is None else list(numbers.names[:-1])
        settings = json.dumps(record, indent=2, ensure_ascii=False)
        if len(settings) > _LONGEST_SETTINGS:
            settings = settings[:_LONGEST_SETTINGS] + "\n… the explanation folder has the rest"
        return Page(
            explanation=e,
            verdict=words.verdict(e) if e.scope == "class" and math.isfinite(agreement) else None,
            finding=e.ranking.finding,
            labels=told[:6],
            more_labels=max(0, len(told) - 6),
            snapshot=e.snapshot.get("sha256", "")[:10],
            shown=len(e.images),
            searched=len(searched) if isinstance(searched := e.settings.get("searched"), list) else e.ranking.images,
            subjects=[self.subject(image) for image in e.images] if e.scope == "image" else [],
            cards=cards,
            numbers=numbers,
            paths=list(self.paths()),
            flips=e.flips,
            checks=words.checks(e),
            notes=list(e.notes),
            settings=settings,
            in_colour=any(image.reconstruction.shape[2] == 3 for image in e.images),
            evaluated=None if evaluation is None else evaluated(evaluation, e.ranking),
            knobs=None if self.size.strips is None else strip_data(e, self.size.strips),
            pictures=[] if cards or e.scope == "image" else [self.plain(image) for image in e.images[:12]],
        )

    def cards(self, evaluation: Evaluation | None) -> Iterator[Card]:
        e = self.e
        unclaimed = {a.name for a in evaluation.attributes if a.claimed is False} if evaluation else set()
        strongest = max((abs(a.effect) for a in e.ranking), default=0.0) or 1.0
        for i, attribute in enumerate(e.ranking):
            all_shown = [cf for cf in e.counterfactuals if cf.attributes == (i,) and cf.role != "subset"]
            back = [cf for cf in all_shown if words.turned_back(cf, e)]
            forth = [cf for cf in all_shown if cf not in back]
            if attribute.hidden or (e.scope == "image" and not all_shown):
                continue  # a person put it away, or it is a knob that only the path uses and is shown there
            pairs = [(self.images[cf.image].reconstruction, cf.picture) for cf in all_shown]
            scale = difference_scale(pairs)
            name = words.name_of(e.ranking, i)
            tiles = [self.tile(cf, scale, f"{name} turned up") for cf in forth[: self.size.tiles]]
            turned = [self.tile(cf, scale, f"{name} turned down") for cf in back[: self.size.tiles]]
            code = words.technical(attribute)
            yield Card(
                position=i,
                name=name,
                named=attribute.label is not None,
                technical=code,
                # With the folder's own name in it: a name that is saved there later wins over the browser's.
                key=f"stylex:{e.snapshot.get('sha256', '')[:16]}:{code}:{name}",
                target=attribute.target_label,
                sentence=words.what_it_does(attribute, forth, e),
                measured=words.how_it_was_measured(attribute, e),
                note=attribute.note,
                bar=100 * abs(attribute.effect) / strongest,
                towards=attribute.effect >= 0,
                effect=words.effect(attribute, e),
                tiles=tiles,
                turned=turned,
                left_out=len(all_shown) - len(tiles) - len(turned),
                scale=words.percent(round(scale, 2)),
                weak=words.is_weak(attribute, strongest, claimed=code not in unclaimed),
            )

    def tile(self, cf: Counterfactual, scale: float, change: str) -> Tile:
        e, image = self.e, self.images[cf.image]
        before, after, target = image.reconstruction, cf.picture, e.labels[cf.target]
        box = changed_box(before, after)
        h, w = before.shape[:2]
        frame = (100 * box.left / w, 100 * box.top / h, 100 * box.side / w)
        # Cut out of the enlarged picture, so that the edges are drawn with what lies around them.
        zoom = self.size.small * w // box.side
        p_before, p_after = float(image.reconstruction_probabilities[cf.target]), float(cf.probabilities[cf.target])
        answers = [words.answer(p, e, cf.target) for p in (image.reconstruction_probabilities, cf.probabilities)]
        return Tile(
            before=self.shot(before, p_before, f"Image {image.id} as rebuilt", cf.target),
            after=self.shot(after, p_after, f"The same with {change}", cf.target),
            detail_before=self.uri(self.detail(before, frame, zoom)),
            detail_after=self.uri(self.detail(after, frame, zoom)),
            frame=frame,
            magnified=f"{w / box.side:.1f}×",
            difference=self.uri(enlarge(difference_map(before, after, scale=scale), self.size.small)),
            original=self.thumbnail(image, cf.target),
            target=target,
            about=words.about(e, cf.target),
            p_before=words.along(p_before, e, cf.target),
            p_after=words.along(p_after, e, cf.target),
            towards=p_after >= p_before,
            flips=words.flips(cf, e),
            answer_before=answers[0],
            answer_after=answers[1],
            name=image.id,
        )

    def detail(self, picture: Picture, frame: tuple[float, float, float], zoom: int) -> Picture:
        left, top, side = (round(value * zoom / 100) for value in frame)
        return enlarge(picture, zoom)[top : top + side, left : left + side]

    def thumbnail(self, image: ExplainedImage, target: int) -> Shot | None:
        if image.original is None or image.probabilities is None:
            return None
        p = float(image.probabilities[target])
        said = words.place(p, self.e, target)
        alt = f"The original photograph of {image.id}: {words.about(self.e, target)} {said}"
        return Shot(self.enlarged(image.original, 96), said, alt)

    def shot(self, picture: Picture, p: float, alt: str, target: int) -> Shot:
        """A picture; its description ends with what the classifier says of it."""
        said = words.place(p, self.e, target)
        return Shot(self.enlarged(picture, self.size.large), said, f"{alt}: {words.about(self.e, target)} {said}")

    def plain(self, image: ExplainedImage) -> Shot:
        picture = image.reconstruction if image.original is None else image.original
        return Shot(self.enlarged(picture, self.size.small), "", f"Image {image.id}")

    def subject(self, image: ExplainedImage) -> Subject:
        e = self.e
        target = e.ranking[0].target if e.ranking.attributes else int(image.reconstruction_probabilities.argmax())
        rec = image.reconstruction_probabilities
        original = difference = None
        if image.original is not None and image.probabilities is not None:
            scale = difference_scale([(image.original, image.reconstruction)])
            changed = difference_map(image.original, image.reconstruction, scale=scale)
            difference = self.uri(enlarge(changed, self.size.large))
            p = float(image.probabilities[target])
            original = self.shot(image.original, p, "The original photograph", target)
        p_rec = float(rec[target])
        likeliest = rec if image.probabilities is None else np.maximum(rec, image.probabilities)
        if (numbers := Numbers.of(e)) is not None:  # each of them once, as it rises
            likeliest = np.arange(len(rec), 0, -1, dtype=np.float32)[:-1]
            target = numbers.names.index(numbers.names[target])
        order = [int(i) for i in np.argsort(-likeliest, kind="stable")[:_CLASSES_SHOWN]]
        if target not in order:
            order[-1] = target
        return Subject(
            original=original,
            reconstruction=self.shot(image.reconstruction, p_rec, "Its reconstruction", target),
            difference=difference,
            rebuilding=words.rebuilding(e),
            answer=words.answer(rec if image.probabilities is None else image.probabilities, e, target),
            bars=[
                self.bar(
                    None if image.probabilities is None else float(image.probabilities[i]), float(rec[i]), i, target
                )
                for i in order
            ],
            more_classes=len(likeliest) - len(order),
        )

    def bar(self, original: float | None, rebuilt: float, label: int, target: int) -> Bar:
        e, numbers = self.e, Numbers.of(self.e)
        low, high = ("", "") if numbers is None else map(numbers.amount, numbers.ends(label))
        return Bar(
            label=e.labels[label] if numbers is None else numbers.names[label],
            original=None if original is None else words.along(original, e, label),
            reconstruction=words.along(rebuilt, e, label),
            said_original="" if original is None else words.place(original, e, label),
            said_reconstruction=words.place(rebuilt, e, label),
            target=numbers is None and label == target,
            ends=None if numbers is None else (low, high),
        )

    def paths(self) -> Iterator[StepPath]:
        e = self.e
        chains: dict[tuple[str, int], list[Counterfactual]] = {}
        for cf in e.counterfactuals:
            if cf.role == "subset":
                chains.setdefault((cf.image, cf.target), []).append(cf)
        for (image_id, target), chain in list(chains.items())[: self.size.tiles]:
            chain.sort(key=lambda cf: len(cf.attributes))
            image, label = self.images[image_id], e.labels[target]
            steps = [self.step(image.reconstruction, image.reconstruction_probabilities, target, (), ())]
            done: Sequence[int] = ()
            for cf in chain:
                steps.append(
                    self.step(cf.picture, cf.probabilities, target, cf.attributes, done, flips=words.flips(cf, e))
                )
                done = cf.attributes
            turning = next((cf for cf in chain if words.flips(cf, e)), None)
            used = len((turning or chain[-1]).attributes)
            if (numbers := Numbers.of(e)) is not None:
                least = numbers.amount(numbers.by)
                enough = f"{least} or more" if turning else f"less than {least}"
                end = words.answer((turning or chain[-1]).probabilities, e, target)
                many = f"{used} changes together move" if used > 1 else "One change moves"
                sentence = f"{many} {numbers.names[target]} from {steps[0].answer} to {end}: {enough}."
            elif turning is None:
                many = f"{used} changes together leave" if used > 1 else "this change leaves"
                sentence = f"Even {many} the answer at {steps[0].answer}."
            else:
                many = f"{used} changes together turn" if used > 1 else "One change turns"
                answer = words.answer(turning.probabilities, e, target)
                sentence = f"{many} the answer from {steps[0].answer} to {answer}."
            yield StepPath(image_id, label, steps, sentence)

    def step(
        self,
        picture: Picture,
        probabilities: NDArray[np.float32],
        target: int,
        attributes: Sequence[int],
        before: Sequence[int],
        *,
        flips: bool = False,
    ) -> PathStep:
        e, p = self.e, float(probabilities[target])
        added = ", ".join(f"+ {words.name_of(e.ranking, i)}" for i in attributes if i not in before)
        return PathStep(
            self.shot(picture, p, added or "As rebuilt", target),
            added,
            words.answer(probabilities, e, target),
            p,
            flips,
        )

    def enlarged(self, picture: Picture, size: int) -> str:
        """Drawn once for each picture of the explanation, though several attributes may change it."""
        key = (id(picture), size)
        if key not in self.drawn:
            self.drawn[key] = self.uri(enlarge(picture, size))
        return self.drawn[key]

    def uri(self, picture: Picture) -> str:
        return picture_uri(picture)


def _render(page: Page) -> str:
    css, js, knobs = asset("page.css"), asset("page.js"), None
    if page.knobs is not None:
        looks = json.dumps(viewer_file("viewer.css")).replace("<", "\\u003c")
        js += "\n".join(
            ["(() => {", viewer_script("strip_source.js"), asset("page_knobs.js"), f"begin({looks});", "})();", ""]
        )
        knobs = json.dumps(page.knobs, ensure_ascii=False, separators=(",", ":"))
    return filled("page.html.j2", css, js, page=page, e=page.explanation, knobs=knobs)
