# SPDX-License-Identifier: GPL-3.0-or-later
"""Gaussians that others trained on FLAME, as an avatar: GaussianAvatars' model folders.

A checkpoint of CAP4D's is read too, and refused with what it holds: its Gaussians ride on a mesh that CAP4D
makes of its own template with its own network, which is in no file of the avatar.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from .. import rotation
from ..avatar import SUFFIX, Avatar, refuse_other_folder
from ..errors import AvatarError, ModelError, SplatError
from ..files import atomic_folder
from ..fit.flame_exchange import gaze_of, tagged
from ..fit.flame_param import FlameTake
from ..fit.gaze import look_weights
from ..fit.mapping import Mapping
from ..head import load_model
from ..head.atlas import load_atlas
from ..head.flame.compile import load_flame
from ..head.flame.forward import head_transform
from ..head.flame.model import VERTICES
from ..performance import Performance
from ..progress import Progress, silent
from .bound import BoundGaussians
from .files.checkpoint import read_cap4d_checkpoint
from .files.gaussian_avatars import FlameGaussians, read_gaussian_avatar
from .flame_avatar import derived_mapping, flame_path, keep, read_mapping
from .flame_rig import FlameRig
from .flame_take import mean_turn, used_sh
from .splat_avatar import SplatAvatar
from .surface import HeadSurface
from .turn_sh import turned

Array = np.ndarray

RATE = 25.0
"""Frames a second of a take; its file does not say."""
TAKE = "take"


@dataclass(frozen=True)
class Imported:
    """What became of a folder."""

    avatar: Avatar
    gaussians: int
    left_out: int
    """Gaussians on the teeth that GaussianAvatars adds to FLAME: they are not in FLAME's file."""
    frames: int
    why: str = ""
    """Why there is no mapping from the 52 weights, where there is none."""


def import_gaussian_avatar(
    source: Path,
    output: Path,
    flame: str = "",
    *,
    mapping: Path | None = None,
    folders: Sequence[Path] = (),
    progress: Progress = silent,
) -> Imported:
    """Make the avatar `output` of a model folder. flame: the release that it was trained with, by file or by
    name in `folders`; by default FLAME 2023. LikenessError in a sentence, and nothing is written then.
    """
    _check_output(output)
    refuse_checkpoint(source)
    read_gaussian_avatar(source)  # whatever is no such folder is refused before a model is looked for
    path = _model(source, flame, folders)
    release, model = load_flame(path), load_model(path)
    if not release.has_jaw:
        raise ModelError(
            f"{source.name} was trained with a FLAME that has a jaw, and this one has none.",
            "Name flame2023.pkl, or the release it was trained with.",
        )
    given = read_gaussian_avatar(source, release.variant)
    if given.take is None:
        raise SplatError(
            f"{source.name} has no flame_param.npz, so nothing says whose face it is.",
            "Put it beside point_cloud.ply.",
        )
    progress(0.2, "import", "Placing the Gaussians")
    found: Mapping | str = (
        read_mapping(mapping, release) if mapping else derived_mapping(path, release, folders, progress)
    )
    known = found if isinstance(found, Mapping) else None
    offset = given.take.static_offset
    rig = FlameRig(release, given.take.parameters.shape, offset=None if offset is None else offset[:VERTICES])
    surface = HeadSurface.of(model, load_atlas(model), rig.rest)
    gaussians, left_out = _bound(given, surface, model.faces[:, :3])
    performance = performance_of_take(given.take, rig)
    with atomic_folder(output) as folder:
        avatar = Avatar(folder, output.name.removesuffix(SUFFIX), model=f"flame_{release.variant}")
        avatar.model_sha256, avatar.vertices = model.sha256, rig.rest
        avatar.coefficients = np.zeros(model.identity.count, np.float32)
        avatar.coefficients[: len(rig.shape)] = rig.shape
        avatar.provenance = {"gaussian_avatars": str(source.absolute()), "splats": {"imported": source.name}}
        if flame and Path(flame).exists():
            avatar.provenance["flame"] = str(Path(flame).absolute())
        report = {"trained": True, "imported": "GaussianAvatars", "iterations": given.iteration}
        splats = SplatAvatar(
            surface, gaussians, avatar.model, model.sha256, avatar.id, avatar.name, report=report
        )
        avatar.save()
        splats.save(avatar.splats_path)
        keep(avatar, known, rig.offset)
        avatar.add_performance(performance)
    why = found if isinstance(found, str) else ""
    return Imported(Avatar.load(output), len(gaussians), left_out, performance.frame_count, why)


