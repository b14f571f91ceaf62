"""Documentation that cannot rot: examples run, keys and words are complete, links lead somewhere."""

import re
import shlex
import subprocess
import sys
import tomllib
from base64 import encodebytes
from pathlib import Path

import configuration_docs
import pytest
import typer.main

from headworks._engine import counters
from headworks.certificates import Authority
from headworks.cli import app
from headworks.config import Config

ROOT = Path(__file__).resolve().parents[2]
PAGES = sorted(
    [*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md"), ROOT / "bench" / "README.md", ROOT / "fuzz" / "README.md"]
)
COMMANDS = (ROOT / "docs" / "commands.md").read_text()


def name(path: object) -> str:
    """Name a parameter by its path."""
    return str(path.relative_to(ROOT)) if isinstance(path, Path) else ""


def blocks(page: Path, language: str) -> list[str]:
    """List the code blocks of a page in one language."""
    return re.findall(rf"^```{language}\n(.*?)^```$", page.read_text(), re.DOTALL | re.MULTILINE)


def write_certificates(directory: Path) -> None:
    """Write the files that pages speak of."""
    authority = Authority()
    (certificate,) = authority.certificates(["example.com", "*.example.com"])
    (directory / "ca.pem").write_text(authority.pem())
    (directory / "tokens").write_text(f'[[token]]\nname = "a"\nrole = "read"\nsha256 = "{"0" * 64}"\n')
    (directory / "tokens").chmod(0o600)
    (directory / "certificates").mkdir()
    blocks = (("CERTIFICATE", certificate.chain[0]), ("PRIVATE KEY", certificate.key))
    (directory / "certificates" / "example.com.pem").write_text(
        "".join(f"-----BEGIN {kind}-----\n{encodebytes(der).decode()}-----END {kind}-----\n" for kind, der in blocks)
    )


def run(*command: str, cwd: Path = ROOT) -> subprocess.CompletedProcess[str]:
    """Run with our interpreter, from the root of the repository."""
    return subprocess.run([sys.executable, *command], cwd=cwd, text=True, capture_output=True, timeout=30, check=False)


def rust_names(file: str, enum: str) -> list[str]:
    """List the variants of a Rust enum in snake case."""
    body = re.search(rf"pub enum {enum} {{(.*?)^}}", (ROOT / file).read_text(), re.DOTALL | re.MULTILINE)
    assert body is not None
    variants = re.findall(r"^    ([A-Z]\w+)", body[1], re.MULTILINE)
    return [re.sub(r"(?<!^)([A-Z])", r"_\1", variant).lower() for variant in variants]


def reasons_to_close() -> set[str]:
    """List the words of the table of reasons."""
    table = (ROOT / "crates/core/src/close.rs").read_text()
    found = set(re.findall(r'^    [A-Z]\w+ = "(\w+)", (?:None|Some)', table, re.MULTILINE))
    assert {"completed", "drained"} <= found, "the test no longer finds the reasons"
    return found


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_toml_in_the_pages_is_toml(page: Path) -> None:
    for block in blocks(page, "toml"):
        tomllib.loads(block)


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_whole_configurations_in_the_pages_are_right(
    page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_certificates(tmp_path)
    for module, code in re.findall(
        r"`(\w+\.py)`:\n\n```python\n(.*?)^```$", page.read_text(), re.DOTALL | re.MULTILINE
    ):
        (tmp_path / module).write_text(code)
    monkeypatch.chdir(tmp_path)
    for block in blocks(page, "toml"):
        if "[listeners." in block:
            Config.parse(tomllib.loads(block))


def test_the_table_in_the_readme_is_right() -> None:
    tables = [block for block in blocks(ROOT / "README.md", "toml") if block.startswith("[tables")]
    listener = '[listeners.x]\nbind = "127.0.0.1:0"\nprotocol = "tls"\ntable = "sites"\n'
    assert tables
    for block in tables:
        Config.parse(tomllib.loads(listener + block))


@pytest.mark.parametrize(
    "page", [ROOT / "README.md", ROOT / "docs" / "getting-started.md", ROOT / "docs" / "troubleshooting.md"], ids=name
)
def test_commands_of_a_page_work_with_the_configuration_before_them(page: Path, tmp_path: Path) -> None:
    configured = False
    file = tmp_path / "headworks.toml"
    tried = []
    for language, block in re.findall(r"^```(toml|sh)\n(.*?)^```$", page.read_text(), re.DOTALL | re.MULTILINE):
        if language == "toml":
            configured = "[listeners." in block
            file.write_text(block)
            continue
        for line in block.splitlines():
            command = shlex.split(line, comments=True)
            if not configured or command[:1] != ["headworks"] or "headworks.toml" not in command:
                continue
            tried.append(command[1])
            if command[1] == "run":
                starts(file)
            else:
                ran = run("-m", *command, cwd=tmp_path)
                assert ran.returncode == 0, f"{name(page)}: {line}\n{block}\n{ran.stdout}{ran.stderr}"
    assert "explain" in tried


def starts(file: Path) -> None:
    """Run a configuration, on free ports, until it is ready."""
    elsewhere = file.with_name("elsewhere.toml")
    # Any free port of loopback, whatever the page says.
    elsewhere.write_text(re.sub(r"^bind = .*$", 'bind = "127.0.0.1:0"', file.read_text(), flags=re.MULTILINE))
    command = [sys.executable, "-m", "headworks", "run", str(elsewhere)]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        said = []
        for line in process.stderr:
            said.append(line)
            if " info ready " in line:
                break
        process.terminate()
        assert process.wait(30) == 0, "".join(said)


@pytest.mark.parametrize(
    "page",
    [ROOT / name for name in ("README.md", *(f"docs/{page}.md" for page in ("python", "https", "discovery", "admin")))],
    ids=name,
)
def test_programs_in_the_pages_run(page: Path) -> None:
    programs = blocks(page, "python")
    assert programs
    for program in programs:
        ran = run("-c", program)
        assert ran.returncode == 0, f"{program}\n{ran.stderr}"
        assert "Traceback" not in ran.stderr


@pytest.mark.parametrize("file", sorted((ROOT / "examples").glob("*.toml")), ids=name)
def test_example_configurations_are_right(file: Path) -> None:
    checked = run("-m", "headworks", "check", str(file))
    assert checked.returncode == 0, checked.stdout + checked.stderr


@pytest.mark.parametrize("file", sorted((ROOT / "examples").glob("*.py")), ids=name)
def test_example_programs_run(file: Path) -> None:
    ran = run(str(file))
    assert ran.returncode == 0, ran.stderr
    assert ran.stdout, "an example shows something"


def test_every_key_has_its_entry() -> None:
    page = (ROOT / "docs" / "configuration.md").read_text()
    missing = [key for key in configuration_docs.every_key() if f"### `{key}`" not in page]
    assert not missing, f"docs/configuration.md lacks {', '.join(missing)}: make docs"


def test_the_reference_is_what_the_models_say() -> None:
    page = (ROOT / "docs" / "configuration.md").read_text()
    assert configuration_docs.renewed(page) == page, "docs/configuration.md is not up to date: make docs"


def test_every_reason_to_close_is_explained() -> None:
    missing = [reason for reason in sorted(reasons_to_close()) if f"| `{reason}` |" not in COMMANDS]
    assert not missing, f"docs/commands.md does not explain {', '.join(missing)}"


def test_only_reasons_that_exist_are_explained() -> None:
    section = COMMANDS.partition("| `end` | means |")[2]
    explained = set(re.findall(r"^\| `(\w+)` \|", section, re.MULTILINE))
    strange = explained - reasons_to_close()
    assert not strange, f"docs/commands.md explains {strange}, which do not exist"


WORDS_OF_THE_TABLE = {
    "analyzer",
    "analyzer_error",
    "connect_error",
    "reason",
    "rule_error",
    "server_down",
    "stats()",
    "chunked",
    "headworks explain",
    "https://",
    "Retry-After",
}
"""Words in backticks there that are no keys: of records, notices, commands and protocols."""


def test_the_keys_that_the_table_of_reasons_names_exist() -> None:
    rows = COMMANDS.partition("| `end` | means |")[2].partition("\n\n")[0].splitlines()[1:]
    assert len(rows) > 30
    keys = list(configuration_docs.every_key())
    for row in rows:
        # The first column is the reason itself.
        for word in re.findall(r"`([^`]+)`", row.split("|", 2)[2]):
            key = word.partition(" = ")[0]
            is_key = any(f".{one}".endswith(f".{key}") for one in keys)
            is_entry = word.startswith('"')
            assert is_key or is_entry or word in WORDS_OF_THE_TABLE, f"docs/commands.md: there is no key {word}: {row}"


def test_the_reasons_that_troubleshooting_names_exist() -> None:
    page = (ROOT / "docs" / "troubleshooting.md").read_text()
    told = {word for cell in re.findall(r"`end=(\w+)`|^\| (`\w+`(?:, `\w+`)*)", page, re.MULTILINE) for word in cell}
    words = {word for one in told for word in re.findall(r"\w+", one)}
    met = {
        "no_match",
        "misdirected",
        "no_server",
        "bad_request",
        "denied",
        "response_timeout",
        "idle_timeout",
        "drained",
    }
    assert met <= words & reasons_to_close()
    notices = set(rust_names("crates/engine/src/notice.rs", "Notice"))
    strange = words - reasons_to_close() - notices - {"doubtful", "end", "line"}
    assert not strange, f"docs/troubleshooting.md explains {strange}, which do not exist"


def test_every_counter_is_explained() -> None:
    page = (ROOT / "docs" / "python.md").read_text()
    missing = [counter for counter, text in counters().items() if f"| `{counter}` | {text} |" not in page]
    assert not missing, f"docs/python.md does not list {', '.join(missing)} as crates/core/src/tally.rs has it"


def test_every_notice_is_explained() -> None:
    missing = [
        notice for notice in rust_names("crates/engine/src/notice.rs", "Notice") if f"| `{notice}` |" not in COMMANDS
    ]
    assert not missing, f"docs/commands.md does not explain {', '.join(missing)}"


def test_every_way_in_which_handshakes_fail_is_explained() -> None:
    page = (ROOT / "docs" / "https.md").read_text()
    reasons = rust_names("crates/core/src/tls/tally.rs", "HandshakeFault")
    assert "timed_out" in reasons
    missing = [reason for reason in reasons if f"| `{reason}` |" not in page]
    assert not missing, f"docs/https.md does not explain {', '.join(missing)}"


def test_every_key_of_an_access_record_is_explained() -> None:
    sources = [ROOT / "crates/engine/src" / name for name in ("record/mod.rs", "record/exchange.rs", "record/line.rs")]
    keys = [key for source in sources for key in re.findall(r'key!\("(\w{2,})"\)', source.read_text())] + ["ts"]
    assert len(set(keys)) >= 17, "the test no longer finds the keys of records"
    missing = [key for key in keys if f"`{key}`" not in COMMANDS]
    assert not missing, f"docs/commands.md does not explain {', '.join(missing)}"


def test_every_command_and_option_is_listed() -> None:
    group = typer.main.get_command(app)
    commands: dict[str, object] = getattr(group, "commands", {})
    assert {"run", "check", "show", "explain"} <= set(commands)
    wanted = {f"`headworks {command}" for command in commands}
    for command in [group, *commands.values()]:
        for parameter in getattr(command, "params", ()):
            wanted |= {f"`{option}" for option in parameter.opts if option.startswith("--")}
    missing = sorted(word for word in wanted if word not in COMMANDS)
    assert not missing, f"docs/commands.md lacks {', '.join(missing)}"


def test_every_public_name_is_listed() -> None:
    import headworks

    page = (ROOT / "docs" / "python.md").read_text()
    missing = [public for public in headworks.__all__ if not public.startswith("__") and f"`{public}" not in page]
    assert not missing, f"docs/python.md lacks {', '.join(missing)}"


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_links_lead_somewhere(page: Path) -> None:
    text = re.sub(r"```.*?```", "", page.read_text(), flags=re.DOTALL)
    for target in re.findall(r"\]\(([^)#\s]+)", text):
        if not target.startswith(("http://", "https://")):
            assert (page.parent / target).exists(), f"{name(page)}: {target} does not exist"


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_files_that_are_named_exist(page: Path) -> None:
    text = page.read_text()
    if page.name == "adding.md":  # its examples are files to be made
        text = re.sub(r"`crates/core/src/[\w/]+/(first|no_sslv2|postgres|no_trace)\.rs`", "", text)
    named = re.findall(r"`((?:crates|python|tests|tools|docs|fuzz|bench|examples)/[\w./-]+\.\w+)`", text)
    named += [f"crates/{file}" for file in re.findall(r"`((?:core|engine)/src/[\w./-]+)`", text)]
    missing = [file for file in named if not (ROOT / file).exists() and not file.startswith("bench/results/")]
    assert not missing, f"{name(page)} names {', '.join(missing)}"


def test_the_rule_of_the_recipe_is_the_one_that_is_tested() -> None:
    recipe = next(block for block in blocks(ROOT / "docs" / "adding.md", "rust") if "impl Rule for" in block)
    tested = (ROOT / "crates" / "core" / "tests" / "rules.rs").read_text()
    assert "impl Rule for" + recipe.partition("impl Rule for")[2] in tested


def test_every_page_is_in_the_navigation() -> None:
    site = tomllib.loads((ROOT / "zensical.toml").read_text())
    listed = {target for entry in site["project"]["nav"] for target in entry.values()}
    assert listed == {page.name for page in (ROOT / "docs").glob("*.md")}


def test_make_lists_its_targets() -> None:
    listed = subprocess.run(["make"], cwd=ROOT, text=True, capture_output=True, timeout=30, check=True).stdout
    for target in ("demo", "test", "check", "bench", "bench-deps", "bench-guard", "profile", "fmt", "docs", "clean"):
        assert f"make {target} " in listed
