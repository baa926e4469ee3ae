"""A file of rules holds what its comments say, and an error in it is named by file, rule and key."""

from pathlib import Path

import pytest

from fraud.rules import Rule, load, milliseconds, parse, split_duration
from schemas.errors import SettingsError

GOOD = {
    "name": '"near"',
    "group_by": '["payor_account_no"]',
    "window": '"24h"',
    "min_payments": "3",
}


def text(**keys: str | None) -> str:
    """A file with one rule: `GOOD` with keys changed, added, or (None) left out."""
    merged = {**GOOD, **keys}
    return "[[rule]]\n" + "".join(f"{key} = {value}\n" for key, value in merged.items() if value is not None)


def rule(**keys: str | None) -> Rule:
    (only,) = parse(text(**keys), "test.toml")
    return only


def error(file_text: str) -> str:
    with pytest.raises(SettingsError) as caught:
        parse(file_text, "test.toml")
    return str(caught.value)


def test_the_eight_shipped_rules() -> None:
    assert [rule.name for rule in load()] == [
        "structuring",
        "structuring_rolling",
        "structuring_weeks",
        "fan_out",
        "fan_in",
        "fan_in_few",
        "just_below",
        "velocity",
    ]


def test_structuring_is_as_the_design_says() -> None:
    structuring = load()[0]
    assert structuring.group_by == ("payor_account_no", "payee_bank", "payee_account_no")
    assert (structuring.amount_from, structuring.amount_below) == (None, 10000.01)
    assert (structuring.size_ms, structuring.advance_ms) == (86_400_000, 86_400_000)
    assert structuring.grace_ms("changes") == structuring.grace_ms("final") == 3_600_000
    assert structuring.total_above_cents == 1_000_000


def test_structuring_rolling_takes_exactly_ten_thousand() -> None:
    rolling = load()[1]
    assert rolling.amount_below == 10000.01
    assert (rolling.size_ms, rolling.advance_ms) == (3 * 86_400_000, 86_400_000)


def test_a_file_of_ones_own_is_read(tmp_path: Path) -> None:
    file = tmp_path / "mine.toml"
    file.write_text(text(), encoding="utf-8")
    assert [rule.name for rule in load(file)] == ["near"]


def test_durations_stay_as_they_were_written() -> None:
    assert (rule().window, rule(advance='"90m"').advance, rule().grace) == ("24h", "90m", None)


@pytest.mark.parametrize(
    ("duration", "ms"),
    [("0s", 0), ("250ms", 250), ("30s", 30_000), ("10m", 600_000), ("24h", 86_400_000), ("1d", 86_400_000)],
)
def test_a_duration_in_milliseconds(duration: str, ms: int) -> None:
    assert milliseconds(duration) == ms


def test_a_duration_in_its_parts() -> None:
    assert split_duration("24h") == (24, "h")
    with pytest.raises(ValueError, match="'24 h' is no duration"):
        split_duration("24 h")


@pytest.mark.parametrize(
    ("window", "changes_ms", "final_ms"),
    [("1h", 23 * 3_600_000, 0), ("24h", 0, 0), ("72h", 0, 0)],
)
def test_without_grace_changes_wait_until_a_day_is_over_and_final_does_not(
    window: str, changes_ms: int, final_ms: int
) -> None:
    without = rule(window=f'"{window}"')
    assert (without.grace_ms("changes"), without.grace_ms("final")) == (changes_ms, final_ms)


def test_grace_of_zero_is_not_the_default() -> None:
    assert rule(window='"1h"', grace='"0s"').grace_ms("changes") == 0


@pytest.mark.parametrize(
    ("written", "in_cents"), [("10000.00", 1_000_000), ("10000", 1_000_000), ("0.07", 7), ("1e15", 10**17)]
)
def test_a_total_is_exact_in_cents(written: str, in_cents: int) -> None:
    assert rule(total_above=written).total_above_cents == in_cents


@pytest.mark.parametrize(
    ("group_by", "topic"),
    [
        ('["payor_account_no"]', "payments"),
        ('["payee_bank", "payee_account_no", "payor_account_no"]', "payments"),
        ('["payor_account_no", "payee_bank"]', "payments"),
        ('["payee_account_no", "payee_bank"]', "payments_by_payee"),
    ],
)
def test_a_rule_reads_the_topic_that_keeps_its_groups_together(group_by: str, topic: str) -> None:
    assert rule(group_by=group_by).input_topic == topic


