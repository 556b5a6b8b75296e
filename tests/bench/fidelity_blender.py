# SPDX-License-Identifier: GPL-3.0-or-later
"""A few frames of an avatar rendered by Blender through its footage camera, in a process of its own.

    python tests/bench/fidelity_blender.py NAME.avatar OUT SAMPLE [SAMPLE ...]

Writes OUT/SAMPLE.png. The double stands in our own light, not in that of the footage.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

import bpy

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))
from tests.sample.tree import load_tree  # noqa: E402

load_tree()

from likeness_tree.addon.scene import build, footage_camera, timing  # noqa: E402
from likeness_tree.addon.scene.double import find_doubles  # noqa: E402
from likeness_tree.addon.scene.settings import BuildSettings  # noqa: E402
from likeness_tree.core.avatar import Avatar  # noqa: E402

SAMPLES = 12
LIGHTS = "NEUTRAL"


def main(folder: Path, out: Path, samples: list[int]) -> None:
    """Build the double and render it."""
    bpy.ops.wm.read_factory_settings(use_empty=True)
    avatar = Avatar.load(folder)
    performances = [avatar.load_performance(name) for name in avatar.performances]
    performance = next(one for one in performances if one.camera is not None)
    scene: Any = bpy.context.scene
    build.build(bpy.context, avatar, performance, BuildSettings(materials="CYCLES", lights=LIGHTS))
    camera = find_doubles(scene)[0].part(footage_camera.ROLE)
    scene.camera = camera
    scene.render.resolution_x, scene.render.resolution_y = footage_camera.frame_of(camera)
    scene.render.resolution_percentage = 100
    scene.render.engine = "CYCLES"
    scene.cycles.samples, scene.cycles.use_denoising, scene.cycles.seed = SAMPLES, True, 0
    scene.cycles.max_bounces, scene.cycles.diffuse_bounces, scene.cycles.glossy_bounces = 4, 1, 2
    scene.cycles.transmission_bounces, scene.cycles.transparent_max_bounces = 3, 8
    scene.render.use_persistent_data = True
    scene.render.image_settings.file_format = "PNG"
    for sample in samples:
        frame = float(performance.time[sample]) * timing.rate_of(scene)
        scene.frame_set(int(frame), subframe=frame % 1.0)
        scene.render.filepath = str(out / f"{sample}.png")
        bpy.ops.render.render(write_still=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), [int(text) for text in sys.argv[3:]])
    sys.stdout.flush()
    # bpy 4.5 hangs at interpreter exit while anything is registered.
    os._exit(0)
