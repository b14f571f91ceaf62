"""``headworks run``: one proxy in the foreground, driven by signals.

TERM, INT and QUIT drain, a second one stops at once; HUP reloads, USR1 reopens the logs. Signals are blocked in every
thread and taken by the main thread one at a time, so nothing is ever interrupted half way. Must never let a bad reload
or a signal that means nothing here stop what runs.
"""

import contextlib
import os
import signal
import threading
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from headworks import late
from headworks.config import ConfigError
from headworks.config.document import place
from headworks.config.values import show_duration
from headworks.errors import BindError
from headworks.log_lines import Log
from headworks.notice import Notice
from headworks.notify import notify
from headworks.pauses import KINDS, Pauses
from headworks.privileges import Identity, raise_descriptor_limit
from headworks.proxy import Proxy
from headworks.remote_log import lines_of
from headworks.signals import HELD, RELOAD, REOPEN, STOP, UPGRADE, hold

if TYPE_CHECKING:
    from headworks.binder import Binder

_GLANCE = 0.1
"""Seconds between looks for a second signal while draining."""


_P = TypeVar("_P", bound=Proxy)


def run(
    file: Path,
    make: Callable[[Path], _P] = Proxy,  # type: ignore[assignment]
    seconds: float | None = None,
    *,
    service: "Callable[[Proxy, Log], Service] | None" = None,
) -> _P:
    """Serve until TERM, INT or QUIT, or for so many seconds. Returns the proxy, which has ended.

    ``service`` makes another Service than ours. Raises ConfigError, BindError or OSError when it cannot start, and what
    ``make`` raises.
    """
    # Threads and the binder inherit the mask: only the main thread's sigwait takes these.
    before = hold()
    try:
        proxy = make(file)
        _run(file, proxy, seconds, service or Service)
        return proxy
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _run(file: Path, proxy: Proxy, seconds: float | None, service: "Callable[[Proxy, Log], Service]") -> None:
    config = proxy.config
    try:
        identity = Identity.of(config)
    except ConfigError as error:
        raise place(error, file) from None
    raise_descriptor_limit()
    binder = _binder() if identity and os.geteuid() == 0 else None
    log = lines_of(config.logs)
    try:
        proxy.start(binder=binder.fileno() if binder else None)
        if identity:
            _become(identity, proxy)
        if seconds is not None:
            _end_after(seconds)
        service(proxy, log).serve()
    finally:
        proxy.stop()
        log.close()
        if binder:
            binder.stop()


def _end_after(seconds: float) -> None:
    """Send TERM to this process once the time is over: it ends as if somebody had."""
    timer = threading.Timer(seconds, os.kill, (os.getpid(), signal.SIGTERM))
    timer.daemon = True
    timer.start()


def _binder() -> "Binder":
    """Start the process that keeps root; most services never have any."""
    from headworks.binder import Binder

    return Binder.start()


_AGAIN = 1.0
"""Seconds after which imports that found no descriptor are tried again."""


