# SPDX-License-Identifier: GPL-3.0-or-later
"""Node materials of a double, in two sets (EEVEE and ray traced), named `Likeness ...`."""

from __future__ import annotations

from .assign import assign_materials, material_for, person_name
from .look import HAIR_STYLES, TOPS, Look, is_female
from .pair import material_mode, set_material_mode

__all__ = [
    "HAIR_STYLES",
    "TOPS",
    "Look",
    "assign_materials",
    "is_female",
    "material_for",
    "material_mode",
    "person_name",
    "set_material_mode",
]
