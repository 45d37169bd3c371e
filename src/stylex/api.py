"""The verbs of the library, from photographs to a report: see ``__all__`` of the package for their order.

Each verb reads what the one before it wrote, and none of them prints: give a ``listener`` to hear how far it
is. What a person can mend is raised as a ``StylexError`` before work begins. The networks (and with them
torch) are imported inside the verbs, so that this module, and the command line built on it, load at once.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from stylex.core.demo import NAME as DEMO
from stylex.core.demo import is_demo
from stylex.core.errors import (
    ClassifierError,
    ConfigError,
    DataError,
    EvaluationError,
    SearchError,
    StoreError,
    TrainingError,
)
from stylex.core.lock import one_writer, sole_writer
from stylex.core.progress import Alarm, Found, Listener, silent
from stylex.core.verdict import classifier_remark
from stylex.core.wording import option
from stylex.models.config import AdaptMethod, Freeze
from stylex.search.config import (
    SPARSITY_IN_S,
    AttackConfig,
    AttackSpace,
    MethodName,
    Objective,
    Precision,
    Search,
    SearchConfig,
    Selection,
)

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from torch import Tensor

    from stylex.bias.marked import Marked
    from stylex.bias.repair import Repaired
    from stylex.classifiers import Classifier
    from stylex.core.attacked import Attack
    from stylex.core.attribute import Attribute
    from stylex.core.audited import Audit
    from stylex.core.comparison import Comparison
    from stylex.core.evaluation import Evaluation
    from stylex.core.explanation import Explanation
    from stylex.core.overview import Overview
    from stylex.core.studio import Studio
    from stylex.data import ImageSet
    from stylex.data.descriptors import Descriptors
    from stylex.data.prepare import Labeller, PrepareSummary
    from stylex.opening import ClassifierLike, ClassifierSpecLike, Run
    from stylex.search.attack import Realism
    from stylex.search.encoding import Searched
    from stylex.search.latents import LatentModel, Latents
    from stylex.search.subject import TrainedSubject
    from stylex.store.runs import RunInfo
    from stylex.study.analysed import Analysis
    from stylex.training.config import TrainConfig
    from stylex.training.held_out import Panel
else:  # names for those who read the signatures at run time, without what they would import
    Analysis = Attack = Attribute = Audit = Classifier = ClassifierLike = ClassifierSpecLike = Comparison = (
        Evaluation
    ) = Explanation = ImageSet = Any
    LatentModel = Latents = Overview = PrepareSummary = Realism = Repaired = Run = RunInfo = Searched = Studio = (
        TrainConfig
    ) = TrainedSubject = Any


@one_writer("out", error=DataError)
def prepare(
    source: str | Path | Any,
    out: str | Path,
    *,
    resolution: int = 64,
    channels: Literal[1, 3] | None = None,
    fit: Literal["crop", "pad"] = "crop",
    label_column: str | None = None,
    group_column: str | None = None,
    white: float | None = None,
    labels_from: ClassifierLike | None = None,
    shard_size: str | int | None = None,
    overwrite: bool = False,
    listener: Listener = silent,
) -> PrepareSummary:
    """Turn a folder of photographs, or another set of images, into an archive that training and search read.

    The source holds one sub-folder a class, or a table ``metadata.csv`` or ``metadata.jsonl`` with a column
    ``file_name`` and columns of labels; DICOM files are photographs too, and nothing of whom they show is kept. Files
    that cannot be used are left out and named in the summary; the archive appears only when it is complete.

    Args:
        source: folder of photographs, or a zip of one; WebDataset shards (``a-{000..003}.tar``, a glob, one ``.tar``);
            ``hf://datasets/ORG/NAME`` or a folder that ``save_to_disk`` of the package datasets wrote, with options
            behind it (``,split=train,config=...,image=...,label=...``). In Python also a data set with a length whose
            items are (image, label) or dictionaries, arrays ``[n, h, w, c]``, or (arrays, labels).
        out: the archive to write, a ``.zip``; with ``shard_size`` a folder.
        resolution: side of the square images in pixels: 16, 32, 64, 128 or 256.
        channels: 1 for grey, 3 for colour; not given: grey if every photograph is.
        fit: how a photograph becomes square: ``crop`` its centre, or ``pad`` it.
        label_column: the table's column that names the class; several joined by commas make a multi-label set.
        group_column: the table's column that names what must stay together when images are split for
            training and test: a patient, a plant, a scene.
        white: the number that stands for white in grey photographs of more than 8 bits; larger ones are cut. Not
            given: the end of the smallest usual range that holds all of them.
        labels_from: a classifier whose answers become the labels of a source that has none; the archive says so.
        shard_size: write several zips of about this size (``2GB``, ``500MB``) and an index into a folder, where one
            file would be too large to keep or to move; every verb reads the folder as it reads the zip.
        overwrite: replace an archive that is already there.
        listener: hears the progress.

    Returns:
        What was read, what was left out, and why.

    Raises:
        DataError: nothing usable in the source, or ``out`` cannot be written.
        ClassifierError: the one that gives the labels cannot be opened, or takes other images.
    """
    from stylex.data.prepare import PrepareConfig, bytes_in
    from stylex.data.prepare import prepare as write_archive

    config = PrepareConfig(
        resolution=resolution,
        channels=channels,
        fit=fit,
        label_column=label_column,
        group_column=group_column,
        white=white,
    )
    labeller = None if labels_from is None else _labeller(labels_from)
    return write_archive(
        source,
        Path(out),
        config,
        labeller=labeller,
        shard_bytes=None if shard_size is None else bytes_in(shard_size),
        overwrite=overwrite,
        listener=listener,
    )


def _labeller(classifier: ClassifierLike) -> Labeller:
    """A classifier whose answers are labels: the likeliest class, or every label above one half."""
    import torch

    from stylex.classifiers import load_classifier
    from stylex.classifiers.identity import fingerprint
    from stylex.classifiers.load import describe
    from stylex.data.images import to_tensor
    from stylex.data.prepare import Labeller
    from stylex.opening import refuse_regression

    opened = load_classifier(classifier)
    refuse_regression(opened)

    def answer(pictures: NDArray[np.uint8]) -> Sequence[int | tuple[int, ...]]:
        with torch.inference_mode():
            logits = opened.logits(to_tensor(pictures))
        if opened.activation == "sigmoid":
            return [tuple(int(value > 0) for value in row) for row in logits.tolist()]
        return [int(row) for row in logits.argmax(1)]

    said = f"answers of the classifier {describe(classifier)} (fingerprint {fingerprint(opened)[:12]})"
    return Labeller(said=said, names=opened.spec.labels, answer=answer)


@one_writer("out", error=ClassifierError, typed="classifier")
def fit_classifier(
    data: str | Path,
    out: str | Path,
    *,
    epochs: int = 6,
    mirror: bool = False,
    from_: str | Path | None = None,
    groups: str | Path | None = None,
    learning_rate: float | None = None,
    seed: int = 0,
    device: str = "auto",
    overwrite: bool = False,
    listener: Listener = silent,
) -> Path:
    """Train a small classifier on an archive, for those who have photographs but no classifier yet.

    Args:
        data: the archive that ``prepare`` or ``repair`` wrote; its labels are the classes.
        out: the classifier's folder to write; ``train`` takes it as ``classifier``.
        epochs: how often every training image is seen.
        mirror: train on mirrored images too (only where left and right mean the same).
        from_: a small classifier's folder to begin with, which stays as it is: it is trained further.
        groups: a table (CSV with columns ``image`` and ``group``, or ``.jsonl``) such as ``repair`` writes; training
            images are drawn so that each group is seen as often as any other.
        learning_rate: the highest one; not given: 0.004, of a classifier that is trained further 0.001.
        seed: the same seed gives the same classifier on the same machine.
        device: ``auto``, ``cpu``, ``cuda`` or ``cuda:1``.
        overwrite: replace a classifier that is already there.
        listener: hears the progress, and the accuracy on the test images.

    Returns:
        The classifier's folder.

    Raises:
        DataError: the archive or the table cannot be read, or there are no labels.
        ClassifierError: ``out`` exists, holds something else or cannot be written; or ``from_`` is no small classifier
            of the archive's labels.
        ConfigError: there is no such device, or the learning rate is no rate.
    """
    import numpy as np

    from stylex.classifiers import FitConfig, LabelledRows, fit_small_classifier, save_small_classifier
    from stylex.classifiers.small import check_place, load_small_classifier
    from stylex.data import open_images
    from stylex.data.groups import read_groups, weights_of
    from stylex.opening import device_of

    folder, on = Path(out), device_of(device)
    check_place(folder, overwrite=overwrite)
    table = None if groups is None else read_groups(groups)
    start = None if from_ is None else load_small_classifier(Path(from_))
    if learning_rate is not None and not 0 < learning_rate <= 1:
        raise ConfigError(
            f"{option('learning_rate', learning_rate)}: expected a number above 0, up to 1, such as 0.001"
        )
    images = open_images(data)
    if images.labels is None or images.numbered_names is None:
        raise DataError(f"{data} has no labels to learn; prepare it from class folders or a table with labels")
    position = {name: row for row, name in enumerate(images.names)}
    rows = [np.array([position[name] for name in images.split(part).names]) for part in ("train", "test")]
    learned, tested = (LabelledRows(indices=part, labels=images.labels[part]) for part in rows)
    if table is not None and groups is not None:
        weights = weights_of(table, [images.names[row] for row in learned.indices], groups)
        learned = replace(learned, weights=weights)
    rate = learning_rate or (_RATE_ANEW if start is None else _RATE_FURTHER)
    classifier, figures = fit_small_classifier(
        images.batch,
        learned,
        tested,
        images.numbered_names,
        FitConfig(epochs=epochs, mirror=mirror, seed=seed, learning_rate=rate),
        start=start,
        device=on,
        listener=listener,
    )
    save_small_classifier(classifier, folder, figures=figures)
    found = ", ".join(f"{name.replace('_', ' ')} {value:.3f}" for name, value in figures.items())
    listener(Found(message=f"on {len(tested.indices)} test images: {found}"))
    return folder


_RATE_ANEW, _RATE_FURTHER = 4e-3, 1e-3
"""Highest learning rates of the small classifier: of a new one, and of one that has learnt already."""


@one_writer("out", unless="dry_run", error=TrainingError)
def train(
    *,
    data: str | Path,
    classifier: ClassifierLike,
    out: str | Path,
    preset: str | None = None,
    kimg: float | None = None,
    config: TrainConfig | None = None,
    generator: str | Path | None = None,
    freeze: Freeze = "nothing",
    classifier_spec: ClassifierSpecLike | None = None,
    seed: int | None = None,
    max_calls: int | None = None,
    device: str = "auto",
    watch: bool = False,
    no_browser: bool = False,
    mlflow: str | None = None,
    wandb: str | None = None,
    dry_run: bool = False,
    listener: Listener = silent,
) -> Path:
    """Train a generator and an encoder with the classifier in the loop.

    The same command again goes on where the last one stopped, however it stopped. Before it begins it says how long it
    would take and how much memory its steps need, measured on a few real ones; where it is short, it just begins.

    Args:
        data: the archive that ``prepare`` wrote.
        classifier: the classifier to explain: ``package.module:callable``, a TorchScript file or a ``.pt2``
            program; in Python also a module or a function.
        out: the run's folder: snapshots, panels, ``stats.jsonl`` and the state to resume from.
        preset: the settings to start from: ``tiny-16``, ``small-32``, ``medium-64``, ``large-128`` or ``paper-256``;
            not given: the first one for images of the data's resolution.
        kimg: how long to train, in thousands of images shown; not given: as the preset says.
        config: all the settings, instead of a preset.
        generator: a run to begin with, imported or trained: its generator, what fits of its discriminator, and its
            encoder where it has one of the shape that the settings say. The shapes of generator and discriminator are
            then its own.
        freeze: ``generator`` keeps the given generator as it is, and trains an encoder for it all the time;
            ``nothing`` tunes both.
        classifier_spec: a JSON file that says what the classifier takes and gives (labels, input size, mean
            and std, kind of output), where the classifier does not say it itself.
        seed: the same seed gives the same run on the same machine; not given: as the preset says, 0.
        max_calls: how many images a black box (a server, a function) may be asked about; not given: any number.
        device: ``auto``, ``cpu``, ``cuda`` or ``cuda:1``.
        watch: show losses, panels and held-out figures in the browser while it trains, to this machine only (the extra
            ``ui``); the verb ``watch`` shows the same from outside.
        no_browser: only say the page's address; do not open a browser.
        mlflow: an MLflow tracking address, such as ``http://127.0.0.1:5000`` or ``sqlite:///mlflow.db``, to which
            losses and figures are told too (the extra ``mlflow``).
        wandb: a project of Weights & Biases, to which they are told too (the extra ``wandb``); ``WANDB_MODE=offline``
            keeps them on this machine.
        dry_run: check everything and say what would run, about how long and in how much memory, but write nothing.
        listener: hears the progress.

    Returns:
        The run's folder.

    Raises:
        ClassifierError: the classifier does not fit its spec or the images.
        ConfigError: settings that cannot be meant, or not those of the run that is to go on; or a package for
            ``watch``, ``mlflow`` or ``wandb`` is not installed.
    """
    from stylex.classifiers import (
        answers,
        bound,
        check_classifier,
        describe,
        expect,
        fingerprint,
        load_classifier,
        tell_calls,
    )
    from stylex.classifiers.classifier import standardised
    from stylex.data import open_images
    from stylex.models.snapshot import load_snapshot
    from stylex.opening import device_of, spec_of
    from stylex.training.config import preset_for, resolved
    from stylex.training.loop import TrainingTask, train_networks
    from stylex.training.mlflow import told_to_mlflow
    from stylex.training.rehearsal import calls_needed, check_settings, classifier_advice, expectation, plan
    from stylex.training.start import GivenGenerator
    from stylex.training.state import images_seen
    from stylex.training.wandb import told_to_wandb
    from stylex.ui.serving import check_installed, watched

    on, folder = device_of(device), Path(out)
    if watch:
        check_installed("the page of a training")
    images = open_images(data)
    start = preset if preset is not None or config is not None else preset_for(images.resolution)
    options = resolved(start, config, kimg=kimg, seed=seed)
    if images.resolution != options.model.resolution:
        raise ConfigError(
            f"{data} holds images of {images.resolution} px, but the settings are for {options.model.resolution} px; "
            f"choose a preset for {images.resolution} px, or prepare with "
            f"{option('resolution', options.model.resolution)}"
        )
    explained = load_classifier(classifier, spec_of(classifier_spec)).to(on)
    some = images.batch(range(0, len(images), -(-len(images) // 64)))
    size, channels = images.resolution, images.channels
    bound(explained, max_calls)
    if explained.remark is not None:
        listener(Found(message=explained.remark))
    check_classifier(
        explained,
        channels=channels,
        resolution=size,
        labels=images.label_names,
        need_gradient=explained.gradient,
        images=some,
    )
    training, held_out = images.split("train"), images.split("test")
    explained = standardised(explained, _some_of(training, on)).to(on)
    if min(len(training), len(held_out)) < 2:
        raise DataError(
            f"{data} has {len(training)} training and {len(held_out)} test images; a training needs at least 2 of each"
        )
    given = None
    if generator is not None:
        given = GivenGenerator(snapshot=load_snapshot(generator, listener=listener), freeze=freeze)
        options = given.settings(options, channels=channels, k=explained.k)
    elif freeze != "nothing":
        raise ConfigError(f"{option('freeze', freeze)} needs a {option('generator')}, the run whose generator it is")
    check_settings(options, channels, explained)
    identity: dict[str, Any] = {
        "options": options.to_json(),
        "data": images.fingerprint,
        "classifier": fingerprint(explained),
        **({} if given is None else {"generator": given.to_json()}),
    }
    done = images_seen(folder / "state.pt", identity=identity)
    expect(explained, calls_needed(options, len(training), len(held_out), done=done), listener)
    _compare_labels(explained, images, held_out, listener)
    if done:
        _require_same_answers(folder, explained)
    share = options.schedule.classifier_share
    if advice := classifier_advice(explained, training, options.schedule.total_nimg - done, share=share):
        listener(Alarm(message=advice))
    if dry_run:
        listener(Found(message=plan(options, training, len(held_out), explained, on, done=done, start=given)))
        return folder
    first = os.environ.get("RANK", "0") == "0"  # of several processes, one looks
    settings = options.to_json()
    with ExitStack() as beside:
        heard = listener
        if first and mlflow is not None:
            heard = beside.enter_context(told_to_mlflow(mlflow, folder, settings, heard))
        if first and wandb is not None:
            heard = beside.enter_context(told_to_wandb(wandb, folder, settings, heard))
        if first and watch:
            beside.enter_context(watched(folder, port=_WATCH_PORT, open_browser=not no_browser, listener=listener))
        if told := expectation(options, training, explained, on, done=done, start=given):
            listener(Found(message=told))
        train_networks(
            TrainingTask(
                config=options,
                images=training,
                held_out=held_out,
                classifier=explained,
                identity=identity,
                classifier_reference=describe(classifier) if isinstance(classifier, str | Path) else None,
                classifier_fingerprint=identity["classifier"],
                classifier_answers=answers(explained),
                start=given,
            ),
            out=folder,
            draw_panel=_draw_panel,
            device=on,
            listener=heard,
        )
    if first:
        for sentence in _not_drawn(folder, explained, held_out, on):
            listener(Alarm(message=sentence))
        tell_calls(explained, listener)
    return folder


_WATCH_PORT = 8700
"""Where the page of a training is looked for first."""


def runs(
    folder: str | Path = ".", *, json: bool = False, listener: Listener = silent
) -> tuple[RunInfo, ...] | list[dict[str, Any]]:
    """List the runs of a folder: which train now, how far each is, and how well its pictures keep the answer.

    Nothing is opened but logs and descriptions, and nothing is touched.

    Args:
        folder: in which runs lie, at most three levels deep; or a run.
        json: plain values instead of objects; on the command line, JSON instead of a table.
        listener: hears nothing here.

    Returns:
        The runs, the one written last first.

    Raises:
        StoreError: there is no such folder.
    """
    from stylex.store.runs import runs_in

    found = runs_in(folder)
    return [run.to_json() for run in found] if json else found


def watch(
    run: str | Path,
    *,
    host: str = "127.0.0.1",
    port: int = _WATCH_PORT,
    no_browser: bool = False,
    root_path: str = "",
    listener: Listener = silent,
) -> None:
    """Watch a training in the browser, beside it: losses, panels and held-out figures, until Ctrl-C.

    It reads the run's log and pictures and touches nothing, so that it may come and go. ``train`` with ``watch`` shows
    the same page. Needs starlette and uvicorn (the extra ``ui``).

    Args:
        run: the run's folder, of a training that runs, or has ended.
        host: the address to listen at; another than this machine's own asks everybody for a token.
        port: the port to listen at; taken by something else: the next free one. 0: any.
        no_browser: only say the address; do not open a browser.
        root_path: the path at which a proxy shows the page; the page then asks for a token.
        listener: hears the address.

    Raises:
        StoreError: there is no run.
        ConfigError: starlette and uvicorn are not installed, or the address cannot be used.
    """
    from stylex.store.runs import read_run
    from stylex.ui.serving import check_installed, serve_watch

    check_installed("the page of a training")
    read_run(run)
    serve_watch(Path(run), host=host, port=port, open_browser=not no_browser, root_path=root_path, listener=listener)


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
    return import_run(meeting, out=Path(out), device=on, draw_panel=_draw_panel, listener=listener)


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
    import stylex
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
            version=stylex.__version__,
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
        _require_same_answers(Path(out), place.classifier)
    return adapt_run(
        place, config, out=Path(out), device=on, draw_panel=_draw_panel, dry_run=dry_run, listener=listener
    )


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
    return mix_run(place, powers, out=Path(out), draw_panel=_draw_panel, listener=listener)


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
    return guide_run(place, method, config, aims=aims, out=Path(out), draw_panel=_draw_panel, listener=listener)


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


def _require_same_answers(run: Path, classifier: Classifier) -> None:
    """A training goes on with the classifier that it began with: of the same weights, and of the same code.

    Raises:
        ConfigError: its newest snapshot was written with one that answers otherwise.
    """
    from stylex.classifiers import is_same
    from stylex.models.snapshot import load_snapshot

    if not any((run / "snapshots").glob("[0-9]*/snapshot.json")):
        return
    begun = load_snapshot(run)
    weights, answers = begun.classifier_fingerprint, begun.classifier_answers
    if is_same(classifier, fingerprint_then=weights, answers_then=answers) is False:
        raise ConfigError(
            f"{run} holds a training with another classifier: this one answers otherwise; give the one that it began "
            f"with, or choose another {option('out')}"
        )


def _not_drawn(run: Path, classifier: Classifier, images: ImageSet, device: str) -> tuple[str, ...]:
    """What a finished training's rebuilt pictures lack though it decides, on some of the images."""
    import torch

    from stylex.models.snapshot import load_snapshot
    from stylex.search.choosing import spread
    from stylex.search.encoding import encode_set
    from stylex.search.lost import LOOKED_AT, not_drawn
    from stylex.search.subject import TrainedSubject

    subject = TrainedSubject.of(load_snapshot(run).to(torch.device(device)), classifier)
    some = images.subset(spread(len(images), min(len(images), LOOKED_AT)))
    return not_drawn(subject, encode_set(subject, some), range(classifier.k))


