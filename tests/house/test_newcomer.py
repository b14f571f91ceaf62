"""The first five minutes of a newcomer, walked as docs/python.md has them: files, commands and what they print."""

import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "python.md").read_text()
WALK = PAGE.partition("## The first analyzer in five minutes\n")[2].partition("\n## ")[0]
STEPS = re.findall(r"(?:^[^\n]*`([\w.]+)`[^\n`]*:\n\n)?^```(\w+)\n(.*?)^```$", WALK, re.DOTALL | re.MULTILINE)
"""A file's name or nothing, the language, and what stands there."""
PRINTED_PORT = "127.0.0.1:8080"


class Walk:
    """A folder in which the page is done."""

    def __init__(self, folder: Path, stack: ExitStack) -> None:
        self.folder = folder
        self.stack = stack
        self.address = PRINTED_PORT
        self.printed: list[str] = []
        """The last thing that commands have printed."""
        self.done: list[str] = []

    def write(self, name: str, text: str) -> None:
        """Write a file, with any free port in the place of the page's."""
        (self.folder / name).write_text(text.replace(PRINTED_PORT, "127.0.0.1:0"))

    def type(self, block: str) -> None:
        """Do what a block of commands says, but for setting up."""
        self.printed = []
        for line in block.splitlines():
            command = shlex.split(line)
            self.done.append(command[0])
            if command[:2] == ["headworks", "run"]:
                self.printed += self.stack.enter_context(running(self.folder, command))
                self.address = re.findall(r"address=(\S+)", self.printed[-1])[0]
            elif command[0] in ("headworks", "pytest"):
                self.printed += self.run(sys.executable, "-m", *command)
            elif command[0] == "curl":
                asked = [word.replace(PRINTED_PORT, self.address) for word in command[1:]]
                # Where there is no curl, the rest of the walk is worth it all the same.
                self.printed += self.run(shutil.which("curl") or "true", "--silent", *asked)

    def run(self, *command: str) -> list[str]:
        """Run a command to its end; return what it prints."""
        ran = subprocess.run(
            command, cwd=self.folder, text=True, stdout=-1, stderr=subprocess.STDOUT, timeout=60, check=False
        )
        return ran.stdout.splitlines()

    def saw(self, block: str) -> None:
        """Check that it was printed, line by line; ``...`` stands for anything, and there may be more between."""
        left = iter(self.printed)
        for line in block.replace(PRINTED_PORT, self.address).splitlines():
            wanted = ".*".join(map(re.escape, line.split("...")))
            if self.done[-1] == "curl" and shutil.which("curl") is None:
                continue
            assert any(re.fullmatch(wanted, one) for one in left), f"{line}\nis not in\n" + "\n".join(self.printed)


@contextmanager
def running(folder: Path, command: list[str]) -> Iterator[list[str]]:
    """Run a proxy; give what it says until it is ready."""
    with subprocess.Popen(
        [sys.executable, "-m", *command], cwd=folder, text=True, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
    ) as process:
        assert process.stderr is not None
        said = []
        for line in process.stderr:
            said.append(line.rstrip("\n"))
            if " info ready " in line:
                break
        try:
            yield said
        finally:
            process.terminate()
            process.communicate(timeout=30)


def test_the_page_is_walked(tmp_path: Path) -> None:
    with ExitStack() as stack:
        walk = Walk(tmp_path, stack)
        for name, language, text in STEPS:
            if language == "sh":
                walk.type(text)
            elif language == "text":
                walk.saw(text)
            else:
                assert name, text
                walk.write(name, text)
    assert [word for word in walk.done if word != "curl"][-5:] == ["headworks"] * 3 + ["pytest"] * 2
    assert walk.printed[-1].startswith("2 passed")


def test_it_is_as_short_as_it_says() -> None:
    files = {name: text.splitlines() for name, language, text in reversed(STEPS) if language in ("python", "toml")}
    assert len(files["site.py"]) <= 10
    assert len(files["headworks.toml"]) == 4
