"""The evaluation from end to end: attributes found on some held-out images, everything measured on others."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any, Literal

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Float, Float32, Int, Int64
from numpy import ndarray
from torch import Tensor

from stylex.classifiers import Classifier, perceptual_distance
from stylex.core.attribute import Attribute
from stylex.core.errors import EvaluationError
from stylex.core.evaluation import Evaluation, Interval, Measure, MeasuredAttribute
from stylex.core.explanation import Explanation
from stylex.core.progress import Alarm, Done, Listener, Started, Step, silent
from stylex.core.stylespace import StyleSpace
from stylex.data.archive import ImageSet
from stylex.evaluation.attack import attack, redrawn
from stylex.evaluation.extractors import Extractor
from stylex.evaluation.subject import calls, comparable, random_coordinates
from stylex.metrics.agreement import divergence
from stylex.metrics.frechet import frechet_distance
from stylex.metrics.interval import bootstrap, mean_interval
from stylex.metrics.kid import kernel_distance
from stylex.metrics.locality import area, overlap
from stylex.metrics.manifold import precision_recall
from stylex.metrics.observer import observe
from stylex.metrics.significance import FEWEST_TO_TEST, benjamini_hochberg, sign_flip
from stylex.metrics.stability import stability
from stylex.models.latents import normal_latents
from stylex.search.choosing import choose_to_search
from stylex.search.class_search import Workplace, search_classes
from stylex.search.config import SearchConfig
from stylex.search.counterfactual import random_control, subset
from stylex.search.decision import margin, predicted
from stylex.search.effects import Effects, Measuring, measure_effects, shortlist
from stylex.search.encoding import Encoded, encode, encode_set
from stylex.search.shifts import apply_attributes
from stylex.search.subject import TrainedSubject
from stylex.search.task import Task

TASK = "evaluate"
"""Name of this work in progress events."""

PARTS: Mapping[str, str] = {
    "reconstruction": "does the generator keep what the classifier sees",
    "realism": "are reconstructions and samples like real images",
    "sufficiency": "how many images do the attributes turn, beside random coordinates",
    "own": "how many images do attributes turn that are chosen for each image",
    "attack": "do the changes survive being encoded again, beside a pixel attack of equal size",
    "significance": "does each attribute do more than a random coordinate moved equally far",
    "sparsity": "how local is each change",
    "observer": "can a machine tell the attributes apart on images that it has not seen",
    "stability": "does another training find the same attributes (needs a second snapshot)",
}
"""What is measured, in this order; every part can be left out."""

LARGEST_RATE = 0.05
"""False discovery rate of the claims."""

SMALLEST_CHANGE = 0.05
"""An attribute is claimed to drive the classifier if it would move the probability of an image on the decision
boundary by so much, on average. (On the images themselves, a classifier that is sure hides what drives it.)"""

_TOPS = (1, 3, 10)
_OWN_CANDIDATES = 200
"""Coordinates that these are looked for among, where a search has measured which are strong."""
_REAL_IMAGES = 1000
"""Images of each set whose distances are measured, at most."""
_FEWEST = 8
_MOST_TARGETS = 10
_SIDE = 32
"""Pictures are compared between trainings, and shown to the observer, at this side at most."""
_RANDOM_TESTED = 20


@dataclass(frozen=True, kw_only=True)
class Options:
    """How to evaluate.

    Attributes:
        searched: images to find the attributes on, where no explanation is given.
        measured: other images to measure on.
        attributes: how many of each target are looked for and moved together.
        search: how they are searched for, as in ``find``.
        own: images towards each target that get attributes of their own.
        observer_steps: how long the machine observer is trained, in batches of 64 pairs.
        without: parts to leave out.
        seed: of everything random.
    """

    searched: int = 100
    measured: int = 200
    own: int = 16
    observer_steps: int = 300
    attributes: int = 10
    search: SearchConfig = field(default_factory=SearchConfig)
    without: frozenset[str] = field(default_factory=frozenset)
    seed: int = 0

    def __post_init__(self) -> None:
        for name, least in (
            ("searched", 1),
            ("measured", _FEWEST),
            ("own", 1),
            ("observer_steps", 1),
            ("attributes", 1),
            ("seed", 0),
        ):
            if getattr(self, name) < least:
                raise EvaluationError(f"{name} is {getattr(self, name)}; expected {least} or more")
        unknown = sorted(self.without - PARTS.keys())
        if unknown:
            raise EvaluationError(f"there is no part {unknown[0]!r} to leave out; the parts are {', '.join(PARTS)}")


@dataclass(frozen=True, eq=False, kw_only=True)
class Found:
    """Attributes to evaluate, and the images that they were found on.

    Attributes:
        rankings: of each target, best first.
        shown: all of them in the order of showing, no coordinate twice.
        images: names of the images searched.
        strong: flat indices of the coordinates that moved the classifier most in the search; None: not known.
    """

    rankings: Mapping[int, tuple[Attribute, ...]]
    shown: tuple[Attribute, ...]
    images: frozenset[str]
    strong: Int64[ndarray, " m"] | None = None


def found_in(explanation: Explanation, images: frozenset[str]) -> Found:
    """The attributes of an explanation that were found on these images.

    Raises:
        EvaluationError: it explains one image.
    """
    if explanation.scope != "class":
        raise EvaluationError(
            "this explanation is of one image, and what holds of one image cannot be tested on others; give one that "
            "`stylex find` wrote"
        )
    ranking = explanation.ranking.attributes
    targets = dict.fromkeys(attribute.target for attribute in ranking)
    return Found(
        rankings={target: tuple(a for a in ranking if a.target == target) for target in targets},
        shown=tuple(ranking),
        images=images,
    )


def searched_images(
    explanation: Explanation, classifier: Classifier, held_out: ImageSet, fingerprint: str, listener: Listener = silent
) -> frozenset[str]:
    """Names of the held-out images that an explanation was found on.

    They are recorded; for an explanation older than that, the choice is repeated from its settings.
    """
    settings = explanation.settings
    if settings.get("data_fingerprint") == fingerprint and isinstance(settings.get("searched"), list):
        return frozenset(str(name) for name in settings["searched"])
    if settings.get("verb") != "find" or not isinstance(settings.get("images"), int):
        listener(
            Alarm(message="the explanation does not say which images it was found on; some of them may be measured")
        )
        return frozenset()
    if settings.get("data_fingerprint") != fingerprint:
        return frozenset()  # found on other images altogether
    labels = classifier.spec.labels
    to, start = (_position(settings.get(name), labels) for name in ("target", "source"))
    return frozenset(choose_to_search(classifier, held_out, settings["images"], target=to, source=start).names)


def _position(name: Any, labels: Sequence[str]) -> int | None:
    """A label by its name or number, as ``find`` takes it."""
    if not isinstance(name, str):
        return None
    return labels.index(name) if name in labels else int(name)


def find(
    subject: TrainedSubject, images: ImageSet, targets: Sequence[int], options: Options, *, listener: Listener = silent
) -> Found:
    """Search for the attributes of each target.

    Raises:
        SearchError: there are no images.
    """
    aimed = targets[0] if len(targets) == 1 else None
    chosen = choose_to_search(subject.classifier, images, options.searched, target=aimed)
    config = replace(options.search, attributes=options.attributes, search="exact")
    found = search_classes(subject, encode_set(subject, chosen), config, targets, at=Workplace(listener=listener))
    assert found is not None
    rankings = {task.target: ranking.attributes for task, ranking in zip(found.tasks, found.rankings, strict=True)}
    effects = found.tasks[0].effects
    return Found(
        rankings=rankings,
        shown=in_turn(rankings),
        images=frozenset(chosen.names),
        strong=shortlist(effects, _OWN_CANDIDATES) if isinstance(effects, Effects) else None,
    )


def in_turn(rankings: Mapping[int, tuple[Attribute, ...]]) -> tuple[Attribute, ...]:
    """The best of each target, then the second best, ...; no coordinate twice."""
    shown: list[Attribute] = []
    for place in range(max((len(ranking) for ranking in rankings.values()), default=0)):
        for ranking in rankings.values():
            if place < len(ranking) and all(ranking[place].coordinate != a.coordinate for a in shown):
                shown.append(ranking[place])
    return tuple(shown)


def evaluate_subject(
    subject: TrainedSubject,
    *,
    training: ImageSet | None,
    held_out: ImageSet,
    targets: Sequence[int],
    options: Options,
    extractor: Extractor,
    found: Found | None = None,
    against: TrainedSubject | None = None,
    settings: Mapping[str, Any],
    listener: Listener = silent,
) -> Evaluation:
    """Measure everything that is not left out.

    Args:
        subject: the networks.
        training: images of the training, as a reference for realism; None: half of the held-out images.
        held_out: images that were never trained on; none is both searched and measured.
        targets: classes to drive to, where the attributes are searched for here.
        options: what to measure and how.
        extractor: for distances of sets of images.
        found: attributes that are there already; None: search on every second held-out image.
        against: another training's networks.
        settings: to be written into the evaluation.
        listener: hears one ``Step`` for each part.

    Raises:
        EvaluationError: too few images are left to measure on.
    """
    began = time.perf_counter()
    parts = [part for part in PARTS if part not in options.without and (part != "stability" or against is not None)]
    listener(Started(task=TASK, total=1 + len(parts), unit="parts"))
    pool = None
    if found is None:
        if len(targets) > _MOST_TARGETS:
            raise EvaluationError(
                f"the classifier has {len(targets)} labels, and each takes a search of its own; say which one to "
                f"evaluate with --target, one of {', '.join(subject.classifier.spec.labels[:5])}, ..."
            )
        pool, rest = (held_out.subset(np.arange(start, len(held_out), 2)) for start in (0, 1))
        _enough(len(rest), len(pool))
        found = find(subject, pool, targets, options, listener=listener)
    else:
        rest = held_out.subset(np.array([name not in found.images for name in held_out.names], dtype=np.bool_))
        _enough(len(rest), len(found.images))
    search_seconds, search_calls = time.perf_counter() - began, calls(subject)
    measured = encode_set(subject, choose_to_search(subject.classifier, rest, options.measured, target=None))
    sheet = _Sheet(subject, found, measured, options)
    if not found.shown:
        sheet.notes.append("Nothing was found that moves the classifier, so there are no attributes to measure.")
    listener(Step(task=TASK, done=1))
    for done, part in enumerate(parts, start=2):
        if part == "reconstruction":
            sheet.reconstruction(_sample(held_out, _REAL_IMAGES, options.seed))
        elif part == "realism":
            if training is None:
                random = np.random.default_rng(options.seed).permutation(len(held_out))
                images, others = (held_out.subset(half) for half in np.array_split(random, 2))
            else:
                images, others = (_sample(whole, _REAL_IMAGES, options.seed) for whole in (held_out, training))
            sheet.realism(images, others, extractor)
        elif part == "stability":
            assert against is not None
            searched = (
                pool
                if pool is not None
                else held_out.subset(np.array([name in found.images for name in held_out.names], dtype=np.bool_))
            )
            sheet.stability(against, searched, targets, listener)
        elif found.shown:
            getattr(sheet, part)()
        listener(Step(task=TASK, done=done))
    shown = "images that the classifier was shown"
    sheet.add("cost.seconds", time.perf_counter() - began)
    sheet.add("cost.classifier_calls", float(calls(subject)), note=shown)
    if pool is not None:
        sheet.add("cost.seconds_of_search", search_seconds)
        sheet.add("cost.classifier_calls_of_search", float(search_calls), note=shown)
    listener(Done(task=TASK))
    for note in sheet.alarms:
        listener(Alarm(message=note))
    return Evaluation(
        title="How far this explanation can be trusted",
        labels=subject.classifier.spec.labels,
        searched=len(found.images),
        measured=len(measured.ids),
        measures=tuple(sheet.measures),
        attributes=tuple(sheet.attributes),
        settings=dict(settings),
        snapshot={"path": str(subject.snapshot.path), "sha256": subject.snapshot.sha256},
        notes=tuple(sheet.notes + sheet.alarms),
    )


def _enough(left: int, searched: int) -> None:
    if left < _FEWEST:
        raise EvaluationError(
            f"{left} held-out images are left to measure on beside the {searched} searched; expected {_FEWEST} or "
            "more: give an archive with more test images, or search on fewer"
        )


def _sample(images: ImageSet, most: int, seed: int) -> ImageSet:
    """Images drawn at random, none twice; evenly spaced ones would be more like their set than chance allows."""
    return images.subset(np.random.default_rng(seed).permutation(len(images))[:most])


class _Sheet:
    """The measures as they are taken; each part is a method of its own, and none needs another."""

    def __init__(self, subject: TrainedSubject, found: Found, measured: Encoded, options: Options) -> None:
        self.subject, self.found, self.measured, self.options = subject, found, measured, options
        self.labels, self.output = subject.classifier.spec.labels, subject.classifier.activation
        self.base: Float32[ndarray, "n k"] = measured.logits_rec.cpu().numpy()
        self.measures: list[Measure] = []
        self.notes: list[str] = []
        self.alarms: list[str] = []
        self.attributes = [
            MeasuredAttribute(name=a.name, target_label=a.target_label, shift_range=a.shift_range) for a in found.shown
        ]
        self._pictures: Float32[ndarray, "k n c h w"] | None = None
        self._logits: Float32[ndarray, "k n classes"] | None = None

    def add(
        self,
        name: str,
        value: Interval | float,
        *,
        images: int | None = None,
        by: str | None = None,
        note: str | None = None,
    ) -> None:
        """Write a number down."""
        if not isinstance(value, Interval):
            self.measures.append(Measure(name=name, value=float(value), images=images, by=by, note=note))
            return
        self.measures.append(
            Measure(name=name, value=value.value, low=value.low, high=value.high, images=images, by=by, note=note)
        )

    # The parts, by their names.

    def reconstruction(self, images: ImageSet) -> None:
        """Agreement, |p - p_rec|, KL, pixel L1 and perceptual distance, over all held-out images."""
        classifier = self.subject.classifier
        rows: dict[str, list[Tensor]] = {"agreement": [], "probability_error": [], "kl": [], "pixel_l1": []}
        perceived: list[Tensor] = []
        for part in np.array_split(np.arange(len(images)), -(-len(images) // 256)):
            e = encode_set(self.subject, images.subset(part))
            said, said_rec = e.logits[:, : classifier.own], e.logits_rec[:, : classifier.own]
            p, p_rec = classifier.probabilities(said), classifier.probabilities(said_rec)
            if self.output == "softmax":
                named = said.argmax(dim=1)
                rows["agreement"].append((named == said_rec.argmax(dim=1)).float())
                rows["probability_error"].append((p - p_rec).abs().gather(1, named[:, None])[:, 0])
            else:
                rows["agreement"].append(((said >= 0) == (said_rec >= 0)).float().mean(dim=1))
                rows["probability_error"].append((p - p_rec).abs().mean(dim=1))
            rows["kl"].append(divergence(said, said_rec, self.output))
            rows["pixel_l1"].append((e.x_rec - e.x).abs().mean(dim=(1, 2, 3)))
            with torch.inference_mode():
                for x, x_rec in zip(e.x.split(64), e.x_rec.split(64), strict=True):
                    maps, maps_rec = classifier.features(x), classifier.features(x_rec)
                    if maps:
                        perceived.append(perceptual_distance(maps, maps_rec))
        for name, values in rows.items():
            self.add(f"reconstruction.{name}", _mean(torch.cat(values), self.options.seed), images=len(images))
        if perceived:
            self.add(
                "reconstruction.perceptual",
                _mean(torch.cat(perceived), self.options.seed),
                images=len(images),
                by="the explained classifier's features",
            )
        else:
            self.notes.append("No perceptual distance: the classifier shows no feature maps.")

    def realism(self, images: ImageSet, others: ImageSet, extractor: Extractor) -> None:
        """Distances from other real images: of real images (as near as can be), their reconstructions, and new ones.

        New ones are sampled from noise by the mapping network, and drawn from latents like the encoder's.
        """
        if min(len(images), len(others)) < _FEWEST:
            self.notes.append("No realism: there are too few real images beside each other to compare.")
            return
        snapshot, e = self.subject.snapshot, encode_set(self.subject, images)
        generator = snapshot.generator
        reference = extractor.features(others.batch(np.arange(len(others))).to(e.x.device))
        random = torch.Generator().manual_seed(self.options.seed)
        pictures = {"real": e.x, "reconstructed": e.x_rec}
        parts = self.subject.condition(e.logits).split(64)
        with torch.inference_mode():
            z = [torch.randn(len(told), generator.config.z_dim, generator=random).to(told) for told in parts]
            latents = {"sampled": [generator.mapping(*part) for part in zip(z, parts, strict=True)]}
            if snapshot.latents is not None:
                drawn = normal_latents(snapshot.latents, len(images), seed=self.options.seed)
                latents["drawn"] = list(drawn.to(e.x).split(64))
            for name, rows in latents.items():
                new = [
                    generator(w, told, snapshot.some_maps(len(w))).clamp(-1, 1)
                    for w, told in zip(rows, parts, strict=True)
                ]
                pictures[name] = torch.cat(new)
        for name, x in pictures.items():
            features = extractor.features(x)
            distance, kernel = frechet_distance(reference, features), kernel_distance(reference, features)
            coverage = precision_recall(reference, features)
            for measure, value in (
                ("frechet", distance.value),
                ("kid", kernel.interval),
                ("precision", coverage.precision),
                ("recall", coverage.recall),
            ):
                self.add(
                    f"realism.{measure}_{name}",
                    value,
                    images=len(x),
                    by=extractor.name,
                    note=f"beside {len(reference)} other real images",
                )
            if name == "real" and distance.warning:
                self.alarms.append(f"{distance.warning[0].upper()}{distance.warning[1:]}.")

    def sufficiency(self) -> None:
        """Share of images that the top attributes turn together, beside as many random coordinates."""
        for target, ranking in self.found.rankings.items():
            label, s, _ = self._starts(target)
            if len(s) == 0:
                self.notes.append(f"Every measured image is {label!r} already, so none can be turned to it.")
                continue
            for top in self._tops(len(ranking)):
                logits = self.subject.logits(apply_attributes(s, ranking[:top], self.subject.space))
                turned = predicted(logits, target, self.output).astype(np.float64)
                flips = mean_interval(turned, seed=self.options.seed)
                self.add(f"sufficiency.top{top}_to_{label}", flips, images=len(s))
            control = random_control(
                self.subject, s, ranking, target, indices=self.subject.indices, seed=self.options.seed
            )
            self.add(
                f"sufficiency.random{len(ranking)}_equal_length_to_{label}",
                float(control.fractions.mean()),
                images=control.images,
                note=f"random directions moved as far, {len(control.fractions)} of them: standard deviation "
                f"{control.fractions.std():.2f}",
            )

    def own(self) -> None:
        """Share of images that attributes turn which were chosen for each image by itself."""
        for target, ranking in self.found.rankings.items():
            label, s, rows = self._starts(target)
            few = np.unique(np.linspace(0, len(s) - 1, min(self.options.own, len(s))).round().astype(np.int64))
            if len(s) == 0 or not ranking:
                continue
            s, names = s[torch.from_numpy(few).to(s.device)], [self.measured.ids[rows[i]] for i in few]
            effects = measure_effects(
                self.subject,
                s,
                image_ids=names,
                indices=self.subject.indices if self.found.strong is None else self.found.strong,
                how=Measuring(shift_range=ranking[0].shift_range),
            )
            task = Task.of(self.subject, s, effects, target)
            paths = [subset(task, i, budget=max(_TOPS)).path for i in range(len(s))]
            for top in _TOPS:
                turned = [predicted(path[min(top, len(path) - 1)], target, self.output) for path in paths]
                flips = mean_interval(np.array(turned, dtype=np.float64), seed=self.options.seed)
                self.add(f"own.top{top}_to_{label}", flips, images=len(s), note="searched on the image itself")

    def attack(self) -> None:
        """A pixel attack as large as the attributes' change: does it turn images, and does either survive a redraw."""
        for target, ranking in self.found.rankings.items():
            label, s, rows = self._starts(target)
            if len(s) == 0 or not ranking:
                continue
            picked = torch.from_numpy(rows).to(s.device)
            before, told = self.measured.x_rec[picked], self.subject.condition(self.measured.logits_rec[picked])
            pictures, logits = self.subject.show(apply_attributes(s, ranking, self.subject.space))
            changed = torch.from_numpy(pictures).to(before)
            length = (changed - before).flatten(1).norm(dim=1)
            climb = partial(self._height, target=target)
            try:
                pieces = zip(before.split(64), length.split(64), strict=True)
                attacked = torch.cat([attack(climb, x, far) for x, far in pieces])
            except EvaluationError as error:
                self.notes.append(f"No attack: {error}.")
                return
            after = self._said(attacked)
            start, redrawn_start = (
                margin(x, target, self.output) for x in (self.base[rows], self._again(before, told))
            )
            size = f"changes of equal length, {float(length.mean()):.2f} on average"
            for name, x, said in (("attributes", changed, logits), ("pixels", attacked, after)):
                turned = predicted(said, target, self.output)
                flips = mean_interval(turned.astype(np.float64), seed=self.options.seed)
                self.add(f"attack.{name}_turn_to_{label}", flips, images=len(s), note=size)
                new_answer = self.subject.condition(torch.from_numpy(said).to(told))
                still = predicted(self._again(x, new_answer), target, self.output)[turned].astype(np.float64)
                self.add(
                    f"attack.{name}_survive_to_{label}",
                    mean_interval(still, seed=self.options.seed),
                    images=int(turned.sum()),
                    note="of those turned: still so after G(E(x), C(x))",
                )
                # A generator that is told the answer draws it, whatever the picture shows: told the old one, the
                # picture must carry the change.
                rise = margin(said, target, self.output) - start
                kept = margin(self._again(x, told), target, self.output) - redrawn_start
                self.add(
                    f"attack.{name}_kept_to_{label}",
                    bootstrap(partial(_ratio, kept, rise), len(s), seed=self.options.seed),
                    images=len(s),
                    note="share of the margin's change that is left after G(E(x), the old answer)",
                )

    def significance(self) -> None:
        """Each attribute beside a random coordinate moved equally far, image by image; random ones claimed too?"""
        random, pool = np.random.default_rng(self.options.seed), comparable(self.subject, self.found.shown)
        tests = [self._test(attribute, pool, random) for attribute in self.found.shown]
        for i, (test, q) in enumerate(zip(tests, _rates(tests), strict=True)):
            self.attributes[i] = replace(
                self.attributes[i],
                effect=test.effect,
                random_effect=test.random_effect,
                change=test.change,
                p=test.p,
                q=q,
                claimed=_claimed(test, q),
            )
        known = [a.claimed for a in self.attributes if a.claimed is not None]
        self.add(
            "significance.claimed",
            float(np.mean(known)) if known else float("nan"),
            note=f"share of {len(known)} attributes: false discovery rate {LARGEST_RATE:g}, probability on the "
            f"boundary moved by {SMALLEST_CHANGE:g} or more",
        )
        others = _strangers(self.subject.space, pool, self.found.shown, _RANDOM_TESTED, random)
        strangers = [self._test(attribute, pool, random) for attribute in others]
        claims = [_claimed(test, q) for test, q in zip(strangers, _rates(strangers), strict=True)]
        self.add(
            "significance.random_claimed",
            float(np.mean([claim is True for claim in claims])) if claims else float("nan"),
            note=f"the same of {len(claims)} random coordinates, for comparison: small is good",
        )

    def sparsity(self) -> None:
        """How many pixels hold a change, and how far changes by two attributes lie in the same place."""
        before, after = self._before(), self._after()
        areas = np.stack([area(before, changed) for changed in after])
        for i, values in enumerate(areas):
            measured = mean_interval(values, seed=self.options.seed)
            self.attributes[i] = replace(self.attributes[i], area=measured)
        known = np.isfinite(areas).any(axis=0)
        self.add(
            "sparsity.area",
            mean_interval(np.nanmean(areas[:, known], axis=0), seed=self.options.seed),
            images=int(known.sum()),
            note="share of the pixels that hold 90% of the squared difference",
        )
        if len(after) > 1:
            table = overlap(before, after)[~np.eye(len(after), dtype=bool)]
            self.add(
                "sparsity.overlap",
                float(np.nanmean(table)) if np.isfinite(table).any() else float("nan"),
                images=len(before),
                note="of two attributes' places, on average: 0 apart, 1 the same",
            )

    def observer(self) -> None:
        """Whether a small network can tell the attributes apart, among the first four and among all."""
        before, after = self._before(), self._after()
        if len(after) < 2:
            self.notes.append("No machine observer: there are not two attributes to tell apart.")
            return
        everything = None
        for count in sorted({min(4, len(after)), len(after)}):
            seen = everything = observe(
                before, after[:count], steps=self.options.observer_steps, seed=self.options.seed
            )
            about: dict[str, Any] = {"images": seen.images[1], "by": f"a network trained on {seen.images[0]} others"}
            self.add(f"observer.accuracy_of_{count}", seen.accuracy, **about, note=f"by chance {seen.chance:.2f}")
            self.add(f"observer.coherence_of_{count}", seen.coherence, **about, note="of two pairs; by chance 0.50")
        assert everything is not None
        for i in range(len(after)):
            self.attributes[i] = replace(
                self.attributes[i],
                recognised=float(everything.recognised[i]),
                coherent=float(everything.coherent[i]),
            )

    def stability(
        self, against: TrainedSubject, searched: ImageSet, targets: Sequence[int], listener: Listener
    ) -> None:
        """Whether another training finds the same attributes: searched on the same images, shown on the same images."""
        if not self.found.shown:
            return
        options = replace(self.options, attributes=max(len(r) for r in self.found.rankings.values()))
        goals = list(self.found.rankings) or list(targets)
        other = find(against, searched, goals, options, listener=listener)
        if not other.shown:
            self.notes.append("The second training's search found nothing, so no attribute has a counterpart.")
            return
        theirs = other.shown[: len(self.found.shown)]
        e = encode(against, self.measured.x, self.measured.ids, self.measured.labels)
        before, base = against.show(e.s)
        small = _shrunk(before)
        random, pool = np.random.default_rng(self.options.seed), comparable(against, theirs)
        strangers = _strangers(against.space, pool, theirs, len(theirs), random)
        own_changes, own_effects = self._after() - self._before(), self._effects()
        results = {}
        for name, attributes in (("", theirs), ("random_", strangers)):
            if not attributes:
                continue
            shown = [against.show(apply_attributes(e.s, [a], against.space)) for a in attributes]
            changes = np.stack([_shrunk(pictures) - small for pictures, _ in shown])
            effects = np.stack([logits - base for _, logits in shown]).astype(np.float64)
            results[name] = stability(own_effects, own_changes, effects, changes, seed=self.options.seed)
        match = results[""]
        by = f"{len(theirs)} attributes of {against.snapshot.path.name}"
        images = len(self.measured.ids)
        self.add("stability.matched", match.share, images=images, by=by, note=f"similarity {match.threshold:g} or more")
        self.add("stability.similarity", float(match.similarity.mean()), images=images, by=by)
        self.add(
            "stability.matched_shuffled",
            float(match.null.mean()),
            images=images,
            note=f"who did what shuffled on each image; p {match.p:.3g}",
        )
        self.add("stability.p", match.p, images=images, note="of the mean similarity, under the same shuffles")
        if strangers:
            self.add(
                "stability.matched_random",
                results["random_"].share,
                images=images,
                note="with as many random coordinates of the second training instead",
            )
        for (first, second), alike in zip(match.pairs, match.similarity, strict=True):
            self.attributes[first] = replace(
                self.attributes[first], counterpart=theirs[second].name, similarity=float(alike)
            )

    # What several parts need.

    def _starts(self, target: int) -> tuple[str, Float[Tensor, "n s_dim"], Int64[ndarray, " n"]]:
        """The label, and the style vectors and rows of measured images whose reconstruction is not it yet."""
        rows = np.flatnonzero(~predicted(self.base, target, self.output))
        sources = {a.source_label for a in self.found.rankings.get(target, ())} - {None}
        if len(sources) == 1:
            source = self.labels.index(str(sources.pop()))
            rows = rows[predicted(self.base[rows], source, self.output)]
        return self.labels[target], self.measured.s[torch.from_numpy(rows).to(self.measured.s.device)], rows

    def _tops(self, count: int) -> list[int]:
        return sorted({top for top in _TOPS if top <= count} | ({count} if count else set()))

    def _before(self) -> Float32[ndarray, "n c h w"]:
        return _shrunk(self.measured.x_rec.cpu().numpy())

    def _after(self) -> Float32[ndarray, "k n c h w"]:
        """Every measured image changed by each attribute alone, drawn once and kept small."""
        if self._pictures is None:
            pictures, logits = [], []
            for attribute in self.found.shown:
                drawn, said = self.subject.show(apply_attributes(self.measured.s, [attribute], self.subject.space))
                pictures.append(_shrunk(drawn))
                logits.append(said)
            self._pictures, self._logits = np.stack(pictures), np.stack(logits)
        return self._pictures

    def _effects(self) -> Float[ndarray, "k n classes"]:
        self._after()
        assert self._logits is not None
        return (self._logits - self.base).astype(np.float64)

    def _height(self, x: Float[Tensor, "n c h w"], *, target: int) -> Float[Tensor, " n"]:
        """The margin to climb: how far the target stands above the decision boundary, with a gradient."""
        logits = self.subject.classifier.logits(x)
        if self.output == "sigmoid":
            return logits[:, target]
        others = torch.cat([logits[:, :target], logits[:, target + 1 :]], dim=1)
        return logits[:, target] - others.amax(dim=1)

    @torch.inference_mode()
    def _said(self, x: Float[Tensor, "n c h w"]) -> Float32[ndarray, "n k"]:
        return np.asarray(torch.cat([self.subject.classifier.logits(part) for part in x.split(64)]).cpu().numpy())

    def _again(self, x: Float[Tensor, "n c h w"], told: Float[Tensor, "n k"]) -> Float32[ndarray, "n k"]:
        """What the classifier says of images that were encoded and drawn again."""
        return self._said(redrawn(self.subject.snapshot, x, told))

    def _test(self, attribute: Attribute, pool: Int64[ndarray, " r"], random: np.random.Generator) -> _Test:
        """One attribute's effect on images that are not of the target yet, beside another coordinate's on each."""
        _, s, rows = self._starts(attribute.target)
        base, target = self.base[rows], attribute.target
        if len(s) == 0:
            return _Test(effect=None, random_effect=None, change=None, p=None)
        after = self.subject.logits(apply_attributes(s, [attribute], self.subject.space))
        control = self.subject.logits(random_coordinates(s, [attribute], self.subject.space, pool, random))
        effect, beside = (after - base)[:, target].astype(np.float64), (control - base)[:, target].astype(np.float64)
        rise = margin(after.astype(np.float64), target, self.output) - margin(base, target, self.output)
        tested = len(s) >= FEWEST_TO_TEST
        return _Test(
            effect=mean_interval(effect, seed=self.options.seed),
            random_effect=float(beside.mean()),
            change=float((0.5 * np.tanh(0.5 * rise)).mean()),
            p=sign_flip(effect - beside, seed=self.options.seed) if tested else None,
        )


