"""Classes searched for: effects are measured once, and ranked for each of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float, Float32, Int64
from numpy import ndarray
from torch import Tensor

from stylex.core.attribute import AttributeRanking
from stylex.core.errors import SearchError
from stylex.core.progress import Found, Listener, silent
from stylex.core.wording import option
from stylex.models.processes import Processes
from stylex.search.choosing import few
from stylex.search.config import SearchConfig
from stylex.search.controls import RandomBeside
from stylex.search.effects import EffectTable, Measuring, expect_finite, stream_effects
from stylex.search.encoding import Searched
from stylex.search.methods import method_for
from stylex.search.on_demand import EffectsOnDemand
from stylex.search.screen import Screened, Screening, screen
from stylex.search.subject import TrainedSubject
from stylex.search.task import Task
from stylex.search.together import CANDIDATES

_EXACT_PICTURES = 500_000
"""A search is exact, unless asked, while it draws no more pictures than this: some minutes on two cores at 32 px."""


@dataclass(frozen=True, eq=False, kw_only=True)
class Workplace:
    """Where a search works: its folder for measured effects, other processes, and who hears of it.

    Attributes:
        folder: keep measured effects here, to go on after an interruption.
        processes: who else measures effects (into the same folder).
        listener: hears the progress.
    """

    folder: Path | None = None
    processes: Processes = field(default_factory=Processes)
    listener: Listener = silent


@dataclass(frozen=True, eq=False, kw_only=True)
class ClassSearch:
    """What a search found.

    Attributes:
        tasks: one for each class driven to, with its measured effects.
        rankings: of each task.
        rows: the images that were measured, as positions among those given.
        screened: what a screen kept, if one was used.
    """

    tasks: tuple[Task, ...]
    rankings: tuple[AttributeRanking, ...]
    rows: Int64[ndarray, " r"]
    screened: Screened | None


@dataclass(frozen=True, eq=False, kw_only=True)
class Measured:
    """Effects on all the classes that are searched for, measured once.

    Attributes:
        subject: the networks.
        s: style vectors of the images measured.
        logits: what the classifier says of these images themselves.
        effects: of every move on them; a screen's are measured when they are asked for.
        rows: those images, as positions among those given.
        screened: what a screen kept, if one was used.
    """

    subject: TrainedSubject
    s: Float[Tensor, "r s_dim"]
    logits: Float32[ndarray, "r k"]
    effects: EffectTable
    rows: Int64[ndarray, " r"]
    screened: Screened | None

    def task(
        self, config: SearchConfig, target: int, *, source: int | None = None, beside: RandomBeside | None = None
    ) -> Task:
        """What a ranking of one class is given; of many classes they share the random moves to be compared with."""
        effects = self.effects
        if isinstance(effects, EffectsOnDemand) and self.screened is not None and config.selection != "notebook":
            # (The notebook's rule looks at what was kept of both classes together.)
            effects = effects.among(self.screened.of.get(target, effects.indices))
        task = Task.of(self.subject, self.s, effects, target, source)
        return replace(
            task, photographs=self.logits, accounted=config.accounted, threshold=config.threshold, beside=beside
        )


def measure_classes(
    subject: TrainedSubject,
    encoded: Searched,
    config: SearchConfig,
    targets: Sequence[int],
    *,
    source: int | None = None,
    num: int,
    at: Workplace,
) -> Measured | None:
    """Measure what every move does to the classes that are searched for.

    Args:
        subject, encoded, config, targets, source: as in ``search_classes``.
        num: attributes of each target, which a screen is to hold.
        at: where.

    Returns:
        The effects; of several processes the first one's only, as the others end when all is measured.

    Raises:
        SearchError, ConfigError: as in ``search_classes``.
    """
    method = method_for(config)
    indices, screened, rows = subject.indices, None, np.arange(len(encoded.s))
    said = encoded.logits.cpu().numpy()
    expect_finite(said, encoded.ids, of="image")
    blind = not subject.classifier.gradient
    if blind and config.search == "screened" and not method.few:
        raise SearchError(
            f"{option('search', 'screened')} screens by gradients, and the classifier gives none; give "
            f"{option('search', 'exact')}, with fewer images where that is much"
        )
    large = not blind and 2 * len(indices) * len(encoded.s) > _EXACT_PICTURES
    if method.few:
        if config.search == "screened":
            rows = few(encoded.logits_rec.cpu().numpy(), targets, subject.output, source=source)
    elif config.search == "screened" or (config.search == "auto" and large):
        how = Screening(
            shift_range=config.shift_range,
            top=CANDIDATES if config.selection == "together" else num,
            recall=config.recall,
            precision=config.precision,
            folder=at.folder if at.processes.size == 1 else None,
        )
        screened = screen(
            subject,
            encoded.s,
            targets,
            source=source,
            indices=indices,
            image_ids=encoded.ids,
            how=how,
            listener=at.listener,
        )
        at.listener(Found(message=f"{screened.note}."))
        if screened.effects is not None and method.layer is None and at.processes.size == 1:
            return Measured(
                subject=subject,
                s=encoded.s,
                logits=said,
                effects=screened.effects,
                rows=rows,
                screened=screened,
            )
    s = encoded.s[torch.from_numpy(rows).to(encoded.s.device)]
    effects = stream_effects(
        subject,
        s,
        image_ids=[encoded.ids[row] for row in rows],
        indices=indices if screened is None else screened.indices,
        how=Measuring(
            shift_range=config.shift_range,
            precision=config.precision if screened is None else "float32",
            classes=sorted({*targets, *(() if source is None else (source,))}),
            folder=at.folder,
            processes=at.processes,
        ),
        listener=at.listener,
    )
    if not at.processes.first:
        return None
    return Measured(subject=subject, s=s, logits=said[rows], effects=effects, rows=rows, screened=screened)


def search_classes(
    subject: TrainedSubject,
    encoded: Searched,
    config: SearchConfig,
    targets: Sequence[int],
    *,
    source: int | None = None,
    num: int | None = None,
    at: Workplace | None = None,
) -> ClassSearch | None:
    """Measure effects once, and rank them for each target.

    Args:
        subject: the networks, in the space that the config's method searches.
        encoded: the images to search on.
        config: how to search.
        targets: classes to drive to.
        source: start only from images predicted this class.
        num: attributes of each target (default: the config's).
        at: where.

    Returns:
        What was found; of several processes the first one's only, as the others end when all is measured.

    Raises:
        SearchError: a class that cannot be searched for.
        ConfigError: the method does not take one of the settings.
    """
    at, num = at or Workplace(), num or config.attributes
    ranking = method_for(config).rankings[config.selection]
    measured = measure_classes(subject, encoded, config, targets, source=source, num=num, at=at)
    if measured is None:
        return None
    tasks = tuple(measured.task(config, target, source=source) for target in targets)
    return ClassSearch(
        tasks=tasks,
        rankings=tuple(ranking(task, num, at.listener) for task in tasks),
        rows=measured.rows,
        screened=measured.screened,
    )
