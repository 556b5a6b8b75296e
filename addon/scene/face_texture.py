# SPDX-License-Identifier: GPL-3.0-or-later
"""The person's own face for the double: still, face track and predicted texture, as the avatar has them."""

from __future__ import annotations

from typing import Any

import bpy
import numpy as np

from ...core.avatar import Avatar
from ...core.errors import AvatarError
from ...core.head import HeadModel
from ...core.performance import Performance
from ...core.texture.predicted import PredictedTexture
from . import face_components
from .double import Double
from .face_choice import BORDER, has_picture, note_coverage, note_faces
from .face_flaws import flaw_of, note_flaws
from .face_pictures import COLOUR, DATA, STAMP, linear, load_picture, pixels_of
from .face_track_image import drop_track, show_track
from .materials.face import face_group, find_face_group, picture_node
from .mesh import BLEND_ATTRIBUTE, HEAD_UV_NAME

_ROLES = {"Still": "albedo", "Scalp": "scalp", "Relief": "normal", "Coverage": "coverage"}
"""Image node to the avatar's role."""


def load_face(double: Double, model: HeadModel, avatar: Avatar) -> None:
    """Read the pictures of an avatar and its predicted texture; before keys are made, which need the latter.

    Files that are damaged or missing are left out and noted on the root.
    """
    albedo = avatar.texture_path("albedo")
    for part in ("STILL", "PREDICTED", "MORE"):
        note_flaws(double.root, part)
    if albedo is None or not albedo.is_file():
        note_flaws(double.root, "STILL", [flaw_of(albedo)] if albedo is not None else [])
        face_components.uninstall(double)
        return
    tree: Any = face_group(double.name, double.id)
    flaws = {role: _load(tree, name, avatar, role) for name, role in _ROLES.items()}
    note_flaws(double.root, "STILL", filter(None, [flaws.pop("albedo")]))
    note_flaws(double.root, "MORE", filter(None, flaws.values()))
    still = picture_node(tree, "Still")
    if still is None or still.image is None:
        face_components.uninstall(double)
        return
    if tree.get(STAMP) != _stamp_of(tree):
        _measure(double, tree, still.image)
    _load_predicted(double, model, avatar, still.image)


def _load(tree: Any, name: str, avatar: Avatar, role: str) -> str:
    """Put a picture into its node; what is wrong with its file, or nothing."""
    node, path = picture_node(tree, name), avatar.texture_path(role)
    if node is None:
        return ""
    if path is None or not path.is_file():
        node.image = None
        return flaw_of(path) if path is not None else ""
    node.image = load_picture(path.resolve(), DATA if role in ("normal", "coverage") else COLOUR)
    if role == "scalp" and node.image is not None:
        # The colour is wanted where alpha is low, too.
        node.image.alpha_mode = "CHANNEL_PACKED"
    return flaw_of(path) if node.image is None else ""


def _stamp_of(tree: Any) -> str:
    """Of the pictures that are measured."""
    nodes = [picture_node(tree, name) for name in ("Still", "Coverage")]
    return " ".join(str(n.image[STAMP]) for n in nodes if n is not None and n.image is not None)


def _load_predicted(double: Double, model: HeadModel, avatar: Avatar, still: Any) -> None:
    path = avatar.texture_path("predicted")
    if path is None or not path.is_file():
        note_flaws(double.root, "PREDICTED", [flaw_of(path)] if path is not None else [])
        face_components.uninstall(double)
        return
    stamp = f"{path.stat().st_mtime_ns} {still[STAMP]}"
    if face_components.has_stamp(double.id, stamp):
        return
    try:
        predicted = PredictedTexture.load(path)
    except AvatarError:
        note_flaws(double.root, "PREDICTED", [flaw_of(path)])
        face_components.uninstall(double)
        return
    face_components.install(double, model, predicted, still, stamp)


def _measure(double: Double, tree: Any, still: Any) -> None:
    """Note the colour in which a new still ends, and how much of the head was seen."""
    mesh: Any = double.body.data
    if HEAD_UV_NAME not in mesh.uv_layers or BLEND_ATTRIBUTE not in mesh.attributes:
        return
    place, weight, area = _corners(mesh)
    edge = (weight > 0.02) & (weight < 0.98)
    colours = linear(_texels(still, place[edge])[:, :3])
    tree[BORDER] = np.median(colours, axis=0).tolist() if len(colours) else []
    coverage, head = picture_node(tree, "Coverage"), weight >= 0.98
    if coverage is not None and coverage.image is not None and np.any(head):
        seen = _texels(coverage.image, place[head])[:, 0]
        note_coverage(double.root, float(np.average(seen, weights=area[head])))
    tree[STAMP] = _stamp_of(tree)


def _corners(mesh: Any) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Place (n, 2), blend (n,) and share of its polygon's area (n,), of each corner in the layout."""
    count = len(mesh.loops)
    blend, total = np.empty(len(mesh.vertices), np.float32), np.empty(len(mesh.polygons), np.int32)
    mesh.attributes[BLEND_ATTRIBUTE].data.foreach_get("value", blend)
    corner, place = np.empty(count, np.int32), np.empty(2 * count, np.float32)
    mesh.loops.foreach_get("vertex_index", corner)
    mesh.uv_layers[HEAD_UV_NAME].uv.foreach_get("vector", place)
    area = np.empty(len(mesh.polygons), np.float32)
    mesh.polygons.foreach_get("loop_total", total)
    mesh.polygons.foreach_get("area", area)
    place = place.reshape(-1, 2)
    inside = np.all((place >= 0) & (place <= 1), axis=1)
    return place[inside], blend[corner][inside], np.repeat(area / total, total)[inside]


def _texels(image: Any, place: np.ndarray) -> np.ndarray:
    """(n, 4) the nearest texels, as stored, at places (n, 2)."""
    pixels = pixels_of(image)
    size = np.array(pixels.shape[1::-1])
    column, row = np.minimum((place * size).astype(int), size - 1).T
    return pixels[row, column]


def show_performance(
    scene: bpy.types.Scene,
    double: Double,
    avatar: Avatar,
    performance: Performance | None,
    first_frame: int = 0,
) -> None:
    """Put the face track of the performance that plays into the group, in step, and note what there is."""
    tree = find_face_group(double.id)
    note_flaws(double.root, "TRACK")
    if tree is None or not has_picture(tree, "Still"):
        note_faces(double.root, ("NONE",))
        return
    if _play_track(scene, double, tree, avatar, performance, first_frame):
        faces = ("NONE", "STILL", "TRACK")
    else:
        drop_track(tree)
        faces = ("NONE", "STILL")
    if face_components.is_installed(double.id):
        faces = (*faces, "PREDICTED")
    note_faces(double.root, faces)


def _play_track(
    scene: bpy.types.Scene,
    double: Double,
    tree: Any,
    avatar: Avatar,
    performance: Performance | None,
    first_frame: int,
) -> bool:
    path = avatar.face_track_path(performance.name) if performance is not None else None
    if performance is None or path is None:
        return False
    if path.is_file() and show_track(scene, double, tree, path.resolve(), performance, first_frame):
        return True
    if picture_node(tree, "Track") is not None:
        note_flaws(double.root, "TRACK", [flaw_of(path)])
    return False
