"""The cookbook is made of the examples: its code is theirs, every one has its recipe, its tests and its price."""

import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
EXAMPLES = ROOT / "examples"
PAGE = (ROOT / "docs" / "cookbook.md").read_text()
INTRODUCTION, *SECTIONS = re.split(r"^## ", PAGE, flags=re.MULTILINE)
RECIPES = {section.partition("\n")[0]: section for section in SECTIONS}
CONFIGURATION = (EXAMPLES / "analyzers" / "headworks.toml").read_text()


def lines(text: str) -> list[str]:
    """List the lines that say something."""
    return [line for line in text.splitlines() if line.strip()]


def shown(recipe: str, language: str) -> list[str]:
    """List the blocks of a recipe in one language."""
    return re.findall(rf"^```{language}\n(.*?)^```$", recipe, re.DOTALL | re.MULTILINE)


def source(recipe: str) -> tuple[str, Path]:
    """Return how much of which file a recipe shows."""
    found = re.findall(r"^(The whole|Part) of \[[\w.]+\]\(\.\./([\w./]+)\):$", recipe, re.MULTILINE)
    assert len(found) == 1, recipe.partition("\n")[0]
    return found[0][0], ROOT / found[0][1]


def named_tests(file: str) -> list[str]:
    """List the names of the tests of the examples."""
    return re.findall(r"^def (test_\w+)\(", (EXAMPLES / file).read_text(), re.MULTILINE)


@pytest.mark.parametrize("recipe", RECIPES.values(), ids=RECIPES)
def test_the_code_is_that_of_the_file(recipe: str) -> None:
    much, file = source(recipe)
    code = [line for block in shown(recipe, "python") for line in lines(block)]
    known = lines(file.read_text())
    if much == "Part":
        assert "\n".join(code) in "\n".join(known)
    else:
        assert code == known, f"docs/cookbook.md does not show {file.name} as it is"


@pytest.mark.parametrize("recipe", RECIPES.values(), ids=RECIPES)
def test_between_pieces_of_code_stands_why(recipe: str) -> None:
    pieces = re.split(r"^```python\n.*?^```$", recipe, flags=re.DOTALL | re.MULTILINE)[1:]
    assert pieces
    assert all(len(piece.split()) >= 8 for piece in pieces)
    assert re.search(r"^- Tests: `", recipe, re.MULTILINE)
    assert re.search(r"^- Costs: ", recipe, re.MULTILINE)


@pytest.mark.parametrize("recipe", RECIPES.values(), ids=RECIPES)
def test_the_configuration_is_that_of_the_examples(recipe: str) -> None:
    for block in shown(recipe, "toml"):
        assert block in CONFIGURATION
    for key, value in re.findall(r'`(rules|analyzers) = \["([\w:]+)"\]`', recipe):
        both = CONFIGURATION + (EXAMPLES / "rules" / "headworks.toml").read_text()
        named = re.findall(rf"^{key} = \[(.*)\]", both, re.MULTILINE)
        assert any(f'"{value}"' in names for names in named), f'no {key} of the examples names "{value}"'


def test_every_example_has_its_recipe() -> None:
    files = {file for file in (EXAMPLES / "analyzers").glob("*.py") if not file.name.startswith("test_")}
    assert files == {source(recipe)[1] for recipe in RECIPES.values()} - {EXAMPLES / "rules" / "policy.py"}
    assert len(RECIPES) == 12
    configured = set(re.findall(r"^\[analyzers\.\w+\]$", CONFIGURATION, re.MULTILINE))
    assert configured == set(re.findall(r"^\[analyzers\.\w+\]$", PAGE, re.MULTILINE))


def test_the_tests_that_are_named_exist() -> None:
    names = {"analyzers": named_tests("analyzers/test_examples.py"), "rules": named_tests("rules/test_policy.py")}
    for title, recipe in RECIPES.items():
        said = re.search(r'^- Tests: `(?:pytest examples/(rules) )?-k (\w+|"[\w ]+")`', recipe, re.MULTILINE)
        assert said is not None, title
        for word in said[2].strip('"').split(" or "):
            assert any(word in name for name in names[said[1] or "analyzers"]), f"{title}: no test has {word}"


def test_the_table_leads_to_every_recipe() -> None:
    anchors = re.findall(r"^\| \[.*?\]\(#([\w-]+)\) \|", INTRODUCTION, re.MULTILINE)
    assert anchors == [re.sub(r"[^\w -]", "", title.lower()).replace(" ", "-") for title in RECIPES]


def test_the_commands_work() -> None:
    commands = [shlex.split(line) for line in "".join(shown(INTRODUCTION, "sh")).splitlines()]
    tried = [command for command in commands if command[1] in ("check", "explain")]
    assert len(tried) == 2
    for command in tried:
        ran = subprocess.run(
            [sys.executable, "-m", *command], cwd=ROOT, text=True, capture_output=True, timeout=60, check=False
        )
        assert ran.returncode == 0, ran.stdout + ran.stderr
