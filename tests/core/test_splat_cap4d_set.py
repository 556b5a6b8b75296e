# SPDX-License-Identifier: GPL-3.0-or-later
"""Training pictures out of CAP4D's folders, with a synthetic FLAME: vertices and views by the format page."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from flame_takes import compiled, rodrigues
from splat_footage import SHIRT, SKIN, WALL

from core.errors import CaptureError, LikenessError, ModelError, SplatError
from core.fit.fit_npz import FlameFit, write_fit
from core.head.flame.compile import load_flame
from core.head.flame.forward import vertices
from core.raster import rasterise
from core.splat.cap4d_set import from_cap4d
from core.splat.training_set import TrainingSet

cv2 = pytest.importorskip("cv2")

FRAMES, WIDTH, HEIGHT = 4, 240, 320


@pytest.fixture(scope="module")
def flame() -> Path:
    return compiled("2023_no_jaw")


def fit_of(frames: int = FRAMES) -> FlameFit:
    """A person before a camera that does not stand at the origin; its pixels are not square."""
    rng = np.random.default_rng(4)
    extr = np.eye(4)
    extr[:3, :3] = rodrigues(np.array([0.1, -0.05, 0.02]))
    extr[:3, 3] = 0.01, 0.05, 0.02
    return FlameFit(
        shape=rng.normal(size=150) * 0.5,
        expr=rng.normal(size=(frames, 65)) * 0.3,
        rot=np.c_[np.zeros(frames), np.linspace(-0.4, 0.4, frames), np.zeros(frames)],
        tra=rng.normal(size=(frames, 3)) * 0.005 + [0, -0.04, -0.9],
        eye_rot=np.c_[rng.normal(size=(frames, 2)) * 0.1, np.zeros(frames)],
        fx=np.array([620.0]),
        fy=np.array([600.0]),
        cx=np.array([118.0]),
        cy=np.array([157.0]),
        extr=extr[None],
        resolutions=np.array([[HEIGHT, WIDTH]]),
    )


def drawn(model, fit: FlameFit, frame: int) -> tuple[np.ndarray, np.ndarray]:
    """Picture and matte of one frame, by the whole forward pass and the fit's own camera."""
    points = vertices(model.cap4d, fit.parameters)[frame]
    px = fit.project(points)
    turn, shift = fit.view_transform()
    depth = -(points @ turn.T + shift)[:, 2]
    seen = rasterise(px, depth, model.faces, (HEIGHT, WIDTH), cull=False).covered
    picture = np.full((HEIGHT, WIDTH, 3), WALL, np.uint8)
    picture[seen] = SKIN
    shirt = np.arange(HEIGHT)[:, None] > px[:, 1].max() - 8
    picture[np.broadcast_to(shirt, seen.shape)] = SHIRT
    return picture, np.where(seen | shirt, 255, 0).astype(np.uint8)


def write(path: Path, picture: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(path), picture[..., ::-1] if picture.ndim == 3 else picture)


