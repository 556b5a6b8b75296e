# SPDX-License-Identifier: GPL-3.0-or-later
"""What stands in for the objects of a pickle while it is read, and how arrays are made of it afterwards."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

import numpy as np

_PLAIN = re.compile(r"b1|[iuf]\d{1,2}|[SU]\d{1,4}")
_LARGEST_DENSE = 5_000_000
"""Cells of a sparse matrix written out; FLAME's joint regressor has 25,115."""
_DEEPEST = 24
_LARGEST_RESULT = 200_000
"""Objects in all: every object of a file once, as what is shared stays shared."""


class Budget:
    """Bytes that the reading of one file may still copy."""

    def __init__(self, size: int) -> None:
        self._left = size

    def spend(self, size: int) -> None:
        """Take `size` bytes; ValueError when they are not there."""
        self._left -= size
        if self._left < 0:
            raise ValueError("it unpacks to far more than its size")


class _Sealed(type):
    """A class that a pickle's BUILD opcode cannot write attributes to."""

    def __setattr__(cls, name: str, value: Any) -> None:
        raise ValueError("state for a class")


class DtypeStub:
    """`numpy.dtype` with its state kept aside."""

    def __init__(self, code: Any = "", *_flags: Any) -> None:
        self.code, self.order = code, "="

    def __setstate__(self, state: Any) -> None:
        self.order = state[1] if isinstance(state[1], str) else state[1].decode("ascii")

    @property
    def is_object(self) -> bool:
        """Whether the array holds Python objects."""
        return isinstance(self.code, str) and re.fullmatch(r"O[48]?", self.code) is not None

    def plain(self) -> np.dtype[Any]:
        """The dtype; ValueError for anything but numbers, booleans and strings."""
        if not isinstance(self.code, str) or not _PLAIN.fullmatch(self.code) or self.order not in "<>=|":
            raise ValueError(f"an array of the type {str(self.code)[:20]!r}")
        found = np.dtype(self.order + self.code)
        if not found.itemsize:
            raise ValueError("an array of nothing")
        return found


class ArrayStub(metaclass=_Sealed):
    """`numpy.ndarray` as the last four values of its state: shape, dtype, Fortran order, data."""

    state: tuple[Any, ...] = ()

    def __init__(self, *_arguments: Any) -> None:
        """Takes and forgets what the real class takes."""

    def __setstate__(self, state: Any) -> None:
        if not isinstance(state, tuple) or len(state) not in (4, 5):
            raise ValueError("an array without its data")
        self.state = state[-4:]


class ObjectStub(metaclass=_Sealed):
    """A chumpy object: its state, of which `x` is the array."""

    state: Mapping[str, Any] = MappingProxyType({})

    def __init__(self, *_arguments: Any) -> None:
        """Takes and forgets what the real class takes."""

    def __setstate__(self, state: Any) -> None:
        self.state = state if isinstance(state, dict) else {}


class RowsStub(ObjectStub):
    """A matrix of SciPy in compressed rows: `data`, `indices`, `indptr` and its shape."""


class ColumnsStub(ObjectStub):
    """A matrix of SciPy in compressed columns."""


class ReadyStub(metaclass=_Sealed):
    """An array that the reader of a format has made already."""

    __slots__ = ("array",)

    def __init__(self, array: np.ndarray) -> None:
        self.array = array

    def __setstate__(self, _state: Any) -> None:
        raise ValueError("state for an array that is there")


class TableStub(dict[Any, Any], metaclass=_Sealed):
    """A mapping that may be given further state, which is forgotten."""

    __slots__ = ()

    def __setstate__(self, _state: Any) -> None:
        """Takes and forgets what the real class takes."""


STUBS = (ArrayStub, ObjectStub, RowsStub, ColumnsStub)


