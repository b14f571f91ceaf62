"""Compiled rules answer as the same functions do in Python, failures included; HEADWORKS_CASES says how many cases."""

import json
import os
from urllib.parse import quote

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rig import rules_made
from rig.rules_run import compiled, interpreted, made, same

CASES = int(os.environ.get("HEADWORKS_CASES", "2000"))
SUBJECTS = 4
PART = 4000
"""Cases of one test."""


def compare(seed: int) -> None:
    text = rules_made.Maker(seed).rule()
    rule = made(text)["rule"]
    program = json.dumps(rule.compile())
    for number in range(SUBJECTS):
        described = rules_made.subject(seed * SUBJECTS + number)
        expected, failure = interpreted(rule, described)
        for part in expected:
            if "rewrite" in part:
                part["rewrite"]["remove"].sort()
        outcome = compiled(program, described)
        shown = f"{text[len(rules_made.HEAD) :]}\n{described}\n{expected} {failure}\n{outcome}"
        assert same((expected, failure), outcome, program, described), shown


@pytest.mark.parametrize("part", range(max(1, -(-CASES // PART))))
def test_compiled_is_interpreted(part):
    """Each part has seeds of its own, and takes well less than a test may."""

    @settings(max_examples=max(1, min(CASES, PART) // SUBJECTS), deadline=None)
    @given(st.integers(part << 40, (part + 1) << 40))
    def compared(seed):
        compare(seed)

    compared()


def test_verdicts_and_failures_are_both_met():
    """Most cases would prove nothing if all of them failed, or none had a verdict."""
    met = {"failure": 0, "verdict": 0, "none": 0}
    for seed in range(200):
        rule = made(rules_made.Maker(seed).rule())["rule"]
        for number in range(SUBJECTS):
            verdict, failure = interpreted(rule, rules_made.subject(seed * SUBJECTS + number))
            met["failure" if failure else "verdict" if verdict else "none"] += 1
    assert min(met.values()) > 20, met


HOSTS = {
    "a.example": True,
    "A-b_c~.example.:8080": True,
    "192.0.2.1:65535": True,
    "[2001:db8::1]": True,
    "[::ffff:192.0.2.1]:80": True,
    "": False,
    ".": False,
    ".a": False,
    "a..b": False,
    "a,b": False,
    "a%41": False,
    "a:b": False,
    "a:": False,
    "a:065536": False,
    "a:65536": False,
    "[::1": False,
    "[::1]x": False,
    "[::1]:": False,
    "[fe80::1%eth0]": False,
    "[1.2.3.4]": False,
    "a b": False,
    "x" * 253 + ".": True,
    "x" * 255: False,
}


@pytest.mark.parametrize("host", HOSTS, ids=lambda host: host[:20] or "none")
def test_a_rewritten_host_is_one_that_a_client_may_ask_for(host):
    text = rules_made.HEAD + '    return headworks.rewrite(host=request.query_params.get("h", ""))\n'
    rule = made(text)["rule"]
    head = f"GET /?h={quote(host, safe='')} HTTP/1.1\r\nHost: a\r\n\r\n"
    described = rules_made.subject(0) | {"head": head}
    outcome = compiled(json.dumps(rule.compile()), described)
    assert outcome == interpreted(rule, described)
    assert (outcome[1] is None) == HOSTS[host]
