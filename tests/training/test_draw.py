"""Laws of a step's random numbers."""

from __future__ import annotations

from typing import Any

import torch
from tests.training.conftest import tiny

from stylex.data.archive import ImageSet
from stylex.models.processes import Processes
from stylex.training.draw import Batch, draw
from stylex.training.loop import Networks

CPU = torch.device("cpu")
MANY: dict[str, Any] = {"schedule__batch": 400, "schedule__kimg": 10}
SYNTHESIS = Networks.build(tiny(), 1, 2).generator.synthesis


def drawn(data: ImageSet, nimg: int = 0, shard: torch.Tensor | None = None, **changes: Any) -> Batch:
    config = tiny(**MANY | changes)
    return draw(config, data, SYNTHESIS, nimg, torch.arange(400) if shard is None else shard, CPU, paths=True)


def test_nothing_is_dropped_or_mixed_unless_asked(data: ImageSet) -> None:
    batch = drawn(data)
    assert batch.conditioned.all()
    assert batch.mixed is None
    assert not drawn(data, model__class_input="none").conditioned.any()


def test_what_is_asked_besides_changes_no_other_number(data: ImageSet) -> None:
    one, other = drawn(data), drawn(data, schedule__class_dropout=0.3, schedule__style_mixing=0.5)
    for name in ("x", "z", "path_noise"):
        assert torch.equal(getattr(one, name), getattr(other, name))
    assert all(torch.equal(a, b) for a, b in zip(one.noise, other.noise, strict=True))


def test_c_is_dropped_for_its_share_of_images_anew_at_every_step(data: ImageSet) -> None:
    conditioned = [drawn(data, nimg, schedule__class_dropout=0.3).conditioned for nimg in (0, 400)]
    assert all(0.6 < t.float().mean() < 0.8 for t in conditioned)
    assert not torch.equal(*conditioned)


def test_mixed_images_take_all_layers_from_a_random_one_on(data: ImageSet) -> None:
    batch = drawn(data, schedule__style_mixing=0.5)
    assert batch.mixed is not None
    assert batch.z_mixed is not None
    slices = [SYNTHESIS.space.slice(name) for name in SYNTHESIS.steps]
    layers = torch.stack([batch.mixed[:, place].all(dim=1) for place in slices], dim=1)
    assert torch.equal(layers, torch.stack([batch.mixed[:, place].any(dim=1) for place in slices], dim=1))
    assert (layers.int().diff(dim=1) >= 0).all()  # in the order of synthesis, never back
    count = layers.sum(dim=1)
    assert 0.4 < (count > 0).float().mean() < 0.6
    assert set(count[count > 0].tolist()) == set(range(1, len(slices)))  # the first layer is always the image's own


MAPS: dict[str, Any] = {"model__map_resolutions": (4, 8), "loss__swap": 1.0}


def test_every_image_meets_another_one(data: ImageSet) -> None:
    met = [drawn(data, nimg, **MAPS).others for nimg in range(0, 4000, 400)]
    assert all((other != torch.arange(400)).all() for other in met)
    assert all(torch.equal(other.sort().values, torch.arange(400)) for other in met)
    assert len({tuple(other.tolist()) for other in met}) > 1, "not always the same other"
    assert drawn(data, **MAPS).swaps == 200
    assert drawn(data, **MAPS, schedule__swap_share=1.0).swaps == 400
    assert drawn(data).swaps == 0


def test_maps_take_the_convolutions_noise(data: ImageSet) -> None:
    networks = Networks.build(tiny(**MAPS), 1, 2)
    synthesis, encoder = networks.generator.synthesis, networks.encoder
    config = tiny(**MANY | MAPS, schedule__map_dropout=0.25)
    batch = draw(config, data, synthesis, 0, torch.arange(400), CPU)
    maps, stirred = encoder.maps(batch.x), batch.stirred(encoder, synthesis, 0.5, learns=False)
    assert maps is not None
    assert stirred is not None
    assert not stirred.requires_grad
    assert batch.mapless is not None
    assert 0.2 < batch.mapless.float().mean() < 0.3
    added = torch.cat([noise.flatten(1) for noise in batch.noise[:3]], dim=1)
    torch.testing.assert_close(stirred[~batch.mapless], (maps + 0.5 * added)[~batch.mapless])
    torch.testing.assert_close(stirred[batch.mapless], (1.25**0.5 * added)[batch.mapless])
    s = synthesis.styles(torch.randn(400, 8), torch.rand(400, 2), stirred)
    exchanged = batch.exchanged(s, synthesis)
    assert torch.equal(exchanged[:, synthesis.space.maps], stirred[batch.others])
    assert torch.equal(exchanged[:, : synthesis.space.style_dim], s[:, : synthesis.space.style_dim])


def test_mixed_styles_leave_the_maps(data: ImageSet) -> None:
    synthesis = Networks.build(tiny(**MAPS), 1, 2).generator.synthesis
    config = tiny(**MANY | MAPS, schedule__style_mixing=0.5)
    mixed = draw(config, data, synthesis, 0, torch.arange(400), CPU).mixed
    assert mixed is not None
    assert mixed[:, : synthesis.space.style_dim].any()
    assert not mixed[:, synthesis.space.maps].any()


def test_processes_share_what_one_would_draw(data: ImageSet) -> None:
    besides = {"schedule__class_dropout": 0.3, "schedule__style_mixing": 0.5, "schedule__map_dropout": 0.2, **MAPS}
    shard = Processes(1, 2).shard(400, 4)
    whole, part = drawn(data, **besides), drawn(data, shard=shard, **besides)
    for name in ("x", "z", "conditioned", "path_noise", "z_mixed", "mixed", "mapless"):
        assert torch.equal(getattr(whole, name)[shard], getattr(part, name)), name
    assert torch.equal(whole.others[shard], shard[part.others])
    assert torch.equal(shard[: part.swaps], shard[shard < whole.swaps])
