# SPDX-License-Identifier: GPL-3.0-or-later
"""Still Gaussians by the ending of the file's name: one function to read and one to write."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from ...errors import SplatError
from ..gaussians import Gaussians
from .gltf import read_gltf, write_gltf
from .splat_ply import read_splat_ply, write_splat_ply
from .spz import read_spz, write_spz

_FORMATS: dict[str, tuple[Callable[[Path], Gaussians], Callable[[Path, Gaussians], None]]] = {
    ".ply": (read_splat_ply, write_splat_ply),
    ".spz": (read_spz, write_spz),
    ".glb": (read_gltf, write_gltf),
}
ENDINGS = tuple(_FORMATS)
"""Of the files that can be read and written."""


def read_splats(path: Path) -> Gaussians:
    """Gaussians of a file, in the frame of the head; LikenessError in one sentence where it has none."""
    return _format(path)[0](path)


def write_splats(path: Path, gaussians: Gaussians) -> None:
    """Write Gaussians in the frame of the head in the format that the name asks for, atomically."""
    _format(path)[1](path, gaussians)


def _format(path: Path) -> tuple[Callable[[Path], Gaussians], Callable[[Path, Gaussians], None]]:
    ending = path.suffix.lower()
    if ending not in _FORMATS:
        raise SplatError(f"{path.name} is of no known format.", f"Name it with {', '.join(ENDINGS)}.")
    return _FORMATS[ending]
