"""The SQL of `ksql/`, with the rules' numbers filled in, as single statements.

The numbers stand in `rules.toml` alone; the files have `${name}` in their place. (ksqlDB's own variables are not
allowed in window clauses.)
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib import resources
from string import Template

from fraud.rules import COLUMNS, Rule, split_duration
from schemas.errors import SettingsError
from schemas.payment import dollars

FOLDED = "folded_bank"
"""The column of `all_payments` that has the bank's name as `fraud.bank_names.fold_bank` makes it."""

_UNITS = {"ms": "MILLISECONDS", "s": "SECONDS", "m": "MINUTES", "h": "HOURS", "d": "DAYS"}
_RULE_FILE = re.compile(r"^\d+_(?P<name>\w+)\.sql$")
_CREATED = re.compile(r"^CREATE\s+(?P<kind>STREAM|TABLE)\s+(?P<name>\w+)", re.IGNORECASE)
_QUERY_ID = re.compile(r"^INSERT\s+INTO\s+(?P<sink>\w+)\s+WITH\s*\(\s*QUERY_ID\s*=\s*'(?P<id>\w+)'", re.IGNORECASE)
_COMMENT = re.compile(r"--[^\n]*\n")
_GROUP_BY = re.compile(r"\bGROUP BY (.*)")
_DISTINCT = re.compile(r"\bCOLLECT_SET\((.*)\)")
_SELECT = re.compile(r"\bSELECT\b", re.IGNORECASE)


@dataclass(frozen=True)
class Statement:
    """An SQL statement: its place, and its text from the first word to the semicolon."""

    file: str
    line: int
    text: str

    @property
    def creates(self) -> tuple[str, str] | None:
        """STREAM or TABLE, and its name in capitals, as ksqlDB lists it; None for an INSERT."""
        match = _CREATED.match(self.text)
        return (match["kind"].upper(), match["name"].upper()) if match else None

    @property
    def query_id(self) -> str | None:
        """The id that an INSERT gives its query, in capitals, as ksqlDB lists it."""
        match = _QUERY_ID.match(self.text)
        return match["id"].upper() if match else None

    @property
    def query(self) -> str | None:
        """A pattern of the id of the query that it starts, if it starts one; there is a number behind it."""
        if self.creates is None:
            return f"{self.query_id}(_[0-9]+)?"
        kind, name = self.creates
        return f"C{kind[0]}AS_{name}_[0-9]+" if _SELECT.search(self.text) else None

    @property
    def sink(self) -> str | None:
        """The stream that an INSERT writes into, in capitals."""
        match = _QUERY_ID.match(self.text)
        return match["sink"].upper() if match else None

    def with_number(self, number: str) -> str:
        """Its text, with the number of the sink's own query behind the id that an INSERT gives its query.

        Under an id that ksqlDB has had before, a query goes on where that one has stopped. With a sink that is new it
        reads from the beginning, and with the same sink nothing twice.
        """
        match = _QUERY_ID.match(self.text)
        return self.text if match is None else f"{self.text[: match.end('id')]}_{number}{self.text[match.end('id') :]}"


def statements(rules: Sequence[Rule]) -> list[Statement]:
    """Every statement in the order in which they run; files of rules that are not among `rules` are left out.

    Raises SettingsError where a rule has no file, has other columns, has numbers that its file does not ask for, or the
    other way about.
    """
    by_name = {rule.name: rule for rule in rules}
    result: list[Statement] = []
    without_file = set(by_name)
    for file in sorted(resources.files("ksql").iterdir(), key=lambda entry: entry.name):
        if not (named := _RULE_FILE.match(file.name)):
            continue
        rule = by_name.get(named["name"])
        without_file.discard(named["name"])
        text = file.read_text(encoding="utf-8")
        if "${" in text:
            if rule is None:
                continue
            text = _fill(text, rule, file.name)
        result.extend(_split(text, file.name))
    if without_file:
        raise SettingsError(f"no file in ksql/ for: {', '.join(sorted(without_file))}")
    return result


def render(rules: Sequence[Rule]) -> str:
    """The statements as one text, to be pasted into the ksqlDB CLI."""
    earliest = "SET 'auto.offset.reset' = 'earliest';"
    return "\n\n".join([earliest, *(statement.text for statement in statements(rules))]) + "\n"


def _fill(text: str, rule: Rule, file: str) -> str:
    _check_columns(text, rule, file)
    template, numbers = Template(text), _numbers(rule)
    placeholders = set(template.get_identifiers())
    if missing := placeholders - numbers.keys():
        raise SettingsError(f"ksql/{file} asks for {', '.join(sorted(missing))}, which rule {rule.name!r} has not")
    if unused := numbers.keys() - placeholders:
        raise SettingsError(f"ksql/{file} leaves out {', '.join(sorted(unused))}, which rule {rule.name!r} has")
    return template.substitute(numbers)


def _check_columns(text: str, rule: Rule, file: str) -> None:
    """Columns stand in the file, not only in the rule: raises SettingsError where the two are not the same."""
    clauses = (
        ("group_by", _GROUP_BY, rule.group_by),
        ("min_distinct.of", _DISTINCT, rule.min_distinct.of if rule.min_distinct else ()),
    )
    for key, clause, columns in clauses:
        named = set(re.findall(r"\w+", " ".join(clause.findall(text)))) & set(COLUMNS)
        if named != set(columns):
            listed = ", ".join(sorted(named)) or "nothing"
            raise SettingsError(f"ksql/{file} has {listed}, where rule {rule.name!r} has {', '.join(columns)} as {key}")


def _numbers(rule: Rule) -> dict[str, str]:
    """A rule's numbers, and its name for the bank, as SQL; those that it does not have are left out."""
    numbers = {
        "payee_bank": (FOLDED if rule.fold_banks else "payee_bank") if "payee_bank" in rule.columns else None,
        "window": _sql_duration(rule.window),
        "advance": rule.advance and _sql_duration(rule.advance),
        "grace": rule.grace and _sql_duration(rule.grace),
        "amount_from": None if rule.amount_from is None else f"{rule.amount_from:.2f}",
        "amount_below": None if rule.amount_below is None else f"{rule.amount_below:.2f}",
        "total_above": None if rule.total_above_cents is None else dollars(rule.total_above_cents),
        "min_payments": rule.min_payments and str(rule.min_payments),
        "min_distinct": rule.min_distinct and str(rule.min_distinct.count),
    }
    return {name: number for name, number in numbers.items() if number}


def _sql_duration(duration: str) -> str:
    count, unit = split_duration(duration)
    return f"{count} {_UNITS[unit]}"


def _split(text: str, file: str) -> Iterator[Statement]:
    """Statements end with a semicolon at the end of a line; comments belong to none."""
    line = 1
    for part in re.split(r"(?<=;)\n", text):
        code = _COMMENT.sub("", part).strip()
        if code:
            before = part[: part.index(code.split("\n", 1)[0])]
            yield Statement(f"ksql/{file}", line + before.count("\n"), code)
        line += part.count("\n") + 1
