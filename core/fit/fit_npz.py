# SPDX-License-Identifier: GPL-3.0-or-later
"""CAP4D's `fit.npz`: FLAME parameters of every frame and the cameras that saw them (formats-cap4d 1.1).

Its world is FLAME's own axes ("P3D": +x the subject's left, +y up, +z out of the face), its cameras are
OpenCV's: p_camera = extr . P . (R(rot) p_flame + tra) with P = diag(1, -1, -1).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from ..camera import VIEW_TO_OPENCV
from ..capture.member import Member
from ..errors import CaptureError, SettingsError
from ..files import write_npz
from ..head.flame.files import read_content
from ..head.flame.forward import FlameParameters, matrices
from ..head.flame.model import CAP4D, CAP4D_EXPRESSIONS, CAP4D_SHAPES

Array = np.ndarray

VARIANT = "2023_no_jaw"
"""The only release whose coefficients such a file can hold."""
LARGEST_FILE = 256 << 20
_MOST_FRAMES = 1_000_000
_MOST_CAMERAS = 1000
_LARGEST_PICTURE = 100_000
_PER_FRAME = {"expr": CAP4D_EXPRESSIONS, "rot": 3, "tra": 3, "eye_rot": 3}
_OPTIONAL = {"neck_rot": 3, "jaw_rot": 3}
_PINHOLE = ("fx", "fy", "cx", "cy")


@dataclass(frozen=True)
class FlameFit:
    """T frames seen by C cameras. Arrays are checked, converted and made read-only; a wrong one is a
    ValueError.
    """

    expr: Array
    """(T, 65) float32 expression coefficients, the last one CAP4D's blink."""
    rot: Array
    """(T, 3) float32 rotation vector of the head."""
    tra: Array
    """(T, 3) float32 metres."""
    eye_rot: Array
    """(T, 3) float32 rotation vector of both eyes, relative to the head."""
    fx: Array
    """(C,) float64 px of the full picture; also fy, cx and cy."""
    fy: Array
    cx: Array
    cy: Array
    extr: Array
    """(C, 4, 4) float64: world, in OpenCV's axes, to camera."""
    resolutions: Array
    """(C, 2) int64: height, then width."""
    shape: Array | None = None
    """(150,) float32 identity coefficients; None in files that only drive somebody else."""
    camera_order: tuple[str, ...] = ()
    """(C,) names; left out they are cam0, cam1 ..."""
    fps: float = -1.0
    """Frames per second; -1 for single photos."""
    neck_rot: Array | None = None
    """(T, 3) float32, in files of other trackers."""
    jaw_rot: Array | None = None
    """(T, 3) float32, in files of other trackers."""
    valid_mask: Array | None = None
    """(C, T) bool."""
    detection_boxes: Array | None = None
    """(C, T, 4) int64 px: x0, y0, x1, y1."""
    error: float | None = None
    """Mean error of the tracker in px."""

    def __post_init__(self) -> None:
        frames = len(np.asarray(self.expr))
        cameras = np.size(self.fx)
        if not (1 <= frames <= _MOST_FRAMES and 1 <= cameras <= _MOST_CAMERAS):
            raise ValueError(f"it has {frames} frames of {cameras} cameras")
        for name, width in {**_PER_FRAME, **_OPTIONAL}.items():
            if name in _PER_FRAME or getattr(self, name) is not None:
                self._set(name, (frames, width), np.float32)
        if self.shape is not None:
            self._set("shape", (CAP4D_SHAPES,), np.float32)
        for name in _PINHOLE:
            self._set(name, (cameras,), np.float64)
        self._set("extr", (cameras, 4, 4), np.float64)
        self._set("resolutions", (cameras, 2), np.int64)
        if self.valid_mask is not None:
            self._set("valid_mask", (cameras, frames), np.bool_)
        if self.detection_boxes is not None:
            self._set("detection_boxes", (cameras, frames, 4), np.int64)
        self._check_cameras(cameras)

    def _set(self, name: str, shape: tuple[int, ...], dtype: Any) -> None:
        array = np.asarray(getattr(self, name))
        if array.dtype.kind not in "fiub":
            raise ValueError(f"{name} is no array of numbers")
        if array.shape != shape and not (array.shape == (*shape, 1) and len(shape) == 1):
            raise ValueError(f"{name} has shape {array.shape}, expected {shape}")
        array = array.reshape(shape).astype(dtype)
        if not np.all(np.isfinite(array)):
            raise ValueError(f"{name} has values that are not finite")
        array.flags.writeable = False
        object.__setattr__(self, name, array)

    def _check_cameras(self, cameras: int) -> None:
        names = self.camera_order or tuple(f"cam{i}" for i in range(cameras))
        object.__setattr__(self, "camera_order", names)
        if len(names) != cameras or not all(name and len(name) <= 100 for name in names):
            raise ValueError("camera_order does not name its cameras")
        if np.any(self.fx <= 0) or np.any(self.fy <= 0):
            raise ValueError("a focal length is not positive")
        if np.any(self.resolutions < 1) or np.any(self.resolutions > _LARGEST_PICTURE):
            raise ValueError("a resolution is no size of a picture")
        turn = self.extr[:, :3, :3]
        square = np.abs(turn @ turn.transpose(0, 2, 1) - np.eye(3)).max()
        if square > 1e-2 or np.any(np.linalg.det(turn) < 0) or np.any(self.extr[:, 3] != [0, 0, 0, 1]):
            raise ValueError("extr is no rigid transform")
        if not np.isfinite(self.fps) or self.fps == 0 or self.fps > 100_000:
            raise ValueError("fps is no frame rate")

    @property
    def variant(self) -> str:
        """The FLAME release that the coefficients are for."""
        return VARIANT

    @property
    def frame_count(self) -> int:
        """T."""
        return len(self.expr)

    @property
    def ordered(self) -> bool:
        """Whether the frames follow each other in time; otherwise they are single photos."""
        return self.fps > 0

    @property
    def time(self) -> Array:
        """(T,) float64 seconds; one second apart for photos."""
        return np.arange(self.frame_count) / (self.fps if self.ordered else 1.0)

    @property
    def parameters(self) -> FlameParameters:
        """The parameters for the forward pass, in CAP4D's mode; without a shape it is the mean person."""
        return FlameParameters.of(
            VARIANT,
            np.zeros(0) if self.shape is None else self.shape,
            self.expr,
            mode=CAP4D,
            rotation=self.rot,
            translation=self.tra,
            neck=self.neck_rot,
            jaw=self.jaw_rot,
            eyes=self.eye_rot,
        )

    def view_transform(self, camera: int = 0) -> tuple[Array, Array]:
        """World to the view frame of a camera (+X right, +Y up, +Z towards it): rotation (3, 3), translation
        (3,).
        """
        turn = VIEW_TO_OPENCV @ self.extr[camera, :3, :3] @ VIEW_TO_OPENCV
        return turn, VIEW_TO_OPENCV @ self.extr[camera, :3, 3]

    def head_in_view(self, camera: int = 0) -> tuple[Array, Array]:
        """Where FLAME's frame stands before a camera: rotations (T, 3, 3), translations (T, 3) metres, view
        frame.
        """
        turn, shift = self.view_transform(camera)
        return turn @ matrices(self.rot), self.tra.astype(np.float64) @ turn.T + shift

    def project(self, points: Array, camera: int = 0) -> Array:
        """(..., 3) points of the world, metres, to (..., 2) px of a camera."""
        seen = points @ (self.extr[camera, :3, :3] @ VIEW_TO_OPENCV).T + self.extr[camera, :3, 3]
        focal = np.array([self.fx[camera], self.fy[camera]])
        return seen[..., :2] / seen[..., 2:] * focal + np.array([self.cx[camera], self.cy[camera]])


