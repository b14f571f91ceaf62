"""Loaded: a configuration as it was read and checked, with its certificates, ready to be compiled and run.

Owns the way from any source (a file, a mapping, a Config) to a Plan, and the lines that problems get on that way.
Must never run anything.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from headworks import _engine
from headworks.certificates import Authority, Store
from headworks.config import providers
from headworks.config.analyzers import declared
from headworks.config.check import examine
from headworks.config.config import Config
from headworks.config.document import Document, place, plain
from headworks.config.problems import ConfigError, Problem
from headworks.config.spec import not_inherited
from headworks.errors import BindError
from headworks.inherited import inherited

if TYPE_CHECKING:
    from headworks.analyzers.declared import Declared
    from headworks.providers.declared import Declared as DeclaredProvider

Source = str | Path | Config | Mapping[str, Any]
"""The origin of a configuration: the path of a TOML file, a Config, or a mapping of the file's shape."""


@dataclass(frozen=True)
class Loaded:
    """A checked configuration, its certificates, and what is doubtful about them."""

    source: Source
    """The origin; problems get lines when that is a file."""
    config: Config
    store: Store
    warnings: tuple[Problem, ...]
    compiled: _engine.Plan
    """The Plan that it was compiled to."""

    @property
    def is_from_file(self) -> bool:
        """Whether it can be read again."""
        return isinstance(self.source, str | Path)

    @property
    def analyzers(self) -> "dict[str, Declared]":
        """Return its analyzers, ready to be made."""
        return declared(self.config)

    @property
    def providers(self) -> "tuple[DeclaredProvider, ...]":
        """Return its providers, ready to be made."""
        return providers.declared(self.config)

    def plan(self) -> _engine.Plan:
        """Return the Plan to run, compiled when it was loaded: ``fd:NAME`` must be there now. Raises ConfigError."""
        if wrong := not_inherited(self.config, inherited()):
            raise self._placed(ConfigError(wrong))
        return self.compiled

    @cached_property
    def explained(self) -> _engine.Plan:
        """Return the Plan to explain by, in which servers that are to be found may be chosen."""
        if not any(providers.references(self.config)):
            return self.compiled
        value = json.loads(self.config.spec(None, self.store))
        return _engine.Plan.compile(json.dumps(providers.weighed(value, self.config)))

    def begun(self, found: Mapping[str, Sequence[Mapping[str, Any]]]) -> _engine.Plan | None:
        """Return a Plan to begin with, in which backends have servers that were found before; None where it cannot be.

        What they are found by gives them, too, before the Plan itself takes its place: nobody misses them meanwhile.
        """
        value = json.loads(self.config.spec(inherited(), self.store))
        for backend, servers in found.items():
            written = value["backends"][backend]["servers"]
            there = {server["address"] for server in written}
            written += [server for server in servers if server["address"] not in there]
        try:
            return _engine.Plan.compile(json.dumps(value))
        except _engine.PlanError:
            return None

    def renewed(self) -> "Loaded":
        """Compile once more, with the certificates that the store holds now. Raises ConfigError."""
        with self.errors():
            return replace(self, compiled=_engine.Plan.compile(self.config.spec(inherited(), self.store)))

    @contextmanager
    def errors(self) -> Iterator[None]:
        """Raise what is found while it is put to use as errors of ours, problems with their lines."""
        try:
            yield
        except _engine.BindError as error:
            raise BindError.decode(error.args[0]) from None
        except _engine.PlanError as error:
            # A key that does not sign, for example, is found only where TLS is spoken.
            found = json.loads(error.args[0])
            raise self._placed(
                ConfigError(Problem(path=tuple(one["path"]), reason=one["reason"]) for one in found)
            ) from None
        except ConfigError as error:
            raise self._placed(error) from None

    def write_authority(self) -> None:
        """Write the throwaway authority's certificate where a listener wants it. Raises ConfigError."""
        for name, listener in self.config.listeners.items():
            if listener.tls is None or listener.tls.self_signed_ca is None:
                continue
            file, text = Path(listener.tls.self_signed_ca), self.store.authority.pem()
            try:
                # A reload may have lost the right to write what a start has written.
                if not file.is_file() or file.read_text() != text:
                    file.write_text(text)
            except OSError as error:
                reason = f'"{listener.tls.self_signed_ca}" cannot be written: {error.strerror}'
                path = ("listeners", name, "tls", "self_signed_ca")
                raise ConfigError([Problem(path=path, reason=reason)]) from None

    def _placed(self, error: ConfigError) -> ConfigError:
        return place(error, self.source) if isinstance(self.source, str | Path) else error


def load(source: Source, authority: Authority | None = None) -> Loaded:
    """Read and check a configuration. ``authority`` signs for listeners with ``self_signed``; by default a new one.

    Raises ConfigError with every problem, OSError for a file that cannot be read.
    """
    store = Store(authority)
    if isinstance(source, str | Path):
        document = Document.read(source)
    else:
        document = Document.of(plain(source) if isinstance(source, Config) else source)
    examined = examine(document, store)
    return Loaded(source, Config.of(examined.config), store, examined.warnings, examined.plan)
