# SPDX-License-Identifier: GPL-3.0-or-later
"""Operators, one file per subject. An operator validates, calls one function, reports and returns."""

from __future__ import annotations

import bpy

from . import (
    compress,
    double,
    environment,
    export_csv,
    export_fit,
    export_skin,
    fix_check,
    footage,
    identity,
    import_capture,
    import_results,
    import_skin,
    inspect_capture,
    load_sample,
    look,
    models,
    performance,
    presets,
    refit,
    render,
    splat_export,
    splat_object,
    splat_render,
    splat_train,
    stop_job,
    texture,
)

MODULES = (
    import_capture,
    import_results,
    import_skin,
    export_skin,
    load_sample,
    inspect_capture,
    footage,
    refit,
    texture,
    stop_job,
    double,
    identity,
    performance,
    export_csv,
    export_fit,
    look,
    splat_train,
    splat_object,
    splat_export,
    compress,
    render,
    splat_render,
    presets,
    fix_check,
    environment,
    models,
)

CLASSES: tuple[type, ...] = tuple(cls for module in MODULES for cls in module.CLASSES)
"""Every class of the package, in the order of registration."""


def register() -> None:
    """Let Blender find the presets that ship."""
    bpy.utils.register_preset_path(presets.FOLDER)


def unregister() -> None:
    """Take them off the search path."""
    bpy.utils.unregister_preset_path(presets.FOLDER)
