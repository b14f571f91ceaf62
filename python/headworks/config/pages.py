"""Error pages on their way to the engine: paths are made whole when a configuration is read, files are read here.

Must never decide which page is sent when: that is the engine's.
"""

from collections.abc import Mapping
from os import PathLike
from pathlib import Path
from typing import Any

from headworks.config.models.answers import MEDIA_TYPES
from headworks.config.problems import Key, Problem
from headworks.config.values import show_size

MOST = 64 << 10
"""Bytes of a page at most: it is sent again and again, whole."""


def anchor(value: Mapping[str, Any], directory: Path) -> None:
    """Make the paths of pages whole: as they are written, they are relative to ``directory``."""
    for section in ("listeners", "backends"):
        for below in _tables(value.get(section)):
            pages = below.get("error_pages")
            if isinstance(pages, dict):
                below["error_pages"] = {status: _whole(page, directory) for status, page in pages.items()}


def read(pages: Mapping[str, str], path: tuple[Key, ...], problems: list[Problem]) -> dict[str, dict[str, str]]:
    """Return type and text of each page. Those that cannot be read are left out and become problems below ``path``."""
    found = {}
    for status, page in pages.items():
        try:
            found[status] = {"content_type": MEDIA_TYPES[Path(page).suffix.lower()], "body": _text(Path(page))}
        except OSError as error:
            problems.append(Problem(path=(*path, status), reason=f'"{page}" cannot be read: {error.strerror}'))
        except ValueError as error:
            problems.append(Problem(path=(*path, status), reason=f'"{page}" {error}'))
    return found


def _whole(page: Any, directory: Path) -> Any:
    return str(directory / page) if isinstance(page, PathLike) or (isinstance(page, str) and page) else page


def _text(page: Path) -> str:
    # A pipe or a device could keep us waiting for ever.
    if page.exists() and not page.is_file():
        raise ValueError("is not a file")
    with page.open("rb") as file:
        content = file.read(MOST + 1)
    if len(content) > MOST:
        raise ValueError(f"is longer than {show_size(MOST)}")
    try:
        return content.decode()
    except UnicodeDecodeError:
        raise ValueError("is not UTF-8 text") from None


def _tables(section: Any) -> list[dict[str, Any]]:
    return [below for below in section.values() if isinstance(below, dict)] if isinstance(section, dict) else []
