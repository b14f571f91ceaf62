"""Every problem of a configuration in one run: prune and go on.

The models find what is wrong with single values, the Plan what is wrong with the whole. So that one does not hide the
other, each wrong value is reported and then taken out or replaced by one that is surely right, and the rest is checked
again. Must never report what only follows from something it has already reported.
"""

import copy
import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any, get_args, get_origin

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from headworks import _engine
from headworks.certificates import Store
from headworks.config import admin, pages, tls
from headworks.config.advice import LISTS, OF_ITEMS, advise, belongs, table_for_list
from headworks.config.document import Document
from headworks.config.doubts import doubts
from headworks.config.models import admin as admin_models
from headworks.config.models import analyzers as analyzer_models
from headworks.config.models import providers as provider_models
from headworks.config.models.base import is_for_requests
from headworks.config.models.rules import anchor
from headworks.config.models.whole import Whole
from headworks.config.problems import ConfigError, Path, Problem, closest, did_you_mean
from headworks.config.protocols import HTTP, PROTOCOLS
from headworks.config.reasons import Finding, explain
from headworks.config.repair import at, repair
from headworks.config.routes import led_to_by_http, led_to_by_tls
from headworks.config.spec import draft, stand_ins
from headworks.config.values import quote
from headworks.inherited import inherited

_ROUNDS = 8
"""Each round repairs everything it finds; a rule of a whole listener shows only in the round after its values are
right."""


def check(document: Document) -> Whole:
    """Return the configuration, or raise ConfigError with every problem."""
    return examine(document, Store()).config


@dataclass(frozen=True)
class Examined:
    """A configuration without a problem."""

    config: Whole
    plan: _engine.Plan
    """The Plan that it was compiled to."""
    warnings: tuple[Problem, ...]
    """Everything doubtful about it."""


def examine(document: Document, store: Store) -> Examined:
    """Return the configuration and its Plan, or raise ConfigError with every problem.

    ``store`` holds its certificates then. In the Plan, something stands for descriptors that are not inherited.
    """
    examination = _Examination(document, store)
    config = examination.shape()
    plan = examination.whole(config) if config is not None else None
    if config is None or plan is None or examination.problems:
        # What could not be translated at all is missed all over.
        told = [note for note in document.notes if not note.is_warning]
        raise ConfigError(told or examination.problems)
    doubtful = [*examination.warnings, *map(document.place, doubts(config))]
    return Examined(config, plan, tuple(doubtful))


