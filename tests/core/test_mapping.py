# SPDX-License-Identifier: GPL-3.0-or-later
"""Mappings as a noun: laws of conversion, orders of scores, files of ours and of others, the command line."""

from __future__ import annotations

import json
import pickle
from importlib.util import find_spec
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from core.__main__ import main
from core.arkit import ARKIT_NAMES, INDEX
from core.errors import LikenessError, SettingsError
from core.fit.mapping import (
    MEDIAPIPE_NAMES,
    FlameMotion,
    Mapping,
    blending_weights,
    read_layers,
    read_network,
    read_published,
)
from core.fit.mapping.names import known_order, reordered
from core.fit.mapping.scores import read_scores, with_flame
from core.performance import Performance
from tests.core.performances import random_performance


def random_mapping(expressions: int = 50, names=ARKIT_NAMES, seed: int = 0) -> Mapping:
    matrix = np.random.default_rng(seed).normal(size=(len(names), expressions + 9))
    return Mapping.linear(names, matrix, variant="2020", provenance={"method": "random"})


def all_of(motion: FlameMotion) -> np.ndarray:
    return np.concatenate([motion.expression, motion.jaw, motion.eyes], axis=1)


# ---- laws


def test_conversion_is_linear_and_zero_gives_zero() -> None:
    mapping, rng = random_mapping(), np.random.default_rng(1)
    a, b = rng.uniform(size=(2, 7, 52))
    left = all_of(mapping.convert(2 * a - 0.5 * b))
    right = 2 * all_of(mapping.convert(a)) - 0.5 * all_of(mapping.convert(b))
    np.testing.assert_allclose(left, right, atol=1e-4)
    motion = mapping.convert(np.zeros((3, 52)))
    assert not all_of(motion).any()
    assert (motion.expression.shape, motion.jaw.shape, motion.eyes.shape) == ((3, 50), (3, 3), (3, 6))
    assert motion.variant == "2020"
    assert all(array.dtype == np.float32 for array in motion.as_dict().values())


def test_frames_are_converted_one_by_one() -> None:
    mapping, scores = random_mapping(), np.random.default_rng(2).uniform(size=(5, 52))
    together = all_of(mapping.convert(scores))
    apart = np.concatenate([all_of(mapping.convert(row[None])) for row in scores])
    np.testing.assert_allclose(together, apart, atol=1e-5)
    assert all_of(mapping.convert(np.zeros((0, 52)))).shape == (0, 59)


def test_the_order_of_columns_makes_no_difference() -> None:
    rng = np.random.default_rng(3)
    scores, shuffled = rng.uniform(size=(4, 52)), rng.permutation(52)
    mapping = random_mapping()
    names = [ARKIT_NAMES[k] for k in shuffled]
    np.testing.assert_array_equal(
        all_of(mapping.convert(scores[:, shuffled], names)), all_of(mapping.convert(scores))
    )
    dialect = [f"Face.M_{name[0].upper()}{name[1:]}" for name in names]
    np.testing.assert_array_equal(
        all_of(mapping.convert(scores[:, shuffled], dialect)), all_of(mapping.convert(scores))
    )


def test_a_mapping_for_mediapipes_order_takes_arkits() -> None:
    """Only tongueOut is lost, and `_neutral` counts as zero."""
    mapping = random_mapping(names=MEDIAPIPE_NAMES)
    scores = np.random.default_rng(4).uniform(size=(6, 52))
    scores[:, INDEX["tongueOut"]] = 0
    theirs = reordered(scores, ARKIT_NAMES, MEDIAPIPE_NAMES)
    assert not theirs[:, 0].any()
    np.testing.assert_allclose(all_of(mapping.convert(scores)), theirs @ mapping.layers[0].weight, rtol=1e-5)
    np.testing.assert_array_equal(reordered(theirs, MEDIAPIPE_NAMES, ARKIT_NAMES), scores)
    assert mapping.unused == ("tongueOut",)


def test_mediapipes_order_is_that_of_its_wheel() -> None:
    """Read from the package's source, as importing it takes seconds."""
    spec = find_spec("mediapipe")
    if spec is None or not spec.submodule_search_locations:
        pytest.skip("mediapipe is not installed")
    source = Path(spec.submodule_search_locations[0]) / "tasks" / "python" / "vision" / "face_landmarker.py"
    enumeration = source.read_text(encoding="utf-8").split("class Blendshapes")[1].split("class ")[0]
    words = [line.split("=")[0].strip() for line in enumeration.splitlines() if " = " in line]
    assert len(words) == 52
    assert tuple(word.replace("_", "").lower() for word in words) == tuple(
        name.replace("_", "").lower() for name in MEDIAPIPE_NAMES
    )


