# SPDX-License-Identifier: GPL-3.0-or-later
"""Draw Gaussians with gsplat (Apache-2.0) on CUDA, where the user has it with its compiled part.

Arrays go in and gradients come out as with `raster`. What gsplat decides otherwise (1.5.3): a
Gaussian's opacity is held at 0.999 instead of 0.99, the Gaussian that would take the light under 1e-4 is left
out instead of being the last, and `half_sizes` are its own radii. So its pictures are near those of `raster`
and not equal. The tests hold what is done here equal to `raster` with a stand-in for gsplat, which itself was
not run by it yet.
"""

from __future__ import annotations

from dataclasses import dataclass
from importlib.util import find_spec
from typing import Any, cast

import numpy as np

from ..errors import SettingsError
from .gaussians import Activated, Gaussians
from .raster import _inputs
from .raster_result import ActivatedGradients, Context, GaussianGradients, Rendered
from .view import View

Array = np.ndarray


@dataclass(frozen=True, eq=False)
class GsplatContext:
    """How a picture was made: torch's graph of it."""

    gaussians: Gaussians | Activated
    size: tuple[int, int]
    compensated: bool
    leaves: list[Any]
    image: Any
    alpha: Any
    means2d: Any
    half_sizes: Array
    """(n, 2) float32 px: what gsplat draws of each; 0 where nothing is."""

    @property
    def visible(self) -> Array:
        """(n,) bool: which Gaussians may reach a pixel of the picture."""
        return (self.half_sizes > 0).all(1)


def usable() -> bool:
    """Whether gsplat is there with its compiled part, and torch has a CUDA device.

    gsplat without that part would start a compiler for minutes when it is first used: then it is left alone.
    """
    try:
        if find_spec("gsplat") is None or find_spec("gsplat.csrc") is None:
            return False
        import torch

        if not torch.cuda.is_available():
            return False
        import gsplat  # type: ignore
    except (ImportError, OSError, RuntimeError, ValueError):
        return False
    return hasattr(gsplat, "rasterization")


def render(
    gaussians: Gaussians | Activated,
    view: View,
    background: Any = (0.0, 0.0, 0.0),
    *,
    compensated: bool = False,
    device: str = "cuda",
) -> Rendered:
    """As `raster.render`; the context of the result is a `GsplatContext`."""
    import torch
    from gsplat import rasterization  # type: ignore

    back = np.asarray(background, np.float32)
    if back.shape != (3,):
        raise SettingsError("The background of the Gaussians must be one colour of three numbers.")
    arrays, stored = _inputs(gaussians)
    leaves = [torch.tensor(array, device=device, requires_grad=True) for array in arrays]
    means, scales, rotations, opacities, colours = leaves
    if stored:
        scales, opacities = scales.exp(), opacities.sigmoid()
    lens = np.array([[view.fx, 0.0, view.cx], [0.0, view.fy, view.cy], [0.0, 0.0, 1.0]])
    pose, lens, shade = (
        torch.tensor(array[None], dtype=torch.float32, device=device)
        for array in (view.T_view_world, lens, back)
    )
    drawn, covered, found = rasterization(
        means, rotations, scales, opacities, colours, pose, lens, view.width, view.height,
        near_plane=view.near,
        sh_degree=None if gaussians.degree < 0 else gaussians.degree,
        packed=False,
        backgrounds=shade,
        render_mode="RGB+ED",
        rasterize_mode="antialiased" if compensated else "classic",
    )  # fmt: skip
    image, alpha, depth = drawn[0, ..., :3], covered[0, ..., 0], drawn[0, ..., 3]
    radii = found["radii"][0].detach().cpu().numpy().astype(np.float32)
    sizes = np.ascontiguousarray(np.broadcast_to(radii.reshape(len(radii), -1), (len(radii), 2)))
    context = GsplatContext(
        gaussians, (view.width, view.height), compensated, leaves, image, alpha, found["means2d"], sizes
    )
    made = [part.detach().cpu().numpy() for part in (image.contiguous(), alpha, depth.contiguous())]
    return Rendered(made[0], made[1], made[2], cast(Context, context))


def gradients(rendered: Rendered, d_image: Array, d_alpha: Array | None = None) -> Any:
    """As `raster.gradients`, of what `render` drew."""
    import torch

    made, plane = cast(Any, rendered.context), rendered.alpha.shape
    if np.shape(d_image) != (*plane, 3) or (d_alpha is not None and np.shape(d_alpha) != plane):
        raise SettingsError(f"The gradients of a picture of {plane[1]} x {plane[0]} px have another size.")
    slopes = [
        torch.tensor(np.asarray(slope, np.float32), device=made.image.device)
        for slope in (d_image, np.zeros(plane) if d_alpha is None else d_alpha)
    ]
    wanted = [*made.leaves, made.means2d]
    parts = torch.autograd.grad(
        [made.image, made.alpha], wanted, slopes, retain_graph=True, allow_unused=True
    )
    found = [
        np.zeros(leaf.shape, np.float32) if part is None else part.cpu().numpy()
        for leaf, part in zip(wanted, parts, strict=True)
    ]
    kind = GaussianGradients if isinstance(made.gaussians, Gaussians) else ActivatedGradients
    found[5] = found[5][0]
    return kind(*found)
