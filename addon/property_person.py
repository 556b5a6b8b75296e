# SPDX-License-Identifier: GPL-3.0-or-later
"""Properties of the person: identity and look."""

from __future__ import annotations

from typing import Any

import bpy
from bpy.props import (
    BoolProperty,
    CollectionProperty,
    EnumProperty,
    FloatProperty,
    FloatVectorProperty,
    IntProperty,
)

from . import session
from .kinds import Context, Group


def _identity_changed(group: Group, _context: Context) -> None:
    session.request(group.id_data, "identity")


def _look_changed(group: Group, _context: Context) -> None:
    session.request(group.id_data, "look")


def _face_changed(group: Group, _context: Context) -> None:
    session.request(group.id_data, "face")


def _materials_changed(group: Group, _context: Context) -> None:
    session.request(group.id_data, "materials")


def _share(name: str, description: str, default: float, update: Any = _identity_changed) -> object:
    return FloatProperty(
        name=name,
        description=description,
        min=0.0,
        max=1.0,
        default=default,
        subtype="FACTOR",
        update=update,
    )


def _colour(name: str, description: str, default: tuple[float, float, float]) -> object:
    return FloatVectorProperty(
        name=name,
        description=description,
        subtype="COLOR",
        min=0.0,
        max=1.0,
        size=3,
        default=default,
        update=_look_changed,
    )


FACE_ITEMS = (
    ("NONE", "Painted", "Skin that is painted to suit the person", 0),
    ("STILL", "Still", "The person's own skin as one texture", 1),
    ("TRACK", "Track", "The face of the footage, a picture per frame, in step with the action", 2),
    (
        "PREDICTED",
        "Predicted",
        "The person's own skin with what the footage showed of each expression, for any performance and pose",
        3,
    ),
)
"""Where the colour of the face comes from."""


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
    face: EnumProperty(
        name="Face",
        description="Where the colour of the face comes from",
        items=FACE_ITEMS,
        default="NONE",
        update=_face_changed,
    )
    face_strength: _share(
        "Strength", "How much of the person's own skin shows over the painted one", 1.0, _face_changed
    )
    face_relief: _share(
        "Relief", "Strength of the pores and wrinkles that the footage showed", 1.0, _face_changed
    )
    face_scalp: _share(
        "Steady Scalp",
        "How much the still texture holds ears, scalp and neck steady while the face moves",
        1.0,
        _face_changed,
    )
    face_eyes: _share(
        "Eyes", "How much of the eyes in the footage shows over the painted ones", 0.35, _face_changed
    )
    skin_tint: _colour(
        "Skin Tint", "Multiplies the colour of all skin, painted or from the footage", (1.0, 1.0, 1.0)
    )
    melanin: _share(
        "Skin Tone", "Pigment of the skin, from very light, 0, to very dark, 1", 0.3, _look_changed
    )
    redness: _share(
        "Redness", "Blood under the painted skin, seen most on cheeks, nose and ears", 0.5, _look_changed
    )
    freckles: _share("Freckles", "Freckles of the painted skin, from none, 0, to many, 1", 0.0, _look_changed)
    lip_amount: _share(
        "Lips", "How much the painted lips' own colour replaces the skin's", 0.6, _look_changed
    )
    eye_colour: _colour("Eyes", "Colour of the iris", (0.150, 0.190, 0.175))
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
    use_hair_colour: BoolProperty(
        name="Plain Colour",
        description="Give the hair of the head one colour instead of pigment",
        default=False,
        update=_look_changed,
    )
    hair_colour: _colour("Hair Colour", "Colour of the hair of the head", (0.06, 0.031, 0.016))
    hair_melanin: _share(
        "Hair Pigment",
        "Dark pigment of the hair, from white, 0, over blond and brown to black, 1",
        0.8,
        _look_changed,
    )
    hair_redness: _share("Hair Redness", "Share of red pigment in the hair", 0.35, _look_changed)
    brow_hairs: BoolProperty(
        name="Brow Hairs",
        description="Let hairs grow on the eyebrows also where a face texture shows the person's own",
        default=True,
        update=_look_changed,
    )
    stubble: _share(
        "Stubble", "Beard shadow of the painted skin, from none, 0, to three days, 1", 0.0, _look_changed
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
    top_colour: _colour("Top Colour", "Colour of what the upper body wears", (0.045, 0.085, 0.13))
    bottom_colour: _colour("Trousers", "Colour of the trousers", (0.035, 0.037, 0.045))