def read_fit(source: Path | Member) -> FlameFit:
    """Read a `fit.npz`; CaptureError for a missing, damaged or other file. Nothing in it is executed."""
    name = source.name if isinstance(source, Path) else source.basename
    content = read_arrays(source)
    missing = [key for key in (*_PER_FRAME, *_PINHOLE, "extr", "resolutions") if key not in content]
    if missing:
        raise CaptureError(f"{name} is no fit of CAP4D: it has no {missing[0]}.")
    wanted = (*_PER_FRAME, *_PINHOLE, "extr", "resolutions", "shape", *_OPTIONAL)
    try:
        arrays: dict[str, Any] = {
            key: np.asarray(content[key])
            for key in (*wanted, "valid_mask", "detection_boxes")
            if content.get(key) is not None
        }
        return FlameFit(
            **arrays,
            camera_order=tuple(str(camera) for camera in np.ravel(content.get("camera_order", ()))),
            fps=_number(content.get("fps", -1)),
            error=None if content.get("error") is None else _number(content["error"]),
        )
    except (ValueError, TypeError, OverflowError) as problem:
        raise CaptureError(f"{name} is no usable fit of CAP4D: {problem}.") from problem


def _number(value: Any) -> float:
    return float(np.asarray(value).reshape(()))


def read_arrays(source: Path | Member) -> Mapping[str, Any]:
    """The named arrays of an .npz of the CAP4D family; a dict that was pickled into it is unfolded."""
    name = source.name if isinstance(source, Path) else source.basename
    try:
        size = source.stat().st_size if isinstance(source, Path) else source.size
        if size > LARGEST_FILE:
            raise CaptureError(f"{name} is larger than {LARGEST_FILE >> 20} MB and cannot be a fit.")
        data = source.read_bytes()
    except OSError as problem:
        raise CaptureError(f"{source} cannot be read: {problem.strerror or problem}.") from problem
    content = read_content(data, name)
    if len(content) == 1 and isinstance(only := next(iter(content.values())), dict):
        return only
    return content


