"""OpenAPI 3.1: the description of ``/v1``, made of the operations themselves. Must never know how they are served."""

import re
from collections.abc import Iterable
from typing import Any

from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from headworks.admin.answers import Me
from headworks.admin.asked import Secret
from headworks.admin.operations import Operation
from headworks.admin.refusal import MEDIA_TYPE

_PROBLEM: dict[str, Any] = {
    "type": "object",
    "required": ["type", "title", "status", "code", "detail"],
    "properties": {
        "type": {"type": "string"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "code": {"type": "string", "description": "A word for programs."},
        "detail": {"type": "string", "description": "A sentence for people."},
        "problems": {"type": "array", "items": {"type": "object"}, "description": "Everything that is wrong."},
    },
}
_ALWAYS = {
    400: "The query or the head cannot be understood.",
    401: "A token is needed, or there is no such token.",
    403: "The role is not enough, or a page of another site asks.",
    421: "Nobody here has the name that was asked for.",
    429: "Too many wrong tokens.",
    500: "A mistake in Headworks.",
    503: "The proxy does not run, or that took too long.",
}
_BODIES = {
    408: "The body did not come in time.",
    413: "The body is too large.",
    415: "The body is not application/json.",
    422: "The body cannot be understood, or what it says cannot be done.",
}
_SOMETIMES = {
    404: "There is no such thing.",
    405: "There is no such method here.",
    409: "Not in this state, or what it asks for cannot be had.",
    412: "It is another one by now.",
    428: "If-Match is needed.",
}
_AT = "#/components/schemas/{model}"


def description(operations: Iterable[Operation], version: str) -> dict[str, Any]:
    """Return the description, as JSON has it; ``version`` is that of Headworks."""
    made = list(operations)
    answers, schemas = _schemas(made)
    paths: dict[str, dict[str, Any]] = {}
    for one in made:
        path = "/v1" + one.path.replace(":path}", "}")
        paths.setdefault(path, {})[one.method.lower()] = _operation(one, answers)
    paths |= _others(answers)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Headworks",
            "version": version,
            "description": "A running proxy, asked and told. Durations are in seconds, or milliseconds in names with "
            "`_ms`; times are seconds since 1970.",
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "servers": [{"url": "/"}],
        "security": [{"token": []}],
        "paths": paths,
        "components": {
            "schemas": {**schemas, "Problem": _PROBLEM},
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}},
        },
    }


def _schemas(made: list[Operation]) -> tuple[dict[Any, Any], dict[str, Any]]:
    """Return the schema of every answer and body, and those that they refer to."""
    from pydantic import TypeAdapter

    bodies: list[type[BaseModel]] = list(dict.fromkeys([*(one.body for one in made if one.body is not None), Secret]))
    found, whole = models_json_schema([(one, "validation") for one in bodies], ref_template=_AT)
    kinds = list(dict.fromkeys([*(one.answer for one in made if one.answer is not None), Me]))
    keyed = [(str(number), "serialization", TypeAdapter(kind)) for number, kind in enumerate(kinds)]
    shapes, others = TypeAdapter.json_schemas(keyed, ref_template=_AT)  # type: ignore[arg-type]
    answers: dict[Any, Any] = {kind: shapes[str(number), "serialization"] for number, kind in enumerate(kinds)}
    answers |= {kind: found[kind, "validation"] for kind in bodies}
    schemas = {**whole.get("$defs", {}), **others.get("$defs", {})}
    return _fitted(answers), _fitted(schemas)


def _fitted(schema: Any) -> Any:
    """Say of bounds of histograms that the last one, which is infinite, is null in JSON."""
    match schema:
        case {"prefixItems": [{"type": "number"} as bound, *others]}:
            rest = {key: one for key, one in schema.items() if key != "prefixItems"}
            return {**rest, "prefixItems": [{**bound, "type": ["number", "null"]}, *others]}
        case dict():
            return {key: _fitted(one) for key, one in schema.items()}
        case list():
            return [_fitted(one) for one in schema]
        case _:
            return schema


def _operation(one: Operation, answers: dict[Any, Any]) -> dict[str, Any]:
    good: dict[str, Any] = {"description": "Done." if one.answer is None else "The answer."}
    if one.answer is not None:
        good["content"] = {"application/json": {"schema": answers[one.answer]}}
    if one.tag is not None:
        good["headers"] = {"ETag": {"schema": {"type": "string"}, "description": "Changes with the answer."}}
    described: dict[str, Any] = {
        "operationId": one.name,
        "summary": one.says,
        "parameters": [*_parts(one), *_query(one)],
        "responses": {str(one.status): good, **_refusals(one)},
    }
    if one.name == "put_config":
        match = {"name": "If-Match", "in": "header", "required": True, "schema": {"type": "string"}}
        described["parameters"].append({**match, "description": "The ETag of what is to be replaced, or *."})
    if one.body is not None:
        described["requestBody"] = {
            "required": True,
            "content": {"application/json": {"schema": answers[one.body]}},
        }
    return described


def _parts(one: Operation) -> list[dict[str, Any]]:
    names = re.findall(r"\{(\w+)(?::path)?\}", one.path)
    return [{"name": name, "in": "path", "required": True, "schema": {"type": "string"}} for name in names]


def _query(one: Operation) -> list[dict[str, Any]]:
    schema = one.query.model_json_schema()
    return [
        {
            "name": name,
            "in": "query",
            "required": name in schema.get("required", ()),
            "description": shape.get("description", ""),
            "schema": {key: part for key, part in shape.items() if key not in ("description", "title")},
        }
        for name, shape in schema.get("properties", {}).items()
    ]


def _refusals(one: Operation) -> dict[str, Any]:
    """Return what an operation may say instead of yes."""
    said = {**_ALWAYS, **(_BODIES if one.method != "GET" else {})}
    said |= {status: _SOMETIMES[status] for status in one.refusals}
    return {str(status): _problem(text) for status, text in sorted(said.items())}


def _problem(text: str) -> dict[str, Any]:
    schema = {"$ref": "#/components/schemas/Problem"}
    return {"description": text, "content": {MEDIA_TYPE: {"schema": schema}}}


def _others(answers: dict[Any, Any]) -> dict[str, Any]:
    """Describe what is no operation: events, sessions, who asks, and this description."""
    refusals = {str(status): _problem(text) for status, text in _ALWAYS.items()}
    bodies = {str(status): _problem(text) for status, text in _BODIES.items()}
    plain = {"description": "Done."}
    stream = {"description": "Events, until one side leaves.", "content": {"text/event-stream": {}}}
    last = {"name": "Last-Event-ID", "in": "header", "required": False, "schema": {"type": "string"}}
    me = {"description": "The answer.", "content": {"application/json": {"schema": answers[Me]}}}
    body = {"required": True, "content": {"application/json": {"schema": answers[Secret]}}}
    return {
        "/v1/events": {
            "get": {
                "operationId": "events",
                "summary": "`stats` once a second, and each `notice` as it comes (server-sent events).",
                "parameters": [{**last, "description": "Notices after this one come first."}],
                "responses": {"200": stream, **refusals},
            }
        },
        "/v1/me": {
            "get": {"operationId": "me", "summary": "Who asks.", "responses": {"200": me, **refusals}},
        },
        "/v1/session": {
            "post": {
                "operationId": "begin_session",
                "summary": "A cookie for browsers, instead of a token.",
                "security": [],
                "requestBody": body,
                "responses": {"204": plain, **refusals, **bodies},
            },
            "delete": {
                "operationId": "end_session",
                "summary": "End it.",
                "security": [],
                "responses": {"204": plain, **refusals, **bodies},
            },
        },
    }
