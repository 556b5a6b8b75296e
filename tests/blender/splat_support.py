# SPDX-License-Identifier: GPL-3.0-or-later
"""A Gaussian head made by hand: one splat on each triangle of a double's head."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import bpy
import numpy as np
from scene_support import part


def splats(model: Any, rest: Any, per_triangle: int = 1, directions: int = 2) -> Any:
    """A SplatAvatar on a model's atlas; every splat is a grey disc in its triangle."""
    atlas = part("core.head.atlas").load_atlas(model)
    surface = part("core.splat.surface").HeadSurface.of(model, atlas, rest)
    bound, rng = part("core.splat.bound"), np.random.default_rng(5)
    binding = np.repeat(np.arange(len(surface)), per_triangle)
    count, zero = len(binding), np.zeros(directions, np.float32)
    basis = bound.ExpressionBasis.none()
    if directions:
        table = np.zeros((directions, 52), np.float32)
        table[np.arange(directions), np.arange(directions)] = 1.0
        basis = bound.ExpressionBasis(np.zeros(52, np.float32), table, zero - 1.0, zero + 1.0)
    gaussians = bound.BoundGaussians(
        binding=binding,
        means=rng.normal(0.0, 0.1, (count, 3)),
        log_scales=np.tile(np.log([0.4, 0.05, 0.4]), (count, 1)),
        rotations=np.tile([1.0, 0.0, 0.0, 0.0], (count, 1)),
        opacity_logits=rng.uniform(1.0, 3.0, count),
        sh=np.zeros((count, 1, 3)),
        basis=basis,
        offsets=0.01 * rng.normal(size=(count, directions, bound.LOCAL)),
    )
    return part("core.splat.splat_avatar").SplatAvatar(
        surface, gaussians, model=model.name, model_sha256=model.sha256, name="Ada"
    )


def add_head(double: Any, model: Any, rest: Any, folder: Path, **values: Any) -> Any:
    """Save such splats and put them onto a double; returns the head's object."""
    path = folder / "splats.npz"
    splats(model, rest, **values).save(path)
    head = part("addon.scene.splat_object").add_head(double, path, "head")
    bpy.context.view_layer.update()
    return head


def graph() -> Any:
    """The evaluation of the current view layer."""
    return bpy.context.evaluated_depsgraph_get()
