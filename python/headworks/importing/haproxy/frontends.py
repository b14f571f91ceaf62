"""Frontends of HAProxy: what is listened on, and what is decided about what comes."""

import re
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from headworks.importing.haproxy import actions
from headworks.importing.haproxy.binds import Bind, binds_of
from headworks.importing.haproxy.conditions import (
    Acls,
    Always,
    Condition,
    ConditionError,
    Not,
    Test,
    given,
    tests,
)
from headworks.importing.haproxy.expressions import written
from headworks.importing.haproxy.routes import Told, entries, told
from headworks.importing.haproxy.scene import HOUR, NEEDLESS, Scene, mode_of
from headworks.importing.haproxy.sections import Section, Statement
from headworks.importing.haproxy.values import SettingError, duration, milliseconds, number
from headworks.importing.rulefile import Branch, quoted
from headworks.importing.targets import Key, conflicts

_UNMATCHED: dict[str, Any] = {"respond": {"status": 503}}
_STATISTICS = "statistics are asked for from a running headworks: Proxy.stats()"
_PERIODS = (("h", 3_600_000), ("m", 60_000), ("s", 1000))


@dataclass(slots=True)
class Step:
    """Something that is decided in turn."""

    statement: Statement
    condition: Condition
    verdict: str | None = None
    """In Python, for rules."""
    target: Any = None
    """For tables: the name of a backend, or an answer."""
    goes_on: bool = False
    """Whether what follows is decided all the same."""
    differences: list[str] = field(default_factory=list)


class Frontends:
    """The frontends of one file."""

    def __init__(self, scene: Scene) -> None:
        self._scene = scene

    def translate(self, section: Section) -> None:
        """Make listeners of a section."""
        if any(one.keyword.startswith("stats") for one in section.statements) and not _serves(section):
            self._statistics(section)
            return
        _Listening(self._scene, section).translate()

    def _statistics(self, section: Section) -> None:
        for one in (section.head, *section.statements):
            self._scene.ledger.unsupported(one, _STATISTICS)


def _serves(section: Section) -> bool:
    serving = {"server", "server-template", "use_backend", "default_backend", "redirect", "http-request"}
    return any(one.keyword in serving for one in section.every())


