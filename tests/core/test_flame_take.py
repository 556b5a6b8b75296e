# SPDX-License-Identifier: GPL-3.0-or-later
"""Takes of FLAME heads: solved from landmarks, held to the truth, kept, written and projected again."""

from __future__ import annotations

import json
from dataclasses import replace
from functools import cache

import numpy as np
import pytest
from fit_support import slope
from flame_takes import NOISE, MadeTake, compiled, flame, keep_landmarks, landmarks, literal_px, made_take

from core import rotation
from core.__main__ import main
from core.avatar import Avatar
from core.errors import AvatarError, CaptureError, ModelError, SettingsError
from core.fit.fit_npz import read_fit, write_fit
from core.fit.flame_exchange import variant_of
from core.fit.flame_face import FlameFace
from core.fit.flame_frames import FlameTakeFit
from core.fit.flame_head import open_flame
from core.fit.flame_kept import kept_fit, kept_take, with_flame_take
from core.fit.flame_param import read_flame_param, write_flame_param
from core.fit.flame_take import fit_flame_take, take_fit_with_model
from core.fit.mapping.motion import Similarity
from core.head.flame.forward import FlameParameters, vertices
from core.performance import Performance
from core.track import Track

Array = np.ndarray

NO_JAW, JAW = "2023_no_jaw", "2020"


@cache
def solved(variant: str, **options) -> tuple[MadeTake, FlameTakeFit]:
    """A take and its fit."""
    made = made_take(variant, **options)
    return made, fit_flame_take(made.track, made.performance, flame(variant))


def degrees(a: Array, b: Array) -> float:
    """Mean angle between rotation vectors (T, 3)."""
    turns = [rotation.from_rotation_vector(v) for v in (a, b)]
    between = rotation.multiply(turns[0], rotation.conjugate(turns[1]))
    return float(np.degrees(np.linalg.norm(rotation.to_rotation_vector(between), axis=1)).mean())


# ---- the face


@pytest.mark.parametrize("variant", [NO_JAW, JAW])
def test_a_solver_is_the_true_face_to_first_order(variant):
    rng, head = np.random.default_rng(0), flame(variant)
    face = FlameFace.of(head, rng.normal(size=head.shape_count))
    weights, eyes = 0.5 * rng.normal(size=face.count), np.array([0.1, -0.2, 0.0])
    if head.model.has_jaw:
        weights[-3:] = 0.3, 0.05, -0.04
    solver = face.solver(weights, eyes)

    def points(w: Array) -> Array:
        return face.points(w[None], eyes[None])[0, :468]

    assert np.allclose(solver.points(weights), points(weights), rtol=0, atol=1e-12)
    assert np.allclose(solver.shapes, slope(points, weights, 1e-4), rtol=0, atol=5e-6)


@pytest.mark.parametrize("variant", [NO_JAW, JAW])
def test_landmarks_are_those_of_the_whole_head(variant):
    rng, head = np.random.default_rng(1), flame(variant)
    shape, eyes = rng.normal(size=head.shape_count), np.array([[0.05, 0.2, 0.0]])
    face = FlameFace.of(head, shape)
    weights = rng.normal(size=(1, face.count)) * 0.3
    split = face.expression_count
    whole = head.model.cap4d if variant == NO_JAW else head.model.whole
    jaw = weights[:, split:] if head.model.has_jaw else None
    given = FlameParameters.of(variant, shape, weights[:, :split], mode=head.mode, jaw=jaw, eyes=eyes)
    expected = landmarks(variant).points(vertices(whole, replace(given, translation=np.zeros((1, 3)))))
    shift = expected - face.points(weights, eyes)  # the published form turns nothing here, so none is left
    assert np.allclose(shift, 0, rtol=0, atol=1e-6)


def test_the_head_rests_as_caps_forward_pass_has_it():
    """With the constant offset of the correctives, which the template alone has not."""
    head = flame(NO_JAW)
    rest = head.head.rest(np.zeros(150, np.float32)).vertices
    still = FlameParameters.of(NO_JAW, np.zeros(0), np.zeros((1, 65)), mode="cap4d")
    posed = vertices(head.model.cap4d, still)[0]
    moved = posed - posed.mean(axis=0) - (rest - rest.mean(axis=0))
    assert np.abs(moved).max() < 1e-6
    template = head.model.template
    assert np.abs(posed - template - (posed - template).mean(axis=0)).max() > 1e-5


# ---- takes


