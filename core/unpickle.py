# SPDX-License-Identifier: GPL-3.0-or-later
"""Read pickled arrays of unknown origin without running what is in them.

FLAME's files are pickles of Python 2 with arrays, SciPy's sparse matrices and chumpy objects; other models
keep dicts in arrays of Python objects. Every name in them is looked up in a table of our own
(formats-cap4d 2.5): nothing is imported, what an object is rebuilt from is kept as inert data, and only after
the file is read are those data checked and made arrays. The opcodes are walked once before, so that no
announced length, memo index or nesting can exceed what the file holds.

Three additions to that table, all inert: `set`, which every chumpy object has in its state, `bytes()` without
arguments, which stands for no data, and `copy_reg._reconstructor`, which protocols 0 and 1 write.
"""

from __future__ import annotations

import io
import math
import pickle
import pickletools
import re
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from .errors import ModelError
from .unpickle_stubs import STUBS, ArrayStub, Budget, ColumnsStub, DtypeStub, ObjectStub, RowsStub, resolved

LARGEST_FILE = 512 * 2**20
MOST_OPCODES = 50_000
"""A FLAME file has some hundreds; its arrays are one opcode each."""
_REFUSED = frozenset({"EXT1", "EXT2", "EXT4", "PERSID", "BINPERSID", "NEXT_BUFFER", "READONLY_BUFFER"})
_OPCODES = {opcode.code: opcode for opcode in pickletools.opcodes}
_PUTS = frozenset({"PUT", "BINPUT", "LONG_BINPUT"})
_CHUMPY = re.compile(r"chumpy(\.[a-z_]+)*")
_SPARSE = re.compile(r"scipy\.sparse(\._?(csc|csr))?")
_NUMPY = re.compile(r"numpy(\._?core\.multiarray)?")
_SPARSE_STUBS = {
    "csc_matrix": ColumnsStub,
    "csc_array": ColumnsStub,
    "csr_matrix": RowsStub,
    "csr_array": RowsStub,
}
_LARGEST_SET = 1000


def load_pickle(
    data: bytes,
    name: str,
    *,
    objects: bool = False,
    noun: str = "head model",
    makers: Mapping[tuple[str, str], Any] | None = None,
    outside: Callable[[Any], Any] | None = None,
) -> Any:
    """What a pickle holds, as dicts, lists, strings, numbers and numpy arrays; sparse matrices become dense.

    `objects`: also arrays of Python objects, as numpy writes a pickled dict. `makers`: what else stands for
    names (module, name): functions of ours, or things that cannot be called. `outside`: what an outside
    object, which a format keeps beside the pickle, is by its id; without it there is none. ModelError in one
    sentence, with `name` and the `noun` of what it should be, for a file that is too large, damaged, or asks
    for anything that is not on the list.
    """
    if len(data) > LARGEST_FILE:
        raise ModelError(f"{name} is larger than {LARGEST_FILE >> 20} MB and cannot be a {noun}.")
    try:
        _walk(data, outside is not None)
        budget = Budget(max(64 << 20, 4 * len(data)))
        return resolved(_Unpickler(data, budget, makers or {}, outside).load(), objects, budget)
    except _Refused as problem:
        raise ModelError(
            f"{name} was not opened: it asks for {problem}, which no {noun} needs.",
            "It may be harmful; download the model again from its authors.",
        ) from None
    except (ModelError, KeyboardInterrupt):
        raise
    except Exception as problem:  # noqa: BLE001  whatever damage makes of the machine, it is one bad file
        what = str(problem).splitlines()[0][:120] if str(problem) else type(problem).__name__
        raise ModelError(f"{name} is damaged or no pickled {noun} ({what}).") from None


def read_npy(data: bytes, name: str, noun: str = "head model") -> Any:
    """One .npy: numbers by numpy, Python objects by the restricted unpickler.

    ValueError where it is not as long as it announces.
    """
    stream = io.BytesIO(data)
    version = np.lib.format.read_magic(stream)
    read_header = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}
    if version not in read_header:
        raise ValueError("an unknown version of the .npy format")
    shape, _order, dtype = read_header[version](stream)
    if dtype.hasobject:
        return load_pickle(data[stream.tell() :], name, objects=True, noun=noun)
    if (
        math.prod(shape) * dtype.itemsize != len(data) - stream.tell()
    ):  # numpy would allocate what is announced
        raise ValueError("an array that is not as long as its header says")
    return np.lib.format.read_array(io.BytesIO(data), allow_pickle=False)


class _Refused(Exception):
    """Names what a pickle asked for and does not get."""


def _walk(data: bytes, outside: bool) -> None:
    """Read all opcodes without doing them. The readers check every announced length against what is there.

    `outside`: whether binary ids of outside objects are allowed.
    """
    refused = _REFUSED - {"BINPERSID"} if outside else _REFUSED
    stream = io.BytesIO(data)
    for _ in range(MOST_OPCODES):
        opcode = _OPCODES.get(stream.read(1).decode("latin1"))
        if opcode is None:
            raise ValueError("an instruction is none")
        argument = _argument(stream, opcode)
        if opcode.name == "STOP":
            return
        if opcode.name in refused:
            raise _Refused("an outside object")
        if opcode.name in _PUTS and not (isinstance(argument, int) and 0 <= argument <= MOST_OPCODES):
            raise ValueError("a memo index is out of range")
    raise ValueError(f"it has more than {MOST_OPCODES} instructions")


