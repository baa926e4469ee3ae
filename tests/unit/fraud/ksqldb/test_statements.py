"""The SQL has a file a rule, takes its numbers from the rules alone, and is the same after ksqlDB rewrote it."""

import re
from importlib import resources

import pytest

from fraud.bank_names import BLANKS
from fraud.ksqldb.deployment import meaning
from fraud.ksqldb.statements import render, statements
from fraud.rules import load, parse
from schemas.errors import SettingsError
from schemas.payment import AMOUNT_MAX, INT32_MAX

AS_KSQLDB_KEEPS_IT = (
    "CREATE TABLE KSQLDB_FAN_OUT WITH (CLEANUP_POLICY='compact,delete', KAFKA_TOPIC='ksqldb_fan_out', "
    "KEY_FORMAT='JSON', PARTITIONS=6, REPLICAS=1, RETENTION_MS=604800000, VALUE_FORMAT='JSON') AS SELECT\n"
    "  ALL_PAYMENTS.PAYOR_ACCOUNT_NO K_PAYOR_ACCOUNT_NO,\n"
    "  AS_VALUE(ALL_PAYMENTS.PAYOR_ACCOUNT_NO) PAYOR_ACCOUNT_NO,\n"
    "  WINDOWSTART WINDOW_START,\n  WINDOWEND WINDOW_END,\n  COUNT(*) PAYMENT_COUNT,\n"
    "  SUM(CAST(ALL_PAYMENTS.PAYMENT_AMOUNT AS DECIMAL(18, 2))) TOTAL_AMOUNT,\n"
    "  MAX(ALL_PAYMENTS.PAYMENT_AMOUNT) MAX_AMOUNT,\n  COLLECT_LIST(ALL_PAYMENTS.ID) PAYMENT_IDS\n"
    "FROM ALL_PAYMENTS ALL_PAYMENTS\nWINDOW HOPPING ( SIZE 48 HOURS , ADVANCE BY 24 HOURS , GRACE PERIOD 1 HOURS ) \n"
    "WHERE ((ALL_PAYMENTS.PAYMENT_AMOUNT >= 3000.00) AND (ALL_PAYMENTS.PAYMENT_AMOUNT < 10000.01))\n"
    "GROUP BY ALL_PAYMENTS.PAYOR_ACCOUNT_NO\n"
    "HAVING ((SUM(CAST(ALL_PAYMENTS.PAYMENT_AMOUNT AS DECIMAL(18, 2))) > 10000.00) AND "
    "(ARRAY_LENGTH(COLLECT_SET(((ALL_PAYMENTS.FOLDED_BANK + '/') + "
    "CAST(ALL_PAYMENTS.PAYEE_ACCOUNT_NO AS STRING)))) >= 5))\n"
    "EMIT CHANGES;"
)


def test_every_shipped_rule_has_its_table() -> None:
    tables = {
        statement.creates[1]
        for statement in statements(load())
        if statement.creates and statement.creates[0] == "TABLE"
    }
    assert tables == {f"KSQLDB_{rule.name.upper()}" for rule in load()}


PAYMENTS_FILE = "01_payments.sql"


def test_no_number_of_a_rule_stands_in_a_file() -> None:
    for file in resources.files("ksql").iterdir():
        if file.name.endswith(".sql") and file.name != PAYMENTS_FILE:
            code = re.sub(r"--.*", "", file.read_text())
            numbers = re.findall(
                r"(?<![\w.])\d+(?:\.\d+)?", code.replace("DECIMAL(18, 2)", "").replace("PARTITIONS = 6", "")
            )
            assert numbers == [], file.name


def test_the_rendered_sql_has_the_rules_numbers_and_no_placeholder() -> None:
    sql = render(load())
    assert "${" not in sql
    assert "SIZE 72 HOURS, ADVANCE BY 24 HOURS, GRACE PERIOD 1 HOURS" in sql
    assert "payment_amount < 10000.01" in sql
    assert "SIZE 20 MINUTES, ADVANCE BY 10 MINUTES" in sql
    assert "SIZE 42 DAYS, ADVANCE BY 21 DAYS" in sql
    assert sql.startswith("SET 'auto.offset.reset' = 'earliest';")


