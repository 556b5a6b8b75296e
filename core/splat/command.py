# SPDX-License-Identifier: GPL-3.0-or-later
"""The verb `splat`: train the Gaussians of an avatar, animate and export them, draw frames for Blender."""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ..arguments import existing_folder
from ..avatar import Avatar
from ..errors import Cancelled, SettingsError, WorkerError
from ..progress import Progress, subrange
from .flame_command import add_flame_options, add_import, flame_fit, is_cap4d, run_train_cap4d
from .presets import PRESETS

if TYPE_CHECKING:
    from .acting import Acting
    from .driving import Driving
    from .player import Player

Outcome = tuple[dict[str, Any], list[str]]

DEVICES = ("auto", "cpu", "cuda")
LARGEST = 4096
"""px: longest side of a picture that is animated."""


def add_splat(
    verbs: argparse._SubParsersAction[argparse.ArgumentParser], common: argparse.ArgumentParser
) -> None:
    """Declare it with what it does."""
    verb = verbs.add_parser("splat", help="train, animate and export Gaussians of an avatar")
    deeds = verb.add_subparsers(dest="deed", required=True, metavar="train|animate|export|import|frames")
    _add_train(deeds, common)
    _add_animate(deeds, common)
    _add_export(deeds, common)
    add_import(deeds, common)
    frames = deeds.add_parser("frames", parents=[common], help="draw the frames of a job of Blender's")
    frames.add_argument("job", type=Path, metavar="JOB.npz")
    frames.add_argument("-o", "--output", type=Path, required=True, metavar="DIR")
    frames.set_defaults(run=run_frames)


def _add_train(deeds: Any, common: argparse.ArgumentParser) -> None:
    train = deeds.add_parser(
        "train", parents=[common], help="make the Gaussians of an avatar from its footage, or from CAP4D's"
    )
    train.add_argument("avatar", type=Path, metavar="NAME.avatar|CAP4D_FOLDER")
    train.add_argument("--preset", choices=tuple(PRESETS), default="default", help="default: default")
    train.add_argument(
        "--performance", default="", metavar="NAME", help="whose footage; default: the first that was tracked"
    )
    train.add_argument("--capture", type=Path, metavar="CAPTURE", help="where the footage lies now")
    train.add_argument("--resume", action="store_true", help="go on where a cancelled run stopped")
    train.add_argument("--device", choices=DEVICES, default="auto", help="default: auto")
    add_flame_options(train)
    _add_models(train)
    train.set_defaults(run=run_train)


def _add_animate(deeds: Any, common: argparse.ArgumentParser) -> None:
    animate = deeds.add_parser("animate", parents=[common], help="play a performance as pictures or a movie")
    _add_playing(animate)
    animate.add_argument(
        "--camera",
        default="footage",
        metavar="CAMERA",
        help="footage (the default), front, orbit, orbit:DEGREES to each side, or a camera file of CAP4D's",
    )
    animate.add_argument(
        "--size", type=int, metavar="PX", help="longest side; default: 512, of a camera file its own"
    )
    animate.add_argument(
        "--background", default="white", metavar="COLOUR", help="white, black, transparent or #rrggbb"
    )
    animate.add_argument(
        "-o",
        "--output",
        type=Path,
        required=True,
        metavar="DIR|MOVIE.mp4",
        help="a folder for PNG, or a movie",
    )
    animate.set_defaults(run=run_animate)


def _add_export(deeds: Any, common: argparse.ArgumentParser) -> None:
    from .export import FORMATS
    from .files.animated_ply import FORMS

    export = deeds.add_parser("export", parents=[common], help="write the Gaussians for other programs")
    _add_playing(export)
    export.add_argument(
        "--time",
        type=float,
        metavar="SECONDS",
        help="ply, spz, glb: the moment of the performance; default: the face at rest",
    )
    export.add_argument("--format", choices=FORMATS, help="default: by the name; .ply is animated-ply")
    export.add_argument(
        "--quantise", choices=tuple(FORMS), default="uint16", help="motion of animated-ply; default: uint16"
    )
    export.add_argument(
        "--own",
        type=float,
        metavar="SHARE",
        help="animated-ply: Gaussians that move by themselves, 0 to 1: nearer and larger; default: 0.1",
    )
    export.add_argument("-o", "--output", type=Path, required=True, metavar="FILE|DIR")
    export.set_defaults(run=run_export)


