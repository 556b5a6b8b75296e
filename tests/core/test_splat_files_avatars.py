# SPDX-License-Identifier: GPL-3.0-or-later
"""GaussianAvatars' model folders: written, read, refused."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from splat_file_samples import gaussians, refused, same, table
from test_flame_param import NAMES, take

from core.errors import SplatError
from core.splat.files.gaussian_avatars import (
    TRIANGLES,
    FlameGaussians,
    read_gaussian_avatar,
    write_gaussian_avatar,
)
from core.splat.files.ply import read_ply, write_ply
from core.splat.files.splat_ply import read_splat_ply


def avatar(**changes) -> FlameGaussians:
    binding = np.random.default_rng(2).integers(0, TRIANGLES, 30)
    return replace(FlameGaussians(gaussians(30, 3), binding, take(), 600), **changes)


def test_what_is_written_is_read(tmp_path):
    given = avatar()
    cloud = write_gaussian_avatar(tmp_path / "model", given)
    assert cloud == tmp_path / "model/point_cloud/iteration_600/point_cloud.ply"
    write_gaussian_avatar(tmp_path / "model", avatar(iteration=70, take=None))
    for path in (tmp_path / "model", cloud.parent, cloud):
        read = read_gaussian_avatar(path)
        same(read.local, given.local, 1e-6)
        assert np.array_equal(read.binding, given.binding) and read.iteration == 600
        assert read.take is not None and given.take is not None
        for name in NAMES:
            ours, theirs = (getattr(held.take.parameters, name) for held in (read, given))
            assert np.allclose(ours, theirs, atol=1e-6), name
    older = read_gaussian_avatar(tmp_path / "model/point_cloud/iteration_70")
    assert older.take is None and older.iteration == 70


def test_the_layout_is_theirs(tmp_path):
    rows = read_ply(write_gaussian_avatar(tmp_path, avatar()))["vertex"]
    names = list(rows.dtype.names or ())
    assert len(names) == 63 and names[:6] == ["x", "y", "z", "nx", "ny", "nz"]
    assert names[-5:] == ["rot_0", "rot_1", "rot_2", "rot_3", "binding_0"]
    assert {rows.dtype[name].str for name in names} == {"<f4"}
    assert np.allclose(rows["y"], avatar().local.means[:, 1])  # nothing is turned


def test_what_is_no_such_model_is_refused(tmp_path):
    refused(read_gaussian_avatar, tmp_path, "no point_cloud")
    refused(read_gaussian_avatar, tmp_path / "none", "no point_cloud")
    path = write_gaussian_avatar(tmp_path, avatar())
    refused(read_splat_ply, path, "bound to a mesh")
    rows = read_ply(path)["vertex"]
    columns = {name: np.array(rows[name]) for name in rows.dtype.names or ()}
    for binding, match in (
        (None, "'binding_0'"),
        (columns["binding_0"] + 0.5, "whole"),
        (columns["binding_0"] * np.nan, "finite"),
        (columns["binding_0"] - TRIANGLES, "does not have"),
        (columns["binding_0"] + TRIANGLES, "does not have"),
    ):
        kept = {key: values for key, values in columns.items() if key != "binding_0"}
        write_ply(path, [("vertex", table(kept | ({} if binding is None else {"binding_0": binding})))])
        refused(read_gaussian_avatar, path, match)
    for bad in ({"binding": np.zeros(3, int)}, {"binding": np.full(30, TRIANGLES)}):
        with pytest.raises(SplatError):
            write_gaussian_avatar(tmp_path, avatar(**bad))
