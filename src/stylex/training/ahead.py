"""Batches drawn ahead: on a GPU a thread draws the next one while this one is learnt from."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Generic, TypeVar

T = TypeVar("T")


class Ahead(Generic[T]):
    """The batches of a training, one after the other.

    A batch follows from the images seen alone, so it is the same whenever it is drawn.

    Args:
        draw: the batch that begins at an image counter.
        size, total: images a batch, and of the training.
        by_thread: draw the next one while the caller goes on; else when it is asked for.
    """

    def __init__(self, draw: Callable[[int], T], *, size: int, total: int, by_thread: bool) -> None:
        self._draw, self._size, self._total = draw, size, total
        self._thread = ThreadPoolExecutor(1, "stylex drawing ahead") if by_thread else None
        self._next: tuple[int, Future[T]] | None = None

    def take(self, nimg: int) -> T:
        """The batch that begins at ``nimg``; what went wrong as it was drawn is raised here."""
        waiting, self._next = self._next, None
        batch = waiting[1].result() if waiting is not None and waiting[0] == nimg else self._draw(nimg)
        after = nimg + self._size
        if self._thread is not None and after < self._total:
            self._next = after, self._thread.submit(self._draw, after)
        return batch

    def close(self) -> None:
        """End the thread."""
        if self._thread is not None:
            self._thread.shutdown(cancel_futures=True)
