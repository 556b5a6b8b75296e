# SPDX-License-Identifier: GPL-3.0-or-later
"""The fit of a frame written plainly in torch: whole mesh, matrix exponential, pinhole, autograd.

It knows none of the shortcuts of `core.fit` (landmark rows, closed-form derivatives, normal equations), and
the tests hold the two equal in float64. `Adam` on it is what `tests/bench/bench_fit.py` compares with.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import torch

from core.fit.frame import (
    DEPTH_SIGMA,
    DEPTH_STRIDE,
    Expected,
    FaceState,
    FrameSolver,
    pixels_per_metre,
)
from core.fit.priors import CONTACTS
from core.fit.projection import Lens, Pose
from core.fit.slices import FACE, FaceRows
from core.head import HeadModel, Rest
from core.head.embedding import LandmarkEmbedding

Tensor = torch.Tensor


def tensor(values) -> Tensor:
    """Float64."""
    return torch.as_tensor(np.asarray(values, np.float64))


@dataclass(frozen=True)
class Twin:
    """One person before one lens."""

    face: Callable[[Tensor], Tensor]
    """Weights (E,) to landmarks (468, 3), metres, head frame."""
    focal: Tensor
    """Scalar, px."""
    centre: Tensor
    """(2,) px."""

    @staticmethod
    def of(model: HeadModel, rest: Rest, embedding: LandmarkEmbedding, names, lens: Lens) -> Twin:
        """Every vertex is moved, then the landmarks are picked. `names`: (E,) expressions in the order of the
        weights.
        """
        vertices = tensor(rest.vertices)
        shapes = torch.zeros((len(names), *vertices.shape), dtype=torch.float64)
        for k, name in enumerate(names):
            rows, deltas = model.expression_delta(name)
            shapes[k, torch.as_tensor(rows.astype(np.int64))] = tensor(deltas)
        corners = torch.as_tensor(embedding.rows[:FACE].astype(np.int64))
        share = tensor(embedding.weights[:FACE])

        def face(weights: Tensor) -> Tensor:
            moved = vertices + torch.tensordot(weights, shapes, 1)
            return (moved[corners] * share[..., None]).sum(dim=1)

        return Twin(face, tensor(lens.focal), tensor(lens.centre))

    @staticmethod
    def of_rows(rows: FaceRows, lens: Lens, dtype: torch.dtype = torch.float64) -> Twin:
        """The same from landmark rows, as fast as autograd gets."""
        points = tensor(rows.points).to(dtype)
        shapes = tensor(rows.expression.reshape(len(rows.expression), -1)).to(dtype)

        def face(weights: Tensor) -> Tensor:
            return points + (weights @ shapes).reshape(-1, 3)

        return Twin(face, tensor(lens.focal).to(dtype), tensor(lens.centre).to(dtype))

    def pixels(self, step: Tensor, weights: Tensor, pose: Pose) -> Tensor:
        """(468, 2) px after a step ((6,): rotation vector, metres) from a pose."""
        return self.picture(step, self.face(weights), pose)

    def picture(self, step: Tensor, points: Tensor, pose: Pose) -> Tensor:
        """(n, 2) px of points (n, 3) of the head."""
        view = self.turned(step, points, pose) + tensor(pose.translation).to(points.dtype) + step[3:]
        x, y, z = view.unbind(dim=-1)
        return torch.stack([self.focal * x / -z, -self.focal * y / -z], dim=-1) + self.centre

    def turned(self, step: Tensor, points: Tensor, pose: Pose) -> Tensor:
        """(n, 3) metres: points in the axes of the view frame, from the head's origin."""
        return points @ (turn(step[:3]) @ tensor(pose.rotation).to(points.dtype)).T

    def cost(
        self,
        step: Tensor,
        weights: Tensor,
        pose: Pose,
        seen: Tensor,
        expected: Expected | None,
        frozen: Frozen,
    ) -> Tensor:
        """Half the sum of squares that a frame's solution makes least, its trust in landmarks held still.

        seen: (468, 2) px, or (468, 3) with a relative depth that is larger the farther.
        """
        points = self.face(weights)
        errors = seen[:, :2] - self.picture(step, points, pose)
        first, second = torch.as_tensor(CONTACTS.T.astype(np.int64))
        total = ((errors * frozen.inverse[:, None]) ** 2).sum()
        total = total + (((errors[first] - errors[second]) * frozen.contacts[:, None]) ** 2).sum()
        if seen.shape[1] == 3:
            depth = seen[:, 2] / frozen.metre + self.turned(step, points, pose)[:, 2]
            off = depth[::DEPTH_STRIDE] - depth[::DEPTH_STRIDE].mean()
            total = total + (off**2).sum() / DEPTH_SIGMA**2
        if expected is not None:
            precision, pull = (tensor(v).to(weights.dtype) for v in (expected.precision, expected.pull))
            total = total + weights @ precision @ weights - 2 * pull @ weights
        return 0.5 * total


