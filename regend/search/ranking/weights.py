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
    "words": 0.208,
    "meaning": 0.232,
    "all_words": 0.162,
    "all_meaning": 0.152,
    "neighbours": 0.0411,
    "file_likeness": 0.179,
    "whole_definition": 10.0,
    "named_definition": 0.122,
    "best_of_file": 0.1,
    "chunk_words": 0.1,
    "symbol_words": 0.113,
    "file_name": 0.184,
    "named_path": 4.0,
    "named_line": 2.0,
    "path_words": 0.121,
    "popular_name": 0.113,
    "main_language": 0.393,
    "source_code": 0.69,
    "unasked_test": 0.251,
    "unasked_vendor": 0.0464,
    "unasked_generated": 0.0479,
    "unasked_example": 0.0786,
    "unasked_stub": 0.054,
    "unasked_prose": 0.273,
    "unasked_data": 0.0739,
    "long_file": 0.0698,
    "words_present": 0.28,
    "words_covered": 0.254,
    "words_together": 0.149,
    "exact_phrase": 1.0,
    "verbatim_name": 0.108,
    "too_short": 0.104,
    "same_file_again": 3,
}
