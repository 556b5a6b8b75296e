# SPDX-License-Identifier: GPL-3.0-or-later
"""The low-rank form of a face track, and what is predicted from it, on tracks whose truth is known."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from core import rotation
from core.arkit import ARKIT_NAMES, INDEX
from core.errors import AvatarError
from core.performance import Performance
from core.texture.low_rank import LowRankCollector, directions, low_rank
from core.texture.predict import learn
from core.texture.predicted import FEATURES, PredictedTexture

SIZE, COUNT = 64, 120
DRIVERS = ("jawOpen", "browInnerUp", "mouthSmileLeft")


def rises(count: int = COUNT) -> np.ndarray:
    """(count, 3) weights 0..1 that come and go."""
    t = np.arange(count)[:, None]
    return 0.5 - 0.5 * np.cos(t * np.array([0.21, 0.13, 0.34]) + [0.0, 1.0, 2.0])


def inside() -> np.ndarray:
    mask = np.zeros((SIZE, SIZE), bool)
    mask[4:-4, 4:-20] = True
    return mask


def wrinkles() -> np.ndarray:
    """(3, SIZE, SIZE, 3) levels that three weights add within the mask, smooth, in the middle."""
    row, column = np.mgrid[:SIZE, :SIZE] / SIZE - 0.4
    bump = np.exp(-20 * (row**2 + column**2)) * inside()
    waves = [np.sin(20 * row), np.cos(15 * column), np.ones_like(row)]
    return np.stack([(30 * bump * wave)[..., None] * [1.0, 0.8, 0.6] for wave in waves])


def track(noise: float = 0.0, count: int = COUNT) -> np.ndarray:
    """(count, SIZE, SIZE, 3) uint8."""
    rng = np.random.default_rng(0)
    base = 120 + 20 * rng.standard_normal((SIZE, SIZE, 3))
    moved = np.tensordot(rises(count), wrinkles(), 1)
    grain = noise * rng.standard_normal((count, SIZE, SIZE, 3)) * inside()[..., None]
    return np.clip(np.rint(base + moved + grain), 0, 255).astype(np.uint8)


def performance(count: int = COUNT) -> Performance:
    weights = np.zeros((count, len(ARKIT_NAMES)), np.float32)
    weights[:, [INDEX[name] for name in DRIVERS]] = rises(count)
    return Performance("synthetic", np.arange(count) / 30.0, weights)


def psnr(a: np.ndarray, b: np.ndarray) -> float:
    """Within the mask, dB."""
    error = (a.astype(float) - b)[..., inside(), :]
    return float(10 * np.log10(255.0**2 / np.mean(error**2)))


def pictures(texture, coefficients) -> np.ndarray:
    return np.stack([texture.picture(c) for c in coefficients])


def plain(frames: np.ndarray, components: int) -> np.ndarray:
    """The twin: the best rank-k form there is (Eckart and Young), by SVD of all texels in float64."""
    flat = frames[:, inside()].reshape(len(frames), -1).astype(float)
    left, values, right = np.linalg.svd(flat - flat.mean(axis=0), full_matrices=False)
    found = frames.astype(float)
    near = flat.mean(axis=0) + (left[:, :components] * values[:components]) @ right[:components]
    found[:, inside()] = near.reshape(len(frames), -1, 3)
    return found


def test_it_is_near_the_best_there_is() -> None:
    frames = track(noise=3.0)
    texture = low_rank(frames, inside(), 3)
    assert texture.basis.dtype == np.int8
    loss = psnr(plain(frames, 3), frames) - psnr(pictures(texture, texture.coefficients), frames)
    assert 0.0 < loss < 0.1


def test_what_three_components_can_say_is_kept() -> None:
    frames = track()
    texture = low_rank(frames, inside(), 8)
    assert texture.count >= 3
    assert psnr(pictures(texture, texture.coefficients), frames) > 50.0


def test_texels_that_never_move_are_those_of_the_first_picture() -> None:
    frames = track()
    texture = low_rank(frames, inside(), 3)
    shown = texture.picture(texture.coefficients[40])
    assert np.array_equal(shown[~inside()], frames[0][~inside()])
    assert len(texture.index) < 0.9 * inside().sum()


def test_a_long_take_keeps_some_pictures_whole_and_knows_all(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(LowRankCollector, "BASIS_PICTURES", 60)
    frames = track(noise=1.0)
    texture = low_rank(frames, inside(), 3)
    assert texture.coefficients.shape == (COUNT, 3)
    assert psnr(pictures(texture, texture.coefficients), frames) > psnr(plain(frames, 3), frames) - 0.8


def test_a_still_take_has_no_components() -> None:
    frames = np.repeat(track(count=1), 5, axis=0)
    texture = low_rank(frames, inside())
    assert texture.count == 0 and texture.coefficients.shape == (5, 0)
    assert np.array_equal(texture.picture(np.zeros(0)), frames[0])
    predicted = learn(texture, performance(5))
    assert predicted.coefficients(np.zeros((2, 52))).shape == (2, 0)


def test_directions_have_mean_square_one() -> None:
    flat = np.random.default_rng(2).standard_normal((20, 300)).astype(np.float32)
    amounts = directions(flat - flat.mean(axis=0), 4)
    assert np.allclose(amounts.T @ amounts / 20, np.eye(4), atol=1e-4)


def test_a_picture_can_be_drawn_over_another() -> None:
    texture = low_rank(track(), inside(), 3)
    ground = np.full((SIZE, SIZE, 3), 7, np.uint8)
    shown = texture.picture(texture.coefficients[3], out=ground)
    assert shown is ground and np.all(ground[0] == 7)
    whole = texture.picture(texture.coefficients[3]).reshape(-1, 3)
    assert np.array_equal(ground.reshape(-1, 3)[texture.index], whole[texture.index])


# ---- predicted


@pytest.fixture(scope="module")
def predicted() -> PredictedTexture:
    return learn(low_rank(track(noise=2.0), inside(), 6), performance())


def test_a_performance_tells_the_texture(predicted: PredictedTexture) -> None:
    assert predicted.score > 0.9
    found = predicted.coefficients(performance().weights)
    assert psnr(pictures(predicted, found), track()) > 36.0


def test_the_linear_form_is_the_prediction(predicted: PredictedTexture) -> None:
    features = np.zeros(len(FEATURES))
    features[INDEX["jawOpen"]] = 0.4
    features[INDEX["browInnerUp"]] = 0.5
    linear = predicted.matrix @ features + predicted.offset
    weights = features[: len(ARKIT_NAMES)][None]
    found = predicted.coefficients(weights, np.array([[1.0, 0, 0, 0]]), np.zeros((1, 2, 2)))[0]
    assert np.allclose(found, np.clip(linear, predicted.lowest, predicted.highest), atol=1e-5)


def test_nothing_beyond_what_was_seen_is_predicted(predicted: PredictedTexture) -> None:
    far = predicted.coefficients(np.full((1, 52), 25.0))
    assert np.all(far >= predicted.lowest) and np.all(far <= predicted.highest)
    seen = predicted.texture.coefficients
    assert np.all(predicted.lowest >= seen.min(axis=0)) and np.all(predicted.highest <= seen.max(axis=0))


def test_what_never_moved_says_nothing(predicted: PredictedTexture) -> None:
    rest = predicted.coefficients(np.zeros((1, 52)))
    tongue = np.zeros((1, 52))
    tongue[0, INDEX["tongueOut"]] = 1.0
    assert np.abs(predicted.coefficients(tongue) - rest).max() < 1e-4


def test_noise_is_not_learnt() -> None:
    still = np.repeat(track(count=1), COUNT, axis=0)
    rng = np.random.default_rng(5)
    grain = rng.normal(0, 6, still.shape) * inside()[..., None]
    texture = low_rank(np.clip(still + grain, 0, 255).astype(np.uint8), inside(), 6)
    learnt = learn(texture, performance())
    assert -0.1 < learnt.score < 0.05
    assert np.abs(learnt.coefficients(performance().weights)).mean() < 0.15


def test_samples_that_were_not_seen_teach_nothing() -> None:
    frames, seen = track(), np.arange(COUNT) % 3 > 0
    frames[~seen] = 0
    texture = low_rank(track(), inside(), 3)
    spoilt = texture.coefficients.copy()
    spoilt[~seen] = 50.0
    texture = replace(texture, coefficients=spoilt)
    lost = replace(performance(), confidence=seen.astype(np.float32))
    learnt = learn(texture, lost)
    assert learnt.score > 0.95 and np.all(learnt.highest < 10)


def test_head_and_gaze_count_where_they_are_known() -> None:
    turn = rotation.from_rotation_vector(rises()[:, :1] * [0.0, 0.6, 0.0])
    gaze = np.zeros((COUNT, 2, 2))
    gaze[:, :, 0] = 0.3 * rises()[:, 1:2]
    known = replace(performance(), weights=np.zeros((COUNT, 52)), head_rotation=turn, gaze=gaze)
    learnt = learn(low_rank(track(), inside(), 3), known)
    assert 0.3 < learnt.score < 0.95, "two of the three are told"
    unknown = learnt.coefficients(np.zeros((1, 52)))
    assert np.abs(unknown).max() < 0.2, "the usual pose is in the middle"


def test_a_file_comes_back(predicted: PredictedTexture, tmp_path: Path) -> None:
    path = tmp_path / "predicted.npz"
    predicted.save(path)
    again = PredictedTexture.load(path)
    found = predicted.coefficients(performance().weights)[17]
    assert np.array_equal(again.coefficients(performance().weights)[17], found)
    assert np.array_equal(again.picture(found), predicted.picture(found))
    assert again.score == pytest.approx(predicted.score)


def test_a_file_that_is_not_right_is_refused(predicted: PredictedTexture, tmp_path: Path) -> None:
    path = tmp_path / "predicted.npz"
    bad = {
        "matrix": predicted.matrix[:, :-1],
        "offset": np.full_like(predicted.offset, np.nan),
        "lowest": predicted.lowest.astype(np.float64),
    }
    for name, array in bad.items():
        replace(predicted, **{name: array}).save(path)
        with pytest.raises(AvatarError, match=name):
            PredictedTexture.load(path)
    outside = replace(predicted.texture, index=predicted.texture.index + SIZE * SIZE)
    replace(predicted, texture=outside).save(path)
    with pytest.raises(AvatarError, match="outside"):
        PredictedTexture.load(path)
    performance().save(path)
    with pytest.raises(AvatarError, match="not a predicted texture"):
        PredictedTexture.load(path)
    path.write_bytes(b"PK\x03\x04")
    with pytest.raises(AvatarError):
        PredictedTexture.load(path)


def test_a_picture_is_quick() -> None:
    rng = np.random.default_rng(0)
    frames = rng.integers(60, 190, (20, 256, 256, 3)).astype(np.uint8)
    texture = low_rank(frames, np.ones((256, 256), bool))
    texture.picture(texture.coefficients[0])
    began = time.perf_counter()
    for c in texture.coefficients:
        texture.picture(c)
    assert (time.perf_counter() - began) / 20 < 0.05, "2 ms alone on a machine"
