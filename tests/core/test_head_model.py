# SPDX-License-Identifier: GPL-3.0-or-later
"""The compiled head model: laws of its forward pass, and its behaviour on damaged files."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path

import numpy as np
import pytest

from core.arkit import ARKIT_NAMES
from core.errors import ModelError
from core.head import load_model, model_path
from core.head.basis import DenseBasis, MirrorBasis, SparseBasis, StackedBasis
from core.head.derived import affine_weights
from core.head.eyes import fit_eyeball
from core.head.phenotype import PHENOTYPES, variation_weights
from core.head.skinning import joint_transforms, rest_rotations, skin
from core.rotation import to_matrix

RNG = np.random.default_rng(7)


@pytest.fixture(scope="module")
def model():
    return load_model("anny")


@pytest.fixture(scope="module")
def adult(model):
    return model.rest(model.identity_coefficients({"gender": 1.0}))


def random_rotation() -> np.ndarray:
    quaternion = RNG.normal(size=4)
    return to_matrix(quaternion / np.linalg.norm(quaternion))


def test_it_has_all_the_parts_a_face_needs(model):
    needed = (
        {"body", "tongue", "tights", "skirt", "hair"}
        | {f"{part}_{side}" for part in ("eye", "cornea", "lashes", "tear") for side in ("left", "right")}
        | {f"{part}_{jaw}" for part in ("teeth", "gums") for jaw in ("upper", "lower")}
    )
    assert needed <= set(model.part_names)
    assert model.expression_names[:52] == ARKIT_NAMES


def test_every_surface_vertex_is_used_and_faces_are_whole(model):
    used = np.unique(model.faces)
    used = used[used >= 0]
    assert np.array_equal(used, np.arange(model.mesh_vertex_count))
    for corner in range(3):
        assert np.all(model.faces[:, corner] >= 0)


def test_closed_parts_face_outwards(model, adult):
    for part in ("eye_left", "eye_right", "cornea_left", "teeth_upper", "teeth_lower"):
        faces = model.faces[model.part_faces(part)]
        quads = faces[faces[:, 3] >= 0]
        points = adult.vertices[quads].astype(np.float64)
        middle = points.reshape(-1, 3).mean(axis=0)
        normal = np.cross(points[:, 2] - points[:, 0], points[:, 3] - points[:, 1])
        volume = np.einsum("ij,ij->", points.mean(axis=1) - middle, normal)
        assert volume > 0, part


@pytest.mark.parametrize("part", ["gums_upper", "gums_lower", "tear_left", "tear_right", "body"])
def test_open_parts_face_the_viewer(model, adult, part):
    quads = model.faces[model.part_faces(part)]
    points = adult.vertices[quads].astype(np.float64)
    front = points[:, :, 2].mean(axis=1) > points[..., 2].max() - 0.004
    normal = np.cross(points[:, 2] - points[:, 0], points[:, 3] - points[:, 1])[front]
    assert normal[:, 2].sum() > 0


@pytest.mark.parametrize("phenotype", ["gender", "age", "weight", "muscle", "height"])
def test_phenotypes_move_the_whole_body_and_stay_finite(model, phenotype):
    low, high = (model.rest(model.identity_coefficients({phenotype: value})).vertices for value in (0.0, 1.0))
    assert np.isfinite(low).all() and np.isfinite(high).all()
    assert np.abs(low - high).max() > 0.01


def test_origins_only_count_by_their_ratio():
    one = variation_weights({"african": 0.2, "asian": 0.4, "caucasian": 0.0})
    other = variation_weights({"african": 0.5, "asian": 1.0, "caucasian": 0.0})
    assert np.allclose(one, other)
    assert np.isclose(variation_weights(dict.fromkeys(("african", "asian", "caucasian"), 0.0))[-3:].sum(), 1)


def test_unknown_or_senseless_parameters_are_named(model):
    with pytest.raises(ModelError, match="elbowsharpness"):
        model.identity_coefficients({"elbowsharpness": 1.0})
    with pytest.raises(ModelError, match="age"):
        model.identity_coefficients({"age": float("nan")})
    with pytest.raises(ModelError, match="tailWag"):
        model.expression_delta("tailWag")
    with pytest.raises(ModelError, match="identity coefficients"):
        model.rest(np.zeros(3, np.float32))


def test_a_local_change_and_its_opposite_are_two_shapes(model):
    name = next(n for n in model.identity_names if n.startswith("chin-width"))
    plus, minus = (model.identity_coefficients({name: s}) for s in (0.5, -0.5))
    assert np.count_nonzero(plus != minus) == 2


def test_each_person_is_centred_between_the_ears(model):
    for gender in (0.0, 1.0):
        rest = model.rest(model.identity_coefficients({"gender": gender, "age": 0.4}))
        ears = model.template_rows(rest.vertices)[model.origin_rows]
        assert np.allclose(ears.mean(axis=0)[1:], 0, atol=1e-6)
        assert rest.joint_heads[model.joint_names.index("eye.L")][2] > 0.05


def test_expressions_are_linear(model, adult):
    a, b = RNG.random(52), RNG.random(52)
    base = adult.vertices.astype(np.float64)
    together = model.expressed(adult, a + b) - base
    apart = (model.expressed(adult, a) - base) + (model.expressed(adult, b) - base)
    assert np.abs(together - apart).max() < 1e-6


def test_expression_deltas_are_what_expressed_adds(model, adult):
    for name in ("jawOpen", "eyeBlinkRight", "tongueOut"):
        rows, deltas = model.expression_delta(name)
        weights = np.zeros(52)
        weights[model.expression_index[name]] = 1.0
        expected = adult.vertices.copy()
        expected[rows] += deltas
        assert np.allclose(model.expressed(adult, weights), expected, atol=1e-7)


def test_every_shape_moves_something_and_left_mirrors_right(model, adult):
    for name in ARKIT_NAMES:
        rows, deltas = model.expression_delta(name)
        assert len(rows) > 10 and np.linalg.norm(deltas, axis=1).max() > 5e-4, name
    for left, right in (("eyeBlinkLeft", "eyeBlinkRight"), ("mouthSmileLeft", "mouthSmileRight")):
        sizes = [np.linalg.norm(model.expression_delta(name)[1]) for name in (left, right)]
        middles = [adult.vertices[model.expression_delta(name)[0]].mean(axis=0)[0] for name in (left, right)]
        assert np.isclose(*sizes, rtol=0.02) and middles[0] > 0 > middles[1]


def test_the_jaw_takes_teeth_gums_and_tongue_along(model, adult):
    weights = np.zeros(52)
    weights[model.expression_index["jawOpen"]] = 1.0
    moved = model.expressed(adult, weights) - adult.vertices
    for part in ("teeth_lower", "gums_lower", "tongue"):
        assert moved[model.part_vertices(part), 1].mean() < -0.005, part
    for part in ("teeth_upper", "gums_upper", "eye_left"):
        assert np.abs(moved[model.part_vertices(part)]).max() == 0, part


def test_lashes_and_tear_lines_follow_the_lids(model, adult):
    weights = np.zeros(52)
    weights[model.expression_index["eyeBlinkLeft"]] = 1.0
    moved = np.linalg.norm(model.expressed(adult, weights) - adult.vertices, axis=1)
    assert moved[model.part_vertices("lashes_left")].max() > 0.005
    assert moved[model.part_vertices("tear_left")].max() > 0
    assert moved[model.part_vertices("lashes_right")].max() == 0


def test_eyeballs_are_spheres_on_their_joints_for_everyone(model):
    for values in ({"gender": 0.0}, {"gender": 1.0, "age": 1.0, "asian": 1.0}, {"age": 0.3}, {"weight": 1.0}):
        rest = model.rest(model.identity_coefficients(values))
        for side, joint, radius in zip(("left", "right"), ("eye.L", "eye.R"), rest.eye_radii, strict=True):
            centre = rest.joint_heads[model.joint_names.index(joint)]
            distance = np.linalg.norm(rest.vertices[model.part_vertices(f"eye_{side}")] - centre, axis=1)
            assert 0.011 < radius < 0.02 and np.isclose(distance.max(), radius, rtol=1e-3)


def test_eyes_turn_rigidly_and_nothing_else_moves(model, adult):
    turn = to_matrix(np.array([np.cos(0.2), 0, np.sin(0.2), 0]))
    posed = model.pose(adult, np.zeros(52), {"eye.L": turn})
    eye = model.part_vertices("eye_left")
    centre = adult.joint_heads[model.joint_names.index("eye.L")]
    assert np.allclose(posed[eye] - centre, (adult.vertices[eye] - centre) @ turn.T, atol=1e-6)
    body = model.part_vertices("body")
    moved = np.linalg.norm(posed[body] - adult.vertices[body], axis=1)
    assert np.all(np.linalg.norm(adult.vertices[body][moved > 1e-5] - centre, axis=1) < 0.03), (
        "only the lids go along"
    )
    assert np.allclose(
        posed[model.part_vertices("eye_right")], adult.vertices[model.part_vertices("eye_right")]
    )


def test_turning_the_root_is_a_rigid_motion(model, adult):
    turn = random_rotation()
    posed = model.pose(adult, np.zeros(52), {"root": turn})
    centre = adult.joint_heads[0]
    assert np.allclose(posed, (adult.vertices - centre) @ turn.T + centre, atol=2e-5)


def test_dense_skinning_equals_the_plain_sum(model, adult):
    rotations = {name: random_rotation() for name in ("head", "neck01", "upperarm01.L", "spine03")}
    transforms = joint_transforms(adult.joint_heads, model.joint_parents, model.joint_names, rotations)
    fast = model.pose(adult, np.zeros(52), rotations)
    slow = np.zeros((model.row_count, 3))
    homogeneous = np.c_[adult.vertices, np.ones(model.row_count)]
    for k in range(model.skin_joints.shape[1]):
        moved = np.einsum("vij,vj->vi", transforms[model.skin_joints[:, k]], homogeneous)
        slow += model.skin_weights[:, k, None] * moved
    assert np.abs(fast - slow).max() < 1e-5


def test_bone_axes_are_rotations_that_point_along_the_bone():
    heads, tails = RNG.normal(size=(20, 3)), RNG.normal(size=(20, 3))
    tails[0] = heads[0] - [0, 1, 0]
    axes = rest_rotations(heads, tails, RNG.normal(size=20))
    assert np.allclose(axes @ axes.transpose(0, 2, 1), np.eye(3), atol=1e-9)
    assert np.allclose(np.linalg.det(axes), 1)
    direction = (tails - heads) / np.linalg.norm(tails - heads, axis=1, keepdims=True)
    assert np.allclose(axes[:, :, 1], direction, atol=1e-9)


def test_skinning_by_the_identity_changes_nothing():
    vertices, weights = RNG.normal(size=(9, 3)).astype(np.float32), np.full((9, 2), 0.5, np.float32)
    transforms = np.tile(np.eye(3, 4), (2, 1, 1))
    assert np.allclose(skin(vertices, weights, transforms), vertices)


def test_all_bases_agree_with_the_plain_sum():
    shapes = RNG.normal(size=(4, 10, 3)).astype(np.float32)
    shapes[:, [2, 5]] = 0
    coefficients = RNG.normal(size=4).astype(np.float32)
    expected = np.einsum("k,kvd->vd", coefficients, shapes)
    sparse = SparseBasis.from_dense(shapes)
    for basis in (sparse, sparse.to_dense(), StackedBasis((sparse,)), DenseBasis(np.arange(10), shapes)):
        vertices = np.zeros((10, 3), np.float32)
        basis.add_to(vertices, coefficients)
        assert np.allclose(vertices, expected, atol=1e-5)
        rows, deltas = basis.delta(1)
        laid_out = np.zeros((10, 3))
        laid_out[rows] = deltas
        assert np.allclose(laid_out, shapes[1])


def test_a_mirror_basis_equals_what_it_was_made_from():
    partners = np.array([1, 0, 2])
    shapes = RNG.normal(size=(3, 3, 3)).astype(np.float32)
    shapes[:, 1] = shapes[:, 0] * [-1, 1, 1]
    half = DenseBasis(np.array([0, 2]), shapes[:, [0, 2]])
    odd = np.zeros_like(shapes)
    odd[1, 1] = 0.25
    basis = MirrorBasis(half, partners[[0, 2]], SparseBasis.from_dense(odd))
    vertices = np.zeros((3, 3), np.float32)
    basis.add_to(vertices, np.array([1, 2, 3], np.float32))
    assert np.allclose(vertices, np.einsum("k,kvd->vd", [1, 2, 3], shapes + odd), atol=1e-5)
    assert np.allclose(basis.delta(1)[1], (shapes + odd)[1], atol=1e-6)


def test_affine_weights_carry_points_along_any_affine_motion():
    points, targets = RNG.normal(size=(12, 3)), RNG.normal(size=(5, 3))
    weights = affine_weights(points, targets)
    motion, shift = RNG.normal(size=(3, 3)), RNG.normal(size=3)
    assert np.allclose(weights.sum(axis=1), 1)
    assert np.allclose(weights @ (points @ motion.T + shift), targets @ motion.T + shift)


def test_a_sphere_is_found_from_its_front():
    directions = RNG.normal(size=(40, 3))
    directions = directions / np.linalg.norm(directions, axis=1, keepdims=True) * [1, 1, 0.5] + [0, 0, 0.6]
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    centre, radius = fit_eyeball(0.016 * directions + [0.03, 0.01, 0.08])
    assert np.allclose(centre, [0.03, 0.01, 0.08], atol=1e-6) and np.isclose(radius, 0.016)


# ---- damaged and hostile files


def rewritten(path: Path, **changes: np.ndarray | None) -> Path:
    """A copy of the shipped model with some arrays replaced (or left out, for None)."""
    with np.load(model_path("anny")) as arrays:
        kept = {name: arrays[name] for name in arrays.files}
    kept |= {name.replace("__", "."): value for name, value in changes.items()}
    with zipfile.ZipFile(path, "w") as archive:
        for name, value in kept.items():
            if value is not None:
                buffer = io.BytesIO()
                np.save(buffer, value, allow_pickle=True)
                archive.writestr(f"{name}.npy", buffer.getvalue())
    return path


def test_missing_truncated_and_foreign_files_are_named(tmp_path):
    with pytest.raises(ModelError, match="nobody"):
        load_model(tmp_path / "nobody.npz")
    short = tmp_path / "short.npz"
    short.write_bytes(model_path("anny").read_bytes()[:100_000])
    with pytest.raises(ModelError, match=r"short\.npz"):
        load_model(short)
    foreign = tmp_path / "foreign.npz"
    np.savez(foreign, hello=np.zeros(3))
    with pytest.raises(ModelError, match=r"foreign\.npz"):
        load_model(foreign)


def test_indices_that_point_outside_and_pickles_are_refused(tmp_path, model):
    faces = model.faces.copy()
    faces[5, 1] = 10**6
    with pytest.raises(ModelError, match="faces"):
        load_model(rewritten(tmp_path / "faces.npz", faces=faces))
    pickled = np.array([{"a": 1}], dtype=object)
    with pytest.raises(ModelError, match="damaged"):
        load_model(rewritten(tmp_path / "pickle.npz", template=pickled))
    with pytest.raises(ModelError, match="uv"):
        load_model(rewritten(tmp_path / "uv.npz", uv=None))


def test_a_newer_file_says_so(tmp_path):
    newer = np.array('{"schema": 99}')
    with pytest.raises(ModelError, match="newer Likeness"):
        load_model(rewritten(tmp_path / "newer.npz", header=newer))


def test_all_phenotypes_have_a_default_within_limits(model):
    for name, value in model.identity_default.items():
        low, high = model.identity_limits[name]
        assert low <= value <= high
    assert set(PHENOTYPES) <= set(model.identity_names)