@one_writer("out")
def find(
    run: str | Path,
    *,
    data: str | Path,
    out: str | Path,
    target: str | None = None,
    source: str | None = None,
    by: float | None = None,
    classifier: ClassifierLike | None = None,
    images: int = 200,
    attributes: int = 8,
    selection: Selection = "attfind",
    threshold: float | None = None,
    torgb: bool = False,
    shift_range: float = 1.0,
    realism: float | None = None,
    method: MethodName | Literal["auto"] = "auto",
    search: Search = "auto",
    recall: float = 0.99,
    precision: Precision = "float32",
    descriptors: str | Path | None = None,
    classifier_spec: ClassifierSpecLike | None = None,
    tune: bool = False,
    other_classifier: bool = False,
    max_calls: int | None = None,
    device: str = "auto",
    overwrite: bool = False,
    listener: Listener = silent,
) -> Explanation:
    """Find the attributes that move the classifier towards a class, and show them.

    Args:
        run: a run's folder (its newest snapshot is used) or one snapshot.
        data: the archive; its test images are searched, never those of the training.
        out: the explanation folder to write.
        target: the class to explain, by name or number; of several labels also ``not NAME``, what takes it away;
            not given with two classes: both together. Of a regression ``more`` or ``less`` (of several numbers
            ``more age``); not given with one number: both.
        source: start only from images of this class (one class against one).
        by: of a regression, the change of its number, in its unit, that counts as an answer turned; not given: one
            standard deviation of its answers on the training images.
        classifier: where the classifier is now, if it has moved since the training; Python code
            (``package.module:callable``) always, since no code is imported because a run names it.
        images: how many images to search on.
        attributes: how many attributes to look for.
        selection: how attributes are chosen from the effects: ``attfind`` each for what it does alone (single
            coordinates by the paper's Algorithm 1, directions by a test of their effect), ``together`` each for what it
            adds to those already chosen, ``notebook`` (single coordinates) as in the authors' notebook.
        threshold: with ``attfind``, an image counts as explained once one attribute raises the target's logit by so
            much, as in the paper, which leaves the number open (not given: once its answer turns).
        torgb: search the styles of the ToRGB layers too.
        shift_range: how far each coordinate is moved: 1 is to the observed extreme.
        realism: reject attributes that move the discriminator's logit by more than this (not given: reject none).
        method: ``directions`` tries ICA directions in w, and lists only those whose effect is
            significant and large enough to matter; ``attfind`` searches single style coordinates, as published;
            ``eigenfind`` tries the 20 directions that change the generator's styles most, and ranks them by itself;
            four baselines: ``sefa`` does so with every style value's weights brought to one length, ``ganalyze`` trains
            one direction for each class against the classifier, ``stylespace`` ranks coordinates in which the class's
            images stand out, without asking the classifier, ``random`` puts random directions to the test of
            ``directions``; ``auto`` is ``directions``, but
            ``attfind`` where the generator is given the classifier's answer (``model.class_input``), which may draw
            what w does not hold.
        search: ``exact`` moves every coordinate on every image; ``screened`` only those that a screen by gradients
            keeps, and says how many of the strongest it holds (``eigenfind``: ranks on some of the images); ``auto``
            is exact where that takes minutes.
        recall: the fraction of the strongest moves that a screen must hold, as estimated on images searched in full.
        precision: ``bf16`` draws in bfloat16 where the hardware has it and effects change by 2% of the largest at
            most, measured on some moves of one image; a screen's survivors are measured in ``float32`` anyway.
        descriptors: a CSV table of what is known of images (a column ``image`` with their names, the others binary or
            numbers); attributes are named after what they change of it. Needs scikit-learn (the extra ``descriptors``).
        classifier_spec: a JSON file that describes the classifier, as in ``train``.
        other_classifier: go on although the classifier is not the one that the run was trained with; every page then
            says so.
        tune: draw the images that are shown by copies of the generator, each fitted to one photograph (some seconds an
            image, so that fewer are shown), which are nearer to it; the search itself is the generator's as trained.
        max_calls: how many images a black box (a server, a function) may be asked about; not given: any number.
        device: ``auto``, ``cpu``, ``cuda`` or ``cuda:1``.
        overwrite: replace an explanation folder that is already there.
        listener: hears the progress.

    Returns:
        The explanation, as written to ``out``.

    Raises:
        SearchError: an unknown class, or too few images.
        SnapshotError: no snapshot there, or a damaged one.
    """
    from stylex.classifiers import tell_calls
    from stylex.models.processes import join
    from stylex.opening import Run, device_of, record
    from stylex.search.class_search import explain_class
    from stylex.search.classes import Workplace
    from stylex.search.followed import follow
    from stylex.store.folder import check_place, read_explanation, write_explanation, written_before

    on, folder = device_of(device), Path(out)
    config = SearchConfig(
        target=target,
        source=source,
        images=images,
        attributes=attributes,
        selection=selection,
        threshold=threshold,
        torgb=torgb,
        shift_range=shift_range,
        realism=realism,
        method=_asked(method),
        search=search,
        recall=recall,
        precision=precision,
    )
    check_place(folder, overwrite=overwrite)
    table = None
    if descriptors is not None:
        from stylex.data.descriptors import read_descriptors
        from stylex.search.probes import check_installed

        check_installed()
        table = read_descriptors(descriptors)
    processes = join(on)
    on = processes.device(on)
    opened = Run.open(
        run,
        classifier=classifier,
        classifier_spec=classifier_spec,
        other_classifier=other_classifier,
        max_calls=max_calls,
        device=on,
        regression=True,
        listener=listener,
    )
    opened, to = opened.aimed(target, by)
    if opened.classifier.activation == "regression" and (source is not None or descriptors is not None):
        given = "descriptors" if source is None else "source"
        raise SearchError(f"{option(given)} is not for a regression, which has no classes to start from or to name by")
    start, archive = opened.label(source), opened.images(data)
    subject, chosen, encoded, config = _to_search(
        opened, archive, config, method, listener, target=to, source=start, targets=2 if to is None else 1
    )
    explanation = explain_class(
        subject,
        encoded,
        config,
        target=to,
        source=start,
        tune=tune,
        settings={
            "verb": "find",
            **record(run, data, classifier, classifier_spec),
            **opened.identity,
            "data_fingerprint": archive.fingerprint,
            **config.to_json(),
            "tune": tune,
            "by": by,
            **({} if descriptors is None else {"descriptors": str(descriptors)}),
            "searched": list(chosen.names),
        },
        at=Workplace(folder=opened.effects_folder, processes=processes, listener=listener),
    )
    if explanation is not None:
        if table is not None and not len(explanation.ranking):
            listener(Alarm(message=f"nothing was found that {descriptors} could name, so it was not used"))
        if table is not None and len(explanation.ranking):
            from stylex.search.naming import named

            explanation = named(explanation, subject, encoded.s, archive, table, listener=listener)
        explanation = opened.remarked(explanation)
        if (earlier := written_before(folder)) is not None:
            explanation, went = follow(explanation, earlier, subject, encoded)
            for followed in went:
                listener(Alarm(message=f"{followed}.") if followed.doubtful else Found(message=f"{followed}."))
        write_explanation(explanation, folder, overwrite=overwrite, listener=listener)
        tell_calls(opened.classifier, listener)
    processes.wait()
    processes.leave()
    return read_explanation(folder) if explanation is None or overwrite else explanation


