# SPDX-License-Identifier: GPL-3.0-or-later
"""Compressed faces from files: published results, ours, animations with rig tables, and what is none."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import bpy
import numpy as np
import pytest
import skin_support
from scene_support import part

TABLES = ({"0,0.5,1": [[2], [0]], "num_indices": 1}, {2: [[0], [1], [3]], "num_indices": 1})
"""Two controls, an in-between of the first, their product."""
UPRIGHT = np.array([[1.0, 0.0, 0.0], [0.0, 0.0, -1.0], [0.0, 1.0, 0.0]])


@pytest.fixture(autouse=True)
def new_file(empty_scene: bpy.types.Scene) -> None:
    """Every test starts in an empty file."""


def model(tables: bool = True) -> Any:
    """A face of four shapes, in centimetres with Y up, away from the origin."""
    x, y = (axis.ravel() for axis in np.meshgrid(np.linspace(-8, 8, 10), np.linspace(150, 166, 10)))
    points = np.stack([x, y, 0.02 * x**2], axis=1)
    corners = np.array([r * 10 + c for r in range(9) for c in range(9)])
    faces = np.stack([corners, corners + 1, corners + 11, corners + 10], axis=1)
    spots = np.array([[-4, 154], [4, 154], [0, 160], [0, 164]])
    near = np.exp(-np.square(points[None, :, :2] - spots[:, None]).sum(axis=2) / 18.0)
    deltas = near[:, :, None] * np.array([[0, 1, 2], [1, 0, 2], [0, 2, 0], [2, 1, 0]])[:, None]
    both = TABLES if tables else (None, None)
    return part("core.skin.model_data").BlendshapeModelData.from_arrays(deltas, points, faces, *both)


def skin_of(data: Any) -> Any:
    source = part("addon.scene.shape_source")
    shapes = source.ShapeSource(data.names, data.rest_verts, data.deltas, data.rest_faces)
    return skin_support.tiny_skin(shapes, 8)


def published(path: Path, skin: Any) -> Path:
    """The five arrays of a published result, and nothing else."""
    matrices = skin.matrices().transpose(0, 2, 1, 3)
    np.savez(
        path,
        rest=skin.rest,
        quads=skin.faces,
        weights=skin.weights,
        restXform=np.tile(np.eye(3, 4), (skin.n_bones, 1, 1)),
        shapeXform=matrices.reshape(3 * skin.n_shapes, 4 * skin.n_bones),
    )
    return path


def controls(path: Path, columns: int = 2) -> np.ndarray:
    values = np.random.default_rng(2).uniform(0.0, 1.0, (9, columns)).astype(np.float16)
    np.savez(path, weights=values)
    return values


def importing(path: Path, **options: Any) -> Any:
    """The compressed object that came in."""
    assert bpy.ops.likeness.import_skin(filepath=str(path), **options) == {"FINISHED"}
    (found,) = part("addon.scene.compressed_state").compressed_objects(bpy.context.scene)
    return found


def expected(data: Any, skin: Any, values: np.ndarray) -> np.ndarray:
    """(T, N, 3) metres, Z up."""
    generator = part("core.skin.animation").AnimationFrameGenerator(skin, data)
    return 0.01 * generator.frames(values.astype(np.float32)) @ UPRIGHT.T


@pytest.mark.parametrize("sliders", [False, True])
def test_a_published_result_plays_its_animation(tmp_path: Path, sliders: bool) -> None:
    data = model()
    skin = skin_of(data)
    data.save(tmp_path / "model.npz")
    values = controls(tmp_path / "anim.npz")
    copy = importing(
        published(tmp_path / "result.npz", skin),
        model=str(tmp_path / "model.npz"),
        animation=str(tmp_path / "anim.npz"),
        sliders=sliders,
        two_bones=True,
    )
    aside = np.array(copy.matrix_world)[:3, 3]
    for frame, wanted in enumerate(expected(data, skin, values), bpy.context.scene.frame_start):
        bpy.context.scene.frame_set(frame)
        assert skin_support.world_points(copy) - aside == pytest.approx(wanted, abs=2e-5), frame
    originals = [obj for obj in bpy.data.objects if part("addon.compressing").has_shapes(obj)]
    assert len(originals) == sliders
    if sliders:
        keys = originals[0].data.shape_keys.key_blocks
        moved = np.array([p.co for p in keys[1].data]) - np.array([p.co for p in keys[0].data])
        assert moved == pytest.approx(0.01 * data.deltas[0] @ UPRIGHT.T, abs=1e-5)
        assert "worst" in part("addon.compressing").sentence_of(copy)


def test_without_its_model_the_bones_say_what_shapes_are(tmp_path: Path) -> None:
    skin = skin_of(model(tables=False))
    copy = importing(published(tmp_path / "result.npz", skin), unit="METRES", up="Z")
    source = part("addon.scene.compressed_state").source_of(copy)
    assert np.array([v.co for v in source.data.vertices]) == pytest.approx(skin.rest, abs=1e-4)
    source.data.shape_keys.key_blocks["shape_002"].value = 1.0
    assert bpy.ops.likeness.update_compressed() == {"FINISHED"}
    assert skin_support.distances(source, copy, [3]).max() < 0.05
    assert copy["compression_error"] > 0.0


def test_a_result_alone_is_a_mesh_on_bones(tmp_path: Path) -> None:
    skin = skin_of(model(tables=False))
    skin.save(tmp_path / "ours.npz", sparse=True)
    copy = importing(tmp_path / "ours.npz", sliders=False)
    centred = 0.01 * (skin.rest + skin.centre) @ UPRIGHT.T
    assert skin_support.world_points(copy) == pytest.approx(centred, abs=1e-5)


@pytest.mark.parametrize(
    ("spoil", "sentence"),
    [
        (lambda folder: (folder / "result.npz").write_bytes(b"no archive"), "result.npz"),
        (lambda folder: (folder / "result.npz").unlink(), "result.npz"),
        (lambda folder: np.savez(folder / "result.npz", rest=np.zeros((3, 3))), "quads"),
        (lambda folder: np.savez(folder / "result.npz", rest=np.array([object()])), "result.npz"),
        (lambda folder: model(tables=False).save(folder / "result.npz"), "result.npz"),
        (lambda folder: np.savez(folder / "anim.npz", weights=np.full((4, 2), np.nan)), "finite"),
        (lambda folder: np.savez(folder / "anim.npz", weights=np.zeros((4, 1))), "1 columns of controls"),
        (lambda folder: np.savez(folder / "model.npz", deltas=np.zeros((4, 5, 3))), "model.npz"),
    ],
)
def test_a_bad_file_is_one_sentence_and_nothing_else(tmp_path: Path, spoil: Any, sentence: str) -> None:
    data = model()
    published(tmp_path / "result.npz", skin_of(data))
    data.save(tmp_path / "model.npz")
    controls(tmp_path / "anim.npz")
    spoil(tmp_path)
    with pytest.raises(RuntimeError, match=sentence) as caught:
        bpy.ops.likeness.import_skin(
            filepath=str(tmp_path / "result.npz"),
            model=str(tmp_path / "model.npz"),
            animation=str(tmp_path / "anim.npz"),
        )
    assert "Traceback" not in str(caught.value)
    assert not list(bpy.data.objects)


def test_columns_beyond_the_controls_are_what_the_controls_make(tmp_path: Path) -> None:
    data = model()
    skin = skin_of(data)
    data.save(tmp_path / "model.npz")
    values = controls(tmp_path / "anim.npz", columns=5)
    files = part("addon.skin_import").read_files(
        published(tmp_path / "result.npz", skin), tmp_path / "model.npz", tmp_path / "anim.npz", 0.01, True
    )
    wanted = part("core.skin.rig_logic").compute_rig_logic(values[:, :2], *TABLES)
    assert files.values == pytest.approx(wanted, abs=1e-6)
