# SPDX-License-Identifier: GPL-3.0-or-later
"""The face track of footage that was rendered with known colours under known light."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

av = pytest.importorskip("av")
cv2 = pytest.importorskip("cv2")
pytest.importorskip("scipy")

from core import rotation  # noqa: E402
from core.arkit import INDEX  # noqa: E402
from core.camera import Camera  # noqa: E402
from core.capture import open_capture  # noqa: E402
from core.errors import Cancelled, CaptureError  # noqa: E402
from core.head import load_model  # noqa: E402
from core.head.atlas import SKIN, load_atlas  # noqa: E402
from core.performance import Performance  # noqa: E402
from core.texture.colour import to_linear, to_srgb  # noqa: E402
from core.texture.delight import TOE  # noqa: E402
from core.texture.face_track import FaceTrack, chosen_size, make_face_track  # noqa: E402
from core.texture.lighting import Lighting  # noqa: E402
from core.texture.movie_writer import write_movie  # noqa: E402
from core.texture.ordered import in_order  # noqa: E402
from core.texture.posed import PosedHead  # noqa: E402
from core.texture.rerender import Rerenderer  # noqa: E402
from core.texture.steady import bridged, faded, reach_of, steady_times, windowed  # noqa: E402
from core.texture.texels import TexelTable  # noqa: E402
from core.texture.track_frame import enlarged  # noqa: E402
from core.texture.track_mask import TrackMask  # noqa: E402
from core.texture.unproject import Unprojector  # noqa: E402

SIZE, SIDE, COUNT = 256, 224, 16
TIMES = np.arange(COUNT) / 25.0


@dataclass
class Known:
    """A still that is right."""

    albedo: np.ndarray
    lighting: list[Lighting]
    gain: np.ndarray


@dataclass
class Take:
    """Footage, and all that is true of it."""

    head: PosedHead
    capture: Any
    still: Any
    albedo: np.ndarray
    """(COUNT, SIZE, SIZE, 3) uint8: the face's own colours in each picture."""
    live: np.ndarray
    """(SIZE, SIZE) bool: skin that is seen well in all pictures, where the track shows in full."""


def performance() -> Performance:
    """A head that nods and turns a little while the brows go up and down."""
    t = TIMES[:, None]
    weights = np.zeros((COUNT, 52), np.float32)
    weights[:, INDEX["browInnerUp"]] = 0.5 - 0.5 * np.cos(8.0 * TIMES)
    turn = rotation.from_rotation_vector(np.hstack([0.08 * np.sin(9 * t), 0.15 * np.sin(5 * t), 0 * t]))
    camera = Camera(
        np.array([600.0]),
        np.array([[SIDE / 2, SIDE / 2]]),
        np.array([[SIDE, SIDE]]),
        np.array([0, -0.02, -0.75]),
    )
    return Performance(
        "take", TIMES, weights, turn, np.zeros((COUNT, 3)), np.zeros((COUNT, 2, 2)), camera=camera
    )


def flush() -> np.ndarray:
    """(SIZE, SIZE): 1 about the nose, softly less towards the border of the face."""
    row, column = (np.mgrid[:SIZE, :SIZE] + 0.5) / SIZE
    return np.exp(-((row - 0.44) ** 2 + (column - 0.5) ** 2) / (2 * 0.09**2))


def colours(brows: np.ndarray) -> np.ndarray:
    """(n, SIZE, SIZE, 3) uint8: soft blotches, darker about the nose as the brows rise (n,)."""
    rng = np.random.default_rng(4)
    blotches = cv2.resize(rng.uniform(-25, 25, (24, 24, 3)), (SIZE, SIZE), interpolation=cv2.INTER_CUBIC)
    ground = np.array([190.0, 150.0, 130.0]) + blotches
    changed = ground - 40.0 * (brows[:, None, None] * flush())[..., None]
    return np.clip(changed, 0, 255).astype(np.uint8)