@one_writer("out")
def classes(
    run: str | Path,
    *,
    data: str | Path,
    out: str | Path,
    classifier: ClassifierLike | None = None,
    images: int = 200,
    attributes: int = 3,
    selection: Selection = "attfind",
    shift_range: float = 1.0,
    method: MethodName | Literal["auto"] = "auto",
    search: Search = "auto",
    classifier_spec: ClassifierSpecLike | None = None,
    other_classifier: bool = False,
    max_calls: int | None = None,
    device: str = "auto",
    overwrite: bool = False,
    listener: Listener = silent,
) -> Overview:
    """Find what moves the classifier towards every one of its classes, and show it on one page.

    Effects are measured once for all classes. Each class gets an explanation folder with a report, of a few attributes
    and pictures, below ``out/classes``; ``out/index.html`` lists all and finds a class by its name.

    Args:
        run: a run's folder (its newest snapshot is used) or one snapshot.
        data: the archive; its test images are searched, never those of the training.
        out: the folder to write.
        classifier: where the classifier is now, if it has moved since the training; Python code
            (``package.module:callable``) always, since no code is imported because a run names it.
        images: how many images to search on, the same ones for all classes.
        attributes: how many attributes to look for, of each class.
        selection: how attributes are chosen from the effects, as in ``find``; ``together`` draws pictures for each
            class, which takes long where there are many.
        shift_range: how far each coordinate is moved: 1 is to the observed extreme.
        method: what is moved, and how it is ranked, as in ``find``.
        search: ``exact``, ``screened`` or ``auto``, as in ``find``; a screen asks gradients of every class.
        classifier_spec: a JSON file that describes the classifier, as in ``train``.
        other_classifier: go on although the classifier is not the one that the run was trained with; every page then
            says so.
        max_calls: how many images a black box (a server, a function) may be asked about; not given: any number.
        device: ``auto``, ``cpu``, ``cuda`` or ``cuda:1``.
        overwrite: replace an overview that is already there; names that were typed for attributes go on with them.
        listener: hears the progress.

    Returns:
        The overview, as written to ``out``.

    Raises:
        SearchError: too few images, or a regression, which has no classes.
        SnapshotError: no snapshot there, or a damaged one.
    """
    from stylex.classifiers import tell_calls
    from stylex.core.overview import Overview
    from stylex.models.processes import Processes
    from stylex.opening import Run, device_of, record
    from stylex.report.overview import overview_page, pairs_of, row_of
    from stylex.report.page import write_report
    from stylex.search.class_search import quality
    from stylex.search.classes import Workplace
    from stylex.search.encoding import file_names
    from stylex.search.every_class import explain_every
    from stylex.store.folder import write_explanation
    from stylex.store.overview import CLASSES, begin_overview, check_overview, finish_overview

    on, folder = device_of(device), Path(out)
    config = SearchConfig(
        images=images,
        attributes=attributes,
        selection=selection,
        shift_range=shift_range,
        method=_asked(method),
        search=search,
    )
    check_overview(folder, overwrite=overwrite)
    opened = Run.open(
        run,
        classifier=classifier,
        classifier_spec=classifier_spec,
        other_classifier=other_classifier,
        max_calls=max_calls,
        device=on,
        listener=listener,
    )
    archive, labels = opened.images(data), opened.classifier.spec.labels
    subject, chosen, encoded, config = _to_search(opened, archive, config, method, listener, targets=len(labels))
    figures = quality(subject, encoded)
    settings = {
        "verb": "classes",
        **record(run, data, classifier, classifier_spec),
        **opened.identity,
        "data_fingerprint": archive.fingerprint,
        **config.to_json(),
        "searched": list(chosen.names),
    }
    begin_overview(folder)
    places = [f"{CLASSES}/{name}" for name in file_names(labels)]
    rows, pairs = [], {}
    at = Workplace(folder=opened.effects_folder, processes=Processes(), listener=listener)
    found = explain_every(subject, encoded, config, range(len(labels)), figures=figures, settings=settings, at=at)
    for (explanation, standing), label, place in zip(found, labels, places, strict=True):
        written = opened.remarked(explanation)
        write_explanation(written, folder / place, overwrite=True, listener=listener)
        write_report(folder / place, largest=_SMALL_REPORT)
        rows.append(row_of(written, standing, label=label, folder=place))
        pairs[place] = pairs_of(written)
    tell_calls(opened.classifier, listener)
    overview = Overview(rows=tuple(rows), images=len(chosen), figures=figures, settings=settings)
    finish_overview(overview, overview_page(overview, pairs), folder)
    return overview


