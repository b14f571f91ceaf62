"""Recording: a proxy that serves as its configuration says, and writes down what it decides.

Must never change what becomes of a request. There is no access log meanwhile: what is taken down would be in it.
"""

from collections.abc import Sequence
from pathlib import Path

from headworks import _engine
from headworks.config.loaded import Source, load
from headworks.config.problems import closest
from headworks.proxy import Proxy
from headworks.recording.fields import capturing, chosen
from headworks.recording.tape import Tape


class Recording(Proxy):
    """A Proxy that records: ``with headworks.Recording("headworks.toml", "day.hwrec") as proxy: ...``.

    ``listeners`` are those that are recorded, by default all; ``fields`` are fields of requests to take down beside
    those that the configuration looks at. Cookies and what authorizes are hashed unless ``plain``. Raises as Proxy
    does, ValueError for a listener that is not there or a field that is none; ``start`` raises FileExistsError, too.
    """

    def __init__(
        self,
        source: Source,
        path: str | Path,
        *,
        listeners: Sequence[str] = (),
        fields: Sequence[str] = (),
        plain: bool = False,
    ) -> None:
        loaded = load(source)
        known = list(loaded.config.listeners)
        for name in listeners:
            if name not in known:
                near = closest(name, known)
                hint = f'; did you mean "{near}"?' if near else ""
                raise ValueError(f'there is no listener "{name}"; known: {", ".join(known)}{hint}')
        self.path = Path(path)
        self._original = source
        self._listeners = tuple(listeners) or tuple(known)
        self._fields = chosen(loaded, fields)
        self._plain = plain
        self._tape: Tape | None = None
        self._last: tuple[int, int] = (0, 0)
        super().__init__(capturing(loaded.config, self._fields, self._listeners))

    @property
    def fields(self) -> tuple[str, ...]:
        """Return the fields that are taken down."""
        return self._fields

    @property
    def written(self) -> int:
        """Return how many requests were written so far."""
        return self._tape.written if self._tape is not None else 0

    @property
    def dropped(self) -> int:
        """Return how many were lost since writing did not keep up."""
        return self._tape.dropped if self._tape is not None else 0

    def start(self, *, binder: int | None = None) -> None:
        """Bind every listener, serve and record. Raises as ``Proxy.start`` does, and FileExistsError."""
        super().start(binder=binder)
        try:
            self._tape = Tape(
                self.path,
                self.records(),
                self._plan_now,
                listeners=self._listeners,
                fields=self._fields,
                plain=self._plain,
            )
        except OSError:
            super().stop()
            raise

    def stop(self) -> None:
        """Close every connection now, end the threads and the recording. Raises OSError when not all was written."""
        super().stop()
        if self._tape is not None and not self._is_copy():
            self._tape.close()

    def reload(self, source: Source | None = None) -> tuple[str, ...]:
        """Swap to another configuration; what is taken down stays as it is.

        Raises as ``Proxy.reload`` does: ConfigError, BindError, ValueError.
        """
        if source is None and not isinstance(self._original, str | Path):
            raise ValueError("this proxy was not made from a file: give reload the new configuration")
        given = self._original if source is None else source
        config = load(given).config
        there = [name for name in self._listeners if name in config.listeners]
        waiting = super().reload(capturing(config, self._fields, there))
        self._original = given
        return waiting

    def _plan_now(self) -> _engine.Plan:
        return self._loaded.explained
