# SPDX-License-Identifier: GPL-3.0-or-later
"""Compiled: Gaussians into the picture and the way back, sixteen at a time.

EWA splatting (Zwicker et al. 2001; Kerbl et al. 2023): the projection is linearised at the mean, J = d(pixel)
/ d(camera point), so the standard deviations along the own axes become the columns of a (2, 3) matrix
M = J W R S and the covariance is M M^T + 0.3 I. Its determinant is the sum of the squared minors of M and
what the 0.3 adds, which stays exact for needles, where Sxx Syy - Sxy^2 does not. For the same reason the
exponent is kept as two squares,

    power = -dx^2 / (2 Sxx) - (dy - k dx)^2 Sxx / (2 det),   k = Sxy / Sxx.
"""

from __future__ import annotations

from math import ceil, floor

import numpy as np
from numba import njit

from .lanes_kernels import (
    WIDTH,
    compiled,
    exp2,
    gather,
    least,
    load,
    log2,
    most,
    root,
    scatter,
    select,
    spread,
    store,
)

RECORD = 16
"""float32 numbers of a projected Gaussian, one cache line: x, y px; 1 / (2 Sxx ln 2); k; Sxx / (2 det ln 2);
log2(opacity); red, green, blue; depth in metres; half width and height of where alpha >= 1/255, px; the
inverse of the fifth; how far right of the mean the lowest point of that ellipse is, px; two that are free."""
CUT = np.float32(-7.994353436858858)
"""log2(1/255): less opacity than this is not drawn."""
DILATION = 0.3
"""px^2: a pixel's own blur, added to both variances."""
TILE = 16
MOMENTS = 9
"""Gradients that come back per Gaussian: of log(opacity) (sum q), then the sums of q dx, q dx^2, q t, q t dx,
q t^2 with t = dy - k dx, then of red, green and blue."""

_LOG2E, _LN2 = np.float32(1.4426950408889634), np.float32(0.6931471805599453)
_C0, _C1 = np.float32(0.28209479177387814), np.float32(0.4886025119029199)
_C2 = np.float32(1.0925484305920792), np.float32(0.31539156525252005), np.float32(0.5462742152960396)
_C3 = (
    np.float32(0.5900435899266435),
    np.float32(2.890611442640554),
    np.float32(0.4570457994644658),
    np.float32(0.3731763325901154),
    np.float32(1.445305721320277),
)
_TINY = np.float32(1e-20)

# Where the numbers of a camera stand in its float32 array.
ROTATION, TRANSLATION, FOCAL, CENTRE, NEAR, LIMITS, EYE = 0, 9, 12, 14, 16, 17, 21
CAMERA = 24


@compiled
def _axes(rotations, first, step):
    """Rotation matrix (nine lanes) of quaternions, and the unit quaternions with their lengths."""
    w, x = gather(rotations, first, step), gather(rotations, first + 1, step)
    y, z = gather(rotations, first + 2, step), gather(rotations, first + 3, step)
    length = root(most(w * w + x * x + y * y + z * z, _TINY))
    w, x, y, z = w / length, x / length, y / length, z / length
    matrix = (
        1.0 - 2.0 * (y * y + z * z),
        2.0 * (x * y - w * z),
        2.0 * (x * z + w * y),
        2.0 * (x * y + w * z),
        1.0 - 2.0 * (x * x + z * z),
        2.0 * (y * z - w * x),
        2.0 * (x * z - w * y),
        2.0 * (y * z + w * x),
        1.0 - 2.0 * (x * x + y * y),
    )
    return matrix, w, x, y, z, length


@compiled
def _camera_point(camera, x, y, z):
    """A point of the world in the camera's frame."""
    c = camera
    return (
        c[0] * x + c[1] * y + c[2] * z + c[9],
        c[3] * x + c[4] * y + c[5] * z + c[10],
        c[6] * x + c[7] * y + c[8] * z + c[11],
    )


