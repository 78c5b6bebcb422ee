"""Train the model: contrastive, questions against the code of the whole batch.

    python -m training.train --name NAME [--steps N] [--seed N] [--set key=value ...]

Loss: InfoNCE (van den Oord et al., 2018) with in-batch negatives. An exponential average of the weights is kept, and
the one with the best figure on the development split is written to build/training/models/NAME.pt.
"""

from __future__ import annotations

import argparse
import json
import math
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, fields, replace
from typing import Any

import numpy as np
import torch
from torch.nn import functional

from training.batches import Sampler, Sampling
from training.dataset import BUCKETS, Data, load
from training.evaluate import Judge
from training.mine import BUILD
from training.model import WordBagModel

MODELS = BUILD / "models"


@dataclass(frozen=True, slots=True)
class Recipe:
    """How to train.

    Attributes:
        rate: Adam's highest step size, after warm-up; it falls to nothing as a half cosine.
        decay: weight decay of the table.
        average: of the weights' exponential average, per step.
        matryoshka: also train the first this many dimensions; 0 for not.
    """

    steps: int = 2400
    seed: int = 1
    dim: int = 256
    rate: float = 4e-3
    warm_up: int = 50
    temperature: float = 0.05
    decay: float = 0.0
    average: float = 0.995
    query_table: bool = False
    hidden: int = 512
    query_map: bool = False
    matryoshka: int = 0
    both_ways: float = 0.3
    threads: int = 2


def train(
    data: Data, recipe: Recipe, sampling: Sampling, judge: Judge | None, log: Callable[[str], None] = print
) -> WordBagModel:
    """Train one model; returns the averaged weights that did best on the development split."""
    torch.manual_seed(recipe.seed)
    torch.set_num_threads(recipe.threads)
    model = WordBagModel(len(data.vocabulary), recipe.dim, recipe.query_table, recipe.hidden, recipe.query_map)
    averaged = WordBagModel(len(data.vocabulary), recipe.dim, recipe.query_table, recipe.hidden, recipe.query_map)
    averaged.load_state_dict(model.state_dict())
    optimizer = torch.optim.Adam(model.parameters(), lr=recipe.rate, betas=(0.9, 0.98), fused=True)
    sampler = Sampler(data, sampling, recipe.seed)
    best, best_state = -1.0, averaged.state_dict()
    losses: list[float] = []
    began = time.monotonic()
    for step in range(1, recipe.steps + 1):
        share = min(1.0, step / recipe.warm_up) * 0.5 * (1 + math.cos(math.pi * step / recipe.steps))
        for group in optimizer.param_groups:
            group["lr"] = recipe.rate * share
        questions, documents, alike = sampler.batch()
        asked, told = model.queries(questions), model.documents(documents)
        loss = _loss(asked, told, torch.from_numpy(alike), recipe)
        if recipe.matryoshka:
            cut = recipe.matryoshka
            loss = loss + _loss(
                functional.normalize(asked[:, :cut]),
                functional.normalize(told[:, :cut]),
                torch.from_numpy(alike),
                recipe,
            )
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()
        if recipe.decay:
            with torch.no_grad():
                model.table.mul_(1.0 - recipe.decay * recipe.rate * share)
        losses.append(float(loss.detach()))
        if step % 5 == 0:
            _average(averaged, model, min(recipe.average, (step / 5) / (step / 5 + 10)) ** 5)
        if step % max(1, recipe.steps // 6) == 0 or step == recipe.steps:
            figures = judge.figures(averaged) if judge is not None else {}
            score = figures.get("dev", 0.0)
            log(
                f"step {step} loss {np.mean(losses[-100:]):.3f} "
                + " ".join(f"{name} {value:.4f}" for name, value in figures.items())
                + f" ({time.monotonic() - began:.0f} s)"
            )
            if score >= best:
                best, best_state = score, {name: value.clone() for name, value in averaged.state_dict().items()}
    averaged.load_state_dict(best_state)
    return averaged


def _loss(asked: torch.Tensor, told: torch.Tensor, alike: torch.Tensor, recipe: Recipe) -> torch.Tensor:
    scores = (asked @ told.T / recipe.temperature).masked_fill(alike, -1e4)
    wanted = torch.arange(len(scores))
    forth = functional.cross_entropy(scores, wanted)
    return forth if not recipe.both_ways else forth + recipe.both_ways * functional.cross_entropy(scores.T, wanted)


@torch.no_grad()
def _average(averaged: WordBagModel, model: WordBagModel, keep: float) -> None:
    for mean, now in zip(averaged.parameters(), model.parameters(), strict=True):
        mean.lerp_(now, 1.0 - keep)


def changed(instance: Any, settings: list[str]) -> Any:
    """Change `instance` by each `key=value` of `settings` whose key it has."""
    values: dict[str, Any] = {}
    for setting in settings:
        key, _, text = setting.partition("=")
        if key in {field.name for field in fields(instance)}:
            values[key] = json.loads(text)
            if isinstance(values[key], list):
                values[key] = tuple(values[key])
    return replace(instance, **values)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--name", required=True)
    parser.add_argument(
        "--set", nargs="*", default=[], metavar="KEY=VALUE", help="of Recipe or Sampling, value as JSON"
    )
    options = parser.parse_args()
    recipe, sampling = changed(Recipe(), options.set), changed(Sampling(), options.set)
    data = load()
    model = train(data, recipe, sampling, Judge(data), lambda line: print(line, flush=True))
    MODELS.mkdir(parents=True, exist_ok=True)
    settings = {"recipe": asdict(recipe), "sampling": asdict(sampling), "words": len(data.vocabulary) - BUCKETS}
    torch.save({"state": model.state_dict(), "settings": settings}, MODELS / f"{options.name}.pt")


if __name__ == "__main__":
    main()
