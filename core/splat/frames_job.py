# SPDX-License-Identifier: GPL-3.0-or-later
"""What Blender asks for when it renders Gaussians: a JOB.npz, read without trust.

    splats        text: path of the avatar's splats.npz, absolute or from the job's folder
    vertices      (T, n, 3) float32: rows of the Gaussians' surface, in any frame that is the head's moved,
                  turned and scaled evenly; the cameras are in the same frame
    latent        (T, R) float32 of the Gaussians' basis; or weights (T, 52)
    T_view_world  (T, 4, 4): that frame to the camera's (x right, y down, z forward)
    fx fy cx cy   (T,) px
    size          (2,) px: width, height
    numbers       (T,) frame numbers, each once
and where wanted: near (T,) least depth that is drawn, compensated (bool), bits (8 or 16 of the pictures) and
name (text that the files begin with, by default "splat").
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import SettingsError, SplatError
from ..files import read_npz, sha256_of
from .pictures import BITS
from .splat_avatar import SplatAvatar
from .view import View

Array = np.ndarray

MOST_BYTES = 8 * 2**30
"""Unpacked: forty thousand frames of a head."""
MOST_FRAMES = 1_000_000
_NAME = re.compile(r"[\w\-][\w\-. ]{0,79}")
_LENS = ("fx", "fy", "cx", "cy")


@dataclass(frozen=True, eq=False)
class FramesJob:
    """T frames of one avatar's Gaussians."""

    splats: SplatAvatar
    digest: str
    """SHA-256 of the file of the Gaussians."""
    name: str
    numbers: Array
    """(T,) int64."""
    vertices: Array
    """(T, n, 3) float32."""
    latent: Array
    """(T, R) float32."""
    cameras: Array
    """(T, 4, 4) float64."""
    lenses: Array
    """(T, 5) float64: fx, fy, cx, cy in px, near in units of the frame."""
    size: tuple[int, int]
    compensated: bool
    bits: int

    def __len__(self) -> int:
        return len(self.numbers)

    def view(self, row: int) -> View:
        """The camera of one frame."""
        fx, fy, cx, cy, near = self.lenses[row].tolist()
        return View(*self.size, fx, fy, cx, cy, self.cameras[row], near)

    def stem(self, row: int) -> str:
        """What the files of a frame begin with."""
        return f"{self.name}_{self.numbers[row]:05d}"

    def fingerprint(self, row: int) -> str:
        """Of everything that a frame's picture depends on."""
        found = hashlib.sha256(self.digest.encode())
        for array in (self.vertices[row], self.latent[row], self.cameras[row], self.lenses[row]):
            found.update(np.ascontiguousarray(array).tobytes())
        found.update(f"{self.size} {self.compensated} {self.bits}".encode())
        return found.hexdigest()


def read_job(path: Path) -> FramesJob:
    """The job of a file. SplatError in one sentence for a damaged one, SettingsError for what it asks and
    cannot be had.
    """
    arrays = read_npz(path, SplatError, MOST_BYTES)
    try:
        return _job(path, arrays)
    except KeyError as problem:
        raise SplatError(f"{path.name} is no job for frames: it has no {problem.args[0]!r}.") from None
    except (ValueError, TypeError, OverflowError) as problem:
        raise SplatError(f"{path.name} is no job for frames that can be used: {problem}.") from None


def _job(path: Path, arrays: Mapping[str, Any]) -> FramesJob:
    if "ortho_scale" in arrays or bool(np.any(arrays.get("orthographic", False))):
        raise SettingsError(
            "Gaussians cannot be drawn through an orthographic camera.", "Set the camera to Perspective."
        )
    source = path.parent / _text(arrays["splats"], "splats")
    numbers = _array(arrays, "numbers", (None,), "iu").astype(np.int64)
    count = len(numbers)
    if not 1 <= count <= MOST_FRAMES or len(np.unique(numbers)) < count:
        raise ValueError("its frames are not numbered one by one")
    splats = SplatAvatar.load(source)
    rows = len(splats.surface.rows)
    lens = [_array(arrays, key, (count,)) for key in _LENS]
    lens.append(_array(arrays, "near", (count,)) if "near" in arrays else np.full(count, 0.01))
    width, height = _array(arrays, "size", (2,), "iu").tolist()
    bits = int(np.asarray(arrays.get("bits", 8)).reshape(()))
    name = _text(arrays.get("name", np.array("splat")), "name")
    if bits not in BITS or not _NAME.fullmatch(name):
        raise ValueError(f"pictures of {bits} bits named {name!r} cannot be written")
    job = FramesJob(
        splats,
        sha256_of(source),
        name,
        numbers,
        _array(arrays, "vertices", (count, rows, 3)).astype(np.float32),
        _latent(splats, arrays, count),
        _array(arrays, "T_view_world", (count, 4, 4)).astype(np.float64),
        np.stack(lens, axis=1).astype(np.float64),
        (width, height),
        bool(np.any(arrays.get("compensated", False))),
        bits,
    )
    for row in range(count):
        job.view(row)  # each must be a camera, before the first is drawn
    return job


def _latent(splats: SplatAvatar, arrays: Mapping[str, Any], count: int) -> Array:
    """(T, R) float32."""
    basis = splats.gaussians.basis
    if "latent" in arrays:
        return _array(arrays, "latent", (count, len(basis))).astype(np.float32)
    if "weights" not in arrays:
        raise KeyError("latent")
    return basis.latent(_array(arrays, "weights", (count, basis.directions.shape[1])))


def _array(arrays: Mapping[str, Any], name: str, shape: tuple[int | None, ...], kinds: str = "fiu") -> Array:
    array = np.asarray(arrays[name])
    fits = array.ndim == len(shape) and all(
        want in (None, have) for want, have in zip(shape, array.shape, strict=True)
    )
    if not fits or array.dtype.kind not in kinds:
        raise ValueError(f"{name} has the shape {array.shape} of {array.dtype}; {shape} was expected")
    if array.dtype.kind == "f" and not np.isfinite(array).all():
        raise ValueError(f"{name} has values that are not finite")
    return array


def _text(value: Any, name: str) -> str:
    array = np.asarray(value)
    if array.shape not in ((), (1,)) or array.dtype.kind != "U":
        raise ValueError(f"{name} is no text")
    return str(array.reshape(())[()])
