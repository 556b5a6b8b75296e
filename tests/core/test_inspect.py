# SPDX-License-Identifier: GPL-3.0-or-later
"""The report on a capture: contents, what is missing, uses, and figures that find planted faults."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
from capture_samples import (
    COLUMN,
    TAKE,
    csv_text,
    leap_folder,
    motion,
    obj_text,
    png_bytes,
    real_file,
    take_folder,
    write_csv,
    write_movie,
    zip_folder,
)

from core.capture import inspect, open_capture
from core.capture.quality import jitter


@pytest.fixture(scope="module")
def movie(tmp_path_factory):
    return write_movie(tmp_path_factory.mktemp("movie") / "clip.mp4", seconds=2.0)


def report_on(path):
    report = inspect(open_capture(path))
    assert json.loads(json.dumps(report.to_dict()))["kind"] == report.capture.kind
    text = report.lines()
    assert text and all("\n" not in line for line in text)
    return report


def part(report, role):
    return next(part for part in report.parts if part.role == role)


def test_a_leap_archive_is_described_in_full(tmp_path, movie):
    folder = leap_folder(tmp_path / "anna", movie)
    report = report_on(zip_folder(folder, tmp_path / "anna.zip"))
    assert {p.role for p in report.parts} == {"movie", "photo", "face mesh", "weights", "opaque"}
    assert all(p.use for p in report.parts)
    assert report.missing == () and report.problems == () and report.usable
    opaque = part(report, "opaque")
    assert "not decoded" in opaque.use and "not documented" in opaque.use
    assert "4096 bytes" in opaque.facts and "4c 45 41 50" in opaque.facts
    assert (
        report.opaque[0].sha256
        == __import__("hashlib").sha256((folder / "data.bin").read_bytes()).hexdigest()
    )
    assert "48 x 64" in part(report, "photo").facts
    assert "16 vertices" in part(report, "face mesh").facts
    assert any("anna.zip: Leap archive" in line for line in report.lines())


def test_entropy_and_bytes_per_frame_of_the_opaque_part(tmp_path):
    folder = leap_folder(tmp_path / "a")
    for content, entropy in ((bytes(6000), 0.0), (bytes(range(256)) * 30, 8.0), (b"ab" * 3000, 1.0)):
        (folder / "data.bin").write_bytes(content)
        facts = report_on(folder).opaque[0]
        assert facts.entropy == pytest.approx(entropy, abs=1e-9)
        assert facts.bytes_per_frame == {60: len(content) // 60}


@pytest.mark.parametrize(
    ("absent", "says"),
    [
        ("photo.jpg", "no photo"),
        ("faceGeometry1.obj", "no face mesh"),
        ("source/ARVideo.mp4", "no movie"),
        ("weights.csv", "tracked in the movie"),
    ],
)
def test_each_missing_part_is_named(tmp_path, movie, absent, says):
    folder = leap_folder(tmp_path / "a", movie)
    (folder / absent).unlink()
    report = report_on(folder)
    assert any(says in sentence for sentence in report.missing), report.missing


def test_a_damaged_part_is_a_problem_and_the_others_are_still_described(tmp_path, movie):
    folder = leap_folder(tmp_path / "a", movie)
    (folder / "faceGeometry1.obj").write_text(obj_text() + "f 1 2 9999\n")
    clip = (folder / "source" / "ARVideo.mp4").read_bytes()
    (folder / "source" / "ARVideo.mp4").write_bytes(clip[: len(clip) // 2])
    (folder / "weights.csv").write_text(csv_text(motion(9)).replace("0.", "x.", 1))
    report = report_on(folder)
    assert len(report.problems) == 3
    assert part(report, "photo") and part(report, "opaque")
    assert report.movie is None and report.quality is None


@pytest.mark.parametrize("kind", ["video", "photos", "frames", "live_link"])
def test_every_kind_has_a_report(tmp_path, movie, kind):
    if kind == "video":
        report = report_on(movie)
        assert "tracked" in part(report, "movie").use
    elif kind == "live_link":
        report = report_on(write_csv(tmp_path / "a.csv"))
        assert any("no movie" in sentence for sentence in report.missing)
    else:
        for index in range(20 if kind == "frames" else 3):
            (tmp_path / f"p{index + index // 10}.png").write_bytes(png_bytes(10, 20 + (index == 19)))
        report = report_on(tmp_path)
    assert report.capture.kind == kind and report.usable
    if kind == "frames":
        assert "20 png frames" in part(report, "frames").facts
        assert any("1 numbers are missing" in w for w in report.warnings)
        assert any("same size" in w for w in report.warnings)
        assert any("30 frames/s are assumed" in m for m in report.missing)


def test_the_real_take_is_described():
    report = report_on(real_file(TAKE))
    quality = report.quality
    assert quality is not None
    assert (quality.rows, quality.dropped, quality.repeated) == (4030, 3, 0)
    assert quality.seconds == pytest.approx(134.382, abs=1e-3)
    assert not quality.head_rotation and quality.gaze
    assert 0.0 < max(quality.jitter.values()) < 0.005
    assert any("head rotation: missing" in line for line in report.lines())


# Figures against planted faults


def quality_of(tmp_path, values, seconds=None):
    path = tmp_path / "a.csv"
    path.write_text(csv_text(values, seconds))
    quality = report_on(path).quality
    assert quality is not None
    return quality


def test_a_clean_recording_has_no_faults(tmp_path):
    quality = quality_of(tmp_path, motion(300))
    assert (quality.dropped, quality.repeated, quality.clipped, quality.dead, quality.out_of_range) == (
        0,
        0,
        {},
        (),
        {},
    )
    assert quality.rate == pytest.approx(30.0, rel=1e-3)
    assert quality.longest_gap == pytest.approx(1 / 30, abs=1e-4)
    assert quality.head_rotation and quality.gaze


def test_dropped_frames_are_counted(tmp_path):
    keep = np.setdiff1d(np.arange(300), [5, 6, 7, 100, 250])
    quality = quality_of(tmp_path, motion(300)[keep], 1000.0 + keep / 30.0)
    assert quality.dropped == 5
    assert quality.dropped_share == pytest.approx(5 / 300)
    assert quality.longest_gap == pytest.approx(4 / 30, abs=1e-4)


def test_clipped_dead_and_escaping_channels_are_named(tmp_path):
    values = motion(200)
    values[:, COLUMN["JawOpen"]] = np.minimum(1.0, 1.5 * values[:, COLUMN["JawOpen"]])
    values[:, COLUMN["TongueOut"]] = 0.0
    values[7, COLUMN["MouthPucker"]] = 1.7
    values[9, COLUMN["CheekPuff"]] = -0.4
    quality = quality_of(tmp_path, values)
    share = float((values[:, COLUMN["JawOpen"]] >= 1.0).mean())
    assert quality.clipped == {"jawOpen": pytest.approx(share)} and share > 0.1
    assert quality.dead == ("tongueOut",)
    assert quality.out_of_range == {"mouthPucker": pytest.approx(1.7), "cheekPuff": pytest.approx(-0.4)}


@pytest.mark.parametrize("noise", [0.002, 0.02])
def test_jitter_measures_the_noise_that_was_added(tmp_path, noise):
    values = motion(4000)
    rng = np.random.default_rng(5)
    values[:, COLUMN["BrowInnerUp"]] += rng.normal(0.0, noise, len(values))
    quality = quality_of(tmp_path, values)
    assert quality.jitter["browInnerUp"] == pytest.approx(noise, rel=0.1)
    assert quality.worst_jitter[0][0] == ("browInnerUp" if noise > 0.01 else quality.worst_jitter[0][0])


def test_jitter_passes_over_blinks_and_movement():
    time = np.arange(3000) / 30.0
    smooth = 0.5 + 0.4 * np.sin(2 * math.pi * 0.2 * time)
    blinking = smooth * 0.0
    for start in range(50, 3000, 120):
        blinking[start : start + 5] = (0.3, 0.9, 1.0, 0.7, 0.2)
    assert jitter(np.stack([smooth, blinking], axis=1)).max() < 5e-4
    assert jitter(np.zeros((4, 4))).tolist() == [0.0] * 4


def test_head_jitter_is_in_degrees(tmp_path):
    values = motion(3000)
    values[:, 52:55] = np.random.default_rng(2).normal(0.0, math.radians(0.5), (3000, 3))
    quality = quality_of(tmp_path, values)
    assert quality.head_jitter == pytest.approx(0.5 * math.sqrt(3), rel=0.1)


@pytest.mark.parametrize(
    ("rows", "lead", "drift"), [(60, 0.0, 0.0), (60, 0.5, 0.0), (75, 0.0, 0.5), (45, 0.1, -0.5)]
)
def test_drift_between_movie_and_weights(tmp_path, movie, rows, lead, drift):
    report = report_on(take_folder(tmp_path / "take", movie, rows=rows, lead=lead))
    quality = report.quality
    assert quality is not None and quality.drift is not None
    assert quality.start_offset == pytest.approx(lead, abs=1e-3)
    assert quality.drift == pytest.approx(drift, abs=1e-3)
    assert quality.end_offset == pytest.approx(lead + drift, abs=1e-3)
    assert quality.drift_per_minute == pytest.approx(30 * drift, abs=0.05)
    assert any("than the movie" in warning for warning in report.warnings) == (abs(drift) > 0.25)
