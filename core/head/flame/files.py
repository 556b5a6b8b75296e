# SPDX-License-Identifier: GPL-3.0-or-later
"""Read FLAME as its authors publish it (.pkl) or as others convert it (.npz), and tell which release it
is.
"""

from __future__ import annotations

import hashlib
import io
import zipfile
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from ...errors import ModelError
from ...unpickle import LARGEST_FILE, load_pickle, read_npy
from .model import EXPRESSIONS, JAW, PARENTS, SHAPES, VARIANTS, VERTICES, FlameModel

Array = np.ndarray

BLINK_FILE, JAW_FILE = "blink_blendshape.npy", "jaw_regressor.npy"
"""CAP4D's two extra arrays, looked for beside the model."""
_KEYS = ("v_template", "shapedirs", "posedirs", "weights", "J_regressor", "f")
_NAMES = {"2020": ("2020", "generic_model"), "2023": ("2023",)}
_DAMAGE = (zipfile.BadZipFile, zlib.error, ValueError, KeyError, EOFError, OSError, NotImplementedError)
_ROOTLESS = (-1, 2**32 - 1, 2**64 - 1)
"""What files write as the parent of the root: -1, often through an unsigned type."""


def read_flame(path: Path, variant: str | None = None) -> FlameModel:
    """A FLAME file. The release is told by content, then by the file's name; `variant` overrides both.

    ModelError in one sentence for a missing, hostile, damaged or other file, and where the release cannot be
    told. CAP4D's blink shape and jaw regressor are taken from the same folder where they are there.
    """
    data = _bytes(path)
    content = read_content(data, path.name)
    missing = [key for key in _KEYS if key not in content]
    if missing:
        raise ModelError(
            f"{path.name} is not a FLAME model: it has no {missing[0]}.",
            "Choose generic_model.pkl, flame2023.pkl, flame2023_no_jaw.pkl or flame2023_Open.pkl.",
        )
    arrays = {key: _array(content, key, path.name) for key in _KEYS}
    if "kintree_table" in content:
        _check_tree(_array(content, "kintree_table", path.name), path.name)
    shapes, expressions = _split(arrays["shapedirs"], path.name)
    model = FlameModel(
        variant=variant or told_variant(content, arrays, path.name),
        template=arrays["v_template"].astype(np.float64),
        shapes=shapes,
        expressions=expressions,
        correctives=np.ascontiguousarray(arrays["posedirs"], np.float32),
        weights=arrays["weights"].astype(np.float64),
        regressor=arrays["J_regressor"].astype(np.float64),
        faces=np.ascontiguousarray(arrays["f"].astype(np.int64), np.int32),
        sha256=hashlib.sha256(data).hexdigest(),
    )
    return model.with_cap4d(_beside(path, BLINK_FILE), _beside(path, JAW_FILE))


def read_content(data: bytes, name: str) -> Mapping[str, Any]:
    """The named values of a pickle or .npz; pickled members go through the restricted unpickler."""
    if data[:4] == b"PK\x03\x04":
        try:
            return _npz(data, name)
        except _DAMAGE as problem:
            raise ModelError(f"{name} is damaged or not a NumPy archive.", "Copy it again.") from problem
    content = load_pickle(data, name)
    if not isinstance(content, dict):
        raise ModelError(f"{name} is a pickle of something else than a head model.")
    return content


def told_variant(content: Mapping[str, Any], arrays: Mapping[str, Array], name: str) -> str:
    """Which release a file is, one of `VARIANTS`; ModelError where nothing tells it.

    Content decides where it differs: only the open release carries its expressions' metadata, and only in
    the release without a jaw nothing hangs on the jaw joint. Otherwise the releases differ in their numbers
    alone, and the name that the file was published under is all there is.
    """
    if "supr_expression_metadata" in content:
        return "2023_open"
    plain = name.lower().replace("-", "_")
    if "no_jaw" in plain or "nojaw" in plain or not np.any(np.abs(arrays["weights"][:, JAW]) > 1e-6):
        return "2023_no_jaw"
    if "open" in plain and "2023" in plain:
        return "2023_open"
    for variant, words in _NAMES.items():
        if any(word in plain for word in words):
            return variant
    raise ModelError(
        f"Nothing in {name} tells which release of FLAME it is.",
        f"Say it with --variant, one of {', '.join(VARIANTS)}.",
    )


def _bytes(path: Path) -> bytes:
    try:
        if path.stat().st_size > LARGEST_FILE:
            raise ModelError(
                f"{path.name} is larger than {LARGEST_FILE >> 20} MB and cannot be a head model."
            )
        return path.read_bytes()
    except OSError as problem:
        raise ModelError(f"{path} cannot be read ({problem.strerror or problem}).") from problem


def _npz(data: bytes, name: str) -> dict[str, Any]:
    content: dict[str, Any] = {}
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        members = archive.infolist()
        if len(members) > 1000 or sum(member.file_size for member in members) > LARGEST_FILE:
            raise ModelError(f"{name} would unpack to more than {LARGEST_FILE >> 20} MB.")
        for member in members:
            content[member.filename.removesuffix(".npy")] = read_npy(archive.read(member), name)
    return content


def _array(content: Mapping[str, Any], key: str, name: str) -> Array:
    array = np.asarray(content[key])
    if array.dtype.kind not in "fiu" or array.size == 0:
        raise ModelError(f"{key} of {name} is no array of numbers.")
    return array


def _check_tree(table: Array, name: str) -> None:
    """The joints' parents must be FLAME's. (Files write the root's parent -1 through an unsigned type.)"""
    if table.shape != (2, len(PARENTS)):
        raise ModelError(
            f"The joints of {name} are not FLAME's: {table.shape} instead of (2, {len(PARENTS)})."
        )
    parents = [-1 if int(p) in _ROOTLESS else int(p) for p in table[0]]
    if tuple(parents) != PARENTS:
        raise ModelError(f"The joints of {name} hang together in another way than FLAME's.")


def _split(directions: Array, name: str) -> tuple[Array, Array]:
    """(300, V, 3) shapes and (100, V, 3) expressions; releases with fewer are refused."""
    wanted = (VERTICES, 3, SHAPES + EXPRESSIONS)
    if directions.shape != wanted:
        raise ModelError(
            f"{name} has shape directions of the form {directions.shape}; {wanted} is expected.",
            "Bring the full model, with 300 shapes and 100 expressions.",
        )
    columns = np.ascontiguousarray(directions.transpose(2, 0, 1), np.float32)
    return columns[:SHAPES], columns[SHAPES:]


def _beside(path: Path, name: str) -> Array | None:
    """An .npy of numbers in the model's folder, or None."""
    file = path.parent / name
    if not file.is_file():
        return None
    try:
        if file.stat().st_size > 4 << 20:
            raise ValueError("it is too large")
        return np.asarray(read_npy(file.read_bytes(), name), np.float32)
    except (*_DAMAGE, TypeError) as problem:
        raise ModelError(f"{name} beside {path.name} cannot be used ({problem}).") from problem
