# SPDX-License-Identifier: GPL-3.0-or-later
"""Small multilayer perceptrons from files: read safely, evaluated in numpy.

The format is that of torch state dicts with one `NAME.weight` (outputs, inputs) and `NAME.bias` (outputs,)
per layer in order, ReLU between them (`fc1`, `fc2`, `fc3` in PeizhiYan/mediapipe-blendshapes-to-flame). Two
kinds are known:

- from 52 scores to E, E + 3 (jaw) or E + 9 (jaw and eyes) numbers: a `Mapping`;
- the `mlp.pth` that project publishes, which goes the other way round: 53 inputs (50 FLAME expression
  coefficients and the jaw) to 10 numbers whose softmax are blending weights for the author's splat avatars.
"""

from __future__ import annotations

import re
from itertools import pairwise
from pathlib import Path

import numpy as np

from ...errors import SettingsError, WorkerError
from ...files import read_npz
from .mapping import MAX_EXPRESSIONS, MAX_LAYERS, FlameMotion, Layer, Mapping, checked_layer
from .names import MEDIAPIPE_NAMES, POSE_COUNT
from .published import SOURCE, VARIANT

Array = np.ndarray

BLENDING_INPUTS = (50, 3)
"""Expression and jaw numbers that the published network takes."""
_LARGEST_FILE = 64 * 2**20
_TORCH = (".pth", ".pt", ".ckpt")


def read_layers(path: Path) -> tuple[Layer, ...]:
    """The layers of a .pth/.pt state dict (torch, no code is run) or of an .npz with the same names.

    SettingsError for whatever is not such a network, WorkerError where torch is needed and missing.
    """
    path = Path(path)
    arrays = (
        _torch_arrays(path) if path.suffix.lower() in _TORCH else read_npz(path, SettingsError, _LARGEST_FILE)
    )
    stems = sorted({k.removesuffix(".weight") for k in arrays if k.endswith(".weight")}, key=_in_order)
    if not 1 <= len(stems) <= MAX_LAYERS or len(arrays) != 2 * len(stems):
        raise SettingsError(f"{path} is not a plain network of layers with a weight and a bias each.")
    try:
        layers = tuple(checked_layer(arrays[f"{s}.weight"].T, arrays[f"{s}.bias"], s) for s in stems)
        for before, after in pairwise(layers):
            if len(after.weight) != len(before.bias):
                raise ValueError(f"a layer takes {len(after.weight)} inputs and gets {len(before.bias)}")
    except (KeyError, ValueError) as problem:
        raise SettingsError(f"{path} is not a usable network: {problem}.") from problem
    return layers


def read_network(path: Path, expression_count: int, variant: str = VARIANT) -> Mapping:
    """A network from 52 scores in mediapipe's order as a mapping; the jaw and eyes it lacks are zero.

    SettingsError where it takes or gives another number of values.
    """
    layers = read_layers(path)
    inputs, outputs = len(layers[0].weight), len(layers[-1].bias)
    if inputs != len(MEDIAPIPE_NAMES):
        raise SettingsError(
            f"{path} takes {inputs} numbers; a mapping takes the 52 scores.",
            "The published mlp.pth takes FLAME's expression and jaw: see `blending_weights`.",
        )
    missing = expression_count + POSE_COUNT - outputs
    if not 1 <= expression_count <= MAX_EXPRESSIONS or missing not in (0, 6, POSE_COUNT):
        raise SettingsError(
            f"{path} gives {outputs} numbers; {expression_count} expression coefficients with or without "
            "jaw (3) and eyes (6) are expected."
        )
    last = layers[-1]
    widened = Layer(np.pad(last.weight, ((0, 0), (0, missing))), np.pad(last.bias, (0, missing)))
    provenance = {"source": SOURCE, "method": "network", "file": Path(path).name}
    return Mapping(MEDIAPIPE_NAMES, (*layers[:-1], widened), variant, provenance)


def blending_weights(layers: tuple[Layer, ...], motion: FlameMotion) -> Array:
    """(N, K) float64 of a network that takes 50 expression coefficients and the jaw; rows sum to 1.

    SettingsError where the network takes another number or the motion has fewer coefficients.
    """
    count, jaw = BLENDING_INPUTS
    if len(layers[0].weight) != count + jaw or motion.expression.shape[1] < count:
        raise SettingsError(
            f"This network needs {len(layers[0].weight) - jaw} expression coefficients and a jaw."
        )
    values = np.concatenate([motion.expression[:, :count], motion.jaw], axis=1).astype(np.float64)
    for layer in layers[:-1]:
        values = np.maximum(values @ layer.weight + layer.bias, 0.0)
    values = values @ layers[-1].weight + layers[-1].bias
    grown = np.exp(values - values.max(axis=1, keepdims=True))
    return grown / grown.sum(axis=1, keepdims=True)


def _in_order(stem: str) -> tuple[int, str]:
    """fc2 before fc10."""
    digits = re.findall(r"\d{1,6}", stem)
    return (int(digits[-1]) if digits else 0, stem)


def _torch_arrays(path: Path) -> dict[str, Array]:
    """A state dict as arrays; `weights_only` keeps a hostile pickle from running anything."""
    try:
        import torch
    except ImportError as problem:
        raise WorkerError("The worker's environment has no torch.", "Run build.py setup.") from problem
    try:
        if path.stat().st_size > _LARGEST_FILE:
            raise SettingsError(
                f"{path.name} is larger than {_LARGEST_FILE // 2**20} MB and no small network."
            )
        state = torch.load(path, map_location="cpu", weights_only=True)
    except FileNotFoundError:
        raise SettingsError(f"{path.name} is missing in {path.parent}.") from None
    except SettingsError:
        raise
    except Exception as problem:  # torch raises whatever its unpickler meets in foreign bytes
        raise SettingsError(f"{path} is not a torch file of plain weights.") from problem
    if not isinstance(state, dict) or not all(isinstance(v, torch.Tensor) for v in state.values()):
        raise SettingsError(f"{path} does not hold the weights of a network.")
    return {str(name): tensor.to(torch.float64).numpy() for name, tensor in state.items()}
