# SPDX-License-Identifier: GPL-3.0-or-later
"""Leap results on disk: known by their content in any layout, and refused when they are not sound."""

from __future__ import annotations

import json
import struct
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from capture_samples import real_file, write_csv

from core.__main__ import main
from core.capture import open_capture
from core.capture.glb import read_model
from core.capture.member import Member
from core.capture.movie_times import picture_times
from core.capture.results import find_results, open_results
from core.capture.results_report import describe_results, inspect_path
from core.errors import CaptureError
from tests.sample import leap_result as leap

METAPERSON = Path(__file__).resolve().parents[3] / "shared" / "data" / "metaperson" / "head_lod2.glb"


def write_movie(path: Path, begins: np.ndarray | None = None, sound: bool = False) -> Path:
    """A tiny H.264 movie with B-frames, so that pictures are stored in another order than shown."""
    import av

    begins = np.arange(12) / 30.0 if begins is None else begins
    with av.open(str(path), "w") as movie:
        stream = movie.add_stream("libx264", rate=Fraction(30))
        stream.width = stream.height = 64
        stream.pix_fmt = "yuv420p"
        stream.codec_context.time_base = Fraction(1, 90000)
        for number, time in enumerate(begins):
            picture = av.VideoFrame.from_ndarray(np.full((64, 64, 3), 20 * number, np.uint8), "rgb24")
            picture.pts, picture.time_base = round(time * 90000), Fraction(1, 90000)
            movie.mux(stream.encode(picture))
        movie.mux(stream.encode())
    return path


@pytest.fixture(scope="module")
def movie(tmp_path_factory) -> bytes:
    return write_movie(tmp_path_factory.mktemp("movie") / "textures.mp4").read_bytes()


@pytest.fixture
def folder(tmp_path, movie) -> Path:
    """An avatar's folder as Leap lays it out, with both models and the recording."""
    made = leap.write_result(tmp_path / "Vera", movie, cloud=True)
    (made / "source").mkdir()
    (made / "source" / "ARVideo.mp4").write_bytes(movie)
    return made


@pytest.mark.parametrize(
    "inside",
    ["", "export", "export/avatar", "data", "source", "export/avatar/model.glb", "data/textures.mp4"],
)
def test_any_part_of_the_folder_leads_to_the_whole(folder, inside):
    results = open_results(folder / inside)
    assert results.path == folder
    assert results.name == "Vera"
    assert results.model.file == folder / "export" / "avatar" / "model.glb"
    assert results.textures.file == folder / "data" / "textures.mp4"
    assert results.scalp.file.parent == results.model.file.parent
    assert results.footage.basename == "ARVideo.mp4"
    assert not results.customised and results.has_customised and not results.has_eyes


def test_a_flat_folder_will_do(tmp_path, movie):
    (tmp_path / "model.glb").write_bytes(leap.model_bytes(eyes=True))
    (tmp_path / "textures.mp4").write_bytes(movie)
    results = open_results(tmp_path)
    assert results.textures is not None and results.scalp is None and results.has_eyes


def test_a_folder_that_only_has_such_a_name_stands_for_itself(tmp_path, movie):
    folder = tmp_path / "data"
    folder.mkdir()
    (folder / "model.glb").write_bytes(leap.model_bytes())
    (tmp_path / "textures.mp4").write_bytes(movie)
    results = open_results(folder)
    assert results.path == folder and results.textures is None


def test_the_customised_model_is_taken_when_wanted_with_the_other_ones_clip(folder):
    results = open_results(folder, customised=True)
    assert results.customised
    assert results.model.file == folder / "cloud_export" / "model.glb"
    assert results.clip_model.file == folder / "export" / "avatar" / "model.glb"
    assert open_results(folder / "cloud_export" / "model.glb").customised
    (folder / "cloud_export" / "model.glb").unlink()
    with pytest.raises(CaptureError, match="cloud_export"):
        open_results(folder, customised=True)


def test_long_numbers_make_short_names(tmp_path, movie):
    folder = leap.write_result(tmp_path / "0A1B2C3D-1111-2222-3333-444455556666", movie)
    assert open_results(folder).name == "0a1b2c3d"


