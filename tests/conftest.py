"""What every test shares: shapes checked at run time, one thread, tiny networks."""

from __future__ import annotations

import os

# Before anything imports torch. The networks are tiny: two threads only wait for each other on a busy machine.
os.environ.setdefault("OMP_NUM_THREADS", "1")

from jaxtyping import install_import_hook

# From here on, every function of stylex checks the shapes and types of its signature; an int may stand for a float.
install_import_hook("stylex", "beartype.beartype(conf=beartype.BeartypeConf(is_pep484_tower=True))")
