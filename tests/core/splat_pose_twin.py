# SPDX-License-Identifier: GPL-3.0-or-later
"""Posing bound Gaussians written plainly: torch in float64, gradients by autograd."""

from __future__ import annotations

import torch

from tests.core.splat_twin import harmonics, rotation_matrices

Tensor = torch.Tensor


def frames(vertices: Tensor, triangles: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Axes (F, 3, 3) as columns, scales (F,) and middles (F, 3) of triangles that have an area."""
    v0, v1, v2 = (vertices[triangles[:, corner]] for corner in range(3))
    first = torch.nn.functional.normalize(v1 - v0, dim=1)
    normal = torch.nn.functional.normalize(torch.linalg.cross(first, v2 - v0), dim=1)
    third = torch.linalg.cross(first, normal)
    height = (third * (v2 - v0)).sum(1).abs()
    scales = 0.5 * ((v1 - v0).norm(dim=1) + height)
    return torch.stack([first, normal, third], 2), scales, (v0 + v1 + v2) / 3


def pose(
    stored: dict[str, Tensor], binding: Tensor, rest: Tensor, triangles: Tensor, eye: Tensor
) -> dict[str, Tensor]:
    """Means, covariances, opacities and colours; a rotation and scales only count as a covariance.

    stored: means, log_scales, rotations, opacity_logits, sh, offsets, latent, vertices.
    """
    used = torch.einsum("nrc,r->nc", stored["offsets"], stored["latent"])
    axes, scales, middles = (part[binding] for part in frames(stored["vertices"], triangles))
    axes_at_rest = frames(rest, triangles)[0][binding]
    means = torch.einsum("nij,nj->ni", axes, stored["means"] + used[:, :3]) * scales[:, None] + middles
    lengths = (stored["log_scales"] + used[:, 3:6]).exp() * scales[:, None]
    turns = axes @ rotation_matrices(stored["rotations"] + used[:, 6:10])
    back = axes_at_rest @ axes.transpose(1, 2)
    towards = torch.nn.functional.normalize(torch.einsum("nij,nj->ni", back, means - eye), dim=1)
    values = harmonics(towards, stored["sh"].shape[1])
    colours = 0.5 + torch.einsum("nk,nkc->nc", values, stored["sh"]) + used[:, 11:]
    return {
        "means": means,
        "scales": lengths,
        "turns": turns,
        "opacities": torch.sigmoid(stored["opacity_logits"] + used[:, 10]),
        "colours": colours.clamp_min(0.0),
    }