class _Listening:
    """One frontend."""

    def __init__(self, scene: Scene, section: Section) -> None:
        self._scene = scene
        self._ledger = scene.ledger
        self._section = section
        self._is_http = mode_of(section) == "http"
        self._acls = Acls((one for one in section.every() if one.keyword == "acl"), scene.lines)
        self._steps: list[Step] = []
        self._common: dict[str, Any] = {}
        self._path: tuple[str, ...] = ("listeners", section.name)
        self._forwards = False
        self._limits: dict[str, Any] | None = None

    def translate(self) -> None:
        groups = binds_of(self._section, self._scene)
        if not groups:
            for one in self._section.statements:
                if one.keyword not in ("bind", "server"):
                    self._ledger.unsupported(one, "it listens nowhere that we can")
            self._ledger.unsupported(self._section.head, "it listens nowhere that we can")
            return
        self._ledger.converted(self._section.head, self._path)
        self._collect()
        for group in groups:
            self._listener(group)
        self._acls_said()

    # ---- what is said once for all listeners

    def _collect(self) -> None:
        for statement in self._section.every():
            if statement.keyword in NEEDLESS:
                path = self._path if statement in self._section.statements else ()
                self._ledger.nothing(statement, NEEDLESS[statement.keyword], path)
                continue
            name = statement.keyword.replace(" ", "_").replace("-", "_").replace(".", "_")
            does = getattr(self, f"_on_{name}", None)
            if does is None:
                if statement.keyword.startswith("stats"):
                    self._ledger.unsupported(statement, _STATISTICS, self._path)
                continue
            if statement.is_negated:
                self._ledger.nothing(statement, "it is off", self._path)
            else:
                self._scene.tried(statement, self._path, partial(does, statement))
        self._timeouts()
        if self._is_http:
            self._told_of_clients()
            self._said_by_backends()

    def _acls_said(self) -> None:
        used = {
            id(acl)
            for one in self._section.every()
            if one.keyword != "acl" and self._ledger.became(one)
            for acl in self._acls.statements(one.arguments)
        }
        for one in self._section.every():
            if one.keyword != "acl" or not one.arguments:
                continue
            try:
                self._acls.define(one)
            except (ConditionError, SettingError) as error:
                self._ledger.unsupported(one, str(error), self._path)
                continue
            if id(one) in used:
                self._ledger.converted(one, self._path)
            else:
                self._ledger.nothing(one, "no condition that was converted names it", self._path)

    def _led_to(self) -> list[Section]:
        """Return the sections of the backends that it leads to."""
        targets = [*(step.target for step in self._steps), self._default()[1]]
        names = {target for target in targets if isinstance(target, str)}
        return [one for one in self._scene.file.of("backend", "listen") if one.name in names]

    def _said_by_backends(self) -> None:
        """Take what backends say and listeners do here."""
        for section in self._led_to():
            for one in section.statements if section is not self._section else ():
                if one.keyword in ("compression algo", "compression type"):
                    does = self._on_compression_algo if one.keyword.endswith("algo") else self._on_compression_type
                    self._scene.tried(one, self._path, partial(does, one))
                elif one.keyword == "timeout tunnel":
                    into = self._common.setdefault("timeouts", {})
                    self._scene.time(one, (*self._path, "timeouts", "tunnel"), 168 * HOUR, into=into)

    def _told_of_clients(self) -> None:
        http = self._common.setdefault("http", {})
        if {one.name for one in self._led_to()} & self._scene.forwarding:
            self._forwards = True
        if "forwarded" not in http:
            http["forwarded"] = ["x_forwarded"] if self._forwards else []

    def _timeouts(self) -> None:
        scene, section, path = self._scene, self._section, (*self._path, "timeouts")
        into: dict[str, Any] = {}
        if self._is_http:
            scene.time(section.last("timeout http-request"), (*path, "first_bytes"), into=into)
            scene.time(section.last("timeout client"), (*path, "idle"), 168 * HOUR, into=into)
            scene.time(section.last("timeout http-keep-alive"), (*path, "keep_alive"), 168 * HOUR, into=into)
            scene.time(section.last("timeout tunnel"), (*path, "tunnel"), 168 * HOUR, into=into)
        else:
            self._idle(into)
        fin = section.last("timeout client-fin") or section.last("timeout server-fin")
        for one in (section.last("timeout client-fin"), section.last("timeout server-fin")):
            if one is not None and self._is_http:
                self._ledger.nothing(one, "requests and responses have deadlines of their own", self._path)
        if not self._is_http:
            scene.time(fin, (*path, "half_close"), 168 * HOUR, into=into)
        if into:
            self._common.setdefault("timeouts", {}).update(into)

    def _idle(self, into: dict[str, Any]) -> None:
        """Tell how long bytes may rest: one time for both directions, the longer of theirs."""
        serving = self._backend_section() or self._section
        found = [self._section.last("timeout client"), serving.last("timeout server"), serving.last("timeout tunnel")]
        given_times = [one for one in found if one is not None and one.arguments]
        tunnel = [one for one in given_times if one.keyword == "timeout tunnel"]
        lengths: list[int] = []
        for one in tunnel or given_times:
            self._scene.tried(one, self._path, partial(_add_time, one, lengths))
        if not lengths:
            return
        into["idle"] = duration(max(lengths), 168 * HOUR)
        differs = "there is one time for both directions, the longer one" if len(set(lengths)) > 1 else None
        for one in given_times:
            if tunnel and one not in tunnel:
                self._ledger.nothing(one, "timeout tunnel is what counts", self._path)
            else:
                self._ledger.converted(one, (*self._path, "timeouts"), differs)

    def _backend_section(self) -> Section | None:
        if self._section.kind == "listen":
            return self._section
        found = self._section.last("default_backend") or next(iter(self._section.own("use_backend")), None)
        name = found.arguments[0] if found is not None and found.arguments else None
        return next((one for one in self._scene.file.of("backend", "listen") if one.name == name), None)

    def _on_mode(self, statement: Statement) -> None:
        if not statement.arguments or statement.arguments[0] not in ("http", "tcp"):
            raise SettingError("modes are http and tcp")
        self._ledger.converted(statement, (*self._path, "protocol"))

    def _on_maxconn(self, statement: Statement) -> None:
        self._common["max_connections"] = number(statement.arguments[0] if statement.arguments else "", 1, 10_000_000)
        self._ledger.converted(statement, (*self._path, "max_connections"))

    def _on_backlog(self, statement: Statement) -> None:
        self._common["backlog"] = number(statement.arguments[0] if statement.arguments else "", 1, 65535)
        self._ledger.converted(statement, (*self._path, "backlog"))

    def _on_option_forwardfor(self, statement: Statement) -> None:
        if not self._is_http:
            self._ledger.nothing(statement, "there are no requests", self._path)
            return
        self._forwards = True
        words = statement.arguments
        differences = ["what clients say themselves is replaced, unless http.trusted has them"]
        if "header" in words[:-1] and words[words.index("header") + 1].lower() != "x-forwarded-for":
            name = words[words.index("header") + 1]
            self._common.setdefault("request_headers", {}).setdefault("set", {})[name] = "{client.address}"
        if "if-none" in words:
            differences.append("if-none is so for http.trusted")
        self._ledger.converted(statement, (*self._path, "http"), "; ".join(differences))

    def _on_option_forwarded(self, statement: Statement) -> None:
        if self._is_http:
            self._common.setdefault("http", {})["forwarded"] = ["forwarded"]
            self._ledger.converted(statement, (*self._path, "http"))

    def _on_option_abortonclose(self, statement: Statement) -> None:
        if self._is_http:
            self._common.setdefault("http", {})["abort_on_close"] = True
            self._ledger.converted(statement, (*self._path, "http"))

    def _on_option_http_buffer_request(self, statement: Statement) -> None:
        self._ledger.unsupported(statement, "bodies are streamed, never collected", self._path)

    def _on_option_accept_invalid_http_request(self, statement: Statement) -> None:
        self._ledger.unsupported(statement, "what can be read in two ways is refused", self._path)

    def _on_unique_id_header(self, statement: Statement) -> None:
        if self._is_http and statement.arguments:
            self._common.setdefault("http", {})["request_id"] = statement.arguments[0]
            self._ledger.converted(statement, (*self._path, "http"))

    def _on_compression_algo(self, statement: Statement) -> None:
        known = [one for one in statement.arguments if one == "gzip"]
        if not self._is_http or not known:
            raise SettingError("there are gzip, br and zstd: see compression")
        self._common.setdefault("compression", {})["algorithms"] = known
        self._ledger.converted(statement, (*self._path, "compression"))

    def _on_compression_type(self, statement: Statement) -> None:
        self._common.setdefault("compression", {})["types"] = list(dict.fromkeys(statement.arguments))
        self._ledger.converted(statement, (*self._path, "compression"))

    def _on_compression_offload(self, statement: Statement) -> None:
        self._ledger.unsupported(statement, "remove Accept-Encoding in request_headers", self._path)

    def _on_errorfile(self, statement: Statement) -> None:
        reason = "take the head off the file, name it .html, and name it in error_pages"
        self._ledger.unsupported(statement, reason, self._path)

    _on_errorfiles = _on_errorloc = _on_errorloc302 = _on_errorloc303 = _on_errorfile

    def _on_disabled(self, statement: Statement) -> None:
        self._ledger.unsupported(statement, "take the section out: what is written is served", self._path)

    def _on_filter(self, statement: Statement) -> None:
        self._ledger.unsupported(statement, "there are analyzers in Python instead", self._path)

    def _on_rate_limit(self, statement: Statement) -> None:
        self._ledger.unsupported(statement, "clients are limited one by one: max_connections_per_client", self._path)

    def _on_stick_table(self, statement: Statement) -> None:
        words = " ".join(statement.arguments)
        if "http_req_rate(" in words and self._is_http:
            period = milliseconds(words.partition("http_req_rate(")[2].partition(")")[0])
            self._limits = {"statement": statement, "period": duration(period, 24 * HOUR)}
        elif self._section.kind == "listen" and self._section.own("stick on"):
            return
        else:
            raise SettingError("there are no such tables: see rate_limit and max_connections_per_client")

    # ---- what is decided in turn

    def _condition(self, words: list[str]) -> Condition:
        return self._acls.condition(words)

    def _on_tcp_request(self, statement: Statement) -> None:
        words, condition = actions.words_of(statement)
        match words:
            case ["inspect-delay", time]:
                self._common.setdefault("timeouts", {})
                self._delay(statement, time)
            case ["content" | "session", "accept"] | ["connection" | "session", "accept"] if not condition:
                self._ledger.nothing(statement, "what is accepted needs no word", self._path)
            case ["content", "accept"]:
                self._hello(statement, condition)
            case ["connection" | "session" | "content", "reject" | "silent-drop"]:
                self._refused(statement, condition)
            case ["connection" | "session" | "content", action, *_] if action.startswith("track-sc") and self._limits:
                self._ledger.converted(statement, (*self._path, "rate_limit"))
            case ["content", "capture", *_]:
                self._ledger.nothing(statement, NEEDLESS["capture"], self._path)
            case _:
                raise SettingError("only accepting and rejecting has an equal here")

    def _delay(self, statement: Statement, time: str) -> None:
        if self._is_http:
            self._ledger.nothing(statement, "requests are waited for by themselves", self._path)
            return
        self._common["timeouts"]["first_bytes"] = duration(milliseconds(time) or HOUR, HOUR)
        self._ledger.converted(statement, (*self._path, "timeouts"))

    def _hello(self, statement: Statement, condition: list[str]) -> None:
        kinds = {test.sample.kind for test in tests(self._condition(condition))}
        if kinds - {"hello", "sni"}:
            raise SettingError("what is accepted before others are refused needs a rule")
        self._ledger.nothing(statement, "a ClientHello is waited for by itself", self._path)

    def _refused(self, statement: Statement, words: list[str]) -> None:
        condition = self._condition(words)
        found = _clients(condition)
        if found is not None:
            key, networks = found
            known = self._common.setdefault(key, [])
            if key == "allow" and known:
                raise SettingError("a second list of who is allowed: write both as one")
            known += [one for one in networks if one not in known]
            difference = "clients of http get 403 instead of a closed connection" if self._is_http else None
            self._ledger.converted(statement, (*self._path, key), difference)
        elif "rate" in {test.sample.kind for test in tests(condition)} and self._is_http:
            self._limited(statement, condition)
        else:
            self._steps.append(Step(statement, condition, "headworks.reject()"))

    def _on_http_request(self, statement: Statement) -> None:
        if not self._is_http:
            self._ledger.nothing(statement, "there are no requests", self._path)
            return
        words, written_condition = actions.words_of(statement)
        action = words[0] if words else ""
        if action.startswith("track-sc") and self._limits is not None:
            self._ledger.converted(statement, (*self._path, "rate_limit"))
            return
        if action == "set-log-level" or (
            action.startswith(("capture", "set-var(txn.")) and not _names_variables(self._section)
        ):
            self._ledger.nothing(statement, "it is for the log only", self._path)
            return
        condition = self._condition(written_condition)
        if self._is_of_forwarding(statement, words):
            return
        if action == "allow":
            self._steps.append(Step(statement, condition, "None"))
            return
        if "rate" in {test.sample.kind for test in tests(condition)}:
            self._limited(statement, condition)
            return
        self._step(statement, condition)

    def _is_of_forwarding(self, statement: Statement, words: list[str]) -> bool:
        """Whether it does what our forwarding fields do."""
        if not actions.tells_of_clients(statement):
            return False
        if words[0] == "del-header":
            self._ledger.nothing(statement, "what clients say themselves is replaced", self._path)
            return True
        self._forwards = True
        self._ledger.nothing(statement, "it is one of the fields of http.forwarded", self._path)
        return True

    def _step(self, statement: Statement, condition: Condition) -> None:
        if condition == Always(holds=True):
            key = actions.headers_of(_bare(statement), self._common, "request_headers")
            if key == "host":
                del self._common["host"]
                raise SettingError("give the backends a host")
            if key is not None:
                self._ledger.converted(statement, (*self._path, key))
                return
        verdict = actions.verdict_of(statement)
        if verdict is not None:
            self._steps.append(Step(statement, condition, verdict, actions.answer_of(statement)))
            return
        rewrite = actions.rewrite_of(statement)
        if rewrite is None:
            raise SettingError("it has no equal here: write a rule")
        self._steps.append(Step(statement, condition, rewrite, goes_on=True))

    def _limited(self, statement: Statement, condition: Condition) -> None:
        """Tell a rate that is refused as a rate limit."""
        if not (isinstance(condition, Test) and condition.values[:1] in (("gt",), ("ge",)) and self._limits):
            raise ConditionError("rates are compared with one number, in a section that has the table")
        self._common["rate_limit"] = {
            "requests": number(condition.values[1] if len(condition.values) > 1 else "", 1, 1_000_000_000),
            "per": self._limits["period"],
        }
        difference = "clients get 429 for what is above the rate, and the rest is served"
        self._ledger.converted(statement, (*self._path, "rate_limit"), difference)
        self._ledger.converted(self._limits["statement"], (*self._path, "rate_limit"))

    def _on_http_response(self, statement: Statement) -> None:
        if not self._is_http:
            return
        key = actions.headers_of(statement, self._common, "response_headers")
        if key is None:
            raise SettingError("write a rule about a headworks.Response")
        self._ledger.converted(statement, (*self._path, key))

    _on_http_after_response = _on_http_response

    def _on_redirect(self, statement: Statement) -> None:
        if not self._is_http:
            self._ledger.nothing(statement, "there are no requests", self._path)
            return
        _, condition = actions.words_of(statement)
        verdict, answer = actions.verdict_of(statement), actions.answer_of(statement)
        self._steps.append(Step(statement, self._condition(condition), verdict, answer))

    def _on_monitor_uri(self, statement: Statement) -> None:
        if not self._is_http or not statement.arguments:
            return
        condition = self._condition(["if", "{", "path", statement.arguments[0], "}"])
        self._steps.insert(0, Step(statement, condition, "headworks.respond(200)", {"respond": {"status": 200}}))

    def _on_use_backend(self, statement: Statement) -> None:
        words, condition = actions.words_of(statement)
        name = words[0] if words else ""
        if "%[" in name:
            raise SettingError("a backend whose name is made of the request: write the names into a table")
        if not self._knows(name):
            raise SettingError(f'there is no backend "{name}"')
        target = self._scene.answers.get(name, name)
        self._steps.append(Step(statement, self._condition(condition), self._to(name), target))

    def _on_default_backend(self, statement: Statement) -> None:
        name = statement.arguments[0] if statement.arguments else ""
        if statement not in self._section.statements and not self._knows(name):
            return
        if not self._knows(name):
            raise SettingError(f'there is no backend "{name}"')

    def _knows(self, name: str) -> bool:
        return name in self._scene.answers or name in self._scene.draft.value["backends"]

    def _to(self, name: str) -> str:
        """Return the verdict that leads to a backend."""
        answer = self._scene.answers.get(name)
        if answer is None:
            return f"headworks.route({quoted(name)})"
        if "respond" in answer:
            return f"headworks.respond({answer['respond']['status']}, {quoted(answer['respond'].get('body', ''))})"
        to = answer["redirect"]["to"]
        place = _place("https://{host}{uri}" if to == "https" else to)
        return f"headworks.redirect({place}, {answer['redirect']['code']})"

    # ---- one listener

    def _listener(self, group: Bind) -> None:
        names = self._scene.draft.value["listeners"]
        name = self._section.name if self._section.name not in names else f"{self._section.name}_tls"
        while name in names:
            name += "_"
        path = ("listeners", name)
        value: dict[str, Any] = {"bind": group.addresses[0] if len(group.addresses) == 1 else group.addresses}
        self._scene.draft.put(path, value, self._section.head)
        self._scene.draft.order.append(path)
        facts: dict[str, bool | int] = {"tls": group.tls is not None}
        if len(group.ports) == 1:
            facts["port"] = next(iter(group.ports))
        steps = self._fitting(facts)
        asks_names = any(test.sample.kind == "sni" for step in steps for test in tests(step.condition))
        value["protocol"] = self._protocol(group, asks_names=asks_names)
        value.update({key: dict(one) if isinstance(one, dict) else one for key, one in self._common.items()})
        value.update(group.settings)
        if group.tls is not None:
            value["tls"] = group.tls
        _Deciding(self._scene, self._section, path, value, steps).decide(self._default())
        for statement in group.statements:
            self._ledger.converted(statement, (*path, "bind"), "; ".join(group.differences) or None)
        if "timeouts" in value and value["protocol"] == "tcp":
            value["timeouts"].pop("first_bytes", None)
        if not value.get("timeouts", True):
            del value["timeouts"]

    def _protocol(self, group: Bind, *, asks_names: bool) -> str:
        if self._is_http:
            return "https" if group.tls is not None else "http"
        return "tls" if asks_names and group.tls is None else "tcp"

    def _fitting(self, facts: dict[str, bool | int]) -> list[Step]:
        """Return the steps that this listener's clients may come to."""
        steps = []
        for step in self._steps:
            condition = given(step.condition, facts)
            if condition == Always(holds=False):
                if not self._ledger.knows(step.statement):
                    self._ledger.nothing(step.statement, "its condition never holds here", self._path)
                continue
            steps.append(Step(step.statement, condition, step.verdict, step.target, step.goes_on, step.differences))
        return steps

    def _default(self) -> tuple[Statement | None, Any]:
        """Return where everything else goes: a statement, and a backend or an answer."""
        if self._section.kind == "listen" and self._section.name in self._scene.draft.value["backends"]:
            is_own = any(one.keyword in ("server", "server-template") for one in self._section.statements)
            if is_own and self._section.last("default_backend") not in self._section.statements:
                return None, self._section.name
        found = self._section.last("default_backend")
        if found is None or not found.arguments or not self._knows(found.arguments[0]):
            return None, None
        return found, self._scene.answers.get(found.arguments[0], found.arguments[0])


