# SPDX-License-Identifier: GPL-3.0-or-later
"""Fetching the landmark bundle, only when somebody asks for it."""

from __future__ import annotations

import http.client
import urllib.error
import urllib.request
from pathlib import Path
from typing import IO, Any

from ..capture.member import reason
from ..errors import ModelError
from ..files import atomic_path, sha256_of
from ..progress import Progress, silent
from .bundle import FILE, SHA256, is_known

URL = (
    "https://storage.googleapis.com/mediapipe-models/face_landmarker/face_landmarker/float16/1/"
    "face_landmarker.task"
)
"""Google's own place for it (3.8 MB, Apache-2.0)."""
_MOST_BYTES = 64 << 20
_BLOCK = 64 << 10
_TIMEOUT = 30.0


def fetch_bundle(folder: Path, progress: Progress = silent, *, url: str = URL, sha256: str = SHA256) -> Path:
    """Fetch the bundle into `folder` and return its path; one that is there and right is kept.

    ModelError when it cannot be fetched or written, or is not the file that is known; then nothing is left
    behind. `progress` may raise Cancelled.
    """
    target = Path(folder) / FILE
    if sha256 == SHA256 and target.is_file() and is_known(target):
        return target
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with atomic_path(target) as beside:
            with urllib.request.urlopen(url, timeout=_TIMEOUT) as source, beside.open("wb") as sink:
                _copy(source, sink, progress)
            if sha256_of(beside) != sha256:
                raise ModelError(
                    f"What came from {url} is not the {FILE} that is known.",
                    "Get it from MediaPipe by hand and put it into the models folder.",
                )
    except (OSError, urllib.error.URLError, http.client.HTTPException, ValueError) as problem:
        raise ModelError(
            f"{FILE} cannot be fetched into {target.parent}: {_why(problem)}.",
            f"Check network and folder, or put the file there by hand; it is at {url}.",
        ) from problem
    progress(1.0, "fetch", f"{FILE} is in {target.parent}")
    return target


def _why(problem: BaseException) -> str:
    inner = getattr(problem, "reason", None)
    return reason(inner) if isinstance(inner, BaseException) else reason(problem)


def _copy(source: Any, sink: IO[bytes], progress: Progress) -> None:
    """Copy with a bound on size."""
    expected = int(source.headers.get("Content-Length") or 0)
    done = 0
    while block := source.read(_BLOCK):
        done += len(block)
        if done > _MOST_BYTES:
            raise ModelError(f"{FILE} is larger than it can be; nothing was kept.")
        sink.write(block)
        progress(min(0.99, done / max(expected, done, 1)), "fetch", f"Fetching {FILE}")
