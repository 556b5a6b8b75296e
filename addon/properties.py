# SPDX-License-Identifier: GPL-3.0-or-later
"""What a .blend remembers: on each double's root its identity, look, performance and filters; on the scene
the choice.

Each slider asks `session` for a refresh; requests within a moment become one.
"""

from __future__ import annotations

from typing import Any

import bpy
from bpy.props import (
    BoolProperty,
    CollectionProperty,
    EnumProperty,
    FloatProperty,
    IntProperty,
    IntVectorProperty,
    PointerProperty,
    StringProperty,
)

from . import session
from .kinds import Context, Group
from .property_compress import LikenessCompress
from .property_filters import LikenessFilters, LikenessShapeLimit
from .property_footage import LikenessFootage
from .property_person import LikenessChange, LikenessIdentity, LikenessLook
from .property_splat import LikenessSplat, LikenessSplatTraining
from .scene.presets import PRESETS

_RELATIVE: Any = {"PATH_SUPPORTS_BLEND_RELATIVE"}


def _head_position_changed(group: Group, _context: Context) -> None:
    session.request(group.id_data, "keys")


def _lighting_changed(group: Group, _context: Context) -> None:
    session.request(group.id_data, "lighting")


class LikenessPerformance(bpy.types.PropertyGroup):
    """A performance of the avatar, by `name`, with the facts that panels show."""

    frame_count: IntProperty(name="Samples", description="Number of recorded samples")
    duration: FloatProperty(name="Duration", description="Length in seconds", subtype="TIME_ABSOLUTE")
    rate: FloatProperty(name="Rate", description="Samples per second")
    has_head: BoolProperty(name="Head", description="Whether head rotation was recorded")
    has_gaze: BoolProperty(name="Gaze", description="Whether gaze was recorded")
    has_position: BoolProperty(name="Position", description="Whether it is known where the head was")
    has_camera: BoolProperty(name="Camera", description="Whether a camera was fitted to the footage")
    picture_size: IntVectorProperty(
        name="Picture", description="Width and height of the footage, 0 where it is not known", size=2
    )
    has_flame: BoolProperty(name="FLAME", description="Whether FLAME parameters were solved")


class LikenessWarning(bpy.types.PropertyGroup):
    """One sentence that the import left, in `name`."""


class LikenessDouble(bpy.types.PropertyGroup):
    """On the root empty of each double, and, for `splat` alone, on its Gaussian head."""

    folder: StringProperty(
        name="Avatar",
        description="Folder of the avatar that this double shows",
        subtype="DIR_PATH",
        options=_RELATIVE,
    )
    performance: StringProperty(
        name="Performance", description="Name of the performance that this double plays"
    )
    performances: CollectionProperty(type=LikenessPerformance)
    warnings: CollectionProperty(type=LikenessWarning)
    dismissed: StringProperty(
        name="Dismissed", description="Checks that the user has seen", options={"HIDDEN"}
    )
    movie: StringProperty(
        name="Movie", description="The capture's movie", subtype="FILE_PATH", options=_RELATIVE
    )
    silent: BoolProperty(name="Silent", description="Whether the capture's movie is known to have no sound")
    keyed_rate: FloatProperty(name="Keyed Rate", description="Frames per second that the keys were made for")
    head_position: FloatProperty(
        name="Head Position",
        description="How much of the head's position in the footage the double follows, from turning on the "
        "spot, 0, to exactly, 1",
        min=0.0,
        max=1.0,
        default=1.0,
        subtype="FACTOR",
        update=_head_position_changed,
    )
    tracking: StringProperty(
        name="Tracking", description="How well the footage was tracked, a line each", options={"HIDDEN"}
    )
    source: StringProperty(name="Source", description="The capture that this double came from")
    applied: StringProperty(
        name="Applied", description="What the mesh shows, to notice an undone slider", options={"HIDDEN"}
    )
    identity: PointerProperty(type=LikenessIdentity)
    look: PointerProperty(type=LikenessLook)
    filters: PointerProperty(type=LikenessFilters)
    splat: PointerProperty(type=LikenessSplat)


def _is_root(_scene: bpy.types.PropertyGroup, candidate: bpy.types.Object) -> bool:
    return session.is_root(candidate)


PRESET_ITEMS = tuple((key, preset.title, preset.description) for key, preset in PRESETS.items())
"""Enum items of the render presets."""


class LikenessScene(bpy.types.PropertyGroup):
    """On the scene."""

    active: PointerProperty(
        name="Double",
        description="The double that the panels below act on",
        type=bpy.types.Object,
        poll=_is_root,
    )
    lighting: EnumProperty(
        name="Lighting",
        description="Set of lights around the doubles",
        items=session.lighting_items(),
        update=_lighting_changed,
    )
    preset: EnumProperty(
        name="Preset",
        description="Quality of the rendering",
        items=PRESET_ITEMS,
        default="STANDARD",
    )
    output: StringProperty(
        name="Output",
        description="Folder for the frames and the movie",
        default="//likeness/",
        subtype="DIR_PATH",
        options=_RELATIVE,
    )
    codec: EnumProperty(
        name="Codec",
        description="How the movie is compressed",
        items=(
            ("H264", "H.264", "8 bits per channel; plays everywhere", 0),
            ("H265", "H.265", "10 bits per channel; smoother gradients, for newer players", 1),
        ),
        default="H264",
    )
    encoder: EnumProperty(
        name="Encoder",
        description="What makes the movie",
        items=(
            ("BLENDER", "Blender", "The encoder that Blender carries", 0),
            ("FFMPEG", "Installed ffmpeg", "The ffmpeg that is installed on this computer", 1),
        ),
    )
    footage: PointerProperty(type=LikenessFootage)
    compress: PointerProperty(type=LikenessCompress)
    splat: PointerProperty(type=LikenessSplatTraining)
    resume: BoolProperty(
        name="Skip Finished Frames",
        description="Keep frames that are in the output folder already and render the others",
        default=True,
    )


NAME = "likeness"
"""What the groups are called on objects and scenes."""

CLASSES = (
    LikenessChange,
    LikenessIdentity,
    LikenessLook,
    LikenessShapeLimit,
    LikenessFilters,
    LikenessPerformance,
    LikenessWarning,
    LikenessSplat,
    LikenessSplatTraining,
    LikenessDouble,
    LikenessFootage,
    LikenessCompress,
    LikenessScene,
)


def register() -> None:
    """Hang the groups on objects and scenes."""
    setattr(bpy.types.Object, NAME, PointerProperty(type=LikenessDouble))
    setattr(bpy.types.Scene, NAME, PointerProperty(type=LikenessScene))


def unregister() -> None:
    """Take them off again; what files stored stays in the files."""
    delattr(bpy.types.Scene, NAME)
    delattr(bpy.types.Object, NAME)
