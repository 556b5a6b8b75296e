# SPDX-License-Identifier: GPL-3.0-or-later
"""Adam (Kingma and Ba 2015) over a set of arrays, in place, on several threads; without torch.

    adam = Adam({"means": means, "offsets": offsets}, {"means": 1e-3, "offsets": 2e-4})
    adam.step({"means": d_means, "offsets": Factored(latent, d_local)})

The same bits come out for any number of threads. Rows can be dropped, reordered and added between steps, as
when Gaussians are pruned and split.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import gcd
from typing import Any

import numpy as np

from ..errors import SettingsError
from .threads import in_pieces, thread_count

Array = np.ndarray

_PIECE = 1 << 18
"""The least numbers that are worth a thread."""


@dataclass(frozen=True, eq=False)
class Factored:
    """The gradient (n, R, C) latent[r] local[n, c] of offsets that ride on a latent; it is not written out.

    Rows of `local` that are all 0 were not seen in the picture: those offsets and their moments stay as they
    are, where dense gradients of 0 would let the moments fade and push on (as `torch.optim.SparseAdam` does).
    """

    latent: Array
    """(R,) float32."""
    local: Array
    """(n, C) float32: gradient by the offset that is used."""

    @property
    def shape(self) -> tuple[int, int, int]:
        """Of the gradient."""
        return len(self.local), len(self.latent), self.local.shape[1]


class Adam:
    """The arrays, their two moments and how often each was stepped."""

    def __init__(
        self,
        arrays: Mapping[str, Array],
        rates: Mapping[str, float | Array],
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-15,
    ) -> None:
        """`arrays`: float32 and C-contiguous, changed in place. `rates`: learning rates by name, one number
        or an array that broadcasts to a row.
        """
        for name, array in arrays.items():
            if array.dtype != np.float32 or not array.flags.c_contiguous or array.ndim == 0:
                raise SettingsError(f"{name} cannot be trained in place: it must be float32 in one block.")
        self.arrays = dict(arrays)
        self.betas = betas
        self.eps = dict.fromkeys(arrays, eps)
        """By name. Slopes far below it hardly move anything, where without it the faintest noise takes whole
        steps."""
        self.rates: dict[str, float | Array] = {}
        self.first = {name: np.zeros_like(array) for name, array in arrays.items()}
        self.second = {name: np.zeros_like(array) for name, array in arrays.items()}
        self.steps = dict.fromkeys(arrays, 0)
        self.set_rates({name: rates[name] for name in arrays})

    def set_rates(self, rates: Mapping[str, float | Array]) -> None:
        """From the next step on; names that are not given keep theirs."""
        for name, rate in rates.items():
            row = self._known(name).shape[1:]
            try:
                fits = np.broadcast_shapes(np.shape(rate), row) == row
            except ValueError:
                fits = False
            if not (fits and np.isfinite(rate).all() and np.min(rate) >= 0):
                raise SettingsError(f"The learning rate of {name} must be one number, or one a column.")
            self.rates[name] = rate

    def step(
        self,
        grads: Mapping[str, Array | Factored],
        rates: Mapping[str, float | Array] | None = None,
        threads: int | None = None,
    ) -> None:
        """Step the arrays that have a gradient; the others and their moments stay. `rates` as `set_rates`."""
        self.set_rates(rates or {})
        threads = thread_count(threads)
        for name, slope in grads.items():
            array = self._known(name)
            if slope.shape != array.shape:
                raise SettingsError(f"The gradient of {name} is {slope.shape}, not {array.shape}.")
        for name, slope in grads.items():
            self.steps[name] += 1
            if isinstance(slope, Factored):
                self._factored(name, slope, threads)
            else:
                self._dense(name, np.ascontiguousarray(slope, np.float32), threads)

    def typical(self, name: str) -> float:
        """How large the slopes of an array were lately, those that are not 0: their root mean square."""
        second = self.second[name]
        seen = second > 0
        divisor = max(1.0 - self.betas[1] ** self.steps[name], 1e-12)
        return float(np.sqrt(second[seen].mean(dtype=np.float64) / divisor)) if seen.any() else 0.0

    def keep(self, rows: Array) -> dict[str, Array]:
        """Take these rows of every array and of its moments, by mask or by index, in this order.

        -> the arrays, new ones.
        """
        self._count()
        for held in (self.arrays, self.first, self.second):
            for name, array in held.items():
                held[name] = np.ascontiguousarray(array[rows])
        return self.arrays

    def extend(self, arrays: Mapping[str, Array], like: Array | None = None) -> dict[str, Array]:
        """Append rows to every array. -> the arrays, new ones.

        The new rows' moments are 0, or those of the rows `like` (indices) that they come from.
        """
        self._count()
        if set(arrays) != set(self.arrays):
            raise SettingsError(f"Rows must be added to all of {', '.join(self.arrays)} together.")
        for name, more in arrays.items():
            count = len(more)
            for held in (self.first, self.second):
                own = held[name]
                new = np.zeros((count, *own.shape[1:]), np.float32) if like is None else own[like]
                held[name] = np.concatenate([own, new])
            self.arrays[name] = np.concatenate([self.arrays[name], np.asarray(more, np.float32)])
        self._count()
        return self.arrays

    def forget(self, name: str) -> None:
        """Set the moments of an array to 0, as when its values were reset."""
        self._known(name)
        self.first[name][:] = 0.0
        self.second[name][:] = 0.0

    def state_dict(self) -> dict[str, Array]:
        """What a checkpoint needs besides the arrays themselves, by names that fit into an .npz."""
        state = {f"{name}.steps": np.array(count) for name, count in self.steps.items()}
        for kind, held in (("first", self.first), ("second", self.second)):
            state |= {f"{name}.{kind}": array for name, array in held.items()}
        return state

    def load(self, state: Mapping[str, Array]) -> None:
        """Go on from `state_dict`; the arrays must have come back to the same shapes before."""
        for name, array in self.arrays.items():
            whole = all(f"{name}.{kind}" in state for kind in ("first", "second", "steps"))
            if not whole or {state[f"{name}.{kind}"].shape for kind in ("first", "second")} != {array.shape}:
                raise SettingsError(f"The checkpoint does not hold the moments of {name}.", "Begin anew.")
        for name in self.arrays:
            self.first[name] = np.array(state[f"{name}.first"], np.float32, order="C")
            self.second[name] = np.array(state[f"{name}.second"], np.float32, order="C")
            self.steps[name] = int(state[f"{name}.steps"])

    def _known(self, name: str) -> Array:
        """The array of that name."""
        if name not in self.arrays:
            raise SettingsError(f"{name} is not among {', '.join(self.arrays)}, which are trained.")
        return self.arrays[name]

    def _count(self) -> int:
        """Rows of all arrays."""
        counts = {len(array) for array in self.arrays.values()}
        if len(counts) > 1:
            raise SettingsError("The trained arrays have not the same number of rows.")
        return counts.pop() if counts else 0

    def _numbers(self, name: str) -> tuple[float, Array]:
        """What divides the rates, and the constants that the kernels read."""
        first, second = self.betas
        count = self.steps[name]
        correction = 1.0 / np.sqrt(1.0 - second**count)
        return 1.0 - first**count, np.array(
            [1.0 - first, 1.0 - second, correction, self.eps[name]], np.float32
        )

    def _pattern(self, name: str, rows: int) -> tuple[Array, Array]:
        """The rates of so many rows, flat and corrected, and the constants."""
        divisor, betas = self._numbers(name)
        tail = self.arrays[name].shape[1:]
        row = np.broadcast_to(np.asarray(self.rates[name], np.float64) / divisor, tail).ravel()
        return np.tile(row.astype(np.float32), rows), betas

    def _flat(self, name: str) -> list[Array]:
        """The array and its moments."""
        return [held[name].reshape(-1) for held in (self.arrays, self.first, self.second)]

    def _dense(self, name: str, slope: Array, threads: int) -> None:
        from .adam_kernels import dense

        width = int(np.prod(self.arrays[name].shape[1:], dtype=int))
        rates, betas = self._pattern(name, 16 // gcd(width, 16))
        values, first, second = self._flat(name)
        slopes = slope.reshape(-1)

        def piece(begin: int, end: int) -> None:
            dense(begin, end, values, first, second, slopes, rates, betas)

        if width:
            unit = -(-_PIECE // len(rates)) * len(rates)
            in_pieces(piece, len(values), unit, threads if len(values) > unit else 1)

    def _factored(self, name: str, slope: Factored, threads: int) -> None:
        from .adam_kernels import ROWS, factored

        count, many, wide = slope.shape
        if ROWS * wide % 16:
            raise SettingsError(f"The offsets {name} have {wide} columns; an even number was expected.")
        if not many * count:
            return
        rates, betas = self._pattern(name, ROWS)
        latent, local = (np.ascontiguousarray(part, np.float32) for part in (slope.latent, slope.local))
        whole = count // ROWS * ROWS
        flat: Any = self._flat(name)

        def piece(begin: int, end: int) -> None:
            factored(begin, end, *flat, latent, local.reshape(-1), rates, betas)

        in_pieces(piece, whole, -(-_PIECE // len(rates)) * ROWS, threads)
        if whole < count:  # the last rows in a whole block of their own
            held = [array[name] for array in (self.arrays, self.first, self.second)]
            tails = [np.zeros((ROWS, *array.shape[1:]), np.float32) for array in (*held, local)]
            for tail, array in zip(tails, (*held, local), strict=True):
                tail[: count - whole] = array[whole:]
            values, first, second, last = (tail.reshape(-1) for tail in tails)
            factored(0, ROWS, values, first, second, latent, last, rates, betas)
            for tail, array in zip(tails[:3], held, strict=True):
                array[whole:] = tail[: count - whole]