def test_the_facts_are_those_of_the_model():
    facts = read_model(leap_member(leap.model_bytes(clips=2, lashes=True)))
    assert facts.materials == ("AvatarHead", "AvatarBody", "AvatarEyelashes")
    assert facts.shapes == leap.SHAPES
    assert facts.joints == leap.NAMES
    assert [(c.name, c.shapes, c.bones) for c in facts.clips] == [
        ("Face", True, False),
        ("Bones", False, True),
    ]
    assert facts.clips[0].seconds == pytest.approx(0.5)
    assert facts.clips[0].rate == pytest.approx(leap.RATE, rel=1e-4)
    assert facts.vertices == 75


def test_a_real_model_is_read():
    results = open_results(real_file(METAPERSON))
    assert results.has_eyes and len(results.facts.joints) == 73 and len(results.facts.shapes) == 66


def leap_member(data: bytes, folder: Path | None = None) -> Any:
    """The bytes as a member, without a file."""

    class Held(Member):
        def open(self):
            import io
            from contextlib import nullcontext

            return nullcontext(io.BytesIO(data))

    return Held("model.glb", len(data), Path("model.glb"))


def changed(change: Any, **model: Any) -> bytes:
    """A model whose JSON was changed."""
    data = leap.model_bytes(**model)
    (length,) = struct.unpack_from("<I", data, 12)
    document = json.loads(data[20 : 20 + length])
    change(document)
    text = json.dumps(document).encode()
    text += b" " * (-len(text) % 4)
    rest = data[20 + length :]
    return struct.pack("<4sIII4s", b"glTF", 2, 20 + len(text) + len(rest), len(text), b"JSON") + text + rest


def chain(document: dict[str, Any]) -> None:
    first = len(document["nodes"])
    document["nodes"] += [{"children": [first + n + 1]} for n in range(5000)] + [{}]


def key_times(document: dict[str, Any]) -> dict[str, Any]:
    return document["accessors"][document["animations"][0]["samplers"][0]["input"]]


def zeros(count: int) -> dict[str, Any]:
    return {"componentType": 5126, "count": count, "type": "MAT4"}


HOSTILE = {
    "other files": lambda d: d["images"].append({"uri": "../../secret.png"}),
    "a data chunk that is shorter": lambda d: d["buffers"][0].update(byteLength=1 << 40),
    "a view outside": lambda d: d["bufferViews"][0].update(byteOffset=1 << 31),
    "a list outside its view": lambda d: d["accessors"][0].update(count=100_000),
    "a bomb of zeros": lambda d: d["accessors"].append(
        {"componentType": 5126, "count": 1 << 40, "type": "MAT4"}
    ),
    "many lists of zeros": lambda d: d["accessors"].extend([zeros(1 << 25)] * 9),
    "negative counts": lambda d: d["accessors"][0].update(count=-1),
    "a node of two parents": lambda d: d["nodes"][2].update(children=[1, 3]),
    "a node in itself": lambda d: d["nodes"][-1].update(children=[len(d["nodes"]) - 1]),
    "a loop": lambda d: d["nodes"].extend(
        [{"children": [len(d["nodes"]) + 1]}, {"children": [len(d["nodes"])]}]
    ),
    "a deep tree": chain,
    "a mesh that is not there": lambda d: d["nodes"][-1].update(mesh=99),
    "a material that is not there": lambda d: d["meshes"][0]["primitives"][0].update(material=-1),
    "a joint that is not there": lambda d: d["skins"][0].update(joints=[1000]),
    "a clip of no end": lambda d: d["accessors"][d["animations"][0]["samplers"][0]["input"]].update(
        max=[1e30]
    ),
    "a clip of no number": lambda d: key_times(d).update(max=[float("nan")]),
    "keys from nowhere": lambda d: d["animations"][0]["samplers"][0].update(input=9999),
    "names that are lists": lambda d: d.update(nodes=[[]]),
    "nothing": lambda d: d.clear(),
}


@pytest.mark.parametrize("change", HOSTILE.values(), ids=HOSTILE.keys())
def test_models_that_are_not_sound_are_refused_in_one_sentence(change, tmp_path):
    (tmp_path / "model.glb").write_bytes(changed(change))
    with pytest.raises(CaptureError) as caught:
        open_results(tmp_path)
    assert "\n" not in str(caught.value) and len(str(caught.value)) < 300


@pytest.mark.parametrize("length", [4, 12, 20, 100, 4000])
def test_cut_files_are_refused(tmp_path, length):
    (tmp_path / "model.glb").write_bytes(leap.model_bytes()[:length])
    with pytest.raises(CaptureError, match=r"model\.glb"):
        open_results(tmp_path)


