# SPDX-License-Identifier: GPL-3.0-or-later
"""Mappings fitted to pairs: what was put in comes out, errors are honest, and sources are read by name."""

from __future__ import annotations

import json

import numpy as np
import pytest

from core.__main__ import main
from core.arkit import ARKIT_NAMES, INDEX
from core.errors import SettingsError
from core.fit.mapping import MEDIAPIPE_NAMES, Mapping, Pairs, RegressionSettings, fit_mapping, read_pairs
from core.fit.mapping.names import EYE_NAMES, JAW_NAMES, OPENING, coefficient_names
from core.performance import Performance

EXPRESSIONS = 20


def sample(count: int = 1500, noise: float = 0.02, seed: int = 0, bias: float = 0.0):
    """Pairs of a known matrix and bias, with scores as they are: sparse, not negative, slow in time."""
    rng = np.random.default_rng(seed)
    waves = np.sin(np.linspace(0, 60, count)[:, None] * rng.uniform(0.3, 3, 52) + rng.uniform(0, 6, 52))
    scores = np.clip(waves + 0.1 * rng.normal(size=(count, 52)) - 0.2, 0, None)
    matrix = rng.normal(size=(52, EXPRESSIONS + 9))
    matrix[:, EXPRESSIONS] = np.abs(matrix[:, EXPRESSIONS]) * (rng.uniform(size=52) < 0.2)
    shift = bias * rng.normal(size=EXPRESSIONS + 9)
    targets = scores @ matrix + shift + noise * rng.normal(size=(count, EXPRESSIONS + 9))
    split = EXPRESSIONS, EXPRESSIONS + 3
    pairs = Pairs(
        ARKIT_NAMES, scores, targets[:, : split[0]], targets[:, split[0] : split[1]], targets[:, split[1] :]
    )
    return pairs, matrix, shift


def test_the_matrix_that_made_the_pairs_comes_back() -> None:
    pairs, matrix, _ = sample()
    mapping, report = fit_mapping(pairs)
    np.testing.assert_allclose(mapping.layers[0].weight, matrix, atol=0.05)
    assert not mapping.layers[0].bias.any()
    assert all((report.groups[name] or 0) > 0.99 for name in ("expression", "jaw", "eyes"))


def test_without_noise_it_is_exact_in_any_order() -> None:
    pairs, _, _ = sample(noise=0.0)
    turned = np.random.default_rng(1).permutation(52)
    names = tuple(ARKIT_NAMES[k] for k in turned)
    other = Pairs(names, pairs.scores[:, turned], pairs.expression, pairs.jaw, pairs.eyes)
    for each in (pairs, other):
        motion = fit_mapping(each)[0].convert(pairs.scores)
        np.testing.assert_allclose(motion.expression, pairs.expression, atol=1e-3)
        np.testing.assert_allclose(motion.eyes, pairs.eyes, atol=1e-3)


def test_held_out_errors_are_those_of_new_frames() -> None:
    """The report's rms is the noise that was put in, and what carries no signal has no R2."""
    pairs, _, _ = sample(noise=0.3)
    random = np.random.default_rng(9).normal(size=pairs.jaw.shape)
    report = fit_mapping(Pairs(pairs.names, pairs.scores, pairs.expression, random, pairs.eyes))[1]
    errors = {c.name: c for c in report.coefficients}
    assert 0.28 < np.mean([errors[f"expression_{k:03d}"].rms for k in range(EXPRESSIONS)]) < 0.34
    assert abs(errors[OPENING].r2 or 0) < 0.15
    assert (report.groups["expression"] or 0) > 0.9
    # No signal: the strongest damping on offer is chosen, and the answer stays near zero.
    assert errors[OPENING].strength > errors["expression_000"].strength


def test_a_bias_is_found_and_left_out_when_not_asked_for() -> None:
    pairs, _, shift = sample(bias=1.0)
    with_bias, good = fit_mapping(pairs, RegressionSettings(bias=True))
    np.testing.assert_allclose(with_bias.layers[0].bias, shift, atol=0.1)
    without, poor = fit_mapping(pairs)
    assert not without.convert(np.zeros((1, 52))).expression.any()
    assert (good.groups["expression"] or 0) > (poor.groups["expression"] or 0)


