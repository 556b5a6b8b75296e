# SPDX-License-Identifier: GPL-3.0-or-later
"""Compiled: Gaussians into the picture, sixteen at a time.

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

from ..cached_kernels import cached
from .harmonics_kernels import harmonics
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
)

RECORD = 16
"""float32 numbers of a projected Gaussian, one cache line: x, y px; 1 / (2 Sxx ln 2); k; Sxx / (2 det ln 2);
log2(opacity); red, green, blue; depth in metres; half width and height of where alpha >= 1/255, px; the
inverse of the fifth; how far right of the mean the lowest point of that ellipse is, px; two that are free."""
CUT = np.float32(-7.994353436858858)
"""log2(1/255): less opacity than this is not drawn."""
BLUR, BLUR_SQUARED = np.float32(0.3), np.float32(0.09)
"""px^2: a pixel's own blur, added to both variances."""
MOMENTS = 9
"""Gradients that come back per Gaussian: of log(opacity) (sum q), then the sums of q dx, q dx^2, q t, q t dx,
q t^2 with t = dy - k dx, then of red, green and blue."""

_LOG2E, _LN2 = np.float32(1.4426950408889634), np.float32(0.6931471805599453)
TINY = np.float32(1e-20)

# A camera is 24 float32: 0-8 rotation by rows, 9-11 translation, 12-13 focal lengths, 14-15 principal point,
# 16 near, 17-20 least and most x / z, least and most y / z of the linearisation, 21-23 where the eye is.


@compiled
def axes(rotations, first, step):
    """Rotation matrix (nine lanes) of quaternions, and the unit quaternions with their lengths."""
    w, x = gather(rotations, first, step), gather(rotations, first + 1, step)
    y, z = gather(rotations, first + 2, step), gather(rotations, first + 3, step)
    length = root(most(w * w + x * x + y * y + z * z, TINY))
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
def camera_point(camera, x, y, z):
    """A point of the world in the camera's frame."""
    c = camera
    return (
        c[0] * x + c[1] * y + c[2] * z + c[9],
        c[3] * x + c[4] * y + c[5] * z + c[10],
        c[6] * x + c[7] * y + c[8] * z + c[11],
    )


@compiled
def columns(camera, matrix, sx, sy, sz, jx, jy, rx, ry):
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
def scale(value, stored):
    """Standard deviation of what is stored, its logarithm or itself."""
    if stored:
        return exp2(most(least(value * _LOG2E, np.float32(60.0)), np.float32(-60.0)))
    return value


@compiled
def opacity(value, stored):
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
    stride = coefficients.shape[0] // (means.shape[0] // 3)
    for i in range(first, last, WIDTH):
        wx, wy, wz = gather(means, 3 * i, 3), gather(means, 3 * i + 1, 3), gather(means, 3 * i + 2, 3)
        x, y, z = camera_point(camera, wx, wy, wz)
        seen = z >= camera[16]
        z = most(z, camera[16])
        jx, jy = camera[12] / z, camera[13] / z
        rx = most(least(x / z, camera[18]), camera[17])
        ry = most(least(y / z, camera[20]), camera[19])
        sx = scale(gather(scales, 3 * i, 3), stored)
        sy = scale(gather(scales, 3 * i + 1, 3), stored)
        sz = scale(gather(scales, 3 * i + 2, 3), stored)
        matrix = axes(rotations, 4 * i, 4)[0]
        p, q, _ = columns(camera, matrix, sx, sy, sz, jx, jy, rx, ry)
        a, b, c = p[0] * sx, p[1] * sy, p[2] * sz
        d, e, f = q[0] * sx, q[1] * sy, q[2] * sz
        thin_xx, thin_yy = a * a + b * b + c * c, d * d + e * e + f * f
        m, n, o = b * f - c * e, c * d - a * f, a * e - b * d
        thin = m * m + n * n + o * o
        sxy = a * d + b * e + c * f
        sxx, syy = thin_xx + BLUR, thin_yy + BLUR
        det = thin + BLUR * (thin_xx + thin_yy) + BLUR_SQUARED
        level = opacity(load(opacities, i), stored)[0]
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
            length = root(most(x * x + y * y + z * z, TINY))
            harmonics(values, degree, x / length, y / length, z / length)
            for colour in range(3):
                value = spread(np.float32(0.5))
                for k in range((degree + 1) ** 2):
                    value = value + load(values, WIDTH * k) * gather(
                        coefficients, stride * i + 3 * k + colour, stride
                    )
                scatter(records, at + 6 + colour, 16, most(value, np.float32(0.0)))
        for g in range(i, i + WIDTH):
            _box(records, boxes, g, width, height)


@cached(nogil=True, error_model="numpy")
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
