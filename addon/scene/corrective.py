# SPDX-License-Identifier: GPL-3.0-or-later
"""Corrective shape keys of a compressed mesh: what the bones cannot do, for the shapes where that shows most.

Blender applies shape keys before the armature. So a key holds the residual at its shape, taken back by the
motion that the bones make of the vertex there. Its value is that of the original's key, keyed with the bones.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import bpy
import numpy as np

from . import bpy_compat
from .compressed_action import play

_CORRECTIVES = "likeness_skin_correctives"
"""Of the object, JSON: the shape of the original by corrective key."""
PREFIX = "Corrective "


def correctives_of(obj: bpy.types.Object) -> dict[str, str]:
    """The shape of the original that each corrective key of a mesh belongs to."""
    mesh: Any = obj.data
    known = json.loads(str(obj.get(_CORRECTIVES, "{}")))
    keys = mesh.shape_keys
    there = set() if keys is None else set(keys.key_blocks.keys())
    return {key: shape for key, shape in known.items() if key in there}


def offsets(
    made: np.ndarray, weights: np.ndarray, points: np.ndarray, deltas: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """(S, N, 3) what keys have to hold before the bones move them, and (S,) the largest residuals.

    made (S, B, 3, 4): the bones' motions at each shape alone; weights (N, B), the rest of a vertex stands
    still; points (N, 3); deltas (S, N, 3), all in one coordinate system.
    """
    held, worst = np.empty(deltas.shape, np.float32), np.empty(len(deltas))
    still = np.eye(3, 4)
    for k, (motion, delta) in enumerate(zip(made, deltas, strict=True)):
        blended = (weights @ (motion - still).reshape(-1, 12)).reshape(-1, 3, 4)
        moved = np.einsum("nij,nj->ni", blended[..., :3], points) + blended[..., 3]
        residual = delta - moved
        worst[k] = np.sqrt(np.square(residual).sum(axis=1).max(initial=0.0))
        held[k] = np.linalg.solve(blended[..., :3] + np.eye(3), residual[..., None])[..., 0]
    return held, worst


def choose(worst: np.ndarray, values: np.ndarray, count: int) -> np.ndarray:
    """Indices of the shapes whose residual (S,) is largest at the most that they are on in values (T, S).

    Where nothing is on, all count as fully on. Shapes that are off or exact are not chosen.
    """
    peak = np.abs(values).max(axis=0, initial=0.0)
    seen = worst * (peak if peak.any() else 1.0)
    order = np.argsort(-seen, kind="stable")[:count]
    return order[seen[order] > 1e-3 * seen.max(initial=0.0)]


def write_correctives(
    obj: bpy.types.Object, source: bpy.types.Object, names: Sequence[str], held: np.ndarray
) -> list[str]:
    """Give a mesh one key for each of these shapes, offsets (n, N, 3) in its coordinates; the keys' names."""
    mesh, keys = obj.data, source.data.shape_keys  # type: ignore[union-attr]
    rest = np.empty(3 * len(mesh.vertices), np.float32)  # type: ignore[union-attr]
    mesh.vertices.foreach_get("co", rest)  # type: ignore[union-attr]
    if mesh.shape_keys is None:  # type: ignore[union-attr]
        obj.shape_key_add(name="Basis", from_mix=False)
    known = correctives_of(obj)
    for name, offset in zip(names, held, strict=True):
        block = obj.shape_key_add(name=PREFIX + name, from_mix=False)
        block.data.foreach_set("co", rest + offset.ravel())
        block.value = 0.0
        original = keys.key_blocks[name]
        block.slider_min, block.slider_max = original.slider_min, original.slider_max
        known[block.name] = name
    obj[_CORRECTIVES] = json.dumps(known)
    return list(known)


def key_correctives(
    obj: bpy.types.Object,
    action: bpy.types.Action,
    frames: np.ndarray,
    values: np.ndarray,
    names: Sequence[str],
) -> dict[str, np.ndarray]:
    """Key the correctives with the values (T, S) of the shapes `names` at `frames`, in a slot of the action.

    The values (T,) of each key.
    """
    mesh: Any = obj.data
    keyed = {key: values[:, list(names).index(shape)] for key, shape in correctives_of(obj).items()}
    for key, column in keyed.items():
        bag = play(action, mesh.shape_keys)
        path = f"{mesh.shape_keys.key_blocks[key].path_from_id()}.value"
        bpy_compat.write_fcurve(bag, path, 0, frames, column)
    return keyed


def posed(
    obj: bpy.types.Object,
    keyed: Mapping[str, np.ndarray],
    made: np.ndarray,
    weights: np.ndarray,
    to_rig: np.ndarray,
) -> Callable[[slice, np.ndarray], np.ndarray]:
    """What corrective keys with values (T,) add to vertices that bones (T, B, 3, 4) move with weights (N, B):
    a function of a block of frames and vertices (n,) that gives (t, 3, n) in the armature's coordinates.
    """
    mesh: Any = obj.data
    blocks = mesh.shape_keys.key_blocks
    rest = _points(mesh.shape_keys.reference_key)
    held = np.stack([(_points(blocks[key]) - rest) @ to_rig.T.astype(np.float32) for key in keyed])
    amounts = np.stack(list(keyed.values()), axis=1).astype(np.float32)
    apart = (made[..., :3] - np.eye(3)).astype(np.float32)

    def added(block: slice, rows: np.ndarray) -> np.ndarray:
        offset = np.einsum("tm,mnc->tcn", amounts[block], held[:, rows])
        spread = np.einsum("tbij,nb->tijn", apart[block], weights[rows].astype(np.float32), optimize=True)
        return offset + np.einsum("tijn,tjn->tin", spread, offset)

    return added


def _points(block: Any) -> np.ndarray:
    """(N, 3) float32 coordinates of a key."""
    points = np.empty(3 * len(block.data), np.float32)
    block.data.foreach_get("co", points)
    return points.reshape(-1, 3)
