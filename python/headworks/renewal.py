"""Renewal: certificates whose files change are presented anew while the proxy runs.

A daemon thread looks at the files every so often; what has changed and is good is applied, what is bad is reported and
what was there before goes on. Must never end a proxy, whatever is in a file.
"""

import threading
import time
from collections.abc import Callable, Iterator

from headworks.certificates import Change, Store, Watch
from headworks.config.problems import ConfigError
from headworks.errors import BindError
from headworks.notice import Notice

_SHARE = 50
"""Looking takes at most one part in so many of a core, however many files there are."""


class Renewal:
    """Watches the places of a store; ``apply`` is called with it when what it holds has changed.

    ``report`` gets a Notice for every place that changed.
    """

    def __init__(self, store: Store, apply: Callable[[Store], None], report: Callable[[Notice], None]) -> None:
        self._store = store
        self._apply = apply
        self._report = report
        self._stopped = threading.Event()
        self._watch = Watch(store)
        self._unapplied: list[Change] = []
        self._said: str | None = None

    def start(self, interval: float) -> None:
        """Look every ``interval`` seconds, in a thread of its own."""
        threading.Thread(target=self._run, args=(interval,), name="certificates", daemon=True).start()

    def stop(self) -> None:
        """Look no more. What is being applied may still be."""
        self._stopped.set()

    def look(self) -> None:
        """Look once."""
        for change in self._watch.look():
            if change.content.errors:
                for flaw in change.content.errors:
                    self._report(Notice(kind="certificate_refused", facts={"file": flaw.file, "reason": flaw.reason}))
            else:
                self._unapplied.append(change)
        if self._unapplied and self._applied():
            for change in self._unapplied:
                for notice in _renewed(change):
                    self._report(notice)
            self._unapplied = []

    def _applied(self) -> bool:
        """Apply; what does not go is tried again at the next look and reported once."""
        try:
            self._apply(self._store)
        except (ConfigError, BindError, OSError) as error:
            if str(error) != self._said:
                self._said = str(error)
                file = self._unapplied[0].place.path
                self._report(Notice(kind="certificate_refused", facts={"file": file, "reason": self._said}))
            return False
        self._said = None
        return True

    def _run(self, interval: float) -> None:
        pause = interval
        while not self._stopped.wait(pause):
            begun = time.monotonic()
            self.look()
            pause = max(interval, (time.monotonic() - begun) * _SHARE)


def _renewed(change: Change) -> Iterator[Notice]:
    for certificate in change.content.certificates:
        facts = {
            "file": certificate.place,
            "names": ",".join(certificate.names),
            "expires": f"{certificate.not_after:%Y-%m-%dT%H:%M:%SZ}",
        }
        yield Notice(kind="certificate_renewed", facts=facts)
    if change.place.kind != "certificates":
        yield Notice(kind=f"{change.place.kind}_renewed", facts={"file": change.place.path})
    for flaw in change.content.warnings:
        yield Notice(kind="certificate_doubtful", facts={"file": flaw.file, "reason": flaw.reason})
