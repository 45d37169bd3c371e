"""Feature maps without naming layers, and the distance on them."""

from __future__ import annotations

import threading
from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from stylex.classifiers import Classifier, ClassifierSpec, perceptual_distance
from stylex.classifiers.features import tap_for

Spec = Callable[..., ClassifierSpec]


def hooks(model: nn.Module) -> int:
    return sum(len(m._forward_hooks) for m in model.modules())


def test_the_last_map_of_every_size_is_tapped(conv: nn.Module, make_spec: Spec, x: Tensor) -> None:
    classifier = Classifier(conv, make_spec())
    logits, features = classifier.logits_and_features(x)
    assert [tuple(f.shape) for f in features] == [(4, 4, 16, 16), (4, 6, 8, 8)]  # never the 1x1 map
    prepared = classifier.prepare(x)
    one = conv.one(prepared)
    torch.testing.assert_close(features[0], one)
    torch.testing.assert_close(features[1], conv.two(one))
    torch.testing.assert_close(logits, classifier.logits(x), rtol=0, atol=0)


def test_gradients_flow_from_the_maps_to_the_image(conv: nn.Module, make_spec: Spec, x: Tensor) -> None:
    classifier = Classifier(conv, make_spec())
    moved = (x + 0.1 * torch.randn(x.shape, generator=torch.Generator().manual_seed(0))).requires_grad_()
    perceptual_distance(classifier.features(x), classifier.features(moved)).sum().backward()
    assert moved.grad is not None
    assert moved.grad.abs().sum() > 0


def test_hooks_live_only_during_a_call(conv: nn.Module, make_spec: Spec, x: Tensor) -> None:
    classifier = Classifier(conv, make_spec())
    classifier.features(x)
    assert hooks(conv) == 0