@pytest.mark.parametrize("variant", [NO_JAW, pytest.param(JAW, marks=pytest.mark.slow)])
def test_a_take_comes_back(variant):
    made, fit = solved(variant)
    assert fit.error_px < 1.5 * NOISE * np.sqrt(np.pi / 2)
    clean = np.linalg.norm(fit.projected - made.px[:, :468], axis=2)
    assert clean.mean() < 0.6
    truth, found, mean = (
        face.resting.points for face in (made.face, fit.face, FlameFace.of(flame(variant), np.zeros(0)))
    )

    def away(points: Array) -> float:
        """Rms in metres; one camera tells neither size nor what is the head's turn and what its shape."""
        moved = Similarity.between(points, truth, np.ones(468)).points(points)
        return float(np.sqrt(np.mean(np.sum((moved - truth) ** 2, axis=1))))

    assert away(found) < 0.001 and away(found) < 0.8 * away(mean)
    turns = rotation.to_rotation_vector(rotation.from_matrix(made.rotations))
    assert degrees(fit.parameters.rotation, turns) < 1.5
    assert degrees(fit.parameters.eyes[:, :3], made.eyes) < 2.0
    assert np.array_equal(fit.parameters.eyes[:, :3], fit.parameters.eyes[:, 3:])
    assert not fit.parameters.neck.any()
    if variant == JAW:
        assert degrees(fit.parameters.jaw, made.weights[:, -3:]) < 1.5
    else:
        assert not fit.parameters.jaw.any()


def test_what_is_written_projects_onto_the_landmarks(tmp_path):
    """Read with nothing of this project but the landmarks' places."""
    made, fit = solved(NO_JAW)
    kept = with_flame_take(made.performance, fit, made.track)
    write_fit(tmp_path / "fit.npz", kept_fit(kept))
    with np.load(tmp_path / "fit.npz", allow_pickle=False) as held:
        arrays = {key: held[key].astype(float) for key in held.files if key != "camera_order"}
    assert arrays["fps"] == 25 and arrays["resolutions"].tolist() == [[480, 640]]
    assert arrays["expr"].shape == (12, 65) and arrays["shape"].shape == (150,)
    assert "neck_rot" not in arrays and "jaw_rot" not in arrays
    errors = []
    for frame in range(12):
        px = literal_px(arrays, frame)
        assert np.abs(px - fit.projected[frame]).max() < 0.005
        errors.append(np.linalg.norm(px - made.track.landmarks[frame, :468, :2], axis=1).mean())
    assert np.mean(errors) == pytest.approx(float(arrays["error"]), abs=0.01)
    assert np.mean(errors) < 0.95


@pytest.mark.slow
def test_the_published_form_is_written_for_the_releases_with_a_jaw(tmp_path):
    made, fit = solved(JAW)
    kept = with_flame_take(made.performance, fit, made.track)
    with pytest.raises(SettingsError, match="parameters of FLAME 2020; CAP4D takes 2023_no_jaw"):
        kept_fit(kept)
    write_flame_param(tmp_path / "flame_param.npz", kept_take(kept))
    given = read_flame_param(tmp_path / "flame_param.npz", JAW).parameters
    seen = landmarks(JAW).points(vertices(flame(JAW).model.whole, given))[:, :468]
    lens = fit.lenses[0]
    px = lens.focal * seen[..., :2] * [1, -1] / -seen[..., 2:] + lens.centre
    assert np.abs(px - fit.projected).max() < 0.02


def test_lost_frames_are_bridged_and_said(tmp_path):
    made, fit = solved(NO_JAW, lost=(0, 9, 10))
    assert np.isnan(fit.errors[[0, 9, 10]]).all() and np.isfinite(fit.error_px)
    written = kept_fit(with_flame_take(made.performance, fit, made.track))
    assert written.frame_count == 12 and written.valid_mask is not None
    assert np.flatnonzero(~written.valid_mask[0]).tolist() == [0, 9, 10]
    middle = 0.5 * (fit.parameters.expression[8] + fit.parameters.expression[11])
    between = fit.parameters.expression[[9, 10]].mean(axis=0)
    assert np.allclose(between, middle, atol=1e-9)


def test_of_photos_those_with_a_face_are_written():
    made, fit = solved(NO_JAW, frames=4, ordered=False, lost=(2,))
    written = kept_fit(with_flame_take(made.performance, fit, made.track))
    assert written.frame_count == 3 and written.fps == -1
    assert np.allclose(written.rot, fit.parameters.rotation[[0, 1, 3]], atol=1e-6)


