"""Extractors: named after what they are, and told in one line when they are not there."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from stylex.classifiers import Classifier
from stylex.core.errors import EvaluationError
from stylex.evaluation.extractors import extractor_for

Judge = Callable[..., Classifier]


class Program(nn.Module):
    """Answers as the published Inception does: features only where they are asked for. Takes 0..255 in colour."""

    def forward(self, img: Tensor, return_features: bool = False) -> Tensor:
        if return_features:
            return torch.stack([img.amin(dim=(1, 2, 3)), img.amax(dim=(1, 2, 3)), img[:, 2].mean(dim=(1, 2))], dim=1)
        return torch.zeros(len(img), 1008)


@pytest.fixture
def program(tmp_path: Path) -> str:
    with pytest.warns(DeprecationWarning, match="torch.jit"):
        torch.jit.save(torch.jit.script(Program()), str(tmp_path / "inception.pt"))
    return str(tmp_path / "inception.pt")


def test_the_classifier_is_the_extractor_that_is_always_there(halves: Judge) -> None:
    x = torch.rand(6, 1, 16, 16)
    one = extractor_for("classifier", halves())
    assert one.features(x).values.shape == (6, 3)  # its only map, averaged
    assert one.features(x).extractor == one.name
    assert "explained classifier" in one.name
    logits = extractor_for("classifier", halves(gradient=False)).features(x)
    assert logits.values.shape == (6, 2)  # nothing to tap
    assert logits.extractor != one.name


def test_random_weights_are_always_the_same_and_no_classifier(halves: Judge) -> None:
    x = torch.rand(6, 1, 16, 16, generator=torch.Generator().manual_seed(0))
    one, classifier = extractor_for("random", halves()), extractor_for("classifier", halves())
    with torch.random.fork_rng():
        torch.manual_seed(5)
        again = extractor_for("random", halves())
    assert (one.features(x).values == again.features(x).values).all()
    assert not one.explained
    assert classifier.explained
    assert one.name != classifier.name


@pytest.mark.integration
def test_pictures_are_as_unlike_as_they_are_changed(halves: Judge, program: str) -> None:
    x = torch.rand(6, 1, 16, 16, generator=torch.Generator().manual_seed(0)) - 0.5
    little, much = x.clone(), x.clone()
    little[:, :, 4:6] *= -1
    much[:, :, 2:10] *= -1
    for reference in ("random", "classifier", program):
        extractor = extractor_for(reference, halves())
        assert extractor.distance(x, x).abs().max() < 1e-6
        torch.testing.assert_close(extractor.distance(x, much), extractor.distance(much, x))
    seen = extractor_for("random", halves())
    assert (seen.distance(x, little) < seen.distance(x, much)).all()


@pytest.mark.integration
def test_a_program_is_given_what_it_takes_and_asked_for_features(halves: Judge, program: str) -> None:
    x = torch.full((2, 1, 16, 16), -1.0)
    x[1, 0, :8] = 1
    found = extractor_for(program, halves()).features(x)
    assert found.values == pytest.approx(torch.tensor([[0.0, 0, 0], [0, 255, 127.5]]).numpy(), abs=0.01)
    assert found.extractor.startswith("inception.pt (")
    Path(program + ".json").write_text('{"value_range": [-1, 1], "input_size": 0}')
    assert extractor_for(program, halves()).features(x).values[1] == pytest.approx([-1, 1, 0], abs=1e-6)


@pytest.mark.integration
def test_what_is_no_extractor_is_told(halves: Judge, program: str, tmp_path: Path) -> None:
    (tmp_path / "broken.pt").write_text("x")
    Path(program + ".json").write_text('{"colour": 3}')
    for reference, said in (
        ("nonsense", "no extractor 'nonsense'"),
        ("timm:resnet18", "timm"),
        (str(tmp_path / "broken.pt"), "not a TorchScript program"),
        (program, "does not say what the extractor takes"),
    ):
        with pytest.raises(EvaluationError, match=said) as caught:
            extractor_for(reference, halves())
        assert "\n" not in str(caught.value)
