# SPDX-License-Identifier: GPL-3.0-or-later
"""Operators around tracking: what they order from the worker, what they refuse, and what follows."""

from __future__ import annotations

import os
import sys
import zipfile
from dataclasses import replace
from pathlib import Path

import bpy
import numpy as np
import pytest
from footage_support import fitted, open_avatar, write_avatar, write_movie, write_photo
from scene_support import part

SIZE = (64, 48)


@pytest.fixture(scope="module")
def movie(module, tmp_path_factory) -> Path:
    return write_movie(tmp_path_factory.mktemp("movie") / "movie.mp4", 12, 25.0, SIZE)


@pytest.fixture
def folder(empty_scene, movie, tmp_path) -> Path:
    """An avatar that was fitted to the movie."""
    return write_avatar(tmp_path / "Ada.avatar", fitted(12, 25.0, [SIZE]), {"movie": movie})


@pytest.fixture
def chosen(module, tmp_path):
    """The preferences, with avatars of this test in its own folder, and as they were afterwards."""
    preferences = module("addon.preferences").get()
    preferences.avatars_folder = str(tmp_path / "avatars")
    yield preferences
    for name in ("avatars_folder", "worker_python", "model_folder"):
        preferences.property_unset(name)


class FakeWorker:
    """In the place of a worker: remembers what was ordered, does it at once, and gives a result."""

    orders: list[tuple[list[str], dict[str, str]]] = []
    act = staticmethod(lambda _arguments: {})

    def __init__(self, arguments, python, environ):
        self.orders.append((list(arguments), dict(environ)))
        self.progress, self.text, self.preview = 1.0, "", ""
        self._result = FakeWorker.act(arguments)

    def poll(self) -> bool:
        return True

    def result(self):
        return self._result

    def cancel(self) -> None:
        pass


@pytest.fixture
def worker(module, monkeypatch):
    """Orders of refit and export go to a FakeWorker, whatever packages there are."""
    FakeWorker.orders = []
    for name in ("ops.refit", "ops.export_fit"):
        monkeypatch.setattr(module(name), "WorkerJob", FakeWorker)
    monkeypatch.setattr(module("addon.preferences"), "job_python", lambda _needed=(): sys.executable)
    return FakeWorker


def test_refit_orders_the_current_frame_and_shows_what_came(folder, worker):
    root, scene = open_avatar(folder), bpy.context.scene

    def act(_arguments):
        """As the worker does: another performance, another head."""
        avatar = part("core.avatar").Avatar.load(folder)
        take = avatar.load_performance()
        avatar.add_performance(replace(take, weights=take.weights + np.float32(0.25)))
        model = part("core.head").load_model("anny")
        avatar.identity = {**avatar.identity, "age": 0.8}
        avatar.coefficients = model.identity_coefficients(avatar.identity)
        avatar.save()
        os.utime(folder / "avatar.json", ns=(1, 1))
        return {"avatar": str(folder), "performance": "take"}

    FakeWorker.act = staticmethod(act)
    scene.frame_set(5)
    assert bpy.ops.likeness.refit_neutral() == {"FINISHED"}
    ((arguments, environ),) = worker.orders
    assert arguments == ["refit", str(folder), "--neutral-time", "0.200000", "--performance=take"]
    assert "LIKENESS_MODELS" in environ
    scene.frame_set(3)
    body = part("addon.session").double_of(scene, root).body
    assert body.data.shape_keys.key_blocks["jawOpen"].value == pytest.approx(0.25)
    assert root.likeness.identity.age == pytest.approx(0.8)


def test_a_frame_outside_is_refused(folder, worker):
    open_avatar(folder)
    bpy.context.scene.frame_set(40)
    with pytest.raises(RuntimeError, match=r"Frame 40 lies outside of take\. Go to one from 0 to 11"):
        bpy.ops.likeness.refit_neutral()
    assert not worker.orders


