# SPDX-License-Identifier: GPL-3.0-or-later
"""The direction of imports, read from the statements: core <- addon/scene <- ops <- ui <- registration."""

from __future__ import annotations

import ast
import sys
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.extension import shipped_files

PACKAGES = ("addon", "core", "ops", "ui")
BLENDER = {"bpy", "bmesh", "mathutils", "gpu", "gpu_extras", "blf", "bpy_extras", "addon_utils", "bl_ext"}
# Blender's Python has none of these, or only by chance of another extension: worker only, inside functions.
HEAVY = {
    "PIL",
    "anny",
    "av",
    "cv2",
    "jax",
    "mediapipe",
    "numba",
    "scipy",
    "skimage",
    "torch",
    "trimesh",
    "warp",
    "yaml",
}
# What a part of the extension may reach, itself included. Everything may reach core.
REACH = {
    "core": {"core"},
    "addon/scene": {"core", "addon/scene", "addon/shared"},
    "addon/shared": {"core", "addon/scene", "addon/shared"},
    "ops": {"core", "addon/scene", "addon/shared", "ops"},
    "ui": {"core", "addon/scene", "addon/shared", "ops", "ui"},
    "addon/registration": {"core", "addon/scene", "addon/shared", "addon/registration", "ops", "ui"},
}


class Import(NamedTuple):
    """One import statement: where, of what, and whether it runs when the module is imported."""

    line: int
    target: str
    relative: bool
    at_module_level: bool


def layer(path: str) -> str:
    """The part of the extension that a file such as `addon/scene/mesh.py` belongs to."""
    first, _, rest = path.partition("/")
    if first != "addon":
        return first
    if rest.startswith("scene"):
        return "addon/scene"
    return "addon/registration" if rest.removesuffix(".py") == "registration" else "addon/shared"


def guards_types(node: ast.AST) -> bool:
    """Whether this is `if TYPE_CHECKING:`, which never runs."""
    return isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test)


