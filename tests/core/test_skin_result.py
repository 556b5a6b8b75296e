# SPDX-License-Identifier: GPL-3.0-or-later
"""result.npz: both forms come back equal, the published one is read, and bad ones end in one sentence."""

from __future__ import annotations

import contextlib
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from skin_models import Harmful, arrays, compskin, published_result, small_skin

from core.errors import ModelError
from core.skin.animation import read_animation
from core.skin.compressed import CompressedSkin, matrices_of
from core.skin.model_file import read_model


def refused(path: Path, *words: str) -> None:
    """Loading ends in one sentence that names the file and holds the words."""
    with pytest.raises(ModelError) as caught:
        CompressedSkin.load(path)
    assert path.name in caught.value.message and "\n" not in caught.value.message
    for word in words:
        assert word in caught.value.message


def write(path: Path, arrays: dict[str, Any]) -> Path:
    np.savez(path, **arrays)
    return path


@pytest.mark.parametrize("sparse", [False, True])
def test_a_result_comes_back_equal(tmp_path, sparse):
    skin = small_skin()
    skin.save(tmp_path / "r.npz", sparse=sparse)
    again = CompressedSkin.load(tmp_path / "r.npz")
    for name in ("rest", "centre", "faces", "weights", "transforms"):
        assert np.array_equal(getattr(skin, name), getattr(again, name)), name
        assert getattr(skin, name).dtype == getattr(again, name).dtype, name
    for name in ("shape_names", "inbetween_info", "combination_info", "errors"):
        assert getattr(skin, name) == getattr(again, name), name
    with np.load(tmp_path / "r.npz", allow_pickle=False) as held:
        assert ("shapeXform" in held) != sparse and all(held[key].dtype != object for key in held.files)


def test_our_dense_form_is_the_published_layout(tmp_path):
    skin = small_skin()
    skin.save(tmp_path / "r.npz")
    with np.load(tmp_path / "r.npz") as held:
        for key, expected in published_result(skin).items():
            assert np.array_equal(held[key], expected), key
            assert held[key].dtype == expected.dtype, key


def test_a_published_file_is_read_with_its_centre_at_zero(tmp_path):
    skin = small_skin()
    arrays = published_result(skin, quads=skin.faces[:2], jointPositions=np.ones((7, 3)))
    read = CompressedSkin.load(write(tmp_path / "r.npz", arrays))
    assert np.array_equal(read.transforms, skin.transforms) and np.array_equal(read.weights, skin.weights)
    assert read.centre.tolist() == [0, 0, 0] and read.shape_names == () and read.names[3] == "shape_003"
    assert read.inbetween_info == {"num_indices": 0} and read.errors == {}


def test_the_published_aura_fit_is_read_exactly(tmp_path):
    path = compskin("aura_expected_2x10000.npz")
    skin = CompressedSkin.load(path)
    assert (skin.n_bones, skin.n_shapes, skin.n_vertices) == (40, 267, 5944)
    assert (skin.n_coefficients, skin.max_influences) == (6000, 8)
    assert np.count_nonzero(skin.transforms[..., :3]) == 4346
    assert np.count_nonzero(skin.transforms.any(axis=2)) == 2735
    with np.load(path) as held:
        stacked = skin.matrices().transpose(0, 2, 1, 3).reshape(801, 160)
        assert np.array_equal(stacked, held["shapeXform"])
    skin.save(tmp_path / "again.npz", sparse=True)
    assert np.array_equal(CompressedSkin.load(tmp_path / "again.npz").transforms, skin.transforms)
    assert (tmp_path / "again.npz").stat().st_size < path.stat().st_size / 4


def test_matrices_turn_by_the_cross_product():
    six = np.random.default_rng(0).normal(size=6)
    point = np.array([0.3, -2, 5])
    assert np.allclose(matrices_of(six) @ [*point, 1], np.cross(six[:3], point) + six[3:])