def test_refit_is_one_step_of_undo(folder, worker):
    open_avatar(folder)

    def act(_arguments):
        avatar = part("core.avatar").Avatar.load(folder)
        take = avatar.load_performance()
        avatar.add_performance(replace(take, weights=take.weights + np.float32(0.25)))
        return {}

    FakeWorker.act = staticmethod(act)

    def jaw() -> float:
        scene = bpy.context.scene
        scene.frame_set(3)
        double = part("addon.session").double_of(scene, scene.likeness.active)
        return double.shape_keys.key_blocks["jawOpen"].value

    bpy.ops.ed.undo_push(message="before")
    bpy.ops.likeness.refit_neutral("EXEC_DEFAULT", True)
    assert jaw() == pytest.approx(0.25)
    bpy.ops.ed.undo()
    assert jaw() == 0.0


def test_export_of_a_fit_asks_the_worker(empty_scene, movie, tmp_path, worker):
    take = replace(fitted(12, 25.0, [SIZE]), flame={"expr": np.zeros((12, 3), np.float32)})
    folder = write_avatar(tmp_path / "Ada.avatar", take, {"movie": movie})
    open_avatar(folder)
    FakeWorker.act = staticmethod(lambda _arguments: {})
    target = tmp_path / "fit.npz"
    assert bpy.ops.likeness.export_fit(filepath=str(target)) == {"FINISHED"}
    ((arguments, _environ),) = worker.orders
    assert arguments == ["export-fit", str(folder), "-o", str(target), "--performance=take"]


def test_a_fit_without_flame_needs_a_flame_model(folder, worker, chosen, tmp_path, module):
    open_avatar(folder)
    models = tmp_path / "models"
    (models / "below").mkdir(parents=True)
    chosen.model_folder = str(models)
    with pytest.raises(RuntimeError, match="need your own FLAME model"):
        bpy.ops.likeness.export_fit(filepath=str(tmp_path / "fit.npz"))
    (models / "below" / "flame2023_no_jaw.pkl").write_bytes(b"model")
    module("addon.preferences").look_again()
    FakeWorker.act = staticmethod(lambda _arguments: {})
    assert bpy.ops.likeness.export_fit(filepath=str(tmp_path / "fit.npz")) == {"FINISHED"}


def names() -> dict[str, set[str]]:
    kinds = ("objects", "meshes", "armatures", "actions", "images", "cameras", "collections")
    return {kind: {item.name for item in getattr(bpy.data, kind)} for kind in kinds}


def test_a_movie_without_the_packages_fails_early_and_shows_the_way(
    empty_scene, chosen, movie, module, monkeypatch
):
    environment = module("addon.environment")
    report = environment.Report(Path(sys.executable), "3.11.0", {"av": "18.1.0", "mediapipe": None})
    monkeypatch.setattr(environment, "check", lambda *_a, **_o: report)
    before, ui = names(), module("ui.capture")
    with pytest.raises(RuntimeError, match=r"lacks mediapipe, which tracking needs\. Create the worker"):
        bpy.ops.likeness.import_capture(filepath=str(movie))
    assert names() == before
    from ui_support import draw

    layout = draw(ui.CapturePanel)
    assert "likeness.show_preferences" in layout.drawn("operator")
    assert any("mediapipe" in text for text in layout.drawn("label"))
    chosen.worker_python = sys.executable
    assert "likeness.show_preferences" not in draw(ui.CapturePanel).drawn("operator")


def test_without_tracking_a_movie_needs_nothing(empty_scene, chosen, movie, module, monkeypatch):
    environment = module("addon.environment")
    report = environment.Report(Path(sys.executable), "3.11.0", {"mediapipe": None})
    monkeypatch.setattr(environment, "check", lambda *_a, **_o: report)
    assert bpy.ops.likeness.import_capture(filepath=str(movie), use_tracking=False) == {"FINISHED"}
    assert not bpy.context.scene.likeness.active.likeness.performance


