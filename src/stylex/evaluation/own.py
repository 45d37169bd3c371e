"""How many images do attributes turn that are chosen for each image?"""

from __future__ import annotations

import numpy as np
import torch

from stylex.core.evaluation import About
from stylex.evaluation.sheet import TOPS, Sheet
from stylex.search.counterfactual import subset
from stylex.search.effects import Measuring, measure_effects
from stylex.search.task import Task


def measure(sheet: Sheet) -> None:
    """Fraction of images that attributes turn which were chosen for each image by itself."""
    for target, ranking in sheet.found.rankings.items():
        label, s, rows = sheet.starts(target)
        few = np.unique(np.linspace(0, len(s) - 1, min(sheet.options.own, len(s))).round().astype(np.int64))
        if len(s) == 0 or not ranking:
            continue
        s, names = s[torch.from_numpy(few).to(s.device)], [sheet.measured.ids[rows[i]] for i in few]
        effects = measure_effects(
            sheet.subject,
            s,
            image_ids=names,
            indices=sheet.subject.indices if sheet.found.strong is None else sheet.found.strong,
            how=Measuring(shift_range=ranking[0].shift_range),
        )
        task = Task.of(sheet.subject, s, effects, target)
        paths = [subset(task, i, budget=max(TOPS)).path for i in range(len(s))]
        for top in TOPS:
            turned = [sheet.turned(path[0], path[min(top, len(path) - 1)], target) for path in paths]
            flips = sheet.mean(np.array(turned))
            sheet.add(
                About("own", "attributes", target=label, top=top),
                flips,
                images=len(s),
                note="searched on the image itself",
            )
