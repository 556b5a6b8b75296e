# SPDX-License-Identifier: GPL-3.0-or-later
"""The four render presets, after Leap's: FAST, STANDARD and MID in EEVEE, PATH in Cycles.

The same values lie as Blender presets in `addon/presets/likeness/render`; a test holds the two equal.
Resolution, frame range and output stay the user's.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import bpy

from ...core.errors import SettingsError
from . import graphics
from .bpy_compat import EEVEE
from .double import find_doubles
from .looks import set_material_mode


@dataclass(frozen=True)
class RenderPreset:
    """A preset's name, description and values."""

    title: str
    description: str
    engine: str
    """EEVEE or CYCLES."""
    samples: int
    shadow_rays: int = 1
    shadow_steps: int = 6
    ray_tracing: bool = False
    jittered_bokeh: bool = False
    motion_blur: bool = False


PRESETS: dict[str, RenderPreset] = {
    "FAST": RenderPreset("Fast", "EEVEE with few samples, for a first look", "EEVEE", 16),
    "STANDARD": RenderPreset("Standard", "EEVEE with soft shadows", "EEVEE", 64, 2),
    "MID": RenderPreset(
        "High", "EEVEE with ray tracing, fine shadows and motion blur", "EEVEE", 128, 3, 12, True, True, True
    ),
    "PATH": RenderPreset(
        "Path Traced", "Cycles with subsurface skin and refracting eyes", "CYCLES", 512, motion_blur=True
    ),
}

NO_OPENGL = "EEVEE needs OpenGL, which this machine does not have; Cycles renders instead."
NO_DENOISER = "This Blender was built without Open Image Denoise; pictures will be noisier."


def apply_preset(scene: bpy.types.Scene, key: str) -> list[str]:
    """Set the scene's engine and quality, and let all doubles wear the fitting materials.

    What could not be done as asked comes back, a sentence each. An unknown key is a SettingsError.
    """
    if key not in PRESETS:
        raise SettingsError(f"There is no render preset {key!r}.", f"Choose one of {', '.join(PRESETS)}.")
    preset, notes = PRESETS[key], []
    engine = preset.engine
    if engine == "EEVEE" and not graphics.has_opengl():
        engine = "CYCLES"
        notes.append(NO_OPENGL)
    scene.render.use_motion_blur = preset.motion_blur
    if engine == "EEVEE":
        _set_eevee(scene, preset)
    else:
        _set_cycles(scene, preset)
        if not graphics.has_denoiser():
            notes.append(NO_DENOISER)
    for double in find_doubles(scene):
        set_material_mode(double, engine)
    return notes


def _set_eevee(scene: Any, preset: RenderPreset) -> None:
    scene.render.engine = EEVEE
    eevee: Any = scene.eevee
    eevee.taa_render_samples = preset.samples
    eevee.use_shadows = True
    eevee.shadow_ray_count, eevee.shadow_step_count = preset.shadow_rays, preset.shadow_steps
    eevee.use_raytracing = eevee.use_fast_gi = preset.ray_tracing
    eevee.ray_tracing_method = "SCREEN"
    eevee.ray_tracing_options.resolution_scale = "1" if preset.ray_tracing else "2"
    eevee.use_bokeh_jittered = preset.jittered_bokeh
    eevee.motion_blur_steps = 4 if preset.motion_blur else 1


def _set_cycles(scene: Any, preset: RenderPreset) -> None:
    scene.render.engine = "CYCLES"
    scene.render.use_persistent_data = True
    cycles: Any = scene.cycles
    cycles.device = "GPU" if graphics.has_compute_device() else "CPU"
    cycles.samples = preset.samples
    cycles.use_adaptive_sampling, cycles.adaptive_threshold = True, 0.01
    cycles.use_light_tree = True
    cycles.sample_clamp_indirect = 10.0
    cycles.max_bounces, cycles.transparent_max_bounces = 12, 24  # hair cards lie many deep
    cycles.use_denoising = graphics.has_denoiser()
    if cycles.use_denoising:
        cycles.denoiser = "OPENIMAGEDENOISE"
        cycles.denoising_input_passes = "RGB_ALBEDO_NORMAL"


def lighten(scene: Any, samples: int) -> None:
    """Make frames as cheap as a preview can be: at most `samples`, few bounces, no motion blur.

    The denoiser cleans what that leaves; of the look only deep hair gets a little darker.
    """
    cycles: Any = scene.cycles
    scene.render.use_motion_blur = False
    scene.eevee.taa_render_samples = min(scene.eevee.taa_render_samples, samples)
    cycles.samples = min(cycles.samples, samples)
    cycles.max_bounces, cycles.diffuse_bounces, cycles.glossy_bounces = 4, 1, 2
    cycles.transmission_bounces, cycles.transparent_max_bounces = 3, 8
    cycles.caustics_reflective = cycles.caustics_refractive = False


def safe_engine(scene: bpy.types.Scene) -> str | None:
    """Make sure that rendering cannot abort Blender: without OpenGL the scene is switched to Cycles.

    The sentence that says so, None when nothing had to change.
    """
    if scene.render.engine not in {EEVEE, "BLENDER_WORKBENCH"} or graphics.has_opengl():
        return None
    eevee: Any = scene.eevee
    samples = eevee.taa_render_samples if scene.render.engine == EEVEE else 16
    _set_cycles(scene, RenderPreset("", "", "CYCLES", samples))
    for double in find_doubles(scene):
        set_material_mode(double, "CYCLES")
    return NO_OPENGL
