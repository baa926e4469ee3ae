"""`fraud rules`: what another program is told of the rules."""

import json
import re
from pathlib import Path

import pytest

from fraud.bank_names import BLANKS
from fraud.commands.rules import meaning, rules
from fraud.rules import load, parse

ENGINE = Path("compose/streams")


def test_json_says_what_each_shipped_rule_means_in_numbers(capsys: pytest.CaptureFixture[str]) -> None:
    rules(form="json")
    shipped = {rule["name"]: rule for rule in json.loads(capsys.readouterr().out)}
    assert list(shipped) == [rule.name for rule in load()]
    assert shipped["structuring"] == {
        "name": "structuring",
        "fingerprint": load()[0].fingerprint,
        "group_by": ["payor_account_no", "payee_bank", "payee_account_no"],
        "fold_banks": True,
        "amount_from": None,
        "amount_below": 10000.01,
        "size_ms": 86_400_000,
        "advance_ms": 86_400_000,
        "grace_ms": 3_600_000,
        "total_above_cents": 1_000_000,
        "min_payments": None,
        "min_distinct": None,
    }
    assert shipped["structuring_rolling"]["advance_ms"] == 86_400_000
    assert shipped["fan_in"]["min_distinct"] == {"of": ["payor_account_no"], "count": 5}
    assert shipped["velocity"]["min_payments"] == 10


def test_a_grace_that_a_rule_leaves_out_is_that_of_ksqldb() -> None:
    (rule,) = parse('[[rule]]\nname = "r"\ngroup_by = ["payor_account_no"]\nwindow = "10m"\nmin_payments = 2', "test")
    assert meaning(rule)["grace_ms"] == 24 * 3_600_000 - 600_000


def test_the_table_names_every_rule_and_when_it_fires(capsys: pytest.CaptureFixture[str]) -> None:
    rules()
    table = capsys.readouterr().out
    assert "velocity" in table
    assert "10 payments" in table


def test_the_engine_reads_every_key_but_invents_none() -> None:
    """A key that the record in Java does not have would be ignored there, and the rule mean something else."""
    source = (ENGINE / "Rule.java").read_text(encoding="utf-8")
    [fields] = re.findall(r"record Rule\((.*?)\) \{", source, re.DOTALL)
    names = [
        re.sub(r"(?<=[a-z])[A-Z]", lambda capital: "_" + capital[0].lower(), word)
        for word in re.findall(r"(\w+)(?:,|$)", fields)
    ]
    assert set(names) == set(meaning(load()[0]))


def test_the_engine_takes_the_same_characters_for_blanks() -> None:
    source = (ENGINE / "Payment.java").read_text(encoding="utf-8")
    assert BLANKS.replace("\\", "\\\\") in source