def _to_search(
    opened: Run,
    archive: ImageSet,
    config: SearchConfig,
    method: MethodName | Literal["auto"],
    listener: Listener,
    *,
    target: int | None = None,
    source: int | None = None,
    targets: int,
) -> tuple[TrainedSubject, ImageSet, Searched, SearchConfig]:
    """What is searched: the networks in the method's space, test images chosen, the same encoded, the config with both.

    Raises:
        SearchError: too few images, or a method that does not suit the config.
    """
    from stylex.classifiers import expect
    from stylex.search.calls import calls_needed
    from stylex.search.choosing import LOOKED_AT, choose_to_search, keeping_back
    from stylex.search.encoding import encode_stream
    from stylex.search.methods import method_for, suited

    test = archive.split("test")
    if (searching := keeping_back(config.images, len(test))) < config.images and searching < len(test):
        left = "the others are left to evaluate on"
        listener(Found(message=f"searching on {searching} of {len(test)} test images; {left}"))
    chosen = choose_to_search(opened.classifier, test, searching, target=target, source=source)
    config = replace(config, method=suited(method, opened.snapshot))
    method_for(config)
    if config.method != "attfind" and opened.snapshot.generator.synthesis.c_dim:
        listener(
            Found(
                message="this generator is given the classifier's answer, which may draw causes that w does not hold: "
                f"directions in w can miss them; {option('method', 'attfind')} is the published search"
            )
        )
    subject = opened.subject(config.method, archive, torgb=config.torgb)
    looked_at = min(len(test), LOOKED_AT * searching)
    calls = calls_needed(subject, config, looked_at=looked_at, images=len(chosen), targets=targets)
    expect(opened.classifier, calls, listener)
    return subject, chosen, encode_stream(subject, chosen, chosen.label_texts()), config


_SMALL_REPORT = 192
"""Side of the pictures in the reports of many classes, in pixels."""


@one_writer("out")
def explain(
    run: str | Path,
    image: str | Path,
    *,
    out: str | Path,
    target: str | None = None,
    classifier: ClassifierLike | None = None,
    data: str | Path | None = None,
    by: float | None = None,
    attributes: int = 5,
    torgb: bool = False,
    shift_range: float = 1.0,
    method: Literal["directions", "attfind", "auto"] = "auto",
    fit: Literal["crop", "pad"] = "crop",
    tune: bool | None = None,
    classifier_spec: ClassifierSpecLike | None = None,
    other_classifier: bool = False,
    max_calls: int | None = None,
    device: str = "auto",
    overwrite: bool = False,
    listener: Listener = silent,
) -> Explanation:
    """Explain what the classifier says of one image.

    Args:
        run: a run's folder (its newest snapshot is used) or one snapshot.
        image: a photograph; or, with ``data``, the name of one of its images.
        out: the explanation folder to write.
        target: the class to explain, by name or number; of several labels also ``not NAME``, what takes it away;
            not given: the nearest other decision. Of a regression ``more`` or ``less`` (of several numbers
            ``more age``); not given with one number: both.
        classifier: where the classifier is now, if it has moved since the training; Python code
            (``package.module:callable``) always, since no code is imported because a run names it.
        data: the archive that ``image`` is one of.
        by: of a regression, the change of its number, in its unit, that counts as an answer turned; not given: one
            standard deviation of its answers on the training images.
        attributes: how many attributes to look for.
        torgb: search the styles of the ToRGB layers too.
        shift_range: how far each coordinate is moved: 1 is to the observed extreme.
        method: ``directions`` moves along ICA directions in w, ``attfind`` single style coordinates; ``auto`` as in
            ``find``.
        fit: how a photograph becomes square: ``crop`` its centre, or ``pad`` it, as ``prepare`` did.
        tune: fit a copy of the generator to this photograph first, so that what it redraws is nearer to it; knobs are
            held to what they did before. Not given: where it takes some seconds (the presets up to 128 pixels)
            and the classifier gives a gradient.
        classifier_spec: a JSON file that describes the classifier, as in ``train``.
        other_classifier: go on although the classifier is not the one that the run was trained with; every page then
            says so.
        max_calls: how many images a black box (a server, a function) may be asked about; not given: any number.
        device: ``auto``, ``cpu``, ``cuda`` or ``cuda:1``.
        overwrite: replace an explanation folder that is already there.
        listener: hears the progress.

    Returns:
        The explanation, as written to ``out``.

    Raises:
        DataError: the image cannot be read.
        SnapshotError: no snapshot there, or a damaged one.
    """
    from stylex.classifiers import expect, tell_calls
    from stylex.data.images import load_image
    from stylex.opening import Run, device_of, record
    from stylex.search.calls import calls_needed
    from stylex.search.classes import Workplace
    from stylex.search.encoding import encode
    from stylex.search.image_search import explain_image
    from stylex.search.methods import method_for, suited
    from stylex.search.tuning import tune as fit_to
    from stylex.search.tuning import tunes_quickly
    from stylex.store.folder import check_place, read_explanation, write_explanation

    config = SearchConfig(
        target=target, attributes=attributes, torgb=torgb, shift_range=shift_range, method=_asked(method), images=1
    )
    on, folder = device_of(device), Path(out)
    check_place(folder, overwrite=overwrite)
    opened = Run.open(
        run,
        classifier=classifier,
        classifier_spec=classifier_spec,
        other_classifier=other_classifier,
        max_calls=max_calls,
        device=on,
        regression=True,
        listener=listener,
    )
    opened, goal = opened.aimed(target, by)
    archive, label = None, None
    if data is None:
        size, channels = opened.snapshot.generator.config.resolution, opened.snapshot.generator.config.channels
        x = load_image(image, resolution=size, channels=1 if channels == 1 else 3, fit=fit)
        name = Path(image).stem
    else:
        archive, name = opened.images(data), str(image)
        if name not in archive.names:
            raise DataError(f"{data} has no image {name!r}; its images are named like {archive.names[0]!r}")
        one = archive.subset([archive.names.index(name)])
        x, label = one.batch([0]), one.label_texts()[0]
    config = replace(config, method=suited(method, opened.snapshot))
    method_for(config)
    subject = opened.subject(config.method, archive, torgb=torgb)
    expect(opened.classifier, calls_needed(subject, config, images=1, targets=1 if goal is not None else 2), listener)
    encoded = encode(subject, x.to(on), [name], [label])
    if tune is None:
        tune = tunes_quickly(subject)
    if tune:
        subject, encoded = fit_to(subject, encoded, listener=listener)
    explanation = explain_image(
        subject,
        encoded,
        config,
        target=goal,
        settings={
            "verb": "explain",
            **record(run, data, classifier, classifier_spec),
            **opened.identity,
            "image": str(image),
            "fit": fit,
            "tune": tune,
            "by": by,
            **{key: value for key, value in config.to_json().items() if key in _EXPLAIN},
        },
        at=Workplace(listener=listener),
    )
    explanation = opened.remarked(explanation)
    write_explanation(explanation, folder, overwrite=overwrite, listener=listener)
    tell_calls(opened.classifier, listener)
    return read_explanation(folder) if overwrite else explanation


def _asked(method: MethodName | Literal["auto"]) -> MethodName:
    """By what other settings are checked, before there is a snapshot that says what ``auto`` is."""
    return "directions" if method == "auto" else method


_EXPLAIN = ("target", "attributes", "torgb", "shift_range", "method")
"""The settings of a search that ``explain`` takes."""


