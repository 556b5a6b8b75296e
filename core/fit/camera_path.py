# SPDX-License-Identifier: GPL-3.0-or-later
"""CAP4D's camera files (`orbit.npz`, `cam_static.npz`, `cam_orbit.npz`): one camera per frame.

Formats: formats-cap4d 1.3. Axes are OpenCV's.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ..camera import VIEW_TO_OPENCV
from ..errors import CaptureError, SettingsError
from ..files import write_npz
from ..head.flame.forward import matrices
from .fit_npz import FlameFit, read_arrays

Array = np.ndarray

DEFAULT_FPS = 24.0
"""Of files that state none, as CAP4D's own orbit does."""
_MOST_FRAMES = 1_000_000


@dataclass(frozen=True)
class CameraPath:
    """N frames of one moving camera. A wrong array is a ValueError."""

    extr: Array
    """(N, 4, 4) float64: world to camera."""
    pinhole: Array
    """(N, 4) float64 px: fx, fy, cx, cy."""
    resolution: tuple[int, int]
    """Height, width."""
    fps: float = DEFAULT_FPS

    def __post_init__(self) -> None:
        extr, pinhole = np.asarray(self.extr, np.float64), np.asarray(self.pinhole, np.float64)
        if not 1 <= len(extr) <= _MOST_FRAMES or extr.shape[1:] != (4, 4) or pinhole.shape != (len(extr), 4):
            raise ValueError(f"extr has shape {extr.shape} and the camera {pinhole.shape}")
        if not (np.all(np.isfinite(extr)) and np.all(np.isfinite(pinhole)) and np.all(pinhole[:, :2] > 0)):
            raise ValueError("it has values that no camera has")
        turn = extr[:, :3, :3]
        if np.abs(turn @ turn.transpose(0, 2, 1) - np.eye(3)).max() > 1e-2:
            raise ValueError("extr is no rigid transform")
        if min(self.resolution) < 1 or not 0 < self.fps < 100_000:
            raise ValueError("it has no picture size or frame rate")
        object.__setattr__(self, "extr", extr)
        object.__setattr__(self, "pinhole", pinhole)

    @property
    def positions(self) -> Array:
        """(N, 3) float64 metres: where the camera stands in the world, OpenCV's axes."""
        return -np.einsum("nji,nj->ni", self.extr[:, :3, :3], self.extr[:, :3, 3])


def read_camera_path(path: Path) -> CameraPath:
    """Read a camera file; CaptureError for a missing, damaged or other one."""
    content = read_arrays(path)
    try:
        pinhole = np.concatenate(
            [np.asarray(content[k], np.float64).reshape(-1, 1) for k in ("fx", "fy", "cx", "cy")], axis=1
        )
        height, width = (int(n) for n in np.asarray(content["resolution"]).ravel())
        fps = float(np.asarray(content.get("fps", DEFAULT_FPS)).reshape(()))
        return CameraPath(np.asarray(content["extr"]), pinhole, (height, width), fps)
    except KeyError as problem:
        raise CaptureError(f"{path.name} is no camera file of CAP4D: it has no {problem.args[0]}.") from None
    except (ValueError, TypeError, OverflowError) as problem:
        raise CaptureError(f"{path.name} is no usable camera file: {problem}.") from problem


def write_camera_path(path: Path, cameras: CameraPath) -> None:
    """Write a camera file as CAP4D reads it; SettingsError for an unwritable place."""
    arrays = {"extr": cameras.extr.astype(np.float32)}
    arrays |= {name: cameras.pinhole[:, k : k + 1] for k, name in enumerate(("fx", "fy", "cx", "cy"))}
    arrays |= {"resolution": np.array(cameras.resolution, np.int64), "fps": np.array(cameras.fps)}
    try:
        write_npz(path, arrays)
    except OSError as problem:
        raise SettingsError(f"{path} cannot be written: {problem.strerror or problem}.") from problem


def orbit(
    fit: FlameFit,
    frames: int,
    fps: float = DEFAULT_FPS,
    *,
    yaw: float = np.radians(55),
    pitch: float = np.radians(20),
    period: float = 8.0,
) -> CameraPath:
    """A camera that swings round the head of the fit's first frame; CAP4D's own is the default.

    yaw, pitch: amplitudes in radians; period: seconds of one turn. With both 0 the camera stands still.
    """
    phase = 2 * np.pi * np.arange(frames) / fps / period
    return turned_round(fit, yaw * np.cos(phase), pitch * np.sin(phase), fps)


def turned_round(fit: FlameFit, yaw: Array, pitch: Array, fps: float = DEFAULT_FPS) -> CameraPath:
    """The camera of the fit's first frame turned round the head by angles (N,) in radians.

    It turns in its own axes, yaw before pitch, and keeps its distance: the head stays where it is in the
    picture.
    """
    extr = swung(fit.extr[0], VIEW_TO_OPENCV @ fit.tra[0].astype(np.float64), yaw, pitch)
    pinhole = np.tile([fit.fx[0], fit.fy[0], fit.cx[0], fit.cy[0]], (len(extr), 1))
    return CameraPath(extr, pinhole, (int(fit.resolutions[0, 0]), int(fit.resolutions[0, 1])), fps)


def swung(first: Array, target: Array, yaw: Array, pitch: Array) -> Array:
    """(N, 4, 4) world to camera: the camera `first` (4, 4) turned round `target` (3,) by angles (N,) in
    radians, yaw before pitch in its own axes, at the same distance.
    """
    turns = matrices(np.outer(yaw, [0.0, 1.0, 0.0])) @ matrices(np.outer(pitch, [1.0, 0.0, 0.0]))
    stand, facing = -first[:3, :3].T @ first[:3, 3], first[:3, :3].T
    facings = facing @ turns
    stands = target + np.einsum("nij,j->ni", facings @ facing.T, stand - target)
    extr = np.tile(np.eye(4), (len(turns), 1, 1))
    extr[:, :3, :3] = facings.transpose(0, 2, 1)
    extr[:, :3, 3] = -np.einsum("nij,nj->ni", extr[:, :3, :3], stands)
    return extr
