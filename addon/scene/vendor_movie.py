# SPDX-License-Identifier: GPL-3.0-or-later
"""Leap's texture movie on the head: base colour from the movie by time, the scalp picture on top of it.

As Leap's player does: colour = scalp * its alpha + movie * (1 - alpha), in linear light, which is what
shader nodes work in.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import bpy
import numpy as np

from ...core.capture.member import Member
from ...core.capture.movie_times import picture_times
from ...core.capture.results import HEAD
from ...core.errors import CaptureError
from . import bpy_compat
from .double import tag
from .movie_clock import keep_in_step, movie_rate
from .vendor_parts import plain

MOVIE_NODE, SCALP_NODE, MIX_NODE = "Leap Movie", "Leap Scalp", "Leap Scalp Over Movie"


@dataclass(frozen=True)
class Film:
    """A movie that Blender can play, and when its pictures come."""

    path: Path
    begins: np.ndarray
    """(T,) seconds from the first picture."""
    rate: float
    """By which Blender counts."""


def open_film(member: Member) -> Film:
    """Look at a movie; CaptureError when Blender cannot play it. Leaves nothing in the file."""
    path = member.file.resolve()
    image: Any = bpy.data.images.load(str(path), check_existing=False)
    try:
        if image.source != "MOVIE" or not image.size[0]:
            raise CaptureError(f"Blender cannot play {member.name}.", "Copy it again from its source.")
        count, rate = max(1, image.frame_duration), movie_rate(path)
    finally:
        bpy.data.images.remove(image)
    begins = picture_times(member) if path.suffix.lower() in (".mp4", ".mov", ".m4v") else None
    if begins is None:
        begins = np.arange(count) / (rate or 30.0)
    return Film(path, begins, rate)


def play_on_head(
    scene: bpy.types.Scene,
    head: Any,
    film: Film,
    scalp: Path | None,
    *,
    id: str,
    title: str,
    first_frame: int,
) -> None:
    """Let the head wear the movie, its first picture at the clip's time zero; CaptureError when its material
    has no base colour.
    """
    image: Any = bpy.data.images.load(str(film.path), check_existing=False)
    image.name = f"{title} {film.path.name}"
    tag(image, id, "leap_movie")
    tree = _head_material(head).node_tree
    target = _base_colour(tree)
    still = _picture_before(target)
    node = _texture(tree, MOVIE_NODE, image, still, 0)
    colour = node.outputs["Color"]
    if scalp is not None:
        colour = _under_scalp(tree, colour, scalp, still, id, title)
    sockets = [link.to_socket for link in still.outputs["Color"].links] if still is not None else [target]
    for socket in sockets:
        tree.links.new(colour, socket)
    path = f'nodes["{node.name}"].image_user'
    clock = f"{title} Movie Clock"
    keep_in_step(scene, tree, path, film.begins, film.rate, id=id, name=clock, first_frame=first_frame)


def _head_material(head: Any) -> Any:
    """The material by whose name the movie is meant, else the head's first."""
    materials = [slot.material for slot in head.material_slots if slot.material is not None]
    if not materials:
        raise CaptureError("The head has no material to wear the movie.", "Export the model again.")
    found = next((material for material in materials if plain(material.name) == HEAD), materials[0])
    bpy_compat.use_nodes(found)
    return found


def _base_colour(tree: Any) -> Any:
    """The socket that colours the head."""
    for kind, socket in (("BSDF_PRINCIPLED", "Base Color"), ("EMISSION", "Color"), ("BACKGROUND", "Color")):
        node = next((node for node in tree.nodes if node.type == kind), None)
        if node is not None:
            return node.inputs[socket]
    raise CaptureError("The head's material has no base colour for the movie.", "Export the model again.")


def _picture_before(socket: Any) -> Any | None:
    """The image texture that a socket's colour comes from, through whatever tints it."""
    waiting, seen = [link.from_node for link in socket.links], set()
    while waiting:
        node = waiting.pop(0)
        if node.type == "TEX_IMAGE":
            return node
        if node not in seen:
            seen.add(node)
            waiting += [link.from_node for entry in node.inputs for link in entry.links]
    return None


def _texture(tree: Any, name: str, image: Any, still: Any | None, row: int) -> Any:
    """An image texture that is mapped as the still one is."""
    node = tree.nodes.new("ShaderNodeTexImage")
    node.name = node.label = name
    node.image = image
    x, y = still.location if still is not None else (-700.0, 300.0)
    node.location = x, y + 320.0 + 300.0 * row
    if still is not None:
        node.extension = still.extension
        for link in still.inputs["Vector"].links:
            tree.links.new(link.from_socket, node.inputs["Vector"])
    return node


def _under_scalp(tree: Any, colour: Any, scalp: Path, still: Any | None, id: str, title: str) -> Any:
    """The colour with the scalp picture over it."""
    image: Any = bpy.data.images.load(str(scalp), check_existing=False)
    image.name = f"{title} {scalp.name}"
    image.alpha_mode = "CHANNEL_PACKED"  # colour as it is stored, not multiplied by alpha
    tag(image, id, "leap_scalp")
    picture = _texture(tree, SCALP_NODE, image, still, 1)
    mix = tree.nodes.new("ShaderNodeMix")
    mix.name = mix.label = MIX_NODE
    mix.data_type, mix.blend_type = "RGBA", "MIX"
    mix.location = picture.location[0] + 300.0, picture.location[1] - 150.0
    sockets = {socket.identifier: socket for socket in mix.inputs}
    tree.links.new(picture.outputs["Alpha"], sockets["Factor_Float"])
    tree.links.new(colour, sockets["A_Color"])
    tree.links.new(picture.outputs["Color"], sockets["B_Color"])
    return next(socket for socket in mix.outputs if socket.identifier == "Result_Color")
