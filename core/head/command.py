# SPDX-License-Identifier: GPL-3.0-or-later
"""The verbs `import-model` and `compile-atlas` of the command line."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from ..errors import ModelError, SettingsError
from ..progress import Progress
from .flame.model import VARIANTS


def add_import_model(
    verbs: argparse._SubParsersAction[argparse.ArgumentParser], common: argparse.ArgumentParser
) -> None:
    """Declare it."""
    verb = verbs.add_parser(
        "import-model",
        parents=[common],
        help="compile your own FLAME file or ICT-FaceKit folder into a head model",
    )
    verb.add_argument(
        "model", type=Path, metavar="FILE", help="a FLAME .pkl or .npz, or ICT-FaceKit's folder"
    )
    verb.add_argument(
        "--variant", choices=VARIANTS, help="the release of FLAME, where the file does not tell"
    )
    verb.add_argument("-o", "--output", type=Path, metavar="MODEL.npz", help="default: the cache")
    verb.set_defaults(run=run_import_model)


def run_import_model(options: argparse.Namespace, progress: Progress) -> tuple[dict[str, Any], list[str]]:
    """Read the model without running anything in it, write the compiled file and load that once."""
    from . import load_model
    from .flame.compile import compile_flame
    from .ict import compile_ict
    from .library import compiled

    source = options.model.absolute()
    if not source.exists():
        raise ModelError(f"{source} does not exist.", "Check the path.")
    progress(0.0, "import-model", f"Reading {source.name}")
    target = options.output.absolute() if options.output else None
    if target is not None and (target.suffix != ".npz" or not target.parent.is_dir()):
        raise SettingsError(
            f"{target} is no place for a head model.", "Name an .npz in a folder that exists."
        )
    if target is None:
        target = compiled(source, options.variant)
    elif source.is_dir():
        compile_ict(source, target)
    else:
        compile_flame(source, target, options.variant)
    progress(0.8, "import-model", "Checking what was written")
    model = load_model(target)
    value = {
        "file": str(target),
        "model": model.name,
        "variant": model.provenance.get("flame_variant", ""),
        "vertices": model.mesh_vertex_count,
        "identity": model.identity.count,
        "expressions": model.expression.count,
        "sha256": model.sha256,
    }
    return value, [f"{key}: {entry}" for key, entry in value.items() if entry != ""]


def add_compile_atlas(
    verbs: argparse._SubParsersAction[argparse.ArgumentParser], common: argparse.ArgumentParser
) -> None:
    """Declare the verb `compile-atlas`."""
    verb = verbs.add_parser(
        "compile-atlas", parents=[common], help="compile the texture layout of the anny head"
    )
    verb.add_argument("-o", "--output", type=Path, metavar="ATLAS.npz", help="default: the one that ships")
    verb.set_defaults(run=run_compile_atlas)


def run_compile_atlas(options: argparse.Namespace, progress: Progress) -> tuple[dict[str, Any], list[str]]:
    """Lay the head out anew and write the file. Needs scipy; takes some minutes."""
    from . import load_model
    from .atlas import atlas_path
    from .compile_atlas import compile_atlas

    model = load_model("anny")
    target = (options.output or atlas_path(model)).absolute()
    value = compile_atlas(model, target, progress)
    return value, [f"{key}: {entry}" for key, entry in value.items()]
