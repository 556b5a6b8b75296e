# SPDX-License-Identifier: GPL-3.0-or-later
"""Compile the texture layout of the anny head into `core/data/anny.atlas.npz`, which ships.

    python -m core compile-atlas            (needs scipy; some seconds)

The model's own UV gives the face a sixth of the square's width, as the whole body shares it. Here the head
has the square for itself: head and neck are one chart, cut at the back, and the face takes most of it. It
lies as one looks at a person: up is up, the person's left is on the right.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import ModelError
from .atlas import MOUTH, NONE, SKIN, packed
from .atlas_charts import (
    CHARTS_OF_PARTS,
    LINING,
    MARGIN,
    eye_disc,
    gum_front,
    into_box,
    teeth_unrolled,
    top_view,
)
from .flatten import Flattening, tutte
from .head_half import head_half
from .head_patch import HeadPatch, head_patch
from .model import HeadModel, Rest
from .storage import write_npz

Array = np.ndarray
Report = Callable[[float, str, str], None]

_LAID_OUT = {"eye": eye_disc, "teeth": teeth_unrolled, "gums": gum_front, "tongue": top_view}
NOT_OF_THE_HEAD = ("body", "tights", "skirt", "hair")
"""Parts; all others lie within the head."""
FADE = 0.05
"""Metres above the collar over which the picture gives way to the body's own skin."""
STEPS = 400
"""Newton steps at most; some forty are needed."""


def compile_atlas(model: HeadModel, target: Path, progress: Report = lambda *_: None) -> dict[str, Any]:
    """Write the layout of `model` to `target`; gives sizes and counts for the log."""
    corner_uv, chart, blend = layout(model, progress)
    header, arrays = packed(model, corner_uv, chart, blend)
    write_npz(target, header, arrays)
    return {"file": str(target), "bytes": target.stat().st_size, "faces": int((chart != NONE).sum())}


def layout(model: HeadModel, progress: Report = lambda *_: None) -> tuple[Array, Array, Array]:
    """corner_uv (F, 4, 2), chart (F,) and blend (V,) of the whole layout."""
    rest = model.rest(model.identity_coefficients())
    patch = head_patch(model, rest.vertices.astype(np.float64))
    corner_uv = np.full((*model.faces.shape, 2), np.nan)
    chart = np.full(len(model.faces), NONE, np.uint8)
    corner_uv[patch.faces] = _skin(model, rest, patch, progress)
    chart[patch.faces] = SKIN
    corner_uv[patch.lining] = into_box(model.uv[patch.lining].astype(np.float64), LINING)
    chart[patch.lining] = MOUTH
    for part, (kind, box) in CHARTS_OF_PARTS.items():
        used, flat = _LAID_OUT[part.split("_")[0]](model, rest, part)
        own = model.part_faces(part)[used]
        corner_uv[own] = into_box(flat[used], box)
        chart[own] = kind
    corner_uv[model.faces < 0] = np.nan
    return corner_uv, chart, _blend(model, rest, patch)


def _skin(model: HeadModel, rest: Rest, patch: HeadPatch, progress: Report) -> Array:
    """(n, 4, 2) of the patch's polygons: the flattened half and its mirror image, as wide as the square."""
    half = head_half(model, rest, patch.faces, int(patch.collar[0]))
    flat = Flattening(half).minimise(
        tutte(half), STEPS, lambda share: progress(share, "flatten", "laying the head out")
    )[: len(half.points)]
    place = np.full((model.row_count, 2), np.nan)
    place[half.rows] = (0.5 - MARGIN) * flat / flat[:, 0].max()
    place[:, 1] += 1 - MARGIN - np.nanmax(place[:, 1])
    faces = model.faces[patch.faces]
    right = rest.vertices[faces, 0].mean(axis=1) < 0  # the cut's vertices lie on both sides
    faces[right] = _partners(model, rest, patch)[faces[right]]
    return place[faces] * np.where(right, -1, 1)[:, None, None] ** [1, 0] + [0.5, 0]


def _partners(model: HeadModel, rest: Rest, patch: HeadPatch) -> Array:
    """(V,) the row that mirrors each row of the patch; -1 for others."""
    from scipy.spatial import KDTree

    rows = np.unique(model.faces[patch.faces])
    distance, nearest = KDTree(rest.vertices[rows]).query(rest.vertices[rows] * [-1, 1, 1])
    if distance.max() > 1e-5:
        raise ModelError("The head model is no mirror image of itself.")
    result = np.full(model.row_count, -1)
    result[rows] = rows[nearest]
    return result


def _blend(model: HeadModel, rest: Rest, patch: HeadPatch) -> Array:
    """(V,) float32: by the way along the surface from the collar; all that lies within the head is 1."""
    from scipy import sparse
    from scipy.sparse.csgraph import dijkstra

    count, points = model.row_count, rest.vertices.astype(np.float64)
    faces = model.faces[patch.faces]
    pairs = np.concatenate([faces[:, [a, b]] for a, b in ((0, 1), (1, 2), (2, 3), (3, 0), (0, 2), (1, 3))])
    pairs = np.unique(np.sort(pairs, axis=1), axis=0)
    length = np.linalg.norm(points[pairs[:, 0]] - points[pairs[:, 1]], axis=1)
    graph = sparse.coo_matrix((length, (pairs[:, 0], pairs[:, 1])), (count, count)).tocsr()
    away = np.clip(dijkstra(graph, directed=False, indices=patch.collar, min_only=True) / FADE, 0, 1)
    away[np.setdiff1d(np.arange(count), faces)] = 0
    parts = [model.part_faces(name) for name in model.part_names if name not in NOT_OF_THE_HEAD]
    inner = np.setdiff1d(model.faces[np.concatenate([*parts, patch.lining, patch.sockets])], faces)
    away[inner[inner >= 0]] = 1
    return (away * away * (3 - 2 * away)).astype(np.float32)
