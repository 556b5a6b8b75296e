# SPDX-License-Identifier: GPL-3.0-or-later
"""ICT-FaceKit through the same interface as every head model, and a small stand-in for where it is absent."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from capture_samples import DATA, real_file

from core.arkit import ARKIT_NAMES, canonical_name
from core.errors import ModelError
from core.head import load_model
from core.head.eyes import fit_eyeball
from core.head.ict import CORE, IDENTITY, compile_ict, is_ict, read_ict
from core.rotation import from_rotation_vector, to_matrix


@pytest.fixture(scope="module")
def ict(tmp_path_factory):
    """The model as it is read back from its compiled file."""
    folder = real_file(DATA / "ict" / CORE).parent
    path = tmp_path_factory.mktemp("models") / "ict.npz"
    compile_ict(folder, path)
    return load_model(path)


@pytest.fixture(scope="module")
def rest(ict):
    """The mean person."""
    return ict.rest(ict.identity_coefficients())


def turn(*vector: float) -> np.ndarray:
    return to_matrix(from_rotation_vector(np.array(vector)))


def test_it_is_a_head_in_metres_between_its_ears(ict, rest):
    assert ict.row_count == 26719 and ict.identity.count == 100 and ict.provenance["licence"] == "MIT"
    low, high = rest.vertices.min(axis=0), rest.vertices.max(axis=0)
    assert np.all(high - low > [0.2, 0.3, 0.2]) and np.all(high - low < [0.3, 0.4, 0.3])
    assert np.abs(rest.vertices[ict.origin_rows].mean(axis=0)).max() < 1e-4
    nose = rest.vertices[rest.vertices[:, 2].argmax()]
    assert abs(nose[0]) < 1e-4 and nose[2] > 0.1


def test_what_is_written_is_what_was_read(ict):
    model, identity, expression = read_ict(DATA / "ict")
    rng = np.random.default_rng(0)
    shape, weights = rng.normal(size=100).astype(np.float32), rng.random(ict.expression.count)
    ours, theirs = (m.pose(m.rest(shape), weights, {"head": turn(0, 0.2, 0)}) for m in (ict, model))
    assert np.array_equal(ours, theirs)
    assert identity.shape == (100, 26719, 3) and expression.shape == (55, 26719, 3)
    source = np.load(DATA / "ict" / IDENTITY)["identity_deltas_f16"][3].astype(np.float32) * np.float32(0.01)
    assert np.array_equal(identity[3], source)


def test_expressions_have_arkit_s_names(ict):
    names = ict.expression_names
    assert names[:51] == tuple(n for n in ARKIT_NAMES if n != "tongueOut")
    assert list(names[51:]) == ["PupilDilate_L", "PupilDilate_R", "cheekRaiser_L", "cheekRaiser_R"]
    assert all(canonical_name(n) is None for n in names[51:])
    core = np.load(DATA / "ict" / CORE)
    own = [str(n) for n in core["expr_names"]]
    both = sum(core["expr_deltas"][own.index(f"browInnerUp_{side}")] for side in "LR")
    assert np.allclose(ict.expression.matrix[ict.expression_index["browInnerUp"]], both * 0.01, atol=1e-6)


@pytest.mark.parametrize("name", ["eyeBlink", "mouthSmile", "browOuterUp", "cheekSquint", "mouthPress"])
def test_left_is_the_subject_s_left(ict, rest, name):
    for side, sign in (("Left", 1), ("Right", -1)):
        rows, deltas = ict.expression_delta(name + side)
        size = np.linalg.norm(deltas, axis=1)
        assert sign * np.average(rest.vertices[rows, 0], weights=size) > 0.01
    for name in ("jawLeft", "mouthLeft"):
        assert ict.expression_delta(name)[1].mean(axis=0)[0] > 0


@pytest.mark.parametrize("name", ["eyeBlink", "mouthSmile", "noseSneer", "browDown", "mouthFrown"])
def test_left_and_right_are_mirror_images(ict, rest, name):
    """Of the surface and of the shapes; each row's partner is the nearest one in the mirror."""
    scipy = pytest.importorskip("scipy.spatial")
    rows = ict.part_vertices("body")
    points = rest.vertices[rows]
    distance, partner = scipy.cKDTree(points).query(points * [-1, 1, 1])
    assert distance.max() < 2e-4
    left, right = (
        ict.expression.matrix[ict.expression_index[name + side]][rows] for side in ("Left", "Right")
    )
    away = np.linalg.norm(left[partner] * [-1, 1, 1] - right, axis=1)
    assert np.sqrt(np.mean(away**2)) < 0.03 * np.linalg.norm(right, axis=1).max()


def test_the_eyes_are_spheres_that_only_their_joints_turn(ict, rest):
    for side, sign in (("left", 1), ("right", -1)):
        rows = ict.part_vertices(f"eye_{side}")
        centre, radius = fit_eyeball(rest.vertices[rows])
        joint = ict.joint_names.index(ict.roles[f"eye_{side}"])
        assert np.abs(rest.joint_heads[joint] - centre).max() < 2e-4 and sign * centre[0] > 0.025
        assert 0.011 < radius < 0.016
        posed = ict.pose(rest, np.zeros(55), {f"eye_{side}": turn(0, 0.3, 0)})
        assert np.allclose(fit_eyeball(posed[rows])[0], centre, atol=2e-4)
        pupil = rows[rest.vertices[rows, 2].argmax()]
        assert posed[pupil, 0] > rest.vertices[pupil, 0] + 0.002
        skin = ict.part_vertices("body")
        assert np.abs(posed[skin] - rest.vertices[skin]).max() < 1e-6
        look = ict.expression.matrix[[i for n, i in ict.expression_index.items() if n.startswith("eyeLook")]]
        assert not np.any(look[:, rows])


