# SPDX-License-Identifier: GPL-3.0-or-later
"""The Gaussians of one person in one file, `NAME.avatar/splats.npz`: read by numpy alone, without trust."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import LikenessError, SplatError
from ..files import read_npz, write_npz
from ..head import HeadModel
from .bound import LOCAL, BoundGaussians, ExpressionBasis
from .surface import HeadSurface

Array = np.ndarray

SCHEMA = 1
MOST_BYTES = 2 * 2**30
"""Largest unpacked size of a file: three million Gaussians with eight latents are below it."""
MOST_GAUSSIANS = 4_000_000
_MOST_INDEX = 2**31 - 1
_KIND = "splats"
_SURFACE = {"rows": "i", "triangles": "i", "chart": "u", "rest": "f"}
_BASIS = ("mean", "directions", "low", "high")
_GAUSSIANS = ("means", "log_scales", "rotations", "opacity_logits", "sh", "offsets")
_REFINED = "fiu"
_HALVES = ("sh", "offsets")
"""What is kept in float16: an error of 1/2000 of the value is below a step of a picture of 8 bits."""
_HEADER = {"model": str, "model_sha256": str, "avatar_id": str, "name": str, "report": dict}


@dataclass(frozen=True, eq=False)
class SplatAvatar:
    """A head of Gaussians with all that is needed to play it, whatever becomes of the avatar."""

    surface: HeadSurface
    gaussians: BoundGaussians
    model: str
    """Id of the head model."""
    model_sha256: str = ""
    """Of its file; empty for a model made in memory."""
    avatar_id: str = ""
    name: str = ""
    """Name shown to the user."""
    report: dict[str, Any] = field(default_factory=dict)
    """How it was made; plain JSON."""
    refined: Mapping[str, Array] | None = None
    """What training learned besides of the footage, such as poses, by name; numbers."""

    def __post_init__(self) -> None:
        bound = self.gaussians.binding
        if len(bound) and bound[-1] >= len(self.surface):
            raise SplatError(
                f"The Gaussians ride on triangle {bound[-1]}; the surface has {len(self.surface)}.",
                "They belong to another head, or the file is damaged.",
            )

    def require_model(self, model: HeadModel) -> None:
        """SplatError unless the Gaussians were made for this head model, or for one of the same triangles."""
        if self.model == model.name and (self.model_sha256 == model.sha256 or self.rides_on(model)):
            return
        same = self.model == model.name
        which = f"another version of {model.name!r}" if same else f"{self.model!r}, not for {model.name!r}"
        raise SplatError(
            f"The Gaussians {self.name!r} were made for the head model {which}.",
            "Train them again for this avatar.",
        )

    def rides_on(self, model: HeadModel) -> bool:
        """Whether the triangles are those of the model's atlas."""
        from ..head.atlas import load_atlas

        triangles = load_atlas(model).triangles
        return np.array_equal(self.surface.rows[self.surface.triangles], triangles)

    def save(self, path: Path | str) -> None:
        """Write the file, atomically; SplatError where that is not possible."""
        path = Path(path)
        header = {"schema": SCHEMA, "kind": _KIND} | {name: getattr(self, name) for name in _HEADER}
        try:
            arrays = {"header": np.array(json.dumps(header, allow_nan=False))}
            arrays |= {f"surface.{name}": getattr(self.surface, name) for name in _SURFACE}
            arrays |= {f"basis.{name}": getattr(self.gaussians.basis, name) for name in _BASIS}
            arrays |= {name: _compact(name, getattr(self.gaussians, name)) for name in _GAUSSIANS}
            arrays |= {"binding": self.gaussians.binding}
            refined = {f"refined.{name}": np.asarray(a) for name, a in (self.refined or {}).items()}
            arrays |= {name: _numbers(refined, name, _REFINED) for name in refined}
            write_npz(path, arrays)
        except OSError as problem:
            raise SplatError(f"{path} cannot be written: {problem.strerror or problem}.") from problem
        except (ValueError, TypeError) as problem:
            raise SplatError(f"The Gaussians {self.name!r} cannot be saved: {problem}.") from problem

    @classmethod
    def load(cls, path: Path | str) -> SplatAvatar:
        """Read such a file. SplatError names it when it is missing, damaged, of another kind or newer."""
        path = Path(path)
        try:
            arrays = read_npz(path, SplatError, MOST_BYTES)
        except SplatError as problem:
            hint = problem.hint.replace("a backup.", "a backup, or train again.")
            raise SplatError(problem.message, hint) from problem
        with np.errstate(over="ignore"):  # what is too large for float32 becomes infinite and is refused
            return cls._of_arrays(arrays, path)

    @classmethod
    def _of_arrays(cls, arrays: Mapping[str, Array], path: Path) -> SplatAvatar:
        """Out of a file's arrays, all of them checked."""
        try:
            header = _header(arrays, path)
            surface = HeadSurface(*(_numbers(arrays, f"surface.{n}", kind) for n, kind in _SURFACE.items()))
            basis = ExpressionBasis(*(_numbers(arrays, f"basis.{name}") for name in _BASIS))
            binding = _numbers(arrays, "binding", "i")
            if binding.ndim != 1 or len(binding) > MOST_GAUSSIANS:
                raise ValueError(f"the binding has the shape {binding.shape}")
            stored = {name: _numbers(arrays, name) for name in _GAUSSIANS}
            expected = (len(binding), len(basis), LOCAL)
            if stored["offsets"].shape != expected:
                raise ValueError(f"the offsets have the shape {stored['offsets'].shape} and not {expected}")
            gaussians = BoundGaussians(binding, basis=basis, **stored)
            refined = {
                name.removeprefix("refined."): _numbers(arrays, name, _REFINED)
                for name in arrays
                if name.startswith("refined.")
            }
            return cls(surface, gaussians, **header, refined=refined or None)
        except LikenessError as problem:
            if path.name in problem.message:
                raise
            message = f"{path} is damaged: {problem.message.rstrip('.')}."
            raise SplatError(message, "Restore it from a backup, or train again.") from problem
        except ValueError as problem:
            message = f"{path} is damaged: {problem}."
            raise SplatError(message, "Restore it from a backup, or train again.") from problem


