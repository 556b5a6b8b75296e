# SPDX-License-Identifier: GPL-3.0-or-later
"""Live Link Face tables: every dialect, time codes, signs of the angles, and errors that name line and
column.
"""

from __future__ import annotations

import csv
import gzip
import struct
import time

import numpy as np
import pytest
from capture_samples import (
    COLUMN,
    HEADER,
    STREAM,
    TAKE,
    csv_text,
    motion,
    real_file,
    take_folder,
    timecode,
    write_csv,
    write_movie,
)

from core import rotation
from core.arkit import ARKIT_NAMES, INDEX, LIVE_LINK_CSV_NAMES, LIVE_LINK_SIGNS, ROTATION_NAMES
from core.capture import open_capture, read_performance, read_recording
from core.capture.timecode import difference, parse_timecode
from core.errors import CaptureError
from core.performance import gaze_directions


def read(tmp_path, text, encoding="utf-8"):
    path = tmp_path / "take.csv"
    path.write_bytes(text if isinstance(text, bytes) else text.encode(encoding))
    reading = read_recording(open_capture(path))
    assert reading is not None
    return reading


def plain_reader(path):
    """The slow twin: one cell at a time, with the csv module."""
    with path.open(newline="") as stream:
        rows = list(csv.reader(stream))
    weights = np.zeros((len(rows) - 1, 52), np.float32)
    for column, title in enumerate(rows[0]):
        name = title[0].lower() + title[1:]
        if name in INDEX:
            for index, row in enumerate(rows[1:]):
                weights[index, INDEX[name]] = float(row[column])
    seconds = []
    for row in rows[1:]:
        hour, minute, second, frame = row[0].split(":")
        seconds.append(3600 * int(hour) + 60 * int(minute) + int(second) + float(frame) / 60)
    return np.array(seconds), weights


def test_reading_equals_a_plain_reader(tmp_path):
    path = write_csv(tmp_path / "a.csv", rows=50)
    seconds, weights = plain_reader(path)
    performance = read_performance(open_capture(path))
    assert performance is not None
    np.testing.assert_array_equal(performance.weights, weights)
    np.testing.assert_allclose(performance.time, seconds - seconds[0], atol=1e-9)
    assert performance.timecode == pytest.approx(seconds[0])


def test_the_real_take_equals_a_plain_reader_and_is_fast():
    path = real_file(TAKE)
    capture = open_capture(path)
    seconds, weights = plain_reader(path)
    spent = []
    for _ in range(8):
        start = time.process_time()
        reading = read_recording(capture)
        spent.append(time.process_time() - start)
    assert reading is not None
    performance = reading.performance
    np.testing.assert_array_equal(performance.weights, weights)
    np.testing.assert_allclose(performance.time, seconds - seconds[0], atol=1e-9)
    assert performance.frame_count == 4030 and performance.rate == pytest.approx(30.0, abs=0.01)
    assert performance.head_rotation is None and performance.gaze is not None
    assert sum("head rotation" in warning for warning in reading.warnings) == 1
    assert min(spent) < 0.1, f"reading 4030 rows took {min(spent):.3f} s of processor time"


def test_left_and_right_of_mouth_and_jaw_go_by_name_not_by_place(tmp_path):
    values = np.zeros((3, 61))
    for name, value in (("JawLeft", 0.1), ("JawRight", 0.2), ("MouthLeft", 0.3), ("MouthRight", 0.4)):
        values[:, COLUMN[name]] = value
    performance = read(tmp_path, csv_text(values)).performance
    found = [
        float(performance.weight(name)[0]) for name in ("jawLeft", "jawRight", "mouthLeft", "mouthRight")
    ]
    assert found == pytest.approx([0.1, 0.2, 0.3, 0.4])


