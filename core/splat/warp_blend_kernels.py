# SPDX-License-Identifier: GPL-3.0-or-later
# type: ignore  # kernels are warp's own language in Python's syntax; warp checks their types
"""Compiled by warp, for CUDA: Gaussians dealt out to tiles, blended, and the way back.

A tile is 16 x 16 px; 64 neighbouring threads draw it, each of them four pixels of a row, which stand in a
vec4. They all walk the tile's Gaussians from front to back and read the same record at the same time. On the
way back each adds up its four pixels before it adds to the Gaussian's sums by atomics, so the last bits of
the gradients depend on the order in which a GPU happens to run. On warp's CPU device the threads run one
after the other.
"""

import warp as wp

from .warp_project_kernels import CUT, TILE, Lens

STOP = wp.constant(wp.float32(1e-4))
"""Where less light than this comes through, nothing more is added."""
MOST = wp.constant(wp.float32(0.99))
"""The largest opacity of a Gaussian in a pixel."""
THREADS = wp.constant(64)
"""Of a tile."""


@wp.kernel(enable_backward=False)
def deal(
    boxes: wp.array(dtype=wp.vec4i),
    ends: wp.array(dtype=wp.int64),
    records: wp.array(dtype=wp.vec4),
    tiles_x: int,
    keys: wp.array(dtype=wp.int64),
    members: wp.array(dtype=wp.int32),
):
    """One pair for every tile of a Gaussian: its key is the tile and, below it, the bits of the depth.

    `ends`: pairs up to and with each Gaussian. Depths are above zero, so that their bits sort as they do.
    """
    g = wp.tid()
    box = boxes[g]
    at = int(ends[g]) - (box[1] - box[0]) * (box[3] - box[2])
    depth = wp.int64(wp.cast(records[3 * g + 2][1], wp.int32))
    for y in range(box[2], box[3]):
        for x in range(box[0], box[1]):
            keys[at] = (wp.int64(y * tiles_x + x) << wp.int64(32)) | depth
            members[at] = g
            at = at + 1


@wp.kernel(enable_backward=False)
def bound(
    keys: wp.array(dtype=wp.int64),
    count: int,
    starts: wp.array(dtype=wp.int32),
    ends: wp.array(dtype=wp.int32),
):
    """Where every tile's pairs begin and end among the sorted ones; both were 0 before."""
    n = wp.tid()
    tile = int(keys[n] >> wp.int64(32))
    if n == 0:
        starts[tile] = 0
    elif int(keys[n - 1] >> wp.int64(32)) != tile:
        starts[tile] = n
    if n == count - 1:
        ends[tile] = count
    elif int(keys[n + 1] >> wp.int64(32)) != tile:
        ends[tile] = n + 1


@wp.func
def raw_of(power: float, light: float) -> float:
    """A Gaussian's opacity in a pixel before it is held at the most; 0 where it is cut."""
    if power < CUT or light < STOP:
        return 0.0
    return wp.exp(power)


@wp.func
def raws_of(first: wp.vec4, level: float, steep: float, dx: wp.vec4, t: wp.vec4, light: wp.vec4) -> wp.vec4:
    """The same of four pixels."""
    power = wp.vec4(level, level, level, level) - first[2] * wp.cw_mul(dx, dx) - steep * wp.cw_mul(t, t)
    return wp.vec4(
        raw_of(power[0], light[0]),
        raw_of(power[1], light[1]),
        raw_of(power[2], light[2]),
        raw_of(power[3], light[3]),
    )


@wp.func
def offsets_of(first: wp.vec4, x: float) -> wp.vec4:
    """How far four pixels, the first with its centre at x, are right of the Gaussian's mean."""
    d = x - first[0]
    return wp.vec4(d, d + 1.0, d + 2.0, d + 3.0)


