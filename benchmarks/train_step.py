"""Speed of a full training step, beside the speed of the step's own convolutions alone, in one run.

The step is the real one: ``train_networks`` runs with a preset's networks, batch and losses, a house classifier
and random images in memory. Its four kinds of step (reconstruction, encoder, noise, encoder with R1) are timed one
by one, from one drawing of images to the next, and weighted as the preset's whole training mixes them.

``conv_gflops`` is the machine's convolution rate for this work: every forward, input-gradient and weight-gradient
convolution that these steps call in G, E, D and C is called again alone in a tight loop, with the same shapes,
types and memory order. ``fraction_of_conv_rate`` is the time of these convolutions alone over the time of the
step: 1 would mean that all else were free. The FIR filters are depthwise convolutions, but count as overhead, and
so do ToRGB's products and all fully connected layers. Numbers with ``_cpu`` are the same by processor time, which
a busy machine disturbs less (use one thread).

``--by-operation`` says instead what a reconstruction step spends on which operations, by torch's profiler: of each the
least over some steps. The profiler adds a microsecond or more to every call, and much to a convolution, whose row is no
measure of it.
"""

from __future__ import annotations

import argparse
import json
import math
import platform
import statistics
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal, NamedTuple, cast

import numpy as np
import torch
from clock import Seconds
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import FlopCounterMode

from stylex.classifiers.classifier import Classifier
from stylex.classifiers.small import SmallCNN
from stylex.classifiers.spec import ClassifierSpec
from stylex.core.progress import Listener, silent
from stylex.data.archive import ImageSet
from stylex.training.config import TrainConfig, preset
from stylex.training.loop import TrainingTask, train_networks

CHANNELS: Literal[3] = 3
_BLOCKS, _BLOCK_SECONDS = 5, 0.01


def median(durations: Sequence[Seconds]) -> Seconds:
    return Seconds(*(statistics.median(column) for column in zip(*durations, strict=True)))


class Enough(Exception):
    """Ends a training whose steps have been seen."""


class RandomImages:
    """As much of an ImageSet as the loop needs; says when a step begins."""

    def __init__(self, resolution: int, begins: Callable[[int], None]) -> None:
        self.resolution, self.channels, self.begins, self.step = resolution, CHANNELS, begins, 0
        random = torch.Generator().manual_seed(0)
        self.x = torch.rand(512, CHANNELS, resolution, resolution, generator=random) * 2 - 1

    def __len__(self) -> int:
        return len(self.x)

    def batch(self, indices: np.ndarray | Sequence[int], mirror: np.ndarray | None = None) -> Tensor:
        """Images; a step begins when they are drawn for one (only then a mirror is said)."""
        if mirror is not None:
            self.begins(self.step)
            self.step += 1
        return self.x[torch.as_tensor(indices)]


def kind_of(step: int, config: TrainConfig) -> str:
    schedule = config.schedule
    if step * schedule.batch < schedule.total_nimg * schedule.reconstruct_first:
        return "reconstruction"
    if step % schedule.noise_every == schedule.noise_every - 1:
        return "noise"
    return "encoder with R1" if step % config.loss.r1_every == 0 else "encoder"


def mixture(config: TrainConfig) -> dict[str, float]:
    """Share of each kind among the steps of the preset's whole training."""
    steps = config.schedule.total_nimg // config.schedule.batch
    counts = Counter(kind_of(step, config) for step in range(steps))
    return {kind: count / steps for kind, count in counts.items()}


def classifier_of(side: int) -> Classifier:
    """The house classifier, with random weights."""
    spec = ClassifierSpec(labels=("a", "b"), input_size=side, channels=CHANNELS, value_range=(-1, 1))
    torch.manual_seed(0)
    return Classifier(SmallCNN(channels=CHANNELS, k=spec.k, resolution=side), spec)


def run_steps(
    config: TrainConfig, begins: Callable[[int], None], *, device: str = "cpu", listener: Listener = silent
) -> None:
    """Run the real loop until ``begins`` or ``listener`` raises Enough; nothing is kept."""
    images = cast(ImageSet, RandomImages(config.model.resolution, begins))
    with tempfile.TemporaryDirectory() as folder, suppress(Enough):
        train_networks(
            TrainingTask(
                config=config,
                images=images,
                held_out=images,
                classifier=classifier_of(config.model.resolution),
                identity={},
                classifier_reference=None,
                classifier_fingerprint="",
            ),
            out=Path(folder),
            draw_panel=lambda panel: b"",
            device=device,
            first_snapshot_s=math.inf,
            listener=listener,
        )


def shortened(config: TrainConfig, *, reconstruct: int, steps: int, r1_every: int) -> TrainConfig:
    schedule = replace(
        config.schedule,
        kimg=(steps + 1) * config.schedule.batch / 1000,
        reconstruct_first=reconstruct / (steps + 1),
        tick_nimg=10**9,
        snapshot_nimg=10**9,
    )
    return replace(config, schedule=schedule, loss=replace(config.loss, r1_every=r1_every))