def test_the_numbers_of_a_payment_are_those_that_python_takes() -> None:
    text = resources.files("ksql").joinpath(PAYMENTS_FILE).read_text()
    accounts = f"payor_account_no BETWEEN 0 AND {INT32_MAX} AND payee_account_no BETWEEN 0 AND {INT32_MAX}\n"
    assert text.count(accounts) == 3
    assert text.count(f"payment_amount BETWEEN 0.01 AND {AMOUNT_MAX:.2f} AND ") == 3


def test_a_statement_knows_where_it_stands() -> None:
    for statement in statements(load()):
        lines = resources.files("ksql").joinpath(statement.file.removeprefix("ksql/")).read_text().splitlines()
        assert lines[statement.line - 1].split()[0] == statement.text.split()[0]


def test_what_ksqldb_keeps_of_a_statement_means_the_same() -> None:
    [shipped] = [statement for statement in statements(load()) if statement.creates == ("TABLE", "KSQLDB_FAN_OUT")]
    assert meaning(shipped.text) == meaning(AS_KSQLDB_KEEPS_IT)


def test_what_ksqldb_keeps_of_an_insert_means_the_same() -> None:
    [shipped] = [statement for statement in statements(load()) if statement.query_id == "INSERT_PAYMENT_AVRO"]
    deployed = (
        "INSERT INTO ALL_PAYMENTS WITH (QUERY_ID='insert_payment_avro_161') SELECT\n"
        "  PAYMENT_AVRO.PAYOR_KEY PAYOR_KEY,\n  PAYMENT_AVRO.ID ID,\n  PAYMENT_AVRO.PAYEE_BANK PAYEE_BANK,\n"
        "  CAST(PAYMENT_AVRO.PAYEE_ACCOUNT_NO AS INTEGER) PAYEE_ACCOUNT_NO,\n"
        "  PAYMENT_AVRO.PAYMENT_AMOUNT PAYMENT_AMOUNT,\n  PAYMENT_AVRO.PAYMENT_METHOD PAYMENT_METHOD,\n"
        "  CAST(PAYMENT_AVRO.PAYOR_ACCOUNT_NO AS INTEGER) PAYOR_ACCOUNT_NO,\n  'payment_avro' SOURCE,\n"
        f"  UCASE(TRIM(REGEXP_REPLACE(PAYMENT_AVRO.PAYEE_BANK, '{BLANKS}', ' '))) FOLDED_BANK\n"
        "FROM PAYMENT_AVRO PAYMENT_AVRO\nWHERE ((((PAYMENT_AVRO.PAYOR_ACCOUNT_NO BETWEEN 0 AND 2147483647) AND "
        "(PAYMENT_AVRO.PAYEE_ACCOUNT_NO BETWEEN 0 AND 2147483647)) AND (PAYMENT_AVRO.PAYMENT_AMOUNT BETWEEN 0.01 AND "
        "1000000000000.00)) AND (PAYMENT_AVRO.PAYMENT_AMOUNT = ROUND(PAYMENT_AVRO.PAYMENT_AMOUNT, 2)))\nEMIT CHANGES;"
    )
    assert meaning(shipped.text) == meaning(deployed)


def test_what_ksqldb_keeps_of_a_source_means_the_same() -> None:
    [shipped] = [statement for statement in statements(load()) if statement.creates == ("STREAM", "PAYMENT_AVRO")]
    deployed = (
        "CREATE STREAM PAYMENT_AVRO (PAYOR_KEY STRING KEY, ID STRING, PAYEE_BANK STRING, PAYEE_ACCOUNT_NO BIGINT, "
        "PAYMENT_AMOUNT DOUBLE, PAYMENT_METHOD STRING, PAYOR_ACCOUNT_NO BIGINT) "
        "WITH (CLEANUP_POLICY='delete', KAFKA_TOPIC='payment_avro', KEY_FORMAT='KAFKA', VALUE_FORMAT='AVRO');"
    )
    assert meaning(shipped.text) == meaning(deployed)
    assert meaning(shipped.text) != meaning(deployed.replace("BIGINT", "INTEGER"))


