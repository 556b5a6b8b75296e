# SPDX-License-Identifier: GPL-3.0-or-later
"""From a capture to an avatar: whole or not at all, byte-exact media, an honest report."""

from __future__ import annotations

import json
import os
import zipfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from performances import random_performance, same
from PIL import Image
from test_avatar import files

from core import rotation
from core.avatar import Avatar
from core.capture import open_capture, read_performance
from core.errors import AvatarError, Cancelled, CaptureError, LikenessError, ModelError, SettingsError
from core.files import sha256_of
from core.head import load_model, model_path
from core.performance import Performance
from core.pipeline import make_avatar
from core.track import Track
from core.track.mediapipe_module import import_mediapipe

SHARED = Path(os.environ.get("LIKENESS_SHARED", Path(__file__).resolve().parents[3] / "shared"))
TAKE = SHARED / "data" / "takes" / "live_link_face.csv"
MOVIE = SHARED / "data" / "videos" / "talking.mp4"
SAMPLE = Path(__file__).resolve().parents[2] / "core" / "data" / "sample" / "likeness_sample.zip"


@pytest.fixture
def take(tmp_path) -> Path:
    """A Live Link Face CSV of 100 even frames, with head and eyes."""
    path = tmp_path / "Slate_1_phone.csv"
    random_performance(5, 100, uneven=False).save_live_link_csv(path)
    return path


@pytest.fixture
def archive(tmp_path, take) -> Path:
    """A Leap archive with the weights as an open sidecar."""
    Image.fromarray(np.zeros((8, 8, 3), np.uint8)).save(tmp_path / "photo.jpg")
    content = {
        "photo.jpg": (tmp_path / "photo.jpg").read_bytes(),
        "data.bin": np.random.default_rng(0).bytes(200_000),
        "faceGeometry1.obj": b"v 0 0 0\nv 1 0 0\nv 0 1 0\nf 1 2 3\n",
        "weights.csv": take.read_bytes(),
    }
    path = tmp_path / "capture.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as stream:
        for name, data in content.items():
            stream.writestr(f"export/{name}", data)
    return path


def leftovers(folder: Path) -> list[str]:
    return [path.name for path in folder.iterdir() if path.name.startswith(".") or path.suffix == ".avatar"]


def test_csv_to_performance_to_csv_to_performance(tmp_path, take):
    first = read_performance(open_capture(take))
    first.save_live_link_csv(tmp_path / "again.csv")
    assert (tmp_path / "again.csv").read_bytes() == take.read_bytes()
    second = read_performance(open_capture(tmp_path / "again.csv"))
    for name in ("time", "weights", "head_rotation", "gaze"):
        assert np.array_equal(getattr(first, name), getattr(second, name)), name
    assert first.timecode == second.timecode


def test_a_performance_survives_the_csv(take):
    written = random_performance(5, 100, uneven=False)
    read = read_performance(open_capture(take))
    np.testing.assert_allclose(read.time, written.time - written.time[0], atol=1 / 60_000)
    np.testing.assert_allclose(read.weights, written.weights, atol=1e-7)
    np.testing.assert_allclose(
        np.abs(np.sum(read.head_rotation * written.head_rotation, axis=1)), 1.0, atol=1e-9
    )
    np.testing.assert_allclose(read.gaze, written.gaze, atol=1e-9)
    assert read.timecode == pytest.approx(written.timecode, abs=1e-5)


def test_the_signs_of_the_app(tmp_path):
    """Its head turns to the subject's left and up, its eyes to the right and down (see LIVE_LINK_SIGNS)."""
    head = rotation.from_angles(np.array([0.1]), np.array([0.2]), np.array([0.3]))
    gaze = np.array([[[0.11, 0.12], [0.13, 0.14]]])
    Performance("x", [0.0], np.zeros((1, 52)), head, gaze=gaze).save_live_link_csv(tmp_path / "x.csv")
    header, row = (line.split(",") for line in (tmp_path / "x.csv").read_text().splitlines())
    written = {name: float(value) for name, value in zip(header[2:], row[2:], strict=True)}
    expected = {"HeadYaw": 0.1, "HeadPitch": 0.2, "HeadRoll": 0.3}
    expected |= {"LeftEyeYaw": -0.11, "LeftEyePitch": -0.12, "RightEyeYaw": -0.13, "RightEyePitch": -0.14}
    assert {name: written[name] for name in expected} == pytest.approx(expected, abs=1e-9)
    read = read_performance(open_capture(tmp_path / "x.csv"))
    np.testing.assert_allclose(read.gaze, gaze, atol=1e-9)
    np.testing.assert_allclose(read.head_rotation, head, atol=1e-9)


