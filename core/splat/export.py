# SPDX-License-Identifier: GPL-3.0-or-later
"""An avatar's Gaussians in the formats of others: moving, frame by frame, in one moment, or on FLAME."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from ..avatar import Avatar
from ..errors import SettingsError, SplatError
from ..head import HeadModel, load_model
from ..performance import Performance
from ..progress import Progress, silent
from .acting import Acting
from .files.animated_ply import FORMS
from .gaussians import Gaussians
from .player import Player
from .turn_sh import turned
from .world import local_gaussians, world_gaussians

Array = np.ndarray

STILL = {"ply": ".ply", "spz": ".spz", "glb": ".glb"}
"""Formats of one moment, and the endings of their files."""
FORMATS = ("animated-ply", "ply", "ply-frames", "spz", "glb", "gaussian-avatars")
OWN = 0.1
"""Share of the Gaussians that get triangles of their own: 2 dB for twice the bytes or so."""
_BY_ENDING = {".ply": "animated-ply", ".spz": "spz", ".glb": "glb", ".zip": "ply-frames", "": "ply-frames"}
_FRAME = re.compile(r"frame_\d{5,}\.ply")
_FOLDERS = ("ply-frames", "gaussian-avatars")


@dataclass
class Export:
    """What was written."""

    value: dict[str, Any]
    """For a program."""
    lines: list[str] = field(default_factory=list)
    """What a person should know."""


def format_of(output: Path, asked: str | None) -> str:
    """The format that was asked for, else that of the name's ending; SettingsError where they do not fit."""
    found = asked or _BY_ENDING.get(output.suffix.lower())
    if found is None:
        raise SettingsError(f"{output.name} is of no known format.", f"Say --format {', '.join(FORMATS)}.")
    expected = (".ply",) if found == "animated-ply" else (STILL[found],) if found in STILL else ("", ".zip")
    expected = ("",) if found == "gaussian-avatars" else expected
    if output.suffix.lower() not in expected:
        wanted = f"a name that ends in {expected[0]}" if expected[0] else "a folder"
        raise SettingsError(f"{output.name} cannot be written as {found}: that needs {wanted}.")
    return found


def check_place(output: Path, form: str) -> None:
    """SettingsError, before any work, where something else would be lost or nothing can be written."""
    if not output.parent.is_dir():
        raise SettingsError(f"There is no folder {output.parent}.", "Choose a place in one that exists.")
    is_folder = form in _FOLDERS and not output.suffix
    if output.exists() and output.is_dir() != is_folder:
        kind = "a file" if is_folder else "a folder"
        raise SettingsError(f"{output} is {kind} already.", "Choose another name.")
    held = list(output.iterdir()) if output.is_dir() else []
    if form == "ply-frames" and any(not _FRAME.fullmatch(entry.name) for entry in held):
        raise SettingsError(f"The folder {output} holds other files than frames.", "Name a new one.")
    if form == "gaussian-avatars" and held:
        raise SettingsError(f"The folder {output} is not empty.", "Name a new one.")


def export_animated(
    player: Player,
    acting: Acting,
    output: Path,
    quantise: str = "uint16",
    own: float | None = None,
    progress: Progress = silent,
) -> Export:
    """As the mesh-rigged PLY that CAP4D's viewer plays; `quantise`: float, uint8 or uint16.

    own: share of the Gaussians that get triangles of their own, which makes the file nearer and larger.
    """
    from .export_animated import write_animated

    if quantise not in FORMS:
        raise SettingsError(f"{quantise!r} is no way to store motion.", f"Choose {', '.join(FORMS)}.")
    if own is not None and not 0 <= own <= 1:
        raise SettingsError(f"A share of {own:g} of the Gaussians is none.", "Choose --own from 0 to 1.")
    if own and quantise == "uint8":
        raise SettingsError(
            "Triangles of their own are too small for 8 bits.", "Leave --own out, or use --quantise uint16."
        )
    if own is None:
        own = 0.0 if quantise == "uint8" else OWN
    lost = write_animated(player, acting, output, quantise, own, progress)
    value = {"frames": len(acting), "quantise": quantise, "psnr": round(lost.psnr, 2)}
    value |= {"worst_psnr": round(lost.worst, 2)}
    lines = ["  the format moves triangles only; the head stands still, as it is at rest"]
    if len(player.splats.gaussians.basis):
        lines.append("  what the expression does to colours and proportions is held at the take's mean")
        lines.append(f"  {own:.0%} of the Gaussians move by themselves: --own takes more, in a larger file")
    lines.append(
        f"  against the avatar: {lost.psnr:.1f} dB inside the head, {lost.worst:.1f} dB in the worst frame"
    )
    return Export(value, lines)


