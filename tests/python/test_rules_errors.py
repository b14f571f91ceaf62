"""What rules may not say: each with its place, and what to write instead."""

import importlib.util
import sys
import textwrap

import pytest

import headworks
from headworks.rules.compiler.source import MOST_NESTED

HEAD = """\
import ipaddress
import re
import headworks

BAD = {"curl", "wget"}
TABLE = {"a": "app", "b": "canary"}
LIST = ["x", "y"]
NET = ipaddress.ip_network("10.0.0.0/8")

def plain(text):
    return text

@headworks.rule
def hello_rule(hello: headworks.Hello) -> headworks.Verdict | None:
    return None

@headworks.rule
def rule(request: headworks.Request) -> headworks.Verdict | None:
"""


def module(tmp_path, text):
    file = tmp_path / "site_under_test.py"
    file.write_text(text)
    spec = importlib.util.spec_from_file_location("site_under_test", file)
    made = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(made)
    return made


def problems(tmp_path, body):
    made = module(tmp_path, HEAD + textwrap.indent(textwrap.dedent(body), "    "))
    with pytest.raises(headworks.RuleError) as raised:
        made.rule.compile()
    return raised.value.problems


REFUSED = [
    # The body of a rule, the text that is underlined, and how the reason begins.
    ("for x in LIST:\n    pass", None, "a for loop is not compiled"),
    ("while True:\n    pass", None, "a while loop is not compiled"),
    ("try:\n    pass\nexcept ValueError:\n    pass", None, "try is not compiled"),
    ("with open('x'):\n    pass", None, "with is not compiled"),
    ("raise ValueError", "raise ValueError", "raise is not compiled"),
    ("assert request.path", "assert request.path", "assert is not compiled"),
    ("del request", "del request", "del is not compiled"),
    ("import os", "import os", "import within a rule"),
    ("global BAD", "global BAD", "global is not compiled"),
    ("def f():\n    pass", None, "a function within a rule"),
    ("class A:\n    pass", None, "a class within a rule"),
    ("if (lambda: True)():\n    return None", "lambda: True", "a lambda is not compiled"),
    ("if [x for x in LIST]:\n    return None", "[x for x in LIST]", "a list comprehension"),
    ("if {x for x in LIST}:\n    return None", "{x for x in LIST}", "a set comprehension"),
    ("if any(x for x in LIST):\n    return None", "any(x for x in LIST)", "any() is not compiled"),
    ("if request.headers.get('a').lower() == 'x':\n    return None", "request.headers.get('a')", "may be None"),
    ("if request.host.endswith('x'):\n    return None", "request.host", "request.host may be None"),
    ("x = request.host\nif x.lower() == 'a':\n    return None", "x", "x may be None"),
    ("if request.client in NET:\n    return None", "request.client", "request.client may be None"),
    ("if request.tls.version == '1.3':\n    return None", "request.tls", "request.tls is None without TLS"),
    ("if request.headers['a'] == 'x':\n    return None", "request.headers['a']", "'a' may not be there"),
    ("if request.path == 5:\n    return None", "request.path", "request.path is a text and 5 is a number"),
    ("if request.client == '10.0.0.1':\n    return None", "request.client", "request.client is an address or None"),
    ("if request.path < 5:\n    return None", "5", "5 is a number, and < and > need a text"),
    ("if request.early == 1:\n    return None", "request.early", "request.early is a truth value and 1 is a number"),
    ("if request.early in {1}:\n    return None", "request.early", "request.early is a truth value"),
    ("if request.pth == 'x':\n    return None", "request.pth", "request has no pth"),
    ("if request.headers == 'x':\n    return None", "request.headers", "the headers is no value"),
    ("if request.headers.getlist('a'):\n    return None", "request.headers.getlist('a')", "getlist() is not compiled"),
    ("if request.path.replace('a', 'b') == 'x':\n    return None", "request.path.replace", "replace() is not compiled"),
    ("if request.path.split('/'):\n    return None", "request.path.split('/')", "split() gives several texts"),
    ("if request.path[::2] == 'x':\n    return None", "2", "steps of slices"),
    ("if f'{request.path:>5}' == 'x':\n    return None", "f'{request.path:>5}'", "formats in f-strings"),
    ("if f'{request.host}' == 'x':\n    return None", "request.host", "request.host may be None"),
    ("if request.path + 5 == 'x':\n    return None", "5", "5 is a number, and + takes a text"),
    ("if request.path % 5 == 'x':\n    return None", "request.path % 5", "% of a text"),
    ("if len(request.path) + 1 > 5:\n    return None", "len(request.path) + 1", "arithmetic is compiled"),
    ("if plain(request.path) == 'x':\n    return None", "plain(request.path)", "plain() is not compiled"),
    ("if print(1):\n    return None", "print(1)", "print() is not compiled"),
    (
        "if re.sub('a', 'b', request.path):\n    return None",
        "re.sub('a', 'b', request.path)",
        "re.sub() is not compiled",
    ),
    ("if re.match('(?=a)', request.path):\n    return None", "'(?=a)'", "look-ahead and look-behind"),
    ("if re.match(r'(a)\\1', request.path):\n    return None", r"r'(a)\1'", "a reference to a group"),
    ("if re.match('a$b', request.path):\n    return None", "'a$b'", "$ is compiled at the end"),
    ("if re.match('(', request.path):\n    return None", "'('", "it is no pattern"),
    (f"if re.match('{'(a)' * 10}', request.path):\n    return None", f"'{'(a)' * 10}'", "a pattern has 10 groups"),
    ("if re.match(request.path, 'a'):\n    return None", "request.path", "a pattern must be a constant"),
    ("if re.match('a', request.path).group(0):\n    return None", "re.match('a', request.path)", "may be None"),
    ("m = re.match('a', request.path)\nif m and m.group(1):\n    return None", "1", "the pattern has no group 1"),
    ("if 'é' in request.path:\n    return None", "'é'", "'\\xe9' is beyond printable ASCII"),
    ("if b'a' in request.path:\n    return None", "b'a'", "bytes are not compiled"),
    ("if unknown:\n    return None", "unknown", "unknown is not defined"),
    ("if request.path:\n    x = 1\nif x == 1:\n    return None", "x", "x may have no value here"),
    ("request.path = 'x'", "request.path", "requests are changed by verdicts only"),
    ("x = y = 1", "x = y = 1", "several names at once"),
    ("a, b = request.path, 1", None, "several names at once"),
    ("table = TABLE", "TABLE", "a table or function has one name"),
    ("request = 1", "request", "request stands for"),
    ("if TABLE[request.host]:\n    return None", "request.host", "request.host may be None"),
    ("if request.headers.get('a') is True:\n    return None", "True", "is compiled with None only"),
    ("return request.path", "request.path", "request.path is no verdict"),
    ("return 5", "5", "5 is no verdict"),
    ("return headworks.respond(99)", "99", "99 is not a status"),
    ("return headworks.redirect('/', 200)", "200", "200 is none of 301"),
    ("return headworks.limit('a', '5')", "'5'", '"5" is not a rate'),
    ("return headworks.route('a') & headworks.respond(403)", "headworks.respond(403)", "a verdict has one of"),
    ("return headworks.rewrite(path='no')", "'no'", "'no' is not a path"),
    ("return headworks.rewrite(path='/a b')", "'/a b'", "'/a b' is not a path"),
    ("return headworks.rewrite(host='a/b')", "'a/b'", "'a/b' is not a host"),
    ("return headworks.rewrite(query='a#b')", "'a#b'", "'a#b' is not a query"),
    ("return headworks.redirect('')", "''", "it leads nowhere"),
    ("return headworks.redirect('/a\\r\\nX: 1')", "'/a\\r\\nX: 1'", "'/a\\r\\nX: 1' is not a place"),
    ("return headworks.redirect('/\u00e9')", "'/\u00e9'", "'/\u00e9' is not a place"),
    ("return headworks.rewrite()", "headworks.rewrite()", "rewrite() changes nothing"),
    ("return headworks.rewrite(set_headers={'a b': 'x'})", "'a b'", '"a b" is not a name of a field'),
    ("return headworks.rewrite(set_headers={request.path: 'x'})", "request.path", "the name of a field must be"),
    ("return headworks.log()", "headworks.log()", "log() takes fields by name"),
    ("return headworks.route()", "headworks.route()", "route() lacks backend"),
    ("return headworks.route('a', port=1)", "1", "route() takes no other port"),
    ("return headworks.route(*LIST)", "*LIST", "* is not compiled"),
    ("headworks.route('a')", "headworks.route('a')", "what this gives is not used"),
    ("x = headworks.route('a')", "headworks.route('a')", "the verdict of headworks.route() is used as a value"),
    ("return hello_rule(request)", "hello_rule(request)", "site_under_test:hello_rule is a rule for a hello"),
    ("return rule(request)", "rule(request)", "site_under_test:rule calls itself"),
    ("return rule(5)", "rule(5)", "a rule is asked about the same request"),
    ("if headworks.sample(101, request.path):\n    return None", "101", "101 is not between 0 and 100"),
    ("match request.path:\n    case x:\n        return None", "x", "only constants, | and _"),
    ("match (request.path, 1):\n    case _:\n        return None", "(request.path, 1)", "match is compiled for one"),
    ("match request.path:\n    case 5:\n        return None", "request.path", "request.path is a text and 5 is"),
    ("if len(x := request.path) > 5:\n    return None", "x := request.path", ":= is compiled at the beginning"),
    ("if int(request.path, 16) > 5:\n    return None", "16", "int() takes one argument"),
    ("if request.path.startswith('a', 1):\n    return None", "1", "startswith() takes one argument"),
    ("if request.path in [request.host]:\n    return None", "request.host", "a collection holds constants only"),
    ("if headworks.now.year > 1:\n    return None", "headworks.now.year", "headworks.now has no year"),
    ("if request.cookies.items():\n    return None", "request.cookies.items()", "items() is not compiled"),
]


