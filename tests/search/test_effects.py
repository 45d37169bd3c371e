"""Effects: their closed form on a linear world, and that nothing but the networks and the shift matters to them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from stylex.core.errors import ClassifierError, SearchError, StoreError
from stylex.core.progress import Done, Event, Found, Started, Step, silent
from stylex.core.stylespace import StyleStatistics
from stylex.models.config import GeneratorConfig
from stylex.models.generator import Generator
from stylex.models.processes import Processes
from stylex.search.effects import Effects, Measuring, measure_effects, shortlist, stream_effects
from stylex.search.shards import ShardedEffects
from stylex.search.subject import Subject


def measure(world, *, key: str = "", indices=None, listener=silent, **how) -> Effects:
    subject = replace(world.subject, key=key)
    how = Measuring(**how)
    return measure_effects(subject, world.s, image_ids=world.ids, indices=indices, how=how, listener=listener)


@pytest.mark.parametrize("shift_range", [1.0, 0.4, 2.0])
@pytest.mark.parametrize("include_torgb", [False, True])
def test_effects_of_a_linear_world_have_their_closed_form(make_world, shift_range, include_torgb) -> None:
    world = make_world(k=3)
    indices = world.space.indices(include_torgb=include_torgb)
    effects = measure(world, shift_range=shift_range, indices=indices)
    statistics = world.space.statistics
    extremes = np.stack([statistics.minimum, statistics.maximum])
    move = shift_range * (extremes[None] - world.s.numpy()[:, None])
    expected = (move[..., None] * world.response())[:, :, indices]
    assert effects.values.shape == (6, 2, len(indices), 3)
    assert effects.values.dtype == np.float32
    np.testing.assert_allclose(effects.values, expected, atol=2e-6)
    np.testing.assert_allclose(
        effects.base_logits, world.classifier.logits(world.synthesis(world.s)).numpy(), atol=1e-6
    )


def test_only_the_convolutions_part_is_searched_unless_asked(make_world) -> None:
    world = make_world()
    assert measure(world).indices.tolist() == list(range(world.space.conv_dim))


def test_a_few_coordinates_in_any_order_are_the_same_columns(make_world) -> None:
    world = make_world()
    every = measure(world, indices=world.space.indices(include_torgb=True))
    order = np.array([8, 2, 5, 0])
    some = measure(world, indices=order)
    np.testing.assert_allclose(some.values, every.values[:, :, order], atol=1e-6)
    assert some.position(5) == 2


def test_a_zero_shift_changes_nothing_and_draws_nothing(make_world) -> None:
    world = make_world()
    effects = measure(world, shift_range=0.0, chunk=8)
    assert (effects.values == 0).all()
    assert world.synthesis.rows_drawn == len(world.s) + 1  # the reconstructions, and one to count the classes


def test_a_coordinate_at_its_extreme_has_no_effect_and_is_not_drawn(make_world) -> None:
    world = make_world()
    effects = measure(world, chunk=8)
    lowest = world.s[:, : world.space.conv_dim].argmin(dim=0).numpy()
    assert (effects.values[lowest, 0, np.arange(world.space.conv_dim)] == 0).all()
    n, m = len(world.s), world.space.conv_dim
    assert world.synthesis.rows_drawn == n + 2 * n * m - 2 * m + 1


def test_pictures_are_clamped_before_they_are_judged(make_world) -> None:
    world = make_world()
    world.synthesis.scale = 100.0
    effects = measure(world)
    assert np.abs(effects.values).max() <= 2 * world.classifier.weight.abs().sum(dim=0).max()


@pytest.fixture(scope="module", params=[(), (8, 16)], ids=["plain", "with maps"])
def network(request):
    torch.manual_seed(0)
    config = GeneratorConfig(
        resolution=16, channels=3, widths=(4, 3, 3), z_dim=8, w_dim=8, c_dim=2, mapping_layers=2,
        map_resolutions=request.param,
    )  # fmt: skip
    generator = Generator(config).eval().requires_grad_(False)
    for layer in generator.synthesis.layers.values():
        if hasattr(layer, "noise_strength"):
            layer.noise_strength.fill_(0.1)
    w = generator.mapping(torch.randn(3, 8))
    synthesis = generator.synthesis
    place = synthesis.space.maps
    s = synthesis.styles(3 * w, torch.rand(3, 2), 2 * torch.randn(3, place.stop - place.start))
    space = synthesis.space.observed(StyleStatistics.observe(s.numpy()))
    weight = 0.1 * torch.randn(3 * 16 * 16, 2)

    class Judge:
        def logits(self, x):
            return torch.tanh(x).flatten(1) @ weight

    return synthesis, Judge(), space, s


def test_on_the_real_network_a_cached_start_is_the_whole_computation(network) -> None:
    synthesis, judge, space, s = network
    indices = space.indices(include_torgb=True)
    effects = measure_effects(
        Subject(synthesis=synthesis, classifier=judge, space=space), s, image_ids=list("abc"), indices=indices
    )
    base = judge.logits(synthesis(s).clamp(-1, 1))
    scale = np.abs(effects.values).max()
    assert scale > 0.1
    for sign, extreme in enumerate([space.statistics.minimum, space.statistics.maximum]):
        for index in indices:
            moved = s.clone()
            moved[:, index] = float(extreme[index])
            expected = judge.logits(synthesis(moved).clamp(-1, 1)) - base
            np.testing.assert_allclose(effects.values[:, sign, index], expected.numpy(), atol=1e-4 * scale)


@pytest.mark.parametrize("chunk", [2, 7, 1000])
def test_effects_do_not_depend_on_the_chunk_nor_on_the_other_images(network, chunk) -> None:
    synthesis, judge, space, s = network
    indices = space.indices(include_torgb=True)
    reference = measure_effects(
        Subject(synthesis=synthesis, classifier=judge, space=space), s, image_ids=list("abc"), indices=indices
    )
    scale = np.abs(reference.values).max()
    chunked = measure_effects(
        Subject(synthesis=synthesis, classifier=judge, space=space),
        s,
        image_ids=list("abc"),
        indices=indices,
        how=Measuring(chunk=chunk),
    )
    np.testing.assert_allclose(chunked.values, reference.values, atol=1e-4 * scale)
    alone = measure_effects(
        Subject(synthesis=synthesis, classifier=judge, space=space),
        s[1:2],
        image_ids=["b"],
        indices=indices,
        how=Measuring(chunk=chunk),
    )
    np.testing.assert_allclose(alone.values[0], reference.values[1], atol=1e-4 * scale)


def test_where_memory_ends_the_chunk_is_halved(make_world) -> None:
    world = make_world()
    expected = measure(world).values
    world.synthesis.most_rows = 9
    np.testing.assert_allclose(measure(world, chunk=64).values, expected, atol=1e-6)


class Interrupted(Exception):
    pass


@pytest.fixture
def single_images(monkeypatch) -> None:
    """Blocks of one image."""
    monkeypatch.setattr("stylex.search.effects._BLOCK_IMAGES", 1)


@pytest.mark.usefixtures("single_images")
def test_an_interrupted_measurement_goes_on_and_ends_the_same(make_world, tmp_path) -> None:
    world = make_world()
    options = {"chunk": 8, "folder": tmp_path, "key": "snapshot"}

    def stop(event: Event) -> None:
        if isinstance(event, Step) and event.done == 4:
            raise Interrupted

    with pytest.raises(Interrupted):
        measure(world, listener=stop, **options)
    heard: list[Event] = []
    drawn = world.synthesis.rows_drawn
    resumed = measure(world, listener=heard.append, **options)
    assert heard[0] == Started(task="effects", total=6, unit="images", done=4)
    assert [event.done for event in heard if isinstance(event, Step)] == [5, 6]
    assert heard[-1] == Done(task="effects", path=tmp_path)
    assert world.synthesis.rows_drawn - drawn < drawn

    whole = measure(world, chunk=8)
    np.testing.assert_array_equal(resumed.values, whole.values)
    np.testing.assert_array_equal(resumed.base_logits, whole.base_logits)
    drawn = world.synthesis.rows_drawn
    measure(world, **options)
    assert world.synthesis.rows_drawn <= drawn + 1  # nothing is left to do


def test_finished_images_are_found_again_in_another_selection(make_world, tmp_path) -> None:
    world = make_world()
    whole = measure(world, folder=tmp_path, key="a")
    drawn = world.synthesis.rows_drawn
    chosen = measure_effects(
        replace(world.subject, key="a"), world.s[[4, 1]], image_ids=["e", "b"], how=Measuring(folder=tmp_path)
    )
    assert world.synthesis.rows_drawn <= drawn + 1
    np.testing.assert_array_equal(chosen.values, whole.values[[4, 1]])


@pytest.mark.parametrize("change", ["key", "shift_range", "statistics"])
def test_parts_of_another_setting_are_not_taken(make_world, tmp_path, change) -> None:
    world = make_world()
    measure(world, folder=tmp_path, key="a")
    drawn = world.synthesis.rows_drawn
    options = {"key": "a", "folder": tmp_path}
    if change == "statistics":
        wider = StyleStatistics.observe(2 * world.s.numpy())
        world.space = world.space.observed(wider)
    else:
        options[change] = {"key": "b", "shift_range": 0.5}[change]
    measure(world, **options)
    assert world.synthesis.rows_drawn - drawn > 20


@pytest.mark.usefixtures("single_images")
@pytest.mark.parametrize(
    ("file", "damage"),
    [("values", "truncated"), ("values", "flipped"), ("values", "gone"), ("index", "flipped"), ("index", "text")],
)
def test_a_damaged_part_is_measured_again(make_world, tmp_path, damage, file) -> None:
    world = make_world()
    options = {"folder": tmp_path, "key": "a", "chunk": 1}
    whole = measure(world, **options)
    part = sorted(tmp_path.rglob("*.npy" if file == "values" else "*.npz"))[2]
    data = part.read_bytes()
    middle = bytes([data[len(data) // 3] ^ 255])
    part.write_bytes(
        {
            "gone": b"",
            "truncated": data[: len(data) // 2],
            "flipped": data[: len(data) // 3] + middle + data[len(data) // 3 + 1 :],
            "text": b"not an archive",
        }[damage]
    )
    if damage == "gone":
        part.unlink()
    again = measure(world, **options)
    np.testing.assert_allclose(again.values, whole.values, atol=1e-6)
    assert part.read_bytes() == data


def stream(world, *, key: str = "", image_ids=None, listener=silent, **how):
    subject, ids = replace(world.subject, key=key), world.ids if image_ids is None else image_ids
    return stream_effects(subject, world.s, image_ids=ids, how=Measuring(**how), listener=listener)


def test_effects_left_on_disk_say_the_same(make_world, tmp_path) -> None:
    world = make_world(k=3)
    whole = measure(world)
    effects = stream(world, folder=tmp_path, key="a", in_memory=0)
    assert isinstance(effects, ShardedEffects)
    assert effects.slots[0][0].values.dtype == np.float16
    scale = np.abs(whole.values).max()
    np.testing.assert_array_equal(effects.base_logits, whole.base_logits)
    for target in range(3):
        np.testing.assert_allclose(effects.table(target), whole.table(target), atol=5e-4 * scale)
    np.testing.assert_allclose(effects.change(1, 2), whole.change(1, 2), atol=5e-4 * scale)
    some = effects.of(np.array([4, 1]))
    assert (len(some), some.image_ids) == (2, ("image-4", "image-1"))
    np.testing.assert_array_equal(some.table(1), effects.table(1)[[4, 1]])
    with pytest.raises(SearchError, match="99 was not measured"):
        effects.position(99)
    with pytest.raises(SearchError, match="too many for memory"):
        stream(world, in_memory=0)


def test_of_many_classes_the_likeliest_are_kept(make_world, tmp_path, monkeypatch) -> None:
    monkeypatch.setattr("stylex.search.effects._KEPT_BYTES", 0)
    monkeypatch.setattr("stylex.search.effects._KEPT_CLASSES", 2)
    world = make_world(k=6)
    whole = measure_all(world)
    effects = stream(world, folder=tmp_path, key="a", classes=(5,))
    assert isinstance(effects, ShardedEffects)
    np.testing.assert_allclose(effects.table(5), whole.table(5), atol=1e-6)
    after = whole.base_logits[:, None, None] + whole.values
    highest = after.max(axis=(1, 2))
    for row, (block, slot) in enumerate(effects.slots):
        others = [c for c in np.argsort(-highest[row]) if c != 5][:2]
        assert block.classes[slot].tolist() == [5, *others]
    change = effects.change(0, 1)
    assert ((change != 0).sum(axis=1) <= 3).all()
    with pytest.raises(SearchError, match="were not kept"):
        [effects.table(target) for target in range(5)]


def measure_all(world) -> Effects:
    """Effects on all classes, whatever is kept of them."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("stylex.search.effects._KEPT_BYTES", 2**40)
        return measure(world)


