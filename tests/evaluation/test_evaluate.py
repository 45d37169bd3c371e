"""The evaluation from end to end: what is measured, on which images, and that the same is measured again."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from stylex.classifiers import Classifier, ClassifierSpec
from stylex.classifiers.classifier import Directed, standardised
from stylex.cli.table import table_of
from stylex.core.attribute import AttributeRanking
from stylex.core.errors import EvaluationError
from stylex.core.evaluation import Evaluation
from stylex.core.numbers import Numbers
from stylex.core.progress import Event, Listener, Step, silent
from stylex.data.archive import ImageSet
from stylex.evaluation.attack import attack
from stylex.evaluation.evaluate import MEASURES, evaluate_subject
from stylex.evaluation.extractors import extractor_for
from stylex.evaluation.found import Found, find
from stylex.evaluation.options import PARTS, Inputs, Options
from stylex.evaluation.realism import paired
from stylex.evaluation.sheet import Sheet
from stylex.evaluation.subject import comparable, random_coordinates, steered_alike, subject_of
from stylex.models.snapshot import Snapshot
from stylex.report.evaluated import evaluated
from stylex.search.config import SearchConfig
from stylex.search.directions import INDEPENDENT, independent
from stylex.search.encoding import encode_set
from stylex.search.shifts import apply_attributes, statistics_of
from stylex.search.subject import TrainedSubject

pytestmark = pytest.mark.integration

SINGLE = SearchConfig(method="attfind", shift_range=2.0)
OPTIONS = Options(searched=8, measured=16, attributes=3, own=1, observer_steps=20, search=SINGLE)
Judge = Callable[..., Classifier]


def measure(
    subject: TrainedSubject,
    images: ImageSet,
    *,
    options: Options = OPTIONS,
    against: TrainedSubject | None = None,
    found: Found | None = None,
    listener: Listener = silent,
) -> Evaluation:
    return evaluate_subject(
        subject,
        Inputs(
            held_out=images.split("test"),
            training=images.split("train"),
            targets=[0, 1],
            extractor=extractor_for("classifier", subject.classifier),
            against=against,
            listener=listener,
        ),
        options,
        found=found,
        settings={"verb": "evaluate"},
    )


@pytest.fixture(scope="module")
def evaluation(images: ImageSet, subject: TrainedSubject) -> Evaluation:
    fresh, other = (subject_of(subject.snapshot, subject.classifier) for _ in range(2))
    return measure(fresh, images, against=other)


def test_every_part_is_measured(evaluation: Evaluation) -> None:
    assert list(MEASURES) == list(PARTS)
    assert [part for part, _ in evaluation.parts()] == [*(part for part in PARTS if part != "follows"), "cost"]
    assert any("no maps to swap" in note for note in evaluation.notes)
    assert (evaluation.searched, evaluation.measured) == (8, 16)
    assert len({m.name for m in evaluation.measures}) == len(evaluation.measures)
    for m in evaluation.measures:
        if m.low is not None and m.high is not None and math.isfinite(m.low):
            assert m.low <= m.high
    assert all(a.effect is not None and a.area is not None and a.q is not None for a in evaluation.attributes)
    assert all(m.by for m in evaluation.measures if m.part == "realism")
    judges = {m.by for m in evaluation.measures if m.part == "realism" and "changed" in m.what}
    assert [by is not None and "random weights" in by for by in judges] == [True]
    assert {"frechet_changed", "frechet_unchanged", "kid_changed_random"} <= {m.what for m in evaluation.measures}
    assert any("too few of them" in note for note in evaluation.notes)
    assert evaluation["cost.classifier_calls"] > evaluation["cost.classifier_calls_of_search"] > 0


def test_a_measure_says_what_it_is_about_also_where_an_older_file_has_only_its_name(evaluation: Evaluation) -> None:
    row = evaluation.to_json()
    most = next(m for m in row["measures"] if m["name"] == "sufficiency.top1_to_left")
    assert (most["kind"], most["target"], most["top"]) == ("attributes", "left", 1)
    for m in row["measures"]:
        for key in ("kind", "target", "top"):
            del m[key]
    assert Evaluation.from_json(row).to_json() == evaluation.to_json()


def test_a_training_is_as_stable_as_can_be_beside_itself(evaluation: Evaluation) -> None:
    assert evaluation["stability.matched"] == 1
    assert evaluation["stability.similarity"] == pytest.approx(1, abs=1e-4)
    assert all(a.counterpart == a.name for a in evaluation.attributes)


def test_it_is_read_as_it_was_written(evaluation: Evaluation) -> None:
    text = json.dumps(evaluation.to_json(), allow_nan=False)
    assert json.dumps(Evaluation.from_json(json.loads(text)).to_json()) == text


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"schema": "else"}, "schema"),
        ({"version": 9}, "version 9"),
        ({"measures": [{"name": 1}]}, "damaged"),
        ({"attributes": 3}, "damaged"),
    ],
)
def test_what_is_no_evaluation_is_not_read(evaluation: Evaluation, change: dict[str, object], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        Evaluation.from_json(evaluation.to_json() | change)


def test_the_same_seed_measures_the_same(subject: TrainedSubject, images: ImageSet, evaluation: Evaluation) -> None:
    again = measure(subject, images, options=replace(OPTIONS, without=frozenset({"own", "observer"})))
    kept = [m for m in again.measures if m.part != "cost"]
    assert kept == [m for m in evaluation.measures if m.part not in ("cost", "own", "observer", "stability")]


def test_parts_are_left_out_and_progress_is_told(subject: TrainedSubject, images: ImageSet) -> None:
    heard: list[Event] = []
    left = frozenset(PARTS) - {"reconstruction", "sparsity"}
    found = measure(subject, images, options=replace(OPTIONS, without=left), listener=heard.append)
    assert [part for part, _ in found.parts()] == ["reconstruction", "sparsity", "cost"]
    assert [e.done for e in heard if isinstance(e, Step) and e.task == "evaluate"] == [1, 2, 3]


def test_images_are_searched_or_measured_never_both(subject: TrainedSubject, images: ImageSet) -> None:
    held_out = images.split("test")
    found = find(subject, held_out.subset(np.arange(0, len(held_out), 2)), [0, 1], OPTIONS)
    without = frozenset(PARTS) - {"sufficiency"}
    few = measure(subject, images, options=replace(OPTIONS, measured=500, without=without), found=found)
    assert few.measured == len(held_out) - 8
    everything = replace(found, images=frozenset(held_out.names))
    with pytest.raises(EvaluationError, match="0 held-out images are left"):
        measure(subject, images, found=everything)


def test_nothing_found_is_a_result(subject: TrainedSubject, images: ImageSet) -> None:
    nothing = find(subject, images.split("test"), [1], OPTIONS)
    nothing = replace(nothing, rankings={1: ()}, shown=())
    found = measure(subject, images, found=nothing)
    assert [part for part, _ in found.parts()] == ["reconstruction", "reason", "lost", "realism", "cost"]
    assert "Nothing was found" in found.notes[0]


def test_a_black_box_is_not_attacked_but_all_else_is_measured(
    halves: Judge, snapshot: Snapshot, images: ImageSet
) -> None:
    box = subject_of(snapshot, halves(gradient=False))
    found = measure(
        box, images, options=replace(OPTIONS, without=frozenset(PARTS) - {"attack", "reason", "lost", "sufficiency"})
    )
    assert [part for part, _ in found.parts()] == ["sufficiency", "cost"]
    assert [note[:10] for note in found.notes if "no gradient" in note] == ["No reason:", "No lost ca", "No attack:"]


class Leaning(nn.Module):
    """How much brighter the left half is than the right, in percent."""

    def forward(self, x: Tensor) -> Tensor:
        return 50 * (x[..., :8].mean(dim=(1, 2, 3)) - x[..., 8:].mean(dim=(1, 2, 3)))[:, None]


def test_a_number_is_measured_in_its_unit_beside_another_images(mapped: Snapshot, images: ImageSet) -> None:
    spec = ClassifierSpec(
        labels=("lean",), input_size=16, channels=1, value_range=(-1.0, 1.0), output="regression", unit="percent"
    )
    told = Directed(standardised(Classifier(Leaning(), spec), [images.batch(range(len(images)))]), 0, by=0.2)
    subject = subject_of(mapped, told)
    numbers = subject.numbers
    assert numbers is not None
    evaluation = measure(subject, images)
    assert Numbers.within(evaluation.settings, evaluation.labels) is not None
    e = encode_set(subject, images.split("test"))
    apart = (e.logits - e.logits_rec)[:, 0].abs() * numbers.scale[0]
    assert evaluation["reconstruction.answer_error"] == pytest.approx(float(apart.mean()), rel=1e-4)
    r = np.corrcoef(e.logits[:, 0].numpy(), e.logits_rec[:, 0].numpy())[0, 1]
    assert evaluation["reconstruction.correlation"] == pytest.approx(r, abs=1e-3)
    same = (e.logits - e.logits_rec)[:, 0].abs() <= 0.5
    assert evaluation["reconstruction.agreement"] == pytest.approx(float(same.float().mean()))
    kinds = {m.name for m in evaluation.measures}
    for name in ("correlation", "r2", "answer_error"):
        assert {f"reconstruction.{name}_other", f"follows.{name}_w", f"follows.{name}_w_other"} <= kinds
    assert "reason.same" in kinds
    assert any("No lost causes" in note for note in evaluation.notes)
    # An image counts as turned from where it was, and effects are the number's, in its unit.
    target = next(m.target for m in evaluation.measures if m.kind == "attributes" and m.part == "sufficiency")
    assert target in ("more lean", "less lean")
    notes = {m.note for m in evaluation.measures if m.part == "sufficiency" and m.kind == "attributes"}
    assert notes == {"moved by 0.20 percent or more"}
    page = evaluated(evaluation, AttributeRanking(attributes=(), strategy="", images=0, explained=0.0, finding=""))
    text = " ".join(check.text for check in page.checks)
    assert "on average it differs by " in text
    assert " by 0.20 percent or more; as many random changes of the same size move " in text
    assert " moves lean by " in " ".join(f" {facts}" for _, facts in page.attributes)
    assert "percent to " in " ".join(table_of(evaluation))


def test_where_there_are_maps_they_are_swapped(mapped: Snapshot, halves: Judge, images: ImageSet) -> None:
    without = frozenset(PARTS) - {"follows"}
    found = measure(subject_of(mapped, halves()), images, options=replace(OPTIONS, without=without))
    assert {m.what for m in found.measures if m.part == "follows"} == {
        "w", "w_own_maps", "w_chance", "maps", "maps_own_maps"
    }  # fmt: skip
    # Of two classes, a pair of different answers is answered as one or as the other.
    pairs = 1 - found["follows.w_chance"]
    assert found["follows.maps"] * pairs <= 1 - found["follows.w"] + 1e-6
    assert all(m.low <= m.value <= m.high for m in found.measures if m.part == "follows" and m.low is not None)


def test_answers_that_have_nothing_to_do_with_the_attributes_are_not_accounted_for(
    subject: TrainedSubject, images: ImageSet
) -> None:
    found = find(subject, images.split("test"), [0, 1], OPTIONS)
    encoded = encode_set(subject, images.split("test"))
    inputs = Inputs(
        held_out=images.split("test"),
        training=None,
        targets=[0, 1],
        extractor=extractor_for("classifier", subject.classifier),
    )

    def account(logits: Tensor) -> dict[str, float]:
        sheet = Sheet(subject, inputs, found, replace(encoded, logits=logits), OPTIONS)
        MEASURES["account"](sheet)
        return {m.name: m.value for m in sheet.measures}

    said = encoded.logits_rec  # what the attributes move
    own, against, same = (account(logits) for logits in (said, -said, 0 * said))
    tops = {name for name in own if name.startswith("account.top")}
    # (Towards a class for which nothing was found there is nothing to account.)
    named = {subject.labels[target] for target, ranking in found.rankings.items() if ranking}
    assert named
    assert {name.rsplit("_to_")[-1] for name in tops} == named
    assert len(own) == len(tops) + len(named)
    assert all(0 <= value <= 1 for value in own.values())
    assert max(own[name] for name in tops) > 0
    # Answers turned round go against what the attributes do; answers that are all alike do not differ at all.
    assert all(against[name] == 0 for name in tops if own[name] > 0)
    assert not any(same.values())


def test_a_change_on_a_photograph_rebuilt_to_the_last_pixel_is_the_change(
    subject: TrainedSubject, images: ImageSet
) -> None:
    found = find(subject, images.split("test"), [0, 1], OPTIONS)
    encoded = encode_set(subject, images.split("test"))
    same = replace(encoded, x=encoded.x_rec, logits=encoded.logits_rec)
    extractor = extractor_for("classifier", subject.classifier)
    inputs = Inputs(held_out=images.split("test"), training=None, targets=[0, 1], extractor=extractor)
    sheet = Sheet(subject, inputs, found, same, OPTIONS)
    MEASURES["photograph"](sheet)
    MEASURES["reason"](sheet)
    known = {m.name: m.value for m in sheet.measures}
    assert known["reason.same"] == pytest.approx(1, abs=1e-5)
    laid = {name: value for name, value in known.items() if "photograph_top" in name}
    assert laid
    for name, value in laid.items():
        assert value == known[name.replace("photograph_top", "rebuilt_top")]
    for attribute in sheet.attributes:
        assert attribute.flips == attribute.flips_photograph


class ThreeWays(nn.Module):
    """The halves' classifier with a third class that nothing moves."""

    def __init__(self, two: nn.Module) -> None:
        super().__init__()
        self.two = two

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.cat([self.two(x), torch.full((len(x), 1), -9.0)], dim=1)


