# SPDX-License-Identifier: GPL-3.0-or-later
"""Pairs of scores and FLAME parameters of the same frames, from the user's own tracking.

- .npz: `scores` (N, 52) (or `blendshapes`, `blendshape_scores`), `expression` (N, E) (or `expr`, `exp`), and
  where there are any `jaw` (N, 3) (or `jaw_pose`; `pose` (N, 6) with the jaw in its last three columns) and
  `eyes` (N, 6) (or `eye_pose`); `names` of the scores' columns;
- a folder of .npy files as PeizhiYan/mediapipe-blendshapes-to-flame gathers them: `data_blendshapes.npy`,
  `data_exp.npy`, `data_jaw_pose.npy` or `data_pose.npy`, `data_eye_pose.npy`;
- .csv: a header with ARKit names (any dialect), `expression_0` ..., and where there are any `jaw_x` ... and
  `eye_left_x` ... columns; other columns are left out.

Scores without names are in mediapipe's order when the source says nothing else.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ...arkit import canonical_name
from ...errors import SettingsError
from ...files import read_npz
from .mapping import MAX_EXPRESSIONS
from .names import EYE_NAMES, JAW_NAMES, MEDIAPIPE_NAMES, NEUTRAL, known_order
from .published import read_array

Array = np.ndarray

MOST_PAIRS = 2_000_000
_LARGEST = 2 * 2**30
_LARGEST_CSV = 512 * 2**20
_ALIASES = {
    "scores": ("scores", "blendshapes", "blendshape_scores", "data_blendshapes", "weights"),
    "expression": ("expression", "expr", "exp", "data_exp", "flame.expression", "flame.expr"),
    "jaw": ("jaw", "jaw_pose", "data_jaw_pose", "flame.jaw"),
    "pose": ("pose", "data_pose"),
    "eyes": ("eyes", "eye_pose", "eyes_pose", "data_eye_pose", "flame.eyes"),
}
_EXPRESSION_COLUMN = re.compile(r"(?:expression|expr|exp)[_ .-]?(\d{1,4})", re.IGNORECASE)


@dataclass(frozen=True)
class Pairs:
    """N frames of both. A wrong array is a SettingsError."""

    names: tuple[str, ...]
    """(S,) columns of `scores`, ARKit's spelling."""
    scores: Array
    """(N, S) float64."""
    expression: Array
    """(N, E) float64."""
    jaw: Array
    """(N, 3) float64 rotation vectors; zero where the source has none."""
    eyes: Array
    """(N, 6) float64 rotation vectors, left then right; zero where the source has none."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "names", known_order(self.names))
        count = len(np.atleast_1d(self.scores))
        if not 2 <= count <= MOST_PAIRS:
            raise SettingsError(f"There are {count} pairs; 2 to {MOST_PAIRS} are possible.")
        self._check("scores", (count, len(self.names)))
        self._check("jaw", (count, 3))
        self._check("eyes", (count, 6))
        columns = np.shape(self.expression)[1] if np.ndim(self.expression) == 2 else -1
        self._check("expression", (count, columns))
        if not 1 <= columns <= MAX_EXPRESSIONS:
            raise SettingsError(
                f"There are {columns} expression coefficients; 1 to {MAX_EXPRESSIONS} are possible."
            )

    def _check(self, name: str, shape: tuple[int, int]) -> None:
        value = np.asarray(getattr(self, name))
        if value.shape != shape or value.dtype.kind not in "fiu" or not np.all(np.isfinite(value)):
            raise SettingsError(
                f"The {name} of the pairs have shape {value.shape}; finite {shape} are expected."
            )
        object.__setattr__(self, name, value.astype(np.float64))

    @property
    def targets(self) -> Array:
        """(N, E + 9): expression, jaw, eyes."""
        return np.concatenate([self.expression, self.jaw, self.eyes], axis=1)


def read_pairs(path: Path, names: Sequence[str] | None = None) -> Pairs:
    """Pairs out of an .npz, a folder of .npy files or a .csv (see the top of this file).

    `names`: order of the scores' columns where the source does not say it, mediapipe's by default.
    SettingsError names what is missing, of another shape or not a number.
    """
    path = Path(path)
    if path.suffix.lower() == ".csv":
        return _from_table(path)
    if path.is_dir():
        known = {alias for aliases in _ALIASES.values() for alias in aliases}
        found = {p.stem: p for p in sorted(path.glob("*.npy")) if p.stem in known}
        return _from_arrays(path, {k: read_array(p, _LARGEST) for k, p in found.items()}, names)
    return _from_arrays(path, read_npz(path, SettingsError, _LARGEST), names)


def _from_arrays(path: Path, arrays: Mapping[str, Array], names: Sequence[str] | None) -> Pairs:
    found = {}
    for name, aliases in _ALIASES.items():
        values = [_squeezed(arrays[alias]) for alias in aliases if alias in arrays]
        if values:
            found[name] = values[0]
    missing = [name for name in ("scores", "expression") if name not in found]
    if missing:
        raise SettingsError(
            f"{path.name} has no array named {missing[0]!r}.", f"Known names: {_ALIASES[missing[0]]}."
        )
    if "jaw" not in found and "pose" in found:
        found["jaw"] = found["pose"][..., 3:]
    count = len(found["scores"]) if found["scores"].ndim else 0
    if "names" in arrays:
        names = tuple(str(name) for name in np.ravel(arrays["names"])[:200])
    jaw, eyes = (found.get(name, np.zeros((count, size))) for name, size in (("jaw", 3), ("eyes", 6)))
    return Pairs(tuple(names or MEDIAPIPE_NAMES), found["scores"], found["expression"], jaw, eyes)


def _squeezed(array: Array) -> Array:
    """(N, 1, C) as (N, C): trackers keep an axis for the batch."""
    return array[:, 0] if array.ndim == 3 and array.shape[1] == 1 else array


def _from_table(path: Path) -> Pairs:
    header, values = _table(path)
    places: dict[str, int] = {}
    for column, cell in enumerate(header):
        name = _column_name(cell)
        if name in places:
            raise SettingsError(f"{path.name} has two columns for {name}.", "Keep one of them.")
        if name:
            places[name] = column
    scores = tuple(name for name in places if name == NEUTRAL or canonical_name(name) == name)
    expression = sorted(name for name in places if name.startswith("expression_"))
    if not scores or not expression:
        raise SettingsError(
            f"{path.name} needs columns of scores and of expression coefficients.",
            "Name them as ARKit does, and expression_0, expression_1, ...",
        )
    if int(expression[-1][-4:]) != len(expression) - 1:
        raise SettingsError(f"{path.name} leaves out an expression column before {expression[-1]}.")

    def taken(wanted: Sequence[str]) -> Array:
        return np.stack(
            [values[:, places[n]] if n in places else np.zeros(len(values)) for n in wanted], axis=1
        )

    return Pairs(scores, taken(scores), taken(expression), taken(JAW_NAMES), taken(EYE_NAMES))


def _column_name(cell: str) -> str:
    """What a column holds in our words, or an empty string."""
    plain = cell.strip().strip('"').strip()
    expression = _EXPRESSION_COLUMN.fullmatch(plain)
    if expression:
        return f"expression_{int(expression[1]):04d}"
    if plain.lower() in (*JAW_NAMES, *EYE_NAMES, NEUTRAL):
        return plain.lower()
    return canonical_name(plain) or ""


def _table(path: Path) -> tuple[list[str], Array]:
    """The header and the numbers (rows, columns) of a .csv; cells that are no number become NaN."""
    try:
        if path.stat().st_size > _LARGEST_CSV:
            raise SettingsError(f"{path.name} is larger than {_LARGEST_CSV // 2**20} MB.")
        text = path.read_text(encoding="utf-8-sig", errors="replace")
    except OSError as problem:
        raise SettingsError(f"{path} cannot be read: {problem.strerror or problem}.") from problem
    try:
        rows = [row for row in csv.reader(io.StringIO(text)) if row]
    except csv.Error as problem:
        raise SettingsError(f"{path.name} is not a table: {problem}.") from problem
    if len(rows) < 3 or len(rows) > MOST_PAIRS or any(len(row) != len(rows[0]) for row in rows):
        raise SettingsError(f"{path.name} is not a table with a header and rows of equal length.")
    return rows[0], np.array([[_number(cell) for cell in row] for row in rows[1:]])


def _number(cell: str) -> float:
    try:
        return float(cell)
    except ValueError:
        return float("nan")
