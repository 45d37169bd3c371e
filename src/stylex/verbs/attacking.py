"""Images changed by the least that turns the answer."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from stylex.core.errors import ClassifierError, ConfigError, SearchError
from stylex.core.lock import one_writer
from stylex.core.progress import Listener, silent
from stylex.core.wording import option
from stylex.search.config import SPARSITY_IN_S, AttackConfig, AttackSpace, Objective

if TYPE_CHECKING:
    from stylex.classifiers import Classifier
    from stylex.core.attacked import Attack
    from stylex.data import ImageSet
    from stylex.opening import ClassifierLike, ClassifierSpecLike, Run
    from stylex.search.attack import Realism
    from stylex.search.latents import LatentModel, Latents
    from stylex.search.subject import TrainedSubject
else:  # names for those who read the signatures at run time, without what they would import
    Attack = Classifier = ClassifierLike = ClassifierSpecLike = ImageSet = LatentModel = Latents = Realism = Run = (
        TrainedSubject
    ) = Any


@one_writer("out")
def attack(
    run: str | Path | LatentModel,
    *,
    data: str | Path,
    out: str | Path,
    target: str | None = None,
    classifier: ClassifierLike | None = None,
    images: int = 64,
    space: AttackSpace = "w",
    sparsity: float | None = None,
    objective: Objective = "margin",
    probability: float = 0.75,
    steps: int = 500,
    stride: float = 0.3,
    distance: float = 0.0,
    realism: float = 0.0,
    batch: int = 32,
    torgb: bool = False,
    descriptors: str | Path | None = None,
    classifier_spec: ClassifierSpecLike | None = None,
    other_classifier: bool = False,
    device: str = "auto",
    overwrite: bool = False,
    listener: Listener = silent,
) -> Attack:
    """Move images up the gradient in a latent space until the classifier says something else, and tell what changed.

    Writes a folder: ``attack.json``, the pictures, ``overview.png`` and one page, ``report.html``. Whether an image
    converged is judged on the very 8-bit picture that is shown.

    Args:
        run: a run's folder (its newest snapshot is used) or one snapshot; in Python also any generative model with
            ``encode`` and ``decode`` (see ``LatentModel``), for which a classifier must be given.
        data: the archive; its test images are attacked, never those of the training.
        out: the attack folder to write.
        target: the class to drive images to, by name or number; of several labels also ``not NAME``; not given with two
            classes: each image to the other one.
        classifier: where the classifier is now, if it has moved since the training; Python code
            (``package.module:callable``) always, since no code is imported because a run names it.
        images: how many images to attack; those that are the target already are left out.
        space: ``w`` moves along the principal axes of the latents, ``s`` single style values.
        sparsity: coordinates that pull less than this fraction of the strongest one are drawn back to exactly 0 change;
            0 changes all. Not given: 0 in ``w``, 0.5 in ``s``.
        objective: what is raised: the ``margin`` (logit of the target above the others), which is never flat where the
            classifier is sure; or the ``probability``, as published.
        probability: of the target, to be reached.
        steps: after how many to give up.
        stride: length of a step in standard deviations of the latent; a smaller one ends nearer to the
            probability.
        distance: weight of half the squared length of the change, which holds it back.
        realism: weight of what the discriminator says against the picture.
        batch: images moved together; the result does not depend on it.
        torgb: move the styles of the ToRGB layers too (in ``s``).
        descriptors: a CSV table of what is known of images (a column ``image`` with their names, the others binary or
            numbers): what changed is told in its words. Needs scikit-learn (the extra ``descriptors``).
        classifier_spec: a JSON file that describes the classifier, as in ``train``.
        other_classifier: go on although the classifier is not the one that the run was trained with; every page then
            says so.
        device: ``auto``, ``cpu``, ``cuda`` or ``cuda:1``.
        overwrite: replace an attack folder that is already there.
        listener: hears the progress.

    Returns:
        The attack, as written to ``out``.

    Raises:
        SearchError: an unknown class, no image to attack, or no gradient from the classifier to the latent.
        SnapshotError: no snapshot there, or a damaged one.
        ConfigError: settings that cannot be meant, or scikit-learn is not installed.
    """
    import torch

    from stylex.data.descriptors import read_descriptors
    from stylex.evaluation.extractors import random_extractor
    from stylex.evaluation.realism import likeness
    from stylex.opening import device_of, record
    from stylex.report.attack import overview, render_attack
    from stylex.search.attack import Opponent
    from stylex.search.attack_images import attack_images, choose
    from stylex.search.probes import check_installed
    from stylex.store.attack import OVERVIEW, PAGE, check_attack_place, write_attack

    config = AttackConfig(
        objective=objective,
        probability=probability,
        steps=steps,
        stride=stride,
        sparsity=sparsity if sparsity is not None else SPARSITY_IN_S if space == "s" else 0.0,
        distance=distance,
        realism=realism,
        batch=batch,
    )
    on, folder = device_of(device), Path(out)
    check_attack_place(folder, overwrite=overwrite)
    if descriptors is not None:
        check_installed()
    table = None if descriptors is None else read_descriptors(descriptors)
    if isinstance(run, str | Path):
        from stylex.opening import Run

        opened = Run.open(
            run,
            classifier=classifier,
            classifier_spec=classifier_spec,
            other_classifier=other_classifier,
            device=on,
            listener=listener,
        )
        opened, goal = opened.aimed(target)
        archive, explained = opened.images(data), opened.classifier
        latents, critic = _latents_of(opened.subject("attfind", archive, torgb=torgb), archive, space)
        known: dict[str, Any] = {**record(run, data, classifier, classifier_spec), **opened.identity, "space": space}
        known["snapshot"] = opened.snapshot.sha256
    else:
        explained, goal, archive = _explained(classifier, classifier_spec, data, target, on)
        latents, critic = _latents_in(run, archive, on), None
        known = {**record(type(run).__name__, data, classifier, classifier_spec), "space": "model"}
    if config.realism and critic is None:
        raise ConfigError(
            f"{option('realism')} needs a discriminator, which this model does not have; leave it out, or give a run"
        )
    chosen = choose(explained, archive.split("test"), images, goal, torch.device(on))
    attacked = set(chosen.images.names)
    others = archive.subset([i for i, name in enumerate(archive.names) if name not in attacked])
    result = attack_images(
        Opponent(latents=latents, classifier=explained, output=explained.activation, realism=critic),
        chosen,
        archive,
        config,
        descriptors=table,
        settings={
            "verb": "attack",
            **known,
            **config.to_json(),
            "target": target,
            "data_fingerprint": archive.fingerprint,
            "descriptors": None if descriptors is None else str(descriptors),
            "attacked": list(chosen.images.names),
        },
        compare=partial(likeness, photographs=others, classifier=explained, extractor=random_extractor(on)),
        listener=listener,
    )
    page = render_attack(result).encode()
    write_attack(result, folder, overwrite=overwrite, beside={PAGE: page, OVERVIEW: overview(result)})
    return result


def _latents_of(subject: TrainedSubject, images: ImageSet, space: AttackSpace) -> tuple[Latents, Realism]:
    """A snapshot's latent space, and its discriminator's opinion of pictures."""
    from stylex.search.encoding import latents_of
    from stylex.search.latents import InS, InW

    def critic(x: Any, logits: Any) -> Any:
        return subject.snapshot.discriminator(x, subject.condition(logits))[:, 0]

    return (InS(subject) if space == "s" else InW.of(subject, latents_of(subject, images))), critic


def _latents_in(model: LatentModel, images: ImageSet, device: str) -> Latents:
    """A model's latent space, its unit told by some images.

    Raises:
        SearchError: it is no such model.
    """
    from stylex.search.choosing import spread
    from stylex.search.latents import InModel, LatentModel

    if not isinstance(model, LatentModel):
        raise SearchError(
            f"{type(model).__name__} is neither a run nor a generative model; give a path, or an object with encode "
            "and decode"
        )
    return InModel(model, images.batch(spread(len(images), min(len(images), 256))).to(device))


def _explained(
    classifier: ClassifierLike | None,
    spec: ClassifierSpecLike | None,
    data: str | Path,
    target: str | None,
    device: str,
) -> tuple[Classifier, int | None, ImageSet]:
    """A classifier that no run names, the class that is meant, and the images.

    Raises:
        ClassifierError: there is none, or it does not fit the images.
    """
    from stylex.classifiers import check_classifier, load_classifier
    from stylex.data import open_images
    from stylex.opening import aimed, refuse_regression, spec_of

    if classifier is None:
        raise ClassifierError(f"a model of one's own names no classifier; give one as {option('classifier')}")
    images = open_images(data)
    opened = load_classifier(classifier, spec_of(spec)).to(device)
    refuse_regression(opened)
    explained, goal = aimed(opened, target)
    check_classifier(explained, channels=images.channels, resolution=images.resolution)
    return explained, goal, images