def test_eyes_follow_the_person(ict):
    rng = np.random.default_rng(4)
    person = ict.rest(rng.normal(size=100).astype(np.float32))
    for side in ("left", "right"):
        centre, _ = fit_eyeball(person.vertices[ict.part_vertices(f"eye_{side}")])
        assert np.abs(person.joint_heads[ict.joint_names.index(f"eye_{side}")] - centre).max() < 1e-3


def test_teeth_follow_the_jaw_and_the_head_turns_as_a_whole(ict, rest):
    lower, upper = (ict.part_vertices(f"teeth_{which}") for which in ("lower", "upper"))
    opened = ict.expressed(rest, np.eye(55)[ict.expression_index["jawOpen"]]) - rest.vertices
    assert opened[lower, 1].mean() < -0.01 and np.abs(opened[upper]).max() < 1e-4
    assert rest.vertices[upper, 1].mean() > rest.vertices[lower, 1].mean()
    nodded = ict.pose(rest, np.zeros(55), {"head": turn(0.2, 0, 0)})
    moved = np.linalg.norm(nodded - rest.vertices, axis=1)
    face = rest.vertices[:, 1] > -0.04
    centre = rest.joint_heads[ict.joint_names.index("head")]
    rigid = (rest.vertices - centre) @ turn(0.2, 0, 0).T + centre
    assert np.abs(nodded - rigid)[face & (rest.vertices[:, 2] > 0)].max() < 1e-4
    assert moved[rest.vertices[:, 1] < rest.vertices[:, 1].min() + 0.01].max() < 1e-3


def test_parts_and_layout(ict):
    assert ict.part_names[0] == "body" and len(ict.part_faces("body")) == 14034
    assert {"eye_left", "cornea_left", "teeth_upper", "gums", "lashes_right"} <= set(ict.part_names)
    body = ict.uv[ict.part_faces("body")]
    face = body[:, :3, 0].max(axis=1) <= 1
    assert face.sum() == 9230 and body[face].min() >= 0 and body[face].max() <= 1
    for index in range(1, len(ict.part_names)):
        assert ict.uv[ict.face_part == index][:, :3, 0].min() > 1, ict.part_names[index]


def stand_in(folder: Path, **changes) -> None:
    """Two balls and a sheet under ICT's names: enough of a file to be read."""
    rng = np.random.default_rng(0)
    sphere = rng.normal(size=(40, 3))
    sphere /= np.linalg.norm(sphere, axis=1, keepdims=True)
    skin = rng.uniform(-9, 9, (400, 3))
    points = np.concatenate([skin, 1.4 * sphere + [3, 3, 8], 1.4 * sphere + [-3, 3, 8]]).astype(np.float32)
    start = [0, 400, 440]
    count = [400, 40, 40]
    faces = np.concatenate(
        [np.arange(s, s + n - 3)[:, None] + np.arange(4) for s, n in zip(start, count, strict=True)]
    ).astype(np.int32)
    material = np.repeat([0, 1, 2], np.array(count) - 3).astype(np.int16)
    core = {
        "neutral": points,
        "faces": faces,
        "uv": rng.random((len(points), 2)).astype(np.float32),
        "faces_uv": faces,
        "face_material": material,
        "material_names": np.array(["M_Face", "M_IrisLeft", "M_IrisRight", "M_GumsTongue"]),
        "expr_names": np.array(["jawOpen", "browInnerUp_L", "browInnerUp_R"]),
        "expr_deltas": rng.normal(size=(3, len(points), 3)).astype(np.float32) * 0.1,
    }
    modes = rng.normal(size=(4, len(points), 3)).astype(np.float16)
    np.savez(folder / CORE, **{k: v for k, v in (core | changes).items() if v is not None})
    np.savez(folder / IDENTITY, identity_deltas_f16=changes.get("modes", modes))


def test_a_stand_in_is_read_without_gums(tmp_path):
    stand_in(tmp_path)
    assert is_ict(tmp_path) and not is_ict(tmp_path / "none")
    model, identity, _ = read_ict(tmp_path)
    assert model.expression_names == ("jawOpen", "browInnerUp") and len(identity) == 4
    assert model.part_names == ("body", "eye_left", "eye_right")


@pytest.mark.parametrize(
    "changes",
    [
        {"faces": None},
        {"faces": np.full((111, 4), 9999, np.int32)},
        {"neutral": np.zeros((5, 2), np.float32)},
        {"expr_names": np.array(["jawOpen"])},
        {"expr_deltas": np.full((3, 480, 3), np.nan, np.float32)},
        {"material_names": np.array(["M_Face"] * 4)},
        {"faces_uv": np.full((471, 4), 10**6, np.int32)},
        {"modes": np.zeros((4, 7, 3), np.float16)},
    ],
)
def test_damaged_files_end_in_one_sentence(tmp_path, changes):
    stand_in(tmp_path, **changes)
    with pytest.raises(ModelError) as caught:
        read_ict(tmp_path)
    assert "\n" not in caught.value.message
