# SPDX-License-Identifier: GPL-3.0-or-later
"""Every picture of a subject's footage against the double seen through the same camera."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np

from core.texture.colour import to_linear
from core.texture.face_regions import NAMES, is_face
from core.texture.footage import footage_pictures
from core.texture.lighting import Lighting, frame_gain, irradiance_basis
from core.texture.rerender import Pyramid, Rerenderer, View
from tests.bench.fidelity_metrics import Lpips, psnr, ssim, ssim_map
from tests.bench.fidelity_subject import Subject

Array = np.ndarray

SHOWN_STEP = 4
"""Of the samples the texture saw, one in so many is measured: they are told for comparison alone."""
ROUNDS = 4
"""Of the fit of a photo's light."""
LPIPS_STEP = 6
"""Of the samples that were held out, one in so many goes through the slow network."""


@dataclass
class Seen:
    """One sample of the footage and the double in each of its textures."""

    index: int
    held: bool
    footage: Array
    """(H, W, 3) uint8, and so are the `pictures`."""
    view: View
    region: Array
    """(H, W) uint8."""
    pictures: dict[str, Array]
    """By texture: still, track, predicted."""

    @property
    def face(self) -> Array:
        """(H, W) bool."""
        return is_face(self.region)


@dataclass
class Scores:
    """Figures by texture, whether held out, and region; each is a mean over samples."""

    values: dict[tuple[str, ...], list[float]] = field(default_factory=lambda: defaultdict(list))
    lpips: Lpips = field(default_factory=Lpips)
    held_count: int = 0

    def add(self, seen: Seen) -> None:
        """Count a sample."""
        group, face = "held" if seen.held else "shown", seen.face
        self.held_count += seen.held
        masks = {"": face} | {f"_{name}": seen.region == number for number, name in NAMES.items()}
        for kind, picture in seen.pictures.items():
            alike = ssim_map(np.where(face[..., None], picture, seen.footage), seen.footage)
            for name, mask in masks.items():
                self.values[kind, group, f"psnr{name}"].append(psnr(picture, seen.footage, mask))
                self.values[kind, group, f"ssim{name}"].append(ssim(alike, mask))
            if seen.held and self.held_count % LPIPS_STEP == 1 and not self.lpips.missing:
                masked = np.where(face[..., None], picture, seen.footage)
                self.values[kind, group, "lpips"].append(self.lpips.distance(masked, seen.footage, face))

    def mean(self, kind: str, group: str, what: str) -> float:
        """NaN where nothing was counted."""
        values = np.array(self.values.get((kind, group, what), [np.nan]))
        return float(np.nanmean(values)) if np.any(np.isfinite(values)) else float("nan")

    def figures(self) -> dict[str, float]:
        """The face as a whole, and by region for what was held out."""
        found = {}
        for kind, group, what in self.values:
            if group == "held" or "_" not in what:
                suffix = "" if group == "held" else "_shown"
                unit = "_db" if what.startswith("psnr") else ""
                found[f"{kind}_{what}{suffix}{unit}"] = self.mean(kind, group, what)
        return found


class Comparison:
    """Re-renders a subject."""

    def __init__(self, subject: Subject) -> None:
        self.subject = subject
        self.still = Pyramid(subject.still.albedo)
        self.seconds: list[float] = []
        """Of processor time, per sample: geometry, and one texture."""
        self._renderers: dict[tuple[int, int], Rerenderer] = {}

    def samples(self) -> Iterator[Seen]:
        """All samples in order, with their pictures."""
        subject, head = self.subject, self.subject.head
        tracked = None if subject.photos else subject.track_pictures()
        at, texture = -1, None
        for index, footage, _ in footage_pictures(subject.capture, head.performance):
            while tracked is not None and at < index:
                texture, at = next(tracked, texture), at + 1
            if not self._counts(index):
                continue
            yield self.seen(index, footage, texture)

    def _counts(self, index: int) -> bool:
        """What was held out counts, and some of what was not; of photos all or the one that was held out."""
        subject = self.subject
        if subject.photos:
            return subject.is_held(index) or len(subject.kept) == subject.head.count
        return subject.is_held(index) or (index // 2) % SHOWN_STEP == 0

    def seen(self, index: int, footage: Array, texture: Array | None) -> Seen:
        """A sample of the footage (H, W, 3) uint8; texture: the track's picture (S, S, 3) uint8."""
        subject, head = self.subject, self.subject.head
        begin = time.process_time()
        renderer = self._renderer(footage)
        view = renderer.view(head.vertices(index), head.camera, index, head.normals(index))
        held = subject.is_held(index)
        light, gain = subject.lighting(index), subject.gain(index)
        if subject.photos and held:
            light, gain = light_of(view, self.still, footage)
        pictures = {"still": view.picture(self.still, light, gain)}
        self.seconds.append(time.process_time() - begin)
        if texture is not None:
            pictures["track"] = view.picture(texture, light, gain)
        if subject.predicted is not None:
            pictures["predicted"] = view.picture(subject.predicted_picture(index), light, gain)
        return Seen(index, held, footage, view, view.regions(), pictures)

    def _renderer(self, footage: Array) -> Rerenderer:
        height, width = footage.shape[:2]
        if (height, width) not in self._renderers:
            head = self.subject.head
            self._renderers[height, width] = Rerenderer(head.model, head.atlas, width, height)
        return self._renderers[height, width]


def light_of(view: View, albedo: Pyramid, footage: Array) -> tuple[Lighting, Array]:
    """Light (order 2) and gain of a photo that no texture saw, fitted to it with the albedo given: its
    light is no part of what a texture should know.
    """
    (y, x), (height, width) = view.corner, view.region.shape
    shown = view.triangle >= 0
    face = is_face(view.region[shown])
    colours = to_linear(footage[y : y + height, x : x + width][shown][face])
    known, normals, weights = view.albedo(albedo)[face], view.normals[face], np.ones(len(colours), np.float32)
    light = Lighting(
        np.stack([coefficients(normals, *pair) for pair in zip(known.T, colours.T, strict=True)], 1)
    )
    return light, frame_gain(colours, light.shade(normals) * known, weights)


def coefficients(normals: Array, albedo: Array, colours: Array) -> Array:
    """(9,) of the light that turns an albedo (n,) into colours (n,), linear, by least squares in which what
    is far off counts less and less; shade is 1 on average.
    """
    basis, weights = irradiance_basis(normals), np.ones((len(albedo), 1), np.float32)
    found = np.zeros(basis.shape[1], np.float32)
    for _ in range(ROUNDS):
        found = np.linalg.lstsq(weights * albedo[:, None] * basis, weights[:, 0] * colours, rcond=None)[0]
        off = np.abs(basis @ found * albedo - colours)
        weights = 1.0 / np.maximum(off / np.median(off), 1.0)[:, None]
    return found / float((basis @ found).mean())


def spread_out(weights: Array, candidates: Array, count: int) -> list[int]:
    """`count` of the candidate samples, the most extreme first and then always the one that is least like
    those chosen, in the order of time. weights: (T, 52).
    """
    chosen = [int(candidates[np.argmax(np.linalg.norm(weights[candidates], axis=1))])]
    while len(chosen) < min(count, len(candidates)):
        away = np.linalg.norm(weights[candidates][:, None] - weights[chosen][None], axis=2).min(axis=1)
        chosen.append(int(candidates[np.argmax(away)]))
    return sorted(chosen)
