"""Reads of decisions, snoozes and exemptions from the view. Each function takes the view first, and blocks."""

import time
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from schemas.case import Group
from service.queue.database import IN_JSON, as_json
from service.queue.decisions import silence_key
from service.queue.exemptions import Exemption
from service.queue.items import JsonObject
from service.queue.view import QueueView

_decode_members = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode


def history(view: QueueView, case_ids: Sequence[str]) -> list[JsonObject]:
    """Return the decisions on cases, oldest first; `took_effect` is false of one that came second with its number."""
    sql = (
        f"SELECT took_effect, body FROM decisions WHERE case_id IN {IN_JSON} "
        "ORDER BY body ->> 'time', number, took_effect DESC"
    )
    rows = view.read(sql, [as_json(case_ids)])
    return [{**_decode_members(body), "took_effect": bool(took_effect)} for took_effect, body in rows]


def effective(view: QueueView, decision_ids: Mapping[str, str]) -> set[str]:
    """Return the ids of the cases on which these decisions stand; `decision_ids` by case id."""
    sql = f"SELECT case_id, decision_id FROM decisions WHERE case_id IN {IN_JSON} AND took_effect"
    rows = view.read(sql, [as_json(list(decision_ids))])
    return {case_id for case_id, decision_id in rows if decision_ids[case_id] == decision_id}


def snooze(view: QueueView, case_id: str) -> Mapping[str, Any] | None:
    """Return the decision that silences the case's rule for its group now; None without one."""
    sql = "SELECT rule, payor, payee_bank, payee FROM cases WHERE case_id = ? AND snoozed_until IS NOT NULL"
    for rule, *columns in view.read(sql, [case_id]):
        rows = view.read("SELECT body FROM snoozes WHERE silence = ?", [silence_key(rule, Group(*columns))])
        if rows:
            return _decode_members(rows[0][0])
    return None


def exemptions(view: QueueView) -> list[JsonObject]:
    """Return all exemptions, those that hold first, the latest of them first; `live`: it holds now."""
    sql = "SELECT live AND until > ?, body FROM exemptions ORDER BY 1 DESC, time DESC, exemption_id"
    rows = view.read(sql, [int(time.time() * 1000)])
    return [{**_decode_members(body), "live": bool(live)} for live, body in rows]


def exemption(view: QueueView, exemption_id: str) -> Exemption | None:
    """Return an exemption that nobody has ended; None without one."""
    rows = view.read("SELECT body FROM exemptions WHERE exemption_id = ? AND live", [exemption_id])
    return msgspec.json.decode(rows[0][0], type=Exemption) if rows else None
