# SPDX-License-Identifier: GPL-3.0-or-later
"""`python -m core splat`: what it writes and says, and what it refuses."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from core.__main__ import main
from core.avatar import Avatar
from core.errors import Cancelled
from core.splat.player import Player
from core.splat.presets import PRESETS
from tests.core.splat_players import small_avatar, take

pytest.importorskip("numba")
cv2 = pytest.importorskip("cv2")


@pytest.fixture(scope="module")
def avatar(tmp_path_factory) -> Path:
    return small_avatar(tmp_path_factory.mktemp("people") / "somebody.avatar").folder


def run(capsys, *arguments: object) -> tuple[int, str, str]:
    """The exit status and what was said."""
    capsys.readouterr()
    try:
        status = main(["splat", *map(str, arguments)])
    except SystemExit as end:
        status = int(end.code or 0)
    said = capsys.readouterr()
    return status, said.out, said.err


def test_a_performance_becomes_frames(avatar, tmp_path, capsys):
    status, out, _ = run(capsys, "animate", avatar, "-o", tmp_path / "f", "--size", 64, "--end", 0.6)
    assert status == 0
    assert len(list((tmp_path / "f").glob("frame_*.png"))) == 3
    assert "3 frames of 'take', 64 x 64 px" in out
    first = cv2.imread(str(tmp_path / "f" / "frame_00000.png"))
    assert 0.1 < np.mean(first < 250) < 0.95  # somebody is in the picture, and does not fill it


def test_other_people_and_files_drive(avatar, tmp_path, capsys):
    other = take("other", 2, 7)
    other.save(tmp_path / "other.npz")
    other.save_live_link_csv(tmp_path / "other.csv")
    Avatar.create(tmp_path / "other.avatar", "Other").add_performance(other)
    pictures = []
    for given in ("other.npz", "other.avatar", "other.csv"):
        arguments = ["--performance", tmp_path / given, "--size", 64, "--camera", "front"]
        assert run(capsys, "animate", avatar, "-o", tmp_path / f"{given}.d", *arguments)[0] == 0
        pictures.append(cv2.imread(str(tmp_path / f"{given}.d" / "frame_00001.png")).astype(int))
    np.testing.assert_array_equal(pictures[0], pictures[1])
    assert np.abs(pictures[0] - pictures[2]).mean() < 12  # a table has no place of the head


@pytest.mark.parametrize("name", ["a.ply", "a.spz", "a.glb", "frames"])
def test_every_format_by_its_name(avatar, tmp_path, capsys, name):
    arguments = [] if name in ("a.spz", "a.glb") else ["--end", 0.6]
    status, out, err = run(capsys, "export", avatar, "-o", tmp_path / name, *arguments)
    assert status == 0, err
    assert (tmp_path / name).exists()
    assert str(tmp_path / name) in out
    assert ("dB inside the head" in out) == (name == "a.ply")


def test_a_moment_of_a_performance(avatar, tmp_path, capsys):
    for number, time in enumerate((0.5, 0.62)):
        assert run(capsys, "export", avatar, "-o", tmp_path / f"{number}.spz", "--time", time)[0] == 0
    assert (tmp_path / "0.spz").read_bytes() != (tmp_path / "1.spz").read_bytes()


def test_a_job_of_frames(avatar, tmp_path, capsys):
    player = Player.of(Avatar.load(avatar))
    pose = np.diag([1.0, -1.0, -1.0, 1.0])
    pose[2, 3] = 1.0
    lens = {"fx": 90.0, "fy": 90.0, "cx": 32.0, "cy": 32.0}
    np.savez(
        tmp_path / "job.npz",
        splats=np.array(str(Avatar.load(avatar).splats_path)),
        vertices=player.vertices(np.zeros(52), np.zeros((2, 2)))[None],
        weights=np.zeros((1, 52), np.float32),
        T_view_world=pose[None],
        size=np.array([64, 48]),
        numbers=np.array([12]),
        **{key: np.array([value]) for key, value in lens.items()},
    )
    status, out, _ = run(capsys, "frames", tmp_path / "job.npz", "-o", tmp_path / "out")
    assert (status, "1 frames drawn, 0 kept" in out) == (0, True)
    assert cv2.imread(str(tmp_path / "out" / "splat_00012.png"), cv2.IMREAD_UNCHANGED).shape == (48, 64, 4)


def test_a_program_gets_lines_of_json(avatar, tmp_path, capfd):
    arguments = ["animate", avatar, "-o", tmp_path / "f", "--size", 32, "--end", 0.6, "--json"]
    assert main(["splat", *map(str, arguments)]) == 0
    lines = [json.loads(line) for line in capfd.readouterr().out.splitlines()]
    assert lines[-1]["result"]["frames"] == 3
    assert any("preview" in line for line in lines)


def test_training_is_asked_for_what_was_said(avatar, tmp_path, capsys, monkeypatch):
    from core.splat import train as module

    asked: dict = {}

    def pretended(avatar, preset, progress, **options):
        asked.update(options, preset=preset, avatar=avatar.name)
        progress(0.5, "train", "Half")
        return {"gaussians": 3, "seconds": 12.0, "psnr_db": 29.5, "ssim": 0.91}

    monkeypatch.setattr(module, "train", pretended)
    status, out, _ = run(
        capsys, "train", avatar, "--preset", "draft", "--resume", "--device", "cpu", "--models", tmp_path
    )
    assert status == 0
    assert "3 Gaussians in 12 s" in out
    assert "29.5 dB in pictures that were not trained on" in out
    assert (asked["preset"], asked["resume"], asked["device"]) == ("draft", True, "cpu")
    assert asked["models"] == asked["folders"] == [tmp_path]

    def cancelled(*_arguments, **_options):
        raise Cancelled("Cancelled at 40 %.", "The state is kept: train with resume to go on.")

    monkeypatch.setattr(module, "train", cancelled)
    status, _, err = run(capsys, "train", avatar)
    assert status == 130
    assert "The state is kept" in err


def test_a_folder_of_cap4d_is_told_from_an_avatar(tmp_path, capsys):
    (tmp_path / "fit.npz").write_bytes(b"")
    status, _, err = run(capsys, "train", tmp_path)
    assert status == 1
    assert "is a folder of CAP4D's, and no avatar yet. Name the one to make with -o NAME.avatar" in err


def test_the_presets_can_be_chosen(capsys):
    status, out, _ = run(capsys, "train", "--help")
    assert status == 0
    assert all(preset in out for preset in PRESETS)


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["animate", "-o", "m.mp4", "--background", "transparent"], "cannot be transparent"),
        (["animate", "-o", "f", "--performance", "nobody"], "has no performance 'nobody'"),
        (["animate", "-o", "f", "--performance", "take", "--fit", "x.npz"], "both say what is played"),
        (["animate", "-o", "f", "--fit", "x.npz"], "cannot be read"),
        (["animate", "-o", "f", "--camera", "x.npz"], "cannot be read"),
        (["animate", "-o", "f", "--start", 50], "No sample of 'take' lies between"),
        (["animate", "-o", "f", "--size", 5], "5 px cannot be made"),
        (["export", "-o", "a.obj"], "no known format"),
        (["export", "-o", "a.spz", "--performance", "take"], "holds one moment"),
        (["export", "-o", "a.ply", "--time", 1], "formats of one moment"),
        (["export", "-o", "d", "--format", "gaussian-avatars"], "FLAME's triangles"),
    ],
)
def test_what_cannot_be_done_is_said_in_a_sentence(avatar, tmp_path, capsys, monkeypatch, arguments, says):
    monkeypatch.chdir(tmp_path)
    status, _, err = run(capsys, arguments[0], avatar, *arguments[1:])
    last = err.strip().splitlines()[-1]
    assert status == 1
    assert last.startswith("Error: ")
    assert says in last
    assert not list(tmp_path.iterdir())


def test_an_avatar_without_gaussians_or_with_those_of_others_is_refused(avatar, tmp_path, capsys):
    other = tmp_path / "bare.avatar"
    shutil.copytree(avatar, other)
    (other / "splats.npz").unlink()
    status, _, err = run(capsys, "animate", other, "-o", tmp_path / "f")
    assert (status, "has no Gaussians yet. Run: splat train" in err) == (1, True)
    (other / "splats.npz").write_bytes((avatar / "splats.npz").read_bytes()[:5000])
    status, _, err = run(capsys, "animate", other, "-o", tmp_path / "f")
    assert (status, "damaged" in err) == (1, True)
    assert not (tmp_path / "f").exists()


def test_what_is_interrupted_leaves_nothing(avatar, tmp_path, capsys, monkeypatch):
    from core.splat import animate

    def interrupted(*_arguments):
        raise KeyboardInterrupt

    monkeypatch.setattr(animate, "show", interrupted)
    status, _, err = run(capsys, "animate", avatar, "-o", tmp_path / "m.mp4", "--size", 32)
    assert status == 130
    assert "Cancelled. Nothing was written." in err
    assert not list(tmp_path.iterdir())
