# SPDX-License-Identifier: GPL-3.0-or-later
"""FLAME's parameters of a take inside a performance, and out of it into the files of others.

They are kept as they were solved, with FLAME's own head pose and the pinhole camera of that solve, beside the
pose and the camera of our head: `shape`, `expr`, `rot`, `tra`, `eye_rot`, `jaw_rot` where there is a jaw,
`pinhole` (fx, fy, cx, cy, height, width), `error` (px) and `variant`.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from ..errors import AvatarError, SettingsError
from ..head.flame.forward import FlameParameters
from ..head.flame.model import CAP4D, STANDARD
from ..performance import Performance
from ..track import Track
from .fit_npz import VARIANT, FlameFit
from .flame_exchange import tagged, variant_of
from .flame_frames import FlameTakeFit
from .flame_param import FlameTake

Array = np.ndarray

_SLOWEST = 1.001
"""Frames a second below which frames are single photos, which are a second apart."""


def with_flame_take(performance: Performance, fit: FlameTakeFit, track: Track) -> Performance:
    """The performance with what was solved from its track. SettingsError for photos of several cameras or
    sizes: the files that hold FLAME's takes have one.
    """
    focal = np.array([lens.focal for lens in fit.lenses])
    if np.ptp(focal) > 1e-6 * focal[0] or np.any(track.size != track.size[0]):
        raise SettingsError(
            f"The photos of {performance.name!r} are of different cameras or sizes and a fit has one camera.",
            "Import photos of one size, or export them one by one.",
        )
    width, height = track.size[0]
    given = fit.parameters
    kept = {
        "shape": given.shape.astype(np.float32),
        "expr": given.expression.astype(np.float32),
        "rot": given.rotation,
        "tra": given.translation,
        "eye_rot": given.eyes[:, :3],
        "pinhole": np.array([focal[0], focal[0], *fit.lenses[0].centre, height, width], np.float64),
        "error": np.array([fit.error_px]),
        "variant": tagged(given.variant),
    }
    if given.mode == STANDARD and fit.face.flame.model.has_jaw:
        kept["jaw_rot"] = given.jaw
    return replace(performance, flame=kept)


def is_kept(performance: Performance) -> bool:
    """Whether the performance has parameters that were solved from its track."""
    return "pinhole" in (performance.flame or {})


def parameters_of(performance: Performance) -> FlameParameters:
    """The kept parameters, in CAP4D's form for the release without a jaw, else in the published one.

    SettingsError where there are none.
    """
    flame = performance.flame or {}
    variant = variant_of(flame)
    if not is_kept(performance) or variant is None:
        raise SettingsError(f"{performance.name!r} has no parameters of FLAME.", "Fit it to a FLAME model.")
    try:
        return FlameParameters.of(
            variant,
            flame["shape"],
            flame["expr"],
            mode=CAP4D if variant == VARIANT else STANDARD,
            rotation=flame["rot"],
            translation=flame["tra"],
            jaw=flame.get("jaw_rot"),
            eyes=flame["eye_rot"],
        )
    except (ValueError, KeyError, IndexError, TypeError) as problem:
        raise _damaged(performance, problem) from problem


def kept_fit(performance: Performance) -> FlameFit:
    """The kept parameters as CAP4D's fit before one camera at the origin; of photos those that show a face.

    SettingsError for those of another release.
    """
    given = parameters_of(performance)
    if given.mode != CAP4D:
        raise SettingsError(
            f"{performance.name!r} has parameters of FLAME {given.variant}; CAP4D takes {VARIANT}.",
            "Fit it to that release.",
        )
    flame = performance.flame or {}
    fps = frame_rate(performance)
    seen = performance.confidence > 0
    rows = slice(None) if fps > 0 else seen
    try:
        fx, fy, cx, cy, height, width = np.ravel(flame["pinhole"])[:, None]
        return FlameFit(
            expr=given.expression[rows],
            rot=given.rotation[rows],
            tra=given.translation[rows],
            eye_rot=given.eyes[rows, :3],
            fx=fx,
            fy=fy,
            cx=cx,
            cy=cy,
            extr=np.eye(4)[None],
            resolutions=np.stack([height, width], axis=1),
            shape=given.shape,
            fps=fps,
            valid_mask=seen[rows][None],
            error=float(np.ravel(flame["error"])[0]),
        )
    except (ValueError, KeyError, IndexError, TypeError) as problem:
        raise _damaged(performance, problem) from problem


def kept_take(performance: Performance) -> FlameTake:
    """The kept parameters as GaussianAvatars' take, its world the view frame of the camera."""
    return FlameTake(parameters_of(performance))


def frame_rate(performance: Performance) -> float:
    """Frames a second over the whole take, a whole number where it is one; -1 for photos."""
    count = performance.frame_count
    rate = (count - 1) / performance.duration if count > 1 else 0.0
    if rate <= _SLOWEST:
        return -1.0
    return float(round(rate)) if abs(rate - round(rate)) < 1e-3 else rate


def _damaged(performance: Performance, problem: Exception) -> AvatarError:
    return AvatarError(
        f"The FLAME parameters of {performance.name!r} are damaged ({problem}).",
        "Solve them again with --model.",
    )
