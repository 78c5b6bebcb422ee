"""Which questions ask for the handler of a request, and which paths of routers take it."""

from __future__ import annotations

import time

from regend.search.query.asked.routes import Route, asked_route
from regend.search.query.parse import parse_query

ASKED = {
    "GET /items/42": Route("GET", ("items", "")), "/items/42": Route("", ("items", "")),
    "POST /items": Route("POST", ("items",)), "DELETE /a/items/7/": Route("DELETE", ("a", "items", "")),
    "https://x.org/v1/items/42?x=1#y": Route("", ("v1", "items", "")),
    "GET /items/3fa85f64-5717-4562-b3fc-2c963f66afa6": Route("GET", ("items", "")),
    "GET /items/:id/users": Route("GET", ("items", "", "users")), "/items/{id}": Route("", ("items", "")),
    "where is GET /items/42 handled?": Route("GET", ("items", "")), "404 on GET /items/42": Route("GET", ("items", "")),
    '::1 - - [02/Jan/2024:10:00:00 +0000] "GET /items/42 HTTP/1.1" 500 7': Route("GET", ("items", "")),
    "PUT /items/<int:id>": Route("PUT", ("items", "")),
    "handler for PATCH /items/65a1b2c3d4e5f60718293a4b": Route("PATCH", ("items", "")),
}  # fmt: skip
OTHERS = (
    "/usr/local/bin", "src/a.py", "GET", "get items", "GET /", "/42", "GET /42", "fix GET /items/42 for guests",
    "a/b",
    "and/or", "/items/list", "https://x.org", "items/42", "https://x.org/v2?limit=10",
    "GET items", "/src/app/retry.py:42", "/re[a-z]+x/",
)  # fmt: skip
HELD = (
    "@app.get('/items/{id}')", 'path("items/<int:pk>/", view)', "r'^items/(?P<pk>\\d+)/$'", "get('/items/:id', f)",
    '[HttpGet("items/{id:int}")]', '@GetMapping("/items/{id}")', '#[get("/items/<id>")]', "  /items/{id}:",
    "`/items/${id}`",
    'mux.HandleFunc("GET /items/{id}", f)', "app.get('/items/:id(\\\\d+)', f)", "get '/items/*' do",
    "/api/v1/items/[id]",
)  # fmt: skip
UNHELD = (
    '"/items"',
    '"/items/new"',
    '"/items/{id}/users"',
    '"/my-items/{id}"',
    '"/items/42"',
    "items = {id}",
    "items/x",
)


def test_a_request_is_read_from_all_ways_to_name_it() -> None:
    wrong = {text: found for text, route in ASKED.items() if (found := asked_route(parse_query(text))) != route}
    assert wrong == {}
    assert [text for text in OTHERS if asked_route(parse_query(text)) is not None] == []


def test_the_paths_of_routers_take_a_request() -> None:
    route = asked_route(parse_query("GET /v2/items/42"))
    assert route is not None
    shapes = [shape for _, shape in route.shapes()]
    assert [text for text in HELD if not any(shape.search(text) for shape in shapes)] == []
    assert [text for text in UNHELD if any(shape.search(text) for shape in shapes)] == []


def test_a_name_in_a_request_may_be_variable_in_code() -> None:
    route = asked_route(parse_query("GET /users/alice/posts"))
    assert route is not None
    assert any(shape.search('"/users/{name}/posts"') for _, shape in route.shapes())
    assert not any(shape.search('"/posts/{id}"') for _, shape in route.shapes())


def test_a_long_query_is_read_quickly() -> None:
    began_at = time.process_time()
    for text in ("GET " + "/a" * 900, "the " * 400 + "GET /a", "GET /" + "{" * 1_500, "404 " * 400, "/1" * 900):
        route = asked_route(parse_query(text))
        for _, shape in route.shapes() if route else ():
            shape.search("/a" * 4_000)
    assert time.process_time() - began_at < 1.0
