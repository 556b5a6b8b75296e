# SPDX-License-Identifier: GPL-3.0-or-later
"""Properties of the person: identity and look."""

from __future__ import annotations

import bpy
from bpy.props import (
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


def _materials_changed(group: Group, _context: Context) -> None:
    session.request(group.id_data, "materials")


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
