# SPDX-License-Identifier: GPL-3.0-or-later
"""FLAME: the user's own files, read safely, evaluated as published or as CAP4D does, re-fitted to each other.

No FLAME data ships. Formats and equations: formats-cap4d 0, 1, 2.
"""

from __future__ import annotations

from .compile import compile_flame, load_flame
from .files import read_flame
from .forward import FlameParameters, head_transform, local_vertices, shaped, vertices
from .model import CAP4D, STANDARD, VARIANTS, FlameModel, FlameRows
from .refitting import Refit, refit

__all__ = [
    "CAP4D",
    "STANDARD",
    "VARIANTS",
    "FlameModel",
    "FlameParameters",
    "FlameRows",
    "Refit",
    "compile_flame",
    "head_transform",
    "load_flame",
    "local_vertices",
    "read_flame",
    "refit",
    "shaped",
    "vertices",
]
