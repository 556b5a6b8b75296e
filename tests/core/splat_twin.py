# SPDX-License-Identifier: GPL-3.0-or-later
"""The Gaussian rasteriser written plainly: torch, every Gaussian at every pixel, gradients by autograd.

Written from the formulas, not from the kernels: the covariance is inverted as a matrix, the harmonics are the
textbook's. Nothing is held back but memory: n Gaussians x H x W numbers, in float64 for the tests.
"""

from __future__ import annotations

from typing import Any

import torch

from core.splat.view import View

Tensor = torch.Tensor


def rotation_matrices(quaternions: Tensor) -> Tensor:
    """(n, 3, 3) of quaternions w, x, y, z of any length."""
    w, x, y, z = (quaternions / quaternions.norm(dim=1, keepdim=True)).unbind(1)
    rows = (
        (1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)),
        (2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x)),
        (2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)),
    )
    return torch.stack([torch.stack(row, 1) for row in rows], 1)


def harmonics(d: Tensor, count: int) -> Tensor:
    """(n, count) real spherical harmonics of unit directions (n, 3), with 3D Gaussian splatting's signs."""
    x, y, z = d.unbind(1)
    pi = torch.pi
    first = (3 / (4 * pi)) ** 0.5
    second, third = (15 / (4 * pi)) ** 0.5, (5 / (16 * pi)) ** 0.5
    a, b = (35 / (32 * pi)) ** 0.5, (105 / (4 * pi)) ** 0.5
    c, e = (21 / (32 * pi)) ** 0.5, (7 / (16 * pi)) ** 0.5
    values = [
        torch.full_like(x, (1 / (4 * pi)) ** 0.5),
        -first * y,
        first * z,
        -first * x,
        second * x * y,
        -second * y * z,
        third * (2 * z * z - x * x - y * y),
        -second * x * z,
        second / 2 * (x * x - y * y),
        -a * y * (3 * x * x - y * y),
        b * x * y * z,
        -c * y * (4 * z * z - x * x - y * y),
        e * z * (2 * z * z - 3 * x * x - 3 * y * y),
        -c * x * (4 * z * z - x * x - y * y),
        b / 2 * z * (x * x - y * y),
        -a * x * (x * x - 3 * y * y),
    ]
    return torch.stack(values[:count], 1)