@dataclass(frozen=True)
class Frozen:
    """How much each landmark and each contact count at one state."""

    inverse: Tensor
    """(468,) one over px."""
    contacts: Tensor
    """(C,) one over px."""
    metre: float
    """Px per metre at the head."""

    @staticmethod
    def of(
        solver: FrameSolver, seen: np.ndarray, lens: Lens, state: FaceState, dtype=torch.float64
    ) -> Frozen:
        """As `FrameSolver.normal` weighs them."""
        errors = solver.normal(seen, lens, state)[2]
        known = errors, seen[:, :2], lens, state
        inverse, contacts = solver.trust(*known), solver.contact_trust(*known)
        metre = pixels_per_metre(lens, state.pose)
        return Frozen(tensor(inverse).to(dtype), tensor(contacts).to(dtype), metre)


def turn(vector: Tensor) -> Tensor:
    """(3, 3) rotation of a rotation vector (3,), by the matrix exponential of its cross product."""
    zero = torch.zeros((), dtype=vector.dtype)
    x, y, z = vector
    rows = [torch.stack([zero, -z, y]), torch.stack([z, zero, -x]), torch.stack([-y, x, zero])]
    return torch.linalg.matrix_exp(torch.stack(rows))


def jacobian(function: Callable[[Tensor], Tensor], at: np.ndarray) -> np.ndarray:
    """Derivatives (..., n) of a function of (n,) numbers, by autograd."""
    return torch.autograd.functional.jacobian(function, tensor(at)).numpy()


class Adam:
    """A frame by gradient descent: pose and weights together, limits by clamping after each step."""

    RATES = (0.004, 0.002, 0.02)
    """Steps in radians, metres and weights."""

    def __init__(self, twin: Twin, solver: FrameSolver, dtype: torch.dtype = torch.float32) -> None:
        """`twin`: of the same person and type."""
        self.twin, self.solver, self.dtype = twin, solver, dtype
        self.low, self.high = (tensor(v).to(dtype) for v in (solver.prior.low, solver.prior.high))

    def solve(
        self, seen: np.ndarray, lens: Lens, state: FaceState, expected: Expected, stop: float, most: int
    ) -> tuple[FaceState, float, int]:
        """The state, its mean error in px, and the steps it took: until the error is below `stop`, or
        `most`.
        """
        target = tensor(seen).to(self.dtype)
        weights = tensor(state.weights).to(self.dtype).requires_grad_()
        rotation, shift = (torch.zeros(3, dtype=self.dtype, requires_grad=True) for _ in range(2))
        groups = [
            {"params": [p], "lr": r} for p, r in zip((rotation, shift, weights), self.RATES, strict=True)
        ]
        optimiser = torch.optim.Adam(groups)
        frozen = Frozen.of(self.solver, seen, lens, state, self.dtype)
        error, done = np.inf, 0
        while error > stop and done < most:
            optimiser.zero_grad()
            step = torch.cat([rotation, shift])
            self.twin.cost(step, weights, state.pose, target, expected, frozen).backward()
            optimiser.step()
            with torch.no_grad():
                weights.clamp_(self.low, self.high)
                done += 1
                if done % 10 == 0:
                    px = self.twin.pixels(torch.cat([rotation, shift]), weights, state.pose)
                    error = float((px - target[:, :2]).norm(dim=1).mean())
        found = np.concatenate([rotation.detach().numpy(), shift.detach().numpy()]).astype(np.float64)
        pose = state.pose.moved(found)
        return replace(state, pose=pose, weights=weights.detach().numpy().astype(np.float64)), error, done
