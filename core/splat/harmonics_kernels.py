# SPDX-License-Identifier: GPL-3.0-or-later
"""Compiled: real spherical harmonics up to degree 3, with the signs of 3D Gaussian splatting."""

from __future__ import annotations

import numpy as np

from .lanes_kernels import compiled, load, spread, store

_C0, _C1 = np.float32(0.28209479177387814), np.float32(0.4886025119029199)
_C2 = np.float32(1.0925484305920792), np.float32(0.31539156525252005), np.float32(0.5462742152960396)
_C3 = (
    np.float32(0.5900435899266435),
    np.float32(2.890611442640554),
    np.float32(0.4570457994644658),
    np.float32(0.3731763325901154),
    np.float32(1.445305721320277),
)


@compiled
def harmonics(out, degree, x, y, z):
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
def slope(s, degree, x, y, z):
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
