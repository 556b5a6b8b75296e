# SPDX-License-Identifier: GPL-3.0-or-later
"""One training run of bound Gaussians: parameters, a step, and what it takes to go on later."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from ..head.expressed import ExpressedHead
from .adam import Adam, Factored
from .bound import BoundGaussians
from .densify import Pulls, choose, halves, stray
from .device import gradients, render
from .gaussians import Activated
from .posing import PoseGradients, Poser, pose_back
from .raster_result import Rendered
from .refine import EXPRESSION, LIGHT, MOTION, SIZE, Refinement, motion_gradient, moved_view
from .shot_levels import Level, ShotLevels
from .splat_avatar import SplatAvatar
from .springs import Springs, heights
from .training_set import Shot, TrainingSet
from .view import View

Array = np.ndarray

BACKGROUND = (0.5, 0.5, 0.5)
"""Over which pictures are shown and compared."""
BACKDROPS = ((0.0, 0.0, 0.0), (1.0, 1.0, 1.0))
"""Over which they are trained, in turn."""
ALPHA_PART = 0.3
"""How much the coverage counts beside the colour."""


@dataclass(frozen=True)
class TrainSettings:
    """Numbers of a run that are no preset's business."""

    iterations: int = 8000
    gaussians: int = 45_000
    coarse: float = 0.12
    """Share of the run at half the resolution."""
    densify_from: float = 0.04
    densify_until: float = 0.6
    densify_steps: int = 16
    """Times that Gaussians are added."""
    degree: int = 1
    refine: bool = True
    refine_from: float = 0.05
    exposure: bool = False
    """Whether each picture has its own exposure, as photos do."""
    spring: float = 1.0
    """How much stiffer than usual the springs to the first Gaussians are: few pictures say little."""
    seed: int = 12345
    threads: int | None = None
    device: str = "auto"
    """One of `device.DEVICES`."""


RATES = {
    "means": (1.0e-2, 1.0e-3),
    "log_scales": (1.0e-2, 2.0e-3),
    "rotations": (5.0e-3, 1.0e-3),
    "opacity_logits": (4.0e-2, 1.0e-2),
    "sh": (8.0e-3, 1.0e-3),
    "offsets": (2.0e-3, 3.0e-4),
}
"""Step per parameter at the beginning and the end of a run, in its own units."""
CALM = 0.1
"""Share of an array's usual slope below which slopes take less than whole steps."""
LOOK_EVERY = 20
"""Steps between two looks at who is seen."""
HAIR_KNOWN = 0.25
"""Of a run, from which on the pictures have said how long hair is."""
CALM_AT = (20, 100, 300, 1000, 3000)
"""Steps after which the usual is looked at."""
HIGHER_SH = 0.15
"""Of the rate of the plain colour that higher harmonics have."""


def lit(image: Array, alpha: Array, gain: Array, background: Any = BACKGROUND) -> Array:
    """(h, w, 3) a picture of Gaussians over a background, they times a gain (3,)."""
    if np.all(gain == 1.0):
        return image
    gain = np.asarray(gain, np.float32)
    return image * gain + (1.0 - alpha)[..., None] * ((1.0 - gain) * np.asarray(background, np.float32))