def performance_of_take(take: FlameTake, rig: FlameRig) -> Performance:
    """The motion of a take, before no camera; FLAME's parameters are kept as they are."""
    given = take.parameters
    turn, shift = head_transform(rig.flame.whole, given)
    place = shift + turn @ rig.origin
    gaze = np.stack([gaze_of(given.eyes[:, :3]), gaze_of(given.eyes[:, 3:])], axis=1)
    weights = np.zeros((given.frame_count, 52), np.float32)
    columns, looks = look_weights(gaze)
    weights[:, columns] = looks
    kept = {"shape": given.shape, "expr": given.expression, "rot": given.rotation, "tra": given.translation}
    kept |= {"neck_rot": given.neck, "jaw_rot": given.jaw, "eye_rot": given.eyes}
    return Performance(
        TAKE,
        np.arange(given.frame_count) / RATE,
        weights,
        head_rotation=rotation.continuous(rotation.from_matrix(turn)),
        head_translation=place - np.median(place, axis=0),
        gaze=gaze,
        flame={name: np.asarray(values, np.float32) for name, values in kept.items()}
        | {"variant": tagged(given.variant)},
        source="GaussianAvatars",
    )


def _check_output(output: Path) -> None:
    if output.suffix != SUFFIX:
        raise AvatarError(
            f"{output.name} is not a name for an avatar.", f"Choose a name that ends in {SUFFIX}."
        )
    refuse_other_folder(output)
    if (output / "avatar.json").exists():
        raise AvatarError(f"{output.name} is an avatar already.", "Choose another name.")
    if not output.parent.is_dir():
        raise AvatarError(f"There is no folder {output.parent}.", "Choose a place in one that exists.")


def refuse_checkpoint(source: Path) -> None:
    """SplatError that says what is in a checkpoint of CAP4D's, and what is not."""
    try:
        is_one = source.suffix == ".pth" or (source.is_dir() and any(source.glob("chkpnt*.pth")))
    except OSError:
        is_one = False
    if is_one:
        held = read_cap4d_checkpoint(source)
        raise SplatError(
            f"{source.name} holds {len(held.local)} Gaussians after {held.iteration} steps, local to a mesh "
            "that CAP4D makes with its own template and network and that is in no file.",
            "Train from CAP4D's pictures instead: splat train FOLDER -o NAME.avatar",
        )


def _model(source: Path, flame: str, folders: Sequence[Path]) -> Path:
    try:
        return flame_path("flame_2023", folders, flame)
    except ModelError as problem:
        if flame:
            raise
        raise ModelError(
            f"The Gaussians of {source.name} ride on FLAME, which is not part of Likeness.",
            "Name the release they were trained with: --flame flame2023.pkl",
        ) from problem


def _bound(given: FlameGaussians, surface: HeadSurface, faces: Array) -> tuple[BoundGaussians, int]:
    """On the surface's triangles, colours in the frame of the head; and how many are on none of them.
    faces: (F, 3) FLAME's.
    """
    corners = surface.rows[surface.triangles].tolist()
    known = {tuple(triangle): number for number, triangle in enumerate(corners)}
    number = np.array([known.get(tuple(face), -1) for face in faces.tolist()])
    on_face = given.binding < len(faces)
    binding = np.where(on_face, number[np.minimum(given.binding, len(faces) - 1)], -1)
    rows = np.flatnonzero(binding >= 0)
    rows = rows[np.argsort(binding[rows], kind="stable")]
    local = given.local
    sh = used_sh(local.sh)[rows]
    if given.take is not None:
        sh = turned(sh, np.tile(mean_turn(given.take).T, (len(rows), 1, 1)))
    names = ("means", "log_scales", "rotations", "opacity_logits")
    arrays = {name: getattr(local, name)[rows] for name in names}
    return BoundGaussians(binding[rows], sh=sh, **arrays), len(binding) - len(rows)
