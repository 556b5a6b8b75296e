# SPDX-License-Identifier: GPL-3.0-or-later
"""What a Gaussian head in the scene is: which object and file, which body it rides on, where it is now.

A head is an object with the role "splats" (`splat_object` makes it). What a person sets of it is
`obj.likeness.splat`, an `addon.property_splat.LikenessSplat`. A head that cannot be shown has a problem, one
sentence, and no state: nothing here raises in a draw handler.

    for head in heads(scene):
        state = state_of(graph, head)      # None: nothing to draw, `problem_of(head)` says why
        placed = playback.place(state.avatar, state.vertices, state.latent, eye)

All positions are world space in the axes of the head frame (`splat_tie`); `to_head_axes(camera location)` is
the eye.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import bpy
import numpy as np
from mathutils import Matrix

from ...core.errors import LikenessError, SplatError
from ...core.splat.splat_avatar import SplatAvatar
from ...core.splat.thinning import thinned
from .double import role_of
from .mesh import MODEL_KEY
from .splat_tie import Tie, arkit_weights, head_axes_matrix, to_head_axes

__all__ = [
    "ROLE",
    "HeadState",
    "avatar_shown",
    "body_of",
    "forget",
    "heads",
    "is_head",
    "latent",
    "path_of",
    "problem_of",
    "require_model",
    "settings_of",
    "splats_of",
    "state_of",
    "surface_vertices",
    "to_head_axes",
]

Array = np.ndarray

ROLE = "splats"
"""Role tag of the object."""
_KEPT = 8
"""Files, ties and reduced sets that are held at a time."""
_RESTING = 1e-5
"""Below which difference of a matrix a head stands where its bone has it."""


@dataclass(frozen=True)
class HeadState:
    """A head in one evaluation."""

    avatar: SplatAvatar
    """As it is to be shown: share and size of the splats are in it. The same object while nothing of that
    changes, so that what was uploaded of it may be kept."""
    vertices: Array
    """(n, 3) float32 of the surface's rows, world space in the axes of the head frame."""
    weights: Array
    """(52,) float32 in ARKIT_NAMES' order."""
    latent: Array
    """(R,) float32"""


def is_head(obj: Any) -> bool:
    """Whether an object is a Gaussian head."""
    return obj is not None and obj.type == "MESH" and role_of(obj) == ROLE


def heads(scene: bpy.types.Scene) -> list[bpy.types.Object]:
    """All Gaussian heads of a scene."""
    return [obj for obj in scene.objects if is_head(obj)]


def settings_of(head: Any) -> Any:
    """What a person sets of a head."""
    return head.likeness.splat


def body_of(head: Any) -> Any:
    """The body that a head rides on, None when it is gone."""
    body = settings_of(head).body
    usable = body is not None and body.type == "MESH" and body.data is not None
    return body if usable and body.data.shape_keys is not None else None


def path_of(head: Any) -> Path:
    """The file of the splats, absolute."""
    return Path(bpy.path.abspath(settings_of(head).path, library=head.library))


def splats_of(head: Any) -> SplatAvatar | None:
    """All splats of the file, None where it is missing or damaged. Read again only when it changed."""
    return _file(head)[0]


def problem_of(head: Any) -> str:
    """Why a head shows nothing, in one sentence; empty where it does. Cheap enough for `draw`."""
    avatar, problem = _file(head)
    if avatar is None:
        return problem
    body = body_of(head)
    if body is None:
        return "The double of this Gaussian head was removed."
    tie = _tie(body, avatar)
    return tie if isinstance(tie, str) else ""


def avatar_shown(head: Any) -> SplatAvatar | None:
    """The splats that the settings ask for: a share of them that covers the head, in the size set."""
    avatar, settings = splats_of(head), settings_of(head)
    if avatar is None:
        return None
    share, size = round(settings.quality, 4), round(settings.size, 4)
    if share >= 1.0 and size == 1.0:
        return avatar
    key = (id(avatar), share, size)
    if key not in _shown:
        # The whole one is kept beside the part, so that its id stays its own.
        _put(_shown, key, (avatar, thinned(avatar, share, size)))
    return _shown[key][1]


def surface_vertices(graph: bpy.types.Depsgraph, head: Any) -> Array | None:
    """(n, 3) float32 where the surface's rows are in this evaluation; None where there is nothing to show.

    They follow the body, and the head's own object where somebody moves that from its place on the bone.
    """
    avatar, body = splats_of(head), body_of(head)
    if avatar is None or body is None:
        return None
    tie = _tie(body, avatar)
    if isinstance(tie, str):
        return None
    return _carried(graph, head, tie.vertices_now(graph, body))


