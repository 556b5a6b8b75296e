# SPDX-License-Identifier: GPL-3.0-or-later
"""The verb `export-fit`: a performance in FLAME's parameters, as CAP4D's `fit.npz` or reference folder, or,
for the releases with a jaw, as GaussianAvatars' `flame_param.npz`.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ..arguments import existing_folder
from ..avatar import Avatar
from ..errors import SettingsError
from ..head.flame.model import CAP4D, CAP4D_EXPRESSIONS, VARIANTS
from ..performance import Performance
from ..progress import Progress, subrange
from ..track import Track
from .fit_npz import VARIANT, FlameFit, write_fit
from .flame_exchange import fit_of, variant_of

Array = np.ndarray


def add_export_fit(
    verbs: argparse._SubParsersAction[argparse.ArgumentParser], common: argparse.ArgumentParser
) -> None:
    """Declare it."""
    verb = verbs.add_parser(
        "export-fit", parents=[common], help="write a performance as CAP4D's fit.npz, with your FLAME model"
    )
    verb.add_argument("avatar", type=Path, metavar="NAME.avatar")
    verb.add_argument(
        "-o", "--output", type=Path, required=True, metavar="FIT.npz|DIR", help="a file, or a folder for it"
    )
    verb.add_argument(
        "--model",
        default="",
        metavar="FLAME",
        help=f"your file, or a name such as flame_{VARIANT} (the default) that is looked for in the folders",
    )
    verb.add_argument("--variant", choices=VARIANTS, help="the release, where the file does not tell")
    verb.add_argument("--performance", default="", metavar="NAME", help="default: the first that was tracked")
    verb.add_argument(
        "--mapping",
        type=Path,
        metavar="MAPPING",
        help="what gives FLAME's parameters for the 52 weights; default: derived by geometry",
    )
    verb.add_argument(
        "--models",
        type=existing_folder,
        action="append",
        default=[],
        metavar="DIR",
        help="folder with your FLAME model",
    )
    verb.add_argument(
        "--images", action="store_true", help="write a whole reference folder with the pictures"
    )
    verb.set_defaults(run=run_export_fit)


@dataclass(frozen=True)
class _Task:
    """What is to be exported."""

    avatar: Avatar
    performance: Performance
    track: Track | None
    options: argparse.Namespace

    @staticmethod
    def of(options: argparse.Namespace) -> _Task:
        avatar = Avatar.load(options.avatar)
        tracked = [name for name in avatar.performances if avatar.track_path(name).is_file()]
        performance = avatar.load_performance(options.performance or next(iter(tracked), ""))
        track = Track.load(avatar.track_path(performance.name)) if performance.name in tracked else None
        return _Task(avatar, performance, track, options)


def run_export_fit(options: argparse.Namespace, progress: Progress) -> tuple[dict[str, Any], list[str]]:
    """Solve the take for FLAME where that was not done, keep the result in the avatar, and write it."""
    from .flame_kept import is_kept

    output = options.output.absolute()
    _check_output(output, options.images)
    task = _Task.of(options)
    progress(0.05, "export", f"Reading {task.performance.name}")
    performance, figures = task.performance, {}
    ready = not options.model and options.mapping is None and has_parameters(performance)
    if not ready and task.track is not None:
        performance, figures = _solved(task, task.track, subrange(progress, 0.05, 0.8))
    if is_kept(performance):
        written = _write_kept(output, task, performance, subrange(progress, 0.8, 1.0))
    else:
        fit = exported(performance, options, progress)
        written = _fit_file(output, "fit.npz")
        _refuse_images(options, performance)
        write_fit(written, fit)
    value = {
        "fit": str(written),
        "performance": performance.name,
        "frames": performance.frame_count,
        "variant": variant_of(performance.flame or {}) or VARIANT,
        **figures,
    }
    lines = [f"{written}: {performance.frame_count} frames of {performance.name!r}, FLAME {value['variant']}"]
    if figures:
        px, share = figures["landmark_error_px"], figures["landmark_error_of_face"]
        lines.append(f"  landmarks: {px:.2f} px off on average, {share:.2%} of the face")
    return value, lines


def has_parameters(performance: Performance) -> bool:
    """Whether the performance carries the parameters that a fit.npz holds."""
    flame = performance.flame or {}
    return "expr" in flame and variant_of(flame) == VARIANT


def exported(performance: Performance, options: argparse.Namespace, progress: Progress) -> FlameFit:
    """A performance without a track as a fit: with the FLAME parameters that it has, else with its weights
    mapped.

    SettingsError for a performance without camera or head pose and for a mapping to another release;
    ModelError where neither parameters nor mapping nor a FLAME model are there.
    """
    if options.mapping is None and not options.model and has_parameters(performance):
        return fit_of(performance)
    if options.mapping is not None and not options.model:
        return fit_of(performance, expression=_mapped(performance, options.mapping))
    from ..head.flame.compile import origin_of
    from .flame_head import open_flame

    flame = open_flame(
        options.model or f"flame_{VARIANT}",
        options.variant,
        folders=options.models,
        progress=subrange(progress, 0.1, 0.8),
    )
    if flame.mode != CAP4D:
        raise SettingsError(
            f"{performance.name!r} keeps no track, and without one only FLAME {VARIANT} can be written.",
            "Import the footage.",
        )
    expression = flame.mapping(options.mapping).convert(performance.weights).expression
    return fit_of(performance, expression=expression, origin=origin_of(flame.model, np.zeros(0)))


def _solved(task: _Task, track: Track, progress: Progress) -> tuple[Performance, dict[str, float]]:
    """The performance with FLAME's parameters, kept in the avatar, and how well they meet the landmarks."""
    from .flame_head import open_flame
    from .flame_kept import with_flame_take
    from .flame_take import fit_flame_take

    options = task.options
    flame = open_flame(
        options.model or f"flame_{VARIANT}",
        options.variant,
        folders=options.models,
        progress=subrange(progress, 0.0, 0.5),
    )
    mapping = flame.mapping(options.mapping)
    fit = fit_flame_take(track, task.performance, flame, mapping, progress=subrange(progress, 0.5, 1.0))
    performance = with_flame_take(task.performance, fit, track)
    task.avatar.add_performance(performance)
    figures = {"landmark_error_px": fit.error_px, "landmark_error_of_face": fit.error_of_face}
    return performance, {key: round(value, 5) for key, value in figures.items()}


