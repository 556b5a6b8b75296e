# SPDX-License-Identifier: GPL-3.0-or-later
"""What was observed of one face in each frame of a capture. Nothing is invented: a lost frame is NaN."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from ..arkit import ARKIT_NAMES
from ..errors import CaptureError
from ..files import read_npz, write_npz
from ..series import checked

SCHEMA_VERSION = 1
LANDMARKS = 478
"""MediaPipe's face landmarks: 468 of the surface, then 2 x 5 of the irises."""

_MAX_FRAMES = 2_000_000
_MAX_BYTES = 16 * 1024**3
_MAX_SIZE = 65_536
_MAX_PX = 1e6
_FACTS = ("name", "ordered", "detector", "source", "skipped", "faces")
_ARRAYS = ("time", "landmarks", "scores", "transform", "skin", "confidence", "size")


@dataclass(frozen=True)
class Track:
    """Landmarks of one face over time. Arrays are checked, converted and read-only; a wrong one is a
    ValueError.
    """

    name: str
    """Of the take, for the user."""
    time: np.ndarray
    """(T,) float64 s from the start of the media with its sound, strictly increasing, T >= 1. Photos: 0, 1,
    2 ...
    """
    landmarks: np.ndarray
    """(T, 478, 3) float32 px of the picture as shown: x right, y down from the corner of the first pixel, z
    the detector's relative depth (smaller is nearer). NaN in all of a frame without the face.
    """
    confidence: np.ndarray
    """(T,) float32, 0..1 (see `core.track.confidence`), 0 exactly where the face is lost."""
    size: np.ndarray
    """(T, 2) int32 px: width and height of each picture as shown."""
    scores: np.ndarray | None = None
    """(T, 52) float32 blendshape scores 0..1 in the order of `ARKIT_NAMES`, NaN where lost, or None where the
    detector has none. MediaPipe knows no tongueOut: that column is 0.
    """
    transform: np.ndarray | None = None
    """(T, 4, 4) float32 head transform of the detector, NaN where lost, or None: its canonical face in cm to
    its camera (x right, y up, z towards the viewer), which sees 63 degrees of the square that the picture, or
    the region of it that was looked at, is the upper left of. The rotation is that of the head; distances are
    the detector's guess.
    """
    skin: np.ndarray | None = None
    """(T, 3) float32 sRGB 0..1 colour of the skin in each frame, NaN where lost, or None."""
    ordered: bool = True
    """Whether the frames follow each other in time; False for photos."""
    detector: str = ""
    """What found the face."""
    source: str = ""
    """What it was found in, for provenance."""
    skipped: int = 0
    """Damaged frames of the movie that are not among the T."""
    faces: int = 1
    """How many people the footage showed; this is the track of one of them."""
    warnings: tuple[str, ...] = field(default=())
    """What the user should know, one sentence each."""

    def __post_init__(self) -> None:
        count = self._set("time", self.time, np.float64, (None,)).shape[0]
        if not 1 <= count <= _MAX_FRAMES:
            raise ValueError(f"time has {count} frames; 1 to {_MAX_FRAMES} are possible")
        if np.any(np.diff(self.time) <= 0.0):
            raise ValueError("time must be strictly increasing")
        confidence = self._set("confidence", self.confidence, np.float32, (count,))
        size = self._set("size", self.size, np.int32, (count, 2))
        if np.any(confidence < 0.0) or np.any(confidence > 1.0):
            raise ValueError("confidence must be 0..1")
        if np.any(size < 1) or np.any(size > _MAX_SIZE):
            raise ValueError(f"size must be 1..{_MAX_SIZE} px")
        self._set_observed("landmarks", (count, LANDMARKS, 3), _MAX_PX)
        if self.scores is not None:
            self._set_observed("scores", (count, len(ARKIT_NAMES)), 10.0)
        if self.transform is not None:
            self._set_observed("transform", (count, 4, 4), 1e6)
        if self.skin is not None:
            self._set_observed("skin", (count, 3), 1.0)
        object.__setattr__(self, "warnings", tuple(str(text) for text in self.warnings))

    def _set(self, name: str, value: Any, dtype: Any, shape: tuple[int | None, ...]) -> np.ndarray:
        array = checked(name, value, dtype, shape)
        object.__setattr__(self, name, array)
        return array

    def _set_observed(self, name: str, shape: tuple[int, ...], limit: float) -> None:
        """An array that is NaN in the whole of every lost frame, and finite and bounded in every other."""
        value = np.asarray(getattr(self, name))
        if value.dtype.kind != "f" or value.shape != shape:
            raise ValueError(f"{name} is {value.dtype} {value.shape}, expected floats {shape}")
        array = value.astype(np.float32)
        rows = array.reshape(len(array), -1)
        good = np.all(np.abs(rows) <= limit, axis=1)
        if np.any(good != self.tracked) or not np.all(np.isnan(rows[~self.tracked])):
            raise ValueError(f"{name} must be finite where the confidence is over 0 and NaN elsewhere")
        array.flags.writeable = False
        object.__setattr__(self, name, array)

    @property
    def frame_count(self) -> int:
        """Number of frames T, tracked and lost."""
        return len(self.time)

    @property
    def tracked(self) -> np.ndarray:
        """(T,) bool: where the face was seen."""
        return self.confidence > 0.0

    def box(self) -> np.ndarray:
        """(T, 4) float32 px: left, top, right and bottom of the face's landmarks, NaN where lost."""
        face = self.landmarks[:, :468, :2]
        return np.concatenate([face.min(axis=1), face.max(axis=1)], axis=1)

    def save(self, path: Path | str) -> None:
        """Write the .npz (beside, then renamed). An unwritable place raises CaptureError."""
        meta = {
            "schema": SCHEMA_VERSION,
            "kind": "track",
            **{
                key: getattr(self, key)
                for key in ("name", "ordered", "detector", "source", "skipped", "faces")
            },
            "warnings": list(self.warnings),
        }
        arrays = {name: getattr(self, name) for name in _ARRAYS if getattr(self, name) is not None}
        try:
            write_npz(Path(path), {"meta": np.array(json.dumps(meta)), **arrays})
        except OSError as problem:
            raise CaptureError(
                f"The track cannot be written to {path}: {problem.strerror or problem}."
            ) from problem

    @staticmethod
    def load(path: Path | str) -> Track:
        """Read a track .npz; CaptureError for a missing, damaged, foreign or newer file."""
        path = Path(path)
        return _from_arrays(path, read_npz(path, CaptureError, limit=_MAX_BYTES))


