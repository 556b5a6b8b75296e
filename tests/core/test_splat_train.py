# SPDX-License-Identifier: GPL-3.0-or-later
"""From a piece of the sample's movie to `splats.npz` that plays: the whole job, stopped, resumed, refused."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path

import numpy as np
import pytest

from core.avatar import Avatar
from core.checkpoint import note_of
from core.errors import Cancelled, SettingsError, SplatError
from core.files import write_npz

for needed in ("numba", "cv2", "av"):
    pytest.importorskip(needed)
if importlib.util.find_spec("mediapipe") is None:  # it must not be imported as others are: see core.track
    pytest.skip("this Python has no mediapipe", allow_module_level=True)

from core.splat import presets  # noqa: E402
from core.splat import train as training  # noqa: E402
from core.splat.initial import initial  # noqa: E402
from core.splat.player import Player  # noqa: E402
from core.splat.presets import SplatPreset  # noqa: E402
from core.splat.splat_avatar import SplatAvatar  # noqa: E402
from core.splat.train import CHECKPOINT, train  # noqa: E402
from core.splat.training_set import TrainingSet  # noqa: E402
from tests.core.splat_train_samples import FRAMES, small_footage  # noqa: E402

STEPS, SIDE = 120, 144


@pytest.fixture(autouse=True)
def tiny(monkeypatch):
    """A preset that takes two seconds."""
    monkeypatch.setitem(presets.PRESETS, "tiny", SplatPreset("tiny", STEPS, 16_000, SIDE, 3))
    monkeypatch.setitem(presets.PRESETS, "tiny2", SplatPreset("tiny2", STEPS + 8, 16_000, SIDE, 3))
    monkeypatch.setattr(SplatPreset, "seed_count", 14_000)


@pytest.fixture
def avatar(tmp_path) -> Avatar:
    return small_footage(tmp_path)


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(presets.PRESETS, "tiny", SplatPreset("tiny", STEPS, 16_000, SIDE, 3))
        patch.setattr(SplatPreset, "seed_count", 14_000)
        avatar = small_footage(tmp_path_factory.mktemp("trained"))
        said: list[tuple[float, str, str]] = []
        report = train(avatar, "tiny", lambda *word: said.append(word), every=2, threads=1)
    return Avatar.load(avatar.folder), report, said


@pytest.fixture
def cut_once(monkeypatch):
    """Pictures that were cut for one test do for the next."""
    real = training.training_set

    def kept(avatar, performance, capture, most, every, **further):
        if (most, every) not in _CUT:
            _CUT[most, every] = real(avatar, performance, capture, most, every, **further)
        return _CUT[most, every]

    monkeypatch.setattr(training, "training_set", kept)


_CUT: dict[tuple[int, int], TrainingSet] = {}


class Stop:
    """A progress that cancels after so many steps' worth of reports."""

    def __init__(self, monkeypatch, after: int) -> None:
        monkeypatch.setattr(training, "SHOWN_SECONDS", 0.0)
        self.left = after

    def __call__(self, _done: float, stage: str, _text: str) -> None:
        self.left -= stage == "train"
        if self.left < 0:
            raise Cancelled("Cancelled.", "Nothing was changed.")


def files(avatar: Avatar) -> dict[str, int]:
    """Every file of the folder, by when it was written."""
    return {str(path): path.stat().st_mtime_ns for path in avatar.folder.rglob("*") if path.is_file()}


def test_training_brings_pictures_it_never_saw_nearer(trained):
    _, report, _ = trained
    curve = [psnr for _, psnr in report["curve"]]
    assert report["pictures"] + report["pictures_tested"] <= FRAMES and report["pictures_tested"] > 10
    assert curve[-1] == report["psnr_db"] > curve[0] + 2.5
    assert 0.6 < report["ssim"] <= 1 and report["iterations"] == STEPS and not report["tested_on_trained"]
    assert json.loads(json.dumps(report)) == report


def test_what_was_trained_loads_and_plays(trained):
    avatar, report, _ = trained
    splats = SplatAvatar.load(avatar.splats_path)
    assert Path(report["output"]) == avatar.splats_path and not (avatar.folder / CHECKPOINT).exists()
    assert len(splats.gaussians) == report["gaussians"] <= 16_000
    assert splats.report["trained"] and splats.avatar_id == avatar.id
    assert avatar.provenance["splats"]["preset"] == "tiny"
    triangles = np.arange(len(splats.surface))
    assert np.array_equal(np.unique(splats.gaussians.binding), triangles), "no triangle is empty"
    player, view = Player.of(avatar), _before(splats)
    closed = player.draw(np.zeros(52), np.zeros((2, 2)), view)
    opened = np.zeros(52)
    opened[17] = 1.0
    assert closed.alpha.max() > 0.9 and np.isfinite(closed.image).all()
    assert np.abs(player.draw(opened, np.zeros((2, 2)), view).image - closed.image).max() > 0.1


def _before(splats: SplatAvatar):
    from tests.core.splat_train_samples import view_from

    return view_from(np.array([0.0, splats.surface.rest[:, 1].mean(), 0.8]), 96)


