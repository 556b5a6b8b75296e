# SPDX-License-Identifier: GPL-3.0-or-later
"""The face mesh that a phone would deliver: the front of the head as an OBJ, in metres, with uv.

Apple's topology is Apple's, so this is our own body's: the parts of an ARKit face mesh that matter to a
reader are its frame (+Y up, +Z towards the viewer), its unit and its uv.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from core.head import HeadModel


def face_faces(model: HeadModel, template: np.ndarray) -> np.ndarray:
    """Polygons of the face between hairline, ears and chin: in front, and near the eyes and mouth. (n, 4)."""
    faces = model.faces[model.part_faces("body")]
    middle = template[faces].mean(axis=1)
    eye = template[model.part_vertices("eye_left")].mean(axis=0)
    centre = np.array([0.0, eye[1] - 0.035, eye[2]])
    near = np.linalg.norm((middle - centre) / [0.075, 0.105, 0.075], axis=1) < 1.0
    normal = np.cross(
        template[faces[:, 2]] - template[faces[:, 0]], template[faces[:, 3]] - template[faces[:, 1]]
    )
    return faces[near & (normal[:, 2] > 0) & (middle[:, 2] > eye[2] - 0.02)]


def write_obj(path: Path, model: HeadModel, rest: np.ndarray, vertices: np.ndarray) -> None:
    """The face region of `vertices` ((V, 3) metres), chosen on the expressionless `rest`."""
    faces = face_faces(model, rest)
    rows = np.unique(faces)
    index = np.zeros(model.row_count, int)
    index[rows] = np.arange(1, len(rows) + 1)
    low, high = rest[rows].min(axis=0), rest[rows].max(axis=0)
    uv = (rest[rows] - low)[:, :2] / (high - low)[:2]
    lines = ["# ARKit-style face geometry, first frame, metres"]
    lines += [f"v {x:.6f} {y:.6f} {z:.6f}" for x, y, z in vertices[rows]]
    lines += [f"vt {u:.5f} {v:.5f}" for u, v in uv]
    for quad in index[faces]:
        for corner in ((0, 1, 2), (0, 2, 3)):
            lines.append("f " + " ".join(f"{quad[c]}/{quad[c]}" for c in corner))
    path.write_text("\n".join(lines) + "\n", encoding="ascii")