def dialects():
    lower = [name[0].lower() + name[1:] for name in HEADER]
    short = [
        name.replace("Left", "_L").replace("Right", "_R") if i < 54 else name for i, name in enumerate(lower)
    ]
    yield "app", csv_text(motion(9)).encode()
    yield "lower", csv_text(motion(9), header=lower).encode()
    yield "shouted", csv_text(motion(9), header=[n.upper() for n in HEADER]).encode()
    yield "short", csv_text(motion(9), header=short).encode()
    yield (
        "prefixed",
        csv_text(
            motion(9), header=[*HEADER[:2], *("head_" + n for n in HEADER[2:54]), *HEADER[54:]]
        ).encode(),
    )
    yield "BlendshapeCount", csv_text(motion(9), header=("Timecode", "BlendshapeCount", *HEADER[2:])).encode()
    yield "quoted", csv_text(motion(9), header=[f'"{name}"' for name in HEADER]).encode()
    yield "windows", csv_text(motion(9), newline="\r\n").encode()
    yield "old mac", csv_text(motion(9), newline="\r").encode()
    yield "blank lines", csv_text(motion(9), newline="\n\n").encode() + b"\n\n"
    yield "no last line end", csv_text(motion(9)).rstrip("\n").encode()
    yield "tabs", csv_text(motion(9), delimiter="\t").encode()
    body = csv_text(motion(9), delimiter=";").split("\n", 1)
    yield "decimal commas", (body[0] + "\n" + body[1].replace(".", ",")).encode()
    yield "utf-8 mark", b"\xef\xbb\xbf" + csv_text(motion(9)).encode()
    yield "utf-16", csv_text(motion(9)).encode("utf-16")
    yield "utf-16-be", b"\xfe\xff" + csv_text(motion(9)).encode("utf-16-be")
    yield "utf-16 without mark", csv_text(motion(9)).encode("utf-16-le")
    yield (
        "latin-1",
        csv_text(motion(9), header=(*HEADER[:-1], HEADER[-1] + ",Schauspielerin Zo\xeb")).encode("latin-1"),
    )
    order = np.random.default_rng(1).permutation(61)
    yield (
        "shuffled",
        csv_text(motion(9)[:, order], header=(*HEADER[:2], *(HEADER[2 + i] for i in order))).encode(),
    )


@pytest.mark.parametrize(("name", "content"), list(dialects()), ids=[name for name, _ in dialects()])
def test_every_dialect_reads_the_same(tmp_path, name, content):
    expected = read(tmp_path, csv_text(motion(9))).performance
    if name == "latin-1":  # a further column of text is not a number and is refused by name
        with pytest.raises(CaptureError, match="cells where the header has"):
            read(tmp_path, content)
        return
    reading = read(tmp_path, content)
    np.testing.assert_array_equal(reading.performance.weights, expected.weights)
    np.testing.assert_array_equal(reading.performance.time, expected.time)
    assert reading.performance.head_rotation is not None and expected.head_rotation is not None
    np.testing.assert_array_equal(reading.performance.head_rotation, expected.head_rotation)
    assert reading.warnings == ()


def test_columns_that_are_not_there_stay_zero_and_are_named(tmp_path):
    reading = read(tmp_path, csv_text(motion(4)[:, :51], header=HEADER[:53]))
    assert reading.performance.head_rotation is None and reading.performance.gaze is None
    assert "tongueOut" in reading.warnings[0]
    assert np.all(reading.performance.weight("tongueOut") == 0.0)
    assert len(reading.columns) == 51


def test_zero_head_columns_give_one_warning_and_no_rotation(tmp_path):
    reading = read(tmp_path, csv_text(motion(5, head=False)))
    assert reading.performance.head_rotation is None
    assert ["Stream Head Rotation" in warning for warning in reading.warnings] == [True]


# Time


@pytest.mark.parametrize("rate", [24.0, 25.0, 29.97, 30.0, 50.0, 60.0])
def test_frames_count_sixtieths_whatever_the_rate(tmp_path, rate):
    seconds = 3600.0 + np.arange(int(rate * 6)) / rate
    reading = read(tmp_path, csv_text(motion(len(seconds)), seconds))
    np.testing.assert_allclose(reading.performance.time, seconds - seconds[0], atol=2e-5)
    assert reading.performance.rate == pytest.approx(rate, rel=2e-3)
    assert reading.warnings == ()


@pytest.mark.parametrize("base", [24, 25, 30])
def test_other_bases_of_other_tools_are_recognised(tmp_path, base):
    lines = csv_text(motion(base * 5)).split("\n")
    for index in range(base * 5):
        cells = lines[index + 1].split(",")
        cells[0] = f"01:00:{index // base:02d}:{index % base:02d}.000"
        lines[index + 1] = ",".join(cells)
    reading = read(tmp_path, "\n".join(lines))
    np.testing.assert_allclose(reading.performance.time, np.arange(base * 5) / base, atol=1e-9)
    assert f"counts {base} frames" in reading.warnings[0]


