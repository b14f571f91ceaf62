"""Classes of users, as analyzers and providers: found by their names, and held against the arguments they are given.

Must never make an object of one: that is done to run.
"""

import hashlib
import inspect
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from headworks.config.models.objects import ObjectName
from headworks.config.modules import Modules
from headworks.config.problems import Path as Keys
from headworks.config.problems import Problem, closest, did_you_mean
from headworks.config.values import quote


def found(name: ObjectName, base: type, modules: dict[Path, Modules]) -> tuple[Any, str]:
    """Return the class or object that derives from ``base``, and what stands for its source.

    Raises LookupError with a reason and a suggestion, and Failed.
    """
    if name.given is not None:
        return name.given, f"given {id(name.given)}"
    word = base.__name__.lower()
    directory = name.directory or Path.cwd()
    those = modules.setdefault(directory, Modules(directory))
    module_name, _, below = name.partition(":")
    module = those.get(module_name)
    one: Any = module
    for part in below.split("."):
        one = getattr(one, part, None)
    if isinstance(one, base) or (isinstance(one, type) and issubclass(one, base)):
        return one, those.source(module_name)
    if one is not None:
        raise LookupError(f"{below} of {module_name} is no {word}", f"class {below}(headworks.{base.__name__})")
    there = [
        key
        for key, value in vars(module).items()
        if isinstance(value, type) and issubclass(value, base) and value is not base
    ]
    near = closest(below, there)
    listed = f"its {word}s: {', '.join(there)}" if there else f"it has no {word}s"
    raise LookupError(f"{module_name} has no {below}", did_you_mean(near and quote(f"{module_name}:{near}")) or listed)


def wrong_arguments(path: Keys, name: str, one: object, arguments: Mapping[str, Any]) -> Iterator[Problem]:
    """Find arguments that a class does not take, and those that it needs."""
    if not isinstance(one, type):
        if arguments:
            yield Problem(path=path, reason=f"{name} was made already: it takes no arguments")
        return
    try:
        parameters = inspect.signature(one).parameters.values()
    except (TypeError, ValueError):
        return
    kinds = inspect.Parameter
    named = [one for one in parameters if one.kind in (kinds.POSITIONAL_OR_KEYWORD, kinds.KEYWORD_ONLY)]
    known = [one.name for one in named]
    takes_all = any(one.kind is kinds.VAR_KEYWORD for one in parameters)
    for key in () if takes_all else arguments.keys() - set(known):
        near = closest(key, known)
        takes = f"{one.__name__} takes {', '.join(known)}" if known else f"{one.__name__} takes none"
        yield Problem(path=(*path, key), reason=f"unknown argument; {takes}", suggestion=did_you_mean(near))
    for parameter in named:
        if parameter.default is kinds.empty and parameter.name not in arguments:
            yield Problem(path=path, reason=f"{one.__name__} needs {parameter.name}")


def written(arguments: Mapping[str, Any]) -> str:
    """Write arguments so that others are written otherwise."""
    try:
        return json.dumps(arguments, sort_keys=True, default=repr)
    except (TypeError, ValueError, RecursionError):
        # Given in Python: keys of several types, or objects within themselves.
        return repr(arguments)


def version(*parts: str) -> str:
    """Return what stays the same as long as all of these do."""
    return hashlib.sha256("\n".join(parts).encode("utf-8", "surrogatepass")).hexdigest()