@compiled
def _harmonics(out, degree, x, y, z):
    """Values of the real spherical harmonics in the direction (x, y, z), sixteen floats each."""
    store(out, 0, spread(_C0))
    if degree > 0:
        store(out, 16, -_C1 * y)
        store(out, 32, _C1 * z)
        store(out, 48, -_C1 * x)
    if degree > 1:
        store(out, 64, _C2[0] * x * y)
        store(out, 80, -_C2[0] * y * z)
        store(out, 96, _C2[1] * (2.0 * z * z - x * x - y * y))
        store(out, 112, -_C2[0] * x * z)
        store(out, 128, _C2[2] * (x * x - y * y))
    if degree > 2:
        store(out, 144, -_C3[0] * y * (3.0 * x * x - y * y))
        store(out, 160, _C3[1] * x * y * z)
        store(out, 176, -_C3[2] * y * (4.0 * z * z - x * x - y * y))
        store(out, 192, _C3[3] * z * (2.0 * z * z - 3.0 * x * x - 3.0 * y * y))
        store(out, 208, -_C3[2] * x * (4.0 * z * z - x * x - y * y))
        store(out, 224, _C3[4] * z * (x * x - y * y))
        store(out, 240, -_C3[0] * x * (x * x - 3.0 * y * y))


@compiled
def _slope(s, degree, x, y, z):
    """Gradient in x, y, z of sum s_k Y_k; the weights s_k stand in `s` as the values do."""
    gx = -_C1 * load(s, 48)
    gy = -_C1 * load(s, 16)
    gz = _C1 * load(s, 32)
    if degree > 1:
        a, b, c = _C2[0] * load(s, 64), -_C2[0] * load(s, 80), _C2[1] * load(s, 96)
        d, e = -_C2[0] * load(s, 112), _C2[2] * load(s, 128)
        gx = gx + a * y - 2.0 * c * x + d * z + 2.0 * e * x
        gy = gy + a * x + b * z - 2.0 * c * y - 2.0 * e * y
        gz = gz + b * y + 4.0 * c * z + d * x
    if degree > 2:
        xx, yy, zz = x * x, y * y, z * z
        a, b, c = -_C3[0] * load(s, 144), _C3[1] * load(s, 160), -_C3[2] * load(s, 176)
        d, e, f = _C3[3] * load(s, 192), -_C3[2] * load(s, 208), _C3[4] * load(s, 224)
        g = -_C3[0] * load(s, 240)
        gx = gx + 6.0 * a * x * y + b * y * z - 2.0 * c * x * y - 6.0 * d * x * z
        gx = gx + e * (4.0 * zz - 3.0 * xx - yy) + 2.0 * f * x * z + 3.0 * g * (xx - yy)
        gy = gy + 3.0 * a * (xx - yy) + b * x * z + c * (4.0 * zz - xx - 3.0 * yy) - 6.0 * d * y * z
        gy = gy - 2.0 * e * x * y - 2.0 * f * y * z - 6.0 * g * x * y
        gz = gz + b * x * y + 8.0 * c * y * z + d * (6.0 * zz - 3.0 * xx - 3.0 * yy)
        gz = gz + 8.0 * e * x * z + f * (xx - yy)
    return gx, gy, gz


@compiled
def _columns(camera, matrix, sx, sy, sz, jx, jy, rx, ry):
    """Rows of M (2, 3) without the scales, and the axes in the camera's frame (nine lanes)."""
    c, r = camera, matrix
    v = (
        c[0] * r[0] + c[1] * r[3] + c[2] * r[6],
        c[0] * r[1] + c[1] * r[4] + c[2] * r[7],
        c[0] * r[2] + c[1] * r[5] + c[2] * r[8],
        c[3] * r[0] + c[4] * r[3] + c[5] * r[6],
        c[3] * r[1] + c[4] * r[4] + c[5] * r[7],
        c[3] * r[2] + c[4] * r[5] + c[5] * r[8],
        c[6] * r[0] + c[7] * r[3] + c[8] * r[6],
        c[6] * r[1] + c[7] * r[4] + c[8] * r[7],
        c[6] * r[2] + c[7] * r[5] + c[8] * r[8],
    )
    upper = (jx * (v[0] - rx * v[6]), jx * (v[1] - rx * v[7]), jx * (v[2] - rx * v[8]))
    lower = (jy * (v[3] - ry * v[6]), jy * (v[4] - ry * v[7]), jy * (v[5] - ry * v[8]))
    return upper, lower, v


