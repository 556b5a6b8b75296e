# SPDX-License-Identifier: GPL-3.0-or-later
"""The verb `skin`: a model with dense shapes as a few bones with sparse weights."""

from __future__ import annotations

import argparse
import math
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import Cancelled, SettingsError, WorkerError
from ..progress import Progress, subrange

if TYPE_CHECKING:
    import numpy as np

    from .compressed import CompressedSkin
    from .model_data import BlendshapeModelData

SOLVERS, DEVICES, FORMATS = ("fast", "reference"), ("auto", "cpu", "cuda"), ("obj", "npz")


def add_skin(
    verbs: argparse._SubParsersAction[argparse.ArgumentParser], common: argparse.ArgumentParser
) -> None:
    """Declare it."""
    verb = verbs.add_parser("skin", parents=[common], help="compress a face's shapes to a few bones")
    verb.add_argument(
        "model", type=Path, metavar="MODEL", help="an .npz, or a folder with rest.obj and one OBJ per shape"
    )
    verb.add_argument(
        "-o", "--output", type=Path, required=True, metavar="RESULT.npz", help="in the published layout"
    )
    _add_budget(verb)
    _add_solver(verb)
    verb.add_argument(
        "--animation", type=Path, metavar="ANIM.npz", help="measure every frame of these controls (`weights`)"
    )
    verb.add_argument(
        "--controls",
        type=whole(1),
        metavar="N",
        help="how many first columns of ANIM.npz are controls; default: as many as the model has",
    )
    verb.add_argument("--frames", type=Path, metavar="DIR", help="write the frames of the animation there")
    verb.add_argument("--format", choices=FORMATS, default="obj", help="of the frames; default: obj")
    verb.set_defaults(run=run_skin)


def _add_budget(verb: argparse.ArgumentParser) -> None:
    for name, default, text in (
        ("bones", 40, "bones"),
        ("influences", 8, "most bones that move a vertex"),
        ("coefficients", 6000, "most numbers of all bone motions together"),
    ):
        help = f"{text}; default: {default}"
        verb.add_argument(f"--{name}", type=whole(1), default=default, metavar="N", help=help)


def _add_solver(verb: argparse.ArgumentParser) -> None:
    verb.add_argument("--solver", choices=SOLVERS, default="fast", help="default: fast")
    verb.add_argument(
        "--alpha",
        type=not_negative,
        metavar="A",
        help="weight of smoothness; default: the solver's choice, for the reference that of the paper",
    )
    verb.add_argument("--seed", type=whole(0), default=12345, metavar="N", help="default: 12345")
    verb.add_argument(
        "--iterations",
        type=whole(1),
        default=10000,
        metavar="N",
        help="reference: of each of its two phases; default: 10000",
    )
    verb.add_argument(
        "--power", type=even, default=2, metavar="P", help="reference: of the error, even; default: 2"
    )
    verb.add_argument("--device", choices=DEVICES, default="auto", help="default: auto")
    verb.add_argument(
        "--sidecar", action="store_true", help="write RESULT.skin.json and .npz for engines as well"
    )
    verb.add_argument("--sparse", action="store_true", help="write sparse matrices; smaller, and only ours")
    verb.add_argument("--resume", action="store_true", help="go on where a cancelled run stopped")


def whole(least: int) -> Callable[[str], int]:
    """What makes a whole number of an option, or a usage error."""

    def number(text: str) -> int:
        try:
            value = int(text)
        except ValueError:
            value = None
        if value is None or not least <= value < 2**31:
            raise argparse.ArgumentTypeError(f"{text!r} is no whole number of at least {least}")
        return value

    return number


def even(text: str) -> int:
    """A power whose terms cannot cancel each other."""
    value = whole(2)(text)
    if value % 2 or value > 64:
        raise argparse.ArgumentTypeError(f"{text!r} is no even number from 2 to 64")
    return value


def not_negative(text: str) -> float:
    """A finite number of at least 0."""
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not (math.isfinite(value) and value >= 0):
        raise argparse.ArgumentTypeError(f"{text!r} is no number of at least 0")
    return value


