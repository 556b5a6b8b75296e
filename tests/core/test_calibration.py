# SPDX-License-Identifier: GPL-3.0-or-later
"""Landmark embeddings: the file, the rasteriser, the place that explains all pictures, the one that ships."""

from __future__ import annotations

import dataclasses
import json

import numpy as np
import pytest
from flame_like import flame_like

from core.__main__ import parser
from core.errors import ModelError, SettingsError
from core.fit.calibration import calibrate as calibration
from core.fit.calibration.align import aligned, similarity
from core.fit.calibration.embed import solve
from core.fit.calibration.observe import cast
from core.fit.calibration.regions import (
    LIPS_INNER_LOWER,
    LIPS_INNER_UPPER,
    LOWER_LID_LEFT,
    OVAL,
    UPPER_LID_LEFT,
    mirror,
    regions,
)
from core.fit.calibration.views import Scene, placed, scenes, turned
from core.head import load_model
from core.head.embedding import (
    IRIS_LEFT,
    IRIS_RIGHT,
    LANDMARKS,
    LandmarkEmbedding,
    cached_path,
    home_path,
    load_embedding,
    shipped_path,
    topology_key,
)
from core.head.storage import write_npz
from core.progress import silent
from core.raster import rasterise


def random_embedding(seed: int = 0) -> LandmarkEmbedding:
    rng = np.random.default_rng(seed)
    weights = rng.dirichlet(np.ones(3), LANDMARKS).astype(np.float32)
    rows = rng.integers(0, 1000, (LANDMARKS, 3))
    return LandmarkEmbedding(rows, weights, rng.uniform(0, 0.01, LANDMARKS), "abc", "def", ("one", "two"))


# ---- the file


def test_saved_embedding_comes_back(tmp_path):
    embedding = random_embedding()
    embedding.save(tmp_path / "a.npz")
    again = LandmarkEmbedding.load(tmp_path / "a.npz")
    for name in ("rows", "weights", "scatter"):
        np.testing.assert_array_equal(getattr(again, name), getattr(embedding, name))
    assert (again.model, again.topology, again.detectors) == ("abc", "def", ("one", "two"))
    again.save(tmp_path / "b.npz")
    assert (tmp_path / "a.npz").read_bytes() == (tmp_path / "b.npz").read_bytes()


def test_points_follow_the_vertices():
    rng = np.random.default_rng(1)
    vertices, move = rng.normal(size=(4, 1000, 3)), rng.normal(size=(3, 3))
    embedding = random_embedding()
    found = embedding.points(vertices)
    assert found.shape == (4, LANDMARKS, 3)
    np.testing.assert_allclose(embedding.points(vertices @ move), found @ move, atol=1e-10)


def header(**changes: object) -> np.ndarray:
    value = {"schema": 1, "kind": "landmarks", "model": "", "topology": "", "detectors": []}
    return np.array(json.dumps(value | changes))


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"rows": np.full((478, 3), -1)}, "damaged"),
        ({"rows": np.zeros((477, 3), int)}, "damaged"),
        ({"weights": np.full((478, 3), np.nan)}, "damaged"),
        ({"weights": np.ones((478, 3))}, "damaged"),
        ({"scatter": np.full(478, "x")}, "damaged"),
        ({"scatter": np.full(478, None)}, "damaged"),
        ({"header": header(kind="tracks")}, "damaged"),
        ({"header": header(schema=9)}, "newer"),
        ({"header": header(schema="new")}, "damaged"),
        ({"header": header(detectors=3)}, "damaged"),
        ({"header": np.array("[1, 2]")}, "damaged"),
        ({"header": np.array("{")}, "damaged"),
    ],
)
def test_hostile_file_is_one_error(tmp_path, changes, words):
    arrays = {
        "rows": np.zeros((478, 3), np.int32),
        "weights": np.full((478, 3), 1 / 3, np.float32),
        "scatter": np.zeros(478, np.float32),
        "header": header(),
    } | changes
    path = tmp_path / "bad.npz"
    np.savez(path, **arrays)  # with pickles where the array needs them
    with pytest.raises(ModelError, match=words):
        LandmarkEmbedding.load(path)