@pytest.mark.parametrize(("body", "marked", "reason"), REFUSED, ids=[one[2] for one in REFUSED])
def test_what_is_not_compiled_is_said_with_its_place(tmp_path, body, marked, reason):
    found = problems(tmp_path, body)
    assert len(found) == 1, [str(one) for one in found]
    (one,) = found
    assert reason in one.reason
    assert one.file.endswith("site_under_test.py")
    line = (tmp_path / "site_under_test.py").read_text().splitlines()[one.line - 1]
    assert one.source == line
    if marked is not None:
        assert line[one.column - 1 : one.column - 1 + one.width] == marked


def test_a_problem_is_shown_with_the_place_underlined(tmp_path):
    (one,) = problems(tmp_path, "if request.host.endswith('.example'):\n    return None")
    file = tmp_path / "site_under_test.py"
    assert str(one) == (
        f"{file}:19:8: request.host may be None, and endswith() needs a text; "
        "test it before: if request.host is not None\n"
        "        if request.host.endswith('.example'):\n"
        "           ^^^^^^^^^^^^"
    )


def test_columns_count_characters(tmp_path):
    found = problems(tmp_path, "return headworks.respond(403, 'é') & headworks.respond(404)")
    assert found[0].column == len("    return headworks.respond(403, 'é') & ") + 1