@compiled
def _scale(value, stored):
    """Standard deviation of what is stored, its logarithm or itself."""
    if stored:
        return exp2(most(least(value * _LOG2E, np.float32(60.0)), np.float32(-60.0)))
    return value


@compiled
def _opacity(value, stored):
    """log2(opacity) and the derivative of ln(opacity) by what is stored, a logit or itself."""
    if stored:
        fall = exp2(most(least(-_LOG2E * value, np.float32(100.0)), np.float32(-100.0)))
        return -1.0 * log2(1.0 + fall), fall / (1.0 + fall)
    safe = most(value, np.float32(1e-30))
    return log2(safe), 1.0 / safe


@compiled
def project(
    means, scales, rotations, opacities, coefficients, degree, stored, compensated, camera, size, first, last,
    records, boxes,
):  # fmt: skip
    """Gaussians first <= i < last (multiples of WIDTH) into `records` (m, 16) and `boxes` (m, 4) of int32.

    All inputs are flat, of m >= last rows, m a multiple of WIDTH. A box is the tiles that the Gaussian
    reaches, from and to (excluded) in x, then in y; it is empty where it is not seen.
    """
    width, height = size
    values = np.empty(16 * WIDTH, np.float32)
    columns = coefficients.shape[0] // (means.shape[0] // 3)
    for i in range(first, last, WIDTH):
        wx, wy, wz = gather(means, 3 * i, 3), gather(means, 3 * i + 1, 3), gather(means, 3 * i + 2, 3)
        x, y, z = _camera_point(camera, wx, wy, wz)
        seen = z >= camera[16]
        z = most(z, camera[16])
        jx, jy = camera[12] / z, camera[13] / z
        rx = most(least(x / z, camera[18]), camera[17])
        ry = most(least(y / z, camera[20]), camera[19])
        sx = _scale(gather(scales, 3 * i, 3), stored)
        sy = _scale(gather(scales, 3 * i + 1, 3), stored)
        sz = _scale(gather(scales, 3 * i + 2, 3), stored)
        matrix = _axes(rotations, 4 * i, 4)[0]
        p, q, _ = _columns(camera, matrix, sx, sy, sz, jx, jy, rx, ry)
        a, b, c = p[0] * sx, p[1] * sy, p[2] * sz
        d, e, f = q[0] * sx, q[1] * sy, q[2] * sz
        thin_xx, thin_yy = a * a + b * b + c * c, d * d + e * e + f * f
        m, n, o = b * f - c * e, c * d - a * f, a * e - b * d
        thin = m * m + n * n + o * o
        sxy = a * d + b * e + c * f
        sxx, syy = thin_xx + np.float32(0.3), thin_yy + np.float32(0.3)
        det = thin + np.float32(0.3) * (thin_xx + thin_yy) + np.float32(0.09)
        level = _opacity(load(opacities, i), stored)[0]
        if compensated:
            level = level + np.float32(0.5) * log2(most(thin / det, np.float32(1e-30)))
        wide = np.float32(2.0) * _LN2 * (level - CUT)  # squared Mahalanobis distance where alpha is 1/255
        seen = seen & (wide > np.float32(0.0)) & (sxx < np.float32(1e18)) & (syy < np.float32(1e18))
        wide = most(wide, np.float32(0.0))
        half_x, half_y = root(wide * sxx), root(wide * syy)
        steep = sxx / (np.float32(2.0) * det) * _LOG2E
        at = 16 * i
        px, py = camera[12] * x / z + camera[14], camera[13] * y / z + camera[15]
        scatter(records, at, 16, px)
        scatter(records, at + 1, 16, py)
        scatter(records, at + 2, 16, np.float32(0.5) * _LOG2E / sxx)
        scatter(records, at + 3, 16, sxy / sxx)
        scatter(records, at + 4, 16, steep)
        scatter(records, at + 5, 16, level)
        scatter(records, at + 9, 16, z)
        scatter(records, at + 10, 16, select(seen, half_x, np.float32(-1.0)))
        scatter(records, at + 11, 16, half_y)
        scatter(records, at + 12, 16, 1.0 / steep)
        scatter(records, at + 13, 16, half_y * sxy / syy)
        if degree < 0:
            for colour in range(3):
                scatter(records, at + 6 + colour, 16, gather(coefficients, 3 * i + colour, 3))
        else:
            x, y, z = wx - camera[21], wy - camera[22], wz - camera[23]
            length = root(most(x * x + y * y + z * z, _TINY))
            _harmonics(values, degree, x / length, y / length, z / length)
            for colour in range(3):
                value = spread(np.float32(0.5))
                for k in range((degree + 1) ** 2):
                    value = value + load(values, WIDTH * k) * gather(
                        coefficients, columns * i + 3 * k + colour, columns
                    )
                scatter(records, at + 6 + colour, 16, most(value, np.float32(0.0)))
        for g in range(i, i + WIDTH):
            _box(records, boxes, g, width, height)