@pytest.fixture(scope="module")
def references(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A reference folder; its list names three of four pictures."""
    folder, fit = tmp_path_factory.mktemp("references"), fit_of()
    model = load_flame(compiled("2023_no_jaw"))
    write_fit(folder / "fit.npz", fit)
    for frame in range(FRAMES):
        picture, matte = drawn(model, fit, frame)
        write(folder / "images" / "cam0" / f"{frame + 3:05d}.png", picture)
        write(folder / "bg" / "cam0" / f"{frame:04d}.png", matte)
    (folder / "reference_images.json").write_text(json.dumps([["cam0", 2], ["cam0", 0], ["cam0", 3]]))
    return folder


@pytest.fixture(scope="module")
def made(references: Path, flame: Path) -> TrainingSet:
    return from_cap4d(references, flame)


def test_each_shot_sees_its_own_vertices_where_the_page_says(made: TrainingSet) -> None:
    fit, model = fit_of(), load_flame(compiled("2023_no_jaw"))
    surface = made.surface
    assert surface is not None and len(made.shots) == 3 and made.mattes == "given"
    for shot, frame in zip(made.shots, (2, 0, 3), strict=True):
        assert shot.vertices is not None
        view = shot.view
        seen = shot.vertices @ view.T_view_world[:3, :3].T + view.T_view_world[:3, 3]
        px = seen[:, :2] / seen[:, 2:] * [view.fx, view.fy] + [view.cx, view.cy] + shot.corner
        truth = fit.project(vertices(model.cap4d, fit.parameters)[frame][surface.rows])
        assert np.abs(px - truth).max() < 1e-3
        assert np.allclose(np.linalg.det(view.T_view_world), 1)


def test_the_rest_is_the_person_between_the_ears(made: TrainingSet) -> None:
    assert made.surface is not None
    rest = made.surface.rest
    assert np.abs(rest.mean(axis=0)[0]) < 0.01 and 0.15 < np.ptp(rest[:, 1]) < 0.5
    for shot in made.shots:
        assert shot.vertices is not None and shot.vertices.shape == rest.shape
        assert np.linalg.norm(shot.vertices - rest, axis=1).mean() < 0.02


def test_the_head_is_covered_and_the_torso_does_not_count(made: TrainingSet) -> None:
    for shot in made.shots:
        skin = np.all(shot.image == SKIN, axis=2)
        head = skin & (np.arange(len(skin))[:, None] < 0.6 * len(skin))
        assert shot.matte[head].min() > 0.99 and shot.weight[head].min() > 0.99
        shirt = np.all(shot.image == SHIRT, axis=2)
        assert shirt.sum() < 10 or np.mean(shot.weight[shirt] > 0.5) < 0.15


def generated(folder: Path, crop: tuple[int, int, int, int] = (-20, 40, 220, 280)) -> FlameFit:
    """CAP4D's own output: squares of 128 px cut out of pictures, which the crop may leave."""
    fit, model = fit_of(), load_flame(compiled("2023_no_jaw"))
    for frame in range(FRAMES):
        picture, _ = drawn(model, fit, frame)
        x0, y0, x1, y1 = crop
        wide = np.pad(picture, ((100, 100), (100, 100), (0, 0)), constant_values=255)
        part = wide[y0 + 100 : y1 + 100, x0 + 100 : x1 + 100]
        write(
            folder / "images" / f"{frame:05d}.png", cv2.resize(part, (128, 128), interpolation=cv2.INTER_AREA)
        )
        one = slice(frame, frame + 1)
        values = {key: getattr(fit, key)[one] for key in ("expr", "rot", "tra", "eye_rot")}
        values |= {key: getattr(fit, key)[:, None] for key in ("fx", "fy", "cx", "cy")}
        (folder / "flame").mkdir(exist_ok=True)
        np.savez(
            folder / "flame" / f"{frame:05d}.npz",
            shape=np.zeros(150) if fit.shape is None else fit.shape,
            extr=fit.extr,
            resolutions=fit.resolutions,
            crop_box=np.array(crop),
            **values,
        )
    return fit


class Everybody:
    """A segmentation that finds a person where the mesh was drawn: everywhere."""

    def __init__(self, _models: object = ()) -> None: ...

    def __enter__(self) -> Everybody:
        return self

    def __exit__(self, *_problem: object) -> None: ...

    def look(self, _rgb: np.ndarray, _square: object) -> np.ndarray:
        return np.ones((256, 256), np.float32)


def test_generated_pictures_are_seen_through_their_crop(
    tmp_path: Path, flame: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("core.splat.cap4d_set.Segmenter", Everybody)
    monkeypatch.setattr("core.splat.cutting.Segmenter", Everybody)
    fit, model = generated(tmp_path / "mmdm" / "generated_images"), load_flame(compiled("2023_no_jaw"))
    made = from_cap4d(tmp_path, flame, every=2)
    assert [shot.held for shot in made.shots] == [False, True, False, True] and made.mattes == "segmented"
    assert made.surface is not None
    for shot in made.shots:
        assert shot.vertices is not None
        view = shot.view
        seen = shot.vertices @ view.T_view_world[:3, :3].T + view.T_view_world[:3, 3]
        px = seen[:, :2] / seen[:, 2:] * [view.fx, view.fy] + [view.cx, view.cy] + shot.corner
        truth = fit.project(vertices(model.cap4d, fit.parameters)[shot.sample][made.surface.rows])
        assert np.abs(px - (truth - [-20, 40]) * 128 / 240).max() < 1e-3


def test_references_and_generated_pictures_go_together(
    references: Path, flame: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("core.splat.cap4d_set.Segmenter", Everybody)
    both = shutil.copytree(references, tmp_path / "both")
    generated(both / "mmdm" / "generated_images")
    generated(both / "mmdm" / "reference_images")  # CAP4D's own copies: the originals are better
    assert len(from_cap4d(both, flame).shots) == 3 + FRAMES


def refused(folder: Path, flame: Path | str, **options: object) -> LikenessError:
    with pytest.raises(LikenessError) as caught:
        from_cap4d(folder, flame, **options)  # type: ignore[arg-type]
    assert "\n" not in str(caught.value)
    return caught.value


def test_another_folder_is_refused(tmp_path: Path, flame: Path) -> None:
    problem = refused(tmp_path, flame)
    assert isinstance(problem, CaptureError) and "neither fit.npz nor generated_images" in str(problem)


def test_a_model_that_is_no_flame_is_refused(references: Path) -> None:
    assert isinstance(refused(references, "anny"), ModelError)


def test_pictures_of_two_people_are_refused(tmp_path: Path, flame: Path) -> None:
    fit = generated(tmp_path / "generated_images")
    assert fit.shape is not None
    path = tmp_path / "generated_images" / "flame" / "00002.npz"
    with np.load(path) as file:
        values = dict(file)
    np.savez(path, **(values | {"shape": fit.shape + 0.5}))
    problem = refused(tmp_path, flame)
    assert isinstance(problem, SplatError) and "not of one person: 00002.png" in str(problem)


@pytest.mark.parametrize("box", [np.array([1, 2, 3]), np.array([5, 5, 5, 9]), np.array([0, 0, 1 << 40, 9])])
def test_a_broken_crop_is_refused(tmp_path: Path, flame: Path, box: np.ndarray) -> None:
    generated(tmp_path / "generated_images")
    path = tmp_path / "generated_images" / "flame" / "00001.npz"
    with np.load(path) as file:
        values = dict(file)
    np.savez(path, **(values | {"crop_box": box}))
    assert "crop_box" in str(refused(tmp_path, flame))


def test_a_missing_picture_is_named(tmp_path: Path, flame: Path) -> None:
    generated(tmp_path / "generated_images")
    (tmp_path / "generated_images" / "images" / "00003.png").unlink()
    assert "00003.png is missing" in str(refused(tmp_path, flame))


def test_a_fit_of_fewer_pictures_is_refused(references: Path, flame: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(references, tmp_path / "short")
    fit = fit_of()
    per_frame = {name: getattr(fit, name)[:2] for name in ("expr", "rot", "tra", "eye_rot")}
    write_fit(folder / "fit.npz", replace(fit, **per_frame))
    assert "fit.npz of short has no picture 2 of cam0" in str(refused(folder, flame))
