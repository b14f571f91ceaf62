"""The same from asyncio: the server, the client and the proxy in one event loop.

python examples/asynchronous.py
"""

import asyncio

import headworks


async def greet(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Serve one client."""
    writer.write(b"hello from asyncio\n")
    await writer.drain()
    writer.close()


async def main() -> None:
    """Put a proxy before the server, go through it, and let it drain."""
    server = await asyncio.start_server(greet, "127.0.0.1", 0)
    host, port = server.sockets[0].getsockname()
    config = {
        "logs": {"access": "off"},
        "listeners": {"raw": {"bind": "127.0.0.1:0", "protocol": "tcp", "backend": "greeters"}},
        "backends": {"greeters": {"servers": f"{host}:{port}"}},
    }
    async with server, headworks.Proxy(config) as proxy:
        reader, writer = await asyncio.open_connection(*proxy.address("raw"))
        print((await reader.readline()).decode(), end="")
        writer.close()
        drained = await proxy.drain_async(5)
        print("drained" if drained else "some connections are left")


if __name__ == "__main__":
    asyncio.run(main())
