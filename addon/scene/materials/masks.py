# SPDX-License-Identifier: GPL-3.0-or-later
"""Skin regions as one weight per vertex, found on the model's default person so that they fit every identity.

Regions with a drawn border (lips, nails, inside of the mouth) come from a table for the anny model; all
others are smooth functions of face coordinates and work on any head.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from .anchors import FaceFrame, default_rest, face_frame
from .surface import part_rows

Array = np.ndarray

_TABLE = Path(__file__).resolve().parents[2] / "data" / "anny_masks.npz"

HAIRLINE = np.array(
    [
        [0, 1.16],
        [10, 1.18],
        [22, 1.17],
        [34, 1.06],
        [45, 0.93],
        [54, 0.80],
        [61, 0.55],
        [67, 0.20],
        [71, -0.15],
        [75, -0.42],
        [82, -0.42],
        [86, 0.10],
        [92, 0.22],
        [103, 0.20],
        [110, 0.05],
        [116, -0.35],
        [124, -0.80],
        [138, -1.12],
        [158, -1.22],
        [180, -1.20],
    ]
)
"""Azimuth from the front (degrees) and the height (face units) above which hair grows."""
SKULL_CENTRE = np.array([0.0, 0.3, -1.25])
"""About which azimuths are counted, face units."""


def smoothstep(value: Array, low: float | Array, high: float | Array) -> Array:
    """0 at `low`, 1 at `high` (which may be the smaller), smooth between."""
    t = np.clip((value - low) / (high - low), 0.0, 1.0)
    return t * t * (3.0 - 2.0 * t)


def blob(points: Array, centre: tuple[float, float, float], size: tuple[float, float, float]) -> Array:
    """A soft ellipsoid on both sides of the face: 1 inside, 0 from 1.6 sizes on."""
    mirrored = np.c_[np.abs(points[:, 0]), points[:, 1:]]
    return smoothstep(np.linalg.norm((mirrored - centre) / size, axis=1), 1.6, 0.4)


def hair_height(points: Array) -> Array:
    """How far (face units) each point lies above the hairline; negative on the face and neck."""
    offset = points - SKULL_CENTRE
    azimuth = np.degrees(np.arctan2(np.abs(offset[:, 0]), offset[:, 2]))
    return points[:, 1] - np.interp(azimuth, HAIRLINE[:, 0], HAIRLINE[:, 1])


def brow_coordinates(points: Array) -> tuple[Array, Array]:
    """Along (0 inner .. 1 outer end) and across (signed distance from the middle line, face units) the
    eyebrow.
    """
    along = (np.abs(points[:, 0]) - 0.215) / 0.70
    arch = np.interp(along, [-0.2, 0.0, 0.35, 0.62, 1.0, 1.3], [0.27, 0.285, 0.36, 0.385, 0.26, 0.12])
    return along, points[:, 1] - arch


def skin_masks(model: Any) -> dict[str, Array]:
    """Weights 0..1, (V,) float32 each: lips, flush, mouth, nails, scalp, beard, brows, eyelids, oily,
    ears.
    """
    rest = default_rest(model)
    frame = face_frame(model, rest)
    body = part_rows(model, "body")
    points = frame.local(rest.vertices[body])
    table = _table(model, body)
    masks = _face_masks(points, frame, table)
    result = {name: np.zeros(len(rest.vertices), np.float32) for name in masks}
    for name, values in masks.items():
        result[name][body] = values
    return result


def _table(model: Any, body: Array) -> dict[str, Array]:
    """The drawn regions for the rows `body`; zeros for a model without a table."""
    names = ("lips", "eyelids", "ears", "mouth", "nails")
    if model.name != "anny" or not _TABLE.is_file():
        return {name: np.zeros(len(body), np.float32) for name in names}
    with np.load(_TABLE, allow_pickle=False) as data:
        padded = {name: np.pad(data[name].astype(np.float32) / 255.0, (0, 1)) for name in names}
    known = np.minimum(body, len(padded["lips"]) - 1)
    return {name: values[known] for name, values in padded.items()}


def _face_masks(points: Array, frame: FaceFrame, table: dict[str, Array]) -> dict[str, Array]:
    mouth_y, outside = frame.mouth[1], 1.0 - smoothstep(table["mouth"], 0.2, 0.8)
    front = smoothstep(points[:, 2], -0.9, -0.3) * outside
    ears = np.maximum(
        table["ears"],
        smoothstep(np.abs(points[:, 0]), 1.27, 1.36) * (points[:, 1] > -1.2) * (points[:, 1] < 0.4),
    )
    flush = np.maximum.reduce(
        [
            0.85 * blob(points, (0.66, -0.62, 0.12), (0.42, 0.34, 0.6)),
            0.9 * blob(points, (0.0, frame.nose[1], frame.nose[2] - 0.05), (0.3, 0.24, 0.3)),
            0.8 * ears,
            0.35 * blob(points, (0.0, mouth_y - 0.62, 0.35), (0.3, 0.2, 0.4)),
            0.3 * blob(points, (0.25, 0.55, 0.35), (0.5, 0.25, 0.4)),
        ]
    )
    return {
        "lips": table["lips"],
        "flush": flush * outside,
        "mouth": _mouth_depth(points, frame, table["mouth"]),
        "nails": table["nails"],
        "scalp": smoothstep(hair_height(points), -0.05, 0.1) * (1.0 - ears) * (points[:, 2] < 0.4) * outside,
        "beard": _beard(points, mouth_y, table["lips"]) * outside * (1.0 - ears),
        "brows": _brows(points),
        "eyelids": table["eyelids"] * outside,
        "oily": np.maximum(
            blob(points, (0.0, frame.nose[1] + 0.25, frame.nose[2] - 0.15), (0.22, 0.5, 0.4)),
            0.8 * blob(points, (0.0, 0.7, 0.35), (0.55, 0.35, 0.4)),
        )
        * front,
        "ears": ears * outside,
    }


def _mouth_depth(points: Array, frame: FaceFrame, inside: Array) -> Array:
    """0 outside, 0.3 just behind the lips .. 1 in the throat."""
    depth = smoothstep(points[:, 2], frame.mouth[2] - 0.1, frame.mouth[2] - 1.2)
    return smoothstep(inside, 0.02, 0.5) * (0.3 + 0.7 * depth)


def _brows(points: Array) -> Array:
    along, across = brow_coordinates(points)
    width = np.interp(along, [0.0, 0.15, 0.6, 1.0], [0.058, 0.075, 0.062, 0.026])
    ends = smoothstep(along, -0.06, 0.16) * smoothstep(along, 1.05, 0.9)
    return smoothstep(np.abs(across) / width, 1.7, 0.5) * ends * (points[:, 2] > -0.6)


def _beard(points: Array, mouth_y: float, lips: Array) -> Array:
    """Cheek line from the sideburn to the corner of the mouth, moustache, chin and upper neck."""
    x, y, z = np.abs(points[:, 0]), points[:, 1], points[:, 2]
    cheek_line = np.interp(
        x,
        [0.0, 0.35, 0.55, 0.9, 1.1, 1.3],
        [mouth_y + 0.38, mouth_y + 0.3, mouth_y + 0.02, -1.0, -0.5, -0.25],
    )
    below = smoothstep(y, cheek_line + 0.08, cheek_line - 0.12)
    neck = smoothstep(y, mouth_y - 1.35, mouth_y - 0.95)
    return (
        below
        * neck
        * smoothstep(z, -1.25, -0.95)
        * (1.0 - lips)
        * smoothstep(x + (mouth_y + 0.3 - y) * 2, 0.02, 0.1)
    )


def tooth_depth(model: Any) -> Array:
    """(V,) 0 at the front teeth .. 1 at the back of the mouth, for teeth, gums and tongue; 0 elsewhere."""
    rest = default_rest(model)
    frame = face_frame(model, rest)
    result = np.zeros(len(rest.vertices), np.float32)
    rows = part_rows(model, "teeth", "gums", "tongue")
    z = frame.local(rest.vertices[rows])[:, 2]
    if len(rows):
        result[rows] = smoothstep(z, z.max() - 0.12, z.max() - 0.62)
    return result
