# SPDX-License-Identifier: GPL-3.0-or-later
"""Compiled: the Gaussians of tiles blended, and the way back.

A tile of 16 x 16 px is two columns of eight pixels, cut into blocks of two rows; a block is a `lanes` value.
Inside a tile the Gaussians come one after the other, front to back, and each visits only the blocks of a
column that its ellipse reaches. The pixels' state stands in a small buffer meanwhile. A pixel takes no more
Gaussians once less than 1e-4 of the light comes through. A Gaussian's opacity is at most 0.99.

The way back goes front to back too: with S the part of g . colour that is still to come, known at first from
the finished picture, dL/dalpha = T g . c - S / (1 - alpha). Every pair of a tile and a Gaussian has a slot of
its own, and the slots are summed in a fixed order: no atomics, and the same sums for any number of threads.
"""

from __future__ import annotations

import numpy as np

from ..cached_kernels import cached
from .lanes_kernels import (
    across,
    add_totals,
    any_lane,
    compiled,
    down,
    exp2,
    item,
    least,
    load,
    most,
    pick,
    root,
    select,
    spread,
    store,
    store_whole,
    total,
)
from .project_kernels import CUT, MOMENTS

STOP = np.float32(1e-4)
"""Where less light than this comes through, nothing more is added."""
MOST = np.float32(0.99)
"""The largest opacity of a Gaussian in a pixel."""


@compiled
def _reach(records, members, n, left, top, out):
    """Blocks of both columns that the ellipses of sixteen Gaussians reach: the first and that after the last.

    Into `out` (64): first blocks in the left column, ends there, first blocks in the right column, ends.
    """
    half, zero = np.float32(0.5), np.float32(0.0)
    x = (np.float32(left) + half) - pick(records, members, n, 16, 0)
    y = pick(records, members, n, 16, 1) - (np.float32(top) + half)
    reach, tall = pick(records, members, n, 16, 10), pick(records, members, n, 16, 11)
    across, slope = pick(records, members, n, 16, 2), pick(records, members, n, 16, 3)
    wide, thin = pick(records, members, n, 16, 5) - CUT, pick(records, members, n, 16, 12)
    lowest = pick(records, members, n, 16, 13)
    highest = zero - lowest
    margin = np.float32(0.01) + np.float32(1e-5) * tall
    close = np.float32(0.02) + np.float32(1e-5) * reach
    for column in range(2):
        x0, x1 = most(x, zero - reach), least(x + np.float32(7.0), reach)
        low, high = least(most(lowest, x0), x1), least(most(highest, x0), x1)
        bottom = slope * low + root(most((wide - across * low * low) * thin, zero))
        above = slope * high - root(most((wide - across * high * high) * thin, zero))
        first = least(most(y + above - margin + np.float32(1.0), zero), np.float32(16.0))
        end = least(most(y + bottom + margin + np.float32(1.0), zero), np.float32(16.0))
        store_whole(out, 32 * column, half * first)
        store_whole(out, 32 * column + 16, select(x0 <= x1 + close, half * (end + np.float32(1.0)), zero))
        x = x + np.float32(8.0)


@compiled
def _work(rows, through, count, out):
    """Which of `count` Gaussians meets which column: 16 column + Gaussian, without a branch. -> how many."""
    n = 0
    for k in range(32):
        column, j = k >> 4, k & 15
        out[np.uint64(n)] = k
        some = item(rows, 32 * column + j) < item(rows, 32 * column + 16 + j)
        n += np.int64(some) & np.int64(j < count) & np.int64(item(through, column))
    return n


@compiled
def _open(state, at, step):
    """Whether light comes through any of the 8 blocks from `at` on."""
    left = load(state, at)
    for block in range(1, 8):
        left = most(left, load(state, at + block * step))
    return any_lane(left >= STOP)