@pytest.mark.skipif(not TAKE.is_file(), reason="the shared take is not here")
def test_recorded_gaze_agrees_with_the_recorded_weights():
    """The app writes both; eyes that look the other way would have slipped through every round trip."""
    take = read_performance(open_capture(TAKE))
    derived = replace(take, gaze=None).gaze_or_from_weights()
    for eye in range(2):
        for axis in range(2):
            assert np.corrcoef(take.gaze[:, eye, axis], derived[:, eye, axis])[0, 1] > 0.97


@pytest.mark.skipif(not TAKE.is_file(), reason="the shared take is not here")
def test_the_real_take_survives_the_csv(tmp_path):
    read_performance(open_capture(TAKE)).save_live_link_csv(tmp_path / "again.csv")
    ours, theirs = ((tmp_path / "again.csv").read_text().split("\n"), TAKE.read_text().split("\n"))
    assert len(ours) == len(theirs)
    assert ours[0] == theirs[0].strip()
    for left, right in zip(ours[1:200], theirs[1:200], strict=True):
        a, b = left.split(","), right.strip().split(",")
        assert a[:2] == b[:2]
        keep = [i for i in range(61) if i not in (57, 60)]  # a Performance has no eye roll
        np.testing.assert_allclose(np.array(a[2:], float)[keep], np.array(b[2:], float)[keep], atol=2e-7)


def test_a_take_becomes_an_avatar(tmp_path, take):
    seen = []
    out = tmp_path / "Ada.avatar"
    avatar = make_avatar(take, out, lambda *report: seen.append(report), {"age": 0.6}, gender="female")
    assert Avatar.load(out).performances == avatar.performances == ("Slate_1_phone",)
    same(avatar.load_performance(), read_performance(open_capture(take)))
    assert avatar.identity == {"gender": 1.0, "age": 0.6}
    assert (avatar.model, avatar.gender, avatar.model_sha256) == (
        "anny",
        "female",
        sha256_of(model_path("anny")),
    )
    model = load_model("anny")
    assert np.array_equal(avatar.coefficients, model.identity_coefficients(avatar.identity))
    assert np.array_equal(avatar.vertices, model.rest(avatar.coefficients).vertices)
    assert avatar.media == {"weights": str(take)}
    fractions = [fraction for fraction, _, _ in seen]
    assert fractions == sorted(fractions)
    assert (fractions[0], fractions[-1]) == (0.0, 1.0)


def test_the_report_says_what_happened(tmp_path, take):
    rows = take.read_text().splitlines()
    take.write_text("\n".join(rows[:40] + rows[43:]) + "\n")
    make_avatar(take, tmp_path / "Ada.avatar")
    report = json.loads((tmp_path / "Ada.avatar" / "report.json").read_text())
    assert report["frames"] == {"total": 100, "tracked": 97, "dropped": 3}
    assert set(report["seconds"]) == {"read", "performance", "head", "media", "write"}
    assert all(seconds >= 0 for seconds in report["seconds"].values())
    assert report["fit"] is None
    assert {"likeness", "python", "numpy"} <= set(report["versions"])
    assert report["warnings"] == Avatar.load(tmp_path / "Ada.avatar").warnings


def test_an_archive_keeps_its_media_byte_for_byte(tmp_path, archive):
    avatar = make_avatar(archive, tmp_path / "Ada.avatar")
    with zipfile.ZipFile(archive) as stream:
        for role, name in (("photo", "photo.jpg"), ("opaque", "data.bin"), ("mesh", "faceGeometry1.obj")):
            assert avatar.media[role] == f"media/{name}"
            assert avatar.media_path(role).read_bytes() == stream.read(f"export/{name}")
    assert avatar.performances == ("capture",)
    assert avatar.missing_media() == ()
    assert any("data.bin" in warning for warning in avatar.warnings)


