"""Modules of users: imported afresh from the folder of a configuration, or as they are from sys.path.

Owns the import and its undoing: modules of the folder are not left in sys.modules, so that each check reads what is
there then, and two versions can be at work. Must never take a folder's module for one of the same name elsewhere.
"""

import importlib
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.abc import MetaPathFinder
from importlib.machinery import FileFinder, ModuleSpec, SourceFileLoader
from importlib.util import decode_source
from pathlib import Path
from types import CodeType, ModuleType
from typing import Any


class Failed(Exception):  # noqa: N818  (problems are made of it)
    """A module that cannot be imported: why, and where in the user's code."""

    def __init__(self, reason: str, file: str | None = None, line: int | None = None) -> None:
        super().__init__(reason)
        self.reason = reason
        self.file = file
        self.line = line


class Modules:
    """Modules that were imported for one look at a configuration."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.known: dict[str, ModuleType | Failed] = {}
        self.sources: dict[str, str] = {}
        """All that was read of the folder for each module that was asked for."""

    def get(self, name: str) -> ModuleType:
        """Import a module, or return it when it was before. Raises Failed."""
        if name not in self.known:
            try:
                self.known[name] = self._imported(name)
            except Failed as error:
                self.known[name] = error
        found = self.known[name]
        if isinstance(found, Failed):
            raise found
        return found

    def source(self, name: str) -> str:
        """Return what stands for the source of a module and all that it took from the folder: another text, another
        version. What is found elsewhere is imported once in a process: it has no other versions.
        """  # noqa: D205  (one sentence)
        return self.sources.get(name, "")

    def _imported(self, name: str) -> ModuleType:
        first = name.partition(".")[0]
        is_here = any((self.directory / one).exists() for one in (f"{first}.py", f"{first}/__init__.py"))
        try:
            if not is_here:
                return importlib.import_module(name)
            with self._afresh(first, name):
                return importlib.import_module(name)
        except (KeyboardInterrupt, GeneratorExit):
            raise
        except BaseException as error:  # noqa: BLE001  (whatever a module does, exits included)
            raise self._failed(name, error) from None

    @contextmanager
    def _afresh(self, first: str, name: str) -> Iterator[None]:
        """Find modules of the folder before all others, and leave none of them behind."""
        kept = {one: module for one, module in sys.modules.items() if self._is_ours(one, module, first)}
        for one in kept:
            del sys.modules[one]
        finder = _Finder(self.directory)
        sys.meta_path.insert(0, finder)
        try:
            yield
        finally:
            sys.meta_path.remove(finder)
            fresh = [one for one, module in sys.modules.items() if self._is_ours(one, module, first)]
            files = {getattr(sys.modules[one], "__file__", None) or one for one in fresh}
            self.sources[name] = "\n".join(f"{file}\n{_text(file)}" for file in sorted(files))
            for one in fresh:
                del sys.modules[one]
            sys.modules.update(kept)

    def _is_ours(self, name: str, module: Any, first: str) -> bool:
        file = getattr(module, "__file__", None)
        if name == "__main__":
            return False
        within = isinstance(file, str) and self.directory in Path(file).absolute().parents
        is_installed = within and any(part.endswith("site-packages") for part in Path(str(file)).parts)
        return name == first or name.startswith(f"{first}.") or (within and not is_installed)

    def _failed(self, name: str, error: BaseException) -> Failed:
        import traceback

        said = traceback.format_exception_only(error)[-1].strip()
        if isinstance(error, ModuleNotFoundError) and error.name in (name, name.partition(".")[0]):
            return Failed(f"there is no module {error.name} in {self.directory}, nor on sys.path")
        if isinstance(error, SyntaxError):
            return Failed(f"{name} cannot be imported: {said}", error.filename, error.lineno)
        frames = traceback.extract_tb(error.__traceback__)
        own = [frame for frame in frames if not frame.filename.startswith("<frozen")]
        theirs = [frame for frame in own if self.directory in Path(frame.filename).absolute().parents]
        place = (theirs or own)[-1]
        is_ours = place.filename != __file__
        return Failed(
            f"{name} cannot be imported: {said}",
            place.filename if is_ours else None,
            place.lineno if is_ours else None,
        )


def _text(file: str) -> str:
    """Return a file as it was imported."""
    import linecache

    return "".join(linecache.getlines(file))


class _Fresh(SourceFileLoader):
    """A loader that reads the source each time: a compiled file of the same second would be taken for the new one."""

    def get_code(self, fullname: str) -> CodeType:
        import linecache

        file = self.get_filename(fullname)
        source = self.get_data(file)
        text = decode_source(source)
        # The compiler reads the text that was imported, whatever becomes of the file.
        linecache.cache[file] = (len(text), None, text.splitlines(keepends=True), file)
        return self.source_to_code(source, file)


class _Finder(MetaPathFinder):
    """Finds modules in one folder."""

    def __init__(self, directory: Path) -> None:
        self.files = FileFinder(str(directory), (_Fresh, [".py"]))

    def find_spec(self, fullname: str, path: Any, target: Any = None) -> ModuleSpec | None:  # noqa: ARG002
        return None if "." in fullname else self.files.find_spec(fullname, target)
