# SPDX-License-Identifier: GPL-3.0-or-later
"""From a folder of CAP4D's to an avatar of the user's FLAME that plays, with a synthetic FLAME: the verbs."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from flame_takes import compiled, rodrigues

from core.__main__ import main
from core.arkit import INDEX
from core.avatar import Avatar
from core.errors import Cancelled
from core.fit.fit_npz import write_fit
from core.head.flame.compile import load_flame
from core.head.flame.forward import local_vertices, vertices
from core.performance import Performance

pytest.importorskip("numba")
cv2 = pytest.importorskip("cv2")

from core.splat import presets  # noqa: E402
from core.splat import train as training  # noqa: E402
from core.splat.acting import Acting  # noqa: E402
from core.splat.files.gaussian_avatars import read_gaussian_avatar  # noqa: E402
from core.splat.files.triangles import frames_of, posed  # noqa: E402
from core.splat.flame_avatar import FlamePlayer  # noqa: E402
from core.splat.gaussians import SH_C0  # noqa: E402
from core.splat.initial import GREY  # noqa: E402
from core.splat.player import Player  # noqa: E402
from core.splat.presets import SplatPreset  # noqa: E402
from core.splat.seen_colours import seen_colours, spread_out  # noqa: E402
from core.splat.splat_avatar import SplatAvatar  # noqa: E402
from core.splat.train import CHECKPOINT  # noqa: E402
from core.splat.train_cap4d import train_cap4d  # noqa: E402
from core.splat.training_set import Shot  # noqa: E402
from core.splat.world import world_gaussians  # noqa: E402
from tests.core.splat_cap4d_samples import (  # noqa: E402
    RELEASE,
    SIDE,
    drawn,
    fit_of,
    mapping_of,
    rig,
    true_splats,
    view_of,
    write_generated,
    write_references,
)

Array = np.ndarray

STEPS, FRAMES = 60, 20
WHITE = (1.0, 1.0, 1.0)


def tiny(patch: pytest.MonkeyPatch) -> None:
    """A preset that takes two seconds."""
    patch.setitem(presets.PRESETS, "tiny", SplatPreset("tiny", STEPS, 13_000, SIDE, 3))
    patch.setattr(SplatPreset, "seed_count", 11_000)
    patch.setitem(presets.PRESETS, "draft", presets.PRESETS["tiny"])


@pytest.fixture(scope="module")
def made(tmp_path_factory) -> SimpleNamespace:
    """What the verb makes of a reference folder."""
    place = tmp_path_factory.mktemp("cap4d")
    write_references(place / "person", fit_of(FRAMES))
    mapping_of().save(place / "map.npz")
    with pytest.MonkeyPatch.context() as patch:
        tiny(patch)
        asked = ["train", place / "person", "-o", place / "Ada.avatar", "--flame", compiled(RELEASE)]
        status = main(["splat", *map(str, asked), "--preset", "draft", "--mapping", str(place / "map.npz")])
    assert status == 0
    return SimpleNamespace(place=place, avatar=Avatar.load(place / "Ada.avatar"))


def psnr(one: Array, other: Array) -> float:
    return 10 * float(np.log10(255**2 / np.mean((one.astype(float) - other) ** 2)))


def test_training_brings_the_pictures_nearer(made):
    report = SplatAvatar.load(made.avatar.splats_path).report
    curve = [value for _, value in report["curve"]]
    assert curve[-1] > curve[0] + 3 and report["pictures"] == FRAMES and report["iterations"] == STEPS
    assert report["mattes"] == "given" and report["weights"] and report["latents"] == FRAMES // 10
    assert not (made.avatar.folder / CHECKPOINT).exists()


def test_the_references_play_as_they_were_and_as_they_look(made):
    fit, player, performance = fit_of(FRAMES), Player.of(made.avatar), made.avatar.load_performance("")
    acting = player.exactly(Acting.of(performance), performance)
    expected = local_vertices(load_flame(compiled(RELEASE)).cap4d, fit.parameters) - rig().origin
    for frame in (0, 9, FRAMES - 1):
        found = player.vertices(acting.weights[frame], acting.gaze[frame])
        assert np.abs(found - expected[frame]).max() < 1e-6
        shown = player.draw(acting.weights[frame], acting.gaze[frame], view_of(fit, frame), WHITE).image
        assert psnr(255 * np.clip(shown, 0, 1), drawn(true_splats(), fit, frame)[0]) > 22
    assert performance.camera is not None
    turn = np.array([rodrigues(r) for r in fit.rot.astype(np.float64)])
    view = np.diag([1.0, -1, -1]) @ fit.extr[0, :3, :3] @ np.diag([1.0, -1, -1])
    assert np.allclose(np.abs(np.einsum("tij,tij->t", view @ turn, turns(performance))), 3, atol=1e-6)


def turns(performance: Performance) -> Array:
    from core.rotation import to_matrix

    assert performance.head_rotation is not None
    return to_matrix(performance.head_rotation)


def test_somebody_elses_fit_plays_on_this_person(made, tmp_path):
    other = fit_of(3, seed=77, shape=np.zeros(150))
    write_fit(tmp_path / "other.npz", other)
    asked = [
        "animate",
        made.avatar.folder,
        "--fit",
        tmp_path / "other.npz",
        "-o",
        tmp_path / "f",
        "--size",
        64,
    ]
    assert main(["splat", *map(str, asked)]) == 0
    assert len(list((tmp_path / "f").glob("frame_*.png"))) == 3
    player = Player.of(made.avatar)
    assert isinstance(player, FlamePlayer)
    performance = player.performance_of_fit(tmp_path / "other.npz")
    rows = player.exactly(Acting.of(performance), performance).weights
    expected = rig().posed(replace(other.parameters, shape=rig().shape))
    found = np.stack([player.vertices(row, np.zeros((2, 2))) for row in rows])
    assert np.abs(found - expected).max() < 1e-6
    still = player.posed(rows[0], np.zeros((2, 2)), np.array([0, 0, 1.0]))
    assert np.isfinite(still.means).all()


def test_the_52_weights_play_through_the_mapping(made, tmp_path):
    weights = np.zeros((2, 52), np.float32)
    weights[1, INDEX["jawOpen"]] = 1.0
    Performance("opens", np.arange(2.0), weights).save(tmp_path / "opens.npz")
    player = Player.of(made.avatar)
    closed, opened = (player.vertices(row, np.zeros((2, 2))) for row in weights)
    assert np.abs(closed - rig().rest).max() < 1e-6
    moved = 1.5 * load_flame(compiled(RELEASE)).cap4d.expressions[0]
    assert np.abs(opened - closed - moved).max() < 1e-5 and np.abs(moved).max() > 0.001
    asked = ["animate", made.avatar.folder, "--performance", tmp_path / "opens.npz", "--size", 48]
    assert main(["splat", *map(str, asked), "--camera", "front", "-o", str(tmp_path / "f")]) == 0
    (bare := shutil.copytree(made.avatar.folder, tmp_path / "bare.avatar")).joinpath("mapping.npz").unlink()
    asked[1] = bare
    assert main(["splat", *map(str, asked), "--camera", "front", "-o", str(tmp_path / "g")]) == 1


def test_weights_of_the_pictures_are_those_that_the_mapping_says(made):
    """What was made by weights is found as them again, so the learned expression rides on the right ones."""
    rng, player = np.random.default_rng(0), Player.of(made.avatar)
    assert isinstance(player, FlamePlayer)
    weights = rng.uniform(0.1, 0.9, (6, 52)) * (rng.random((6, 52)) < 0.15)
    weights[:, [k for name, k in INDEX.items() if name.startswith("eyeLook")]] = 0.0
    from core.splat.flame_avatar import Scores

    scores = Scores.of(player.rig.flame, player.rig.mapping)
    found = scores.solved(mapping_of().convert(weights).expression, np.zeros((6, 3)))
    assert np.abs(found - weights).mean() < 0.02


@pytest.mark.parametrize("name", ["a.ply", "a.spz"])
def test_it_leaves_in_every_format(made, tmp_path, name):
    further = ["--end", "0.1"] if name == "a.ply" else ["--time", "0.2"]
    asked = ["export", str(made.avatar.folder), "-o", str(tmp_path / name), *further]
    assert main(["splat", *asked]) == 0
    assert (tmp_path / name).stat().st_size > 100_000


@pytest.fixture(scope="module")
def exported(made) -> Path:
    """The references as GaussianAvatars' folder, carried over to the release with a jaw."""
    folder = made.place / "gaussian-avatar"
    asked = ["export", made.avatar.folder, "--format", "gaussian-avatars", "-o", folder]
    assert main(["splat", *map(str, asked), "--models", str(compiled("2023").parent)]) == 0
    return folder


