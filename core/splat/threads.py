# SPDX-License-Identifier: GPL-3.0-or-later
"""Work in pieces on several threads; the kernels let go of Python while they run."""

from __future__ import annotations

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache

import numpy as np

from ..errors import SettingsError

CHUNKS = 8
"""Pieces of the work for each thread, so that none waits long for the last."""


def thread_count(threads: int | None) -> int:
    """As wanted, or as many as this process may use."""
    if threads is not None and threads < 1:
        raise SettingsError("Drawing needs at least one thread.", "Leave the number out to use all.")
    allowed = getattr(os, "sched_getaffinity", None)
    return threads or (len(allowed(0)) if allowed else os.cpu_count() or 1)


def in_pieces(work: Callable[[int, int], None], count: int, unit: int, threads: int) -> None:
    """Do first <= i < last of `count` in pieces of multiples of `unit`, on several threads."""
    if count == 0:
        return
    if threads == 1:
        work(0, count)
        return
    units = -(-count // unit)
    edges = np.unique(np.linspace(0, units, min(units, threads * CHUNKS) + 1).astype(int)) * unit
    list(_pool(threads).map(work, edges[:-1].tolist(), np.minimum(edges[1:], count).tolist()))


@lru_cache(maxsize=4)
def _pool(threads: int) -> ThreadPoolExecutor:
    """Threads are made once; a picture takes less time than making them again for each of its steps."""
    return ThreadPoolExecutor(threads, "splat")


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_pool.cache_clear)  # a fork has no threads but its own
