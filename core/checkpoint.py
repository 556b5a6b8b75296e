# SPDX-License-Identifier: GPL-3.0-or-later
"""The state of long work in a file beside its output, so that a run that was stopped goes on where it was."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np

from .errors import LikenessError
from .files import DAMAGE, NPZ_LIMIT, atomic_path, read_npz

_KEY = "checkpoint_key"
_NOTE = "checkpoint_note"
SECONDS = 3.0
"""Least time between two writings of the state."""


def key_of(arrays: Iterable[np.ndarray], *settings: Any) -> str:
    """What a state belongs to: a hash of a problem's arrays and of everything that decides the result."""
    digest = hashlib.sha256(repr(settings).encode())
    for array in arrays:
        digest.update(repr((array.shape, array.dtype.str)).encode())
        digest.update(np.ascontiguousarray(array).data)
    return digest.hexdigest()


class FileCheckpoint:
    """Keeps the state in `path`; a state of another key is none."""

    def __init__(
        self,
        path: Path,
        key: str,
        resume: bool = True,
        seconds: float = SECONDS,
        limit: int = NPZ_LIMIT,
        note: str = "",
    ) -> None:
        """`limit`: bytes that a state may have at most; `note`: what `note_of` will tell of it."""
        self.path = path
        self.key = key
        self.note = note
        self.resume = resume
        self.seconds = seconds
        self.limit = limit
        self._written = time.monotonic()

    def load(self) -> Mapping[str, np.ndarray] | None:
        """The kept state; None if there is none, if it belongs to another run or is damaged."""
        if not (self.resume and self.path.is_file()):
            return None
        try:
            state = read_npz(self.path, LikenessError, self.limit)
        except LikenessError:
            return None
        state.pop(_NOTE, None)
        return state if str(state.pop(_KEY, "")) == self.key else None

    def keep(self, state: Callable[[], Mapping[str, np.ndarray]]) -> None:
        """Write the state, if the last writing is long enough ago. Where that is not possible, as on a full
        disk, the work goes on without.
        """
        if time.monotonic() - self._written >= self.seconds:
            with suppress(OSError):
                self.write(state())
            self._written = time.monotonic()

    def write(self, state: Mapping[str, np.ndarray]) -> None:
        """Write the state now."""
        with atomic_path(self.path) as beside, beside.open("wb") as stream:
            np.savez(stream, **{_KEY: np.array(self.key), _NOTE: np.array(self.note)}, **state)
        self._written = time.monotonic()

    def remove(self) -> None:
        """Forget everything, after success."""
        self.path.unlink(missing_ok=True)


def note_of(path: Path) -> str:
    """What was noted of the run that a state belongs to; empty where nothing was, or it cannot be read."""
    try:
        # Only what is asked for is read.
        with path.open("rb") as stream, np.load(stream, allow_pickle=False) as arrays:
            note = arrays[_NOTE] if _NOTE in arrays.files else None
    except (OSError, *DAMAGE):
        return ""
    return str(note) if note is not None and note.dtype.kind == "U" and note.ndim == 0 else ""