def test_gaussian_avatars_has_the_same_head_in_every_frame(made, exported):
    """Read by the page of the format: FLAME's chain, the offset in the template, triangles of the faces."""
    back, flame = read_gaussian_avatar(exported, "2023"), load_flame(compiled("2023"))
    assert back.take is not None and back.take.static_offset is not None
    assert back.local.sh.shape[1] == 16, "the viewer counts them"
    assert back.take.static_offset.shape == (5143, 3), "the viewer's FLAME has teeth"
    theirs = replace(flame, template=flame.template + back.take.static_offset[:5023])
    theirs = vertices(replace(theirs.whole, joints=flame.whole.joints), back.take.parameters)
    ours, fit = vertices(load_flame(compiled(RELEASE)).cap4d, fit_of(FRAMES).parameters), fit_of(FRAMES)
    player, performance = Player.of(made.avatar), made.avatar.load_performance("")
    acting = player.exactly(Acting.of(performance), performance)
    for frame in (0, 7):
        head = np.linalg.norm(theirs[frame] - ours[frame], axis=1)
        assert np.sqrt(np.mean(head**2)) < 0.002
        world = posed(back.local, back.binding, frames_of(theirs[frame], flame.faces))
        points = player.vertices(acting.weights[frame], acting.gaze[frame])
        latent = player.splats.gaussians.basis.latent(acting.weights).mean(axis=0)
        own = world_gaussians(player.splats, points, latent).means + rig().origin
        own = own @ rodrigues(fit.rot[frame].astype(np.float64)).T + fit.tra[frame]
        assert np.median(np.linalg.norm(world.means - own, axis=1)) < 0.002