def write_fit(path: Path, fit: FlameFit) -> None:
    """Write a `fit.npz` as CAP4D's loaders take it, beside and renamed; SettingsError for an unwritable
    place.
    """
    arrays: dict[str, Array] = {name: getattr(fit, name) for name in _PER_FRAME}
    arrays |= {name: getattr(fit, name)[:, None] for name in _PINHOLE}
    arrays |= {
        "extr": fit.extr.astype(np.float32),
        "resolutions": fit.resolutions,
        "camera_order": np.array(fit.camera_order),
        "fps": np.array(round(fit.fps), np.int64) if fit.fps == round(fit.fps) else np.array(fit.fps),
        "n_timesteps": np.array(fit.frame_count, np.int64),
        "n_views": np.array(len(fit.fx), np.int64),
    }
    for name in ("shape", *_OPTIONAL, "valid_mask", "detection_boxes"):
        if getattr(fit, name) is not None:
            arrays[name] = getattr(fit, name)
    if fit.error is not None:
        arrays["error"] = np.array(fit.error, np.float64)
    try:
        write_npz(path, arrays)
    except OSError as problem:
        raise SettingsError(f"{path} cannot be written: {problem.strerror or problem}.") from problem


def with_parameters(fit: FlameFit, parameters: FlameParameters) -> FlameFit:
    """The same cameras with other parameters, e.g. those that `refit` found.

    SettingsError for parameters of another release or form: re-fit them first.
    """
    if parameters.variant != VARIANT or parameters.mode != CAP4D:
        raise SettingsError(
            f"A fit.npz holds FLAME {VARIANT} in CAP4D's form, not {parameters.variant}.", "Re-fit it first."
        )
    shape = np.zeros(CAP4D_SHAPES, np.float32)
    shape[: len(parameters.shape)] = parameters.shape[:CAP4D_SHAPES]
    same = parameters.frame_count == fit.frame_count
    return replace(
        fit,
        valid_mask=fit.valid_mask if same else None,
        detection_boxes=fit.detection_boxes if same else None,
        error=None,
        shape=shape,
        expr=parameters.expression,
        rot=parameters.rotation,
        tra=parameters.translation,
        eye_rot=0.5 * (parameters.eyes[:, :3] + parameters.eyes[:, 3:]),
        neck_rot=parameters.neck if np.any(parameters.neck) else None,
        jaw_rot=parameters.jaw if np.any(parameters.jaw) else None,
    )