def test_damage_anywhere_never_raises_another_error():
    data = bytearray(leap.model_bytes())
    rng = np.random.default_rng(5)
    (length,) = struct.unpack_from("<I", data, 12)
    for _ in range(300):
        broken = bytearray(data)
        for at in rng.integers(0, 20 + length, 3):
            broken[at] = rng.integers(32, 127)
        try:
            read_model(leap_member(bytes(broken)))
        except CaptureError:
            continue


def test_other_things_are_no_results(tmp_path, movie):
    (tmp_path / "clip.mp4").write_bytes(movie)
    assert find_results(tmp_path / "clip.mp4") is None
    assert find_results(write_csv(tmp_path / "take.csv")) is None
    (tmp_path / "prop.glb").write_bytes(leap.model_bytes())
    assert find_results(tmp_path) is None  # only model.glb, or the file that was chosen
    assert find_results(tmp_path / "prop.glb") is not None
    with pytest.raises(CaptureError, match="no Leap result"):
        open_results(tmp_path)
    with pytest.raises(CaptureError, match="does not exist"):
        open_results(tmp_path / "nowhere")


def test_a_model_without_a_head_is_none(tmp_path):
    data = leap.model_bytes(material="Skin").replace(b'"AvatarHead"', b'"Skin"      ')
    (tmp_path / "model.glb").write_bytes(data)
    with pytest.raises(CaptureError, match="AvatarHead"):
        open_results(tmp_path)


def test_the_report_names_every_part(folder, movie):
    value, lines = describe_results(open_results(folder))
    text = "\n".join(lines)
    assert [part["role"] for part in value["parts"]] == ["model", "textures", "scalp", "footage"]
    assert value["eyes"] == "painted" and value["clips"][0]["seconds"] == pytest.approx(0.5)
    assert "painted" in text and "MetaPerson Creator" in text and "30 frames/s" in text
    (folder / "data" / "textures.mp4").unlink()
    assert "still texture" in "\n".join(describe_results(open_results(folder))[1])


def test_a_damaged_movie_is_a_problem_of_the_report(folder):
    (folder / "data" / "textures.mp4").write_bytes(b"\0\0\0\x18ftypisom" + bytes(50))
    value, _lines = describe_results(open_results(folder))
    assert len(value["problems"]) == 1 and "textures.mp4" in value["problems"][0]


def test_inspect_says_what_it_is(folder, capsys):
    assert main(["inspect", str(folder)]) == 0
    text = capsys.readouterr().out
    assert "Leap result" in text and "The capture:" in text
    value = json.loads(json.dumps(inspect_path(folder)[0]))
    assert (value["kind"], value["capture"]["kind"]) == ("leap_results", "leap")


def test_a_result_is_not_taken_for_a_capture(tmp_path, movie):
    """The texture movie shows no face that could be tracked."""
    folder = leap.write_result(tmp_path / "Vera", movie)
    with pytest.raises(CaptureError, match="finished Leap result"):
        open_capture(folder)
    assert inspect_path(folder)[0]["kind"] == "leap_results"
    (folder / "source").mkdir()
    (folder / "source" / "ARVideo.mp4").write_bytes(movie)
    capture = open_capture(folder)
    assert capture.kind == "leap" and capture.movie.basename == "ARVideo.mp4" and capture.photos == ()


@pytest.mark.parametrize("uneven", [False, True])
def test_picture_times_are_those_that_av_finds(tmp_path, uneven):
    begins = np.cumsum([0.0] + [0.02, 0.05, 0.03] * 4) if uneven else None
    path = write_movie(tmp_path / "movie.mp4", begins)
    import av

    with av.open(str(path)) as movie:
        shown = np.array([float(p.pts * p.time_base) for p in movie.decode(video=0)])
    found = picture_times(Member(path.name, path.stat().st_size, path))
    assert found == pytest.approx(shown - shown[0], abs=1e-9)


def test_picture_times_of_damaged_movies_are_errors(movie, tmp_path):
    rng = np.random.default_rng(2)
    path = tmp_path / "movie.mp4"
    start = movie.index(b"moov")
    for _ in range(200):
        broken = bytearray(movie)
        for at in rng.integers(start, len(movie), 4):
            broken[at] = rng.integers(0, 256)
        path.write_bytes(broken)
        try:
            times = picture_times(Member(path.name, len(broken), path))
        except CaptureError:
            continue
        assert times is None or len(times) < 20_000_001
