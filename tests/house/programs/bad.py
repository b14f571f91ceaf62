"""A program that is wrong in every line that says so: type checkers find those lines and no others."""

from datetime import timedelta

import headworks
from headworks.config import (
    Backend,
    Config,
    ConfigDict,
    Health,
    Listener,
    ListenerTls,
    LogSettings,
    Redirect,
    Server,
    Timeouts,
)

Listener(bind="127.0.0.1:80", protocol="htp", backend="app")  # wrong
Listener(bind=80, protocol="http", backend="app")  # wrong
Listener(protocol="http", backend="app")  # wrong
Listener(bind=":80", protocol="http", bakcend="app")  # wrong
Listener(bind=":80", protocol="http", timeouts={"idel": "30s"})  # wrong
Timeouts(idle=30)  # wrong
Timeouts("30s")  # wrong
Backend(servers="127.0.0.1:1", balance="fastest")  # wrong
Backend(servers=[{"weight": 2}])  # wrong
Backend(servers=[1])  # wrong
Server(address="127.0.0.1:1", weight="2")  # wrong
Health(kind="grpc")  # wrong
Redirect(to="https", code=300)  # wrong
ListenerTls(certificates="a.pem", min_version="1.1")  # wrong
LogSettings(format="xml")  # wrong
Config(listeners={"web": {"bind": ":80", "protocol": "spdy"}})  # wrong
mapping: ConfigDict = {"listeners": {"web": {"bind": ":80", "protokol": "http"}}}  # wrong
timeouts = Timeouts()
timeouts.idle = timedelta(seconds=1)  # wrong
timeouts.idle.strip()  # wrong
proxy = headworks.Proxy(3)  # wrong
proxy.set_server("app", "127.0.0.1:1", admin="off")  # wrong
for record in proxy.records():
    record.status = 200  # wrong
    print_state = record.state  # wrong
