# SPDX-License-Identifier: GPL-3.0-or-later
"""What the verb `splat` does with the user's FLAME: train in CAP4D's pictures, play a fit.npz, import."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..arguments import existing_folder
from ..avatar import SUFFIX, Avatar
from ..errors import CaptureError
from ..progress import Progress

if TYPE_CHECKING:
    from .driving import Driving
    from .player import Player

Outcome = tuple[dict[str, Any], list[str]]

_PARTS = ("fit.npz", "mmdm", "generated_images", "reference_images")


def add_flame_options(verb: argparse.ArgumentParser) -> None:
    """Options for pictures of CAP4D's."""
    verb.add_argument(
        "-o", "--output", type=Path, metavar="NAME.avatar", help="for a folder of CAP4D's: the avatar to make"
    )
    verb.add_argument(
        "--flame", default="", metavar="MODEL", help="for a folder of CAP4D's: your flame2023_no_jaw.pkl"
    )
    verb.add_argument("--mapping", type=Path, metavar="MAPPING", help="between the 52 weights and that FLAME")


def add_import(deeds: Any, common: argparse.ArgumentParser) -> None:
    """Declare `splat import`."""
    verb = deeds.add_parser(
        "import", parents=[common], help="make an avatar of a model folder of GaussianAvatars"
    )
    verb.add_argument("source", type=Path, metavar="FOLDER", help="it holds point_cloud/iteration_*")
    verb.add_argument("-o", "--output", type=Path, required=True, metavar="NAME.avatar")
    verb.add_argument("--flame", default="", metavar="MODEL", help="your FLAME that it was trained with")
    verb.add_argument("--mapping", type=Path, metavar="MAPPING", help="between the 52 weights and that FLAME")
    verb.add_argument(
        "--models",
        type=existing_folder,
        action="append",
        default=[],
        metavar="DIR",
        help="folder with your models",
    )
    verb.set_defaults(run=run_import)


def is_cap4d(options: argparse.Namespace) -> bool:
    """Whether what is to be trained is a folder of CAP4D's, or an avatar that was made of one."""
    place: Path = options.avatar
    if not (place / "avatar.json").exists():
        return any((place / name).exists() for name in _PARTS) or options.output is not None
    from .train_cap4d import made_of

    return made_of(Avatar.load(place)) is not None


def run_train_cap4d(options: argparse.Namespace, progress: Progress) -> Outcome:
    """Train in a folder of CAP4D's, and tell how well its pictures are met."""
    from .train_cap4d import made_of, train_cap4d

    folder, output = options.avatar, options.output
    if (folder / "avatar.json").exists():
        folder, output = made_of(Avatar.load(options.avatar)) or folder, options.avatar
    if output is None:
        raise CaptureError(
            f"{folder.name} is a folder of CAP4D's, and no avatar yet.",
            f"Name the one to make with -o NAME{SUFFIX} and your FLAME with --flame, or make one of our head "
            f"first: avatar {folder.name} -o {folder.name}{SUFFIX}",
        )
    report = train_cap4d(
        folder,
        output,
        options.flame,
        options.preset,
        progress,
        mapping=options.mapping,
        resume=options.resume,
        device=options.device,
        models=options.models,
        folders=options.models,
    )
    value = {**report, "avatar": str(output.absolute()), "splats": report["output"]}
    lines = [f"{report['output']}: {report['gaussians']} Gaussians in {report['seconds']:.0f} s"]
    where = "in the pictures" if report["tested_on_trained"] else "in pictures that were not trained on"
    lines.append(f"  {report['psnr_db']:.1f} dB {where}, SSIM {report['ssim']:.3f}")
    return value, [*lines, *(f"  note: {note}" for note in report["notes"])]


def flame_fit(player: Player, options: argparse.Namespace, progress: Progress) -> Driving | None:
    """The fit.npz that is asked for, as it is, where the avatar is of FLAME; else None."""
    from .driving import Driving
    from .flame_avatar import FlamePlayer

    if not isinstance(player, FlamePlayer) or options.fit is None or options.performance:
        return None
    return Driving(player.performance_of_fit(options.fit, progress))


def run_import(options: argparse.Namespace, progress: Progress) -> Outcome:
    """Make an avatar of what others trained."""
    from .import_flame import import_gaussian_avatar

    made = import_gaussian_avatar(
        options.source.absolute(),
        options.output.absolute(),
        options.flame,
        mapping=options.mapping,
        folders=options.models,
        progress=progress,
    )
    folder = made.avatar.folder
    lines = [f"{folder}: {made.gaussians} Gaussians, {made.frames} frames of FLAME {made.avatar.model[6:]}"]
    notes = []
    if made.left_out:
        notes.append(f"{made.left_out} Gaussians are on teeth that FLAME's own file does not have: left out")
    if made.why:
        notes.append(f"only FLAME's own motion plays it: {made.why.rstrip('.')}")
    value = {"avatar": str(folder), "gaussians": made.gaussians, "frames": made.frames, "notes": notes}
    return value, [*lines, *(f"  note: {note}" for note in notes)]