@pytest.mark.parametrize(
    ("scores", "names", "word"),
    [
        (np.zeros((2, 51)), ARKIT_NAMES, "shape"),
        (np.zeros(52), ARKIT_NAMES, "shape"),
        (np.full((1, 52), np.nan), ARKIT_NAMES, "finite"),
        (np.array([["a"] * 52]), ARKIT_NAMES, "shape"),
        (np.zeros((1, 2)), ("jawOpen", "jaw_open"), "twice"),
        (np.zeros((1, 1)), ("ears",), "none of the 52"),
    ],
)
def test_wrong_scores_are_one_sentence(scores, names, word) -> None:
    with pytest.raises(SettingsError, match=word):
        random_mapping().convert(scores, names)


# ---- our own files


def test_a_mapping_survives_its_file(tmp_path) -> None:
    mapping = random_mapping(names=MEDIAPIPE_NAMES)
    mapping.save(tmp_path / "m.npz")
    again = Mapping.load(tmp_path / "m.npz")
    assert (again.names, again.variant, again.provenance) == (mapping.names, "2020", {"method": "random"})
    np.testing.assert_array_equal(again.layers[0].weight, mapping.layers[0].weight)
    assert [p.name for p in tmp_path.iterdir()] == ["m.npz"]


def hostile_files(folder):
    """Files that are no mapping: name and bytes or arrays."""
    rng = np.random.default_rng(0)
    header = {
        "kind": "scores to flame",
        "schema": 1,
        "names": list(ARKIT_NAMES),
        "variant": "",
        "provenance": {},
    }
    good = {"weight0": rng.normal(size=(52, 59)), "bias0": np.zeros(59)}

    def write(name, changes, **arrays):
        value = json.dumps({**header, "layers": 1, **changes})
        np.savez(folder / name, header=np.array(value), **{**good, **arrays})
        return folder / name

    yield write("newer.npz", {"schema": 9})
    yield write("kind.npz", {"kind": "landmarks"})
    yield write("layers.npz", {"layers": 10**30})
    yield write("none.npz", {"layers": 0})
    yield write("names.npz", {"names": ["jawOpen"] * 52})
    yield write("nan.npz", {}, weight0=np.full((52, 59), np.nan))
    yield write("shape.npz", {}, weight0=np.zeros((52, 60)))
    yield write("small.npz", {}, weight0=np.zeros((52, 9)), bias0=np.zeros(9))
    yield write("text.npz", {}, weight0=np.array(["x"]))
    (folder / "noise.npz").write_bytes(rng.bytes(3000))
    yield folder / "noise.npz"
    (folder / "pickle.npz").write_bytes(pickle.dumps(Bomb()))
    yield folder / "pickle.npz"
    np.savez(folder / "object.npz", header=np.array([Bomb()], object))
    yield folder / "object.npz"
    yield folder / "absent.npz"


class Bomb:
    """Unpickling it must never happen."""

    def __reduce__(self):
        return pytest.fail, ("a pickle was executed",)


def test_foreign_files_are_refused_in_one_sentence(tmp_path) -> None:
    for path in hostile_files(tmp_path):
        with pytest.raises(SettingsError) as caught:
            Mapping.load(path)
        assert path.name.split(".")[0] in str(caught.value), path
        assert len(str(caught.value)) < 400


# ---- published files


def published(folder, expressions: int = 100, pose: str = "jaw") -> dict[str, np.ndarray]:
    rng = np.random.default_rng(7)
    arrays = {
        "bs2exp": rng.normal(size=(52, expressions)).astype(np.float32),
        f"bs2{pose}": rng.normal(size=(52, 3 if pose == "jaw" else 6)).astype(np.float32),
        "bs2eye": rng.normal(size=(52, 6)).astype(np.float32),
    }
    folder.mkdir(exist_ok=True)
    for name, array in arrays.items():
        np.save(folder / f"{name}.npy", array)
    return arrays


