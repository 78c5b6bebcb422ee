"""Write the trained model as the package ships it.

    python -m training.export NAME [NAME ...]      build/training/models/NAME.pt -> regend/embedding/model.npz

Several names are seeds of one recipe; the first is exported. Rows become int8 with a scale each, and the scale goes into
the weights, so that the encoder only adds up integers.
"""

from __future__ import annotations

import argparse
import hashlib
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from regend.embedding import static
from training.batches import bags, keyed, merged
from training.dataset import load
from training.model import WordBagModel
from training.train import MODELS

TARGET = Path(static.__file__).with_name(static.FILE)
_WEIGHT_ONE = 96
"""Weight of an average word. Larger is finer, but long texts would leave float32's exact range."""
_MAX_WEIGHT = 4_000
_SAMPLE = 20_000
"""Documents looked at for the range of the hidden layer's activations."""


def quantised(state: dict[str, torch.Tensor]) -> dict[str, npt.NDArray[Any]]:
    """Quantise: `table` int8 [words, dim], `document_weights` and `query_weights` uint16 [words]."""
    table = state["table"].double().numpy()
    scale = np.abs(table).max(axis=1) / 127.0
    scale[scale == 0.0] = 1.0
    rows = np.round(table / scale[:, None]).astype(np.int8)
    found: dict[str, npt.NDArray[Any]] = {"table": rows}
    for side in ("document", "query"):
        weights = np.exp(state[f"{side}_gain"].double().numpy()) * scale
        weights *= _WEIGHT_ONE / weights.mean()
        found[f"{side}_weights"] = np.clip(np.round(weights), 0, _MAX_WEIGHT).astype(np.uint16)
    return found


def quantised_layer(state: dict[str, torch.Tensor], vectors: npt.NDArray[np.float64]) -> dict[str, npt.NDArray[Any]]:
    """Quantise the hidden layer to integers, see `StaticEncoder`.

    Args:
        vectors: unit vectors as they come into the layer, to see how large its activations are.
    """
    into, bias, out = (state[name].double().numpy() for name in ("into.weight", "into.bias", "out.weight"))
    scale = np.abs(into).max(axis=1) / 127.0
    rows = np.round(into / scale[:, None])
    offset = np.round(bias / scale * static.INPUT_ONE)
    active = np.maximum(np.rint(vectors * static.INPUT_ONE) @ rows.T + offset, 0.0)
    high = np.maximum(np.quantile(active, 0.9995, axis=0), 1.0)
    shift = np.maximum(np.ceil(np.log2(high / static.MAX_ACTIVATION)), 0).astype(np.int64)
    worth = out * (scale * 2.0**shift / static.INPUT_ONE)[None, :]
    step = np.abs(worth).max() / 127.0
    return {
        "into": rows.T.astype(np.int8),
        "bias": offset.astype(np.int32),
        "shift": shift.astype(np.int8),
        "out": np.round(worth / step).T.astype(np.int8),
        "residual": np.array(round(1.0 / step), np.int64),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("name")
    parser.add_argument("--model-id", default="regend-static-256-v2")
    parser.add_argument("--to", type=Path, default=TARGET)
    options = parser.parse_args()
    saved = torch.load(MODELS / f"{options.name}.pt")
    state, data = saved["state"], load()
    model = WordBagModel.of(saved)
    sample = np.flatnonzero(data.split == 0)[:: max(1, int((data.split == 0).sum()) // _SAMPLE)]
    keys, counts = merged([keyed(data.fields["body"], sample, np.arange(len(sample)))])
    arrays = quantised(state) | quantised_layer(state, model.pooled(bags(keys, counts, len(sample))))
    with options.to.open("wb") as file:
        np.savez(file, model_id=np.array(options.model_id), keys=data.vocabulary.keys, **arrays)
    raw = options.to.read_bytes()
    print(f"{options.to.name}: {len(raw) / 1e6:.2f} MB, sha256 {hashlib.sha256(raw).hexdigest()}")


if __name__ == "__main__":
    main()