@dataclass(frozen=True, kw_only=True)
class _Test:
    effect: Interval | None
    random_effect: float | None
    change: float | None
    p: float | None


def _rates(tests: Sequence[_Test]) -> list[float | None]:
    """The q-value of each test, over all that could be made."""
    known = [i for i, test in enumerate(tests) if test.p is not None]
    q = benjamini_hochberg(np.array([test.p for test in tests if test.p is not None], dtype=np.float64))
    out: list[float | None] = [None] * len(tests)
    for i, value in zip(known, q.tolist(), strict=True):
        out[i] = value
    return out


def _claimed(test: _Test, q: float | None) -> bool | None:
    if q is None or test.change is None:
        return None
    return q <= LARGEST_RATE and test.change >= SMALLEST_CHANGE


def _strangers(
    space: StyleSpace,
    pool: Int64[ndarray, " r"],
    shown: Sequence[Attribute],
    count: int,
    random: np.random.Generator,
) -> tuple[Attribute, ...]:
    """Coordinates of the pool drawn at random, each moved as far as one of the attributes is."""

    def drawn(like: Attribute) -> Attribute:
        sign: Literal[-1, 1] = 1 if random.integers(2) else -1
        coordinate = space.coordinate(int(random.choice(pool)))
        return replace(like, coordinate=coordinate, sign=sign, effect=0.0, significance=None, label=None)

    return tuple(drawn(shown[i % len(shown)]) for i in range(count if len(pool) else 0))


def _ratio(part: Float[ndarray, " n"], whole: Float[ndarray, " n"], rows: Int[ndarray, " n"]) -> float:
    total = float(whole[rows].sum())
    return float(part[rows].sum()) / total if total > 0 else float("nan")


def _shrunk(pictures: Float32[ndarray, "n c h w"]) -> Float32[ndarray, "n c small small"]:
    if pictures.shape[-1] <= _SIDE:
        return pictures
    return np.asarray(F.interpolate(torch.from_numpy(pictures), size=_SIDE, mode="area").numpy())


def _mean(values: Float[Tensor, " n"], seed: int) -> Interval:
    return mean_interval(values.double().cpu().numpy(), seed=seed)