def test_gaussian_avatars_come_back_as_an_avatar(exported, tmp_path, capsys):
    mapping = np.zeros((52, 109))
    from core.arkit import ARKIT_NAMES
    from core.fit.mapping import Mapping

    Mapping.linear(ARKIT_NAMES, mapping, variant="2023").save(tmp_path / "map.npz")
    asked = ["import", exported, "-o", tmp_path / "Bo.avatar", "--flame", compiled("2023")]
    assert main(["splat", *map(str, asked), "--mapping", str(tmp_path / "map.npz")]) == 0
    avatar, given = Avatar.load(tmp_path / "Bo.avatar"), read_gaussian_avatar(exported, "2023")
    assert f"{len(given.local)} Gaussians, {FRAMES} frames of FLAME 2023" in capsys.readouterr().out
    player, performance = Player.of(avatar), avatar.load_performance("")
    assert isinstance(player, FlamePlayer) and given.take is not None
    rows = player.exactly(Acting.of(performance), performance).weights
    flame = load_flame(compiled("2023"))
    local = local_vertices(flame.whole, given.take.parameters)
    assert given.take.static_offset is not None
    points = player.vertices(rows[4], np.zeros((2, 2)))
    away = points + player.rig.origin - local[4]
    assert np.abs(away - given.take.static_offset[:5023]).max() < 2e-3
    assert player.splats.gaussians.degree == 0, "as it was trained"
    own = world_gaussians(player.splats, points, np.zeros(0))
    theirs = posed(given.local, given.binding, frames_of(points, flame.faces))
    np.testing.assert_allclose(own.means, theirs.means, atol=1e-5)
    again = ["export", avatar.folder, "--format", "gaussian-avatars", "-o", tmp_path / "again"]
    assert main(["splat", *map(str, again)]) == 0
    back = read_gaussian_avatar(tmp_path / "again", "2023")
    np.testing.assert_allclose(back.local.sh, given.local.sh, atol=2e-3)
    np.testing.assert_array_equal(back.binding, given.binding)