def _compact(name: str, array: Array) -> Array:
    """In half the bytes where that is harmless."""
    fits = name in _HALVES and (not array.size or float(np.abs(array).max()) < 6e4)
    return array.astype(np.float16) if fits else array


def _header(arrays: Mapping[str, Array], path: Path) -> dict[str, Any]:
    """The fields of the header; ValueError, or SplatError for a newer file."""
    stored = arrays.get("header")
    if stored is None or stored.dtype.kind != "U" or stored.ndim:
        raise SplatError(f"{path} holds no Gaussians of Likeness.", "Choose the splats.npz of an avatar.")
    try:
        header = json.loads(str(stored))
    except RecursionError as problem:
        raise ValueError("its header is not valid JSON") from problem
    if not isinstance(header, dict) or header.get("kind") != _KIND:
        raise SplatError(f"{path} holds no Gaussians of Likeness.", "Choose the splats.npz of an avatar.")
    if not isinstance(header.get("schema"), int) or header["schema"] > SCHEMA:
        raise SplatError(f"{path} was made by a newer version of Likeness.", "Update the extension.")
    for name, kind in _HEADER.items():
        if not isinstance(header.get(name), kind):
            raise ValueError(f"{name} of its header is not a {kind.__name__}")
    return {name: header[name] for name in _HEADER}


def _numbers(arrays: Mapping[str, Array], name: str, kinds: str = "f") -> Array:
    """An array of the file; ValueError when it is missing or of another kind."""
    if name not in arrays:
        raise ValueError(f"{name} is missing")
    array = arrays[name]
    if array.dtype.kind not in kinds:
        raise ValueError(f"{name} holds {array.dtype} and not numbers of the kind {kinds!r}")
    if kinds in ("i", "u") and array.size and (array.min() < 0 or array.max() > _MOST_INDEX):
        raise ValueError(f"{name} has numbers that count nothing")
    return array
