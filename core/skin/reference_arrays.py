# SPDX-License-Identifier: GPL-3.0-or-later
"""What the reference solver needs beyond operators, from numpy or torch: it is written once for both."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix

Array = Any
"""A numpy array or a torch tensor, float32."""


class NumpyArrays:
    """On the processor."""

    def array(self, values: np.ndarray) -> Array:
        """Host values, not necessarily a copy."""
        return np.ascontiguousarray(values, np.float32)

    def host(self, array: Array) -> np.ndarray:
        """A copy on the host."""
        return np.array(array)

    def sparse(self, matrix: csr_matrix) -> Any:
        """A matrix that takes `@`."""
        return matrix

    def empty(self, *shape: int) -> Array:
        """Without values."""
        return np.empty(shape, np.float32)

    def zeros(self, *shape: int) -> Array:
        """Of zeros."""
        return np.zeros(shape, np.float32)

    def clip(self, array: Array, least: float) -> Array:
        """No less than `least`."""
        return np.maximum(array, np.float32(least))

    def adam(self, value: Array, slope: Array, mean: Array, square: Array, scales: tuple[float, ...]) -> None:
        """See `Adam`; in place, without temporaries but one."""
        rate, decay, root, tiny = (np.float32(scale) for scale in scales)
        mean *= decay
        mean += slope * (1 - decay)
        slope *= slope
        slope *= 1 - decay
        square *= decay
        square += slope
        np.sqrt(square, out=slope)
        slope *= root
        slope += tiny
        np.divide(mean, slope, out=slope)
        slope *= rate
        value -= slope

    def keep_largest(self, values: Array, count: int) -> None:
        """Set to zero all whose size is below that of the `count`-th largest."""
        size = np.abs(values).ravel()
        if count < size.size:
            values *= np.abs(values) >= np.partition(size, size.size - count)[size.size - count]

    def keep_largest_of_rows(self, values: Array, count: int) -> None:
        """Set to zero what is not above the (count + 1)-th largest of its row, and what is negative."""
        np.maximum(values, 0, out=values)
        rows = np.flatnonzero(np.count_nonzero(values, axis=1) > count)
        if rows.size:
            some, at = values[rows], values.shape[1] - count - 1
            some *= some > np.partition(some, at, axis=1)[:, at : at + 1]
            values[rows] = some


class TorchArrays:
    """On a torch device."""

    def __init__(self, device: str) -> None:
        import torch

        self.torch, self.device = torch, torch.device(device)

    def array(self, values: np.ndarray) -> Array:
        """Host values."""
        return self.torch.tensor(np.ascontiguousarray(values, np.float32), device=self.device)

    def host(self, array: Array) -> np.ndarray:
        """A copy on the host."""
        return array.detach().cpu().numpy().copy()

    def sparse(self, matrix: csr_matrix) -> Any:
        """A matrix that takes `@`."""
        whole = matrix.tocoo()
        where = self.torch.tensor(np.stack([whole.row, whole.col]).astype(np.int64))
        values = self.torch.tensor(whole.data.astype(np.float32))
        made = self.torch.sparse_coo_tensor(where, values, whole.shape, check_invariants=False)
        return made.coalesce().to(self.device)

    def empty(self, *shape: int) -> Array:
        """Without values."""
        return self.torch.empty(shape, device=self.device)

    def zeros(self, *shape: int) -> Array:
        """Of zeros."""
        return self.torch.zeros(shape, device=self.device)

    def clip(self, array: Array, least: float) -> Array:
        """No less than `least`."""
        return array.clamp(min=least)

    def adam(self, value: Array, slope: Array, mean: Array, square: Array, scales: tuple[float, ...]) -> None:
        """See `Adam`."""
        rate, decay, root, tiny = scales
        mean.mul_(decay).add_(slope, alpha=1 - decay)
        square.mul_(decay).addcmul_(slope, slope, value=1 - decay)
        value.addcdiv_(mean, square.sqrt().mul_(root).add_(tiny), value=-rate)

    def keep_largest(self, values: Array, count: int) -> None:
        """Set to zero all whose size is below that of the `count`-th largest."""
        size = values.abs()
        if count < size.numel():
            least = self.torch.topk(size.reshape(-1), count, sorted=False).values.min()
            values.mul_(size >= least)

    def keep_largest_of_rows(self, values: Array, count: int) -> None:
        """Set to zero what is not above the (count + 1)-th largest of its row, and what is negative."""
        if count < values.shape[1]:
            least = self.torch.topk(values, count + 1, dim=1, sorted=False).values.amin(dim=1, keepdim=True)
            values.mul_(values > least)
        values.clamp_(min=0.0)


Arrays = NumpyArrays | TorchArrays


def arrays_for(device: str) -> Arrays:
    """Torch where `device` asks for a GPU, or leaves it open and there is one; numpy otherwise."""
    if device != "cpu" and _has_cuda():
        return TorchArrays("cuda")
    if device == "cuda":
        from ..errors import SettingsError

        raise SettingsError(
            "There is no CUDA device, or torch is not installed.", "Use the device auto or cpu."
        )
    return NumpyArrays()


def _has_cuda() -> bool:
    """Whether torch is there and sees a GPU."""
    try:
        import torch
    except ImportError:
        return False
    return bool(torch.cuda.is_available())
