# SPDX-License-Identifier: GPL-3.0-or-later
"""Head models: `load_model("anny")` for the one that ships, `load_model("flame")` or `load_model("ict")` for
the user's own, or a path to a compiled or published file.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path

from ..errors import ModelError
from .model import TO_BLENDER, HeadModel, Rest
from .storage import load_file

__all__ = ["TO_BLENDER", "HeadModel", "ModelError", "Rest", "load_model", "model_path"]

DATA = Path(__file__).resolve().parent.parent / "data"


def model_path(name: str | Path = "anny", folders: Sequence[Path] = ()) -> Path:
    """The compiled file of a model: one that ships, one of the user's own by name (see `library`), or a path.

    `folders`: where the user's models are, before those in `LIKENESS_MODELS`. A model as its authors publish
    it is compiled into the cache first.
    """
    shipped = DATA / f"{name}.npz"
    if shipped.is_file():
        return shipped
    path = Path(name)
    if not path.exists() and path.name == str(name) and not path.suffix:
        from .library import find_model

        return find_model(str(name), folders)
    if path.is_dir() or path.suffix.lower() == ".pkl":
        from .library import compiled

        return compiled(path)
    return path


def load_model(name: str | Path = "anny", folders: Sequence[Path] = ()) -> HeadModel:
    """A head model, read once per process; see `model_path`. A missing or damaged file raises ModelError."""
    return _load(str(model_path(name, folders)))


@lru_cache(maxsize=4)
def _load(path: str) -> HeadModel:
    return load_file(Path(path))
