# SPDX-License-Identifier: GPL-3.0-or-later
"""Frames of a compressed face from the controls of an animation: OBJ files, one .npz, or in memory."""

from __future__ import annotations

import re
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import ModelError, SettingsError
from ..files import atomic_folder
from ..progress import Progress, silent
from .checks import finite, numbers, read_members, require
from .compressed import CompressedSkin
from .model_data import BlendshapeModelData
from .obj_file import obj_faces, obj_vertices
from .playback import Player, evaluate
from .rig_logic import COUNT, compute_rig_logic

Tables = tuple[Mapping[Any, Any], Mapping[Any, Any]]
"""`inbetween_info` and `combination_info`."""
FORMATS = ("obj", "npz")
CONTROLS = 72
"""Of the published rigs; the columns after them are what the controls make."""
_OURS = re.compile(r"frame_\d{5,}\.obj|frames\.npz")


class AnimationFrameGenerator:
    """Plays animations with a compressed face. Rig tables are the model's, or without one the face's own."""

    def __init__(
        self, compressed_data_path: Path | str | CompressedSkin, model_data: BlendshapeModelData | None = None
    ) -> None:
        """A result, from its file or as it is, and the model that it was made of.

        ModelError where the two do not belong together.
        """
        given = compressed_data_path
        self.skin = given if isinstance(given, CompressedSkin) else CompressedSkin.load(given)
        rig = self.skin if model_data is None else model_data
        self._tables = rig.inbetween_info, rig.combination_info
        if model_data is not None:
            _check_pair(self.skin, model_data)

    @property
    def n_controls(self) -> int:
        """C, the shapes that are neither in-betweens nor combinations."""
        return self.skin.n_shapes - _added(self._tables)

    def generate_frames(
        self,
        animation_weights_path: Path | str,
        output_dir: Path | str,
        max_control_weights: int = CONTROLS,
        format: str = "obj",
        progress: Progress = silent,
    ) -> Path:
        """Write a folder of frame_00000.obj and so on, or of one frames.npz, and give its path.

        The folder is written beside its place and takes it when it is whole. One that is there is replaced if
        there is nothing but such frames in it.
        """
        if format not in FORMATS:
            raise SettingsError(f"Frames cannot be written as {format!r}.", f"Use {' or '.join(FORMATS)}.")
        weights = read_animation(Path(animation_weights_path))
        coefficients = self.coefficients(weights, max_control_weights)
        target = Path(output_dir)
        check_frames_folder(target)
        try:
            with atomic_folder(target) as folder:
                write = _write_obj if format == "obj" else _write_npz
                write(folder, self.skin, coefficients, progress)
        except OSError as problem:
            reason = problem.strerror or problem
            raise SettingsError(f"The frames cannot be written to {target}: {reason}.") from problem
        return target

    def frames(self, weights: np.ndarray, max_control_weights: int | None = None) -> np.ndarray:
        """(T, N, 3) float32 vertices in the model's coordinates, of controls (T, C)."""
        return evaluate(self.skin, self.coefficients(weights, max_control_weights))

    def coefficients(self, weights: np.ndarray, max_control_weights: int | None = None) -> np.ndarray:
        """(T, S) coefficients of all shapes, as `shape_coefficients` makes them."""
        return shape_coefficients(weights, self.skin.n_shapes, self._tables, max_control_weights)


def shape_coefficients(
    weights: np.ndarray, shapes: int, tables: Tables, max_control_weights: int | None = None
) -> np.ndarray:
    """(T, S) coefficients of all shapes, of at most `max_control_weights` first columns of `weights`.

    There must be as many as controls. Only a face without rig tables, all of whose shapes are controls, takes
    fewer: the shapes after them stay at rest.
    """
    array = numbers(weights, (None, None), "The array of controls")
    if max_control_weights is not None and max_control_weights < 1:
        raise SettingsError(f"{max_control_weights} columns of controls move nothing.")
    control = array[:, :max_control_weights].astype(np.float32)
    finite(control, "The array of controls", ("frame", "column"))
    columns, controls = control.shape[1], shapes - _added(tables)
    if columns > controls or (columns < controls and controls < shapes):
        raise ModelError(
            f"The animation has {columns} columns of controls, and the face has {controls} controls.",
            f"Say that only the first {controls} columns are controls." if columns > controls else "",
        )
    return compute_rig_logic(np.pad(control, ((0, 0), (0, controls - columns))), *tables)


def _added(tables: Tables) -> int:
    """How many shapes are no controls."""
    return sum(int(table.get(COUNT, 0)) for table in tables)


def read_animation(path: Path) -> np.ndarray:
    """(T, C) `weights` of an animation's .npz; ModelError in one sentence for what is none."""
    members = read_members(path, "animation")
    require(members, ("weights",), path.name, "animation")
    weights = numbers(members["weights"], (None, None), f"weights of {path.name}")
    if not weights.size:
        raise ModelError(
            f"{path.name} is empty: it has {weights.shape[0]} frames of {weights.shape[1]} columns."
        )
    finite(weights, f"weights of {path.name}", ("frame", "column"))
    return weights


def check_frames_folder(target: Path) -> None:
    """SettingsError where frames would take the place of something else."""
    if target.exists() and not target.is_dir():
        raise SettingsError(f"{target} is a file, and frames need a folder.")
    if target.is_dir() and any(not _OURS.fullmatch(entry.name) for entry in target.iterdir()):
        raise SettingsError(f"The folder {target} holds other files than frames.", "Name a new one.")


def _check_pair(skin: CompressedSkin, model: BlendshapeModelData) -> None:
    for what, of_skin, of_model in (
        ("shapes", skin.n_shapes, model.n_blendshapes),
        ("vertices", skin.n_vertices, model.n_vertices),
    ):
        if of_skin != of_model:
            raise ModelError(
                f"The compressed face has {of_skin} {what} and {model.model_name} has {of_model}.",
                "Compress this model, or give the one it was made of.",
            )


def _played(skin: CompressedSkin, coefficients: np.ndarray, progress: Progress) -> Iterator[np.ndarray]:
    """(N, 3) vertices of every frame; the array is overwritten by the next."""
    player = Player(skin)
    for number, row in enumerate(coefficients):
        progress(number / len(coefficients), "frames", f"Frame {number + 1} of {len(coefficients)}")
        yield player.frame(row)


def _write_obj(folder: Path, skin: CompressedSkin, coefficients: np.ndarray, progress: Progress) -> None:
    polygons = obj_faces(skin.faces)
    for number, vertices in enumerate(_played(skin, coefficients, progress)):
        path = folder / f"frame_{number:05d}.obj"
        path.write_text(obj_vertices(vertices) + polygons, encoding="ascii", newline="\n")


def _write_npz(folder: Path, skin: CompressedSkin, coefficients: np.ndarray, progress: Progress) -> None:
    """`vertices` (T, N, 3) float32 and `faces`, frame after frame, so that memory holds one of them."""
    header = {"descr": "<f4", "fortran_order": False, "shape": (len(coefficients), skin.n_vertices, 3)}
    with zipfile.ZipFile(folder / "frames.npz", "w") as archive:
        with archive.open("vertices.npy", "w", force_zip64=True) as stream:
            np.lib.format.write_array_header_1_0(stream, header)
            for vertices in _played(skin, coefficients, progress):
                stream.write(vertices.astype("<f4").tobytes())
        with archive.open("faces.npy", "w") as stream:
            np.lib.format.write_array(stream, skin.faces)