@pytest.mark.parametrize("bias", [False, True])
def test_signs_are_kept_where_they_are_asked_for(bias) -> None:
    pairs, matrix, _ = sample(noise=0.3, bias=float(bias))
    free = fit_mapping(pairs, RegressionSettings(bias=bias))[0].layers[0].weight
    jaw = fit_mapping(pairs, RegressionSettings("jaw", bias))[0].layers[0].weight
    whole = fit_mapping(pairs, RegressionSettings("all", bias))[0].layers[0].weight
    opening = EXPRESSIONS
    assert np.any(free[:, opening] < 0)
    assert np.all(jaw[:, opening] >= 0)
    assert np.all(whole[:, : opening + 1] >= 0)
    others = np.delete(np.arange(EXPRESSIONS + 9), opening)
    np.testing.assert_array_equal(jaw[:, others], free[:, others])
    # The truth is not negative, so keeping to it brings the answer nearer.
    wanted = matrix[:, opening]
    assert np.linalg.norm(jaw[:, opening] - wanted) < np.linalg.norm(free[:, opening] - wanted)


def test_scores_that_never_move_are_named_and_ignored() -> None:
    pairs, _, _ = sample()
    scores = pairs.scores.copy()
    scores[:, INDEX["tongueOut"]] = 0
    mapping, report = fit_mapping(Pairs(pairs.names, scores, pairs.expression, pairs.jaw, pairs.eyes))
    assert report.unseen == ("tongueOut",) == mapping.unused
    assert not mapping.layers[0].weight[INDEX["tongueOut"]].any()
    assert any("tongueOut" in line for line in report.lines())


def test_few_pairs_give_a_tame_answer() -> None:
    """Fewer frames than scores: damping keeps the answer of the size of the data."""
    pairs, matrix, _ = sample(count=30, noise=0.5)
    mapping = fit_mapping(pairs)[0]
    assert np.all(np.isfinite(mapping.layers[0].weight))
    assert np.abs(mapping.layers[0].weight).max() < 10 * np.abs(matrix).max()
    with pytest.raises(SettingsError, match="held out"):
        fit_mapping(pairs, RegressionSettings(folds=31))
    with pytest.raises(SettingsError, match="held out"):
        fit_mapping(pairs, RegressionSettings(folds=1))


# ---- sources


def same(a: Pairs, b: Pairs) -> None:
    assert a.names == b.names
    for name in ("scores", "expression", "jaw", "eyes"):
        np.testing.assert_allclose(getattr(a, name), getattr(b, name), atol=1e-7, err_msg=name)


def write_csv(path, pairs: Pairs, extra: bool = True) -> None:
    names = [name[0].upper() + name[1:] for name in pairs.names]
    columns = [*names, *(f"exp_{k}" for k in range(EXPRESSIONS)), *JAW_NAMES, *EYE_NAMES]
    values = np.concatenate([pairs.scores, pairs.targets], axis=1)
    turned = np.random.default_rng(2).permutation(len(columns))
    rows = [",".join([*(columns[k] for k in turned), *(["comment"] if extra else [])])]
    rows += [
        ",".join([*(repr(row[k]) for k in turned), *(["take one"] if extra else [])])
        for row in values.tolist()
    ]
    path.write_text("\n".join(rows), encoding="utf-8")