@compiled
def blend(first, last, tiles_x, size, starts, members, records, background, image, alpha, depth, ends):
    """Colour (H, W, 3), alpha and depth (H, W), all flat, of the tiles first <= tile < last.

    `ends` (tiles): the Gaussian after the last that was looked at; the way back stops there too.
    """
    width, height = size
    step = 80
    state = np.empty(16 * step, np.float32)
    one, zero = np.float32(1.0), np.float32(0.0)
    through, rows, work = np.empty(2, np.int32), np.empty(64, np.int32), np.empty(33, np.int32)
    for tile in range(first, last):
        left, top = (tile % tiles_x) * 16, (tile // tiles_x) * 16
        for block in range(16):
            store(state, block * step, spread(one))
            for k in range(16, step, 16):
                store(state, block * step + k, spread(zero))
        through[0] = through[1] = 1
        end = starts[tile + 1]
        for base in range(starts[tile], starts[tile + 1], 16):
            _reach(records, members, base, left, top, rows)
            for k in range(_work(rows, through, starts[tile + 1] - base, work)):
                which = np.int64(item(work, k))
                column, j = which >> 4, which & 15
                at = 16 * np.int64(item(members, base + j))
                lo, hi = item(rows, 32 * column + j), item(rows, 32 * column + 16 + j)
                dx = across() + (np.float32(left + 8 * column) + np.float32(0.5) - item(records, at))
                level = item(records, at + 5) - item(records, at + 2) * (dx * dx)
                y = np.float32(top + 2 * lo) + np.float32(0.5) - item(records, at + 1)
                t = (down() + y) - item(records, at + 3) * dx
                steep = spread(item(records, at + 4))
                red, green = spread(item(records, at + 6)), spread(item(records, at + 7))
                blue, far = spread(item(records, at + 8)), spread(item(records, at + 9))
                where = (8 * column + lo) * step
                for _ in range(hi - lo):
                    power = level - steep * (t * t)
                    light = load(state, where)
                    visible = (power >= CUT) & (light >= STOP)
                    a = select(visible, least(exp2(power), MOST), zero)
                    w = a * light
                    store(state, where, light - w)
                    store(state, where + 16, load(state, where + 16) + w * red)
                    store(state, where + 32, load(state, where + 32) + w * green)
                    store(state, where + 48, load(state, where + 48) + w * blue)
                    store(state, where + 64, load(state, where + 64) + w * far)
                    t = t + np.float32(2.0)
                    where += step
            through[0] = _open(state, 0, step)
            through[1] = _open(state, 8 * step, step)
            if not (through[0] or through[1]):
                end = min(base + 16, end)
                break
        ends[tile] = end
        for block in range(16):
            where = block * step
            light = load(state, where)
            opaque = one - light
            store(state, where, opaque)
            store(state, where + 16, load(state, where + 16) + light * background[0])
            store(state, where + 32, load(state, where + 32) + light * background[1])
            store(state, where + 48, load(state, where + 48) + light * background[2])
            store(state, where + 64, select(opaque > zero, load(state, where + 64) / opaque, zero))
        for row in range(min(16, height - top)):
            for x in range(min(16, width - left)):
                where = np.uint64(((x >> 3) * 8 + (row >> 1)) * step + (row & 1) * 8 + (x & 7))
                pixel = np.uint64((top + row) * width + left + x)
                alpha[pixel] = state[where]
                image[3 * pixel] = state[where + np.uint64(16)]
                image[3 * pixel + np.uint64(1)] = state[where + np.uint64(32)]
                image[3 * pixel + np.uint64(2)] = state[where + np.uint64(48)]
                depth[pixel] = state[where + np.uint64(64)]


@compiled
def blend_back(
    first, last, tiles_x, size, starts, ends, members, slots, records, image, alpha, d_image, d_alpha, moments
):
    """The gradients of a tile's Gaussians, into `moments` (pairs, 9), flat, by slot."""
    width, height = size
    step = 80
    state = np.empty(16 * step, np.float32)
    sums = np.empty(144, np.float32)
    one, zero = np.float32(1.0), np.float32(0.0)
    through, rows, work = np.empty(2, np.int32), np.empty(64, np.int32), np.empty(33, np.int32)
    for tile in range(first, last):
        left, top = (tile % tiles_x) * 16, (tile // tiles_x) * 16
        for k in range(16 * step):
            state[k] = zero
        for row in range(min(16, height - top)):
            for x in range(min(16, width - left)):
                where = ((x >> 3) * 8 + (row >> 1)) * step + (row & 1) * 8 + (x & 7)
                pixel = (top + row) * width + left + x
                red, green, blue = d_image[3 * pixel], d_image[3 * pixel + 1], d_image[3 * pixel + 2]
                ahead = red * image[3 * pixel] + green * image[3 * pixel + 1] + blue * image[3 * pixel + 2]
                state[where] = one
                state[where + 16] = ahead - d_alpha[pixel] * (one - alpha[pixel])
                state[where + 32], state[where + 48], state[where + 64] = red, green, blue
        through[0] = through[1] = 1
        for base in range(starts[tile], ends[tile], 16):
            _reach(records, members, base, left, top, rows)
            for k in range(9):
                store(sums, 16 * k, spread(zero))
            for k in range(_work(rows, through, ends[tile] - base, work)):
                which = np.int64(item(work, k))
                column, j = which >> 4, which & 15
                at = 16 * np.int64(item(members, base + j))
                lo, hi = item(rows, 32 * column + j), item(rows, 32 * column + 16 + j)
                dx = across() + (np.float32(left + 8 * column) + np.float32(0.5) - item(records, at))
                level = item(records, at + 5) - item(records, at + 2) * (dx * dx)
                y = np.float32(top + 2 * lo) + np.float32(0.5) - item(records, at + 1)
                t = (down() + y) - item(records, at + 3) * dx
                steep = spread(item(records, at + 4))
                red, green = spread(item(records, at + 6)), spread(item(records, at + 7))
                blue = spread(item(records, at + 8))
                where = (8 * column + lo) * step
                q0, q1, q2 = spread(zero), spread(zero), spread(zero)
                c0, c1, c2 = spread(zero), spread(zero), spread(zero)
                for _ in range(hi - lo):
                    tt = t * t
                    power = level - steep * tt
                    light = load(state, where)
                    visible = (power >= CUT) & (light >= STOP)
                    raw = exp2(power)
                    a = select(visible, least(raw, MOST), zero)
                    w = a * light
                    gr, gg, gb = load(state, where + 32), load(state, where + 48), load(state, where + 64)
                    shine = gr * red + gg * green + gb * blue
                    ahead = load(state, where + 16) - w * shine
                    store(state, where, light - w)
                    store(state, where + 16, ahead)
                    c0, c1, c2 = c0 + w * gr, c1 + w * gg, c2 + w * gb
                    # dL/dalpha times alpha; nothing where alpha is held at its most
                    q = select(raw <= MOST, w * shine - a * ahead / (one - a), zero)
                    q0, q1, q2 = q0 + q, q1 + q * t, q2 + q * tt
                    t = t + np.float32(2.0)
                    where += step
                qx = q0 * dx
                add_totals(sums, 9 * j, q0, qx, qx * dx, q1, q1 * dx, q2, c0, c1)
                sums[np.uint64(9 * j + 8)] += total(c2)
            for j in range(min(16, ends[tile] - base)):
                slot = 9 * np.int64(item(slots, base + j))
                for k in range(9):
                    moments[np.uint64(slot + k)] = item(sums, 9 * j + k)
            through[0] = _open(state, 0, step)
            through[1] = _open(state, 8 * step, step)
        for n in range(ends[tile], starts[tile + 1]):
            slot = 9 * np.int64(slots[n])
            for k in range(MOMENTS):
                moments[slot + k] = zero


@cached(nogil=True, error_model="numpy")
def gathered(moments, offsets, sums, first, last):
    """Sums (m, 9) of every Gaussian's slots."""
    for g in range(first, last):
        for k in range(9):
            sums[9 * g + k] = 0.0
        for slot in range(offsets[g], offsets[g + 1]):
            for k in range(9):
                sums[9 * g + k] += moments[9 * slot + k]