def test_dropped_frames_leave_a_gap_in_time(tmp_path):
    seconds = np.delete(47584.5 + np.arange(90) / 30.0, [10, 11, 40])
    performance = read(tmp_path, csv_text(motion(87), seconds)).performance
    np.testing.assert_allclose(performance.time, seconds - seconds[0], atol=2e-5)


def test_midnight_is_passed(tmp_path):
    seconds = 86_400.0 - 1.0 + np.arange(90) / 30.0
    text = csv_text(motion(90), seconds)
    assert "\n00:00:00:" in text and "\n23:59:59:" in text
    reading = read(tmp_path, text)
    np.testing.assert_allclose(reading.performance.time, np.arange(90) / 30.0, atol=2e-5)
    assert reading.performance.timecode == pytest.approx(86_399.0)
    assert reading.warnings == ()


def test_repeated_and_backward_rows_are_left_out_and_counted(tmp_path):
    seconds = 47584.5 + np.arange(30) / 30.0
    seconds[10] = seconds[9]
    seconds[20] = seconds[5]
    reading = read(tmp_path, csv_text(motion(30), seconds))
    assert (reading.repeated, reading.rows, reading.performance.frame_count) == (2, 30, 28)
    assert "2 rows" in reading.warnings[0]
    assert np.all(np.diff(reading.performance.time) > 0)


def test_time_that_runs_backwards_is_refused(tmp_path):
    with pytest.raises(CaptureError, match="does not advance"):
        read(tmp_path, csv_text(motion(30), 47584.5 - np.arange(30) / 30.0))


def test_a_jump_of_the_clock_is_said(tmp_path):
    seconds = 47584.5 + np.arange(30) / 30.0
    seconds[15:] += 500.0
    assert "jumps by 500 s" in read(tmp_path, csv_text(motion(30), seconds)).warnings[0]


@pytest.mark.parametrize("lead", [0.0, 0.25, -0.2, 1.5])
def test_weights_and_movie_are_put_together_by_time_code(tmp_path, lead):
    movie = write_movie(tmp_path / "m.mp4")
    folder = take_folder(tmp_path / "take", movie, lead=lead)
    reading = read_recording(open_capture(folder))
    assert reading is not None
    early = round(max(0.0, -lead) * 30)
    assert reading.before_movie == early
    assert reading.performance.time[0] == pytest.approx(lead + early / 30.0, abs=1e-4)
    assert reading.performance.frame_count == 60 - early


def test_without_a_movie_time_begins_with_the_first_row(tmp_path):
    folder = take_folder(tmp_path / "take", lead=0.5)
    performance = read_performance(open_capture(folder))
    assert performance is not None and performance.time[0] == 0.0


def test_the_frame_log_gives_the_start_where_take_json_does_not(tmp_path):
    folder = take_folder(tmp_path / "take", write_movie(tmp_path / "m.mp4"), lead=0.5)
    (folder / "take.json").unlink()
    performance = read_performance(open_capture(folder))
    assert performance is not None and performance.time[0] == pytest.approx(0.5, abs=1e-4)


def test_a_movie_and_weights_over_midnight_are_put_together(tmp_path):
    folder = take_folder(tmp_path / "take", write_movie(tmp_path / "m.mp4"))
    facts = (folder / "take.json").read_text().replace(timecode(47584.5), timecode(86_399.9))
    (folder / "take.json").write_text(facts)
    (folder / "Slate_1_iPhone.csv").write_text(csv_text(motion(60), 86_400.1 + np.arange(60) / 30.0))
    performance = read_performance(open_capture(folder))
    assert performance is not None and performance.time[0] == pytest.approx(0.2, abs=1e-4)


def test_weights_of_another_take_are_not_pushed_away(tmp_path):
    folder = take_folder(tmp_path / "take", write_movie(tmp_path / "m.mp4"), lead=5000.0)
    reading = read_recording(open_capture(folder))
    assert reading is not None and reading.performance.time[0] == 0.0
    assert "5000 s apart" in reading.warnings[0]


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("13:13:04:31.652", 47584.527533),
        ("00:00:00:00.000", 0.0),
        ("1:2:3:4", 3723.0666667),
        ("23:59:59;59", 86399.983333),
        ("24:00:00:00", None),
        ("00:60:00:00", None),
        ("00:00:00:60", None),
        ("soon", None),
        ("", None),
        ("1:2:3", None),
    ],
)
def test_single_time_codes(text, seconds):
    found = parse_timecode(text)
    assert found == (None if seconds is None else pytest.approx(seconds, abs=1e-5))


