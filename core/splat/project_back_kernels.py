# SPDX-License-Identifier: GPL-3.0-or-later
"""Compiled: gradients in the picture to those of the Gaussians, sixteen at a time; see `project_kernels`."""

from __future__ import annotations

import numpy as np

from .harmonics_kernels import harmonics, slope
from .lanes_kernels import WIDTH, compiled, gather, least, load, most, root, scatter, select, spread, store
from .project_kernels import BLUR, BLUR_SQUARED, TINY, axes, camera_point, columns, opacity, scale


@compiled
def back(
    means, scales, rotations, opacities, coefficients, degree, stored, compensated, camera, first, last,
    records, sums, d_means, d_scales, d_rotations, d_opacities, d_coefficients, d_screen,
):  # fmt: skip
    """Gradients of what `project` was given, from `sums` (m, 9), which are zero for what is not seen.

    `d_screen` (m, 2): gradient of the mean in the picture, per px.
    """
    values, weights = np.empty(16 * WIDTH, np.float32), np.zeros(16 * WIDTH, np.float32)
    stride = coefficients.shape[0] // (means.shape[0] // 3)
    for i in range(first, last, WIDTH):
        wx, wy, wz = gather(means, 3 * i, 3), gather(means, 3 * i + 1, 3), gather(means, 3 * i + 2, 3)
        x, y, z = camera_point(camera, wx, wy, wz)
        seen = gather(records, 16 * i + 10, 16) > np.float32(0.0)
        z = most(z, camera[16])
        jx, jy = camera[12] / z, camera[13] / z
        free_x, free_y = x / z, y / z
        rx, ry = most(least(free_x, camera[18]), camera[17]), most(least(free_y, camera[20]), camera[19])
        sx = scale(gather(scales, 3 * i, 3), stored)
        sy = scale(gather(scales, 3 * i + 1, 3), stored)
        sz = scale(gather(scales, 3 * i + 2, 3), stored)
        matrix, uw, ux, uy, uz, norm = axes(rotations, 4 * i, 4)
        p, q, v = columns(camera, matrix, sx, sy, sz, jx, jy, rx, ry)
        a, b, c = p[0] * sx, p[1] * sy, p[2] * sz
        d, e, f = q[0] * sx, q[1] * sy, q[2] * sz
        thin_xx, thin_yy = a * a + b * b + c * c, d * d + e * e + f * f
        m, n, o = b * f - c * e, c * d - a * f, a * e - b * d
        thin = m * m + n * n + o * o
        sxx = thin_xx + BLUR
        tilt = (a * d + b * e + c * f) / sxx
        det = thin + BLUR * (thin_xx + thin_yy) + BLUR_SQUARED
        at = 9 * i
        m0, m1, m2 = gather(sums, at, 9), gather(sums, at + 1, 9), gather(sums, at + 2, 9)
        m3, m4, m5 = gather(sums, at + 3, 9), gather(sums, at + 4, 9), gather(sums, at + 5, 9)

        # power = -dx^2 / (2 sxx) - t^2 sxx / (2 det), t = dy - tilt dx
        ratio = sxx / det
        g_px = m1 / sxx - ratio * tilt * m3
        g_py = ratio * m3
        g_slope = ratio * m4
        g_sxy = g_slope / sxx
        g_det = np.float32(0.5) * m5 * ratio / det
        g_sxx = np.float32(0.5) * (m2 / (sxx * sxx) - m5 / det) - g_sxy * tilt
        g_thin = g_det
        if compensated:
            g_det = g_det - np.float32(0.5) * m0 / det
            g_thin = g_det + np.float32(0.5) * m0 / most(thin, np.float32(1e-30))
        g_syy = BLUR * g_det
        g_sxx = g_sxx + g_syy
        # sxx = |row 1|^2, sxy = row 1 . row 2, syy = |row 2|^2, thin = |row 1 x row 2|^2
        two, nothing = np.float32(2.0), np.float32(0.0)
        ga = two * g_sxx * a + g_sxy * d + two * g_thin * (e * o - f * n)
        gb = two * g_sxx * b + g_sxy * e + two * g_thin * (f * m - d * o)
        gc = two * g_sxx * c + g_sxy * f + two * g_thin * (d * n - e * m)
        gd = two * g_syy * d + g_sxy * a + two * g_thin * (n * c - o * b)
        ge = two * g_syy * e + g_sxy * b + two * g_thin * (o * a - m * c)
        gf = two * g_syy * f + g_sxy * c + two * g_thin * (m * b - n * a)
        # row 1 = p * scale, p = jx (v0 - rx v2); row 2 alike
        g_s0, g_s1, g_s2 = ga * p[0] + gd * q[0], gb * p[1] + ge * q[1], gc * p[2] + gf * q[2]
        if stored:
            g_s0, g_s1, g_s2 = g_s0 * sx, g_s1 * sy, g_s2 * sz
        ga, gb, gc, gd, ge, gf = ga * sx, gb * sy, gc * sz, gd * sx, ge * sy, gf * sz
        g_rx = nothing - jx * (ga * v[6] + gb * v[7] + gc * v[8])
        g_ry = nothing - jy * (gd * v[6] + ge * v[7] + gf * v[8])
        g_jx_jx = ga * p[0] + gb * p[1] + gc * p[2]
        g_jy_jy = gd * q[0] + ge * q[1] + gf * q[2]
        g_rx = select((free_x >= camera[17]) & (free_x <= camera[18]), g_rx, nothing)
        g_ry = select((free_y >= camera[19]) & (free_y <= camera[20]), g_ry, nothing)
        g_x, g_y = g_px * jx + g_rx / z, g_py * jy + g_ry / z
        g_z = nothing - (g_x * free_x + g_y * free_y + (g_jx_jx + g_jy_jy) / z)
        ga, gb, gc, gd, ge, gf = ga * jx, gb * jx, gc * jx, gd * jy, ge * jy, gf * jy
        h0, h1, h2 = (
            nothing - (rx * ga + ry * gd),
            nothing - (rx * gb + ry * ge),
            nothing - (rx * gc + ry * gf),
        )
        k = camera
        r00, r01, r02 = (
            k[0] * ga + k[3] * gd + k[6] * h0,
            k[0] * gb + k[3] * ge + k[6] * h1,
            k[0] * gc + k[3] * gf + k[6] * h2,
        )
        r10, r11, r12 = (
            k[1] * ga + k[4] * gd + k[7] * h0,
            k[1] * gb + k[4] * ge + k[7] * h1,
            k[1] * gc + k[4] * gf + k[7] * h2,
        )
        r20, r21, r22 = (
            k[2] * ga + k[5] * gd + k[8] * h0,
            k[2] * gb + k[5] * ge + k[8] * h1,
            k[2] * gc + k[5] * gf + k[8] * h2,
        )
        gw = two * (ux * (r21 - r12) + uy * (r02 - r20) + uz * (r10 - r01))
        gx = two * (uy * (r01 + r10) + uz * (r02 + r20) - two * ux * (r11 + r22) + uw * (r21 - r12))
        gy = two * (ux * (r01 + r10) + uz * (r12 + r21) - two * uy * (r00 + r22) + uw * (r02 - r20))
        gz = two * (ux * (r02 + r20) + uy * (r12 + r21) - two * uz * (r00 + r11) + uw * (r10 - r01))
        along = gw * uw + gx * ux + gy * uy + gz * uz
        scatter(d_rotations, 4 * i, 4, select(seen, (gw - along * uw) / norm, nothing))
        scatter(d_rotations, 4 * i + 1, 4, select(seen, (gx - along * ux) / norm, nothing))
        scatter(d_rotations, 4 * i + 2, 4, select(seen, (gy - along * uy) / norm, nothing))
        scatter(d_rotations, 4 * i + 3, 4, select(seen, (gz - along * uz) / norm, nothing))
        scatter(d_scales, 3 * i, 3, select(seen, g_s0, nothing))
        scatter(d_scales, 3 * i + 1, 3, select(seen, g_s1, nothing))
        scatter(d_scales, 3 * i + 2, 3, select(seen, g_s2, nothing))
        scatter(d_screen, 2 * i, 2, select(seen, g_px, nothing))
        scatter(d_screen, 2 * i + 1, 2, select(seen, g_py, nothing))
        store(d_opacities, i, select(seen, m0 * opacity(load(opacities, i), stored)[1], nothing))

        g_wx = k[0] * g_x + k[3] * g_y + k[6] * g_z
        g_wy = k[1] * g_x + k[4] * g_y + k[7] * g_z
        g_wz = k[2] * g_x + k[5] * g_y + k[8] * g_z
        if degree < 0:
            for colour in range(3):
                scatter(d_coefficients, 3 * i + colour, 3, gather(sums, at + 6 + colour, 9))
        else:
            x, y, z = wx - camera[21], wy - camera[22], wz - camera[23]
            length = root(most(x * x + y * y + z * z, TINY))
            x, y, z = x / length, y / length, z / length
            harmonics(values, degree, x, y, z)
            for w in range(0, 16 * WIDTH, WIDTH):
                store(weights, w, spread(nothing))
            for colour in range(3):
                lit = gather(records, 16 * i + 6 + colour, 16) > nothing
                g_colour = select(seen & lit, gather(sums, at + 6 + colour, 9), nothing)
                for w in range((degree + 1) ** 2):
                    where = stride * i + 3 * w + colour
                    scatter(d_coefficients, where, stride, g_colour * load(values, WIDTH * w))
                    if w > 0:
                        weight = load(weights, WIDTH * w) + g_colour * gather(coefficients, where, stride)
                        store(weights, WIDTH * w, weight)
            if degree > 0:
                gx, gy, gz = slope(weights, degree, x, y, z)
                along = gx * x + gy * y + gz * z
                g_wx = g_wx + (gx - along * x) / length
                g_wy = g_wy + (gy - along * y) / length
                g_wz = g_wz + (gz - along * z) / length
        scatter(d_means, 3 * i, 3, select(seen, g_wx, nothing))
        scatter(d_means, 3 * i + 1, 3, select(seen, g_wy, nothing))
        scatter(d_means, 3 * i + 2, 3, select(seen, g_wz, nothing))
