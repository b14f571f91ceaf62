"""Envoy and the server that its filter ext_proc asks about each request: `ext_proc_server.py SOCKET ENVOY ARGUMENT...`.

Owns both processes of one lane: Envoy is started once the server listens, and ends with it. The server is grpcio's for
asyncio; of Envoy's messages it knows the fields that it needs.
"""

from __future__ import annotations

import asyncio
import signal
import sys
from collections.abc import AsyncIterator
from typing import Any

import grpc
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

PACKAGE = "envoy.service.ext_proc.v3"
FIELD = descriptor_pb2.FieldDescriptorProto
# Names and numbers as in Envoy's external_processor.proto; other fields are skipped by whoever reads.
MESSAGES: dict[str, dict[str, tuple[int, str]]] = {
    "HeaderValue": {"key": (1, "string"), "raw_value": (3, "bytes")},
    "HeaderMap": {"headers": (1, "*HeaderValue")},
    "HttpHeaders": {"headers": (1, "HeaderMap")},
    "ProcessingRequest": {"request_headers": (2, "HttpHeaders")},
    "HeadersResponse": {},
    "HttpStatus": {"code": (1, "int32")},
    "ImmediateResponse": {"status": (1, "HttpStatus")},
    "ProcessingResponse": {"request_headers": (1, "HeadersResponse"), "immediate_response": (7, "ImmediateResponse")},
}
SCALARS = {"string": FIELD.TYPE_STRING, "bytes": FIELD.TYPE_BYTES, "int32": FIELD.TYPE_INT32}


def messages() -> dict[str, Any]:
    """Make the classes of the messages."""
    file = descriptor_pb2.FileDescriptorProto(name="bench.proto", package=PACKAGE, syntax="proto3")
    for name, fields in MESSAGES.items():
        message = file.message_type.add(name=name)
        for field, (number, kind) in fields.items():
            added = message.field.add(name=field, number=number, label=FIELD.LABEL_OPTIONAL)
            if kind.startswith("*"):
                added.label = FIELD.LABEL_REPEATED
            if kind in SCALARS:
                added.type = SCALARS[kind]
            else:
                added.type, added.type_name = FIELD.TYPE_MESSAGE, f".{PACKAGE}.{kind.lstrip('*')}"
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    found = {name: pool.FindMessageTypeByName(f"{PACKAGE}.{name}") for name in MESSAGES}
    return {name: message_factory.GetMessageClass(descriptor) for name, descriptor in found.items()}


def handler() -> grpc.GenericRpcHandler:
    """Return what answers the one method of the service: the same test of a field and the path as everybody's."""
    made = messages()
    request, response = made["ProcessingRequest"], made["ProcessingResponse"]
    goes_on = response(request_headers=made["HeadersResponse"]())
    refused = response(immediate_response=made["ImmediateResponse"](status=made["HttpStatus"](code=403)))

    async def process(asked: AsyncIterator[Any], _context: object) -> AsyncIterator[Any]:
        async for one in asked:
            fields = {field.key: field.raw_value for field in one.request_headers.headers.headers}
            bad = "x-bad" in fields or fields[":path"].startswith(b"/admin")
            yield refused if bad else goes_on

    method = grpc.stream_stream_rpc_method_handler(
        process, request_deserializer=request.FromString, response_serializer=response.SerializeToString
    )
    return grpc.method_handlers_generic_handler(f"{PACKAGE}.ExternalProcessor", {"Process": method})


async def main(socket: str, command: list[str]) -> int:
    """Serve for as long as Envoy runs, or until we are told to end."""
    server = grpc.aio.server()
    server.add_generic_rpc_handlers((handler(),))
    server.add_insecure_port(f"unix:{socket}")
    await server.start()
    envoy = await asyncio.create_subprocess_exec(*command)
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, envoy.terminate)
    code = await envoy.wait()
    await server.stop(None)
    return code


if __name__ == "__main__":
    sys.exit(asyncio.run(main(sys.argv[1], sys.argv[2:])))
