# SPDX-License-Identifier: GPL-3.0-or-later
"""FLAME's two forward passes: equal to plain twins, and the laws that tell them apart."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from flame_files import EYES, VERTICES, model

from core.errors import ModelError
from core.head.flame import FlameParameters, head_transform, local_vertices, shaped, vertices
from core.head.flame.forward import matrices
from core.head.flame.model import BLINK, CAP4D, STANDARD
from core.head.flame.mouth import LIP, mouth_rest, mouth_triangles, mouth_vertices
from core.rotation import from_matrix, to_rotation_vector

FORMS = [("2020", STANDARD), ("2023_no_jaw", STANDARD), ("2023_no_jaw", CAP4D)]
EVERY = np.arange(VERTICES)


def parameters(variant: str, mode: str, frames: int = 3, seed: int = 0) -> FlameParameters:
    """Random frames with every joint turned."""
    rng = np.random.default_rng(seed)
    return FlameParameters.of(
        variant,
        rng.normal(size=150),
        rng.normal(size=(frames, 65 if mode == CAP4D else 100)),
        mode=mode,
        rotation=rng.normal(size=(frames, 3)) * 0.5,
        translation=rng.normal(size=(frames, 3)),
        neck=rng.normal(size=(frames, 3)) * 0.2,
        jaw=rng.normal(size=(frames, 3)) * 0.2,
        eyes=rng.normal(size=(frames, 6)) * 0.3,
    )


def rodrigues(torch, vector):
    """Rotation matrix of a rotation vector, its length kept from zero as CAP4D does."""
    angle = torch.sqrt(torch.clamp((vector**2).sum(), min=1e-8))
    x, y, z = vector / angle
    zero = torch.zeros_like(x)
    cross = torch.stack([torch.stack([zero, -z, y]), torch.stack([z, zero, -x]), torch.stack([-y, x, zero])])
    return (
        torch.eye(3, dtype=vector.dtype) + torch.sin(angle) * cross + (1 - torch.cos(angle)) * cross @ cross
    )


def twin(torch, flame, frame: FlameParameters):
    """One frame (5023, 3) by torch, written as the papers and formats-cap4d 2.2 write it, joint by joint."""
    t = lambda array: torch.as_tensor(np.asarray(array, np.float64))  # noqa: E731
    expressions = flame.cap4d.expressions if frame.mode == CAP4D else flame.expressions
    shape, expression = t(frame.shape), frame.expression
    person = t(flame.template) + torch.einsum("k,kvd->vd", shape, t(flame.shapes)[: len(shape)])
    surface = person + torch.einsum("k,kvd->vd", expression[0], t(expressions))
    eye = torch.eye(3, dtype=torch.float64)
    turn = {name: rodrigues(torch, getattr(frame, name)[0]) for name in ("rotation", "neck", "jaw")}
    left, right = rodrigues(torch, frame.eyes[0, :3]), rodrigues(torch, frame.eyes[0, 3:])
    correctives = t(flame.correctives).reshape(VERTICES, 3, 4, 3, 3)
    if frame.mode == CAP4D:
        joints = t(flame.regressor) @ surface
        turns = [turn["neck"], eye, turn["jaw"], left, right]
        features = torch.stack([turns[j] - 2 * eye for j in (0, 2, 3, 4)])
    else:
        joints = t(flame.regressor) @ person
        turns = [eye, turn["neck"], turn["jaw"], left, right]
        features = torch.stack([r - eye for r in turns[1:]])
    surface = surface + torch.einsum("vdjab,jab->vd", correctives, features)
    result = torch.zeros_like(surface)
    world = []
    for joint in range(5):
        own = torch.eye(4, dtype=torch.float64)
        own = torch.cat(
            [torch.cat([turns[joint], (joints[joint] - turns[joint] @ joints[joint])[:, None]], 1), own[3:]]
        )
        if frame.mode != CAP4D and joint:
            own = world[0 if joint == 1 else 1] @ own
        world.append(own)
        moved = surface @ own[:3, :3].T + own[:3, 3]
        result = result + t(flame.weights)[:, joint, None] * moved
    if frame.mode == CAP4D:
        return result @ turn["rotation"].T + frame.translation[0]
    return (result - joints[0]) @ turn["rotation"].T + joints[0] + frame.translation[0]


@pytest.mark.parametrize(("variant", "mode"), FORMS)
def test_the_batched_pass_is_the_plain_one(variant, mode):
    torch = pytest.importorskip("torch")
    flame, given = model(variant), parameters(variant, mode)
    fast = vertices(flame.at(EVERY, mode), given)
    names = ("expression", "rotation", "translation", "neck", "jaw", "eyes")
    for frame in range(given.frame_count):
        one = given.sliced(slice(frame, frame + 1))
        held = replace(one)
        for name in names:
            object.__setattr__(held, name, torch.as_tensor(getattr(one, name)))
        assert np.abs(twin(torch, flame, held).numpy() - fast[frame]).max() < 1e-7


def test_the_plain_one_gives_the_derivatives_of_the_fast_one():
    """Autograd through the twin against differences of the batched pass, in both modes."""
    torch = pytest.importorskip("torch")
    for variant, mode in (FORMS[0], FORMS[2]):
        flame, given = model(variant), parameters(variant, mode, frames=1)
        rng = np.random.default_rng(5)
        probe = rng.normal(size=(VERTICES, 3)) / VERTICES
        held = replace(given)
        leaves = {}
        for name in ("expression", "rotation", "translation", "neck", "jaw", "eyes"):
            leaves[name] = torch.tensor(getattr(given, name), requires_grad=True)
            object.__setattr__(held, name, leaves[name])
        (twin(torch, flame, held) * torch.as_tensor(probe)).sum().backward()
        rows = flame.at(EVERY, mode)
        for name, leaf in leaves.items():
            step = rng.normal(size=leaf.shape) * 1e-5
            ahead, behind = (
                vertices(rows, replace(given, **{name: getattr(given, name) + sign * step}))
                for sign in (1, -1)
            )
            slope = float(((ahead - behind)[0] * probe).sum())
            assert slope == pytest.approx(2 * float((leaf.grad.numpy() * step).sum()), rel=1e-5, abs=1e-12), (
                name
            )


@pytest.mark.parametrize(("variant", "mode"), FORMS)
def test_turning_the_head_turns_everything(variant, mode):
    flame, given = model(variant), parameters(variant, mode)
    rows = flame.at(EVERY, mode)
    turn = matrices(np.array([0.3, -0.8, 0.2]))
    before = vertices(rows, given)
    moved = turn @ matrices(given.rotation)
    after = replace(given, rotation=to_rotation_vector(from_matrix(moved)))
    pivot = (
        np.zeros(3)
        if mode == CAP4D
        else (rows.joints + np.tensordot(given.shape, rows.joint_shapes[:150], 1))[0]
    )
    still = given.translation[:, None] + pivot
    assert np.allclose(vertices(rows, after), (before - still) @ turn.T + still, atol=1e-9)
    local = local_vertices(rows, given)
    rotation, shift = head_transform(rows, given)
    assert np.allclose(np.einsum("tij,tnj->tni", rotation, local) + shift[:, None], before)


def test_at_rest_the_standard_model_is_its_template_and_cap4d_has_a_constant_offset():
    flame = model("2023_no_jaw")
    still = FlameParameters.of("2023_no_jaw", np.zeros(150), np.zeros((1, 65)), mode=CAP4D)
    away = local_vertices(flame.cap4d, still)[0] - flame.template
    constant = (
        -flame.correctives.astype(np.float64)
        .reshape(VERTICES, 3, 4, 3, 3)[..., [0, 1, 2], [0, 1, 2]]
        .sum((2, 3))
    )
    assert np.abs(constant).max() > 1e-4 and np.allclose(away, constant, atol=1e-9)
    rng = np.random.default_rng(1)
    other = FlameParameters.of("2023_no_jaw", rng.normal(size=150), rng.normal(size=(4, 65)), mode=CAP4D)
    expressed = shaped(flame.cap4d, other.shape) + np.tensordot(other.expression, flame.cap4d.expressions, 1)
    assert np.allclose(local_vertices(flame.cap4d, other) - expressed, constant, atol=1e-9)
    plain = FlameParameters.of("2020", rng.normal(size=300), np.zeros((1, 100)))
    assert np.allclose(
        local_vertices(model("2020").whole, plain)[0], shaped(model("2020").whole, plain.shape)
    )


def test_cap4d_joints_are_independent_and_the_standard_ones_are_a_chain():
    """Turning CAP4D's neck leaves an eyeball where it is; in the chain it goes along, and so does the jaw."""
    rng = np.random.default_rng(2)
    for variant, mode, carried in (("2023_no_jaw", CAP4D, False), ("2023_no_jaw", STANDARD, True)):
        flame = model(variant)
        plain = replace(flame, correctives=np.zeros_like(flame.correctives))
        rows = plain.at(EVERY, mode)
        still = FlameParameters.of(
            variant, np.zeros(1), np.zeros((1, 65)), mode=mode, eyes=rng.normal(size=(1, 6)) * 0.2
        )
        bent = replace(still, neck=np.array([[0.2, 0.3, 0.1]]))
        moved = np.abs(local_vertices(rows, bent) - local_vertices(rows, still))[0]
        assert (moved[EYES[0]].max() > 1e-3) == carried
        opened = replace(still, jaw=np.array([[0.3, 0, 0]]))
        assert np.abs(local_vertices(rows, opened) - local_vertices(rows, still))[0, EYES[0]].max() < 1e-12