@pytest.mark.parametrize(
    "same",
    [{"window": '"1d"'}, {"window": '"86400s"'}, {"advance": '"24h"'}, {"grace": '"0s"'}],
)
def test_the_fingerprint_does_not_change_with_the_way_of_writing(same: dict[str, str]) -> None:
    assert rule(**same).fingerprint == rule().fingerprint


@pytest.mark.parametrize(
    "other",
    [
        {"name": '"nearer"'},
        {"group_by": '["payor_account_no", "payee_bank"]'},
        {"amount_from": "9000"},
        {"amount_below": "10000.01"},
        {"window": '"25h"'},
        {"advance": '"12h"'},
        {"grace": '"1h"'},
        {"total_above": "10000"},
        {"min_payments": "4"},
        {"min_distinct": '{ of = ["payee_bank"], count = 2 }'},
        {"min_distinct": '{ of = ["payee_bank"], count = 2 }', "fold_banks": "true"},
    ],
)
def test_the_fingerprint_changes_with_the_meaning(other: dict[str, str]) -> None:
    assert rule(**other).fingerprint != rule().fingerprint


def test_folding_banks_is_another_meaning() -> None:
    groups = {"group_by": '["payee_bank", "payee_account_no"]'}
    assert rule(**groups, fold_banks="true").fingerprint != rule(**groups).fingerprint
    assert rule(**groups, fold_banks="false").fingerprint == rule(**groups).fingerprint


def test_fingerprints_outlive_the_process() -> None:
    """They stand in changelogs: one that changes with the code drops everybody's open windows."""
    structuring = (
        '[[rule]]\nname = "structuring"\ngroup_by = ["payor_account_no", "payee_bank", "payee_account_no"]\n'
        'amount_below = 10000.00\nwindow = "24h"\ngrace = "1h"\ntotal_above = 10000.00\n'
    )
    [before_banks_could_be_folded] = parse(structuring, "test.toml")
    assert before_banks_could_be_folded.fingerprint == "319a6248bd48fc43"
    assert load()[0].fingerprint == "a592346074d8ed51"


@pytest.mark.parametrize(
    ("keys", "key", "reason"),
    [
        ({"name": None}, "name", "is missing"),
        ({"name": '"Near"'}, "name", "cannot be 'Near'"),
        ({"fold_banks": "true"}, "fold_banks", "the rule does not look at banks"),
        ({"fold_banks": "1", "group_by": '["payee_bank", "payee_account_no"]'}, "fold_banks", "got `int`"),
        ({"name": '"9near"'}, "name", "cannot be"),
        ({"name": '"a-b"'}, "name", "cannot be"),
        ({"name": f'"{"a" * 65}"'}, "name", "cannot be"),
        ({"name": "5"}, "name", "got `int`"),
        ({"group_by": None}, "group_by", "is missing"),
        ({"group_by": "[]"}, "group_by", "length >= 1"),
        ({"group_by": '"payor_account_no"'}, "group_by", "got `str`"),
        ({"group_by": '["payer"]'}, "group_by", "'payer'"),
        ({"group_by": '["payor_account_no", "payor_account_no"]'}, "group_by", "payor_account_no stands there twice"),
        ({"group_by": '["payee_bank"]'}, "group_by", "several partitions"),
        ({"group_by": '["payee_account_no"]'}, "group_by", "several partitions"),
        ({"amount_from": "-1"}, "amount_from", ">= 0"),
        ({"amount_from": "nan"}, "amount_from", ">= 0"),
        ({"amount_from": '"9000"'}, "amount_from", "got `str`"),
        ({"amount_from": "0.001"}, "amount_from", "at most two decimals"),
        ({"amount_below": "9999.994"}, "amount_below", "at most two decimals"),
        ({"amount_below": "0"}, "amount_below", "> 0"),
        ({"amount_below": "inf"}, "amount_below", "<= "),
        ({"amount_from": "5", "amount_below": "5"}, "amount_below", "no payment is that small"),
        ({"window": None}, "window", "is missing"),
        ({"window": '"24 hours"'}, "window", "cannot be '24 hours'"),
        ({"window": '"-24h"'}, "window", "cannot be"),
        ({"window": '"1.5h"'}, "window", "cannot be"),
        ({"window": '"0h"'}, "window", "is 0"),
        ({"window": "24"}, "window", "got `int`"),
        ({"advance": '"0s"'}, "advance", "too short"),
        ({"advance": '"86399ms"'}, "advance", "too short"),
        ({"advance": '"25h"'}, "advance", "longer than the window"),
        ({"grace": '"soon"'}, "grace", "cannot be 'soon'"),
        ({"total_above": "-0.01"}, "total_above", "cannot be -0.01"),
        ({"total_above": "10000.001"}, "total_above", "cannot be 10000.001"),
        ({"total_above": "nan"}, "total_above", "cannot be NaN"),
        ({"total_above": "1e5000"}, "total_above", "cannot be"),
        ({"total_above": '"10000"'}, "total_above", "got `str`"),
        ({"total_above": "true"}, "total_above", "got `bool`"),
        ({"min_payments": "0"}, "min_payments", ">= 1"),
        ({"min_payments": "2.5"}, "min_payments", "got `decimal`"),
        ({"min_payments": "true"}, "min_payments", "got `bool`"),
        ({"min_distinct": '{ of = ["payee_bank"] }'}, "min_distinct.count", "is missing"),
        ({"min_distinct": "{ count = 5 }"}, "min_distinct.of", "is missing"),
        ({"min_distinct": '{ of = ["payee_bank"], count = 1001 }'}, "min_distinct.count", "<= 1000"),
        ({"min_distinct": "{ of = [], count = 5 }"}, "min_distinct.of", "length >= 1"),
        ({"min_distinct": '{ of = ["bank"], count = 5 }'}, "min_distinct.of", "'bank'"),
        ({"min_distinct": '{ of = ["payor_account_no"], count = 5 }'}, "min_distinct.of", "only one such value"),
        ({"min_distinct": '{ of = ["payee_bank", "payee_bank"], count = 5 }'}, "min_distinct.of", "twice"),
        ({"min_distinct": "5"}, "min_distinct", "got `int`"),
    ],
)
def test_an_error_names_file_rule_and_key_and_says_what_is_allowed(
    keys: dict[str, str | None], key: str, reason: str
) -> None:
    message = error(text(**keys))
    shown = "rule number 1" if keys.get("name", "") in {None, "5"} else f"rule {keys.get('name') or GOOD['name']}"
    assert message.startswith(f"test.toml: {shown}: {key}: ")
    assert reason in message
    assert "; allowed: " in message


