# SPDX-License-Identifier: GPL-3.0-or-later
"""Set the person's shape from scripts and F9; the panel's sliders do the same as they move."""

from __future__ import annotations

import bpy
from bpy.props import FloatProperty, StringProperty

from ..addon import session
from ..addon.kinds import Context, Group
from ..addon.person import PHENOTYPES
from ..core.errors import SettingsError
from .base import Action
from .ids import Op
from .polls import NeedsDouble

UNCHANGED = -1.0
"""Value of a phenotype property that leaves the slider as it is."""


def _slider(name: str, description: str) -> object:
    return FloatProperty(
        name=name,
        description=f"{description}; below 0 leaves it as it is",
        min=UNCHANGED,
        max=1.0,
        default=UNCHANGED,
    )


class SetIdentity(NeedsDouble, Action, bpy.types.Operator):
    """Set the shape of the person by its parameters"""

    bl_idname = Op.SET_IDENTITY
    bl_label = "Set Identity"
    bl_options = {"REGISTER", "UNDO"}

    gender: _slider("Gender", "From male, 0, to female, 1")
    age: _slider("Age", "From newborn, 0, to old, 1")
    muscle: _slider("Muscle", "From slack, 0, to muscular, 1")
    weight: _slider("Weight", "From thin, 0, to heavy, 1")
    height: _slider("Height", "From short, 0, to tall, 1")
    proportions: _slider("Proportions", "From unusual, 0, to ideal, 1")
    cupsize: _slider("Cup Size", "From small, 0, to large, 1")
    firmness: _slider("Firmness", "From soft, 0, to firm, 1")
    african: _slider("African", "Share of African features")
    asian: _slider("Asian", "Share of Asian features")
    caucasian: _slider("Caucasian", "Share of Caucasian features")
    changes: StringProperty(
        name="Local Changes",
        description="Local changes of shape as name=value, separated by spaces, such as nose-scale- "
        "horiz-incr=0.4",
    )

    def run(self, context: Context) -> str:
        """Move the sliders, then build once."""
        root = session.require_root(context)
        identity = root.likeness.identity
        values = self._local_changes(identity)
        with session.quietly():
            for name in PHENOTYPES:
                if getattr(self, name) >= 0.0:
                    setattr(identity, name, getattr(self, name))
            for name, value in values.items():
                identity.changes[name].value = value
        session.rebuild(context, root)
        return ""

    def _local_changes(self, identity: Group) -> dict[str, float]:
        values = {}
        for pair in self.changes.split():
            name, _, number = pair.partition("=")
            if name not in identity.changes:
                raise SettingsError(
                    f"The body has no local change {name!r}.", "See the list in the Double panel."
                )
            try:
                values[name] = float(number)
            except ValueError:
                raise SettingsError(f"{pair!r} is not name=value with a number.", "Correct it.") from None
        return values


class ResetIdentity(NeedsDouble, Action, bpy.types.Operator):
    """Set the shape of the person back to that of its avatar on disk"""

    bl_idname = Op.RESET_IDENTITY
    bl_label = "Reset Shape"
    bl_options = {"REGISTER", "UNDO"}

    def run(self, context: Context) -> str:
        """Refill the sliders, then build once."""
        session.reset_identity(context, session.require_root(context))
        return ""


CLASSES = (SetIdentity, ResetIdentity)
