"""The audit: a version against itself has lost nothing, one that looks away has, and groups are counted rightly."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from stylex.bias.audit import Versions, audit_versions
from stylex.classifiers import Classifier, ClassifierSpec
from stylex.core.attribute import Attribute
from stylex.core.audited import Audit
from stylex.core.errors import EvaluationError
from stylex.data.archive import ImageSet
from stylex.search.subject import TrainedSubject

Brightness = Callable[[float], Classifier]


def audited(
    subject: TrainedSubject, images: ImageSet, attribute: Attribute, versions: tuple[Classifier, Classifier]
) -> Audit:
    named = Versions(before=versions[0], after=versions[1], names=("old", "new"))
    return audit_versions(subject, named, images.split("test"), [attribute])


def test_a_version_against_itself_is_unchanged(
    subject: TrainedSubject, images: ImageSet, attribute: Attribute, bright: Brightness
) -> None:
    audit = audited(subject, images, attribute, (bright(4.0), bright(4.0)))
    (a,) = audit.attributes
    assert a.verdict == "unchanged"
    assert (a.weight.difference.value, a.weight.difference.low, a.weight.difference.high) == (0, 0, 0)
    assert a.kept.value == 1
    assert a.weight.before.value > 0
    assert audit.accuracy is not None
    assert audit.accuracy.difference.value == 0


def test_half_the_strength_is_half_the_weight(
    subject: TrainedSubject, images: ImageSet, attribute: Attribute, bright: Brightness
) -> None:
    (a,) = audited(subject, images, attribute, (bright(4.0), bright(2.0))).attributes
    assert a.verdict == "lost"
    assert a.kept.value == pytest.approx(0.5, rel=1e-4)
    assert a.weight.after.value == pytest.approx(a.weight.before.value / 2, rel=1e-4)
    assert a.flips.before == a.flips.after  # the decision lies where it lay
    (back,) = audited(subject, images, attribute, (bright(2.0), bright(4.0))).attributes
    assert back.verdict == "gained"


def test_the_opposite_is_turned_round(
    subject: TrainedSubject, images: ImageSet, attribute: Attribute, bright: Brightness
) -> None:
    (a,) = audited(subject, images, attribute, (bright(4.0), bright(-4.0))).attributes
    assert a.verdict == "turned round"
    assert a.kept.value == pytest.approx(-1, rel=1e-4)


def test_groups_divide_the_images_and_the_worst_is_among_them(
    subject: TrainedSubject, images: ImageSet, attribute: Attribute, bright: Brightness
) -> None:
    audit = audited(subject, images, attribute, (bright(4.0), bright(-4.0)))
    (a,) = audit.attributes
    assert sum(group.images for group in a.groups) == audit.images == 30
    assert a.worst is not None
    assert audit.accuracy is not None
    total = sum(group.images * group.accuracy.before.value for group in a.groups)
    assert total / audit.images == pytest.approx(audit.accuracy.before.value)
    assert a.worst.before.value in [group.accuracy.before.value for group in a.groups]
    assert audit.accuracy.before.value == pytest.approx(1 - audit.accuracy.after.value, abs=1e-6)


def test_other_labels_and_too_few_images_are_refused(
    subject: TrainedSubject, images: ImageSet, attribute: Attribute, bright: Brightness
) -> None:
    other = Classifier(bright(1.0).model, ClassifierSpec(labels=("a", "b"), input_size=16, channels=1))
    with pytest.raises(EvaluationError, match="other labels"):
        audited(subject, images, attribute, (bright(1.0), other))
    versions = Versions(before=bright(1.0), after=bright(1.0), names=("old", "new"))
    with pytest.raises(EvaluationError, match="needs 8 or more"):
        audit_versions(subject, versions, images.subset(range(3)), [attribute])


def test_without_known_labels_there_is_no_accuracy_and_a_word_why(
    subject: TrainedSubject, images: ImageSet, attribute: Attribute, bright: Brightness
) -> None:
    spec = ClassifierSpec(labels=("x", "y"), input_size=16, channels=1, value_range=(-1.0, 1.0))
    one = Classifier(bright(4.0).model, spec)
    audit = audited(subject, images, attribute, (one, one))
    assert audit.accuracy is None
    assert audit.attributes[0].worst is None
    assert "not the classifier's" in audit.notes[0]
    assert np.isfinite(audit.attributes[0].weight.after.value)
