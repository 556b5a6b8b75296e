# SPDX-License-Identifier: GPL-3.0-or-later
"""The table of formats: smaller files lose more, within what each promises."""

from __future__ import annotations

import numpy as np
import pytest
from splat_file_samples import animated, gaussians, refused

from core.splat.files.exchange import ENDINGS, read_splats, write_splats
from core.splat.files.measure import as_table, measure_animated, measure_still


def test_still_formats(tmp_path):
    trips = {trip.format: trip for trip in measure_still(gaussians(300, 3), tmp_path)}
    ply, glb = trips["PLY"], trips["glTF"]
    assert ply.size > 5 * trips["SPZ 3"].size > 5 * trips["SPZ 2"].size * 0.9
    for trip in (ply, glb):
        assert trip.position < 1e-6 and trip.scale < 1e-5 and trip.rotation < 0.1 and trip.coefficients < 1e-6
    assert trips["SPZ 3"].rotation < trips["SPZ 2"].rotation
    assert trips["SPZ 3, fine"].coefficients < 0.005 < trips["SPZ 3"].coefficients < 0.07
    for name in ("SPZ 2", "SPZ 3"):
        assert trips[name].position < 2e-6 and trips[name].scale < 0.033 and trips[name].opacity < 0.0021
        assert trips[name].colour < 0.004
    text = as_table(trips.values(), 300)
    assert len(text.splitlines()) == 6 and "SPZ 3, fine" in text


def test_animated_formats(tmp_path):
    trips = measure_animated(animated(frames=3), tmp_path)
    assert [trip.format.split()[-1] for trip in trips] == ["float", "uint8", "uint16"]
    single, byte, word = trips
    assert single.size > word.size > byte.size
    assert single.position <= word.position < 1e-6 < byte.position < 1e-4


@pytest.mark.parametrize("ending", ENDINGS)
def test_the_name_chooses_the_format(tmp_path, ending):
    given = gaussians(30, 1)
    write_splats(tmp_path / f"a{ending.upper()}", given)
    read = read_splats(tmp_path / f"a{ending.upper()}")
    assert np.allclose(read.means, given.means, atol=2e-6) and read.degree == 1
    refused(read_splats, tmp_path / "a.splat", "no known format")
