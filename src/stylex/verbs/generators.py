"""Generators from and for other programs, and runs for the hub."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from stylex.core.errors import ConfigError, StoreError, TrainingError
from stylex.core.lock import one_writer
from stylex.core.progress import Alarm, Found, Listener, silent
from stylex.core.wording import option
from stylex.verbs.panel import draw_panel

if TYPE_CHECKING:
    from stylex.opening import ClassifierLike, ClassifierSpecLike
else:  # names for those who read the signatures at run time, without what they would import
    ClassifierLike = ClassifierSpecLike = Any


@one_writer("out", error=TrainingError, typed="import")
def import_generator(
    kind: str,
    file: str | Path,
    *,
    data: str | Path,
    classifier: ClassifierLike,
    out: str | Path,
    classifier_spec: ClassifierSpecLike | None = None,
    device: str = "auto",
    listener: Listener = silent,
) -> Path:
    """Bring your own generator: make a run of a trained StyleGAN2, for which ``train`` then trains an encoder.

    Nothing in the file is run: of a pickle, tensors, numbers and names are read as data, and a file that asks for
    anything else is refused and says for what.

    Args:
        kind: of generator: ``stylegan2``.
        file: a checkpoint of stylegan2-ada-pytorch (``.pkl``) or of rosinality's stylegan2-pytorch (``.pt``); a
            ``.safetensors`` file with the same names; or a run whose generator is told nothing but w.
        data: an archive of images such as the generator draws, of its size.
        classifier: the classifier to explain, as in ``train``.
        out: the run's folder.
        classifier_spec: a JSON file that says what the classifier takes and gives.
        device: ``auto``, ``cpu``, ``cuda`` or ``cuda:1``.
        listener: hears what was read, and what the classifier says of the generator's pictures.

    Returns:
        The run's folder.

    Raises:
        SnapshotError: the file is none, damaged, or asks for code; ``out`` holds something.
        DataError: the images are not of the generator's size and channels.
        ClassifierError: the classifier does not fit its spec or the images.
    """
    from stylex.importing import Meeting, import_run
    from stylex.opening import device_of

    if kind != "stylegan2":
        raise ConfigError(f"no kind of generator {kind!r:.80}; expected stylegan2")
    on = device_of(device)
    meeting = Meeting.open(Path(file), data, classifier=classifier, classifier_spec=classifier_spec, device=on)
    return import_run(meeting, out=Path(out), device=on, draw_panel=draw_panel, listener=listener)


@one_writer("out")
def export(
    run: str | Path,
    *,
    to: Literal["rosinality", "onnx"],
    out: str | Path,
    overwrite: bool = False,
    listener: Listener = silent,
) -> Path:
    """Write a run's generator as another program's file.

    Args:
        run: a run's folder (its newest snapshot is used) or one snapshot.
        to: ``rosinality``: a checkpoint of rosinality's stylegan2-pytorch, which many tools read; ``onnx``: a graph
            from w (and the classifier's answer and maps, where it draws from these) to a picture, with fixed noise.
            That needs the extra ``export``.
        out: the file to write.
        overwrite: replace a file that is already there.
        listener: hears what was left out.

    Returns:
        The file.

    Raises:
        ConfigError: a package for it is not installed.
        SnapshotError: no snapshot there, or its generator has no place in that layout.
        StoreError: ``out`` exists already.
    """
    from stylex.importing import export_run

    path = Path(out)
    if path.is_dir() or (path.exists() and not overwrite):
        raise StoreError(f"{path} exists already; give {option('overwrite', True)}, or choose another {option('out')}")
    return export_run(run, to, path, listener=listener)


def push(
    run: str | Path,
    to: str,
    *,
    license: str | None = None,
    about_data: str | None = None,
    with_classifier: bool = False,
    classifier: str | Path | None = None,
    with_panel: bool = False,
    with_encodings: bool = False,
    private: bool = False,
    dry_run: bool = False,
    listener: Listener = silent,
) -> str:
    """Share a run on the Hugging Face hub: weights, settings, and a card that says what it is and how true.

    From then on ``hf://ORG/NAME`` is that run, in every verb. No image goes along unless you ask, and no path on this
    machine. Who you are is said by ``HF_TOKEN``, or by ``hf auth login``; another hub is named by ``HF_ENDPOINT``. It
    needs huggingface_hub (the extra ``hub``).

    Args:
        run: a run's folder (its newest snapshot is shared) or one snapshot.
        to: the repository, ``ORG/NAME``; made if it is not there. A run that is there is replaced, in a new commit.
        license: of what is shared, as the hub calls it: ``apache-2.0``, ``cc-by-4.0``, ``other``.
        about_data: what the training images are, whose, and under which terms, for the card.
        with_classifier: share the classifier too; only a small classifier's folder (``stylex classifier``) can be.
        classifier: where that folder is now, if it has moved since the training.
        with_panel: share the snapshot's panel too, which shows held-out photographs.
        with_encodings: share the encodings of training images too, from which pictures like these can be drawn. Without
            them directions are found anew in whoever's images are given, and explanations made before no longer fit.
        private: make a repository that nobody else can see.
        dry_run: say what would go, every file and the card, and call nobody.
        listener: hears what goes.

    Returns:
        The name of exactly this version, ``hf://ORG/NAME@COMMIT``; of a dry run, without a commit.

    Raises:
        SnapshotError: no snapshot there; or the repository may not be written, holds something else, or is public and
            was to be private.
        ClassifierError: the classifier is no small classifier's folder, or another one.
        ConfigError: huggingface_hub is not installed, or the licence is none.
    """
    from importlib.metadata import version

    from stylex.models.hub import HubName, put
    from stylex.models.snapshot import load_snapshot
    from stylex.publishing import Wishes, classifier_to_share, listed, parcel

    name = HubName.parse(to if to.startswith("hf:") else f"hf://{to}")
    if name.revision is not None:
        raise ConfigError(f"{to!r:.200} names a revision; give the repository alone, as {name.repository}")
    snapshot = load_snapshot(run, listener=listener)
    files = parcel(
        snapshot,
        name.repository,
        Wishes(
            licence=license,
            about_data=about_data,
            panel=with_panel,
            latents=with_encodings,
            classifier=classifier_to_share(snapshot, classifier) if with_classifier else None,
            version=version("stylex"),
        ),
    )
    for line in listed(files):
        listener(Found(message=line))
    if snapshot.latents is not None and with_encodings:
        listener(
            Alarm(
                message=f"with the weights go encodings of {len(snapshot.latents):,} training images, from which "
                f"pictures like these can be drawn; leave out {option('with_encodings')} if nobody may see them"
            )
        )
    if dry_run:
        card = files["README.md"]
        assert isinstance(card, bytes), "the card is written, not copied"
        listener(Found(message=f"\n{card.decode()}"))
        return str(name)
    commit = put(name, files, private=private, message=f"A run of stylex at {snapshot.nimg:,} images")
    return f"{name}@{commit}"
