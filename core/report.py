# SPDX-License-Identifier: GPL-3.0-or-later
"""report.json: how long each stage took, what became of the frames, what the user should know."""

from __future__ import annotations

import contextlib
import platform
import time
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import lru_cache
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np

from .files import write_json
from .performance import Performance


@dataclass
class Report:
    """Collected along the way, written at the end."""

    seconds: dict[str, float] = field(default_factory=dict)
    """Wall time per stage, s."""
    frames: dict[str, int] = field(default_factory=lambda: {"total": 0, "tracked": 0, "dropped": 0})
    """Frames of the recording, those with usable tracking, those that were not recorded."""
    fit: dict[str, float] | None = None
    """`landmark_error_px`, `landmark_error_of_face`, `jitter_px` where a fit was made."""
    tracking: dict[str, Any] | None = None
    """`total`, `tracked`, `lost` and damaged (`dropped`) frames of the footage and the `detector`, where it
    was tracked.
    """
    texture: dict[str, float] | None = None
    """Figures of the textures, where some were made."""
    warnings: list[str] = field(default_factory=list)
    """One sentence each."""

    @contextlib.contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Add the time spent inside to `seconds[name]`."""
        began = time.perf_counter()
        try:
            yield
        finally:
            self.seconds[name] = round(self.seconds.get(name, 0.0) + time.perf_counter() - began, 4)

    def to_dict(self) -> dict[str, Any]:
        """The content of report.json."""
        values = {"seconds": self.seconds, "frames": self.frames, "fit": self.fit, "tracking": self.tracking}
        values["texture"] = self.texture
        return {**values, "warnings": self.warnings, "versions": versions()}

    def write(self, path: Path) -> None:
        """Write report.json atomically."""
        write_json(path, self.to_dict())


def frame_counts(performance: Performance | None) -> dict[str, int]:
    """`total`, `tracked` and `dropped` frames of a performance; a dropped frame is a step of two or more
    frames.
    """
    if performance is None:
        return {"total": 0, "tracked": 0, "dropped": 0}
    steps = np.rint(np.diff(performance.time) * performance.rate)
    dropped = int(np.sum(np.maximum(steps - 1, 0)))
    tracked = int(np.count_nonzero(performance.confidence > 0.0))
    return {"total": performance.frame_count + dropped, "tracked": tracked, "dropped": dropped}


@lru_cache(maxsize=1)
def likeness_version() -> str:
    """Our version from blender_manifest.toml, which lies beside `core` in the tree and in the installed
    extension.
    """
    try:
        manifest = Path(__file__).resolve().parent.parent / "blender_manifest.toml"
        return str(tomllib.loads(manifest.read_text(encoding="utf-8"))["version"])
    except (OSError, tomllib.TOMLDecodeError, KeyError):
        return "unknown"


def versions() -> dict[str, str]:
    """Versions of Likeness, Python and the libraries in use."""
    found = {"likeness": likeness_version(), "python": platform.python_version(), "numpy": np.__version__}
    with contextlib.suppress(metadata.PackageNotFoundError):
        found["av"] = metadata.version("av")
    return found | {"system": platform.platform()}