@pytest.mark.parametrize("other", [("3000.00", "3000.01"), ("48 HOURS", "49 HOURS"), (">= 5", "> 5"), ("'/'", "'-'")])
def test_another_number_or_operator_is_another_meaning(other: tuple[str, str]) -> None:
    assert meaning(AS_KSQLDB_KEEPS_IT) != meaning(AS_KSQLDB_KEEPS_IT.replace(*other))


def test_a_rule_without_a_file_is_an_error_that_names_it() -> None:
    text = (
        '[[rule]]\nname = "new_one"\ngroup_by = ["payor_account_no"]\nwindow = "1h"\ngrace = "0s"\nmin_payments = 2\n'
    )
    with pytest.raises(SettingsError, match="new_one"):
        statements(parse(text, "rules.toml"))


@pytest.mark.parametrize(
    ("rule", "column", "other"),
    [
        ("just_below", 'group_by = ["payor_account_no"]', 'group_by = ["payor_account_no", "payee_bank"]'),
        ("fan_out", 'of = ["payee_bank", "payee_account_no"]', 'of = ["payee_bank"]'),
        ("fan_in", 'of = ["payor_account_no"]', 'of = ["payor_account_no", "payee_bank"]'),
    ],
)
def test_other_columns_than_the_files_are_an_error_that_names_them(rule: str, column: str, other: str) -> None:
    shipped = resources.files("fraud").joinpath("rules.toml").read_text(encoding="utf-8").split("[[rule]]")
    [text] = [statement for statement in shipped if f'"{rule}"' in statement]
    assert column in text
    with pytest.raises(SettingsError, match=rf"{rule}\.sql has payee_account_no, payee_bank|{rule}\.sql has payor"):
        statements(parse("[[rule]]" + text.replace(column, other), "rules.toml"))


@pytest.mark.parametrize(("option", "column"), [("true", "folded_bank"), ("false", "payee_bank")])
def test_a_rule_that_folds_banks_takes_the_folded_name_wherever_it_takes_the_banks(option: str, column: str) -> None:
    text = (
        f'[[rule]]\nname = "fan_in"\ngroup_by = ["payee_bank", "payee_account_no"]\nfold_banks = {option}\n'
        'amount_from = 1\namount_below = 2\nwindow = "2h"\nadvance = "1h"\ngrace = "0s"\ntotal_above = 1\n'
        'min_distinct = { of = ["payor_account_no"], count = 2 }\n'
    )
    [table] = [
        statement.text
        for statement in statements(parse(text, "rules.toml"))
        if statement.creates == ("TABLE", "KSQLDB_FAN_IN")
    ]
    assert f"{column} AS k_payee_bank" in table
    assert f"AS_VALUE({column}) AS payee_bank" in table
    assert f"GROUP BY {column}, payee_account_no" in table


def test_an_amount_from_0_on_is_one_as_any_other() -> None:
    shipped = resources.files("fraud").joinpath("rules.toml").read_text(encoding="utf-8")
    sql = render(parse(shipped.replace("amount_from = 3000.00", "amount_from = 0"), "rules.toml"))
    assert "payment_amount >= 0.00" in sql


def test_a_number_that_the_file_does_not_ask_for_is_an_error() -> None:
    text = '[[rule]]\nname = "velocity"\ngroup_by = ["payor_account_no"]\nwindow = "1h"\nadvance = "1h"\ngrace = "0s"\n'
    text += "min_payments = 2\namount_below = 5"
    with pytest.raises(SettingsError, match="amount_below"):
        statements(parse(text, "rules.toml"))
