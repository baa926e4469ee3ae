"""The second engine against Python, as the view has it: GET /comparison."""

import time
from collections import Counter
from typing import Any

from aiohttp import web

from fraud.comparison.compare import KINDS
from fraud.rules import Rule
from schemas.case import case_id
from service.http.responses import json_response
from service.queue import comparison_reads
from service.queue.engine_progress import ENGINE_PROGRESS, NO_ENGINE
from service.queue.view import QueueView
from service.review.reading import read_view
from service.settings import RULES

MAX_DIFFERENCES = 1000
_KINDS = {"agree": "equal", "differ": "different"}
"""Kinds of `fraud.comparison.compare`, where they have another name than a case's agreement."""


async def show_comparison(request: web.Request) -> web.Response:
    """GET /comparison."""
    app = request.app
    progress = app.get(ENGINE_PROGRESS)
    if progress is None:
        state: dict[str, Any] = {"engine": None, "caught_up": False, "reason": NO_ENGINE}
        return json_response(
            {"rules": {}, "settled": 0, "provisional": 0, "pending": 0, "expired": 0, "differences": []} | state
        )
    comparison = await read_view(app, read_comparison, app[RULES])
    state = {"engine": progress.engine.as_json(), "caught_up": progress.caught_up}
    if progress.reason is not None:
        state["reason"] = progress.reason
    return json_response(comparison | state)


def read_comparison(view: QueueView, rules: tuple[Rule, ...]) -> dict[str, Any]:
    """Count windows by rule and kind. One is settled once no payment that is posted now could fall into it."""
    now = int(time.time() * 1000)
    counts: dict[str, dict[str, int]] = {}
    total: Counter[str] = Counter()
    for rule in rules:
        judged = comparison_reads.judged(view, rule.name, now - rule.grace_ms("changes"))
        total["pending"] += judged.pop("pending", (0, 0))[0]
        total["expired"] += (expired := judged.pop("expired", (0, 0))[0])
        kinds = {_KINDS.get(name, name): count for name, (count, _) in judged.items()}
        if kinds or expired:
            counts[rule.name] = {kind: kinds.get(kind, 0) for kind in KINDS}
        total["windows"] += sum(count for count, _ in judged.values())
        total["settled"] += sum(settled for _, settled in judged.values())
    return {
        "rules": dict(sorted(counts.items())),
        "settled": total["settled"],
        "provisional": total["windows"] - total["settled"],
        "pending": total["pending"],
        "expired": total["expired"],
        "differences": [
            {**difference, "case_id": _case_id(rules, difference)}
            for difference in comparison_reads.differences(view, MAX_DIFFERENCES)
        ],
    }


def _case_id(rules: tuple[Rule, ...], difference: dict[str, Any]) -> str | None:
    """The case of a difference, where its rule is one of today's."""
    rule = next((rule for rule in rules if rule.name == difference["rule"]), None)
    if rule is None:
        return None
    return case_id(rule.name, difference["window_start"], tuple(difference["group"][name] for name in rule.group_by))
