# SPDX-License-Identifier: GPL-3.0-or-later
"""Where the 478 face landmarks of the tracker lie on the surface of a head model.

Made by `python -m core calibrate` (see `core.fit.calibration`); read here with numpy alone.
"""

from __future__ import annotations

import hashlib
import json
import os
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ..arkit import ARKIT_NAMES
from ..errors import ModelError
from ..files import read_npz, sha256_of
from .model import HeadModel
from .storage import write_npz

Array = np.ndarray

LANDMARKS = 478
IRIS_RIGHT = slice(468, 473)
"""The subject's right iris: its centre, then four points of its rim."""
IRIS_LEFT = slice(473, 478)
SKIN = 468
"""Landmarks 0..467 lie on the skin."""
FARTHEST = 0.1
"""Metres: no expression moves a landmark so far."""
SCHEMA = 1
_LARGEST_FILE = 4 * 2**20
_DATA = Path(__file__).resolve().parent.parent / "data"


@dataclass(frozen=True)
class LandmarkEmbedding:
    """Three vertices and their weights per landmark. A wrong shape or value is a ValueError."""

    rows: Array
    """(478, 3) int32 rows of `Rest.vertices`: one triangle of the surface per landmark."""
    weights: Array
    """(478, 3) float32 barycentric weights, not negative, rows sum to 1."""
    scatter: Array
    """(478,) float32 metres: rms distance between the landmark and what detectors see, across the line of
    sight, over identities, expressions and views."""
    model: str = ""
    """SHA-256 of the model's file; empty for a model made in memory."""
    topology: str = ""
    """`topology_key` of the model: what the rows depend on."""
    detectors: tuple[str, ...] = ()
    """Names of the detectors that were averaged."""
    response: Array | None = None
    """(52, 468, 3) float16 metres, head frame: how much farther than the surface detectors move a landmark
    with each ARKit expression at weight 1. None where it was not measured."""

    def __post_init__(self) -> None:
        _checked(self.rows, "rows", (LANDMARKS, 3))
        _checked(self.weights, "weights", (LANDMARKS, 3))
        _checked(self.scatter, "scatter", (LANDMARKS,))
        object.__setattr__(self, "rows", np.asarray(self.rows, np.int32))
        object.__setattr__(self, "weights", np.asarray(self.weights, np.float32))
        object.__setattr__(self, "scatter", np.asarray(self.scatter, np.float32))
        if self.rows.min() < 0 or self.weights.min() < -1e-5 or self.scatter.min() < 0:
            raise ValueError("rows, weights and scatter of a landmark embedding are not negative")
        if np.abs(self.weights.sum(axis=1) - 1).max() > 1e-3:
            raise ValueError("the weights of a landmark embedding sum to 1 per landmark")
        if self.response is not None:
            _checked(self.response, "response", (len(ARKIT_NAMES), SKIN, 3))
            if np.abs(self.response).max() > FARTHEST:
                raise ValueError(f"response is within {FARTHEST} metres")
            object.__setattr__(self, "response", np.asarray(self.response, np.float16))

    def points(self, vertices: Array) -> Array:
        """(..., V, 3) vertices to (..., 478, 3) landmarks, of the same frame and unit."""
        return np.einsum("lk,...lkd->...ld", self.weights, vertices[..., self.rows, :])

    def save(self, path: Path) -> None:
        """Write an .npz, the same bytes for the same content."""
        header = {
            "schema": SCHEMA,
            "kind": "landmarks",
            "model": self.model,
            "topology": self.topology,
            "detectors": list(self.detectors),
        }
        arrays = {"rows": self.rows, "weights": self.weights, "scatter": self.scatter}
        if self.response is not None:
            arrays["response"] = self.response
        write_npz(path, header, arrays)

    @staticmethod
    def load(path: Path) -> LandmarkEmbedding:
        """Read what `save` wrote; a missing, damaged or newer file raises ModelError naming it."""
        arrays = read_npz(path, ModelError, limit=_LARGEST_FILE)
        try:
            header = json.loads(str(arrays["header"]))
            if header["kind"] != "landmarks":
                raise ValueError("it holds no landmarks")
            if header["schema"] > SCHEMA:
                raise ModelError(
                    f"The landmark file {path} was made by a newer Likeness.", "Update the extension."
                )
            return LandmarkEmbedding(
                arrays["rows"],
                arrays["weights"],
                arrays["scatter"],
                str(header["model"]),
                str(header["topology"]),
                tuple(str(name) for name in header["detectors"]),
                arrays.get("response"),
            )
        except (KeyError, ValueError, TypeError) as error:
            raise ModelError(
                f"The landmark file {path} is damaged or of another kind ({error}).",
                "Run: python -m core calibrate MODEL",
            ) from error


def topology_key(model: HeadModel) -> str:
    """Hex SHA-256 of the polygons: two models with equal keys number their vertices alike."""
    return hashlib.sha256(np.ascontiguousarray(model.faces, "<i4").tobytes()).hexdigest()


def cache_folder() -> Path:
    """Where a user's own calibrations are kept: `LIKENESS_CACHE`, else the system's folder for caches."""
    chosen = os.environ.get("LIKENESS_CACHE")
    if chosen:
        return Path(chosen)
    if sys.platform == "win32":
        local = os.environ.get("LOCALAPPDATA")
        return (Path(local) if local else Path.home() / "AppData" / "Local") / "Likeness" / "Cache"
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Caches" / "Likeness"
    xdg = os.environ.get("XDG_CACHE_HOME")
    return (Path(xdg) if xdg else Path.home() / ".cache") / "likeness"


def shipped_path(model: HeadModel) -> Path:
    """Where the landmarks of a model that ships are; the file need not exist."""
    return _DATA / f"{Path(model.name).name}.landmarks.npz"


def cached_path(model: HeadModel) -> Path:
    """Where the landmarks of a user's own model are kept, by the SHA-256 of its file."""
    return cache_folder() / "landmarks" / f"{model.sha256 or topology_key(model)}.npz"


def home_path(model: HeadModel) -> Path:
    """Where a new calibration of a model belongs: beside a model that ships, else in the user's cache."""
    beside = _DATA / f"{Path(model.name).name}.npz"
    ships = model.sha256 and beside.is_file() and sha256_of(beside) == model.sha256
    return shipped_path(model) if ships else cached_path(model)


def load_embedding(model: HeadModel) -> LandmarkEmbedding:
    """The landmarks of a model: what ships, else the user's cache, else ModelError that names the cure."""
    for path in (shipped_path(model), cached_path(model)):
        if path.is_file():
            embedding = LandmarkEmbedding.load(path)
            if embedding.topology == topology_key(model) and embedding.rows.max() < model.row_count:
                return embedding
    raise ModelError(
        f"The head model {model.name!r} has no calibrated landmarks.",
        "Run: python -m core calibrate MODEL",
    )


def _checked(values: Array, name: str, shape: tuple[int, ...]) -> None:
    array = np.asarray(values)
    if array.shape != shape or array.dtype.kind not in "iuf" or not np.all(np.isfinite(array)):
        raise ValueError(f"{name} must be finite numbers of shape {shape}")
