# SPDX-License-Identifier: GPL-3.0-or-later
"""The 52 names, their permutations and dialects."""

from __future__ import annotations

import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.arkit import (
    ARKIT_NAMES,
    INDEX,
    LIVE_LINK_CSV_NAMES,
    MIRROR,
    SWAP_MOUTH,
    SWAP_MOUTH_PAIRS,
    canonical_name,
)


def upper_camel(name):
    return name[0].upper() + name[1:]


def apple(name):
    return re.sub("(Left|Right)$", lambda side: "_" + side.group()[0], name)


def snake(name):
    return re.sub("[A-Z]", lambda letter: "_" + letter.group().lower(), name)


DIALECTS = {
    "as it is": str,
    "Live Link": upper_camel,
    "Apple": apple,
    "snake": snake,
    "kebab": lambda name: snake(name).replace("_", "-"),
    "words": lambda name: snake(name).replace("_", " "),
    "loud": str.upper,
    "head": lambda name: "head_" + apple(name),
    "Face.M": lambda name: "Face.M_" + apple(name),
    "node": lambda name: "blendShape1." + name,
    "numbered": lambda name: name + ".001",
    "padded": lambda name: f"  {name}\t",
}


def test_the_order_is_that_of_the_packet():
    assert len(ARKIT_NAMES) == len(set(ARKIT_NAMES)) == 52
    places = {"eyeBlinkLeft": 0, "eyeBlinkRight": 7, "jawForward": 14, "jawLeft": 15, "jawRight": 16}
    places |= {"jawOpen": 17, "mouthLeft": 21, "mouthRight": 22, "tongueOut": 51}
    assert {name: INDEX[name] for name in places} == places


@pytest.mark.parametrize("dialect", DIALECTS)
def test_every_dialect_of_every_name_is_understood(dialect):
    assert [canonical_name(DIALECTS[dialect](name)) for name in ARKIT_NAMES] == list(ARKIT_NAMES)


@pytest.mark.parametrize(
    "name", ["", "_neutral", "mouthSmile", "HeadYaw", "sil", "browDown", "Left", ".001", "é" * 300]
)
def test_other_names_are_not(name):
    assert canonical_name(name) is None


@given(st.text())
def test_any_text_gives_a_name_or_none(text):
    assert canonical_name(text) in (*ARKIT_NAMES, None)


def test_mirror_exchanges_left_and_right_and_twice_is_the_identity():
    assert np.array_equal(MIRROR[MIRROR], np.arange(52))
    for index, other in enumerate(MIRROR):
        swapped = re.sub(
            "Left|Right", lambda s: {"Left": "Right", "Right": "Left"}[s.group()], ARKIT_NAMES[index]
        )
        assert ARKIT_NAMES[other] == swapped


def test_mouth_swap_touches_four_shapes():
    assert np.array_equal(SWAP_MOUTH[SWAP_MOUTH], np.arange(52))
    moved = {ARKIT_NAMES[i] for i in np.flatnonzero(np.arange(52) != SWAP_MOUTH)}
    assert moved == {name for pair in SWAP_MOUTH_PAIRS for name in pair}


def test_the_csv_has_right_before_left_for_the_sideways_shapes():
    assert len(LIVE_LINK_CSV_NAMES) == 61
    assert LIVE_LINK_CSV_NAMES[14:17] == ("JawForward", "JawRight", "JawLeft")
    assert LIVE_LINK_CSV_NAMES[21:23] == ("MouthRight", "MouthLeft")
    assert LIVE_LINK_CSV_NAMES[52] == "HeadYaw"