def test_what_is_no_archive_is_one_error(tmp_path):
    path = tmp_path / "bad.npz"
    for content in (b"", b"PK\x03\x04rubbish", b"\x00" * 1000):
        path.write_bytes(content)
        with pytest.raises(ModelError):
            LandmarkEmbedding.load(path)
    with pytest.raises(ModelError, match="missing"):
        LandmarkEmbedding.load(tmp_path / "nothing.npz")


def test_huge_file_is_refused_unread(tmp_path):
    path = tmp_path / "huge.npz"
    write_npz(path, {}, {"rows": np.zeros(2**23, np.int8)})
    assert path.stat().st_size < 2**20
    with pytest.raises(ModelError):
        LandmarkEmbedding.load(path)


# ---- where it is kept


def test_user_model_is_looked_for_in_the_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("LIKENESS_CACHE", str(tmp_path))
    model = dataclasses.replace(flame_like()[0], sha256="0" * 64)
    with pytest.raises(ModelError, match="core calibrate"):
        load_embedding(model)
    assert home_path(model) == cached_path(model) == tmp_path / "landmarks" / f"{'0' * 64}.npz"
    made = dataclasses.replace(random_embedding(), topology=topology_key(model))
    made.save(cached_path(model))
    np.testing.assert_array_equal(load_embedding(model).rows, made.rows)
    other = dataclasses.replace(model, faces=model.faces[::-1].copy())
    with pytest.raises(ModelError):
        load_embedding(other)


def test_name_of_a_model_leads_nowhere_else():
    model = dataclasses.replace(flame_like()[0], name="../../anny")
    assert shipped_path(model).parent == shipped_path(load_model("anny")).parent


# ---- landmarks beside what is drawn


def test_landmarks_beside_the_head_fall_on_its_nearest_pixel():
    pixels, depth = np.array([[4.0, 4], [4, 12], [12, 4]]), np.ones(3)
    buffer = rasterise(pixels, depth, np.array([[0, 1, 2]]), (16, 16))
    points = np.random.default_rng(8).uniform(-3, 19, (50, 2))
    triangle, weights = cast(buffer, points)
    hit = weights @ pixels
    y, x = np.nonzero(buffer.covered)
    centres = np.c_[x, y] + 0.5
    for point, place in zip(np.floor(np.clip(points, 0, 15)) + 0.5, hit, strict=True):
        assert np.linalg.norm(place - point) == pytest.approx(
            np.linalg.norm(centres - point, axis=1).min(), abs=1e-4
        )
    assert not triangle.any()


# ---- alignment and the best place


def test_similarity_is_found_in_spite_of_strays():
    rng = np.random.default_rng(5)
    points = rng.uniform(-0.5, 0.5, (478, 2))
    moved = 1.02 * points @ np.array([[np.cos(0.03), np.sin(0.03)], [-np.sin(0.03), np.cos(0.03)]]) + [
        0.01,
        -0.02,
    ]
    moved[:60] += 0.1
    wanted = [1.02 * np.cos(0.03), 1.02 * np.sin(0.03), 0.01, -0.02]
    np.testing.assert_allclose(similarity(points, moved, rounds=30), wanted, atol=2e-3)


def test_alignment_takes_off_what_is_common_and_keeps_the_mean():
    rng = np.random.default_rng(6)
    predicted = rng.uniform(0, 300, (6, LANDMARKS, 2))
    shift = rng.normal(size=(6, 2, 1, 2))
    observed = predicted[:, None] + shift
    np.testing.assert_allclose(
        aligned(observed, predicted, keep_mean=False), predicted[:, None].repeat(2, 1), atol=1e-6
    )
    kept = aligned(observed, predicted, keep_mean=True) - predicted[:, None]
    assert np.ptp(kept, axis=(0, 1)).max() < 0.05
    observed[2, 1] = np.nan
    assert np.isnan(aligned(observed, predicted, keep_mean=True)[2, 1]).all()


