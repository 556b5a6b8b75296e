# SPDX-License-Identifier: GPL-3.0-or-later
"""Head models: `load_model("anny")` for the one that ships, or a path to a compiled file."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

from ..errors import ModelError
from .model import TO_BLENDER, HeadModel, Rest
from .storage import load_file

__all__ = ["TO_BLENDER", "HeadModel", "ModelError", "Rest", "load_model", "model_path"]

DATA = Path(__file__).resolve().parent.parent / "data"


def model_path(name: str | Path = "anny") -> Path:
    """The file of a shipped model's name, or the path itself."""
    shipped = DATA / f"{name}.npz"
    return shipped if shipped.is_file() else Path(name)


def load_model(name: str | Path = "anny") -> HeadModel:
    """A compiled head model, read once per process. A missing or damaged file raises ModelError."""
    return _load(str(model_path(name)))


@lru_cache(maxsize=4)
def _load(path: str) -> HeadModel:
    return load_file(Path(path))