@pytest.fixture(scope="module")
def take(tmp_path_factory: pytest.TempPathFactory) -> Take:
    model = load_model("anny")
    atlas, person = load_atlas(model), model.rest(model.identity_coefficients())
    acted = performance()
    head = PosedHead(model, person, acted)
    light = Lighting.even()
    light.coefficients[1:4] = [[0.15, 0.1, 0.1], [0.25, 0.25, 0.3], [-0.3, -0.25, -0.2]]
    gain = np.linspace(0.6, 0.8, COUNT)[:, None] * np.ones((COUNT, 3))
    brows = acted.weight("browInnerUp")
    albedo = colours(brows)
    path = tmp_path_factory.mktemp("take") / "take.mp4"
    renderer = Rerenderer(model, atlas, SIDE, SIDE)
    with write_movie(path, SIDE, TIMES, quality=1) as movie:
        for i in range(COUNT):
            seen = renderer.render(head.vertices(i), head.camera, 0, albedo[i], light, gain[i])
            movie.write(seen.picture)
    still = Known(colours(np.array([0.5]))[0], [light], gain)
    mask = TrackMask.of(model, atlas, SIZE)
    live = (mask.live > 0.99) & ~mask.quick & (TexelTable.of(atlas, SIZE).chart == SKIN)
    look = Unprojector(model, atlas, SIZE)
    for i in range(COUNT):
        live &= (
            look.unproject(np.zeros((SIDE, SIDE, 3), np.uint8), head.camera, 0, head.vertices(i)).weight > 160
        )
    return Take(head, open_capture(path), still, albedo, live)


def pictures(path: Path) -> np.ndarray:
    with av.open(str(path)) as container:
        return np.stack([frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)])


@pytest.fixture(scope="module")
def track(take: Take, tmp_path_factory: pytest.TempPathFactory) -> tuple[FaceTrack, np.ndarray]:
    path = tmp_path_factory.mktemp("track") / "face.mp4"
    made = make_face_track(take.head, take.capture, load_atlas(take.head.model), take.still, path, SIZE)
    return made, pictures(path)


def test_the_face_comes_back_as_it_was(take: Take, track: tuple[FaceTrack, np.ndarray]) -> None:
    """Its colours under the light, and as they change."""
    _, shown = track
    assert shown.shape == take.albedo.shape
    part = take.live & (flush() > 0.6)
    off = np.abs(shown.astype(float) - take.albedo)[:, part].mean(axis=(1, 2))
    still = np.abs(take.still.albedo.astype(float) - take.albedo)[:, part].mean(axis=(1, 2))
    assert still.max() > 12.0
    assert off.max() < 4.0
    assert np.abs(shown.astype(float) - take.albedo)[:, take.live].mean() < 3.0


def test_the_light_is_gone(take: Take, track: tuple[FaceTrack, np.ndarray]) -> None:
    """What is left of it, left against right, is a fraction of what the light made."""
    _, shown = track
    columns = np.flatnonzero(take.live.any(axis=0))
    third = len(columns) // 3
    parts = [take.live & np.isin(np.arange(SIZE), part) for part in (columns[:third], columns[-third:])]
    left, right = ((shown - take.albedo.astype(float))[:, part].mean(axis=(1, 2)) for part in parts)
    assert np.abs(left - right).max() < 5.0


def test_beyond_the_face_it_is_the_still(take: Take, track: tuple[FaceTrack, np.ndarray]) -> None:
    made, shown = track
    alpha = made.scalp[..., 3]
    assert made.scalp.shape == (SIZE, SIZE, 4) and np.array_equal(made.scalp[..., :3], take.still.albedo)
    assert 0.05 < np.mean(alpha == 0) < 0.6 and np.mean(alpha == 255) > 0.2
    assert np.all(alpha[take.live] < 4)
    outside = cv2.erode((alpha == 255).astype(np.uint8), np.ones((5, 5))) > 0
    assert np.abs(shown[:, outside].astype(float) - take.still.albedo[outside]).max() < 12
    assert np.abs(shown[:, outside].astype(float) - take.still.albedo[outside]).mean() < 2.0


