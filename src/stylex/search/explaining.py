"""The two searches from end to end: what drives a class, and what drives the decision on one image."""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from jaxtyping import Float
from numpy.typing import NDArray
from torch import Tensor

from stylex.classifiers.classifier import Classifier, WithOpposite
from stylex.core.attribute import Attribute, AttributeRanking
from stylex.core.errors import SearchError
from stylex.core.explanation import Counterfactual, ExplainedImage, Explanation, Strip
from stylex.core.progress import Done, Found, Listener, Started, Step, silent
from stylex.core.studio import Turn
from stylex.data.archive import ImageSet
from stylex.data.images import to_pictures
from stylex.metrics.agreement import agreement
from stylex.models.processes import Processes
from stylex.models.snapshot import Snapshot
from stylex.search.attfind import attfind, binary_combined, notebook_ranking
from stylex.search.claims import claim
from stylex.search.counterfactual import flip_rate, independent, random_control, subset
from stylex.search.decision import predicted
from stylex.search.editor import StyleEditor
from stylex.search.effects import EffectTable, measure_effects, stream_effects
from stylex.search.eigenfind import a_few, eigenfind
from stylex.search.moves import Precision
from stylex.search.realism import keep_realistic
from stylex.search.render import Synthesizer, draw
from stylex.search.screen import screen
from stylex.search.select import choose_images
from stylex.search.shifts import apply_attributes
from stylex.search.together import CANDIDATES, together

Selection = Literal["attfind", "together", "notebook", "eigenfind", "directions"]
Search = Literal["auto", "exact", "screened"]
"""Whether every coordinate is measured on every image, or those that a screen keeps."""

_LATENTS = 512
"""Images encoded to tell the range of directions by, where the snapshot keeps no latents."""

_EXACT_PICTURES = 500_000
"""A search is exact, unless asked, while it draws no more pictures than this: some minutes on two cores at 32 px."""

_TOGETHER_ENCODED = 64
"""Images read, encoded and drawn at once."""

_TOGETHER = 10
"""Attributes moved together to test whether they suffice."""
_STRIP_IMAGES = 4
"""Images on which every attribute is turned from end to end, for sliders without networks."""
_STRIP_END = 1.5
"""Where a strip ends, at least, as a share of the way to the observed extreme: a little was never seen."""
_LOW_AGREEMENT = 0.9
"""Below this agreement of the reconstructions an explanation carries a warning."""


@dataclass(frozen=True, eq=False, kw_only=True)
class Searched(ABC):
    """Images in StyleSpace, with what the classifier says of them and of their reconstructions.

    Attributes:
        ids: unique names, safe as file names.
        labels: the data's own labels, or None for each.
        logits, logits_rec: ``[n, k]``.
        s: style vectors ``[n, s_dim]``.
    """

    ids: tuple[str, ...]
    labels: tuple[str | None, ...]
    logits: Float[Tensor, "n k"]
    logits_rec: Float[Tensor, "n k"]
    s: Float[Tensor, "n s_dim"]

    @abstractmethod
    def pair(self, row: int) -> tuple[Float[Tensor, "1 c h w"], Float[Tensor, "1 c h w"]]:
        """An image and its reconstruction, in [-1, 1]."""

    @abstractmethod
    def pixel_l1(self) -> float:
        """Mean difference between images and reconstructions, in the unit of [-1, 1]."""


@dataclass(frozen=True, eq=False, kw_only=True)
class Encoded(Searched):
    """Images that are held in memory, and their reconstructions.

    Attributes:
        x, x_rec: images and reconstructions ``n c h w`` in [-1, 1].
    """

    x: Float[Tensor, "n c h w"]
    x_rec: Float[Tensor, "n c h w"]

    def pair(self, row: int) -> tuple[Float[Tensor, "1 c h w"], Float[Tensor, "1 c h w"]]:
        """As of ``Searched``."""
        return self.x[row : row + 1], self.x_rec[row : row + 1]

    def pixel_l1(self) -> float:
        """As of ``Searched``."""
        return (self.x_rec - self.x).abs().mean().item()