def _add_playing(verb: argparse.ArgumentParser) -> None:
    """Options that say what is played."""
    verb.add_argument("avatar", type=Path, metavar="NAME.avatar")
    verb.add_argument(
        "--performance",
        default="",
        metavar="NAME|FILE",
        help="a performance of the avatar, a .npz or CSV, or another avatar; default: the first tracked",
    )
    verb.add_argument("--fit", type=Path, metavar="FIT.npz", help="FLAME's motion in CAP4D's file, instead")
    verb.add_argument("--mapping", type=Path, metavar="MAPPING", help="between the 52 weights and that FLAME")
    verb.add_argument(
        "--flame", default="", metavar="MODEL", help="your FLAME file, or its name in the folders of --models"
    )
    verb.add_argument("--start", type=float, metavar="SECONDS", help="of the performance; default: its first")
    verb.add_argument("--end", type=float, metavar="SECONDS", help="default: its last")
    _add_models(verb)


def _add_models(verb: argparse.ArgumentParser) -> None:
    verb.add_argument(
        "--models",
        type=existing_folder,
        action="append",
        default=[],
        metavar="DIR",
        help="folder with your models",
    )


def run_train(options: argparse.Namespace, progress: Progress) -> Outcome:
    """Train, and tell how well the footage is met."""
    try:
        if is_cap4d(options):
            return run_train_cap4d(options, progress)
        from .train import train

        avatar = Avatar.load(options.avatar)
        report = train(
            avatar,
            options.preset,
            progress,
            performance=options.performance,
            capture=options.capture,
            resume=options.resume,
            device=options.device,
            models=options.models,
            folders=options.models,
        )
    except ImportError as problem:
        raise _lacking(problem) from problem
    value = {**report, "avatar": str(avatar.folder), "splats": str(avatar.splats_path)}
    lines = [f"{avatar.splats_path}: {report['gaussians']} Gaussians in {report['seconds']:.0f} s"]
    where = "in the footage" if report.get("tested_on_trained") else "in pictures that were not trained on"
    return value, [*lines, f"  {report['psnr_db']:.1f} dB {where}, SSIM {report['ssim']:.3f}"]


def run_animate(options: argparse.Namespace, progress: Progress) -> Outcome:
    """Pictures or a movie of an acting before a camera."""
    from .animate import Sound, animate, check_output, is_movie
    from .camera_path import shots
    from .driving import standing_of

    output = options.output.absolute()
    if options.size is not None and not 16 <= options.size <= LARGEST:
        raise SettingsError(f"Pictures of {options.size} px cannot be made.", f"Choose 16 to {LARGEST}.")
    check_output(output, options.background)
    try:
        avatar, player, driven, acting = _playing(options, subrange(progress, 0.0, 0.1))
        rest = player.splats.surface.rest
        seen = standing_of(avatar, driven)
        taken, notes = shots(options.camera, acting, rest, seen, options.size)
        heard = driven.sound if is_movie(output) else None
        sound = Sound(heard, float(acting.times[0])) if heard else None
        background = options.background
        part = subrange(progress, 0.1, 1.0)
        notes += animate(player, acting, taken, output, background, sound, part)
    except ImportError as problem:
        raise _lacking(problem) from problem
    size = "{} x {}".format(*taken.size)
    value = {"output": str(output), "frames": len(acting), "size": list(taken.size), "notes": notes}
    lines = [f"{output}: {len(acting)} frames of {acting.name!r}, {size} px"]
    return value | {"performance": acting.name}, [*lines, *(f"  note: {note}" for note in notes)]


