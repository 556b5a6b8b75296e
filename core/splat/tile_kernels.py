# SPDX-License-Identifier: GPL-3.0-or-later
"""Compiled: projected Gaussians sorted by depth and dealt out to tiles of 16 x 16 px."""

from __future__ import annotations

import numpy as np

from ..cached_kernels import cached


@cached(nogil=True, error_model="numpy")
def depth_order(records, boxes, count):
    """Indices of the Gaussians that are seen, nearest first; equal depths keep their order. Radix sort."""
    depths = records.view(np.uint32)
    keys, order = np.empty(count, np.uint32), np.empty(count, np.int32)
    histogram = np.zeros((3, 2048), np.int32)
    n = 0
    for g in range(count):
        if boxes[4 * g + 1] > boxes[4 * g]:
            key = depths[16 * g + 9]
            keys[n], order[n] = key, g
            histogram[0, key & 2047] += 1
            histogram[1, (key >> 11) & 2047] += 1
            histogram[2, key >> 22] += 1
            n += 1
    other_keys, other = np.empty(n, np.uint32), np.empty(n, np.int32)
    keys, order = keys[:n], order[:n]
    for turn in range(3):
        shift = np.uint32(11 * turn)
        start = 0
        for bucket in range(2048):
            size = histogram[turn, bucket]
            histogram[turn, bucket] = start
            start += size
        for k in range(n):
            key = keys[k]
            bucket = (key >> shift) & np.uint32(2047)
            where = histogram[turn, bucket]
            histogram[turn, bucket] = where + 1
            other_keys[where], other[where] = key, order[k]
        keys, other_keys = other_keys, keys
        order, other = other, order
    return order


@cached(nogil=True, error_model="numpy")
def deal(order, boxes, count, tiles_x, tiles, limit):
    """For every tile its Gaussians from front to back, and the slots of their gradients.

    -> starts (tiles + 1), Gaussians (pairs and 15 more), slots (pairs), first slot of every Gaussian
    (count + 1). All are empty if there are more pairs than `limit`.
    """
    # How many boxes cover a tile is the sum of their corners' signs above and to the left of it.
    wide = tiles_x + 1
    corners = np.zeros((tiles // tiles_x + 1) * wide, np.int32)
    offsets = np.empty(count + 1, np.int32)
    pairs = 0
    for g in range(count):
        if pairs > limit:
            nothing = offsets[:0]
            return nothing, nothing, nothing, nothing
        offsets[g] = pairs
        x0, x1, y0, y1 = boxes[4 * g], boxes[4 * g + 1], boxes[4 * g + 2], boxes[4 * g + 3]
        pairs += (x1 - x0) * (y1 - y0)
        corners[np.uint64(y0 * wide + x0)] += 1
        corners[np.uint64(y0 * wide + x1)] -= 1
        corners[np.uint64(y1 * wide + x0)] -= 1
        corners[np.uint64(y1 * wide + x1)] += 1
    offsets[count] = pairs
    starts, cursor, covers = (
        np.empty(tiles + 1, np.int32),
        np.empty(tiles, np.int32),
        np.zeros(tiles_x, np.int32),
    )
    filled = 0
    for y in range(tiles // tiles_x):
        row = 0
        for x in range(tiles_x):
            row += corners[y * wide + x]
            covers[x] += row
            starts[y * tiles_x + x] = cursor[y * tiles_x + x] = filled
            filled += covers[x]
    starts[tiles] = filled
    # Members are read by sixteen: fifteen more than there are.
    members, slots = np.zeros(pairs + 15, np.int32), np.empty(pairs, np.int32)
    for k in range(order.shape[0]):
        g = np.uint64(order[k])
        x0, x1, y = boxes[4 * g], boxes[4 * g + 1], boxes[4 * g + 2]
        x = x0
        for slot in range(offsets[g], offsets[g + np.uint64(1)]):
            tile = np.uint64(y * tiles_x + x)
            where = np.uint64(cursor[tile])
            cursor[tile] += 1
            members[where], slots[where] = g, slot
            x += 1
            if x == x1:
                x, y = x0, y + 1
    return starts, members, slots, offsets
