# SPDX-License-Identifier: GPL-3.0-or-later
"""The sidecar that says who a capture shows."""

from __future__ import annotations

import json

import pytest

from core.capture import open_capture
from core.capture.person import PersonHints, read_person
from core.errors import CaptureError, LikenessError
from core.pipeline import make_avatar

OBJ = "v 0 0 0\nv 1 0 0\nv 0 1 0\nf 1 2 3\n"


def capture_with(tmp_path, content: str | None):
    folder = tmp_path / "archive"
    folder.mkdir()
    (folder / "photo.jpg").write_bytes(
        bytes.fromhex("ffd8ffe000104a46494600010100000100010000") + b"\xff\xd9"
    )
    (folder / "faceGeometry1.obj").write_text(OBJ)
    if content is not None:
        (folder / "likeness.json").write_text(content)
    return folder


def test_without_a_sidecar_nothing_is_assumed(tmp_path):
    assert read_person(open_capture(capture_with(tmp_path, None))) == PersonHints()


def test_what_it_says_shapes_the_avatar_and_the_user_has_the_last_word(tmp_path):
    content = json.dumps({"likeness": 1, "gender": "female", "identity": {"age": 0.5, "weight": 0.25}})
    folder = capture_with(tmp_path, content)
    avatar = make_avatar(folder, tmp_path / "a.avatar", identity={"weight": 0.75}, tracking=False)
    assert avatar.gender == "female"
    assert avatar.identity["age"] == 0.5 and avatar.identity["weight"] == 0.75


@pytest.mark.parametrize(
    "content",
    [
        "[]", "{", '{"likeness": "1"}', '{"likeness": 7}', '{"likeness": 1, "gender": "robot"}',
        '{"likeness": 1, "identity": [1]}', '{"likeness": 1, "identity": {"age": NaN}}',
        '{"likeness": 1, "identity": {"age": "old"}}', '{"likeness": 1, "identity": {"age": true}}',
    ],
)  # fmt: skip
def test_a_wrong_sidecar_is_one_sentence(tmp_path, content):
    with pytest.raises(CaptureError, match=r"likeness\.json"):
        read_person(open_capture(capture_with(tmp_path, content)))


@pytest.mark.parametrize("identity", [{"age": 7.0}, {"elbows": 1.0}])
def test_values_the_model_does_not_know_leave_nothing_behind(tmp_path, identity):
    folder = capture_with(tmp_path, json.dumps({"likeness": 1, "identity": identity}))
    with pytest.raises(LikenessError):
        make_avatar(folder, tmp_path / "a.avatar")
    assert not (tmp_path / "a.avatar").exists()
