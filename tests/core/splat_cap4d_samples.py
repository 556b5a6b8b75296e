# SPDX-License-Identifier: GPL-3.0-or-later
"""A small folder of CAP4D's: pictures of known Gaussians on a synthetic FLAME, and the fit of them."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from flame_takes import compiled, rodrigues

from core.arkit import ARKIT_NAMES, INDEX
from core.fit.fit_npz import FlameFit, write_fit
from core.fit.mapping import Mapping
from core.head import load_model
from core.head.atlas import load_atlas
from core.head.flame.compile import load_flame
from core.splat.flame_rig import FlameRig
from core.splat.initial import _placed, areas, shared_out
from core.splat.posing import pose
from core.splat.raster import render
from core.splat.splat_avatar import SplatAvatar
from core.splat.surface import HeadSurface
from core.splat.view import View

Array = np.ndarray

SIDE = 128
P = np.diag([1.0, -1.0, -1.0])
RELEASE = "2023_no_jaw"
SHAPE = np.random.default_rng(8).normal(size=150) * 0.5


def fit_of(frames: int = 6, seed: int = 3, **further: Any) -> FlameFit:
    """Somebody who turns, talks and looks about before a camera beside the origin."""
    rng = np.random.default_rng(seed)
    extr = np.eye(4)
    extr[:3, :3], extr[:3, 3] = rodrigues(np.array([0.05, -0.03, 0.02])), (0.01, 0.03, 0.02)
    values: dict[str, Any] = {
        "shape": SHAPE,
        "expr": np.c_[rng.normal(size=(frames, 64)) * 0.4, rng.uniform(0, 1, frames)],
        "rot": np.c_[rng.normal(0, 0.05, frames), np.linspace(-0.5, 0.5, frames), np.zeros(frames)],
        "tra": rng.normal(size=(frames, 3)) * 0.005 + [0, -0.03, -1.0],
        "eye_rot": np.c_[rng.normal(size=(frames, 2)) * 0.1, np.zeros(frames)],
        "fx": np.array([3.4 * SIDE]),
        "fy": np.array([3.4 * SIDE]),
        "cx": np.array([SIDE / 2]),
        "cy": np.array([SIDE / 2]),
        "extr": extr[None],
        "resolutions": np.array([[SIDE, SIDE]]),
        "fps": 25.0,
    }
    return FlameFit(**(values | further))


@cache
def rig() -> FlameRig:
    """The person of every fit here."""
    return FlameRig(load_flame(compiled(RELEASE)), SHAPE)


@cache
def true_splats() -> SplatAvatar:
    """One Gaussian for each triangle and some more, in colours that wander over the head."""
    model = load_model(compiled(RELEASE))
    surface = HeadSurface.of(model, load_atlas(model), rig().rest)
    binding = shared_out(areas(surface), 12_000)
    middle = surface.rest[surface.triangles].mean(axis=1)
    colours = 0.5 + 0.35 * np.sin(middle @ np.array([[60, 10, 0], [0, 55, 30], [25, 0, 70]]).T)
    lifted, opacity = np.zeros(len(binding), bool), np.full(len(binding), 0.9)
    gaussians = _placed(surface, binding, lifted, opacity, colours, None, 0, None)
    return SplatAvatar(surface, gaussians, f"flame_{RELEASE}")


def view_of(fit: FlameFit, frame: int) -> View:
    """By the page of the format alone: p_camera = extr P (R p_flame + tra)."""
    turn = rodrigues(fit.rot[frame].astype(np.float64))
    head = np.eye(4)
    head[:3, :3], head[:3, 3] = P @ turn, P @ (turn @ rig().origin + fit.tra[frame])
    fx, fy, cx, cy = (float(value[0]) for value in (fit.fx, fit.fy, fit.cx, fit.cy))
    return View(SIDE, SIDE, fx, fy, cx, cy, fit.extr[0] @ head)


def drawn(splats: SplatAvatar, fit: FlameFit, frame: int) -> tuple[Array, Array]:
    """Picture (h, w, 3) uint8 over white, and matte (h, w) uint8, of one frame."""
    vertices = rig().posed(fit.parameters.sliced(slice(frame, frame + 1)))[0][splats.surface.rows]
    view = view_of(fit, frame)
    posed = pose(splats.gaussians, splats.surface, vertices, np.zeros(0), view.centre).activated
    found = render(posed, view, (1.0, 1.0, 1.0))
    picture, matte = (np.rint(255 * np.clip(a, 0, 1)).astype(np.uint8) for a in (found.image, found.alpha))
    return picture, matte


def mapping_of() -> Mapping:
    """Each weight is an expression; opening the jaw is the first, which moves most."""
    matrix = np.zeros((52, 74))
    for name, k in INDEX.items():
        matrix[k, (k - INDEX["jawOpen"]) % 52] = 0.0 if name.startswith("eyeLook") else 1.5
    return Mapping.linear(ARKIT_NAMES, matrix, variant=f"{RELEASE}/cap4d")


def write_references(folder: Path, fit: FlameFit, count: int = 0) -> Path:
    """A reference folder with mattes, of all frames or of the first `count`."""
    pictures, mattes = folder / "images" / "cam0", folder / "bg" / "cam0"
    for place in (pictures, mattes):
        place.mkdir(parents=True)
    for frame in range(fit.frame_count):
        picture, matte = drawn(true_splats(), fit, frame)
        cv2.imwrite(str(pictures / f"{frame:05d}.png"), picture[..., ::-1])
        cv2.imwrite(str(mattes / f"{frame:05d}.png"), matte)
    write_fit(folder / "fit.npz", fit)
    frames = range(count or fit.frame_count)
    (folder / "reference_images.json").write_text(json.dumps([["cam0", frame] for frame in frames]))
    return folder


def write_generated(folder: Path, fit: FlameFit) -> Path:
    """CAP4D's own output of the same frames."""
    made = folder / "mmdm" / "generated_images"
    for name in ("images", "flame"):
        (made / name).mkdir(parents=True)
    for frame in range(fit.frame_count):
        picture, _ = drawn(true_splats(), fit, frame)
        cv2.imwrite(str(made / "images" / f"{frame:05d}.png"), picture[..., ::-1])
        one = slice(frame, frame + 1)
        values = {key: getattr(fit, key)[one] for key in ("expr", "rot", "tra", "eye_rot")}
        values |= {key: getattr(fit, key)[:, None] for key in ("fx", "fy", "cx", "cy")}
        values |= {key: getattr(fit, key) for key in ("shape", "extr", "resolutions")}
        np.savez(made / "flame" / f"{frame:05d}.npz", crop_box=np.array([0, 0, SIDE, SIDE]), **values)
    return folder
