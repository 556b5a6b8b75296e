# SPDX-License-Identifier: GPL-3.0-or-later
"""Render preset of Likeness, as `addon/scene/presets.py` has it."""

import bpy

scene = bpy.context.scene
render = scene.render
eevee = scene.eevee

render.engine = "BLENDER_EEVEE" if bpy.app.version >= (5, 0, 0) else "BLENDER_EEVEE_NEXT"
render.use_motion_blur = False
eevee.taa_render_samples = 16
eevee.use_shadows = True
eevee.shadow_ray_count = 1
eevee.shadow_step_count = 6
eevee.use_raytracing = False
eevee.use_fast_gi = False
eevee.ray_tracing_method = "SCREEN"
eevee.ray_tracing_options.resolution_scale = "2"
eevee.use_bokeh_jittered = False
eevee.motion_blur_steps = 1