def test_gaussians_begin_in_the_colours_that_are_seen():
    shots, splats = from_references(), true_splats()
    found = seen_colours(shots, splats.surface)
    truth = np.zeros_like(found)
    truth[splats.gaussians.binding] = 0.5 + SH_C0 * splats.gaussians.sh[:, 0]
    front = splats.surface.rest[splats.surface.triangles].mean(axis=1)[:, 2] > 0.05
    assert np.median(np.abs(found - truth)[front]) < 0.06 < np.median(np.abs(truth - GREY)[front])
    assert np.ptp(found[~front], axis=0).max() > 0.2 and found.min() >= 0 and found.max() <= 1


def from_references() -> list[Shot]:
    """Two of the pictures, uncut."""
    fit, shots = fit_of(2), []
    for frame in range(2):
        picture, matte = drawn(true_splats(), fit, frame)
        points = rig().posed(fit.parameters.sliced(slice(frame, frame + 1)))[0]
        zero, full = np.zeros((2, 2)), np.full_like(matte, 255)
        view, place = view_of(fit, frame), (0, 0)
        shots.append(Shot(frame, picture, matte, full, place, view, np.zeros(52), zero, vertices=points))
    return shots


def test_what_nobody_saw_takes_the_colours_beside_it():
    strip = np.array([[n, n + 1, n + 2] for n in range(20)] + [[50, 51, 52]])
    colours, seen = np.zeros((21, 3)), np.zeros(21, bool)
    colours[0], colours[19], seen[[0, 19]] = 1.0, 0.2, True
    found = spread_out(colours, seen, strip)[:, 0]
    assert found[0] == 1.0 and found[19] == 0.2 and np.all(np.diff(found[:20]) < 0)
    assert 0.5 < found[9] < 0.7 and found[20] == GREY


class Stop:
    """A progress that cancels after so many reports of training."""

    def __init__(self, patch: pytest.MonkeyPatch, after: int) -> None:
        patch.setattr(training, "SHOWN_SECONDS", 0.0)
        self.left = after

    def __call__(self, _done: float, stage: str, _text: str) -> None:
        self.left -= stage == "train"
        if self.left < 0:
            raise Cancelled("Cancelled.", "Nothing was changed.")