def test_progress_goes_up_and_tells_what_is_done(trained):
    _, _, said = trained
    done = [fraction for fraction, _, _ in said]
    assert done == sorted(done) and done[0] >= 0 and done[-1] == 1.0
    assert {"footage", "train"} <= {stage for _, stage, _ in said}
    assert any(f"of {STEPS}" in text and "left" in text for _, stage, text in said if stage == "train")


def test_a_cancelled_run_keeps_its_state_and_goes_on(avatar, trained, monkeypatch, cut_once):
    """Stopped in the middle and resumed, it ends where a run that went through did."""
    before = files(avatar)
    with pytest.raises(Cancelled) as caught:
        train(avatar, "tiny", Stop(monkeypatch, STEPS // 2), every=2, threads=1)
    assert "Cancelled at" in caught.value.message and "resume" in caught.value.hint
    after = files(avatar)
    kept = str(avatar.folder / CHECKPOINT)
    assert after.pop(kept) and after == before, "nothing but the state was written"
    assert note_of(Path(kept)).split(" ")[0] == "tiny"
    assert "splats" not in Avatar.load(avatar.folder).provenance
    began = steps_of(monkeypatch)
    report = train(avatar, "tiny", resume=True, every=2, threads=1)
    assert 0 < len(began) < STEPS and not Path(kept).exists()
    through, resumed = (SplatAvatar.load(one.splats_path).gaussians for one in (trained[0], avatar))
    for name in ("binding", "means", "log_scales", "rotations", "opacity_logits", "sh", "offsets"):
        assert np.array_equal(getattr(through, name), getattr(resumed, name)), name
    assert report["psnr_db"] == trained[1]["psnr_db"]


def steps_of(monkeypatch) -> list[int]:
    """The iterations that are done from now on."""
    done, step = [], training.Trainer.step

    def counted(self):
        done.append(self.iteration)
        return step(self)

    monkeypatch.setattr(training.Trainer, "step", counted)
    return done


@pytest.mark.parametrize(
    "change", [{"preset": "tiny2"}, {"every": 3}, {"resume": False}], ids=["preset", "pictures", "anew"]
)
def test_a_state_of_another_run_is_none(avatar, monkeypatch, cut_once, change):
    with pytest.raises(Cancelled):
        train(avatar, "tiny", Stop(monkeypatch, 3), every=2, threads=1)
    assert (avatar.folder / CHECKPOINT).is_file()
    done = steps_of(monkeypatch)
    options = {"preset": "tiny", "every": 2, "resume": True} | change
    with pytest.raises(Cancelled):
        train(avatar, progress=Stop(monkeypatch, 2), threads=1, **options)
    assert done[0] == 0


def test_a_damaged_state_is_none(avatar, monkeypatch, cut_once):
    (avatar.folder / CHECKPOINT).write_bytes(b"PK\x03\x04 not a state")
    assert note_of(avatar.folder / CHECKPOINT) == ""
    done = steps_of(monkeypatch)
    with pytest.raises(Cancelled):
        train(avatar, "tiny", Stop(monkeypatch, 2), resume=True, every=2, threads=1)
    assert done[0] == 0


def test_a_run_that_is_cancelled_while_pictures_are_cut_leaves_nothing(avatar):
    before = files(avatar)

    def stop(_done: float, stage: str, _text: str) -> None:
        raise Cancelled("Cancelled.", "Nothing was changed.")

    with pytest.raises(Cancelled):
        train(avatar, "tiny", stop)
    assert files(avatar) == before


def test_a_run_that_breaks_says_so(avatar, monkeypatch, cut_once):
    monkeypatch.setattr(training.Trainer, "step", lambda _self: float("nan"))
    before = files(avatar)
    with pytest.raises(SplatError) as caught:
        train(avatar, "tiny", every=2)
    assert "not a number" in caught.value.message and caught.value.hint
    assert files(avatar) == before


def test_too_few_pictures_are_refused(avatar):
    """All but five samples were lost by the tracker."""
    name = next(n for n in avatar.performances if avatar.load_performance(n).camera is not None)
    path = avatar.performance_path(name)
    with np.load(path) as stored:
        arrays = {key: stored[key] for key in stored.files}
    arrays["confidence"] = np.where(np.arange(len(arrays["time"])) < 5, 1.0, 0.0).astype(np.float32)
    write_npz(path, arrays)
    before = files(avatar)
    with pytest.raises(SplatError) as caught:
        train(avatar, "tiny")
    assert "Only 5 pictures" in caught.value.message and "lost by the tracker" in caught.value.message
    assert files(avatar) == before


def test_an_unknown_preset_is_refused_before_any_work(avatar):
    with pytest.raises(SettingsError):
        train(avatar, "best", lambda *_: pytest.fail("work was begun"))


def test_gaussians_are_replaced_when_they_are_trained_again(avatar, monkeypatch, cut_once):
    """The old ones play until the new ones are whole."""
    model = training.load_model(avatar.model)
    initial(model, avatar, 0).save(avatar.splats_path)
    old = avatar.splats_path.read_bytes()
    with pytest.raises(Cancelled):
        train(avatar, "tiny", Stop(monkeypatch, 2), every=2, threads=1)
    assert avatar.splats_path.read_bytes() == old
