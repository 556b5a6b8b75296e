# SPDX-License-Identifier: GPL-3.0-or-later
"""The layout in which a person's face is stored as pictures: head and neck, eyes, teeth, mouth in one square.

It is the same for every person of a head model. The layout of `anny` is compiled (`compile_atlas`) and ships;
another model keeps its own UV. (u, v) is in 0..1, v upwards; row 0 of a picture is the top.
"""

from __future__ import annotations

import hashlib
import io
import json
import zipfile
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np

from ..errors import ModelError
from .model import HeadModel

Array = np.ndarray

NONE, SKIN, EYE_LEFT, EYE_RIGHT, TEETH, MOUTH = range(6)
"""Charts; MOUTH is the gums, the tongue and the lining."""
STEPS = 65534
"""A stored coordinate is an integer of 0..STEPS: 1/30 of a texel of a picture of 2048. Even: the middle is
exact."""
SCHEMA = 1
_DATA = Path(__file__).resolve().parent.parent / "data"
_CHART_OF_WORD = {
    "eye_left": EYE_LEFT,
    "eye_right": EYE_RIGHT,
    "teeth": TEETH,
    "gums": MOUTH,
    "tongue": MOUTH,
    "body": SKIN,
    "skin": SKIN,
    "head": SKIN,
    "face": SKIN,
}


@dataclass(frozen=True)
class HeadAtlas:
    """Where each polygon of a head model lies in the square."""

    corner_uv: Array
    """(F, 4, 2) float32 per corner of `model.faces`; NaN for polygons (and fourth corners) that are not in
    it."""
    chart: Array
    """(F,) uint8: NONE, SKIN, EYE_LEFT, EYE_RIGHT, TEETH or MOUTH."""
    triangles: Array
    """(n, 3) int32 rows of the model: the polygons in the atlas, cut in triangles."""
    uv: Array
    """(n, 3, 2) float32 of their corners."""
    triangle_chart: Array
    """(n,) uint8."""
    blend: Array
    """(V,) float32 per row: 1 on the head, falling to 0 at the lower edge of the skin chart."""
    sha256: str
    """Of the layout: pictures made for one are of no use with another."""


def atlas_path(model: HeadModel) -> Path:
    """Where the layout of a model that ships is; the file need not exist."""
    return _DATA / f"{Path(model.name).name}.atlas.npz"


def load_atlas(model: HeadModel) -> HeadAtlas:
    """The layout of a head model: the one that ships when it was made for these polygons, else the model's
    own UV. A damaged file raises ModelError.
    """
    path = atlas_path(model)
    if path.is_file():
        header, arrays, digest = _read(path)
        if header["topology"] == _topology(model):
            return _unpacked(model, arrays, digest)
    return atlas_of_uv(model)


def atlas_of_uv(model: HeadModel) -> HeadAtlas:
    """A layout out of a model's own UV, charts told by the names of the parts. Polygons that reach out of the
    square (tiles of their own) are not in it.
    """
    words = [[c for word, c in _CHART_OF_WORD.items() if name.startswith(word)] for name in model.part_names]
    chart = np.array([found[0] if found else NONE for found in words], np.uint8)[model.face_part]
    corner = (model.faces >= 0)[..., None]
    outside = np.any(corner & ((model.uv < -1e-4) | (model.uv > 1 + 1e-4)), axis=(1, 2))
    chart[outside] = NONE
    corner_uv = np.where(corner & (chart != NONE)[:, None, None], model.uv, np.nan).astype(np.float32)
    digest = hashlib.sha256(corner_uv.tobytes() + chart.tobytes()).hexdigest()
    return assembled(model, corner_uv, chart, np.ones(model.row_count, np.float32), digest)


def assembled(model: HeadModel, corner_uv: Array, chart: Array, blend: Array, sha256: str) -> HeadAtlas:
    """The layout with its triangles: a quad is cut from its first corner to its third."""
    halves = []
    for corners in ([0, 1, 2], [0, 2, 3]):
        own = np.flatnonzero((chart != NONE) & (model.faces[:, corners[2]] >= 0))
        halves.append((own, model.faces[own][:, corners], corner_uv[own][:, corners]))
    polygon, triangles, uv = (np.concatenate(parts) for parts in zip(*halves, strict=True))
    order = np.argsort(polygon, kind="stable")
    return HeadAtlas(
        corner_uv,
        chart,
        triangles[order].astype(np.int32),
        uv[order].astype(np.float32),
        chart[polygon[order]],
        blend,
        sha256,
    )


def packed(model: HeadModel, corner_uv: Array, chart: Array, blend: Array) -> tuple[dict, dict[str, Array]]:
    """Header and arrays of the file; `corner_uv`, `chart` and `blend` as in `HeadAtlas`."""
    own = np.flatnonzero(chart != NONE)
    whole = np.rint(np.nan_to_num(corner_uv[own]) * STEPS)
    if whole.min() < 0 or whole.max() > STEPS:
        raise ValueError("a polygon of the atlas reaches out of the square")
    rows = np.flatnonzero(blend > 0)
    header = {"schema": SCHEMA, "kind": "atlas", "model": model.name, "topology": _topology(model)}
    points, corner = np.unique(whole.reshape(-1, 2).astype(np.uint16), axis=0, return_inverse=True)
    return header, {
        "polygon": own.astype(np.uint16),
        "chart": chart[own],
        "points": points,
        "corner": corner.reshape(-1, 4).astype(np.uint16),
        "blend_rows": rows.astype(np.uint16),
        "blend": np.rint(255 * blend[rows]).astype(np.uint8),
    }


def _unpacked(model: HeadModel, arrays: dict[str, Array], digest: str) -> HeadAtlas:
    own = arrays["polygon"]
    chart = np.zeros(len(model.faces), np.uint8)
    chart[own] = arrays["chart"]
    corner_uv = np.full((*model.faces.shape, 2), np.nan, np.float32)
    corner_uv[own] = arrays["points"][arrays["corner"]] / np.float32(STEPS)
    corner_uv[model.faces < 0] = np.nan
    blend = np.zeros(model.row_count, np.float32)
    blend[arrays["blend_rows"]] = arrays["blend"] / np.float32(255)
    return assembled(model, corner_uv, chart, blend, digest)


@lru_cache(maxsize=2)
def _read(path: Path) -> tuple[dict, dict[str, Array], str]:
    """Header, arrays and SHA-256 of a layout's file."""
    try:
        data = path.read_bytes()
        with np.load(io.BytesIO(data), allow_pickle=False) as file:
            header = json.loads(str(file["header"]))
            arrays = {name: file[name] for name in file.files if name != "header"}
        if header["kind"] != "atlas" or header["schema"] > SCHEMA:
            raise ValueError("another kind of file, or made by a newer Likeness")
    except (OSError, zipfile.BadZipFile, KeyError, ValueError, TypeError, EOFError) as error:
        raise ModelError(
            f"The texture layout {path} is damaged or of another kind ({error}).",
            "Install Likeness again, or run: python -m core compile-atlas",
        ) from error
    return header, arrays, hashlib.sha256(data).hexdigest()


@lru_cache(maxsize=4)
def _key(faces: bytes) -> str:
    return hashlib.sha256(faces).hexdigest()


def _topology(model: HeadModel) -> str:
    """Names the polygons, as `embedding.topology_key` does."""
    return _key(np.ascontiguousarray(model.faces, "<i4").tobytes())
