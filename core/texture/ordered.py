# SPDX-License-Identifier: GPL-3.0-or-later
"""Work in several threads whose results come in the order of what went in, few at a time."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Executor, Future
from typing import TypeVar

A = TypeVar("A")
B = TypeVar("B")


def in_order(pool: Executor, work: Callable[[A], B], items: Iterable[A], ahead: int) -> Iterator[B]:
    """`work(item)` of every item, by the threads of `pool`, up to `ahead` of them beyond the one that is
    waited for. What an item raises is raised here.
    """
    waiting: deque[Future[B]] = deque()
    try:
        for item in items:
            waiting.append(pool.submit(work, item))
            if len(waiting) > ahead:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    finally:
        for future in waiting:
            future.cancel()
