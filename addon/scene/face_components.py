# SPDX-License-Identifier: GPL-3.0-or-later
"""The predicted texture in a scene: component pictures in one image, and the amount of each in the nodes.

The amounts come from the 52 weights, the head's turn and the gaze by the regression that was learnt from the
face track. All of it is stored in the .blend, so that it works where the avatar's folder is not.
"""

from __future__ import annotations

from math import ceil
from typing import Any

import bpy
import numpy as np

from ...core.head import HeadModel
from ...core.texture.low_rank import LowRank
from ...core.texture.predicted import PredictedTexture, features_of
from .double import Double, tag
from .face_pictures import STAMP, pixels_of
from .materials.face_components import (
    ACROSS,
    AMOUNTS,
    MOST,
    ZERO,
    components_group,
    find_components_group,
    tile_nodes,
)
from .rig import role_bones

_IMAGE_ROLE = "face_components"
_LEARNT = ("matrix", "offset", "lowest", "highest", "usual", "scale", "base")
"""What the node group holds of the regression, as flat lists."""
_BONES = "likeness_bones"
_LARGEST = 512
"""Side of a tile in px; the components are smooth, and the still has the detail."""


def install(double: Double, model: HeadModel, predicted: PredictedTexture, still: Any, stamp: str) -> None:
    """Store a predicted texture in the person's node group; nothing is done for the same one again.

    `still`: the image of the still texture. The components change it from what of them it shows itself, so
    that all detail that they do not hold stays. `stamp`: tells predicted textures apart.
    """
    tree: Any = components_group(double.name, double.id)
    if tree.get(STAMP) == stamp and all(node.image is not None for node in tile_nodes(tree)):
        return
    count = min(predicted.texture.count, MOST)
    image = _tile_image(double, predicted.texture, count)
    for node in tile_nodes(tree):
        node.image = image
    base = shares_in(predicted, pixels_of(still)[::-1, :, :3])
    values = {
        "matrix": predicted.matrix[:count],
        "offset": predicted.offset[:count],
        "lowest": predicted.lowest[:count],
        "highest": predicted.highest[:count],
        "usual": predicted.usual,
        "scale": predicted.texture.scale[:count],
        "base": base[:count],
    }
    for name in _LEARNT:
        tree[f"likeness_{name}"] = np.asarray(values[name], np.float64).ravel().tolist()
    eyes = [names[0] for role in ("eye_left", "eye_right") if (names := role_bones(model, role))]
    tree[_BONES] = "\n".join([*(role_bones(model, "head")[:1] or ("",)), *eyes])
    tree[STAMP] = stamp


def bones_of(id: str) -> tuple[str, tuple[str, ...]]:
    """Names of the bones that turn the head, and of those that turn the eyes."""
    tree = find_components_group(id)
    head, *eyes = str(tree.get(_BONES, "")).split("\n") if tree is not None else [""]
    return head, tuple(eyes)


def uninstall(double: Double) -> None:
    """Forget the predicted texture of a person."""
    tree = find_components_group(double.id)
    if tree is not None and STAMP in tree:
        del tree[STAMP]


def has_stamp(id: str, stamp: str) -> bool:
    """Whether the predicted texture of this stamp is in the file."""
    tree = find_components_group(id)
    return tree is not None and tree.get(STAMP) == stamp


def is_installed(id: str) -> bool:
    """Whether a person has a predicted texture in this file."""
    tree = find_components_group(id)
    return tree is not None and STAMP in tree


