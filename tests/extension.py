# SPDX-License-Identifier: GPL-3.0-or-later
"""The extension as it ships: what is in the zip, how it is built and judged, and Blender with it installed.

Standard library only: build.py uses it.
"""

from __future__ import annotations

import hashlib
import re
import tempfile
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from core.errors import LikenessError
from tests.environments import Environment, ask, clean_environ

ROOT = Path(__file__).resolve().parents[1]
MODULE = "bl_ext.user_default.likeness"
MAX_ZIP_BYTES = 10_000_000
SHIPPED_FILES = ("blender_manifest.toml", "LICENSE", "CHANGELOG.md")
SHIPPED_FOLDERS = ("addon", "core", "ops", "ui")
# Rubbish; ground truth of the sample, which is for the tests; commands that rebuild a table beside them.
NOT_SHIPPED = re.compile(
    r"(^|/)(__pycache__|\.[^/]+|[^/]+\.(pyc|orig|rej|tmp)|[^/]*truth[^/]*\.(npz|json)$|data/build_\w+\.py$)"
)
ENTRY = "from .addon.registration import register, unregister\n__all__ = ('register', 'unregister')\n"


INSTALL = """
import bpy, os, sys
import addon_utils
bpy.ops.wm.read_factory_settings(use_empty=True)
bpy.ops.extensions.package_install_files(filepath=sys.argv[1], repo="user_default", enable_on_install=True)
installed = addon_utils.check(sys.argv[2]) == (True, True)
sys.stdout.flush()
os._exit(0 if installed else 1)
"""


def shipped_files() -> Iterator[tuple[str, Path]]:
    """(name in the zip, file) of everything that the extension consists of, sorted by name."""
    found = {name: ROOT / name for name in SHIPPED_FILES}
    for folder in SHIPPED_FOLDERS:
        files = (path for path in (ROOT / folder).rglob("*") if path.is_file())
        found.update({path.relative_to(ROOT).as_posix(): path for path in files})
    return iter(sorted((name, path) for name, path in found.items() if not NOT_SHIPPED.search(name)))


def write_zip(target: Path) -> Path:
    """Write the extension zip: sorted, with fixed times and permissions: equal trees give equal bytes."""
    target.parent.mkdir(parents=True, exist_ok=True)
    partial = target.with_suffix(".tmp")
    with zipfile.ZipFile(partial, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
        for name, path in [("__init__.py", None), *shipped_files()]:
            entry = zipfile.ZipInfo(name, (1980, 1, 1, 0, 0, 0))
            entry.create_system, entry.external_attr, entry.compress_type = (
                3,
                0o100644 << 16,
                zipfile.ZIP_DEFLATED,
            )
            archive.writestr(entry, ENTRY if path is None else path.read_bytes())
    partial.replace(target)
    return target


def require_syntax(name: str, path: Path) -> None:
    """A module that cannot be compiled does not ship."""
    try:
        if path.suffix == ".py":
            compile(path.read_bytes(), name, "exec", dont_inherit=True)
    except SyntaxError as error:
        raise LikenessError(f"{name}, line {error.lineno}: {error.msg}.") from error


def package(out: Path, environment: Environment) -> Path:
    """Build the zip and have the tool of the Blender in this environment judge it.

    Raises LikenessError when it is not valid or too large.
    """
    version = re.search(
        r'^version = "(.+)"$', (ROOT / "blender_manifest.toml").read_text(encoding="utf-8"), re.M
    )
    if version is None:
        raise LikenessError('blender_manifest.toml has no line `version = "X.Y.Z"`.')
    for name, path in shipped_files():
        require_syntax(name, path)
    target = write_zip(out / f"likeness-{version[1]}.zip")
    tool = next(environment.folder.glob("**/bl_pkg/cli/blender_ext.py"), None)
    if tool is None:
        raise LikenessError(
            f"{environment.folder.name} has no extension tool of Blender: `build.py clean --all` and repeat."
        )
    command = [str(environment.python), str(tool), "validate", str(target)]
    checked = ask(command)
    if checked.returncode:
        raise LikenessError(
            f"Blender does not accept {target.name}: {(checked.stdout + checked.stderr).strip()[-600:]}"
        )
    if target.stat().st_size > MAX_ZIP_BYTES:
        raise LikenessError(
            f"{target.name} has {target.stat().st_size / 1e6:.1f} MB; the limit is {MAX_ZIP_BYTES / 1e6:.0f}."
        )
    return target


def digest(path: Path) -> str:
    """The sha256 of a file, in hex."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


@contextmanager
def installed(environment: Environment) -> Iterator[dict[str, str]]:
    """Variables for children in which Blender has the freshly built zip installed (scripts enable it)."""
    with tempfile.TemporaryDirectory(prefix="likeness-", ignore_cleanup_errors=True) as folder:
        resources = {"BLENDER_USER_RESOURCES": str(Path(folder) / "blender")}
        zip_path = package(Path(folder) / "zip", environment)
        command = [str(environment.python), "-I", "-c", INSTALL, str(zip_path), MODULE]
        tried = ask(command, 300, **resources)
        if tried.returncode:
            raise LikenessError(f"The zip does not install: {(tried.stdout + tried.stderr).strip()[-800:]}")
        extension = str(Path(folder) / "blender/extensions/user_default/likeness")
        yield clean_environ(**resources, LIKENESS_EXTENSION=extension, LIKENESS_ZIP=str(zip_path))
