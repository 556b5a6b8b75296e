# SPDX-License-Identifier: GPL-3.0-or-later
"""Niantic's .spz: quantised Gaussians, 19 or 20 bytes each and 3 per coefficient, in one gzip stream.

Layout: https://github.com/nianticlabs/spz, README "File Format". A header of 16 bytes (magic 'NGSP',
version, number, degree, fractional bits, flags, 0), then one attribute after the other: positions (24 bit
fixed point), opacities (8 bit), colours (8 bit, 0.5 + 0.15 f_dc), scales (8 bit, 16 (log scale + 10)),
rotations (version 2: x y z, 8 bit each, w >= 0; version 3: index of the largest in 2 bits, the others x to w
with sign and 9 bits of 1 / sqrt 2), coefficients (8 bit, 128 + 128 c, channels innermost, coarser
steps below them for the sake of gzip). Version 4 holds the same attributes in Zstandard streams; it is read,
not written. Its axes are x right, y up, z back: those of the head.
"""

from __future__ import annotations

import gzip
import struct
import zlib
from pathlib import Path

import numpy as np

from ... import rotation
from ...errors import SplatError
from ...files import atomic_path
from ..gaussians import Gaussians
from .ply import read_bytes

Array = np.ndarray

MAGIC = 0x5053474E
VERSIONS = (2, 3)
"""What is written; 4 is read as well."""
MOST_GAUSSIANS = 10_000_000
"""As in Niantic's reader."""
LARGEST_FILE = 1 << 30
_HEADER = struct.Struct("<IIIBBBB")
_WHOLE_HEADER = 32
"""Bytes of version 4's: the same sixteen with the number of streams, where their table is, and zeros."""
_LARGEST_WINDOW = 1 << 27
_EXTENSIONS = 2
_COLOUR = 0.15
_MOST_BITS = 20
"""Fractional bits of a position: a micrometre. Niantic writes 12, a quarter of a millimetre."""
SH_BITS = (5, 4)
"""What is kept of 8 bits at degree 1 and above it, as Niantic writes."""
_NINE = 511


def write_spz(path: Path, gaussians: Gaussians, version: int = 3, sh_bits: tuple[int, int] = SH_BITS) -> None:
    """Write Gaussians in the frame of the head, atomically. Positions get as many bits as the extent leaves.

    `sh_bits`: 1 to 8, of the coefficients of degree 1 and above; coarser ones pack better. Coefficients
    outside -1..1 and standard deviations outside 0.05 mm to 380 m are cut by the format.
    """
    if version not in VERSIONS or not all(1 <= bits <= 8 for bits in sh_bits):
        raise SplatError(
            f"Version {version} of .spz with {sh_bits} bits cannot be written.", "Choose 2 or 3."
        )
    if len(gaussians) > MOST_GAUSSIANS:
        raise SplatError(f"{len(gaussians)} Gaussians are too many for .spz.")
    bits = _fractional_bits(gaussians.means)
    head = _HEADER.pack(MAGIC, version, len(gaussians), gaussians.degree, bits, 0, 0)
    parts = [head, *(part.tobytes() for part in _packed(gaussians, version, bits, sh_bits))]
    try:
        with atomic_path(path) as beside:
            beside.write_bytes(gzip.compress(b"".join(parts), 6, mtime=0))
    except OSError as problem:
        raise SplatError(f"{path} cannot be written: {problem.strerror or problem}.") from problem


def _fractional_bits(means: Array) -> int:
    """As many as leave room for the largest coordinate in 24 bits with sign."""
    extent = float(np.abs(means).max(initial=1e-9))
    if extent >= 2**23:
        raise SplatError(f"A Gaussian is {extent:.3g} m away, too far for .spz.")
    return int(np.clip(np.floor(np.log2((2**23 - 1) / extent)), 0, _MOST_BITS))


