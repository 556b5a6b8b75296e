# SPDX-License-Identifier: GPL-3.0-or-later
"""Frames from controls: in memory, as OBJ and as .npz; whole or not at all."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from skin_models import CONTROLS, FACES, SHAPES, small_model, small_skin, without_rig

from core.errors import Cancelled, LikenessError, ModelError, SettingsError
from core.skin.animation import AnimationFrameGenerator, read_animation
from core.skin.obj_file import read_obj
from core.skin.playback import evaluate
from core.skin.rig_logic import compute_rig_logic

FRAMES = 4


@pytest.fixture
def weights(tmp_path: Path) -> np.ndarray:
    """Controls of four frames, in anim.npz too."""
    made = np.random.default_rng(2).random((FRAMES, CONTROLS)).astype(np.float32)
    np.savez(tmp_path / "anim.npz", weights=made)
    return made


@pytest.fixture
def generator(tmp_path: Path) -> AnimationFrameGenerator:
    """Of a published file, which has no rig tables, and the model that has them."""
    without_rig(small_skin()).save(tmp_path / "result.npz", sparse=True)
    return AnimationFrameGenerator(tmp_path / "result.npz", small_model())


def test_frames_are_what_the_rig_and_the_bones_make(generator, weights):
    frames = generator.frames(weights)
    model, skin = small_model(), small_skin()
    coefficients = compute_rig_logic(weights, model.inbetween_info, model.combination_info)
    assert np.array_equal(frames, evaluate(skin, coefficients))
    assert np.array_equal(AnimationFrameGenerator(skin).frames(weights), frames)


def test_obj_frames_hold_the_vertices_exactly(generator, weights, tmp_path):
    folder = generator.generate_frames(tmp_path / "anim.npz", tmp_path / "frames")
    assert sorted(p.name for p in folder.iterdir()) == [f"frame_{k:05d}.obj" for k in range(FRAMES)]
    for k, expected in enumerate(generator.frames(weights)):
        vertices, faces = read_obj(folder / f"frame_{k:05d}.obj")
        assert np.array_equal(vertices.astype(np.float32), expected) and np.array_equal(faces, FACES)


def test_npz_frames_are_one_file(generator, weights, tmp_path):
    folder = generator.generate_frames(tmp_path / "anim.npz", tmp_path / "frames", format="npz")
    with np.load(folder / "frames.npz", allow_pickle=False) as held:
        assert np.array_equal(held["vertices"], generator.frames(weights))
        assert np.array_equal(held["faces"], FACES)


def test_only_the_first_columns_are_controls(generator, weights, tmp_path):
    more = np.concatenate([weights, np.full((FRAMES, 6), np.float32(0.7))], axis=1)
    assert np.array_equal(generator.frames(more, CONTROLS), generator.frames(weights))
    with pytest.raises(ModelError, match="11 columns of controls, and the face has 5") as caught:
        generator.frames(more)
    assert "first 5 columns" in caught.value.hint
    with pytest.raises(ModelError, match="3 columns of controls"):
        generator.frames(weights[:, :3])
    with pytest.raises(SettingsError, match="0 columns"):
        generator.frames(weights, 0)


def test_a_face_without_rig_keeps_what_is_not_driven_at_rest(weights):
    alone = AnimationFrameGenerator(without_rig(small_skin()))
    padded = np.pad(weights, ((0, 0), (0, SHAPES - CONTROLS)))
    assert alone.n_controls == SHAPES
    assert np.array_equal(alone.frames(weights), alone.frames(padded))


def test_a_skin_of_another_model_is_refused():
    skin = small_skin()
    with pytest.raises(ModelError, match="8 shapes and model has 7"):
        AnimationFrameGenerator(skin, small_model(deltas=small_model().deltas[:7], combination_info=None))
    fewer = replace(skin, rest=skin.rest[:19], weights=skin.weights[:19])
    with pytest.raises(ModelError, match="19 vertices and model has 20"):
        AnimationFrameGenerator(fewer, small_model())


def test_frames_replace_frames_and_nothing_else(generator, weights, tmp_path):
    folder = generator.generate_frames(tmp_path / "anim.npz", tmp_path / "frames", format="npz")
    generator.generate_frames(tmp_path / "anim.npz", folder)
    assert not (folder / "frames.npz").exists()
    (folder / "notes.txt").write_text("mine")
    with pytest.raises(SettingsError, match="other files"):
        generator.generate_frames(tmp_path / "anim.npz", folder)
    with pytest.raises(SettingsError, match="is a file"):
        generator.generate_frames(tmp_path / "anim.npz", folder / "notes.txt")
    assert len(list(folder.iterdir())) == FRAMES + 1


@pytest.mark.parametrize("form", ["obj", "npz"])
def test_a_stop_leaves_the_old_frames(generator, weights, tmp_path, form):
    folder = generator.generate_frames(tmp_path / "anim.npz", tmp_path / "frames")
    before = {p.name: p.read_bytes() for p in folder.iterdir()}
    names = sorted(p.name for p in tmp_path.iterdir())

    def stop(fraction, _stage, _text):
        if fraction >= 0.5:
            raise Cancelled("Stopped.")

    with pytest.raises(Cancelled):
        generator.generate_frames(tmp_path / "anim.npz", folder, format=form, progress=stop)
    assert {p.name: p.read_bytes() for p in folder.iterdir()} == before
    assert sorted(p.name for p in tmp_path.iterdir()) == names


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ({"poses": np.zeros((2, 5))}, "no weights"),
        ({"weights": np.zeros(5)}, "(5,)"),
        ({"weights": np.zeros((0, 5))}, "0 frames"),
        ({"weights": np.zeros((3, 0))}, "0 columns"),
        ({"weights": np.array([["a"]])}, "no array of numbers"),
        ({"weights": np.array([[0, 1], [np.nan, 0]])}, "frame 1, column 0"),
        ({"weights": np.array([[0, None]], object)}, "no array of numbers"),
    ],
)
def test_a_bad_animation_ends_in_one_sentence(tmp_path, content, words):
    np.savez(tmp_path / "bad.npz", **content)
    with pytest.raises(ModelError) as caught:
        read_animation(tmp_path / "bad.npz")
    assert "bad.npz" in caught.value.message and words in caught.value.message


def test_an_unknown_format_is_refused(generator, weights, tmp_path):
    with pytest.raises(LikenessError, match="abc"):
        generator.generate_frames(tmp_path / "anim.npz", tmp_path / "frames", format="abc")