def test_differences_between_times_of_day_take_the_short_way():
    assert difference(10.0, 86_390.0) == pytest.approx(20.0)
    assert difference(86_390.0, 10.0) == pytest.approx(-20.0)


# Angles


def test_eye_signs_hold_on_the_real_take():
    """Gaze must rise with the weights that say the same, in both eyes and both directions."""
    performance = read_performance(open_capture(real_file(TAKE)))
    assert performance is not None and performance.gaze is not None
    assert_gaze_agrees(performance.gaze, performance.weights)


def assert_gaze_agrees(gaze, weights):
    directions = gaze_directions(weights)
    for eye in range(2):
        for axis in range(2):
            assert np.corrcoef(gaze[:, eye, axis], directions[:, eye, axis])[0, 1] > 0.98


def stream_values():
    """(N, 61) float64 of the recorded packets, in UDP order."""
    data = gzip.decompress(real_file(STREAM).read_bytes())
    (count,) = struct.unpack_from(">I", data, 1)
    at, rows = 5, []
    for _ in range(count):
        (size,) = struct.unpack_from(">I", data, at)
        if data[at + 4 + size - 245] == 61:
            rows.append(struct.unpack_from(">61f", data, at + 4 + size - 244))
        at += 4 + size
    return np.array(rows)


def test_head_signs_hold_on_the_recorded_stream(tmp_path):
    """Eyes that stay on the phone turn against the head (the vestibulo-ocular reflex), in yaw as the head
    moves.
    """
    values = stream_values()
    names = [*ARKIT_NAMES, *ROTATION_NAMES]
    order = [names.index(title[0].lower() + title[1:]) for title in LIVE_LINK_CSV_NAMES]
    reading = read(tmp_path, csv_text(values[:, order], 1000.0 + np.arange(len(values)) / 60.0))
    performance = reading.performance
    assert performance.gaze is not None and performance.head_rotation is not None
    assert_gaze_agrees(performance.gaze, performance.weights)
    head_yaw = rotation.to_angles(performance.head_rotation)[0]
    eye_yaw = performance.gaze[:, :, 0].mean(axis=1)
    assert np.corrcoef(head_yaw, eye_yaw)[0, 1] < -0.9
    assert np.corrcoef(np.diff(head_yaw), np.diff(eye_yaw))[0, 1] < -0.8


def test_angles_become_rotations_in_the_head_frame(tmp_path):
    values = motion(3)
    values[:, 52:] = 0.0
    values[0, COLUMN["HeadYaw"]] = 0.3
    values[1, COLUMN["HeadPitch"]] = 0.3
    values[2, COLUMN["HeadRoll"]] = 0.3
    values[:, COLUMN["LeftEyeYaw"]] = values[:, COLUMN["RightEyePitch"]] = 0.2
    performance = read(tmp_path, csv_text(values)).performance
    assert performance.head_rotation is not None and performance.gaze is not None
    nose, crown = np.array([0.0, 0.0, 1.0]), np.array([0.0, 1.0, 0.0])
    turned, lifted, tilted = rotation.to_matrix(performance.head_rotation)
    assert (turned @ nose)[0] > 0.2, "positive HeadYaw turns the face to the subject's left"
    assert (lifted @ nose)[1] > 0.2, "positive HeadPitch lifts the face"
    assert (tilted @ crown)[0] < -0.2, "positive HeadRoll leans the head to the right shoulder"
    assert performance.gaze[0, 0].tolist() == pytest.approx([-0.2, 0.0])
    assert performance.gaze[0, 1].tolist() == pytest.approx([0.0, -0.2])


def test_what_the_project_writes_is_read_back(tmp_path):
    performance = read(tmp_path, csv_text(motion(40))).performance
    performance.save_live_link_csv(tmp_path / "again.csv")
    again = read_performance(open_capture(tmp_path / "again.csv"))
    assert again is not None and again.head_rotation is not None and again.gaze is not None
    assert performance.head_rotation is not None and performance.gaze is not None
    np.testing.assert_allclose(again.weights, performance.weights, atol=1e-6)
    np.testing.assert_allclose(again.time, performance.time, atol=2e-5)
    np.testing.assert_allclose(again.head_rotation, performance.head_rotation, atol=1e-6)
    np.testing.assert_allclose(again.gaze, performance.gaze, atol=1e-6)
    assert len(LIVE_LINK_SIGNS) == 9