@pytest.mark.usefixtures("single_images")
def test_what_a_lost_process_left_is_measured_when_called_again(make_world, tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(Processes, "wait", lambda self: None)  # the other one never comes
    world = make_world()
    options = {"folder": tmp_path, "key": "a"}
    with pytest.raises(SearchError, match="effects of 3 images are missing, as another process was lost"):
        stream(world, processes=Processes(1, 2), **options)
    drawn = world.synthesis.rows_drawn
    again = stream(world, **options)
    assert world.synthesis.rows_drawn - drawn < 1.4 * drawn  # the other half
    np.testing.assert_array_equal(again.values, measure(world).values)
    with pytest.raises(SearchError, match="several processes share them"):
        stream(world, processes=Processes(0, 2))


def test_bfloat16_is_refused_where_it_is_not_exact_enough(network, monkeypatch) -> None:
    monkeypatch.setattr("stylex.search.moves.has_fast_bf16", lambda place: True)
    synthesis, judge, space, s = network
    subject = Subject(synthesis=synthesis, classifier=judge, space=space)
    exact = measure_effects(subject, s, image_ids=list("abc"))
    heard: list[Event] = []
    options = {"image_ids": list("abc"), "listener": heard.append}
    refused = stream_effects(
        subject,
        s,
        **options,
        how=Measuring(precision="bf16", tolerance=0.0),
    )
    np.testing.assert_array_equal(refused.values, exact.values)
    granted = stream_effects(
        subject,
        s,
        **options,
        how=Measuring(precision="bf16", tolerance=0.2),
    )
    assert 0 < np.abs(granted.values - exact.values).max() < 0.2 * np.abs(exact.values).max()
    said = [event.message for event in heard if isinstance(event, Found)]
    assert "float32 is used instead" in said[0]
    assert "drawn in bfloat16" in said[1]
    monkeypatch.setattr("stylex.search.moves.has_fast_bf16", lambda place: False)
    slow = stream_effects(
        subject,
        s,
        **options,
        how=Measuring(precision="bf16", tolerance=0.2),
    )
    np.testing.assert_array_equal(slow.values, exact.values)
    assert "no bfloat16 in hardware" in [event.message for event in heard if isinstance(event, Found)][2]


def test_effects_survive_saving(make_world, tmp_path) -> None:
    effects = measure(make_world())
    effects.save(tmp_path / "effects.npz")
    loaded = Effects.load(tmp_path / "effects.npz")
    np.testing.assert_array_equal(loaded.values, effects.values)
    np.testing.assert_array_equal(loaded.base_logits, effects.base_logits)
    np.testing.assert_array_equal(loaded.indices, effects.indices)
    assert (loaded.image_ids, loaded.shift_range) == (effects.image_ids, effects.shift_range)
    assert [path.name for path in tmp_path.iterdir()] == ["effects.npz"]


def test_a_missing_or_damaged_effects_file_is_named(make_world, tmp_path) -> None:
    path = tmp_path / "effects.npz"
    with pytest.raises(StoreError, match=r"no effects file .*effects\.npz"):
        Effects.load(path)
    measure(make_world()).save(path)
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(StoreError, match="not a whole effects file"):
        Effects.load(path)


def test_effects_of_some_images(make_world) -> None:
    effects = measure(make_world())
    some = effects.of(np.array([5, 2]))
    assert some.image_ids == ("image-5", "image-2")
    np.testing.assert_array_equal(some.values, effects.values[[5, 2]])
    mask = np.array([True] + 5 * [False])
    assert effects.of(mask).image_ids == ("image-0",)
    with pytest.raises(SearchError, match="99 was not measured"):
        effects.position(99)


def test_the_shortlist_holds_what_moves_the_classifier(make_world) -> None:
    world = make_world(n=20, reads={5: (0.0, 2.0), 1: (-1.0, 0.0)})
    effects = measure(world)
    assert shortlist(effects, 2).tolist() == [1, 5]
    assert shortlist(effects, 99).tolist() == effects.indices.tolist()
    again = measure(world, indices=shortlist(effects, 2))
    np.testing.assert_allclose(again.values, effects.values[:, :, [1, 5]], atol=1e-6)


def test_what_cannot_be_measured_is_said(make_world, tmp_path) -> None:
    world = make_world()
    with pytest.raises(SearchError, match="6 style vectors came with 2 image ids"):
        measure_effects(world.subject, world.s, image_ids=["a", "b"])
    with pytest.raises(SearchError, match="no key to tell whose they are"):
        measure(world, folder=tmp_path)
    world.classifier.bias = torch.tensor([0.0, float("nan")])
    with pytest.raises(ClassifierError, match="not finite on changes of image 'image-0'"):
        measure(world)
    world.space = world.synthesis.space
    with pytest.raises(SearchError, match="no observed minimum"):
        measure(world)