def test_the_other_classes_are_measured_where_there_are_enough(
    snapshot: Snapshot, halves: Judge, images: ImageSet
) -> None:
    two = halves()
    spec = replace(two.spec, labels=("right", "left", "neither"))
    assert isinstance(two.model, nn.Module)
    subject = subject_of(snapshot, Classifier(ThreeWays(two.model), spec))
    found = find(subject_of(snapshot, two), images.split("test"), [1], OPTIONS)
    found = replace(found, shown=found.shown[:1])
    three = Sheet(
        subject,
        Inputs(held_out=images, training=None, targets=[1], extractor=extractor_for("classifier", two)),
        found,
        encode_set(subject, images.split("test")),
        OPTIONS,
    )
    MEASURES["preservation"](three)
    known = {m.what: m for m in three.measures}
    kinds = ("perceptual", "pixels", "other_logits")
    assert set(known) == {*kinds, *(f"{kind}_random" for kind in kinds)}
    _, s, rows = three.starts(1)
    rise = subject.logits(apply_attributes(s, found.shown, subject.space)) - three.base[rows]
    # One of the two others moves: beside their mean, each moves by half of that.
    assert known["other_logits"].value == pytest.approx(np.abs(rise[:, 0]).mean() / 2, rel=1e-4)
    assert known["perceptual"].by is not None
    assert "random" in known["perceptual"].by
    change = three.attributes[0].picture_change
    assert change is not None
    assert change.value == pytest.approx(known["pixels"].value, rel=1e-4)


