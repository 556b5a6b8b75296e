# SPDX-License-Identifier: GPL-3.0-or-later
"""The published fit written plainly with torch's autograd: what the reference solver is held equal to."""

from __future__ import annotations

import numpy as np
import pytest

from core.skin.measure import laplacian
from core.skin.problem import Budget, Problem

torch = pytest.importorskip("torch")
# More threads than free cores only wait for each other.
torch.set_num_threads(1)


class Twin:
    """The loss, and steps of torch's Adam with the cut after each, as the paper's code does them."""

    def __init__(self, problem: Problem, alpha: float, power: int = 2) -> None:
        self.alpha, self.power = alpha, power
        n = problem.n_vertices
        self.points = torch.tensor(np.concatenate([problem.rest.T, np.ones((1, n))])).float()
        self.wanted = torch.tensor(problem.deltas)
        smooth = laplacian(problem.pairs, n).tocoo()
        where = torch.tensor(np.stack([smooth.row, smooth.col]).astype(np.int64))
        self.smooth = torch.sparse_coo_tensor(
            where, torch.tensor(smooth.data), smooth.shape, check_invariants=False
        )

    def loss(self, transforms: torch.Tensor, weights: torch.Tensor) -> torch.Tensor:
        """Of transforms (6, S, P) and weights (P, N)."""
        rx, ry, rz, tx, ty, tz = transforms
        zero = torch.zeros_like(rx)
        rows = [(zero, -rz, ry, tx), (rz, zero, -rx, ty), (-ry, rx, zero, tz)]
        matrix = torch.stack([torch.stack(row, -1) for row in rows], 1)
        matrix = matrix.reshape(self.wanted.shape[0], -1)
        spread = (weights[:, None] * self.points[None]).reshape(matrix.shape[1], -1)
        made = matrix @ spread
        error = (made - self.wanted).abs().pow(self.power).mean().pow(2 / self.power)
        return error + self.alpha * (self.smooth @ made.T).pow(2).mean()

    def run(
        self,
        transforms: torch.Tensor,
        weights: torch.Tensor,
        budget: Budget,
        iterations: int,
        unit_sums: bool,
    ) -> list[float]:
        """Fit in place for one phase, with the loss before every step."""
        values = [transforms.requires_grad_(), weights.requires_grad_()]
        adam = torch.optim.Adam(values, lr=1e-3, betas=(0.9, 0.9))
        losses = []
        for _ in range(iterations):
            used = weights / weights.sum(0) if unit_sums else weights
            loss = self.loss(transforms, used)
            losses.append(float(loss.detach()))
            adam.zero_grad()
            loss.backward()
            adam.step()
            with torch.no_grad():
                self._cut(transforms, weights, budget)
        return losses

    def _cut(self, transforms: torch.Tensor, weights: torch.Tensor, budget: Budget) -> None:
        least = torch.topk(weights, budget.influences + 1, dim=0).values[-1]
        weights *= weights > least
        weights.clamp_(min=0)
        size = transforms.abs()
        transforms *= size >= torch.topk(size.reshape(-1), budget.coefficients).values[-1]