@dataclass(frozen=True, eq=False, kw_only=True)
class Streamed(Searched):
    """Images that stay in their archive; what is shown of them is read, and drawn, again.

    Attributes:
        images: the archive's.
        synthesis: what draws reconstructions.
        difference: the mean difference of pixels.
    """

    images: ImageSet
    synthesis: Synthesizer
    difference: float

    def pair(self, row: int) -> tuple[Float[Tensor, "1 c h w"], Float[Tensor, "1 c h w"]]:
        """As of ``Searched``."""
        s = self.s[row : row + 1]
        return self.images.batch([row]).to(s.device), draw(self.synthesis, s)

    def pixel_l1(self) -> float:
        """As of ``Searched``."""
        return self.difference


@torch.inference_mode()
def choose_to_search(
    classifier: Classifier, images: ImageSet, num: int, *, target: int | None, source: int | None = None
) -> ImageSet:
    """Images to search on: spread over what the classifier predicts, a third of them predicted the target.

    With a source they are only images predicted that or the target, if there are any; as many of each.

    Raises:
        SearchError: there are no images.
    """
    if len(images) == 0 or num < 1:
        raise SearchError(f"{num} of {len(images)} images were to be searched; give at least one test image")
    looked_at = _spread(len(images), min(len(images), 10 * num))
    device = next(classifier.buffers()).device
    parts = np.array_split(looked_at, -(-len(looked_at) // _TOGETHER_ENCODED))
    logits = torch.cat([classifier.logits(images.batch(part).to(device)) for part in parts])
    named = logits.argmax(dim=1) if classifier.activation == "softmax" else (logits[:, target or 0] > 0).long()
    if source is not None:
        starts = named == source if classifier.activation == "softmax" else logits[:, source] > 0
        fits = starts | (named == (target if classifier.activation == "softmax" else 1))
        if starts.any():
            looked_at, named = looked_at[fits.cpu().numpy()], named[fits]
    classes = named.cpu().numpy()
    weight = np.ones(classifier.k if classifier.activation == "softmax" else 2)
    if target is not None and source is None and classifier.activation == "softmax" and classifier.k > 2:
        weight[target] = max(1.0, (classifier.k - 1) / 2)
    # The k-th image of a class comes after k / weight rounds: classes alternate until their images run out.
    groups = [np.flatnonzero(classes == value) for value in np.unique(classes)]
    turn = np.concatenate([np.arange(len(members)) / weight[classes[members[0]]] for members in groups])
    owner = np.repeat(np.arange(len(groups)), [len(members) for members in groups])[np.argsort(turn, kind="stable")]
    quotas = np.bincount(owner[:num], minlength=len(groups)).tolist()
    chosen = [members[_spread(len(members), quota)] for members, quota in zip(groups, quotas, strict=True)]
    return images.subset(np.sort(looked_at[np.concatenate(chosen)]))


def _spread(n: int, wanted: int) -> NDArray[np.int64]:
    """``wanted`` of ``n`` positions, evenly apart."""
    return np.floor((np.arange(wanted) + 0.5) * n / max(wanted, 1)).astype(np.int64)


def encode(
    snapshot: Snapshot,
    classifier: Classifier,
    x: Float[Tensor, "n c h w"],
    ids: Sequence[str],
    labels: Sequence[str | None],
) -> Encoded:
    """Take images into StyleSpace, and reconstruct them with fixed noise."""
    rows = [_encoded(snapshot, classifier, part) for part in x.split(_TOGETHER_ENCODED)]
    x_rec, logits, logits_rec, s = (torch.cat(column) for column in zip(*rows, strict=True))
    return Encoded(
        ids=_file_names(ids), labels=tuple(labels), x=x, x_rec=x_rec, logits=logits, logits_rec=logits_rec, s=s
    )


def encode_stream(
    snapshot: Snapshot, classifier: Classifier, images: ImageSet, labels: Sequence[str | None]
) -> Streamed:
    """``encode`` for any number of images: some are in memory at a time, and none are kept."""
    device = next(classifier.buffers()).device
    rows, difference = [], 0.0
    for start in range(0, len(images), _TOGETHER_ENCODED):
        x = images.batch(range(start, min(start + _TOGETHER_ENCODED, len(images)))).to(device)
        x_rec, *row = _encoded(snapshot, classifier, x)
        difference += (x_rec - x).abs().mean().item() * len(x) / len(images)
        rows.append(row)
    logits, logits_rec, s = (torch.cat(column) for column in zip(*rows, strict=True))
    return Streamed(
        ids=_file_names(images.names),
        labels=tuple(labels),
        logits=logits,
        logits_rec=logits_rec,
        s=s,
        images=images,
        synthesis=snapshot.generator.synthesis,
        difference=difference,
    )


@torch.inference_mode()
def _encoded(snapshot: Snapshot, classifier: Classifier, x: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    # Reconstructions, logits of images and of those, and style vectors.
    logits = classifier.logits(x)
    c = told_of(classifier, logits)
    s = snapshot.styles_of(x, c)
    x_rec = draw(snapshot.generator.synthesis, s)
    return x_rec, logits, classifier.logits(x_rec), s


def told_of(classifier: Classifier, logits: Float[Tensor, "n k"]) -> Float[Tensor, "n own"]:
    """c, what the networks are told of logits: the probabilities of the labels that the model answers itself."""
    return classifier.probabilities(logits[:, : classifier.own])


@torch.inference_mode()
def latents_of(snapshot: Snapshot, classifier: Classifier, images: ImageSet) -> Float[NDArray[Any], "n w_dim"]:
    """Latents to tell the range of directions by: those that the snapshot keeps, or of some of these images."""
    if snapshot.latents is not None:
        return snapshot.latents
    device = next(snapshot.encoder.parameters()).device
    parts = np.array_split(_spread(len(images), min(len(images), _LATENTS)), 8)
    pieces = (images.batch(part).to(device) for part in parts if len(part))
    return torch.cat([snapshot.encoder(x, told_of(classifier, classifier.logits(x))) for x in pieces]).cpu().numpy()


def explain_class(
    snapshot: Snapshot,
    classifier: Classifier,
    encoded: Searched,
    *,
    target: int | None,
    source: int | None = None,
    attributes: int = 8,
    selection: Selection = "attfind",
    torgb: bool = False,
    shift_range: float = 1.0,
    realism: float | None = None,
    search: Search = "auto",
    recall: float = 0.99,
    precision: Precision = "float32",
    shown: int = 6,
    folder: Path | None = None,
    processes: Processes | None = None,
    settings: Mapping[str, Any],
    listener: Listener = silent,
) -> Explanation | None:
    """What drives the classifier towards a class, over many images.

    Args:
        snapshot, classifier: the networks.
        encoded: the images to search on (``Encoded``, or of any number ``Streamed``).
        target: class to drive to; None with two classes: both, the best attributes of each in turn.
        source: start only from images predicted this class.
        attributes: how many to look for.
        selection: the paper's Algorithm 1, attributes chosen for what they do together, or the notebook's choice; of a
            snapshot with directions, EigenFind's, or all that can be claimed (``directions``).
        torgb: search the ToRGB layers' styles too.
        shift_range: how far to move, as a fraction of the way to the observed extreme.
        realism: reject attributes that move the discriminator's logit by more than this.
        search: measure everything (``exact``), or screen and verify; ``auto`` is exact where that takes minutes.
            EigenFind screened ranks its directions on some of the images (``eigenfind.a_few``).
        recall: share of the strongest moves that a screen must hold, as estimated.
        precision: ``bf16`` draws in it where the hardware has it and a sample's errors are small: all pictures of an
            exact search, and those of a screen, whose survivors are measured in float32.
        shown: images to show each attribute on.
        folder: keep measured effects here, to go on after an interruption.
        processes: who else measures effects (into the same ``folder``).
        settings: to be written into the explanation.
        listener: hears the progress.

    Returns:
        The explanation; of several processes the first one's only, as the others end when all is measured.

    Raises:
        SearchError: a class that cannot be searched for.
    """
    labels, output = classifier.spec.labels, classifier.activation
    if target is None and (len(labels) != 2 or output != "softmax"):
        raise SearchError(
            f"the classifier has {len(labels)} labels; say which one to explain with --target, one of {_some(labels)}"
        )
    goal = 0 if target is None else target
    synthesis, space = snapshot.generator.synthesis, snapshot.space
    goals = (0, 1) if target is None else (goal,)
    num = max(attributes, _TOGETHER)
    indices = space.indices(include_torgb=torgb)
    screened, rows = None, np.arange(len(encoded.s))
    if selection == "eigenfind":
        if search == "screened":
            rows = a_few(encoded.logits_rec.cpu().numpy(), goals, output, source=source)
    elif search == "screened" or (search == "auto" and 2 * len(indices) * len(encoded.s) > _EXACT_PICTURES):
        screened = screen(
            synthesis,
            classifier,
            space,
            encoded.s,
            goals,
            output=output,
            source=source,
            indices=indices,
            shift_range=shift_range,
            top=CANDIDATES if selection == "together" else num,
            recall=recall,
            precision=precision,
            listener=listener,
        )
        listener(Found(message=f"{screened.note}."))
    s = encoded.s[torch.from_numpy(rows).to(encoded.s.device)]
    effects = stream_effects(
        synthesis,
        classifier,
        space,
        s,
        image_ids=[encoded.ids[row] for row in rows],
        indices=indices if screened is None else screened.indices,
        shift_range=shift_range,
        precision=precision if screened is None else "float32",
        classes=sorted({*goals, *(() if source is None else (source,))}),
        folder=folder,
        key=_key(snapshot, classifier),
        processes=processes,
        listener=listener,
    )
    if processes is not None and not processes.first:
        return None
    if selection == "together":
        rankings = [
            together(
                synthesis,
                classifier,
                space,
                s,
                effects,
                to,
                labels=labels,
                output=output,
                source=source,
                num=num,
                listener=listener,
            )
            for to in goals
        ]
    else:
        rankings = [_rank(effects, to, snapshot, classifier, source=source, num=num, how=selection) for to in goals]
    if realism is not None:
        rankings = [
            keep_realistic(
                synthesis,
                classifier,
                lambda x, c: snapshot.discriminator(x, c[:, : classifier.own]),
                space,
                s,
                effects,
                ranking,
                output=output,
                threshold=realism,
            ).ranking
            for ranking in rankings
        ]
    figures = _quality(encoded, classifier)
    for to, found in zip(goals, rankings, strict=True):
        figures |= _sufficiency(snapshot, classifier, encoded, found, to, indices, source)
    ranking = _joined(rankings, attributes)
    listener(Found(message=ranking.finding))
    images, counterfactuals, notes = _shows(snapshot, classifier, encoded, effects, rows, ranking, shown, listener)
    strips = _turned(snapshot, classifier, encoded, ranking, counterfactuals, listener)
    title = "What drives this classifier towards " + " and ".join(labels[to] for to in goals)
    return Explanation(
        scope="class",
        title=title if source is None else f"{title}, starting from {labels[source]}",
        labels=labels,
        output=output,
        ranking=ranking,
        images=images,
        counterfactuals=counterfactuals,
        figures=figures,
        settings=dict(settings),
        snapshot={"path": str(snapshot.path), "sha256": snapshot.sha256},
        space=space,
        notes=(
            *_warnings(figures),
            *([_HELPERS] if selection == "together" and len(ranking) > 1 else []),
            *([] if screened is None else [f"{screened.note}."]),
            *notes,
        ),
        strips=strips,
    )


def explain_image(
    snapshot: Snapshot,
    classifier: Classifier,
    encoded: Encoded,
    *,
    target: int | None,
    attributes: int = 5,
    torgb: bool = False,
    shift_range: float = 1.0,
    folder: Path | None = None,
    settings: Mapping[str, Any],
    listener: Listener = silent,
) -> Explanation:
    """What drives the classifier's decision on one image: single attributes, and those that turn it together.

    Args:
        encoded: the image, alone.
        target: class to drive to; None: the most probable one that it is not predicted (of several labels: the
            least certain one, turned over, which may be the absence of one that is predicted).
        snapshot, classifier, attributes, torgb, shift_range, folder, settings, listener: as of ``explain_class``.

    Raises:
        SearchError: a class that cannot be searched for.
    """
    assert len(encoded.ids) == 1
    output = classifier.activation
    before = encoded.logits_rec[0].cpu().numpy()
    if target is None:
        order = np.argsort(-before)
        target = int(order[1]) if output == "softmax" else int(np.abs(before).argmin())
        if output == "sigmoid" and before[target] >= 0:
            classifier = WithOpposite(classifier, target)
            encoded = replace(
                encoded,
                logits=classifier.extended(encoded.logits),
                logits_rec=classifier.extended(encoded.logits_rec),
            )
            target = classifier.own
    labels = classifier.spec.labels
    synthesis, space = snapshot.generator.synthesis, snapshot.space
    effects = measure_effects(
        synthesis,
        classifier,
        space,
        encoded.s,
        image_ids=encoded.ids,
        indices=space.indices(include_torgb=torgb),
        shift_range=shift_range,
        folder=folder,
        key=_key(snapshot, classifier),
        listener=listener,
    )
    alone = independent(effects, 0, target, space=space, labels=labels, output=output, num=attributes)
    together = subset(
        synthesis, classifier, space, encoded.s, effects, 0, target, labels=labels, output=output, budget=_TOGETHER
    )
    listener(Found(message=alone.finding))
    listener(Found(message=together.ranking.finding))
    # One list of knobs: the single attributes, then those that only the subset uses.
    knobs = list(alone)
    places: list[int] = []
    for attribute in together.ranking:
        same = [i for i, a in enumerate(knobs) if (a.coordinate, a.sign) == (attribute.coordinate, attribute.sign)]
        places.append(same[0] if same else len(knobs))
        if not same:
            knobs.append(attribute)
    jobs: list[_Job] = [("independent", 0, [attribute], (i,), target) for i, attribute in enumerate(alone)]
    steps = [places[:n] for n in range(1, len(places) + 1)]
    jobs += [("subset", 0, [knobs[i] for i in step], tuple(step), target) for step in steps]
    counterfactuals = _render(snapshot, classifier, encoded, jobs)
    figures = _quality(encoded, classifier)
    ranking = AttributeRanking(
        attributes=tuple(knobs),
        strategy="independent+subset",
        images=1,
        explained=float(together.flipped),
        finding=f"{alone.finding} {together.ranking.finding}",
    )
    return Explanation(
        scope="image",
        title=f"What decides between this image and {labels[target]}",
        labels=labels,
        output=output,
        ranking=ranking,
        images=_images(encoded, [0], classifier),
        counterfactuals=counterfactuals,
        figures=figures,
        settings=dict(settings),
        snapshot={"path": str(snapshot.path), "sha256": snapshot.sha256},
        space=space,
        notes=_warnings(figures) if figures["agreement"] == 1 else (_UNFAITHFUL,),
        strips=_turned(snapshot, classifier, encoded, ranking, counterfactuals, listener),
    )


_HELPERS = (
    "The attributes were chosen for what each adds to those before it. The effects tell what each does alone, which "
    "may be little, or the opposite."
)

_UNFAITHFUL = (
    "The classifier decides differently on the reconstruction than on the image itself, so what moves the "
    "reconstruction need not explain the image."
)


def _rank(
    effects: EffectTable,
    target: int,
    snapshot: Snapshot,
    classifier: Classifier,
    *,
    source: int | None,
    num: int,
    how: Selection,
) -> AttributeRanking:
    labels, output, space = classifier.spec.labels, classifier.activation, snapshot.space
    if how == "directions":
        return claim(effects, target, space=space, labels=labels, output=output, source=source, num=num)
    if how == "eigenfind":
        return eigenfind(effects, target, space=space, labels=labels, output=output, source=source, num=num)
    if how == "attfind":
        return attfind(effects, target, space=space, labels=labels, output=output, source=source, num=num, restart=True)
    if len(labels) == 2 and output == "softmax":
        return binary_combined(effects, target, space=space, labels=labels, num=num)
    return notebook_ranking(effects, target, space=space, labels=labels, output=output, source=source, num=num)


def _joined(rankings: Sequence[AttributeRanking], num: int) -> AttributeRanking:
    """One ranking out of one for each direction: in turn the best of each, no coordinate twice."""
    if len(rankings) == 1:
        return replace(rankings[0], attributes=rankings[0].attributes[:num])
    queues = [list(ranking) for ranking in rankings]
    chosen: list[Attribute] = []
    while any(queues) and len(chosen) < num:
        queues.sort(key=lambda queue: -queue[0].effect if queue else 0.0)
        for queue in queues:
            while queue and any(queue[0].coordinate == a.coordinate for a in chosen):
                queue.pop(0)
            if queue and len(chosen) < num:
                chosen.append(queue.pop(0))
    images = sum(ranking.images for ranking in rankings)
    explained = sum(ranking.explained * ranking.images for ranking in rankings) / max(images, 1)
    return AttributeRanking(
        attributes=tuple(chosen),
        strategy=rankings[0].strategy,
        images=images,
        explained=explained,
        finding=" ".join(ranking.finding for ranking in rankings),
    )


def _key(snapshot: Snapshot, classifier: Classifier) -> str:
    """What effects belong to: the networks, and the labels that the classifier was given besides its own."""
    return " ".join([snapshot.sha256, *classifier.spec.labels[classifier.own :]])


def _quality(encoded: Searched, classifier: Classifier) -> dict[str, float]:
    figures = {"pixel_l1": encoded.pixel_l1()}
    own = slice(classifier.own)
    return figures | agreement(encoded.logits[:, own], encoded.logits_rec[:, own], classifier.activation)


def _sufficiency(
    snapshot: Snapshot,
    classifier: Classifier,
    encoded: Searched,
    ranking: AttributeRanking,
    target: int,
    indices: NDArray[np.int64],
    source: int | None,
) -> dict[str, float]:
    """Share of images whose decision turns to the target when attributes move together, beside random coordinates."""
    label, output = classifier.spec.labels[target], classifier.activation
    s = encoded.s
    if source is not None:
        starts = predicted(encoded.logits_rec.cpu().numpy(), source, output)
        s = s[torch.from_numpy(starts).to(s.device)]
    top = ranking.attributes[:_TOGETHER]
    if not top or len(s) == 0:
        return {}
    synthesis, space = snapshot.generator.synthesis, snapshot.space
    figures: dict[str, float] = {}
    for count in sorted({1, 3, len(top)}):
        if count <= len(top):
            flips = flip_rate(synthesis, classifier, space, s, top[:count], target, output=output)
            if flips.images == 0:
                return {}
            figures[f"flips_top{count}_to_{label}"] = flips.share
    # Others of the same kind; where too few are left, random directions, which are mixtures of all.
    pool = indices if len(indices) >= 2 * len(top) else space.control(include_torgb=True)
    control = random_control(synthesis, classifier, space, s, top, target, output=output, indices=pool)
    figures[f"flip_images_to_{label}"] = float(control.images)
    return figures | {f"{name}_to_{label}": value for name, value in control.figures().items()}


def _shows(
    snapshot: Snapshot,
    classifier: Classifier,
    encoded: Searched,
    effects: EffectTable,
    measured: NDArray[np.int64],
    ranking: AttributeRanking,
    shown: int,
    listener: Listener,
) -> tuple[tuple[ExplainedImage, ...], tuple[Counterfactual, ...], list[str]]:
    """The images (of those measured) that show each attribute best, both ways, and what they become."""
    s = encoded.s.cpu().numpy()[measured]
    jobs: list[_Job] = []
    notes: list[str] = []
    listener(Started(task="pictures", total=len(ranking), unit="attributes"))
    for place, attribute in enumerate(ranking):
        for turned, wanted in ((False, shown), (True, shown // 2)):
            showing = choose_images(
                effects,
                s,
                snapshot.space,
                attribute,
                output=classifier.activation,
                images=wanted,
                turned=turned,
            )
            if showing.note and not turned:
                notes.append(f"{attribute.name}: {showing.note}.")
            jobs += [
                ("shows", int(row), [showing.attribute], (place,), attribute.target) for row in measured[showing.rows]
            ]
        listener(Step(task="pictures", done=place + 1))
    listener(Done(task="pictures"))
    rows = sorted({job[1] for job in jobs})
    return _images(encoded, rows, classifier), _render(snapshot, classifier, encoded, jobs), notes


_Job = tuple[Literal["shows", "independent", "subset"], int, list[Attribute], tuple[int, ...], int]
"""Role, row of the image, attributes to apply, their places in the ranking, and the target."""


def _render(
    snapshot: Snapshot, classifier: Classifier, encoded: Searched, jobs: Sequence[_Job]
) -> tuple[Counterfactual, ...]:
    out: list[Counterfactual] = []
    for role, row, attributes, places, target in jobs:
        moved = apply_attributes(encoded.s[row : row + 1], attributes, snapshot.space)
        x = draw(snapshot.generator.synthesis, moved)
        with torch.inference_mode():
            logits = classifier.logits(x)
            probabilities = classifier.probabilities(logits)
        out.append(
            Counterfactual(
                image=encoded.ids[row],
                attributes=places,
                picture=to_pictures(x)[0],
                logits=logits[0].cpu().numpy(),
                probabilities=probabilities[0].cpu().numpy(),
                target=target,
                role=role,
            )
        )
    return tuple(out)


def _turned(
    snapshot: Snapshot,
    classifier: Classifier,
    encoded: Searched,
    ranking: AttributeRanking,
    counterfactuals: Sequence[Counterfactual],
    listener: Listener,
) -> tuple[Strip, ...]:
    """Every attribute turned from end to end, on the images that show the first attributes best."""
    best = [
        next((cf.image for cf in counterfactuals if cf.attributes[0] == place), None) for place in range(len(ranking))
    ]
    shown = [*dict.fromkeys([*(image for image in best if image), *(cf.image for cf in counterfactuals)])]
    shown = shown[:_STRIP_IMAGES]
    if not shown:
        return ()
    rows = [encoded.ids.index(image) for image in shown]
    editor = StyleEditor(
        snapshot.generator.synthesis, classifier, snapshot.space, encoded.s[rows], shown, ranking.attributes
    )
    strips: list[Strip] = []
    listener(Started(task="sliders", total=len(shown) * len(ranking), unit="strips"))
    for image in shown:
        for place, attribute in enumerate(ranking):
            shares = strip_shares(attribute.shift_range)
            pictures, logits = editor.render_all([Turn(image=image, knobs={place: share}) for share in shares])
            strips.append(
                Strip(
                    image=image,
                    attribute=place,
                    shares=shares,
                    frames=np.stack(pictures),
                    probabilities=classifier.probabilities(torch.from_numpy(logits)).numpy(),
                )
            )
            listener(Step(task="sliders", done=len(strips)))
    listener(Done(task="sliders"))
    return tuple(strips)


def strip_shares(shift_range: float) -> tuple[float, ...]:
    """Where a strip has frames, as shares of the attribute's shift: past one observed extreme to past the other.

    Nothing and the whole shift are always among them, and the end of what was observed the other way.
    """
    end = max(_STRIP_END / shift_range, 1.0)
    back = [-end, *np.linspace(-1 / shift_range, 0, 3, endpoint=False)]
    beyond = np.linspace(1, end, 3)[1:].tolist() if end > 1 else []
    shares = np.round([*back, 0, 0.25, 0.5, 0.75, 1, *beyond], 6)
    return tuple(float(share) for share in np.unique(shares))


def _images(encoded: Searched, rows: Sequence[int], classifier: Classifier) -> tuple[ExplainedImage, ...]:
    p, p_rec = (classifier.probabilities(t).cpu().numpy() for t in (encoded.logits, encoded.logits_rec))
    pairs = [[to_pictures(x)[0] for x in encoded.pair(row)] for row in rows]
    return tuple(
        ExplainedImage(
            id=encoded.ids[row],
            original=original,
            reconstruction=reconstruction,
            logits=encoded.logits[row].cpu().numpy(),
            probabilities=p[row],
            reconstruction_logits=encoded.logits_rec[row].cpu().numpy(),
            reconstruction_probabilities=p_rec[row],
            label=encoded.labels[row],
        )
        for row, (original, reconstruction) in zip(rows, pairs, strict=True)
    )


def _warnings(figures: Mapping[str, float]) -> tuple[str, ...]:
    if figures["agreement"] >= _LOW_AGREEMENT:
        return ()
    return (
        f"The classifier decides the same on the reconstruction as on the image in only {figures['agreement']:.0%} "
        "of the images: train longer before trusting this explanation.",
    )


def _file_names(names: Sequence[str]) -> tuple[str, ...]:
    """Names of images made safe as file names, and different from each other."""
    out: list[str] = []
    same: Counter[str] = Counter()
    for name in names:
        # No stem has two dashes in a row, so a numbered one is nobody else's stem.
        stem = re.sub(r"[^A-Za-z0-9]+", "-", name.rsplit(".", 1)[0]).strip("-")[-60:] or "image"
        same[stem] += 1
        out.append(f"{stem}--{same[stem]}" if same[stem] > 1 else stem)
    return tuple(out)


def _some(labels: Sequence[str]) -> str:
    return ", ".join(labels[:5]) + (", ..." if len(labels) > 5 else "")
