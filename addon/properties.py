# SPDX-License-Identifier: GPL-3.0-or-later
"""What a .blend remembers: on each double's root its identity, look, performance and filters; on the scene
the choice.

Each slider asks `session` for a refresh; requests within a moment become one.
"""

from __future__ import annotations

import bpy
from bpy.props import (
    BoolProperty,
    CollectionProperty,
    EnumProperty,
    FloatProperty,
    FloatVectorProperty,
    IntProperty,
    PointerProperty,
    StringProperty,
)

from ..core.filters import FilterSettings
from . import session
from .kinds import Context
from .scene.presets import PRESETS

_FILTERS = FilterSettings()


def _identity_changed(group: bpy.types.PropertyGroup, _context: Context) -> None:
    session.request(group.id_data, "identity")


def _look_changed(group: bpy.types.PropertyGroup, _context: Context) -> None:
    session.request(group.id_data, "look")


def _materials_changed(group: bpy.types.PropertyGroup, _context: Context) -> None:
    session.request(group.id_data, "materials")


def _filters_changed(group: bpy.types.PropertyGroup, _context: Context) -> None:
    session.request(group.id_data, "switch")


def _lighting_changed(group: bpy.types.PropertyGroup, _context: Context) -> None:
    session.request(group.id_data, "lighting")


def _share(name: str, description: str, default: float) -> object:
    return FloatProperty(
        name=name,
        description=description,
        min=0.0,
        max=1.0,
        default=default,
        subtype="FACTOR",
        update=_identity_changed,
    )


class LikenessChange(bpy.types.PropertyGroup):
    """One local change of shape, `name` as the head model calls it."""

    value: FloatProperty(
        name="Amount",
        description="How much of this change of shape the person has; 0 is none, and negative is the "
        "opposite",
        soft_min=-1.0,
        soft_max=1.0,
        min=-2.0,
        max=2.0,
        default=0.0,
        update=_identity_changed,
    )


class LikenessIdentity(bpy.types.PropertyGroup):
    """The person's shape: phenotypes, and local changes."""

    gender: _share("Gender", "Body shape from male, 0, to female, 1", 0.5)
    age: _share(
        "Age", "From newborn, 0, over a child at a third and a young adult at two thirds, to old, 1", 0.6
    )
    muscle: _share("Muscle", "From slack, 0, to muscular, 1", 0.5)
    weight: _share("Weight", "From thin, 0, to heavy, 1", 0.5)
    height: _share("Height", "From short, 0, to tall, 1", 0.5)
    proportions: _share("Proportions", "From unusual, 0, to ideal, 1", 0.5)
    cupsize: _share("Cup Size", "Size of the breasts, from small, 0, to large, 1", 0.5)
    firmness: _share("Firmness", "Firmness of the breasts, from soft, 0, to firm, 1", 0.5)
    african: _share(
        "African", "Share of African features; the three shares are weighed against each other", 0.33
    )
    asian: _share("Asian", "Share of Asian features; the three shares are weighed against each other", 0.33)
    caucasian: _share(
        "Caucasian", "Share of Caucasian features; the three shares are weighed against each other", 0.34
    )
    changes: CollectionProperty(type=LikenessChange)
    change_index: IntProperty(name="Change", description="The local change of shape shown below the list")