def _packed(gaussians: Gaussians, version: int, bits: int, sh_bits: tuple[int, int]) -> list[Array]:
    """The six attributes as bytes, in the order of the file."""
    fixed = np.rint(gaussians.means.astype(np.float64) * 2**bits).astype("<i4")
    positions = fixed.view(np.uint8).reshape(-1, 4)[:, :3]
    opacities = gaussians.activated().opacities * 255
    colours = 127.5 + _COLOUR * 255 * gaussians.sh[:, 0]
    scales = (gaussians.log_scales + 10) * 16
    q = rotation.normalized(gaussians.rotations)[:, [1, 2, 3, 0]]
    turns = _first_three(q) if version == 2 else _smallest_three(q)
    rest = gaussians.sh[:, 1:]
    coarse = np.where(np.arange(rest.shape[1]) < 3, 1 << (8 - sh_bits[0]), 1 << (8 - sh_bits[1]))[:, None]
    steps = (np.rint(rest * 128) + 128 + coarse // 2) // coarse * coarse
    return [positions, _byte(opacities), _byte(colours), _byte(scales), turns, _byte(steps)]


def _byte(values: Array) -> Array:
    return np.clip(np.rint(values), 0, 255).astype(np.uint8)


def _first_three(q: Array) -> Array:
    """(n, 3) bytes of unit quaternions x y z w."""
    return _byte(127.5 + 127.5 * np.where(q[:, 3:] < 0, -q[:, :3], q[:, :3]))


def _smallest_three(q: Array) -> Array:
    """(n,) uint32 of unit quaternions x y z w."""
    largest = np.abs(q).argmax(axis=1)
    rows = np.arange(len(q))
    q = np.where(q[rows, largest, None] < 0, -q, q)
    packed = largest.astype(np.uint32)
    for part in range(4):
        size = np.floor(_NINE * np.abs(q[:, part]) * 2**0.5 + 0.5).clip(0, _NINE).astype(np.uint32)
        word = (packed << np.uint32(10)) | ((q[:, part] < 0).astype(np.uint32) << np.uint32(9)) | size
        packed = np.where(largest == part, packed, word)
    return packed.astype("<u4")


def read_spz(path: Path) -> Gaussians:
    """Gaussians of an .spz of version 2, 3 or 4, in the frame of the head; SplatError in one sentence for
    another file.
    """
    try:
        return decoded(read_bytes(path, LARGEST_FILE))
    except ValueError as problem:
        raise SplatError(f"{path.name} is damaged or no .spz that can be used: {problem}.") from None


def decoded(data: bytes) -> Gaussians:
    """Gaussians of the bytes of an .spz; ValueError says in half a sentence what is wrong with them."""
    if data[:4] == struct.pack("<I", MAGIC):
        return _gaussians(_unpacked_streams(data), *_header(data, (4,)))
    unpacked = _unpacked(data)
    return _gaussians(unpacked[_HEADER.size :], *_header(unpacked, VERSIONS))


def _unpacked(data: bytes) -> bytes:
    """The whole gzip stream: never more than its own header announces."""
    stream = zlib.decompressobj(16 + zlib.MAX_WBITS)
    try:
        head = stream.decompress(data, _HEADER.size)
        count, degree, _, version = _header(head, VERSIONS)
        rest = stream.decompress(stream.unconsumed_tail, max(1, _size(count, degree, version)))
    except zlib.error:
        raise ValueError("it is not packed with gzip") from None
    return head + rest


def _unpacked_streams(data: bytes) -> bytes:
    """The attributes of version 4, one Zstandard stream each, without what extensions add between."""
    try:
        import zstandard
    except ImportError:
        raise ValueError("version 4 needs Zstandard, which this Python does not have") from None
    if len(data) < _WHOLE_HEADER:
        raise ValueError("it was cut off")
    count, degree, _, version = _header(data, (4,))
    streams, table = data[15], struct.unpack_from("<I", data, 16)[0]
    start, left, parts = table + 16 * streams, _size(count, degree, version), []
    if table < _WHOLE_HEADER or start > len(data):
        raise ValueError("its table of streams leaves the file")
    opener = zstandard.ZstdDecompressor(max_window_size=_LARGEST_WINDOW)
    for number in range(streams):
        packed, size = struct.unpack_from("<QQ", data, table + 16 * number)
        if size > left or start + packed > len(data):
            raise ValueError("its streams are longer than announced")
        try:
            parts.append(opener.stream_reader(data[start : start + packed]).read(size))
        except zstandard.ZstdError:
            raise ValueError("a stream of it is damaged") from None
        start, left = start + packed, left - size
    return b"".join(parts)


def _header(data: bytes, versions: tuple[int, ...]) -> tuple[int, int, int, int]:
    """Number, degree, fractional bits, version."""
    if len(data) < _HEADER.size:
        raise ValueError("it was cut off")
    magic, version, count, degree, bits, flags, _ = _HEADER.unpack_from(data)
    if magic != MAGIC:
        raise ValueError("it does not begin with 'NGSP'")
    if version not in versions:
        raise ValueError(f"it is of version {version}, which is not known")
    if flags & _EXTENSIONS and version < 4:
        raise ValueError("it has extensions")
    if not 0 < count <= MOST_GAUSSIANS or degree > 3 or bits > 24:
        raise ValueError(f"it announces {count} Gaussians of degree {degree} with {bits} fractional bits")
    return count, degree, bits, version


def _size(count: int, degree: int, version: int) -> int:
    """Bytes after the header."""
    return count * (16 + (3 if version == 2 else 4) + 3 * ((degree + 1) ** 2 - 1))


def _gaussians(data: bytes, count: int, degree: int, bits: int, version: int) -> Gaussians:
    if len(data) < _size(count, degree, version):
        raise ValueError("it was cut off")
    turn = 3 if version == 2 else 4
    rest = (degree + 1) ** 2 - 1
    parts, start = [], 0
    for width in (9, 1, 3, 3, turn, 3 * rest):
        parts.append(np.frombuffer(data, np.uint8, count * width, start).reshape(count, width))
        start += count * width
    positions, opacities, colours, scales, turns, coefficients = parts
    sh = np.empty((count, rest + 1, 3), np.float32)
    sh[:, 0] = (colours / 255.0 - 0.5) / _COLOUR
    sh[:, 1:] = (coefficients.reshape(count, rest, 3) - 128.0) / 128
    opacity = np.clip(opacities[:, 0] / 255.0, 0.25 / 255, 1 - 0.25 / 255)
    return Gaussians(
        _fixed(positions) / 2.0**bits,
        scales / 16.0 - 10,
        _first_restored(turns) if version == 2 else _smallest_restored(turns),
        np.log(opacity / (1 - opacity)),
        sh,
    )


def _fixed(positions: Array) -> Array:
    """(n, 3) whole numbers of 24 bits with sign."""
    words = np.zeros((len(positions), 3, 4), np.uint8)
    words[..., 1:] = positions.reshape(-1, 3, 3)
    return words.view("<i4")[..., 0] >> 8


def _first_restored(turns: Array) -> Array:
    """(n, 4) quaternions w x y z."""
    xyz = turns / 127.5 - 1
    w = np.sqrt(np.maximum(0, 1 - (xyz**2).sum(axis=1, keepdims=True)))
    return np.concatenate([w, xyz], axis=1)


def _smallest_restored(turns: Array) -> Array:
    """(n, 4) quaternions w x y z."""
    packed = np.ascontiguousarray(turns).view("<u4")[:, 0]
    largest = packed >> 30
    q = np.zeros((len(packed), 4))
    for part in (3, 2, 1, 0):
        size = (packed & _NINE) / (_NINE * 2**0.5)
        word = np.where((packed >> 9) & 1, -size, size)
        q[:, part] = np.where(largest == part, 0, word)
        packed = np.where(largest == part, packed, packed >> 10)
    q[np.arange(len(q)), largest] = np.sqrt(np.maximum(0, 1 - (q**2).sum(axis=1)))
    return q[:, [3, 0, 1, 2]]