def test_best_place_is_that_of_a_search():
    """Within each triangle no point of a fine grid is better than the closed form's."""
    rng = np.random.default_rng(7)
    corners = rng.uniform(0, 1, (5, 12, 3, 2))
    picture, weight = np.repeat(np.arange(5), 2), rng.uniform(0.1, 1, 10)
    target = rng.uniform(0, 1, (10, 2))
    found, cost = solve(corners, picture, target, weight)
    steps = np.linspace(0, 1, 41)
    grid = np.array([(1 - a - b, a, b) for a in steps for b in steps if a + b <= 1 + 1e-12])

    def costs(bary, triangle):
        there = np.einsum("gk,nkd->gnd", bary, corners[picture, triangle])
        return (weight * ((there - target) ** 2).sum(axis=2)).sum(axis=1)

    for triangle in range(12):
        best = costs(grid, triangle).min()
        here = costs(found[triangle][None], triangle)[0]
        assert here <= best + 1e-9
        assert best - here < 0.01
        np.testing.assert_allclose(cost[triangle], here, atol=1e-9)
    assert found.min() >= 0
    np.testing.assert_allclose(found.sum(axis=1), 1, atol=1e-9)


# ---- scenes


def test_scenes_are_the_same_for_the_same_seed_and_every_side_of_a_person_alike():
    model = load_model("anny")
    first, again, other = scenes(model, 20, 1), scenes(model, 20, 1), scenes(model, 20, 2)
    assert first == again
    assert first != other
    for scene in first:
        for name, value in scene.identity.items():
            if name.startswith("l-"):
                assert scene.identity[f"r-{name[2:]}"] == value


def test_turns_are_those_of_the_conventions():
    ahead = np.array([0.0, 0, 1])
    assert (turned(0.3, 0) @ ahead)[0] > 0
    assert (turned(0, 0.3) @ ahead)[1] > 0
    model = load_model("anny")
    straight, left = (placed(model, Scene({}, {}, (0.0, 0.0), yaw, 0.0)) for yaw in (0.0, 20.0))
    nose = int(np.argmax(straight[:, 2] - 10 * np.abs(straight[:, 0])))
    assert left[nose, 0] > straight[nose, 0] + 0.01


# ---- landmarks


def test_regions_hold_every_landmark_once():
    found = np.concatenate(list(regions().values()))
    assert sorted(found) == list(range(LANDMARKS))
    partner = mirror()
    np.testing.assert_array_equal(partner[partner], np.arange(LANDMARKS))
    for rows in regions().values():
        assert set(partner[rows]) == set(rows)


# ---- what ships


@pytest.fixture(scope="module")
def anny():
    model = load_model("anny")
    rest = model.rest(model.identity_coefficients())
    return model, rest, load_embedding(model)


def weights_of(model, **values):
    weights = np.zeros(len(model.expression_names), np.float32)
    for name, value in values.items():
        weights[model.expression_index[name]] = value
    return weights


def test_shipped_embedding_belongs_to_the_shipped_model(anny):
    model, _, embedding = anny
    assert (embedding.model, embedding.topology) == (model.sha256, topology_key(model))
    assert len(embedding.detectors) == 2
    assert home_path(model) == shipped_path(model)


def test_shipped_embedding_lies_on_triangles_of_the_skin_and_the_eyes(anny):
    model, _, embedding = anny
    polygons = {frozenset(face[face >= 0].tolist()) for face in model.faces}
    by_row: dict[int, list[frozenset]] = {}
    for polygon in polygons:
        for row in polygon:
            by_row.setdefault(row, []).append(polygon)
    for rows in embedding.rows:
        assert any(set(rows.tolist()) <= polygon for polygon in by_row[int(rows[0])])
    assert set(embedding.rows[:468].ravel()) <= set(model.part_vertices("body"))
    assert set(embedding.rows[IRIS_LEFT].ravel()) <= set(model.part_vertices("eye_left"))
    assert set(embedding.rows[IRIS_RIGHT].ravel()) <= set(model.part_vertices("eye_right"))


def test_shipped_embedding_is_symmetric(anny):
    _, rest, embedding = anny
    points = embedding.points(rest.vertices)
    apart = np.linalg.norm(points - points[mirror()] * [-1, 1, 1], axis=1)
    assert apart.mean() < 0.0005
    assert apart.max() < 0.003
    assert points[263, 0] > 0.03 > -0.03 > points[33, 0]  # outer corners of the left and the right eye