@pytest.mark.parametrize(("expressions", "pose"), [(50, "pose"), (100, "jaw")])
def test_the_published_matrices_mean_what_their_authors_compute(tmp_path, expressions, pose) -> None:
    """The product scores @ matrix in mediapipe's order; of a pose only its jaw."""
    arrays = published(tmp_path / "mappings", expressions, pose)
    mapping = read_published(tmp_path / "mappings")
    scores = np.random.default_rng(8).uniform(size=(9, 52)).astype(np.float32)
    motion = mapping.convert(scores, MEDIAPIPE_NAMES)
    np.testing.assert_allclose(motion.expression, scores @ arrays["bs2exp"], atol=1e-4)
    np.testing.assert_allclose(motion.jaw, (scores @ arrays[f"bs2{pose}"])[:, -3:], atol=1e-4)
    np.testing.assert_allclose(motion.eyes, scores @ arrays["bs2eye"], atol=1e-4)
    assert mapping.variant == "2020"


@pytest.mark.parametrize("damage", ["absent", "shape", "object", "noise", "nan", "text"])
def test_damaged_published_matrices_are_named(tmp_path, damage) -> None:
    published(tmp_path)
    path = tmp_path / "bs2eye.npy"
    path.unlink()
    if damage == "shape":
        np.save(path, np.zeros((51, 6)))
    elif damage == "object":
        np.save(path, np.array([Bomb()], object), allow_pickle=True)
    elif damage == "noise":
        path.write_bytes(b"\x93NUMPY" + bytes(300))
    elif damage == "nan":
        np.save(path, np.full((52, 6), np.inf))
    elif damage == "text":
        np.save(path, np.array([["x"] * 6] * 52))
    with pytest.raises(SettingsError, match=r"bs2eye\.npy"):
        read_published(tmp_path)


def network(sizes, seed: int = 0) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(seed)
    state = {}
    for k, (inputs, outputs) in enumerate(pairwise(sizes), start=1):
        state[f"fc{k}.weight"] = rng.normal(size=(outputs, inputs)).astype(np.float32)
        state[f"fc{k}.bias"] = rng.normal(size=outputs).astype(np.float32)
    return state


def test_a_network_is_evaluated_as_torch_does(tmp_path) -> None:
    torch = pytest.importorskip("torch")
    state = network((52, 40, 40, 59))
    torch.save({name: torch.from_numpy(array) for name, array in state.items()}, tmp_path / "mlp.pth")
    np.savez(tmp_path / "mlp.npz", **state)
    scores = np.random.default_rng(1).uniform(size=(5, 52)).astype(np.float32)
    layers = [torch.nn.Linear(*reversed(state[f"fc{k}.weight"].shape)) for k in (1, 2, 3)]
    model = torch.nn.Sequential(layers[0], torch.nn.ReLU(), layers[1], torch.nn.ReLU(), layers[2])
    for k, layer in enumerate(layers, start=1):
        layer.load_state_dict({n: torch.from_numpy(state[f"fc{k}.{n}"]) for n in ("weight", "bias")})
    with torch.no_grad():
        wanted = model(torch.from_numpy(scores)).numpy()
    for suffix in ("pth", "npz"):
        mapping = read_network(tmp_path / f"mlp.{suffix}", 50)
        found = all_of(mapping.convert(scores, MEDIAPIPE_NAMES))
        np.testing.assert_allclose(found, wanted, rtol=1e-4, atol=1e-3)
        mapping.save(tmp_path / "kept.npz")
        kept = all_of(Mapping.load(tmp_path / "kept.npz").convert(scores, MEDIAPIPE_NAMES))
        np.testing.assert_array_equal(kept, found)


def test_a_network_without_pose_leaves_jaw_and_eyes_still(tmp_path) -> None:
    np.savez(tmp_path / "mlp.npz", **network((52, 20, 30)))
    motion = read_network(tmp_path / "mlp.npz", 30).convert(np.ones((2, 52)))
    assert motion.expression.any()
    assert not motion.jaw.any()
    assert not motion.eyes.any()
    with pytest.raises(SettingsError, match="gives 30 numbers"):
        read_network(tmp_path / "mlp.npz", 25)


def test_the_published_network_gives_blending_weights_and_no_mapping(tmp_path) -> None:
    """It goes from FLAME to ten weights, and says so when taken for the opposite."""
    np.savez(tmp_path / "mlp.npz", **network((53, 50, 50, 10)))
    with pytest.raises(SettingsError, match="takes 53 numbers"):
        read_network(tmp_path / "mlp.npz", 50)
    motion = random_mapping(100).convert(np.random.default_rng(2).uniform(size=(4, 52)))
    weights = blending_weights(read_layers(tmp_path / "mlp.npz"), motion)
    assert weights.shape == (4, 10)
    np.testing.assert_allclose(weights.sum(axis=1), 1)
    with pytest.raises(SettingsError, match="needs"):
        blending_weights(read_layers(tmp_path / "mlp.npz"), random_mapping(20).convert(np.zeros((1, 52))))


