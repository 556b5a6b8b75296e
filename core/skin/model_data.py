# SPDX-License-Identifier: GPL-3.0-or-later
"""A face as a rest mesh and dense shapes, with the rig that drives them: what is to be compressed.

The .npz of the published models holds `deltas`, `rest_verts`, `rest_faces` and, as pickled dicts,
`inbetween_info` and `combination_info`. Ours holds the same, the tables as JSON text, and `shape_names`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import ModelError, SettingsError
from ..files import write_npz
from .checks import (
    faces_array,
    finite,
    names_tuple,
    numbers,
    read_members,
    require,
    short_enough,
    single,
    text_of,
)
from .rig_logic import COUNT
from .rig_tables import checked_tables, table_of_text, table_text

NOUN = "blendshape model"
_TABLES = ("inbetween_info", "combination_info")


@dataclass(frozen=True, eq=False)
class BlendshapeModelData:
    """Shapes in the order of the rig's outputs: controls, then in-betweens, then combinations.

    Lengths are in the model's own unit. Made by the class methods, which check all of it.
    """

    deltas: np.ndarray
    """(S, N, 3) float32: a shape minus the rest."""
    rest_verts: np.ndarray
    """(N, 3) float32"""
    rest_faces: np.ndarray
    """(F, k) int32, k >= 3; shorter polygons end in -1."""
    inbetween_info: dict[Any, Any]
    combination_info: dict[Any, Any]
    model_name: str
    alpha: float | None = None
    """Weight of the Laplacian term in the fit, None for the solver's own choice."""
    shape_names: tuple[str, ...] = ()

    @classmethod
    def from_npz(cls, path: Path | str, alpha: float | None = None) -> BlendshapeModelData:
        """A published model or one of ours. ModelError in one sentence for anything else."""
        path = Path(path)
        members = read_members(path, NOUN)
        require(members, ("deltas", "rest_verts", "rest_faces"), path.name, NOUN)
        tables = [_table(members, kind, path.name) for kind in _TABLES]
        return cls.from_arrays(
            members["deltas"],
            members["rest_verts"],
            members["rest_faces"],
            *tables,
            model_name=text_of(members, "model_name") or path.stem,
            alpha=alpha,
            shape_names=members.get("shape_names", ()),
            source=path.name,
        )

    @classmethod
    def from_arrays(
        cls,
        deltas: Any,
        rest_verts: Any,
        rest_faces: Any,
        inbetween_info: Mapping[Any, Any] | None = None,
        combination_info: Mapping[Any, Any] | None = None,
        model_name: str = "model",
        alpha: float | None = None,
        shape_names: Sequence[str] = (),
        source: str = "The model",
    ) -> BlendshapeModelData:
        """Arrays of any numeric type; ModelError, with `source`, says what of them cannot be."""
        rest = single(numbers(rest_verts, (None, 3), f"rest_verts of {source}"))
        shapes = single(numbers(deltas, (None, len(rest), 3), f"deltas of {source}"))
        if not shapes.size:
            raise ModelError(f"{source} is empty: it has {len(rest)} vertices and {len(shapes)} shapes.")
        finite(rest, f"rest_verts of {source}", ("vertex",))
        names = names_tuple(shape_names, len(shapes), f"shape_names of {source}")
        _finite_shapes(shapes, names, source)
        short_enough(rest, f"rest_verts of {source}")
        short_enough(shapes, f"deltas of {source}")
        if alpha is not None and not (np.isfinite(alpha) and alpha >= 0):
            raise SettingsError(f"alpha is {alpha}, and must be a number that is not negative.")
        tables = checked_tables(inbetween_info, combination_info, len(shapes), source)
        faces = faces_array(rest_faces, len(rest), f"rest_faces of {source}")
        return cls(shapes, rest, faces, *tables, model_name, alpha, names)

    @classmethod
    def from_obj_files(
        cls,
        rest_obj_path: Path | str,
        blendshape_paths: Sequence[Path | str],
        model_name: str | None = None,
        alpha: float | None = None,
    ) -> BlendshapeModelData:
        """A rest and one OBJ file for each shape, all of one mesh; it has no rig tables.

        The model is called as the rest's file, the shapes as theirs.
        """
        from .model_file import model_of_obj_files

        rest = Path(rest_obj_path)
        return model_of_obj_files(
            rest, [Path(path) for path in blendshape_paths], model_name or rest.stem, alpha
        )

    @property
    def n_blendshapes(self) -> int:
        """S, all shapes."""
        return self.deltas.shape[0]

    @property
    def n_vertices(self) -> int:
        """N"""
        return self.rest_verts.shape[0]

    @property
    def n_faces(self) -> int:
        """F"""
        return self.rest_faces.shape[0]

    @property
    def n_controls(self) -> int:
        """C, the shapes that are neither in-betweens nor combinations."""
        added = self.inbetween_info.get(COUNT, 0) + self.combination_info.get(COUNT, 0)
        return self.n_blendshapes - added

    @property
    def names(self) -> tuple[str, ...]:
        """A name for every shape, by number where the model has none."""
        return self.shape_names or tuple(f"shape_{k:03d}" for k in range(self.n_blendshapes))

    def save(self, path: Path | str) -> None:
        """Write our .npz, which holds no pickle."""
        arrays = {
            "deltas": self.deltas,
            "rest_verts": self.rest_verts,
            "rest_faces": self.rest_faces,
            "inbetween_info": table_text(self.inbetween_info),
            "combination_info": table_text(self.combination_info),
            "model_name": np.array(self.model_name),
        }
        if self.shape_names:
            arrays["shape_names"] = np.array(self.shape_names)
        write_npz(Path(path), arrays)

    def details(self) -> list[str]:
        """What is in it, in lines for a person."""
        between, combined = (table.get(COUNT, 0) for table in (self.inbetween_info, self.combination_info))
        added = f"{between} in-betweens, {combined} combinations"
        sizes = sorted({int(n) for n in (self.rest_faces >= 0).sum(axis=1)})
        corners = f" of {' and '.join(map(str, sizes))} corners" if sizes else ""
        return [
            f"{self.model_name}: {self.n_vertices} vertices, {self.n_faces} polygons{corners}",
            f"  {self.n_blendshapes} shapes: {self.n_controls} controls, {added}",
            f"  largest motion {np.abs(self.deltas).max():.4g} in the model's unit",
        ]

    def print_details(self) -> None:
        """Print what is in it."""
        print("\n".join(self.details()))  # noqa: T201  what the published API does


def _table(members: Mapping[str, Any], kind: str, name: str) -> Any:
    """A rig table: text in our files, a dict of the unpickler in published ones, None where there is none."""
    text = text_of(members, kind)
    return members.get(kind) if text is None else table_of_text(text, kind, name)


def _finite_shapes(deltas: np.ndarray, names: Sequence[str], source: str) -> None:
    """ModelError that names the shape and the vertex of the first value that is no number."""
    # A sum is infinite or no number where a part is, and needs no array of truths; it may also overflow.
    with np.errstate(over="ignore", invalid="ignore"):
        suspect = np.flatnonzero(~np.isfinite([shape.sum(dtype=np.float64) for shape in deltas]))
    for k in suspect:
        bad = np.flatnonzero(~np.isfinite(deltas[k]).all(axis=1))
        name = f" ({names[k]})" if len(names) else ""
        raise ModelError(
            f"deltas of {source} has a value that is no finite number, in shape {k}{name} at vertex {bad[0]}."
        )
