"""``headworks run``: one proxy in the foreground, driven by signals.

TERM and INT drain, a second one stops at once; HUP reloads. Signals are blocked in every thread and taken by the main
thread one at a time, so nothing is ever interrupted half way. Must never let a bad reload stop what runs.
"""

import contextlib
import os
import signal
import threading
import time
from collections.abc import Iterable
from pathlib import Path

from headworks.binder import Binder
from headworks.config import Config, ConfigError
from headworks.config.document import place
from headworks.config.values import show_duration
from headworks.errors import BindError
from headworks.log import Log
from headworks.notify import notify
from headworks.privileges import Identity, raise_descriptor_limit
from headworks.proxy import Proxy

_STOP = frozenset({signal.SIGTERM, signal.SIGINT})
_SIGNALS = _STOP | {signal.SIGHUP}
_GLANCE = 0.1
"""Seconds between looks for a second signal while draining."""


def run(file: Path) -> None:
    """Serve until TERM or INT. Raises ConfigError, BindError or OSError when it cannot start."""
    proxy = Proxy(file)
    config = proxy.config
    try:
        identity = Identity.of(config)
    except ConfigError as error:
        raise place(error, file) from None
    raise_descriptor_limit()
    binder = Binder.start() if identity and os.geteuid() == 0 else None
    # Threads inherit the mask: only the main thread's sigwait takes these, with a proxy running.
    before = signal.pthread_sigmask(signal.SIG_BLOCK, _SIGNALS)
    log = Log(form=config.logs.format, level=config.logs.level)
    try:
        proxy.start(binder=binder.fileno() if binder else None)
        if identity:
            _become(identity, config)
        _Service(proxy, log).serve()
    finally:
        proxy.stop()
        if binder:
            binder.stop()
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


class _Service:
    """A started proxy and its log."""

    def __init__(self, proxy: Proxy, log: Log) -> None:
        self._proxy = proxy
        self._log = log

    def serve(self) -> None:
        """Say that we are ready, then act on signals until one says stop."""
        threading.Thread(target=self._log_notices, name="notices", daemon=True).start()
        self._ready()
        while (number := signal.sigwaitinfo(_SIGNALS).si_signo) not in _STOP:
            self._reload()
        self._stop(signal.Signals(number).name)

    def _ready(self) -> None:
        self._warn()
        self._log.info("ready", *self._bound())
        notify("READY=1")

    def _bound(self) -> list[tuple[str, str]]:
        return [
            pair
            for name in self._proxy.config.listeners
            for address in self._proxy.addresses(name)
            for pair in (("listener", name), ("address", address))
        ]

    def _warn(self) -> None:
        for name, listener in self._proxy.config.listeners.items():
            if listener.tls is not None and listener.tls.self_signed:
                file = listener.tls.self_signed_ca
                self._log.info("throwaway certificates", ("listener", name), *([("ca", file)] if file else []))
        for warning in self._proxy.warnings:
            self._log.warning("doubtful", ("key", warning.key), ("reason", warning.reason))

    def _reload(self) -> None:
        notify("RELOADING=1")
        try:
            waiting = self._proxy.reload()
        except ConfigError as error:
            self._not_reloaded(map(str, error.problems))
        except BindError as error:
            self._not_reloaded(map(str, error.failures))
        except OSError as error:
            self._not_reloaded([str(error)])
        else:
            self._log.level = self._proxy.config.logs.level
            self._warn()
            self._log.info("reloaded", *self._bound())
            for key in waiting:
                self._log.warning("needs a restart to change", ("key", key))
        self._reopen()
        notify("READY=1")

    def _not_reloaded(self, reasons: Iterable[str]) -> None:
        for reason in reasons:
            self._log.error("not reloaded", ("reason", reason))

    def _reopen(self) -> None:
        try:
            self._proxy.reopen_logs()
        except OSError as error:
            self._log.error("access log not reopened", ("reason", error))

    def _stop(self, name: str) -> None:
        notify("STOPPING=1")
        drain = self._proxy.config.proxy.drain
        open_now = self._proxy.stats().connections
        self._log.info("draining", ("signal", name), ("connections", open_now), ("drain", show_duration(drain)))
        deadline = time.monotonic() + drain.total_seconds()
        while not self._proxy.drain(min(_GLANCE, max(0.0, deadline - time.monotonic()))):
            if time.monotonic() >= deadline or signal.sigtimedwait(_STOP, 0):
                break
        left = self._proxy.stats().connections
        self._log.info("stopped", ("closed", left))

    def _log_notices(self) -> None:
        for notice in self._proxy.notices():
            self._log.write(notice.level, notice.kind, *notice.facts.items())


def _become(identity: Identity, config: Config) -> None:
    """Drop root; the access log goes with us, so that it can be reopened."""
    access = config.logs.access
    if os.geteuid() == 0 and access not in ("-", "off"):
        with contextlib.suppress(OSError):
            os.chown(access, identity.user, identity.group)
    identity.assume()
