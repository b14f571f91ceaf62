"""Rewriting of heads: fields set, added and removed, for listeners and backends alike."""

from typing import TYPE_CHECKING, Annotated, Unpack

from pydantic import BeforeValidator, Field

from headworks.config.models.base import FieldName, Fields, Model, distinct, one_or_many

if TYPE_CHECKING:
    from headworks.config.written import HeadersDict


class Headers(Model):
    """``request_headers`` and ``response_headers``: removed, then set, then added.

    Fields of the connection (Connection, Content-Length, Transfer-Encoding ...) are the proxy's own.
    """

    if TYPE_CHECKING:

        def __init__(self, **keys: Unpack[HeadersDict]) -> None: ...

    set: Annotated[
        Fields,
        Field(
            description="Fields replaced, or added where they are not there. Values may have variables.",
            examples=[{"X-Client": "{client.address}"}],
        ),
    ] = {}  # noqa: RUF012  (pydantic copies defaults)
    add: Annotated[
        Fields,
        Field(
            description="Fields added, whether they are there already or not. Values may have variables.",
            examples=[{"X-Passed": "headworks"}],
        ),
    ] = {}  # noqa: RUF012  (pydantic copies defaults)
    remove: Annotated[
        tuple[FieldName, ...],
        BeforeValidator(one_or_many),
        distinct,
        Field(
            description="Fields removed. A name that ends in * stands for all that begin so.",
            examples=[["X-Internal-*", "Server"]],
        ),
    ] = ()
