# SPDX-License-Identifier: GPL-3.0-or-later
"""The worker as a real child process: its protocol, its exit statuses, its end in every bad way."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest
from performances import random_performance
from test_avatar import files

from core.avatar import Avatar
from core.errors import Cancelled, CaptureError, WorkerError
from core.job import ROOT, Job, clean_environment, run
from core.progress import silent, subrange

posix = pytest.mark.skipif(os.name == "nt", reason="signals of POSIX")


@pytest.fixture
def take(tmp_path) -> Path:
    path = tmp_path / "take.csv"
    random_performance(5, 60, uneven=False).save_live_link_csv(path)
    return path


@pytest.fixture
def worker(tmp_path):
    """Starts a Job whose `core` is a made-up package with the given __main__."""

    def start(code: str, *arguments: str, **options) -> Job:
        package = tmp_path / "fake" / "core"
        package.mkdir(parents=True, exist_ok=True)
        (package / "__init__.py").touch()
        preamble = "import json, os, signal, sys, time\ndef say(**m): print(json.dumps(m), flush=True)\n"
        (package / "__main__.py").write_text(preamble + textwrap.dedent(code), encoding="utf-8")
        return Job(arguments, root=package.parent, **options)

    return start


def finished(job: Job, timeout: float = 20.0) -> list:
    """Poll as a modal operator does, and collect the reports."""
    events, end = [], time.monotonic() + timeout
    while not job.done:
        began = time.monotonic()
        events += job.poll()
        assert time.monotonic() - began < 0.3, "poll() waited"
        assert time.monotonic() < end, f"the worker does not end: {job.log}"
        time.sleep(0.01)
    return events


def command(*arguments, **options) -> subprocess.CompletedProcess:
    """The command line as a person uses it."""
    line = [sys.executable, "-m", "core", *map(str, arguments)]
    options = {"cwd": ROOT, "env": clean_environment(), "capture_output": True, "text": True} | options
    return subprocess.run(line, timeout=60, check=False, **options)


# --- the real worker ------------------------------------------------------------------------------


def test_a_job_makes_an_avatar(tmp_path, take):
    job = Job(["avatar", take, "-o", tmp_path / "Ada.avatar", "--gender=female", "--identity=age=0.6"])
    events = finished(job)
    assert job.error is None
    assert job.result["avatar"] == str(tmp_path / "Ada.avatar")
    avatar = Avatar.load(tmp_path / "Ada.avatar")
    assert avatar.identity == {"gender": 1.0, "age": 0.6}
    assert avatar.performances == ("take",)
    stages = list(dict.fromkeys(event.stage for event in events))
    assert stages == ["read", "performance", "head", "media", "write", "done"]
    assert [event.progress for event in events] == sorted(event.progress for event in events)
    assert job.poll() == []


def test_wait_is_the_same_for_scripts(tmp_path, take):
    seen = []
    result = run(["inspect", take], lambda *report: seen.append(report))
    assert (result["kind"], result["quality"]["rows"]) == ("live_link", 60)
    assert seen[0][1] == "inspect"


def test_errors_come_back_as_what_they_were(tmp_path):
    with pytest.raises(CaptureError, match=r"nothing\.zip") as caught:
        run(["inspect", tmp_path / "nothing.zip"])
    assert caught.value.hint


def test_names_that_are_not_ascii(tmp_path):
    folder = tmp_path / "Zoë ✓ 名前"
    folder.mkdir()
    random_performance(5, 20).save_live_link_csv(folder / "prénom.csv")
    result = run(["avatar", folder / "prénom.csv", "-o", folder / "Zoë.avatar"])
    assert (result["avatar"], result["name"]) == (str(folder / "Zoë.avatar"), "prénom")


def test_the_worker_ignores_the_python_settings_around_it(tmp_path, take, monkeypatch):
    (tmp_path / "numpy.py").write_text("raise SystemExit('the wrong numpy')")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.setenv("PYTHONHOME", str(tmp_path))
    monkeypatch.setenv("PYTHONSTARTUP", str(tmp_path / "numpy.py"))
    monkeypatch.setenv("PYTHONOPTIMIZE", "2")
    monkeypatch.chdir(tmp_path)
    assert run(["inspect", take])["kind"] == "live_link"


def test_the_worker_runs_from_any_folder_that_holds_core(tmp_path, take):
    """As from an installed extension, whose folder has any name."""
    home = tmp_path / "extensions" / "likeness"
    home.mkdir(parents=True)
    (home / "core").symlink_to(ROOT / "core", target_is_directory=True)
    assert Job(["inspect", take], root=home).wait()["kind"] == "live_link"


def test_the_command_line_speaks_to_people(tmp_path, take):
    done = command("avatar", take, "-o", tmp_path / "Ada.avatar")
    assert done.returncode == 0
    assert done.stdout.splitlines()[0] == str(tmp_path / "Ada.avatar")
    assert "100% done" in done.stderr
    assert Avatar.load(tmp_path / "Ada.avatar").performances == ("take",)


def test_the_protocol_is_one_object_per_line_and_the_result_last(tmp_path, take):
    done = command("avatar", take, "-o", tmp_path / "Ada.avatar", "--json", stdin=subprocess.DEVNULL)
    messages = [json.loads(line) for line in done.stdout.splitlines()]
    assert done.returncode == 0
    assert all(set(message) == {"progress", "stage", "text"} for message in messages[:-1])
    assert set(messages[-1]) == {"result"}


def test_what_libraries_print_goes_to_the_log(tmp_path, take):
    noisy = HELD.replace("time.sleep(60)", "import os; print('a print', flush=True); os.write(1, b'a write')")
    line = [sys.executable, "-c", noisy, ROOT, "avatar", take, "-o", tmp_path / "Ada.avatar", "--json"]
    done = subprocess.run(line, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0
    assert set(json.loads(done.stdout.splitlines()[-1])) == {"result"}
    assert "a print" not in done.stdout
    assert "a write" not in done.stdout
    assert "a print" in done.stderr
    assert "a write" in done.stderr


def test_a_report_may_name_a_preview_and_variables_reach_the_worker(worker):
    told = "say(progress=0.5, stage='track', text=os.environ['MODELS'], preview='/tmp/face.png')"
    job = worker(f"{told}\nsay(result={{}})", environ={"MODELS": "here"})
    (event,) = finished(job)
    assert (event.preview, event.text) == ("/tmp/face.png", "here")
    (plain,) = finished(worker("say(progress=0.5, stage='track', text='')\nsay(result={})"))
    assert plain.preview == ""


def test_exit_statuses(tmp_path, take):
    missing = command("inspect", tmp_path / "nothing.zip", "--json")
    assert missing.returncode == 1
    assert set(json.loads(missing.stdout.splitlines()[-1])) == {"error", "hint", "kind"}
    assert command("inspect").returncode == 2
    assert command("dance", take).returncode == 2
    assert command("avatar", take, "-o", tmp_path / "Ada.avatar", "--identity", "age").returncode == 2
    person = command("avatar", take, "-o", tmp_path / "Ada.avatar", "--age", "7")
    assert person.returncode == 1
    assert person.stderr.splitlines()[-1].startswith("Error: The identity parameter age is 7")
    assert [path.name for path in tmp_path.iterdir()] == ["take.csv"]


# Holds the real worker where it has begun to write, so that the request to stop meets it there.
HELD = """
import sys, time
sys.path.insert(0, sys.argv.pop(1))
import core.pipeline as pipeline
def hold(avatar, capture, progress):
    (avatar.folder / "half").write_text("written")
    progress(0.5, "hold", str(avatar.folder))
    time.sleep(60)
