# SPDX-License-Identifier: GPL-3.0-or-later
"""The double in Blender: how long it takes to build with a real take, and how fast its body plays back."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import numpy as np
from installed import extension

TAKE = Path(__file__).resolve().parents[3] / "shared" / "data" / "takes" / "live_link_face.csv"
ROWS = 4030
PLAYED = 120
"""Frames that playback is measured over."""

TARGETS = {"build_s": 3.0, "rebuild_s": 3.0}
MINIMA = {"playback_body_fps": 30.0}


def run() -> dict[str, float]:
    """Seconds to build body, keys, armature and 4030 samples, to build again and to key alone; frames/s of
    playback.

    The body is measured with its 52 keys and bones, without hair and clothes, and then the whole double with
    them. Where the real take is absent, random weights of the same length take its place.
    """
    import bpy

    extension()
    build = extension("addon.scene.build")
    settings, avatars = extension("addon.scene.settings").BuildSettings, extension("core.avatar")
    extension("core.head").load_model("anny")
    take = recorded() or made_up()
    person = avatars.Avatar(Path("bench.avatar"), "Bench", gender="female")
    bare = settings(hair=False, clothes=False)
    figures = {"samples": float(take.frame_count)}
    figures["build_s"], _ = seconds(lambda: build.build(bpy.context, person, take, bare))
    figures["rebuild_s"], double = seconds(lambda: build.build(bpy.context, person, take, bare))
    scene = bpy.context.scene
    figures["keys_s"], _ = seconds(lambda: build.apply_performance(scene, double, person, take, bare))
    figures["playback_body_fps"] = playback(scene)
    figures["dress_s"], _ = seconds(lambda: build.build(bpy.context, person, take))
    figures["playback_dressed_fps"] = playback(scene)
    return figures


def recorded() -> Any:
    """The real take, None where it is absent."""
    if not TAKE.is_file():
        return None
    capture = extension("core.capture")
    return capture.read_performance(capture.open_capture(TAKE))


def made_up() -> Any:
    """Random motion as long as the take."""
    rng = np.random.default_rng(0)
    turns = extension("core.rotation").from_rotation_vector(rng.normal(0.0, 0.05, (ROWS, 3)))
    return extension("core.performance").Performance(
        name="noise",
        time=np.arange(ROWS) / 30.0,
        weights=rng.random((ROWS, 52)),
        head_rotation=turns,
        gaze=rng.uniform(-0.2, 0.2, (ROWS, 2, 2)),
    )


def seconds(work: Any) -> tuple[float, Any]:
    """Wall time of one call, and what it gave."""
    start = time.perf_counter()
    result = work()
    return time.perf_counter() - start, result


def playback(scene: Any) -> float:
    """Frames a second of stepping through the animation, dependency graph included, nothing drawn."""
    scene.frame_set(0)
    start = time.perf_counter()
    for frame in range(1, PLAYED + 1):
        scene.frame_set(frame * 7)
    return PLAYED / (time.perf_counter() - start)
