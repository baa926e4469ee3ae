"""The pages name everything that there is: each setting with its default, each topic, address, command and rule."""

import ast
import dataclasses
import inspect
import re
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import cyclopts
import pytest
import yaml
from load_settings import LoadSettings

import schemas
from compose.commands import cli as compose_cli
from compose.stack import StackSettings
from fraud.__main__ import cli as fraud_cli
from fraud.commands.compare import CompareSettings
from fraud.commands.evaluate import EvaluateSettings
from fraud.ksqldb.client import KsqldbSettings
from fraud.rules import load
from fraud.settings import EngineSettings, FraudSettings
from schemas.kafka.provisioning import TopicSettings
from schemas.kafka.settings import KafkaSettings
from schemas.kafka.topics import ALL_TOPICS, CONFIGS
from schemas.logs import LogSettings
from schemas.registry import RegistrySettings
from service.__main__ import cli as service_cli
from service.access_settings import AccessSettings
from service.settings import ServiceSettings

README = Path("README.md").read_text(encoding="utf-8")
PAGES = {path.stem: path.read_text(encoding="utf-8") for path in Path("docs").glob("*.md")}
SETTINGS: dict[str, tuple[type[Any], ...]] = {
    "fraud": (FraudSettings,),
    "The service": (ServiceSettings,),
    "Access": (AccessSettings,),
    "Kafka": (KafkaSettings,),
    "The schema registry": (RegistrySettings,),
    "Topics that have to be made": (TopicSettings,),
    "The second engine": (EngineSettings, KsqldbSettings),
    "Logs": (LogSettings,),
    "Load": (LoadSettings,),
    "The local stack": (StackSettings,),
}
"""The sections of docs/settings.md, and whose settings each has; what an earlier one has is not said again."""


def test_the_readme_is_one_page() -> None:
    assert len(README.splitlines()) <= 150


def test_each_page_is_in_the_readmes_table() -> None:
    assert [page for page in PAGES if f"](docs/{page}.md)" not in README] == []


def test_the_changelog_begins_with_the_version_that_runs_or_with_what_is_not_released() -> None:
    changelog = Path("CHANGELOG.md").read_text(encoding="utf-8")
    assert re.findall(r"^## (\S+)", changelog, re.MULTILINE)[0] in {schemas.__version__, "Unreleased"}


def section(page: str, title: str) -> str:
    """The text below a heading of the second level, up to the next one."""
    [_, _, rest] = f"\n{PAGES[page]}".partition(f"\n## {title}\n")
    return rest.partition("\n## ")[0]


def table_rows(text: str) -> list[str]:
    """The rows of the tables in a text, without their heads."""
    lines = text.splitlines()
    heads = {place for place, line in enumerate(lines) if re.match(r"\|(-+\|)+$", line)}
    return [line for place, line in enumerate(lines) if line.startswith("|") and not {place, place + 1} & heads]


def class_body(kind: type[Any]) -> list[ast.stmt]:
    """The statements of a class."""
    [tree] = ast.parse(inspect.getsource(kind)).body
    assert isinstance(tree, ast.ClassDef)
    return tree.body


def rows(settings: type[Any]) -> list[str]:
    """The table's rows for a group of settings: name, default, and what its docstring says."""
    meaning = {
        field.target.id: " ".join(text.value.value.split())
        for kind in settings.__mro__[:-1]
        for field, text in pairwise(class_body(kind))
        if isinstance(field, ast.AnnAssign)
        and isinstance(field.target, ast.Name)
        and isinstance(text, ast.Expr)
        and isinstance(text.value, ast.Constant)
        and isinstance(text.value.value, str)
    }
    return [
        f"| `{field.name.upper()}` | {shown(field.default)} | {meaning[field.name]} |"
        for field in dataclasses.fields(settings)
    ]


def shown(default: Any) -> str:
    """As the variable would be written."""
    text = " ".join(default) if isinstance(default, tuple) else default
    return f"`{text}`" if text not in {None, ""} else ""