@pytest.mark.parametrize(
    ("options", "found"),
    [
        ({}, []),
        ({"gender": "MALE", "age": 0.4}, ["--gender", "male", "--age", "0.4000"]),
        ({"gender": "FEMALE"}, ["--gender", "female"]),
        ({"age": 0.4, "use_age": True}, ["--age", "0.4000"]),
    ],
)
def test_who_it_is_stays_as_found_unless_somebody_chooses(
    empty_scene, chosen, tmp_path, module, monkeypatch, options, found
):
    photo = write_photo(tmp_path / "face.png", (32, 32))
    work = module("addon.work")
    orders = []

    def start(self, order):
        orders.append(order.arguments())
        raise module("core.errors").WorkerError("Enough.")

    monkeypatch.setattr(work.AvatarJob, "__init__", start)
    monkeypatch.setattr(module("addon.preferences"), "job_python", lambda _needed=(): sys.executable)
    with pytest.raises(RuntimeError, match="Enough"):
        bpy.ops.likeness.import_capture(filepath=str(photo), **options)
    (arguments,) = orders
    assert arguments[arguments.index("--tracking") :] == ["--tracking", "on", "--texture", "track", *found]


def test_models_are_told_to_the_worker(chosen, tmp_path, module, monkeypatch):
    preferences = module("addon.preferences")
    monkeypatch.delenv("LIKENESS_MODELS", raising=False)
    assert preferences.job_environ()["LIKENESS_MODELS"] == str(preferences.data_folder() / "models")
    monkeypatch.setenv("LIKENESS_MODELS", "elsewhere")
    assert preferences.job_environ() == {}
    chosen.model_folder = str(tmp_path)
    assert preferences.job_environ() == {"LIKENESS_MODELS": str(tmp_path)}
    assert not preferences.has_landmarks(tmp_path)
    (tmp_path / preferences.BUNDLE).write_bytes(b"model")
    assert not preferences.has_landmarks(tmp_path)
    preferences.look_again()
    assert preferences.has_landmarks(tmp_path)


def test_the_landmark_model_is_fetched_online_only(chosen, tmp_path):
    chosen.model_folder = str(tmp_path / "models")
    assert not bpy.app.online_access
    with pytest.raises(RuntimeError, match="Online access is off"):
        bpy.ops.likeness.get_landmark_model()
    assert not (tmp_path / "models").exists()


def test_the_dialog_says_where_the_landmark_model_comes_from(module):
    from types import SimpleNamespace

    from ui_support import FakeLayout

    models, layout = module("ops.models"), FakeLayout()
    models.GetLandmarkModel.draw(SimpleNamespace(layout=layout), bpy.context)
    text = "".join(layout.drawn("label"))
    assert models.SIZE in text
    assert models.URL in text.replace(" ", "")


def test_the_panel_names_long_stages(module):
    phrase = module("addon.work").phrase
    assert phrase("track", "Looked at 3 of 9 pictures") == "Tracking: Looked at 3 of 9 pictures"
    assert phrase("write", "Writing the avatar") == "Writing the avatar"


def test_recorded_weights_come_before_what_was_tracked(module):
    choice = module("addon.tracking").first_choice
    assert choice([]) == ""
    assert choice(["take"]) == "take"
    assert choice(["take", "clip tracked"]) == "take"
    assert choice(["old tracked", "clip"]) == "clip"


def test_a_preview_becomes_an_icon_and_leaves_the_file_alone(empty_scene, tmp_path, module):
    previews = module("addon.previews")
    before = names()
    path = write_photo(tmp_path / "preview.png", (16, 16))
    icon = previews.icon_of(str(path))
    assert (icon == 0) == bpy.app.background  # a Blender without a window has no icons
    assert previews.icon_of(str(path)) == icon
    write_photo(path, (32, 16))
    previews.icon_of(str(path))
    assert names() == before
    (tmp_path / "empty.png").touch()
    for bad in ("", str(tmp_path / "absent.png"), str(tmp_path / "empty.png")):
        assert previews.icon_of(bad) == 0
    previews.clear()


def test_a_running_job_shows_its_preview(empty_scene, module):
    from ui_support import draw

    status = module("addon.runtime").SESSION.job
    status.begin("Importing the capture")
    try:
        assert not draw(module("ui.capture").CapturePanel).drawn("icon")
        status.icon = 7
        assert draw(module("ui.capture").CapturePanel).drawn("icon")
    finally:
        status.end()
    assert status.icon == 0


