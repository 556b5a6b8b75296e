# SPDX-License-Identifier: GPL-3.0-or-later
"""Models to be compressed: what is read comes out equal, and what cannot be ends in one sentence."""

from __future__ import annotations

import zipfile
from pathlib import Path

import numpy as np
import pytest
from skin_models import BETWEEN, COMBINED, FACES, SHAPES, VERTICES, Harmful, arrays, small_model, write_model
from skin_models import compskin as shared

from core.errors import LikenessError, ModelError
from core.skin.checks import LARGEST_FILE, faces_array
from core.skin.model_data import BlendshapeModelData
from core.skin.model_file import read_model
from core.skin.obj_file import LONGEST_LINE, obj_faces, obj_vertices, read_obj


def refused(path: Path, *words: str) -> None:
    """Reading ends in one sentence that names the file and holds the words."""
    with pytest.raises(ModelError) as caught:
        read_model(path)
    message = caught.value.message
    assert path.name in message and message.count("\n") == 0 and message.endswith(".")
    for word in words:
        assert word in message


def equal(a: BlendshapeModelData, b: BlendshapeModelData) -> bool:
    """Whether two models have the same arrays, tables and names."""
    same = all(np.array_equal(getattr(a, n), getattr(b, n)) for n in ("deltas", "rest_verts", "rest_faces"))
    tables = a.inbetween_info == b.inbetween_info and a.combination_info == b.combination_info
    return same and tables and a.shape_names == b.shape_names


def test_a_published_file_is_read_with_its_pickled_tables(tmp_path):
    model = read_model(write_model(tmp_path / "face.npz"), alpha=3.0)
    assert equal(model, small_model())
    assert (model.n_blendshapes, model.n_vertices, model.n_faces, model.n_controls) == (
        SHAPES,
        VERTICES,
        3,
        5,
    )
    assert model.model_name == "face" and model.alpha == 3.0
    assert model.inbetween_info == BETWEEN and model.combination_info == COMBINED
    assert list(model.combination_info) == ["num_indices", 2, 3]
    assert model.deltas.dtype == np.float32 and model.rest_faces.dtype == np.int32


def test_the_shared_models_are_read():
    for name, shapes, vertices, controls in (("aura_avg", 267, 5944, 267), ("synthface", 72, 3091, 52)):
        model = BlendshapeModelData.from_npz(shared(f"{name}.npz"))
        assert (model.n_blendshapes, model.n_vertices, model.n_controls) == (shapes, vertices, controls)


def test_what_is_saved_is_read_again_without_pickles(tmp_path):
    model = small_model(shape_names=[f"größe {k}" for k in range(SHAPES)])
    model.save(tmp_path / "own.npz")
    with np.load(tmp_path / "own.npz", allow_pickle=False) as held:
        assert all(held[key].dtype != object for key in held.files)
    again = BlendshapeModelData.from_npz(tmp_path / "own.npz")
    assert equal(model, again) and list(again.combination_info) == ["num_indices", 2, 3]
    assert again.model_name == "model" and again.names[2] == "größe 2"


def test_tables_and_names_may_be_missing(tmp_path, capsys):
    path = write_model(tmp_path / "plain.npz", inbetween_info=None, combination_info=None)
    model = read_model(path)
    assert model.n_controls == SHAPES and model.shape_names == () and model.names[7] == "shape_007"
    model.print_details()
    assert "8 controls, 0 in-betweens, 0 combinations" in capsys.readouterr().out


@pytest.mark.parametrize("kind", [np.float16, np.float64, np.int32])
def test_any_numeric_type_is_taken(kind):
    deltas = (8 * arrays()["deltas"]).astype(kind)
    assert np.array_equal(small_model(deltas=deltas).deltas, deltas.astype(np.float32))


def test_polygons_of_any_lengths_are_padded():
    lists = [[0, 1, 2], [2, 3, 4, 5, 6], np.array([1, 2, 3, 4])]
    expected = [[0, 1, 2, -1, -1], [2, 3, 4, 5, 6], [1, 2, 3, 4, -1]]
    assert small_model(rest_faces=lists).rest_faces.tolist() == expected
    assert small_model(rest_faces=[]).rest_faces.shape == (0, 3)
    assert small_model(rest_faces=np.zeros((0, 4), np.int32)).n_faces == 0


