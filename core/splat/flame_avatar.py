# SPDX-License-Identifier: GPL-3.0-or-later
"""Avatars whose head is the user's FLAME: what is kept of it in the folder, and how it is found again.

Beside what every avatar has: `coefficients`, FLAME's identity; `mapping.npz`, from the 52 weights to this
FLAME, where one was known; `flame_offset.npz`, where the person is not quite what the coefficients say. The
FLAME file stays where the user has it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from ..avatar import Avatar
from ..errors import Cancelled, LikenessError, ModelError, SettingsError, SplatError
from ..files import read_npz, write_npz
from ..fit.fit_npz import read_fit
from ..fit.flame_exchange import gaze_of, performance_of
from ..fit.flame_weights import weights_of
from ..fit.gaze import look_weights
from ..fit.mapping import Mapping, read_published
from ..head import HeadModel, load_model, model_path
from ..head.flame.compile import load_flame
from ..head.flame.model import CAP4D, CAP4D_EXPRESSIONS, VERTICES, FlameModel
from ..head.library import compiled
from ..performance import Performance
from ..progress import Progress, silent
from .acting import Acting
from .flame_rig import FlameRig, mode_of
from .player import Player
from .splat_avatar import SplatAvatar

Array = np.ndarray

MAPPING, OFFSET = "mapping.npz", "flame_offset.npz"
_LARGEST_OFFSET = 8 << 20
_PREFIX = "flame_"


def is_flame(avatar: Avatar) -> bool:
    """Whether an avatar's head is a FLAME."""
    return avatar.model.startswith(_PREFIX)


def flame_path(name: str, folders: Sequence[Path] = (), flame: str = "", kept: str = "") -> Path:
    """The compiled file of a release (`flame_2023_no_jaw` ...): that of `flame`, a file or a name, else what
    the folders hold, else the file that it was `kept` as. ModelError where there is none.
    """
    if flame:
        given = Path(flame)
        return compiled(given) if given.exists() else model_path(flame, folders)
    try:
        return model_path(name, folders)
    except ModelError:
        if kept and Path(kept).is_file():
            return compiled(Path(kept))
        raise


def flame_of(avatar: Avatar, folders: Sequence[Path] = (), flame: str = "") -> tuple[HeadModel, FlameModel]:
    """The FLAME of an avatar; ModelError for a missing one, and for another release."""
    told = avatar.provenance.get("flame")
    path = flame_path(avatar.model, folders, flame, told if isinstance(told, str) else "")
    model, found = load_model(path), load_flame(path)
    wanted = avatar.model.removeprefix(_PREFIX)
    if found.variant != wanted:
        raise ModelError(
            f"{avatar.name!r} is of FLAME {wanted}, and {Path(flame or path).name} is FLAME {found.variant}.",
            "Name that release with --flame.",
        )
    return model, found


def rig_of(
    avatar: Avatar, flame: FlameModel, rows: Array | None = None, mapping: Path | None = None
) -> FlameRig:
    """The person of an avatar. mapping: the user's, instead of the one that is kept."""
    shape = np.zeros(0) if avatar.coefficients is None else avatar.coefficients
    offset = None
    if (avatar.folder / OFFSET).is_file():
        offset = read_npz(avatar.folder / OFFSET, SplatError, _LARGEST_OFFSET).get("offset")
        fits = offset is not None and offset.shape == (VERTICES, 3) and offset.dtype.kind == "f"
        if offset is None or not fits or not np.isfinite(offset).all():
            raise SplatError(f"{OFFSET} of {avatar.folder.name} is damaged.", "Import the avatar again.")
    kept = avatar.folder / MAPPING
    source = mapping or (kept if kept.is_file() else None)
    found = None if source is None else read_mapping(source, flame)
    return FlameRig(flame, shape, rows, offset=offset, mapping=found)


def read_mapping(path: Path, flame: FlameModel) -> Mapping:
    """A mapping to a release; SettingsError for one to another."""
    mapping = read_published(path) if path.is_dir() else Mapping.load(path)
    count = CAP4D_EXPRESSIONS if mode_of(flame) == CAP4D else len(flame.expressions)
    if mapping.expression_count != count:
        raise SettingsError(
            f"{path.name} gives {mapping.expression_count} expressions of {mapping.variant or 'a model'}; "
            f"{count} of FLAME {flame.variant} are needed.",
            "Leave --mapping out, and one is derived where that is possible.",
        )
    return mapping