def test_irises_turn_about_the_axis_of_the_eye(anny):
    model, rest, embedding = anny
    points = embedding.points(rest.vertices)
    for iris, joint in ((IRIS_LEFT, "eye.L"), (IRIS_RIGHT, "eye.R")):
        centre = rest.joint_heads[model.joint_names.index(joint)]
        middle, *rim = points[iris] - centre
        assert np.linalg.norm(middle[:2]) < 0.001
        assert middle[2] > 0.85 * rest.eye_radii[0]
        x, y = np.array(rim)[:, :2].T
        assert x[0] > 0.004 > -0.004 > x[2]  # towards the subject's left, then up, right, down
        assert y[1] > 0.004 > -0.004 > y[3]


def test_lids_and_lips_are_on_their_own_side(anny):
    """Opened and closed, what belongs above stays with what is above."""
    model, rest, embedding = anny
    at_rest = embedding.points(rest.vertices)
    shut = embedding.points(model.expressed(rest, weights_of(model, eyeBlinkLeft=1.0))) - at_rest
    upper, lower = shut[list(UPPER_LID_LEFT), 1], shut[list(LOWER_LID_LEFT), 1]
    assert upper[2:5].max() < -0.005
    assert np.abs(lower).max() < 0.006
    opened = embedding.points(model.expressed(rest, weights_of(model, jawOpen=0.7))) - at_rest
    middle = slice(2, 7)
    assert opened[list(LIPS_INNER_LOWER), 1][middle].max() < -0.01
    assert np.abs(opened[list(LIPS_INNER_UPPER), 1][middle]).max() < 0.004


def test_inner_lips_lie_between_the_lips_and_close_with_them(anny):
    _, rest, embedding = anny
    points = embedding.points(rest.vertices)
    upper, lower = points[list(LIPS_INNER_UPPER)], points[list(LIPS_INNER_LOWER)]
    assert np.linalg.norm(upper - lower, axis=1).max() < 0.004
    height = points[:, 1]
    assert height[0] > height[13] >= height[14] - 0.001 > height[17]
    assert abs(points[13, 0]) < 0.001


def test_scatter_is_larger_where_landmarks_slide(anny):
    _, _, embedding = anny
    scatter = embedding.scatter
    assert scatter.min() > 0.0003
    assert scatter.max() < 0.008
    lids = scatter[list(UPPER_LID_LEFT) + list(LOWER_LID_LEFT)]
    assert np.median(scatter[list(OVAL)]) > 1.5 * np.median(lids)


# ---- the command


def run(*words: str) -> tuple[dict, list[str]]:
    options = parser().parse_args(["calibrate", *words])
    return options.run(options, silent)


def test_command_keeps_what_it_found(anny, tmp_path, monkeypatch):
    made = calibration.Calibration(anny[2], 0.0123, 0.004, 24)
    monkeypatch.setattr(calibration, "calibrate", lambda *_args, **_kwargs: made)
    value, lines = run("anny", "-o", str(tmp_path / "new" / "a.npz"), "--pictures", "24")
    np.testing.assert_array_equal(LandmarkEmbedding.load(tmp_path / "new" / "a.npz").rows, anny[2].rows)
    assert value["error_of_face"] == 0.0123
    assert set(value["scatter_mm"]) == set(regions())
    assert any("brows" in line for line in lines)


def test_command_refuses_what_makes_no_sense(tmp_path):
    with pytest.raises(SettingsError):
        run("anny", "--pictures", "3")
    with pytest.raises(SettingsError):
        run("anny", "-o", str(tmp_path / "a.txt"))
    with pytest.raises(ModelError):
        run(str(tmp_path / "nothing.npz"))


@pytest.mark.slow
def test_a_few_views_agree_with_what_ships(anny):
    pytest.importorskip("mediapipe")
    model, rest, embedding = anny
    made = calibration.calibrate(model, pictures=24, seed=100)
    apart = np.linalg.norm((made.embedding.points(rest.vertices) - embedding.points(rest.vertices)), axis=1)
    assert np.median(apart) < 0.001
    assert np.percentile(apart, 95) < 0.004
    assert made.error_of_face < 0.02


@pytest.mark.slow
def test_what_is_no_face_is_one_sentence():
    pytest.importorskip("mediapipe")
    with pytest.raises(ModelError, match="A face was recognised in"):
        calibration.calibrate(flame_like()[0], pictures=24)
