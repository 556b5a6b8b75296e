# SPDX-License-Identifier: GPL-3.0-or-later
"""Adam against torch's, and what rows do between the steps."""

from __future__ import annotations

import numpy as np
import pytest

from core.errors import SettingsError
from core.splat.adam import Adam, Factored

torch = pytest.importorskip("torch")
pytest.importorskip("numba")

Array = np.ndarray
SHAPES = {"means": (37, 3), "opacity_logits": (37,), "sh": (37, 4, 3)}
RATES = {"means": 1e-2, "opacity_logits": 0.05, "sh": 2e-3}


def arrays(seed: int = 0, shapes: dict[str, tuple[int, ...]] = SHAPES) -> dict[str, Array]:
    """Of normal numbers, float32."""
    rng = np.random.default_rng(seed)
    return {name: rng.normal(size=shape).astype(np.float32) for name, shape in shapes.items()}


def slopes(step: int) -> dict[str, Array]:
    """Gradients of very different sizes, some of them 0."""
    rng = np.random.default_rng(100 + step)
    found = {}
    for name, shape in SHAPES.items():
        sizes = 10.0 ** rng.uniform(-8, 1, shape) * (rng.random(shape) < 0.8)
        found[name] = (rng.normal(size=shape) * sizes).astype(np.float32)
    return found


def offsets_slope(step: int, count: int, many: int) -> Factored:
    """Of offsets of which a third is not seen."""
    rng = np.random.default_rng(step)
    local = rng.normal(size=(count, 14)) * (rng.random(count) < 0.67)[:, None]
    local[:, 3] = 0.0
    return Factored(rng.normal(size=many).astype(np.float32), local.astype(np.float32))


def assert_near(got: Array, expected: Array) -> None:
    """To 2e-6 of the largest."""
    assert got.shape == expected.shape
    assert np.abs(got - expected).max() <= 2e-6 * np.abs(expected).max()


def test_steps_as_torch_does() -> None:
    mine = arrays()
    adam = Adam(mine, RATES)
    leaves = {name: torch.tensor(array, dtype=torch.float64) for name, array in mine.items()}
    other = torch.optim.Adam(
        [{"params": [leaf], "lr": RATES[name]} for name, leaf in leaves.items()], eps=1e-15
    )
    for step in range(60):
        grads = slopes(step)
        for name, leaf in leaves.items():
            leaf.grad = torch.tensor(grads[name], dtype=torch.float64)
        if step == 30:
            other.param_groups[0]["lr"] = 1e-3
        other.step()
        adam.step(grads, {"means": 1e-3} if step == 30 else None)
    for name, leaf in leaves.items():
        assert adam.arrays[name] is mine[name]
        assert_near(mine[name], leaf.numpy())


def test_every_column_may_have_its_own_rate() -> None:
    rate = np.array([1e-2, 0.0, 3e-2])
    whole, single = arrays(), arrays()
    start = whole["means"].copy()
    adam = Adam(whole, RATES | {"means": rate})
    others = [Adam({"means": single["means"]}, {"means": number}) for number in (1e-2,)]
    for step in range(5):
        adam.step({"means": slopes(step)["means"]})
        others[0].step({"means": slopes(step)["means"]})
    moved, expected = whole["means"] - start, single["means"] - start
    assert np.array_equal(whole["means"][:, 0], single["means"][:, 0])
    assert not moved[:, 1].any()
    assert np.abs(moved[:, 2] - 3 * expected[:, 2]).max() < 1e-5


@pytest.mark.parametrize(("count", "many"), [(64, 8), (29, 5), (3, 1), (8, 0)])
def test_factored_gradients_step_as_if_written_out_where_seen(count: int, many: int) -> None:
    mine = arrays(1, {"offsets": (count, many, 14)})
    twin = {"offsets": mine["offsets"].copy()}
    adam, other = Adam(mine, {"offsets": 1e-2}), Adam(twin, {"offsets": 1e-2})
    for step in range(12):
        slope = offsets_slope(step, count, many)
        unseen = ~slope.local.any(1)
        before = [held["offsets"][unseen].copy() for held in (twin, other.first, other.second)]
        adam.step({"offsets": slope})
        other.step({"offsets": slope.latent[:, None] * slope.local[:, None, :]})
        for held, kept in zip((twin, other.first, other.second), before, strict=True):
            held["offsets"][unseen] = kept
    assert np.array_equal(mine["offsets"], twin["offsets"])
    assert np.array_equal(adam.second["offsets"], other.second["offsets"])