@njit(cache=True, nogil=True, error_model="numpy")
def _box(records, boxes, g, width, height):
    """Tiles that have a pixel centre inside the Gaussian's rectangle."""
    x, y, half_x, half_y = records[16 * g], records[16 * g + 1], records[16 * g + 10], records[16 * g + 11]
    left = top = right = bottom = 0
    if half_x > 0.0:
        half_x += np.float32(0.01) + np.float32(1e-5) * half_x
        half_y += np.float32(0.01) + np.float32(1e-5) * half_y
        half = np.float32(0.5)
        x0, x1 = max(x - half_x - half, np.float32(0.0)), min(x + half_x - half, np.float32(width - 1))
        y0, y1 = max(y - half_y - half, np.float32(0.0)), min(y + half_y - half, np.float32(height - 1))
        if x1 >= x0 and y1 >= y0:
            px0, px1, py0, py1 = ceil(x0), floor(x1), ceil(y0), floor(y1)
            if px1 >= px0 and py1 >= py0:
                left, right = int(px0) // 16, int(px1) // 16 + 1
                top, bottom = int(py0) // 16, int(py1) // 16 + 1
    boxes[4 * g], boxes[4 * g + 1], boxes[4 * g + 2], boxes[4 * g + 3] = left, right, top, bottom


