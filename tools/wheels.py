"""Build the wheels and try them: `tools/wheels.py DIRECTORY`, which `make wheels` calls.

One wheel for each architecture of `TARGETS` whose standard library rustc has; which one is missing, and the command
that installs it, is said. Zig links against an old glibc, whatever this machine has. Each wheel must be abi3, of the
promised platform and free of this machine's paths; the one of this machine is installed in a clean environment and
shown at work. Exit code 1 when that fails, never for a missing architecture.
"""

import os
import platform
import re
import subprocess
import sys
import tempfile
import time
import venv
import zipfile
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent

GLIBC = (2, 28)
"""The oldest glibc that the wheels are for: Debian 10, RHEL 8 and Ubuntu 20.04 have a newer one."""

TARGETS = ("x86_64", "aarch64")


def main() -> None:
    """Build, check and try out."""
    directory = Path(sys.argv[1]).resolve()
    wrong = []
    for machine in TARGETS:
        if is_missing(machine):
            print(f"no wheel for {machine}: rustc has no standard library for {triple(machine)}")
            print(f"  install it with: rustup target add {triple(machine)}")
            continue
        wheel = build(machine, directory)
        wrong += [f"{wheel.name}: {problem}" for problem in problems(wheel, machine, own_paths())]
        print(f"{wheel} ({wheel.stat().st_size / 1e6:.1f} MB)")
        if machine == platform.machine():
            try_out(wheel)
    sys.exit("\n".join(wrong) or 0)


def triple(machine: str) -> str:
    """Return rustc's name for a machine with Linux and glibc."""
    return f"{machine}-unknown-linux-gnu"


def is_missing(machine: str) -> bool:
    """Whether rustc cannot build for it."""
    told = subprocess.run(
        ["rustc", "--print", "target-libdir", "--target", triple(machine)], capture_output=True, text=True, check=False
    )
    return told.returncode != 0 or not Path(told.stdout.strip()).is_dir()


def cargo_home() -> Path:
    """Return where cargo keeps the sources of crates."""
    return Path(os.environ.get("CARGO_HOME", Path.home() / ".cargo"))


def own_paths() -> tuple[str, ...]:
    """Return paths of this machine, which are nobody else's business and would differ from build to build."""
    return (str(cargo_home()), str(ROOT))


def build(machine: str, directory: Path) -> Path:
    """Build the wheel for a machine and return it."""
    tag = f"manylinux_{GLIBC[0]}_{GLIBC[1]}"
    remapped = ((cargo_home() / "registry" / "src", "crates"), (ROOT, "headworks"))
    environment = {
        **os.environ,
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        "RUSTFLAGS": " ".join(f"--remap-path-prefix={path}={name}" for path, name in remapped),
        "CFLAGS": " ".join(f"-ffile-prefix-map={path}={name}" for path, name in remapped),
    }
    for old in directory.glob(f"*{tag}_{machine}*.whl"):
        old.unlink()
    subprocess.run(
        [
            *("maturin", "build", "--release", "--locked", "--zig"),
            *("--compatibility", tag, "--target", triple(machine), "--out", str(directory)),
        ],
        check=True,
        cwd=ROOT,
        env=environment,
    )
    (wheel,) = directory.glob(f"*{tag}_{machine}*.whl")
    return wheel


def problems(wheel: Path, machine: str, paths: tuple[str, ...]) -> Iterator[str]:
    """Yield what is wrong with a wheel: its tags, its module, the glibc it wants, the paths in it."""
    tag = f"cp311-abi3-manylinux_{GLIBC[0]}_{GLIBC[1]}_{machine}"
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
        about = next(name for name in names if name.endswith(".dist-info/WHEEL"))
        tags = re.findall(r"^Tag: (\S+)$", archive.read(about).decode(), re.MULTILINE)
        if tags != [tag]:
            yield f"its tags are {', '.join(tags)}, not {tag}"
        if (modules := [name for name in names if name.endswith(".so")]) != ["headworks/_engine.abi3.so"]:
            yield f"its native modules are {', '.join(modules) or 'none'}"
        for name in names:
            content = archive.read(name)
            yield from (f"{name} speaks of {path}" for path in paths if path.encode() in content)
            newest = max(((int(a), int(b)) for a, b in re.findall(rb"GLIBC_(\d+)\.(\d+)", content)), default=GLIBC)
            if name.endswith(".so") and newest > GLIBC:
                yield f"{name} needs glibc {newest[0]}.{newest[1]}"


def try_out(wheel: Path) -> None:
    """Install it where nothing else is, and let it show itself."""
    with tempfile.TemporaryDirectory() as place:
        venv.create(place, with_pip=True)
        programs = Path(place) / "bin"
        began = time.monotonic()
        subprocess.run([programs / "pip", "install", "--quiet", wheel], check=True, cwd=place)
        print(f"installed in {time.monotonic() - began:.1f} s")
        subprocess.run([programs / "headworks", "--version"], check=True, cwd=place)
        subprocess.run([programs / "headworks", "demo", "--once"], check=True, cwd=place)


if __name__ == "__main__":
    main()
