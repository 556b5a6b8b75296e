# SPDX-License-Identifier: GPL-3.0-or-later
"""The source tree as one package, the way Blender sees it, without installing it."""

from __future__ import annotations

import sys
import types
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = "likeness_tree"


def load_tree() -> None:
    """Make `likeness_tree.addon`, `.core`, `.ops` and `.ui` importable; relative imports work inside."""
    package = types.ModuleType(PACKAGE)
    package.__path__ = [str(ROOT)]
    sys.modules.setdefault(PACKAGE, package)