def test_hostile_networks_run_nothing(tmp_path) -> None:
    torch = pytest.importorskip("torch")
    (tmp_path / "bomb.pth").write_bytes(pickle.dumps({"fc1.weight": Bomb()}))
    torch.save({"fc1.weight": Bomb()}, tmp_path / "bomb2.pth")
    torch.save([1, 2], tmp_path / "list.pth")
    torch.save({"fc1.weight": torch.zeros(3, 4)}, tmp_path / "half.pth")
    np.savez(
        tmp_path / "joint.npz",
        **{**network((52, 20)), "fc2.weight": np.ones((9, 21)), "fc2.bias": np.ones(9)},
    )
    for name in ("bomb.pth", "bomb2.pth", "list.pth", "half.pth", "joint.npz", "absent.pth"):
        with pytest.raises(SettingsError, match=name):
            read_layers(tmp_path / name)


# ---- whole performances and the command line


def test_a_performance_keeps_its_weights_and_gets_parameters(tmp_path) -> None:
    performance, mapping = random_performance(), random_mapping()
    changed = with_flame(performance, mapping)
    np.testing.assert_array_equal(changed.weights, performance.weights)
    assert set(changed.flame or {}) == {"expression", "jaw", "eyes"}
    assert "2020" in changed.source
    changed.save(tmp_path / "p.npz")
    again = Performance.load(tmp_path / "p.npz")
    assert again.flame is not None
    np.testing.assert_array_equal(again.flame["jaw"], mapping.convert(performance.weights).jaw)


def test_the_verb_converts_performances_and_tables(tmp_path, capsys) -> None:
    performance = random_performance(frames=30, uneven=False)
    performance.save(tmp_path / "take.npz")
    performance.save_live_link_csv(tmp_path / "take.csv")
    mapping = random_mapping()
    mapping.save(tmp_path / "m.npz")
    published(tmp_path / "theirs")
    for scores in ("take.npz", "take.csv"):
        for chosen in ("m.npz", "theirs"):
            out = tmp_path / "out.npz"
            command = ["map", "convert", str(tmp_path / scores), str(tmp_path / chosen), "-o", str(out)]
            assert main(command) == 0
            made = Performance.load(out)
            assert made.flame is not None
            assert made.flame["expression"].shape == (30, 50 if chosen == "m.npz" else 100)
            out.unlink()
    assert "30 frames for 2020" in capsys.readouterr().out
    np.testing.assert_allclose(read_scores(tmp_path / "take.csv").weights, performance.weights, atol=1e-6)


def test_a_track_is_converted_with_its_lost_frames_bridged(tmp_path) -> None:
    from core.track.track import Track

    scores = np.random.default_rng(5).uniform(size=(4, 52)).astype(np.float32)
    landmarks = np.zeros((4, 478, 3), np.float32)
    scores[1], landmarks[1] = np.nan, np.nan
    time, sure = np.array([0.0, 1.0, 2.0, 3.0]), np.array([1, 0, 1, 0.5], np.float32)
    Track("take", time, landmarks, sure, np.full((4, 2), 512, np.int32), scores).save(tmp_path / "t.npz")
    performance = read_scores(tmp_path / "t.npz")
    np.testing.assert_allclose(performance.weights[1], (scores[0] + scores[2]) / 2, atol=1e-6)
    np.testing.assert_array_equal(performance.weights[[0, 2, 3]], scores[[0, 2, 3]])
    np.testing.assert_array_equal(performance.confidence, sure)


def test_the_verb_refuses_what_it_cannot_read(tmp_path, capsys) -> None:
    (tmp_path / "x.npz").write_bytes(b"no")
    random_mapping().save(tmp_path / "m.npz")
    for scores, mapping in (("x.npz", "m.npz"), ("absent.csv", "m.npz"), ("m.npz", "x.npz")):
        command = [
            "map",
            "convert",
            str(tmp_path / scores),
            str(tmp_path / mapping),
            "-o",
            str(tmp_path / "o"),
        ]
        assert main(command) == 1
        assert "Error:" in capsys.readouterr().err
    assert not (tmp_path / "o").exists()


def test_names_are_known_in_any_dialect() -> None:
    assert known_order(("EyeBlinkLeft", "_neutral", "jaw_open")) == ("eyeBlinkLeft", "_neutral", "jawOpen")
    with pytest.raises(LikenessError):
        known_order(("x" * 10_000,))