def test_the_same_pairs_come_out_of_every_source(tmp_path) -> None:
    pairs = sample(count=40)[0]
    np.savez(
        tmp_path / "a.npz",
        scores=pairs.scores,
        exp=pairs.expression,
        jaw_pose=pairs.jaw,
        eye_pose=pairs.eyes,
        names=np.array(ARKIT_NAMES),
    )
    same(read_pairs(tmp_path / "a.npz"), pairs)
    np.save(tmp_path / "data_blendshapes.npy", pairs.scores)
    np.save(tmp_path / "data_exp.npy", pairs.expression)
    np.save(tmp_path / "data_pose.npy", np.concatenate([np.ones((40, 3)), pairs.jaw], axis=1))
    np.save(tmp_path / "data_eye_pose.npy", pairs.eyes[:, None])
    same(read_pairs(tmp_path, ARKIT_NAMES), pairs)
    assert read_pairs(tmp_path).names == MEDIAPIPE_NAMES
    flame = {"expression": pairs.expression, "jaw": pairs.jaw, "eyes": pairs.eyes}
    Performance("take", np.arange(40.0), pairs.scores, flame=flame).save(tmp_path / "take.npz")
    same(read_pairs(tmp_path / "take.npz"), pairs)
    write_csv(tmp_path / "a.csv", pairs)
    table = read_pairs(tmp_path / "a.csv")
    assert set(table.names) == set(ARKIT_NAMES)
    order = [table.names.index(name) for name in ARKIT_NAMES]
    same(Pairs(ARKIT_NAMES, table.scores[:, order], table.expression, table.jaw, table.eyes), pairs)


@pytest.mark.parametrize(
    ("arrays", "word"),
    [
        ({"scores": np.zeros((5, 52))}, "expression"),
        ({"scores": np.zeros((5, 52)), "expression": np.zeros((4, 3))}, "expression"),
        ({"scores": np.zeros((5, 50)), "expression": np.zeros((5, 3))}, "scores"),
        ({"scores": np.zeros((1, 52)), "expression": np.zeros((1, 3))}, "1 pairs"),
        ({"scores": np.zeros(()), "expression": np.zeros((1, 3))}, "pairs"),
        ({"scores": np.full((5, 52), np.nan), "expression": np.zeros((5, 3))}, "finite"),
        ({"scores": np.zeros((5, 52)), "expression": np.zeros((5, 3)), "pose": np.zeros(5)}, "jaw"),
        ({"scores": np.zeros((5, 52)), "expression": np.zeros((5, 0))}, "0 expression"),
        (
            {"scores": np.zeros((5, 52)), "expression": np.zeros((5, 3)), "names": np.array(["a"] * 52)},
            "none of",
        ),
    ],
)
def test_wrong_pairs_are_one_sentence(tmp_path, arrays, word) -> None:
    np.savez(tmp_path / "p.npz", **arrays)
    with pytest.raises(SettingsError, match=word):
        read_pairs(tmp_path / "p.npz")


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("", "table"),
        ("jawOpen,exp_0\n1,2", "table"),
        ("jawOpen,exp_0\n1,2\n1", "table"),
        ("a,b\n1,2\n1,2", "columns"),
        ("jawOpen,jaw_open,exp_0\n1,2,3\n1,2,3", "two columns"),
        ("jawOpen,exp_1\n1,2\n1,2", "leaves out"),
        ("jawOpen,exp_0\n1,x\n1,2", "finite"),
    ],
)
def test_wrong_tables_are_one_sentence(tmp_path, text, word) -> None:
    (tmp_path / "p.csv").write_text(text, encoding="utf-8")
    with pytest.raises(SettingsError, match=word):
        read_pairs(tmp_path / "p.csv")


def test_the_verb_writes_a_mapping_and_its_report(tmp_path, capsys) -> None:
    pairs, matrix, _ = sample()
    arrays = {"scores": pairs.scores, "expression": pairs.expression, "jaw": pairs.jaw, "eyes": pairs.eyes}
    np.savez(tmp_path / "p.npz", **arrays)
    out = tmp_path / "m.npz"
    command = ["map", "fit", str(tmp_path / "p.npz"), "-o", str(out), "--order", "arkit", "--variant", "mine"]
    assert main(command) == 0
    mapping = Mapping.load(out)
    assert mapping.variant == "mine"
    np.testing.assert_allclose(mapping.layers[0].weight, matrix, atol=0.05)
    report = json.loads((tmp_path / "m.report.json").read_text(encoding="utf-8"))
    assert [c["name"] for c in report["coefficients"]] == list(coefficient_names(EXPRESSIONS))
    assert all(c["r2"] > 0.9 for c in report["coefficients"] if c["deviation"] > 0.3)
    assert "R2" in capsys.readouterr().out
    assert main(["map", "fit", str(tmp_path / "absent.npz"), "-o", str(out)]) == 1