def test_a_kept_take_survives_the_file(tmp_path):
    made, fit = solved(NO_JAW)
    kept = with_flame_take(made.performance, fit, made.track)
    kept.save(tmp_path / "take.npz")
    back = Performance.load(tmp_path / "take.npz")
    assert variant_of(back.flame or {}) == NO_JAW
    first, second = kept_fit(kept), kept_fit(back)
    for name in ("expr", "rot", "tra", "eye_rot", "shape", "fx", "fps"):
        assert np.array_equal(getattr(first, name), getattr(second, name)), name


@pytest.mark.parametrize(
    "change", [{"pinhole": np.zeros(4)}, {"rot": np.zeros((3, 3))}, {"shape": np.zeros(7)}, {"error": None}]
)
def test_damaged_parameters_are_a_sentence(change):
    made, fit = solved(NO_JAW)
    kept = with_flame_take(made.performance, fit, made.track)
    flame = {key: value for key, value in {**(kept.flame or {}), **change}.items() if value is not None}
    with pytest.raises(AvatarError, match="FLAME parameters of 'take' are damaged"):
        kept_fit(replace(kept, flame=flame))


# ---- what cannot be


def test_what_cannot_be_solved_is_a_sentence(tmp_path):
    made = made_take(NO_JAW, frames=4)
    shifted = replace(made.performance, time=made.performance.time + 0.5)
    with pytest.raises(SettingsError, match="not in time with its track"):
        fit_flame_take(made.track, shifted, flame(NO_JAW))
    nobody = made_take(NO_JAW, frames=3, lost=(0, 1, 2))
    with pytest.raises(CaptureError, match="No face was found"):
        fit_flame_take(nobody.track, nobody.performance, flame(NO_JAW))
    other = flame(JAW).mapping()
    other.save(tmp_path / "mapping.npz")
    with pytest.raises(SettingsError, match="gives 100 expressions of 2020; 65 of FLAME 2023_no_jaw"):
        flame(NO_JAW).mapping(tmp_path / "mapping.npz")
    with pytest.raises(ModelError, match="but not FLAME"):
        open_flame("anny")


def test_photos_of_two_sizes_have_no_one_camera():
    made, fit = solved(NO_JAW, frames=4, ordered=False)
    size = made.track.size.copy()
    size[1] = 800, 600
    with pytest.raises(SettingsError, match="different cameras or sizes"):
        with_flame_take(made.performance, fit, replace(made.track, size=size))


# ---- the verb