def test_no_border_shows(take: Take, track: tuple[FaceTrack, np.ndarray]) -> None:
    """Between still and track the colour changes no faster than it does in them."""
    _, shown = track
    soft = TrackMask.of(take.head.model, load_atlas(take.head.model), SIZE).live
    border = (soft > 0.02) & (soft < 0.9)
    change = cv2.blur(shown[3].astype(np.float32) - take.still.albedo, (5, 5))
    steps = np.abs(np.diff(change, axis=1))[:, :, 0][border[:, 1:]]
    assert np.percentile(steps, 99) < 4.0


def test_it_is_learnt_from_the_performance(take: Take, track: tuple[FaceTrack, np.ndarray]) -> None:
    made, shown = track
    assert made.predicted is not None and made.figures["predicted_score"] > 0.7
    acted = take.head.performance
    found = made.predicted.coefficients(acted.weights, acted.head_rotation, acted.gaze)
    told = np.stack([made.predicted.picture(c) for c in found]).astype(float)
    error = np.abs(told - shown)[:, take.live].mean()
    assert error < 0.4 * np.abs(told.mean(axis=0) - shown)[:, take.live].mean() + 0.5


def test_lost_samples_are_bridged(take: Take, tmp_path: Path) -> None:
    seen = np.ones(COUNT, np.float32)
    seen[[0, 6, 7, COUNT - 1]] = 0.0
    lost = replace(take.head.performance, confidence=seen)
    head = PosedHead(take.head.model, take.head.rest, lost)
    made = make_face_track(
        head, take.capture, load_atlas(head.model), take.still, tmp_path / "face.mp4", SIZE, predict=False
    )
    shown = pictures(tmp_path / "face.mp4").astype(float)
    assert len(shown) == COUNT and made.figures["bridged"] == 4 and made.predicted is None
    between = (2 * shown[5] + shown[8]) / 3
    assert np.abs(shown[6] - between)[take.live].mean() < 1.5
    assert np.abs(shown[0] - shown[1])[take.live].mean() < 1.0


def test_the_same_take_gives_the_same_file(take: Take, tmp_path: Path) -> None:
    """However many threads there are, and however they take turns."""
    files = [tmp_path / name for name in ("a.mp4", "b.mp4")]
    for file in files:
        make_face_track(
            take.head, take.capture, load_atlas(take.head.model), take.still, file, SIZE, predict=False
        )
    assert files[0].read_bytes() == files[1].read_bytes()


def test_who_stops_it_finds_nothing_left(take: Take, tmp_path: Path) -> None:
    def stop(fraction: float, _stage: str, _text: str) -> None:
        if fraction > 0.3:
            raise Cancelled("Stopped.")

    with pytest.raises(Cancelled):
        make_face_track(
            take.head,
            take.capture,
            load_atlas(take.head.model),
            take.still,
            tmp_path / "face.mp4",
            SIZE,
            progress=stop,
        )
    assert not list(tmp_path.iterdir())


def test_footage_of_another_time_is_refused(take: Take, tmp_path: Path) -> None:
    later = replace(take.head.performance, time=TIMES + 100.0)
    head = PosedHead(take.head.model, take.head.rest, later)
    with pytest.raises(CaptureError, match="shows none"):
        make_face_track(head, take.capture, load_atlas(head.model), take.still, tmp_path / "face.mp4", SIZE)
    assert not list(tmp_path.iterdir())


def test_a_large_face_gets_a_large_movie(take: Take) -> None:
    assert chosen_size(take.head) == 512
    camera = take.head.camera
    near = Camera(4 * camera.focal, 4 * camera.centre, 4 * camera.size, camera.head_position)
    closer = replace(take.head.performance, camera=near)
    assert chosen_size(PosedHead(take.head.model, take.head.rest, closer)) == 1024


