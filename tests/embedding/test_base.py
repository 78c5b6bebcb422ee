"""Vectors are checked and L2-normalised in one place; nothing that is no direction passes."""

from __future__ import annotations

import numpy as np
import pytest

from regend.embedding.base import checked
from regend.errors import ProviderRejectedError


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_rows_become_unit_float32(dtype: type) -> None:
    found = checked(np.array([[3.0, 4.0], [0.0, -2.0]], dtype), 2, 2, "X")
    assert found.dtype == np.float32 and found.tolist() == [[np.float32(0.6), np.float32(0.8)], [0.0, -1.0]]
    assert checked(np.zeros((0, 2), dtype), 0, 2, "X").shape == (0, 2)


@pytest.mark.parametrize(
    ("vectors", "kind", "message"),
    [
        (np.ones((1, 3), np.float32), "dimension", "X returned vectors of length 3, not 2"),
        (np.ones((2, 2), np.float32), "count", "X returned an array of shape"),
        (np.ones((1, 2), np.int64), "count", "type int64"),
        ("text", "count", "X returned an array of shape"),
        (np.array([[np.nan, 1.0]], np.float32), "not_finite", "not finite"),
        (np.array([[np.inf, 1.0]], np.float32), "not_finite", "not finite"),
        (np.array([[1e30, 1e30]], np.float32), "not_finite", "not finite"),
        (np.array([[1e300, 1.0]], np.float64), "not_finite", "not finite"),
        (np.zeros((1, 2), np.float32), "zero", "zero vector"),
    ],
)
def test_what_is_refused(vectors: object, kind: str, message: str) -> None:
    with pytest.raises(ProviderRejectedError, match=message) as refusal:
        checked(vectors, 1, 2, "X")
    assert refusal.value.kind == kind