class Trainer:
    """Holds Gaussians, optimiser and refinement; `step()` again and again."""

    def __init__(
        self, start: SplatAvatar, shots: TrainingSet, head: ExpressedHead | None, settings: TrainSettings
    ) -> None:
        """`head` poses the surface's rows; None where every shot has vertices of its own."""
        self.start, self.set, self.head, self.settings = start, shots, head, settings
        self.gaussians: BoundGaussians = start.gaussians
        self.poser = Poser(start.surface)
        self.iteration = 0
        self.loss = float("nan")
        self.refinement = Refinement(np.array([shot.sample for shot in shots.train]))
        self._levels = [ShotLevels(shot, BACKDROPS) for shot in shots.train]
        self._optimiser = Adam(self._parameters(), self._rates())
        self._pulls = Pulls(len(self.gaussians))
        self._springs = Springs(self.gaussians, start.surface)
        self._queue: list[int] = []
        self._random = np.random.default_rng(settings.seed)
        self._vertices: dict[int, Array] = {}

    # ---- one step

    def step(self) -> float:
        """Draw one picture, compare it, and move everything a little; -> its loss."""
        index, threads = self._next(), self.settings.threads
        level = self._levels[index].at(self._factor())
        correction = self.refinement.values[index]
        shot = level.shot
        weights = shot.weights + correction[EXPRESSION].astype(np.float32)
        vertices = self.vertices(shot, correction)
        view = moved_view(shot.view, correction[MOTION])
        latent = self.gaussians.basis.latent(weights)
        posed = self.poser.pose(self.gaussians, vertices, latent, view.centre, threads)
        which = self.iteration % len(BACKDROPS)
        behind = np.array(BACKDROPS[which], np.float32)
        drawn = self._drawn(posed.activated, view, behind)
        gain = np.exp(correction[LIGHT]).astype(np.float32)
        self.loss, d_image = level.losses[which](lit(drawn.image, drawn.alpha, gain, behind), threads)
        off = drawn.alpha - level.matte
        self.loss += ALPHA_PART * float(np.mean(np.abs(off) * level.weight_share))
        d_alpha = ALPHA_PART * np.sign(off) * level.weight_share / off.size
        by_gain = np.zeros(3)
        if self.settings.exposure:
            own = drawn.image - (1.0 - drawn.alpha)[..., None] * behind
            by_gain = gain * np.einsum("hwc,hwc->c", d_image, own)
            d_alpha -= d_image @ ((1.0 - gain) * behind)
            d_image *= gain
        slopes = gradients(drawn, d_image, d_alpha.astype(np.float32))
        refines = self.settings.refine and self.progress > self.settings.refine_from
        found = pose_back(posed, slopes, latent=refines, vertices=refines and self.head is not None)
        self._optimiser.step(self._gradients(found), self._rates(), threads)
        if self.iteration in CALM_AT:
            self._calm()
        if self.iteration > CALM_AT[0] and self.iteration % LOOK_EVERY == 0:
            self._springs.look(self.gaussians, self._colour_moments())
        self._pulls.add(slopes.screen * (0.5 * max(view.width, view.height)), drawn.context.visible)
        if refines:
            self._refine(index, posed.activated, slopes, found, by_gain)
        self.iteration += 1
        if self._densifies():
            self._densify()
        return self.loss

    @property
    def progress(self) -> float:
        """0..1 of the run."""
        return self.iteration / max(self.settings.iterations, 1)

    def vertices(self, shot: Shot, correction: Array | None = None) -> Array:
        """(n, 3) of the surface at a shot, head frame."""
        if shot.vertices is not None:
            return shot.vertices
        assert self.head is not None
        if correction is None or not np.any(correction[EXPRESSION]):
            if shot.sample not in self._vertices:
                self._vertices[shot.sample] = self.head.points(shot.weights, shot.gaze)
            return self._vertices[shot.sample]
        return self.head.points(shot.weights + correction[EXPRESSION].astype(np.float32), shot.gaze)

    def picture(self, shot: Shot, background: Any = BACKGROUND) -> tuple[Array, Array]:
        """(h, w, 3) float32 and alpha (h, w) of the Gaussians as a shot should show them."""
        correction = self.refinement.at(shot.sample) if self.set.ordered or not shot.held else np.zeros(SIZE)
        view = moved_view(shot.view, correction[MOTION])
        latent = self.gaussians.basis.latent(shot.weights + correction[EXPRESSION].astype(np.float32))
        vertices = self.vertices(shot, correction)
        posed = self.poser.pose(self.gaussians, vertices, latent, view.centre, self.settings.threads)
        drawn = self._drawn(posed.activated, view, background)
        return lit(drawn.image, drawn.alpha, np.exp(correction[LIGHT]), background), drawn.alpha

    def _drawn(self, gaussians: Activated, view: View, background: Any) -> Rendered:
        own = self.settings
        return render(gaussians, view, background, threads=own.threads, device=own.device)

    def _next(self) -> int:
        if not self._queue:
            self._queue = self._random.permutation(len(self._levels)).tolist()
        return self._queue.pop()

    def _factor(self) -> int:
        return 2 if self.progress < self.settings.coarse else 1

    def _refine(self, index: int, drawn: Any, slopes: Any, found: Any, by_gain: Array) -> None:
        shot = self._levels[index].shot
        turn = motion_gradient(drawn, slopes)
        by_weights = np.zeros(len(shot.weights))
        if self.head is not None and shot.vertices is None:
            by_weights += self.head.weight_gradient(found.vertices)
            by_weights += found.latent @ self.gaussians.basis.directions
            by_weights += 1e-3 * self.refinement.values[index, EXPRESSION]
        self.refinement.step(index, np.r_[turn, by_weights, by_gain], 1.0 - 0.8 * self.progress)
        if self.settings.exposure:  # their mean is the light of the Gaussians
            self.refinement.values[:, LIGHT] -= self.refinement.values[:, LIGHT].mean(axis=0)

    # ---- parameters

    def _parameters(self) -> dict[str, Array]:
        g = self.gaussians
        return {name: getattr(g, name) for name in RATES if name != "offsets" or len(g.basis)}

    def _rates(self) -> dict[str, Any]:
        fade = {name: first * (last / first) ** self.progress for name, (first, last) in RATES.items()}
        rates: dict[str, Any] = {name: fade[name] for name in self._parameters()}
        higher = np.full(self.gaussians.sh.shape[1:], HIGHER_SH * fade["sh"], np.float32)
        higher[0] = fade["sh"]
        rates["sh"] = higher
        return rates

    def _gradients(self, found: PoseGradients) -> dict[str, Array | Factored]:
        names = [name for name in self._parameters() if name != "offsets"]
        slopes: dict[str, Array | Factored] = {name: getattr(found, name) for name in names}
        for name in names:
            pull = self._springs.pull(self.gaussians, name)
            if pull is not None:
                slopes[name] = pull + slopes[name]
        if len(self.gaussians.basis):
            slopes["offsets"] = Factored(found.latent_used, found.local)
        return slopes

    def _calm(self) -> None:
        """Let what is hardly seen hardly move, and stay near where it began: what Adam divides by never gets
        below a share of the usual slope, and a weak spring pulls back.
        """
        usual = {name: self._optimiser.typical(name) for name in self._parameters()}
        self._optimiser.eps = {name: CALM * slope for name, slope in usual.items()}
        self._springs.tighten(usual, self.settings.spring)
        self._springs.tone(self.gaussians, self._colour_moments())

    def _colour_moments(self) -> Array:
        """(n, 3) second moments of the plain colours: how much pictures had to say of each Gaussian."""
        return self._optimiser.second["sh"][:, 0]

    # ---- number of Gaussians

    def _densifies(self) -> bool:
        s = self.settings
        first, last = s.densify_from * s.iterations, s.densify_until * s.iterations
        every = max(int((last - first) / s.densify_steps), 1)
        return first <= self.iteration <= last and (self.iteration - int(first)) % every == 0

    def _densify(self) -> None:
        g = self.gaussians
        opacity = 0.5 * (1.0 + np.tanh(0.5 * g.opacity_logits))
        gone = None
        if self.progress > HAIR_KNOWN:
            gone = stray(heights(g, self.start.surface), self._optimiser.second["opacity_logits"], opacity)
        kept, parents = choose(self._pulls, opacity, g.binding, self.settings.gaussians, gone=gone)
        places = np.r_[kept, parents]
        order = np.argsort(g.binding[places], kind="stable")
        added = order >= len(kept)
        # An added one comes after its parent: a stable sort puts it behind all of its triangle.
        chosen = places[order]
        self._springs.keep(chosen)
        arrays = self._optimiser.keep(chosen)
        for moments in (self._optimiser.first, self._optimiser.second):
            for values in moments.values():
                values[added] = 0.0
        own = np.flatnonzero(np.isin(chosen, parents) & ~added)
        new = np.flatnonzero(added)
        new = new[np.argsort(chosen[new], kind="stable")]
        own = own[np.argsort(chosen[own], kind="stable")]
        first, second = halves(g.means[parents], g.log_scales[parents], g.rotations[parents], self.iteration)
        for rows, (means, scales) in ((own, first), (new, second)):
            arrays["means"][rows], arrays["log_scales"][rows] = means, scales
        self.gaussians = BoundGaussians(g.binding[chosen], basis=g.basis, **arrays)
        self._pulls = Pulls(len(self.gaussians))

    # ---- what is left behind

    def state(self) -> dict[str, Array]:
        """Arrays from which `restore` goes on, the order of the pictures among them."""
        arrays = {f"gaussians_{name}": array for name, array in self._parameters().items()}
        arrays |= self._springs.state()
        arrays |= {f"adam_{name}": array for name, array in self._optimiser.state_dict().items()}
        numbers = self._random.bit_generator.state
        return (
            arrays
            | self.refinement.state()
            | {
                "binding": self.gaussians.binding,
                "iteration": np.array(self.iteration),
                "queue": np.array(self._queue, np.int64),
                "random": np.array(json.dumps(numbers)),
                "eps": np.array([self._optimiser.eps[name] for name in self._parameters()]),
                "pulls": np.stack([self._pulls.total, self._pulls.seen]),
            }
        )

    def restore(self, state: Mapping[str, Array]) -> None:
        """Go on from the state of a run with the same pictures and settings."""
        arrays = {name: np.array(state[f"gaussians_{name}"]) for name in self._parameters()}
        self.gaussians = BoundGaussians(state["binding"], basis=self.gaussians.basis, **arrays)
        self.iteration = int(state["iteration"])
        self._optimiser = Adam(self._parameters(), self._rates())
        prefix = "adam_"
        kept = {name.removeprefix(prefix): array for name, array in state.items() if name.startswith(prefix)}
        self._optimiser.load(kept)
        self._optimiser.eps = dict(zip(self._parameters(), state["eps"].tolist(), strict=True))
        self._springs.restore(state)
        self.refinement.restore(state)
        self._queue = state["queue"].tolist()
        self._random.bit_generator.state = json.loads(str(state["random"]))
        self._pulls = Pulls(len(self.gaussians))
        self._pulls.total[:], self._pulls.seen[:] = state["pulls"]

    def result(self, report: Mapping[str, Any]) -> SplatAvatar:
        """The Gaussians as they are now."""
        refined = {"samples": self.refinement.samples, "values": self.refinement.values.astype(np.float32)}
        return replace(self.start, gaussians=self.gaussians, report=dict(report), refined=refined)


__all__ = ["BACKGROUND", "Level", "TrainSettings", "Trainer"]
