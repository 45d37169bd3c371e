"""Serving a study: at an address, with the raters' links written for it, until Ctrl-C."""

from __future__ import annotations

import re
from pathlib import Path

from stylex.core.errors import ConfigError
from stylex.core.lock import sole_writer
from stylex.core.progress import Alarm, Found, Listener, silent
from stylex.core.wording import option
from stylex.store.study import LINKS, read_tokens, write_links
from stylex.ui.serving import checked_root, listen, server_of


def serve_folder(
    folder: Path, *, host: str, port: int, address: str | None, root_path: str, listener: Listener = silent
) -> None:
    """Serve a study until Ctrl-C, by one process.

    Args:
        folder: of the study.
        host, port: where to listen.
        address: what raters reach it by; None: as this machine does.
        root_path: the path at which a proxy shows it.
        listener: hears the address.

    Raises:
        StoreError: the study cannot be read, its answers not be written, or another process serves it.
        ConfigError: the address cannot be used.
    """
    from stylex.study.server import build_study_app
    from stylex.ui.guard import address as own_address
    from stylex.ui.guard import is_loopback

    root_path = checked_root(root_path)
    if address is not None and re.fullmatch(r"https?://[^\s\"'<>\\/]+(/[^\s\"'<>\\]*)?", address) is None:
        raise ConfigError(f"{option('address')} is {address[:80]!r}; expected one like https://study.example.org")
    with sole_writer(folder, verb="study serve"):
        app = build_study_app(folder, root_path=root_path)
        with listen(host, port) as listening:
            where = address or own_address(host, listening.getsockname()[1], None, root_path)
            write_links(folder, read_tokens(folder), where)
            if address is None and not is_loopback(host):
                here = "127.0.0.1 is this machine's own name"
                listener(Alarm(message=f"{here}; give {option('address')} what raters reach it by, for their links"))
            listener(Found(message=f"study: {where}  (links: {folder / LINKS}; Ctrl-C ends it)"))
            server_of(app).run(sockets=[listening])