def test_any_number_of_threads_gives_the_same_bits() -> None:
    shapes = {"means": (20001, 3), "offsets": (2003, 4, 14)}
    found = []
    for threads in (1, 2, 5):
        mine = arrays(2, shapes)
        adam = Adam(mine, {"means": 1e-2, "offsets": 1e-3})
        for step in range(3):
            grads = {"means": arrays(step, shapes)["means"], "offsets": offsets_slope(step, 2003, 4)}
            adam.step(grads, threads=threads)
        found.append(mine)
    for other in found[1:]:
        for name in shapes:
            assert np.array_equal(found[0][name], other[name])


def test_rows_take_their_moments_along() -> None:
    order = np.random.default_rng(3).permutation(37)[:30]
    plain, moved = Adam(arrays(), RATES), Adam(arrays(), RATES)
    for step in range(4):
        plain.step(slopes(step))
        moved.step(slopes(step))
    moved.keep(order)
    plain.step(slopes(9))
    moved.step({name: slope[order] for name, slope in slopes(9).items()})
    for name in SHAPES:
        assert np.array_equal(plain.arrays[name][order], moved.arrays[name])
        assert moved.arrays[name].flags.c_contiguous


def test_new_rows_begin_without_moments_or_with_those_of_their_parents() -> None:
    adam = Adam(arrays(), RATES)
    adam.step(slopes(0))
    rows = np.array([4, 4, 7])
    adam.extend({name: array[rows] for name, array in adam.arrays.items()})
    found = adam.extend({name: array[rows] for name, array in adam.arrays.items()}, like=rows)
    for name, shape in SHAPES.items():
        assert found[name].shape == (43, *shape[1:])
        assert np.array_equal(found[name][[37, 38, 39]], found[name][rows])
        assert not adam.first[name][37:40].any()
        assert np.array_equal(adam.second[name][40:], adam.second[name][rows])
    adam.forget("means")
    assert not adam.first["means"].any()
    assert adam.first["sh"].any()


def test_goes_on_from_its_state() -> None:
    straight = Adam(arrays(), RATES)
    for step in range(3):
        straight.step(slopes(step))
    state = {name: array.copy() for name, array in straight.state_dict().items()}
    again = Adam({name: array.copy() for name, array in straight.arrays.items()}, RATES)
    again.load(state)
    for adam in (straight, again):
        adam.step(slopes(3))
    for name in SHAPES:
        assert np.array_equal(straight.arrays[name], again.arrays[name])


def test_moments_that_fade_end_at_zero() -> None:
    adam = Adam({"x": np.ones(40, np.float32)}, {"x": 1e-3}, betas=(0.5, 0.5))
    adam.step({"x": np.full(40, 1e-3, np.float32)})
    for _ in range(200):
        adam.step({"x": np.zeros(40, np.float32)})
    assert not adam.first["x"].any()
    assert not adam.second["x"].any()
    assert np.isfinite(adam.arrays["x"]).all()


def test_what_does_not_fit_is_refused() -> None:
    adam = Adam(arrays(), RATES)
    before = adam.arrays["sh"].copy()
    with pytest.raises(SettingsError, match="gradient of means"):
        adam.step({"sh": slopes(0)["sh"], "means": np.zeros((36, 3))})
    assert np.array_equal(adam.arrays["sh"], before)
    with pytest.raises(SettingsError, match="colours is not among"):
        adam.step({"colours": np.zeros((37, 3))})
    with pytest.raises(SettingsError, match="learning rate"):
        adam.set_rates({"means": np.ones(4)})
    with pytest.raises(SettingsError, match="learning rate"):
        adam.set_rates({"means": -1.0})
    with pytest.raises(SettingsError, match="together"):
        adam.extend({"means": np.zeros((1, 3))})
    with pytest.raises(SettingsError, match="moments of means"):
        adam.load({})
    with pytest.raises(SettingsError, match="in place"):
        Adam({"x": np.zeros(3)}, {"x": 1.0})
