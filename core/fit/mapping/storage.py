# SPDX-License-Identifier: GPL-3.0-or-later
"""Mappings as files: an .npz of plain arrays with a JSON header."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

from ...errors import SettingsError
from ...files import read_npz, write_npz
from .mapping import Mapping, checked_layer

KIND = "scores to flame"
SCHEMA = 1
LIMIT = 256 * 2**20
"""Bytes unpacked: a network of the largest size is below."""


def save_mapping(mapping: Mapping, path: Path) -> None:
    """Write beside `path` and rename; SettingsError where that is impossible."""
    header = {
        "kind": KIND,
        "schema": SCHEMA,
        "names": list(mapping.names),
        "variant": mapping.variant,
        "provenance": dict(mapping.provenance),
        "layers": len(mapping.layers),
    }
    arrays = {"header": np.array(json.dumps(header))}
    for number, layer in enumerate(mapping.layers):
        arrays[f"weight{number}"], arrays[f"bias{number}"] = layer.weight, layer.bias
    try:
        write_npz(path, arrays)
    except OSError as problem:
        reason = problem.strerror or problem
        raise SettingsError(f"The mapping cannot be written to {path}: {reason}.") from problem


def load_mapping(path: Path) -> Mapping:
    """Read what `save_mapping` wrote; SettingsError names the file and what is wrong with it."""
    arrays = read_npz(path, SettingsError, limit=LIMIT)
    header = _header(path, arrays)
    try:
        layers = tuple(
            checked_layer(arrays[f"weight{i}"], arrays[f"bias{i}"], f"layer {i}")
            for i in range(min(int(header["layers"]), 1000))
        )
        provenance = {str(key): str(value) for key, value in dict(header["provenance"]).items()}
        names = tuple(str(name) for name in header["names"])
        return Mapping(names, layers, str(header["variant"]), provenance)
    except (SettingsError, KeyError, ValueError, TypeError, OverflowError) as problem:
        raise SettingsError(f"{path} is not a usable mapping: {problem}.", "Make it again.") from problem


def _header(path: Path, arrays: dict[str, np.ndarray]) -> dict[str, Any]:
    try:
        header = json.loads(str(arrays["header"]))
        if header["kind"] != KIND:
            raise ValueError(header["kind"])
        newer = int(header["schema"]) > SCHEMA
    except (KeyError, ValueError, TypeError, RecursionError):
        raise SettingsError(
            f"{path} is not a mapping from scores to FLAME.",
            "Make one with: python -m core map derive, or map fit.",
        ) from None
    if newer:
        raise SettingsError(f"{path} was made by a newer version of Likeness.", "Update to open it.")
    return header
