# SPDX-License-Identifier: GPL-3.0-or-later
"""The cameras an avatar is animated before: that of its footage, a front, an orbit, or a file of CAP4D's.

The world of a path is the OpenCV camera of the footage (x right, y down, z forward), as in CAP4D's files: the
head stands in it where it usually is in the footage.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from ..camera import VIEW_TO_OPENCV, Camera
from ..errors import SettingsError
from ..fit.camera_path import CameraPath, read_camera_path, swung
from .acting import Acting, Standing
from .view import View

Array = np.ndarray

SIZE = 512
"""px: side of a picture where nothing says otherwise."""
FRONT_DISTANCE = 1.2
"""Metres; as far as people sit from a portrait camera."""
_SHARE = 0.66
"""How much of the picture the head's surface takes; hair stands out of it."""
_CHIN = -0.13
"""Metres below the ears: what is under this is neck, and may be cut off by the picture."""
ORBIT = 55.0
"""Degrees to each side, as CAP4D's camera swings. The footage of one camera shows less of a head."""
_LIFT, _PERIOD = 20 / 55, 8.0
"""How much of that it swings up and down, and seconds of one turn."""
_PARALLEL = 0.02
"""Least spread of the optical axes that says where they meet."""


@dataclass(frozen=True, eq=False)
class Shots:
    """One camera for every sample of an acting, and where the head usually is before it."""

    extr: Array
    """(T, 4, 4) float64: world to camera."""
    pinhole: Array
    """(T, 4) float64 px: fx, fy, cx, cy."""
    size: tuple[int, int]
    """px: width, height."""
    standing: Standing
    """Of the head in the world."""

    def views(self, acting: Acting) -> list[View]:
        """The head frame seen by each camera."""
        turns, places = acting.poses(self.standing)
        head = np.tile(np.eye(4), (len(acting), 1, 1))
        head[:, :3, :3] = VIEW_TO_OPENCV @ turns
        head[:, :3, 3] = places @ VIEW_TO_OPENCV
        return [
            View(*self.size, fx, fy, cx, cy, pose)
            for (fx, fy, cx, cy), pose in zip(self.pinhole.tolist(), self.extr @ head, strict=True)
        ]


def shots(
    camera: str, acting: Acting, rest: Array, seen: tuple[Standing, Camera] | None, size: int | None = None
) -> tuple[Shots, list[str]]:
    """The cameras that `camera` names (footage, front, orbit, or a file of CAP4D's), and notes for the user.

    rest: (n, 3) metres, the surface at rest, whose head is to be in the picture. seen: where the head usually
    was in the avatar's own footage and the camera of that; None where it has none. size: longest side of the
    pictures; None: of a file its own, else `SIZE`.
    """
    rest = _head(rest)
    if camera == "footage" and seen is None:
        raise SettingsError(
            "The avatar has no performance that was tracked in footage, so there is no such camera.",
            "Choose --camera front.",
        )
    if camera == "footage" and seen is not None:
        return _footage(acting, rest, *seen, size or SIZE), []
    word, _, angle = camera.partition(":")
    if word in ("front", "orbit") and (word == "orbit" or not angle):
        return _front(acting, rest, size or SIZE, _swing(angle) if word == "orbit" else None), []
    path = Path(camera)
    if path.suffix.lower() != ".npz":
        raise SettingsError(
            f"{camera!r} is no camera.", "Choose footage, front, orbit, or a camera file of CAP4D's (.npz)."
        )
    return _of_file(read_camera_path(path), path.name, acting, rest, seen, size)


def _swing(angle: str) -> float:
    """Radians to each side, of degrees; CAP4D's where none are said."""
    try:
        degrees = float(angle) if angle else ORBIT
    except ValueError:
        degrees = float("nan")
    if not 0 < degrees <= 180:
        raise SettingsError(f"An orbit of {angle!r} degrees is none.", "Say 1 to 180, such as orbit:30.")
    return float(np.radians(degrees))


def _still(count: int) -> Array:
    return np.tile(np.eye(4), (count, 1, 1))


def _footage(acting: Acting, rest: Array, standing: Standing, camera: Camera, size: int) -> Shots:
    """The footage's camera, cut to one square that holds the head wherever it goes."""
    turns, places = acting.poses(standing)
    points = np.einsum("tij,nj->tni", turns, _hull(rest)) + places[:, None]
    ahead = points[..., 2] < -0.05
    px = camera.project(np.where(ahead[..., None], points, [0.0, 0.0, -1.0]))[ahead]
    if not len(px):
        raise SettingsError("The head is never before the camera of the footage.", "Choose --camera front.")
    low, high = px.min(axis=0), px.max(axis=0)
    side = float((high - low).max()) / _SHARE
    corner = 0.5 * (low + high) - 0.5 * side
    lens = np.array([camera.focal[0], camera.focal[0], *(camera.centre[0] - corner)]) * size / side
    return Shots(_still(len(acting)), np.tile(lens, (len(acting), 1)), (size, size), standing)