def run_skin(options: argparse.Namespace, progress: Progress) -> tuple[dict[str, Any], list[str]]:
    """Compress, measure, and play an animation where one is given."""
    from .model_file import read_model
    from .report import outcome

    _check_places(options)
    progress(0.0, "read", f"Reading {options.model.name}")
    model = read_model(options.model, options.alpha)
    played = _coefficients(model, options) if options.animation else None
    end = 1.0 if played is None else 0.9
    skin, seconds = _compressed(model, options, subrange(progress, 0.02, end))
    value, lines = outcome(model, skin, options.solver, seconds, options.output)
    if options.sidecar:
        from .sidecar import write_sidecar

        beside = [str(path) for path in write_sidecar(skin, options.output)]
        value, lines = {**value, "sidecar": beside}, [*lines, f"For engines: {', '.join(beside)}"]
    if played is not None:
        try:
            more, text = _animated(model, skin, played, options, subrange(progress, end, 1.0))
        except (KeyboardInterrupt, Cancelled):
            raise Cancelled("Cancelled.", f"{options.output} was written before.") from None
        value, lines = value | more, lines + text
    return value, lines


def _check_places(options: argparse.Namespace) -> None:
    """Before any work: what is written has a place, and takes nobody else's."""
    from .animation import check_frames_folder

    output = options.output.absolute()
    if output.suffix != ".npz" or not output.parent.is_dir() or output.is_dir():
        raise SettingsError(f"{output} is no place for a result.", "Name an .npz in a folder that exists.")
    _check_writable(output.parent)
    if output.resolve() == options.model.resolve():
        raise SettingsError("The result would take the place of the model.", "Name another file.")
    if options.frames and not options.animation:
        raise SettingsError("--frames needs the controls of an animation.", "Give them with --animation.")
    if options.frames:
        check_frames_folder(options.frames)


def _check_writable(folder: Path) -> None:
    """Find out before minutes of work, by the only way that is sure."""
    try:
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as problem:
        reason = problem.strerror or problem
        raise SettingsError(
            f"Nothing can be written to {folder}: {reason}.", "Choose another place."
        ) from problem


def _compressed(
    model: BlendshapeModelData, options: argparse.Namespace, progress: Progress
) -> tuple[CompressedSkin, float]:
    """The fit and its seconds. Cancelled keeps what the solver has kept, and says so."""
    from .compressor import SkinCompressor, checkpoint_path

    compressor = SkinCompressor(model, iterations=options.iterations, solver=options.solver)
    compressor.number_of_bones = options.bones
    compressor.max_influences = options.influences
    compressor.total_nnz_B_rt = options.coefficients
    compressor.power, compressor.seed = options.power, options.seed
    compressor.device, compressor.sparse, compressor.resume = options.device, options.sparse, options.resume
    begun = time.perf_counter()
    try:
        skin = compressor.run(options.output, progress)
    except (KeyboardInterrupt, Cancelled):
        if not checkpoint_path(options.output).exists():
            raise
        raise Cancelled(
            "Cancelled.",
            "What was done until a few seconds ago is kept; --resume with the same options goes on with it.",
        ) from None
    except ImportError as problem:
        if not problem.name or problem.name.startswith((__package__ or "").rpartition(".")[0]):
            raise
        message = f"The worker's environment has no {problem.name}, which compressing a face needs."
        raise WorkerError(message, "Run build.py setup.") from problem
    return skin, time.perf_counter() - begun


def _coefficients(model: BlendshapeModelData, options: argparse.Namespace) -> np.ndarray:
    """(T, S) of the animation, so that one that does not fit is refused before the fit."""
    from .animation import read_animation, shape_coefficients

    weights = read_animation(options.animation)
    columns, controls = weights.shape[1], model.n_controls
    if options.controls is None and columns not in (controls, model.n_blendshapes):
        raise SettingsError(
            f"{options.animation.name} has {columns} columns, and the model has {controls} controls.",
            "Say with --controls how many of the first columns are controls.",
        )
    options.controls = options.controls or controls
    tables = model.inbetween_info, model.combination_info
    return shape_coefficients(weights, model.n_blendshapes, tables, options.controls)


def _animated(
    model: BlendshapeModelData,
    skin: CompressedSkin,
    coefficients: np.ndarray,
    options: argparse.Namespace,
    progress: Progress,
) -> tuple[dict[str, Any], list[str]]:
    """The error of every frame, and the frames where they are asked for."""
    from .animation import AnimationFrameGenerator
    from .measure import frame_errors
    from .report import animation_outcome

    progress(0.0, "animation", f"Measuring {len(coefficients)} frames")
    found = frame_errors(model, skin, coefficients)
    value, lines = animation_outcome(found, options.controls)
    if options.frames:
        generator = AnimationFrameGenerator(skin, model)
        place, form = options.frames, options.format
        generator.generate_frames(options.animation, place, options.controls, form, progress)
        value["frames_folder"] = str(place)
        lines.append(f"  frames: {place}")
    return value, lines