def table(title: str) -> list[str]:
    """The rows that a section of docs/settings.md has to have."""
    earlier: set[str] = set()
    for heading, groups in SETTINGS.items():
        described = [row for group in groups for row in rows(group) if row.split("`")[1] not in earlier]
        if heading == title:
            return described
        earlier |= {row.split("`")[1] for row in described}
    raise KeyError(title)


@pytest.mark.parametrize("title", SETTINGS)
def test_the_table_has_each_setting_with_its_default_and_meaning_and_no_other(title: str) -> None:
    assert table_rows(section("settings", title)) == table(title)


def test_each_section_of_the_settings_is_compared() -> None:
    assert re.findall(r"^## (.+)$", PAGES["settings"], re.MULTILINE) == list(SETTINGS)


def test_settings_that_commands_share_have_the_same_names() -> None:
    shared = {field.name for field in dataclasses.fields(CompareSettings)} - {"kafka", "ksqldb"}
    assert shared <= {field.name for group in (FraudSettings, EngineSettings) for field in dataclasses.fields(group)}
    shared = {field.name for field in dataclasses.fields(EvaluateSettings)} - {"kafka"}
    assert shared <= {field.name for group in (FraudSettings, LoadSettings) for field in dataclasses.fields(group)}


KEPT = {"compact": "compacted", "-1": "for ever"}
"""The words for how long a topic keeps its records."""


@pytest.mark.parametrize("topic", ALL_TOPICS)
def test_each_topic_is_in_the_table_with_how_long_it_is_kept(topic: str) -> None:
    [row] = [row for row in table_rows(PAGES["topics"]) if f"`{topic}`" in row.split("|")[1]]
    config = CONFIGS[topic]
    retention = config.get("retention.ms", config["cleanup.policy"])
    assert row.split("|")[4].strip() == KEPT.get(
        retention, f"{int(retention) // 86_400_000} days" if retention.isdigit() else ""
    )


def test_each_address_is_in_the_table() -> None:
    paths = yaml.safe_load(Path("service/openapi.yaml").read_text(encoding="utf-8"))["paths"]
    assert [path for path in paths if not path.endswith("{file}") and f"{path}`" not in PAGES["http"]] == []


def test_each_rule_is_in_the_readmes_table() -> None:
    assert [rule.name for rule in load() if not re.search(rf"^\| `{rule.name}` \|", README, re.MULTILINE)] == []


def test_each_point_of_the_windows_page_is_named_in_the_code_and_there_is_no_other() -> None:
    headings = re.findall(r"^## (\d+)\. ", PAGES["windows"], re.MULTILINE)
    assert headings == [str(number) for number in range(1, len(headings) + 1)]
    code = Path("fraud/windows.py").read_text(encoding="utf-8")
    assert set(re.findall(r"\((\d+)(?:: [^)]*)?\)", code)) == set(headings)


def commands(app: cyclopts.App) -> Iterator[str]:
    """The last word of each command, without those that only group others."""
    for name in (name for name in app if not name.startswith("-")):
        below = list(commands(app[name]))
        yield from below or [name]


@pytest.mark.parametrize("app", [fraud_cli, service_cli, compose_cli], ids=lambda app: app.name[0])
def test_each_command_is_in_its_row_of_the_table(app: cyclopts.App) -> None:
    described = "\n".join(row for row in table_rows(PAGES["commands"]) if row.startswith(f"| `python -m {app.name[0]}"))
    names = list(commands(app))
    assert names
    assert [name for name in names if not re.search(rf"`(?:[\w -]+ )?{name}`", described)] == []


def test_each_target_of_make_is_in_the_table() -> None:
    targets = re.findall(r"^([a-z-]+):.*##", Path("Makefile").read_text(encoding="utf-8"), re.MULTILINE)
    assert [name for name in targets if name != "help" and f"`make {name}`" not in PAGES["commands"]] == []
