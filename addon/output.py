# SPDX-License-Identifier: GPL-3.0-or-later
"""Which pictures and which sound make the movie of a scene."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import bpy

from ..core.errors import SettingsError
from . import session
from .kinds import Scene
from .scene import presets, render
from .scene.bpy_compat import strip_start
from .scene.timing import rate_of


@dataclass(frozen=True)
class Pictures:
    """Rendered frames with even steps."""

    paths: tuple[Path, ...]
    first: int
    """Scene frame of the first."""
    step: int
    """Scene frames from one to the next."""


def pictures_in_range(scene: Scene, folder: Path) -> Pictures:
    """The pictures of the scene's range, up to where rendering was stopped.

    Raises SettingsError when there are none or one in between is missing.
    """
    frames = render.scene_frames(scene)
    there = [frame for frame in frames if render.frame_path(folder, frame).is_file()]
    if not there:
        raise SettingsError(f"There are no frames of this range in {folder}.", "Render them first.")
    whole = list(range(there[0], there[-1] + 1, frames.step))
    lacking = sorted(set(whole) - set(there))
    if lacking:
        raise SettingsError(
            f"Frame {lacking[0]} is missing in {folder}.", "Render Frames makes only what is missing."
        )
    return Pictures(tuple(render.frame_path(folder, frame) for frame in there), there[0], frames.step)


def sound_for(scene: Scene, first: int) -> tuple[Path | None, float]:
    """(file, s into it at scene frame `first`) of the chosen double's sound, else of any of ours; (None, 0)
    for none.
    """
    editor: Any = scene.sequence_editor
    if editor is None:
        return None, 0.0
    strips = [s for s in editor.strips if s.type == "SOUND" and s.name.startswith("Likeness ") and not s.mute]
    active = scene.likeness.active
    wanted = f"Likeness {active.get('likeness_name', '')} Sound" if active is not None else ""
    strips.sort(key=lambda strip: strip.name != wanted)
    if not strips:
        return None, 0.0
    path = Path(bpy.path.abspath(strips[0].sound.filepath))
    return path, (first - strip_start(strips[0])) / rate_of(scene)


def use_preset(scene: Scene, key: str) -> list[str]:
    """Apply a render preset and remember it; notes on what could not be done as asked."""
    notes = presets.apply_preset(scene, key)
    session.note_materials(scene)
    scene.likeness.preset = key
    return notes
