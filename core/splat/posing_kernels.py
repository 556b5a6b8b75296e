# SPDX-License-Identifier: GPL-3.0-or-later
"""Compiled: Gaussians from their triangles into the head's frame, sixteen at a time, and gradients back.

All arrays are flat, of n >= WIDTH Gaussians. The last sixteen may begin before a multiple of WIDTH: what they
share with the ones before is done twice, to the same bits.
"""

from __future__ import annotations

import numpy as np

from .frame_kernels import FRAME, PULL
from .harmonics_kernels import harmonics, slope
from .lanes_kernels import (
    WIDTH,
    compiled,
    exp2,
    gather,
    least,
    load,
    most,
    pick,
    root,
    scatter,
    select,
    spread,
    store,
)

OFFSETS = 14
"""Numbers of a Gaussian that ride on the latent; a row of its offsets and of its local gradients."""
KEPT = 8
"""Numbers kept of a Gaussian for the way back: mean 3 and quaternion 4 as used, local; one is free."""
CHUNK = 1024
"""Gaussians whose part of the latent's gradient is summed first, so that it does not depend on threads."""

_LOG2E = np.float32(1.4426950408889634)
_NONE, _HALF, _ONE = np.float32(0.0), np.float32(0.5), np.float32(1.0)
_TINY = np.float32(1e-20)


@compiled
def _ridden(offsets, latents, active, latent, count, i, rows):
    """What the latent adds to sixteen Gaussians, into `rows` (WIDTH, 16)."""
    for j in range(WIDTH):
        at = (i + j) * latents * OFFSETS
        if i + j < count - 1:  # what is read too far belongs to the next
            added = spread(_NONE)
            for k in range(len(active)):
                added = added + latent[active[k]] * load(offsets, at + OFFSETS * active[k])
            store(rows, 16 * j, added)
        else:
            for c in range(OFFSETS):
                one = _NONE
                for k in range(len(active)):
                    one += latent[active[k]] * offsets[at + OFFSETS * active[k] + c]
                rows[16 * j + c] = one


@compiled
def _towards(frames, rest, binding, i, s, x, y, z):
    """From the eye to the means: in the posed triangle's axes, then, of length 1, turned back to rest."""
    ux = s * x + pick(frames, binding, i, FRAME, 17)
    uy = s * y + pick(frames, binding, i, FRAME, 18)
    uz = s * z + pick(frames, binding, i, FRAME, 19)
    length = root(most(ux * ux + uy * uy + uz * uz, _TINY))
    dx, dy, dz = ux / length, uy / length, uz / length
    r = (
        pick(rest, binding, i, 9, 0), pick(rest, binding, i, 9, 1), pick(rest, binding, i, 9, 2),
        pick(rest, binding, i, 9, 3), pick(rest, binding, i, 9, 4), pick(rest, binding, i, 9, 5),
        pick(rest, binding, i, 9, 6), pick(rest, binding, i, 9, 7), pick(rest, binding, i, 9, 8),
    )  # fmt: skip
    d = (
        r[0] * dx + r[1] * dy + r[2] * dz,
        r[3] * dx + r[4] * dy + r[5] * dz,
        r[6] * dx + r[7] * dy + r[8] * dz,
    )
    return d, r, ux, uy, uz, length


