# SPDX-License-Identifier: GPL-3.0-or-later
"""The restricted unpickler: what head models hold comes out equal, all else is refused and never runs."""

from __future__ import annotations

import collections
import contextlib
import copyreg
import io
import os
import pickle
import struct
import tracemalloc

import numpy as np
import pytest
from flame_files import python2_pickle

from core.errors import ModelError
from core.unpickle import LARGEST_FILE, MOST_OPCODES, load_pickle

TRIPPED: list[str] = []


def trip(*arguments: object) -> str:
    """What no pickle may call."""
    TRIPPED.append(str(arguments))
    return "tripped"


class Calls:
    """Pickles as a call of a function."""

    def __init__(self, function, *arguments) -> None:
        self.function, self.arguments = function, arguments

    def __reduce__(self):
        return self.function, self.arguments


def refused(data: bytes, match: str = "model.pkl", **options) -> str:
    """The message of the one error that a pickle ends in."""
    TRIPPED.clear()
    with pytest.raises(ModelError, match=match) as caught:
        load_pickle(data, "model.pkl", **options)
    assert not TRIPPED
    assert "model.pkl" in caught.value.message and "\n" not in caught.value.message
    return caught.value.message


ARRAYS = {
    "double": np.linspace(-1, 1, 12).reshape(3, 4),
    "columns first": np.asfortranarray(np.arange(6.0, dtype=np.float32).reshape(2, 3)),
    "big end": np.arange(5, dtype=">i4"),
    "unsigned": np.array([2**32 - 1, 0], np.uint32),
    "truth": np.array([True, False]),
    "text": np.array(["cam0", "cam1"]),
    "bytes": np.array([b"lbs"]),
    "empty": np.zeros((0, 3)),
    "one": np.float64(2.5),
    "whole": np.int64(-7),
}


@pytest.mark.parametrize("protocol", [0, 1, 2, 3, 4])
def test_plain_values_and_arrays_come_out_equal(protocol):
    value = ARRAYS | {"nested": [1, (2, "three"), {"four": None}], "ordered": collections.OrderedDict(a=1)}
    read = load_pickle(pickle.dumps(value, protocol), "model.pkl")
    assert read["nested"] == value["nested"] and read["ordered"] == {"a": 1}
    for name, array in ARRAYS.items():
        assert np.array_equal(read[name], array) and np.asarray(read[name]).dtype == array.dtype, name


@pytest.mark.parametrize("protocol", [0, 1, 2])
def test_what_python_2_wrote_is_read_with_chumpy_and_scipy_absent(protocol):
    template, sparse = np.random.default_rng(0).normal(size=(7, 3)), np.zeros((5, 7))
    sparse[[0, 1, 4], [2, 0, 6]] = 0.25, 1.5, -3
    data = python2_pickle(
        {"v_template": template, "J_regressor": sparse, "bs_type": "lrotmin"}, ("v_template",)
    )
    assert b"chumpy.ch" in data and b"scipy.sparse.csc" in data
    read = load_pickle(data, "model.pkl")
    assert np.array_equal(read["v_template"], template) and read["bs_type"] == "lrotmin"
    assert np.array_equal(read["J_regressor"], sparse)


@pytest.mark.parametrize("kind", ["csc_matrix", "csr_matrix", "csc_array", "csr_array"])
def test_what_scipy_writes_today_is_read(kind):
    sparse = pytest.importorskip("scipy.sparse")
    dense = np.random.default_rng(1).normal(size=(4, 6)) * (np.random.default_rng(2).random((4, 6)) < 0.4)
    for value in (dense, np.eye(5)):  # a square one has the same number of rows and columns
        data = pickle.dumps({"J": getattr(sparse, kind)(value)}, 2)
        assert np.array_equal(load_pickle(data, "model.pkl")["J"], value)