@compiled
def back(
    means, scales, rotations, opacities, coefficients, degree, stored, compensated, camera, first, last,
    records, sums, d_means, d_scales, d_rotations, d_opacities, d_coefficients, d_screen,
):  # fmt: skip
    """Gradients of what `project` was given, from `sums` (m, 9), which are zero for what is not seen.

    `d_screen` (m, 2): gradient of the mean in the picture, per px.
    """
    values, weights = np.empty(16 * WIDTH, np.float32), np.zeros(16 * WIDTH, np.float32)
    columns = coefficients.shape[0] // (means.shape[0] // 3)
    for i in range(first, last, WIDTH):
        wx, wy, wz = gather(means, 3 * i, 3), gather(means, 3 * i + 1, 3), gather(means, 3 * i + 2, 3)
        x, y, z = _camera_point(camera, wx, wy, wz)
        seen = gather(records, 16 * i + 10, 16) > np.float32(0.0)
        z = most(z, camera[16])
        jx, jy = camera[12] / z, camera[13] / z
        free_x, free_y = x / z, y / z
        rx, ry = most(least(free_x, camera[18]), camera[17]), most(least(free_y, camera[20]), camera[19])
        sx = _scale(gather(scales, 3 * i, 3), stored)
        sy = _scale(gather(scales, 3 * i + 1, 3), stored)
        sz = _scale(gather(scales, 3 * i + 2, 3), stored)
        matrix, uw, ux, uy, uz, norm = _axes(rotations, 4 * i, 4)
        p, q, v = _columns(camera, matrix, sx, sy, sz, jx, jy, rx, ry)
        a, b, c = p[0] * sx, p[1] * sy, p[2] * sz
        d, e, f = q[0] * sx, q[1] * sy, q[2] * sz
        thin_xx, thin_yy = a * a + b * b + c * c, d * d + e * e + f * f
        m, n, o = b * f - c * e, c * d - a * f, a * e - b * d
        thin = m * m + n * n + o * o
        sxx = thin_xx + np.float32(0.3)
        slope = (a * d + b * e + c * f) / sxx
        det = thin + np.float32(0.3) * (thin_xx + thin_yy) + np.float32(0.09)
        at = 9 * i
        m0, m1, m2 = gather(sums, at, 9), gather(sums, at + 1, 9), gather(sums, at + 2, 9)
        m3, m4, m5 = gather(sums, at + 3, 9), gather(sums, at + 4, 9), gather(sums, at + 5, 9)

        # power = -dx^2 / (2 sxx) - t^2 sxx / (2 det), t = dy - slope dx
        ratio = sxx / det
        g_px = m1 / sxx - ratio * slope * m3
        g_py = ratio * m3
        g_slope = ratio * m4
        g_sxy = g_slope / sxx
        g_det = np.float32(0.5) * m5 * ratio / det
        g_sxx = np.float32(0.5) * (m2 / (sxx * sxx) - m5 / det) - g_sxy * slope
        g_thin = g_det
        if compensated:
            g_det = g_det - np.float32(0.5) * m0 / det
            g_thin = g_det + np.float32(0.5) * m0 / most(thin, np.float32(1e-30))
        g_syy = np.float32(0.3) * g_det
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
        store(d_opacities, i, select(seen, m0 * _opacity(load(opacities, i), stored)[1], nothing))

        g_wx = k[0] * g_x + k[3] * g_y + k[6] * g_z
        g_wy = k[1] * g_x + k[4] * g_y + k[7] * g_z
        g_wz = k[2] * g_x + k[5] * g_y + k[8] * g_z
        if degree < 0:
            for colour in range(3):
                scatter(d_coefficients, 3 * i + colour, 3, gather(sums, at + 6 + colour, 9))
        else:
            x, y, z = wx - camera[21], wy - camera[22], wz - camera[23]
            length = root(most(x * x + y * y + z * z, _TINY))
            x, y, z = x / length, y / length, z / length
            _harmonics(values, degree, x, y, z)
            for w in range(0, 16 * WIDTH, WIDTH):
                store(weights, w, spread(nothing))
            for colour in range(3):
                lit = gather(records, 16 * i + 6 + colour, 16) > nothing
                g_colour = select(seen & lit, gather(sums, at + 6 + colour, 9), nothing)
                for w in range((degree + 1) ** 2):
                    where = columns * i + 3 * w + colour
                    scatter(d_coefficients, where, columns, g_colour * load(values, WIDTH * w))
                    if w > 0:
                        weight = load(weights, WIDTH * w) + g_colour * gather(coefficients, where, columns)
                        store(weights, WIDTH * w, weight)
            if degree > 0:
                gx, gy, gz = _slope(weights, degree, x, y, z)
                along = gx * x + gy * y + gz * z
                g_wx = g_wx + (gx - along * x) / length
                g_wy = g_wy + (gy - along * y) / length
                g_wz = g_wz + (gz - along * z) / length
        scatter(d_means, 3 * i, 3, select(seen, g_wx, nothing))
        scatter(d_means, 3 * i + 1, 3, select(seen, g_wy, nothing))
        scatter(d_means, 3 * i + 2, 3, select(seen, g_wz, nothing))