def test_every_problem_is_said_and_none_that_only_follows(tmp_path):
    body = """\
        x = request.path.replace("a", "b")
        if x == "c" and x.lower():
            return headworks.respond(1)
        y = [1 for _ in x]
        for _ in LIST:
            pass
        return 5
        """
    assert [one.reason for one in problems(tmp_path, body)] == [
        "replace() is not compiled",
        "1 is not a status between 200 and 599",
        "a list comprehension is not compiled",
        "a for loop is not compiled",
        "5 is no verdict",
    ]


@pytest.mark.parametrize(
    ("signature", "reason"),
    [
        ("def f():", "a rule has one argument"),
        ("def f(request: headworks.Request, x=1):", "a rule has one argument"),
        ("def f(*request: headworks.Request):", "a rule has one argument"),
        ("def f(request):", "request is not said to be a request, response or hello"),
        ("def f(request: int):", "request is not said to be a request, response or hello"),
        ("async def f(request: headworks.Request):", "an async function is not compiled"),
    ],
)
def test_a_rule_has_one_argument_that_says_what_it_is(tmp_path, signature, reason):
    made = module(tmp_path, f"import headworks\n\n@headworks.rule\n{signature}\n    return None\n")
    with pytest.raises(headworks.RuleError, match=reason):
        made.f.compile()


