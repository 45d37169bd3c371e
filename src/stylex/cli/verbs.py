"""What the command line knows of each verb beyond its signature: which options stand bare, what is said at the end."""

from __future__ import annotations

import json
import shlex
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from stylex import api
from stylex.core.verdict import agreement_verdict, classifier_remark

if TYPE_CHECKING:
    from stylex.bias.repair import Repaired
    from stylex.core.attacked import Attack
    from stylex.core.attribute import Attribute
    from stylex.core.audited import Audit
    from stylex.core.comparison import Comparison
    from stylex.core.evaluation import Evaluation
    from stylex.core.explanation import Explanation
    from stylex.core.figures import Flips
    from stylex.core.numbers import Numbers
    from stylex.core.overview import Overview
    from stylex.data.prepare import PrepareSummary
    from stylex.study.analysed import Analysis


@dataclass(frozen=True, kw_only=True)
class Verb:
    """One command.

    Attributes:
        function: name of the verb in ``stylex.api``.
        closing: the lines for stdout when it is done, from its options and its result.
        interrupted: what holds after Ctrl-C, from its arguments.
        positional: parameters that are given bare, in order.
        failed: whether its result says that what was to be checked has failed.
    """

    function: str
    closing: Callable[[Mapping[str, Any], Any], list[str]]
    interrupted: Callable[[Mapping[str, Any]], str]
    positional: tuple[str, ...] = ()
    failed: Callable[[Any], bool] = lambda result: False


def _prepared(options: Mapping[str, Any], summary: PrepareSummary) -> list[str]:
    return [*str(summary).splitlines(), f"archive: {options['out']}"]


def _explained(options: Mapping[str, Any], explanation: Explanation) -> list[str]:
    from stylex.core.numbers import Numbers
    from stylex.report.words import effect, numbers_kept, rebuilding

    numbers = Numbers.of(explanation)

    def does(attribute: Attribute) -> str:
        if numbers is None:
            return f"{attribute.target_label}: effect {attribute.effect:+.2f} logits"
        return f"{attribute.target_label}: {effect(attribute, explanation)}"

    rows = [
        f"{rank:>3}. {attribute.name:<24} {does(attribute)}"
        + ("" if attribute.meaning is None else f"  goes with {attribute.meaning}")
        for rank, attribute in enumerate(explanation.ranking, start=1)
    ]
    agreement = explanation.figures.get("agreement") if explanation.scope == "class" else None
    other = explanation.figures.get("agreement_other")
    remark, rebuilt = classifier_remark(explanation.settings), rebuilding(explanation)
    return [
        *([] if remark is None else [remark]),
        *([] if agreement is None else [agreement_verdict(agreement, other)]),
        *([] if numbers is None else [numbers_kept(explanation.figures, numbers)]),
        *([] if rebuilt is None else [rebuilt]),
        explanation.ranking.finding,
        *(_turned(flips, numbers) for flips in explanation.flips),
        *rows,
        f"explanation: {options['out']}",
        f"next: stylex report {options['out']}",
    ]


def _overview(options: Mapping[str, Any], overview: Overview) -> list[str]:
    remark = classifier_remark(overview.settings)
    verdict = agreement_verdict(overview.figures["agreement"], overview.figures.get("agreement_other"))
    page = Path(options["out"]) / "index.html"
    return [*([] if remark is None else [remark]), verdict, overview.finding, f"page: {page}"]


def _turned(flips: Flips, numbers: Numbers | None) -> str:
    """How many images the listed attributes turn together, beside random ones as long."""
    images = "the images" if flips.images is None else f"{flips.images} images"
    first, count = flips.top.get(1), flips.count
    turns, enough = ("turns", "") if numbers is None else ("moves", f" by {numbers.amount(numbers.by)} or more")
    alone = "" if first is None or count == 1 else f"the first alone {turns} {first:.0%}{enough}, "
    chance = "" if flips.random is None else f"; as many at random, as long, {flips.random:.0%}"
    together = f"the first alone {turns}" if count == 1 else f"{count} together"
    enough = "" if alone else enough
    return f"Of {images} towards {flips.target_label}, {alone}{together} {flips.top[count]:.0%}{enough}{chance}."


