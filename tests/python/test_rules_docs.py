"""Every example of docs/rules.md compiles, and says the same compiled as in Python."""

import json
import re
from pathlib import Path

import pytest

from headworks import _engine
from headworks.rules.compiler.attributes import OFFERED
from rig.rules_run import compiled, interpreted, made

PAGE = (Path(__file__).parents[2] / "docs" / "rules.md").read_text()
LANGUAGE = PAGE.partition("## What is compiled")[2].partition("\n## ")[0]
EXAMPLES = dict(re.findall(r"^\| (.+?) \| `(.+?)` \|$", LANGUAGE, re.MULTILINE))

MODULE = """\
import re
import headworks
OFFICE = headworks.networks("10.0.0.0/8", "2001:db8::/32")
TENANTS = {"a.example": "blue", "b.example": "green"}

@headworks.rule
def inner(request: headworks.Request) -> headworks.Verdict | None:
    return headworks.reject("inner") if request.method == "PUT" else None

@headworks.rule
def rule(request: headworks.Request) -> headworks.Verdict | None:
    BODY
    return None
"""

HEADS = [
    "GET / HTTP/1.1\r\nHost: a.example:8080\r\n\r\n",
    "POST /api/../users/12?n=7&key=a HTTP/1.1\r\nHost: B.example\r\nContent-Length: 0\r\nCookie: key=1\r\n\r\n",
    "PUT /users/12 HTTP/1.1\r\nHost: a.example\r\nX-Api-Key: x\r\n\r\n",
    "DELETE /private/x.php HTTP/1.1\r\nHost: c.example\r\n\r\n",
    "GET /Index HTTP/1.0\r\n\r\n",
    "OPTIONS * HTTP/1.1\r\nHost: a.example\r\n\r\n",
]


def subject(head, **more):
    plain = {"client": "10.1.2.3:5", "scheme": "http", "listener": "web", "backend": None, "id": None, "early": False}
    return {**plain, "head": head, "tls": None, "wall": 1_795_824_000, **more}


def test_the_table_is_there():
    assert len(EXAMPLES) > 20


@pytest.mark.parametrize("what", EXAMPLES)
def test_an_example_of_the_table(what):
    rule = made(MODULE.replace("BODY", EXAMPLES[what].replace("\\|", "|")))["rule"]
    program = json.dumps(rule.compile())
    for head in HEADS:
        for client in ("10.1.2.3:5", "[2001:db9::1]:5", None):
            described = subject(head, client=client)
            assert compiled(program, described) == interpreted(rule, described)


def test_the_first_example_of_the_page():
    text = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)[0]
    program = json.dumps(made(text)["route"].compile())
    asked = {"request": subject("GET /admin HTTP/1.1\r\nHost: c.example\r\n\r\n", client="192.0.2.1:5")}
    judged = json.loads(_engine.judge(program, json.dumps(asked)))
    assert judged["verdict"] == [{"respond": {"status": 403, "body": "not from here\n", "headers": []}}]


@pytest.mark.parametrize("kind", ["request", "response", "hello"])
def test_attributes_are_those_of_core(kind):
    """Whatever a rule may read is there, and nothing that core offers is out of reach."""
    offered = set(OFFERED[kind]) | {f"now.{name}" for name in OFFERED["now"]}
    if kind == "request":
        offered |= {"tls"} | {f"tls.{name}" for name in OFFERED["tls"]}
    if kind == "response":
        offered |= set(OFFERED["answered"])
    assert offered == set(_engine.attributes(kind))
