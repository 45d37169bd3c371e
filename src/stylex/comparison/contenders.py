"""The table of what can be compared: each a function of the arena, and a row. A new method is a function and a row."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from stylex.classifiers.heatmaps import grad_cam, integrated_gradients
from stylex.comparison.arena import Arena, Heat, Knobs, Moves, straight
from stylex.core.attribute import Attribute
from stylex.core.comparison import Kind
from stylex.core.errors import ConfigError, EvaluationError
from stylex.core.progress import silent
from stylex.core.wording import option
from stylex.evaluation.attack import attack
from stylex.evaluation.subject import calls
from stylex.search.attack import Opponent
from stylex.search.attack import attack as attack_latents
from stylex.search.classes import search_classes
from stylex.search.config import SPARSITY_IN_S, AttackConfig, AttackSpace, MethodName, SearchConfig
from stylex.search.controls import random_direction
from stylex.search.decision import predicted, reach
from stylex.search.effects import measure_effects
from stylex.search.encoding import Encoded
from stylex.search.latents import InS, InW
from stylex.search.methods import METHODS
from stylex.search.shifts import statistics_of
from stylex.search.stylespace_ranking import most_standing_out, standing_out
from stylex.search.subject import TrainedSubject
from stylex.search.task import Task

_AT_ONCE = 64
TRIES = 8
"""Random directions to choose among for each image, as many as a list holds at most by default."""
_FAR = 3.0
"""Random moves go so many standard deviations at strength 1; their size is that of the others in the end."""
_PIXELS = 0.05
"""Pixels are changed by so much (root mean square) at strength 1, likewise."""


@dataclass(frozen=True, eq=False, kw_only=True)
class Contender:
    """Something to compare.

    Attributes:
        title: for people.
        about: what it does, in a sentence.
        kind: what it makes.
        enter: does its fitting, and hands back moves or maps.
    """

    title: str
    about: str
    kind: Kind
    enter: Callable[[Arena], Moves | Heat]


def ranked(arena: Arena, name: MethodName) -> Moves:
    """A row of ``search.methods``: of its attributes towards the class, the one that moves an image most by itself.

    All rankings are used alike, so that they differ in what they found and in nothing else.
    """
    subject, pool, s = arena.steered(name)
    rankings = _stood_out(arena) if name == "stylespace" else _searched(arena, subject, pool, name)
    began, before = time.perf_counter(), calls(subject)
    cases, n = arena.cases, len(arena.cases)
    end, best, said = s.clone(), np.full(n, -np.inf), [""] * n
    for target, attributes in rankings.items():
        rows = np.flatnonzero(cases.targets == target)
        own = s[torch.from_numpy(rows).to(s.device)]
        for attribute in attributes if len(rows) else ():
            moved = subject.moved(own, [attribute])
            raised = reach(subject.logits(moved), target, subject.output)
            for i, row in enumerate(rows):
                if raised[i] > best[row]:
                    best[row], end[row] = raised[i], moved[i]
                    said[row] = f"{attribute.coordinate} {'up' if attribute.sign > 0 else 'down'}"
    moves = straight(subject, s, end)
    several = sum(map(len, rankings.values())) > len(rankings)
    return replace(
        moves,
        said=said,
        knobs=Knobs(subject=subject, s=s, rankings=rankings) if several else None,
        choosing=(time.perf_counter() - began, calls(subject) - before),
    )


def _searched(
    arena: Arena, subject: TrainedSubject, pool: Encoded, name: MethodName
) -> Mapping[int, Sequence[Attribute]]:
    config = SearchConfig(method=name, attributes=arena.attributes, images=max(len(arena.pool.ids), 1))
    found = search_classes(subject, pool, config, arena.targets)
    assert found is not None
    return {task.target: ranking.attributes for task, ranking in zip(found.tasks, found.rankings, strict=True)}


def _stood_out(arena: Arena) -> Mapping[int, Sequence[Attribute]]:
    """Coordinates in which a class stands out: only the effects of those chosen are measured, to be told."""
    subject, pool, rankings = arena.subject, arena.pool, {}
    for target in arena.targets:
        logits = pool.logits_rec.cpu().numpy()
        scores = standing_out(pool.s.cpu().numpy(), logits, target, space=subject.space, output=subject.output)
        indices = most_standing_out(scores, subject.indices, arena.attributes)
        effects = measure_effects(subject, pool.s, image_ids=pool.ids, indices=np.sort(indices))
        task = Task.of(subject, pool.s, effects, target)
        rankings[target] = METHODS["stylespace"].rankings["attfind"](task, arena.attributes, silent).attributes
    return rankings


def in_pixels(arena: Arena) -> Moves:
    """Gradient steps of the margin, in pixels, within a ball that grows with the strength."""
    subject, cases = arena.subject, arena.cases
    length = _PIXELS * cases.x_rec[0].numel() ** 0.5

    def draw(strength: Float[Tensor, " n"]) -> Float[Tensor, "n c h w"]:
        changed = []
        for start in range(0, len(cases), _AT_ONCE):
            rows = slice(start, start + _AT_ONCE)
            climb = partial(_height, arena, rows)
            changed.append(attack(climb, cases.x_rec[rows], length * strength[rows].to(cases.x_rec)))
        return torch.cat(changed)

    assert subject.device == cases.x_rec.device
    return Moves(draw=draw, sized=False)


def attacked(arena: Arena, space: AttackSpace) -> Moves:
    """A gradient search in a latent space, for each image until it has the target's answer; the strength scales it."""
    subject, cases = arena.subject, arena.cases
    latents = InW.of(subject, arena.latents()) if space == "w" else InS(subject)
    sparsity = SPARSITY_IN_S if space == "s" else 0.0
    began, before = time.perf_counter(), calls(subject)
    placed = latents.place(cases.x, subject.condition(cases.logits))
    opponent = Opponent(latents=latents, classifier=subject.classifier, output=subject.output)
    targets = torch.from_numpy(cases.targets).to(subject.device)
    found = attack_latents(opponent, placed, targets, AttackConfig(sparsity=sparsity))
    changed = (found.change != 0).sum(dim=1).tolist()
    return Moves(
        draw=lambda strength: latents.draw(
            latents.moved(placed.z, strength.to(found.change)[:, None] * found.change), placed.rest
        ),
        said=[f"{count} coordinates" for count in changed],
        choosing=(time.perf_counter() - began, calls(subject) - before),
    )