@pytest.mark.parametrize(
    "call",
    [
        Calls(trip, "now"),
        Calls(os.system, "echo no"),
        Calls(eval, "1+1"),
        Calls(exec, "x=1"),
        Calls(getattr, "x", "upper"),
        Calls(__import__, "os"),
        Calls(open, "x"),
        Calls(np.load, "x.npy"),
        Calls(np.fromfile, "x"),
        Calls(np.zeros, (10, 10)),
        Calls(io.BytesIO, b"x"),
        Calls(copyreg.add_extension, "os", "system", 1),
        Calls(pickle.loads, b"N."),
        Calls(collections.defaultdict, list),
        Calls(bytearray, 10),
        Calls(range, 10),
        Calls(type, "T", (), {}),
    ],
    ids=lambda call: getattr(call.function, "__name__", "call"),
)
@pytest.mark.parametrize("protocol", [0, 2, 4])
def test_no_function_is_called(call, protocol):
    refused(pickle.dumps({"v_template": call}, protocol), "which no head model needs")


def text(value: str) -> bytes:
    """A short string as protocol 4 pushes it."""
    return b"\x8c" + bytes([len(value)]) + value.encode()


@pytest.mark.parametrize(
    "module_and_name",
    [
        ("os", "system"),
        ("chumpy.ch", "__import__('os').x"),
        ("chumpy", "ch.Ch"),
        ("numpy", "ndarray.tofile"),
        ("numpy.core.multiarray", "fromfile"),
        ("numpy", "load"),
        ("scipy.sparse", "load_npz"),
        ("scipy.sparse._csc", "numpy"),
        ("collections", "OrderedDict.__init__"),
        ("_codecs", "lookup"),
        ("builtins", "eval"),
        ("__builtin__", "eval"),
        ("", ""),
    ],
)
def test_names_are_not_reached_through_others(module_and_name):
    module, name = module_and_name
    refused(b"\x80\x04" + text(module) + text(name) + b"\x93.", "which no head model needs")


def test_state_cannot_be_written_to_what_is_handed_out():
    """BUILD sets attributes where it can: never on our functions and classes, which the next file meets."""
    for name in (b"cnumpy\nndarray\n", b"cnumpy\ndtype\n", b"cchumpy.ch\nCh\n", b"c_codecs\nencode\n"):
        for state in (b"}X\x01\x00\x00\x00xK\x01sb.", b"N}X\x0c\x00\x00\x00__setstate__K\x01s\x86b."):
            refused(b"\x80\x02" + name + state)
    test_plain_values_and_arrays_come_out_equal(2)


def test_reduce_chains_and_objects_end_in_one_sentence():
    inner = Calls(trip, "inner")
    refused(pickle.dumps([Calls(collections.OrderedDict, [("a", inner)])], 2))
    refused(b"\x80\x02cchumpy.ch\nCh\n.", "bare")
    refused(b"\x80\x02cchumpy.ch\nCh\n)\x81.", "chumpy expression")
    refused(b"(ios\nsystem\n.")
    refused(b"\x80\x02(cos\nsystem\nX\x02\x00\x00\x00noo.")
    refused(b"\x80\x02\x82\x01.", "outside object")
    refused(b"Pid\n.", "outside object")


def test_arrays_of_python_objects_are_refused_in_models_and_harmless_elsewhere():
    data = pickle.dumps(np.array([{"a": 1}, None], object), 3)
    refused(data, "array of Python objects")
    assert load_pickle(data, "x.npy", objects=True) == [{"a": 1}, None]
    assert (
        load_pickle(pickle.dumps(np.array({"expr": np.ones(2)}, object), 3), "x", objects=True)["expr"][1]
        == 1
    )
    refused(
        pickle.dumps(np.array([Calls(trip, "now")], object), 3), "which no head model needs", objects=True
    )


def array_state(shape: tuple[int, ...], dtype: str, data: bytes) -> bytes:
    """A pickle of an array with any state."""
    head = b"\x80\x02cnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\nK\x00\x85U\x01b\x87R"
    kind = b"cnumpy\ndtype\n" + pickle.dumps(dtype, 2)[2:-1] + b"K\x00K\x01\x87R"
    raw = b"T" + struct.pack("<i", len(data)) + data
    return head + b"(K\x01" + pickle.dumps(shape, 2)[2:-1] + kind + b"\x89" + raw + b"tb."


