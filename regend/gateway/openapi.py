"""The OpenAPI document of the gateway, made from the declarations of the socket's messages (`rpc/schema.py`)."""

from __future__ import annotations

import re
from dataclasses import Field, fields
from functools import cache
from typing import Any

import msgspec

from regend import __version__
from regend.gateway.answers import STATUS_OF
from regend.gateway.api import ASKED, PREFIX, in_url
from regend.rpc.operation_messages import TOPICS
from regend.rpc.schema import ERRORS, METHODS, NOTIFICATIONS, Method

PATH = "/api/openapi.json"
_REFERENCE = "#/components/schemas/{name}"
_EVERYWHERE = (
    "invalid_params",
    "not_json",
    "unauthorized",
    "wrong_host",
    "wrong_origin",
    "too_large",
    "internal_error",
)
_AWAY = ("daemon_not_running", "connection_lost", "stopping", "timeout", "embedding_error", "store_error")
_LARGEST = 2**63 - 1
"""Largest number that MessagePack and every client can hold."""
_OWN_ERRORS = {
    "not_json": "the body is not valid JSON",
    "not_json_type": "the body has another content type than `application/json`",
    "too_large": "the body, or the request that the daemon would get, is too large",
    "unauthorized": "the token is missing or wrong",
    "wrong_host": "the request names another host than this machine",
    "wrong_origin": "a page of another origin has sent the request",
    "not_found": "there is no such path",
    "method_not_allowed": "the path does not take this HTTP method",
    "daemon_not_running": "no daemon listens on the socket",
    "connection_lost": "the daemon closed the connection",
    "busy": "too many clients read events",
    "timeout": "the answer, or the body of the request, did not come in time",
}  # fmt: skip


@cache
def document() -> dict[str, Any]:
    """Return the document; it is the same for the whole life of the process."""
    messages = [cls for name in ASKED for cls in (METHODS[name].request, METHODS[name].response)]
    types = [*messages, *NOTIFICATIONS.values()]
    _, schemas = msgspec.json.schema_components(types, ref_template=_REFERENCE)
    classes = {cls.__name__: cls for cls in _all_types(types)}
    for name, schema in schemas.items():
        _described(schema, classes[name])
    for name in ASKED:
        schemas[METHODS[name].request.__name__]["additionalProperties"] = False
    schemas["Error"] = _error_schema()
    paths: dict[str, Any] = {f"{PREFIX}{name}": _endpoint(METHODS[name], schemas) for name in ASKED}
    paths |= _others()
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "regend", "version": __version__,
            "description": "Search over the code on this machine. The endpoints are methods of the daemon's socket.",
        },
        "security": [{"token": []}],
        "paths": paths,
        "components": {
            "schemas": schemas,
            "securitySchemes": {
                "token": {"type": "http", "scheme": "bearer", "description": "`regenctl http` prints it in its link."}
            },
        },
    }  # fmt: skip


def _all_types(types: list[Any]) -> list[Any]:
    """Return dataclasses with all that occur in their fields."""
    from typing import get_args, get_type_hints

    found: list[Any] = []
    todo = list(types)
    while todo:
        hint = todo.pop()
        if hasattr(hint, "__dataclass_fields__"):
            if hint not in found:
                found.append(hint)
                todo += get_type_hints(hint).values()
        else:
            todo += get_args(hint)
    return found


def _described(schema: dict[str, Any], cls: Any) -> None:
    """Add to a schema what the declarations say besides the types: meanings, ranges and words."""
    for item in fields(cls):
        _restrict(schema["properties"][item.name], item)


def _restrict(property_: dict[str, Any], item: Field[Any]) -> None:
    declared = item.metadata
    property_["description"] = declared["doc"]
    high = declared["high"]
    bounds = {"minimum": declared["low"], "exclusiveMinimum": declared["above"], "maximum": high or _LARGEST}
    for kind in [property_, *property_.get("anyOf", ())]:
        if kind.get("type") in ("integer", "number"):
            kind |= {name: bound for name, bound in bounds.items() if bound is not None}
    if declared["choices"]:
        (property_["items"] if property_.get("type") == "array" else property_)["enum"] = list(declared["choices"])


