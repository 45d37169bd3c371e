"""The untrained networks and the archive of discs that evaluation is tested on."""

from tests.evaluation.conftest import images, snapshot, subject

__all__ = ["images", "snapshot", "subject"]
