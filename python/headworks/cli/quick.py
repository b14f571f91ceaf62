"""Quick: ``headworks run [FILE]`` without what only help, options and colours need.

Owns the shortest way from the command to serving. Must never say anything itself: whatever is not plain, and whatever
goes wrong, is the command line's (commands.py, run.py) to say.
"""

import sys
from pathlib import Path

from headworks.cli.files import DEFAULT_FILES


def plain(words: list[str]) -> Path | None:
    """Return the file that ``run [FILE]`` is about; None when these words say more, or there is no file."""
    if words[:1] != ["run"] or len(words) > 2 or any(word.startswith("-") for word in words):  # noqa: PLR2004
        return None
    files = [Path(word) for word in words[1:]] or [file for file in DEFAULT_FILES if file.exists()]
    return files[0] if files else None


def run(file: Path) -> None:
    """Serve, and exit with what went wrong."""
    import gc
    from types import ModuleType

    # What is imported stays: there is nothing to collect before all of it is there.
    gc.disable()
    # Plugins of pydantic are for other programs' models. Their loader imports what reads the metadata of packages, also
    # when it is told not to look. Should it move, this does nothing.
    loader = ModuleType("pydantic.plugin._loader")
    loader.__dict__["get_plugins"] = tuple
    sys.modules.setdefault(loader.__name__, loader)
    from headworks.config.models import Whole
    from headworks.service import run as serve

    Whole.model_rebuild()
    gc.freeze()
    gc.enable()
    try:
        serve(file)
    except (OSError, ValueError) as error:
        from headworks.cli.run import exit_with

        sys.exit(exit_with(file, error))
