# SPDX-License-Identifier: GPL-3.0-or-later
"""Compile functions with numba and keep the result on disk, where there is a place for it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from numba import njit


def cached(**flags: Any) -> Callable[[Callable[..., Any]], Any]:
    """`njit` with a cache beside the module or in the user's cache folder.

    Where neither can be written, as on a farm with a read-only home, numba refuses to decorate at all; then
    each process compiles for itself.
    """

    def compile_lazily(function: Callable[..., Any]) -> Any:
        try:
            return njit(cache=True, **flags)(function)
        except RuntimeError:
            return njit(**flags)(function)

    return compile_lazily
