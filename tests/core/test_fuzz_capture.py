# SPDX-License-Identifier: GPL-3.0-or-later
"""Mutated real files: whatever happens to a capture, only CaptureError comes out and nothing is written
beside it.
"""

from __future__ import annotations

import functools
import os
import random
import shutil
import tempfile
from pathlib import Path

import numpy as np
import pytest
from capture_samples import (
    DATA,
    TAKE,
    csv_text,
    leap_folder,
    motion,
    obj_text,
    take_folder,
    write_movie,
    zip_folder,
)
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from core.capture import Member, inspect, media_facts, open_capture, read_face_mesh, read_performance
from core.errors import CaptureError

ROUNDS = int(os.environ.get("LIKENESS_FUZZ_ROUNDS", "120"))
"""Mutations of each file; the fixed seed makes every run the same."""


def exercise(path: Path) -> bool:
    """Open, inspect and read a capture; whether all of it could be used. Anything but CaptureError is a
    defect.
    """
    before = sorted(path.parent.rglob("*"))
    try:
        capture = open_capture(path)
        report = inspect(capture)
        report.to_dict(), report.lines()
        performance = read_performance(capture)
        if performance is not None:
            assert np.isfinite(performance.weights).all() and np.all(np.diff(performance.time) > 0)
        for member in capture.members[:20]:
            if member.size < 1 << 20:
                assert len(member.read_bytes()) == member.size
        return not report.problems
    except CaptureError as problem:
        if "\n" in str(problem) or not problem.message.endswith("."):
            raise AssertionError(f"not one sentence: {problem}") from problem
        return False
    finally:
        assert sorted(path.parent.rglob("*")) == before


def mutated(data: bytes, rng: random.Random) -> bytes:
    """The bytes after one to four changes of the kinds that happen and the kinds that are made."""
    out = bytearray(data)
    for _ in range(rng.randint(1, 4)):
        reach = min(len(out), 3000)  # tables lie at the ends of files, and matter more than pictures
        at = rng.choice(
            (
                rng.randrange(max(1, len(out))),
                rng.randrange(max(1, reach)),
                len(out) - 1 - rng.randrange(max(1, reach)),
            )
        )
        at = max(0, at)
        length = min(len(out) - at, rng.choice((1, 1, 2, 4, 8, 64, 1000)))
        kind = rng.randrange(8)
        if kind == 0 and out:
            out[at] ^= 1 << rng.randrange(8)
        elif kind == 1:
            out[at : at + length] = rng.randbytes(length)
        elif kind == 2:
            del out[at : at + length]
        elif kind == 3:
            out[at:at] = out[at : at + length]
        elif kind == 4:
            out[at : at + length] = rng.choice((b"\0", b"\xff")) * length
        elif kind == 5:
            del out[at:]
        elif kind == 6:
            out[at : at + length] = rng.choice(TOKENS)
        else:
            other = rng.randrange(max(1, len(out)))
            out[at : at + length], out[other : other + length] = (
                out[other : other + length],
                out[at : at + length],
            )
    return bytes(out)


TOKENS = (
    b"nan",
    b"inf",
    b"-1e999",
    b"1e38",
    b",,,,",
    b"\n\n",
    b"\r",
    b'"',
    b"99:99:99:99",
    b"\xff\xfe",
    b"\xef\xbb\xbf",
    b"PK\x05\x06",
    b"PK\x01\x02",
    b"../",
    b"moov",
    b"trak",
    b"stts",
    b"\x7f\xff\xff\xff",
    b"\x80\x00\x00\x00",
    b"\x00\x00\x00\x00",
    b"f 1 2 -9\n",
    b"{" * 300,
    b"Timecode",
    b"\0" * 16,
)


@functools.cache
def seeds() -> dict[str, bytes]:
    """The files to mutate, by name: the shared real ones where they are, and made ones."""
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        try:
            movie = write_movie(folder / "clip.mp4", seconds=0.3)
        except pytest.skip.Exception:
            movie = None
        files = {
            "take.csv": csv_text(motion(40)).encode(),
            "leap.zip": zip_folder(
                leap_folder(folder / "leap", movie), folder / "leap.zip", "x"
            ).read_bytes(),
            "take.zip": zip_folder(take_folder(folder / "take", movie), folder / "take.zip").read_bytes(),
            "faceGeometry1.obj": obj_text(6, 6).encode(),
        }
        if movie is not None:
            files["clip.mp4"] = movie.read_bytes()
    if TAKE.exists():
        files["real_take.csv"] = b"".join(TAKE.read_bytes().splitlines(keepends=True)[:60])
    for name in ("talking.mp4", "expressions.mp4"):
        if (DATA / "videos" / name).exists():
            files[name] = (DATA / "videos" / name).read_bytes()
    return files


NAMES = (
    "take.csv",
    "leap.zip",
    "take.zip",
    "faceGeometry1.obj",
    "clip.mp4",
    "real_take.csv",
    "talking.mp4",
    "expressions.mp4",
)


