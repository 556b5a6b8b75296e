# SPDX-License-Identifier: GPL-3.0-or-later
"""Bring a compressed face in that was made elsewhere."""

from __future__ import annotations

from pathlib import Path

import bpy
from bpy.props import BoolProperty, EnumProperty, StringProperty
from bpy_extras.io_utils import ImportHelper

from ..addon.kinds import Context
from ..addon.skin_import import import_skin, read_files
from ..core.errors import ModelError
from .base import Action
from .ids import Op

_SCALES = {"CENTIMETRES": 0.01, "METRES": 1.0}


class ImportSkin(Action, bpy.types.Operator, ImportHelper):
    """Bring in a result.npz of compressed skinning as a mesh on bones"""

    bl_idname = Op.IMPORT_SKIN
    bl_label = "Import Compressed Skin"
    bl_options = {"REGISTER", "UNDO", "PRESET"}
    filename_ext = ".npz"

    filter_glob: StringProperty(default="*.npz", options={"HIDDEN"})
    model: StringProperty(
        name="Model",
        description="The .npz of the model that it was made of, for its shapes and for what drives its "
        "in-betweens and combinations; may stay empty",
        subtype="FILE_PATH",
    )
    animation: StringProperty(
        name="Animation",
        description="An .npz with the `weights` of its controls at every frame; may stay empty",
        subtype="FILE_PATH",
    )
    unit: EnumProperty(
        name="Unit",
        description="What a length of 1 in the file means",
        items=(
            ("CENTIMETRES", "Centimetres", "As in the published models", 0),
            ("METRES", "Metres", "As in Blender", 1),
        ),
    )
    up: EnumProperty(
        name="Up",
        description="The axis that points up in the file",
        items=(("Y", "Y", "As in the published models", 0), ("Z", "Z", "As in Blender", 1)),
    )
    sliders: BoolProperty(
        name="Shape Keys",
        description="Put a mesh with the shapes as keys beside it, to move and animate it by: Update brings "
        "what they play to the bones",
        default=True,
    )
    two_bones: BoolProperty(
        name="Exact Pairs", description="Two bones for each one, which move exactly as the file says"
    )

    def draw(self, context: Context) -> None:
        """Options in the file dialog."""
        layout = self.layout
        layout.use_property_split = True
        layout.use_property_decorate = False
        for name in ("model", "animation", "unit", "up", "sliders", "two_bones"):
            layout.prop(self, name)

    def run(self, context: Context) -> str:
        """Read everything, then build."""
        if not self.filepath:
            raise ModelError("No result was chosen.", "Choose a result.npz.")
        path = _path(self.filepath)
        files = read_files(
            path, _optional(self.model), _optional(self.animation), _SCALES[self.unit], self.up == "Y"
        )
        return import_skin(context, files, self.sliders, self.two_bones)


def _path(given: str) -> Path:
    return Path(bpy.path.abspath(given))


def _optional(given: str) -> Path | None:
    return _path(given) if given else None


CLASSES = (ImportSkin,)
