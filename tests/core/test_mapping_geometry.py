# SPDX-License-Identifier: GPL-3.0-or-later
"""Mappings derived from geometry: exact where the answer is known, and sensible between real heads."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

from core import rotation
from core.__main__ import main
from core.arkit import ARKIT_NAMES, INDEX
from core.errors import ModelError
from core.fit.mapping import Head, Mapping, derive_mapping
from core.fit.mapping.geometry import variant_of
from core.fit.mapping.motion import Similarity, eye_rotations
from core.fit.mapping.solve import Prior
from core.fit.mapping.surface import Surface, jaw_joint
from core.head import load_model
from core.head.embedding import LandmarkEmbedding, cached_path, load_embedding, topology_key
from core.head.storage import save_linear
from core.performance import EYE_ANGLE
from tests.core.flame_like import flame_like
from tests.core.mapping_heads import any_embedding, head_with_jaw, ict_head, known_source

FACE = slice(0, 468)


def body() -> Head:
    """Our own."""
    model = load_model("anny")
    return Head(model, load_embedding(model))


def sure(share: float | None) -> float:
    """A share that has to be there."""
    assert share is not None
    return share


def jaw_matrix(vector) -> np.ndarray:
    return rotation.to_matrix(rotation.from_rotation_vector(np.asarray(vector, float)))


def test_a_surface_is_the_model_at_its_landmarks() -> None:
    """The landmark forward pass equals skinning the whole mesh and then picking the landmarks."""
    model = flame_like()[0]
    embedding = any_embedding(model)
    rng = np.random.default_rng(1)
    expression, jaw = rng.normal(size=100), np.array([0.4, -0.1, 0.05])
    rest = model.rest(model.identity_coefficients())
    whole = embedding.points(model.pose(rest, expression, {"jaw": jaw_matrix(jaw)}))
    found = Surface.of(model, embedding, slice(0, 478)).at(expression, jaw)
    np.testing.assert_allclose(found, whole, atol=2e-7)


def test_the_derivatives_of_a_surface_are_its_differences() -> None:
    model = flame_like()[0]
    surface = Surface.of(model, any_embedding(model), FACE)
    rng = np.random.default_rng(2)
    for jaw in (np.zeros(3), np.array([0.5, -0.2, 0.1])):
        expression, step = rng.normal(size=100), 1e-6
        slope = surface.jacobian(expression, jaw)
        direction = rng.normal(size=103)
        ahead = surface.at(expression + step * direction[:100], jaw + step * direction[100:])
        behind = surface.at(expression - step * direction[:100], jaw - step * direction[100:])
        np.testing.assert_allclose(slope @ direction, (ahead - behind) / (2 * step), atol=1e-8)


def test_a_similarity_is_found_again() -> None:
    rng = np.random.default_rng(4)
    points, weights = rng.normal(size=(50, 3)), rng.uniform(0.1, 1, 50)
    truth = Similarity(1.7, jaw_matrix([0.3, 2.0, -0.4]), np.array([1.0, -2.0, 0.5]))
    found = Similarity.between(points, truth.points(points), weights)
    assert found.scale == pytest.approx(1.7)
    np.testing.assert_allclose(found.rotation, truth.rotation, atol=1e-12)
    np.testing.assert_allclose(found.points(points), truth.points(points), atol=1e-12)


def test_known_parameters_come_back() -> None:
    """Shapes made by posing the target, on a head of another size: the mapping is those poses."""
    target, embedding = head_with_jaw(20)
    rng = np.random.default_rng(5)
    truth = {name: (rng.normal(size=20), rng.normal(size=3) * 0.1) for name in ARKIT_NAMES[:20]}
    truth["jawOpen"] = (np.zeros(20), np.array([0.45, 0.0, 0.0]))
    del truth["mouthClose"]  # it stands on jawOpen: not a pose of its own
    source = known_source(target, embedding, {k: (e, jaw_matrix(j)) for k, (e, j) in truth.items()})
    loose = Prior(noise=1e-7)
    mapping, report = derive_mapping(Head(*source), Head(target, embedding), loose)
    for name, (expression, jaw) in truth.items():
        motion = mapping.convert(np.eye(52)[[INDEX[name]]])
        np.testing.assert_allclose(motion.expression[0], expression, atol=2e-2)
        np.testing.assert_allclose(motion.jaw[0], jaw, atol=1e-3)
    assert report.explained > 0.9999
    assert report.scale == pytest.approx(1 / 0.7, rel=1e-4)


def test_a_head_with_flames_structure_moves_as_ours() -> None:
    """Components know no jawOpen: the jaw has to turn, about the right axis, by a plausible angle."""
    mapping, report = derive_mapping(body(), Head(*head_with_jaw()))
    assert report.explained > 0.95
    shapes = {shape.names[0]: shape for shape in report.shapes}
    moving = [shape for shape in report.shapes if shape.motion_mm > 0.5]
    assert min(sure(shape.explained) for shape in moving) > 0.6
    assert sure(shapes["jawOpen"].explained) > 0.9
    jaw = mapping.convert(np.eye(52)[[INDEX["jawOpen"]]]).jaw[0]
    assert np.radians(5) < jaw[0] < np.radians(35)
    assert abs(jaw[1:]).max() < 0.1 * jaw[0]
    assert all(sure(shape.explained) > 0.8 for shape in report.combinations)
    # Closed lips over an open jaw: the two together leave the lips nearer than the open jaw alone does.
    surface = Surface.of(*head_with_jaw(), FACE)
    gaps = []
    for names in (("jawOpen",), ("jawOpen", "mouthClose")):
        scores = np.zeros((1, 52))
        scores[0, [INDEX[name] for name in names]] = 1
        motion = mapping.convert(scores)
        points = surface.at(motion.expression[0], motion.jaw[0])
        gaps.append(
            np.linalg.norm(points[13] - points[14]) - np.linalg.norm(surface.points[13] - surface.points[14])
        )
    assert gaps[0] > 0.02
    assert abs(gaps[1]) < 0.15 * gaps[0]


def test_our_own_body_maps_to_itself() -> None:
    """The identity, but for what the prior takes away from shapes that the landmarks hardly see."""
    mapping, report = derive_mapping(body(), body())
    matrix = mapping.layers[0].weight[:51, :51]
    own = np.diag(matrix)
    assert report.explained > 0.99
    assert np.all(np.argmax(matrix, axis=1) == np.arange(51))
    assert np.median(own) > 0.85
    assert np.abs(matrix - np.diag(own)).max() < 0.2
    assert np.all(matrix >= 0)


def test_ict_facekit_gets_the_shapes_of_the_same_name() -> None:
    """A head by other artists with ARKit-like shapes: by geometry alone most scores find their namesake."""
    model, embedding = ict_head()
    mapping, report = derive_mapping(body(), Head(model, embedding))
    matrix = mapping.layers[0].weight[:, : len(model.expression_names)]
    assert np.all(matrix >= 0)
    own, share = 0, []
    for name in ARKIT_NAMES[:-1]:
        row = matrix[INDEX[name]]
        named = row[model.expression_index[name]]
        own += named == row.max()
        share.append(named / row.sum())
    assert own >= 40
    assert np.median(share) > 0.6
    assert report.explained > 0.8
    assert 0.9 < report.scale < 1.1
    assert np.all(
        mapping.convert(np.eye(52)).eyes[INDEX["eyeLookInLeft"], :3] == [0, -np.float32(EYE_ANGLE), 0]
    )


def test_eyes_turn_by_the_angle_of_a_score() -> None:
    turns = eye_rotations()
    left = turns[:, :3]
    look = jaw_matrix(left[INDEX["eyeLookOutLeft"]]) @ [0, 0, 1]
    np.testing.assert_allclose(look, [np.sin(EYE_ANGLE), 0, np.cos(EYE_ANGLE)], atol=1e-12)
    up = jaw_matrix(turns[INDEX["eyeLookUpRight"], 3:]) @ [0, 0, 1]
    np.testing.assert_allclose(up, [0, np.sin(EYE_ANGLE), np.cos(EYE_ANGLE)], atol=1e-12)
    assert not turns[INDEX["jawOpen"]].any()


def test_the_report_is_json_and_text() -> None:
    _, report = derive_mapping(body(), Head(*head_with_jaw()))
    value = json.loads(json.dumps(report.to_dict(), allow_nan=False))
    assert len(value["shapes"]) == 52
    lines = report.lines()
    assert any("jawOpen" in line and "degrees" in line for line in lines)
    assert all(len(line) < 160 for line in lines)


def test_the_verb_derives_for_a_users_model(tmp_path, monkeypatch, capsys) -> None:
    """From a compiled model and its calibration in the cache; without the calibration it says how to get
    one.
    """
    monkeypatch.setenv("LIKENESS_CACHE", str(tmp_path / "cache"))
    model, identity, expression = flame_like()
    save_linear(tmp_path / "flame.npz", model, identity, expression)
    command = ["map", "derive", str(tmp_path / "flame.npz"), "-o", str(tmp_path / "m.npz")]
    assert main(command) == 1
    assert "calibrate" in capsys.readouterr().err
    target = cached_path(load_model(tmp_path / "flame.npz"))
    target.parent.mkdir(parents=True)
    made = any_embedding(model)
    LandmarkEmbedding(made.rows, made.weights, made.scatter, topology=topology_key(model)).save(target)
    assert main(command) == 0
    mapping = Mapping.load(tmp_path / "m.npz")
    assert (mapping.expression_count, mapping.variant) == (100, "flame")
    assert mapping.provenance["target sha256"] == load_model(tmp_path / "flame.npz").sha256
    report = json.loads((tmp_path / "m.report.json").read_text(encoding="utf-8"))
    assert {shape["names"][0] for shape in report["shapes"]} == set(ARKIT_NAMES)
    assert "of the motion is reproduced" in capsys.readouterr().out


def test_flames_releases_are_told_apart() -> None:
    model = replace(flame_like()[0], provenance={"flame_variant": "2023_open"})
    assert (variant_of(model), jaw_joint(model)) == ("2023_open", "jaw")
    no_jaw = replace(model, provenance={"flame_variant": "2023_no_jaw", "expressions": "cap4d"})
    assert (variant_of(no_jaw), jaw_joint(no_jaw)) == ("2023_no_jaw/cap4d", None)
    mapping, _ = derive_mapping(body(), Head(no_jaw, any_embedding(no_jaw)))
    motion = mapping.convert(np.eye(52))
    assert not motion.jaw.any()
    assert motion.eyes.any()
    assert motion.variant == "2023_no_jaw/cap4d"


def test_heads_that_cannot_be_compared_are_refused() -> None:
    other = flame_like()[0]
    with pytest.raises(ModelError, match="no ARKit expressions"):
        derive_mapping(Head(other, any_embedding(other)), body())
    small = head_with_jaw()[0]
    with pytest.raises(ModelError, match="landmarks"):
        derive_mapping(body(), Head(small, load_embedding(load_model("anny"))))
