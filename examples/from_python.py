"""A proxy in a Python program: a server of our own behind it, one connection through it, and what was counted.

python examples/from_python.py
"""

import socket
import threading

import headworks


def greet(listening: socket.socket) -> None:
    """Serve one client."""
    connection, _ = listening.accept()
    with connection:
        connection.sendall(b"hello from the server\n")


def main() -> None:
    """Put a proxy before the server and go through it."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        threading.Thread(target=greet, args=(listening,)).start()
        host, port = listening.getsockname()
        config = {
            "logs": {"access": "off"},
            "listeners": {"raw": {"bind": "127.0.0.1:0", "protocol": "tcp", "backend": "greeters"}},
            "backends": {"greeters": {"servers": f"{host}:{port}"}},
        }
        with headworks.Proxy(config) as proxy:
            with socket.create_connection(proxy.address("raw"), timeout=5) as client:
                print(client.makefile().readline(), end="")
            for address, server in proxy.stats().backends["greeters"].servers.items():
                print(f"{address}: {server.connections} connection, {server.connect_failures} failed connects")


if __name__ == "__main__":
    main()