def poisoned(shape: tuple[int, ...], place: tuple[int, ...], value: float) -> np.ndarray:
    """Zeros but for one value."""
    array = np.zeros(shape, np.float32)
    array[place] = value
    return array


DELTAS = (SHAPES, VERTICES, 3)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"deltas": None, "rest_faces": None}, ["no deltas and no rest_faces"]),
        ({"rest_verts": None}, ["no rest_verts"]),
        ({"deltas": np.zeros((SHAPES, VERTICES - 1, 3))}, ["deltas", "(8, 19, 3)", "(any, 20, 3)"]),
        ({"deltas": np.zeros((SHAPES, VERTICES * 3))}, ["deltas", "(8, 60)"]),
        ({"rest_verts": np.zeros((VERTICES, 2))}, ["rest_verts", "(20, 2)"]),
        ({"deltas": np.array("x")}, ["deltas", "no array of numbers"]),
        ({"deltas": np.zeros(DELTAS, complex)}, ["deltas", "no array of numbers"]),
        ({"deltas": np.zeros((0, VERTICES, 3))}, ["empty", "0 shapes"]),
        ({"deltas": np.zeros((SHAPES, 0, 3)), "rest_verts": np.zeros((0, 3))}, ["empty", "0 vertices"]),
        ({"deltas": poisoned(DELTAS, (6, 4, 1), np.nan)}, ["no finite number", "shape 6", "vertex 4"]),
        ({"deltas": poisoned(DELTAS, (6, 4, 1), -np.inf)}, ["no finite number", "shape 6", "vertex 4"]),
        (
            {"deltas": poisoned(DELTAS, (2, 9, 0), np.nan), "shape_names": list("abcdefgh")},
            ["shape 2 (c) at vertex 9"],
        ),
        ({"deltas": np.full(DELTAS, 1e300)}, ["no finite number", "shape 0"]),
        ({"deltas": np.full(DELTAS, 1e20)}, ["1e+20"]),
        ({"rest_verts": poisoned((VERTICES, 3), (11, 2), np.nan)}, ["rest_verts", "vertex 11"]),
        ({"rest_faces": FACES + 17}, ["rest_faces", "vertex 25", "20"]),
        ({"rest_faces": FACES - 2}, ["rest_faces", "-3"]),
        ({"rest_faces": FACES.astype(float)}, ["rest_faces", "float64"]),
        ({"rest_faces": FACES[:, :2]}, ["rest_faces", "three corners"]),
        ({"rest_faces": np.array([[0, 1, 2, 3], [0, 1, -1, 2]])}, ["fewer than three corners, number 1"]),
        ({"rest_faces": np.array([[0, 1, 2, -1, 3]])}, ["number 0"]),
        ({"shape_names": ["only one"]}, ["shape_names", "8 names"]),
        ({"inbetween_info": {"num_indices": 8}}, ["8 in-betweens", "no control"]),
        ({"inbetween_info": [1, 2]}, ["inbetween_info", "no table"]),
        ({"inbetween_info": {"0,0.5,1": [[5], [1]]}}, ["inbetween_info", "num_indices"]),
        ({"inbetween_info": {"num_indices": -1}}, ["inbetween_info", "num_indices"]),
        ({"inbetween_info": {"num_indices": True}}, ["inbetween_info", "num_indices"]),
        ({"inbetween_info": {"num_indices": 1, "0,1": [[5], [1]]}}, ["'0,1'"]),
        ({"inbetween_info": {"num_indices": 1, "1,0.5,0": [[5], [1]]}}, ["'1,0.5,0'"]),
        ({"inbetween_info": {"num_indices": 1, "0,nan,1": [[5], [1]]}}, ["'0,nan,1'"]),
        ({"inbetween_info": {"num_indices": 1, 2: [[5], [1]]}}, ["inbetween_info", "2"]),
        ({"inbetween_info": {"num_indices": 1, "0,0.5,1": [[5], [6]]}}, ["column 6", "5 controls"]),
        ({"inbetween_info": {"num_indices": 1, "0,0.5,1": [[8], [0]]}}, ["column 8", "8 shapes"]),
        ({"inbetween_info": {"num_indices": 1, "0,0.5,1": [[5, 6], [0]]}}, ["different lengths"]),
        ({"inbetween_info": {"num_indices": 1, "0,0.5,1": [[5]]}}, ["2 lists"]),
        ({"inbetween_info": {"num_indices": 1, "0,0.5,1": [[5], [0.5]]}}, ["whole numbers"]),
        ({"inbetween_info": {"num_indices": 1, "0,0.5,1": [[5], "a"]}}, ["whole numbers"]),
        ({"combination_info": {"num_indices": 2, 2: [[0], [-1], [6]]}}, ["column -1"]),
        ({"combination_info": {"num_indices": 2, 0: [[6]]}}, ["entry 0"]),
        ({"combination_info": {"num_indices": 2, "two": [[0], [1], [6]]}}, ["'two'"]),
        ({"combination_info": {"num_indices": 2, 3: [[0], [1], [6]]}}, ["4 lists"]),
    ],
)
def test_bad_content_ends_in_one_sentence(tmp_path, changes, words):
    refused(write_model(tmp_path / "face.npz", **changes), *words)


