"""The verbs of the library, from photographs to a report: see ``__all__`` of the package for their order.

Each verb reads what the one before it wrote, and none of them prints: give a ``listener`` to hear how far it
is. What a person can mend is raised as a ``StylexError`` before work begins. The networks (and with them
torch) are imported inside the verbs, so that this module, and the command line built on it, load at once.
"""

from __future__ import annotations

from stylex.verbs.attacking import attack
from stylex.verbs.comparing import compare
from stylex.verbs.domains import adapt, guide, mix, morph
from stylex.verbs.evaluating import evaluate
from stylex.verbs.generators import export, import_generator, push
from stylex.verbs.images import fit_classifier, prepare
from stylex.verbs.repairing import audit, repair
from stylex.verbs.searching import classes, explain, find
from stylex.verbs.showing import demo, explore, open_studio, report, serve
from stylex.verbs.studies import analyse_study, demo_study, new_study, serve_study
from stylex.verbs.training import runs, train, watch

__all__ = [
    "adapt",
    "analyse_study",
    "attack",
    "audit",
    "classes",
    "compare",
    "demo",
    "demo_study",
    "evaluate",
    "explain",
    "explore",
    "export",
    "find",
    "fit_classifier",
    "guide",
    "import_generator",
    "mix",
    "morph",
    "new_study",
    "open_studio",
    "prepare",
    "push",
    "repair",
    "report",
    "runs",
    "serve",
    "serve_study",
    "train",
    "watch",
]
