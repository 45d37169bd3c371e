"""Which classifier this is: by weights, or by answers where none are seen."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from stylex.classifiers import Classifier, ClassifierSpec, answers, behaviour, fingerprint, has_weights, is_same

Spec = Callable[..., ClassifierSpec]


def same(classifier: Classifier, recorded: Classifier, *, kept: bool = True) -> bool | None:
    return is_same(
        classifier,
        fingerprint_then=fingerprint(recorded),
        answers_then=answers(recorded) if kept else None,
    )


def test_weights_tell(conv: nn.Module, make_spec: Spec) -> None:
    recorded = Classifier(conv, make_spec())
    then = {"fingerprint_then": fingerprint(recorded), "answers_then": answers(recorded)}
    assert has_weights(recorded)
    assert is_same(recorded, **then) is True
    with torch.no_grad():
        next(conv.parameters()).view(-1)[0] += 1e-6  # too little for answers to tell
    assert is_same(Classifier(conv, make_spec()), **then) is False


def test_other_code_with_the_same_weights_is_another_classifier(conv: nn.Module, make_spec: Spec) -> None:
    class Signed(nn.Module):
        def __init__(self, sign: float) -> None:
            super().__init__()
            self.conv, self.sign = conv, sign

        def forward(self, x: Tensor) -> Tensor:
            y: Tensor = self.conv(x) * 50 * self.sign
            return y

    recorded, other = (Classifier(Signed(sign), make_spec()) for sign in (1.0, -1.0))
    assert fingerprint(recorded) == fingerprint(other)
    assert behaviour(recorded) != behaviour(other), "effects of the one are not the other's"
    assert same(recorded, recorded) is True
    assert same(other, recorded) is False
    assert same(other, recorded, kept=False) is True, "an older snapshot has nothing to tell it by"


@pytest.mark.parametrize(
    ("change", "kept", "found"),
    [
        (lambda y: y, True, True),
        (lambda y: y * (1 + 1e-3), True, True),  # as another device answers
        (lambda y: y.flip(1), True, False),
        (lambda y: y * 1.2, True, False),
        (lambda y: y * float("nan"), True, False),
        (lambda y: y * (1 + 1e-2), False, None),
    ],
)
def test_without_weights_answers_tell(
    conv: nn.Module, make_spec: Spec, change: object, kept: bool, found: bool | None
) -> None:
    def black_box(x: Tensor) -> Tensor:
        assert callable(change)
        answered: Tensor = change(conv(x) * 50)
        return answered

    conv.eval()  # a function is not told
    recorded = Classifier(lambda x: conv(x) * 50, make_spec())
    assert not has_weights(recorded)
    assert same(Classifier(black_box, make_spec()), recorded, kept=kept) is found


def test_answers_of_another_number_of_labels_are_others(conv: nn.Module, make_spec: Spec) -> None:
    one = Classifier(lambda x: conv(x), make_spec())
    assert is_same(one, fingerprint_then="", answers_then=[[1.0, 2.0, 3.0, 4.0, 5.0]]) is False
