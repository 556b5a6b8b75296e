# SPDX-License-Identifier: GPL-3.0-or-later
"""Models that the benches of compressed skinning solve, and performances that no solver sees.

`aura_avg` and `synthface` lie in ../shared. `aura_avg` has a published head's topology, but its shapes are
the mean of two published fits, so it is smoother than that head and easier; its figures are not that head's.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np

from core.head import load_model
from core.skin.measure import laplacian_pairs
from core.skin.model_data import BlendshapeModelData
from core.skin.problem import Problem
from core.skin.rig_logic import compute_rig_logic

Array = np.ndarray

DATA = Path(__file__).resolve().parents[3] / "shared" / "data" / "compskin"
STORED = {"aura_avg": "aura_avg_fastref_result.npz", "synthface": "synthface_ref_result.npz"}
"""What the published algorithm gave after 2 x 10000 iterations, the first by an equivalent program."""
NAMES = ("aura_avg", "synthface", "aura_finer", "double")
FINER_SHAPES = 287
CONTROLS = 72
"""Columns of test_anim that are controls; the others are another head's in-betweens and combinations."""


@dataclass(frozen=True)
class Subject:
    """A model with dense shapes."""

    name: str
    rest: Array
    """(N, 3) float32, model units."""
    deltas: Array
    """(S, N, 3) float32."""
    faces: Array
    """(F, k) int32, padded with -1."""
    mm: float
    """Millimetres of a unit."""

    def problem(self) -> Problem:
        """What the solvers get."""
        rest = self.rest.astype(np.float64)
        shapes, n = self.deltas.shape[:2]
        flat = np.ascontiguousarray(self.deltas.transpose(0, 2, 1), np.float32).reshape(3 * shapes, n)
        return Problem(rest - rest.mean(axis=0), flat, laplacian_pairs(self.faces))


def here() -> bool:
    """Whether the shared data is at hand."""
    return DATA.is_dir()


def read(name: str) -> BlendshapeModelData:
    """A model of the shared data."""
    return BlendshapeModelData.from_npz(DATA / f"{name}.npz")


@lru_cache(maxsize=2)
def subject(name: str) -> Subject:
    """One of `NAMES`."""
    if name == "double":
        return double()
    model = read("aura_avg" if name == "aura_finer" else name)
    found = Subject(name, model.rest_verts, model.deltas, model.rest_faces, 10.0)
    return finer(found) if name == "aura_finer" else found


def double() -> Subject:
    """Our body's default person with its 52 expressions, every vertex of it; metres."""
    model = load_model("anny")
    rest = model.rest(model.identity_coefficients()).vertices
    deltas = np.zeros((model.expression.count, *rest.shape), np.float32)
    deltas[:, model.expression.rows] = model.expression.matrix
    return Subject("double", rest.astype(np.float32), deltas, model.faces.astype(np.int32), 1000.0)


def finer(coarse: Subject, count: int = FINER_SHAPES) -> Subject:
    """Every quad cut in four; mixtures of two shapes under a mask until there are `count` shapes."""
    averages, faces = cuts(coarse.faces, len(coarse.rest))
    rest = averages @ coarse.rest
    shapes = len(coarse.deltas)
    deltas = np.empty((count, len(rest), 3), np.float32)
    for index in range(shapes):
        deltas[index] = averages @ coarse.deltas[index]
    rng = np.random.default_rng(5)
    for index in range(shapes, count):
        a, b = rng.choice(shapes, 2, replace=False)
        mask = 0.5 + 0.5 * np.sin(rest @ rng.normal(0, 0.3, 3) + rng.uniform(0, 6.28))
        deltas[index] = mask[:, None] * deltas[a] + (1 - mask[:, None]) * deltas[b]
    return Subject("aura_finer", rest.astype(np.float32), deltas, faces, coarse.mm)


def cuts(faces: Array, n: int):
    """Averages (n', n) that add the middles of edges and quads (F, 4) to n vertices; the quads (4F, 4)."""
    from scipy import sparse

    ends = np.sort(np.stack([faces, np.roll(faces, -1, axis=1)], axis=2).reshape(-1, 2), axis=1)
    edges, which = np.unique(ends, axis=0, return_inverse=True)
    middles = n + which.reshape(-1, 4)
    centres = (n + len(edges) + np.arange(len(faces)))[:, None]
    quads = [np.hstack([faces[:, [i]], middles[:, [i]], centres, middles[:, [i - 1]]]) for i in range(4)]
    parts = [sparse.identity(n, "float32", "csr"), mean_of(edges, n), mean_of(faces, n)]
    return sparse.vstack(parts).tocsr(), np.concatenate(quads).astype(np.int32)


def mean_of(rows: Array, n: int):
    """(R, n) sparse: the mean of the k vertices of each row of `rows` (R, k)."""
    from scipy import sparse

    count, size = rows.shape
    values = np.full(rows.size, 1.0 / size, np.float32)
    return sparse.csr_matrix((values, rows.ravel(), np.arange(0, rows.size + 1, size)), shape=(count, n))


def performances(name: str) -> dict[str, Array]:
    """Coefficients (T, S) of animations that were not fitted, by name."""
    if name == "synthface":
        model = read(name)
        controls = np.load(DATA / "synthface_anim.npz")["weights"].astype(np.float32)
        return {"anim": compute_rig_logic(controls, model.inbetween_info, model.combination_info)}
    if name == "aura_avg":
        return aura_performances(len(read(name).deltas))
    return {}


def aura_performances(shapes: int) -> dict[str, Array]:
    """The published test performance on aura_avg, whose own rig was never published.

    `controls`: the 72 controls alone, which are its first 72 shapes. `all`: the other 195 shapes too, moved
    by the 181 in-betweens and combinations that another head of that rig made of the same performance: as
    many shapes, as strongly and as often, though not the ones that belong to each other.
    """
    weights = np.load(DATA / "test_anim.npz")["weights"].astype(np.float32)
    everything = np.zeros((len(weights), shapes), np.float32)
    everything[:, : weights.shape[1]] = weights[:, :shapes]
    controls = everything.copy()
    controls[:, CONTROLS:] = 0
    return {"controls": controls, "all": everything}
