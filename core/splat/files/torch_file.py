# SPDX-License-Identifier: GPL-3.0-or-later
"""Files of `torch.save` as plain values and numpy arrays, without torch and without running what is in them.

Layout since PyTorch 1.6: a zip with a pickle `NAME/data.pkl` and the bytes of every storage `NAME/data/KEY`,
to which the pickle refers by ids ('storage', kind, key, device, number of elements). The pickle is read by
`core.unpickle`; tensors become read-only views of their storages, wherever they were. Nothing is unpacked:
torch stores without compression, so no file can hold more than its size.
"""

from __future__ import annotations

import math
import zipfile
from pathlib import Path
from typing import Any

import numpy as np

from ...errors import SplatError
from ...unpickle import load_pickle
from ...unpickle_stubs import ReadyStub, TableStub

Array = np.ndarray

LARGEST_FILE = 4 << 30
LARGEST_PICKLE = 64 << 20
MOST_MEMBERS = 20_000
_KINDS = {
    "FloatStorage": "f4", "DoubleStorage": "f8", "HalfStorage": "f2", "BFloat16Storage": "bf16",
    "LongStorage": "i8", "IntStorage": "i4", "ShortStorage": "i2", "CharStorage": "i1",
    "ByteStorage": "u1", "BoolStorage": "b1",
}  # fmt: skip


class _Kind:
    """The type of a storage's elements: a name that cannot be called or written to."""

    __slots__ = ("code",)

    def __init__(self, code: str) -> None:
        self.code = code

    def __setstate__(self, _state: Any) -> None:
        raise ValueError("state for a type")


class _Storage:
    """The elements of a storage, (n,)."""

    __slots__ = ("values",)

    def __init__(self, values: Array) -> None:
        self.values = values

    def __setstate__(self, _state: Any) -> None:
        raise ValueError("state for a storage")


def read_torch(path: Path, noun: str = "checkpoint") -> Any:
    """What a file of `torch.save` holds, tensors as arrays; LikenessError in one sentence for another."""
    try:
        size = path.stat().st_size
        if size > LARGEST_FILE:
            raise SplatError(f"{path.name} is larger than {LARGEST_FILE >> 30} GB.")
        with zipfile.ZipFile(path) as archive:
            storages = _Storages(archive, size)
            return load_pickle(
                storages.pickle(), path.name, noun=noun, makers=_makers(), outside=storages.of_id
            )
    except FileNotFoundError:
        raise SplatError(f"{path.name} is missing in {path.parent}.") from None
    except zipfile.BadZipFile:
        raise SplatError(
            f"{path.name} is damaged or no {noun} that can be read.",
            "Files of PyTorch before 1.6 must be saved again by a newer one.",
        ) from None
    except (ValueError, NotImplementedError, RuntimeError) as problem:
        raise SplatError(f"{path.name} is damaged or no {noun} that can be read: {problem}.") from None
    except OSError as problem:
        raise SplatError(f"{path} cannot be read: {problem.strerror or problem}.") from problem


class _Storages:
    """The members of the zip, each read once."""

    def __init__(self, archive: zipfile.ZipFile, size: int) -> None:
        members = archive.infolist()
        pickles = [member for member in members if member.filename.endswith("/data.pkl")]
        if len(members) > MOST_MEMBERS or len(pickles) != 1 or pickles[0].file_size > LARGEST_PICKLE:
            raise ValueError("it has not the one pickle that torch writes")
        if any(member.compress_type != zipfile.ZIP_STORED for member in members):
            raise ValueError("it is compressed, which torch never does")
        if sum(member.file_size for member in members) > size:
            raise ValueError("its parts overlap")
        self._archive, self._pickle = archive, pickles[0]
        self._folder = pickles[0].filename.removesuffix("data.pkl")
        self._members = {member.filename: member for member in members}
        self._read: dict[str, tuple[str, _Storage]] = {}
        order = self._members.get(f"{self._folder}byteorder")
        big = order is not None and order.file_size < 16 and archive.read(order) == b"big"
        self._order = ">" if big else "<"

    def pickle(self) -> bytes:
        """The bytes of the pickle."""
        return self._archive.read(self._pickle)

    def of_id(self, pid: Any) -> _Storage:
        """The storage that an id of the pickle means; ValueError for any other id."""
        if not isinstance(pid, tuple) or len(pid) != 5 or pid[0] != "storage":
            raise ValueError("an outside object that is no storage")
        kind, key, count = pid[1], pid[2], pid[4]
        if not isinstance(kind, _Kind) or not isinstance(key, str) or not isinstance(count, int):
            raise ValueError("a storage of an unknown form")
        if key not in self._read:
            self._read[key] = (kind.code, _Storage(self._values(key, kind.code)))
        code, storage = self._read[key]
        if code != kind.code or len(storage.values) < count:
            raise ValueError(f"storage {key[:20]!r} is shorter than announced or of another type")
        return storage

    def _values(self, key: str, code: str) -> Array:
        member = self._members.get(f"{self._folder}data/{key}")
        if member is None:
            raise ValueError(f"storage {key[:20]!r} is missing")
        data = self._archive.read(member)
        if code == "bf16":
            words = np.frombuffer(data, self._order + "u2").astype(np.uint32) << np.uint32(16)
            return words.view(np.float32)
        if code == "b1":
            return np.frombuffer(data, np.uint8) != 0
        return np.frombuffer(data, self._order + code)


def _makers() -> dict[tuple[str, str], Any]:
    found: dict[tuple[str, str], Any] = {("torch", name): _Kind(code) for name, code in _KINDS.items()}
    return found | {
        ("torch._utils", "_rebuild_tensor_v2"): _tensor,
        ("torch._utils", "_rebuild_parameter"): _parameter,
        ("torch._utils", "_rebuild_parameter_with_state"): _parameter,
        ("torch", "Size"): _size,
        ("torch", "device"): _device,
        ("collections", "OrderedDict"): _table,
    }


def _tensor(storage: Any, offset: Any, size: Any, stride: Any, *_more: Any) -> ReadyStub:
    """A read-only view of a storage; ValueError unless all of it is inside and no larger."""
    if not isinstance(storage, _Storage) or not isinstance(size, tuple) or not isinstance(stride, tuple):
        raise ValueError("a tensor of an unknown form")
    whole = (offset, *size, *stride)
    if len(size) != len(stride) or len(size) > 8 or not all(type(n) is int and n >= 0 for n in whole):
        raise ValueError("a tensor of an unknown form")
    count, values = math.prod(size), storage.values
    last = offset + sum((n - 1) * step for n, step in zip(size, stride, strict=True))
    if count > len(values) or (count and last >= len(values)):
        raise ValueError("a tensor that leaves its storage")
    if not count:
        return ReadyStub(np.zeros(size, values.dtype))
    strides = [step * values.itemsize for step in stride]
    view = np.lib.stride_tricks.as_strided(values[offset:], size, strides, writeable=False)
    return ReadyStub(view)


def _parameter(data: Any, *_more: Any) -> ReadyStub:
    if not isinstance(data, ReadyStub):
        raise ValueError("a parameter without its tensor")
    return data


def _size(values: Any = ()) -> tuple[Any, ...]:
    if not isinstance(values, list | tuple):
        raise ValueError("a shape of an unknown form")
    return tuple(values)


def _device(*names: Any) -> str:
    return ":".join(str(name)[:20] for name in names[:2])


def _table(pairs: Any = ()) -> TableStub:
    if not isinstance(pairs, list | tuple):
        raise ValueError("a mapping of an unknown form")
    return TableStub(pairs)
