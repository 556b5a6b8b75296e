# SPDX-License-Identifier: GPL-3.0-or-later
"""Compiled: the frames of triangles (`files.triangles`), and gradients of frames back to the vertices.

All arrays are flat. A frame is 20 float32: 0-8 the axes by rows (the axes are the columns), 9 the scale,
10-12 the middle, 13-16 the axes as a quaternion w, x, y, z, 17-19 the middle as seen from the eye, in the
triangle's own axes.
"""

from __future__ import annotations

import numpy as np

from ..cached_kernels import cached
from .lanes_kernels import WIDTH, compiled, gather, most, pick, root, scatter, select

FRAME = 20
PULL = 8
"""Numbers of a gradient of a frame: 0-2 by a turn about its own axes (radians), 3 by the scale, 4-6 by the
middle; one is free."""

_SMALLEST = np.float32(1e-12)
_FLATTEST = np.float32(1e-6)  # as in `playback`
_NONE, _ONE, _HALF = np.float32(0.0), np.float32(1.0), np.float32(0.5)


@compiled
def _corner(vertices, corners, at, column):
    return pick(vertices, corners, at, 3, column)


@compiled
def _sides(vertices, corners, padded, i):
    """First corner, then the sides to the second and the third, of triangles i to i + 15."""
    x, y, z = (
        _corner(vertices, corners, i, 0),
        _corner(vertices, corners, i, 1),
        _corner(vertices, corners, i, 2),
    )
    second, third = padded + i, 2 * padded + i
    a = (
        _corner(vertices, corners, second, 0) - x,
        _corner(vertices, corners, second, 1) - y,
        _corner(vertices, corners, second, 2) - z,
    )
    b = (
        _corner(vertices, corners, third, 0) - x,
        _corner(vertices, corners, third, 1) - y,
        _corner(vertices, corners, third, 2) - z,
    )
    return (x, y, z), a, b


@compiled
def _unit_first(a):
    """The first axis, the length of the side that it is along, and whether it has one."""
    length = root(a[0] * a[0] + a[1] * a[1] + a[2] * a[2])
    long = length > _SMALLEST
    safe = select(long, length, _ONE)
    return select(long, a[0] / safe, _ONE), select(long, a[1] / safe, _NONE), select(
        long, a[2] / safe, _NONE
    ), length, long  # fmt: skip


@compiled
def _normal(fx, fy, fz, b):
    """The normal, the height over the first side, and whether there is one; without, some normal."""
    nx, ny, nz = fy * b[2] - fz * b[1], fz * b[0] - fx * b[2], fx * b[1] - fy * b[0]
    height = root(nx * nx + ny * ny + nz * nz)
    reach = root(b[0] * b[0] + b[1] * b[1] + b[2] * b[2])
    high = height > most(_FLATTEST * reach, _SMALLEST)
    safe = select(high, height, _ONE)
    # across the axis of the world that the first is least along
    ax, ay, az = most(fx, _NONE - fx), most(fy, _NONE - fy), most(fz, _NONE - fz)
    x_least = (ax <= ay) & (ax <= az)
    y_least = ay <= az
    ox = select(x_least, _NONE, select(y_least, _NONE - fz, fy))
    oy = select(x_least, fz, select(y_least, _NONE, _NONE - fx))
    oz = select(x_least, _NONE - fy, select(y_least, fx, _NONE))
    other = root(ox * ox + oy * oy + oz * oz)
    nx = select(high, nx / safe, ox / other)
    ny = select(high, ny / safe, oy / other)
    nz = select(high, nz / safe, oz / other)
    return nx, ny, nz, height, high


@compiled
def _quaternion(a, b, c, d, e, f, g, h, i):
    """Unit quaternion of rotation matrices, from its largest component (Shepperd 1978)."""
    w, x, y, z = _ONE + a + e + i, h - f, c - g, d - b
    best = w
    t = _ONE + a - e - i
    more = t > best
    w, x, y, z = select(more, h - f, w), select(more, t, x), select(more, b + d, y), select(more, c + g, z)
    best = most(t, best)
    t = _ONE - a + e - i
    more = t > best
    w, x, y, z = select(more, c - g, w), select(more, b + d, x), select(more, t, y), select(more, f + h, z)
    best = most(t, best)
    t = _ONE - a - e + i
    more = t > best
    w, x, y, z = select(more, d - b, w), select(more, c + g, x), select(more, f + h, y), select(more, t, z)
    length = root(w * w + x * x + y * y + z * z)
    return w / length, x / length, y / length, z / length


