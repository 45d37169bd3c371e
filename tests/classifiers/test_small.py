"""The house classifier: it learns in seconds, the same from the same seed, and its folder is whole or refused."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor

from stylex.classifiers import (
    Classifier,
    ClassifierSpec,
    FitConfig,
    LabelledRows,
    SmallCNN,
    check_classifier,
    fingerprint,
    fit_small_classifier,
    load_classifier,
    save_small_classifier,
)
from stylex.classifiers.small import augment
from stylex.core.errors import ClassifierError
from stylex.core.progress import Event, Step, silent

Spec = Callable[..., ClassifierSpec]


def blobs(n: int, *, channels: int = 1) -> tuple[Tensor, NDArray[np.int64]]:
    """Noise with a bright bar: upright (0) or lying (1)."""
    rng = torch.Generator().manual_seed(0)
    x = torch.rand(n, channels, 16, 16, generator=rng) - 0.9
    y = torch.arange(n) % 2
    x[y == 0, :, 3:13, 7:9] = 0.8
    x[y == 1, :, 7:9, 3:13] = 0.8
    return x.clamp(-1, 1), y.numpy()


def fit(labels: NDArray[np.int64] | None = None, **options: Any) -> tuple[Classifier, dict[str, float]]:
    x, y = blobs(192)
    y = y if labels is None else labels
    order = np.arange(192)
    names = options.pop("label_names", ("upright", "lying"))
    listener, start = options.pop("listener", silent), options.pop("start", None)
    settings: dict[str, Any] = {"width": 4, "epochs": 6, "batch_size": 16}
    return fit_small_classifier(
        lambda i: x[torch.from_numpy(i)],
        LabelledRows(indices=order[:128], labels=y[:128]),
        LabelledRows(indices=order[128:], labels=y[128:]),
        names,
        FitConfig(**(settings | options)),
        start=start,
        listener=listener,
    )


def test_it_learns_a_toy_in_seconds_and_tells_of_it() -> None:
    heard: list[Event] = []
    classifier, figures = fit(listener=heard.append)
    assert figures["accuracy"] >= 0.95
    assert figures["balanced_accuracy"] >= 0.95
    assert [e.done for e in heard if isinstance(e, Step)] == [1, 2, 3, 4, 5, 6]
    check_classifier(classifier, channels=1, resolution=16)
    assert [f.shape[2] for f in classifier.features(torch.zeros(1, 1, 16, 16))] == [16, 8, 4]


@pytest.mark.parametrize("epochs", [1, 2, 3, 4, 5])
@pytest.mark.parametrize("n", [1, 2, 6])
def test_a_handful_of_photographs_and_epochs_is_enough_to_run(n: int, epochs: int) -> None:
    x, y = blobs(8)
    order = np.arange(8)
    classifier, _ = fit_small_classifier(
        lambda i: x[torch.from_numpy(i)],
        LabelledRows(indices=order[:n], labels=y[:n]),
        LabelledRows(indices=order, labels=y),
        ("upright", "lying"),
        FitConfig(width=4, epochs=epochs),
    )
    assert classifier.logits(x).isfinite().all()


def test_no_epochs_are_refused() -> None:
    with pytest.raises(ClassifierError, match="0 epochs were asked for"):
        fit(epochs=0)


def test_it_learns_several_labels_at_once() -> None:
    _, y = blobs(192)
    labels = np.stack([y == 0, y == 1, np.ones_like(y)], axis=1).astype(np.int64)
    classifier, figures = fit(labels, label_names=("upright", "lying", "bar"))
    assert classifier.activation == "sigmoid"
    assert figures["accuracy"] >= 0.95


def test_the_same_seed_gives_the_same_weights_and_leaves_the_callers_random_state() -> None:
    state = torch.random.get_rng_state()
    first, second, third = (fit(epochs=1, seed=seed)[0] for seed in (3, 3, 4))
    assert fingerprint(first) == fingerprint(second) != fingerprint(third)
    assert torch.equal(torch.random.get_rng_state(), state)


@pytest.mark.parametrize(
    "labels", [np.full(192, 2), np.full(192, -1), np.zeros((192, 3), dtype=np.int64), np.full((192, 2), 7)]
)
def test_labels_that_do_not_fit_are_told(labels: NDArray[np.int64]) -> None:
    with pytest.raises(ClassifierError, match="do not fit"):
        fit(labels.astype(np.int64))


def test_a_loss_that_explodes_is_told() -> None:
    with pytest.raises(ClassifierError, match="not finite"):
        fit(learning_rate=1e30, epochs=3)


@pytest.mark.parametrize("resolution", [16, 28, 32, 64, 100, 256])
def test_every_resolution_runs(resolution: int) -> None:
    model = SmallCNN(channels=3, k=5, resolution=resolution, width=4).eval()
    assert model(torch.zeros(2, 3, resolution, resolution)).shape == (2, 5)


@pytest.mark.parametrize("wrong", [{"resolution": 8}, {"channels": 2}, {"k": 0}, {"width": 1}, {"resolution": 512}])
def test_what_it_cannot_be_is_told(wrong: dict[str, int]) -> None:
    with pytest.raises(ClassifierError):
        SmallCNN(**({"channels": 1, "k": 2, "resolution": 16} | wrong))


@pytest.mark.parametrize("n", [1, 2, 5])
def test_augmentation_keeps_shape_and_range(n: int) -> None:
    x, _ = blobs(n, channels=3)
    out = augment(x, torch.Generator().manual_seed(0), mirror=True)
    assert out.shape == x.shape
    assert out.abs().max() <= 1


def saved(folder: Path) -> Classifier:
    torch.manual_seed(0)
    model = SmallCNN(channels=1, k=2, resolution=16, width=4)
    spec = ClassifierSpec(labels=("a", "b"), input_size=16, channels=1, value_range=(-1, 1))
    classifier = Classifier(model, spec)
    save_small_classifier(classifier, folder, figures={"accuracy": 0.5})
    return classifier


def test_the_folder_round_trips(tmp_path: Path) -> None:
    folder = tmp_path / "new" / "classifier"
    classifier = saved(folder)
    again = load_classifier(folder)
    x, _ = blobs(3)
    torch.testing.assert_close(again.logits(x), classifier.logits(x), rtol=0, atol=0)
    assert again.spec == classifier.spec
    assert fingerprint(again) == fingerprint(classifier)
    saved(folder)  # over an existing one
    assert sorted(p.name for p in folder.iterdir()) == ["classifier.json", "weights.safetensors"]


def change(folder: Path, **values: Any) -> None:
    path = folder / "classifier.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | values))


@pytest.mark.parametrize(
    ("damage", "says"),
    [
        (lambda f: (f / "classifier.json").unlink(), "classifier.json"),
        (lambda f: (f / "weights.safetensors").unlink(), "weights.safetensors"),
        (lambda f: (f / "classifier.json").write_text("{"), "not JSON"),
        (lambda f: (f / "classifier.json").write_bytes(b"\xff\xfe\x00"), "not JSON"),
        (lambda f: (f / "classifier.json").write_text("[]"), "does not describe"),
        (lambda f: change(f, format="other"), "does not describe"),
        (lambda f: change(f, version=99), "version 99"),
        (lambda f: (f / "weights.safetensors").write_bytes(b"\0" * 99), "damaged"),
        (lambda f: change(f, architecture={"channels": 1, "k": 2, "resolution": 16, "width": 8}), "do not fit"),
        (lambda f: change(f, architecture={"channels": 1}), "whole numbers"),
        (lambda f: change(f, architecture={"channels": 1, "k": 2, "resolution": 10**9, "width": 4}), "resolution"),
        (lambda f: change(f, architecture={"channels": 1, "k": 2, "resolution": 16, "width": 10**5}), "do not fit"),
        (lambda f: change(f, architecture={"channels": 1, "k": 10**15, "resolution": 16, "width": 4}), "do not fit"),
        (lambda f: change(f, architecture={"channels": 1, "k": 10**40, "resolution": 16, "width": 4}), "do not fit"),
        (lambda f: change(f, spec=None), "expected a JSON object"),
        (lambda f: change(f, spec={"labels": ["a", "b"], "input_size": 16, "channels": 1, "x": 1}), "unknown key"),
    ],
)
def test_a_damaged_folder_is_one_line(tmp_path: Path, damage: Callable[[Path], object], says: str) -> None:
    saved(tmp_path)
    damage(tmp_path)
    with pytest.raises(ClassifierError, match=says) as caught:
        load_classifier(tmp_path)
    assert "\n" not in str(caught.value)


def test_a_folder_that_cannot_be_written_is_told_and_nothing_is_left(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(ClassifierError, match="No space left"):
        saved(tmp_path / "out")
    assert list(tmp_path.iterdir()) == []
    (tmp_path / "file").write_text("")
    with pytest.raises(ClassifierError, match="cannot write"):
        saved(tmp_path / "file")


def test_it_goes_on_from_another_one_which_stays_as_it_is() -> None:
    first, figures = fit()
    before = fingerprint(first)
    further, again = fit(start=first, epochs=1, learning_rate=1e-4)
    assert fingerprint(first) == before != fingerprint(further)
    assert again["accuracy"] >= figures["accuracy"] - 0.05
    with pytest.raises(ClassifierError, match="tells upright, lying"):
        fit(start=first, label_names=("up", "down"))
    with pytest.raises(ClassifierError, match="only a small classifier"):
        fit(start=Classifier(lambda x: x.mean(dim=(2, 3)), first.spec))


def test_weights_say_which_images_are_shown() -> None:
    """Labels of the images that are never shown are all wrong, and it learns the others."""
    x, y = blobs(192)
    wrong = y.copy()
    wrong[64:128] = 1 - y[64:128]
    weights = np.concatenate([np.full(64, 1 / 64), np.zeros(64)])
    _, figures = fit_small_classifier(
        lambda i: x[torch.from_numpy(i)],
        LabelledRows(indices=np.arange(128), labels=wrong[:128], weights=weights),
        LabelledRows(indices=np.arange(128, 192), labels=y[128:]),
        ("upright", "lying"),
        FitConfig(width=4, epochs=6, batch_size=16),
    )
    assert figures["accuracy"] >= 0.95
