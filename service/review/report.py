"""A subject's report to print: who, what, when, where and how, in numbers and sentences that claim no intent.

The five questions are those of FinCEN's guidance on the narrative of a suspicious activity report (October 2003). Why
is left to whoever files it: the law asks for purpose, which no rule sees. HTML with its own print style; a browser
makes a PDF of it.
"""

from datetime import UTC, datetime
from html import escape
from typing import Any

import msgspec
from aiohttp import web

from fraud.rules import DAY_MS
from service.http.security_headers import POLICY
from service.queue.items import JsonObject
from service.review.cases import read_subject
from service.review.spreadsheet import visible
from service.review.viewing import record_viewing

PRINTED = "default-src 'none'; style-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
"""The page has a style sheet of ours, and nothing else."""
REVIEW_DAYS = 90
"""Continuing activity is reported again after so many days (FinCEN's answers on suspicious activity reports, 2012)."""

_PAGE = """<!doctype html>
<html lang="en">
<head><meta charset="utf-8"><title>{title}</title><link rel="stylesheet" href="../../../web/report.css"></head>
<body><main>
<h1>{title}</h1>
<p class="soft">Made {made} UTC from the review queue. Times are UTC, amounts US dollars.</p>
<dl>{answers}</dl>
<h2>Payments</h2>
{note}
<table><thead><tr><th>Time</th><th>Payor</th><th>Payee</th><th class="number">Amount</th><th>Method</th>
<th>Counted by</th><th>Id</th></tr></thead><tbody>{payments}</tbody>
<tfoot><tr><td colspan="3">{count}</td><td class="number">{total}</td><td colspan="3"></td></tr></tfoot></table>
<h2>Cases</h2>
<table><thead><tr><th>Rule</th><th>Window</th><th class="number">Payments</th><th class="number">Total</th>
<th>Status</th><th>Case</th></tr></thead><tbody>{cases}</tbody></table>
<h2>History and notes</h2>
{history}
</main></body></html>
"""


async def show_report(request: web.Request) -> web.Response:
    """Answer GET /review-queue/subjects/{subject_id}/report."""
    subject = await read_subject(request.app, request.match_info["subject_id"])
    record_viewing(request, "report", subject_id=subject["subject_id"])
    page = render(subject, datetime.now(UTC))
    return web.Response(text=page, content_type="text/html", charset="utf-8", headers={POLICY: PRINTED})


def render(subject: JsonObject, printed_at: datetime) -> str:
    """Write the page; `printed_at` is the time that it says of itself."""
    history = [_plain(decision) for decision in subject["history"]]
    reported_at = max((decision["time"] for decision in history if _is_report(decision)), default=None)
    return _PAGE.format(
        title=_text(_account(subject["subject"])),
        made=f"{printed_at:%Y-%m-%d %H:%M}",
        answers="".join(f"<div><dt>{name}</dt><dd>{_text(answer)}</dd></div>" for name, answer in answers(subject)),
        note=_since_report(subject, reported_at),
        payments="".join(_payment_row(payment, reported_at) for payment in subject["payments"]),
        count=_text(_payments(subject)),
        total=_text(_dollars(subject["total_amount"])),
        cases="".join(map(_case_row, subject["cases"])),
        history=_history(history),
    )


def answers(subject: JsonObject) -> list[tuple[str, str]]:
    """Return the questions of a narrative, and what the payments say to each."""
    payments = subject["payments"]
    payees = _accounts(payments, "payee_account_no")
    payors = _accounts(payments, "payor_account_no")
    below = max((payment["payment_amount"] for payment in payments if payment.get("payment_amount")), default=None)
    least = min((payment["payment_amount"] for payment in payments if payment.get("payment_amount")), default=None)
    what = f"{_payments(subject)}, together {_dollars(subject['total_amount'])}"
    if least is not None and below is not None:
        what += f"; each between {_dollars(f'{least:.2f}')} and {_dollars(f'{below:.2f}')}"
    banks = sorted({payment["payee_bank"] for payment in payments if payment.get("payee_bank")})
    methods = sorted({payment["payment_method"] for payment in payments if payment.get("payment_method")})
    rules = sorted({case["rule"] for case in subject["cases"]})
    first = subject["first_payment_at"] or subject["last_payment_at"]
    return [
        ("Who", f"{_account(subject['subject'])}; {_several(len(payors), 'payor')}, {_several(len(payees), 'payee')}"),
        ("What", what),
        ("When", f"from {_time(first)} to {_time(subject['last_payment_at'])}"),
        ("Where", "; ".join(banks) or "payees' banks are not known"),
        ("How", f"by {', '.join(methods) or 'methods that are not known'}; counted by the rules {', '.join(rules)}"),
        ("Clock", f"first fired {_time(subject['fired_at'])}; a report is due by {_time(subject['due_at'])[:10]}"),
        ("Review", f"{subject['status'].replace('_', ' ')}; reviewer: {subject['reviewer'] or 'nobody'}"),
    ]