class Service:
    """A started proxy and its log. Who does otherwise overrides ``ready``, ``act``, ``reopen`` or ``stop``."""

    def __init__(self, proxy: Proxy, log: Log) -> None:
        self.proxy = proxy
        self.lines = log
        if proxy.config.admin is not None:
            proxy.admin.service = self

    def serve(self) -> None:
        """Say that we are ready, then act on signals until one says stop."""
        threading.Thread(target=self._log_notices, name="notices", daemon=True).start()
        self.ready()
        while (number := self._next_signal()) not in STOP:
            self.act(number)
        self.stop(signal.Signals(number).name)

    def _next_signal(self) -> int:
        """Wait for a signal. What may be needed later is imported first, or once there is a descriptor for it."""
        while not late.load():
            if (held := signal.sigtimedwait(HELD, _AGAIN)) is not None:
                return held.si_signo
        return signal.sigwaitinfo(HELD).si_signo

    def act(self, number: int) -> None:
        """Do what a signal that does not stop us says."""
        if number == RELOAD:
            self._reload()
        elif number == REOPEN:
            if self.reopen():
                self.lines.info("logs reopened")
        elif number == UPGRADE:
            self._ignore(number, "there is no upgrade in place; start anew, or reload with HUP")
        else:
            self._ignore(number, "it has no meaning here; HUP reloads, USR1 reopens logs, TERM and QUIT stop")

    def _ignore(self, number: int, reason: str) -> None:
        self.lines.warning("signal ignored", ("signal", signal.Signals(number).name), ("reason", reason))

    def ready(self) -> None:
        """Say that every listener is bound."""
        self._warn()
        self._listening()
        self.lines.info("ready", *self._bound())
        notify("READY=1")

    def _listening(self) -> None:
        """Write one line a listener, always of the same keys."""
        for name in self.proxy.config.listeners:
            self.lines.info("listening", ("listener", name), ("address", self.proxy.addresses(name)))
        if self.proxy.admin_addresses:
            self.lines.info("operators come by", ("address", self.proxy.admin_addresses))

    def _bound(self) -> list[tuple[str, str]]:
        return [
            pair
            for name in self.proxy.config.listeners
            for address in self.proxy.addresses(name)
            for pair in (("listener", name), ("address", address))
        ]

    def _warn(self) -> None:
        for name, listener in self.proxy.config.listeners.items():
            if listener.tls is not None and listener.tls.self_signed:
                file = listener.tls.self_signed_ca
                self.lines.info("throwaway certificates", ("listener", name), *([("ca", file)] if file else []))
        for warning in self.proxy.warnings:
            where = warning.key or f"line {warning.line}"
            self.lines.warning("doubtful", ("key", where), ("reason", warning.reason))

    def _reload(self) -> None:
        if self.proxy.file is None:
            self._ignore(RELOAD, "there is no file to read again")
            return
        with contextlib.suppress(ConfigError, OSError):  # what is wrong has been said
            self.reload()

    def reload(self) -> tuple[str, ...]:
        """Read the file again. Returns and raises as ``Proxy.reload`` does, once the log says the same."""
        notify("RELOADING=1")
        try:
            waiting = self.proxy.reload()
        except ConfigError as error:
            self._not_reloaded(map(str, error.problems))
            raise
        except BindError as error:
            self._not_reloaded(map(str, error.failures))
            raise
        except OSError as error:
            self._not_reloaded([str(error)])
            raise
        else:
            self.lines.level = self.proxy.config.logs.level
            self._warn()
            self._listening()
            self.lines.info("reloaded", *self._bound())
            for key in waiting:
                self.lines.warning("needs a restart to change", ("key", key))
            return waiting
        finally:
            self.reopen()
            notify("READY=1")

    @property
    def level(self) -> str:
        """Return the level of the log."""
        return self.lines.level

    @level.setter
    def level(self, level: str) -> None:
        self.lines.level = level

    def end(self) -> None:
        """Act as at TERM, on the thread that takes signals."""
        os.kill(os.getpid(), signal.SIGTERM)

    def _not_reloaded(self, reasons: Iterable[str]) -> None:
        for reason in reasons:
            self.lines.error("not reloaded", ("reason", reason))

    def reopen(self) -> bool:
        """Open the access log again; whether that went well."""
        try:
            self.proxy.reopen_logs()
        except OSError as error:
            self.lines.error("access log not reopened", ("reason", error))
            return False
        return True

    def stop(self, name: str) -> None:
        """Let connections finish, up to ``proxy.drain``. The signal called ``name`` says so."""
        notify("STOPPING=1")
        drain = self.proxy.config.proxy.drain
        open_now = self.proxy.stats().connections
        self.lines.info("draining", ("signal", name), ("connections", open_now), ("drain", show_duration(drain)))
        deadline = time.monotonic() + drain.total_seconds()
        while not self.proxy.drain(min(_GLANCE, max(0.0, deadline - time.monotonic()))):
            if time.monotonic() >= deadline or self._is_told_to_end():
                break
        left = self.proxy.stats().connections
        self.lines.info("stopped", ("closed", left))

    def _is_told_to_end(self) -> bool:
        """Take the signals that came while draining; whether one of them stops us at once."""
        while (taken := signal.sigtimedwait(HELD, 0)) is not None:
            if taken.si_signo in STOP:
                return True
            if taken.si_signo == RELOAD:
                self._ignore(RELOAD, "draining: nothing is loaded any more")
            else:
                self.act(taken.si_signo)
        return False

    def _log_notices(self) -> None:
        pauses = Pauses(self._write)
        for notice in self.proxy.notices():
            if notice.kind in KINDS:
                pauses.take(notice)
            else:
                self._write(notice)

    def _write(self, notice: Notice) -> None:
        self.lines.write(notice.level, notice.kind, *notice.facts.items())


def _become(identity: Identity, proxy: Proxy) -> None:
    """Drop root; the access log and the sockets of operators go with us, so that they can be opened again."""
    access = proxy.config.logs.access
    proxy.give(identity.user, identity.group)
    if os.geteuid() == 0 and access not in ("-", "off") and not access.startswith(("/dev/", "/proc/", "syslog")):
        with contextlib.suppress(OSError):
            os.chown(access, identity.user, identity.group)
    identity.assume()
