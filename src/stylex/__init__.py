"""StylEx: what does this image classifier look at? Attributes that drive it, shown as pictures you can check.

The face of the package. Every name below is imported when it is first used, so that ``import stylex`` is
fast and brings no torch: a report is read, or a folder of explanations listed, without it.

The verbs, in the order a person uses them: ``prepare`` a folder of photographs, ``train`` a generator with
the classifier in the loop (``fit_classifier`` first, if there is none), ``find`` what moves a class or
``explain`` one image, and ``report``. The command line has the same verbs with the same options.
"""

from __future__ import annotations

import sys
from importlib import import_module
from types import ModuleType
from typing import TYPE_CHECKING, Any

from stylex.core.presenting import presented_by

if TYPE_CHECKING:
    from stylex.api import (
        adapt,
        analyse_study,
        attack,
        audit,
        classes,
        compare,
        demo,
        demo_study,
        evaluate,
        explain,
        explore,
        export,
        find,
        fit_classifier,
        guide,
        import_generator,
        mix,
        morph,
        new_study,
        open_studio,
        prepare,
        push,
        repair,
        report,
        runs,
        serve,
        serve_study,
        train,
        watch,
    )
    from stylex.classifiers import BlackBox, Classifier, ClassifierSpec, load_classifier
    from stylex.core.attacked import Attack, AttackedImage
    from stylex.core.attribute import Attribute, AttributeRanking
    from stylex.core.audited import Audit
    from stylex.core.comparison import Comparison
    from stylex.core.errors import StylexError
    from stylex.core.evaluation import Evaluation
    from stylex.core.explanation import Counterfactual, ExplainedImage, Explanation
    from stylex.core.overview import Overview
    from stylex.core.progress import Listener
    from stylex.core.studio import Frame, Studio, Turn
    from stylex.core.stylespace import StyleCoordinate, StyleSpace
    from stylex.data import ImageSet, open_images
    from stylex.models.snapshot import Snapshot, load_snapshot
    from stylex.search.latents import LatentModel
    from stylex.store.attack import read_attack
    from stylex.store.comparison import read_comparison
    from stylex.store.evaluation import read_evaluation
    from stylex.store.folder import read_explanation, write_explanation
    from stylex.training.config import PRESETS, TrainConfig

__version__ = "0.1.0"

_HOMES = {
    "stylex.api": (
        "prepare",
        "fit_classifier",
        "train",
        "runs",
        "watch",
        "import_generator",
        "export",
        "push",
        "adapt",
        "guide",
        "mix",
        "morph",
        "find",
        "classes",
        "explain",
        "attack",
        "evaluate",
        "compare",
        "repair",
        "audit",
        "report",
        "demo",
        "serve",
        "open_studio",
        "explore",
        "new_study",
        "serve_study",
        "analyse_study",
        "demo_study",
    ),
    "stylex.classifiers": ("BlackBox", "Classifier", "ClassifierSpec", "load_classifier"),
    "stylex.core.attacked": ("Attack", "AttackedImage"),
    "stylex.core.attribute": ("Attribute", "AttributeRanking"),
    "stylex.core.audited": ("Audit",),
    "stylex.core.comparison": ("Comparison",),
    "stylex.core.errors": ("StylexError",),
    "stylex.core.evaluation": ("Evaluation",),
    "stylex.core.explanation": ("Counterfactual", "ExplainedImage", "Explanation"),
    "stylex.core.overview": ("Overview",),
    "stylex.core.progress": ("Listener",),
    "stylex.core.studio": ("Studio", "Turn", "Frame"),
    "stylex.core.stylespace": ("StyleCoordinate", "StyleSpace"),
    "stylex.data": ("ImageSet", "open_images"),
    "stylex.models.snapshot": ("Snapshot", "load_snapshot"),
    "stylex.search.latents": ("LatentModel",),
    "stylex.store.attack": ("read_attack",),
    "stylex.store.comparison": ("read_comparison",),
    "stylex.store.evaluation": ("read_evaluation",),
    "stylex.store.folder": ("read_explanation", "write_explanation"),
    "stylex.training.config": ("PRESETS", "TrainConfig"),
}
_HOME_OF = {name: home for home, names in _HOMES.items() for name in names}

__all__ = [  # noqa: RUF022 (the order a person meets them)
    "prepare", "fit_classifier", "train", "runs", "watch", "import_generator", "export", "push",
    "adapt", "guide", "mix", "morph",
    "find", "classes", "explain", "attack", "evaluate", "compare", "repair", "audit", "report", "serve",
    "open_studio", "explore", "demo",
    "new_study", "serve_study", "analyse_study", "demo_study",
    "PRESETS", "TrainConfig",
    "Classifier", "ClassifierSpec", "BlackBox", "load_classifier",
    "ImageSet", "open_images",
    "Snapshot", "load_snapshot",
    "Attribute", "AttributeRanking", "Counterfactual", "ExplainedImage", "Explanation",
    "Overview", "Evaluation", "Comparison", "Audit", "Attack", "AttackedImage", "LatentModel",
    "StyleCoordinate", "StyleSpace",
    "Studio", "Turn", "Frame",
    "read_explanation", "write_explanation", "read_evaluation", "read_attack", "read_comparison",
    "Listener", "StylexError",
    "__version__",
]  # fmt: skip


def __getattr__(name: str) -> Any:
    if name not in _HOME_OF:
        raise AttributeError(f"module 'stylex' has no attribute {name!r}")
    value = getattr(import_module(_HOME_OF[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})


class _Face(ModuleType):
    """The package, whose verb ``report`` is not overwritten when the folder ``stylex.report`` is imported."""

    def __setattr__(self, name: str, value: Any) -> None:
        if not (name in _HOME_OF and isinstance(value, ModuleType)):
            super().__setattr__(name, value)


# Core draws nothing; these do, when something is to be looked at.
presented_by(
    {"html": "stylex.report.inline:html", "plot": "stylex.report.plots:plot", "show": "stylex.ui.notebook:show"}
)

sys.modules[__name__].__class__ = _Face