def test_nothing_in_a_pickle_runs(tmp_path):
    trace = tmp_path / "trace"
    for key in ("inbetween_info", "deltas", "rest_faces", "anything"):
        for value in (np.array(Harmful(trace), object), np.array([{"num_indices": Harmful(trace)}], object)):
            refused(write_model(tmp_path / "evil.npz", **{key: value}), "no blendshape model needs")
    assert not trace.exists()


def test_what_is_no_archive_ends_in_one_sentence(tmp_path):
    whole = write_model(tmp_path / "whole.npz").read_bytes()
    refused(tmp_path / "absent.npz", "missing")
    for name, data in (("empty", b""), ("text", b"hello"), ("cut", whole[:700]), ("pickle", b"\x80\x02N.")):
        path = tmp_path / f"{name}.npz"
        path.write_bytes(data)
        refused(path, "damaged or not a NumPy archive")
    damaged = bytearray(whole)
    damaged[300] ^= 0xFF
    (tmp_path / "damaged.npz").write_bytes(damaged)
    refused(tmp_path / "damaged.npz", "damaged")


def test_sizes_that_are_only_announced_are_not_believed(tmp_path):
    path = tmp_path / "huge.npz"
    header = str({"descr": "<f4", "fortran_order": False, "shape": (10**9, 10**4, 3)}).encode()
    header += b" " * (117 - len(header)) + b"\n"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("deltas.npy", b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header)
    refused(path, "damaged")
    data = bytearray(write_model(path).read_bytes())
    entry = data.index(b"PK\x01\x02")
    data[entry + 24 : entry + 28] = (LARGEST_FILE + 1).to_bytes(4, "little")
    path.write_bytes(data)
    refused(path, "would unpack to more than 2048 MB")


def test_one_polygon_with_all_corners_does_not_fill_the_memory():
    with pytest.raises(ModelError, match="polygons, and one of them has"):
        faces_array([[0, 1, 2]] * 20_000 + [list(range(20_000))], 20_000, "x")


# OBJ files


def obj_text(vertices: np.ndarray, faces: np.ndarray = FACES) -> str:
    return obj_vertices(vertices) + obj_faces(faces)


def obj_folder(folder: Path, shapes: int = 3, rest_name: str = "rest.obj") -> BlendshapeModelData:
    """A folder of OBJ files, and the model that it holds."""
    folder.mkdir(exist_ok=True)
    held = arrays(
        deltas=arrays()["deltas"][:shapes],
        inbetween_info=None,
        combination_info=None,
        shape_names=["blink", "Jaw", "smile"][:shapes],
    )
    (folder / rest_name).write_text(obj_text(held["rest_verts"]))
    for name, delta in zip(held["shape_names"], held["deltas"], strict=True):
        (folder / f"{name}.obj").write_text(obj_text(held["rest_verts"] + delta))
    return BlendshapeModelData.from_arrays(**held)


@pytest.mark.parametrize("rest_name", ["rest.obj", "Neutral.OBJ"])
def test_a_folder_of_obj_files_is_a_model(tmp_path, rest_name):
    expected = obj_folder(tmp_path / "head", rest_name=rest_name)
    model = read_model(tmp_path / "head")
    assert model.shape_names == ("blink", "Jaw", "smile") and model.model_name == "head"
    assert np.array_equal(model.rest_faces, FACES) and np.array_equal(model.rest_verts, expected.rest_verts)
    assert np.abs(model.deltas - expected.deltas).max() < 1e-6


