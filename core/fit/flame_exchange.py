# SPDX-License-Identifier: GPL-3.0-or-later
"""Performances from CAP4D's fits and back: pose, gaze, camera and time, with FLAME's parameters kept as they
are.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from .. import rotation
from ..camera import Camera
from ..errors import SettingsError
from ..head.flame.forward import matrices
from ..head.flame.model import VARIANTS
from ..performance import Performance
from .fit_npz import VARIANT, FlameFit
from .gaze import angles, look_weights

Array = np.ndarray

_SAME_GAZE = 2e-3
"""Radians: between samples, a gaze and an eye's rotation are interpolated in different ways."""
_KEPT = ("expr", "rot", "tra", "eye_rot", "neck_rot", "jaw_rot")


def performance_of(
    fit: FlameFit,
    name: str,
    *,
    origin: Array | None = None,
    weights: Array | None = None,
    camera: int = 0,
    source: str = "",
) -> Performance:
    """A fit as a performance before one of its cameras.

    `origin`: (3,) metres, the head frame's origin in FLAME's frame (`core.head.flame.compile.origin_of`);
    without it FLAME's own origin, some centimetres from the ears, is where the head is said to be.
    `weights`: (T, 52) ARKit weights where they were derived from the expression (a mapping needs the model);
    without them only the eyes look. FLAME's parameters are kept in `flame` with the release they are for.
    """
    turn, shift = fit.head_in_view(camera)
    place = shift + turn @ (np.zeros(3) if origin is None else np.asarray(origin, np.float64))
    gaze = np.repeat(gaze_of(fit.eye_rot)[:, None], 2, axis=1)
    scores = np.zeros((fit.frame_count, 52), np.float32) if weights is None else np.array(weights, np.float32)
    if weights is None:
        columns, looks = look_weights(gaze)
        scores[:, columns] = looks
    position = np.median(place, axis=0)
    kept = {key: getattr(fit, key) for key in _KEPT if getattr(fit, key) is not None}
    if fit.shape is not None:
        kept["shape"] = fit.shape
    height, width = fit.resolutions[camera]
    return Performance(
        name=name,
        time=fit.time,
        weights=scores,
        head_rotation=rotation.continuous(rotation.from_matrix(turn)),
        head_translation=place - position,
        gaze=gaze,
        confidence=_confidence(fit, camera),
        flame={**kept, "variant": tagged(VARIANT)},
        source=source,
        camera=Camera(
            focal=np.array([0.5 * (fit.fx[camera] + fit.fy[camera])]),
            centre=np.array([[fit.cx[camera], fit.cy[camera]]]),
            size=np.array([[width, height]]),
            head_position=position,
        ),
    )


def fit_of(
    performance: Performance,
    *,
    expression: Array | None = None,
    shape: Array | None = None,
    origin: Array | None = None,
) -> FlameFit:
    """A performance as a fit with one camera, for CAP4D.

    The head's pose, the gaze and the camera are the performance's. `expression` ((T, 65), CAP4D's) and
    `shape` ((150,)) are taken from its `flame` where they are not given, e.g. by a mapping of its weights; a
    fit without shape drives somebody else. `origin`: as for `performance_of`. SettingsError where the
    parameters kept are for another release, or pose or camera are missing.
    """
    kept = performance.flame or {}
    flame = kept if variant_of(kept) == VARIANT and "expr" in kept else {}
    if expression is None and not flame:
        raise SettingsError(
            f"{performance.name!r} has no parameters of FLAME {VARIANT}.",
            "Fit it to that model, or re-fit it.",
        )
    if performance.camera is None or performance.head_rotation is None:
        raise SettingsError(f"{performance.name!r} has no camera or no head pose.", "Track and fit it first.")
    camera = _one_camera(performance)
    turn = rotation.to_matrix(performance.head_rotation)
    moved = np.zeros(3) if performance.head_translation is None else performance.head_translation
    place = camera.head_position + moved
    rate = performance.rate if performance.frame_count > 1 else 0.0
    even = rate > 0 and np.abs(np.diff(performance.time) - 1 / rate).max() < 0.1 / rate
    focal = camera.focal[:1]
    return FlameFit(
        expr=flame["expr"] if expression is None else expression,
        rot=rotation.to_rotation_vector(performance.head_rotation),
        tra=place - turn @ (np.zeros(3) if origin is None else np.asarray(origin, np.float64)),
        eye_rot=_eye_rotation(performance, flame),
        fx=focal,
        fy=focal,
        cx=camera.centre[:1, 0],
        cy=camera.centre[:1, 1],
        extr=np.eye(4)[None],
        resolutions=camera.size[:1, ::-1],
        shape=flame.get("shape") if shape is None else shape,
        fps=(round(rate) if abs(rate - round(rate)) < 1e-3 else rate) if even and rate > 1.001 else -1.0,
        neck_rot=flame.get("neck_rot"),
        jaw_rot=flame.get("jaw_rot"),
    )


def gaze_of(eye_rot: Array) -> Array:
    """(T, 2) [yaw to the subject's left, pitch up] in radians of eye rotation vectors (T, 3)."""
    return angles(matrices(eye_rot)[..., 2])


def eye_rotation_of(gaze: Array) -> Array:
    """(T, 3) rotation vectors without torsion that turn an eye from +Z to a gaze (T, 2) [yaw, pitch]."""
    yaw, pitch = gaze[:, 0], gaze[:, 1]
    side, up, front = np.sin(yaw) * np.cos(pitch), np.sin(pitch), np.cos(yaw) * np.cos(pitch)
    across = np.hypot(side, up)
    scale = np.arctan2(across, front) / np.maximum(across, 1e-300)
    return scale[:, None] * np.stack([-1.0 * up, side, np.zeros(len(gaze))], axis=1)


def tagged(variant: str) -> Array:
    """The name of a release as an array, as a performance's `flame` holds numbers only."""
    return np.frombuffer(variant.encode("ascii"), np.uint8)


def variant_of(flame: Mapping[str, Array]) -> str | None:
    """The release that the parameters in a performance's `flame` are for, or None where they do not say."""
    if "variant" not in flame:
        return None
    name = np.asarray(flame["variant"]).astype(np.uint8).tobytes().decode("latin1")
    return name if name in VARIANTS else None


def _confidence(fit: FlameFit, camera: int) -> Array:
    if fit.valid_mask is None:
        return np.ones(fit.frame_count, np.float32)
    return fit.valid_mask[camera].astype(np.float32)


def _one_camera(performance: Performance) -> Camera:
    camera = performance.camera
    assert camera is not None
    for values in (camera.focal, camera.centre, camera.size):
        if np.abs(values - values[0]).max() > 1e-6 * np.abs(values).max():
            raise SettingsError(
                f"The photos of {performance.name!r} are of different cameras and a fit.npz has one camera.",
                "Export them one by one.",
            )
    return camera


def _eye_rotation(performance: Performance, flame: Mapping[str, Array]) -> Array:
    """The recorded rotation where the gaze is still the one it gives, else the gaze of both eyes together."""
    recorded = flame.get("eye_rot")
    if performance.gaze is None:
        return np.zeros((performance.frame_count, 3)) if recorded is None else recorded
    gaze = performance.gaze.mean(axis=1)
    if recorded is not None and np.allclose(gaze_of(recorded), gaze, rtol=0, atol=_SAME_GAZE):
        return recorded
    return eye_rotation_of(gaze)
