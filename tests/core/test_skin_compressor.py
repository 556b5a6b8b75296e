# SPDX-License-Identifier: GPL-3.0-or-later
"""From a model to a file: settings, what a stopped run leaves, going on, and memory."""

from __future__ import annotations

import tracemalloc
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from skin_faces import patch_model

from core.errors import Cancelled, LikenessError, SettingsError
from core.skin.compressed import CompressedSkin
from core.skin.compressor import SkinCompressor
from core.skin.measure import errors_of

BUDGET = {"number_of_bones": 6, "max_influences": 3, "total_nnz_B_rt": 80}


def compressor(iterations: int = 20, **settings: Any) -> SkinCompressor:
    given = {"solver": "reference", "checkpoint_seconds": 0.0, **BUDGET, **settings}
    return SkinCompressor(patch_model(side=8, shapes=4), iterations, **given)


@pytest.fixture(autouse=True)
def _many_reports(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("core.skin.reference.LOG_EVERY", 10)


class StopAt:
    """Cancels at the first report of an iteration."""

    def __init__(self, text: str, error: BaseException) -> None:
        self.text, self.error = text, error

    def __call__(self, _fraction: float, _stage: str, text: str) -> None:
        if self.text in text:
            raise self.error


def same(first: CompressedSkin, second: CompressedSkin) -> bool:
    pairs = ((first.weights, second.weights), (first.transforms, second.transforms))
    return all(np.array_equal(a, b) for a, b in pairs)


@pytest.mark.parametrize("name", ["result.npz", "result"])
def test_the_file_holds_what_was_fitted(tmp_path: Path, name: str) -> None:
    made = compressor()
    skin = made.run(tmp_path / name)
    assert [path.name for path in tmp_path.iterdir()] == ["result.npz"]
    assert same(CompressedSkin.load(tmp_path / "result.npz"), skin)
    measured = errors_of(made.model_data, skin)
    assert {key: skin.errors[key] for key in measured} == pytest.approx(measured)
    np.testing.assert_allclose(skin.rest + skin.centre, made.model_data.rest_verts, atol=1e-5)


def test_losses_are_listed_as_published(tmp_path: Path) -> None:
    made = compressor(iterations=11)
    made.run(tmp_path / "out.npz")
    assert len(made.loss_list) == len(made.abserr_list) == 4
    assert made.loss_list[-1] < made.loss_list[0]
    assert made.abserr_list[0] == pytest.approx(np.abs(made.model_data.deltas).max(), rel=1e-2)


def test_progress_tells_phase_loss_and_error(tmp_path: Path) -> None:
    seen: list[tuple[float, str]] = []
    compressor(iterations=11).run(tmp_path / "out.npz", lambda f, _stage, text: seen.append((f, text)))
    fractions = [fraction for fraction, _ in seen]
    assert fractions == sorted(fractions) and fractions[-1] == 1.0
    assert any("Phase 2 of 2, iteration 10: loss" in text and "largest error" in text for _, text in seen)


@pytest.mark.parametrize("where", ["1 of 2, iteration 10", "2 of 2, iteration 0", "2 of 2, iteration 10"])
@pytest.mark.parametrize("error", [Cancelled("Stopped."), KeyboardInterrupt()], ids=["cancel", "interrupt"])
def test_a_stopped_run_leaves_its_checkpoint_and_goes_on_to_the_same_result(
    tmp_path: Path, where: str, error: BaseException
) -> None:
    whole = compressor(iterations=15)
    expected = whole.run(tmp_path / "whole.npz")
    output = tmp_path / "stopped" / "out.npz"
    output.parent.mkdir()
    with pytest.raises(type(error)):
        compressor(iterations=15).run(output, StopAt(where, error))
    assert [path.name for path in output.parent.iterdir()] == ["out.npz.checkpoint"]
    seen: list[str] = []
    resumed = compressor(iterations=15, resume=True)
    assert same(resumed.run(output, lambda _f, _stage, text: seen.append(text)), expected)
    assert not any("Phase 1 of 2, iteration 0" in text for text in seen)
    assert resumed.loss_list == whole.loss_list
    assert [path.name for path in output.parent.iterdir()] == ["out.npz"]


@pytest.mark.parametrize("change", ["settings", "model", "damage", "no resume"])
def test_a_checkpoint_of_something_else_is_not_used(tmp_path: Path, change: str) -> None:
    output = tmp_path / "out.npz"
    with pytest.raises(Cancelled):
        compressor(iterations=15).run(output, StopAt("iteration 10", Cancelled("Stopped.")))
    made = compressor(iterations=15, resume=change != "no resume")
    if change == "settings":
        made.seed = 7
    elif change == "model":
        made.model_data.deltas[0, 0, 0] += 1
    elif change == "damage":
        (tmp_path / "out.npz.checkpoint").write_bytes(b"PK\x03\x04 not an archive")
    if change != "no resume":
        with pytest.raises(SettingsError, match="of another model or other settings, or damaged"):
            made.run(output)
        assert [path.name for path in tmp_path.iterdir()] == ["out.npz.checkpoint"]
        made.resume = False
    seen: list[str] = []
    made.run(output, lambda _f, _stage, text: seen.append(text))
    assert any("Phase 1 of 2, iteration 0" in text for text in seen)
    assert [path.name for path in tmp_path.iterdir()] == ["out.npz"]


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"number_of_bones": 0}, "number of bones is 0"),
        ({"number_of_bones": 2.5}, "number of bones is 2.5"),
        ({"max_influences": 0}, "influences of a vertex is 0"),
        ({"total_nnz_B_rt": 0}, "number of coefficients is 0"),
        ({"total_nnz_B_rt": "many"}, "number of coefficients is many"),
        ({"iterations": 0}, "number of iterations is 0"),
        ({"power": 0}, "power of the error is 0"),
        ({"init_weight": 0.0}, "first transforms is 0"),
        ({"init_weight": float("nan")}, "first transforms is nan"),
        ({"alpha": -1.0}, "alpha is -1"),
        ({"alpha": float("inf")}, "alpha is inf"),
        ({"seed": -3}, "seed is -3"),
        ({"solver": "slow"}, "no solver 'slow'"),
        ({"device": "tpu"}, "no device 'tpu'"),
    ],
)
def test_an_impossible_setting_is_a_sentence(tmp_path: Path, settings: dict[str, Any], message: str) -> None:
    made = compressor()
    for name, value in settings.items():
        setattr(made, name, value)
    with pytest.raises(SettingsError, match=message):
        made.run(tmp_path / "out.npz")
    assert not list(tmp_path.iterdir())


