# SPDX-License-Identifier: GPL-3.0-or-later
"""Lists: local changes of shape, shapes with their own gain and limits."""

from __future__ import annotations

from typing import Any

import bpy

AREAS = (
    ("FACE", "Face", "Changes of the face and head"),
    ("BODY", "Body", "Changes of the rest of the body"),
    ("ALL", "All", "Every change"),
)
FACE = frozenset(
    [
        "head",
        "face",
        "forehead",
        "eyebrow",
        "eye",
        "nose",
        "mouth",
        "lip",
        "chin",
        "cheek",
        "ear",
        "neck",
        "jaw",
        "brow",
    ]
)
"""Words in the names of changes that concern head or face."""


def is_of_face(name: str) -> bool:
    """Whether a local change concerns head or face."""
    return not FACE.isdisjoint(name.lower().split("-"))


def title(name: str) -> str:
    """`l-eye-bag-incr` as people read it: "Left Eye Bag"; a pair such as `-decr-incr` goes without saying."""
    words = [w for w in name.split("-") if w not in {"incr", "decr"}]
    sides = {"l": "Left", "r": "Right"}
    return " ".join(sides.get(word, word.capitalize()) for word in words)


class ChangesList(bpy.types.UIList):
    """Every local change as a slider, those of the face first."""

    bl_idname = "LIKENESS_UL_changes"

    area: bpy.props.EnumProperty(
        name="Area", description="Part of the body whose changes are listed", items=AREAS
    )
    only_set: bpy.props.BoolProperty(name="Used", description="List only changes that are not zero")

    def draw_item(
        self,
        context: Any,
        layout: Any,
        data: Any,
        item: Any,
        icon: int,
        active_data: Any,
        active_property: str,
    ) -> None:
        """Name and slider in one."""
        row = layout.row()
        row.prop(item, "value", text=title(item.name), slider=True)

    def draw_filter(self, context: Any, layout: Any) -> None:
        """Search, area, used only."""
        row = layout.row(align=True)
        row.prop(self, "filter_name", text="", icon="VIEWZOOM")
        row.prop(self, "only_set", text="", icon="FILTER")
        layout.row(align=True).prop(self, "area", expand=True)

    def filter_items(self, context: Any, data: Any, propname: str) -> tuple[list[int], list[int]]:
        """Show what fits search, area and use."""
        wanted = self.filter_name.lower().split()
        flags = []
        for item in getattr(data, propname):
            text = f"{item.name} {title(item.name)}".lower()
            shown = all(word in text for word in wanted)
            shown &= self.area == "ALL" or is_of_face(item.name) == (self.area == "FACE")
            shown &= not self.only_set or item.value != 0.0
            flags.append(self.bitflag_filter_item if shown else 0)
        return flags, []


class ShapesList(bpy.types.UIList):
    """Shapes with their own gain."""

    bl_idname = "LIKENESS_UL_shapes"

    def draw_item(
        self,
        context: Any,
        layout: Any,
        data: Any,
        item: Any,
        icon: int,
        active_data: Any,
        active_property: str,
    ) -> None:
        """Name and gain."""
        row = layout.row()
        row.label(text=item.name, icon="SHAPEKEY_DATA")
        row.prop(item, "gain", text="")


CLASSES = (ChangesList, ShapesList)
