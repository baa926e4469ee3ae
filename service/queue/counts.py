"""Counts of what is in the view. Each function takes the view first, and blocks."""

from collections import defaultdict

from service.queue.decisions import TRUE_OUTCOMES
from service.queue.items import JsonObject
from service.queue.query import QueueQuery
from service.queue.view import QueueView


def counts(view: QueueView, query: QueueQuery) -> JsonObject:
    """Count what matches, by status and by rule; a subject counts for each of its rules."""
    where, values = query.where(view.agreement_now())
    rule = "rule" if query.table == "cases" else "rules"
    # The + keeps SQLite from grouping by an index, for whose every entry it would have to look up the row.
    group = f"status, {rule}" if where == "1" else f"+status, +{rule}"
    sql = f"SELECT status, {rule}, count(*) FROM {query.table} WHERE {where} GROUP BY {group}"
    status: defaultdict[str, int] = defaultdict(int)
    rules: defaultdict[str, int] = defaultdict(int)
    for line_status, line_rules, number in view.read(sql, values):
        status[line_status] += number
        for name in line_rules.strip(",").split(","):
            rules[name] += number
    return {"total": sum(status.values()), "status": status, "rules": rules, "precision": precision(view)}


def precision(view: QueueView) -> dict[str, JsonObject]:
    """Return each rule's precision as reviewers see it: of its closed cases, how many they did not call false."""
    sql = "SELECT rule, outcome, count(*) FROM cases WHERE outcome IS NOT NULL GROUP BY rule, outcome"
    outcomes: defaultdict[str, dict[str, int]] = defaultdict(dict)
    for rule, outcome, number in view.read(sql):
        outcomes[rule][outcome] = number
    return {
        rule: {**numbers, "precision": sum(numbers.get(name, 0) for name in TRUE_OUTCOMES) / sum(numbers.values())}
        for rule, numbers in outcomes.items()
    }


def count(view: QueueView, status: str | None = None) -> int:
    """Count the cases of a status, or all."""
    if status is None:
        return int(view.read("SELECT count(*) FROM cases")[0][0])
    return int(view.read("SELECT count(*) FROM cases WHERE status = ?", [status])[0][0])


def by_status(view: QueueView) -> dict[str, int]:
    """Count the cases of each status that any has."""
    return dict(view.read("SELECT status, count(*) FROM cases GROUP BY status"))