def test_counts_and_sizes():
    skin = small_skin(share=1.0)
    assert (skin.n_bones, skin.n_shapes, skin.max_influences) == (7, 8, 3)
    assert skin.n_coefficients == 8 * 6 * 6
    assert skin.sizes()["shapes_bytes"] == 8 * 20 * 3 * 4
    assert skin.sizes()["dense_bytes"] == 4 * (20 * 7 + 8 * 7 * 6)


def changed(array: np.ndarray, place: tuple[int, ...], value: float) -> np.ndarray:
    array = array.copy()
    array[place] = value
    return array


SKIN = small_skin()
RESULT = published_result(SKIN)
GENERAL = changed(RESULT["shapeXform"], (3, 9), 0.5)
SCALED = changed(RESULT["shapeXform"], (6, 8), 0.01)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"weights": None, "shapeXform": None}, ["no weights and no shapeXform"]),
        ({"quads": None}, ["no compressed skinning result", "no quads"]),
        ({"rest": np.zeros((0, 3))}, ["empty"]),
        ({"rest": RESULT["rest"][:, :2]}, ["rest", "(20, 2)"]),
        ({"rest": changed(RESULT["rest"], (4, 1), np.nan)}, ["rest", "vertex 4"]),
        ({"quads": np.full((1, 4), 20)}, ["quads", "vertex 20"]),
        ({"weights": RESULT["weights"][:-1]}, ["weights", "(19, 7)"]),
        ({"weights": RESULT["weights"][:, :0], "shapeXform": RESULT["shapeXform"][:, :0]}, ["no bones"]),
        ({"weights": changed(RESULT["weights"], (3, 2), np.nan)}, ["weights", "vertex 3, bone 2"]),
        ({"weights": changed(RESULT["weights"], (0, 2), 0.5)}, ["sum to 0.5 at vertex 0"]),
        ({"weights": 0 * RESULT["weights"]}, ["sum to 0 at vertex 0"]),
        ({"weights": changed(RESULT["weights"], (0, 1), -0.5)}, ["negative", "vertex 0, bone 1"]),
        ({"shapeXform": RESULT["shapeXform"][:-1]}, ["23 rows"]),
        ({"shapeXform": RESULT["shapeXform"][:0]}, ["0 rows"]),
        ({"shapeXform": RESULT["shapeXform"][:, :-1]}, ["shapeXform", "(24, 27)"]),
        ({"shapeXform": changed(RESULT["shapeXform"], (7, 5), np.inf)}, ["shape 2, bone 1"]),
        ({"shapeXform": GENERAL}, ["not of this method", "shape 1", "bone 2"]),
        ({"shapeXform": SCALED}, ["not of this method", "shape 2", "bone 2"]),
        ({"centre": np.zeros(2)}, ["centre", "(2,)"]),
        ({"centre": np.array([0, np.nan, 0])}, ["centre", "axis 1"]),
        ({"shape_names": np.array(["a", "b"])}, ["shape_names"]),
        ({"inbetween_info": np.array("{")}, ["inbetween_info", "JSON"]),
        ({"inbetween_info": np.array("[1]")}, ["inbetween_info", "no table"]),
        ({"combination_info": np.array('{"num_indices": 1, "2": [[0], [9], [7]]}')}, ["column 9"]),
        ({"errors": np.array("3")}, ["errors", "no table"]),
        ({"errors": np.array("[" * 100_000)}, ["errors", "JSON"]),
    ],
)
def test_bad_results_end_in_one_sentence(tmp_path, changes, words):
    arrays = {key: value for key, value in (RESULT | changes).items() if value is not None}
    refused(write(tmp_path / "r.npz", arrays), *words)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"n_bones": None}, ["no n_bones"]),
        ({"transforms_values": None}, ["no transforms_values"]),
        ({"n_bones": np.array(0)}, ["0 bones"]),
        ({"n_bones": np.array(10**9)}, ["1000000000 bones"]),
        ({"n_bones": np.array(7.0)}, ["bones"]),
        ({"n_bones": np.array(2)}, ["do not fit"]),
        ({"transforms_starts": np.zeros(1, int)}, ["0 shapes"]),
        ({"transforms_starts": np.zeros(2**25, np.uint8)}, ["which it cannot have"]),
        ({"weights_starts": np.arange(21)[::-1]}, ["do not fit"]),
        ({"weights_starts": np.arange(21) * 0.5}, ["do not fit"]),
        ({"weights_starts": np.zeros(20, int)}, ["weights_starts", "(20,)"]),
        ({"weights_columns": np.full(1, 3)}, ["weights_values"]),
    ],
)
def test_bad_sparse_results_end_in_one_sentence(tmp_path, changes, words):
    SKIN.save(tmp_path / "whole.npz", sparse=True)
    with np.load(tmp_path / "whole.npz") as held:
        arrays = dict(held) | changes
    refused(
        write(tmp_path / "r.npz", {key: value for key, value in arrays.items() if value is not None}), *words
    )