def _argument(stream: io.BytesIO, opcode: pickletools.OpcodeInfo) -> Any:
    """What follows an opcode. The library's reader of protocol 0's strings takes ASCII only, and the arrays
    of Python 2 are strings there.
    """
    if opcode.arg is None:
        return None
    if opcode.name == "STRING":
        return stream.readline()
    return opcode.arg.reader(stream)  # pyright: ignore[reportCallIssue]  any binary stream will do


class _Unpickler(pickle.Unpickler):
    """`pickle.Unpickler` whose every global is one of ours."""

    def __init__(
        self,
        data: bytes,
        budget: Budget,
        makers: Mapping[tuple[str, str], Any],
        outside: Callable[[Any], Any] | None,
    ) -> None:
        super().__init__(io.BytesIO(data), fix_imports=False, encoding="latin1")
        self._budget, self._makers, self._outside = budget, makers, outside

    def persistent_load(self, pid: Any) -> Any:
        """What the reader of the format says an outside object is."""
        if self._outside is None:
            raise _Refused("an outside object")
        return self._outside(pid)

    def find_class(self, module: str, name: str) -> Any:
        """The inert stand-in for a name, or `_Refused`."""
        if (module, name) in self._makers:
            maker = self._makers[module, name]
            return _Call(maker) if callable(maker) else maker
        found = self._array_maker(module, name) if _NUMPY.fullmatch(module) else None
        if found is None and _CHUMPY.fullmatch(module) and name.isidentifier():
            found = ObjectStub
        elif found is None and _SPARSE.fullmatch(module):
            found = _SPARSE_STUBS.get(name)
        elif found is None:
            found = self._plain_maker(module, name)
        if found is None:
            raise _Refused(f"{module[:60]}.{name[:60]}")
        return found

    def _array_maker(self, module: str, name: str) -> Any:
        if module == "numpy":
            return {"ndarray": ArrayStub, "dtype": _Call(DtypeStub)}.get(name)
        return {"_reconstruct": _Call(_reconstruct), "scalar": _Call(self._scalar)}.get(name)

    def _plain_maker(self, module: str, name: str) -> Any:
        makers: dict[tuple[str, str], Callable[..., Any]] = {
            ("_codecs", "encode"): self._encode,
            ("collections", "OrderedDict"): _ordered,
        }
        for home in ("__builtin__", "builtins"):
            makers[home, "set"] = _set
            makers[home, "bytes"] = _no_bytes
            makers[home, "object"] = _refuse_call
        for home in ("copy_reg", "copyreg"):
            makers[home, "_reconstructor"] = _reconstructor
        found = makers.get((module, name))
        return None if found is None else _Call(found)

    def _encode(self, text: str, encoding: str = "latin1") -> bytes:
        if not isinstance(text, str) or encoding not in ("latin1", "latin-1"):
            raise ValueError("bytes in an unknown coding")
        self._budget.spend(len(text))
        return text.encode("latin1")

    def _scalar(self, dtype: Any, data: Any) -> Any:
        if not isinstance(dtype, DtypeStub) or not isinstance(data, bytes | str) or len(data) > 4096:
            raise ValueError("a number that is not one")
        raw = data.encode("latin1") if isinstance(data, str) else data
        return np.frombuffer(raw, dtype.plain(), count=1)[0]


class _Call:
    """A function that a pickle may call and can do nothing else with: it has no attributes to write to."""

    __slots__ = ("_function",)

    def __init__(self, function: Callable[..., Any]) -> None:
        self._function = function

    def __call__(self, *arguments: Any) -> Any:
        return self._function(*arguments)

    def __setstate__(self, _state: Any) -> None:
        raise ValueError("state for a function")


def _reconstruct(kind: Any, _shape: Any = (0,), _code: Any = b"b") -> ArrayStub:
    """An empty array to be filled by its state; the announced shape is not allocated."""
    if kind is not ArrayStub:
        raise ValueError("an array of an unknown class")
    return ArrayStub()


def _reconstructor(kind: Any, _base: Any = None, _state: Any = None) -> Any:
    if kind not in STUBS:
        raise ValueError("an object of an unknown class")
    return kind()


def _no_bytes(*arguments: Any) -> bytes:
    """`bytes()`, as protocols before 3 write an empty array's data."""
    if arguments:
        raise ValueError("bytes made of something")
    return b""


def _set(items: Any = ()) -> set[Any]:
    if not isinstance(items, list | tuple) or len(items) > _LARGEST_SET:
        raise ValueError("a set that is too large")
    return set(items)


def _ordered(pairs: Any = ()) -> dict[Any, Any]:
    if not isinstance(pairs, list | tuple):
        raise ValueError("a mapping of an unknown form")
    return dict(pairs)


def _refuse_call(*_arguments: Any) -> Any:
    raise ValueError("a bare object")
