# SPDX-License-Identifier: GPL-3.0-or-later
"""Checkpoints of torch without torch: what they hold comes out equal, nothing in them runs, and CAP4D's are
understood.
"""

from __future__ import annotations

import io
import pickle
import struct
import zipfile
from pathlib import Path

import numpy as np
import pytest
from splat_file_samples import gaussians, never_another_error, refused

from core.splat.files.axes import HALF_TURN, turned_sh
from core.splat.files.checkpoint import newest_checkpoint, read_cap4d_checkpoint
from core.splat.files.torch_file import read_torch

NAMES = {"f4": "Float", "f8": "Double", "i8": "Long", "i4": "Int", "u1": "Byte", "f2": "Half"}


class Tensors(pickle._Pickler):
    """Pickles arrays as torch does tensors; written by hand, so that the test needs no torch."""

    def __init__(self, stream: io.BytesIO) -> None:
        super().__init__(stream, 2)
        self.storages: list[bytes] = []
        self.kept: list[object] = []  # the memo goes by the address of what is pickled

    def name(self, module: str, name: str) -> None:
        self.write(f"c{module}\n{name}\n".encode())

    def save(self, obj, save_persistent_id=True):
        if not isinstance(obj, np.ndarray):
            return super().save(obj, save_persistent_id)
        key = len(self.storages)
        self.storages.append(obj.tobytes("A"))
        self.name("torch._utils", "_rebuild_parameter")
        self.write(b"(")
        self.name("torch._utils", "_rebuild_tensor_v2")
        self.write(b"((")
        super().save("storage")
        self.name("torch", f"{NAMES[obj.dtype.str[1:]]}Storage")
        self.kept.append(str(key))
        super().save(self.kept[-1])
        super().save("cuda:0")
        super().save(obj.size)
        self.write(b"tQ")
        super().save(0)
        self.kept += [obj.shape, tuple(step // obj.itemsize for step in obj.strides)]
        super().save(self.kept[-2])
        super().save(self.kept[-1])
        super().save(False)
        self.name("collections", "OrderedDict")
        self.write(b")RtR")
        super().save(True)
        self.name("collections", "OrderedDict")
        self.write(b")RtR")
        return None


def saved(path: Path, content: object, **members: bytes) -> None:
    """A file as torch.save writes it."""
    stream = io.BytesIO()
    pickler = Tensors(stream)
    pickler.dump(content)
    parts = {"data.pkl": stream.getvalue(), "byteorder": b"little", "version": b"3\n"}
    parts |= {f"data/{key}": data for key, data in enumerate(pickler.storages)}
    archived(path, parts | members)


def archived(path: Path, parts: dict[str, bytes], compression: int = zipfile.ZIP_STORED) -> None:
    with zipfile.ZipFile(path, "w", compression) as archive:
        for name, data in parts.items():
            archive.writestr(f"archive/{name}", data)


def avatar(count: int = 7, degree: int = 2) -> tuple[dict, int]:
    """What CAP4D saves, with Gaussians of the samples."""
    given = gaussians(count, 3)
    sh = turned_sh(given.sh, HALF_TURN)
    parts = (
        *(degree, given.means, sh[:, :1].copy(), sh[:, 1:].copy(), given.log_scales, given.rotations),
        *(given.opacity_logits[:, None], np.arange(count, dtype=np.int64), np.ones(3, np.int32)),
        *(np.zeros(count, np.float32), np.zeros((count, 1), np.float32), np.zeros((count, 1), np.float32)),
        *({"state": {0: {"step": np.ones((), np.float32)}}, "param_groups": [{"lr": 0.1, "params": [0]}]}, 1),
    )
    net = {"model.model.0.weight": np.asfortranarray(np.arange(6, dtype=np.float32).reshape(2, 3))}
    held = {"shape": np.ones(150, np.float32), "base_rot": np.zeros(3, np.float32), "deform_net": net}
    return held | {"gaussians": parts}, 100_000


def test_an_avatar_is_read(tmp_path):
    content, iteration = avatar()
    saved(tmp_path / "chkpnt100000.pth", (content, iteration))
    saved(tmp_path / "chkpnt9000.pth", (content, 9000))
    assert newest_checkpoint(tmp_path).name == "chkpnt100000.pth"
    read = read_cap4d_checkpoint(tmp_path)
    given = gaussians(7, 3)
    assert read.iteration == 100_000 and read.local.degree == 2 and read.binding.tolist() == list(range(7))
    assert np.array_equal(read.local.means, given.means) and np.allclose(read.local.sh, given.sh[:, :9])
    assert np.array_equal(read.local.rotations, given.rotations) and read.shape.shape == (150,)
    weight = read.network["model.model.0.weight"]
    assert weight.tolist() == [[0, 1, 2], [3, 4, 5]] and not weight.flags.writeable


def test_what_torch_itself_writes_is_read(tmp_path):
    torch = pytest.importorskip("torch")
    net = torch.nn.Sequential(torch.nn.Conv2d(3, 2, 2), torch.nn.BatchNorm2d(2))
    whole = torch.arange(24, dtype=torch.float64).reshape(4, 6)
    content = {
        "net": net.state_dict(),
        "part": whole[1:3, ::2].T,
        "half": whole.half(),
        "brain": torch.tensor([1.5, -2.0], dtype=torch.bfloat16),
        "flags": torch.tensor([True, False]),
        "parameter": torch.nn.Parameter(torch.ones(2, 1)),
        "empty": torch.zeros(0, 3),
        "size": whole.size(),
        "numpy": np.arange(3.0),
    }
    torch.save((content, 5), tmp_path / "a.pth")
    read, count = read_torch(tmp_path / "a.pth")
    assert count == 5 and read["size"] == (4, 6)
    for name in ("part", "half", "flags", "empty"):
        assert np.array_equal(read[name], content[name].numpy()) and read[name].shape == content[name].shape
    assert read["brain"].tolist() == [1.5, -2.0] and read["parameter"].tolist() == [[1], [1]]
    assert read["numpy"].tolist() == [0, 1, 2] and set(read["net"]) == set(content["net"])
    assert np.array_equal(read["net"]["0.weight"], content["net"]["0.weight"].numpy())
    torch.save(content, tmp_path / "old.pth", _use_new_zipfile_serialization=False)
    refused(read_torch, tmp_path / "old.pth", "damaged")


class Calls:
    def __reduce__(self):
        return print, ("ran",)


def tensor(kind: bytes, key: str, count: int, offset: int, size: tuple, stride: tuple) -> bytes:
    """A pickle of one tensor with any numbers."""

    def plain(value) -> bytes:
        return pickle.dumps(value, 2)[2:-1]

    pid = b"(" + plain("storage") + b"ctorch\n" + kind + b"\n" + plain(key) + plain("cpu") + plain(count)
    rest = plain(offset) + plain(size) + plain(stride) + b"\x89N"
    return b"\x80\x02ctorch._utils\n_rebuild_tensor_v2\n(" + pid + b"tQ" + rest + b"tR."


def test_a_made_tensor_is_read_at_all(tmp_path):
    """So that the refusals below are for what they say."""
    data = np.arange(6, dtype="<f4").tobytes()
    pickled = tensor(b"FloatStorage", "0", 6, 1, (2, 2), (2, 1))
    archived(tmp_path / "a.pth", {"data.pkl": pickled, "data/0": data})
    assert read_torch(tmp_path / "a.pth").tolist() == [[1, 2], [3, 4]]
    archived(tmp_path / "a.pth", {"data.pkl": pickled, "data/0": data, "byteorder": b"big"})
    assert read_torch(tmp_path / "a.pth")[0, 0] == np.frombuffer(data, ">f4")[1]


@pytest.mark.parametrize(
    "arguments",
    [
        (b"FloatStorage", "0", 6, 0, (7,), (1,)),
        (b"FloatStorage", "0", 6, 5, (2,), (1,)),
        (b"FloatStorage", "0", 6, 0, (2,), (6,)),
        (b"FloatStorage", "0", 6, -1, (2,), (1,)),
        (b"FloatStorage", "0", 6, 4, (2,), (-1,)),
        (b"FloatStorage", "0", 6, 0, (-2,), (1,)),
        (b"FloatStorage", "0", 6, 0, (10**9,), (0,)),
        (b"FloatStorage", "0", 6, 0, (2**40, 2**40), (0, 0)),
        (b"FloatStorage", "0", 6, 0, (1,) * 9, (1,) * 9),
        (b"FloatStorage", "0", 6, 0, (2,), (1, 1)),
        (b"FloatStorage", "0", 6, 0.5, (2,), (1,)),
        (b"FloatStorage", "0", 6, 0, [2], (1,)),
        (b"FloatStorage", "0", 10**12, 0, (2,), (1,)),
        (b"FloatStorage", "1", 6, 0, (2,), (1,)),
        (b"FloatStorage", "../data.pkl", 6, 0, (2,), (1,)),
        (b"DoubleStorage", "0", 6, 0, (2,), (1,)),
        (b"LongStorage", "7", 6, 0, (2,), (1,)),
        (b"ComplexFloatStorage", "0", 6, 0, (2,), (1,)),
        (b"load", "0", 6, 0, (2,), (1,)),
    ],
)
def test_tensors_that_leave_their_storage_are_refused(tmp_path, arguments):
    data = np.arange(6, dtype="<f4").tobytes()
    archived(tmp_path / "a.pth", {"data.pkl": tensor(*arguments), "data/0": data})
    refused(read_torch, tmp_path / "a.pth")


@pytest.mark.parametrize(
    "pickled",
    [
        pickle.dumps(Calls(), 2),
        b"\x80\x02ctorch\nload\nX\x01\x00\x00\x00x\x85R.",
        b"\x80\x02ctorch\nFloatStorage\n.",
        b"\x80\x02ctorch\nFloatStorage\n)R.",
        b"\x80\x02ctorch\nFloatStorage\n}X\x04\x00\x00\x00codeX\x02\x00\x00\x00O8sb.",
        b"\x80\x02ctorch._utils\n_rebuild_parameter\nK\x01\x85R.",
        b"\x80\x02ctorch._utils\n_rebuild_tensor_v2\n(K\x01K\x00)tR.",
        b"\x80\x02ctorch.serialization\n_rebuild_tensor_v2\n.",
        b"\x80\x02cbuiltins\neval\nX\x01\x00\x00\x00x\x85R.",
        b"\x80\x02K\x01Q.",
        b"\x80\x02)Q.",
        b"Pstorage\n.",
        b"\x80\x02ccollections\nOrderedDict\nK\x01\x85R.",
    ],
)
def test_nothing_runs_and_nothing_leaves(tmp_path, pickled, capsys):
    archived(tmp_path / "a.pth", {"data.pkl": pickled})
    refused(read_torch, tmp_path / "a.pth")
    assert not capsys.readouterr().out


def test_what_is_no_file_of_torch_is_refused(tmp_path):
    path = tmp_path / "bad.pth"
    refused(read_torch, path, "missing")
    path.write_bytes(b"PK no zip")
    refused(read_torch, path, "damaged")
    archived(path, {"data.pkl": b"N."}, zipfile.ZIP_DEFLATED)
    refused(read_torch, path, "compressed")
    archived(path, {"other.pkl": b"N."})
    refused(read_torch, path, "one pickle")
    archived(path, {"data.pkl": b"\x80\x02N.", "inner/data.pkl": b"\x80\x02N."})
    refused(read_torch, path, "one pickle")
    archived(path, {"data.pkl": b"\x80\x02N.", "data/0": bytes(104)})
    data = path.read_bytes()
    path.write_bytes(data.replace(struct.pack("<I", 104), struct.pack("<I", 10**9)))
    refused(read_torch, path, "overlap")


@pytest.mark.parametrize(
    ("change", "match"),
    [
        (lambda c: c.pop("gaussians"), "'gaussians'"),
        (lambda c: c.pop("shape"), "'shape'"),
        (lambda c: c.update(gaussians=(3, 4)), "another form"),
        (lambda c: c.update(gaussians=(9, *c["gaussians"][1:])), "unknown degree"),
        (lambda c: c.update(gaussians=(3, c["gaussians"][1][:4], *c["gaussians"][2:])), "colours"),
        (lambda c: c["gaussians"][4].__setitem__((0, 0), np.nan), "scales have values that are not finite"),
        (lambda c: c["gaussians"][7].__setitem__(0, -1), "triangle that cannot be"),
        (lambda c: c.update(base_rot=np.zeros(4, np.float32)), "base_rot"),
        (lambda c: c.update(deform_net=3), "int"),
    ],
)
def test_what_is_no_avatar_is_refused(tmp_path, change, match):
    content, iteration = avatar()
    change(content)
    saved(tmp_path / "chkpnt1.pth", (content, iteration))
    refused(read_cap4d_checkpoint, tmp_path / "chkpnt1.pth", match)
    saved(tmp_path / "chkpnt1.pth", [1, 2, 3])
    refused(read_cap4d_checkpoint, tmp_path / "chkpnt1.pth")


def test_a_folder_without_a_checkpoint(tmp_path):
    refused(read_cap4d_checkpoint, tmp_path, "no chkpnt")


def test_damage_never_ends_in_another_error(tmp_path):
    saved(tmp_path / "good.pth", avatar(2))
    data = (tmp_path / "good.pth").read_bytes()
    never_another_error(read_cap4d_checkpoint, tmp_path / "bad.pth", data, range(0, len(data), 173))
