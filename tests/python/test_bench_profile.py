"""What the profiler reads and draws: tables of strace, counters and stacks of perf, flame graphs. Pure."""

import importlib.util
import os
import sys
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

BENCH = Path(__file__).resolve().parents[2] / "bench"
SVG = "{http://www.w3.org/2000/svg}"


def load(name):
    spec = importlib.util.spec_from_file_location(f"bench_{name}", BENCH / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


flames, watching = load("flames"), load("watching")

STRACE = """\
% time     seconds  usecs/call     calls    errors syscall
------ ----------- ----------- --------- --------- ----------------
 60.12    0.001234           2       400       100 recvfrom
 39.88    0.000800           4       200           sendto
  0.00    0.000000           0         1         1 connect
------ ----------- ----------- --------- --------- ----------------
100.00    0.002034           3       601       101 total
"""

SCRIPT = """\
headworks-0  4711  1234.5678:     500500 cpu-clock:
\tffffffff81000010 tcp_sendmsg+0x10 ([kernel.kallsyms])
\t    7f0000000100 __send+0x4 (/usr/lib/libc.so.6)
\t    7f0000000200 headworks_engine::socket::send::h0123456789abcdef+0x20 (/x/_engine.abi3.so)

headworks-0  4711  1234.5679:     500500 cpu-clock:
\t    7f0000000300 headworks_core::session::Session::handle+0x1 (/x/_engine.abi3.so)

headworks-0  4711  1234.5680:     500500 cpu-clock:
\tffffffff81000010 tcp_sendmsg+0x99 ([kernel.kallsyms])
\t    7f0000000100 __send+0x4 (/usr/lib/libc.so.6)
\t    7f0000000200 headworks_engine::socket::send::h0123456789abcdef+0x28 (/x/_engine.abi3.so)
"""


def test_a_table_of_strace_is_read():
    calls = watching.calls_of(STRACE)
    assert calls.counts == {"recvfrom": 400, "sendto": 200, "connect": 1}
    assert calls.errors == {"recvfrom": 100, "connect": 1}
    assert watching.calls_of("").counts == {}


def test_counters_a_machine_does_not_have_are_left_out():
    text = "# started\n\n1234,,instructions:u,100,100.00,,\n<not supported>,,instructions:k,0,100.00,,\n"
    assert watching.counters_of(text) == {"instructions:u": 1234}


def test_the_cpu_of_a_process_is_split():
    before = watching.Cpu.read([os.getpid()])
    sum(number * number for number in range(1_000_000))
    after = watching.Cpu.read([os.getpid()])
    assert after.user >= before.user
    assert after.user + after.kernel > 0


def test_equal_stacks_are_one_and_begin_with_the_outermost_frame():
    stacks = flames.fold(SCRIPT)
    assert stacks == {
        ("headworks_engine::socket::send", "__send", "tcp_sendmsg_[k]"): 2,
        ("headworks_core::session::Session::handle",): 1,
    }
    assert [name for name, _ in flames.leaves(stacks)] == [
        "tcp_sendmsg  (kernel)",
        "headworks_core::session::Session::handle",
    ]


def test_a_flame_graph_gives_every_frame_its_share():
    drawing = ET.fromstring(flames.svg(flames.fold(SCRIPT), "a <title>"))
    widths = {
        group.find(f"{SVG}title").text.partition(": ")[0]: float(group.find(f"{SVG}rect").get("width"))
        for group in drawing.iter(f"{SVG}g")
    }
    assert widths["all"] == pytest.approx(flames.WIDTH, abs=0.1)
    assert widths["tcp_sendmsg"] == pytest.approx(flames.WIDTH * 2 / 3, abs=0.1)
    assert len(widths) == 5


def test_names_cannot_break_the_drawing():
    stacks = {("<alloc::Vec<T> as \"x\" & 'y'>::push",): 3}
    drawing = ET.fromstring(flames.svg(stacks, "t"))
    assert any("alloc::Vec<T>" in (title.text or "") for title in drawing.iter(f"{SVG}title"))


def test_without_samples_there_is_a_drawing_without_frames():
    assert not list(ET.fromstring(flames.svg({}, "nothing")).iter(f"{SVG}g"))