def _since_report(subject: JsonObject, reported_at: int | None) -> str:
    if reported_at is None:
        return ""
    later = [payment for payment in subject["payments"] if (payment.get("timestamp") or 0) > reported_at]
    again = _time(reported_at + REVIEW_DAYS * DAY_MS)[:10]
    return (
        f"<p>Escalated {_time(reported_at)}; {_several(len(later), 'payment')} since then, marked. "
        f"Activity that goes on is looked at again by {again} ({REVIEW_DAYS} days).</p>"
    )


def _payment_row(payment: JsonObject, reported_at: int | None) -> str:
    paid_at = payment.get("timestamp")
    cells = [
        _time(paid_at) if paid_at is not None else "",
        str(payment.get("payor_account_no", "")),
        _account({key: payment[key] for key in ("payee_account_no", "payee_bank") if key in payment}),
        _dollars(f"{payment['payment_amount']:.2f}") if payment.get("payment_amount") else "",
        payment.get("payment_method", ""),
        ", ".join(payment["rules"]),
        payment["id"],
    ]
    marked = ' class="since"' if reported_at is not None and (paid_at or 0) > reported_at else ""
    return f"<tr{marked}>{''.join(_cell(text, number=place == 3) for place, text in enumerate(cells))}</tr>"


def _case_row(case: JsonObject) -> str:
    window = f"{_time(case['window_start'])} to {_time(case['window_end'])}"
    status = case["status"].replace("_", " ") + (" (in another)" if case["contained_in"] else "")
    cells = [
        case["rule"],
        window,
        f"{case['payment_count']:,}",
        _dollars(case["total_amount"]),
        status,
        case["case_id"],
    ]
    return f"<tr>{''.join(_cell(text, number=place in {2, 3}) for place, text in enumerate(cells))}</tr>"


def _history(history: list[JsonObject]) -> str:
    if not history:
        return "<p>Nobody has decided anything yet.</p>"
    lines = dict.fromkeys(_decision(decision) for decision in history if decision["took_effect"])
    return f"<ol>{''.join(f'<li>{line}</li>' for line in lines)}</ol>"


def _decision(decision: JsonObject) -> str:
    what = decision["decision"] + (" (proposed)" if decision.get("proposal") else "")
    outcome = f": {decision['outcome'].replace('_', ' ')}" if decision.get("outcome") else ""
    note = f"<p>{_text(decision['note'])}</p>" if decision.get("note") else ""
    return f"{_time(decision['time'])} <strong>{_text(decision['reviewer'])}</strong> {_text(what + outcome)}{note}"


def _is_report(decision: JsonObject) -> bool:
    return bool(decision["decision"] == "escalate" and decision["took_effect"] and not decision.get("proposal"))


def _plain(members: JsonObject) -> JsonObject:
    return {
        name: msgspec.json.decode(value) if isinstance(value, msgspec.Raw) else value for name, value in members.items()
    }


def _accounts(payments: list[JsonObject], name: str) -> set[Any]:
    return {
        (payment[name], payment.get("payee_bank") if "payee" in name else None)
        for payment in payments
        if name in payment
    }


def _account(columns: JsonObject) -> str:
    if "payor_account_no" in columns:
        return f"Payor {columns['payor_account_no']}"
    return f"Payee {columns['payee_account_no']} at {columns['payee_bank']}" if columns else ""


def _payments(subject: JsonObject) -> str:
    return ("" if subject["exact"] else "at least ") + _several(subject["payment_count"], "payment")


def _several(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def _dollars(text: str) -> str:
    whole, _, cents = text.partition(".")
    return f"${int(whole):,}.{cents}"


def _time(ms: int) -> str:
    return f"{datetime.fromtimestamp(ms / 1000, UTC):%Y-%m-%d %H:%M:%S}"


def _cell(text: str, *, number: bool) -> str:
    return f'<td class="number">{_text(text)}</td>' if number else f"<td>{_text(text)}</td>"


def _text(text: str) -> str:
    """Text of strangers: escaped, and with what nobody sees written by its number."""
    return escape(visible(text))
