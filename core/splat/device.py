# SPDX-License-Identifier: GPL-3.0-or-later
"""Draw Gaussians where it is fastest: on CUDA through gsplat or warp, else on the CPU.

    rendered = render(gaussians, view, background, device="auto")
    slopes = gradients(rendered, d_image, d_alpha)

Neither library is needed: without them, or without a CUDA device, numba's kernels in `raster` draw.
"""

from __future__ import annotations

import ctypes
import sys
from functools import lru_cache
from typing import Any

import numpy as np

from ..errors import SettingsError
from . import gsplat_raster, raster, warp_raster
from .gaussians import Activated, Gaussians
from .gsplat_raster import GsplatContext
from .raster_result import Rendered
from .view import View
from .warp_raster import WarpContext

Array = np.ndarray

DEVICES = ("auto", "cpu", "cuda")


def render(
    gaussians: Gaussians | Activated,
    view: View,
    background: Any = (0.0, 0.0, 0.0),
    *,
    compensated: bool = False,
    threads: int | None = None,
    device: str = "auto",
) -> Rendered:
    """As `raster.render`. `device`: cpu, cuda, or auto, which is cuda where there is one.

    `threads` are those of the CPU.
    """
    way, name = chosen(device)
    if way == "cpu" or not len(gaussians):
        return raster.render(gaussians, view, background, compensated=compensated, threads=threads)
    draw = gsplat_raster.render if way == "gsplat" else warp_raster.render
    try:
        return draw(gaussians, view, background, compensated=compensated, device=name)
    except RuntimeError as error:
        raise _explained(error, len(gaussians), view.width, view.height) from error


def gradients(rendered: Rendered, d_image: Array, d_alpha: Array | None = None) -> Any:
    """As `raster.gradients`, where the picture was drawn."""
    made: Any = rendered.context
    if not isinstance(made, WarpContext | GsplatContext):
        return raster.gradients(rendered, d_image, d_alpha)
    back = gsplat_raster.gradients if isinstance(made, GsplatContext) else warp_raster.gradients
    try:
        return back(rendered, d_image, d_alpha)
    except RuntimeError as error:
        raise _explained(error, len(made.gaussians), *made.size) from error


def chosen(device: str = "auto") -> tuple[str, str]:
    """What draws (gsplat, warp or cpu) and its name for the device."""
    if device not in DEVICES:
        raise SettingsError(f"{device} is no device to draw on.", f"Choose {', '.join(DEVICES)}.")
    found = ("cpu", "cpu") if device == "cpu" else _cuda()
    if device == "cuda" and found[0] == "cpu":
        raise SettingsError(
            "There is no CUDA device to draw on, or neither warp nor gsplat is installed.",
            "Choose the CPU, or install warp-lang and NVIDIA's driver.",
        )
    return found


@lru_cache(maxsize=1)
def _cuda() -> tuple[str, str]:
    """The way to the first CUDA device, looked for once; the CPU's if there is none."""
    if not _driver():
        return "cpu", "cpu"
    if gsplat_raster.usable():
        return "gsplat", "cuda"
    names = [name for name in warp_raster.devices() if name.startswith("cuda")]
    return ("warp", names[0]) if names else ("cpu", "cpu")


def _driver() -> bool:
    """Whether NVIDIA's driver is there; torch and warp take seconds to find that it is not."""
    name = {"win32": "nvcuda.dll", "linux": "libcuda.so.1"}.get(sys.platform)
    try:
        return name is not None and bool(ctypes.CDLL(name))
    except OSError:
        return False


def _explained(error: RuntimeError, count: int, width: int, height: int) -> Exception:
    """One sentence where the device has no memory left; the error itself otherwise."""
    text = str(error).lower()
    if "alloc" not in text and "out of memory" not in text:
        return error
    return SettingsError(
        f"The graphics processor has not enough memory for {count} Gaussians at {width} x {height} px.",
        "Draw a smaller picture, or draw on the CPU.",
    )