def time_steps(config: TrainConfig, steps: int) -> dict[str, Seconds]:
    """Median duration of each kind of step; the first of each kind warms up."""
    short = shortened(config, reconstruct=16, steps=steps, r1_every=config.loss.r1_every)
    started: list[Seconds] = []

    def begins(step: int) -> None:
        started.append(Seconds.now())
        if step == steps:
            raise Enough

    run_steps(short, begins)
    durations: dict[str, list[Seconds]] = {}
    for step, (start, end) in enumerate(zip(started, started[1:], strict=False)):
        durations.setdefault(kind_of(step, short), []).append(end.since(start))
    return {kind: median(found[1:]) for kind, found in durations.items()}


class Call(NamedTuple):
    """A convolution as it was called: tensors by shape, strides and type, all else as it is."""

    operator: Any
    arguments: tuple[Any, ...]

    @property
    def depthwise(self) -> bool:
        """Whether it is a FIR filter."""
        return bool(self.arguments[8 if self.operator is torch.ops.aten.convolution.default else 9] > 1)

    def random_arguments(self) -> list[Any]:
        """Arguments of the same shape, order and type, with random numbers."""
        return [_like(a) if isinstance(a, _Shape) else list(a) if isinstance(a, tuple) else a for a in self.arguments]


class _Shape(NamedTuple):
    size: tuple[int, ...]
    stride: tuple[int, ...]
    dtype: torch.dtype


def _like(shape: _Shape) -> Tensor:
    extent = 1 + sum((n - 1) * step for n, step in zip(shape.size, shape.stride, strict=True))
    return torch.randn(extent).to(shape.dtype).as_strided(shape.size, shape.stride)


class Recorder(TorchDispatchMode):
    """Notes every convolution, forward and backward, under the current kind of step."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.kind = ""
        self.calls: dict[str, Counter[Call]] = {}

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func in (torch.ops.aten.convolution.default, torch.ops.aten.convolution_backward.default):
            self.calls.setdefault(self.kind, Counter())[Call(func, tuple(_described(a) for a in args))] += 1
        return func(*args, **(kwargs or {}))


def _described(argument: Any) -> Any:
    if isinstance(argument, Tensor):
        return _Shape(tuple(argument.shape), argument.stride(), argument.dtype)
    return tuple(argument) if isinstance(argument, list) else argument


def record(config: TrainConfig) -> dict[str, Counter[Call]]:
    """The convolutions of one step of each kind, after a first step that finds the classifier's stages."""
    short = shortened(config, reconstruct=2, steps=5, r1_every=4)
    recorder = Recorder()

    def begins(step: int) -> None:
        recorder.kind = kind_of(step, short) if step else "first"
        if step == 5:
            raise Enough

    with recorder:
        run_steps(short, begins)
    return recorder.calls


def time_call(call: Call) -> tuple[Seconds, int]:
    """Duration of one call in a tight loop, and its floating-point operations."""
    arguments = call.random_arguments()
    with FlopCounterMode(display=False) as counter:
        call.operator(*arguments)
    start = Seconds.now()
    call.operator(*arguments)
    repeat = max(1, math.ceil(_BLOCK_SECONDS / Seconds.now().since(start).wall))
    blocks = []
    for _ in range(_BLOCKS):
        start = Seconds.now()
        for _ in range(repeat):
            call.operator(*arguments)
        spent = Seconds.now().since(start)
        blocks.append(Seconds(spent.wall / repeat, spent.cpu / repeat))
    return median(blocks), counter.get_total_flops()


def measure(name: str, steps: int) -> dict[str, Any]:
    config = preset(name)
    mix = mixture(config)
    recorded = record(config)
    durations = time_steps(config, steps)
    weights: Counter[Call] = Counter()
    for kind, share in mix.items():
        for call, count in recorded[kind].items():
            weights[call] += share * count  # type: ignore[assignment]
    with torch.no_grad():
        timed = {call: time_call(call) for call in weights}

    def total(depthwise: bool) -> tuple[Seconds, float]:
        chosen = [(weight, *timed[call]) for call, weight in weights.items() if call.depthwise == depthwise]
        wall, cpu = (sum(w * seconds[i] for w, seconds, _ in chosen) for i in (0, 1))
        return Seconds(wall, cpu), sum(w * flops for w, _, flops in chosen)

    (alone, flops), (fir, _) = total(False), total(True)
    step = Seconds(*(sum(share * durations[kind][i] for kind, share in mix.items()) for i in (0, 1)))
    batch = config.schedule.batch
    return {
        "images_per_s": round(batch / step.wall, 1),
        "fraction_of_conv_rate": round(alone.wall / step.wall, 3),
        "images_per_s_cpu": round(batch / step.cpu, 1),
        "fraction_of_conv_rate_cpu": round(alone.cpu / step.cpu, 3),
        "conv_gflops": round(flops / alone.wall / 1e9, 1),
        "gflop_per_image": round(flops / batch / 1e9, 4),
        "fir_fraction_cpu": round(fir.cpu / step.cpu, 3),
        "batch": batch,
        "step_ms": {kind: round(1000 * durations[kind].wall, 1) for kind in mix},
        "step_ms_cpu": {kind: round(1000 * durations[kind].cpu, 1) for kind in mix},
    }