def test_an_eye_turns_about_its_own_centre_in_both_modes():
    for variant, mode in FORMS[1:]:
        flame = model(variant)
        rows = replace(flame, correctives=np.zeros_like(flame.correctives)).at(EVERY, mode)
        turned = FlameParameters.of(
            variant, np.zeros(1), np.zeros((1, 65)), mode=mode, eyes=np.array([[0, 0.3, 0]])
        )
        ball = local_vertices(rows, turned)[0, EYES[0]]
        centre = flame.template[EYES[0]].mean(axis=0)
        turn = matrices(np.array([0, 0.3, 0]))
        assert np.allclose(ball, (flame.template[EYES[0]] - centre) @ turn.T + centre, atol=1e-9)


def test_the_blink_shape_is_expression_64():
    flame = model("2023_no_jaw")
    weights = np.zeros((2, 65))
    weights[1, BLINK] = 0.5
    given = FlameParameters.of("2023_no_jaw", np.zeros(150), weights, mode=CAP4D)
    open_eyes, half = local_vertices(flame.cap4d, given)
    assert flame.blink is not None
    assert np.allclose(half - open_eyes, 0.5 * flame.blink, atol=1e-4) and flame.blink[:, 1].min() < -0.003


@pytest.mark.parametrize(("variant", "mode"), FORMS)
def test_a_slice_gives_the_same_points(variant, mode):
    flame, given = model(variant), parameters(variant, mode, frames=40)
    rows = np.random.default_rng(3).choice(VERTICES, 68, replace=False)
    assert np.allclose(
        vertices(flame.at(rows, mode), given)[[0, 39]],
        vertices(flame.at(EVERY, mode), given)[[0, 39]][:, rows],
    )


