# SPDX-License-Identifier: GPL-3.0-or-later
"""Render preset of Likeness, as `addon/scene/presets.py` has it."""

import bpy

scene = bpy.context.scene
render = scene.render
cycles = scene.cycles

render.engine = "CYCLES"
render.use_motion_blur = True
render.use_persistent_data = True
cycles.samples = 512
cycles.use_adaptive_sampling = True
cycles.adaptive_threshold = 0.01
cycles.use_light_tree = True
cycles.sample_clamp_indirect = 10.0
cycles.max_bounces = 12
cycles.transparent_max_bounces = 24
cycles.use_denoising = True
cycles.denoiser = "OPENIMAGEDENOISE"
cycles.denoising_input_passes = "RGB_ALBEDO_NORMAL"