def imports_of(source: str, path: str) -> list[Import]:
    """Every import statement of a file, relative ones resolved to a path from the root of the tree."""
    found: list[Import] = []
    folder = path.split("/")[:-1]

    def visit(node: ast.AST, top: bool) -> None:
        if isinstance(node, ast.Import):
            found.extend(Import(node.lineno, alias.name, False, top) for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and not node.level:
            found.append(Import(node.lineno, node.module or "", False, top))
        elif isinstance(node, ast.ImportFrom):
            base = folder[: len(folder) - node.level + 1] if node.level <= len(folder) + 1 else ["(outside)"]
            whole = base + (node.module.split(".") if node.module else [])
            # `from . import x` names modules, `from .x import y` may: both start with the same layer.
            names = [alias.name for alias in node.names] if len(whole) < 2 else [""]
            found.extend(Import(node.lineno, "/".join([*whole, n]).rstrip("/"), True, top) for n in names)
        inner = top and not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
        for child in ast.iter_child_nodes(node):
            visit(child, inner and not guards_types(node))

    visit(ast.parse(source), True)
    return found


def is_kernels(path: str) -> bool:
    """Whether a module is one of compiled functions: numba's decorators run when it is imported."""
    return path.removesuffix(".py").endswith("_kernels")


def violations(source: str, path: str) -> list[str]:
    """What a file at this path imports against the rule, one line each."""
    own, bad = layer(path), []
    for item in imports_of(source, path):
        name = item.target.split("." if not item.relative else "/")[0]
        where = f"{path}:{item.line} imports {item.target}"
        if item.relative:
            if item.at_module_level and is_kernels(item.target) and not is_kernels(path):
                bad.append(f"{where}: compiled kernels are imported in the function that needs them")
            if layer(item.target) not in REACH[own]:
                bad.append(f"{where}: {own} may not reach {layer(item.target)}")
        elif name in PACKAGES or name == "tests":
            bad.append(f"{where}: inside the extension only relative imports find it")
        elif own == "core" and name in BLENDER:
            bad.append(f"{where}: core works without Blender")
        elif name in {"numba", "llvmlite", "warp"} and is_kernels(path):
            continue
        elif item.at_module_level and name in HEAVY:
            bad.append(f"{where}: worker libraries are imported in the function that needs them")
        elif (
            item.at_module_level and own == "core" and name != "numpy" and name not in sys.stdlib_module_names
        ):
            bad.append(f"{where}: modules that Blender imports need numpy only")
    return bad


def shipped_modules() -> dict[str, Path]:
    """Every module in the zip: path from the root of the tree, file."""
    return {name: path for name, path in shipped_files() if name.endswith(".py")}


def test_the_tree_keeps_the_rule() -> None:
    files = shipped_modules()
    assert len(files) > 20
    bad = [
        line for name, path in files.items() for line in violations(path.read_text(encoding="utf-8"), name)
    ]
    assert not bad, "\n".join(bad)


def test_every_package_is_marked() -> None:
    """A folder of modules without `__init__.py` works from the tree and fails in some importers."""
    folders = {path.parent for name, path in shipped_modules().items() if "/presets/" not in name}
    assert not [folder for folder in folders if not (folder / "__init__.py").is_file()]


@pytest.mark.parametrize(
    ("path", "source"),
    [
        ("core/fit/solve.py", "import bpy"),
        ("core/fit/solve.py", "def f():\n    import bpy"),
        ("core/fit/solve.py", "from mathutils import Vector"),
        ("core/fit/solve.py", "from ...addon import scene"),
        ("core/fit/solve.py", "from ... import addon"),
        ("core/avatar.py", "from ..ops import load"),
        ("core/avatar.py", "import scipy.optimize"),
        ("core/avatar.py", "try:\n    import av\nexcept ImportError:\n    av = None"),
        ("core/avatar.py", "class A:\n    import torch"),
        ("core/avatar.py", "import pydantic"),
        ("core/avatar.py", "from core.errors import LikenessError"),
        ("core/avatar.py", "import tests.core"),
        ("core/avatar.py", "from ...elsewhere import x"),
        ("core/skin/fast/solve.py", "import numba"),
        ("core/skin/fast/solve.py", "from .weight_kernels import sweep"),
        ("addon/scene/mesh.py", "from ...ops.load import run"),
        ("addon/scene/mesh.py", "from ...ui import panel"),
        ("addon/scene/mesh.py", "from ..registration import register"),
        ("addon/scene/mesh.py", "from core.head import load_model"),
        ("addon/scene/mesh.py", "import cv2"),
        ("addon/preferences.py", "from ..ops import load"),
        ("addon/preferences.py", "from .registration import register"),
        ("ops/load.py", "from ..ui import panel"),
        ("ops/load.py", "from ..addon.registration import register"),
        ("ops/load.py", "from ..addon import registration"),
        ("ui/panel.py", "from ..addon.registration import register"),
        ("ui/panel.py", "from addon.scene import build"),
    ],
)
def test_a_breach_is_seen(path: str, source: str) -> None:
    assert len(violations(source, path)) == 1


@pytest.mark.parametrize(
    ("path", "source"),
    [
        (
            "core/fit/solve.py",
            "import json\nimport numpy as np\nfrom ..errors import FitError\nfrom . import lbs",
        ),
        ("core/fit/solve.py", "def f():\n    import scipy.optimize\n    from PIL import Image"),
        ("core/fit/solve.py", "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import torch"),
        ("core/avatar.py", "from .errors import AvatarError\nfrom . import errors"),
        (
            "addon/scene/mesh.py",
            "import bpy\nfrom mathutils import Matrix\nfrom ...core.head import load_model",
        ),
        ("addon/scene/mesh.py", "from ..properties import Settings\nfrom . import rig"),
        ("addon/scene/look/skin.py", "from ....core import arkit\nfrom ..mesh import build"),
        ("addon/preferences.py", "import bpy\nfrom ..core import job"),
        (
            "ops/load.py",
            "import bpy\nfrom ..core.capture import open_capture\nfrom ..addon.scene import build",
        ),
        ("ops/load.py", "from ..addon import preferences"),
        ("ui/panel.py", "from ..ops import load\nfrom ..addon import preferences\nfrom . import tab"),
        (
            "addon/registration.py",
            "import bpy\nfrom .. import ops, ui\nfrom ..ui import panel\nfrom . import scene",
        ),
    ],
)
def test_what_is_allowed_passes(path: str, source: str) -> None:
    assert violations(source, path) == []
