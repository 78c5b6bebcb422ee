"""Errors of the search itself: the request is well formed, but what it asks for makes no sense.

::

    RegendError
    └── SearchError
        ├── QueryError     nothing in the query can be searched for
        └── FilterError    a path glob or limit cannot be used
"""

from __future__ import annotations

from regend.errors import RegendError


class SearchError(RegendError):
    code = "search_error"


class QueryError(SearchError):
    code = "query_error"


class FilterError(SearchError):
    code = "filter_error"
