"""The page on architecture holds: each room, each file and each function that it names is there."""

import ast
import configparser
import re
from pathlib import Path

import pytest

PAGE = Path("docs/architecture.md").read_text(encoding="utf-8")
_STOP = re.compile(r"`(\w+/[\w/]+\.py)`((?:(?:\s+|, | and )`[A-Za-z_][\w.]*`)+)")


def stops() -> list[tuple[str, str]]:
    """A file and a name in it, for each name in backticks that follows a file's."""
    return [(file, name) for file, names in _STOP.findall(PAGE) for name in re.findall(r"`([\w.]+)`", names)]


def names_in(file: Path) -> set[str]:
    """Functions, classes and methods ("Class.method") of a module, and what it assigns."""
    names: set[str] = set()
    for node in ast.parse(file.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            names.add(node.name)
        elif isinstance(node, ast.Assign):
            names |= {target.id for target in node.targets if isinstance(target, ast.Name)}
        if isinstance(node, ast.ClassDef):
            methods = [part for part in node.body if isinstance(part, ast.FunctionDef | ast.AsyncFunctionDef)]
            names |= {f"{node.name}.{method.name}" for method in methods}
    return names


def test_the_trips_have_stops() -> None:
    assert len(stops()) > 20


@pytest.mark.parametrize(("file", "name"), stops())
def test_each_function_is_in_its_file(file: str, name: str) -> None:
    assert name in names_in(Path(file))


def trip(title: str) -> str:
    """The text below a trip's heading."""
    return PAGE.partition(f"\n### {title}\n")[2].partition("\n### ")[0]


def test_the_trips_are_as_long_as_the_table_says() -> None:
    lengths = re.findall(r"^\| (.+) \| (\d+) \| (\d+) \|$", PAGE, re.MULTILINE)
    assert len(lengths) == 3
    for title, stops_number, forms_number in lengths:
        text = trip(title)
        forms = set(re.findall(r"\*([A-Za-z]+)\*", text))
        assert (len(re.findall(r"^\d+\. ", text, re.MULTILINE)), len(forms)) == (int(stops_number), int(forms_number))


def test_each_room_is_in_the_table() -> None:
    rooms = [path.parent for top in ("schemas", "fraud", "service") for path in Path(top).glob("**/__init__.py")]
    assert [str(room) for room in rooms if f"| `{room}` |" not in PAGE] == []


def test_each_contract_of_imports_is_in_the_table() -> None:
    config = configparser.ConfigParser()
    config.read("setup.cfg", encoding="utf-8")
    contracts = [section.rpartition(":")[2] for section in config if section.startswith("importlinter:contract:")]
    assert contracts
    assert [contract for contract in contracts if f"| {contract} |" not in PAGE] == []
