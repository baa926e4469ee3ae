"""The README names everything that there is: each setting with its default, each topic, each address, each command."""

import ast
import dataclasses
import inspect
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cyclopts
import pytest
import yaml
from load_settings import LoadSettings

from compose.commands import cli as compose_cli
from compose.stack import StackSettings
from fraud.__main__ import cli as fraud_cli
from fraud.commands.compare import CompareSettings
from fraud.commands.evaluate import EvaluateSettings
from fraud.ksqldb.client import KsqldbSettings
from fraud.settings import FraudSettings
from schemas.kafka.settings import KafkaSettings
from schemas.kafka.topics import ALL_TOPICS, TopicSettings
from schemas.logs import LogSettings
from schemas.registry import RegistrySettings
from service.__main__ import cli as service_cli
from service.access.settings import AccessSettings
from service.settings import ServiceSettings

README = Path("README.md").read_text(encoding="utf-8")
SETTINGS = (
    ServiceSettings,
    AccessSettings,
    FraudSettings,
    KafkaSettings,
    RegistrySettings,
    TopicSettings,
    KsqldbSettings,
    LogSettings,
    StackSettings,
    LoadSettings,
)


def rows(settings: type[Any]) -> list[str]:
    """The table's rows for a group of settings: name, default, and what its docstring says."""
    [tree] = ast.parse(inspect.getsource(settings)).body
    assert isinstance(tree, ast.ClassDef)
    meaning = {
        field.target.id: " ".join(text.value.value.split())
        for field, text in zip(tree.body, tree.body[1:], strict=False)
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
    return "" if text is None else f"`{text}`"


@pytest.mark.parametrize("settings", SETTINGS, ids=lambda each: each.__name__)
def test_each_setting_is_in_the_table_with_its_default_and_meaning(settings: type[Any]) -> None:
    known = {row.split("`")[1] for row in README.splitlines() if row.startswith("| `")}
    missing = [row for row in rows(settings) if row not in README]
    repeated = [row for row in missing if row.split("`")[1] in known and settings in {StackSettings, LogSettings}]
    assert [row for row in missing if row not in repeated] == []


def test_settings_that_commands_share_have_the_same_names() -> None:
    shared = {field.name for field in dataclasses.fields(CompareSettings)} - {"kafka", "ksqldb"}
    assert shared <= {field.name for field in dataclasses.fields(FraudSettings)}
    shared = {field.name for field in dataclasses.fields(EvaluateSettings)} - {"kafka"}
    assert shared <= {field.name for group in (FraudSettings, LoadSettings) for field in dataclasses.fields(group)}


@pytest.mark.parametrize("topic", ALL_TOPICS)
def test_each_topic_is_in_the_table(topic: str) -> None:
    assert re.search(rf"^\|[^\n]*`{topic}`", README, re.MULTILINE)


def test_each_address_is_in_the_table() -> None:
    paths = yaml.safe_load(Path("service/openapi.yaml").read_text(encoding="utf-8"))["paths"]
    assert [path for path in paths if not path.endswith("{file}") and f"{path}`" not in README] == []


def commands(app: cyclopts.App) -> Iterator[str]:
    """The last word of each command, without those that only group others."""
    for name in (each for each in app if not each.startswith("-")):
        below = list(commands(app[name]))
        yield from below or [name]


@pytest.mark.parametrize("app", [fraud_cli, service_cli, compose_cli], ids=lambda each: each.name[0])
def test_each_command_is_in_its_row_of_the_table(app: cyclopts.App) -> None:
    of_this = "\n".join(row for row in README.splitlines() if row.startswith(f"| `python -m {app.name[0]}"))
    names = list(commands(app))
    assert names
    assert [name for name in names if not re.search(rf"`(?:[\w -]+ )?{name}`", of_this)] == []


def test_each_target_of_make_is_in_the_table() -> None:
    targets = re.findall(r"^([a-z-]+):.*##", Path("Makefile").read_text(encoding="utf-8"), re.MULTILINE)
    assert [target for target in targets if target != "help" and f"`make {target}`" not in README] == []
