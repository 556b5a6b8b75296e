# SPDX-License-Identifier: GPL-3.0-or-later
# type: ignore  # kernels are warp's own language in Python's syntax; warp checks their types
"""Compiled by warp, for CUDA: Gaussians into the picture and gradients back, one thread a Gaussian.

What is computed is what `project_kernels` and `project_back_kernels` say. A projected Gaussian is three vec4:

    x, y px, 1 / (2 Sxx), k
    Sxx / (2 det), ln(opacity), red, green
    blue, depth in metres, half width and height of what is drawn in px
"""

# No postponed annotations: warp reads the types of the arguments as objects.

import warp as wp

from .warp_harmonics_kernels import harmonics, slope, vec16

CUT = wp.constant(wp.float32(-5.541263545158426))
"""ln(1/255): less opacity than this is not drawn."""
BLUR = wp.constant(wp.float32(0.3))
"""px^2: a pixel's own blur, added to both variances."""
TINY = wp.constant(wp.float32(1e-20))
TILE = wp.constant(16)
"""px: side of the squares a picture is drawn in."""


@wp.struct
class Lens:
    """A view and its picture."""

    turn: wp.mat33
    shift: wp.vec3
    eye: wp.vec3
    fx: wp.float32
    fy: wp.float32
    cx: wp.float32
    cy: wp.float32
    near: wp.float32
    left: wp.float32
    right: wp.float32
    top: wp.float32
    bottom: wp.float32
    width: wp.int32
    height: wp.int32
    tiles_x: wp.int32


@wp.struct
class Shape:
    """A Gaussian before the camera: rows of M (2, 3) without the scales and with them, and what led there."""

    point: wp.vec3
    rx: wp.float32
    ry: wp.float32
    view: wp.mat33
    axes: wp.mat33
    unit: wp.vec4
    length: wp.float32
    scale: wp.vec3
    p: wp.vec3
    q: wp.vec3
    a: wp.vec3
    b: wp.vec3