@one_writer("out", into=("explanation",))
def evaluate(
    run: str | Path,
    *,
    data: str | Path,
    explanation: str | Path | None = None,
    against: str | Path | None = None,
    out: str | Path | None = None,
    report: bool = False,
    target: str | None = None,
    by: float | None = None,
    classifier: ClassifierLike | None = None,
    images: int = 100,
    measured: int = 200,
    attributes: int = 10,
    method: MethodName | Literal["auto"] = "auto",
    selection: Literal["attfind", "together"] = "attfind",
    torgb: bool = False,
    shift_range: float = 1.0,
    extractor: str = "classifier",
    without: str = "",
    seed: int = 0,
    classifier_spec: ClassifierSpecLike | None = None,
    other_classifier: bool = False,
    max_calls: int | None = None,
    device: str = "auto",
    overwrite: bool = False,
    listener: Listener = silent,
) -> Evaluation:
    """Measure how far an explanation can be trusted: faithful, sufficient, distinct, stable, more than chance.

    Attributes are found on some test images and everything is measured on others, with 95% intervals over images.

    Args:
        run: a run's folder (its newest snapshot is used) or one snapshot.
        data: the archive; its test images are used, and its training images as a reference.
        explanation: the explanation folder to evaluate; not given: search for attributes first. The evaluation is
            written into it, where the report finds it.
        against: a second run, trained alike with another seed: does it find the same attributes?
        out: a JSON file to write.
        report: write the report of the explanation anew, with the evaluation in it.
        target: where it searches itself, the class to explain; not given: all, one after another.
        by: where it searches itself, of a regression, the change of its number, in its unit, that counts as an answer
            turned; not given: one standard deviation of its answers on the training images.
        classifier: where the classifier is now, if it has moved since the training; Python code
            (``package.module:callable``) always, since no code is imported because a run names it.
        images: where it searches itself, how many images to search on.
        measured: how many other images to measure on.
        attributes: where it searches itself, how many attributes to look for towards each class.
        method: where it searches itself, along what, as in ``find``.
        selection: how it then chooses attributes from the effects, as in ``find``.
        torgb: search the styles of the ToRGB layers too, and draw random coordinates from them.
        shift_range: where it searches itself, how far each coordinate is moved.
        extractor: what images are compared with: ``classifier`` (its own features), ``random`` (a network of fixed
            random weights), a program's file such as Inception, or ``timm:NAME``. Changed pictures are never judged by
            the classifier, but by ``random`` where nothing else is given.
        without: parts to leave out, with commas: reconstruction, reason, lost, follows, realism, sufficiency,
            photograph, preservation, own, attack, significance, sparsity, observer, stability.
        seed: of everything random.
        classifier_spec: a JSON file that describes the classifier, as in ``train``.
        other_classifier: go on although the classifier is not the one that the run was trained with; every page then
            says so.
        max_calls: how many images a black box (a server, a function) may be asked about; not given: any number.
        device: ``auto``, ``cpu``, ``cuda`` or ``cuda:1``.
        overwrite: replace an evaluation that is already in ``out``.
        listener: hears the progress.

    Returns:
        The evaluation, as written.

    Raises:
        EvaluationError: too few images, an unknown part or extractor, or an explanation that is not the snapshot's.
        SnapshotError: no snapshot there, or a damaged one.
    """
    from stylex.classifiers import tell_calls
    from stylex.evaluation.evaluate import evaluate_subject
    from stylex.evaluation.extractors import extractor_for
    from stylex.evaluation.found import found_in, searched_images
    from stylex.evaluation.options import Inputs, Options
    from stylex.evaluation.subject import steered_alike, subject_of
    from stylex.opening import Run, device_of, record
    from stylex.report import write_report
    from stylex.search.methods import method_for, suited
    from stylex.store.evaluation import check_file, write_evaluation
    from stylex.store.folder import EVALUATION, read_explanation

    known = None if explanation is None else read_explanation(explanation)
    # An explanation was searched for already, by settings of its own.
    search = (
        SearchConfig(
            target=target,
            images=images,
            attributes=attributes,
            method=_asked(method),
            selection=selection,
            torgb=torgb,
            shift_range=shift_range,
        )
        if known is None
        else SearchConfig.from_json(known.settings)
    )
    options = Options(
        searched=images,
        measured=measured,
        attributes=attributes,
        search=search,
        without=frozenset(part.strip() for part in without.split(",") if part.strip()),
        seed=seed,
    )
    if by is not None and known is not None:
        raise ConfigError(f"{option('by')} was chosen when {explanation} was found; leave it out, or find anew")
    if report and explanation is None:
        raise ConfigError(
            f"{option('report', True)} writes an explanation's report anew; give that explanation with "
            f"{option('explanation')}"
        )
    if out is not None:
        check_file(Path(out), overwrite=overwrite)
    on = device_of(device)
    opened = Run.open(
        run,
        classifier=classifier,
        classifier_spec=classifier_spec,
        other_classifier=other_classifier,
        max_calls=max_calls,
        device=on,
        regression=True,
        listener=listener,
    )
    archive = opened.images(data)
    other = None
    if against is not None:
        other = Run.open(
            against,
            classifier=opened.classifier,
            classifier_spec=classifier_spec,
            other_classifier=other_classifier,
            device=on,
            regression=True,
        )
        other.images(data)
    goal = None
    if known is not None and known.snapshot.get("sha256") != opened.snapshot.sha256:
        raise EvaluationError(
            f"{explanation} was made with another snapshot than {opened.snapshot.path}; give the run that it was made "
            "with"
        )
    if known is not None:
        opened = opened.explaining(known, str(explanation))
        opened, goal = opened.aimed(known.settings.get("target"))
        snapshot = opened.snapshot
    else:
        opened, goal = opened.aimed(target, by)
        search = replace(search, method=suited(method, opened.snapshot))
        method_for(search)
        options = replace(options, search=search)
        snapshot = opened.subject(search.method, archive).snapshot
    explained = opened.classifier
    instrument = extractor_for(extractor, explained, on)
    held_out = archive.split("test")
    found = None
    if known is not None:
        found = found_in(known, searched_images(known, explained, held_out, archive.fingerprint, listener))
        torgb = torgb or any(known.space.layer(a.coordinate.layer).kind == "torgb" for a in known.ranking)
    evaluation = evaluate_subject(
        subject_of(snapshot, explained, torgb=torgb),
        Inputs(
            held_out=held_out,
            training=archive.part("train"),
            targets=range(explained.k) if goal is None else [goal],
            extractor=instrument,
            against=None
            if other is None
            else subject_of(steered_alike(other.snapshot, snapshot, explained), explained, torgb=torgb),
            listener=listener,
        ),
        options,
        found=found,
        settings={
            "verb": "evaluate",
            **record(run, data, classifier, classifier_spec),
            **search.to_json(),
            **opened.identity,
            "data_fingerprint": archive.fingerprint,
            "explanation": None if explanation is None else str(explanation),
            "against": None if against is None else str(against),
            "by": by,
            "measured": measured,
            "extractor": extractor,
            "without": without,
            "seed": seed,
        },
    )
    if remark := classifier_remark(opened.identity):
        evaluation = replace(evaluation, notes=(remark, *evaluation.notes))
    tell_calls(explained, listener)
    if out is not None:
        write_evaluation(evaluation, out)
    if explanation is not None:
        write_evaluation(evaluation, Path(explanation) / EVALUATION)
    if report and explanation is not None:
        write_report(explanation)
    return evaluation


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


def report(
    explanation_folder: str | Path,
    *,
    out: str | Path | None = None,
    strips: bool = False,
    flicker: Literal["webp", "gif"] | None = None,
) -> Path:
    """Write the report of an explanation: one HTML file that opens anywhere, without a network.

    Args:
        explanation_folder: what ``find`` or ``explain`` wrote.
        out: the HTML file; not given: ``report.html`` in the explanation folder.
        strips: also write a latent traversal (a strip) of each attribute as a PNG, rebuilt pictures above changed ones.
        flicker: also write an animation for each attribute, ``webp`` or ``gif``.

    Returns:
        The report's path; strips and flickers are in a folder ``pictures`` beside it.

    Raises:
        StoreError: the folder is not an explanation, or is damaged.
    """
    from stylex.report import write_report
    from stylex.report.media import write_flickers, write_strips
    from stylex.store.evaluation import evaluation_in
    from stylex.store.folder import read_explanation

    folder = Path(explanation_folder)
    path = folder / "report.html" if out is None else Path(out)
    known = read_explanation(folder)
    with sole_writer(folder if out is None else path, verb="report"):
        write_report(known, path, evaluation=evaluation_in(folder))
        if strips:
            write_strips(known, path.parent / "pictures")
        if flicker is not None:
            write_flickers(known, path.parent / "pictures", flicker)
    return path