class _Examination:
    """One run: the value as repaired so far, and what was found."""

    def __init__(self, document: Document, store: Store) -> None:
        self.document = document
        self.store = store
        self.value: dict[str, Any] = copy.deepcopy(document.value)
        self.problems = [note for note in document.notes if not note.is_warning]
        self.warnings = [note for note in document.notes if note.is_warning]
        self.reported: set[Path] = set()
        self.renamed: dict[Path, Path] = {}

    def shape(self) -> Whole | None:
        """Validate, report and repair until the models have nothing to say."""
        self._tables_for_lists()
        for _ in range(_ROUNDS):
            pages.anchor(self.value, self.document.directory)
            tls.anchor(self.value, self.document.directory)
            anchor(self.value, self.document.directory)
            analyzer_models.anchor(self.value, self.document.directory)
            provider_models.anchor(self.value, self.document.directory)
            admin_models.anchor(self.value, self.document.directory)
            try:
                return Whole.model_validate(self.value)
            except ValidationError as error:
                found = error.errors(include_url=False)
            # Unknown keys first: a misspelt key explains the missing one.
            for details in sorted(found, key=lambda details: details["type"] != "extra_forbidden"):
                self._shape_problem(details)
        return None

    def whole(self, config: Whole) -> _engine.Plan | None:
        """Compile, and report what is not a consequence of a repair. Return None when it cannot be compiled."""
        plan = None
        absent: list[Problem] = []
        text = draft(config, stand_ins(config, inherited()), self.store, absent)
        # Rules are compiled by now: who leads where is known.
        found = self._for_nobody(config) + _wrong_tls(config) + admin.findings(config)
        self.problems += [replace(one, path=self._written(one.path)) for one in absent if one.file is not None]
        absent = [one for one in absent if one.file is None]
        found += [(one.path, one.reason, one.suggestion) for one in absent if not one.is_warning]
        for one in absent:
            if one.is_warning:
                problem = self.document.problem(self._written(one.path), one.reason)
                self.warnings.append(replace(problem, is_warning=True))
        known = {path for path, _, _ in found}
        try:
            plan = _engine.Plan.compile(text)
        except _engine.PlanError as error:
            told = [(tuple(one["path"]), one["reason"], one["hint"]) for one in json.loads(error.args[0])]
            if any("tls" in path for path, _, _ in told):
                # A key that does not sign is told so.
                found += [(one.path, one.reason, None) for one in tls.unsigned(config, self.store)]
                known = {path for path, _, _ in found}
            # What files lack has been said.
            found += [one for one in told if not any(_touches(one[0], path) for path in known)]
        for path, reason, hint in found:
            if not any(_touches(path, known) for known in self.reported):
                written = self._written(path)
                said, advised = advise(path, _scalar(self.document.value, written), reason)
                self.problems.append(self.document.problem(written, said, advised or hint or self._near_name(path)))
        return plan

    def _for_nobody(self, config: Whole) -> list[Finding]:
        """Keys of backends that only http listeners heed, where there is none."""
        if any(listener.protocol in HTTP for listener in config.listeners.values()):
            return []
        return [
            (("backends", name, *below), "is for http and https listeners, and there is none", None)
            for name, backend in config.backends.items()
            for section, path in ((backend, ()), (backend.ejection, ("ejection",)))
            for below in ((*path, key) for key in _changed(section))
        ]

    def _tables_for_lists(self) -> None:
        """Report tables where a list is due; what is in them is no list's."""
        for section in ("listeners", "backends"):
            below = self.value.get(section)
            for name, one in list(below.items()) if isinstance(below, dict) else ():
                for path, value in _tables(one, (section, name)):
                    if path[-1] in LISTS and OF_ITEMS.get(str(path[-1])) not in value:
                        reason, suggestion = table_for_list(path, value)
                        self.problems.append(self.document.problem(path, reason, suggestion))
                        self.reported.add(path)
                        repair(self.value, path)

    def _shape_problem(self, details: ErrorDetails) -> None:
        if details["type"] == "extra_forbidden":
            self._unknown_key(details["loc"])
            return
        for path, reason, suggestion in explain(details):
            if details["type"] == "missing" and len(path) > 1 and path[:-1] in self.reported:
                pass  # what is missing may be what was misspelt there
            elif path not in self.reported and path not in self.renamed:
                said, advised = advise(path, at(self.value, path), reason)
                self.problems.append(self.document.problem(self._written(path), said, advised or suggestion))
            self.reported.add(path)
            repair(self.value, path)

    def _unknown_key(self, path: Path) -> None:
        """Report an unknown key. Where it is a misspelling, what it holds is checked under the right name."""
        section = at(self.value, path[:-1])
        if not isinstance(section, dict) or path[-1] not in section:
            return
        known = _fields(path[:-1])
        value = section.pop(path[-1])
        near = closest(str(path[-1]), known)
        home = belongs(str(path[-1]))
        if home and len(path) == 1 and not isinstance(value, dict):
            near = None  # a key before the first section
        suggestion = did_you_mean(quote(near)) if near else home
        self.problems.append(self.document.problem(self._written(path), "unknown key", suggestion))
        if near is None:
            return
        meant = (*path[:-1], near)
        if near not in section:
            section[near] = value
            self.renamed[meant] = path
        elif isinstance(value, dict) and isinstance(section[near], dict):
            # [backend.a] beside [backends.b]: the names of the one are missed in the other.
            for name in value.keys() - section[near].keys():
                section[near][name] = value[name]
                self.renamed[(*meant, name)] = (*path, name)

    def _written(self, path: Path) -> Path:
        """The path with the keys that the user wrote."""
        for n in range(len(path), 0, -1):
            if path[:n] in self.renamed:
                return self._written(self.renamed[path[:n]][:-1]) + self.renamed[path[:n]][-1:] + path[n:]
        return path

    def _near_name(self, path: Path) -> str | None:
        """The table, backend or analyzer that a name which does not exist probably stands for."""
        if len(path) > 1 and path[-2] == "analyzers" and isinstance(path[-1], int):
            names, known = at(self.value, path[:-1]), self.value.get("analyzers", {})
            name = names if isinstance(names, str) else at(self.value, path)
            near = closest(name, list(known)) if isinstance(name, str) and isinstance(known, dict) else None
            return did_you_mean(near and quote(near))
        kind = {"table": "tables", "backend": "backends", "fallback": "backends", "passthrough": "tables"}.get(
            str(path[-1])
        )
        depth = 4 if path[-1] == "passthrough" else 3
        if path[0] == "tables":
            kind, depth = "backends", 5 if path[3:4] == ("alpn",) else 3
        if path[0] == "listeners" and path[2:3] == ("first_bytes",):
            kind, depth = kind or "backends", len(path)
        if path[0] not in ("listeners", "tables") or kind is None or len(path) != depth:
            return None
        name = at(self.value, path)
        name = name.get("backend") if isinstance(name, dict) else name
        known = self.value.get(kind, {})
        if not isinstance(name, str) or name in known:
            return None
        near = closest(name, list(known))
        return did_you_mean(quote(near)) if near else None