def test_annotations_may_be_texts(tmp_path):
    text = "from __future__ import annotations\nimport headworks\n\n@headworks.rule\n"
    made = module(tmp_path, f"{text}def f(request: headworks.Request) -> None:\n    return None\n")
    assert made.f.compile()["kind"] == "request"


def test_a_lambda_and_what_is_no_function():
    with pytest.raises(headworks.RuleError, match="a lambda is not compiled"):
        headworks.rule(lambda _: None).compile()
    with pytest.raises(TypeError, match="a rule is a function, and this is int"):
        headworks.rule(5)


def test_source_that_cannot_be_found_is_said():
    made = {"headworks": headworks, "__name__": "made"}
    text = "@headworks.rule\ndef f(request: headworks.Request):\n    return None\n"
    exec(compile(text, "<nowhere>", "exec"), made)
    with pytest.raises(headworks.RuleError, match="its source cannot be found; put the rule into a file"):
        made["f"].compile()


def test_a_notebook_s_cells_are_found_by_linecache():
    import linecache

    text = "@headworks.rule\ndef f(request: headworks.Request):\n    return None\n"
    made = {"headworks": headworks, "__name__": "made"}
    linecache.cache["<cell 5>"] = (len(text), None, text.splitlines(keepends=True), "<cell 5>")
    exec(compile(text, "<cell 5>", "exec"), made)
    assert made["f"].compile()["name"] == "made:f"


def test_names_that_shadow_builtins_mean_what_they_mean_in_python(tmp_path):
    text = "import headworks\nlen = {'a': 'b'}\n@headworks.rule\ndef f(request: headworks.Request):\n"
    made = module(tmp_path, text + "    return headworks.route(len.get(request.path, 'x'))\n")
    assert "lookup" in str(made.f.compile())
    made = module(tmp_path, text + "    return headworks.route('a') if len(request.path) else None\n")
    with pytest.raises(headworks.RuleError):
        made.f.compile()


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        ("return None if " + "not " * 70 + "request.path else None", f"more than {MOST_NESTED} levels"),
        ("\n".join(["if request.path == 'a': return None"] * 100_000), "longer than 1 MiB"),
        ("\n".join(["if request.path == 'a': return None"] * 10_000), "more than 20,000 nodes"),
        (
            "return headworks.route('x' if request.path in {" + ",".join(map(str, range(150_000))) + "} else 'y')",
            "more than 20,000 nodes",
        ),
        ("return headworks.route(" + "+".join(["request.path"] * 500) + ")", f"more than {MOST_NESTED} levels"),
        ("".join(f"if (x{n} := request.host) and " + "\\\n" for n in range(40)) + "True:\n    pass", "more than"),
        ("".join(f"x{n} = request.path\n" for n in range(40)), "more than 32 names"),
        ("".join(f"x{n} = re.match('a', request.path)\n" for n in range(20)), "more than 16 matches"),
    ],
    ids=["deep", "long", "branches", "constants", "sum", "walrus", "slots", "registers"],
)
def test_bombs_are_refused_in_time(tmp_path, body, reason):
    text = HEAD + textwrap.indent(body, "    ") + "\n"
    try:
        made = module(tmp_path, text)
    except (SyntaxError, RecursionError, MemoryError):
        return
    with pytest.raises(headworks.RuleError, match=reason):
        made.rule.compile()


