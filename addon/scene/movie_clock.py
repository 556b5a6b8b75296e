# SPDX-License-Identifier: GPL-3.0-or-later
"""A movie's picture by time: a keyed offset of Blender's image user, for textures and camera backgrounds.

Blender counts a movie's pictures at the movie's own rate and shows one picture per scene frame. Where the
two rates differ, or the movie has no steady rate, only a keyed offset keeps them together in time.
"""

from __future__ import annotations

from math import ceil
from pathlib import Path
from typing import Any

import bpy
import numpy as np

from . import bpy_compat
from .double import tag
from .timing import rate_of

ROLE = "movie_clock"
"""Of the actions that are made here."""
_UNEVEN = 0.2
"""Spread of the steps between pictures, as a share of the median one: above it a movie has no steady rate."""
_JUST_BEFORE = 0.1
"""Share of a picture by which a time stamp may be rounded up."""
_TIE = 1e-4
"""Share of a picture: of two that are as near as that, the earlier one is shown."""


def movie_rate(path: Path) -> float:
    """Pictures per second by which Blender counts a movie's pictures; 0 for what is no movie."""
    clip: Any = bpy.data.movieclips.load(str(path))
    rate = float(clip.fps)
    bpy.data.movieclips.remove(clip)
    return rate


def pictures_at(times: np.ndarray, samples: np.ndarray, rate: float) -> np.ndarray:
    """(n,) int: which picture of a movie of this `rate`, as Blender counts them, to show at `times` (n,).

    samples: (T,) when the pictures begin. All in seconds from the movie's first picture.

    At a steady rate it is the nearest picture. Otherwise Blender's count goes by time, and shows the last
    picture that has begun: then it is the first count at which the nearest sample's picture has begun.
    """
    steps = np.diff(samples)
    if len(steps) < 2 or np.ptp(steps) <= _UNEVEN * np.median(steps):
        return np.ceil(times * rate - 0.5 - _TIE).astype(int)
    later = np.clip(np.searchsorted(samples, times), 1, len(samples) - 1)
    before, after = samples[later - 1], samples[later]
    nearest = np.where(times - before <= after - times, before, after)
    return np.ceil(nearest * rate - _JUST_BEFORE).astype(int)


def keep_in_step(
    scene: bpy.types.Scene,
    owner: Any,
    path: str,
    begins: np.ndarray,
    rate: float,
    *,
    id: str,
    name: str,
    first_frame: int = 0,
    start: float = 0.0,
) -> None:
    """Let a movie's image user show the picture of each scene frame's time; called again, it is set anew.

    `owner`: what is animated, a material's node tree or a camera's data. `path`: of the image user in it,
    as `nodes["Face"].image_user`. `begins`: (T,) seconds from the movie's first picture to each picture.
    `rate`: by which Blender counts, see `movie_rate`; 0 takes the scene's. `first_frame`: of time 0, and
    `start`: seconds from there to the first picture. Before the first picture it shows that, after the
    last one the last. `id`, `name`: tags and name of an action that is made where the owner has none.
    """
    user = owner.path_resolve(path)
    end = first_frame + (start + float(begins[-1])) * rate_of(scene)
    last = max(scene.frame_end, ceil(end)) + 1
    user.frame_start, user.frame_duration = first_frame, last - first_frame + 1
    user.use_auto_refresh, user.use_cyclic = True, False
    counts = np.arange(last - first_frame + 1)
    shown = pictures_at(counts / rate_of(scene) - start, begins, rate or rate_of(scene))
    offsets = np.clip(shown, 0, None) - counts
    changes = np.flatnonzero(np.diff(offsets, prepend=offsets[0] - 1))
    forget(owner, path)
    user.frame_offset = int(offsets[0])
    if len(changes) > 1:
        bag = _channels(owner, id, name)
        at = first_frame + counts[changes]
        bpy_compat.write_fcurve(bag, f"{path}.frame_offset", 0, at, offsets[changes], "CONSTANT")


def forget(owner: Any, path: str) -> None:
    """Take the keys of this image user away, and our action where nothing is left in it."""
    data = owner.animation_data
    action = data.action if data is not None else None
    if action is None or data.action_slot is None:
        return
    _, bag = bpy_compat.channelbag(action, owner)
    bpy_compat.remove_fcurves(bag, (f"{path}.frame_offset",))
    if not len(bag.fcurves) and action.get("likeness_role") == ROLE:
        bpy.data.actions.remove(action)


def _channels(owner: Any, id: str, name: str) -> Any:
    """The channelbag that the owner plays; the user's own action stays and gets one more curve."""
    held = owner.animation_data.action if owner.animation_data is not None else None
    if held is None:
        held = tag(bpy.data.actions.new(name), id, ROLE)
    slot, bag = bpy_compat.channelbag(held, owner)
    bpy_compat.assign_action(owner, held, slot)
    return bag
