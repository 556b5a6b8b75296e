# SPDX-License-Identifier: GPL-3.0-or-later
"""An eye cut out of the footage and turned to look straight at the viewer, as far as the lids leave it free.

The plane of a patch goes through the edge of the iris and across the eye's axis; its unit is the radius of
the eyeball, so that a circle about the middle of the patch is the iris in the shares that the eye's material
uses.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .. import rotation
from ..fit.calibration.regions import LOWER_LID_LEFT, LOWER_LID_RIGHT, UPPER_LID_LEFT, UPPER_LID_RIGHT
from ..head.embedding import load_embedding
from ..head.eyeball import LIMBUS
from .colour import to_linear
from .lighting import Lighting
from .posed import PosedHead

Array = np.ndarray

SIZE = 144
"""Side of a patch, px."""
HALF = 0.72
"""Half the side of a patch, in radii of the eyeball."""
LIDS = (
    (263, *UPPER_LID_LEFT, 362, *reversed(LOWER_LID_LEFT)),
    (33, *UPPER_LID_RIGHT, 133, *reversed(LOWER_LID_RIGHT)),
)
"""Landmarks around the opening of the left and the right eye, in order."""
OBLIQUE = np.cos(np.radians(38.0))
"""An eye that looks farther past the camera is not measured."""


@dataclass(frozen=True)
class EyePatch:
    """One eye in one picture."""

    linear: Array
    """(SIZE, SIZE, 3) float32 linear light over gain and shade; x to the subject's left, y up from the last
    row."""
    free: Array
    """(SIZE, SIZE) float32 0..1: within the opening of the lids and the picture."""
    iris_px: float
    """px of the picture that a usual iris is wide."""


def eye_patches(
    head: PosedHead, index: int, picture: Array, scale: float, light: Lighting, gain: Array
) -> list[EyePatch]:
    """The patches of both eyes in a picture ((H, W, 3) uint8, one px is `scale` px as shown), less those that
    look away. light, gain ((3,)): of the frame.
    """
    import cv2

    vertices = head.vertices(index)
    lids = load_embedding(head.model).points(vertices)
    found = []
    for side in range(2):
        frame = _EyeFrame.of(head, index, side)
        if frame is None or -frame.axes[2] @ frame.centre / np.linalg.norm(frame.centre) < OBLIQUE:
            continue
        place = head.camera.project(frame.plane(), index) / scale
        maps = place.astype(np.float32) - 0.5
        cut = cv2.remap(picture, maps[..., 0], maps[..., 1], cv2.INTER_LINEAR, borderMode=cv2.BORDER_CONSTANT)
        inside = np.all((place > 1) & (place < np.array(picture.shape[1::-1]) - 1), axis=-1)
        opening = frame.flat(lids[list(LIDS[side])])
        shade = light.shade(frame.axes[2]) * gain
        width = (
            float(np.linalg.norm(place[SIZE // 2, -1] - place[SIZE // 2, 0]))
            / (2 * HALF)
            * 2
            * np.sin(LIMBUS)
        )
        linear = to_linear(cut) / np.maximum(shade, 1e-3)
        found.append(EyePatch(linear.astype(np.float32), _filled(opening) * inside, width))
    return found


@dataclass(frozen=True)
class _EyeFrame:
    """Where an eye is in the view frame."""

    centre: Array
    """(3,) metres."""
    axes: Array
    """(3, 3) rows: to the subject's left, up, along the gaze."""
    radius: float
    """Metres."""

    @staticmethod
    def of(head: PosedHead, index: int, side: int) -> _EyeFrame | None:
        """The left (0) or right (1) eye; None for a model whose eyes do not turn."""
        joint = head.model.roles.get(("eye_left", "eye_right")[side])
        if not isinstance(joint, str) or joint not in head.model.joint_names or not head.rest.eye_radii:
            return None
        centre = head.rest.joint_heads[head.model.joint_names.index(joint)]
        sockets = [socket.joint for socket in head.model.sockets]
        radius = head.rest.eye_radii[sockets.index(joint)] if joint in sockets else head.rest.eye_radii[0]
        yaw, pitch = head.performance.gaze_or_from_weights()[index, side]
        gaze = rotation.to_matrix(rotation.from_angles(np.array([yaw]), np.array([pitch]), np.zeros(1)))[0]
        turn = head.rotation(index)
        return _EyeFrame(turn @ centre + head.translation(index), (turn @ gaze).T, radius)

    def plane(self) -> Array:
        """(SIZE, SIZE, 3) metres: the points of the patch, row 0 is the top."""
        steps = HALF * (2 * (np.arange(SIZE) + 0.5) / SIZE - 1)
        x, y = np.meshgrid(steps, -steps)
        local = np.stack([x, y, np.full_like(x, np.cos(LIMBUS))], axis=-1)
        return self.centre + self.radius * local @ self.axes

    def flat(self, points: Array) -> Array:
        """(n, 2) px of the patch under points (n, 3) of the view frame, along the line of sight."""
        normal = self.axes[2]
        depth = (self.centre @ normal + self.radius * np.cos(LIMBUS)) / (points @ normal)
        local = (points * depth[:, None] - self.centre) @ self.axes.T / self.radius
        return (local[:, :2] * [1, -1] / HALF + 1) * SIZE / 2


def _filled(outline: Array) -> Array:
    """(SIZE, SIZE) float32: 1 inside a closed outline ((n, 2) px), soft towards it on the inner side."""
    import cv2

    mask = np.zeros((SIZE, SIZE), np.uint8)
    cv2.fillPoly(mask, [np.rint(outline).astype(np.int32)], (255.0,))
    away = cv2.distanceTransform(mask, cv2.DIST_L2, 5)
    return np.clip((away - 2.0) / 4.0, 0, 1).astype(np.float32)
