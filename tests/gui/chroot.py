# SPDX-License-Identifier: GPL-3.0-or-later
"""A Debian root with real Blender, a virtual screen and a mouse: made once, kept in a cache, entered per run.

Needs Linux, root rights and a Debian mirror among the machine's apt sources. Nothing is installed on the
machine but mmdebstrap; nothing outside the cache folder changes: mounts are private and end with the run.
"""

from __future__ import annotations

import hashlib
import json
import os
import platform
import re
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from pathlib import Path

# unstable carries the newest Blender; the stable release stands in while unstable is broken.
SUITES = ("sid", "trixie")
PACKAGES = (
    "ca-certificates", "blender", "xvfb", "xauth", "libgl1-mesa-dri", "libegl1", "libgl1", "imagemagick",
    "xdotool", "python3-numpy", "python3-requests", "python3-zstandard", "fonts-dejavu-core",
)  # fmt: skip
MARKER = "likeness-root.json"
ENTER = """
set -e
mount -t proc proc "$1/proc"
mount --rbind /sys "$1/sys"
mount -t tmpfs tmpfs "$1/tmp"
mount --bind "$2" "$1/mnt"
root=$1 places=$3; shift 3
IFS=:
for place in $places; do
    mkdir -p "$root$place"
    mount --bind "$place" "$root$place"
    mount -o remount,bind,ro "$root$place"
done
unset IFS
# No exec: Xvfb tells nobody that it is ready when its parent is process 1.
chroot "$root" env -i PATH=/usr/local/bin:/usr/bin:/bin HOME=/tmp LANG=C.UTF-8 LIBGL_ALWAYS_SOFTWARE=1 \
    BLENDER_USER_RESOURCES=/tmp/blender "$@" || exit $?
exit 0
"""


class NotHere(Exception):
    """Why there is no real Blender window on this machine, in one sentence."""


def default_root() -> Path:
    """Where the root is kept between runs."""
    return Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "likeness-gui" / "root"


def debian_mirrors() -> Iterator[str]:
    """Addresses of Debian archives (not of their security parts) that this machine's apt uses."""
    folder = Path("/etc/apt")
    for path in sorted(folder.glob("sources.list.d/*.sources")):
        for stanza in re.split(r"\n\s*\n", path.read_text(errors="replace")):
            fields = dict(re.findall(r"^([A-Za-z-]+):[ \t]*(.+)$", stanza, re.M))
            if "debian" in fields.get("URIs", "") and "security" not in fields.get("Suites", "security"):
                yield fields["URIs"].split()[0]
    for path in [folder / "sources.list", *sorted(folder.glob("sources.list.d/*.list"))]:
        text = path.read_text(errors="replace") if path.is_file() else ""
        for address, suite in re.findall(r"^deb\s+(?:\[[^]]*\]\s+)?(\S+)\s+(\S+)\s", text, re.M):
            if "debian" in address and "security" not in suite:
                yield address


def recipe(requirements: Path) -> str:
    """What a finished root was made from, as a hash."""
    return hashlib.sha256("\n".join((*PACKAGES, requirements.read_text())).encode()).hexdigest()


def ensure(root: Path, pip: Sequence[str | Path], requirements: Path) -> dict[str, str]:
    """Make the root unless it is there; returns its facts (suite, blender).

    `pip` is the command of a pip that can reach its index; the root has none of its own.
    Raises NotHere with one sentence when it cannot be made.
    """
    marker = root / MARKER
    if marker.is_file():
        facts = json.loads(marker.read_text())
        if facts.get("recipe") == recipe(requirements):
            return facts
    check_machine()
    mirror = next(debian_mirrors(), None)
    if mirror is None:
        raise NotHere("No Debian mirror is among this machine's apt sources, so no Blender can be installed.")
    problems = []
    for suite in SUITES:
        print(f"Making a Debian {suite} root with Blender in {root} (1.1 GB, 1 to 3 minutes) ...", flush=True)
        problem = bootstrap(suite, mirror, root, pip, requirements)
        if not problem:
            facts = json.loads(marker.read_text())
            print(f"Debian {suite} has {facts['blender']}", flush=True)
            return facts
        problems.append(f"{suite}: {problem}")
    raise NotHere(f"A Debian root with Blender cannot be made ({'; '.join(problems)}).")