@pytest.mark.slow
def test_a_movie_becomes_a_double_that_can_be_refitted(empty_scene, chosen, tmp_path, module):
    """The whole way with the real worker, where its libraries are: the sample's movie alone."""
    if not module("addon.preferences").has_packages(module("addon.tracking").PACKAGES):
        pytest.skip("this environment has no mediapipe, so nothing can be tracked")
    sample = module("ops.load_sample").SAMPLE
    with zipfile.ZipFile(sample) as archive:
        name = next(name for name in archive.namelist() if name.lower().endswith((".mp4", ".mov")))
        (tmp_path / "speaker.mp4").write_bytes(archive.read(name))
    assert bpy.ops.likeness.import_capture(filepath=str(tmp_path / "speaker.mp4")) == {"FINISHED"}
    scene = bpy.context.scene
    root = scene.likeness.active
    fact = root.likeness.performances[root.likeness.performance]
    assert (fact.has_camera, fact.has_position, fact.has_gaze) == (True, True, True)
    assert root.likeness.tracking.startswith("Landmarks: ")
    assert bpy.ops.likeness.show_on_footage() == {"FINISHED"}
    before = module("addon.session").current(root).weights
    scene.frame_set(scene.frame_end // 2)
    assert bpy.ops.likeness.refit_neutral() == {"FINISHED"}
    after = module("addon.session").current(root).weights
    assert after.shape == before.shape
    assert np.abs(after - before).max() > 1e-3
    # At rest in this frame means closer to no expression than before.
    middle = len(after) // 2
    assert np.abs(after[middle]).sum() <= np.abs(before[middle]).sum() + 1e-3
    assert module("addon.session").is_footage_shown(scene, root)


def fitted_person(folder: Path, detail: bool = True):
    """An avatar whose surface goes beyond its named parameters; (avatar, model, detail (B, 3))."""
    model = part("core.head").load_model("anny")
    identity = {"gender": 0.9, "age": 0.55, "nose-hump-incr": 0.3}
    rng = np.random.default_rng(4)
    values = 0.002 * np.sin(40.0 * model.template + rng.uniform(0, 6, 3)) if detail else 0.0 * model.template
    coefficients = model.identity_coefficients(identity)
    avatar = part("core.avatar").Avatar.create(
        folder,
        "Ada",
        identity=identity,
        coefficients=coefficients,
        vertices=model.rest(coefficients, detail=values).vertices,
    )
    return avatar, model, values


def test_sliders_show_what_was_found_and_a_change_keeps_the_surface(empty_scene, tmp_path):
    avatar, model, detail = fitted_person(tmp_path / "Ada.avatar")
    root = open_avatar(avatar.folder)
    identity = root.likeness.identity
    assert identity.age == pytest.approx(0.55)
    assert identity.changes["nose-hump-incr"].value == pytest.approx(0.3)
    session, mesh = part("addon.session"), part("addon.scene.mesh")
    rows = mesh.body_rows(model)

    def surface() -> np.ndarray:
        body = session.double_of(bpy.context.scene, root).body
        values = np.empty(3 * len(rows), np.float32)
        body.data.vertices.foreach_get("co", values)
        return values.reshape(-1, 3)

    assert np.abs(surface() - mesh.to_blender(avatar.vertices[rows])).max() < 1e-6
    identity.age = 0.9
    changed = model.identity_coefficients({**avatar.identity, "age": 0.9})
    expected = model.rest(changed, detail=detail)
    assert np.abs(surface() - mesh.to_blender(expected.vertices[rows])).max() < 1e-5
    bones = session.double_of(bpy.context.scene, root).armature.data.bones
    for side in ("L", "R"):
        joint = expected.joint_heads[model.joint_names.index(f"eye.{side}")]
        found = np.array(bones[f"eye.{side}"].head_local)
        assert np.abs(found - mesh.to_blender(joint)).max() < 1e-5
    bpy.ops.likeness.save_avatar()
    again = part("core.avatar").Avatar.load(avatar.folder)
    assert np.abs(again.vertices - expected.vertices).max() < 1e-5
    bpy.ops.likeness.rebuild_double()
    assert np.abs(surface() - mesh.to_blender(expected.vertices[rows])).max() < 1e-5
