"""Floor 2: pictures from disk to tensors: ``images`` (one file), ``prepare`` (a folder), ``archive`` (a set)."""

from stylex.data.archive import ImageSet, open_images

__all__ = ["ImageSet", "open_images"]