class _Deciding:
    """Decisions of one listener: rules first, then a table."""

    def __init__(
        self, scene: Scene, section: Section, path: tuple[str, ...], value: dict[str, Any], steps: list[Step]
    ) -> None:
        self._scene = scene
        self._ledger = scene.ledger
        self._section = section
        self._path = path
        self._value = value
        self._steps = steps
        self._branches: list[Branch] = []
        self._branch_lines: list[int] = []
        self._is_http = value["protocol"] in ("http", "https")

    def decide(self, default: tuple[Statement | None, Any]) -> None:
        acts = [step for step in self._steps if step.statement.keyword != "use_backend"]
        # HAProxy asks redirect rules after all of http-request.
        acts.sort(key=lambda step: step.statement.keyword == "redirect")
        allowed = [number_ for number_, step in enumerate(acts) if step.verdict == "None"]
        if allowed and any(step.goes_on or step.statement.keyword == "redirect" for step in acts[allowed[0] :]):
            for step in [acts[number_] for number_ in allowed]:
                reason = "what is changed or redirected after it would be, too: write a rule"
                self._ledger.unsupported(step.statement, reason, self._path)
            acts = [step for step in acts if step.verdict != "None"]
        routes = [step for step in self._steps if step.statement.keyword == "use_backend"]
        for number_, step in enumerate(acts):
            if step.condition == Always(holds=True) and not step.goes_on and step.target is not None:
                self._end(step, [*acts[number_ + 1 :], *routes], default[0])
                return
            self._act(step)
        if allowed:
            # None ends the rule that it stands in, and no other.
            self._flush()
        self._route(routes, default)

    def _end(self, step: Step, rest: list[Step], default: Statement | None) -> None:
        """Every request gets the same answer here."""
        self._flush()
        self._value.update(step.target)
        self._ledger.converted(step.statement, (*self._path, next(iter(step.target))))
        for one in rest:
            if not self._ledger.knows(one.statement):
                self._ledger.nothing(one.statement, "every request gets an answer before it", self._path)
        if default is not None and not self._ledger.knows(default):
            self._ledger.nothing(default, "every request gets an answer before it", self._path)

    def _act(self, step: Step) -> None:
        if step.goes_on:
            self._flush()
            self._branch(step)
            self._flush()
        else:
            self._branch(step)

    def _branch(self, step: Step) -> None:
        def put() -> None:
            hello = not self._is_http
            if hello and self._value["protocol"] != "tls":
                raise ConditionError("a listener of bytes has one backend, and no rules")
            condition = step.condition
            text = None if condition == Always(holds=True) else written(condition, self._scene.rules, hello=hello)
            self._branches.append((text, step.verdict or ""))
            self._branch_lines.append(step.statement.line)
            self._ledger.converted(step.statement, (*self._path, "rules"), "; ".join(step.differences) or None)

        self._scene.tried(step.statement, self._path, put)

    def _flush(self) -> None:
        """Write the branches that are waiting as one rule."""
        if not self._branches:
            return
        subject = "Request" if self._is_http else "Hello"
        lines = sorted(set(self._branch_lines))
        says = f"Line {lines[0]}." if len(lines) == 1 else f"Lines {lines[0]} to {lines[-1]}."
        name = self._scene.rules.add(self._path[1], subject, self._branches, says)
        self._value.setdefault("rules", []).append(name)
        self._branches, self._branch_lines = [], []

    def _route(self, routes: list[Step], default: tuple[Statement | None, Any]) -> None:
        has_names = self._value["protocol"] != "tcp" or "tls" in self._value
        ways: list[Told | None] = [told(step.condition) if has_names else None for step in routes]
        first = max((n + 1 for n, way in enumerate(ways) if way is None), default=0)
        pairs: list[tuple[list[Key], Any]] = [
            (way.keys if way is not None else [], step.target) for way, step in zip(ways, routes, strict=True)
        ]
        first += conflicts(pairs[first:])
        for step in routes[:first]:
            self._branch(step)
        self._flush()
        table = entries(pairs[first:])
        rest = [(step, way) for step, way in zip(routes[first:], ways[first:], strict=True) if way is not None]
        if table and not self._is_http and any(isinstance(target, dict) for target in table.values()):
            table = {key: target for key, target in table.items() if not isinstance(target, dict)}
        if table:
            self._table(table, rest, default)
        else:
            self._only(default)
        self._default_said(default[0])

    def _table(
        self, table: dict[str, Any], rest: list[tuple[Step, Told]], default: tuple[Statement | None, Any]
    ) -> None:
        tables = self._scene.draft.value["tables"]
        target = default[1]
        if isinstance(target, dict) and self._is_http:
            table.setdefault("*", target)
        elif isinstance(target, str):
            self._value["fallback"] = target
        name = next((known for known, one in tables.items() if one == table), None)
        if name is None:
            name = self._path[1]
            path = ("tables", name)
            self._scene.draft.put(path, table, rest[0][0].statement if rest else self._section.head)
            self._scene.draft.order.append(path)
        self._value["table"] = name
        for step, way in rest:
            key = next((one.text for one in way.keys if table.get(one.text) == step.target), None)
            if key is None:
                self._ledger.nothing(
                    step.statement, "never reached: earlier ones take what it is for", ("tables", name)
                )
                continue
            differences = [*way.differences, *step.differences]
            self._ledger.converted(step.statement, ("tables", name, key), "; ".join(differences) or None)

    def _only(self, default: tuple[Statement | None, Any]) -> None:
        target = default[1]
        if isinstance(target, str) and self._value["protocol"] != "tls":
            self._value["backend"] = target
        elif isinstance(target, str):
            self._value["table"] = self._path[1]
            self._scene.draft.value["tables"][self._path[1]] = {"*": target}
            self._value["fallback"] = target
        elif self._is_http:
            self._value.update(target or _UNMATCHED)
        else:
            self._nowhere()

    def _nowhere(self) -> None:
        """Take out a listener that leads nowhere."""
        del self._scene.draft.value["listeners"][self._path[1]]
        reason = "it leads to no server"
        self._ledger.unsupported(self._section.head, reason)

    def _default_said(self, statement: Statement | None) -> None:
        if statement is None:
            return
        difference = None
        if self._value["protocol"] == "tls":
            difference = "bytes that are no TLS are refused, and do not come here"
        key = next((one for one in ("backend", "fallback", "table") if one in self._value), "protocol")
        self._ledger.converted(statement, (*self._path, key), difference)