def _from_arrays(path: Path, arrays: Mapping[str, np.ndarray]) -> Track:
    try:
        meta = json.loads(str(arrays["meta"]))
        schema, kind = int(meta["schema"]), meta["kind"]
    except (KeyError, ValueError, TypeError, RecursionError):
        schema, kind, meta = 0, "", {}
    if kind != "track":
        raise CaptureError(f"{path} is not a track.", "Make one with: python -m core track CAPTURE -o FILE")
    if schema > SCHEMA_VERSION:
        raise CaptureError(f"{path} was made by a newer version of Likeness.", "Update to open it.")
    try:
        return Track(
            time=arrays["time"],
            landmarks=arrays["landmarks"],
            confidence=arrays["confidence"],
            size=arrays["size"],
            scores=arrays.get("scores"),
            transform=arrays.get("transform"),
            skin=arrays.get("skin"),
            name=str(meta.get("name", "")),
            detector=str(meta.get("detector", "")),
            source=str(meta.get("source", "")),
            ordered=bool(meta.get("ordered", True)),
            skipped=int(meta.get("skipped", 0)),
            faces=int(meta.get("faces", 1)),
            warnings=tuple(str(text) for text in list(meta.get("warnings", []))[:100]),
        )
    except (ValueError, TypeError, KeyError) as problem:
        raise CaptureError(
            f"{path} is not a usable track: {problem}.", "Track the capture again."
        ) from problem
