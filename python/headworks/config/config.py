"""Config: a whole configuration, read from TOML or from a mapping of the same shape, and handed on as a Spec.

Owns the way in and out (load, parse, to_toml, spec). Must never start anything.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import Field

from headworks.config.models import Backend, Listener, LogSettings, Model, Name, ProxySettings, Table

if TYPE_CHECKING:
    from headworks.certificates import Store


class Config(Model):
    """A whole configuration.

    ``Config.load`` and ``Config.parse`` check everything, names that must exist included. A Config put together from
    models has its values checked; ``check()`` does the rest, and so does whatever uses it.
    """

    proxy: Annotated[ProxySettings, Field(description="The process.", examples=[{"workers": 2}])] = ProxySettings()
    logs: Annotated[LogSettings, Field(description="What is written where.", examples=[{"access": "off"}])] = (
        LogSettings()
    )
    listeners: Annotated[
        dict[Name, Listener],
        Field(
            min_length=1,
            description="Listeners by name.",
            examples=[{"secure": {"bind": "0.0.0.0:443", "protocol": "tls", "table": "sites"}}],
        ),
    ]
    tables: Annotated[
        dict[Name, Table],
        Field(
            description="Tables by name: pattern -> target. Patterns: example.com, *.example.org (any depth), "
            "~REGEX, * (anything else); with a path for http listeners: example.com/api, */health.",
            examples=[{"sites": {"example.com": "app", "*": "legacy"}}],
        ),
    ] = {}  # noqa: RUF012  (pydantic copies defaults)
    backends: Annotated[
        dict[Name, Backend],
        Field(description="Backends by name.", examples=[{"app": {"servers": ["127.0.0.1:8001"]}}]),
    ] = {}  # noqa: RUF012  (pydantic copies defaults)

    @staticmethod
    def load(path: str | Path) -> "Config":
        """Read a TOML file.

        Raises ConfigError with every problem and its line, OSError when the file cannot be read.
        """
        from headworks.config.check import check
        from headworks.config.document import Document

        return check(Document.read(path))

    @staticmethod
    def parse(mapping: Mapping[str, Any]) -> "Config":
        """Take a mapping of the same shape as the file. Raises ConfigError with every problem."""
        from headworks.config.check import check
        from headworks.config.document import Document

        return check(Document.of(mapping))

    def check(self) -> None:
        """Check what needs the whole configuration. Raises ConfigError with every problem."""
        from headworks.config.document import plain

        Config.parse(plain(self))

    def to_toml(self) -> str:
        """Write the normalised configuration, defaults included: ``parse`` of it gives an equal Config."""
        from headworks.config.write import write

        return write(self)

    def spec(self, inherited: Mapping[str, tuple[int, ...]] | None = None, store: "Store | None" = None) -> str:
        """Return the Spec as JSON: milliseconds, bytes, every default filled in, and certificates with their keys.

        ``inherited`` maps names of inherited descriptors to their numbers (see ``headworks.inherited``). Without it,
        ``fd:NAME`` stands for some descriptor: good for checking and explaining, not for running. ``store`` holds
        certificates that have been read; without it all are read. Raises ConfigError when a name is not among them, or
        an error page or a certificate cannot be used.
        """
        from headworks.certificates import Store
        from headworks.config.spec import spec

        return spec(self, inherited, store or Store())