def export_still(player: Player, acting: Acting, output: Path) -> Export:
    """The first sample of an acting as one set of Gaussians, by the ending of the name."""
    from .files.exchange import write_splats

    write_splats(output, next(moments(player, acting)))
    return Export({"frames": 1}, [f"  one moment: {acting.name}"])


def export_frames(player: Player, acting: Acting, output: Path, progress: Progress = silent) -> Export:
    """One PLY for every sample, in a folder or in a zip."""
    from .files.splat_ply import write_ply_frames, write_ply_zip

    def watched() -> Iterator[Gaussians]:
        for number, gaussians in enumerate(moments(player, acting)):
            progress(number / len(acting), "export", f"Frame {number + 1} of {len(acting)}")
            yield gaussians

    write = write_ply_zip if output.suffix.lower() == ".zip" else write_ply_frames
    count = write(output, watched())
    return Export({"frames": count}, [f"  {count} frames, each with all that the expression does"])


def moments(player: Player, acting: Acting) -> Iterator[Gaussians]:
    """The Gaussians of each sample in the head frame, the head's pose left out."""
    basis = player.splats.gaussians.basis
    for weights, gaze in zip(acting.weights, acting.gaze, strict=True):
        yield world_gaussians(player.splats, player.vertices(weights, gaze), basis.latent(weights))


def export_gaussian_avatars(
    player: Player,
    avatar: Avatar,
    performance: Performance | None,
    output: Path,
    folders: Sequence[Path] = (),
) -> Export:
    """As a model folder of GaussianAvatars; SplatError for a head that is not FLAME's."""
    from ..files import atomic_folder
    from .files.gaussian_avatars import FlameGaussians, write_gaussian_avatar
    from .flame_avatar import FlamePlayer
    from .flame_take import flame_take, mean_turn, whole_sh, with_teeth

    of_flame = player if isinstance(player, FlamePlayer) else None
    model = of_flame.model if of_flame else load_model(avatar.model, folders)
    if model.name != "flame":
        raise SplatError(
            f"GaussianAvatars holds Gaussians on FLAME's triangles; those of {avatar.name!r} are on "
            f"{avatar.model!r}.",
            "Export an animated PLY, or frames, instead.",
        )
    take, lines = None, []
    if of_flame is not None:
        take, lines = flame_take(of_flame, performance, folders)
    elif performance is not None and performance.flame:
        from ..fit.flame_kept import is_kept, kept_take

        take = kept_take(performance) if is_kept(performance) else None
    if take is None and not lines:
        lines.append("  without flame_param.npz: no performance has FLAME's parameters (see export-fit)")
    weights = np.zeros((1, 52), np.float32) if performance is None else performance.weights
    latent = player.splats.gaussians.basis.latent(weights).mean(axis=0)
    binding = _flame_faces(player, model)[player.splats.gaussians.binding]
    local = local_gaussians(player.splats, latent)
    if take is not None:
        take = with_teeth(take)
        local = replace(local, sh=turned(local.sh, np.tile(mean_turn(take), (len(local), 1, 1))))
    local = replace(local, sh=whole_sh(local.sh))
    with atomic_folder(output) as folder:
        write_gaussian_avatar(folder, FlameGaussians(local, binding, take))
    return Export({"take": take is not None}, lines)


def _flame_faces(player: Player, model: HeadModel) -> Array:
    """(F,) int32: which of FLAME's faces each triangle of the surface is, with the same first corner."""
    known = {tuple(face): number for number, face in enumerate(model.faces[:, :3].tolist())}
    surface = player.splats.surface
    try:
        corners = surface.rows[surface.triangles].tolist()
        return np.array([known[tuple(triangle)] for triangle in corners], np.int32)
    except KeyError:
        raise SplatError("The Gaussians are on triangles that FLAME does not have.") from None
