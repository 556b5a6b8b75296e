# SPDX-License-Identifier: GPL-3.0-or-later
"""The user's own head models by name: found, compiled once, loaded; and the verb that does it by hand."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
from flame_files import published
from test_ict import stand_in

from core.__main__ import parser
from core.errors import LikenessError, ModelError
from core.head import load_model, model_path
from core.head.flame import compile_flame
from core.head.library import compiled, find_model
from core.progress import silent


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch):
    """A cache and no model folders."""
    monkeypatch.setenv("LIKENESS_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("LIKENESS_MODELS", raising=False)


def cached(tmp_path: Path) -> list[Path]:
    return sorted((tmp_path / "cache" / "heads").glob("*"))


def test_a_published_file_is_compiled_once_and_then_found(tmp_path):
    folder = published("2023_open").parent
    first = find_model("flame", [folder])
    assert cached(tmp_path) == [first]
    stamp = first.stat().st_mtime_ns
    assert find_model("flame", [folder]) == first == find_model("flame_2023_open", [folder])
    assert first.stat().st_mtime_ns == stamp
    model = load_model("flame", [folder])
    assert model.provenance["flame_variant"] == "2023_open" and model.mesh_vertex_count == 5023


def test_folders_come_from_the_environment_too_and_are_searched_below(tmp_path, monkeypatch):
    deep = tmp_path / "models" / "FLAME2020"
    deep.mkdir(parents=True)
    (deep / "generic_model.pkl").symlink_to(published("2020"))
    (deep / "flame_static_embedding.pkl").write_bytes(b"not a model")
    monkeypatch.setenv("LIKENESS_MODELS", os.pathsep.join([str(tmp_path / "gone"), str(tmp_path / "models")]))
    assert load_model("flame").provenance["flame_variant"] == "2020"
    with pytest.raises(ModelError, match="none of the model folders"):
        find_model("flame_2023")


def test_the_open_release_is_preferred_and_any_can_be_named(tmp_path):
    for variant in ("2020", "2023_open"):
        compile_flame(published(variant), tmp_path / f"head_{variant}.npz")
    assert find_model("flame", [tmp_path]) == tmp_path / "head_2023_open.npz"
    assert find_model("flame_2020", [tmp_path]) == tmp_path / "head_2020.npz"
    assert cached(tmp_path) == []


def test_a_changed_file_is_compiled_anew(tmp_path):
    stand_in(tmp_path)
    first = find_model("ict", [tmp_path])
    stand_in(tmp_path, expr_deltas=np.zeros((3, 480, 3), np.float32))
    assert find_model("ict", [tmp_path]) != first and len(cached(tmp_path)) == 2


def test_ict_is_loaded_by_name_and_by_folder(tmp_path):
    stand_in(tmp_path)
    assert load_model("ict", [tmp_path]).name == "ict" == load_model(tmp_path).name


def test_names_that_are_none_and_models_that_are_nowhere(tmp_path):
    for name, match in (
        ("flame", "none of the model folders"),
        ("ict", "none of"),
        ("smpl", "no head model named"),
    ):
        with pytest.raises(ModelError, match=match):
            load_model(name, [tmp_path])
    with pytest.raises(ModelError, match="no head model that is known"):
        compiled(tmp_path)
    with pytest.raises(ModelError, match=r"gone\.npz"):
        load_model(tmp_path / "gone.npz")
    assert model_path().name == "anny.npz" and model_path(tmp_path / "a.npz") == tmp_path / "a.npz"


def test_a_pickle_is_loaded_by_its_path(tmp_path):
    assert load_model(published("2023_open")).name == "flame"
    assert len(cached(tmp_path)) == 1


def run(*arguments: str) -> dict:
    """What a program gets of the verb."""
    options = parser().parse_args(["import-model", *arguments])
    return options.run(options, silent)[0]


def test_the_verb_writes_a_model_and_says_what_it_is(tmp_path):
    target = tmp_path / "out.npz"
    said = run(str(published("2023_open")), "-o", str(target))
    assert said["variant"] == "2023_open" and said["vertices"] == 5023 and said["file"] == str(target)
    assert said["sha256"] == load_model(target).sha256


def test_the_verb_compiles_a_folder_into_the_cache(tmp_path):
    stand_in(tmp_path)
    said = run(str(tmp_path))
    assert said["model"] == "ict" and cached(tmp_path) == [Path(said["file"])]


def test_the_verb_refuses_in_one_sentence(tmp_path):
    (tmp_path / "bad.pkl").write_bytes(b"cos\nsystem\n(S'echo'\ntR.")
    for arguments, word in (
        ([str(tmp_path / "bad.pkl")], "which no head model needs"),
        ([str(tmp_path / "gone.pkl")], "does not exist"),
        ([str(tmp_path)], "no head model that is known"),
        ([str(tmp_path / "bad.pkl"), "-o", str(tmp_path / "none" / "x.npz")], "no place"),
    ):
        with pytest.raises(LikenessError, match=word):
            run(*arguments)
    assert cached(tmp_path) == []