def test_changed_pictures_are_set_beside_others_of_the_same_answer() -> None:
    random = np.random.default_rng(0)
    own, others = random.integers(3, size=40), random.integers(1, 4, size=30)
    pairs = paired(own, others, random)
    assert (own[pairs[:, 0]] == others[pairs[:, 1]]).all()
    assert all(len(np.unique(side)) == len(pairs) for side in pairs.T), "none twice"
    assert len(pairs) == sum(min((own == k).sum(), (others == k).sum()) for k in range(4))
    assert paired(own, others + 9, random).shape == (0, 2)


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"without": frozenset({"pictures"})}, "no part 'pictures'"),
        ({"measured": 3}, "measured is 3"),
    ],
)
def test_options_that_cannot_be_meant_are_refused(wrong: dict[str, object], said: str) -> None:
    with pytest.raises(EvaluationError, match=said):
        Options(**wrong)  # type: ignore[arg-type]


def test_directions_in_w_are_evaluated_as_coordinates_are(snapshot: Snapshot, halves: Judge, images: ImageSet) -> None:
    steered = independent(snapshot)
    directions = subject_of(steered, halves())
    again = subject_of(steered_alike(snapshot, steered, halves()), halves())
    without = frozenset({"own", "observer", "attack", "reconstruction", "realism"})
    options = replace(OPTIONS, searched=24, search=SearchConfig(shift_range=8.0, selection="together"), without=without)
    found = measure(directions, images, options=options, against=again)
    assert found.attributes
    assert all(a.name.startswith(INDEPENDENT) for a in found.attributes)
    assert all(a.counterpart == a.name for a in found.attributes)
    assert any(m.what.startswith("random") for m in found.measures if m.part == "sufficiency")
    assert steered_alike(snapshot, snapshot, halves()) is snapshot