def run_export(options: argparse.Namespace, progress: Progress) -> Outcome:
    """The Gaussians in another format."""
    from . import export

    output = options.output.absolute()
    form = export.format_of(output, options.format)
    export.check_place(output, form)
    if options.time is not None and form not in export.STILL:
        raise SettingsError("--time is for the formats of one moment.", "Use --start and --end.")
    try:
        avatar, player, driven, acting = _playing(options, subrange(progress, 0.0, 0.1), form)
        part = subrange(progress, 0.1, 1.0)
        if form == "animated-ply":
            made = export.export_animated(player, acting, output, options.quantise, options.own, part)
        elif form == "ply-frames":
            made = export.export_frames(player, acting, output, part)
        elif form == "gaussian-avatars":
            made = export.export_gaussian_avatars(player, avatar, driven.performance, output, options.models)
        else:
            made = export.export_still(player, acting, output)
    except ImportError as problem:
        raise _lacking(problem) from problem
    value = {"output": str(output), "format": form, "gaussians": len(player.splats.gaussians)}
    lines = [f"{output}: {len(player.splats.gaussians)} Gaussians as {form}", *made.lines]
    return value | made.value | {"notes": [line.strip() for line in made.lines]}, lines


def run_frames(options: argparse.Namespace, progress: Progress) -> Outcome:
    """Frames with alpha and depth."""
    from .frames_job import read_job

    progress(0.0, "frames", f"Reading {options.job.name}")
    job, folder = read_job(options.job.absolute()), options.output.absolute()
    try:
        from .frames import draw_frames

        value = draw_frames(job, folder, progress)
    except ImportError as problem:
        raise _lacking(problem) from problem
    except (KeyboardInterrupt, Cancelled):
        raise Cancelled("Cancelled.", "Frames that were finished are kept.") from None
    lines = [f"{folder}: {value['drawn']} frames drawn, {value['kept']} kept"]
    return value | {"folder": str(folder), "name": job.name}, lines


def _playing(
    options: argparse.Namespace, progress: Progress, form: str = ""
) -> tuple[Avatar, Player, Driving, Acting]:
    """Who plays, and what: the rest where a format of one moment has no time."""
    from .acting import Acting
    from .as_trained import as_trained
    from .driving import Driving, driving
    from .export import STILL
    from .player import Player

    avatar = Avatar.load(options.avatar)
    progress(0.0, "read", f"Reading {avatar.name}")
    player = Player.of(avatar, options.models, options.flame, options.mapping)
    still = form in STILL
    if still and options.time is None:
        if options.performance or options.fit:
            raise SettingsError(f"A {form} holds one moment.", "Say which with --time.")
        return avatar, player, Driving.nobody(), Acting.rest()
    driven = flame_fit(player, options, progress) or driving(
        avatar,
        options.performance,
        options.fit,
        mapping=options.mapping,
        flame=options.flame,
        folders=options.models,
        progress=progress,
    )
    if driven.own:
        driven = replace(driven, performance=as_trained(driven.performance, avatar, player.splats))
    played = driven.performance
    if still:
        played = played.resampled(np.array([options.time]))
    elif options.start is not None or options.end is not None:
        first = played.time[0] if options.start is None else options.start
        played = played.sliced(first, played.time[-1] if options.end is None else options.end)
    # The usual pose is that of the whole performance, whatever part of it is played.
    acting = player.exactly(driven.acting_of(played), played)
    return avatar, player, driven, acting


def _lacking(problem: ImportError) -> Exception:
    """What is said of a missing library; a defect of our own is that."""
    if not problem.name or problem.name.startswith((__package__ or "").rpartition(".")[0]):
        return problem
    message = f"The worker's environment has no {problem.name}, which drawing Gaussians needs."
    return WorkerError(message, "Run build.py setup.")