def _height(arena: Arena, rows: slice, x: Float[Tensor, "n c h w"]) -> Float[Tensor, " n"]:
    return arena.cases.margin(arena.subject.classifier.logits(x), rows, arena.subject)


def heat(arena: Arena, how: Callable[..., Tensor]) -> Heat:
    """A heat-map of each photograph: where the answer that it has, rather than the target, comes from."""
    subject, cases = arena.subject, arena.cases

    def maps() -> Float[Tensor, "n h w"]:
        found = []
        for start in range(0, len(cases), _AT_ONCE):
            rows = slice(start, start + _AT_ONCE)
            mapped = how(subject.classifier, lambda y, rows=rows: -cases.margin(y, rows, subject), cases.x[rows])
            found.append(mapped.clamp(min=0))
        return torch.cat(found)

    return Heat(maps=maps)


def _in_w(arena: Arena) -> tuple[TrainedSubject, Float[Tensor, "n s_dim"]]:
    """Where random directions are drawn: along w, or in StyleSpace where the snapshot keeps no latents."""
    if arena.subject.snapshot.latents is None:
        return arena.subject, arena.cases.s
    subject, _, s = arena.steered("directions")
    return subject, s


def random_in_w(arena: Arena) -> Moves:
    """A random direction in w of each image's own (in StyleSpace, where the snapshot keeps no latents)."""
    subject, s = _in_w(arena)
    random = np.random.default_rng([arena.seed, 21])
    step = torch.from_numpy(random_direction(subject.space, subject.control, random, len(s))).to(s)
    return replace(straight(subject, s, s + _FAR * step), sized=False)


def best_of_random(arena: Arena) -> Moves:
    """Of eight random directions the one that moves the image most by itself, up or down: lists choose so, too."""
    subject, s = _in_w(arena)
    began, before = time.perf_counter(), calls(subject)
    random = np.random.default_rng([arena.seed, 26])
    end, best = s.clone(), np.full(len(s), -np.inf)
    for _ in range(TRIES):
        moved = s + _FAR * torch.from_numpy(random_direction(subject.space, subject.control, random, len(s))).to(s)
        logits = torch.from_numpy(subject.logits(moved))
        raised = arena.cases.margin(logits, slice(None), arena.subject).numpy()
        better = raised > best
        rows = torch.from_numpy(better).to(s.device)
        end[rows] = moved[rows]
        best = np.maximum(best, raised)
    made = straight(subject, s, end)
    return replace(made, sized=False, choosing=(time.perf_counter() - began, calls(subject) - before))


def random_coordinate(arena: Arena) -> Moves:
    """One random style coordinate of each image's own, up or down."""
    subject, s = arena.subject, arena.cases.s
    random = np.random.default_rng([arena.seed, 22])
    std = statistics_of(subject.space).std
    varying = subject.indices[std[subject.indices] > 0]
    columns, signs = random.choice(varying, size=len(s)), random.choice((-_FAR, _FAR), size=len(s))
    end = s.clone()
    end[np.arange(len(s)), columns] += torch.from_numpy(signs * std[columns]).to(s)
    return replace(straight(subject, s, end), sized=False)


