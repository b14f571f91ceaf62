"""Rules run in both ways, as Python and as core does, with what they say in one shape."""

import json
import linecache

import headworks
from headworks import _engine
from headworks.rules import verdicts


def made(text: str, name: str = "made"):
    """Run the text of a module as a cell of a notebook, and return its names."""
    file = f"<{name}>"
    linecache.cache[file] = (len(text), None, text.splitlines(keepends=True), file)
    names = {"__name__": name}
    exec(compile(text, file, "exec"), names)
    return names


def request_of(described):
    """Return the object that stands for what is described."""
    client, _, port = (described["client"] or "").rpartition(":")
    tls = described["tls"]
    return headworks.Request.parse(
        described["head"].encode("latin-1"),
        client=client.strip("[]") or None,
        client_port=int(port) if port else None,
        scheme=described["scheme"],
        listener=described["listener"],
        backend=described["backend"],
        id=described["id"],
        early=described["early"],
        tls=headworks.Tls(**tls) if tls else None,
    )


def shown(text):
    """Return a text as the engine shows it: a character for each byte."""
    return "None" if text is None else str(text).encode("utf-8", "surrogateescape").decode("latin-1")


def normal(verdict):
    """Return a verdict of Python in the shape of the engine's."""
    log, found = [], []
    rewritten = {"set": [], "add": [], "remove": [], "path": None, "host": None, "query": None}
    changes = False
    for part in verdict.parts if verdict else ():
        match part:
            case verdicts.Log():
                log += [[name, shown(value)] for name, value in part.fields]
            case verdicts.Rewrite():
                changes = True
                rewritten["set"] += [[name, shown(value)] for name, value in part.set if value is not None]
                rewritten["add"] += [[name, shown(value)] for name, value in part.add]
                rewritten["remove"] += [name for name, value in part.set if value is None] + list(part.remove)
                rewritten |= {k: v for k in ("path", "host", "query") if (v := getattr(part, k)) is not None}
            case verdicts.Route():
                server = None if part.server is None else shown(part.server)
                found.append({"route": {"backend": shown(part.backend), "server": server}})
            case verdicts.Respond():
                headers = [[name, shown(value)] for name, value in part.headers]
                found.append({"respond": {"status": part.status, "body": shown(part.body), "headers": headers}})
            case verdicts.Redirect():
                found.append({"redirect": {"to": shown(part.to), "code": part.code}})
            case verdicts.Reject():
                found.append({"reject": {"reason": shown(part.reason)}})
    first = [{"log": log}] if log else []
    return first + ([{"rewrite": rewritten}] if changes else []) + found


def interpreted(rule, described: dict):
    """Run a rule as Python."""
    with headworks.now.at(described["wall"]):
        try:
            return normal(rule(request_of(described))), None
        except (ValueError, KeyError, IndexError) as error:
            return [], type(error).__name__


def compiled(program: str, described: dict):
    """Run a rule as core does."""
    judged = json.loads(_engine.judge(program, json.dumps({"request": described})))
    if judged["failure"]:
        return [], judged["failure"].partition(":")[0]
    for part in judged["verdict"]:
        if "rewrite" in part:
            part["rewrite"]["remove"].sort()
    return judged["verdict"], None


def same(one, other, program, described):
    """Whether two outcomes are one. Where several parts of one verdict fail, either may be the one that is told."""
    if one == other or None in (one[1], other[1]):
        return one == other
    steps = json.loads(_engine.judge(program, json.dumps({"request": described})))["steps"]
    return ": return " in steps[-2]
