# SPDX-License-Identifier: GPL-3.0-or-later
"""Compiled: weighted L1 and SSIM of a picture against another, with the gradient, in one walk down the rows.

With u = x + y and v = x - y of the picture x and its target y, G* the blur and U = G*u^2 - (G*u)^2,

    SSIM = A1 A2 / (B1 B2),   A1 = (G*u)^2 - (G*v)^2 + 2 C1,   A2 = U - V + 2 C2,   B with + instead of -.

That is SSIM (Wang et al. 2004) of x and y, but what is small near the goal, v, is blurred by itself: 1 - SSIM
keeps its digits, and four blurs suffice with nothing known of the target before. The variance U is that about
the middle of a window, of columns first and of their means then, as bright and flat places have no digits for
a difference of squares. The gradient takes three more blurs: of the slopes by G*u and G*v together, by G*u^2
and by G*v^2.

Rows stand in rings of sixteen: of u, v and the weights, from which a row of slopes is made as soon as the row
five below is there, and of the slopes, from which a row of the gradient is made likewise. So all of it stays
in the processor's cache, and a band of rows gives the same numbers wherever it begins.
"""

from __future__ import annotations

import numpy as np

from ..cached_kernels import cached
from .lanes_kernels import compiled, item, load, select, spread, store, total

REACH = 5
"""px to either side that a window reaches."""
_TWO_C1, _TWO_C2 = np.float32(2e-4), np.float32(18e-4)
_RING = 15
"""One less than the rows of a ring."""


@cached(nogil=True, error_model="numpy")
def _read(image, target, weight, row, size, box, scales, at, u, v, w):
    """Read u and v of a row from five pixels before the box on, and the weights, three times each."""
    height, width = size
    left, right = box[2], box[3]
    begin, end = max(left - REACH, 0), min(right + REACH, width)
    inside = 0 <= row < height
    first, many = 3 * (row * width + begin), 3 * (end - begin)
    into = at + 3 * (begin - left + REACH)
    if inside:
        x, y = image[first : first + many], target[first : first + many]
        plus, minus = u[into : into + many], v[into : into + many]
        for i in range(many):
            goal = np.float32(y[i]) * scales[0]
            plus[i] = x[i] + goal
            minus[i] = x[i] - goal
    else:
        u[into : into + many] = np.float32(0.0)
        v[into : into + many] = np.float32(0.0)
    start = at + 3 * REACH
    if inside and box[0] <= row < box[1]:
        for i in range(right - left):
            value = np.float32(weight[row * width + left + i]) * scales[1]
            where = np.uint64(start + 3 * i)
            w[where] = value
            w[where + np.uint64(1)] = value
            w[where + np.uint64(2)] = value
    else:
        w[start : start + 3 * (right - left)] = np.float32(0.0)


@compiled
def _slopes(row, long, stride, taps, mix, u, v, w, blurred, by_mean, by_u, by_v):
    """A row of slopes of the loss by the blurred values. -> the row's weighted sum of 1 - SSIM."""
    zero, two = np.float32(0.0), np.float32(2.0)
    far = np.int64(stride)
    into = (row & _RING) * far
    for i in range(0, long + 6 * REACH, 16):
        mu, mv, uu, vv = spread(zero), spread(zero), spread(zero), spread(zero)
        near = load(u, into + i)
        for k in range(11):
            where = ((row + k - REACH) & _RING) * far + i
            tap, p, m = item(taps, k), load(u, where) - near, load(v, where)
            tp, tm = tap * p, tap * m
            mu, mv = mu + tp, mv + tm
            uu, vv = uu + tp * p, vv + tm * m
        store(blurred, i, near + mu)
        store(blurred, far + i, mv)
        store(blurred, 2 * far + i, uu - mu * mu)
        store(blurred, 3 * far + i, vv)
    lost = spread(zero)
    for i in range(0, long, 16):
        mu, mv, uu, vv = spread(zero), spread(zero), spread(zero), spread(zero)
        near = load(blurred, i + 3 * REACH)
        for k in range(11):
            tap, where = item(taps, k), i + 3 * k
            p = load(blurred, where) - near
            tp = tap * p
            mu, uu = mu + tp, uu + tp * p
            mv = mv + tap * load(blurred, far + where)
            uu = uu + tap * load(blurred, 2 * far + where)
            vv = vv + tap * load(blurred, 3 * far + where)
        uu, mu = uu - mu * mu, near + mu
        p, q = mu * mu, mv * mv
        vv = vv - q
        one = np.float32(1.0) / (p + q + _TWO_C1)
        other = np.float32(1.0) / (uu + vv + _TWO_C2)
        off1, off2 = two * q * one, two * vv * other  # 1 - A1 / B1, 1 - A2 / B2
        s1, s2 = np.float32(1.0) - off1, np.float32(1.0) - off2
        weight = load(w, into + 3 * REACH + i)
        lost = lost + weight * (off1 + s1 * off2)
        # d(1 - SSIM) by G*u^2, G*v^2, G*u and G*v
        weight = weight * mix
        down = weight * s1 * other
        d_uu = zero - down * off2
        d_vv = down * two * (uu + _TWO_C2) * other
        along = two * weight * s2 * one
        d_mean = mv * (along * two * (p + _TWO_C1) * one - two * d_vv) - mu * (along * off1 + two * d_uu)
        store(by_u, into + i, d_uu)
        store(by_v, into + i, d_vv)
        store(by_mean, into + i, d_mean)
    return total(lost)