def test_nothing_in_a_pickle_runs(tmp_path):
    trace = tmp_path / "trace"
    for key in ("weights", "shapeXform", "centre", "errors", "unknown"):
        evil = {**RESULT, key: np.array([Harmful(trace)], object)}
        refused(write(tmp_path / "r.npz", evil), "no compressed skinning result needs")
    assert not trace.exists()


WEIRD = [
    *({}, {"a": {1: [None]}}, [], [[]], [[1], [2, 3]], [[0, 1, 2], [0, 1, 2, 3], 5], "text", b"bytes", None),
    *([[[0], 1, 2], [3]], ["a", 1], 10**30, [10**30], {"num_indices": 10**30}, {"num_indices": "3"}),
    *(
        {"num_indices": 1, 2: None},
        {"num_indices": 1, 2: [0, 1, 2]},
        {"num_indices": 1, 2: [[[0]], [1], [2]]},
    ),
    *(True, [[True]], -1, 1.5, float("nan"), np.zeros((3, 0, 3)), np.array(["x"] * 8), np.zeros((2,) * 6)),
    *(np.full((3, 4), 2**63 + 5, np.uint64), np.array([[np.datetime64("nat")]]), [set(), set()]),
]


@pytest.mark.parametrize("value", WEIRD, ids=lambda value: repr(value)[:40].replace("\n", ""))
def test_whatever_a_member_is_the_file_is_read_or_refused(tmp_path, value):
    """By a sentence, as numbers where numpy makes them and as a pickle where it does not."""
    boxed = np.empty((), object)
    boxed[()] = value
    skin = dict(RESULT) | {key: np.zeros(1) for key in ("centre", "shape_names", "errors")}
    SKIN.save(tmp_path / "sparse.npz", sparse=True)
    with np.load(tmp_path / "sparse.npz") as held:
        packed = dict(held)
    for name, content, read in (
        ("face.npz", arrays(shape_names=np.zeros(0)), read_model),
        ("r.npz", skin, CompressedSkin.load),
        ("s.npz", packed, CompressedSkin.load),
        ("a.npz", {"weights": 0}, read_animation),
    ):
        for key in content:
            write(tmp_path / name, {**content, key: boxed})
            with contextlib.suppress(ModelError):
                read(tmp_path / name)


def test_a_model_is_no_result_and_a_result_no_model(tmp_path):
    refused(write(tmp_path / "r.npz", {"deltas": np.zeros((1, 2, 3))}), "no rest and no quads")


def test_a_save_that_fails_leaves_the_old_file(tmp_path):
    path = tmp_path / "r.npz"
    SKIN.save(path)
    before = path.read_bytes()
    with pytest.raises(TypeError):
        replace(SKIN, errors={"mae": object()}).save(path)
    assert path.read_bytes() == before and [p.name for p in tmp_path.iterdir()] == ["r.npz"]


def test_errors_may_be_numpy_numbers(tmp_path):
    replace(SKIN, errors={"mae": np.float32(0.5)}).save(tmp_path / "r.npz")
    with np.load(tmp_path / "r.npz") as held:
        assert json.loads(str(held["errors"])) == {"mae": 0.5}