pipeline._keep_media = hold
from core.__main__ import main
sys.exit(main())
"""


@posix
@pytest.mark.parametrize("how", ["SIGINT", "SIGTERM", "stdin"])
@pytest.mark.parametrize("earlier", [False, True])
def test_a_request_to_stop_ends_the_real_worker_and_undoes_what_it_wrote(how, earlier, tmp_path, take):
    out = tmp_path / "Ada.avatar"
    if earlier:
        run(["avatar", take, "-o", out])
    before = files(tmp_path)
    arguments = [ROOT, "avatar", take, "-o", out, "--json", "--watch-stdin"]
    pipe = subprocess.PIPE
    with subprocess.Popen(
        [sys.executable, "-c", HELD, *arguments], stdin=pipe, stdout=pipe, stderr=pipe
    ) as child:
        message = {"stage": ""}
        while message["stage"] != "hold":
            message = json.loads(child.stdout.readline())
        assert (Path(message["text"]) / "half").is_file()
        if how == "stdin":
            child.stdin.close()
        else:
            child.send_signal(getattr(signal, how))
        last = json.loads(child.stdout.read().splitlines()[-1])
        assert child.wait(10) == 130
    assert last["kind"] == "Cancelled"
    assert files(tmp_path) == before
    assert len(list(tmp_path.iterdir())) == 1 + earlier


# --- any worker -----------------------------------------------------------------------------------


def test_printing_libraries_do_not_disturb(worker):
    job = worker("""
        print('Downloading...')
        print('[1, 2]')
        say(progress=0.5, stage='a', text='b')
        say(result={'x': 1})
    """)
    events = finished(job)
    assert job.result == {"x": 1}
    assert [(event.progress, event.stage, event.text) for event in events] == [(0.5, "a", "b")]
    assert "Downloading" in job.log


def test_nonsense_in_the_protocol_is_survived(worker):
    job = worker(
        "say(progress='x', stage=3, text=None); say(progress=7); say(progress=None); say(result=[1])"
    )
    assert [event.progress for event in finished(job)] == [0.0, 1.0, 0.0]
    assert job.result == {"value": [1]}


BAD_ENDS = {
    "dies": ("sys.exit(3)", "ended with exit status 3"),
    "says nothing": ("pass", "ended without a result"),
    "prints garbage": ("print('garbage \\x00 {' * 1000)", "ended without a result"),
    "prints bytes": ("sys.stdout.buffer.write(bytes(range(256)) * 100)", "ended without a result"),
    "raises": ("raise RuntimeError('the last words')", "ended with exit status 1"),
    "fails after its result": ("say(result={}); sys.exit(5)", "ended with exit status 5"),
}


@pytest.mark.parametrize("case", BAD_ENDS)
def test_a_bad_end_is_a_worker_error_with_the_end_of_the_log(case, worker):
    code, message = BAD_ENDS[case]
    job = worker("print('I was here', file=sys.stderr, flush=True)\n" + code)
    finished(job)
    assert job.result is None
    assert isinstance(job.error, WorkerError)
    assert message in job.error.message
    assert "I was here" in job.error.hint or case.startswith("prints")
    with pytest.raises(WorkerError):
        job.wait()


@posix
def test_a_killed_worker_is_named(worker):
    job = worker("say(progress=0.1, stage='a', text='b'); os.kill(os.getpid(), signal.SIGKILL)")
    events = finished(job)
    assert len(events) == 1
    assert "was killed by SIGKILL" in job.error.message


def test_only_the_end_of_a_long_log_is_kept(worker):
    job = worker("sys.stderr.write('noise\\n' * 200_000 + 'the last words\\n'); sys.exit(1)")
    finished(job)
    assert "the last words" in job.error.hint
    assert len(str(job.error)) < 2000


def test_a_worker_that_talks_much_does_not_block(worker):
    job = worker("""
        for i in range(20_000):
            say(progress=i / 20_000, stage='s', text='t')
        say(result={})
    """)
    assert len(finished(job)) == 20_000
    assert job.result == {}


def test_an_unknown_kind_of_error_is_a_worker_error(worker):
    for kind in ("Nonsense", "annotations", "LikenessError", ""):
        job = worker(f"say(error='it broke', hint='mend it', kind={kind!r}); sys.exit(1)")
        finished(job)
        assert str(job.error) == "it broke mend it"
        assert type(job.error).__name__ == ("LikenessError" if kind == "LikenessError" else "WorkerError")


def test_cancel_asks_first(worker):
    job = worker("""
        def stop(*_): say(error='Cancelled.', kind='Cancelled'); os._exit(130)
        signal.signal(signal.SIGINT, stop)
        say(progress=0.1, stage='a', text='ready')
        time.sleep(60)
    """)
    while not job.poll():
        time.sleep(0.01)
    began = time.monotonic()
    job.cancel()
    job.cancel()
    assert time.monotonic() - began < 0.5
    finished(job)
    assert isinstance(job.error, Cancelled)
    assert time.monotonic() - began < 4


@posix
def test_a_worker_that_does_not_listen_is_killed_with_its_children(worker, tmp_path):
    job = worker(
        """
        import subprocess
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(120)'])
        say(progress=0.1, stage='pid', text=str(child.pid))
        time.sleep(60)
        """,
        grace=0.3,
    )
    events = []
    while not events:
        events = job.poll()
    job.cancel()
    finished(job, 10)
    assert isinstance(job.error, Cancelled)
    grandchild = int(events[0].text)
    end = time.monotonic() + 5
    while alive(grandchild):
        assert time.monotonic() < end, "the worker's own child lives on"
        time.sleep(0.05)


@posix
def test_what_a_dead_worker_has_started_dies_with_it(worker):
    job = worker("""
        import subprocess
        child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(120)'])
        say(progress=0.1, stage='pid', text=str(child.pid))
        os._exit(9)
    """)
    grandchild = int(finished(job)[0].text)
    end = time.monotonic() + 5
    while alive(grandchild):
        assert time.monotonic() < end
        time.sleep(0.05)


def alive(pid: int) -> bool:
    """Whether a process runs; one that has ended and waits to be collected does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