@compiled
def _gradient(row, long, stride, taps, part, u, v, w, blurred, by_mean, by_u, by_v, out):
    """A row of the gradient, from five pixels before the box on. -> the row's weighted sum of |x - y|."""
    zero, two = np.float32(0.0), np.float32(2.0)
    far = np.int64(stride)
    for i in range(0, long, 16):
        mean, uu, vv = spread(zero), spread(zero), spread(zero)
        for k in range(11):
            where = ((row + k - REACH) & _RING) * far + i
            tap = item(taps, k)
            mean = mean + tap * load(by_mean, where)
            uu, vv = uu + tap * load(by_u, where), vv + tap * load(by_v, where)
        store(blurred, 6 * REACH + i, mean)
        store(blurred, far + 6 * REACH + i, uu)
        store(blurred, 2 * far + 6 * REACH + i, vv)
    lost = spread(zero)
    at = (row & _RING) * far
    for i in range(0, long + 6 * REACH, 16):
        mean, uu, vv = spread(zero), spread(zero), spread(zero)
        for k in range(11):
            tap, where = item(taps, k), i + 3 * k
            mean = mean + tap * load(blurred, where)
            uu = uu + tap * load(blurred, far + where)
            vv = vv + tap * load(blurred, 2 * far + where)
        p, m, weight = load(u, at + i), load(v, at + i), load(w, at + i)
        size = select(m < zero, zero - weight, select(m > zero, weight, zero))
        lost = lost + size * m
        store(out, i, mean + two * (uu * p + vv * m) + part * size)
    return total(lost)


@cached(nogil=True, error_model="numpy")
def walk(first, last, image, target, weight, size, box, scales, parts, taps, d_image, sums):
    """Rows first <= row < last of the gradient (H, W, 3), and of `sums` (H, 2): of |x - y| and of 1 - SSIM.

    All are flat. `size`: rows, columns. `box`: where the weights are not 0: rows from and to, columns from
    and to. `scales`: of the target's and the weights' numbers. `parts`: what the gradients of |x - y| and of
    1 - SSIM are multiplied by. `taps` (11): the blur.
    """
    width = size[1]
    top, bottom, left, right = box
    long = (3 * (right - left) + 15) // 16 * 16
    stride = (long + 12 * REACH + 31) // 16 * 16
    rings = np.zeros((6, (_RING + 1) * stride), np.float32)
    u, v, w, by_mean, by_u, by_v = rings[0], rings[1], rings[2], rings[3], rings[4], rings[5]
    blurred, around, out = (
        np.zeros(4 * stride, np.float32),
        np.zeros(3 * stride, np.float32),
        np.empty(stride, np.float32),
    )
    begin, end = max(left - REACH, 0), min(right + REACH, width)
    shift, many = 3 * (begin - left + REACH), 3 * (end - begin)
    for row in range(first - 2 * REACH, first):
        _read(image, target, weight, row, size, box, scales, (row & _RING) * stride, u, v, w)
    for row in range(first - REACH, last + REACH):
        below = row + REACH
        _read(image, target, weight, below, size, box, scales, (below & _RING) * stride, u, v, w)
        if top <= row < bottom:
            lost = _slopes(row, long, stride, taps, parts[1], u, v, w, blurred, by_mean, by_u, by_v)
            if first <= row < last:
                sums[2 * row + 1] = lost
        else:
            into = (row & _RING) * stride
            for ring in (by_mean, by_u, by_v):
                ring[into : into + stride] = np.float32(0.0)
        done = row - REACH
        if done >= first:
            lost = _gradient(done, long, stride, taps, parts[0], u, v, w, around, by_mean, by_u, by_v, out)
            sums[2 * done] = lost
            to = 3 * (done * width + begin)
            d_image[to : to + many] = out[shift : shift + many]
