# SPDX-License-Identifier: GPL-3.0-or-later
"""Which shapes get a corrective key, and what the keys hold."""

from __future__ import annotations

import bpy
import numpy as np

from ...core.errors import ModelError
from ...core.skin import trs
from . import compressed_rig as rigs
from . import compressed_state as state
from . import compressed_weights as skinning
from . import corrective
from .compressed_space import deltas_of, motions_in_rig, points_in_rig, to_rig
from .shape_source import sample_values
from .workspace import scene_and_layer


def add_correctives(context: bpy.types.Context, obj: bpy.types.Object, count: int) -> list[str]:
    """Give a compressed mesh keys for its `count` worst shapes; the names of its keys. `bake` keys them.

    A shape is as bad as its largest distance where what the original plays has it on most.
    """
    scene, layer = scene_and_layer(context)
    source, skin, rig = state.source_of(obj), state.skin_of(obj), state.rig_of(obj)
    if source is None:
        raise ModelError(f"The original of {obj.name} is gone.", "Corrective shapes need it.")
    layer.update()
    there = np.array(to_rig(obj, rig))[:3, :3]
    held, worst = corrective.offsets(
        *_alone(obj), points_in_rig(obj, rig), deltas_of(source, skin) @ there.T.astype(np.float32)
    )
    chosen = corrective.choose(worst, sample_values(scene, source, skin.names)[1], count)
    back = np.linalg.inv(there).astype(np.float32)
    return corrective.write_correctives(obj, source, [skin.names[k] for k in chosen], held[chosen] @ back.T)


def _alone(obj: bpy.types.Object) -> tuple[np.ndarray, np.ndarray]:
    """Motions of the bones (S, B, 3, 4) as channels hold them, each shape alone, and weights (N, B)."""
    skin, bones, rig = state.skin_of(obj), state.bones_of(obj), state.rig_of(obj)
    motions = motions_in_rig(skin, np.eye(skin.n_shapes), obj, rig)[:, bones.moving]
    weights = skinning.shares(obj, rig, bones.deforming)
    if bones.two_bone:
        return motions, weights
    at, axes = rigs.rest_frames(rig, bones.deforming)
    products = trs.gram(weights, points_in_rig(obj, rig), at)
    return trs.matrices_of(trs.rotation_scale(motions, at, axes, products), at, axes), weights