class LikenessLook(bpy.types.PropertyGroup):
    """Skin, eyes, hair, clothes and the set of materials; the fields of `scene.materials.look.Look`."""

    materials: EnumProperty(
        name="Materials",
        description="Which set of materials the whole double wears",
        items=(
            ("EEVEE", "EEVEE", "Fast materials for EEVEE and the viewport", "SHADING_RENDERED", 0),
            (
                "CYCLES",
                "Ray Traced",
                "Full subsurface skin and refracting corneas for Cycles",
                "SHADING_TEXTURE",
                1,
            ),
        ),
        update=_materials_changed,
    )
    melanin: FloatProperty(
        name="Skin Tone",
        description="Pigment of the skin, from very light, 0, to very dark, 1",
        min=0.0,
        max=1.0,
        default=0.3,
        subtype="FACTOR",
        update=_look_changed,
    )
    redness: FloatProperty(
        name="Redness",
        description="Blood under the skin, seen most on cheeks, nose and ears",
        min=0.0,
        max=1.0,
        default=0.5,
        subtype="FACTOR",
        update=_look_changed,
    )
    freckles: FloatProperty(
        name="Freckles",
        description="Amount of freckles, from none, 0, to many, 1",
        min=0.0,
        max=1.0,
        default=0.0,
        subtype="FACTOR",
        update=_look_changed,
    )
    lip_amount: FloatProperty(
        name="Lips",
        description="How much the lips' own colour replaces the skin's",
        min=0.0,
        max=1.0,
        default=0.6,
        subtype="FACTOR",
        update=_look_changed,
    )
    eye_colour: FloatVectorProperty(
        name="Eyes",
        description="Colour of the iris",
        subtype="COLOR",
        min=0.0,
        max=1.0,
        size=3,
        default=(0.150, 0.190, 0.175),
        update=_look_changed,
    )
    hair_style: EnumProperty(
        name="Hair",
        description="Haircut",
        items=(
            ("SHORT", "Short", "Short hair with a parting", 0),
            ("BUZZ", "Buzz Cut", "Very short hair all over", 1),
            ("BOB", "Bob", "Hair to the chin", 2),
            ("TIED", "Tied Back", "Long hair tied at the back", 3),
            ("NONE", "None", "No hair on the head", 4),
        ),
        update=_look_changed,
    )
    hair_melanin: FloatProperty(
        name="Hair Pigment",
        description="Dark pigment of the hair, from white, 0, over blond and brown to black, 1",
        min=0.0,
        max=1.0,
        default=0.8,
        subtype="FACTOR",
        update=_look_changed,
    )
    hair_redness: FloatProperty(
        name="Hair Redness",
        description="Share of red pigment in the hair",
        min=0.0,
        max=1.0,
        default=0.35,
        subtype="FACTOR",
        update=_look_changed,
    )
    stubble: FloatProperty(
        name="Stubble",
        description="Beard shadow, from none, 0, to three days, 1",
        min=0.0,
        max=1.0,
        default=0.0,
        subtype="FACTOR",
        update=_look_changed,
    )
    top: EnumProperty(
        name="Top",
        description="What the upper body wears",
        items=(
            ("TEE", "T-Shirt", "A T-shirt with a round neck", 0),
            ("SCOOP", "Scoop Top", "A top with a wide neck", 1),
            ("LONG_SLEEVE", "Long Sleeves", "A shirt with long sleeves", 2),
        ),
        update=_look_changed,
    )
    top_colour: FloatVectorProperty(
        name="Top Colour",
        description="Colour of what the upper body wears",
        subtype="COLOR",
        min=0.0,
        max=1.0,
        size=3,
        default=(0.045, 0.085, 0.13),
        update=_look_changed,
    )
    bottom_colour: FloatVectorProperty(
        name="Trousers",
        description="Colour of the trousers",
        subtype="COLOR",
        min=0.0,
        max=1.0,
        size=3,
        default=(0.035, 0.037, 0.045),
        update=_look_changed,
    )


class LikenessShapeLimit(bpy.types.PropertyGroup):
    """Gain, offset and limits of one shape; `name` is its ARKit name."""

    gain: FloatProperty(
        name="Gain",
        description="Factor on the recorded weight of this shape",
        soft_min=0.0,
        soft_max=3.0,
        min=-10.0,
        max=10.0,
        default=1.0,
    )
    offset: FloatProperty(
        name="Offset",
        description="Added to the weight after the gain",
        soft_min=-1.0,
        soft_max=1.0,
        min=-10.0,
        max=10.0,
        default=0.0,
    )
    minimum: FloatProperty(
        name="Minimum",
        description="The weight never falls below this",
        soft_min=-1.0,
        soft_max=1.0,
        min=-10.0,
        max=10.0,
        default=-0.1,
    )
    maximum: FloatProperty(
        name="Maximum",
        description="The weight never rises above this",
        soft_min=0.0,
        soft_max=2.0,
        min=-10.0,
        max=10.0,
        default=1.5,
    )


