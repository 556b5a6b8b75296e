# SPDX-License-Identifier: GPL-3.0-or-later
"""Open, rebuild and remove doubles."""

from __future__ import annotations

from pathlib import Path

import bpy
from bpy.props import BoolProperty, StringProperty

from ..addon import session
from ..addon.kinds import Context, Event, Result
from ..core.avatar import Avatar
from ..core.errors import AvatarError
from .base import Action
from .ids import Op
from .polls import NeedsDouble


class OpenAvatar(Action, bpy.types.Operator):
    """Bring an avatar that was made before into this scene"""

    bl_idname = Op.OPEN_AVATAR
    bl_label = "Open Avatar"
    bl_options = {"REGISTER", "UNDO"}

    directory: StringProperty(name="Avatar", description="Folder that ends in .avatar", subtype="DIR_PATH")
    filter_folder: BoolProperty(default=True, options={"HIDDEN"})
    use_sound: BoolProperty(
        name="Sound", description="Put the capture's sound into the sequencer", default=True
    )
    use_camera: BoolProperty(name="Camera", description="Add a head-and-shoulders camera", default=True)
    use_lights: BoolProperty(name="Lighting", description="Add the neutral lights and world", default=True)

    def invoke(self, context: Context, event: Event) -> Result:
        """Ask for the folder, starting where avatars are kept."""
        from ..addon import preferences

        self.directory = self.directory or f"{preferences.avatars_folder()}/"
        context.window_manager.fileselect_add(self)
        return {"RUNNING_MODAL"}

    def run(self, context: Context) -> str:
        """Load, then build."""
        if not self.directory:
            raise AvatarError("No avatar was chosen.", "Choose a folder that ends in .avatar.")
        folder = Path(bpy.path.abspath(self.directory)).resolve()
        choice = session.BuildChoice(self.use_sound, self.use_camera, self.use_lights)
        return session.summary(session.add_double(context, folder, choice))


class RebuildDouble(NeedsDouble, Action, bpy.types.Operator):
    """Build the double again from avatar and sliders; your changes to materials, lights and camera stay"""

    bl_idname = Op.REBUILD_DOUBLE
    bl_label = "Rebuild"
    bl_options = {"REGISTER", "UNDO"}

    keep_rate: BoolProperty(
        name="Keep Frame Rate",
        description="Keep the scene's frame rate; otherwise it becomes that of the performance",
        default=True,
    )

    def run(self, context: Context) -> str:
        """Build in place."""
        root = session.require_root(context)
        session.rebuild(context, root, self.keep_rate)
        return f"{root['likeness_name']} was rebuilt"


class RemoveDouble(NeedsDouble, Action, bpy.types.Operator):
    """Remove the double with all that belongs to it from this file; its avatar stays on disk"""

    bl_idname = Op.REMOVE_DOUBLE
    bl_label = "Remove"
    bl_options = {"REGISTER", "UNDO"}

    def invoke(self, context: Context, event: Event) -> Result:
        """Ask first."""
        return context.window_manager.invoke_confirm(self, event)

    def run(self, context: Context) -> str:
        """Take it out."""
        root = session.require_root(context)
        name = root["likeness_name"]
        session.remove(context, root)
        return f"{name} was removed"


class SaveAvatar(NeedsDouble, Action, bpy.types.Operator):
    """Write the sliders of this double into its avatar on disk, for other scenes to start from"""

    bl_idname = Op.SAVE_AVATAR
    bl_label = "Save to Avatar"
    bl_options = {"REGISTER"}

    def run(self, context: Context) -> str:
        """Change the avatar on disk."""
        avatar: Avatar = session.save_identity(session.require_root(context))
        return f"{avatar.folder.name} now has this person's shape"


CLASSES = (OpenAvatar, RebuildDouble, RemoveDouble, SaveAvatar)
