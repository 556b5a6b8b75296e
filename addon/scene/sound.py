# SPDX-License-Identifier: GPL-3.0-or-later
"""The capture's sound in the sequencer: it starts where time 0 lies, whatever the frame rate."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import bpy

from .bpy_compat import move_strip
from .double import Double


def strip_name(double: Double) -> str:
    """Name of a double's sound strip, by which it is found again."""
    return f"Likeness {double.name} Sound"


def update_sound(scene: bpy.types.Scene, double: Double, path: Path | None, first_frame: int) -> bool:
    """Put the file's sound into the sequencer in place of this double's earlier one; False where there is
    none.
    """
    if scene.sequence_editor is None and path is None:
        return False
    editor: Any = scene.sequence_editor or scene.sequence_editor_create()
    existing = editor.strips.get(strip_name(double))
    if existing is not None:
        if path is not None and Path(bpy.path.abspath(existing.sound.filepath)) == path:
            move_strip(existing, first_frame)
            return True
        editor.strips.remove(existing)
    if path is None or not path.is_file():
        return False
    return _add(editor, strip_name(double), path, first_frame) is not None


def _add(editor: Any, name: str, path: Path, first_frame: int) -> Any:
    """A strip on a free channel; a file without sound gives an empty one, which is taken away again."""
    channel = 1 + max((strip.channel for strip in editor.strips), default=0)
    try:
        strip = editor.strips.new_sound(name, str(path), channel, first_frame)
    except RuntimeError:
        return None
    if has_sound(strip.sound):
        strip.name = name
        return strip
    sound = strip.sound
    editor.strips.remove(strip)
    bpy.data.sounds.remove(sound)
    return None


def has_sound(sound: bpy.types.Sound) -> bool:
    """Whether Blender could read sound from the file."""
    return sound.channels != "INVALID" and sound.samplerate > 0