def test_an_unknown_setting_is_a_sentence() -> None:
    with pytest.raises(SettingsError, match="'bones'"):
        compressor(bones=4)


def test_a_missing_folder_is_known_before_the_fit(tmp_path: Path) -> None:
    with pytest.raises(LikenessError, match="no folder"):
        compressor().run(tmp_path / "missing" / "out.npz", StopAt("", AssertionError("The fit began.")))


def test_a_budget_beyond_the_model_is_what_the_model_can_use(tmp_path: Path) -> None:
    made = compressor(number_of_bones=100, max_influences=200, total_nnz_B_rt=10**9)
    budget = made.budget()
    assert (budget.bones, budget.influences, budget.coefficients) == (64, 64, 6 * 4 * 64)
    made.number_of_bones = 3
    assert made.run(tmp_path / "out.npz").max_influences <= 3


def test_the_models_alpha_is_used_unless_another_is_set() -> None:
    model = patch_model(side=8, shapes=4)
    object.__setattr__(model, "alpha", 3.0)
    assert SkinCompressor(model).settings().alpha == 3.0
    assert SkinCompressor(model, alpha=1.0).settings().alpha == 1.0
    assert compressor().settings().alpha is None


def test_memory_grows_with_the_vertices_and_not_with_their_square(tmp_path: Path) -> None:
    """20,164 vertices: a square matrix of them would take 1.6 GB, the shapes take 1 MB."""
    peaks = []
    for side in (71, 142):
        made = SkinCompressor(patch_model(side=side, shapes=4), 2, solver="reference", number_of_bones=10)
        tracemalloc.start()
        made.run(tmp_path / f"{side}.npz")
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] < 80e6
    assert peaks[1] < 5 * peaks[0]
