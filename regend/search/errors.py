"""Errors of the search itself: the request is well formed, but what it asks for makes no sense."""

from __future__ import annotations

from regend.errors import FilterError, QueryError, SearchError

__all__ = ["FilterError", "QueryError", "SearchError"]
