# SPDX-License-Identifier: GPL-3.0-or-later
"""Rendering against the clock: measure, choose a size, then refine the motion until the time is up."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from ..core.progress import Progress
from . import budget
from .kinds import Scene
from .scene.render import Rendered, picture_size, render_frame, render_frames

PROBES = (15, 15, 30)
"""Percentages of the size that are measured; the first also loads shaders and textures."""
PATIENCE = 0.06
"""Share of the time beyond which a first probe is all that is measured."""


@dataclass(frozen=True)
class Shot:
    """What was rendered in time."""

    done: Rendered
    """The frames that make the movie, evenly spaced."""
    frames: tuple[int, ...]
    """Their numbers."""
    planned: budget.Plan
    """What was aimed at."""


class _TimeUpError(Exception):
    """The next frame would end too late."""


def render_within(
    scene: Scene, frames: list[int], folder: Path, seconds: float, each: float, progress: Progress
) -> Shot:
    """Render as much of `frames` as `seconds` allow; at least one frame. Sets the scene's picture size.

    Every eighth of the planned frames comes first, then those between, so that whenever the time is up the
    frames of the finest complete pass are evenly spaced. `each`: s to set aside for each frame.
    """
    deadline = time.perf_counter() + seconds
    cost = measure(scene, frames[0], folder, seconds)
    width, height = picture_size(scene)
    cost = budget.Cost(cost.fixed + each, cost.per_pixel)
    left = deadline - time.perf_counter()
    planned = budget.plan(cost, width * height, len(frames), left * 0.9)
    scene.render.resolution_x, scene.render.resolution_y = (even(s * planned.scale) for s in (width, height))
    wanted = frames[:: planned.step][: planned.count]
    done, kept = _passes(
        scene, wanted, folder, _guard(deadline, cost.of(width * height * planned.scale**2), progress)
    )
    return Shot(done, tuple(kept), planned)


def _passes(scene: Scene, wanted: list[int], folder: Path, guard: Progress) -> tuple[Rendered, list[int]]:
    """Render every eighth, fourth, second, then all; the last complete pass."""
    done = render_frames(scene, folder, wanted[:1], progress=guard)
    kept, rendered, skipped, seconds = wanted[:1], done.rendered, done.skipped, done.seconds
    for stride in (8, 4, 2, 1):
        passed = wanted[::stride]
        if len(passed) <= len(kept):
            continue
        try:
            done = render_frames(scene, folder, passed, progress=guard)
        except _TimeUpError:
            break
        kept, rendered, seconds = passed, rendered + done.rendered, seconds + done.seconds
        skipped = len(kept) - rendered
    return Rendered(done.paths[: len(kept)], rendered, max(0, skipped), seconds, done.notes), kept


def _guard(deadline: float, expected: float, progress: Progress) -> Progress:
    """A progress that stops before a frame which, like those before, would take too long; never the first."""
    state = {"last": 0.0, "frames": 0, "each": expected}

    def watch(fraction: float, stage: str, text: str) -> None:
        now = time.perf_counter()
        if state["last"] and state["frames"]:
            state["each"] = max(0.5 * state["each"], now - state["last"])
        if fraction < 1.0:
            if state["frames"] and now + state["each"] > deadline:
                raise _TimeUpError
            state["frames"] += 1
            state["last"] = now
        else:
            state["last"] = 0.0
        progress(fraction, stage, text)

    return watch


def even(length: float) -> int:
    """The nearest even length; encoders want even sides."""
    return max(16, 2 * round(length / 2))


def measure(
    scene: Scene,
    frame: int,
    folder: Path,
    seconds: float,
    render: Callable[[Scene, int, Path], None] = render_frame,
) -> budget.Cost:
    """Render one frame small, small again and larger; after a slow first probe that one is all there is."""
    settings, shots = scene.render, []
    whole, path = settings.resolution_percentage, settings.filepath
    probe = folder / ".measure" / "probe.png"
    probe.parent.mkdir(parents=True, exist_ok=True)
    settings.image_settings.file_format = "PNG"
    try:
        for percentage in PROBES:
            settings.resolution_percentage = percentage
            began = time.perf_counter()
            render(scene, frame, probe)
            width, height = picture_size(scene)
            shots.append((width * height, time.perf_counter() - began))
            if shots[0][1] > PATIENCE * seconds:
                # Half of it was loading, as a rule; the clock has the last word anyway.
                pixels, took = shots[0]
                return budget.Cost(0.25 * took, 0.25 * took / pixels)
    finally:
        settings.resolution_percentage, settings.filepath = whole, path
        probe.unlink(missing_ok=True)
        with contextlib.suppress(OSError):
            probe.parent.rmdir()
    return budget.Cost.measured(shots[1], shots[2])
