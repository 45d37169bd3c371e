"""A run brought to other domains: adapted, mixed, guided, and the ways between."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from stylex.core.errors import ConfigError, StoreError, TrainingError
from stylex.core.lock import one_writer
from stylex.core.progress import Listener, silent
from stylex.core.wording import option
from stylex.models.config import AdaptMethod
from stylex.verbs.opened import require_same_answers
from stylex.verbs.panel import draw_panel

if TYPE_CHECKING:
    from stylex.opening import ClassifierLike, ClassifierSpecLike
else:  # names for those who read the signatures at run time, without what they would import
    ClassifierLike = ClassifierSpecLike = Any


@one_writer("out", unless="dry_run", error=TrainingError)
def adapt(
    run: str | Path,
    *,
    data: str | Path,
    out: str | Path,
    method: AdaptMethod = "affine+",
    kimg: float = 10.0,
    encoder_kimg: float = 4.0,
    lr: float | None = None,
    block: int | None = None,
    keep: float | None = None,
    latents: Literal["auto", "mapping", "encoder"] = "auto",
    classifier: ClassifierLike | None = None,
    classifier_spec: ClassifierSpecLike | None = None,
    seed: int = 0,
    device: str = "auto",
    dry_run: bool = False,
    listener: Listener = silent,
) -> Path:
    """Bring a run to another domain with few images: train a few of its generator's parameters on them.

    The discriminator is trained whole, with adaptive augmentation. What is trained, and how many parameters these are,
    is said before it begins. The result is a run as any other, whose snapshot holds the domain vector beside its
    weights. The same command again goes on where the last one stopped, however it stopped.

    Args:
        run: a run's folder (its newest snapshot is used) or one snapshot.
        data: the archive of the other domain; its test images are only measured on.
        out: the folder of the adapted run.
        method: what of the generator is trained: ``affine+`` its affine layers and one block's convolutions;
            ``affinelight+`` the same with few parameters; ``affine``; ``stylespace`` one vector added to style values,
            for domains that are alike, ``stylespace-sparse`` a fifth of it; ``full``; ``mapping``; or
            ``synthesis-convs``.
        kimg: how long, in thousands of pictures that the generator draws.
        encoder_kimg: how long the encoder is fitted to the adapted generator afterwards, in thousands of images; 0
            keeps the run's encoder as it is.
        lr: the generator's learning rate; not given: by the method.
        block: resolution in pixels of the block that methods with a plus train; not given: 64, or a quarter of the side
            of smaller images.
        keep: the fraction of the learnt numbers that is kept, the largest by magnitude; not given: all, of
            ``stylespace-sparse`` a fifth.
        latents: what pictures are drawn from: the ``mapping`` network's latents, or ones like the ``encoder``'s;
            ``auto`` is the encoder's, unless the run learnt from noise alone, as a StyleGAN2 does.
        classifier: the classifier to explain there, the run's or another one; also where it is now, if it has moved
            since the training.
        classifier_spec: a JSON file that says what the classifier takes and gives.
        seed: the same seed gives the same run on the same machine.
        device: ``auto``, ``cpu``, ``cuda`` or ``cuda:1``.
        dry_run: check everything and say what would be trained, but write nothing.
        listener: hears the progress.

    Returns:
        The adapted run's folder.

    Raises:
        ClassifierError: the classifier does not fit its spec, the images or the run.
        ConfigError: settings that cannot be meant, or not those of the adaptation that is to go on.

    Source: Alanov et al., StyleDomain, ICCV 2023.
    """
    from stylex.adapting import Place, adapt_run
    from stylex.opening import device_of
    from stylex.training.adaptation import AdaptConfig

    config = AdaptConfig(
        method=method,
        kimg=kimg,
        encoder_kimg=encoder_kimg,
        lr=lr,
        block=block,
        keep=keep,
        latents=latents,
        seed=seed,
    )
    on = device_of(device)
    place = Place.open(run, data, classifier=classifier, classifier_spec=classifier_spec, device=on)
    if (Path(out) / "state.pt").exists():
        require_same_answers(Path(out), place.classifier)
    return adapt_run(place, config, out=Path(out), device=on, draw_panel=draw_panel, dry_run=dry_run, listener=listener)


@one_writer("out", error=TrainingError)
def mix(
    run: str | Path,
    *,
    of: str | Mapping[str, float],
    data: str | Path,
    out: str | Path,
    classifier: ClassifierLike | None = None,
    classifier_spec: ClassifierSpecLike | None = None,
    device: str = "auto",
    listener: Listener = silent,
) -> Path:
    """Add the domain vectors of adapted runs to a run: mix domains, or bring one to a sibling of its run.

    Nothing is trained. The result is a run as any other, with the given run's encoder.

    Args:
        run: the run to add to: the one that the others were adapted from, or a sibling that was trained on from the
            same run.
        of: adapted runs, each with how strong its vector is to be: ``runs/boots:0.5,runs/bags:0.5``; without numbers,
            equal parts of 1. In Python also a mapping.
        data: an archive of images such as the result is to explain; its style values are observed on them.
        out: the new run's folder.
        classifier: the classifier to explain there, the run's or another one.
        classifier_spec: a JSON file that says what the classifier takes and gives.
        device: ``auto``, ``cpu``, ``cuda`` or ``cuda:1``.
        listener: hears which vectors are added, and held-out figures.

    Returns:
        The new run's folder.

    Raises:
        SnapshotError: a run without a domain vector, or one for another shape of generator; ``out`` holds something.
        ConfigError: ``of`` cannot be read.

    Source: Alanov et al., StyleDomain, ICCV 2023.
    """
    from stylex.adapting import Place, mix_run, powers_of
    from stylex.opening import device_of

    powers = powers_of(of)
    place = Place.open(run, data, classifier=classifier, classifier_spec=classifier_spec, device=device_of(device))
    return mix_run(place, powers, out=Path(out), draw_panel=draw_panel, listener=listener)


@one_writer("out", error=TrainingError)
def guide(
    run: str | Path,
    *,
    data: str | Path,
    out: str | Path,
    text: str | None = None,
    instead_of: str | None = None,
    image: str | Path | None = None,
    method: AdaptMethod = "stylespace",
    steps: int = 250,
    lr: float = 0.05,
    classifier: ClassifierLike | None = None,
    classifier_spec: ClassifierSpecLike | None = None,
    seed: int = 0,
    device: str = "auto",
    listener: Listener = silent,
) -> Path:
    """Bring a run to a domain that words, or one image, describe; by CLIP, which sees pictures and reads words.

    It needs the package open_clip (``pip install open_clip_torch``), which downloads its weights when it is first used.
    The generator's pictures are moved as the words differ, and kept as unlike each other as they were; there is no
    discriminator, and the encoder is kept. The result is a run as any other, with its domain vector.

    Args:
        run: a run's folder (its newest snapshot is used) or one snapshot.
        data: an archive of images such as the result is to explain; its style values are observed on them.
        out: the new run's folder.
        text: what pictures are to become: ``"an ankle boot"``.
        instead_of: what they are: ``"a sneaker"``.
        image: an image that they are to be like, instead of words.
        method: what of the generator is trained, as in ``adapt``.
        steps: how many.
        lr: learning rate.
        classifier: the classifier to explain there, the run's or another one.
        classifier_spec: a JSON file that says what the classifier takes and gives.
        seed: of the pictures.
        device: ``auto``, ``cpu``, ``cuda`` or ``cuda:1``.
        listener: hears the losses, and held-out figures.

    Returns:
        The new run's folder.

    Raises:
        TrainingError: open_clip or its weights are not there.
        ConfigError: neither words nor an image are given, or both.

    Source: Gal et al., StyleGAN-NADA, SIGGRAPH 2022; Alanov et al., StyleDomain, ICCV 2023.
    """
    from stylex.adapting import Place, aim_for, guide_run
    from stylex.opening import device_of
    from stylex.training.guided import GuidedConfig

    config = GuidedConfig(steps=steps, lr=lr, seed=seed)
    place = Place.open(run, data, classifier=classifier, classifier_spec=classifier_spec, device=device_of(device))
    aims = aim_for(place, text=text, instead_of=instead_of, image=image)
    return guide_run(place, method, config, aims=aims, out=Path(out), draw_panel=draw_panel, listener=listener)


@one_writer("out")
def morph(
    run: str | Path,
    to: str | Path,
    *,
    out: str | Path,
    data: str | Path | None = None,
    images: int = 6,
    frames: int = 8,
    power: float = 1.0,
    seed: int = 0,
    overwrite: bool = False,
    listener: Listener = silent,
) -> Path:
    """Show how pictures of one run turn into those of another: a strip, or an endless animation there and back.

    The same latents are drawn by generators whose weights lie on the way. That shows something where the generators are
    aligned: a run and what was adapted from it, or two that were adapted from one run.

    Args:
        run: where it begins: a run's folder, or one snapshot.
        to: where it ends; several joined by commas are stages, one after the other.
        out: a ``.png`` for a strip, ``.gif``, ``.webp`` or ``.mp4`` for an animation (a film needs PyAV, the extra
            ``video``).
        data: an archive whose held-out images are shown, as the first run rebuilds them; not given: new pictures.
        images: how many pictures.
        frames: how many places on each way, its ends included.
        power: how far to go; 1 is all the way. Of two runs only.
        seed: of new pictures.
        overwrite: replace a file that is already there.
        listener: hears the progress.

    Returns:
        The file.

    Raises:
        SnapshotError: generators of different shapes, or no latents to draw from.
        ConfigError: another ending, or numbers that cannot be meant.
        StoreError: ``out`` exists already, or cannot be written.

    Source: Alanov et al., StyleDomain, ICCV 2023.
    """
    from stylex.adapting import morphed
    from stylex.report.figures import ANIMATIONS, animation, check_film, is_picture, panel, save_picture

    path = Path(out)
    if path.suffix.lower() not in (".png", *ANIMATIONS):
        raise ConfigError(f"cannot draw {path}; give {option('out')} a name that ends in .png, .gif, .webp or .mp4")
    if path.suffix.lower() == ".mp4":
        check_film()
    if path.exists() and not overwrite:
        raise StoreError(f"{path} exists already; give {option('overwrite', True)}, or choose another {option('out')}")
    if path.exists() and not is_picture(path):
        raise StoreError(f"{path} holds something else and stays as it is; choose another {option('out')}")
    if not (2 <= frames <= 200 and 1 <= images <= 100 and 0 < abs(power) <= 10):
        raise ConfigError(
            f"{frames} frames, {images} images and power {power:g}; expected 2 to 200 frames, 1 to 100 images, and a "
            "power such as 0.8"
        )
    stages: list[str | Path] = [run, *str(to).split(",")]
    if power != 1 and len(stages) > 2:
        raise ConfigError(f"power is {power:g}, but of {len(stages)} runs each way has to end at one; give two runs")
    fractions = [power * i / (frames - 1) for i in range(frames)]
    drawn = morphed(stages, fractions, data=data, count=images, seed=seed, listener=listener)
    if path.suffix.lower() == ".png":
        notes = [[_on_the_way(stages, power * i / (frames - 1)) for i in range(len(drawn))]]
        return save_picture(panel([list(row) for row in drawn.swapaxes(0, 1)], notes=notes), path)
    pictures = [panel([list(frame)]) for frame in drawn]
    return animation([*pictures, *pictures[-2:0:-1]], path, max(_FRAME_S, _WAY_S / (frames - 1)))


def _on_the_way(stages: list[str | Path], place: float) -> str:
    """A run's name where the way begins or ends at it, else how far it is."""
    return Path(stages[int(place)]).name[:14] if place == int(place) >= 0 and place < len(stages) else f"{place:.2f}"


_FRAME_S = 0.15
"""Seconds that a picture of an animated morph is shown."""


_WAY_S = 1.0
"""Seconds that an animated morph takes from one run to the next, at least: faster it would be a flicker."""