def _endpoint(method: Method, schemas: dict[str, Any]) -> dict[str, Any]:
    request, known = schemas[method.request.__name__], in_url(method)
    answers = _answers(method)
    common = {"tags": ["index"], "summary": method.doc}
    parameters = [
        {
            "name": name, "in": "query", "required": name in request.get("required", ()),
            "description": request["properties"][name]["description"],
            "schema": _url_schema(request["properties"][name]),
        }
        for name in known
    ]  # fmt: skip
    body = {
        "required": bool(request.get("required")),
        "content": {"application/json": {"schema": {"$ref": _REFERENCE.format(name=method.request.__name__)}}},
    }
    of_body = {**answers, "415": _refusal("not_json_type")}
    return {
        "get": {**common, "operationId": f"{method.name}ByUrl", "parameters": parameters, "responses": answers},
        "post": {**common, "operationId": method.name, "requestBody": body, "responses": of_body},
    }


def _url_schema(property_: dict[str, Any]) -> dict[str, Any]:
    """Return the schema of a parameter in a URL, which cannot be null; it is left out instead."""
    kept = {name: value for name, value in property_.items() if name not in ("description", "anyOf", "default")}
    first: dict[str, Any] = next(iter(property_.get("anyOf", ())), {})
    return {**first, **kept}


def _answers(method: Method) -> dict[str, Any]:
    found = {"200": _content("the answer", {"$ref": _REFERENCE.format(name=method.response.__name__)})}
    by_status: dict[int, list[str]] = {}
    for code in (*_EVERYWHERE, *_AWAY, *method.errors):
        by_status.setdefault(STATUS_OF.get(code, 500), []).append(code)
    return found | {str(status): _refusal(*codes) for status, codes in sorted(by_status.items())}


def _refusal(*codes: str) -> dict[str, Any]:
    said = "; ".join(f"`{code}`: {_OWN_ERRORS.get(code) or ERRORS[code]}" for code in dict.fromkeys(codes))
    return _content(re.sub(r"any method: ", "", said), {"$ref": _REFERENCE.format(name="Error")})


def _content(description: str, schema: dict[str, Any], kind: str = "application/json") -> dict[str, Any]:
    return {"description": description, "content": {kind: {"schema": schema}}}


def _error_schema() -> dict[str, Any]:
    inner = {
        "type": "object", "required": ["code", "message"],
        "properties": {
            "code": {"type": "string", "description": "a stable word"},
            "message": {"type": "string", "description": "a sentence for the user"},
            "data": {"description": "more about the error, such as the `field` with the mistake"},
        },
    }  # fmt: skip
    return {"type": "object", "required": ["error"], "properties": {"error": inner}}


def _others() -> dict[str, Any]:
    """Return the endpoints that are no methods of the socket."""
    text, guarded = (
        {"type": "string"},
        {str(STATUS_OF[code]): _refusal(code) for code in ("unauthorized", "wrong_host")},
    )
    topics = {
        "name": "topics", "in": "query", "required": False, "description": "topics of the events; all if left out",
        "schema": {"type": "array", "items": {"type": "string", "enum": list(TOPICS)}},
    }  # fmt: skip
    ready = {"200": _content("the daemon answers", text, "text/plain")}
    ready |= {"503": _content("the daemon does not answer", text, "text/plain"), "403": _refusal("wrong_host")}
    alive = {"200": _content("the gateway runs", text, "text/plain"), "403": _refusal("wrong_host")}
    events = {"200": _content("server-sent events", text, "text/event-stream"), "400": _refusal("invalid_params")}
    events |= {**guarded, "503": _refusal("busy")}
    return {
        "/api/events": {"get": {
            "tags": ["index"], "operationId": "events", "summary": "Tell what happens, as server-sent events.",
            "parameters": [topics], "responses": events,
        }},
        "/metrics": {"get": {
            "tags": ["probes"], "operationId": "metrics", "summary": "Tell the metrics, for Prometheus.",
            "responses": {"200": _content("the metrics", text, "text/plain"), **guarded},
        }},
        "/healthz": {"get": _probe("isAlive", "Say that the gateway runs.", alive)},
        "/readyz": {"get": _probe("isReady", "Say whether the daemon answers.", ready)},
    }  # fmt: skip


def _probe(name: str, doc: str, responses: dict[str, Any]) -> dict[str, Any]:
    return {"tags": ["probes"], "operationId": name, "summary": doc, "security": [], "responses": responses}
