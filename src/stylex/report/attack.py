"""The page of an attack, one HTML file, and its overview as a picture."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from stylex.core.attacked import Attack, AttackedImage
from stylex.core.verdict import classifier_remark
from stylex.report.figures import difference_map, difference_scale, encode, enlarge, panel
from stylex.report.filled import asset, filled, picture_uri
from stylex.report.page import MAX_BYTES

_SIDES = (128, 96, 64, 48, 32)
_BARS = 6
_OVERVIEW = 8


@dataclass(frozen=True)
class Bar:
    """A descriptor's change: from the middle to one side."""

    name: str
    value: float
    low: float | None
    high: float | None
    left: float
    width: float
    sure: bool
    weak: bool


@dataclass(frozen=True)
class Row:
    """An image in its four states."""

    image: AttackedImage
    target: str
    pictures: tuple[tuple[str, str], ...]
    before: float
    rebuilt: float
    after: float
    bars: tuple[Bar, ...]


def in_order(attack: Attack) -> tuple[tuple[str, tuple[AttackedImage, ...]], ...]:
    """The images in groups: turned ones, the smallest change first; those turned by rebuilding; those not turned."""
    groups = (
        ("Turned by moving them", sorted(attack.turned, key=lambda image: (image.changed, image.length))),
        ("Turned by being rebuilt alone", [image for image in attack.images if image.converged and image.steps == 0]),
        (
            "Not converged: where the search ended",
            sorted((image for image in attack.images if not image.converged), key=lambda image: -image.gain),
        ),
    )
    return tuple((name, tuple(images)) for name, images in groups if images)


def render_attack(attack: Attack, *, max_bytes: int = MAX_BYTES) -> str:
    """The page; pictures as large as ``max_bytes`` allows."""
    html = ""
    for side in _SIDES:
        html = _render(attack, side)
        if len(html.encode()) <= max_bytes:
            break
    return html


def overview(attack: Attack) -> bytes:
    """A PNG: some images, rebuilt, turned, and what changed."""
    from_all = attack.turned or attack.images
    count = min(len(from_all), _OVERVIEW)
    shown = [from_all[i * len(from_all) // count] for i in range(count)]
    scale = difference_scale([(image.rebuilt, image.counterfactual) for image in shown])
    rows = [
        [image.original for image in shown],
        [image.rebuilt for image in shown],
        [image.counterfactual for image in shown],
        [difference_map(image.rebuilt, image.counterfactual, scale=scale) for image in shown],
    ]
    notes = [
        [f"{attack.labels[image.target]} {probabilities[image.target]:.2f}" for image, probabilities in pairs]
        for pairs in (
            [(image, image.probabilities) for image in shown],
            [(image, image.rebuilt_probabilities) for image in shown],
            [(image, image.counterfactual_probabilities) for image in shown],
        )
    ]
    return encode(panel(rows, ["original", "rebuilt", "attacked", "change"], notes=notes))


def _render(attack: Attack, side: int) -> str:
    scale = difference_scale([(image.rebuilt, image.counterfactual) for image in attack.images])
    widest = max(
        (abs(value) for image in attack.images for name, value in image.scores.items() if not attack.weak(name)),
        default=0.0,
    )
    strong = [(score.descriptor, score.change.value, score.change.low, score.change.high) for score in attack.scores]
    return filled(
        "attack.html.j2",
        asset("page.css") + asset("attack.css"),
        "",
        attack=attack,
        groups=[
            (name, [_row(attack, image, side, scale, widest) for image in images]) for name, images in in_order(attack)
        ],
        side=side,
        scale=scale,
        scores=_bars([(name, value, low, high, False) for name, value, low, high in strong]),
        widest=widest,
        likeness=None if attack.likeness is None else attack.likeness.said,
        turned_at_random=sum(image.turned_at_random for image in attack.turned),
        settings={name: value for name, value in attack.settings.items() if name != "attacked"},
        remark=classifier_remark(attack.settings),
    )


def _row(attack: Attack, image: AttackedImage, side: int, scale: float, widest: float) -> Row:
    change = difference_map(image.rebuilt, image.counterfactual, scale=scale)
    states = (
        ("original", image.original),
        ("rebuilt", image.rebuilt),
        ("attacked", image.counterfactual),
        ("difference", change),
    )
    strongest = sorted(image.scores.items(), key=lambda item: (attack.weak(item[0]), -abs(item[1])))[:_BARS]
    return Row(
        image=image,
        target=attack.labels[image.target],
        pictures=tuple((name, picture_uri(enlarge(picture, side))) for name, picture in states),
        before=float(image.probabilities[image.target]),
        rebuilt=float(image.rebuilt_probabilities[image.target]),
        after=float(image.counterfactual_probabilities[image.target]),
        bars=_bars([(name, value, None, None, attack.weak(name)) for name, value in strongest], widest),
    )


def _bars(
    values: Sequence[tuple[str, float, float | None, float | None, bool]], widest: float | None = None
) -> tuple[Bar, ...]:
    """Bars on one scale, in percent of the chart's width, from its middle; those that are wider end there."""
    ends = [abs(end) for _, value, low, high, _ in values for end in (value, low, high) if end is not None]
    widest = widest or max(ends, default=0.0) or 1.0
    return tuple(
        Bar(
            name=name,
            value=value,
            low=None if low is None else 50 + 48 * low / widest,
            high=None if high is None else 50 + 48 * high / widest,
            left=50 + 48 * max(min(value, 0) / widest, -1),
            width=max(48 * min(abs(value) / widest, 1), 0.5),
            sure=low is None or high is None or low > 0 or high < 0,
            weak=weak,
        )
        for name, value, low, high, weak in values
    )
