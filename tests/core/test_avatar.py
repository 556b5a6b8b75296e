# SPDX-License-Identifier: GPL-3.0-or-later
"""The avatar folder: round trips, damage named and left alone, names that every system can store."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from performances import random_performance, same

from core.avatar import Avatar, safe_file_name
from core.errors import AvatarError


def made(tmp_path: Path) -> Avatar:
    rng = np.random.default_rng(0)
    avatar = Avatar.create(
        tmp_path / "Ada.avatar",
        model_sha256="ab" * 32,
        gender="female",
        identity={"gender": 1.0, "age": 0.6},
        coefficients=rng.normal(size=12).astype(np.float32),
        vertices=rng.normal(size=(30, 3)).astype(np.float32),
        provenance={"capture": {"kind": "leap"}},
        warnings=["One sentence."],
    )
    avatar.add_performance(random_performance(1, name="take 1"))
    avatar.add_performance(random_performance(2, name="take: 2/ü"))
    avatar.add_media("movie", tmp_path / "elsewhere" / "m.mp4")
    (avatar.folder / "media").mkdir()
    (avatar.folder / "media" / "photo.jpg").write_bytes(b"jpeg")
    avatar.add_media("photo", avatar.folder / "media" / "photo.jpg")
    avatar.add_media("photo", avatar.folder / "media" / "photo.jpg")
    avatar.save()
    return avatar


def files(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_save_and_load_give_it_back(tmp_path):
    avatar = made(tmp_path)
    again = Avatar.load(avatar.folder)
    for field in (
        "folder",
        "name",
        "id",
        "model",
        "model_sha256",
        "gender",
        "identity",
        "media",
        "provenance",
    ):
        assert getattr(again, field) == getattr(avatar, field), field
    assert again.warnings == avatar.warnings
    assert np.array_equal(again.coefficients, avatar.coefficients)
    assert np.array_equal(again.vertices, avatar.vertices)
    assert again.performances == ("take 1", "take: 2/ü")
    same(again.load_performance(), random_performance(1, name="take 1"))
    same(again.load_performance("take: 2/ü"), random_performance(2, name="take: 2/ü"))


def test_saving_again_changes_no_byte(tmp_path):
    avatar = made(tmp_path)
    before = files(avatar.folder)
    Avatar.load(avatar.folder).save()
    assert files(avatar.folder) == before


def test_the_folder_can_move(tmp_path):
    moved = made(tmp_path).folder.rename(tmp_path / "Eve.avatar")
    avatar = Avatar.load(moved)
    assert avatar.media_path("photo") == moved / "media" / "photo.jpg"
    assert avatar.media["photo_2"] == "media/photo.jpg"
    assert avatar.media_path("movie") == tmp_path / "elsewhere" / "m.mp4"
    assert avatar.media_path("audio") is None
    assert avatar.missing_media() == ("movie",)


def test_a_performance_of_the_same_name_is_replaced(tmp_path):
    avatar = made(tmp_path)
    avatar.add_performance(random_performance(9, name="take 1"))
    assert avatar.performances == ("take 1", "take: 2/ü")
    assert len(list((avatar.folder / "performances").iterdir())) == 2
    same(Avatar.load(avatar.folder).load_performance("take 1"), random_performance(9, name="take 1"))


def test_names_that_become_the_same_file_are_kept_apart(tmp_path):
    avatar = made(tmp_path)
    for name in ("a/b", "a:b", "A_B"):
        avatar.add_performance(random_performance(3, 5, name=name))
    stored = [avatar.performance_path(name).name.lower() for name in ("a/b", "a:b", "A_B")]
    assert len(set(stored)) == 3
    assert [Avatar.load(avatar.folder).load_performance(n).name for n in ("a/b", "a:b", "A_B")] == [
        "a/b",
        "a:b",
        "A_B",
    ]


@given(st.text(max_size=300))
def test_any_name_gives_a_file_name_for_every_system(name):
    safe = safe_file_name(name)
    assert 1 <= len(safe) <= 81
    assert not set(safe) & set('/\\:*?"<>|\0\n')
    assert safe == safe.strip(" .")
    assert safe.split(".")[0].lower() not in {"con", "nul", "com1"}
    assert safe_file_name(safe) == safe


def edit(avatar, **changes):
    path = avatar.folder / "avatar.json"
    value = json.loads(path.read_text(encoding="utf-8")) | changes
    path.write_text(json.dumps({k: v for k, v in value.items() if v is not ...}), encoding="utf-8")


def replace_head(avatar, **arrays):
    np.savez(avatar.folder / "head.npz", **arrays)


DAMAGE = {
    "avatar.json is missing": lambda a: (a.folder / "avatar.json").unlink(),
    "avatar.json is cut": lambda a: (a.folder / "avatar.json").write_bytes(b'{"schema": 1'),
    "avatar.json is no text": lambda a: (a.folder / "avatar.json").write_bytes(b"\xff\xfe\x00"),
    "avatar.json is a list": lambda a: (a.folder / "avatar.json").write_text("[1]"),
    "avatar.json is deep": lambda a: (a.folder / "avatar.json").write_text("[" * 100_000),
    "newer": lambda a: edit(a, schema=2),
    "no schema": lambda a: edit(a, schema=...),
    "no name": lambda a: edit(a, name=...),
    "identity is text": lambda a: edit(a, identity={"age": "old"}),
    "identity is not finite": lambda a: edit(a, identity={"age": float("inf")}),
    "unknown gender": lambda a: edit(a, gender="x"),
    "head elsewhere": lambda a: edit(a, head="../head.npz"),
    "performance elsewhere": lambda a: edit(a, performance_files={"x": "../../x.npz"}),
    "performance in a folder": lambda a: edit(a, performance_files={"x": "a/b.npz"}),
    "media elsewhere": lambda a: edit(a, media={"photo": "media/../../x"}),
    "head.npz is missing": lambda a: (a.folder / "head.npz").unlink(),
    "head.npz is cut": lambda a: (a.folder / "head.npz").write_bytes(
        (a.folder / "head.npz").read_bytes()[:-99]
    ),
    "head.npz is flat": lambda a: replace_head(a, vertices=np.zeros(30, np.float32)),
    "head.npz has NaN": lambda a: replace_head(a, vertices=np.full((30, 3), np.nan, np.float32)),
    "head.npz is pickled": lambda a: replace_head(a, vertices=np.array([{}], dtype=object)),
    "a performance is missing": lambda a: a.performance_path("take 1").unlink(),
}


@pytest.mark.parametrize("case", DAMAGE)
def test_damage_is_one_sentence_and_touches_nothing(case, tmp_path):
    avatar = made(tmp_path)
    DAMAGE[case](avatar)
    before = files(avatar.folder)
    with pytest.raises(AvatarError) as caught:
        Avatar.load(avatar.folder)
    assert "\n" not in str(caught.value)
    assert any(part in caught.value.message for part in ("Ada.avatar", "avatar.json", "head.npz"))
    assert files(avatar.folder) == before


def test_a_newer_avatar_is_named_as_such(tmp_path):
    avatar = made(tmp_path)
    edit(avatar, schema=2)
    with pytest.raises(AvatarError, match="newer version"):
        Avatar.load(avatar.folder)


def test_create_writes_over_nothing(tmp_path):
    avatar = made(tmp_path)
    with pytest.raises(AvatarError, match="already"):
        Avatar.create(avatar.folder)
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("years")
    with pytest.raises(AvatarError, match="not an avatar"):
        Avatar.create(tmp_path / "mine")
    assert files(tmp_path / "mine") == {"thesis.txt": b"years"}
    with pytest.raises(AvatarError, match="not an avatar"):
        Avatar.create(tmp_path / "mine" / "thesis.txt")


def test_unusable_values_are_refused_and_the_old_file_stays(tmp_path):
    avatar = made(tmp_path)
    before = files(avatar.folder)
    for field, value in (("gender", "x"), ("identity", {"age": float("nan")}), ("provenance", {"a": {1, 2}})):
        broken = Avatar.load(avatar.folder)
        setattr(broken, field, value)
        with pytest.raises(AvatarError, match="cannot be saved"):
            broken.save()
    assert files(avatar.folder) == before


def test_what_is_not_there_is_said_by_name(tmp_path):
    with pytest.raises(AvatarError, match="no avatar folder"):
        Avatar.load(tmp_path / "nobody.avatar")
    empty = Avatar.create(tmp_path / "empty.avatar")
    assert (empty.name, empty.coefficients) == ("empty", None)
    assert Avatar.load(empty.folder).performances == ()
    with pytest.raises(AvatarError, match="has no performance"):
        empty.load_performance()
    with pytest.raises(AvatarError, match="'x'"):
        empty.load_performance("x")