def test_rules_that_call_rules_twice_each_are_refused_in_time(tmp_path):
    head = "import headworks\n\n"
    rule = "@headworks.rule\ndef {name}(request: headworks.Request):\n"
    text = head + rule.format(name="r15") + "    return None\n"
    for number in range(14, -1, -1):
        calls = "".join(f"    if request.path == '{way}': return r{number + 1}(request)\n" for way in range(3))
        text += rule.format(name=f"r{number}") + calls + "    return None\n"
    made = module(tmp_path, text)
    with pytest.raises(headworks.RuleError, match=r"more than 1,000 times") as raised:
        made.r0.compile()
    assert len(raised.value.problems) == 1
    assert made.r10.compile()["kind"] == "request"


@pytest.mark.parametrize(
    ("constant", "use", "reason"),
    [
        ("10**100_000", "request.content_length == BIG", "more than 64 bits"),
        ("'x' * ((1 << 20) + 1)", "request.path == BIG", "a text has 1,048,577 characters"),
        ("{str(n): 'x' * 10_000 for n in range(2000)}", "BIG.get(request.path) == 'x'", "16 MiB of values"),
        ("{str(n) + 'x' * 10_000 for n in range(2000)}", "request.path in BIG", "16 MiB of keys"),
    ],
    ids=["number", "text", "values", "keys"],
)
def test_huge_constants_are_refused(tmp_path, constant, use, reason):
    text = HEAD.replace("LIST =", f"BIG = {constant}\nLIST =")
    made = module(tmp_path, text + f"    return None if {use} else headworks.reject()\n")
    with pytest.raises(headworks.RuleError, match=reason):
        made.rule.compile()


def test_a_prompt_s_rules_say_what_to_do():
    """The interpreter at a prompt keeps no source before 3.13; a script from stdin never has one."""
    import subprocess

    text = (
        "import headworks\n@headworks.rule\ndef f(request: headworks.Request):\n    return None\n\n"
        "try:\n    f.compile()\n    print('compiled')\nexcept headworks.RuleError as error:\n    print(error)\n\n"
    )
    for options in ((), ("-i",)):
        ran = subprocess.run(
            [sys.executable, "-q", *options], input=text, text=True, capture_output=True, timeout=50, check=False
        )
        assert "its source cannot be found; put the rule into a file" in ran.stdout or "compiled" in ran.stdout, ran


def test_a_long_chain_of_branches_that_return_is_flat(tmp_path):
    chain = "".join(
        f"{'el' if n else ''}if request.path == '/{n}':\n    return headworks.route('b{n}')\n" for n in range(500)
    )
    made = module(tmp_path, HEAD + textwrap.indent(chain, "    "))
    assert len(made.rule.compile()["body"]) == 500


def test_a_table_has_a_bound(tmp_path):
    text = HEAD.replace("LIST =", "BIG = frozenset(map(str, range(100_001)))\nLIST =")
    made = module(tmp_path, text + "    return None if request.path in BIG else headworks.reject()\n")
    with pytest.raises(headworks.RuleError, match="a table has 100,001 keys, more than 100,000"):
        made.rule.compile()


@pytest.fixture(autouse=True)
def _imports_are_undone():
    before = set(sys.modules)
    yield
    for name in set(sys.modules) - before:
        if name.startswith("site_under_test"):
            del sys.modules[name]
