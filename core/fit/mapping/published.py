# SPDX-License-Identifier: GPL-3.0-or-later
"""Reads the files of the public project PeizhiYan/mediapipe-blendshapes-to-flame, where the user brings them.

Only formats are taken, from its sources at commits 0bcc6ec and bb3d2be (the files are for research only and
are never shipped). A folder `mappings` holds float arrays, scores (rows, in mediapipe's order with `_neutral`
first) times coefficients (columns), without a bias:

- `bs2exp.npy` (52, E), E = 50 in the first release and 100 later: FLAME 2020 expression;
- `bs2jaw.npy` (52, 3), the jaw's rotation vector; or, before that, `bs2pose.npy` (52, 6), of which the first
  three columns turn the head and were to be set to zero, and the last three are the jaw;
- `bs2eye.npy` (52, 6): rotation vectors of the left and right eye.
"""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np

from ...errors import SettingsError
from .mapping import MAX_EXPRESSIONS, Mapping
from .names import MEDIAPIPE_NAMES

Array = np.ndarray

SOURCE = "github.com/PeizhiYan/mediapipe-blendshapes-to-flame"
VARIANT = "2020"
"""Its authors track with FLAME 2020; the tag is that of `core.head.flame`."""
_LARGEST_FILE = 16 * 2**20


def read_published(folder: Path) -> Mapping:
    """The mapping of a folder with bs2exp.npy, bs2jaw.npy or bs2pose.npy, and bs2eye.npy.

    SettingsError names the file that is missing, is no plain array or has another shape.
    """
    folder = Path(folder)
    count = len(MEDIAPIPE_NAMES)
    expression = _matrix(folder / "bs2exp.npy", count, range(1, MAX_EXPRESSIONS + 1))
    if (folder / "bs2jaw.npy").is_file():
        jaw = _matrix(folder / "bs2jaw.npy", count, (3,))
    else:
        jaw = _matrix(folder / "bs2pose.npy", count, (6,))[:, 3:]
    eyes = _matrix(folder / "bs2eye.npy", count, (6,))
    matrix = np.concatenate([expression, jaw, eyes], axis=1)
    provenance = {"source": SOURCE, "method": "published linear mapping", "files": folder.name}
    return Mapping.linear(MEDIAPIPE_NAMES, matrix, variant=VARIANT, provenance=provenance)


def read_array(path: Path, limit: int) -> Array:
    """One .npy of numbers, never a pickled object; SettingsError for whatever is not that."""
    try:
        if path.stat().st_size > limit:
            raise SettingsError(
                f"{path.name} is larger than {limit // 2**20} MB and cannot be what its name says."
            )
        array = np.load(io.BytesIO(path.read_bytes()), allow_pickle=False)
    except FileNotFoundError:
        raise SettingsError(f"{path.name} is missing in {path.parent}.") from None
    except OSError as problem:
        raise SettingsError(f"{path} cannot be read: {problem.strerror or problem}.") from problem
    except (ValueError, EOFError, TypeError, SyntaxError, MemoryError) as problem:
        raise SettingsError(f"{path} is not a plain NumPy array.") from problem
    if not isinstance(array, np.ndarray) or array.dtype.kind not in "fiu" or not np.all(np.isfinite(array)):
        raise SettingsError(f"{path} does not hold finite numbers only.")
    return array


def _matrix(path: Path, rows: int, columns: range | tuple[int, ...]) -> Array:
    array = read_array(path, _LARGEST_FILE)
    if array.ndim != 2 or len(array) != rows or array.shape[1] not in columns:
        wanted = columns[0] if len(columns) == 1 else f"1 to {columns[-1]}"
        raise SettingsError(f"{path} has shape {array.shape}; ({rows}, {wanted}) is expected.")
    return array.astype(np.float64)