@compiled
def pose(
    binding, means, log_scales, rotations, logits, sh, degree, offsets, latents, active, latent, frames, rest,
    first, last, o_means, o_scales, o_rotations, o_opacities, o_colours, kept,
):  # fmt: skip
    """Gaussians first <= i < last, as they are drawn. `active` (a,) int64: latents that are not 0."""
    count = len(binding)
    rows = np.zeros(16 * WIDTH, np.float32)
    values = np.empty(16 * WIDTH, np.float32)
    terms = (degree + 1) ** 2
    for start in range(first, last, WIDTH):
        i = min(start, count - WIDTH)
        if len(active):
            _ridden(offsets, latents, active, latent, count, i, rows)
        x = gather(means, 3 * i, 3) + gather(rows, 0, 16)
        y = gather(means, 3 * i + 1, 3) + gather(rows, 1, 16)
        z = gather(means, 3 * i + 2, 3) + gather(rows, 2, 16)
        s = pick(frames, binding, i, FRAME, 9)
        sx, sy, sz = s * x, s * y, s * z
        for k in range(3):
            value = (
                pick(frames, binding, i, FRAME, 10 + k)
                + pick(frames, binding, i, FRAME, 3 * k) * sx
                + pick(frames, binding, i, FRAME, 3 * k + 1) * sy
                + pick(frames, binding, i, FRAME, 3 * k + 2) * sz
            )
            scatter(o_means, 3 * i + k, 3, value)
        for k in range(3):
            value = gather(log_scales, 3 * i + k, 3) + gather(rows, 3 + k, 16)
            value = most(least(value, np.float32(40.0)), np.float32(-40.0))
            scatter(o_scales, 3 * i + k, 3, s * exp2(value * _LOG2E))
        bw = gather(rotations, 4 * i, 4) + gather(rows, 6, 16)
        bx = gather(rotations, 4 * i + 1, 4) + gather(rows, 7, 16)
        by = gather(rotations, 4 * i + 2, 4) + gather(rows, 8, 16)
        bz = gather(rotations, 4 * i + 3, 4) + gather(rows, 9, 16)
        scatter(kept, KEPT * i, KEPT, x)
        scatter(kept, KEPT * i + 1, KEPT, y)
        scatter(kept, KEPT * i + 2, KEPT, z)
        scatter(kept, KEPT * i + 3, KEPT, bw)
        scatter(kept, KEPT * i + 4, KEPT, bx)
        scatter(kept, KEPT * i + 5, KEPT, by)
        scatter(kept, KEPT * i + 6, KEPT, bz)
        length = root(most(bw * bw + bx * bx + by * by + bz * bz, _TINY))
        bw, bx, by, bz = bw / length, bx / length, by / length, bz / length
        aw, ax = pick(frames, binding, i, FRAME, 13), pick(frames, binding, i, FRAME, 14)
        ay, az = pick(frames, binding, i, FRAME, 15), pick(frames, binding, i, FRAME, 16)
        scatter(o_rotations, 4 * i, 4, aw * bw - ax * bx - ay * by - az * bz)
        scatter(o_rotations, 4 * i + 1, 4, aw * bx + ax * bw + ay * bz - az * by)
        scatter(o_rotations, 4 * i + 2, 4, aw * by - ax * bz + ay * bw + az * bx)
        scatter(o_rotations, 4 * i + 3, 4, aw * bz + ax * by - ay * bx + az * bw)
        fall = _NONE - _LOG2E * (load(logits, i) + gather(rows, 10, 16))
        fall = exp2(most(least(fall, np.float32(100.0)), np.float32(-100.0)))
        store(o_opacities, i, 1.0 / (1.0 + fall))
        if degree > 0:
            d, _, _, _, _, _ = _towards(frames, rest, binding, i, s, x, y, z)
            harmonics(values, degree, d[0], d[1], d[2])
        else:
            harmonics(values, 0, x, y, z)
        for colour in range(3):
            value = _HALF + gather(rows, 11 + colour, 16)
            for k in range(terms):
                value = value + load(values, 16 * k) * gather(sh, 3 * (terms * i + k) + colour, 3 * terms)
            scatter(o_colours, 3 * i + colour, 3, most(value, _NONE))


