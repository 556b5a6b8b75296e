# SPDX-License-Identifier: GPL-3.0-or-later
"""Render preset of Likeness, as `addon/scene/presets.py` has it."""

import bpy

scene = bpy.context.scene
render = scene.render
eevee = scene.eevee

render.engine = "BLENDER_EEVEE" if bpy.app.version >= (5, 0, 0) else "BLENDER_EEVEE_NEXT"
render.use_motion_blur = True
eevee.taa_render_samples = 128
eevee.use_shadows = True
eevee.shadow_ray_count = 3
eevee.shadow_step_count = 12
eevee.use_raytracing = True
eevee.use_fast_gi = True
eevee.ray_tracing_method = "SCREEN"
eevee.ray_tracing_options.resolution_scale = "1"
eevee.use_bokeh_jittered = True
eevee.motion_blur_steps = 4