@pytest.mark.parametrize("tapped_before", [False, True])
def test_hooks_are_removed_after_a_crash(make_spec: Spec, x: Tensor, tapped_before: bool) -> None:
    class Fragile(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv = nn.Conv2d(3, 4, 3, padding=1)
            self.broken = not tapped_before

        def forward(self, x: Tensor) -> Tensor:
            y = self.conv(x)
            if self.broken:
                raise RuntimeError("broken inside")
            return y.mean(dim=(2, 3))[:, :3]

    model = Fragile()
    classifier = Classifier(model, make_spec())
    if tapped_before:
        classifier.features(x)
        model.broken = True
    with pytest.raises(RuntimeError, match="broken inside"):
        classifier.features(x)
    assert hooks(model) == 0


def test_at_most_four_stages_largest_first(make_spec: Spec) -> None:
    stages = [nn.Conv2d(3, 3, 3, stride=2, padding=1) for _ in range(6)]
    model = nn.Sequential(*stages, nn.Flatten())
    classifier = Classifier(model, make_spec(input_size=64))
    assert [f.shape[2] for f in classifier.features(torch.zeros(1, 3, 64, 64))] == [32, 16, 8, 4]


def test_sizes_that_differ_by_padding_are_one_stage(make_spec: Spec) -> None:
    model = nn.Sequential(nn.Conv2d(3, 3, 3), nn.Conv2d(3, 3, 3), nn.Conv2d(3, 3, 3, stride=2), nn.Flatten())
    classifier = Classifier(model, make_spec(input_size=32, labels=tuple(map(str, range(3 * 13 * 13)))))
    assert [f.shape[2] for f in classifier.features(torch.zeros(1, 3, 32, 32))] == [28, 13]


def test_a_shared_activation_counts_where_it_was_called_last(make_spec: Spec, x: Tensor) -> None:
    class Block(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.a, self.b, self.relu = nn.Conv2d(3, 3, 3, padding=1), nn.Conv2d(3, 3, 3, padding=1), nn.ReLU()

        def forward(self, x: Tensor) -> Tensor:
            return self.relu(x + self.b(self.relu(self.a(x)))).mean(dim=(2, 3))

    model = Block()
    classifier = Classifier(model, make_spec())
    (feature,) = classifier.features(x)
    torch.testing.assert_close(feature.mean(dim=(2, 3)), classifier.logits(x))


def test_tokens_of_a_transformer_become_maps(make_spec: Spec, x: Tensor) -> None:
    class Block(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.norm, self.lift = nn.LayerNorm(8), nn.Linear(8, 8)

        def forward(self, x: Tensor) -> Tensor:
            return x + self.lift(self.norm(x))

    class Transformer(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.patch = nn.Conv2d(3, 8, 4, stride=4)
            self.blocks = nn.ModuleList(Block() for _ in range(6))
            self.head = nn.Linear(8, 3)

        def forward(self, x: Tensor) -> Tensor:
            tokens = self.patch(x).flatten(2).transpose(1, 2)
            for block in self.blocks:
                tokens = block(tokens)
            return self.head(tokens.mean(dim=1))

    features = Classifier(Transformer(), make_spec()).features(x)
    assert [tuple(f.shape) for f in features] == [(4, 8, 16, 1)] * 4


def test_a_plain_callable_gives_no_maps(make_spec: Spec, x: Tensor) -> None:
    logits, features = Classifier(lambda x: x.mean(dim=(2, 3)), make_spec()).logits_and_features(x)
    assert features == []
    assert logits.shape == (4, 3)


def test_distance_is_zero_symmetric_bounded_and_per_image() -> None:
    rng = torch.Generator().manual_seed(0)
    a = [torch.randn(3, 5, s, s, generator=rng) for s in (8, 4)]
    b = [torch.randn(3, 5, s, s, generator=rng) for s in (8, 4)]
    torch.testing.assert_close(perceptual_distance(a, a), torch.zeros(3))
    torch.testing.assert_close(perceptual_distance(a, b), perceptual_distance(b, a))
    assert (perceptual_distance(a, [-f for f in a]) <= 4).all()
    alone = torch.cat([perceptual_distance([f[i : i + 1] for f in a], [f[i : i + 1] for f in b]) for i in range(3)])
    torch.testing.assert_close(perceptual_distance(a, b), alone)


def test_distance_ignores_the_scale_of_a_map_and_dead_maps() -> None:
    rng = torch.Generator().manual_seed(0)
    a, b = torch.rand(2, 5, 4, 4, generator=rng), torch.rand(2, 5, 4, 4, generator=rng)
    torch.testing.assert_close(perceptual_distance([a], [b]), perceptual_distance([a * 100], [b * 0.01]))
    dead = torch.zeros(2, 5, 4, 4, requires_grad=True)
    distance = perceptual_distance([dead], [a])
    distance.sum().backward()
    assert distance.isfinite().all()
    assert dead.grad is not None
    assert dead.grad.isfinite().all()


def test_threads_that_look_through_one_classifier_do_not_hear_each_other() -> None:
    """The explorer draws for some while a copy is fitted for others: what is tapped is one's own."""
    begun, go_on = threading.Event(), threading.Event()

    class Slow(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.one, self.two = nn.Conv2d(1, 2, 3, padding=1), nn.Conv2d(2, 2, 3, stride=2, padding=1)

        def forward(self, x: Tensor) -> Tensor:
            y = self.one(x)
            if x.requires_grad:
                begun.set()
                assert go_on.wait(10)
            return self.two(y).mean(dim=(2, 3))

    model = Slow()
    tap = tap_for(model, torch.zeros(1, 1, 8, 8))
    found: list[list[Tensor]] = []
    x = torch.ones(1, 1, 8, 8, requires_grad=True)
    thread = threading.Thread(target=lambda: found.append(tap(x)[1]))
    thread.start()
    assert begun.wait(10)
    with torch.no_grad():
        model(torch.zeros(1, 1, 8, 8))  # while the other one is within
    go_on.set()
    thread.join()
    assert all(one.requires_grad for one in found[0])
    torch.testing.assert_close(found[0][0], model.one(x))
