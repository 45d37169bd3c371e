"""Probes: what is known of images, read from the encoder's latent by linear models, cross-validated.

They say what an attack changed, and give attributes that were found the names of what they change.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from jaxtyping import Bool, Float, Int64
from numpy import ndarray

from stylex.core.attacked import Kind, Probe, Score
from stylex.core.errors import ConfigError, SearchError
from stylex.data.archive import ImageSet
from stylex.data.descriptors import Descriptors
from stylex.metrics.interval import mean_interval
from stylex.search.choosing import spread
from stylex.search.latents import Read

WEAK_AUC, WEAK_R2 = 0.75, 0.25
"""Below this, on images left out of the fit, nothing is claimed of a descriptor: a correlation of about .5."""
_FOLDS = 5
_FEWEST = 40
"""Images that a probe needs."""
_LEAST_OF_A_KIND = 10
_MOST = 2000
"""Images that probes are fitted on."""
_READ_AT_ONCE = 256
_PENALTIES = np.logspace(-2, 4, 13)


@dataclass(frozen=True, eq=False, kw_only=True)
class Probes:
    """Fitted probes of some descriptors.

    Attributes:
        probes: how well each reads.
        models: of scikit-learn, one each.
        std: of each descriptor, over the images that it was fitted on.
    """

    probes: tuple[Probe, ...]
    models: tuple[Any, ...]
    std: Float[ndarray, " m"]

    @property
    def strong(self) -> Bool[ndarray, " m"]:
        """Which of them read well enough for claims."""
        return np.array([not probe.weak for probe in self.probes], bool)

    def read(self, latents: Float[ndarray, "n d"]) -> Float[ndarray, "n m"]:
        """What they read, in standard deviations of the descriptors: of a binary one, its probability."""
        read = [
            model.predict_proba(latents)[:, 1] if probe.kind == "binary" else model.predict(latents)
            for probe, model in zip(self.probes, self.models, strict=True)
        ]
        return np.stack([np.asarray(values, np.float64) for values in read], axis=1) / self.std


def check_installed() -> None:
    """Say before any work that descriptors cannot be read.

    Raises:
        ConfigError: scikit-learn is not installed.
    """
    try:
        import sklearn  # noqa: F401
    except ImportError:
        raise ConfigError("descriptors need scikit-learn; install it with: pip install 'stylex[descriptors]'") from None


def fit_probes(
    latents: Float[ndarray, "n d"],
    values: Float[ndarray, "n m"],
    descriptors: Descriptors,
    *,
    keys: Sequence[str] | None = None,
    seed: int = 0,
) -> Probes:
    """Fit one linear probe to each descriptor: logistic regression (binary) or ridge regression (continuous).

    Args:
        latents: the encoder's, of images that nothing is claimed about.
        values: of the same images; nan where nothing is known.
        descriptors: names and kinds of the columns.
        keys: of the images; those of one key (one patient, or the same picture twice) are left out of a fit together.
        seed: of the division into folds, and of the exchanged rows.

    Raises:
        SearchError: too few images have a descriptor, or one kind of it.
        ConfigError: scikit-learn is not installed.

    Source: Goldwasser & Hooker, who do not say how well their probes read; Alain & Bengio 2017.
    """
    check_installed()
    random = np.random.default_rng(seed)
    probes, models, deviations = [], [], []
    for name, binary, column in zip(descriptors.names, descriptors.binary, values.T, strict=True):
        known = np.isfinite(column)
        x, y = latents[known], column[known]
        together = np.unique(np.arange(len(column)) if keys is None else np.array(keys), return_inverse=True)[1][known]
        rarest = int(min((y == 0).sum(), (y == 1).sum())) if binary else len(y)
        if len(y) < _FEWEST or rarest < _LEAST_OF_A_KIND or y.std() == 0:
            raise SearchError(
                f"the descriptor {name!r} is known of {len(y)} images that are read" + (f", of {rarest} in its rarer "
                "kind" if binary else "") + f"; give at least {_FEWEST}, {_LEAST_OF_A_KIND} of each kind, that differ, "
                "or leave the column out"
            )  # fmt: skip
        quality, by_chance = (_quality(x, each, together, binary) for each in (y, random.permutation(y)))
        weak = quality < (WEAK_AUC if binary else WEAK_R2)
        kind: Kind = "binary" if binary else "continuous"
        probes.append(Probe(descriptor=name, kind=kind, images=len(y), quality=quality, shuffled=by_chance, weak=weak))
        models.append(_model(binary).fit(x, y))
        deviations.append(float(y.std()))
    return Probes(probes=tuple(probes), models=tuple(models), std=np.array(deviations))


def fit_on(
    read: Read, images: ImageSet, descriptors: Descriptors, *, without: Collection[str], device: torch.device
) -> Probes:
    """Probes fitted on images that the table knows, spread over the archive.

    Args:
        read: what the probes read.
        images: the whole archive.
        descriptors: the table.
        without: names of images that something is to be claimed of.
        device: where the networks are.

    Raises:
        DataError: the table knows none of the images.
        SearchError: too few images have a descriptor.
    """
    rows, values = descriptors.of(images.names, images.files)
    free = np.array([images.names[row] not in without for row in rows], bool)
    rows, values = rows[free], values[free]
    chosen = spread(len(rows), min(len(rows), _MOST))
    parts = np.array_split(rows[chosen], max(len(chosen) // _READ_AT_ONCE, 1))
    latents = [read(images.batch(part).to(device)) for part in parts if len(part)]
    keys = [images.split_keys[row] for row in rows[chosen]]
    return fit_probes(np.concatenate(latents) if latents else np.zeros((0, 1)), values[chosen], descriptors, keys=keys)


def _model(binary: bool) -> Any:
    from sklearn.linear_model import LogisticRegression, RidgeCV
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    return make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000) if binary else RidgeCV(_PENALTIES))


def _quality(x: Float[ndarray, "n d"], y: Float[ndarray, " n"], together: Int64[ndarray, " n"], binary: bool) -> float:
    """On images left out of the fit, and on none that belongs to one in it: area under the ROC curve, or R2."""
    from sklearn.metrics import r2_score, roc_auc_score
    from sklearn.model_selection import GroupKFold, StratifiedGroupKFold, cross_val_predict

    folds = (StratifiedGroupKFold if binary else GroupKFold)(min(_FOLDS, len(np.unique(together))))
    how = "decision_function" if binary else "predict"
    said = cross_val_predict(_model(binary), x, y, cv=folds, groups=together, method=how)
    return float(roc_auc_score(y, said) if binary else r2_score(y, said))


def global_scores(
    probes: Sequence[Probe], changes: Float[ndarray, "n m"], signs: Float[ndarray, " n"]
) -> tuple[Score, ...]:
    """How each descriptor goes with the class: the signed mean of its changes, with its interval over images.

    Every counterfactual is compared with its own original. Weak probes are left out.

    Args:
        probes: in the order of the columns.
        changes: what was read of each counterfactual less what was read of its original.
        signs: +1 for an image that was driven towards the class, -1 for one that was driven away.
    """
    scores = [
        Score(descriptor=probe.descriptor, change=mean_interval(signs * column), images=len(signs))
        for probe, column in zip(probes, changes.T, strict=True)
        if not probe.weak
    ]
    return tuple(sorted(scores, key=lambda score: -abs(score.change.value)))