@compiled
def pose_back(
    binding, sh, degree, offsets, latents, frames, rest, kept, scales, opacities, colours,
    g_means, g_scales, g_rotations, g_opacities, g_colours, wants_latent, first, last,
    d_means, d_log_scales, d_rotations, d_logits, d_sh, local, pulls, parts,
):  # fmt: skip
    """Gradients of what `pose` was given, Gaussians first <= i < last, `first` a multiple of CHUNK.

    Into local (n, OFFSETS) those of the 14 local values, into pulls (n, PULL) those of the triangles'
    frames, into parts (chunks, latents) those of the latent, chunk by chunk.
    """
    count, terms = len(binding), (degree + 1) ** 2
    values, weights = np.empty(16 * WIDTH, np.float32), np.zeros(16 * WIDTH, np.float32)
    sums = np.zeros(16 * max(latents, 1), np.float32)
    for start in range(first, last, WIDTH):
        i = min(start, count - WIDTH)
        x, y, z = gather(kept, KEPT * i, KEPT), gather(kept, KEPT * i + 1, KEPT), gather(
            kept, KEPT * i + 2, KEPT
        )  # fmt: skip
        s = pick(frames, binding, i, FRAME, 9)
        gx, gy, gz = gather(g_means, 3 * i, 3), gather(g_means, 3 * i + 1, 3), gather(g_means, 3 * i + 2, 3)
        a = (
            pick(frames, binding, i, FRAME, 0), pick(frames, binding, i, FRAME, 1),
            pick(frames, binding, i, FRAME, 2), pick(frames, binding, i, FRAME, 3),
            pick(frames, binding, i, FRAME, 4), pick(frames, binding, i, FRAME, 5),
            pick(frames, binding, i, FRAME, 6), pick(frames, binding, i, FRAME, 7),
            pick(frames, binding, i, FRAME, 8),
        )  # fmt: skip
        # Gradient of the mean in the triangle's axes, and of a turn of these axes.
        lx = a[0] * gx + a[3] * gy + a[6] * gz
        ly = a[1] * gx + a[4] * gy + a[7] * gz
        lz = a[2] * gx + a[5] * gy + a[8] * gz
        tx, ty, tz = spread(_NONE), spread(_NONE), spread(_NONE)

        if degree > 0:
            d, r, ux, uy, uz, length = _towards(frames, rest, binding, i, s, x, y, z)
            harmonics(values, degree, d[0], d[1], d[2])
            for k in range(1, terms):
                store(weights, 16 * k, spread(_NONE))
        else:
            harmonics(values, 0, x, y, z)
        for colour in range(3):
            lit = gather(colours, 3 * i + colour, 3) > _NONE
            g = select(lit, gather(g_colours, 3 * i + colour, 3), _NONE)
            scatter(local, OFFSETS * i + 11 + colour, OFFSETS, g)
            for k in range(terms):
                at = 3 * (terms * i + k) + colour
                scatter(d_sh, at, 3 * terms, g * load(values, 16 * k))
                if k > 0:
                    store(weights, 16 * k, load(weights, 16 * k) + g * gather(sh, at, 3 * terms))
        if degree > 0:
            hx, hy, hz = slope(weights, degree, d[0], d[1], d[2])
            along = hx * d[0] + hy * d[1] + hz * d[2]
            hx, hy, hz = (hx - along * d[0]) / length, (hy - along * d[1]) / length, (
                hz - along * d[2]
            ) / length  # fmt: skip
            kx = r[0] * hx + r[3] * hy + r[6] * hz
            ky = r[1] * hx + r[4] * hy + r[7] * hz
            kz = r[2] * hx + r[5] * hy + r[8] * hz
            lx, ly, lz = lx + kx, ly + ky, lz + kz
            gx = gx + a[0] * kx + a[1] * ky + a[2] * kz
            gy = gy + a[3] * kx + a[4] * ky + a[5] * kz
            gz = gz + a[6] * kx + a[7] * ky + a[8] * kz
            tx, ty, tz = uz * ky - uy * kz, ux * kz - uz * kx, uy * kx - ux * ky

        sx, sy, sz = s * x, s * y, s * z
        tx, ty, tz = tx + sy * lz - sz * ly, ty + sz * lx - sx * lz, tz + sx * ly - sy * lx
        pull = x * lx + y * ly + z * lz
        at = OFFSETS * i
        lx, ly, lz = s * lx, s * ly, s * lz
        scatter(local, at, OFFSETS, lx)
        scatter(local, at + 1, OFFSETS, ly)
        scatter(local, at + 2, OFFSETS, lz)
        scatter(d_means, 3 * i, 3, lx)
        scatter(d_means, 3 * i + 1, 3, ly)
        scatter(d_means, 3 * i + 2, 3, lz)
        for k in range(3):
            g = gather(g_scales, 3 * i + k, 3) * gather(scales, 3 * i + k, 3)
            pull = pull + g / s
            scatter(local, at + 3 + k, OFFSETS, g)
            scatter(d_log_scales, 3 * i + k, 3, g)

        # rotation = turn * q / |q|; a unit quaternion on the left is orthogonal
        bw, bx = gather(kept, KEPT * i + 3, KEPT), gather(kept, KEPT * i + 4, KEPT)
        by, bz = gather(kept, KEPT * i + 5, KEPT), gather(kept, KEPT * i + 6, KEPT)
        norm = root(most(bw * bw + bx * bx + by * by + bz * bz, _TINY))
        bw, bx, by, bz = bw / norm, bx / norm, by / norm, bz / norm
        aw, ax = pick(frames, binding, i, FRAME, 13), pick(frames, binding, i, FRAME, 14)
        ay, az = pick(frames, binding, i, FRAME, 15), pick(frames, binding, i, FRAME, 16)
        ow, ox = gather(g_rotations, 4 * i, 4), gather(g_rotations, 4 * i + 1, 4)
        oy, oz = gather(g_rotations, 4 * i + 2, 4), gather(g_rotations, 4 * i + 3, 4)
        qw = aw * ow + ax * ox + ay * oy + az * oz
        qx = aw * ox - ax * ow - ay * oz + az * oy
        qy = aw * oy + ax * oz - ay * ow - az * ox
        qz = aw * oz - ax * oy + ay * ox - az * ow
        tx = tx + _HALF * (bw * qx - qw * bx - (qy * bz - qz * by))
        ty = ty + _HALF * (bw * qy - qw * by - (qz * bx - qx * bz))
        tz = tz + _HALF * (bw * qz - qw * bz - (qx * by - qy * bx))
        along = qw * bw + qx * bx + qy * by + qz * bz
        turned = (
            (qw - along * bw) / norm,
            (qx - along * bx) / norm,
            (qy - along * by) / norm,
            (qz - along * bz) / norm,
        )
        for k in range(4):
            scatter(local, at + 6 + k, OFFSETS, turned[k])
            scatter(d_rotations, 4 * i + k, 4, turned[k])
        o = load(opacities, i)
        g = load(g_opacities, i) * o * (_ONE - o)
        scatter(local, at + 10, OFFSETS, g)
        store(d_logits, i, g)
        bundle = (tx, ty, tz, pull, gx, gy, gz)
        for k in range(7):
            scatter(pulls, PULL * i + k, PULL, bundle[k])

        if wants_latent:
            for j in range(start - i, WIDTH):
                at = (i + j) * latents * OFFSETS
                if i + j < count - 1:
                    g = load(local, OFFSETS * (i + j))  # two lanes too many, which nobody adds up
                    for k in range(latents):
                        store(sums, 16 * k, load(sums, 16 * k) + g * load(offsets, at + OFFSETS * k))
                else:
                    for k in range(latents):
                        for c in range(OFFSETS):
                            sums[16 * k + c] += local[OFFSETS * (i + j) + c] * offsets[at + OFFSETS * k + c]
            if (start + WIDTH) % CHUNK == 0 or start + WIDTH >= last:
                for k in range(latents):
                    one = _NONE
                    for c in range(OFFSETS):
                        one += sums[16 * k + c]
                    parts[start // CHUNK * latents + k] = one
                    store(sums, 16 * k, spread(_NONE))