_GROUPS = {
    "casts, copies, concatenations": ("copy_", "clone", "contiguous", "_to_copy", "cat", "fill_", "zero_"),
    "products of matrices": ("mm", "addmm", "bmm", "baddbmm"),
    "by element: products and sums": ("mul", "mul_", "add", "add_", "addcmul", "addcmul_", "sum"),
    "leaky ReLU, ReLU, both ways": ("leaky_relu_", "leaky_relu_backward", "threshold_backward", "relu", "clamp_min_"),
    "Adam": ("_fused_adam_", "Optimizer.step#Adam.step"),
    "moving averages": ("_foreach_lerp_",),
}


def group_of(event: Any) -> str:
    """Which row of the table an operation is counted in."""
    name = event.key.removeprefix("aten::")
    if "conv" in name:
        weights = [shape for shape in event.input_shapes if len(shape) == 4][1:]
        fir = any(shape[1] == 1 and shape[2] > 1 for shape in weights)
        return "FIR filters" if fir else "convolutions, as the profiler inflates them"
    if "Backward" in name or name.startswith("autograd"):
        return "autograd's own nodes"
    return next((group for group, names in _GROUPS.items() if name in names), "all else")


def by_operation(name: str, steps: int = 6) -> dict[str, tuple[float, int]]:
    """Least milliseconds, and calls, of each group of operations in a reconstruction step."""
    config, warm = preset(name), 2
    short = shortened(config, reconstruct=warm + steps, steps=warm + steps, r1_every=config.loss.r1_every)
    found: list[dict[str, tuple[float, int]]] = []
    running: list[torch.profiler.profile] = []

    def begins(step: int) -> None:
        if running:
            profile, totals = running.pop(), dict[str, tuple[float, int]]()
            profile.__exit__(None, None, None)
            for event in profile.key_averages(group_by_input_shape=True):
                group = group_of(event)
                spent, calls = totals.get(group, (0.0, 0))
                totals[group] = spent + event.self_cpu_time_total / 1000, calls + event.count
            found.append(totals)
        if step == warm + steps:
            raise Enough
        if step >= warm:
            cpu = [torch.profiler.ProfilerActivity.CPU]
            running.append(torch.profiler.profile(activities=cpu, record_shapes=True))
            running[0].__enter__()

    run_steps(short, begins)
    groups = {group for totals in found for group in totals}
    least = {group: min(totals.get(group, (0.0, 0)) for totals in found) for group in groups}
    least["calls of operators in all"] = (0.0, min(sum(calls for _, calls in totals.values()) for totals in found))
    return dict(sorted(least.items(), key=lambda item: -item[1][0]))


def table(results: dict[str, dict[str, Any]]) -> Iterator[str]:
    rows = [key for key in next(iter(results.values())) if not key.startswith("step_ms")]
    yield " " * 36 + "".join(f"{name:>14}" for name in results)
    for key in rows:
        yield f"{key:36}" + "".join(f"{r[key]:>14}" for r in results.values())
    for key, title in (("step_ms", "ms"), ("step_ms_cpu", "ms cpu")):
        for kind in next(iter(results.values()))[key]:
            yield f"{kind + ', ' + title:36}" + "".join(f"{r[key][kind]:>14}" for r in results.values())


@contextmanager
def threads(n: int) -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(n)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--presets", nargs="+", default=["small-32", "medium-64"], help="presets to measure")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads(), help="threads (default: torch's own)")
    parser.add_argument("--steps", type=int, default=80, help="steps to time for each preset (40 or more)")
    parser.add_argument("--by-operation", action="store_true", help="where a reconstruction step's time goes instead")
    parser.add_argument("--json", action="store_true", help="end with one line of JSON")
    options = parser.parse_args()
    if options.steps < 40:
        parser.error(f"--steps is {options.steps}; two steps of every kind are seen in 40 or more")
    if options.by_operation:
        with threads(options.threads):
            for name in options.presets:
                print(f"{name}, a reconstruction step{'':10}{'ms':>8}{'calls':>8}")
                for group, (spent, calls) in by_operation(name).items():
                    print(f"{group:46}{spent:8.1f}{calls:8}")
        return
    with threads(options.threads):
        results = {name: measure(name, options.steps) for name in options.presets}
    print(f"torch {torch.__version__}, {options.threads} thread(s), {platform.machine()}")
    print("\n".join(table(results)))
    if options.json:
        print(json.dumps(results | {"threads": options.threads, "torch": torch.__version__}))


if __name__ == "__main__":
    main()