def _attacked(options: Mapping[str, Any], attack: Attack) -> list[str]:
    from stylex.search.attack_images import finding

    remark = classifier_remark(attack.settings)
    rows = [
        f"  {score.descriptor:<24} {score.change.value:+.2f} ({score.change.low:+.2f} to {score.change.high:+.2f})"
        for score in attack.scores
    ]
    head = [f"change towards {attack.towards}, in standard deviations of each descriptor:"] if rows else []
    written = [f"attack: {options['out']}", f"report: {Path(options['out']) / 'report.html'}"]
    given = _given(options, "classifier", "target")
    written.append(f"next: stylex find {options['run']} --data {options['data']} --out explanation/{given}")
    like = [] if attack.likeness is None else [attack.likeness.said]
    return [*([] if remark is None else [remark]), finding(attack), *like, *attack.notes, *head, *rows, *written]


def _evaluated(options: Mapping[str, Any], evaluation: Evaluation) -> list[str]:
    from stylex.cli.table import table_of

    places = [options["out"], options["explanation"] and f"{options['explanation']}/evaluation.json"]
    written = [f"evaluation: {place}" for place in places if place]
    known = {measure.name: measure.value for measure in evaluation.measures}
    agreement, other = (known.get(f"reconstruction.{name}") for name in ("agreement", "agreement_other"))
    verdict = [] if agreement is None else [agreement_verdict(agreement, other)]
    return [*verdict, *table_of(evaluation), *written]


def _compared(options: Mapping[str, Any], comparison: Comparison) -> list[str]:
    from stylex.cli.compared import tables_of

    folder = Path(options["out"])
    written = [f"comparison: {folder / 'comparison.json'}", f"page: {folder / 'comparison.html'}"]
    data = options["data"] or options["run"]
    given = _given(options, "classifier", "target")
    goes_on = f"next: stylex find {options['run']} --data {data} --out explanation/{given}"
    return [*tables_of(comparison), *written, goes_on]


def _given(options: Mapping[str, Any], *names: str) -> str:
    """Those of some options that a command was given, for a command after it."""
    given = {name.replace("_", "-"): options[name] for name in names if options.get(name) is not None}
    return "".join(f" --{name} {shlex.quote(str(value))}" for name, value in given.items())


def _repaired(options: Mapping[str, Any], repaired: Repaired) -> list[str]:
    out, limits = Path(options["out"]), repaired.limits
    table = out.with_suffix(".groups.csv")
    classifier = shlex.quote(str(options["classifier"] or "CLASSIFIER"))
    return [
        f"{repaired.attribute}: {repaired.photographs} training and {repaired.test} test images as they are, "
        f"{repaired.turned} turned both ways, by {repaired.change:.3f} of 2 on average",
        *([] if limits is None else [f"left out as unlike photographs: {repaired.unreal} (by {limits.by})"]),
        *(
            f"  of {high + low} training images {label}, {high} lie on the attribute's side"
            for label, (high, low) in repaired.places.items()
        ),
        f"archive: {out}",
        f"groups: {table}",
        f"look at: {out.with_suffix('.png')}",
        f"next: stylex classifier --from {classifier} --data {out} --groups {table} --out repaired-classifier",
    ]


def _audited(options: Mapping[str, Any], audit: Audit) -> list[str]:
    from stylex.cli.audited import lines_of

    return [*lines_of(audit), *([f"audit: {options['out']}"] if options["out"] else [])]


def _path(name: str) -> Callable[[Mapping[str, Any], Path], list[str]]:
    return lambda options, path: [f"{name}: {path}"]


def _trained(options: Mapping[str, Any], run: Path) -> list[str]:
    given = str(options["classifier"] or "")
    again = f" --classifier {given}" if ":" in given and not Path(given).exists() else ""  # code is never recalled
    return [
        *_verdict_of(run),
        f"run: {run}",
        f"next: stylex find {run} --data {options['data']}{again} --out explanation/{_aim_of(run)}",
    ]


