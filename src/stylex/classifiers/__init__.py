"""Floor 2: the classifier under explanation: one spec, one class, one door to load it."""

from stylex.classifiers.black_box import BlackBox, bound, expect, tell_calls
from stylex.classifiers.check import check_classifier
from stylex.classifiers.classifier import Classifier
from stylex.classifiers.features import perceptual_distance
from stylex.classifiers.identity import answers, behaviour, fingerprint, has_weights, is_same
from stylex.classifiers.labels import LabelCheck, check_labels
from stylex.classifiers.load import describe, load_classifier, load_recorded, recorded_place
from stylex.classifiers.small import FitConfig, LabelledRows, SmallCNN, fit_small_classifier, save_small_classifier
from stylex.classifiers.spec import ClassifierSpec

__all__ = [
    "BlackBox",
    "Classifier",
    "ClassifierSpec",
    "FitConfig",
    "LabelCheck",
    "LabelledRows",
    "SmallCNN",
    "answers",
    "behaviour",
    "bound",
    "check_classifier",
    "check_labels",
    "describe",
    "expect",
    "fingerprint",
    "fit_small_classifier",
    "has_weights",
    "is_same",
    "load_classifier",
    "load_recorded",
    "perceptual_distance",
    "recorded_place",
    "save_small_classifier",
    "tell_calls",
]
