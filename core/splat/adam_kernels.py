# SPDX-License-Identifier: GPL-3.0-or-later
"""Compiled: one step of Adam (Kingma and Ba 2015) in place, sixteen numbers at a time."""

from __future__ import annotations

import numpy as np

from .lanes_kernels import compiled, item, load, most, root, select, spread, store

ROWS = 8
"""Rows that the factored form takes at once: with 14 columns a multiple of sixteen numbers."""
_SMALL, _SMALLER = np.float32(1e-20), np.float32(1e-30)
"""Moments fade below what these can be added to, and are 0 then: denormal numbers are slow."""


@compiled
def _stepped(value, first, second, slope, rate, betas):
    """Value, first and second moment after a step.

    `betas`: one less the first and the second, what the root of the second moment is multiplied by, epsilon.
    """
    first = first + betas[0] * (slope - first)
    second = second + betas[1] * (slope * slope - second)
    first, second = (first + _SMALL) - _SMALL, (second + _SMALLER) - _SMALLER
    # A slope near the largest number leaves none; the square root of a rounded difference is none either.
    second = most(second, np.float32(0.0))
    return value - rate * first / (root(second) * betas[2] + betas[3]), first, second


@compiled
def dense(begin, end, values, firsts, seconds, slopes, rates, betas):
    """Numbers begin <= i < end of flat arrays; `begin` is a multiple of the length of `rates`.

    `rates`: those of the columns, divided by what corrects the first moment, repeated to a multiple of
    sixteen. The last numbers, fewer than sixteen, go through a small buffer.
    """
    length = rates.shape[0]
    at = 0
    whole = begin + (end - begin) // 16 * 16
    for i in range(begin, whole, 16):
        value, first, second = _stepped(
            load(values, i), load(firsts, i), load(seconds, i), load(slopes, i), load(rates, at), betas
        )
        store(values, i, value)
        store(firsts, i, first)
        store(seconds, i, second)
        at += 16
        if at == length:
            at = 0
    if whole < end:
        rest = np.zeros(64, np.float32)
        count = end - whole
        rest[:count], rest[16 : 16 + count] = values[whole:end], firsts[whole:end]
        rest[32 : 32 + count], rest[48 : 48 + count] = seconds[whole:end], slopes[whole:end]
        value, first, second = _stepped(
            load(rest, 0), load(rest, 16), load(rest, 32), load(rest, 48), load(rates, at), betas
        )
        store(rest, 0, value)
        store(rest, 16, first)
        store(rest, 32, second)
        values[whole:end], firsts[whole:end] = rest[:count], rest[16 : 16 + count]
        seconds[whole:end] = rest[32 : 32 + count]


@compiled
def factored(begin, end, values, firsts, seconds, latent, local, rates, betas):
    """Rows begin <= n < end, multiples of ROWS, of arrays (n, R, C), flat; slopes are latent[r] local[n, c].

    A row whose `local` is all 0 was not seen: it and its moments stay as they are. `rates` (ROWS * R * C) as
    above, of ROWS whole rows; ROWS * C is a multiple of sixteen.
    """
    many = latent.shape[0]
    long = rates.shape[0]
    wide = long // (many * ROWS)
    # Sixteen numbers more than are used: a row of up to sixteen columns is written as sixteen, and what is
    # too many is overwritten by the next.
    slopes, seen = np.empty(long + 16, np.float32), np.empty(long + 16, np.float32)
    present, row = np.empty(ROWS, np.float32), np.zeros((wide + 15) // 16 * 16, np.float32)
    zero, one = np.float32(0.0), np.float32(1.0)
    for n in range(begin, end, ROWS):
        anything = zero
        for j in range(ROWS):
            largest = zero
            for c in range(wide):
                largest = max(largest, abs(item(local, (n + j) * wide + c)))
            present[j] = one if largest > zero else zero
            anything = max(anything, largest)
        if anything == zero:
            continue
        for j in range(ROWS):
            for c in range(wide):
                row[c] = item(local, (n + j) * wide + c)
            for r in range(many):
                at = (j * many + r) * wide
                for c in range(0, wide, 16):
                    store(slopes, at + c, item(latent, r) * load(row, c))
                    store(seen, at + c, spread(present[j]))
        base = n * many * wide
        for i in range(0, long, 16):
            before, first, second = load(values, base + i), load(firsts, base + i), load(seconds, base + i)
            value, m, v = _stepped(before, first, second, load(slopes, i), load(rates, i), betas)
            on = load(seen, i) > spread(zero)
            store(values, base + i, select(on, value, before))
            store(firsts, base + i, select(on, m, first))
            store(seconds, base + i, select(on, v, second))
