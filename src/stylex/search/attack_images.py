"""An attack on some images of an archive: which, where to, what became of them, and what changed in them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import torch
from jaxtyping import Bool, Float
from numpy import ndarray
from torch import Tensor

from stylex.classifiers.classifier import Classifier
from stylex.core.attacked import Attack, AttackedImage, Likeness, Probe
from stylex.core.errors import SearchError
from stylex.core.progress import Found, Listener, silent
from stylex.core.wording import option
from stylex.data.archive import ImageSet
from stylex.data.descriptors import Descriptors
from stylex.data.images import to_pictures
from stylex.search.attack import Attacked, Opponent, as_shown, attack
from stylex.search.choosing import AT_ONCE, spread
from stylex.search.config import AttackConfig
from stylex.search.decision import predicted
from stylex.search.encoding import file_names
from stylex.search.latents import Placed, reader
from stylex.search.naming import sayings
from stylex.search.probes import Probes, fit_on, global_scores
from stylex.search.subject import condition

_LOOKED_AT = 10
"""Images looked at for each one that is attacked, to find those that are not the target yet."""


@dataclass(frozen=True, eq=False, kw_only=True)
class Chosen:
    """Images to attack.

    Attributes:
        images: of the archive.
        x: the same, as tensors.
        logits: the classifier's.
        targets: the class that each is driven to.
        towards: the class that scores are about.
    """

    images: ImageSet
    x: Float[Tensor, "n c h w"]
    logits: Float[Tensor, "n k"]
    targets: Tensor
    towards: int


class Turned(NamedTuple):
    """Pictures of the images that were turned, with the classifier's logits of them.

    Attributes:
        attacked: counterfactuals.
        rebuilt: not moved.
        random: moved as far at random.
    """

    attacked: tuple[Float[Tensor, "n c h w"], Float[Tensor, "n k"]]
    rebuilt: tuple[Float[Tensor, "n c h w"], Float[Tensor, "n k"]]
    random: tuple[Float[Tensor, "n c h w"], Float[Tensor, "n k"]]


@torch.inference_mode()
def choose(classifier: Classifier, images: ImageSet, count: int, target: int | None, device: torch.device) -> Chosen:
    """Images that are not predicted the target; without a target, of two classes, each to the other one.

    Raises:
        SearchError: there are none, or it is not said which of many classes is meant.
    """
    labels = classifier.spec.labels
    if target is None and (len(labels) != 2 or classifier.activation != "softmax"):
        known = ", ".join(labels[:5]) + (", ..." if len(labels) > 5 else "")
        raise SearchError(
            f"the classifier has {len(labels)} labels; say which one to attack towards with {option('target')}, one of "
            f"{known}"
        )
    if count < 1:
        raise SearchError(f"{count} images were to be attacked; give at least 1")
    looked = spread(len(images), min(len(images), count * (1 if target is None else _LOOKED_AT)))
    parts = np.array_split(looked, -(-len(looked) // AT_ONCE))
    logits = torch.cat([classifier.logits(images.batch(part).to(device)) for part in parts])
    if target is None:
        targets = 1 - logits.argmax(dim=1)
    else:
        targets = torch.full((len(logits),), target, device=device)
        free = np.flatnonzero(~predicted(logits.cpu().numpy(), target, classifier.activation))
        if len(free) == 0:
            raise SearchError(
                f"the classifier says {labels[target]} of all {len(looked)} images that were looked at, so none is "
                "left to be driven there; choose another target"
            )
        kept = free[spread(len(free), min(len(free), count))]
        looked, rows = looked[kept], torch.from_numpy(kept).to(device)
        logits, targets = logits[rows], targets[rows]
    chosen = images.subset(looked)
    x = chosen.batch(np.arange(len(chosen))).to(device)
    return Chosen(images=chosen, x=x, logits=logits, targets=targets, towards=1 if target is None else target)


def attack_images(
    opponent: Opponent,
    chosen: Chosen,
    archive: ImageSet,
    config: AttackConfig,
    *,
    descriptors: Descriptors | None,
    settings: Mapping[str, Any],
    compare: Callable[[Turned], Likeness | None] | None = None,
    listener: Listener = silent,
) -> Attack:
    """Attack images, and tell by probes what changed in them.

    Scores compare the counterfactual with the rebuilt image, its own original: both are pictures of the generator's,
    encoded again, so that what the generator misses does not count, nor what the latent holds and no picture shows.

    Args:
        opponent: the latent space and the classifier.
        chosen: the images, of the archive.
        archive: all images; probes are fitted on others than those attacked.
        config: how to attack.
        descriptors: what is known of images.
        settings: to be written into the attack.
        compare: sets the turned pictures beside real photographs.
        listener: hears the progress.

    Raises:
        SearchError: there is no gradient, or too little is known of the images to fit probes.
    """
    classifier = opponent.classifier
    assert isinstance(classifier, Classifier)
    read = reader(opponent.latents)
    probes = None
    if descriptors is not None:  # before the attack: what is wrong with a table is told at once
        probes = fit_on(read, archive, descriptors, without=set(chosen.images.names), device=chosen.x.device)
        for line in sayings(probes):
            listener(Found(message=line))
    placed, rebuilt, rebuilt_logits = _placed(opponent, classifier, chosen)
    attacked = attack(opponent, placed, chosen.targets, config, listener=listener)
    changes = np.zeros((len(chosen.targets), 0))
    if probes is not None:
        changes = probes.read(read(attacked.x)) - probes.read(read(rebuilt))
    random = _at_random(opponent, placed, attacked.change)
    with torch.inference_mode():
        random_logits = torch.cat([classifier.logits(part) for part in random.split(AT_ONCE)])
    said = (rebuilt_logits, random_logits)
    images = _images(classifier, chosen, attacked, rebuilt, said, (probes, changes))
    turned = np.array([image.turned for image in images], bool)
    labels, towards = classifier.spec.labels, chosen.towards
    signs = np.where(chosen.targets.cpu().numpy() == towards, 1.0, -1.0)
    scores = () if probes is None else global_scores(probes.probes, changes[turned], signs[turned])
    both = bool((chosen.targets != towards).any())
    way = f"between {' and '.join(labels)}" if both else f"to {labels[towards]}"
    result = Attack(
        title=f"What turns images {way}",
        labels=tuple(labels),
        towards=labels[towards],
        coordinates=opponent.latents.coordinates,
        probability=config.probability,
        images=images,
        probes=() if probes is None else probes.probes,
        scores=scores,
        likeness=None
        if compare is None
        else compare(
            Turned(
                attacked=(attacked.x[turned], attacked.logits[turned]),
                rebuilt=(rebuilt[turned], rebuilt_logits[turned]),
                random=(random[turned], random_logits[turned]),
            )
        ),
        settings=settings,
        notes=tuple(_notes(attacked, config, () if probes is None else probes.probes, descriptors)),
    )
    return result


def finding(attack: Attack) -> str:
    """One sentence: how many images were turned, and how."""
    n, turned = len(attack.images), attack.turned
    if not turned:
        return f"None of {n} images was turned by moving it."
    steps = np.median([image.steps for image in turned])
    changed = np.mean([image.changed for image in turned])
    return (
        f"{attack.converged} of {n} images reach a probability of {attack.probability:g}, half of them within "
        f"{steps:.0f} steps, with {changed:.0f} of {attack.coordinates} coordinates changed on average; "
        f"of {len(turned)} that are turned by it, random moves as long turn "
        f"{sum(image.turned_at_random for image in turned)}."
    )


@torch.inference_mode()
def _placed(opponent: Opponent, classifier: Classifier, chosen: Chosen) -> tuple[Placed, Tensor, Tensor]:
    """The images in the latent space, and as they are rebuilt, in 8 bits."""
    parts = []
    for x, logits in zip(chosen.x.split(AT_ONCE), chosen.logits.split(AT_ONCE), strict=True):
        placed = opponent.latents.place(x, condition(classifier, logits))
        rebuilt = as_shown(opponent.latents.draw(*placed))
        if rebuilt.shape != x.shape:
            raise SearchError(
                f"the model draws images of shape {list(rebuilt.shape[1:])}, those given are {list(x.shape[1:])}; "
                "give it images of its own size and channels"
            )
        parts.append((*placed, rebuilt, classifier.logits(rebuilt)))
    z, rest, rebuilt, said = (torch.cat(column) for column in zip(*parts, strict=True))
    return Placed(z, rest), rebuilt, said


@torch.inference_mode()
def _at_random(opponent: Opponent, placed: Placed, change: Float[Tensor, "n m"]) -> Float[Tensor, "n c h w"]:
    """The images after random moves: each its own change's numbers, given to other coordinates with other signs."""
    random = torch.Generator().manual_seed(0)
    order = torch.rand(change.shape, generator=random).argsort(dim=1).to(change.device)
    signs = (torch.randint(0, 2, change.shape, generator=random) * 2 - 1).to(change)
    moves = change.gather(1, order) * signs
    drawn = [
        as_shown(opponent.latents.draw(opponent.latents.moved(z, move), rest))
        for z, rest, move in zip(placed.z.split(AT_ONCE), placed.rest.split(AT_ONCE), moves.split(AT_ONCE), strict=True)
    ]
    return torch.cat(drawn)