class _Resolver:
    """Turns stubs into arrays, each object once, however often a file refers to it."""

    def __init__(self, objects: bool, budget: Budget) -> None:
        self._objects = objects
        self._budget = budget
        self._done: dict[int, Any] = {}
        self._kept: list[Any] = []

    def __call__(self, value: Any, depth: int = 0) -> Any:
        if value is None or isinstance(value, str | bytes | bool | int | float | np.generic):
            return value
        if id(value) in self._done:
            return self._done[id(value)]
        if depth > _DEEPEST or len(self._kept) > _LARGEST_RESULT:
            raise ValueError("it is nested too deeply")
        self._kept.append(value)  # its id stays its own while it lives
        result = self._made(value, depth + 1)
        self._done[id(value)] = result
        return result

    def _made(self, value: Any, depth: int) -> Any:
        if isinstance(value, ArrayStub):
            return self._array(value, depth)
        if isinstance(value, ReadyStub):
            return value.array
        if isinstance(value, RowsStub | ColumnsStub):
            return self._dense(value, depth)
        if isinstance(value, ObjectStub):
            if "x" not in value.state:
                raise ValueError("a chumpy expression instead of an array")
            return self(value.state["x"], depth)
        if isinstance(value, dict):
            return {self._key(k): self(v, depth) for k, v in value.items()}
        if isinstance(value, list | tuple):
            return type(value)(self(item, depth) for item in value)
        if isinstance(value, set):
            return value
        raise ValueError(f"a bare {type(value).__name__.lower()}")

    @staticmethod
    def _key(key: Any) -> Any:
        if isinstance(key, bytes):
            return key.decode("latin1")
        if not isinstance(key, str | int | np.integer):
            raise ValueError("a key that is no name")
        return int(key) if isinstance(key, np.integer) else key

    def _array(self, stub: ArrayStub, depth: int) -> Any:
        if not stub.state:
            raise ValueError("an array without its data")
        shape, dtype, fortran, data = stub.state
        if not isinstance(dtype, DtypeStub) or not isinstance(shape, tuple) or len(shape) > 8:
            raise ValueError("an array of an unknown form")
        if not all(isinstance(n, int) and n >= 0 for n in shape):
            raise ValueError("an array of an unknown form")
        count = math.prod(shape)
        if dtype.is_object:
            return self._object_array(shape, data, count, depth)
        kind = dtype.plain()
        self._budget.spend(len(data))
        raw = data.encode("latin1") if isinstance(data, str) else data
        if not isinstance(raw, bytes) or len(raw) != count * kind.itemsize:
            raise ValueError("an array whose data do not fit its shape")
        return np.ndarray(shape, kind, raw, order="F" if fortran else "C")

    def _object_array(self, shape: tuple[int, ...], data: Any, count: int, depth: int) -> Any:
        if not self._objects or not isinstance(data, list) or len(data) != count:
            raise ValueError("an array of Python objects")
        items = [self(item, depth) for item in data]
        return items[0] if shape == () else items

    def _dense(self, stub: RowsStub | ColumnsStub, depth: int) -> np.ndarray:
        state = {k: self(v, depth) for k, v in stub.state.items() if isinstance(k, str)}
        shape = tuple(int(n) for n in state.get("_shape", state.get("shape", ())))
        data, indices, indptr = (np.asarray(state[k]) for k in ("data", "indices", "indptr"))
        if len(shape) != 2 or min(shape) < 0 or shape[0] * shape[1] > _LARGEST_DENSE:
            raise ValueError("a sparse matrix of an unknown shape")
        self._budget.spend(8 * shape[0] * shape[1])
        columns = isinstance(stub, ColumnsStub)
        outer, inner = shape[::-1] if columns else shape
        return _filled(outer, inner, data, indices, indptr, columns)


def _filled(
    outer: int, inner: int, data: np.ndarray, indices: np.ndarray, indptr: np.ndarray, columns: bool
) -> np.ndarray:
    """The matrix in full; ValueError where an index points outside."""
    if (
        len(indptr) != outer + 1
        or data.ndim != 1
        or data.shape != indices.shape
        or data.dtype.kind not in "fiu"
    ):
        raise ValueError("a sparse matrix whose parts do not fit")
    if data.size and (indices.min() < 0 or indices.max() >= inner):
        raise ValueError("a sparse matrix that points outside")
    if indptr[0] != 0 or indptr[-1] != len(data) or np.any(np.diff(indptr) < 0):
        raise ValueError("a sparse matrix whose parts do not fit")
    dense = np.zeros((outer, inner))
    np.add.at(dense, (np.repeat(np.arange(outer), np.diff(indptr)), indices), data)
    return dense.T.copy() if columns else dense


def resolved(value: Any, objects: bool, budget: Budget) -> Any:
    """The content of a pickle without stubs: plain values and numpy arrays; ValueError for anything else.

    `objects`: arrays of Python objects are lists then, or the object itself where the array has no axis.
    """
    return _Resolver(objects, budget)(value)
