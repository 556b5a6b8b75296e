# SPDX-License-Identifier: GPL-3.0-or-later
"""The face track in the face's node group: a movie whose picture n belongs to sample n of the performance."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import bpy

from ...core.performance import Performance
from .double import Double
from .face_pictures import COLOUR, load_picture
from .materials.face import picture_node
from .movie_clock import forget, keep_in_step, movie_rate

_NODE = "Track"
_USER = f'nodes["{_NODE}"].image_user'


def show_track(
    scene: bpy.types.Scene,
    double: Double,
    tree: Any,
    path: Path,
    performance: Performance,
    first_frame: int = 0,
) -> bool:
    """Put the movie of a performance into the group, in step with its keys; False where Blender cannot play
    it, or an artist took the node away.
    """
    node = picture_node(tree, _NODE)
    rate = movie_rate(path)
    if node is None or rate <= 0.0:
        return False
    node.image = load_picture(path, COLOUR)
    if node.image is None:
        return False
    begins = performance.time - performance.time[0]
    keep_in_step(
        scene,
        tree,
        _USER,
        begins,
        rate,
        id=double.id,
        name=f"Likeness {double.name} Face Track",
        first_frame=first_frame,
        start=float(performance.time[0]),
    )
    return True


def drop_track(tree: Any) -> None:
    """Take the movie out of the group, with the keys that kept it in step."""
    node = picture_node(tree, _NODE)
    if node is not None:
        node.image = None
    forget(tree, _USER)


def follow_frames(tree: Any, follow: bool) -> None:
    """Decode pictures as the frame changes, or leave it while the movie is not seen."""
    node = picture_node(tree, _NODE)
    if node is not None:
        node.image_user.use_auto_refresh = follow
