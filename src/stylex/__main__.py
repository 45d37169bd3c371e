"""``python -m stylex``: the same as the command ``stylex``."""

from __future__ import annotations

import sys

from stylex.cli import main

if __name__ == "__main__":
    sys.exit(main())
