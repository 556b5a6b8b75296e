# SPDX-License-Identifier: GPL-3.0-or-later
"""What is not as it should be with a double, each with its cure. Cheap: panels ask at every redraw."""

from __future__ import annotations

from dataclasses import dataclass

from . import preferences, session
from .kinds import Context, Root
from .runtime import SESSION
from .scene.timing import rate_of

CURES = {
    "RATE": "Make the keys anew for the scene's frame rate, from the recording",
    "SOUND": "Put the sound of the capture's movie into the sequencer",
    "PARTS": "Build the double again from its avatar",
    "HEAD": "Hide this note; next time turn on Stream Head Rotation in the app before recording",
    "SILENT": "Hide this note; Add Sound brings sound from another file",
    "LOG": "Hide this note",
}
"""Tooltip of the Fix button of each check."""


@dataclass(frozen=True)
class Check:
    """A finding."""

    key: str
    """What `CURES` knows it by; ENVIRONMENT is cured in the preferences."""
    text: str
    """One line for the panel."""
    button: str
    """Text of the button."""
    serious: bool = True
    """Whether it is drawn as an alert, not as a note."""


def of_double(context: Context, root: Root) -> list[Check]:
    """The findings on a double, worst first."""
    note, found = root.likeness, []
    dismissed = set(note.dismissed.split())
    if SESSION.log and SESSION.log_is_error:
        found.append(Check("LOG", SESSION.log[0], "Hide"))
    if session.parts_missing(context.scene, root):
        found.append(Check("PARTS", "Parts of the double were deleted", "Rebuild"))
        return found
    if note.performance and abs(rate_of(context.scene) / max(note.keyed_rate, 1e-6) - 1.0) > 1e-4:
        text = f"Keys are for {note.keyed_rate:.4g} fps, the scene has {rate_of(context.scene):.4g}"
        found.append(Check("RATE", text, "Fix"))
    if note.performance and not session.has_sound(context.scene, root):
        if note.movie and not note.silent:
            found.append(Check("SOUND", "The capture's sound is not in the sequencer", "Fix"))
        elif "SILENT" not in dismissed:
            found.append(Check("SILENT", "The capture has no sound", "Hide", serious=False))
    fact = note.performances.get(note.performance)
    if fact is not None and not fact.has_head and "HEAD" not in dismissed:
        found.append(
            Check("HEAD", "No head rotation was recorded: the head holds still", "Hide", serious=False)
        )
    return found


def of_capture() -> list[Check]:
    """Findings that concern importing."""
    if "tracking" in SESSION.lacking:
        return [Check("ENVIRONMENT", SESSION.lacking["tracking"], "Set Up...")]
    if preferences.get().worker_python:
        return []
    return [
        Check(
            "ENVIRONMENT",
            "No worker environment: movies and photos cannot be tracked",
            "Set Up",
            serious=False,
        )
    ]


def of_compressing() -> list[Check]:
    """Findings that concern Compress to Bones."""
    if "compressing" in SESSION.lacking:
        return [Check("ENVIRONMENT", SESSION.lacking["compressing"], "Set Up...")]
    return []


def of_splats() -> list[Check]:
    """Findings that concern training Gaussian heads."""
    if "splats" in SESSION.lacking:
        return [Check("ENVIRONMENT", SESSION.lacking["splats"], "Set Up...")]
    return []


def dismiss(root: Root, key: str) -> None:
    """Do not show this note again for this double."""
    if key == "LOG":
        SESSION.log.clear()
        SESSION.log_is_error = False
        return
    root.likeness.dismissed = " ".join(sorted({*root.likeness.dismissed.split(), key}))


def log_lines() -> list[str]:
    """Lines of the last failure that no operator could report."""
    return SESSION.log if SESSION.log_is_error else []
