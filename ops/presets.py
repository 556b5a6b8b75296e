# SPDX-License-Identifier: GPL-3.0-or-later
"""Save and delete presets of the filters and of the render settings; those that ship lie in
`addon/presets`.
"""

from __future__ import annotations

from pathlib import Path

import bpy
from bl_operators.presets import AddPresetBase

from .ids import Op

FOLDER = str(Path(__file__).resolve().parents[1] / "addon")
"""Folder whose `presets` Blender searches beside the user's own."""

FILTER_PRESETS = "likeness/performance"
RENDER_PRESETS = "likeness/render"
FILTER_MENU = "LIKENESS_MT_filter_presets"
RENDER_MENU = "LIKENESS_MT_render_presets"


class SaveFilterPreset(AddPresetBase, bpy.types.Operator):
    """Save these filters as a preset, or delete the chosen one"""

    bl_idname = Op.SAVE_FILTER_PRESET
    bl_label = "Filter Preset"
    preset_menu = FILTER_MENU
    preset_subdir = FILTER_PRESETS
    preset_defines = ["filters = bpy.context.scene.likeness.active.likeness.filters"]
    preset_values = [
        f"filters.{name}"
        for name in (
            "smoothing", "cutoff", "beta", "two_way", "window", "order", "gain", "swap_mouth", "mirror",
            "limit_mouth_close", "decimate", "decimate_error",
        )
    ]  # fmt: skip


class SaveRenderPreset(AddPresetBase, bpy.types.Operator):
    """Save the scene's engine and quality as a preset, or delete the chosen one"""

    bl_idname = Op.SAVE_RENDER_PRESET
    bl_label = "Render Preset"
    preset_menu = RENDER_MENU
    preset_subdir = RENDER_PRESETS
    preset_defines = [
        "scene = bpy.context.scene",
        "render = scene.render",
        "eevee = scene.eevee",
        "cycles = scene.cycles",
    ]
    preset_values = [
        "render.engine", "render.use_motion_blur",
        "eevee.taa_render_samples", "eevee.use_shadows", "eevee.shadow_ray_count", "eevee.shadow_step_count",
        "eevee.use_raytracing", "eevee.ray_tracing_method", "eevee.ray_tracing_options.resolution_scale",
        "eevee.use_fast_gi", "eevee.use_bokeh_jittered", "eevee.motion_blur_steps",
        "cycles.samples", "cycles.use_adaptive_sampling", "cycles.adaptive_threshold",
        "cycles.use_light_tree", "cycles.sample_clamp_indirect", "cycles.max_bounces",
        "cycles.transparent_max_bounces", "cycles.use_denoising",
    ]  # fmt: skip


CLASSES = (SaveFilterPreset, SaveRenderPreset)