@pytest.fixture
def avatar(tmp_path, monkeypatch) -> Avatar:
    """Of four photos, tracked, with mattes, and a FLAME model that is calibrated."""
    from PIL import Image

    monkeypatch.setenv("LIKENESS_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("LIKENESS_MODELS", str(compiled(NO_JAW).parent))
    keep_landmarks(NO_JAW)
    made = made_take(NO_JAW, frames=4, ordered=False, lost=(1,))
    photos = tmp_path / "photos"
    for kind, channels in (("images", (3,)), ("bg", ())):
        (photos / kind / "cam0").mkdir(parents=True)
        for i in range(4):
            picture = np.full((480, 640, *channels), 40 * i + len(channels), np.uint8)
            Image.fromarray(picture).save(photos / kind / "cam0" / f"{i:04d}.png")
    (photos / "reference_images.json").write_text('[["cam0", 0]]', encoding="utf-8")
    person = Avatar.create(tmp_path / "Ada.avatar", "Ada", provenance={"capture": {"path": str(photos)}})
    person.add_performance(made.performance)
    person.add_track("take", made.track)
    return person


def test_the_verb_writes_a_whole_reference_folder(avatar, tmp_path, capsys):
    from PIL import Image

    folder = tmp_path / "reference"
    name = f"flame_{NO_JAW}"
    assert main(["export-fit", str(avatar.folder), "--model", name, "-o", str(folder), "--images"]) == 0
    assert "of the face" in capsys.readouterr().out
    fit = read_fit(folder / "fit.npz")
    assert fit.frame_count == 3 and fit.fps == -1 and fit.error is not None and fit.error < 1
    for kind, add in (("images", 1), ("bg", 0)):
        files = sorted((folder / kind / "cam0").iterdir())
        shades = [int(np.asarray(Image.open(file)).flat[0]) for file in files]
        assert shades == [40 * i + add for i in (0, 2, 3)]
    references = json.loads((folder / "reference_images.json").read_text(encoding="utf-8"))
    frontal = int(np.argmax(fit.head_in_view()[0][:, 2, 2]))
    assert references[0] == ["cam0", frontal] and sorted(f for _, f in references) == [0, 1, 2]
    stored = Avatar.load(avatar.folder).load_performance("take")
    assert variant_of(stored.flame or {}) == NO_JAW
    np.testing.assert_array_equal(stored.weights, avatar.load_performance("take").weights)


def test_what_was_solved_is_written_again_without_the_model(avatar, tmp_path, monkeypatch):
    arguments = ["export-fit", str(avatar.folder), "--performance=take", "-o"]
    assert main([*arguments, str(tmp_path / "first.npz")]) == 0
    monkeypatch.delenv("LIKENESS_MODELS")
    assert main([*arguments, str(tmp_path / "second.npz")]) == 0
    assert main([*arguments, str(tmp_path / "third.npz"), "--model", "flame"]) == 1  # solving needs it
    first, second = (np.load(tmp_path / f"{name}.npz") for name in ("first", "second"))
    assert all(np.array_equal(first[key], second[key]) for key in first.files)


@pytest.mark.parametrize(
    ("output", "options", "message"),
    [
        ("fit.npz", ["--images"], "is a file; pictures need a folder"),
        ("absent/fit.npz", [], "is no place for a fit"),
        (".", ["--images"], "holds other things"),
        ("fit.npz", ["--model", "flame_2020"], "in none of the model folders"),
        ("fit.npz", ["--performance", "other"], "has no performance 'other'"),
    ],
)
def test_a_wrong_request_is_a_sentence(avatar, tmp_path, capsys, output, options, message):
    before = sorted(tmp_path.iterdir())
    assert main(["export-fit", str(avatar.folder), "-o", str(tmp_path / output), *options]) == 1
    assert message in capsys.readouterr().err
    assert sorted(tmp_path.iterdir()) == before


def test_footage_that_is_gone_or_another_is_a_sentence(avatar, tmp_path, capsys):
    arguments = ["export-fit", str(avatar.folder), "-o", str(tmp_path / "reference"), "--images"]
    pictures = tmp_path / "photos" / "images" / "cam0"
    (pictures / "0003.png").unlink()
    assert main(arguments) == 1
    assert "is not the footage that was tracked" in capsys.readouterr().err
    (tmp_path / "photos").rename(tmp_path / "elsewhere")
    assert main(arguments) == 1
    assert "is not where it was" in capsys.readouterr().err
    assert not (tmp_path / "reference").exists()


# ---- another model


@pytest.mark.slow
def test_ict_gives_weights_under_arkits_names():
    """Through the same interface; its landmarks are guessed here, the same for truth and fit."""
    from mapping_heads import ict_head

    from core.arkit import ARKIT_NAMES
    from core.fit.slices import FaceRows

    model, embedding = ict_head()
    rng = np.random.default_rng(0)
    coefficients = np.zeros(model.identity.count, np.float32)
    coefficients[:20] = rng.normal(size=20)
    face = FaceRows.of(model, model.rest(coefficients), embedding)
    frames = 20
    scores = np.zeros((frames, 52))
    for name in ("jawOpen", "mouthSmileLeft", "mouthSmileRight", "browInnerUp", "mouthPucker"):
        phase = rng.uniform(0, 2 * np.pi)
        scores[:, ARKIT_NAMES.index(name)] = 0.3 + 0.3 * np.sin(np.arange(frames) / 4 + phase)
    scores[0] = 0
    points = np.zeros((frames, 478, 3))
    points[:, :468] = face.points + np.tensordot(scores, face.expression, 1)
    points[:, 468:] = embedding.points(model.rest(coefficients).vertices)[468:]
    seen = points - np.array([0, 0, 0.6])
    px = 900 * seen[..., :2] * [1, -1] / -seen[..., 2:] + [320, 240]
    found = np.concatenate([px, -900 * (seen[..., 2:] + 0.6) / 0.6], axis=2).astype(np.float32)
    size = np.tile((640, 480), (frames, 1))
    track = Track("ict", np.arange(frames) / 25.0, found, np.ones(frames), size)
    fit = take_fit_with_model(track, model, embedding)
    assert np.nanmean(fit.errors / fit.face_size) < 0.004
    moved = fit.performance.weights - fit.performance.weights[0]
    assert np.abs(moved - scores).mean() < 0.03
    assert np.corrcoef(fit.performance.weight("jawOpen"), scores[:, ARKIT_NAMES.index("jawOpen")])[0, 1] > 0.9