def another_image(arena: Arena) -> Moves:
    """Towards another image that has the target as its answer, in StyleSpace: at strength 1 it is that image."""
    subject, cases, pool = arena.subject, arena.cases, arena.pool
    random, logits = np.random.default_rng([arena.seed, 23]), pool.logits_rec.cpu().numpy()
    end = cases.s.clone()
    for target in arena.targets:
        rows = np.flatnonzero(cases.targets == target)
        others = np.flatnonzero(predicted(logits, target, subject.output))
        if len(others) and len(rows):
            end[torch.from_numpy(rows)] = pool.s[torch.from_numpy(random.choice(others, size=len(rows)))]
    return straight(subject, cases.s, end)


def unchanged(arena: Arena) -> Moves:
    """The rebuilt picture as it is."""
    return Moves(draw=lambda strength: arena.cases.x_rec)


def _of_table(name: MethodName, title: str, about: str) -> Contender:
    return Contender(title=title, about=about, kind="moves", enter=partial(ranked, name=name))


CONTENDERS: Mapping[str, Contender] = {
    "directions": _of_table(
        "directions", "StylEx, directions", "turns one knob: of the claimed ICA directions, the one for this image"
    ),
    "attfind": _of_table(
        "attfind", "StylEx, AttFind", "turns one style coordinate of those found by the published search"
    ),
    "eigenfind": _of_table(
        "eigenfind", "EigenFind", "turns one of the directions that change the generator's styles most"
    ),
    "sefa": _of_table("sefa", "SeFa", "the same of unit-normalised weights, found without any image"),
    "ganalyze": _of_table("ganalyze", "GANalyze", "goes along one direction that was trained against the classifier"),
    "stylespace": _of_table(
        "stylespace", "StyleSpace ranking", "turns a coordinate in which the class's images stand out"
    ),
    "attack": Contender(
        title="Counterfactual Attack in w",
        about="climbs the classifier's gradient through the generator, for each image by itself",
        kind="moves",
        enter=partial(attacked, space="w"),
    ),
    "attack-s": Contender(
        title="Counterfactual Attack in S, sparse",
        about="the same over single style coordinates, as few as it can",
        kind="moves",
        enter=partial(attacked, space="s"),
    ),
    "pixels": Contender(
        title="gradient in pixels",
        about="climbs the classifier's gradient pixel by pixel, with no generator",
        kind="pixels",
        enter=in_pixels,
    ),
    "grad-cam": Contender(
        title="Grad-CAM",
        about="heats the places of the last feature map that speak for the answer; shows where, not what",
        kind="map",
        enter=partial(heat, how=grad_cam),
    ),
    "integrated-gradients": Contender(
        title="integrated gradients",
        about="heats the pixels that add to the answer, from mid-grey on; shows where, not what",
        kind="map",
        enter=partial(heat, how=integrated_gradients),
    ),
}
"""What can be asked for. ``stylex compare`` takes them all unless told otherwise."""

CONTROLS: Mapping[str, Contender] = {
    "random": Contender(
        title="random directions",
        about="a random direction in w for each image",
        kind="control",
        enter=random_in_w,
    ),
    "random-best": Contender(
        title="best of 8 random directions",
        about="for each image the one of eight random directions that moves it most",
        kind="control",
        enter=best_of_random,
    ),
    "coordinates": Contender(
        title="random coordinates",
        about="a random style coordinate for each image",
        kind="control",
        enter=random_coordinate,
    ),
    "other": Contender(
        title="another image",
        about="goes towards another image that has the target's answer",
        kind="control",
        enter=another_image,
    ),
    "unchanged": Contender(
        title="rebuilt, unchanged", about="the rebuilt picture as it is", kind="control", enter=unchanged
    ),
}
"""What passes a measure by accident; always there."""


def asked(methods: str) -> tuple[str, ...]:
    """The methods named with commas; all where nothing is.

    Raises:
        ConfigError: one is none of them, or is named twice.
    """
    names = [name.strip() for name in methods.split(",") if name.strip()]
    for i, name in enumerate(names):
        if name not in CONTENDERS or name in names[:i]:
            what = "twice" if name in CONTENDERS else "and is none"
            raise ConfigError(
                f"{option('methods')} names {name!r} {what}; expected some of {', '.join(CONTENDERS)}, with commas"
            )
    return tuple(names) or tuple(CONTENDERS)


def with_own_size(names: Sequence[str]) -> list[str]:
    """Of these methods, those whose own changes can say how large all are made.

    Raises:
        EvaluationError: there are none.
    """
    sized = [name for name in names if CONTENDERS[name].kind == "moves"]
    if not sized:
        raise EvaluationError(
            f"none of {', '.join(names)} has a size of its own to bring the others to; say how large with "
            f"{option('change', 0.05)}, or add {next(iter(CONTENDERS))}"
        )
    return sized
