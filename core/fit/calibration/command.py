# SPDX-License-Identifier: GPL-3.0-or-later
"""The verb `calibrate` of the command line."""

from __future__ import annotations

import argparse
import time
from pathlib import Path
from typing import Any

from ...arguments import existing_folder
from ...errors import SettingsError
from ...progress import Progress


def add_calibrate(
    verbs: argparse._SubParsersAction[argparse.ArgumentParser], common: argparse.ArgumentParser
) -> None:
    """Declare it."""
    verb = verbs.add_parser(
        "calibrate", parents=[common], help="find where the tracker's landmarks lie on a head model"
    )
    verb.add_argument("model", metavar="MODEL", help="a shipped model's name, or a compiled model's file")
    verb.add_argument(
        "-o", "--output", type=Path, metavar="FILE.npz", help="default: where it is looked for later"
    )
    verb.add_argument("--pictures", type=int, default=240, metavar="N", help="more is slower and finer")
    verb.add_argument(
        "--models",
        type=existing_folder,
        action="append",
        default=[],
        metavar="DIR",
        help="folder with a landmark model",
    )
    verb.set_defaults(run=run_calibrate)


def run_calibrate(options: argparse.Namespace, progress: Progress) -> tuple[dict[str, Any], list[str]]:
    """Calibrate a model and keep the result."""
    from ...head import load_model
    from ...head.embedding import home_path
    from .calibrate import calibrate

    if not 24 <= options.pictures <= 5000:
        raise SettingsError(f"{options.pictures} pictures are no choice.", "Choose 24 to 5000.")
    model = load_model(options.model)
    target = (options.output or home_path(model)).absolute()
    if target.suffix != ".npz":
        raise SettingsError(f"{target} is no place for landmarks.", "Name an .npz file.")
    began = time.perf_counter()
    made = calibrate(model, progress, pictures=options.pictures, models=options.models)
    try:
        made.embedding.save(target)
    except OSError as problem:
        raise SettingsError(
            f"{target} cannot be written ({problem.strerror}).", "Name another file with -o."
        ) from problem
    value = {
        "landmarks": str(target),
        "model": model.name,
        "pictures": made.pictures,
        "detectors": list(made.embedding.detectors),
        "error_of_face": round(made.error_of_face, 5),
        "detectors_apart": round(made.detectors_apart, 5),
        "scatter_mm": {name: round(1000 * middle, 2) for name, _, middle, _ in made.table()},
        "followed": {name: round(share, 2) for name, share in made.followed.items()},
        "seconds": round(time.perf_counter() - began, 1),
    }
    lines = [
        f"{target}",
        f"  {made.pictures} pictures, {' and '.join(made.embedding.detectors)}, {value['seconds']:.0f} s",
        f"  mean error on new pictures: {made.error_of_face:.2%} of the face",
        f"  mean distance between the detectors: {made.detectors_apart:.2%} of the face",
        "  scatter in mm             landmarks  median  largest",
    ]
    for name, count, middle, largest in made.table():
        lines.append(f"    {name:24}{count:9d}{1000 * middle:8.2f}{1000 * largest:9.2f}")
    if made.followed:
        lines.append("  how far detectors follow expressions (1: all the way)")
        lines += [f"    {name:24}{share:9.2f}" for name, share in made.followed.items()]
    return value, lines
