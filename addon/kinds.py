# SPDX-License-Identifier: GPL-3.0-or-later
"""Names for Blender's objects that carry our registered properties, of which a type checker knows nothing."""

from __future__ import annotations

from typing import Any, TypeAlias

Context: TypeAlias = Any
"""bpy.types.Context"""
Scene: TypeAlias = Any
"""bpy.types.Scene with `likeness`, a `properties.LikenessScene`."""
Root: TypeAlias = Any
"""bpy.types.Object, the root of a double, with `likeness`, a `properties.LikenessDouble`."""
Group: TypeAlias = Any
"""bpy.types.PropertyGroup, one of ours."""
Event: TypeAlias = Any
"""bpy.types.Event"""
Layout: TypeAlias = Any
"""bpy.types.UILayout"""
Result: TypeAlias = Any
"""What an operator returns: a set of "FINISHED", "CANCELLED", "RUNNING_MODAL", "PASS_THROUGH"."""
