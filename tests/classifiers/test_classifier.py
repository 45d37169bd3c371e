"""Laws of the adapter: frozen, in eval mode, gradients to the image, every kind of output as logits."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from stylex.classifiers import Classifier, ClassifierSpec
from stylex.classifiers.classifier import Directed, WithOpposite, standardised
from stylex.core.errors import ClassifierError

Spec = Callable[..., ClassifierSpec]


def test_frozen_in_eval_mode_whatever_train_is_called_on(conv: nn.Module, make_spec: Spec, x: Tensor) -> None:
    classifier = Classifier(conv.train(), make_spec())
    assert not any(p.requires_grad for p in classifier.parameters())
    before = {k: v.clone() for k, v in conv.state_dict().items()}
    nn.ModuleList([classifier]).train()
    assert not any(m.training for m in classifier.modules())
    torch.testing.assert_close(classifier.logits(x), classifier.logits(x), rtol=0, atol=0)
    for key, value in conv.state_dict().items():
        torch.testing.assert_close(value, before[key], rtol=0, atol=0)


def test_gradient_reaches_the_image_and_no_parameter(conv: nn.Module, make_spec: Spec, x: Tensor) -> None:
    classifier = Classifier(conv, make_spec())
    x.requires_grad_()
    classifier.logits(x)[:, 0].sum().backward()
    assert x.grad is not None
    assert x.grad.abs().sum() > 0
    assert all(p.grad is None for p in classifier.parameters())


@pytest.mark.parametrize("size", [8, 16, 40])
def test_any_size_is_resized_differentiably(conv: nn.Module, make_spec: Spec, size: int) -> None:
    x = torch.rand(2, 3, size, size, requires_grad=True)
    prepared = Classifier(conv, make_spec()).prepare(x)
    assert prepared.shape == (2, 3, 16, 16)
    prepared.sum().backward()
    assert x.grad is not None
    assert (x.grad != 0).all()  # antialiased: every pixel counts


def test_range_mean_and_std_as_written_out(conv: nn.Module, make_spec: Spec, x: Tensor) -> None:
    spec = make_spec(mean=(10.0, 20.0, 30.0), std=(2.0, 3.0, 4.0), value_range=(0, 255))
    pixels = (x + 1) / 2 * 255
    expected = (pixels - torch.tensor(spec.mean).view(1, 3, 1, 1)) / torch.tensor(spec.std).view(1, 3, 1, 1)
    torch.testing.assert_close(Classifier(conv, spec).prepare(x), expected, rtol=1e-5, atol=1e-4)


def test_probabilities_come_back_out_of_probabilities(make_spec: Spec, x: Tensor) -> None:
    def soft(x: Tensor) -> Tensor:
        return x.mean(dim=(2, 3)).mul(9).softmax(dim=1)

    classifier = Classifier(soft, make_spec(output="probabilities"))
    expected = soft(classifier.prepare(x))
    torch.testing.assert_close(classifier.probabilities(classifier.logits(x)), expected)


def test_certain_probabilities_stay_finite(make_spec: Spec, x: Tensor) -> None:
    def certain(x: Tensor) -> Tensor:
        return F.one_hot(torch.zeros(len(x), dtype=torch.long), 3).float()

    assert Classifier(certain, make_spec(output="probabilities")).logits(x).isfinite().all()


def test_one_column_of_probabilities_is_the_second_label(make_spec: Spec, x: Tensor) -> None:
    def sure(x: Tensor) -> Tensor:
        return torch.full((len(x), 1), 0.8)

    classifier = Classifier(sure, make_spec(labels=("no", "yes"), output="probabilities"))
    torch.testing.assert_close(classifier.probabilities(classifier.logits(x))[0], torch.tensor([0.2, 0.8]))


@pytest.mark.parametrize("flat", [True, False])
def test_a_single_logit_is_split_evenly(make_spec: Spec, x: Tensor, flat: bool) -> None:
    def single(x: Tensor) -> Tensor:
        z = x.mean(dim=(1, 2, 3)) * 10
        return z if flat else z[:, None]

    classifier = Classifier(single, make_spec(labels=("no", "yes"), output="single-logit"))
    logits = classifier.logits(x)
    z = single(classifier.prepare(x)).flatten()
    torch.testing.assert_close(classifier.probabilities(logits)[:, 1], z.sigmoid())
    torch.testing.assert_close(logits.sum(dim=1), torch.zeros(4))


def test_labels_of_their_own_get_a_sigmoid_each(make_spec: Spec, x: Tensor) -> None:
    classifier = Classifier(lambda x: x.mean(dim=(2, 3)), make_spec(output="multi-label"))
    logits = classifier.logits(x)
    assert classifier.activation == "sigmoid"
    torch.testing.assert_close(classifier.probabilities(logits), logits.sigmoid())


@pytest.mark.parametrize(
    "wrap",
    [
        lambda z: z,
        lambda z: (z, "more"),
        lambda z: [z],
        lambda z: {"logits": z, "loss": None},
        lambda z: SimpleNamespace(logits=z),
        lambda z: OrderedDict(logits=z),
        lambda z: z[:, :, None, None],
    ],
)
def test_wrapped_answers_are_unwrapped(make_spec: Spec, x: Tensor, wrap: Callable[[Tensor], Any]) -> None:
    plain = Classifier(lambda x: x.mean(dim=(2, 3)), make_spec())
    wrapped = Classifier(lambda x: wrap(x.mean(dim=(2, 3))), make_spec())
    torch.testing.assert_close(wrapped.logits(x), plain.logits(x), rtol=0, atol=0)


@pytest.mark.parametrize("answer", ["text", None, {"scores": 1}, (), ("a",)])
def test_an_answer_without_a_tensor_is_told(make_spec: Spec, x: Tensor, answer: Any) -> None:
    with pytest.raises(ClassifierError, match="expected a tensor"):
        Classifier(lambda x: answer, make_spec()).logits(x)


@pytest.mark.parametrize("shape", [(4, 2), (4,), (3, 2), (4, 3, 2), (4, 16, 16, 3), ()])
def test_a_wrong_shape_is_told(make_spec: Spec, x: Tensor, shape: tuple[int, ...]) -> None:
    with pytest.raises(ClassifierError, match="answered with shape"):
        Classifier(lambda x: torch.zeros(shape), make_spec()).logits(x)


def test_logits_are_float32_under_autocast(conv: nn.Module, make_spec: Spec, x: Tensor) -> None:
    classifier = Classifier(conv, make_spec())
    with torch.autocast("cpu", torch.bfloat16):
        logits, features = classifier.logits_and_features(x)
    assert logits.dtype == torch.float32
    assert features[0].dtype == torch.bfloat16  # autocast is the caller's choice
    torch.testing.assert_close(logits, classifier.logits(x), rtol=0.05, atol=0.05)


def test_an_image_in_bfloat16_is_taken(conv: nn.Module, make_spec: Spec, x: Tensor) -> None:
    assert Classifier(conv, make_spec()).logits(x.bfloat16()).dtype == torch.float32


def test_wrong_channels_are_told(conv: nn.Module, make_spec: Spec) -> None:
    with pytest.raises(ClassifierError, match="takes 3"):
        Classifier(conv, make_spec()).logits(torch.zeros(1, 1, 16, 16))


def test_the_absence_of_a_label_is_one_more_label(make_spec: Spec) -> None:
    spec = make_spec(output="multi-label", labels=("hat", "scarf"))
    classifier = Classifier(lambda x: x.mean(dim=(2, 3))[:, :2] * 3, spec)
    opposite = WithOpposite(classifier, 1)
    x = torch.rand(4, spec.channels, spec.input_size, spec.input_size) * 2 - 1
    logits = opposite.logits(x)
    assert torch.equal(logits[:, :2], classifier.logits(x))
    assert torch.equal(logits[:, 2], -logits[:, 1])
    assert torch.equal(opposite.logits_and_features(x)[0], logits)
    assert torch.allclose(opposite.probabilities(logits)[:, 1:].sum(dim=1), torch.ones(4))
    assert (opposite.spec.labels, opposite.k, opposite.own) == (("hat", "scarf", "not scarf"), 3, 2)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_a_classifier_that_computes_in_its_own_precision_does_so_under_autocast(
    conv: nn.Module, make_spec: Callable[..., ClassifierSpec], x: Tensor, dtype: torch.dtype
) -> None:
    class Inside(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.net = conv.to(dtype)

        def forward(self, x: Tensor) -> Tensor:
            answer: Tensor = self.net(x.to(dtype))
            return answer

    classifier = Classifier(Inside(), make_spec())
    alone = classifier.logits(x)
    with torch.autocast("cpu", torch.bfloat16):
        torch.testing.assert_close(classifier.logits(x), alone, rtol=0, atol=0)
        logits, features = classifier.logits_and_features(x)
    torch.testing.assert_close(logits, alone, rtol=0, atol=0)
    assert {feature.dtype for feature in features} == {dtype}


def test_multi_label_probabilities_become_the_logits_that_they_come_from(
    conv: nn.Module, make_spec: Callable[..., ClassifierSpec], x: Tensor
) -> None:
    logits = Classifier(conv, make_spec(output="multi-label")).logits(x)
    given = Classifier(lambda x: conv(x).sigmoid(), make_spec(output="multi-label-probabilities"))
    torch.testing.assert_close(given.logits(x), logits)
    torch.testing.assert_close(given.probabilities(logits), logits.sigmoid())
    assert Classifier(lambda x: x[:, :, 0, 0] * 0, given.spec).logits(x).isfinite().all()


class Level(nn.Module):
    """Tells a hundred times the mean of the first channel, and the mean of the last."""

    def forward(self, x: Tensor) -> Tensor:
        return torch.stack([100 * x[:, 0].mean((1, 2)), x[:, -1].mean((1, 2))], dim=1)


def test_a_regression_is_standardised_and_asked_for_more_and_less(x: Tensor) -> None:
    spec = ClassifierSpec(labels=("light", "blue"), input_size=16, channels=3, output="regression", unit="percent")
    raw = Classifier(Level(), spec)
    with pytest.raises(ClassifierError, match="no center and scale"):
        Directed(raw, 0)
    known = standardised(raw, x.split(3))
    z = known.logits(x)
    torch.testing.assert_close(z.mean(dim=0), torch.zeros(2), atol=1e-4, rtol=0)
    torch.testing.assert_close(z.std(dim=0, unbiased=False), torch.ones(2), atol=1e-4, rtol=0)
    torch.testing.assert_close(z * torch.tensor(known.spec.scale) + torch.tensor(known.spec.center), raw.logits(x))
    asked = Directed(known, 0, by=10.0)
    assert asked.spec.labels == ("more light", "more blue", "less light")
    assert asked.own == 2
    assert asked.by == pytest.approx(10 / known.spec.scale[0])
    torch.testing.assert_close(asked.logits(x), torch.cat([z, -z[:, :1]], dim=1))
    torch.testing.assert_close(asked.probabilities(z), z.sigmoid())
    assert standardised(known, []) is known
    with pytest.raises(ClassifierError, match="hardly vary"):
        standardised(raw, [x[:1], x[:1]])