# Damage


def change(row, column, value, rows=40):
    """A table with one cell replaced; `row` counts lines of the file."""
    lines = csv_text(motion(rows)).split("\n")
    cells = lines[row - 1].split(",")
    cells[HEADER.index(column)] = value
    lines[row - 1] = ",".join(cells)
    return "\n".join(lines)


@pytest.mark.parametrize("value", ["nan", "inf", "-inf", "1e30", "-55", "11"])
def test_values_that_cannot_be_are_named_by_line_and_column(tmp_path, value):
    with pytest.raises(CaptureError, match=r"take\.csv, line 17: .* in column jawOpen cannot be a weight"):
        read(tmp_path, change(17, "JawOpen", value))


@pytest.mark.parametrize("value", ["nan", "45.0", "-1e9"])
def test_angles_in_degrees_are_named(tmp_path, value):
    with pytest.raises(CaptureError, match=r"line 9: .* in column headPitch cannot be an angle") as caught:
        read(tmp_path, change(9, "HeadPitch", value))
    assert "radians" in caught.value.hint


@pytest.mark.parametrize("value", ["", "abc", "0,5x", "1_000", "0x10", "--1", "1.2.3"])
def test_cells_that_are_no_numbers_are_named(tmp_path, value):
    text = change(23, "CheekPuff", value.replace(",", "."))
    with pytest.raises(CaptureError, match=r"line 23: .* in column CheekPuff is not a number"):
        read(tmp_path, text)


@pytest.mark.parametrize(
    "value", ["noon", "25:00:00:00.000", "12:61:00:00.000", "12:00:00:75.000", "", "12:00:00", "-1:0:0:0"]
)
def test_time_codes_that_cannot_be_are_named(tmp_path, value):
    with pytest.raises(CaptureError, match=r"line 5: .*(time code|time of day)"):
        read(tmp_path, change(5, "Timecode", value))


def test_a_row_with_too_few_cells_is_named(tmp_path):
    lines = csv_text(motion(20)).split("\n")
    lines[7] = ",".join(lines[7].split(",")[:30])
    with pytest.raises(CaptureError, match="line 8: it has 30 cells where the header has 63"):
        read(tmp_path, "\n".join(lines))


def test_a_table_that_breaks_off_loses_its_last_row_only(tmp_path):
    text = csv_text(motion(20))
    reading = read(tmp_path, text[: text.rindex("\n", 0, -1) + 200])
    assert reading.performance.frame_count == 19
    assert "breaks off" in reading.warnings[0]


def test_tables_without_rows_or_header_are_refused(tmp_path):
    with pytest.raises(CaptureError, match="nothing was recorded"):
        read(tmp_path, ",".join(HEADER) + "\n")
    with pytest.raises(CaptureError, match="does not begin with a column 'Timecode'"):
        read(tmp_path, csv_text(motion(3), header=("Frame", *HEADER[1:])))


def test_a_line_without_end_is_refused(tmp_path):
    with pytest.raises(CaptureError, match="a line of more than"):
        read(tmp_path, csv_text(motion(3)) + "0," * 200_000)


def test_too_many_columns_are_refused(tmp_path):
    with pytest.raises(CaptureError, match="columns, more than"):
        read(tmp_path, csv_text(motion(3), header=(*HEADER, *(f"x{i}" for i in range(600)))))


def test_one_row_is_a_performance(tmp_path):
    assert read(tmp_path, csv_text(motion(1))).performance.frame_count == 1


@pytest.mark.slow
def test_a_million_rows_are_read_in_bounded_time(tmp_path):
    path = tmp_path / "long.csv"
    block = ["61," + ",".join(["0.25"] * 52 + ["0.1"] * 9)] * 1000
    with path.open("w") as stream:
        stream.write(",".join(HEADER) + "\n")
        for index in range(1000):
            stamps = (timecode((index * 1000 + i) / 60.0) for i in range(1000))
            stream.write("".join(f"{stamp},{row}\n" for stamp, row in zip(stamps, block, strict=True)))
    start = time.perf_counter()
    performance = read_performance(open_capture(path))
    assert performance is not None and performance.frame_count == 1_000_000
    assert time.perf_counter() - start < 60.0
