# SPDX-License-Identifier: GPL-3.0-or-later
"""What compressing a face came to, for a program and in a short table for a person."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from .compressed import CompressedSkin
from .model_data import BlendshapeModelData

if TYPE_CHECKING:
    from .measure import FrameErrors

_ROWS = (
    ("mae", "mean of components (MAE)"),
    ("rmse", "root mean square (RMSE)"),
    ("mxe", "largest component (MXE)"),
    ("lap_rms", "roughness (Laplacian)"),
    ("mean", "mean distance"),
    ("p999", "99.9th percentile"),
    ("max", "largest distance"),
)
_MOST_FRAMES = 24
"""Lines of the table of frames; a longer animation is summed up in that many."""


def outcome(
    model: BlendshapeModelData, skin: CompressedSkin, solver: str, seconds: float, output: Path
) -> tuple[dict[str, Any], list[str]]:
    """Sizes, seconds and the errors over all shapes, in the model's unit."""
    errors = {key: float(skin.errors[key]) for key, _text in _ROWS if key in skin.errors}
    motion = max(float(np.sqrt(np.square(delta).sum(axis=1).max())) for delta in model.deltas)
    sizes = skin.sizes()
    value = {
        "output": str(output),
        "solver": solver,
        "shapes": skin.n_shapes,
        "vertices": skin.n_vertices,
        "bones": skin.n_bones,
        "influences": skin.max_influences,
        "coefficients": skin.n_coefficients,
        "seconds": round(seconds, 2),
        "errors": errors,
        "largest_motion": motion,
        **sizes,
    }
    budget = f"{skin.n_bones} bones, {skin.max_influences} influences, {skin.n_coefficients} coefficients"
    shapes, dense, sparse = (bytes_text(sizes[f"{of}_bytes"]) for of in ("shapes", "dense", "sparse"))
    lines = [
        f"{output}: {model.model_name}, {skin.n_shapes} shapes of {skin.n_vertices} vertices",
        f"  {budget}; {solver} solver, {seconds:.1f} s",
        f"  memory: {shapes} of shapes are {sparse} now, or {dense} as dense matrices",
        f"  error over all shapes, in the model's unit (the largest motion is {motion:.4g})",
    ]
    return value, lines + [f"    {text:<26}{errors[key]:>10.5f}" for key, text in _ROWS if key in errors]


def animation_outcome(found: FrameErrors, controls: int) -> tuple[dict[str, Any], list[str]]:
    """The error of every frame, and a table of them."""
    frames, worst = len(found.mean), int(found.worst.argmax())
    value = {
        "frames": frames,
        "frame_mean": [round(float(e), 7) for e in found.mean],
        "frame_max": [round(float(e), 7) for e in found.worst],
    }
    average, top = float(found.mean.mean()), float(found.worst[worst])
    summary = f"mean distance {average:.5f}, largest {top:.5f} in frame {worst}"
    lines = [
        f"  error over {frames} frames of {controls} controls: {summary}",
        f"    {'frames':<15}{'mean':>10}{'largest':>10}",
    ]
    for part in np.array_split(np.arange(frames), min(frames, _MOST_FRAMES)):
        first, last = part[0], part[-1]
        which = f"{first}" if first == last else f"{first} to {last}"
        lines.append(f"    {which:<15}{found.mean[part].mean():>10.5f}{found.worst[part].max():>10.5f}")
    return value, lines


def bytes_text(count: int) -> str:
    """A size for a person."""
    return f"{count / 1e6:.1f} MB" if count >= 1e6 else f"{count / 1e3:.0f} kB"
