# SPDX-License-Identifier: GPL-3.0-or-later
"""Real spherical harmonics up to degree 3 with numpy, with the signs of 3D Gaussian splatting."""

from __future__ import annotations

import numpy as np

Array = np.ndarray

_C0, _C1 = 0.28209479177387814, 0.4886025119029199
_C2 = 1.0925484305920792, 0.31539156525252005, 0.5462742152960396
_C3 = 0.5900435899266435, 2.890611442640554, 0.4570457994644658, 0.3731763325901154, 1.445305721320277


def harmonics(directions: Array, degree: int) -> Array:
    """(n, (degree + 1)^2) values in unit directions (n, 3), of their type."""
    x, y, z = np.moveaxis(directions, -1, 0)
    values = [np.full_like(x, _C0)]
    if degree > 0:
        values += [-_C1 * y, _C1 * z, -_C1 * x]
    if degree > 1:
        xx, yy, zz = x * x, y * y, z * z
        a, b, c = _C2
        values += [a * x * y, -a * y * z, b * (2 * zz - xx - yy), -a * x * z, c * (xx - yy)]
    if degree > 2:
        xx, yy, zz = x * x, y * y, z * z
        a, b, c, d, e = _C3
        values += [-a * y * (3 * xx - yy), b * x * y * z, -c * y * (4 * zz - xx - yy)]
        values += [d * z * (2 * zz - 3 * xx - 3 * yy), -c * x * (4 * zz - xx - yy)]
        values += [e * z * (xx - yy), -a * x * (xx - 3 * yy)]
    return np.stack(values, axis=-1)