def _images(
    classifier: Classifier,
    chosen: Chosen,
    attacked: Attacked,
    rebuilt: Tensor,
    also_said: tuple[Tensor, Tensor],
    as_read: tuple[Probes | None, Float[ndarray, "n m"]],
) -> tuple[AttackedImage, ...]:
    rebuilt_logits, random_logits = also_said
    probes, changes = as_read
    targets = chosen.targets.cpu().numpy()

    def reached(logits: Tensor) -> Bool[ndarray, " n"]:
        rows = logits.float().cpu().numpy()
        each = [predicted(rows[i : i + 1], int(targets[i]), classifier.activation)[0] for i in range(len(rows))]
        return np.array(each, bool)

    before = reached(rebuilt_logits)
    turned = reached(attacked.logits) & ~before & (attacked.converged & (attacked.steps > 0)).cpu().numpy()
    by_chance = reached(random_logits) & ~before & (attacked.steps > 0).cpu().numpy()
    names = [] if probes is None else [probe.descriptor for probe in probes.probes]
    said = [classifier.probabilities(x).float().cpu().numpy() for x in (chosen.logits, rebuilt_logits, attacked.logits)]
    shown = [to_pictures(x) for x in (chosen.x, rebuilt, attacked.x)]
    labels = chosen.images.label_texts()
    return tuple(
        AttackedImage(
            id=image_id,
            original=shown[0][i],
            rebuilt=shown[1][i],
            counterfactual=shown[2][i],
            probabilities=said[0][i],
            rebuilt_probabilities=said[1][i],
            counterfactual_probabilities=said[2][i],
            target=int(chosen.targets[i]),
            converged=bool(attacked.converged[i]),
            steps=int(attacked.steps[i]),
            changed=int((attacked.change[i] != 0).sum()),
            length=float(attacked.change[i].norm()),
            turned=bool(turned[i]),
            turned_at_random=bool(by_chance[i]),
            scores=dict(zip(names, map(float, changes[i]), strict=True)),
            label=labels[i],
        )
        for i, image_id in enumerate(file_names(chosen.images.names))
    )


def _notes(
    attacked: Attacked, config: AttackConfig, probes: tuple[Probe, ...], descriptors: Descriptors | None
) -> list[str]:
    notes = []
    if missed := int((~attacked.converged).sum()):
        early = int((~attacked.converged & (attacked.steps < config.steps)).sum())
        notes.append(
            f"{_counted(missed)} did not reach the probability within {config.steps} steps"
            + (f", {early} of them because their gradient is exactly zero" if early else "")
            + ": what is shown is where the search ended, and counts for nothing."
        )
    if rebuilt := int((attacked.converged & (attacked.steps == 0)).sum()):
        notes.append(f"Turned by being rebuilt alone, so that nothing was moved: {_counted(rebuilt)}.")
    if weak := [probe.descriptor for probe in probes if probe.weak]:
        notes.append(f"Read too badly for claims, and left out of the scores: {', '.join(weak)}.")
    if descriptors is not None and descriptors.left_out:
        notes.append(f"Columns of the table that are neither binary nor numbers: {', '.join(descriptors.left_out)}.")
    return notes


def _counted(images: int) -> str:
    return f"{images} image" + ("" if images == 1 else "s")