@dataclass(frozen=True, eq=False)
class Scores:
    """The 52 weights of CAP4D's expressions, as far as a mapping tells."""

    mapping: Mapping | None
    gram: Array
    """(65, 65): how alike the expressions move the vertices."""

    @staticmethod
    def of(flame: FlameModel, mapping: Mapping | None) -> Scores:
        """For the release without a jaw."""
        flat = flame.cap4d.expressions.reshape(CAP4D_EXPRESSIONS, -1)
        return Scores(mapping, flat @ flat.T)

    def solved(self, expression: Array, eyes: Array, progress: Progress = silent) -> Array:
        """(T, 52) float32 of expressions (T, 65) and eye rotations (T, 3); 0 without a mapping."""
        if self.mapping is None:
            return np.zeros((len(expression), 52), np.float32)
        gaze = np.repeat(gaze_of(eyes)[:, None], 2, axis=1)
        return weights_of(expression, self.mapping, look_weights(gaze), self.gram, progress)


class FlamePlayer(Player):
    """Gaussians on a FLAME."""

    def __init__(self, splats: SplatAvatar, rig: FlameRig, model: HeadModel) -> None:
        super().__init__(splats, rig)
        self.rig, self.model = rig, model

    @staticmethod
    def of_flame(
        avatar: Avatar,
        splats: SplatAvatar,
        folders: Sequence[Path] = (),
        flame: str = "",
        mapping: Path | None = None,
    ) -> FlamePlayer:
        """Of an avatar of FLAME and its Gaussians."""
        model, found = flame_of(avatar, folders, flame)
        if not splats.rides_on(model):
            raise SplatError(
                f"The Gaussians {splats.name!r} are not on the triangles of FLAME.", "Train them again."
            )
        return FlamePlayer(splats, rig_of(avatar, found, splats.surface.rows, mapping), model)

    def exactly(self, acting: Acting, performance: Performance) -> Acting:
        """With FLAME's own parameters where the performance has them. SplatError for the weights alone where
        nothing says what they look like.
        """
        rows = self.rig.own(performance)
        if rows is not None:
            return replace(acting, weights=rows)
        if self.rig.mapping is None:
            raise SplatError(
                f"{performance.name!r} has the 52 weights only, and nothing says what they do to FLAME.",
                "Play a fit.npz with --fit, or give a mapping with --mapping.",
            )
        return acting

    def performance_of_fit(self, path: Path, progress: Progress = silent) -> Performance:
        """CAP4D's file with its parameters as they are. SettingsError where they are for another FLAME."""
        fit = read_fit(path)
        if self.rig.flame.variant != fit.variant:
            raise SettingsError(
                f"{path.name} is for FLAME {fit.variant}; the avatar is of FLAME {self.rig.flame.variant}.",
                "Carry it over first: refit-flame.",
            )
        weights = Scores.of(self.rig.flame, self.rig.mapping).solved(fit.expr, fit.eye_rot, progress)
        told = f"CAP4D fit {path.name}"
        return performance_of(fit, path.stem, origin=self.rig.origin, weights=weights, source=told)


def derived_mapping(
    path: Path, flame: FlameModel, folders: Sequence[Path] = (), progress: Progress = silent
) -> Mapping | str:
    """From the 52 weights to the FLAME compiled at `path`, by geometry; or why there is none. Its landmarks
    are found first where nobody has looked for them yet: a minute or two.
    """
    from ..fit.flame_head import open_flame

    try:
        return open_flame(str(path), flame.variant, folders=folders, progress=progress).mapping()
    except Cancelled:
        raise
    except (LikenessError, ImportError) as problem:
        return problem.message if isinstance(problem, LikenessError) else str(problem)


def keep(avatar: Avatar, mapping: Mapping | None, offset: Array | None = None) -> None:
    """Write what belongs to an avatar's FLAME into its folder."""
    if mapping is not None:
        mapping.save(avatar.folder / MAPPING)
    if offset is not None and np.any(offset):
        write_npz(avatar.folder / OFFSET, {"offset": np.asarray(offset, np.float32)})
