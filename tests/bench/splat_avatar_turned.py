# SPDX-License-Identifier: GPL-3.0-or-later
"""A trained head from all sides, most of which nobody filmed, before white and black."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from core import rotation
from core.avatar import Avatar
from core.splat.driving import driving
from core.splat.player import Player
from core.splat.view import View
from core.texture.picture_file import write_picture

Array = np.ndarray

TURNS = ((0, 0), (20, 0), (-45, 0), (75, 0), (0, -25), (180, 0))
"""Degrees: yaw and pitch of the camera around the head."""
GROUNDS = ((1.0, 1.0, 1.0), (0.0, 0.0, 0.0))
SIDE, DISTANCE, SPAN = 320, 1.0, 0.38
"""px; metres from the camera to the head frame's origin; metres that a picture spans there."""


def turned(avatar: Avatar, path: Path) -> Path:
    """Write the head as it is in the middle of its take."""
    player, driven = Player.of(avatar), driving(avatar)
    acting = driven.acting_of(driven.performance)
    moment = acting.weights[len(acting) // 2], acting.gaze[len(acting) // 2]
    lines = [
        np.hstack([player.draw(*moment, view_of(*turn), ground).image for turn in TURNS])
        for ground in GROUNDS
    ]
    write_picture(path, np.rint(255 * np.clip(np.vstack(lines), 0, 1)).astype(np.uint8))
    return path


def view_of(yaw: float, pitch: float) -> View:
    """A camera that looks at the head frame's origin, +Y up."""
    turn = rotation.to_matrix(rotation.from_angles(np.radians(yaw), np.radians(pitch), np.zeros(())))
    pose = np.eye(4)
    pose[:3, :3] = np.diag([1.0, -1.0, -1.0]) @ turn.T
    pose[2, 3] = DISTANCE
    focal = SIDE * DISTANCE / SPAN
    return View(SIDE, SIDE, focal, focal, SIDE / 2, SIDE / 2, pose)
