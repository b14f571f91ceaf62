"""The description of the admin interface: valid, complete, and what it says is what is done."""

import pytest
import schemathesis
from hypothesis import given, settings
from hypothesis import strategies as st
from openapi_spec_validator import OpenAPIV31SpecValidator
from schemathesis import GenerationMode
from schemathesis.specs.openapi import checks

from headworks import Proxy
from headworks.admin.openapi import description
from headworks.admin.operations import operations
from headworks.admin.routes import app
from rig.admin import SECRETS, opened


@pytest.fixture
def mapping(raw):
    raw["listeners"]["web"] = {"bind": "127.0.0.1:0", "protocol": "http", "table": "sites"}
    raw["tables"] = {"sites": {"example.com": "app", "old.example": {"redirect": {"to": "/x"}}}}
    return raw


@pytest.fixture
def proxy(mapping):
    with Proxy(mapping) as running:
        yield running


def test_the_description_is_valid():
    OpenAPIV31SpecValidator(description(operations(), "1")).validate()


def test_every_operation_is_described_once_in_words():
    described = description(operations(), "1")
    found = [one for path in described["paths"].values() for one in path.values()]
    assert len({one["operationId"] for one in found}) == len(found)
    assert {one.name for one in operations()} <= {one["operationId"] for one in found}
    assert all(one["summary"].endswith(".") for one in found)
    for name, shape in described["components"]["schemas"].items():
        for member, one in shape.get("properties", {}).items():
            # Members of dataclasses have their words in docs/api.md.
            assert one, f"{name}.{member}"


def test_routes_are_those_that_are_described(proxy):
    served = {route.path for route in app(proxy.admin)._router.routes if getattr(route, "path", "").startswith("/v1/")}
    described = set(description(operations(), "1")["paths"]) | {"/v1/openapi.json"}
    assert {path.replace(":path}", "}") for path in served} == described


@pytest.mark.slow
def test_whatever_is_asked_is_answered_as_described(mapping, tmp_path):
    """Ask each operation what its description allows and what it does not, and hold each answer against it."""
    with opened(mapping, tmp_path) as door:
        schema = schemathesis.openapi.from_dict(description(operations(), "1"))
        operations_found = [one.ok() for one in schema.get_all_operations()]
        assert len(operations_found) > 25
        for operation in operations_found:
            if operation.path != "/v1/events":
                ask(operation, f"http://127.0.0.1:{door.port}")
        assert door.ask("GET", "/v1/status").status == 200


def ask(operation, address):
    modes = [GenerationMode.POSITIVE, GenerationMode.NEGATIVE]

    @settings(max_examples=10, deadline=None)
    @given(case=st.one_of(*(operation.as_strategy(generation_mode=mode) for mode in modes)))
    def once(case):
        case.call_and_validate(
            base_url=address,
            checks=[
                schemathesis.checks.not_a_server_error,
                checks.status_code_conformance,
                checks.content_type_conformance,
                checks.response_schema_conformance,
            ],
            headers={"Authorization": f"Bearer {SECRETS['ops']}", "Sec-Fetch-Site": "none"},
        )

    once()
