"""Planted causes: drawn images whose factors are known, so that an explanation can be checked against the truth.

An image is decided by (family, kind of factors, seed, index): its factors, its label, and everything that is chance in
it. The same image can be drawn again with one factor changed and all else equal, and at any size.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float, Int64, UInt8
from numpy import ndarray

from stylex.core.errors import DataError
from stylex.core.files import write_whole
from stylex.data.archive import ArchiveIndex, write_archive
from stylex.data.descriptors import table_of
from stylex.data.images import check_resolution
from stylex.planted.factors import factor_values, made_to_go_together, moments
from stylex.planted.families import Family, Frame, planted_family

_NUISANCES = 96
"""Standard normal numbers of chance that each image has, for its drawing to use."""
_CHUNK = 256
_STEEPNESS = 3.0
"""Slope of the label's probability over the rule's score, which has a standard deviation of 1."""


@dataclass(frozen=True, eq=False, kw_only=True)
class Planted:
    """Images with known factors, not yet drawn.

    Attributes:
        family: what is drawn.
        seed: of factors, labels and chance.
        bias: probability that the spurious factor is drawn from the half that goes with the label.
        indices: ``n`` numbers of the images.
        factors: ``n f`` in 0..1.
        labels: ``n`` of 0 and 1, by the family's rule (shuffled, if that was asked for).
        shuffled: whether the labels are those of other images.
        kind: how the factors are distributed, one of ``factors.KINDS``.
    """

    family: Family
    seed: int
    bias: float
    indices: Int64[ndarray, " n"]
    factors: Float[ndarray, "n f"]
    labels: Int64[ndarray, " n"]
    shuffled: bool = False
    kind: str = "uniform"

    @classmethod
    def sample(
        cls,
        family: str,
        indices: Sequence[int],
        *,
        seed: int,
        bias: float = 0.5,
        shuffled: bool = False,
        kind: str = "uniform",
    ) -> Planted:
        """The images of these numbers.

        Raises:
            DataError: there is no such family or kind of factors, or the bias is no probability.
        """
        drawn = planted_family(family, kind)
        if not 0 <= bias <= 1:
            raise DataError(f"bias {bias}: expected a probability between 0 and 1, such as 0.5")
        numbers = np.asarray(indices, np.int64)
        mean, covariance = moments(kind, drawn.factors)
        weights = np.array([drawn.rule.get(name, 0.0) for name in drawn.factors])
        score = _Score(mean=mean, weights=weights / np.sqrt(weights @ covariance @ weights))
        rows = [_decide(drawn, kind, score, np.random.default_rng([seed, 0, int(i)]), bias) for i in numbers]
        labels = np.array([label for _, label in rows], np.int64)
        if shuffled:
            labels = labels[np.random.default_rng([seed, 1]).permutation(len(labels))]
        factors = np.array([factors for factors, _ in rows]).reshape(len(numbers), len(drawn.factors))
        return cls(
            family=drawn,
            seed=seed,
            bias=bias,
            indices=numbers,
            factors=factors,
            labels=labels,
            shuffled=shuffled,
            kind=kind,
        )

    @classmethod
    def named(cls, names: Sequence[str]) -> Planted:
        """The images of an archive that ``write_planted`` wrote, by their names (labels unshuffled).

        Raises:
            DataError: a name is not one that was given there, or the names are of several sets.
        """
        found = [
            re.fullmatch(r"([a-z]+)(?:-([a-z]+))?-s(\d+)-b(\d+)-(\d{6})", name.rsplit(".", 1)[0]) for name in names
        ]
        sets = {match and match.groups()[:4] for match in found}
        if len(sets) != 1 or None in sets:
            raise DataError(
                f"the images are called {', '.join(names[:3])}, ..., not as drawn ones are: the factors are known of "
                "images from one archive of write_planted only"
            )
        family, kind, seed, bias = next(match.groups()[:4] for match in found if match)
        indices = [int(match[5]) for match in found if match]
        return cls.sample(family, indices, seed=int(seed), bias=int(bias) / 100, kind=kind or "uniform")

    def __len__(self) -> int:
        return len(self.indices)

    @property
    def names(self) -> tuple[str, ...]:
        """What the images are called."""
        drawn = self.family.name if self.kind == "uniform" else f"{self.family.name}-{self.kind}"
        return tuple(f"{drawn}-s{self.seed}-b{round(100 * self.bias)}-{i:06d}" for i in self.indices)

    def pictures(
        self, resolution: int, *, factors: Float[ndarray, "n f"] | None = None, rows: slice = slice(None)
    ) -> UInt8[ndarray, "n h w 3"]:
        """Draw the images, with these factors instead of their own where given.

        Args:
            resolution: side in pixels.
            factors: other factors; everything else about the images stays.
            rows: which of the images.
        """
        chance = np.array(
            [np.random.default_rng([self.seed, 2, int(i)]).standard_normal(_NUISANCES) for i in self.indices[rows]]
        )
        wanted = (self.factors if factors is None else factors)[rows]
        centres = ((np.arange(resolution) + 0.5) / resolution * 2 - 1).astype(np.float32)
        frame = Frame(*np.meshgrid(centres, -centres), 2 / resolution)
        parts = [
            self.family.draw(
                frame,
                dict(zip(self.family.factors, wanted[at : at + _CHUNK].astype(np.float32).T, strict=True)),
                chance[at : at + _CHUNK].astype(np.float32),
            )
            for at in range(0, len(wanted), _CHUNK)
        ]
        return np.concatenate([(part.clip(0, 1) * 255).round().astype(np.uint8) for part in parts])

    def intervened(self, factor: str, value: float) -> Float[ndarray, "n f"]:
        """The factors, one of them set to the same value everywhere."""
        changed = self.factors.copy()
        changed[:, self.family.factors.index(factor)] = value
        return changed


def write_planted(
    out: Path,
    *,
    family: str,
    images: int,
    resolution: int,
    seed: int = 0,
    bias: float = 0.5,
    shuffled: bool = False,
    kind: str = "uniform",
) -> Planted:
    """Draw images into an archive, labelled by the family's rule.

    Args:
        out: the archive to write.
        family: ``leaves`` or ``cells``.
        images: how many.
        resolution: side in pixels, a power of two.
        seed: of everything.
        bias: probability that the spurious factor is drawn from the half that goes with the label.
        shuffled: give each image another one's label, so that nothing can be learnt.
        kind: how the factors are distributed, one of ``factors.KINDS``.

    Raises:
        DataError: no such family or kind of factors, a size that cannot be, or the archive cannot be written.
    """
    check_resolution(resolution)
    if images < 1:
        raise DataError(f"{images} images: expected 1 or more")
    planted = Planted.sample(family, range(images), seed=seed, bias=bias, shuffled=shuffled, kind=kind)
    names = tuple(f"{name}.png" for name in planted.names)
    index = ArchiveIndex(
        resolution=resolution,
        channels=3,
        names=names,
        labels=[int(label) for label in planted.labels],
        label_names=planted.family.labels,
        split_keys=names,
        splits=[None] * images,
        groups=[None] * images,
        contents=[None] * images,
    )

    def pictures() -> Iterator[UInt8[ndarray, "h w 3"]]:
        for at in range(0, images, _CHUNK):
            yield from planted.pictures(resolution, rows=slice(at, at + _CHUNK))

    write_archive(out, pictures(), index)
    return planted


def write_factors(out: Path, planted: Planted) -> Path:
    """Write a table of descriptors: what is known of drawn images, which is all that they were drawn from.

    Args:
        out: the CSV to write; columns ``image`` and one for each factor.
        planted: the images, as ``write_planted`` returns them, or ``Planted.named`` knows them by an archive's names.

    Raises:
        DataError: the file cannot be written.
    """
    columns = dict(zip(planted.family.factors, planted.factors.T.tolist(), strict=True))
    text = table_of([f"{name}.png" for name in planted.names], columns)
    write_whole(out, text.encode(), error=DataError)
    return out


@dataclass(frozen=True, kw_only=True)
class _Score:
    """The rule's score of an image: mean 0 and standard deviation 1 over images without bias."""

    mean: Float[ndarray, " f"]
    weights: Float[ndarray, " f"]


def _decide(
    family: Family, kind: str, score: _Score, random: np.random.Generator, bias: float
) -> tuple[Float[ndarray, " f"], int]:
    # Factors and label of one image.
    u = random.random(len(family.factors))
    chance, biased = random.random(2)
    u = made_to_go_together(kind, u, random.standard_normal())
    height = float((factor_values(kind, family.factors, u) - score.mean) @ score.weights)
    label = int(chance < 1 / (1 + np.exp(-_STEEPNESS * height)))
    spurious = family.factors.index(family.spurious)
    if biased < bias:
        u[spurious] = (u[spurious] + label) / 2
    return factor_values(kind, family.factors, u), label
