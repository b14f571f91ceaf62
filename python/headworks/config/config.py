"""Config: a whole configuration, read from TOML or from a mapping of the same shape, and handed on as a Spec.

Owns the verbs (load, parse, check, to_toml, spec); the fields are those of models/whole.py, and whatever the verbs call
knows only these. Must never start anything.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Unpack

from headworks.config.models.whole import Whole

if TYPE_CHECKING:
    from headworks.certificates import Store
    from headworks.config.written import ConfigDict


class Config(Whole):
    """A whole configuration.

    ``Config.load`` and ``Config.parse`` check everything, names that must exist included. A Config put together from
    models has its values checked; ``check()`` does the rest, and so does whatever uses it.
    """

    if TYPE_CHECKING:

        def __init__(self, **keys: Unpack[ConfigDict]) -> None: ...

    @staticmethod
    def of(whole: Whole) -> "Config":
        """Give values that were checked already the verbs of a Config."""
        values: dict[str, Any] = {name: getattr(whole, name) for name in Whole.model_fields}
        return Config.model_construct(whole.model_fields_set, **values)

    @staticmethod
    def load(path: str | Path) -> "Config":
        """Read a TOML file.

        Raises ConfigError with every problem and its line, OSError when the file cannot be read.
        """
        from headworks.config.check import check
        from headworks.config.document import Document

        return Config.of(check(Document.read(path)))

    @staticmethod
    def parse(mapping: Mapping[str, Any]) -> "Config":
        """Take a mapping of the same shape as the file. Raises ConfigError with every problem."""
        from headworks.config.check import check
        from headworks.config.document import Document

        return Config.of(check(Document.of(mapping)))

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