def _adapted(options: Mapping[str, Any], run: Path) -> list[str]:
    """What became of an adaptation, and a next command that its images allow."""
    from stylex.adapting import NEARNESS

    path, panels = run / NEARNESS, sorted((run / "snapshots").glob("[0-9]*/panel.png"))
    known = json.loads(path.read_text()) if path.exists() else None
    said = []
    if known is not None:
        after, before, real = (known[name] for name in ("after", "before", "real"))
        said.append(
            f"New pictures are {after['value']:.3f} ({after['low']:.3f} to {after['high']:.3f}) from "
            f"{known['held_out']} held-out images; before it was {before['value']:.3f}, and other real images are "
            f"{real['value']:.3f} (kernel distance, {known['by']}; 0 would be alike)."
            + (" So few images cannot tell whether it came nearer." if before["value"] <= after["high"] else "")
        )
    given = _given(options, "classifier", "classifier_spec")
    verdict = _verdict_of(run, of_a_domain=True)
    goes_on = (
        f"stylex morph {options['run']} {run} --out morph-{run.name}.png"
        if known is None or known["held_out"] < _ENOUGH_TO_SEARCH
        else f"stylex find {run} --data {options['data']}{given} --out explanation/{_aim_of(run)}"
    )
    return [*said, *verdict, f"run: {run}", *(f"picture: {panel}" for panel in panels[-1:]), f"next: {goes_on}"]


_ENOUGH_TO_SEARCH = 20
"""Held-out images from which on a search can claim anything."""


def _aim_of(run: Path) -> str:
    """The target that ``find`` needs where there are not just two classes: the last label, as an example."""
    described = max((run / "snapshots").glob("[0-9]*/snapshot.json"), default=None)
    spec = {} if described is None else json.loads(described.read_text())["classifier"]
    labels = spec.get("labels", [])
    two = len(labels) == 2 and not str(spec.get("output")).startswith("multi-label")
    if spec.get("output") == "regression":  # of one number, both ways without a target
        return "" if len(labels) < 2 else f" --target {shlex.quote(f'more {labels[0]}')}"
    return "" if two or not labels else f" --target {shlex.quote(labels[-1])}"


