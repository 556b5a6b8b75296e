# SPDX-License-Identifier: GPL-3.0-or-later
"""A blendshape model from what a user has: an .npz, or a folder of OBJ files."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from ..errors import ModelError
from .model_data import BlendshapeModelData
from .obj_file import read_obj

REST_NAMES = ("rest", "neutral", "basis", "base")
"""What the file of the rest may be called, the first that is there."""
MOST_SHAPES = 5000
LARGEST_MODEL = 2**30
"""Numbers of all shapes together; 4 GB."""


def read_model(path: Path, alpha: float | None = None) -> BlendshapeModelData:
    """An .npz, or a folder with rest.obj or neutral.obj and one OBJ file for each shape."""
    path = Path(path)
    return _from_folder(path, alpha) if path.is_dir() else BlendshapeModelData.from_npz(path, alpha)


def _from_folder(folder: Path, alpha: float | None) -> BlendshapeModelData:
    files = sorted(
        (file for file in folder.iterdir() if file.suffix.lower() == ".obj" and file.is_file()),
        key=lambda file: (file.stem.casefold(), file.name),
    )
    by_name = {file.stem.casefold(): file for file in files}
    rest = next((by_name[name] for name in REST_NAMES if name in by_name), None)
    if rest is None:
        found = "it has no OBJ file" if not files else "none of its OBJ files is the rest"
        raise ModelError(f"{folder} is no model: {found}.", "Call the face without expression rest.obj.")
    shapes = [file for file in files if file != rest]
    return model_of_obj_files(rest, shapes, folder.resolve().name, alpha)


def model_of_obj_files(
    rest_path: Path, shape_paths: Sequence[Path], model_name: str, alpha: float | None
) -> BlendshapeModelData:
    """A model without rig tables of the rest and one file for each shape, named as the files are."""
    rest, faces = read_obj(rest_path)
    if not shape_paths:
        raise ModelError(
            f"{model_name} has a rest and no shapes.", "Put one OBJ file for each shape beside it."
        )
    if len(shape_paths) > MOST_SHAPES or len(shape_paths) * rest.size > LARGEST_MODEL:
        raise ModelError(
            f"{model_name} has {len(shape_paths)} shapes of {len(rest)} vertices, too many to fit."
        )
    deltas = np.empty((len(shape_paths), *rest.shape), np.float32)
    for delta, path in zip(deltas, shape_paths, strict=True):
        vertices, polygons = read_obj(path)
        _check_same(path, rest_path, (len(vertices), polygons), (len(rest), faces))
        delta[:] = vertices - rest
    return BlendshapeModelData.from_arrays(
        deltas,
        rest,
        faces,
        model_name=model_name,
        alpha=alpha,
        shape_names=[path.stem for path in shape_paths],
        source=model_name,
    )


def _check_same(
    path: Path, rest_path: Path, shape: tuple[int, np.ndarray], rest: tuple[int, np.ndarray]
) -> None:
    """ModelError unless both have the same vertices and polygons in the same order."""
    hint = "Export all shapes of one mesh, with its vertices in one order."
    if shape[0] != rest[0]:
        raise ModelError(f"{path.name} has {shape[0]} vertices and {rest_path.name} has {rest[0]}.", hint)
    if not np.array_equal(shape[1], rest[1]):
        raise ModelError(f"{path.name} has other polygons than {rest_path.name}.", hint)
