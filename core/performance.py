# SPDX-License-Identifier: GPL-3.0-or-later
"""One recorded or solved performance: ARKit weights, head pose, gaze and confidence over time."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from .arkit import ARKIT_NAMES, INDEX, canonical_name
from .camera import Camera
from .errors import AvatarError, SettingsError
from .files import read_npz, write_npz
from .live_link_csv import write_live_link_csv
from .series import brackets, checked, gaze_directions, linear, resampled_flame, spherical

SCHEMA_VERSION = 1
EYE_ANGLE = math.radians(30.0)
"""Angle of an eye in radians at eyeLook weight 1, unless the head model says otherwise."""

_MAX_FRAMES = 5_000_000
_DAY = 86_400.0
_OPTIONAL: dict[str, tuple[int, ...]] = {"head_rotation": (4,), "head_translation": (3,), "gaze": (2, 2)}
_ARRAYS = ("time", "weights", "confidence", *_OPTIONAL)


@dataclass(frozen=True)
class Performance:
    """A time series of one face. Arrays are checked, converted and made read-only; a wrong one is a
    ValueError.

    Rotations are in the head frame (+X the subject's left, +Y up, +Z out of the face).
    """

    name: str
    """Name shown to the user and used for the file."""
    time: np.ndarray
    """(T,) float64, seconds from the start of the media, strictly increasing, T >= 1."""
    weights: np.ndarray
    """(T, 52) float32 in the order of `ARKIT_NAMES`, nominally 0..1, not clipped."""
    head_rotation: np.ndarray | None = None
    """(T, 4) float64 unit quaternions, w first, or None where the source has no head rotation."""
    head_translation: np.ndarray | None = None
    """(T, 3) float64, metres, or None. With a camera: how far the head frame's origin is from
    `camera.head_position`, in the view frame.
    """
    gaze: np.ndarray | None = None
    """(T, 2, 2) float64 radians: [left eye, right eye] x [yaw, pitch] relative to the head; left and up are
    positive.
    """
    confidence: np.ndarray = field(default_factory=lambda: np.ones(0, np.float32))
    """(T,) float32, 0..1; left out it is 1 everywhere."""
    flame: dict[str, np.ndarray] | None = None
    """FLAME parameters by name where they were solved; arrays whose first axis is T are per frame."""
    source: str = ""
    """What it came from, for provenance."""
    timecode: float | None = None
    """Time of day in seconds of `time[0]`, where it is known."""
    camera: Camera | None = None
    """The camera that saw it, where one was fitted; with a row per frame, each frame is a photo."""

    def __post_init__(self) -> None:
        count = self._set("time", self.time, np.float64, (None,)).shape[0]
        if not 1 <= count <= _MAX_FRAMES:
            raise ValueError(f"time has {count} frames; 1 to {_MAX_FRAMES} are possible")
        if np.any(np.diff(self.time) <= 0.0):
            raise ValueError("time must be strictly increasing")
        self._set("weights", self.weights, np.float32, (count, len(ARKIT_NAMES)))
        if np.size(self.confidence) == 0:
            object.__setattr__(self, "confidence", np.ones(count, np.float32))
        self._set("confidence", self.confidence, np.float32, (count,))
        for name, shape in _OPTIONAL.items():
            if getattr(self, name) is not None:
                self._set(name, getattr(self, name), np.float64, (count, *shape))
        self._set_unit_rotation()
        if self.flame is not None:
            object.__setattr__(self, "flame", {k: checked(k, v, None, None) for k, v in self.flame.items()})
        if self.timecode is not None and not math.isfinite(self.timecode):
            raise ValueError("timecode must be finite or None")
        if self.camera is not None and len(self.camera.focal) not in (1, count):
            raise ValueError(f"camera has {len(self.camera.focal)} rows; 1 or {count} are possible")

    def _set(self, name: str, value: Any, dtype: Any, shape: tuple[int | None, ...]) -> np.ndarray:
        array = checked(name, value, dtype, shape)
        object.__setattr__(self, name, array)
        return array

    def _set_unit_rotation(self) -> None:
        if self.head_rotation is None:
            return
        length = np.linalg.norm(self.head_rotation, axis=1)
        if np.any(np.abs(length - 1.0) > 1e-3):
            raise ValueError("head_rotation must hold unit quaternions (w, x, y, z)")
        if np.any(np.abs(length - 1.0) > 1e-12):  # leaves exact quaternions bit for bit as they are
            unit = self.head_rotation / length[:, None]
            self._set("head_rotation", unit, np.float64, unit.shape)

    @property
    def frame_count(self) -> int:
        """Number of samples T."""
        return len(self.time)

    @property
    def duration(self) -> float:
        """Seconds from the first sample to the last."""
        return float(self.time[-1] - self.time[0])

    @property
    def rate(self) -> float:
        """Samples per second: one over the median step; 0 for a single sample."""
        return float(1.0 / np.median(np.diff(self.time))) if len(self.time) > 1 else 0.0

    def weight(self, name: str) -> np.ndarray:
        """The (T,) float32 weights of one shape, by any dialect of its name; KeyError for an unknown one."""
        known = canonical_name(name)
        if known is None:
            raise KeyError(name)
        return self.weights[:, INDEX[known]]

    def resampled(self, times: np.ndarray) -> Performance:
        """The performance at other times (N,) s, strictly increasing.

        Everything is linear between samples but the head rotation, which takes the short way round at
        constant speed. Before the first and after the last sample it holds still. Sampling at the own times
        changes nothing.
        """
        times = checked("times", times, np.float64, (None,))
        low, u = brackets(self.time, times)
        changed = self._each_optional(lambda name, array: _between(name)(array, low, u))
        return replace(
            self,
            time=times,
            weights=linear(self.weights, low, u),
            confidence=linear(self.confidence, low, u),
            flame=self._each_flame(lambda name, array: resampled_flame(name, array, low, u)),
            timecode=self._timecode_at(float(times[0])) if len(times) else None,
            camera=self._camera_at(np.where(u < 0.5, low, np.minimum(low + 1, self.frame_count - 1))),
            **changed,
        )

    def sliced(self, t0: float, t1: float) -> Performance:
        """The samples with t0 <= time <= t1, at their own times; SettingsError when there are none."""
        keep = np.flatnonzero((self.time >= t0) & (self.time <= t1))
        if not len(keep):
            raise SettingsError(
                f"No sample of {self.name!r} lies between {t0:.3f} s and {t1:.3f} s.",
                f"Choose a range within {self.time[0]:.3f} s to {self.time[-1]:.3f} s.",
            )
        return replace(
            self,
            time=self.time[keep],
            weights=self.weights[keep],
            confidence=self.confidence[keep],
            flame=self._each_flame(lambda _name, array: array[keep]),
            timecode=self._timecode_at(float(self.time[keep[0]])),
            camera=self._camera_at(keep),
            **self._each_optional(lambda _name, array: array[keep]),
        )

    def _timecode_at(self, time: float) -> float | None:
        return None if self.timecode is None else (self.timecode + time - float(self.time[0])) % _DAY

    def _camera_at(self, frames: np.ndarray) -> Camera | None:
        """The camera of other frames, by their nearest rows here ((N,) int)."""
        if self.camera is None or len(self.camera.focal) == 1:
            return self.camera
        camera = self.camera
        return Camera(camera.focal[frames], camera.centre[frames], camera.size[frames], camera.head_position)

    def _each_optional(self, change: Callable[[str, np.ndarray], np.ndarray]) -> dict[str, np.ndarray | None]:
        """The optional arrays with `change(name, array)` applied to those that are there."""
        present = {name: getattr(self, name) for name in _OPTIONAL}
        return {name: None if array is None else change(name, array) for name, array in present.items()}

    def _each_flame(self, change: Callable[[str, np.ndarray], np.ndarray]) -> dict[str, np.ndarray] | None:
        """The FLAME arrays with `change(name, array)` applied to those that have one row per frame."""
        if self.flame is None:
            return None
        moving = {k for k, v in self.flame.items() if v.ndim >= 2 and len(v) == self.frame_count}
        return {k: change(k, v) if k in moving else v for k, v in self.flame.items()}

    def gaze_or_from_weights(self, angle: float = EYE_ANGLE) -> np.ndarray:
        """(T, 2, 2) float64 gaze in radians: the recorded one, or `angle` times the eyeLook weights."""
        if self.gaze is not None:
            return self.gaze
        return angle * gaze_directions(self.weights)

    def save(self, path: Path | str) -> None:
        """Write the .npz (beside, then renamed). An unwritable place raises AvatarError."""
        meta: dict[str, Any] = {
            "schema": SCHEMA_VERSION,
            "name": self.name,
            "source": self.source,
            "timecode": self.timecode,
        }
        meta["camera"] = None if self.camera is None else self.camera.to_dict()
        arrays = {"meta": np.array(json.dumps(meta)), "names": np.array(ARKIT_NAMES)}
        for name in _ARRAYS:
            if getattr(self, name) is not None:
                arrays[name] = getattr(self, name)
        for name, array in (self.flame or {}).items():
            arrays[f"flame.{name}"] = array
        try:
            write_npz(Path(path), arrays)
        except OSError as problem:
            reason = problem.strerror or problem
            raise AvatarError(f"The performance cannot be written to {path}: {reason}.") from problem

    @staticmethod
    def load(path: Path | str) -> Performance:
        """Read a performance .npz; AvatarError for a missing, damaged, foreign or newer file."""
        return _from_arrays(Path(path), read_npz(Path(path), AvatarError))

    def save_live_link_csv(self, path: Path | str) -> None:
        """Write the 63-column CSV of the Live Link Face app, with time codes on a base of 60 frames a second.

        Head columns are zero without head rotation, as the app writes them; gaze is derived from the
        weights where it was not recorded. Eye roll is not kept by a Performance and is written as 0.
        """
        write_live_link_csv(self, Path(path))


def _between(name: str) -> Callable[[np.ndarray, np.ndarray, np.ndarray], np.ndarray]:
    return spherical if name == "head_rotation" else linear


def _from_arrays(path: Path, arrays: Mapping[str, np.ndarray]) -> Performance:
    meta = _meta(path, arrays)
    values = {name: arrays[name] for name in _ARRAYS if name in arrays}
    flame = {
        name.removeprefix("flame."): array for name, array in arrays.items() if name.startswith("flame.")
    }
    try:
        if [str(name) for name in arrays["names"]] != list(ARKIT_NAMES):
            raise ValueError("its weights are not the 52 ARKit shapes in our order")
        return Performance(
            name=str(meta["name"]),
            source=str(meta.get("source", "")),
            timecode=None if meta.get("timecode") is None else float(meta["timecode"]),
            flame=flame or None,
            camera=None if meta.get("camera") is None else Camera.from_dict(meta["camera"]),
            **values,
        )
    except (ValueError, TypeError, KeyError) as problem:
        raise AvatarError(
            f"{path} is not a usable performance: {problem}.", "Import the capture again."
        ) from problem


def _meta(path: Path, arrays: Mapping[str, np.ndarray]) -> dict[str, Any]:
    try:
        meta = json.loads(str(arrays["meta"]))
        schema = int(meta["schema"])
    except (KeyError, ValueError, TypeError, RecursionError):
        raise AvatarError(
            f"{path} is not a Likeness performance.", "Choose an .npz from performances/."
        ) from None
    if schema > SCHEMA_VERSION:
        raise AvatarError(
            f"{path} was made by a newer version of Likeness.", "Update the extension to open it."
        )
    return meta