@posix
def test_a_grandchild_that_keeps_the_pipes_does_not_keep_the_job(worker):
    job = worker("""
        import subprocess
        child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(20)'])
        say(progress=0.5, stage='pid', text=str(child.pid))
        say(result={'ok': True})
    """)
    events = []
    began = time.monotonic()
    while not job.done:
        events += job.poll()
        time.sleep(0.01)
    os.kill(int(events[0].text), signal.SIGKILL)
    assert job.result == {"ok": True}
    assert time.monotonic() - began < 10


def test_interrupting_wait_stops_the_worker(worker):
    def progress(*_):
        raise Cancelled("Cancelled.")

    job = worker("say(progress=0.1, stage='a', text='b'); time.sleep(60)")
    with pytest.raises(Cancelled):
        job.wait(progress)
    assert job.done


def test_wait_has_a_timeout(worker):
    job = worker("time.sleep(60)")
    with pytest.raises(WorkerError, match=r"longer than 0\.5 s"):
        job.wait(timeout=0.5)
    assert job.done


@posix
def test_the_worker_ends_when_whoever_started_it_dies(tmp_path, take):
    """Blender crashes: stdin closes, and the worker does not live on as an orphan."""
    parent = textwrap.dedent(
        """
        import os, sys, time
        sys.path.insert(0, sys.argv[1])
        from core import job
        started = job.Job(["avatar", sys.argv[2], "-o", sys.argv[3]], root=sys.argv[4])
        while not started.poll():
            time.sleep(0.01)
        print(started._child.pid, flush=True)
        os._exit(1)
        """
    )
    package = tmp_path / "fake" / "core"
    package.mkdir(parents=True)
    (package / "__init__.py").touch()
    (package / "__main__.py").write_text(
        "import importlib.util, os, sys, time\n"
        "print('{\"progress\": 0}', flush=True)\n"
        "while os.read(0, 100): pass\n"
    )
    line = [sys.executable, "-c", parent, ROOT, take, tmp_path / "Ada.avatar", package.parent]
    pid = int(subprocess.run(line, capture_output=True, text=True, timeout=30, check=False).stdout)
    end = time.monotonic() + 5
    while alive(pid):
        assert time.monotonic() < end
        time.sleep(0.05)


def test_what_cannot_be_started_is_said(tmp_path):
    with pytest.raises(WorkerError, match="cannot be started"):
        Job(["inspect", "x"], python=tmp_path / "no-python")
    with pytest.raises(WorkerError, match="code is missing"):
        Job(["inspect", "x"], root=tmp_path)


def test_subranges_nest_and_clip():
    seen = []
    inner = subrange(subrange(lambda *r: seen.append(r), 0.5, 1.0), 0.0, 0.5)
    for fraction in (-1.0, 0.0, 0.5, 1.0, 2.0):
        inner(fraction, "s", "t")
    assert [fraction for fraction, _, _ in seen] == [0.5, 0.5, 0.625, 0.75, 0.75]
    silent(0.0, "", "")