# ---- parts


def test_light_is_taken_off_as_in_linear_light() -> None:
    levels = np.arange(40, 256, dtype=np.uint8)
    for shade in (0.3, 0.7, 1.0, 1.6, 2.4):
        truth = to_srgb(to_linear(levels) / np.float32(shade)).astype(float)
        ours = np.clip((levels + TOE) * shade ** (-1 / 2.4) - TOE, 0, 255)
        assert np.abs(ours - truth)[truth > 20].max() < 1.0


def test_a_strip_is_enlarged_as_the_whole() -> None:
    for side in (16, 32, 64):
        coarse = np.random.default_rng(0).random((side, side, 3)).astype(np.float32)
        whole = cv2.resize(coarse, (128, 128), interpolation=cv2.INTER_LINEAR)
        for top, left, right in ((0, 0, 128), (64, 4, 124), (96, 40, 44), (32, 120, 128)):
            part = enlarged(coarse, 128, top, left, right)
            assert np.allclose(part, whole[top : top + len(part), left:right], atol=1e-6)


def test_windows_hold_their_neighbours() -> None:
    for count in range(7):
        found = list(windowed(range(count), 2))
        assert [centre for centre, _ in found] == list(range(count))
        for centre, window in found:
            assert window == list(range(max(0, centre - 2), min(count, centre + 3)))


def test_a_weight_is_never_raised_and_what_lasts_is_kept() -> None:
    weights = np.random.default_rng(1).integers(0, 256, (40, 6, 6)).astype(np.uint8)
    weights[:, 0] = 200
    weights[12:20, 1], weights[:12, 1], weights[20:, 1] = 255, 0, 0
    found = np.stack([weight for _, weight in faded(enumerate(weights), 2)])
    assert np.all(found <= weights)
    assert np.all(found[:, 0] == 200)
    assert np.all(np.abs(np.diff(found[:, 1, 0])) <= 255 / 5 + 1e-3), "it fades instead of popping"


def test_the_window_is_a_matter_of_time() -> None:
    assert [reach_of(np.arange(50) / rate) for rate in (10, 25, 30, 60, 240)] == [1, 2, 2, 4, 4]
    assert reach_of(np.zeros(1)) == 1


def test_a_bridge_goes_by_time() -> None:
    times = np.array([0.0, 1.0, 1.5, 5.0, 6.0])
    ground = np.zeros((2, 2, 3), np.uint8)
    found = list(bridged([(1, ground), (3, ground + 80)], times))
    assert [sample for sample, _ in found] == [0, 1, 2, 3, 4]
    assert [int(picture[0, 0, 0]) for _, picture in found] == [0, 0, 10, 80, 80]
    assert list(bridged([], times)) == []


def test_steady_times_are_made_even_and_others_left() -> None:
    rng = np.random.default_rng(2)
    even = 0.2 + np.arange(100) / 60.0
    shaky = even + rng.uniform(-0.001, 0.001, 100)
    assert np.ptp(np.diff(steady_times(shaky))) < 1e-9
    assert np.abs(steady_times(shaky) - even).max() < 0.002
    assert np.allclose(steady_times(even), even, atol=1e-12)
    uneven = np.cumsum(rng.choice([1, 2, 3], 50)) / 30.0
    assert np.array_equal(steady_times(uneven), uneven)
    assert steady_times(np.array([0.0005] * 1)).shape == (1,)


def test_work_in_threads_keeps_its_order_and_its_errors() -> None:
    taken = []

    def items():
        for n in range(50):
            taken.append(n)
            yield n

    with ThreadPoolExecutor(3) as pool:
        results = in_order(pool, lambda n: n * n, items(), 4)
        assert next(results) == 0 and len(taken) == 5, "only so many are ahead"
        assert list(results) == [n * n for n in range(1, 50)]
        with pytest.raises(ZeroDivisionError):
            list(in_order(pool, lambda n: 1 // (n - 3), range(9), 2))
