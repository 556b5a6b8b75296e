# SPDX-License-Identifier: GPL-3.0-or-later
"""Focal lengths out of photos: right, agreed on, or none."""

from __future__ import annotations

from pathlib import Path

import pytest

from core.capture import Member
from core.track.lens import FULL_FRAME, focal_px

Image = pytest.importorskip("PIL.Image")


def photo(path: Path, equivalent: object = None, size: tuple[int, int] = (400, 300)) -> Member:
    exif = Image.Exif()
    if equivalent is not None:
        exif.get_ifd(0x8769)[0xA405] = equivalent
    Image.new("RGB", size).save(path, exif=exif)
    return Member(path.name, path.stat().st_size, path)


@pytest.mark.parametrize("equivalent", [26, 50, 85])
def test_the_equivalent_focal_length_refers_to_the_diagonal(tmp_path, equivalent):
    found = focal_px(
        [photo(tmp_path / "a.jpg", equivalent), photo(tmp_path / "b.jpg", equivalent, (300, 400))]
    )
    assert found == pytest.approx(equivalent / FULL_FRAME * 500.0)


@pytest.mark.parametrize("second", [None, 50, 0, 60_000])
def test_photos_that_do_not_agree_say_nothing(tmp_path, second):
    assert focal_px([photo(tmp_path / "a.jpg", 26), photo(tmp_path / "b.jpg", second)]) is None


def test_what_is_no_picture_says_nothing(tmp_path):
    path = tmp_path / "a.jpg"
    path.write_bytes(b"\xff\xd8\xff\xe1\x00\x10Exif\x00\x00MM\x00*\xff\xff\xff\xff")
    assert focal_px([Member(path.name, path.stat().st_size, path)]) is None
    assert focal_px([]) is None