def test_a_cancelled_run_goes_on_where_it_was(made, tmp_path, monkeypatch):
    """Stopped, and resumed by the avatar's name alone, it ends where the run that went through did."""
    tiny(monkeypatch)
    output = tmp_path / "b.avatar"
    with pytest.raises(Cancelled, match="Cancelled at"):
        train_cap4d(
            made.place / "person", output, str(compiled(RELEASE)), "draft", Stop(monkeypatch, STEPS // 2),
            mapping=made.place / "map.npz",
        )  # fmt: skip
    kept = {path.name for path in output.iterdir()}
    assert CHECKPOINT in kept and "splats.npz" not in kept
    done, step = [], training.Trainer.step
    monkeypatch.setattr(training.Trainer, "step", lambda self: (done.append(1), step(self))[1])
    assert main(["splat", "train", str(output), "--preset", "draft", "--resume"]) == 0
    assert 0 < len(done) < STEPS
    through, resumed = (SplatAvatar.load(a / "splats.npz").gaussians for a in (made.avatar.folder, output))
    for field in ("binding", "means", "sh", "offsets"):
        assert np.array_equal(getattr(through, field), getattr(resumed, field)), field


def test_a_run_that_is_stopped_at_once_leaves_nothing(made, tmp_path, monkeypatch):
    tiny(monkeypatch)

    def stop(_done: float, _stage: str, _text: str) -> None:
        raise Cancelled("Cancelled.", "Nothing was changed.")

    with pytest.raises(Cancelled):
        train_cap4d(
            made.place / "person", tmp_path / "a.avatar", str(compiled(RELEASE)), "tiny", stop,
            mapping=made.place / "map.npz",
        )  # fmt: skip
    assert not list(tmp_path.iterdir())


def other_shape(folder: Path) -> None:
    with np.load(folder / "fit.npz") as file:
        values = dict(file)
    np.savez(folder / "fit.npz", **(values | {"shape": np.zeros(300, np.float32)}))


def cut_short(folder: Path) -> None:
    path = sorted((folder / "images" / "cam0").iterdir())[2]
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def without_fit(folder: Path) -> None:
    (folder / "fit.npz").unlink()


@pytest.mark.parametrize(
    ("spoil", "flame", "output", "says"),
    [
        (None, "", "a.avatar", "are FLAME 2023 without a jaw, which is not part of Likeness. Name your file"),
        (None, "2023", "a.avatar", "made for FLAME 2023 without a jaw, and this is 2023"),
        (None, RELEASE, "a.folder", "is not a name for an avatar"),
        (None, RELEASE, "", "is a folder of CAP4D's, and no avatar yet"),
        (other_shape, RELEASE, "a.avatar", "shape has shape (300,), expected (150,)"),
        (cut_short, RELEASE, "a.avatar", "00002.png"),
        (without_fit, RELEASE, "a.avatar", "is no folder of CAP4D: it has neither fit.npz"),
    ],
)
def test_what_cannot_be_trained_on_is_said_in_a_sentence(
    made, tmp_path, monkeypatch, capsys, spoil, flame, output, says
):
    tiny(monkeypatch)
    monkeypatch.setenv("LIKENESS_MODELS", "")
    folder = made.place / "person"
    if spoil is not None:
        folder = shutil.copytree(folder, tmp_path / "person")
        spoil(folder)
    asked = ["train", str(folder), "--preset", "draft", "--mapping", str(made.place / "map.npz")]
    asked += ["--flame", str(compiled(flame))] if flame else []
    asked += ["-o", str(tmp_path / output)] if output else []
    assert main(["splat", *asked]) == 1
    last = capsys.readouterr().err.strip().splitlines()[-1]
    assert last.startswith("Error: ") and says in last
    assert not (tmp_path / "a.avatar").exists()


def test_without_a_mapping_it_trains_and_says_what_is_missing(tmp_path, monkeypatch, capsys):
    """CAP4D's generated pictures alone, segmented; no landmarks of this FLAME are known."""
    from tests.core.test_splat_cap4d_set import Everybody

    monkeypatch.setattr("core.splat.cap4d_set.Segmenter", Everybody)
    monkeypatch.setattr("core.splat.train_cap4d.derived_mapping", lambda *_: "no landmarks were found.")
    tiny(monkeypatch)
    write_generated(tmp_path, fit_of(5))
    output = tmp_path / "a.avatar"
    asked = ["train", tmp_path, "-o", output, "--flame", compiled(RELEASE), "--preset", "draft"]
    assert main(["splat", *map(str, asked)]) == 0
    assert "only FLAME's own motion plays: no landmarks were found" in capsys.readouterr().out
    assert Avatar.load(output).performances == ()
    assert len(SplatAvatar.load(output / "splats.npz").gaussians.basis) == 0


def test_a_checkpoint_of_cap4d_says_what_it_lacks(tmp_path, capsys):
    from test_splat_files_checkpoint import avatar, saved

    saved(tmp_path / "chkpnt20.pth", avatar())
    for given in (tmp_path / "chkpnt20.pth", tmp_path):
        assert main(["splat", "import", str(given), "-o", str(tmp_path / "a.avatar")]) == 1
        said = capsys.readouterr().err
        assert "holds 7 Gaussians" in said and "a mesh that CAP4D makes" in said and "splat train" in said
    assert not (tmp_path / "a.avatar").exists()
