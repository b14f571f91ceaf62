"""What `make wheels` says of a wheel that is not what it promises."""

import zipfile
from pathlib import Path

import wheels

TAG = "cp311-abi3-manylinux_2_28_x86_64"
PATHS = ("/home/somebody",)


def wheel(directory: Path, *, tag: str = TAG, module: str = "_engine.abi3.so", content: bytes = b"") -> list[str]:
    """Say what is wrong with a wheel of this kind."""
    file = directory / "made.whl"
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("headworks-1.dist-info/WHEEL", f"Wheel-Version: 1.0\nTag: {tag}\n")
        archive.writestr(f"headworks/{module}", b"\x7fELF GLIBC_2.9 GLIBC_2.28 " + content)
    return list(wheels.problems(file, "x86_64", PATHS))


def test_a_good_one_has_no_problems(tmp_path: Path) -> None:
    assert wheel(tmp_path) == []


def test_each_broken_promise_is_named(tmp_path: Path) -> None:
    assert "cp312-cp312" in wheel(tmp_path, tag="cp312-cp312-linux_x86_64")[0]
    assert "_engine.cpython-312.so" in wheel(tmp_path, module="_engine.cpython-312.so")[0]
    assert wheel(tmp_path, content=b"GLIBC_2.34") == ["headworks/_engine.abi3.so needs glibc 2.34"]
    assert wheel(tmp_path, content=b"/home/somebody/.cargo/x.rs") == [
        "headworks/_engine.abi3.so speaks of /home/somebody"
    ]


def test_an_architecture_that_rustc_does_not_know_is_missing() -> None:
    assert wheels.is_missing("pdp11")