def _verdict_of(run: Path, *, of_a_domain: bool = False) -> list[str]:
    """What the newest held-out figures of a training say; nothing where there are none.

    Args:
        run: its folder.
        of_a_domain: its images may be all of one class.
    """
    path = run / "stats.jsonl"
    rows = [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []
    measured = [row["held_out"] for row in rows if "agreement" in row.get("held_out", {})]
    return [agreement_verdict(x["agreement"], x.get("agreement_other"), of_a_domain=of_a_domain) for x in measured[-1:]]


def _shown(options: Mapping[str, Any], report: Path) -> list[str]:
    return [f"report: {report}", f"next: stylex explore demo --explanation {Path(options['out']) / 'explanation'}"]


def _study_made(options: Mapping[str, Any], study: Path) -> list[str]:
    return [f"study: {study}", f"next: stylex study serve {shlex.quote(str(study))}"]


def _study_analysed(options: Mapping[str, Any], analysis: Analysis) -> list[str]:
    from stylex.study.page import PAGE, lines_of

    folder = Path(options["out"] or Path(options["study"]) / "analysis")
    return [*lines_of(analysis), f"analysis: {folder / PAGE}"]


def _study_shown(options: Mapping[str, Any], analysis: Analysis) -> list[str]:
    from stylex.study.page import PAGE, lines_of

    study = Path(options["out"]) / "study"
    again = f"next: stylex study serve {shlex.quote(str(study))}"
    return [*lines_of(analysis), f"analysis: {study / 'analysis' / PAGE}", again]


def _listed(options: Mapping[str, Any], runs: Sequence[Any]) -> list[str]:
    from stylex.cli.listed import table_of

    return [json.dumps(runs, indent=1)] if options["json"] else table_of(runs, options["folder"])


def _imported(options: Mapping[str, Any], run: Path) -> list[str]:
    return [
        f"run: {run}",
        f"next: stylex train --generator {run} --freeze generator --data {options['data']} --classifier "
        f"{options['classifier']} --out {run}-encoded",
    ]


def _pushed(options: Mapping[str, Any], name: str) -> list[str]:
    from stylex.models.hub import HubName, page_of

    there = HubName.parse(name)
    return [
        f"run: {name}",
        f"page: {page_of(there)}",
        f"next: stylex find hf://{there.repository} --data ARCHIVE --out explanation/",
    ]


def _holds(said: str) -> Callable[[Mapping[str, Any]], str]:
    return lambda call: said


def _left_of_training(call: Mapping[str, Any]) -> str:
    begun = (Path(call["out"]) / "state.pt").exists()
    last = "goes on from the last state" if begun else "begins anew: no state has been kept yet"
    return f"the same command again {last}"


NOTHING_WRITTEN = _holds("nothing was written")

VERBS: Mapping[str, Verb] = {
    "prepare": Verb(function="prepare", positional=("source",), closing=_prepared, interrupted=NOTHING_WRITTEN),
    "classifier": Verb(function="fit_classifier", closing=_path("classifier"), interrupted=NOTHING_WRITTEN),
    "train": Verb(function="train", closing=_trained, interrupted=_left_of_training),
    "runs": Verb(function="runs", positional=("folder",), closing=_listed, interrupted=NOTHING_WRITTEN),
    "watch": Verb(
        function="watch",
        positional=("run",),
        closing=lambda options, nothing: [],
        interrupted=_holds("the page has ended; a training beside it goes on"),
    ),
    "adapt": Verb(function="adapt", positional=("run",), closing=_adapted, interrupted=_left_of_training),
    "guide": Verb(function="guide", positional=("run",), closing=_adapted, interrupted=NOTHING_WRITTEN),
    "mix": Verb(function="mix", positional=("run",), closing=_adapted, interrupted=NOTHING_WRITTEN),
    "morph": Verb(function="morph", positional=("run", "to"), closing=_path("picture"), interrupted=NOTHING_WRITTEN),
    "find": Verb(
        function="find",
        positional=("run",),
        closing=_explained,
        interrupted=_holds("the same command again goes on with the effects measured so far"),
    ),
    "classes": Verb(
        function="classes",
        positional=("run",),
        closing=_overview,
        interrupted=_holds("the same command again goes on with the effects measured so far"),
    ),
    "explain": Verb(function="explain", positional=("run", "image"), closing=_explained, interrupted=NOTHING_WRITTEN),
    "attack": Verb(function="attack", positional=("run",), closing=_attacked, interrupted=NOTHING_WRITTEN),
    "evaluate": Verb(function="evaluate", positional=("run",), closing=_evaluated, interrupted=NOTHING_WRITTEN),
    "compare": Verb(function="compare", positional=("run",), closing=_compared, interrupted=NOTHING_WRITTEN),
    "import": Verb(
        function="import_generator", positional=("kind", "file"), closing=_imported, interrupted=NOTHING_WRITTEN
    ),
    "export": Verb(function="export", positional=("run",), closing=_path("file"), interrupted=NOTHING_WRITTEN),
    "push": Verb(
        function="push",
        positional=("run", "to"),
        closing=_pushed,
        interrupted=_holds("the run on the hub is as it was, unless its address has been told"),
    ),
    "repair": Verb(function="repair", positional=("explanation",), closing=_repaired, interrupted=NOTHING_WRITTEN),
    "audit": Verb(
        function="audit",
        positional=("before", "after"),
        closing=_audited,
        interrupted=NOTHING_WRITTEN,
        failed=lambda audit: audit.failed,
    ),
    "report": Verb(
        function="report", positional=("explanation_folder",), closing=_path("report"), interrupted=NOTHING_WRITTEN
    ),
    "explore": Verb(
        function="serve",
        positional=("run",),
        closing=lambda options, nothing: [],
        interrupted=_holds("the explorer has ended"),
    ),
    "study new": Verb(
        function="new_study", positional=("explanations",), closing=_study_made, interrupted=NOTHING_WRITTEN
    ),
    "study serve": Verb(
        function="serve_study",
        positional=("study",),
        closing=lambda options, nothing: [],
        interrupted=_holds("the study has ended; the same command again goes on with all that was answered"),
    ),
    "study analyse": Verb(
        function="analyse_study", positional=("study",), closing=_study_analysed, interrupted=NOTHING_WRITTEN
    ),
    "study demo": Verb(function="demo_study", closing=_study_shown, interrupted=NOTHING_WRITTEN),
    "demo": Verb(function="demo", closing=_shown, interrupted=_holds("the same command again starts over")),
}


def function_of(verb: Verb) -> Callable[..., Any]:
    """The verb's function in the library."""
    function: Callable[..., Any] = getattr(api, verb.function)
    return function
