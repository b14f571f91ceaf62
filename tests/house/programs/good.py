"""A program as users write it: type checkers have nothing to say of it, in their strictest form."""

import asyncio
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path
from typing import Literal, assert_type

import headworks
from headworks.config import (
    Backend,
    BackendDict,
    Config,
    ConfigDict,
    Health,
    Listener,
    ListenerDict,
    ListenerTls,
    Redirect,
    Resources,
    Respond,
    Server,
    Target,
    Timeouts,
)

listener = Listener(bind="127.0.0.1:80", protocol="http", backend="app", timeouts={"idle": "30s"})
assert_type(listener.bind, tuple[str, ...])
assert_type(listener.timeouts.idle, timedelta)
assert_type(listener.unix_mode, int)
timeouts = Timeouts(idle="30s", first_bytes=timedelta(seconds=5))

addresses: list[str] = ["127.0.0.1:8001", "[::1]:8001"]
several: Sequence[str] = addresses
Listener(bind=several, protocol="tls", table="sites", allow=["10.0.0.0/8"], unix_mode="0660")
Backend(servers=addresses, balance="least_connections", health={"kind": "http", "expect": "200-299"})
Backend(servers=["127.0.0.1:1", {"address": "127.0.0.1:2", "weight": 2}, Server(address="127.0.0.1:3")])
Backend(servers="127.0.0.1:1", health=Health(interval="2s"), proxy_protocol="v2", error_pages={503: "a.html"})
ListenerTls(certificates=Path("certificates"), min_version="1.3")
ListenerTls(certificates=["a.pem", {"certificate": Path("b.pem"), "key": "b.key"}])
Listener(bind=":443", protocol="https", tls={"self_signed": True}, redirect={"to": "https", "code": 301})
Listener(bind=":80", protocol="http", redirect=Redirect(to="https"), http={"head_limit": "32KiB", "body_limit": 1024})
Target(respond=Respond(status=410))
Target(backend="app")
Resources(pipe_size="256KiB")

config = Config(
    listeners={"web": listener, "raw": {"bind": ":81", "protocol": "tcp", "backend": "app"}},
    backends={"app": {"servers": addresses}},
    tables={"sites": {"example.com": "app", "*": {"redirect": {"to": "/"}}}},
    logs={"access": "off", "format": "json"},
)
assert_type(config.listeners["web"].protocol == "http", bool)

web: ListenerDict = {"bind": "127.0.0.1:0", "protocol": "http", "backend": "app"}
app: BackendDict = {"servers": ["127.0.0.1:8001"], "connect_timeout": "1s"}
mapping: ConfigDict = {"listeners": {"web": web}, "backends": {"app": app}, "proxy": {"drain": "5s", "workers": 1}}
Config.parse(mapping)
Config.parse({"listeners": {"web": {"bind": ":0", "protocol": "tcp", "backend": "app"}}})
explanation = headworks.explain(mapping, listener="web", host="a.test")
assert_type(explanation.server, str | None)


async def main() -> None:
    """Use every form for asyncio."""
    async with headworks.Proxy(mapping) as proxy:
        assert_type(await proxy.reload_async(config), tuple[str, ...])
        assert_type(await proxy.drain_async(1), bool)
        async for notice in proxy.notices():
            assert_type(notice, headworks.Notice)
        async for record in proxy.records():
            assert_type(record, headworks.AccessRecord)
            assert_type(record.status, int | None)
        await proxy.stop_async()
    with headworks.Proxy("headworks.toml") as proxy:
        for notice in proxy.notices():
            proxy.set_server("app", "127.0.0.1:8001", admin="drain", weight=None)
            assert_type(notice.level, Literal["error", "warning", "info"])
            assert_type(proxy.stats().listeners["web"].active, int)


asyncio.run(main())