@wp.func
def axes_of(q: wp.vec4) -> wp.mat33:
    """Rotation matrix of a unit quaternion w, x, y, z."""
    w, x, y, z = q[0], q[1], q[2], q[3]
    return wp.mat33(
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


@wp.func
def shaped(lens: Lens, mean: wp.vec3, scale: wp.vec3, rotation: wp.vec4, stored: int) -> Shape:
    """The Gaussian linearised at its mean; the depth is held at the near plane."""
    s = Shape()
    point = lens.turn * mean + lens.shift
    z = wp.max(point[2], lens.near)
    s.point = wp.vec3(point[0], point[1], z)
    s.rx = wp.clamp(point[0] / z, lens.left, lens.right)
    s.ry = wp.clamp(point[1] / z, lens.top, lens.bottom)
    s.scale = scale
    if stored == 1:
        s.scale = wp.vec3(held_exp(scale[0]), held_exp(scale[1]), held_exp(scale[2]))
    s.length = wp.sqrt(wp.max(wp.dot(rotation, rotation), TINY))
    s.unit = rotation / s.length
    s.axes = axes_of(s.unit)
    s.view = lens.turn * s.axes
    row = wp.vec3(s.view[2, 0], s.view[2, 1], s.view[2, 2])
    s.p = (lens.fx / z) * (wp.vec3(s.view[0, 0], s.view[0, 1], s.view[0, 2]) - s.rx * row)
    s.q = (lens.fy / z) * (wp.vec3(s.view[1, 0], s.view[1, 1], s.view[1, 2]) - s.ry * row)
    s.a = wp.cw_mul(s.p, s.scale)
    s.b = wp.cw_mul(s.q, s.scale)
    return s


@wp.func
def held_exp(value: float) -> float:
    """The exponential of a logarithm of a length, of any that make sense."""
    return wp.exp(wp.clamp(value, -41.5888, 41.5888))


@wp.func
def fall_of(logit: float) -> float:
    """(1 - opacity) / opacity of a logit."""
    return wp.exp(wp.clamp(-logit, -69.3147, 69.3147))


@wp.kernel(enable_backward=False)
def project(
    lens: Lens,
    means: wp.array(dtype=wp.vec3),
    scales: wp.array(dtype=wp.vec3),
    rotations: wp.array(dtype=wp.vec4),
    opacities: wp.array(dtype=wp.float32),
    coefficients: wp.array(dtype=wp.vec3),
    degree: int,
    stored: int,
    compensated: int,
    records: wp.array(dtype=wp.vec4),
    boxes: wp.array(dtype=wp.vec4i),
    counts: wp.array(dtype=wp.int64),
):
    """Fill the records (3 n), the boxes (n) and how many tiles each has.

    A box is the tiles from and to (excluded) in x, then in y.
    """
    g = wp.tid()
    mean = means[g]
    s = shaped(lens, mean, scales[g], rotations[g], stored)
    point = s.point
    thin_xx, thin_yy = wp.dot(s.a, s.a), wp.dot(s.b, s.b)
    normal = wp.cross(s.a, s.b)
    thin = wp.dot(normal, normal)
    sxx, syy = thin_xx + BLUR, thin_yy + BLUR
    det = thin + BLUR * (thin_xx + thin_yy) + BLUR * BLUR
    level = wp.float32(0.0)
    if stored == 1:
        level = -wp.log(1.0 + fall_of(opacities[g]))
    else:
        level = wp.log(wp.max(opacities[g], 1.0e-30))
    if compensated == 1:
        level = level + 0.5 * wp.log(wp.max(thin / det, 1.0e-30))
    wide = 2.0 * (level - CUT)
    depth = lens.turn[2, 0] * mean[0] + lens.turn[2, 1] * mean[1] + lens.turn[2, 2] * mean[2] + lens.shift[2]
    seen = depth >= lens.near and wide > 0.0 and sxx < 1.0e18 and syy < 1.0e18
    half_x, half_y = wp.float32(-1.0), wp.float32(0.0)
    px, py = lens.fx * point[0] / point[2] + lens.cx, lens.fy * point[1] / point[2] + lens.cy
    box = wp.vec4i(0, 0, 0, 0)
    if seen:
        half_x, half_y = wp.sqrt(wide * sxx), wp.sqrt(wide * syy)
        box = tiles_of(px, py, half_x, half_y, lens)
    colour = wp.vec3(0.0, 0.0, 0.0)
    if degree < 0:
        colour = coefficients[g]
    else:
        basis = harmonics(degree, direction(mean, lens.eye))
        many = (degree + 1) * (degree + 1)
        colour = wp.vec3(0.5, 0.5, 0.5)
        for k in range(many):
            colour = colour + basis[k] * coefficients[g * many + k]
        colour = wp.max(colour, wp.vec3(0.0, 0.0, 0.0))
    records[3 * g] = wp.vec4(px, py, 0.5 / sxx, wp.dot(s.a, s.b) / sxx)
    records[3 * g + 1] = wp.vec4(0.5 * sxx / det, level, colour[0], colour[1])
    records[3 * g + 2] = wp.vec4(colour[2], point[2], half_x, half_y)
    boxes[g] = box
    counts[g] = wp.int64(box[1] - box[0]) * wp.int64(box[3] - box[2])


@wp.func
def direction(mean: wp.vec3, eye: wp.vec3) -> wp.vec3:
    """From the camera to the Gaussian."""
    d = mean - eye
    return d / wp.sqrt(wp.max(wp.dot(d, d), TINY))


@wp.func
def tiles_of(x: float, y: float, half_x: float, half_y: float, lens: Lens) -> wp.vec4i:
    """Tiles that have a pixel centre inside the Gaussian's rectangle."""
    wide, tall = half_x + 0.01 + 1.0e-5 * half_x, half_y + 0.01 + 1.0e-5 * half_y
    x0, x1 = wp.max(x - wide - 0.5, 0.0), wp.min(x + wide - 0.5, wp.float32(lens.width - 1))
    y0, y1 = wp.max(y - tall - 0.5, 0.0), wp.min(y + tall - 0.5, wp.float32(lens.height - 1))
    box = wp.vec4i(0, 0, 0, 0)
    if x1 >= x0 and y1 >= y0:
        left, right = int(wp.ceil(x0)), int(wp.floor(x1))
        top, bottom = int(wp.ceil(y0)), int(wp.floor(y1))
        if right >= left and bottom >= top:
            box = wp.vec4i(left // TILE, right // TILE + 1, top // TILE, bottom // TILE + 1)
    return box


@wp.kernel(enable_backward=False)
def project_back(
    lens: Lens,
    means: wp.array(dtype=wp.vec3),
    scales: wp.array(dtype=wp.vec3),
    rotations: wp.array(dtype=wp.vec4),
    opacities: wp.array(dtype=wp.float32),
    coefficients: wp.array(dtype=wp.vec3),
    degree: int,
    stored: int,
    compensated: int,
    records: wp.array(dtype=wp.vec4),
    sums: wp.array(dtype=wp.float32),
    d_means: wp.array(dtype=wp.vec3),
    d_scales: wp.array(dtype=wp.vec3),
    d_rotations: wp.array(dtype=wp.vec4),
    d_opacities: wp.array(dtype=wp.float32),
    d_coefficients: wp.array(dtype=wp.vec3),
    d_screen: wp.array(dtype=wp.vec2),
):
    """From `sums` (9 n), see `warp_blend_kernels`, to the gradients of what was given; they were 0 before."""
    g = wp.tid()
    if records[3 * g + 2][2] <= 0.0:
        return
    s = shaped(lens, means[g], scales[g], rotations[g], stored)
    z = s.point[2]
    jx, jy = lens.fx / z, lens.fy / z
    thin_xx, thin_yy = wp.dot(s.a, s.a), wp.dot(s.b, s.b)
    normal = wp.cross(s.a, s.b)
    thin = wp.dot(normal, normal)
    sxx = thin_xx + BLUR
    tilt = wp.dot(s.a, s.b) / sxx
    det = thin + BLUR * (thin_xx + thin_yy) + BLUR * BLUR
    m0, m1, m2 = sums[9 * g], sums[9 * g + 1], sums[9 * g + 2]
    m3, m4, m5 = sums[9 * g + 3], sums[9 * g + 4], sums[9 * g + 5]

    # power = -dx^2 / (2 sxx) - t^2 sxx / (2 det), t = dy - tilt dx
    ratio = sxx / det
    g_px, g_py = m1 / sxx - ratio * tilt * m3, ratio * m3
    g_sxy = ratio * m4 / sxx
    g_det = 0.5 * m5 * ratio / det
    g_sxx = 0.5 * (m2 / (sxx * sxx) - m5 / det) - g_sxy * tilt
    g_thin = g_det
    if compensated == 1:
        g_det = g_det - 0.5 * m0 / det
        g_thin = g_det + 0.5 * m0 / wp.max(thin, 1.0e-30)
    g_syy = BLUR * g_det
    g_sxx = g_sxx + g_syy
    # sxx = |a|^2, sxy = a . b, syy = |b|^2, thin = |a x b|^2
    g_a = 2.0 * g_sxx * s.a + g_sxy * s.b + 2.0 * g_thin * wp.cross(s.b, normal)
    g_b = 2.0 * g_syy * s.b + g_sxy * s.a + 2.0 * g_thin * wp.cross(normal, s.a)
    g_scale = wp.cw_mul(g_a, s.p) + wp.cw_mul(g_b, s.q)
    if stored == 1:
        g_scale = wp.cw_mul(g_scale, s.scale)
    d_scales[g] = g_scale
    # p = jx (row 0 - rx row 2), q = jy (row 1 - ry row 2)
    g_p, g_q = wp.cw_mul(g_a, s.scale), wp.cw_mul(g_b, s.scale)
    row = wp.vec3(s.view[2, 0], s.view[2, 1], s.view[2, 2])
    free_x, free_y = s.point[0] / z, s.point[1] / z
    g_x, g_y = g_px * jx, g_py * jy
    if free_x >= lens.left and free_x <= lens.right:
        g_x = g_x - jx * wp.dot(g_p, row) / z
    if free_y >= lens.top and free_y <= lens.bottom:
        g_y = g_y - jy * wp.dot(g_q, row) / z
    g_z = -(g_x * free_x + g_y * free_y + (wp.dot(g_p, s.p) + wp.dot(g_q, s.q)) / z)
    up, low = jx * g_p, jy * g_q
    deep = -(s.rx * up + s.ry * low)
    back = wp.transpose(lens.turn)
    r = back * wp.mat33(
        up[0], up[1], up[2], low[0], low[1], low[2], deep[0], deep[1], deep[2]
    )  # fmt: skip
    uw, ux, uy, uz = s.unit[0], s.unit[1], s.unit[2], s.unit[3]
    g_q4 = 2.0 * wp.vec4(
        ux * (r[2, 1] - r[1, 2]) + uy * (r[0, 2] - r[2, 0]) + uz * (r[1, 0] - r[0, 1]),
        uy * (r[0, 1] + r[1, 0]) + uz * (r[0, 2] + r[2, 0]) - 2.0 * ux * (r[1, 1] + r[2, 2])
        + uw * (r[2, 1] - r[1, 2]),
        ux * (r[0, 1] + r[1, 0]) + uz * (r[1, 2] + r[2, 1]) - 2.0 * uy * (r[0, 0] + r[2, 2])
        + uw * (r[0, 2] - r[2, 0]),
        ux * (r[0, 2] + r[2, 0]) + uy * (r[1, 2] + r[2, 1]) - 2.0 * uz * (r[0, 0] + r[1, 1])
        + uw * (r[1, 0] - r[0, 1]),
    )  # fmt: skip
    d_rotations[g] = (g_q4 - wp.dot(g_q4, s.unit) * s.unit) / s.length
    d_screen[g] = wp.vec2(g_px, g_py)
    if stored == 1:
        fall = fall_of(opacities[g])
        d_opacities[g] = m0 * fall / (1.0 + fall)
    else:
        d_opacities[g] = m0 / wp.max(opacities[g], 1.0e-30)
    g_mean = back * wp.vec3(g_x, g_y, g_z)
    g_colour = wp.vec3(sums[9 * g + 6], sums[9 * g + 7], sums[9 * g + 8])
    if degree < 0:
        d_coefficients[g] = g_colour
    else:
        lit, last = records[3 * g + 1], records[3 * g + 2]
        g_colour = wp.vec3(
            wp.where(lit[2] > 0.0, g_colour[0], 0.0),
            wp.where(lit[3] > 0.0, g_colour[1], 0.0),
            wp.where(last[0] > 0.0, g_colour[2], 0.0),
        )
        d = direction(means[g], lens.eye)
        basis = harmonics(degree, d)
        weights = vec16()
        many = (degree + 1) * (degree + 1)
        for k in range(many):
            weights[k] = wp.dot(g_colour, coefficients[g * many + k])
            d_coefficients[g * many + k] = basis[k] * g_colour
        away = means[g] - lens.eye
        g_d = slope(weights, degree, d)
        g_mean = g_mean + (g_d - wp.dot(g_d, d) * d) / wp.sqrt(wp.max(wp.dot(away, away), TINY))
    d_means[g] = g_mean