def test_members_of_one_name_do_not_overwrite_each_other(tmp_path):
    path = tmp_path / "two.zip"
    with zipfile.ZipFile(path, "w") as stream:
        for folder, colour in (("a", 10), ("b", 200)):
            Image.fromarray(np.full((8, 8, 3), colour, np.uint8)).save(tmp_path / f"{folder}.png")
            stream.writestr(f"{folder}/Photo.png", (tmp_path / f"{folder}.png").read_bytes())
    avatar = make_avatar(path, tmp_path / "Ada.avatar", tracking=False)
    pictures = [avatar.media_path(role).read_bytes() for role in ("photo", "photo_2")]
    assert sorted(pictures) == sorted((tmp_path / f"{folder}.png").read_bytes() for folder in "ab")


@pytest.mark.skipif(not MOVIE.is_file(), reason="the shared movie is not here")
def test_an_untracked_movie_is_an_honest_avatar(tmp_path):
    avatar = make_avatar(MOVIE, tmp_path / "Ada.avatar", tracking=False)
    assert avatar.performances == ()
    assert list(avatar.media) == ["movie"] and Path(avatar.media["movie"]).samefile(MOVIE)
    assert any("no recorded weights" in warning for warning in avatar.warnings)


def test_footage_becomes_a_person_with_a_performance_and_its_track(tmp_path):
    import_mediapipe()
    avatar = make_avatar(SAMPLE, tmp_path / "Ada.avatar", texture="off")
    recorded, tracked = (avatar.load_performance(name) for name in avatar.performances)
    assert tracked.camera is not None and tracked.head_translation is not None
    assert abs(tracked.frame_count - recorded.frame_count) <= 1
    report = json.loads((avatar.folder / "report.json").read_text(encoding="utf-8"))
    assert report["tracking"]["lost"] == 0 and 0 < report["fit"]["landmark_error_of_face"] < 0.015
    assert len(avatar.identity) > 50 and avatar.identity["gender"] == 1.0
    assert Track.load(avatar.track_path(tracked.name)).frame_count == tracked.frame_count


def test_another_capture_replaces_the_head_and_keeps_what_was_tracked(tmp_path, take):
    import_mediapipe()
    out = tmp_path / "Ada.avatar"
    tracked = make_avatar(SAMPLE, out, texture="off").performances[-1]
    again = make_avatar(take, out)
    assert again.track_path(tracked).is_file() and tracked in again.performances
    assert any("made of another capture" in warning for warning in again.warnings)
    assert not any("another capture" in warning for warning in make_avatar(take, out).warnings)


def test_a_parameter_that_is_none_is_refused_before_any_work(tmp_path):
    with pytest.raises(ModelError, match="nose-hump-incr"):
        make_avatar(SAMPLE, tmp_path / "Ada.avatar", identity={"nosehump": 0.2})


