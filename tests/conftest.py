"""What every test shares: shapes checked at run time, one thread, tiny networks, no network."""

from __future__ import annotations

import os

# Before anything imports torch. The networks are tiny: two threads only wait for each other on a busy machine.
os.environ.setdefault("OMP_NUM_THREADS", "1")

import ipaddress
import shutil
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from jaxtyping import install_import_hook

# From here on, every function of stylex checks the shapes and types of its signature; an int may stand for a float.
install_import_hook("stylex", "beartype.beartype(conf=beartype.BeartypeConf(is_pep484_tower=True))")


@pytest.fixture(autouse=True, scope="session")
def no_network() -> Iterator[None]:
    """No verb calls anybody: connections to other machines fail the test that makes them."""
    with pytest.MonkeyPatch.context() as patch:
        for name in ("connect", "connect_ex"):
            allowed = getattr(socket.socket, name)

            def connect(self: socket.socket, address: Any, allowed: Any = allowed) -> Any:
                if self.family in (socket.AF_INET, socket.AF_INET6) and not _is_here(address[0]):
                    raise AssertionError(f"a connection to {address} was asked for")
                return allowed(self, address)

            patch.setattr(socket.socket, name, connect)
        yield


@pytest.fixture
def small_eyes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Fixed random maps in the place of EfficientNet-Lite0's, whose packages are an extra."""
    import torch
    import torch.nn.functional as F

    from stylex.models import pretrained, projected
    from stylex.training import perceptual

    class Maps(pretrained.EfficientNetMaps):
        def __init__(self, wanted_by: str, otherwise: str) -> None:
            torch.nn.Module.__init__(self)
            random = torch.Generator().manual_seed(0)
            self.kernels = [torch.randn(f, 3, 3, 3, generator=random) / 5 for f in pretrained.CHANNELS]

        def forward(self, x: torch.Tensor) -> list[torch.Tensor]:
            x = F.interpolate(x, size=[64, 64]).expand(-1, 3, -1, -1)
            return [F.conv2d(F.avg_pool2d(x, 2 << i), one, padding=1).relu() for i, one in enumerate(self.kernels)]

    for module in (projected, perceptual):
        monkeypatch.setattr(module, "EfficientNetMaps", Maps)


def _is_here(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """Chromium, driven by Playwright; not for the whole session, because its loop would be in asyncio's way."""
    sync_api = pytest.importorskip("playwright.sync_api", reason="NOT RUN in a browser: pip install playwright")
    names = ("chromium", "chromium-browser", "google-chrome")
    program = os.environ.get("CHROMIUM") or next(filter(None, map(shutil.which, names)), None)
    if program is None:
        pytest.skip("NOT RUN in a browser: no Chromium is installed (apt install chromium)")
    sync_api.expect.set_options(timeout=20_000)  # a busy machine takes its time
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=["--no-sandbox", "--disable-gpu"])
        yield browser
        browser.close()


@pytest.fixture(scope="session")
def axe() -> str:
    """The script of axe-core."""
    if not os.environ.get("AXE_CORE"):
        pytest.skip("NOT CHECKED by axe-core: set AXE_CORE to axe.min.js (.ci/run does)")
    return Path(os.environ["AXE_CORE"]).read_text(encoding="utf-8")