@wp.kernel(enable_backward=False)
def blend(
    lens: Lens,
    background: wp.vec3,
    starts: wp.array(dtype=wp.int32),
    ends: wp.array(dtype=wp.int32),
    members: wp.array(dtype=wp.int32),
    records: wp.array(dtype=wp.vec4),
    image: wp.array(dtype=wp.vec3),
    alpha: wp.array(dtype=wp.float32),
    depth: wp.array(dtype=wp.float32),
):
    """Colour, alpha and depth of every pixel."""
    thread = wp.tid()
    tile, part = thread // THREADS, thread % THREADS
    left, row = (tile % lens.tiles_x) * TILE + 4 * (part % 4), (tile // lens.tiles_x) * TILE + part // 4
    if left >= lens.width or row >= lens.height:
        return
    x, y = wp.float32(left) + 0.5, wp.float32(row) + 0.5
    light = wp.vec4(1.0, 1.0, 1.0, 1.0)
    most = wp.vec4(MOST, MOST, MOST, MOST)
    red, green, blue, far = wp.vec4(), wp.vec4(), wp.vec4(), wp.vec4()
    for n in range(starts[tile], ends[tile]):
        if wp.max(light) < STOP:
            break
        g = 3 * members[n]
        first, second, third = records[g], records[g + 1], records[g + 2]
        dx = offsets_of(first, x)
        dy = y - first[1]
        t = wp.vec4(dy, dy, dy, dy) - first[3] * dx
        a = wp.min(raws_of(first, second[1], second[0], dx, t, light), most)
        w = wp.cw_mul(a, light)
        light = light - w
        red = red + second[2] * w
        green = green + second[3] * w
        blue = blue + third[0] * w
        far = far + third[1] * w
    for i in range(4):
        if left + i < lens.width:
            pixel = row * lens.width + left + i
            through, opaque = light[i], 1.0 - light[i]
            image[pixel] = wp.vec3(red[i], green[i], blue[i]) + through * background
            alpha[pixel] = opaque
            depth[pixel] = wp.where(opaque > 0.0, far[i] / wp.max(opaque, 1.0e-12), 0.0)


@wp.kernel(enable_backward=False)
def blend_back(
    lens: Lens,
    starts: wp.array(dtype=wp.int32),
    ends: wp.array(dtype=wp.int32),
    members: wp.array(dtype=wp.int32),
    records: wp.array(dtype=wp.vec4),
    image: wp.array(dtype=wp.vec3),
    alpha: wp.array(dtype=wp.float32),
    d_image: wp.array(dtype=wp.vec3),
    d_alpha: wp.array(dtype=wp.float32),
    sums: wp.array(dtype=wp.float32),
):
    """Add to the sums (9 n) of every Gaussian, which were 0 before.

    They are of q, the gradient by ln(opacity), q dx, q dx^2, q t, q t dx, q t^2 with t = dy - k dx; and the
    gradients of red, green and blue. The way is from front to back; `ahead` is what of g . colour is still
    to come.
    """
    thread = wp.tid()
    tile, part = thread // THREADS, thread % THREADS
    left, row = (tile % lens.tiles_x) * TILE + 4 * (part % 4), (tile // lens.tiles_x) * TILE + part // 4
    if left >= lens.width or row >= lens.height:
        return
    x, y = wp.float32(left) + 0.5, wp.float32(row) + 0.5
    light, ahead = wp.vec4(), wp.vec4()
    red, green, blue = wp.vec4(), wp.vec4(), wp.vec4()
    for i in range(4):
        if left + i < lens.width:
            pixel = row * lens.width + left + i
            slope = d_image[pixel]
            light[i] = 1.0
            red[i] = slope[0]
            green[i] = slope[1]
            blue[i] = slope[2]
            ahead[i] = wp.dot(slope, image[pixel]) - d_alpha[pixel] * (1.0 - alpha[pixel])
    one, most = wp.vec4(1.0, 1.0, 1.0, 1.0), wp.vec4(MOST, MOST, MOST, MOST)
    for n in range(starts[tile], ends[tile]):
        if wp.max(light) < STOP:
            break
        g = members[n]
        first, second, third = records[3 * g], records[3 * g + 1], records[3 * g + 2]
        dx = offsets_of(first, x)
        dy = y - first[1]
        t = wp.vec4(dy, dy, dy, dy) - first[3] * dx
        raw = raws_of(first, second[1], second[0], dx, t, light)
        if wp.max(raw) > 0.0:
            a = wp.min(raw, most)
            w = wp.cw_mul(a, light)
            shine = wp.cw_mul(w, second[2] * red + second[3] * green + third[0] * blue)
            ahead = ahead - shine
            light = light - w
            q = shine - wp.cw_div(wp.cw_mul(a, ahead), one - a)
            for i in range(4):
                if raw[i] > MOST:
                    q[i] = 0.0
            qx, qt = wp.cw_mul(q, dx), wp.cw_mul(q, t)
            at = 9 * g
            wp.atomic_add(sums, at, wp.dot(q, one))
            wp.atomic_add(sums, at + 1, wp.dot(qx, one))
            wp.atomic_add(sums, at + 2, wp.dot(qx, dx))
            wp.atomic_add(sums, at + 3, wp.dot(qt, one))
            wp.atomic_add(sums, at + 4, wp.dot(qt, dx))
            wp.atomic_add(sums, at + 5, wp.dot(qt, t))
            wp.atomic_add(sums, at + 6, wp.dot(w, red))
            wp.atomic_add(sums, at + 7, wp.dot(w, green))
            wp.atomic_add(sums, at + 8, wp.dot(w, blue))