def test_parameters_of_another_release_or_form_are_never_reinterpreted():
    given = parameters("2020", STANDARD)
    with pytest.raises(ModelError, match="Re-fit"):
        vertices(model("2023").whole, given)
    with pytest.raises(ModelError, match="cap4d form"):
        vertices(model("2023_no_jaw").whole, parameters("2023_no_jaw", CAP4D))
    with pytest.raises(ModelError, match="expression coefficients"):
        vertices(model("2020").whole, FlameParameters.of("2020", np.zeros(1), np.zeros((1, 101))))
    with pytest.raises(ModelError, match="identity coefficients"):
        vertices(model("2020").whole, FlameParameters.of("2020", np.zeros(301), np.zeros((1, 1))))
    with pytest.raises(ValueError, match="jaw has shape"):
        FlameParameters.of("2020", np.zeros(1), np.zeros((2, 1)), jaw=np.zeros((1, 3)))
    with pytest.raises(ValueError, match="no form"):
        FlameParameters.of("1999", np.zeros(1), np.zeros((2, 1)))


def test_the_mouth_lies_behind_the_lips_and_its_floor_follows_the_jaw():
    flame = model("2023_no_jaw")
    rng = np.random.default_rng(4)
    given = FlameParameters.of("2023_no_jaw", rng.normal(size=150) * 0.5, np.zeros((2, 65)), mode=CAP4D)
    given.expression[1, 0] = 3.0
    rest, joint = mouth_rest(flame, given.shape)
    lip = shaped(flame.whole, given.shape)[LIP]
    reach = np.linalg.norm(lip - joint)
    assert rest.shape == (400, 3)
    centre = joint + 0.75 * (lip - joint) - 0.005 * (lip - joint) / reach
    assert np.allclose(np.linalg.norm(rest - centre, axis=1), 0.25 * reach)
    still, opened = mouth_vertices(flame, given)
    assert np.allclose(still, rest) and np.allclose(opened[:200], rest[:200])
    assert flame.jaw_regressor is not None
    turn = matrices(3.0 * flame.jaw_regressor[0].astype(np.float64))
    assert np.allclose(opened[200:], (rest[200:] - joint) @ turn.T + joint)
    assert rest[:200, 1].mean() > rest[200:, 1].mean()
    with pytest.raises(ModelError, match=r"jaw_regressor\.npy"):
        mouth_vertices(replace(flame, jaw_regressor=None), given)


def test_a_mouth_has_340_triangles_of_one_piece():
    triangles = mouth_triangles(10)
    assert triangles.shape == (340, 3) and triangles.min() == 10 and triangles.max() == 209
    assert len({tuple(sorted(t)) for t in triangles.tolist()}) == 340
