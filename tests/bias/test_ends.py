"""Both ends: nothing without a shift, the images' own places, and random ones as far."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from stylex.bias.ends import Ends, ends_of, is_high, on_photographs, places_of, random_ends
from stylex.core.attribute import Attribute
from stylex.core.errors import SearchError
from stylex.data.archive import ImageSet
from stylex.search.controls import length_of
from stylex.search.encoding import encode_set
from stylex.search.shifts import statistics_of
from stylex.search.subject import TrainedSubject


def test_both_ends_are_the_observed_ones_and_nothing_else_moves(
    subject: TrainedSubject, images: ImageSet, attribute: Attribute
) -> None:
    s = encode_set(subject, images.subset(range(6))).s
    index, statistics = subject.space.index(attribute.coordinate), statistics_of(subject.space)
    ends = ends_of(s, replace(attribute, sign=1), subject.space)
    assert np.allclose(ends.up[:, index], statistics.maximum[index])
    assert np.allclose(ends.down[:, index], statistics.minimum[index])
    other = torch.arange(s.shape[1]) != index
    assert torch.equal(ends.up[:, other], s[:, other])
    turned_round = ends_of(s, replace(attribute, sign=-1), subject.space)
    assert torch.equal(turned_round.up, ends.down)


def test_places_are_those_of_other_images_on_either_side(
    subject: TrainedSubject, images: ImageSet, attribute: Attribute
) -> None:
    s, index = encode_set(subject, images).s, subject.space.index(attribute.coordinate)
    turned = places_of(s[:6], attribute, subject.space, s.numpy(), np.random.default_rng(0))
    assert is_high(turned.up.numpy(), attribute, subject.space, s.numpy()).all()
    assert not is_high(turned.down.numpy(), attribute, subject.space, s.numpy()).any()
    assert set(turned.up[:, index].tolist()) <= set(s[:, index].tolist())
    with pytest.raises(SearchError, match="do not differ"):
        places_of(s[:6], attribute, subject.space, s[:1].numpy(), np.random.default_rng(0))


def test_random_ends_lie_as_far_away_on_opposite_sides(
    subject: TrainedSubject, images: ImageSet, attribute: Attribute
) -> None:
    s = encode_set(subject, images.subset(range(6))).s
    ends = ends_of(s, attribute, subject.space)
    for together in (False, True):
        beside = random_ends(subject, s, ends, np.random.default_rng(0), together=together)
        for way in ("up", "down"):
            length, own = (length_of(subject.space, getattr(e, way) - s) for e in (beside, ends))
            assert torch.allclose(length, own, rtol=1e-3)
        up, down = beside.up - s, beside.down - s
        along = (up * down).sum(dim=1) / (up.norm(dim=1) * down.norm(dim=1)).clamp_min(1e-9)
        assert bool((along < -0.999).all())


def test_what_is_not_turned_is_the_photograph_to_the_last_bit(subject: TrainedSubject, images: ImageSet) -> None:
    encoded = encode_set(subject, images.subset(range(4)))
    laid = on_photographs(subject, encoded.x, encoded.x_rec, Ends(up=encoded.s, down=encoded.s))
    assert torch.allclose(laid.up, encoded.x, atol=1e-6)


def test_the_place_is_on_the_side_that_the_attribute_moves_to(
    subject: TrainedSubject, images: ImageSet, attribute: Attribute
) -> None:
    s = encode_set(subject, images).s
    ends = ends_of(s, attribute, subject.space)
    assert is_high(ends.up.numpy(), attribute, subject.space, s.numpy()).all()
    assert not is_high(ends.down.numpy(), attribute, subject.space, s.numpy()).any()
