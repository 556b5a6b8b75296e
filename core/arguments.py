# SPDX-License-Identifier: GPL-3.0-or-later
"""What options of the command line may be; a value that is none of it is a usage error of one sentence."""

from __future__ import annotations

import argparse
from pathlib import Path


def existing_folder(text: str) -> Path:
    """A folder that is there."""
    folder = Path(text)
    if not folder.is_dir():
        raise argparse.ArgumentTypeError(f"there is no folder {text}")
    return folder


def named_value(text: str) -> tuple[str, float]:
    """`name=value` as a pair."""
    name, equals, value = text.partition("=")
    try:
        number = float(value)
    except ValueError:
        number = None
    if not name or not equals or number is None:
        raise argparse.ArgumentTypeError(f"{text!r} is not NAME=VALUE with a number for VALUE")
    return name.strip(), number
