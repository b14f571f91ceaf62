"""Hear of rare events: a server that health checks take down and bring up again.

python examples/notices.py
"""

import socket

import headworks


def main() -> None:
    """Watch a server that is not there, then is."""
    with socket.create_server(("127.0.0.1", 0)) as reserved:
        host, port = reserved.getsockname()
    config = {
        "logs": {"access": "off"},
        "listeners": {"raw": {"bind": "127.0.0.1:0", "protocol": "tcp", "backend": "app"}},
        "backends": {
            "app": {
                "servers": f"{host}:{port}",
                "health": {"interval": "50ms", "timeout": "1s", "rise": 2, "fall": 2},
            }
        },
    }
    with headworks.Proxy(config) as proxy:
        for notice in proxy.notices():
            print(notice.level, notice.kind, *(f"{key}={value}" for key, value in notice.facts.items()))
            if notice.kind == "server_down":
                server = socket.create_server((host, port))
            if notice.kind == "server_up":
                server.close()
                break


if __name__ == "__main__":
    main()
