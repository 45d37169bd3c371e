"""Does the generator keep what the classifier sees?"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from stylex.classifiers import perceptual_distance
from stylex.evaluation.sheet import Sheet
from stylex.evaluation.told import compare_numbers
from stylex.metrics.agreement import NEAR, divergence, with_others
from stylex.search.encoding import encode_set


def measure(sheet: Sheet) -> None:
    """Agreement, |p - p_rec|, KL, pixel L1 and perceptual distance, over all held-out images."""
    images, classifier = sheet.sample(sheet.inputs.held_out), sheet.subject.classifier
    rows: dict[str, list[Tensor]] = {"agreement": [], "probability_error": [], "kl": [], "pixel_l1": []}
    perceived: list[Tensor] = []
    answered: list[tuple[Tensor, Tensor]] = []
    for part in np.array_split(np.arange(len(images)), -(-len(images) // 256)):
        e = encode_set(sheet.subject, images.subset(part))
        said, said_rec = e.logits[:, : classifier.own], e.logits_rec[:, : classifier.own]
        answered.append((said, said_rec))
        p, p_rec = classifier.probabilities(said), classifier.probabilities(said_rec)
        if sheet.numbers is not None:
            rows["agreement"].append(((said - said_rec).abs() <= NEAR).float().mean(dim=1))
            rows.pop("probability_error", None)
        elif sheet.output == "softmax":
            named = said.argmax(dim=1)
            rows["agreement"].append((named == said_rec.argmax(dim=1)).float())
            rows["probability_error"].append((p - p_rec).abs().gather(1, named[:, None])[:, 0])
        else:
            rows["agreement"].append(((said >= 0) == (said_rec >= 0)).float().mean(dim=1))
            rows["probability_error"].append((p - p_rec).abs().mean(dim=1))
        rows["kl"].append(divergence(said, said_rec, sheet.output))
        rows["pixel_l1"].append((e.x_rec - e.x).abs().mean(dim=(1, 2, 3)))
        with torch.inference_mode():
            for x, x_rec in zip(e.x.split(64), e.x_rec.split(64), strict=True):
                maps, maps_rec = classifier.features(x), classifier.features(x_rec)
                if maps:
                    perceived.append(perceptual_distance(maps, maps_rec))
    for name, values in rows.items():
        sheet.add(f"reconstruction.{name}", sheet.mean(torch.cat(values).double().cpu().numpy()), images=len(images))
    if len(images) > 1:
        every, every_rec = (torch.cat(each) for each in zip(*answered, strict=True))
        others = with_others(every, every_rec, sheet.output)
        sheet.add("reconstruction.agreement_other", sheet.mean(others.double().cpu().numpy()), images=len(images))
        if sheet.numbers is not None:
            compare_numbers(sheet, "reconstruction", every, {"": every_rec, "_other": every_rec.roll(1, dims=0)})
    if perceived:
        sheet.add(
            "reconstruction.perceptual",
            sheet.mean(torch.cat(perceived).double().cpu().numpy()),
            images=len(images),
            by="the explained classifier's features",
        )
    else:
        sheet.notes.append("No perceptual distance: the classifier shows no feature maps.")
