"""A training, and trainings looked at while they run and afterwards."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

from stylex.core.errors import ConfigError, DataError, TrainingError
from stylex.core.lock import one_writer
from stylex.core.progress import Alarm, Found, Listener, silent
from stylex.core.wording import option
from stylex.models.config import Freeze
from stylex.verbs.opened import require_same_answers
from stylex.verbs.panel import draw_panel

if TYPE_CHECKING:
    from torch import Tensor

    from stylex.classifiers import Classifier
    from stylex.data import ImageSet
    from stylex.opening import ClassifierLike, ClassifierSpecLike
    from stylex.search.subject import TrainedSubject
    from stylex.store.runs import RunInfo
    from stylex.training.config import TrainConfig
else:  # names for those who read the signatures at run time, without what they would import
    Classifier = ClassifierLike = ClassifierSpecLike = ImageSet = RunInfo = TrainConfig = TrainedSubject = Any


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
        require_same_answers(folder, explained)
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
            draw_panel=draw_panel,
            device=on,
            listener=heard,
        )
    if first:
        for sentence in _not_drawn(folder, explained, held_out, on):
            listener(Alarm(message=sentence))
        tell_calls(explained, listener)
    return folder


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
