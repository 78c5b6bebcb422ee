"""The weights of the ranking's features: written by `python -m benchmarks fit --write`, not by hand.

Names are those of `features.FEATURES`. How they were found, and what each feature is worth, is in docs/search.md.
"""

from __future__ import annotations

from collections.abc import Mapping

MODEL_STRENGTH = 0.5
"""Worth of the built-in model beside BM25 on questions in words, see `fusion.vector_weight`."""

WEIGHTS: Mapping[str, float] = {
    "rare_word": 220.0,
    "words": 0.194,
    "meaning": 0.409,
    "all_words": 0.174,
    "file_likeness": 0.2,
    "history": 0.2,
    "neighbours": 0.0936,
    "whole_definition": 27.0,
    "best_of_file": 0.07,
    "chunk_meaning": 0.14,
    "chunk_words": 0.1,
    "chunk_symbol": 0.08,
    "chunk_together": 0.1,
    "symbol_words": 0.126,
    "file_name": 0.216,
    "named_path": 4.0,
    "named_line": 2.0,
    "main_language": 0.57,
    "source_code": 0.598,
    "unasked_test": 0.384,
    "unasked_vendor": 0.05,
    "unasked_generated": 0.05,
    "unasked_example": 0.124,
    "unasked_stub": 0.0138,
    "unasked_prose": 0.701,
    "unasked_data": 0.0772,
    "unasked_migration": 0.4,
    "asked_data": 1.2,
    "asked_document": 2.2,
    "asked_test": 0.7,
    "asked_use": 1.0,
    "asked_topic": 3.0,
    "unasked_translation": 0.9,
    "unasked_declaration": 0.2,
    "words_present": 0.256,
    "words_covered": 0.244,
    "words_together": 0.202,
    "exact_phrase": 1.0,
    "verbatim_name": 0.0696,
    "too_short": 0.0479,
    "pairs": 1.0,
    "same_file_again": 1.2,
    "worse_in_file": 2.0,
}
