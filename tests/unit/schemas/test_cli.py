"""Settings come from flags and the environment; what belongs to a command comes from the command line alone."""

import os
import re
import subprocess
import sys
import tomllib
from dataclasses import dataclass

import cyclopts
import pytest
from cyclopts import Parameter

from compose.commands import cli as compose
from fraud.__main__ import cli as fraud
from schemas.cli import command_line, exit_status
from schemas.errors import SettingsError
from service.__main__ import cli as service


@Parameter(name="*")
@dataclass(frozen=True, kw_only=True)
class RoadSettings:
    """Settings of an example."""

    road_name: str = "unnamed"
    """Name of the road."""


def program(*, failure: Exception | None = None) -> tuple[cyclopts.App, list[tuple[str, bool]]]:
    """A program with one command, and what that was called with."""
    calls: list[tuple[str, bool]] = []
    cli = command_line("road", "An example.")

    @cli.command
    def build(settings: RoadSettings | None = None, *, yes: bool = False) -> int:
        """Build it."""
        if failure is not None:
            raise failure
        calls.append(((settings or RoadSettings()).road_name, yes))
        return 3

    return cli, calls


@pytest.fixture(autouse=True)
def _arguments(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["road", "build"])


def test_a_setting_comes_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ROAD_NAME", "Elm")
    cli, calls = program()
    assert exit_status(cli, failed=1) == 3
    assert calls == [("Elm", False)]


def test_a_flag_comes_before_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ROAD_NAME", "Elm")
    monkeypatch.setattr(sys, "argv", ["road", "build", "--road-name", "Oak"])
    cli, calls = program()
    exit_status(cli, failed=1)
    assert calls == [("Oak", False)]


def test_a_command_s_own_flag_never_comes_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("YES", "BUILD_YES", "ROAD_BUILD_YES"):
        monkeypatch.setenv(name, "true")
    cli, calls = program()
    exit_status(cli, failed=1)
    assert calls == [("unnamed", False)]


@pytest.mark.parametrize("failure", [SettingsError("no road"), OSError("no road")])
def test_what_could_not_be_done_is_one_line_and_a_status(
    failure: Exception, capsys: pytest.CaptureFixture[str]
) -> None:
    cli, _ = program(failure=failure)
    assert exit_status(cli, failed=7) == 7
    assert capsys.readouterr().err == "road: no road\n"


def commands(app: cyclopts.App, *names: str) -> list[tuple[str, ...]]:
    """Every command of a program, with the words that lead to it."""
    below = [name for name in app if not name.startswith("-")]
    own = [names] if app.default_command else []
    return own + [command for name in below for command in commands(app[name], *names, name)]


@pytest.mark.parametrize("app", [service, fraud, compose], ids=["service", "fraud", "compose"])
def test_the_help_of_a_command_names_no_variable_for_its_own_flags(
    app: cyclopts.App, capsys: pytest.CaptureFixture[str]
) -> None:
    for words in commands(app):
        app([*words, "--help"], result_action="return_value")
    variables = set(re.findall(r"\[env var: (\w+)\]", capsys.readouterr().out.replace("\n", " ")))
    assert variables
    assert variables.isdisjoint(
        {"NAME", "SCOPE", "YES", "WAIT", "PAYOR", "PAYEE", "ROWS", "RULES", "EMIT", "FILE", "REPLACE"}
    )


def test_no_token_is_made_of_what_stands_in_the_environment() -> None:
    command = [sys.executable, "-m", "service", "token"]
    environment = {**os.environ, "NAME": "evil", "SCOPE": "metrics:read"}
    process = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert process.returncode != 0
    assert process.stdout == ""
    assert "--name" in process.stderr


COMMANDS = ["--help", "rules"]


def run_fraud(words: str, redirection: str, **environment: str) -> subprocess.CompletedProcess[str]:
    command = f"{sys.executable} -m fraud {words} {redirection}"
    return subprocess.run(
        ["bash", "-c", command], env={**os.environ, **environment}, capture_output=True, text=True, check=False
    )


@pytest.mark.parametrize("words", COMMANDS)
def test_whoever_closes_the_pipe_has_seen_enough(words: str) -> None:
    process = run_fraud(words, "| true; exit ${PIPESTATUS[0]}")
    assert (process.returncode, process.stderr) == (0, "")


@pytest.mark.parametrize("words", COMMANDS)
def test_a_closed_output_takes_anything(words: str) -> None:
    process = run_fraud(words, ">&-")
    assert (process.returncode, process.stderr) == (0, "")


def test_a_terminal_that_lacks_a_character_is_shown_its_number() -> None:
    process = run_fraud("rules", "", PYTHONIOENCODING="ascii", COLUMNS="40")
    assert process.returncode == 0
    assert process.stdout.isascii()


def test_what_is_for_a_program_or_a_file_is_utf_8_in_any_locale() -> None:
    command = [sys.executable, "-m", "service", "token", "Jürgen", "--scope", "reviews:read"]
    environment = {**os.environ, "PYTHONIOENCODING": "latin-1"}
    process = subprocess.run(command, env=environment, capture_output=True, check=True)
    assert tomllib.loads(process.stdout.decode())["token"][0]["name"] == "Jürgen"


@pytest.mark.parametrize("command", [["compare"], ["evaluate"], ["ksql", "deploy"]])
@pytest.mark.parametrize("seconds", ["nan", "-1"])
def test_a_time_to_wait_is_a_number_of_seconds(command: list[str], seconds: str) -> None:
    with pytest.raises(cyclopts.ValidationError):
        fraud.parse_args([*command, "--wait", seconds], exit_on_error=False, print_error=False)