def project(
    means: Tensor, scales: Tensor, rotations: Tensor, view: View, compensated: bool
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Means in px (n, 2), covariances in px^2 (n, 2, 2), factor of the opacity (n,), depths (n,) metres."""
    pose = torch.as_tensor(view.T_view_world, dtype=means.dtype)
    x, y, z = (means @ pose[:3, :3].T + pose[:3, 3]).unbind(1)
    behind = z < view.near
    z = torch.where(behind, torch.full_like(z, view.near), z)
    wide, tall = view.width / view.fx, view.height / view.fy
    u = (x / z).clamp(-view.cx / view.fx - 0.15 * wide, (view.width - view.cx) / view.fx + 0.15 * wide)
    v = (y / z).clamp(-view.cy / view.fy - 0.15 * tall, (view.height - view.cy) / view.fy + 0.15 * tall)
    zero = torch.zeros_like(z)
    J = torch.stack(
        [
            torch.stack([view.fx / z, zero, -view.fx * u / z], 1),
            torch.stack([zero, view.fy / z, -view.fy * v / z], 1),
        ],
        1,
    )
    M = J @ pose[:3, :3] @ (rotation_matrices(rotations) * scales[:, None, :])
    thin = M @ M.transpose(1, 2)
    wider = thin + 0.3 * torch.eye(2, dtype=means.dtype)
    factor = torch.where(behind, 0.0, 1.0).to(means.dtype)
    if compensated:
        ratio = torch.linalg.det(thin) / torch.linalg.det(wider)
        factor = factor * ratio.clamp_min(1e-30).sqrt()
    centre = torch.stack([view.fx * x / z + view.cx, view.fy * y / z + view.cy], 1)
    return centre, wider, factor, z


def render(
    means: Tensor,
    scales: Tensor,
    rotations: Tensor,
    opacities: Tensor,
    colours: Tensor,
    view: View,
    background: Tensor,
    compensated: bool = False,
) -> dict[str, Any]:
    """Image (H, W, 3), alpha and depth (H, W); `margin` (H, W): how near a pixel is to one of the cuts.

    The margin is relative, of alpha to 1/255 and 0.99 and of the light to 1e-4. Where it is no larger than
    rounding errors, another implementation may decide otherwise.
    """
    splats = project(means, scales, rotations, view, compensated)
    shown = colours_of(means, colours, view) if colours.ndim == 3 else colours
    return blend(*splats, opacities, shown, view, background)


def colours_of(means: Tensor, coefficients: Tensor, view: View) -> Tensor:
    """(n, 3) of spherical harmonics (n, K, 3), seen from the camera."""
    eye = torch.as_tensor(view.centre, dtype=means.dtype)
    d = torch.nn.functional.normalize(means - eye, dim=1)
    values = harmonics(d, coefficients.shape[1])
    return (0.5 + torch.einsum("nk,nkc->nc", values, coefficients)).clamp_min(0.0)


def blend(
    centre: Tensor,
    covariance: Tensor,
    factor: Tensor,
    z: Tensor,
    opacities: Tensor,
    colours: Tensor,
    view: View,
    background: Tensor,
) -> dict[str, Any]:
    """What `render` says, of splats in the picture."""
    order = torch.argsort(z.detach().float(), stable=True)
    ys, xs = torch.meshgrid(
        torch.arange(view.height, dtype=z.dtype) + 0.5,
        torch.arange(view.width, dtype=z.dtype) + 0.5,
        indexing="ij",
    )
    delta = torch.stack([xs, ys], -1).reshape(1, -1, 2) - centre[order][:, None]
    power = -0.5 * torch.einsum("npi,nij,npj->np", delta, torch.linalg.inv(covariance)[order], delta)
    raw = (opacities * factor)[order][:, None] * power.exp()
    alpha = torch.where(raw >= 1 / 255, raw.clamp_max(0.99), torch.zeros_like(raw))
    light = torch.cumprod(torch.cat([torch.ones_like(alpha[:1]), 1 - alpha]), 0)[:-1]
    alpha = torch.where(light >= 1e-4, alpha, torch.zeros_like(alpha))
    weight = alpha * light
    left = (1 - alpha).prod(0)
    plane = (view.height, view.width)
    image = (weight[..., None] * colours[order][:, None]).sum(0) + left[:, None] * background
    covered = 1 - left
    depth = (weight * z[order][:, None]).sum(0) / covered.clamp_min(1e-12)
    margin = torch.stack([(raw * 255 - 1).abs(), (raw / 0.99 - 1).abs(), (light * 1e4 - 1).abs()])
    return {
        "image": image.reshape(*plane, 3),
        "alpha": covered.reshape(plane),
        "depth": depth.reshape(plane),
        "margin": margin.detach().amin((0, 1)).reshape(plane) if len(z) else torch.ones(plane),
    }


def render_in_tiles(
    means: Tensor,
    scales: Tensor,
    rotations: Tensor,
    opacities: Tensor,
    colours: Tensor,
    view: View,
    background: Tensor,
    tile: int = 16,
) -> Tensor:
    """The image (H, W, 3) of large scenes: in every tile only the Gaussians that reach it."""
    centre, covariance, factor, z = project(means, scales, rotations, view, False)
    if colours.ndim == 3:
        colours = colours_of(means, colours, view)
    opacities = opacities * factor
    order = torch.argsort(z.detach(), stable=True)
    precision = torch.linalg.inv(covariance)
    with torch.no_grad():
        wide = 2 * torch.log((opacities * 255).clamp_min(1e-12))
        variances = torch.stack([covariance[:, 0, 0], covariance[:, 1, 1]], 1)
        half = (wide[:, None] * variances).clamp_min(0.0).sqrt()
        low, high = (centre - half)[order], (centre + half)[order]
        seen = (wide > 0)[order]
    rows = []
    for top in range(0, view.height, tile):
        in_row = seen & (low[:, 1] < top + tile) & (high[:, 1] > top)
        columns = []
        for left in range(0, view.width, tile):
            who = order[in_row & (low[:, 0] < left + tile) & (high[:, 0] > left)]
            ys, xs = torch.meshgrid(
                torch.arange(top, min(top + tile, view.height), dtype=z.dtype) + 0.5,
                torch.arange(left, min(left + tile, view.width), dtype=z.dtype) + 0.5,
                indexing="ij",
            )
            x, y = xs.reshape(1, -1) - centre[who, 0:1], ys.reshape(1, -1) - centre[who, 1:2]
            a, b, c = precision[who, 0, 0:1], precision[who, 0, 1:2], precision[who, 1, 1:2]
            raw = opacities[who, None] * torch.exp(-0.5 * (a * x * x + c * y * y) - b * x * y)
            alpha = torch.where(raw >= 1 / 255, raw.clamp_max(0.99), 0.0)
            light = torch.cumprod(torch.cat([torch.ones(1, xs.numel()), 1 - alpha]), 0)[:-1]
            alpha = torch.where(light >= 1e-4, alpha, 0.0)
            left_over = (1 - alpha).prod(0)
            colour = torch.einsum("np,nc->pc", alpha * light, colours[who]) + left_over[:, None] * background
            columns.append(colour.reshape(*xs.shape, 3))
        rows.append(torch.cat(columns, 1))
    return torch.cat(rows)
