# SPDX-License-Identifier: GPL-3.0-or-later
"""The engine's files hold the same motions as the skin; what is no such file is told in one sentence."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from core.errors import ModelError
from core.skin import playback
from core.skin.compressed import CompressedSkin
from core.skin.rig_logic import compute_rig_logic
from core.skin.sidecar import Y_UP, placed, read_sidecar, sidecar_of, sidecar_paths, write_sidecar

SHAPES, VERTICES, BONES = 11, 40, 5
INBETWEENS = {"num_indices": 2, "0.0,0.4,1.0": [[6, 7], [0, 2]]}
COMBINATIONS = {"num_indices": 3, 2: [[0, 6], [1, 1], [8, 9]], 3: [[0], [8], [2], [10]]}


def skin(seed: int = 1, rig: bool = True) -> CompressedSkin:
    """A face away from the origin, its last bone without motion."""
    rng = np.random.default_rng(seed)
    weights = rng.uniform(0, 1, (VERTICES, BONES)) * (rng.uniform(0, 1, (VERTICES, BONES)) < 0.6)
    weights[:, 0] += 0.1
    transforms = rng.normal(0, 0.3, (SHAPES, BONES, 6)) * (rng.uniform(0, 1, (SHAPES, BONES, 6)) < 0.3)
    transforms[:, -1] = 0.0
    rest = rng.normal(0, 5, (VERTICES, 3))
    rest -= rest.mean(axis=0)
    return CompressedSkin(
        rest=rest.astype(np.float32),
        centre=np.array([1.0, 20.0, -150.0]),
        faces=np.array([[0, 1, 2, -1]], np.int32),
        weights=(weights / weights.sum(axis=1, keepdims=True)).astype(np.float32),
        transforms=transforms.astype(np.float32),
        shape_names=tuple(f"form {k}" for k in range(SHAPES)),
        inbetween_info=INBETWEENS if rig else {},
        combination_info=COMBINATIONS if rig else {},
        errors={"mae": 0.01, "curve": [1.0, 2.0]},
    )


def moved(matrices: np.ndarray, rest: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """(T, N, 3) points skinned with (T, P, 3, 4) matrices."""
    points = np.concatenate([rest, np.ones((len(rest), 1))], axis=1)
    return np.einsum("np,tpij,nj->tni", weights, matrices, points)


@pytest.mark.parametrize("kind", [0, 1])
def test_both_files_give_back_what_was_written(tmp_path: Path, kind: int) -> None:
    model = skin()
    paths = write_sidecar(model, tmp_path / "head.glb", unit_in_metres=0.01)
    assert [path.name for path in paths] == ["head.skin.json", "head.skin.npz"]
    found = read_sidecar(paths[kind])
    assert np.array_equal(found.transforms(), model.transforms)
    assert (found.shape_names, found.n_controls) == (model.shape_names, SHAPES - 5)
    assert (found.unit_in_metres, found.errors, found.axes) == (0.01, {"mae": 0.01}, "model")
    assert found.centre == pytest.approx(model.centre)
    coefficients = np.random.default_rng(2).uniform(-0.5, 1.0, (4, SHAPES))
    made = moved(found.matrices(coefficients), model.rest + model.centre, model.weights)
    assert made == pytest.approx(playback.evaluate(model, coefficients), abs=1e-4)


def test_the_mesh_comes_along_in_arrays(tmp_path: Path) -> None:
    model = skin()
    found = read_sidecar(write_sidecar(model, tmp_path / "head")[1])
    assert found.rest is not None and found.joints is not None and found.weights is not None
    assert found.rest == pytest.approx(model.rest + model.centre, abs=1e-5)
    dense = np.zeros_like(model.weights)
    np.put_along_axis(dense, found.joints, found.weights, axis=1)
    assert np.array_equal(dense, model.weights)


def test_bones_stand_at_the_centroids_of_their_weights() -> None:
    model = skin()
    share = model.weights[:, 2:3].astype(np.float64) ** 2
    expected = (share * (model.rest + model.centre)).sum(axis=0) / share.sum()
    assert sidecar_of(model).pivots[2] == pytest.approx(expected, abs=1e-4)


def test_other_coordinates_hold_the_same_motion() -> None:
    model = skin()
    scale_and_move = np.diag([0.01, 0.01, 0.01, 1.0])
    scale_and_move[:3, 3] = 3.0, 2.0, 1.0
    matrix = Y_UP @ scale_and_move
    plain = sidecar_of(model, with_mesh=True)
    there = placed(plain, matrix, "gltf", 1.0)
    coefficients = np.random.default_rng(3).uniform(0, 1, (3, SHAPES))
    here = moved(plain.matrices(coefficients), plain.rest, model.weights)
    expected = here @ matrix[:3, :3].T + matrix[:3, 3]
    assert moved(there.matrices(coefficients), there.rest, model.weights) == pytest.approx(expected, abs=1e-5)
    assert len(there.values) == len(plain.values)
    assert there.unit_in_metres == 1.0


@pytest.mark.parametrize("matrix", [np.diag([1.0, 1, -1, 1]), np.diag([1.0, 2, 1, 1])])
def test_a_mirrored_or_uneven_place_is_refused(matrix: np.ndarray) -> None:
    with pytest.raises(ModelError, match="unevenly or mirrored"):
        placed(sidecar_of(skin()), matrix, "gltf")


def test_a_bone_that_never_moves_can_be_left_out() -> None:
    names = ["a", "b", "c", "d", None]
    found = sidecar_of(skin(), bone_names=names, parents=["head"] * 4)
    assert found.bone_names == ("a", "b", "c", "d")
    assert found.transforms().shape == (SHAPES, 4, 6)
    with pytest.raises(ModelError, match="moves"):
        sidecar_of(skin(), bone_names=[None, "b", "c", "d", "e"])


def test_the_tables_in_rows_make_the_same_coefficients() -> None:
    found = sidecar_of(skin())
    controls = np.random.default_rng(5).uniform(-0.2, 1.2, (50, found.n_controls))
    expected = compute_rig_logic(controls, INBETWEENS, COMBINATIONS)
    made = np.zeros((50, SHAPES))
    made[:, : found.n_controls] = controls
    for target, source, low, peak, high in found.inbetweens:
        x = made[:, int(source)]
        hat = np.where(x < peak, (x - low) / (peak - low), (high - x) / (high - peak))
        made[:, int(target)] = np.where((x >= low) & (x < high), hat, 0.0)
    for target, *factors in found.combinations:
        made[:, target] = np.prod(made[:, factors], axis=1)
    assert made == pytest.approx(expected)


def test_a_group_that_reads_itself_is_refused() -> None:
    model = skin()
    table = {"num_indices": 3, 2: [[0, 8], [1, 1], [8, 9]]}
    with pytest.raises(ModelError, match="its own results"):
        sidecar_of(CompressedSkin(**{**vars(model), "combination_info": table}))


@pytest.mark.parametrize(
    ("given", "name"),
    [("out.npz", "out"), ("head.glb", "head"), ("a.skin.json", "a"), ("b.skin.npz", "b"), ("head", "head")],
)
def test_the_files_stand_beside_their_target(given: str, name: str) -> None:
    assert [path.name for path in sidecar_paths(Path(given))] == [f"{name}.skin.json", f"{name}.skin.npz"]


def test_a_folder_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="cannot be written"):
        write_sidecar(skin(), tmp_path / "nowhere" / "head.glb")


DAMAGE = {
    "another format": {"format": "x"},
    "a newer version": {"version": 2},
    "a missing matrix": {"values": None},
    "too few values": {"values": [1.0]},
    "a shape that is not there": {"indices": "outside"},
    "falling rows": {"indptr": "falling"},
    "negative rows": {"indptr": "negative"},
    "text for numbers": {"pivots": [["a", "b", "c"]] * BONES},
    "ragged rows": {"pivots": [[1.0], [1.0, 2.0]]},
    "an object for numbers": {"centre": {"x": 1}},
    "infinite numbers": {"centre": [1e39, 0.0, 0.0]},
    "huge integers": {"indices": [10**30]},
    "nested lists": {"centre": [[[[[1.0]]]]]},
    "a bone twice": {"bone_names": ["a"] * BONES},
    "no names": {"bone_names": 3},
    "parents that do not fit": {"parents": ["a"]},
    "a control that is made": {"combinations": [[0, 1]]},
    "a factor that is not there": {"combinations": [[8, 99]]},
    "a factor that is no number": {"combinations": [[8, True]]},
    "no places": {"inbetweens": [[6, 0, 1.0, 0.5, 0.0]]},
    "a number of controls": {"controls": 10**9},
    "a unit": {"unit_in_metres": -1.0},
    "axes": {"axes": "sideways"},
    "errors": {"errors": {"mae": "small"}},
}


@pytest.mark.parametrize("change", DAMAGE.values(), ids=DAMAGE.keys())
def test_damage_is_one_sentence(tmp_path: Path, change: dict[str, object]) -> None:
    path = write_sidecar(skin(), tmp_path / "head.glb")[0]
    document = json.loads(path.read_text())
    change = dict(change)
    if change.get("indices") == "outside":
        change["indices"] = [SHAPES] * len(document["indices"])
    if change.get("indptr") == "falling":
        change["indptr"] = [0, *sorted(document["indptr"][1:-1], reverse=True), document["indptr"][-1]]
    if change.get("indptr") == "negative":
        change["indptr"] = [0, -5, *document["indptr"][2:]]
    path.write_text(json.dumps(document | change))
    with pytest.raises(ModelError, match=r"head\.skin\.json"):
        read_sidecar(path)


@pytest.mark.parametrize("text", ["", "{", "[]", "3", '"x"', "[" * 100_000, '{"format": "likeness-skin"}'])
def test_any_other_json_is_one_sentence(tmp_path: Path, text: str) -> None:
    path = tmp_path / "head.skin.json"
    path.write_text(text)
    with pytest.raises(ModelError, match="head"):
        read_sidecar(path)


def test_a_pickle_is_not_opened(tmp_path: Path) -> None:
    path = tmp_path / "head.skin.npz"
    np.savez(path, header=np.array({"format": "likeness-skin"}, dtype=object))
    with pytest.raises(ModelError):
        read_sidecar(path)
    np.savez(path, rest=np.zeros(3))
    with pytest.raises(ModelError, match="no header"):
        read_sidecar(path)
