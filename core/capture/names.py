# SPDX-License-Identifier: GPL-3.0-or-later
"""Which names a capture's members may have: the same rules on every system, so that a capture is good
everywhere.
"""

from __future__ import annotations

import re
from pathlib import Path

from ..errors import CaptureError

_DEVICES = {"con", "prn", "aux", "nul", "conin$", "conout$"} | {
    f"{p}{n}" for p in ("com", "lpt") for n in "123456789¹²³"
}
_DRIVE = re.compile(r"^[A-Za-z]:")
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_JUNK = {"__macosx", ".ds_store", "thumbs.db", "desktop.ini", ".git", "@eadir"}


def is_junk(name: str) -> bool:
    """Whether the member is something an operating system left behind (`__MACOSX`, `.DS_Store`,
    `._photo.jpg`).
    """
    return any(part.lower() in _JUNK or part.startswith("._") for part in name.split("/"))


def shown_name(name: str) -> str:
    """The name of a file on disk, made fit for messages and reports; the file itself keeps its own."""
    return _CONTROL.sub("_", name.encode("utf-8", "replace").decode("utf-8"))


def safe_name(raw: str, archive: Path) -> str:
    """The name with forward slashes; CaptureError when unpacking it could write outside the target folder."""
    name = raw.replace("\\", "/")
    shown = repr(raw if len(raw) <= 80 else raw[:77] + "...")
    if not name.strip("/") or _CONTROL.search(name):
        raise _refused(archive, f"a member name that is empty or has control characters ({shown})")
    if name.startswith("/") or _DRIVE.match(name):
        raise _refused(archive, f"a member with an absolute path ({shown})")
    parts = [part for part in name.split("/") if part not in ("", ".")]
    if ".." in parts:
        raise _refused(archive, f"a member that points outside the archive ({shown})")
    if len(name) > 1000 or any(len(part) > 255 for part in parts):
        raise _refused(archive, f"a member name that is too long ({shown})")
    for part in parts:
        if part.split(".")[0].strip(" ").lower() in _DEVICES or ":" in part:
            raise _refused(archive, f"a member named like a device ({shown})")
    return "/".join(parts)


def _refused(archive: Path, what: str) -> CaptureError:
    return CaptureError(
        f"{archive.name} was not opened: it holds {what}.", "Ask its sender for a clean archive."
    )