@pytest.mark.parametrize("name", NAMES)
def test_mutated_files_only_raise_capture_errors(tmp_path, name):
    if name not in seeds():
        pytest.skip(f"{name} is not here")
    content = seeds()[name]
    rng = random.Random(f"likeness {name}")
    path = tmp_path / name
    path.write_bytes(content)
    assert exercise(path) or name.endswith(".obj"), "the file must be good before it is made bad"
    outcomes = []
    for _ in range(ROUNDS):
        path.write_bytes(mutated(content, rng))
        outcomes.append(exercise(path))
        member = Member(path.name, path.stat().st_size, path)
        for read in (functools.partial(media_facts, use_av=False), read_face_mesh):
            try:
                read(member)
            except CaptureError:
                continue
    assert not all(outcomes), "no mutation did any harm, so the test proves nothing"


def test_mutated_members_of_an_unpacked_capture_only_raise_capture_errors(tmp_path):
    """Each member of a take and of a Leap archive is damaged while the others stay good."""
    rng = random.Random(20240607)
    movie = None
    if "clip.mp4" in seeds():
        movie = tmp_path / "m.mp4"
        movie.write_bytes(seeds()["clip.mp4"])
    for make in (leap_folder, take_folder):
        good = make(tmp_path / make.__name__, movie)
        for _ in range(ROUNDS // 2):
            place = tmp_path / "case"
            shutil.copytree(good, place / "capture")
            victim = rng.choice(sorted(f for f in place.rglob("*") if f.is_file()))
            victim.write_bytes(mutated(victim.read_bytes(), rng))
            exercise(place / "capture")
            shutil.rmtree(place)


SETTINGS = settings(
    max_examples=150,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
CELLS = st.one_of(
    st.floats(allow_nan=True, allow_infinity=True).map(repr),
    st.integers(-(10**25), 10**25).map(str),
    st.sampled_from(
        ["", " ", "0", "1.0", "-0.0", "1e-400", "1e400", "NaN", "0x1p3", "1,5", '"1"', "１", "1_0", "True"]
    ),
    st.text(max_size=6),
)


@SETTINGS
@given(
    cells=st.lists(st.lists(CELLS, min_size=1, max_size=66), max_size=6),
    stamps=st.lists(
        st.one_of(st.text(":;.0123456789-", max_size=16), st.just("13:13:04:31.652")), min_size=6, max_size=6
    ),
    encoding=st.sampled_from(["utf-8", "utf-16", "utf-8-sig", "latin-1", "utf-16-le"]),
    newline=st.sampled_from(["\n", "\r\n", "\r"]),
)
def test_tables_of_any_cells_only_raise_capture_errors(tmp_path, cells, stamps, encoding, newline):
    header = csv_text(motion(1)).split("\n")[0]
    rows = [",".join([stamp, *row]) for stamp, row in zip(stamps, cells, strict=False)]
    path = tmp_path / "a.csv"
    path.write_bytes(newline.join([header, *rows]).encode(encoding, errors="replace"))
    exercise(path)


@SETTINGS
@given(
    head=st.sampled_from(
        [
            b"",
            b"PK\x03\x04",
            b"\xff\xd8\xff",
            b"\x89PNG\r\n\x1a\n",
            b"\0\0\0\x18ftypmp42",
            b"v 0 0 0\n",
            b"RIFF",
            b"BM",
        ]
    ),
    body=st.binary(max_size=400),
    name=st.sampled_from(["data.bin", "photo.jpg", "a.mp4", "faceGeometry1.obj", "take.json", "a.zip"]),
)
def test_any_bytes_under_any_name_only_raise_capture_errors(tmp_path, head, body, name):
    path = tmp_path / name
    path.write_bytes(head + body)
    exercise(path)
    path.unlink()


@SETTINGS
@given(
    lines=st.lists(
        st.one_of(
            st.tuples(
                st.sampled_from(["v", "vt", "f", "vn", "o", "#", "l"]), st.lists(CELLS, max_size=5)
            ).map(lambda t: " ".join([t[0], *t[1]])),
            st.sampled_from(
                [
                    "v 0 0 0",
                    "v .1 0 0",
                    "v 0 .1 0",
                    "vt 0 0",
                    "f 1 2 3",
                    "f 1/1 2/1 3/1",
                    "f -1 -2 -3",
                    "f 1//1 2//2 3//3",
                    "f 1/ 2/ 3/",
                ]
            ),
        ),
        max_size=30,
    )
)
def test_meshes_of_any_statements_only_raise_capture_errors(tmp_path, lines):
    path = tmp_path / "a.obj"
    path.write_text("\n".join(lines), encoding="utf-8", errors="replace")
    try:
        mesh = read_face_mesh(Member(path.name, path.stat().st_size, path))
    except CaptureError:
        return
    assert np.isfinite(mesh.vertices).all()
    assert mesh.faces[:, :3].min() >= 0 and mesh.faces.max() < len(mesh.vertices)