def latent(graph: bpy.types.Depsgraph, head: Any, avatar: SplatAvatar) -> Array:
    """(R,) float32 how far the splats' own expressions are on, from the body's shape keys as evaluated."""
    body = body_of(head)
    weights = np.zeros(52, np.float32) if body is None else arkit_weights(graph, body)
    return avatar.gaussians.basis.latent(weights)


def state_of(graph: bpy.types.Depsgraph, head: Any) -> HeadState | None:
    """All of a head in one evaluation, None where there is nothing to show."""
    avatar, body = avatar_shown(head), body_of(head)
    if avatar is None or body is None:
        return None
    vertices = surface_vertices(graph, head)
    if vertices is None or not np.isfinite(vertices).all():
        return None
    weights = arkit_weights(graph, body)
    return HeadState(avatar, vertices, weights, avatar.gaussians.basis.latent(weights))


def forget() -> None:
    """Drop everything that was read."""
    _files.clear()
    _ties.clear()
    _shown.clear()


_files: dict[Any, tuple[SplatAvatar | None, str]] = {}
_ties: dict[Any, tuple[SplatAvatar, Tie | str]] = {}
_shown: dict[Any, tuple[SplatAvatar, SplatAvatar]] = {}


def _put(cache: dict[Any, Any], key: Any, value: Any) -> None:
    cache[key] = value
    while len(cache) > _KEPT:
        del cache[next(iter(cache))]


def _file(head: Any) -> tuple[SplatAvatar | None, str]:
    """The splats, or the sentence why there are none."""
    path = path_of(head)
    try:
        facts = path.stat()
    except (OSError, ValueError):
        return None, f"The splats {path} are missing."
    key = (str(path), facts.st_mtime_ns, facts.st_size)
    if key not in _files:
        _put(_files, key, _loaded(path))
    return _files[key]


def _loaded(path: Path) -> tuple[SplatAvatar | None, str]:
    try:
        avatar = SplatAvatar.load(path)
        if not len(avatar.gaussians):
            raise SplatError(f"{path} holds no splats.")
        return avatar, ""
    except LikenessError as error:
        return None, error.message
    except (OSError, MemoryError) as error:
        return None, f"{path} cannot be read: {error}."


def _tie(body: Any, avatar: SplatAvatar) -> Tie | str:
    """The tie of these splats to this mesh, or the sentence why they do not fit."""
    mesh = body.data
    key = (id(avatar), mesh.session_uid, len(mesh.vertices))
    if key not in _ties:
        try:
            require_model(body, avatar)
            tie: Tie | str = Tie.of(body, avatar.surface.rows)
        except LikenessError as error:
            tie = error.message
        _put(_ties, key, (avatar, tie))
    return _ties[key][1]


def require_model(body: Any, avatar: SplatAvatar) -> None:
    """SplatError unless the splats were made for the head model of this body."""
    made_with = str(body.data.get(MODEL_KEY, "")).rsplit(" ", 3)[0]
    if made_with and made_with != avatar.model:
        raise SplatError(f"These splats were made for the head model {avatar.model!r}, not {made_with!r}.")


def _carried(graph: bpy.types.Depsgraph, head: Any, vertices: Array) -> Array:
    """Moved along with the head's object where it does not stand where its bone has it."""
    move = own_move(graph, head)
    if move is None:
        return vertices
    matrix = head_axes_matrix(move)
    matrix[:, :3] = matrix[:, :3] @ head_axes_matrix(Matrix.Identity(4))[:3, :3].T
    return np.ascontiguousarray(vertices @ matrix[:3, :3].T + matrix[:3, 3], np.float32)


def own_move(graph: bpy.types.Depsgraph, head: Any) -> Matrix | None:
    """World matrix by which the object was moved away from its place on the bone, None for not at all."""
    rig = head.parent
    if rig is None or rig.type != "ARMATURE" or head.parent_type != "BONE":
        return None
    bone = rig.evaluated_get(graph).pose.bones.get(head.parent_bone)
    if bone is None:
        return None
    tail = Matrix.Translation((0.0, bone.bone.length, 0.0))
    place = rig.evaluated_get(graph).matrix_world @ bone.matrix @ tail @ head.matrix_parent_inverse
    if abs(place.determinant()) < 1e-12:
        return None
    move = head.evaluated_get(graph).matrix_world @ place.inverted()
    apart = np.abs(np.array(move) - np.eye(4)).max()
    return move if apart > _RESTING else None