def _wrong_tls(config: Whole) -> list[Finding]:
    """Find what is wrong with the TLS of backends because of who leads there."""
    requests, ciphertext = led_to_by_http(config), led_to_by_tls(config)
    found: list[Finding] = []
    for name, backend in config.backends.items():
        path = ("backends", name, "tls")
        versions = PROTOCOLS[config.listeners[requests[name]].protocol].versions if name in requests else ()
        strange = [one for one in backend.tls.alpn or () if versions and one not in versions] if backend.tls else []
        if backend.tls is not None and name in ciphertext:
            reason = (
                f"listeners.{ciphertext[name]} passes on the TLS of its clients here, which would be encrypted twice"
            )
            found.append((path, reason, None))
        if strange:
            reason = (
                f"{quote(strange[0])} is not spoken to servers by http listeners, and listeners.{requests[name]} "
                f"leads here; known: {', '.join(versions)}"
            )
            found.append(((*path, "alpn"), reason, None))
    return found


def _scalar(value: Any, path: Path) -> Any:
    """Return what is at ``path``, or the one value that stands for a list or table there."""
    for number in range(len(path)):
        if not isinstance(value, (dict, list)):
            break
        value = at(value, path[number : number + 1])
    return value


def _tables(value: Any, path: Path) -> Iterator[tuple[Path, dict[str, Any]]]:
    """Yield every table below ``path``."""
    for key, item in list(value.items()) if isinstance(value, dict) else ():
        if isinstance(item, dict):
            yield (*path, key), item
            yield from _tables(item, (*path, key))


def _changed(model: BaseModel) -> list[str]:
    """Keys for http alone that are not as they are by themselves."""
    fields = type(model).model_fields.items()
    return [name for name, field in fields if is_for_requests(field) and getattr(model, name) != field.default]


def _touches(path: Path, known: Path) -> bool:
    """Whether one is the other or lies below it."""
    shorter = min(len(path), len(known))
    return path[:shorter] == known[:shorter]


def _fields(path: Path) -> list[str]:
    """The keys that the table at ``path`` may have."""
    kind: Any = Whole
    for key in path:
        if isinstance(kind, type) and issubclass(kind, BaseModel):
            kind = _bare(kind.model_fields[str(key)].annotation)
        else:
            kind = _bare(get_args(kind)[1] if get_origin(kind) is dict else get_args(kind)[0])
    return list(kind.model_fields) if isinstance(kind, type) and issubclass(kind, BaseModel) else []


def _bare(annotation: Any) -> Any:
    """The type inside ``Annotated`` and ``| None``."""
    while hasattr(annotation, "__metadata__"):
        annotation = annotation.__origin__
    options = [option for option in get_args(annotation) if option is not type(None)]
    is_optional = type(None) in get_args(annotation)
    return _bare(options[0]) if is_optional else annotation