@compiled
def frames(vertices, corners, padded, eye, first, last, found):
    """Frames of triangles first <= i < last (multiples of WIDTH) into `found` (padded, FRAME).

    vertices (n, 3); corners (3, padded) int32: all first corners, then the second, then the third.
    """
    third = np.float32(1.0 / 3.0)
    for i in range(first, last, WIDTH):
        v, a, b = _sides(vertices, corners, padded, i)
        fx, fy, fz, length, _ = _unit_first(a)
        nx, ny, nz, _, _ = _normal(fx, fy, fz, b)
        tx, ty, tz = fy * nz - fz * ny, fz * nx - fx * nz, fx * ny - fy * nx
        height = tx * b[0] + ty * b[1] + tz * b[2]
        height = most(height, _NONE - height)
        mx, my, mz = v[0] + (a[0] + b[0]) * third, v[1] + (a[1] + b[1]) * third, v[2] + (a[2] + b[2]) * third
        q = _quaternion(fx, nx, tx, fy, ny, ty, fz, nz, tz)
        ex, ey, ez = mx - eye[0], my - eye[1], mz - eye[2]
        values = (
            fx, nx, tx, fy, ny, ty, fz, nz, tz, most(_HALF * (length + height), _SMALLEST), mx, my, mz,
            q[0], q[1], q[2], q[3],
            fx * ex + fy * ey + fz * ez, nx * ex + ny * ey + nz * ez, tx * ex + ty * ey + tz * ez,
        )  # fmt: skip
        for k in range(FRAME):
            scatter(found, FRAME * i + k, FRAME, values[k])


@cached(nogil=True, error_model="numpy")
def summed(pulls, binding, sums):
    """Add the pulls (n, PULL) of Gaussians to those of their triangles (padded, PULL), in their order."""
    for i in range(len(binding)):
        at, to = PULL * i, PULL * binding[i]
        for k in range(PULL - 1):
            sums[to + k] += pulls[at + k]


@compiled
def frames_back(vertices, corners, padded, first, last, sums, into):
    """Gradients of the corners (padded, 9) of triangles first <= i < last, from those of their frames.

    A turn w of the frame follows the sides: its part across the first axis is first x d(first), its part
    about it is what the normal turns. What has no length or height does not turn.
    """
    third = np.float32(1.0 / 3.0)
    for i in range(first, last, WIDTH):
        _, a, b = _sides(vertices, corners, padded, i)
        fx, fy, fz, length, long = _unit_first(a)
        nx, ny, nz, height, high = _normal(fx, fy, fz, b)
        tx, ty, tz = fy * nz - fz * ny, fz * nx - fx * nz, fx * ny - fy * nx
        t0, t1, t2 = gather(sums, PULL * i, PULL), gather(sums, PULL * i + 1, PULL), gather(
            sums, PULL * i + 2, PULL
        )  # fmt: skip
        half = _HALF * gather(sums, PULL * i + 3, PULL)
        along = fx * b[0] + fy * b[1] + fz * b[2]
        per_length = select(long, 1.0 / most(length, _SMALLEST), _NONE)
        per_height = select(high, 1.0 / most(height, _SMALLEST), _NONE)
        higher = select(high, half, _NONE)
        about = t0 * per_height
        # gradient of the first side: its parts along first, normal and third
        on_first = select(long, half, _NONE)
        on_normal = (t2 - about * along) * per_length
        on_third = (higher * along - t1) * per_length
        ax = fx * on_first + nx * on_normal + tx * on_third
        ay = fy * on_first + ny * on_normal + ty * on_third
        az = fz * on_first + nz * on_normal + tz * on_third
        bx, by, bz = nx * about - tx * higher, ny * about - ty * higher, nz * about - tz * higher
        mx = gather(sums, PULL * i + 4, PULL) * third
        my = gather(sums, PULL * i + 5, PULL) * third
        mz = gather(sums, PULL * i + 6, PULL) * third
        values = (
            mx - ax - bx, my - ay - by, mz - az - bz, mx + ax, my + ay, mz + az, mx + bx, my + by, mz + bz,
        )  # fmt: skip
        for k in range(9):
            scatter(into, 9 * i + k, 9, values[k])


@cached(nogil=True, error_model="numpy")
def on_vertices(corners, padded, count, gradients, into):
    """Add the gradients (padded, 9) of the corners of `count` triangles to those of the vertices (n, 3)."""
    for i in range(count):
        for corner in range(3):
            to, at = 3 * corners[corner * padded + i], 9 * i + 3 * corner
            for k in range(3):
                into[to + k] += gradients[at + k]