def check_machine() -> None:
    """Say what this machine lacks, before anything is downloaded."""
    if platform.system() != "Linux":
        raise NotHere("The window test needs Linux: elsewhere, install the zip in Blender by hand.")
    if os.geteuid():
        raise NotHere("The window test needs root rights (private mounts, a chroot): run it with sudo.")
    if shutil.which("mmdebstrap"):
        return
    if not shutil.which("apt-get"):
        raise NotHere("mmdebstrap is missing and this machine has no apt-get to install it with.")
    command = "apt-get update -qq && apt-get install -y -qq --no-install-recommends mmdebstrap"
    env = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    done = subprocess.run(["sh", "-c", command], capture_output=True, text=True, env=env, check=False)
    if done.returncode:
        raise NotHere(f"mmdebstrap cannot be installed: {done.stderr.strip()[-200:]}")


def bootstrap(suite: str, mirror: str, root: Path, pip: Sequence[str | Path], requirements: Path) -> str:
    """Make a root beside its place, move it there when it is whole. Returns the problem, if there is one."""
    partial = root.with_name(f"{root.name}.partial-{os.getpid()}")
    root.parent.mkdir(parents=True, exist_ok=True)
    command = [
        "mmdebstrap",
        "--quiet",
        "--variant=minbase",
        "--components=main",
        f"--include={','.join(PACKAGES)}",
    ]
    # Clocks of build machines and of frozen mirrors disagree; signatures are still verified.
    command += ['--aptopt=Acquire::Check-Valid-Until "false"', '--aptopt=APT::Install-Recommends "false"']
    command += ["--dpkgopt=path-exclude=/usr/share/man/*", "--dpkgopt=path-exclude=/usr/share/doc/*"]
    try:
        done = subprocess.run(
            [*command, suite, str(partial), mirror], capture_output=True, text=True, timeout=1500, check=False
        )
        if done.returncode:
            return (done.stderr.strip().splitlines() or ["mmdebstrap failed"])[-1]
        python = (partial / "usr/bin/python3").readlink().name
        target = partial / "usr/local/lib" / python / "dist-packages"
        wheels = [
            *pip,
            "install",
            "-q",
            "--no-deps",
            "--only-binary=:all:",
            "--target",
            target,
            "-r",
            requirements,
        ]
        done = subprocess.run([str(word) for word in wheels], capture_output=True, text=True, check=False)
        if done.returncode:
            return (done.stderr.strip().splitlines() or ["pip failed"])[-1]
        said = subprocess.run(
            enter(partial, partial.parent, ["blender", "--version"]), capture_output=True, text=True
        )
        if said.returncode:
            return (said.stderr.strip().splitlines() or ["Blender does not start"])[-1]
        facts = {"suite": suite, "blender": said.stdout.splitlines()[0], "recipe": recipe(requirements)}
        (partial / MARKER).write_text(json.dumps(facts, indent=1))
        shutil.rmtree(root, ignore_errors=True)
        partial.rename(root)
        return ""
    except subprocess.TimeoutExpired:
        return "it took longer than 25 minutes"
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def enter(root: Path, shared: Path, command: Sequence[str], places: Sequence[Path] = ()) -> list[str]:
    """The command line that runs a command in the root, a folder of the machine at /mnt, its own /tmp.

    places: further folders of the machine, which are seen under their own paths and cannot be written.
    Mounts and processes are private: all of them end with the command.
    """
    private = ["unshare", "--mount", "--propagation", "private", "--pid", "--fork", "--kill-child"]
    return [*private, "sh", "-c", ENTER, "sh", str(root), str(shared), ":".join(map(str, places)), *command]
