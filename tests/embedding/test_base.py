"""Vectors are checked and brought to unit length by one function, whoever made them."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest

from regend.embedding.base import unit_vectors
from regend.errors import ProviderRejectedError


@pytest.mark.parametrize("kind", [np.float16, np.float32, np.float64])
def test_rows_of_unit_length(kind: type[np.floating]) -> None:
    vectors = unit_vectors(np.array([[3.0, 4.0], [0.0, -2.0]], kind), 2, 2, "The model")
    assert vectors.dtype == np.float32
    np.testing.assert_allclose(vectors, [[0.6, 0.8], [0.0, -1.0]], rtol=1e-6)


def test_no_rows() -> None:
    assert unit_vectors(np.zeros((0, 7), np.float32), 0, 7, "The model").shape == (0, 7)


def test_what_was_given_is_not_changed() -> None:
    given = np.array([[3.0, 4.0]], np.float32)
    given.flags.writeable = False
    unit_vectors(given, 1, 2, "The model")
    assert given.tolist() == [[3.0, 4.0]]


@pytest.mark.parametrize(
    ("value", "kind"),
    [
        (np.ones((1, 3), np.float32), "dimension"),
        (np.ones((2, 2), np.float32), "count"),
        (np.ones(2, np.float32), "count"),
        (np.ones((1, 2), np.int64), "count"),
        ([["a", "b"]], "count"),
        (None, "count"),
        (np.array([[1.0, np.nan]]), "not_finite"),
        (np.array([[1.0, np.inf]]), "not_finite"),
        (np.array([[1.0, 1e300]]), "not_finite"),
        (np.array([[1e30, 1e30]], np.float32), "not_finite"),  # Finite, but its length is not.
        (np.zeros((1, 2), np.float32), "zero"),
    ],
)
def test_refused(value: npt.ArrayLike, kind: str) -> None:
    with pytest.raises(ProviderRejectedError, match="The model returned") as caught:
        unit_vectors(value, 1, 2, "The model")
    assert caught.value.kind == kind
