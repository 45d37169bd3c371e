"""Laws of the attack: judged on what is shown, the same for an image alone, never flat, exactly zero where sparse."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest
import torch
from torch import Tensor

from stylex.core.errors import ConfigError, SearchError
from stylex.data.images import to_pictures, to_tensor
from stylex.models.snapshot import Snapshot, load_snapshot
from stylex.search.attack import Attacked, Opponent, as_shown, attack, shrunk
from stylex.search.config import AttackConfig, Objective
from stylex.search.decision import margin, margins
from stylex.search.encoding import Encoded
from stylex.search.latents import InModel, InS, InW, Placed, principal_axes
from stylex.search.subject import TrainedSubject, condition


class Linear:
    """An autoencoder without loss: pictures of 2 x 2 pixels are four numbers."""

    def encode(self, x: Tensor) -> Tensor:
        return x.flatten(1)

    def decode(self, z: Tensor) -> Tensor:
        return z.unflatten(1, (1, 2, 2))


@dataclass
class Reads:
    """Two logits: the second is a weighted sum of the pixels; as steep as wanted."""

    weights: tuple[float, ...]
    steep: float = 1.0

    def logits(self, x: Tensor) -> Tensor:
        score = self.steep * x.flatten(1) @ torch.tensor(self.weights)
        return torch.stack([torch.zeros_like(score), score], dim=1)


def images(n: int = 5) -> Tensor:
    return to_tensor(to_pictures(torch.rand(n, 1, 2, 2, generator=torch.Generator().manual_seed(0)) * 0.4 - 0.6))


def attacked(
    classifier: Reads, x: Tensor, config: AttackConfig | None = None, opponent: dict[str, object] | None = None
) -> Attacked:
    latents = InModel(Linear(), images(50))
    given = Opponent(latents=latents, classifier=classifier, output="softmax", **(opponent or {}))  # type: ignore[arg-type]
    targets = torch.ones(len(x), dtype=torch.int64)
    return attack(given, latents.place(x, torch.zeros(len(x), 2)), targets, config or AttackConfig())


def test_what_is_judged_is_the_picture_as_it_is_saved() -> None:
    x = torch.linspace(-1.5, 1.5, 64).reshape(1, 1, 8, 8).requires_grad_()
    shown = as_shown(x)
    assert torch.equal(shown.detach(), to_tensor(to_pictures(x)))
    (gradient,) = torch.autograd.grad(shown.sum(), x)
    assert torch.equal(gradient, ((x >= -1) & (x <= 1)).float())
    classifier = Reads((3.0, 2.0, 1.0, 0.5))
    got = attacked(classifier, images())
    again = classifier.logits(to_tensor(to_pictures(got.x)))
    torch.testing.assert_close(got.logits, again, rtol=0, atol=1e-6)
    assert got.converged.all()
    assert (again.softmax(dim=1)[:, 1] >= 0.75).all()


def test_a_picture_that_saturates_cannot_converge_by_what_is_not_shown() -> None:
    """White is white: beyond it no more is gained, however far the latent goes."""
    classifier = Reads((0.6, 0.0, 0.0, 0.0))
    got = attacked(classifier, images(), AttackConfig(probability=0.9, steps=60))
    assert not got.converged.any()
    assert (classifier.logits(got.x).softmax(dim=1)[:, 1] < 0.9).all()


def test_an_image_stops_where_it_first_converges() -> None:
    classifier = Reads((3.0, 2.0, 1.0, 0.5))
    got = attacked(classifier, images(), AttackConfig(probability=0.75))
    for steps in range(1, int(got.steps.max()) + 1):
        short = attacked(classifier, images(), AttackConfig(probability=0.75, steps=steps))
        assert torch.equal(short.converged, got.steps <= steps)


def test_one_that_is_there_already_is_not_moved() -> None:
    got = attacked(Reads((-9.0, -9.0, -9.0, -9.0)), images())
    assert got.converged.all()
    assert (got.steps == 0).all()
    assert (got.change == 0).all()


@pytest.mark.parametrize("sparsity", [0.0, 0.5])
def test_the_result_does_not_depend_on_the_other_images(sparsity: float) -> None:
    classifier, x = Reads((3.0, -2.0, 1.0, 0.5)), images(7)
    together = attacked(classifier, x, AttackConfig(sparsity=sparsity, batch=7))
    alone = attacked(classifier, x, AttackConfig(sparsity=sparsity, batch=1))
    torch.testing.assert_close(together.change, alone.change)
    assert torch.equal(together.steps, alone.steps)


def test_coordinates_that_pull_less_than_the_sparsity_stay_exactly_where_they_were() -> None:
    x = images(8)
    unit = InModel(Linear(), images(50)).moved(torch.zeros(1, 4), torch.ones(1, 4))[0]
    classifier = Reads(tuple((torch.tensor([1.0, 0.7, 0.45, 0.1]) / unit).tolist()), steep=5)
    for sparsity, changed in ((0.0, 4), (0.3, 3), (0.5, 2), (0.8, 1)):
        got = attacked(classifier, x, AttackConfig(sparsity=sparsity))
        assert got.converged.all()
        assert ((got.change != 0).sum(dim=1) == changed).all()


def test_the_soft_threshold() -> None:
    given = torch.tensor([[-2.0, -0.5, 0.0, 0.5, 3.0]])
    assert torch.equal(shrunk(given, 1.0), torch.tensor([[-1.0, 0.0, 0.0, 0.0, 2.0]]))


@pytest.mark.parametrize(("objective", "moves"), [("margin", True), ("probability", False)])
def test_a_sure_classifier_is_turned_by_its_margin_but_not_by_its_probability(
    objective: Objective, moves: bool
) -> None:
    """Its probability is flat to the last bit; such an image ends at once, and is said not to have converged."""
    got = attacked(Reads((3.0, 2.0, 1.0, 0.5), steep=500), images(), AttackConfig(objective=objective))
    assert got.converged.all() if moves else not got.converged.any()
    assert moves or (got.steps == 0).all()


def test_distance_holds_the_change_back() -> None:
    """With little to gain in the second pixel, the pull of the distance is felt there."""
    x, classifier = images(), Reads((3.0, 2.0, 1.0, 0.5))
    free, held = (attacked(classifier, x, AttackConfig(distance=d, steps=12, probability=0.999)) for d in (0.0, 2.0))
    assert (held.change.norm(dim=1) < 0.8 * free.change.norm(dim=1)).all()


def test_realism_goes_where_the_critic_wants_it() -> None:
    def bright_last(x: Tensor, logits: Tensor) -> Tensor:
        return 20 * x[:, 0, 1, 1]

    x, classifier = images(), Reads((3.0, 2.0, 1.0, 0.0))
    plain = attacked(classifier, x, AttackConfig(), {"realism": bright_last})
    real = attacked(classifier, x, AttackConfig(realism=1.0), {"realism": bright_last})
    assert torch.equal(plain.change[:, 3], torch.zeros(5))
    assert (real.change[:, 3] > 0).all()


def test_without_a_gradient_there_is_no_attack() -> None:
    class Deaf(Reads):
        def logits(self, x: Tensor) -> Tensor:
            return super().logits(x).detach()

    with pytest.raises(SearchError, match="there is no gradient"):
        attacked(Deaf((3.0, 2.0, 1.0, 0.5)), images())


@pytest.mark.parametrize("output", ["softmax", "sigmoid"])
def test_what_is_climbed_is_the_margin(output: str) -> None:
    logits = torch.randn(20, 4, generator=torch.Generator().manual_seed(1))
    targets = torch.arange(20) % 4
    ours = margins(logits, targets, output)  # type: ignore[arg-type]
    theirs = [margin(logits[i].numpy(), int(targets[i]), output) for i in range(20)]  # type: ignore[arg-type]
    np.testing.assert_allclose(ours, theirs, rtol=1e-6)


@pytest.mark.parametrize(
    "wrong",
    [("probability", 1.0), ("steps", 0), ("stride", 0.0), ("sparsity", 1.0), ("distance", -1.0), ("realism", -0.1),
     ("batch", 0)],
)  # fmt: skip
def test_settings_that_cannot_be_meant_are_refused(wrong: tuple[str, float]) -> None:
    with pytest.raises(ConfigError, match=f"{wrong[0]} is"):
        AttackConfig(**dict([wrong]))  # type: ignore[arg-type]


def test_nothing_moved_is_the_reconstruction_in_either_space(shipped: tuple[TrainedSubject, Encoded]) -> None:
    steered, encoded = shipped
    subject = TrainedSubject.of(_plain(steered), steered.classifier)
    assert subject.snapshot.latents is not None
    x, c = encoded.x[:4], condition(subject.classifier, encoded.logits[:4])
    for latents in (InW.of(subject, subject.snapshot.latents), InS(subject)):
        placed = latents.place(x, c)
        still = latents.moved(placed.z, torch.zeros(4, latents.coordinates))
        torch.testing.assert_close(latents.draw(still, placed.rest).clamp(-1, 1), encoded.x_rec[:4], rtol=0, atol=1e-4)


def test_along_principal_axes_what_varies_independently_of_the_answer_is_not_moved() -> None:
    """A step is the covariance with the answer: what goes with the cause moves along with it, nothing else does."""
    random = np.random.default_rng(0)
    cause, other = random.standard_normal((2, 4000))
    latents = np.stack([2 * cause, cause + 0.1 * random.standard_normal(4000), 5 * other], axis=1).astype(np.float32)
    axes = principal_axes(latents)
    slope = np.array([1.0, 0.0, 0.0])  # of an answer that reads the first latent alone
    moved = (slope @ axes.T) @ axes
    np.testing.assert_allclose(moved, np.cov(latents.T)[0], rtol=1e-3, atol=1e-3)
    assert abs(moved[2]) < 0.1 * abs(moved[1])


def _plain(subject: TrainedSubject) -> Snapshot:
    """The same networks without directions."""
    return load_snapshot(subject.snapshot.path)


def test_a_model_that_is_none_is_refused() -> None:
    class Flat(Linear):
        def decode(self, z: Tensor) -> Tensor:
            return z

    latents = InModel(Flat(), images(50))
    with pytest.raises(SearchError, match="the model's decode gives"):
        latents.draw(*Placed(torch.zeros(2, 4), torch.zeros(2, 0)))

    class Whole(Linear):
        def encode(self, x: Tensor) -> Tensor:
            return torch.zeros(len(x), 3, dtype=torch.int64)

    with pytest.raises(SearchError, match="the model's encode gives"):
        InModel(Whole(), images(50))
