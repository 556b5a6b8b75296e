# SPDX-License-Identifier: GPL-3.0-or-later
"""The inside of the mouth that CAP4D adds to FLAME: two half spheres of 200 vertices behind the lips.

Size, place and motion are those of formats-cap4d 1.9: the sphere's radius is a quarter of the distance from
the jaw joint to the lip's middle (vertex 3533). The upper half stays, the lower turns with a jaw that a
linear map finds from the expression. Which way each half opens is not in that page; here the upper half is
the palate and the lower one, its mirror image, the floor.
"""

from __future__ import annotations

import numpy as np

from ...errors import ModelError
from .forward import FlameParameters, matrices, shaped
from .model import CAP4D_EXPRESSIONS, JAW, FlameModel

Array = np.ndarray

LIP = 3533
RINGS, AROUND = 10, 20
_REACH, _SIZE, _GAP = 0.75, 0.25, 0.005


def mouth_triangles(start: int = 0) -> Array:
    """(340, 3) int32 triangles of one half sphere whose first vertex is `start`; the pole's ring is cut to
    single triangles.
    """
    ring, step = np.meshgrid(np.arange(RINGS - 1), np.arange(AROUND), indexing="ij")
    here, beside = ring * AROUND + step, ring * AROUND + (step + 1) % AROUND
    lower = np.stack([here, beside + AROUND, here + AROUND], axis=-1).reshape(-1, 3)
    upper = np.stack([here, beside, beside + AROUND], axis=-1)[1:].reshape(-1, 3)
    return (np.concatenate([lower, upper]) + start).astype(np.int32)


def mouth_rest(model: FlameModel, shape: Array) -> tuple[Array, Array]:
    """(400, 3) float64 metres for a person ((S,) coefficients), 200 upper then 200 lower vertices, and the
    jaw joint (3,).
    """
    person = shaped(model.whole, np.asarray(shape, np.float64))
    joint = model.regressor[JAW] @ person
    reach = person[LIP] - joint
    length = float(np.linalg.norm(reach))
    if length < 1e-4:
        raise ModelError("The FLAME model's jaw joint lies on its lip; its mouth cannot be placed.")
    forward = reach / length
    side = np.cross([0.0, 1.0, 0.0], forward)
    side /= np.linalg.norm(side)
    axes = np.stack([side, np.cross(forward, side), forward], axis=1)
    centre = joint + _REACH * reach - _GAP * forward
    halves = [_half_sphere() * np.array([1.0, sign, 1.0]) for sign in (1.0, -1.0)]
    return np.concatenate([centre + _SIZE * length * half @ axes.T for half in halves]), joint


def mouth_vertices(model: FlameModel, parameters: FlameParameters) -> Array:
    """(T, 400, 3) float64 metres in the head's local frame: see `local_vertices`.

    ModelError without CAP4D's jaw regressor, or for parameters of another form.
    """
    if model.jaw_regressor is None:
        raise ModelError(
            "CAP4D's jaw regressor is missing.",
            "Put jaw_regressor.npy beside the FLAME file and import it again.",
        )
    if parameters.variant != model.variant or parameters.expression.shape[1] != CAP4D_EXPRESSIONS:
        raise ModelError("These parameters have not CAP4D's 65 expressions.", "Re-fit them first.")
    rest, joint = mouth_rest(model, parameters.shape)
    count = RINGS * AROUND
    turn = matrices(parameters.expression @ model.jaw_regressor.astype(np.float64))
    result = np.tile(rest, (parameters.frame_count, 1, 1))
    result[:, count:] = np.einsum("tij,nj->tni", turn, rest[count:] - joint) + joint
    return result


def _half_sphere() -> Array:
    """(200, 3) of the unit sphere, rings from the pole (+Y) to just above the equator."""
    latitude = np.linspace(-np.pi / 2, np.pi / 2, 2 * RINGS)[:RINGS, None]
    longitude = np.linspace(0, 2 * np.pi, AROUND)[None]
    flat = np.cos(latitude)
    points = np.stack(
        [flat * np.cos(longitude), np.sin(latitude) + 0 * longitude, flat * np.sin(longitude)], axis=-1
    )
    return points.reshape(-1, 3) * np.array([1.0, -1.0, -1.0])