def open_studio(
    run: str | Path,
    *,
    data: str | Path | None = None,
    explanation: str | Path | None = None,
    classifier: ClassifierLike | None = None,
    images: int = 240,
    classifier_spec: ClassifierSpecLike | None = None,
    other_classifier: bool = False,
    device: str = "auto",
    listener: Listener = silent,
) -> Studio:
    """Open the networks of a run for turning knobs live: what ``serve`` shows, for scripts and notebooks.

    Args:
        run: a run's folder (its newest snapshot is used) or one snapshot; ``demo``: what comes with the package.
        data: the archive; images of its test part can be chosen.
        explanation: an explanation folder; its attributes are the knobs, and names are kept in it.
        classifier: where the classifier is now, if it has moved since the training; Python code
            (``package.module:callable``) always, since no code is imported because a run names it.
        images: how many images of ``data`` to choose from, spread over its test part.
        classifier_spec: a JSON file that describes the classifier, as in ``train``.
        other_classifier: go on although the classifier is not the one that the run was trained with; every page then
            says so.
        device: ``auto``, ``cpu``, ``cuda`` or ``cuda:1``.
        listener: hears warnings.

    Returns:
        The studio. Its images are read by ``load_more``, a few at a time; knobs are turned by ``render``.

    Raises:
        SnapshotError: no snapshot there, or a damaged one.
        SearchError: the explanation was made with another snapshot.
    """
    from stylex.live.studio import LiveStudio
    from stylex.opening import Run, device_of, record
    from stylex.store.folder import read_explanation

    data = DEMO if data is None and is_demo(run) else data
    found = None if explanation is None else read_explanation(explanation)
    on = device_of(device)
    listener(Found(message=f"loading the networks of {run}"))
    opened = Run.open(
        run,
        classifier=classifier,
        classifier_spec=classifier_spec,
        other_classifier=other_classifier,
        device=on,
        regression=True,
        listener=listener,
    )
    if found is not None:
        opened = opened.explaining(found, str(explanation))
    elif opened.classifier.activation == "regression":
        opened, _ = opened.aimed(f"more {opened.classifier.spec.labels[0]}")
    chosen = None
    if data is not None:
        if images < 1:
            raise SearchError(f"{images} images were to choose from; give at least 1")
        archive = opened.images(data)
        held_out = archive.part("test") or archive
        count = min(images, len(held_out))
        chosen = held_out.subset([i * len(held_out) // count for i in range(count)])
    return LiveStudio(
        opened.snapshot,
        opened.classifier,
        explanation=found,
        folder=None if explanation is None else Path(explanation),
        images=chosen,
        identity=opened.identity,
        repeat={
            **record(run, data, classifier, classifier_spec),
            "other_classifier": other_classifier,
            "explanation": None if explanation is None else str(explanation),
        },
    )


def explore(
    run: str | Path,
    *,
    data: str | Path | None = None,
    explanation: str | Path | None = None,
    classifier: ClassifierLike | None = None,
    images: int = 48,
    classifier_spec: ClassifierSpecLike | None = None,
    other_classifier: bool = False,
    device: str = "auto",
    listener: Listener = silent,
) -> Any:
    """Turn knobs in a notebook: the explorer of ``serve`` in a cell, without a port.

    Live in Jupyter, VS Code, Colab and marimo. Needs anywidget and starlette (the extra ``notebook``).

    Args:
        run: a run's folder (its newest snapshot is used) or one snapshot; ``demo``: what comes with the package.
        data: the archive; images of its test part can be chosen.
        explanation: an explanation folder; its attributes are the knobs, and names are kept in it.
        classifier: where the classifier is now, if it has moved since the training; Python code
            (``package.module:callable``) always, since no code is imported because a run names it.
        images: how many images of ``data`` to choose from, spread over its test part.
        classifier_spec: a JSON file that describes the classifier, as in ``train``.
        other_classifier: go on although the classifier is not the one that the run was trained with; every page then
            says so.
        device: ``auto``, ``cpu``, ``cuda`` or ``cuda:1``.
        listener: hears warnings.

    Returns:
        The widget; end a cell with it. Its ``close`` stops what draws for it.

    Raises:
        SnapshotError: no snapshot there, or a damaged one.
        ConfigError: anywidget or starlette are not installed.
    """
    from stylex.ui.notebook import explore as in_a_cell

    studio = open_studio(
        run,
        data=data,
        explanation=explanation,
        classifier=classifier,
        images=images,
        classifier_spec=classifier_spec,
        other_classifier=other_classifier,
        device=device,
        listener=listener,
    )
    return in_a_cell(studio)


def serve(
    run: str | Path,
    *,
    data: str | Path | None = None,
    explanation: str | Path | None = None,
    classifier: ClassifierLike | None = None,
    images: int = 240,
    host: str = "127.0.0.1",
    port: int = 8600,
    no_browser: bool = False,
    root_path: str = "",
    classifier_spec: ClassifierSpecLike | None = None,
    other_classifier: bool = False,
    device: str = "auto",
    listener: Listener = silent,
) -> None:
    """Turn knobs in the browser: a page on this machine, until Ctrl-C.

    Images of the archive, of the explanation and one's own photographs can be chosen; the explanation's attributes
    are knobs, and an image's own are found on request. Needs starlette and uvicorn (the extra ``ui``).

    Args:
        run: a run's folder (its newest snapshot is used) or one snapshot; ``demo``: what comes with the package.
        data: the archive; images of its test part can be chosen.
        explanation: an explanation folder; its attributes are the knobs, and names are kept in it.
        classifier: where the classifier is now, if it has moved since the training; Python code
            (``package.module:callable``) always, since no code is imported because a run names it.
        images: how many images of ``data`` to choose from, spread over its test part.
        host: the address to listen at; another than this machine's own asks everybody for a token.
        port: the port to listen at; taken by something else: the next free one. 0: any.
        no_browser: only say the address; do not open a browser.
        root_path: the path at which a proxy (Jupyter's, VS Code's, a web server) shows the page, such as
            ``/user/me/proxy/8600``; the page then asks for a token.
        classifier_spec: a JSON file that describes the classifier, as in ``train``.
        other_classifier: go on although the classifier is not the one that the run was trained with; every page then
            says so.
        device: ``auto``, ``cpu``, ``cuda`` or ``cuda:1``.
        listener: hears the address.

    Raises:
        SnapshotError: no snapshot there, or a damaged one.
        ConfigError: starlette and uvicorn are not installed, or the address cannot be used.
    """
    from stylex.ui.serving import check_installed, serve_studio

    check_installed()
    studio = open_studio(
        run,
        data=data,
        explanation=explanation,
        classifier=classifier,
        images=images,
        classifier_spec=classifier_spec,
        other_classifier=other_classifier,
        device=device,
        listener=listener,
    )
    serve_studio(studio, host=host, port=port, open_browser=not no_browser, root_path=root_path, listener=listener)


def demo(out: str | Path, *, images: int = 80, listener: Listener = silent) -> Path:
    """Explain a classifier of sneakers and ankle boots on real photographs, all shipped with the package.

    The search is run here and now, in about a minute on two cores; nothing is downloaded.

    Args:
        out: the folder to write: the explanation and its report.
        images: how many of the 400 photographs to search on.
        listener: hears the progress.

    Returns:
        The report's path.

    Raises:
        StoreError: ``out`` cannot be written, or holds something else.
    """
    folder = Path(out)
    find(
        DEMO,
        data=DEMO,
        out=folder / "explanation",
        images=images,
        device="cpu",
        overwrite=True,
        listener=listener,
    )
    return report(folder / "explanation", out=folder / "report.html")


@one_writer("out", typed="study new")
def new_study(
    explanations: Sequence[str | Path],
    *,
    out: str | Path,
    tasks: str = "sort,describe",
    raters: int = 20,
    attributes: int = 4,
    images: int = 4,
    checks: int = 2,
    title: str = "What do you see?",
    consent: str | Path | None = None,
    seed: int = 0,
) -> Path:
    """Make a user study of explanations: can people tell attributes apart, and do they name the same things?

    Of several explanations, such as one by each method of ``find``, all are mixed and no rater is told which is which.

    Args:
        explanations: what ``find`` or ``explain`` wrote, one folder or more; their names are the methods' names.
        out: the folder to write: the questions, their pictures, and a secret link for each rater.
        tasks: what raters do, with commas: ``sort`` pictures to one of two attributes, ``describe`` in a few words what
            changes, ``clinical``: say what changed, and whether that is medically plausible.
        raters: how many links there are.
        attributes: how many of each explanation, from the first on; those that a person has hidden are left out.
        images: how many pictures are to be sorted for each pair of attributes, and judged of each attribute.
        checks: of attention, for each rater.
        title: the one line that raters read above everything.
        consent: a text file that raters agree to before they begin; ``{minutes}`` in it becomes how long it may take.
        seed: of which pictures are shown, and in which order.

    Returns:
        The study's folder.

    Raises:
        StoreError: an explanation cannot be read, or ``out`` not be written.
        ConfigError: there are too few attributes or pictures for what is asked.
    """
    from stylex.store.study import check_study_place, write_study
    from stylex.study.making import Design, consent_in, kinds_of, make_study, named_explanations

    design = Design(
        tasks=kinds_of(tasks), raters=raters, attributes=attributes, images=images, checks=checks, seed=seed
    )
    check_study_place(Path(out))
    text = None if consent is None else consent_in(Path(consent))
    study, pictures = make_study(named_explanations(explanations), design, title=title, consent=text)
    write_study(study, pictures, out)
    return Path(out)


def serve_study(
    study: str | Path,
    *,
    host: str = "127.0.0.1",
    port: int = 8610,
    address: str | None = None,
    root_path: str = "",
    listener: Listener = silent,
) -> None:
    """Let raters answer a study in their browsers, until Ctrl-C; the same command again goes on.

    Every answer is on the disk before its rater sees the next question. Needs starlette and uvicorn (the extra ``ui``).

    Args:
        study: the folder that ``new_study`` wrote; its ``links.csv`` is written anew, with the address.
        host: the address to listen at; ``0.0.0.0`` for telephones in the same network.
        port: the port to listen at; taken by something else: the next free one. 0: any.
        address: what raters reach it by, such as ``https://study.example.org``, for their links.
        root_path: the path at which a proxy shows the study, such as ``/study``.
        listener: hears the address.

    Raises:
        StoreError: the study cannot be read, its answers not be written, or another process serves it.
        ConfigError: starlette and uvicorn are not installed, or the address cannot be used.
    """
    from stylex.study.serving import serve_folder
    from stylex.ui.serving import check_installed

    check_installed("a study")
    serve_folder(Path(study), host=host, port=port, address=address, root_path=root_path, listener=listener)


def analyse_study(
    study: str | Path,
    *,
    out: str | Path | None = None,
    answers: str | Path | None = None,
    most_failed: int = 0,
    overwrite: bool = False,
) -> Analysis:
    """Say what a study's answers mean: accuracy, agreement, words and time, beside what passes by accident.

    Writes a page, every answer as CSV, and the numbers as JSON. A study may be analysed while it is served.

    Args:
        study: the folder that ``new_study`` wrote, with its answers.
        out: the folder to write; not given: ``analysis`` in the study's.
        answers: the file of answers, where it has come back from elsewhere.
        most_failed: how many checks of attention a rater may fail before all of his answers are left out.
        overwrite: replace an older analysis.

    Returns:
        The analysis, as written.

    Raises:
        StoreError: the study or its answers cannot be read, or ``out`` not be written.
    """
    from stylex.store.answers import read_answers
    from stylex.store.study import read_study
    from stylex.study.analysis import analyse, rows_of
    from stylex.study.machine import observed
    from stylex.study.page import check_analysis_place, write_analysis

    folder = Path(study)
    place = folder / "analysis" if out is None else Path(out)
    if most_failed < 0:
        raise ConfigError(f"{option('most_failed')} is {most_failed}; give 0 or more")
    asked = read_study(folder)
    check_analysis_place(place, overwrite=overwrite)
    with sole_writer(place, verb="study analyse"):
        said = read_answers(folder, asked, answers)
        analysis = analyse(asked, said, most_failed=most_failed, machine=observed(folder, asked))
        write_analysis(
            analysis, asked, rows_of(asked, said, most_failed), pictures=folder, out=place, overwrite=overwrite
        )
    return analysis


@one_writer("out", typed="study demo")
def demo_study(
    out: str | Path, *, raters: int = 12, images: int = 60, seed: int = 0, listener: Listener = silent
) -> Analysis:
    """Run a whole study with simulated raters, on what comes with the package, in about two minutes.

    Two methods explain the classifier of the demo; a machine that compares pixels answers through the server as a rater
    does. Of the last three raters one guesses, one always presses left, and one leaves half way.

    Args:
        out: the folder to write: both explanations, and the study with its answers and its analysis.
        raters: how many simulated raters there are, 4 or more.
        images: how many of the 400 photographs to explain the classifier on.
        seed: of the study.
        listener: hears the progress.

    Returns:
        The analysis, as written.

    Raises:
        StoreError: ``out`` is not empty, or cannot be written.
        ConfigError: too few raters, or starlette and uvicorn are not installed.
    """
    import shutil
    from importlib.resources import as_file, files

    from stylex.store.study import check_study_place
    from stylex.study.machine import cast_of, simulate
    from stylex.ui.serving import check_installed

    check_installed("a study")
    manners, folder = cast_of(raters), Path(out)
    check_study_place(folder)
    methods: tuple[MethodName, ...] = ("eigenfind", "sefa")
    was_there = folder.exists()
    try:
        with as_file(files("stylex") / "demo_data") as shipped:
            for method in methods:
                find(
                    shipped / "snapshot",
                    data=shipped / "shoes.zip",
                    classifier=shipped / "classifier",
                    out=folder / method,
                    method=method,
                    images=images,
                    attributes=4,
                    device="cpu",
                    listener=listener,
                )
        study = new_study([folder / method for method in methods], out=folder / "study", raters=raters, seed=seed)
        given = simulate(study, manners, seed=seed)
        listener(Found(message=f"{len(given)} simulated raters gave {sum(given)} answers"))
        return analyse_study(study)
    except BaseException:  # told to end, too: half a study is of no use
        for part in (*methods, "study"):
            shutil.rmtree(folder / part, ignore_errors=True)
        if not was_there:
            shutil.rmtree(folder, ignore_errors=True)
        raise


@one_writer("out")
def compare(
    run: str | Path,
    *,
    out: str | Path,
    data: str | Path | None = None,
    methods: str = "",
    target: str | None = None,
    classifier: ClassifierLike | None = None,
    images: int = 60,
    measured: int = 64,
    attributes: int = 8,
    change: float | None = None,
    shown: int = 7,
    extractor: str = "random",
    seed: int = 0,
    classifier_spec: ClassifierSpecLike | None = None,
    other_classifier: bool = False,
    max_calls: int | None = None,
    device: str = "auto",
    overwrite: bool = False,
    listener: Listener = silent,
) -> Comparison:
    """Set methods of explanation side by side, on the same images and at the same size of change.

    Methods are fitted on some test images and measured on others, beside what passes each measure by accident. Writes
    the numbers as JSON and a page with the same images in a row for every method.

    Args:
        run: a run's folder (its newest snapshot is used) or one snapshot; ``demo``: what comes with the package.
        out: the folder to write: ``comparison.json`` and ``comparison.html``.
        data: the archive; its test images are used.
        methods: which, with commas: directions, attfind, eigenfind, sefa, ganalyze, stylespace, attack, attack-s,
            pixels, grad-cam, integrated-gradients; not given: all that this classifier allows.
        target: the class to drive to, by name or number; of several labels also ``not NAME``; not given with two
            classes: each image to the other one.
        classifier: where the classifier is now, if it has moved since the training; Python code
            (``package.module:callable``) always, since no code is imported because a run names it.
        images: how many images to fit methods on.
        measured: how many other images to measure on.
        attributes: how many attributes a method may have towards each class; of these, each image gets the one that
            moves it most.
        change: mean change of a pixel that all are brought to, of 2; not given: that at which the first method turns
            three quarters of the images (where it never does, the median of its own changes).
        shown: how many images the page shows.
        extractor: what pictures are compared with, as in ``evaluate``; never the explained classifier.
        seed: of everything random.
        classifier_spec: a JSON file that describes the classifier, as in ``train``.
        other_classifier: go on although the classifier is not the one that the run was trained with; every page then
            says so.
        max_calls: how many images a black box (a server, a function) may be asked about; not given: any number.
        device: ``auto``, ``cpu``, ``cuda`` or ``cuda:1``.
        overwrite: replace a comparison that is already there.
        listener: hears the progress.

    Returns:
        The comparison, as written.

    Raises:
        ConfigError: there is no such method, or no data.
        EvaluationError: too few images, or no size of change to bring the methods to.
        SearchError: an unknown class, or more than two and none given.
        SnapshotError: no snapshot there, or a damaged one.
    """
    from stylex.classifiers import tell_calls
    from stylex.comparison.compare import Inputs, Options, compare_methods
    from stylex.comparison.contenders import asked
    from stylex.comparison.gallery import gallery_of
    from stylex.evaluation.extractors import extractor_for
    from stylex.evaluation.subject import subject_of
    from stylex.opening import Run, device_of, record
    from stylex.report.compared import comparison_page
    from stylex.search.encoding import latents_of
    from stylex.store.comparison import check_folder, write_comparison

    folder, repeat = Path(out), record(run, data, classifier, classifier_spec)
    data = DEMO if data is None and is_demo(run) else data
    options = Options(
        methods=asked(methods),
        asked=bool(methods.strip(" ,")),
        searched=images,
        measured=measured,
        attributes=attributes,
        change=change,
        shown=shown,
        seed=seed,
    )
    if data is None:
        raise ConfigError(f"a comparison needs images; give an archive that prepare wrote with {option('data')}")
    check_folder(folder, overwrite=overwrite)
    on = device_of(device)
    opened = Run.open(
        run,
        classifier=classifier,
        classifier_spec=classifier_spec,
        other_classifier=other_classifier,
        max_calls=max_calls,
        device=on,
        listener=listener,
    )
    opened, goal = opened.aimed(target)
    explained, archive = opened.classifier, opened.images(data)
    if goal is None and (explained.k > 2 or explained.activation == "sigmoid"):
        raise SearchError(
            f"the classifier has labels {', '.join(explained.spec.labels[:5])}; say which one all images are to be "
            f"driven to, such as {option('target', explained.spec.labels[-1])}"
        )
    subject = subject_of(opened.snapshot, explained)
    comparison, pictures = compare_methods(
        subject,
        Inputs(
            held_out=archive.split("test"),
            targets=range(explained.k) if goal is None else [goal],
            extractor=extractor_for(extractor, explained, on),
            latents=lambda: latents_of(subject, archive),
            listener=listener,
        ),
        options,
        settings={
            "verb": "compare",
            **repeat,
            **opened.identity,
            "snapshot": opened.snapshot.sha256,
            "data_fingerprint": archive.fingerprint,
            "methods": list(options.methods),
            "target": target,
            "images": images,
            "measured": measured,
            "attributes": attributes,
            "change": change,
            "extractor": extractor,
            "seed": seed,
        },
    )
    if remark := classifier_remark(opened.identity):
        comparison = replace(comparison, notes=(remark, *comparison.notes))
    write_comparison(comparison, comparison_page(comparison, gallery_of(pictures)), folder)
    tell_calls(opened.classifier, listener)
    return comparison


@one_writer("out", error=DataError)
def repair(
    explanation: str | Path,
    *,
    data: str | Path,
    out: str | Path,
    attribute: str | None = None,
    descriptors: str | Path | None = None,
    descriptor: str | None = None,
    run: str | Path | None = None,
    classifier: ClassifierLike | None = None,
    images: int | None = None,
    to: Literal["places", "ends"] = "places",
    realism: float | None = 0.95,
    extractor: str = "random",
    control: bool = False,
    seed: int = 0,
    classifier_spec: ClassifierSpecLike | None = None,
    other_classifier: bool = False,
    device: str = "auto",
    overwrite: bool = False,
    listener: Listener = silent,
) -> Repaired:
    """Write data in which an attribute tells nothing: training images also with it turned both ways, their labels kept.

    What is turned is an attribute of an explanation, or the direction along which images differ that a table marks as
    different. The change is laid on the photographs, and test images are never turned. Beside the archive two files are
    written: a table of groups (label and the attribute's place), so that a training shows all of them as often, and a
    sheet of turned photographs to look at. A classifier that is trained further on both has nothing to gain from the
    attribute.

    Args:
        explanation: the explanation folder that the attribute is one of; with ``descriptors``, a run will do.
        data: the archive that the classifier learnt from.
        out: the archive to write, a ``.zip``.
        attribute: which one, by its number as listed, from 1, or by its name.
        descriptors: instead of an attribute, a CSV table (a column ``image`` with the images' names, and one that says
            what should not matter: two words, or numbers) of some training images. A hundred or more, a dozen or more
            of each label on either side.
        descriptor: which of its columns is meant; not given: the only one.
        run: the run that the explanation was found with; not given: where the explanation says it was.
        classifier: where the classifier is now, if it has moved since the training; Python code
            (``package.module:callable``) always, since no code is imported because a run names it.
        images: how many training images are turned, spread over all; not given: all.
        to: where the attribute is turned to: ``places`` where it lies in other training images, drawn at random, one on
            its side and one on the other; or its ``ends``, which are seldom seen.
        realism: keep both turns of an image only while each changes it by no more than this fraction of pairs of real
            ones differ, and is as near to a real one as this fraction of them are to another; ``null``: keep all.
        extractor: whose features say what is near, as in ``evaluate``; never the explained classifier.
        control: turn one random direction as far instead, to see what comes of any change.
        seed: of what is random.
        classifier_spec: a JSON file that describes the classifier, as in ``train``.
        other_classifier: go on although the classifier is not the one that the run was trained with.
        device: ``auto``, ``cpu``, ``cuda`` or ``cuda:1``.
        overwrite: replace what is already there.
        listener: hears the progress.

    Returns:
        What was written: counts, what was left out as unreal, and how labels and the attribute's places go together.

    Raises:
        SearchError: there is no such attribute, the explanation was made with another snapshot, or too few images are
            marked.
        DataError: the archive or the table cannot be used, or ``out`` cannot be written.
        ConfigError: settings that cannot be meant.
    """
    from stylex.bias.repair import RepairConfig, write_repaired
    from stylex.core.files import write_whole
    from stylex.data.groups import groups_table
    from stylex.data.prepare import check_out
    from stylex.evaluation.extractors import extractor_for
    from stylex.opening import device_of
    from stylex.report.figures import encode, panel
    from stylex.search.subject import TrainedSubject
    from stylex.store.folder import read_explanation

    place = Path(out)
    table, sheet = place.with_suffix(".groups.csv"), place.with_suffix(".png")
    config = RepairConfig(images=images, to=to, realism=realism, control=control, seed=seed)
    if (attribute is None) == (descriptors is None):
        raise ConfigError(
            f"what should not matter is an attribute or a column of a table: give {option('attribute')} or "
            f"{option('descriptors')}, one of them"
        )
    table_of_marks = _marks_in(descriptors, descriptor)
    known = None if table_of_marks is not None and _is_run(explanation) else read_explanation(explanation)
    chosen = None if attribute is None or known is None else _attribute_of(known, attribute, explanation)
    check_out(Path(data), place, overwrite=overwrite)
    for beside in (table, sheet):
        if beside.exists() and not overwrite:
            raise DataError(f"{beside} exists already: give {option('overwrite', True)} to replace it, or another name")
    on = device_of(device)
    where = (run, classifier, classifier_spec, other_classifier, on, listener)
    opened = _run_at(run or explanation, *where[1:]) if known is None else _run_of(known, explanation, *where)
    if known is not None and chosen is not None:
        opened = opened.explaining(known, explanation)
    archive = opened.images(data)
    instrument = extractor_for(extractor, opened.classifier, on)
    if instrument.explained:
        raise ConfigError(
            f"{option('extractor', 'classifier')}: the explained classifier is no judge of what an attribute changes "
            f"that was chosen to move it; give {option('extractor', 'random')}, a program's file or timm:NAME"
        )
    subject, marks = TrainedSubject.of(opened.snapshot, opened.classifier), None
    if chosen is None:
        assert table_of_marks is not None
        marked = _marked_in(subject, archive, table_of_marks, descriptor, seed, listener)
        subject, chosen, marks = marked.subject, marked.attribute, marked.high
    repaired = write_repaired(subject, archive, chosen, instrument, place, config, marks=marks, listener=listener)
    write_whole(table, groups_table(repaired.groups).encode(), error=DataError)
    captions = ("photograph", "turned up", "turned down")
    picture = panel([list(row) for row in repaired.sheet], captions, title=repaired.attribute, cell=96)
    write_whole(sheet, encode(picture), error=DataError)
    return repaired


@one_writer("out")
def audit(
    before: str | Path,
    after: str | Path,
    *,
    data: str | Path,
    out: str | Path | None = None,
    explanation: str | Path | None = None,
    descriptors: str | Path | None = None,
    descriptor: str | None = None,
    run: str | Path | None = None,
    fail_if: str = "",
    images: int = 100,
    measured: int = 300,
    attributes: int = 8,
    method: MethodName | Literal["auto"] = "auto",
    seed: int = 0,
    classifier_spec: ClassifierSpecLike | None = None,
    device: str = "auto",
    overwrite: bool = False,
    listener: Listener = silent,
) -> Audit:
    """Compare two versions of a classifier by one generator: which attributes gained or lost weight.

    Attributes, their places and their pictures are the same for both versions, so that differences are theirs alone.
    Measured on test images that the attributes were not found on, with 95% intervals over images.

    Args:
        before: the earlier version: a run's folder (its classifier is meant), or a classifier as ``train`` takes it.
        after: the later version, likewise.
        data: the archive; its test images are used.
        out: the folder to write: ``audit.json``, ``audit.md`` for people, ``junit.xml`` for pipelines; not given:
            nothing is written.
        explanation: an explanation folder, whose attributes are compared; not given: attributes are searched for with
            both versions.
        descriptors: instead of an explanation, a table as ``repair`` takes it: the one attribute is then the direction
            between its groups.
        descriptor: which of its columns is meant; not given: the only one.
        run: the run whose generator turns the attributes; not given: the explanation's, or the first version that is
            one.
        fail_if: conditions that must not hold, with commas, such as ``attribute 3 > 0.5``: the command's exit code is
            then 3. Of an attribute (its number, or ``any attribute``) can be asked ``weight`` (what is meant where
            nothing is said), ``gain``, ``kept``, ``flips`` and ``worst group``, and of the later version ``accuracy``,
            ``accuracy drop`` and ``worst group``; joined by ``and``, ``or``.
        images: where it searches itself, how many images to search on.
        measured: how many other images to measure on.
        attributes: where it searches itself, how many attributes to look for towards each class.
        method: where it searches itself, along what, as in ``find``.
        seed: of the random directions that stand beside.
        classifier_spec: a JSON file that describes the classifiers, as in ``train``.
        device: ``auto``, ``cpu``, ``cuda`` or ``cuda:1``.
        overwrite: replace an audit that is already there.
        listener: hears the progress.

    Returns:
        The audit, as written.

    Raises:
        ConfigError: a condition that cannot be read, or no run to draw with.
        EvaluationError: the versions know other labels, or too few images are left.
        SearchError: the explanation was made with another snapshot.
    """
    import numpy as np

    from stylex.bias.audit import Versions, audit_versions
    from stylex.classifiers import describe, fingerprint
    from stylex.core.conditions import conditions
    from stylex.evaluation.found import searched_images
    from stylex.evaluation.subject import subject_of
    from stylex.opening import device_of
    from stylex.report.audited import audit_junit, audit_markdown
    from stylex.search.choosing import spread
    from stylex.search.subject import TrainedSubject
    from stylex.store.audit import check_audit_place, write_audit
    from stylex.store.folder import read_explanation

    on = device_of(device)
    if explanation is not None and descriptors is not None:
        raise ConfigError(
            f"attributes are an explanation's or a table's: give {option('explanation')} or {option('descriptors')}, "
            "one of them"
        )
    known, table = None if explanation is None else read_explanation(explanation), _marks_in(descriptors, descriptor)
    listed = len(known.ranking) if known is not None else 1 if table is not None else 2 * attributes
    asked = conditions(fail_if, listed)
    if out is not None:
        check_audit_place(Path(out), overwrite=overwrite)
    earlier, later = (_version(given, classifier_spec, on) for given in (before, after))
    runs = [given for given in (before, after) if _is_run(given)]
    if known is not None and explanation is not None:
        opened = _run_of(
            known, explanation, run or next(iter(runs), None), earlier, classifier_spec, True, on, listener
        ).explaining(known, explanation)
    elif run is not None or runs:
        opened = _run_at(run if run is not None else runs[0], earlier, classifier_spec, True, on, listener)
    else:
        raise ConfigError(
            f"neither {before} nor {after} is a run, and none is named to draw with; give {option('run')}, or "
            f"{option('explanation')}"
        )
    archive = opened.images(data)
    held_out = archive.split("test")
    if known is not None:
        shown, searched = (
            known.ranking.attributes,
            searched_images(known, opened.classifier, held_out, archive.fingerprint, listener),
        )
    elif table is not None:
        plain = TrainedSubject.of(opened.snapshot, opened.classifier)
        marked = _marked_in(plain, archive, table, descriptor, seed, listener)
        opened = replace(opened, snapshot=marked.subject.snapshot)
        shown, searched = (marked.attribute,), frozenset()  # of training images, which are not measured on
    else:
        opened, shown, searched = _found_with_both(
            opened, (earlier, later), archive, (images, attributes, method), listener
        )
        asked = conditions(fail_if, len(shown))
    others = np.flatnonzero([name not in searched for name in held_out.names])
    result = audit_versions(
        subject_of(opened.snapshot, opened.classifier),
        Versions(before=earlier, after=later, names=(describe(before), describe(after))),
        held_out.subset(others[spread(len(others), min(measured, len(others)))]),
        shown,
        seed=seed,
        listener=listener,
    )
    remark = classifier_remark(opened.identity)
    result = replace(
        result,
        checks=tuple(condition.check(result) for condition in asked),
        notes=(*result.notes, *([] if remark is None else [remark])),
        snapshot={"path": str(opened.snapshot.path), "sha256": opened.snapshot.sha256},
        settings={
            "verb": "audit",
            "before": str(before),
            "after": str(after),
            "fingerprints": [fingerprint(earlier), fingerprint(later)],
            "run": str(opened.path),
            "data": str(data),
            "data_fingerprint": archive.fingerprint,
            "explanation": None if explanation is None else str(explanation),
            "descriptors": None if descriptors is None else str(descriptors),
            "descriptor": descriptor,
            "fail_if": fail_if,
            "images": images,
            "measured": measured,
            "attributes": attributes,
            "method": method,
            "seed": seed,
        },
    )
    if out is not None:
        write_audit(result, out, markdown=audit_markdown(result), junit=audit_junit(result))
    return result


def _found_with_both(
    run: Run,
    versions: tuple[Classifier, Classifier],
    archive: ImageSet,
    how: tuple[int, int, MethodName | Literal["auto"]],
    listener: Listener,
) -> tuple[Run, tuple[Attribute, ...], frozenset[str]]:
    """Attributes that move either version, no coordinate twice, and the images that they were found on."""
    from stylex.evaluation.found import find as search_for
    from stylex.evaluation.options import Options
    from stylex.evaluation.subject import subject_of
    from stylex.search.methods import suited

    images, attributes, asked = how
    method = suited(asked, run.snapshot)
    run = replace(run, snapshot=run.subject(method, archive).snapshot)
    config = SearchConfig(images=images, attributes=attributes, method=method)
    options = Options(searched=images, attributes=attributes, search=config)
    shown: list[Attribute] = []
    searched: frozenset[str] = frozenset()
    for version in versions:
        targets = range(version.k)
        found = search_for(
            subject_of(run.snapshot, version), archive.split("test"), targets, options, listener=listener
        )
        shown += [a for a in found.shown if all(a.coordinate != other.coordinate for other in shown)]
        searched |= found.images
    return run, tuple(shown), searched


def _attribute_of(explanation: Explanation, named: str, folder: str | Path) -> Attribute:
    """An attribute by its number, from 1, or its name.

    Raises:
        SearchError: there is none.
    """
    ranking = explanation.ranking
    given = str(named).strip()
    if given.isdecimal() and len(given) < 10 and 1 <= int(given) <= len(ranking):
        return ranking[int(given) - 1]
    alike = [attribute for attribute in ranking if attribute.name == given]
    if len(alike) == 1:
        return alike[0]
    listed = ", ".join(f"{i} {a.name}" for i, a in enumerate(ranking, start=1)) or "none"
    raise SearchError(
        f"{folder} has no attribute {given[:80]!r}; its attributes are {listed[:500]}: give one's number or name"
    )


def _marks_in(descriptors: str | Path | None, descriptor: str | None) -> Descriptors | None:
    """The table of marks, where there is one; with the column that is meant.

    Raises:
        ConfigError: a column is named of no table.
        DataError: the table cannot be read, or has no such column.
    """
    from stylex.bias.marked import column_of
    from stylex.data.descriptors import read_descriptors

    if descriptors is None:
        if descriptor is not None:
            raise ConfigError(
                f"{option('descriptor', descriptor)} is a column of a table: give {option('descriptors')} too"
            )
        return None
    table = read_descriptors(descriptors)
    column_of(table, descriptor)
    return table


def _marked_in(
    subject: TrainedSubject,
    images: ImageSet,
    descriptors: Descriptors,
    descriptor: str | None,
    seed: int,
    listener: Listener,
) -> Marked:
    """The direction between the groups that a table marks; tells how well it reads them."""
    from stylex.bias.marked import WEAK, marked_direction

    marked = marked_direction(subject, images, descriptors, descriptor, seed=seed)
    many = "; ".join(f"{label} {up} high, {down} low" for label, (up, down) in marked.counts.items())
    said = (
        f"{marked.attribute.name}: {len(marked.high)} training images are marked ({many}); {marked.right:.0%} of those "
        f"left out of the fit are read right ({marked.by_chance:.0%} with marks exchanged)"
    )
    listener(Found(message=said) if marked.right >= WEAK else Alarm(message=f"{said}: mark more of the rarer kinds"))
    if unknown := len(descriptors.images) - len(descriptors.of(images.names, images.files)[0]):
        listener(Alarm(message=f"{unknown} rows of the table name no image of {images.path}, and count for nothing"))
    return marked


def _run_of(
    explanation: Explanation,
    folder: str | Path,
    run: str | Path | None,
    classifier: ClassifierLike | None,
    classifier_spec: ClassifierSpecLike | None,
    other_classifier: bool,
    device: str,
    listener: Listener,
) -> Run:
    """The run that an explanation was found with, in its own space.

    Raises:
        SearchError: neither the one given nor the recorded one is there.
    """
    from stylex.models.hub import on_the_hub

    said = explanation.settings.get("run")
    path = run if run is not None else said
    if run is None and on_the_hub(said):
        raise SearchError(
            f"{folder} was found with the run {said!r:.300}, and nothing is fetched because a file names it: give it "
            f"again, with {option('run', said)}"
        )
    if not isinstance(path, str | Path) or not (on_the_hub(path) or is_demo(path) or Path(path).exists()):
        raise SearchError(
            f"{folder} was found with the run {str(said)!r}, which is not there; say where it is now, with "
            f"{option('run')}"
        )
    if classifier is None and isinstance(explanation.settings.get("classifier"), str):
        recorded = Path(explanation.settings["classifier"])
        classifier = recorded if recorded.exists() else None
    return _run_at(path, classifier, classifier_spec, other_classifier, device, listener)


def _run_at(
    path: str | Path,
    classifier: ClassifierLike | None,
    classifier_spec: ClassifierSpecLike | None,
    other_classifier: bool,
    device: str,
    listener: Listener,
) -> Run:
    from stylex.opening import Run

    return Run.open(
        path,
        classifier=classifier,
        classifier_spec=classifier_spec,
        other_classifier=other_classifier,
        device=device,
        listener=listener,
    )


def _is_run(given: str | Path) -> bool:
    """Whether a run's folder or a snapshot is meant, rather than a classifier."""
    from stylex.models.hub import on_the_hub

    return on_the_hub(given) or any((Path(given) / own).exists() for own in ("snapshots", "snapshot.json"))


def _version(given: str | Path, spec: ClassifierSpecLike | None, device: str) -> Classifier:
    """One version of a classifier: a run's, or one by itself."""
    from stylex.classifiers import load_classifier
    from stylex.opening import Run, refuse_regression, spec_of

    if _is_run(given):
        return Run.open(given, classifier_spec=spec, device=device).classifier
    opened = load_classifier(given, spec_of(spec)).to(device)
    refuse_regression(opened)
    return opened


def _some_of(images: ImageSet, device: str) -> Iterator[Tensor]:
    """Images enough to know how a regression's numbers lie, spread over the set."""
    import numpy as np

    rows = np.linspace(0, len(images) - 1, min(len(images), _MEASURED)).round().astype(int)
    for part in np.array_split(rows, -(-len(rows) // 64)):
        yield images.batch(part).to(device)


_MEASURED = 2000
"""Training images on which mean and deviation of a regression's numbers are measured, at most."""


def _compare_labels(classifier: Classifier, images: ImageSet, held_out: ImageSet, listener: Listener) -> None:
    """Tell how often the classifier is right on the archive's labels, and warn of what its spec seems to have wrong."""
    import numpy as np

    from stylex.classifiers import LabelledRows, check_labels

    some = held_out if len(held_out) >= _ENOUGH_TO_JUDGE else images
    if some.labels is None or classifier.activation == "regression":
        return
    if some.labels_from is not None:
        listener(
            Found(message=f"the data's labels are {some.labels_from}: they say nothing of how good a classifier is")
        )
        return
    rows = LabelledRows(indices=np.arange(len(some)), labels=some.labels)
    checked = check_labels(classifier, some.batch, rows, some.label_names)
    listener(Found(message=checked.said))
    for warning in checked.warnings:
        listener(Alarm(message=warning))


_ENOUGH_TO_JUDGE = 100
"""Held-out images by which alone a classifier is judged; where there are fewer, by all images."""


def _draw_panel(panel: Panel) -> bytes:
    """A training's panel as a PNG: rows of pictures with the classifier's probabilities."""
    from stylex.report.figures import encode
    from stylex.report.figures import panel as grid

    def note(p: NDArray[np.float32]) -> str:
        best = int(p.argmax())
        return f"{panel.labels[best][:12]} {p[best]:.2f}"

    return encode(
        grid(
            [list(pictures) for pictures in panel.rows.values()],
            list(panel.rows),
            notes=[[note(p) for p in row] for row in panel.probabilities.values()],
        )
    )