def _write_kept(output: Path, task: _Task, performance: Performance, progress: Progress) -> Path:
    """Write what was solved: the file that its release is exchanged in, or the whole reference folder."""
    from .flame_kept import kept_fit, kept_take

    if variant_of(performance.flame or {}) != VARIANT:
        from .flame_param import write_flame_param

        _refuse_images(task.options, performance)
        target = _fit_file(output, "flame_param.npz")
        write_flame_param(target, kept_take(performance))
        return target
    fit = kept_fit(performance)
    if not task.options.images:
        target = _fit_file(output, "fit.npz")
        write_fit(target, fit)
        return target
    _write_folder(output, task, performance, fit, progress)
    return output


def _write_folder(
    output: Path, task: _Task, performance: Performance, fit: FlameFit, progress: Progress
) -> None:
    from .flame_pictures import Footage
    from .reference_writer import frontal_first, write_reference_folder

    if task.track is None:
        raise SettingsError(f"{performance.name!r} keeps no track of its pictures.", "Import the footage.")
    footage = Footage.of(task.avatar, task.track)
    frames = np.flatnonzero(task.track.tracked) if not fit.ordered else np.arange(fit.frame_count)
    seen = performance.confidence[frames] > 0
    write_reference_folder(
        output,
        fit,
        footage.pictures(frames, progress),
        mattes=footage.mattes(frames),
        references=[frame for frame in frontal_first(fit) if seen[frame]],
    )


def _check_output(output: Path, images: bool) -> None:
    """SettingsError for a place that nothing can be written to, before any work."""
    is_file = output.suffix == ".npz"
    if images and is_file:
        raise SettingsError(f"{output.name} is a file; pictures need a folder.", "Name a folder with -o.")
    if not output.parent.is_dir() or (output.exists() and output.is_dir() == is_file):
        raise SettingsError(
            f"{output} is no place for a fit.", "Name an .npz, or a folder, in a folder that exists."
        )
    if images and output.exists() and not (output / "fit.npz").is_file() and any(output.iterdir()):
        raise SettingsError(f"{output} holds other things.", "Name a new folder.")


def _refuse_images(options: argparse.Namespace, performance: Performance) -> None:
    if options.images:
        raise SettingsError(
            f"{performance.name!r} has no FLAME {VARIANT} solved from its track, which a reference folder "
            "needs.",
            "Name that model with --model.",
        )


def _fit_file(output: Path, name: str) -> Path:
    if output.suffix == ".npz":
        return output
    output.mkdir(exist_ok=True)
    return output / name


def _mapped(performance: Performance, path: Path) -> Array:
    """(T, 65) by a mapping of the user's."""
    from .mapping import Mapping

    mapping = Mapping.load(path)
    if mapping.expression_count != CAP4D_EXPRESSIONS or VARIANT not in mapping.variant:
        given = f"{mapping.expression_count} expressions of {mapping.variant or 'an unnamed model'}"
        raise SettingsError(
            f"{path.name} gives {given}; a fit.npz holds {CAP4D_EXPRESSIONS} of FLAME {VARIANT}.",
            "Derive one with `map derive --cap4d`.",
        )
    return mapping.convert(performance.weights).expression