def test_an_unknown_key_is_named_with_those_that_are_known() -> None:
    assert error(text(grase='"1h"')).startswith('test.toml: rule "near": grase: unknown key; allowed: name, group_by, ')
    assert "cnt: unknown key; allowed: min_distinct.of, min_distinct.count" in error(
        text(min_distinct='{ of = ["payee_bank"], cnt = 5 }')
    )


def test_a_rule_that_could_never_fire_is_refused() -> None:
    message = error(text(min_payments=None))
    assert message == 'test.toml: rule "near": never fires: give one of total_above, min_payments, min_distinct'


def test_two_rules_of_one_name_are_refused() -> None:
    assert (
        error(text() + text(window='"1h"'))
        == 'test.toml: rule "near": name: 2 rules have it; each needs one of its own'
    )


@pytest.mark.parametrize("nothing", ["", "# nothing", "rule = 3", "rule = []", "rule = [3]"])
def test_a_file_without_rules_is_refused(nothing: str) -> None:
    assert error(nothing) == "test.toml: has no rules; each begins with a line [[rule]]"


def test_what_is_no_rule_is_refused() -> None:
    assert error("version = 1\n" + text()).startswith("test.toml: unknown key 'version'")


def test_what_is_not_toml_is_refused_with_its_place() -> None:
    message = error("[[rule]]\nname = structuring")
    assert message.startswith("test.toml: not TOML: ")
    assert "line 2" in message


def test_a_byte_order_mark_before_a_file_is_no_part_of_it(tmp_path: Path) -> None:
    file = tmp_path / "mine.toml"
    file.write_text(Path("fraud/rules.toml").read_text(encoding="utf-8"), encoding="utf-8-sig")
    assert load(file) == load()


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"none\.toml: cannot be read: No such file"):
        load(tmp_path / "none.toml")
    with pytest.raises(SettingsError, match="cannot be read: Is a directory"):
        load(tmp_path)
    latin = tmp_path / "latin.toml"
    latin.write_bytes(b"# \xe4")
    with pytest.raises(SettingsError, match=r"latin\.toml: not UTF-8: .* at byte 2"):
        load(latin)
