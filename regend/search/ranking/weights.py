"""The weights of the ranking's features: written by `python -m benchmarks fit --write`, not by hand.

Names are those of `features.FEATURES`. How they were found, and what each feature is worth, is in docs/search.md.
"""

from __future__ import annotations

from collections.abc import Mapping

MODEL_STRENGTH = 0.5
"""Worth of the built-in model beside BM25 on questions in words, see `fusion.vector_weight`; a sweep of
`python -m benchmarks fit --sweep` says what others would give."""

WEIGHTS: Mapping[str, float] = {
    "rare_word": 100.0,
    "blend": 0.197,
    "file_evidence": 0.255,
    "neighbours": 0.393,
    "file_likeness": 0.463,
    "whole_definition": 10.0,
    "named_definition": 0.161,
    "best_of_file": 0.1,
    "symbol_words": 0.05,
    "file_name": 0.42,
    "named_path": 4.0,
    "named_line": 2.0,
    "unasked_role": 0.984,
    "long_file": 0.366,
    "words_present": 0.182,
    "exact_phrase": 1.0,
    "verbatim_name": 0.05,
    "too_short": 0.0894,
    "same_file_again": 2.0,
}