def test_obj_files_may_be_given_one_by_one(tmp_path):
    obj_folder(tmp_path)
    model = BlendshapeModelData.from_obj_files(
        tmp_path / "rest.obj", [tmp_path / "smile.obj", tmp_path / "blink.obj"], alpha=2.0
    )
    assert model.shape_names == ("smile", "blink") and model.model_name == "rest" and model.alpha == 2.0
    assert model.n_controls == 2


def test_what_else_is_in_an_obj_file_is_passed_over(tmp_path):
    path = tmp_path / "many.obj"
    path.write_bytes(
        b"# a comment\r\nmtllib x.mtl\r\no part\r\n  v 0 0 0 1 0 0\r\nv 1 0 0 # here\r\nvt 0 0\nvn 0 0 1\n"
        b"v\t1 1 0\nv 0 1 \\\n0\ng all\nusemtl red\ns off\nf 1/1/1 2//1 3/1\nf -4 -3 -2 -1\n"
        b"l 1 2\nvp 0.1\nf 1 2 3 4"
    )
    vertices, faces = read_obj(path)
    assert vertices.tolist() == [[0, 0, 0], [1, 0, 0], [1, 1, 0], [0, 1, 0]]
    assert faces.tolist() == [[0, 1, 2, -1], [0, 1, 2, 3], [0, 1, 2, 3]]


QUAD = "v 0 0 0\nv 1 0 0\nv 1 1 0\nv 0 1 0\n"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "no vertices"),
        ("\0\1\2 binary", "no vertices"),
        ("v 1 2\n", "line 1"),
        ("v 1 2 x\n", "no numbers"),
        ("v 1 2 nan\n", "no finite number, at vertex 0"),
        ("v 1 2 1e999\n", "no finite number"),
        (QUAD + "f 1 2\n", "fewer than three corners, in line 5"),
        (QUAD + "f\n", "fewer than three corners"),
        ("v\n", "without three coordinates"),
        (QUAD + "f 1 2 5\n", "points at vertex 4, and there are 4"),
        (QUAD + "f 1 2 0\n", "before the first, in line 5"),
        (QUAD + "f 1 2 -5\n", "before the first, in line 5"),
        (QUAD + "f 1 2 99999999999999999999\n", "no vertex number"),
        (QUAD + "f 1 2 --3\n", "no vertex number"),
        (QUAD + "f a b c\n", "no vertex number, in line 5"),
        ("v 1 2 3" + " " * LONGEST_LINE, "far too long"),
        (("v 1 2 \\\n") + ("a" * 1000 + "\\\n") * 1100, "far too long"),
    ],
)
def test_a_bad_obj_file_ends_in_one_sentence(tmp_path, text, words):
    path = tmp_path / "bad.obj"
    path.write_text(text)
    with pytest.raises(ModelError) as caught:
        read_obj(path)
    assert "bad.obj" in caught.value.message and words in caught.value.message


def test_shapes_of_another_mesh_are_refused(tmp_path):
    obj_folder(tmp_path)
    rest = arrays()["rest_verts"]
    for text, words in (
        (obj_text(rest[:-1]), "19 vertices and rest.obj has 20"),
        (obj_text(rest, FACES[:, [0, 2, 1, 3]]), "other polygons than rest.obj"),
        (obj_text(rest, FACES[:1]), "other polygons than rest.obj"),
    ):
        (tmp_path / "smile.obj").write_text(text)
        with pytest.raises(ModelError) as caught:
            read_model(tmp_path)
        assert "smile.obj" in caught.value.message and words in caught.value.message


def test_folders_that_are_no_model(tmp_path):
    (tmp_path / "face").mkdir()
    refused(tmp_path / "face", "no OBJ file")
    (tmp_path / "face" / "smile.obj").write_text(QUAD)
    refused(tmp_path / "face", "none of its OBJ files is the rest")
    (tmp_path / "face" / "rest.obj").write_text(QUAD)
    (tmp_path / "face" / "smile.obj").unlink()
    refused(tmp_path / "face", "no shapes")
    with pytest.raises(LikenessError, match=r"gone\.obj is missing"):
        BlendshapeModelData.from_obj_files(tmp_path / "face" / "rest.obj", [tmp_path / "gone.obj"])
