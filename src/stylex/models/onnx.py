"""A generator as an ONNX graph, for programs without torch."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from jaxtyping import Float
from torch import Tensor, nn

from stylex.core.errors import ConfigError
from stylex.models.generator import Generator


class _Drawn(nn.Module):
    """Latents, and what else a generator draws from, to a picture; noise fixed."""

    def __init__(self, generator: Generator) -> None:
        super().__init__()
        self.synthesis = generator.synthesis
        self.told, self.mapped = generator.config.c_dim > 0, bool(generator.config.map_resolutions)

    def forward(self, w: Float[Tensor, "n w_dim"], *more: Tensor) -> Float[Tensor, "n c h w"]:
        c = more[0] if self.told else None
        maps = more[-1] if self.mapped else None
        return self.synthesis(self.synthesis.styles(w, c, maps))


def to_onnx(generator: Generator) -> bytes:
    """The graph, for any number of pictures and with fixed noise.

    Its inputs are ``w`` ``[n, w_dim]``; ``c`` ``[n, k]``, where the generator is told the classifier's answer; and
    ``maps`` ``[n, m_dim]``, where it draws from an image's maps. Its output is ``image`` ``[n, c, h, w]``, float32.

    Raises:
        ConfigError: the packages for it are not installed.
    """
    space, config = generator.synthesis.space, generator.config
    lengths = {"w": config.w_dim}
    lengths |= {"c": config.c_dim} if config.c_dim else {}
    lengths |= {"maps": space.maps.stop - space.maps.start} if config.map_resolutions else {}
    drawn, n = _Drawn(generator).eval(), {0: torch.export.Dim("n", min=1, max=4096)}
    more = tuple(n for _ in list(lengths)[1:])
    with _quietly():
        try:
            program = torch.onnx.export(
                drawn,
                tuple(torch.zeros(2, length) for length in lengths.values()),
                dynamo=True,
                input_names=list(lengths),
                output_names=["image"],
                dynamic_shapes={"w": n, "more": more} if more else {"w": n},
                verbose=False,
            )
        except ImportError as error:
            raise ConfigError(
                f"writing ONNX needs the package {error.name or 'onnxscript'}: pip install 'stylex[export]'"
            ) from None
    assert program is not None, "only a debugging aid of torch gives none"
    graph: bytes = program.model_proto.SerializeToString()
    return graph


@contextmanager
def _quietly() -> Iterator[None]:
    """The exporter warns of what is none of the user's business: packages that it could use too, its own future."""
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(before)