def shares_in(predicted: PredictedTexture, still: np.ndarray) -> np.ndarray:
    """(k,) how much of each component a still (S, S, 3) sRGB 0..1 (row 0 the top) shows: least squares over
    the texels that move, within the range seen.
    """
    texture = predicted.texture
    step = max(still.shape[0] // texture.size, 1)
    small = still[: step * texture.size, : step * texture.size]
    small = small.reshape(texture.size, step, texture.size, step, 3).mean(axis=(1, 3)) if step > 1 else small
    if small.shape != texture.mean.shape:
        return np.zeros(texture.count)
    few = slice(None, None, 7)
    apart = 255.0 * small.reshape(-1, 3)[texture.index[few]] - texture.mean.reshape(-1, 3)[texture.index[few]]
    rows = texture.basis[:, few].reshape(texture.count, -1) * texture.scale[:, None].astype(np.float64)
    gram = rows @ rows.T
    found = np.linalg.solve(
        gram + 1e-3 * np.trace(gram) * np.eye(len(gram)) / len(gram), rows @ apart.ravel()
    )
    return np.clip(found, predicted.lowest, predicted.highest)


def _tile_image(double: Double, texture: LowRank, count: int) -> Any:
    """One image of all components, packed into the file."""
    side = texture.size // ceil(texture.size / _LARGEST)
    tiles = np.full((ACROSS * side, ACROSS * side, 4), ZERO / 255.0, np.float32)
    tiles[..., 3] = 1.0
    for number in range(count):
        row, column = divmod(number, ACROSS)
        tile = _component(texture, number, side)[::-1]
        tiles[row * side : (row + 1) * side, column * side : (column + 1) * side, :3] = tile
    title = f"Likeness Face Components {double.name}"
    image: Any = next((i for i in bpy.data.images if _is_ours(i, double.id)), None)
    if image is not None and tuple(image.size) != (ACROSS * side, ACROSS * side):
        bpy.data.images.remove(image)
        image = None
    if image is None:
        image = tag(bpy.data.images.new(title, ACROSS * side, ACROSS * side), double.id, _IMAGE_ROLE)
        image.colorspace_settings.name = "Non-Color"
    image.pixels.foreach_set(tiles.ravel())
    image.update()
    image.pack()
    return image


def _is_ours(image: Any, id: str) -> bool:
    return image.get("likeness_id") == id and image.get("likeness_role") == _IMAGE_ROLE


def _component(texture: LowRank, number: int, side: int) -> np.ndarray:
    """(side, side, 3) float32 0..1, ZERO where nothing changes; row 0 is the top."""
    whole = np.full((texture.size * texture.size, 3), ZERO, np.float32)
    whole[texture.index] += texture.basis[number]
    step = texture.size // side
    picture = whole.reshape(texture.size, -1, 3)[: side * step, : side * step]
    return picture.reshape(side, step, side, step, 3).mean(axis=(1, 3)) / 255.0


def amounts_of(
    id: str, weights: np.ndarray, rotation: np.ndarray | None, gaze: np.ndarray | None
) -> np.ndarray | None:
    """(T, MOST) float64 amounts for weights (T, 52), head turns (T, 4) and gaze (T, 2, 2) rad, as the nodes
    take them; None where the person has no predicted texture.
    """
    tree = find_components_group(id)
    if tree is None or STAMP not in tree:
        return None
    learnt = {name: np.array(tree[f"likeness_{name}"], np.float64) for name in _LEARNT}
    features = features_of(weights, rotation, gaze, learnt["usual"])
    matrix = learnt["matrix"].reshape(-1, features.shape[1])
    found = np.clip(features @ matrix.T + learnt["offset"], learnt["lowest"], learnt["highest"])
    amounts = np.zeros((len(found), MOST))
    amounts[:, : len(matrix)] = (found - learnt["base"]) * learnt["scale"]
    return amounts


def show_amounts(id: str, amounts: np.ndarray) -> bool:
    """Set the amounts (MOST,) of a person; False where they are shown already."""
    tree = find_components_group(id)
    changed = False
    for name, amount in zip(AMOUNTS, amounts.tolist(), strict=True):
        node = tree.nodes.get(name) if tree is not None else None
        if node is not None and abs(node.outputs[0].default_value - amount) > 1e-4:
            node.outputs[0].default_value, changed = amount, True
    return changed
