"""``onnx:FILE.onnx``: as a torch graph with gradients where its operators allow it, else run by onnxruntime without."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from stylex.classifiers.classifier import unwrap
from stylex.classifiers.named import Named, labels_for, layout_of, package
from stylex.classifiers.spec import ClassifierSpec
from stylex.core.errors import ClassifierError
from stylex.core.reference import reason

_ALIKE = 1e-3
"""Of the largest answer: a torch graph that differs more from onnxruntime is not taken."""


class _Graph(nn.Module):
    """The file's graph in torch."""

    def __init__(self, graph: nn.Module, takes: _Takes) -> None:
        super().__init__()
        self.graph = graph
        self.remark = "the ONNX file runs as a torch graph, with gradients"
        self._takes = takes

    def forward(self, x: Tensor) -> Tensor:
        return self._takes.asked(lambda part: unwrap(self.graph(part)), x)


class _Session:
    """The file in onnxruntime: answers, and no gradient."""

    gradient = False

    def __init__(self, session: Any, takes: _Takes, why: str) -> None:
        self.remark = f"the ONNX file runs through onnxruntime, without gradients: {why}"
        self._session, self._takes = session, takes

    def __call__(self, x: Tensor) -> Tensor:
        return self._takes.asked(self._run, x)

    def _run(self, x: Tensor) -> Tensor:
        answer = self._session.run(None, {self._takes.name: x.detach().float().cpu().numpy()})[0]
        return torch.from_numpy(np.asarray(answer, dtype=np.float32)).to(x.device)


class _Takes:
    """What the file's input is: its name, whether channels come last, and whether it takes one image at a time."""

    def __init__(self, session: Any, path: Path, spec: ClassifierSpec) -> None:
        inputs = session.get_inputs()
        shape = [side if isinstance(side, int) else None for side in inputs[0].shape]
        layout = layout_of(shape, spec)
        if len(inputs) != 1 or inputs[0].type != "tensor(float)" or layout is None:
            said = ", ".join(f"{each.name} {each.shape} {each.type}" for each in inputs)
            raise ClassifierError(
                f"{path} takes {said}; its spec says one float image of {spec.input_size} px and {spec.channels} "
                "channel(s): correct input_size and channels, or export it so"
            )
        self.name: str = inputs[0].name
        self.last, self.batch = layout == "last", shape[0]

    def asked(self, run: Callable[[Tensor], Tensor], x: Tensor) -> Tensor:
        """Answers for images ``[n c h w]``, in the batches that the file takes."""
        x = x.permute(0, 2, 3, 1) if self.last else x
        if self.batch is None or self.batch == len(x):
            return run(x)
        rows = []
        for part in x.split(self.batch):
            filled = torch.cat([part, part[-1:].expand(self.batch - len(part), *part.shape[1:])])
            rows.append(run(filled)[: len(part)])
        return torch.cat(rows)


def load(given: Named, spec: ClassifierSpec) -> tuple[Callable[[Tensor], Any], ClassifierSpec]:
    """The program of an ONNX file.

    Raises:
        ClassifierError: it is no such file, or does not fit its spec.
    """
    path = Path(given.name)
    onnx, runtime = package("onnx", "onnx"), package("onnxruntime", "onnx")
    try:
        options = runtime.SessionOptions()
        options.log_severity_level = 4
        options.intra_op_num_threads = torch.get_num_threads()
        session = runtime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    except Exception as error:  # whatever a foreign file makes of the reader
        raise ClassifierError(f"onnxruntime cannot open {path}: {reason(error)}; export it again") from error
    takes = _Takes(session, path, spec)
    rng = np.random.default_rng(0)
    x = torch.from_numpy(rng.random((2, spec.channels, spec.input_size, spec.input_size), dtype=np.float32))
    asked = _Session(session, takes, "")
    try:
        answers = asked(x)
    except Exception as error:
        raise ClassifierError(f"onnxruntime cannot run {path}: {reason(error)}") from error
    labels_for(given, spec, int(answers.shape[-1]), None)
    try:
        graph = _Graph(_in_torch(onnx, path), takes).eval()
        why = _differs(graph, x, answers)
    except Exception as error:  # an operator that the converter does not know, in whatever way it says so
        why = reason(error)[:160]
    return (graph, spec) if why is None else (_Session(session, takes, why), spec)


def _in_torch(onnx: Any, path: Path) -> nn.Module:
    """The file's graph, converted."""
    converter = package("onnx2pytorch", "onnx")
    model = onnx.load(str(path))
    _fold(model.graph)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        graph: nn.Module = converter.ConvertModel(model, experimental=True)
    return graph


def _fold(graph: Any) -> None:
    """Leave out each ``Identity`` of a constant, which exporters write and the converter cannot read."""
    constants = {each.name: each for each in graph.initializer}
    for node in [each for each in graph.node if each.op_type == "Identity" and each.input[0] in constants]:
        copied = graph.initializer.add()
        copied.CopyFrom(constants[node.input[0]])
        copied.name = node.output[0]
        graph.node.remove(node)


def _differs(graph: nn.Module, x: Tensor, answers: Tensor) -> str | None:
    """Why a converted graph cannot stand for the file; None: it can."""
    x = x.clone().requires_grad_()
    with warnings.catch_warnings(), torch.enable_grad():
        warnings.simplefilter("ignore")
        said: Tensor = graph(x)
        most = float((said.detach().float() - answers).abs().max()) / max(1e-6, float(answers.abs().max()))
        if not most <= _ALIKE:
            return f"its torch graph answers otherwise (by {most:.1g} of the largest answer)"
        gradient = None
        with suppress(RuntimeError):
            (gradient,) = torch.autograd.grad(said[:, 0].sum() - said[:, -1].sum() / 2, x)
    if gradient is None or not bool(gradient.isfinite().all()) or not bool((gradient != 0).any()):
        return "its torch graph gives no gradient"
    return None