def test_a_place_that_is_no_folder_is_refused_before_any_work(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(AvatarError, match="no folder"):
        make_avatar(SAMPLE, tmp_path / "file" / "Ada.avatar")


def test_a_movie_without_a_face_leaves_recorded_weights_alone(tmp_path, take, monkeypatch):
    def nobody(*_args, **_options):
        raise CaptureError("No face was found in it.")

    monkeypatch.setattr("core.track.track_capture", nobody)
    monkeypatch.setattr("core.footage.missing_libraries", list)
    avatar = make_avatar(SAMPLE, tmp_path / "Ada.avatar", texture="off")
    assert len(avatar.performances) == 1
    assert any("not fitted to the footage: No face" in warning for warning in avatar.warnings)


def test_making_it_twice_gives_the_same_and_keeps_other_performances(tmp_path, take):
    out = tmp_path / "Ada.avatar"
    first = make_avatar(take, out, name="Ada")
    first.add_performance(random_performance(7, name="mine"))
    second = make_avatar(take, out, name="Ada", gender="male")
    assert second.id == first.id
    assert set(second.performances) == {"Slate_1_phone", "mine"}
    same(second.load_performance("mine"), random_performance(7, name="mine"))
    assert second.gender == "male"
    assert leftovers(tmp_path) == ["Ada.avatar"]


def fail_at(stage):
    def progress(_fraction, now, _text):
        if now == stage:
            raise Cancelled("Cancelled.")

    return progress


@pytest.mark.parametrize("stage", ["read", "performance", "head", "media", "write"])
@pytest.mark.parametrize("earlier", [False, True])
def test_cancelling_leaves_nothing_half_written(stage, earlier, tmp_path, archive):
    out = tmp_path / "Ada.avatar"
    if earlier:
        make_avatar(archive, out)
    before = files(tmp_path)
    with pytest.raises(Cancelled):
        make_avatar(archive, out, fail_at(stage))
    assert files(tmp_path) == before
    assert leftovers(tmp_path) == (["Ada.avatar"] if earlier else [])


def test_a_failed_swap_brings_the_old_avatar_back(tmp_path, take, monkeypatch):
    out = tmp_path / "Ada.avatar"
    make_avatar(take, out)
    before = files(tmp_path)
    real = Path.replace

    def replace(self, target):
        if Path(target) == out and self.suffix == ".part":
            raise OSError(5, "Input/output error")
        return real(self, target)

    monkeypatch.setattr(Path, "replace", replace)
    with pytest.raises(AvatarError, match="Input/output error"):
        make_avatar(take, out)
    assert files(tmp_path) == before
    assert leftovers(tmp_path) == ["Ada.avatar"]


def test_damage_in_the_archive_leaves_nothing(tmp_path, archive):
    data = bytearray(archive.read_bytes())
    with zipfile.ZipFile(archive) as stream:
        start = stream.getinfo("export/data.bin").header_offset
    data[start + 150_000] ^= 0xFF
    archive.write_bytes(bytes(data))
    with pytest.raises(LikenessError, match=r"data\.bin"):
        make_avatar(archive, tmp_path / "Ada.avatar")
    assert leftovers(tmp_path) == []


def test_nothing_of_the_users_is_written_over(tmp_path, take):
    folder = tmp_path / "Holiday.avatar"
    folder.mkdir()
    (folder / "photo.jpg").write_bytes(b"sea")
    with pytest.raises(AvatarError, match=r"not an avatar"):
        make_avatar(take, folder)
    assert files(folder) == {"photo.jpg": b"sea"}
    with pytest.raises(AvatarError, match=r"ends in \.avatar"):
        make_avatar(take, tmp_path / "Documents")
    inside = make_avatar(take, tmp_path / "Ada.avatar").folder / "take.csv"
    inside.write_bytes(take.read_bytes())
    with pytest.raises(AvatarError, match="would be replaced"):
        make_avatar(inside, tmp_path / "Ada.avatar")
    assert inside.is_file()


def test_a_damaged_avatar_is_not_replaced(tmp_path, take):
    out = make_avatar(take, tmp_path / "Ada.avatar").folder
    (out / "head.npz").write_bytes(b"damage")
    before = files(out)
    with pytest.raises(AvatarError, match=r"head\.npz"):
        make_avatar(take, out)
    assert files(out) == before


@pytest.mark.parametrize(
    ("options", "kind"),
    [
        ({"gender": "robot"}, SettingsError),
        ({"identity": {"age": 7.0}}, SettingsError),
        ({"identity": {"age": float("nan")}}, SettingsError),
        ({"identity": {"wings": 1.0}}, ModelError),
    ],
)
def test_a_wrong_person_is_refused(options, kind, tmp_path, take):
    with pytest.raises(kind):
        make_avatar(take, tmp_path / "Ada.avatar", **options)
    assert leftovers(tmp_path) == []


def test_a_missing_capture_is_refused(tmp_path):
    with pytest.raises(CaptureError):
        make_avatar(tmp_path / "nothing.zip", tmp_path / "Ada.avatar")
    assert list(tmp_path.iterdir()) == []


def test_a_performance_alone_is_a_file_of_its_own(tmp_path, take):
    avatar = make_avatar(take, tmp_path / "Ada.avatar")
    same(Performance.load(avatar.performance_path(avatar.performances[0])), avatar.load_performance())


@pytest.mark.parametrize(
    ("option", "said"),
    [
        (["--models", "nowhere"], "there is no folder nowhere"),
        (["--identity", "age=old"], "is not NAME=VALUE"),
    ],
)
def test_an_option_of_no_use_is_a_usage_error_of_one_sentence(option, said, capsys):
    from core.__main__ import parser

    with pytest.raises(SystemExit) as stopped:
        parser().parse_args(["avatar", "a.mp4", "-o", "a.avatar", *option])
    assert stopped.value.code == 2 and said in capsys.readouterr().err
