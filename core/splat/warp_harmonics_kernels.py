# SPDX-License-Identifier: GPL-3.0-or-later
# type: ignore  # kernels are warp's own language in Python's syntax; warp checks their types
"""Compiled by warp: real spherical harmonics up to degree 3, with the signs of 3D Gaussian splatting."""

import warp as wp

vec16 = wp.types.vector(length=16, dtype=wp.float32)

C0 = wp.constant(wp.float32(0.28209479177387814))
C1 = wp.constant(wp.float32(0.4886025119029199))
C20 = wp.constant(wp.float32(1.0925484305920792))
C21 = wp.constant(wp.float32(0.31539156525252005))
C22 = wp.constant(wp.float32(0.5462742152960396))
C30 = wp.constant(wp.float32(0.5900435899266435))
C31 = wp.constant(wp.float32(2.890611442640554))
C32 = wp.constant(wp.float32(0.4570457994644658))
C33 = wp.constant(wp.float32(0.3731763325901154))
C34 = wp.constant(wp.float32(1.445305721320277))


@wp.func
def harmonics(degree: int, d: wp.vec3) -> vec16:
    """Values in the direction d."""
    x, y, z = d[0], d[1], d[2]
    out = vec16()
    out[0] = C0
    if degree > 0:
        out[1] = -C1 * y
        out[2] = C1 * z
        out[3] = -C1 * x
    if degree > 1:
        out[4] = C20 * x * y
        out[5] = -C20 * y * z
        out[6] = C21 * (2.0 * z * z - x * x - y * y)
        out[7] = -C20 * x * z
        out[8] = C22 * (x * x - y * y)
    if degree > 2:
        out[9] = -C30 * y * (3.0 * x * x - y * y)
        out[10] = C31 * x * y * z
        out[11] = -C32 * y * (4.0 * z * z - x * x - y * y)
        out[12] = C33 * z * (2.0 * z * z - 3.0 * x * x - 3.0 * y * y)
        out[13] = -C32 * x * (4.0 * z * z - x * x - y * y)
        out[14] = C34 * z * (x * x - y * y)
        out[15] = -C30 * x * (x * x - 3.0 * y * y)
    return out


@wp.func
def slope(s: vec16, degree: int, d: wp.vec3) -> wp.vec3:
    """Gradient in d of sum s_k Y_k."""
    x, y, z = d[0], d[1], d[2]
    gx, gy, gz = wp.float32(0.0), wp.float32(0.0), wp.float32(0.0)
    if degree > 0:
        gx, gy, gz = -C1 * s[3], -C1 * s[1], C1 * s[2]
    if degree > 1:
        a, b, c, e, f = C20 * s[4], -C20 * s[5], C21 * s[6], -C20 * s[7], C22 * s[8]
        gx = gx + a * y - 2.0 * c * x + e * z + 2.0 * f * x
        gy = gy + a * x + b * z - 2.0 * c * y - 2.0 * f * y
        gz = gz + b * y + 4.0 * c * z + e * x
    if degree > 2:
        xx, yy, zz = x * x, y * y, z * z
        h, i, j, k = -C30 * s[9], C31 * s[10], -C32 * s[11], C33 * s[12]
        m, n, o = -C32 * s[13], C34 * s[14], -C30 * s[15]
        gx = gx + 6.0 * h * x * y + i * y * z - 2.0 * j * x * y - 6.0 * k * x * z
        gx = gx + m * (4.0 * zz - 3.0 * xx - yy) + 2.0 * n * x * z + 3.0 * o * (xx - yy)
        gy = gy + 3.0 * h * (xx - yy) + i * x * z + j * (4.0 * zz - xx - 3.0 * yy) - 6.0 * k * y * z
        gy = gy - 2.0 * m * x * y - 2.0 * n * y * z - 6.0 * o * x * y
        gz = gz + i * x * y + 8.0 * j * y * z + k * (6.0 * zz - 3.0 * xx - 3.0 * yy)
        gz = gz + 8.0 * m * x * z + n * (xx - yy)
    return wp.vec3(gx, gy, gz)
