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
    "words": 0.196,
    "meaning": 0.271,
    "all_words": 0.0895,
    "all_meaning": 0.0655,
    "neighbours": 0.0616,
    "file_likeness": 0.167,
    "whole_definition": 10.0,
    "named_definition": 0.0842,
    "best_of_file": 0.07,
    "chunk_meaning": 0.14,
    "chunk_words": 0.1,
    "chunk_symbol": 0.08,
    "symbol_words": 0.103,
    "file_name": 0.145,
    "named_path": 4.0,
    "named_line": 2.0,
    "path_words": 0.132,
    "popular_name": 0.0855,
    "main_language": 0.539,
    "source_code": 0.569,
    "unasked_test": 0.358,
    "unasked_vendor": 0.05,
    "unasked_generated": 0.05,
    "unasked_example": 0.125,
    "unasked_stub": 0.0111,
    "unasked_prose": 0.64,
    "unasked_data": 0.0726,
    "words_present": 0.236,
    "words_covered": 0.241,
    "words_together": 0.197,
    "exact_phrase": 1.0,
    "verbatim_name": 0.0585,
    "too_short": 0.0479,
    "same_file_again": 2.0,
}