class LikenessFilters(bpy.types.PropertyGroup):
    """How the recorded performance is cleaned before it becomes keys; the recording itself is never
    changed.
    """

    enabled: BoolProperty(
        name="Filtered",
        description="Play the filtered performance; off plays it as recorded",
        default=True,
        update=_filters_changed,
    )
    smoothing: EnumProperty(
        name="Smoothing",
        description="How jitter is removed",
        items=(
            ("NONE", "None", "Keep every sample as recorded", 0),
            ("ONE_EURO", "One Euro", "Calm slow motion and follow fast motion", 1),
            (
                "SAVITZKY_GOLAY",
                "Savitzky-Golay",
                "Fit a polynomial around each sample, which keeps the height of peaks",
                2,
            ),
        ),
        default="NONE",
    )
    cutoff: FloatProperty(
        name="Cutoff",
        description="Cutoff frequency at rest in Hz; lower is calmer",
        min=0.01,
        soft_max=10.0,
        max=100.0,
        default=_FILTERS.cutoff,
    )
    beta: FloatProperty(
        name="Response",
        description="Rise of the cutoff with speed, in Hz per unit of speed; higher follows fast motion "
        "more closely",
        min=0.0,
        soft_max=30.0,
        max=1000.0,
        default=_FILTERS.beta,
    )
    two_way: BoolProperty(
        name="No Delay",
        description="Run forwards and backwards, so that nothing lags behind the sound",
        default=True,
    )
    window: IntProperty(
        name="Window",
        description="Number of samples in the sliding window; an even number counts as the next odd one",
        min=3,
        soft_max=31,
        max=301,
        default=_FILTERS.window,
    )
    order: IntProperty(
        name="Order",
        description="Degree of the fitted polynomial, below the window; higher keeps more detail",
        min=0,
        max=5,
        default=_FILTERS.order,
    )
    gain: FloatProperty(
        name="Intensity",
        description="Factor on all weights; 1 is as recorded",
        min=0.0,
        soft_max=2.0,
        max=10.0,
        default=1.0,
    )
    swap_mouth: BoolProperty(
        name="Swap Mouth Sides",
        description="Exchange left and right of mouth and jaw shifts, for senders that name them as an "
        "observer sees them",
    )
    mirror: BoolProperty(
        name="Mirror",
        description="Exchange left and right of the whole performance: weights, head and gaze",
    )
    limit_mouth_close: BoolProperty(
        name="Limit Mouth Close",
        description="Keep Mouth Close at or below Jaw Open, so that lips do not cross",
    )
    decimate: BoolProperty(
        name="Reduce Keys",
        description="Leave out keys that a straight line between their neighbours replaces",
    )
    decimate_error: FloatProperty(
        name="Error",
        description="Largest change of a weight that leaving out keys may cause",
        min=0.0001,
        soft_max=0.1,
        max=1.0,
        default=0.005,
        precision=4,
    )
    shapes: CollectionProperty(type=LikenessShapeLimit)
    shape_index: IntProperty(
        name="Shape", description="The shape whose gain and limits are shown below the list"
    )


class LikenessPerformance(bpy.types.PropertyGroup):
    """A performance of the avatar, by `name`, with the facts that panels show."""

    frame_count: IntProperty(name="Samples", description="Number of recorded samples")
    duration: FloatProperty(name="Duration", description="Length in seconds", subtype="TIME_ABSOLUTE")
    rate: FloatProperty(name="Rate", description="Samples per second")
    has_head: BoolProperty(name="Head", description="Whether head rotation was recorded")
    has_gaze: BoolProperty(name="Gaze", description="Whether gaze was recorded")


class LikenessWarning(bpy.types.PropertyGroup):
    """One sentence that the import left, in `name`."""


class LikenessDouble(bpy.types.PropertyGroup):
    """On the root empty of each double."""

    folder: StringProperty(
        name="Avatar", description="Folder of the avatar that this double shows", subtype="DIR_PATH"
    )
    performance: StringProperty(
        name="Performance", description="Name of the performance that this double plays"
    )
    performances: CollectionProperty(type=LikenessPerformance)
    warnings: CollectionProperty(type=LikenessWarning)
    dismissed: StringProperty(
        name="Dismissed", description="Checks that the user has seen", options={"HIDDEN"}
    )
    movie: StringProperty(name="Movie", description="The capture's movie", subtype="FILE_PATH")
    silent: BoolProperty(name="Silent", description="Whether the capture's movie is known to have no sound")
    keyed_rate: FloatProperty(name="Keyed Rate", description="Frames per second that the keys were made for")
    source: StringProperty(name="Source", description="The capture that this double came from")
    applied: StringProperty(
        name="Applied", description="What the mesh shows, to notice an undone slider", options={"HIDDEN"}
    )
    identity: PointerProperty(type=LikenessIdentity)
    look: PointerProperty(type=LikenessLook)
    filters: PointerProperty(type=LikenessFilters)


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
    resume: BoolProperty(
        name="Skip Finished Frames",
        description="Keep frames that are in the output folder already and render the others",
        default=True,
    )


CLASSES = (
    LikenessChange,
    LikenessIdentity,
    LikenessLook,
    LikenessShapeLimit,
    LikenessFilters,
    LikenessPerformance,
    LikenessWarning,
    LikenessDouble,
    LikenessScene,
)


def register() -> None:
    """Hang the groups on objects and scenes."""
    bpy.types.Object.likeness = PointerProperty(type=LikenessDouble)
    bpy.types.Scene.likeness = PointerProperty(type=LikenessScene)


def unregister() -> None:
    """Take them off again; what files stored stays in the files."""
    del bpy.types.Scene.likeness
    del bpy.types.Object.likeness