def _front(acting: Acting, rest: Array, size: int, swing: float | None) -> Shots:
    """Upright before the camera, in the middle of the picture. swing: radians the camera goes round."""
    low, high = rest.min(axis=0), rest.max(axis=0)
    middle = 0.5 * (low + high)
    place = np.array([0.0, 0.0, -FRONT_DISTANCE]) - middle
    reach = FRONT_DISTANCE - (high[2] - middle[2])
    extent = float((high - low)[: (2 if swing is None else 3)].max())
    focal = _SHARE * size * reach / extent
    extr = _still(len(acting))
    if swing is not None:
        phase = 2 * np.pi * (acting.times - acting.times[0]) / _PERIOD
        target = VIEW_TO_OPENCV @ (place + middle)
        extr = swung(np.eye(4), target, swing * np.cos(phase), _LIFT * swing * np.sin(phase))
    lens = np.array([focal, focal, size / 2, size / 2])
    return Shots(extr, np.tile(lens, (len(acting), 1)), (size, size), Standing(np.eye(3), place))


def _of_file(
    path: CameraPath,
    name: str,
    acting: Acting,
    rest: Array,
    seen: tuple[Standing, Camera] | None,
    size: int | None,
) -> tuple[Shots, list[str]]:
    """A camera of the file for every sample, by time; the last one stays when the file ends before."""
    notes = []
    rows = np.rint((acting.times - acting.times[0]) * path.fps).astype(int)
    if rows[-1] >= len(path.extr):
        notes.append(f"{name} ends after {len(path.extr) / path.fps:.2f} s; its last camera stays.")
    rows = np.minimum(rows, len(path.extr) - 1)
    standing = seen[0] if seen else Standing.front(FRONT_DISTANCE)
    height, width = path.resolution
    taken = replace(path, extr=path.extr[rows], pinhole=path.pinhole[rows])
    middle = VIEW_TO_OPENCV @ (standing.place + standing.turn @ (0.5 * (rest.min(axis=0) + rest.max(axis=0))))
    if _out_of_sight(taken, middle):
        notes.append(f"The cameras of {name} look past the head, which was put where they look.")
        place = standing.place + VIEW_TO_OPENCV @ (_pivot(path, middle) - middle)
        standing = Standing(standing.turn, place)
    scale = 1.0 if size is None else size / max(width, height)
    picture = (max(1, round(width * scale)), max(1, round(height * scale)))
    return Shots(taken.extr, taken.pinhole * scale, picture, standing), notes


def _out_of_sight(path: CameraPath, point: Array) -> bool:
    """Whether a point of the world is outside the picture of most cameras."""
    at = np.einsum("tij,j->ti", path.extr[:, :3, :3], point) + path.extr[:, :3, 3]
    depth = np.maximum(at[:, 2], 1e-9)
    px = at[:, :2] / depth[:, None] * path.pinhole[:, :2] + path.pinhole[:, 2:]
    inside = (at[:, 2] > 0.05) & np.all((px > 0) & (px < path.resolution[::-1]), axis=1)
    return bool(inside.mean() < 0.5)


def _pivot(path: CameraPath, point: Array) -> Array:
    """(3,) of the world: what is nearest to all optical axes; where they are parallel, on the first of them
    as far away as `point`.
    """
    axes, stands = path.extr[:, 2, :3], path.positions
    across = np.eye(3) - axes[:, :, None] * axes[:, None, :]
    total = across.mean(axis=0)
    if np.linalg.eigvalsh(total)[0] < _PARALLEL**2:
        return stands[0] + axes[0] * np.linalg.norm(point)
    return np.linalg.solve(total, np.einsum("tij,tj->i", across, stands) / len(axes))


def _head(rest: Array) -> Array:
    """The points of the surface that are not the neck's or the shoulders'."""
    head = rest[rest[:, 1] > _CHIN]
    return head if len(head) else rest


def _hull(points: Array) -> Array:
    """Some points (m, 3) that reach as far as all of them in 26 directions."""
    grid = np.stack(np.meshgrid(*[[-1.0, 0.0, 1.0]] * 3), axis=-1).reshape(-1, 3)
    return points[np.unique((points @ grid.T).argmax(axis=0))].astype(np.float64)