def _place(to: str) -> str:
    """Return where a redirect of ours leads, in Python. Raises SettingError."""
    text = quoted(to)
    for variable, attribute in (("{uri}", "{request.target}"), ("{host}", "{request.authority}")):
        text = text.replace(variable, attribute)
    if re.search(r"\{(?!request\.)", text):
        raise SettingError("its place is made of what rules do not know: write a rule")
    return f"f{text}" if "{" in text else text


def _add_time(statement: Statement, lengths: list[int]) -> None:
    lengths.append(milliseconds(statement.arguments[0]) or 168 * HOUR)


def _clients(condition: Condition) -> tuple[str, tuple[str, ...]] | None:
    """Return who is refused (``deny``) or alone served (``allow``), where a condition is about clients only."""
    if isinstance(condition, Test) and condition.sample.kind == "client":
        return "deny", condition.values
    if isinstance(condition, Not) and isinstance(condition.item, Test) and condition.item.sample.kind == "client":
        return "allow", condition.item.values
    return None


def _bare(statement: Statement) -> Statement:
    """Return an action without its condition."""
    words, condition = actions.words_of(statement)
    del words
    kept = statement.words[: len(statement.words) - len(condition)]
    return Statement(kept, statement.before, statement.beside)


def _names_variables(section: Section) -> bool:
    return any(
        "var(txn." in word.text for one in section.every() for word in one.words if one.keyword != "http-request"
    )
