"""Reads of what the engines say together, from the view. Each function takes the view first, and blocks."""

import msgspec

from service.queue.agreement import KsqldbRow, difference_of
from service.queue.items import FROM_CASES, JsonObject, case_columns, case_item, row_of_item, window_key_of
from service.queue.view import QueueView

DISAGREES = "NOT IN ('agree', 'pending', 'off')"

_decode_ksqldb = msgspec.msgpack.Decoder(KsqldbRow).decode


def judged(view: QueueView, rule: str, open_after: int) -> dict[str, tuple[int, int]]:
    """Count a rule's windows by agreement, or as repeated, late, expired; and those that end at or before a time."""
    now = view.agreement_now()
    uncounted = " ".join(
        f"WHEN {now} NOT IN ('agree', 'pending') AND case_id IN (SELECT case_id FROM {reason}) THEN '{reason}'"
        for reason in ("repeated", "late")
    )
    kind = f"CASE WHEN {_expired(view)} THEN 'expired' {uncounted} ELSE {now} END"
    sql = f"SELECT {kind}, count(*), sum(window_end <= ?) FROM cases WHERE rule = ? GROUP BY 1"
    return {kind: (count, settled) for kind, count, settled in view.read(sql, [open_after, rule])}


def differences(view: QueueView, limit: int) -> list[JsonObject]:
    """Return the first windows on which the engines do not agree, in order of rule and window."""
    sql = f"""
        SELECT {case_columns(view)}, b.payments, k.body, c.record,
            coalesce((SELECT payments FROM repeated WHERE case_id = c.case_id), 0)
        {FROM_CASES} JOIN bodies b ON b.id = c.id
        LEFT JOIN ksqldb k ON k.case_id = c.case_id
        WHERE {view.agreement_now("c")} {DISAGREES} AND NOT {_expired(view, "c.")}
        ORDER BY c.rule, c.window_start, c.case_id LIMIT {limit:d}
    """
    verdicts = []
    for *columns, listed, body, record, repeated in view.read(sql):
        item = case_item(columns)
        ksqldb = _decode_ksqldb(body).row if body else None
        python = row_of_item(item, listed) if record else None
        verdicts.append(difference_of(window_key_of(item), ksqldb, python, item["late_payments"], repeated))
    return [unequal for unequal in verdicts if unequal]


def disagreements(view: QueueView) -> int:
    """Count the windows on which the engines do not agree."""
    sql = f"SELECT count(*) FROM cases WHERE {view.agreement_now()} {DISAGREES} AND NOT {_expired(view)}"
    return int(view.read(sql)[0][0])


def _expired(view: QueueView, prefix: str = "") -> str:
    """SQL of whether the second engine's row of a window may be lost, so that nothing can be said of it."""
    if not view.expired_until:
        return "0"
    limits = " ".join(f"WHEN '{rule}' THEN {start:d}" for rule, start in view.expired_until.items())
    start = f"CASE {prefix}rule {limits} ELSE -1 END"
    return f"({prefix}agreement = 'only_python' AND {prefix}window_start <= {start})"
