# SPDX-License-Identifier: GPL-3.0-or-later
"""FLAME's expressions as the 52 weights: the inverse of a mapping, with every weight from 0 to 1."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from ..arkit import ARKIT_NAMES
from ..errors import ModelError, SettingsError
from ..head.flame.model import CAP4D_EXPRESSIONS
from ..performance import Performance
from ..progress import Progress, silent, subrange
from .fit_npz import VARIANT, read_fit
from .flame_exchange import gaze_of, performance_of
from .gaze import look_weights
from .mapping import Mapping, read_published

Array = np.ndarray

QUIET = 0.01
"""How dear a weight is, as a share of what the weights do on average: shapes that do nearly the same share
it, and none runs off."""
SWEEPS = 200
SETTLED = 1e-4


def performance_of_fit(
    path: Path,
    *,
    mapping: Path | None = None,
    flame: str = "",
    folders: Sequence[Path] = (),
    progress: Progress = silent,
) -> Performance:
    """CAP4D's `fit.npz` as a performance that drives any avatar.

    With the user's FLAME model (`flame`: a file, or a name looked for in `folders`) expressions are compared
    where the vertices are; with a mapping alone, coefficient by coefficient. ModelError where there is
    neither; SettingsError for a mapping that has no inverse.
    """
    from .flame_head import open_flame

    fit = read_fit(path)
    # A mapping alone is enough; the model is opened where it is wanted, or needed to derive one.
    head = None
    if flame or mapping is None:
        try:
            head = open_flame(flame or f"flame_{VARIANT}", folders=folders, progress=progress)
        except ModelError as problem:
            if flame:
                raise
            raise ModelError(
                f"{path.name} holds expressions of FLAME {VARIANT}, and neither that model nor a mapping "
                "says what they look like.",
                "Name the folder of your FLAME model with --models, or a mapping with --mapping.",
            ) from problem
    if head is not None and head.expression_count != CAP4D_EXPRESSIONS:
        raise SettingsError(
            f"{path.name} holds {CAP4D_EXPRESSIONS} expressions of FLAME {VARIANT}, and the model has "
            f"{head.expression_count}.",
            f"Name FLAME {VARIANT} with --flame.",
        )
    found = _read(mapping) if head is None and mapping is not None else None
    if head is not None:
        found = head.mapping(mapping)
    assert found is not None
    gram = (
        None if head is None else _gram(np.asarray(head.head.expression.at(np.arange(head.head.row_count))))
    )
    progress(0.5, "fit", f"Finding the weights of {fit.frame_count} frames")
    gaze = np.repeat(gaze_of(fit.eye_rot)[:, None], 2, axis=1)
    looks = look_weights(gaze)
    weights = weights_of(fit.expr, found, looks, gram, subrange(progress, 0.5, 1.0))
    return performance_of(fit, path.stem, weights=weights, source=f"CAP4D fit {path.name}")


def _read(path: Path) -> Mapping:
    mapping = read_published(path) if path.is_dir() else Mapping.load(path)
    if mapping.expression_count != CAP4D_EXPRESSIONS:
        raise SettingsError(
            f"{path.name} gives {mapping.expression_count} expressions of {mapping.variant or 'FLAME'}; a "
            f"fit.npz holds {CAP4D_EXPRESSIONS} of FLAME {VARIANT}.",
            "Derive one with `map derive --cap4d`.",
        )
    return mapping


def _gram(shapes: Array) -> Array:
    """(E, E): how alike shapes (E, V, 3) are."""
    flat = shapes.reshape(len(shapes), -1).astype(np.float64)
    return flat @ flat.T


def weights_of(
    expression: Array,
    mapping: Mapping,
    known: tuple[Sequence[int], Array] | None = None,
    gram: Array | None = None,
    progress: Progress = silent,
) -> Array:
    """(T, 52) float32 weights, 0 to 1, whose expressions by `mapping` are nearest to expression (T, E).

    Minimises |map(w) - e|^2 in the metric `gram` (E, E) plus a little of |w|^2, one weight after the other
    until all rest. known: columns (k) and weights (T, k) that are given, as those of the eyes are.
    SettingsError for a mapping of several layers: it has no such inverse.
    """
    if len(mapping.layers) != 1:
        raise SettingsError(
            "The mapping is a network, which cannot be turned round.",
            "Derive a linear one with `map derive --cap4d`.",
        )
    count = mapping.expression_count
    matrix, bias = mapping.layers[0].weight[:, :count], mapping.layers[0].bias[:count]
    metric = np.eye(count) if gram is None else gram
    order = [mapping.names.index(name) if name in mapping.names else -1 for name in ARKIT_NAMES]
    shapes = np.where((np.array(order) >= 0)[:, None], matrix[order], 0.0)
    weights = np.zeros((len(expression), len(ARKIT_NAMES)))
    free = np.ones(len(ARKIT_NAMES), bool)
    if known is not None:
        weights[:, known[0]], free[list(known[0])] = known[1], False
    curvature = shapes @ metric @ shapes.T
    active = free & (np.diag(curvature) > 1e-9 * np.trace(curvature))
    toll = QUIET * np.trace(curvature) / max(np.count_nonzero(np.diag(curvature)), 1)
    pull = (np.asarray(expression, np.float64) - bias) @ metric @ shapes.T
    for sweep in range(SWEEPS):
        progress(sweep / SWEEPS, "fit", "Finding weights")
        most = 0.0
        for k in np.flatnonzero(active):
            slope = pull[:, k] - weights @ curvature[:, k] + curvature[k, k] * weights[:, k]
            value = np.clip(slope / (curvature[k, k] + toll), 0.0, 1.0)
            most = max(most, float(np.abs(value - weights[:, k]).max(initial=0.0)))
            weights[:, k] = value
        if most < SETTLED:
            break
    return weights.astype(np.float32)