def test_a_made_array_is_read_at_all():
    """So that the refusals below are for what they say."""
    assert load_pickle(array_state((2,), "f8", np.array([1.0, 2.0]).tobytes()), "model.pkl").tolist() == [
        1,
        2,
    ]


@pytest.mark.parametrize(
    ("shape", "dtype", "data"),
    [
        ((10**12,), "f8", b"12345678"),
        ((2**40, 2**40), "f8", b""),
        ((-1,), "f8", b""),
        ((3,), "f8", b"12345678"),
        ((10**12,), "S0", b""),
        ((1,), "V8", b"12345678"),
        ((1,), "O8", b"12345678"),
        ((1,), "f8,f8", b"1" * 16),
        ((1,) * 40, "u1", b"1"),
        ((1,), "M8[ns]", b"12345678"),
    ],
)
def test_arrays_that_announce_what_they_do_not_hold(shape, dtype, data):
    refused(array_state(shape, dtype, data))


def test_memory_stays_within_a_few_times_the_file():
    """Announced lengths, memo indices and repeated references cost nothing."""
    huge = struct.pack("<I", 2**31 - 1)
    bombs = [
        b"\x80\x04\x8e" + struct.pack("<Q", 2**40) + b"x.",
        b"\x80\x02X" + huge + b"x.",
        b"\x80\x02Nr" + huge + b".",
        b"\x80\x02T" + huge + b"x.",
        b"L" + b"9" * 200_000 + b"L\n.",
        b"\x80\x02cnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\n\x8a\x05\x00\x00\x00\x00\x7f\x85U\x01b\x87R.",
    ]
    tracemalloc.start()
    for bomb in bombs:
        refused(bomb)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 8 << 20


def test_shared_values_are_not_multiplied():
    """Ten references in ten references, nine deep: a billion values on paper, ninety objects in the file."""
    laughing: list[object] = ["ha"]
    for _ in range(9):
        laughing = [laughing] * 10
    read = load_pickle(pickle.dumps(laughing, 2), "model.pkl")
    assert read[0] is read[9] and read[3][4][5][6][7][8][0][1][2] == ["ha"]


def test_copies_of_one_string_are_bounded():
    """`_codecs.encode` copies its text each time it is called."""
    big = "x" * (4 << 20)
    calls = b"\x80\x02c_codecs\nencode\nq\x00" + pickle.dumps(big, 2)[2:-1].replace(b"q\x00", b"q\x01")
    refused(calls + b"h\x00h\x01\x85R0" * 40 + b".", "far more than its size")


def test_depth_length_and_size_are_bounded():
    refused(b"\x80\x02" + b"]" * 100 + b"a" * 99 + b".", "nested too deeply")
    refused(b"(" * 20_000 + b"l" * 19_999 + b".")
    refused(b"\x80\x02" + b"N0" * MOST_OPCODES + b"N.", "instructions")
    refused(b"x" * (LARGEST_FILE + 1), "larger than")


def test_sparse_matrices_that_point_outside(tmp_path):
    sparse = pytest.importorskip("scipy.sparse")
    for change in (
        {"indices": [9, 9]},
        {"indptr": [0, 9, 2, 2]},
        {"_shape": (10**6, 10**6)},
        {"data": [1.0]},
    ):
        matrix = sparse.csc_matrix(np.eye(3)[:, :3])
        matrix.__dict__.update({k: np.array(v) if isinstance(v, list) else v for k, v in change.items()})
        refused(pickle.dumps({"J": matrix}, 2))


def test_every_cut_ends_in_one_sentence():
    data = python2_pickle({"v_template": np.ones((3, 3)), "J_regressor": np.eye(5)}, ("v_template",))
    for stop in range(0, len(data) - 1, 7):
        refused(data[:stop])


def test_every_changed_byte_is_read_or_refused():
    data = python2_pickle({"v_template": np.ones((2, 3)), "J_regressor": np.eye(2)}, ("v_template",))
    rng = np.random.default_rng(0)
    for place in range(len(data)):
        changed = bytearray(data)
        changed[place] = rng.integers(256)
        with contextlib.suppress(ModelError):
            load_pickle(bytes(changed), "model.pkl")