def test_random_coordinates_move_one_value_equally_far(subject: TrainedSubject, images: ImageSet) -> None:
    held_out = images.split("test")
    found = find(subject, held_out, [1], OPTIONS)
    s = encode_set(subject, held_out).s
    std = torch.from_numpy(statistics_of(subject.space).std)
    ranking = found.rankings[1][:2]
    pool = comparable(subject, ranking)
    moved = random_coordinates(s, ranking, subject.space, pool, np.random.default_rng(0))
    own = [subject.space.index(a.coordinate) for a in ranking]
    assert ((moved != s).sum(dim=1) <= 1).all()
    assert not (moved != s)[:, own].any()
    length = ((apply_attributes(s, ranking, subject.space) - s) / std).nan_to_num(posinf=0, neginf=0).norm(dim=1)
    torch.testing.assert_close(
        ((moved - s) / std).nan_to_num(posinf=0, neginf=0).norm(dim=1), length, rtol=1e-3, atol=1e-4
    )


def test_the_attack_climbs_and_stays_within_its_length(halves: Judge) -> None:
    x = torch.rand(5, 1, 16, 16) - 0.5
    classifier, length = halves(), torch.linspace(0.1, 2, 5)

    def height(x: torch.Tensor) -> torch.Tensor:
        return classifier.logits(x)[:, 1]

    with torch.inference_mode():  # as the evaluation runs
        attacked = attack(height, x, length)
        assert (height(attacked) > height(x)).all()
    assert ((attacked - x).flatten(1).norm(dim=1) <= length + 1e-4).all()
    assert attacked.abs().max() <= 1
