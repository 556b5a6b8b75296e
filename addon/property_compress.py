# SPDX-License-Identifier: GPL-3.0-or-later
"""How much a compressed face may hold, for the panel and for the operator alike."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import bpy
from bpy.props import BoolProperty, EnumProperty, IntProperty


@dataclass(frozen=True)
class CompressPreset:
    """A budget that suits a purpose."""

    title: str
    description: str
    bones: int
    influences: int
    coefficients: int
    """Numbers per shape that are not zero, of six per bone."""


PRESETS = {
    "TINY": CompressPreset("Tiny", "24 bones, 4 to a vertex: crowds and phones", 24, 4, 24),
    "GAME": CompressPreset("Game", "48 bones, 4 to a vertex: a character of a game", 48, 4, 48),
    "FILM": CompressPreset("Film", "80 bones, 8 to a vertex: close up", 80, 8, 80),
}
"""On the sample's double 99.9 % of vertices are within 1.4, 0.9 and 0.4 mm of its 52 shapes, and the worst of
its performance 3.7, 1.8 and 1.1 mm. Half as many numbers cost a tenth, twice as many gain less.
"""
CUSTOM = "CUSTOM"

_ITEMS = (
    *((key, preset.title, preset.description) for key, preset in PRESETS.items()),
    (CUSTOM, "Custom", "Numbers of your own"),
)


class CompressOptions:
    """Mix-in of annotations: what is asked of a compression."""

    preset: EnumProperty(
        name="Budget", description="How much the result may hold", items=_ITEMS, default="GAME"
    )
    bones: IntProperty(
        name="Bones", description="Most bones that the face gets", default=48, min=1, max=1000, soft_max=200
    )
    influences: IntProperty(
        name="Influences",
        description="Most bones that move one vertex; engines take 4 or 8",
        default=4,
        min=1,
        max=64,
        soft_max=16,
    )
    coefficients: IntProperty(
        name="Numbers per Shape",
        description="How many numbers a shape may set on average, of six per bone: fewer make a smaller file "
        "and faster playback from the sidecar, and do not change the bones' keys",
        default=48,
        min=1,
        max=6000,
        soft_max=400,
    )
    two_bones: BoolProperty(
        name="Exact Pairs",
        description="Two bones for each one, which together move as the fit wants them to. Off: one bone "
        "with location, rotation and scale, which is close to it and what engines prefer",
        default=False,
    )
    correctives: IntProperty(
        name="Corrective Shapes",
        description="Shape keys that put back what the bones cannot do, for this many of the worst shapes",
        default=0,
        min=0,
        max=100,
        soft_max=20,
    )
    replace: BoolProperty(
        name="Replace",
        description="Remove what was compressed from this mesh before",
        default=True,
    )


NAMES = ("preset", "bones", "influences", "coefficients", "two_bones", "correctives", "replace")
"""Of the options."""


def copy_options(options: Any, target: Any) -> None:
    """Set all options of `target` as those of another holder are."""
    for name in NAMES:
        setattr(target, name, getattr(options, name))


def numbers_of(options: Any) -> tuple[int, int, int]:
    """Bones, influences and numbers per shape that the options ask for."""
    preset = PRESETS.get(options.preset)
    if preset is None:
        return options.bones, options.influences, options.coefficients
    return preset.bones, preset.influences, preset.coefficients


class LikenessCompress(CompressOptions, bpy.types.PropertyGroup):
    """On the scene: what the panel's button asks for."""
