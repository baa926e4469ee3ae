"""The verdict on a soak, from what was sent, what is on the topics, and what the service shows. No I/O here."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, NamedTuple

from fraud.bank_names import fold_bank
from schemas.payment import Payment

DAY_MS = 86_400_000
LINE = 10_000
MAX_LISTED = 1_000
FIGURES = ("payment_count", "total_amount", "max_amount", "first_payment_at", "last_payment_at", "payments")

Case = dict[str, Any]


class Raw(NamedTuple):
    """A payment on a raw topic."""

    topic: str
    timestamp: int
    payment: Payment


@dataclass(frozen=True)
class Verdict:
    """Payments that are lost or doubled, and whatever else is not as it should be, in words."""

    sent: int
    acknowledged: int
    lost: list[str] = field(default_factory=list)
    doubled: list[str] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)
    """Faults that happened meanwhile."""

    def __str__(self) -> str:
        return (
            f"sent {self.sent} acknowledged {self.acknowledged} "
            f"lost {len(self.lost)} doubled {len(self.doubled)} wrong {len(self.wrong)}"
        )

    @property
    def good(self) -> bool:
        """True if every payment was taken, once, and led to the cases that it should."""
        return self.sent == self.acknowledged and not (self.lost or self.doubled or self.wrong)


def judge(
    sent: Mapping[str, tuple[str, Payment]],
    acknowledged: set[str],
    raw: Iterable[Raw],
    ledger: Counter[str],
    cases: Mapping[str, Case],
    shown: Mapping[str, Case],
    complaints: Iterable[str],
) -> Verdict:
    """`ledger` counts ids in the ledger by payor; by case id, `cases` are the topic's, `shown` the service's."""
    raw = list(raw)
    on_topics = Counter(record.payment.id for record in raw)
    return Verdict(
        sent=len(sent),
        acknowledged=len(acknowledged),
        lost=sorted(acknowledged - (on_topics.keys() & ledger.keys())),
        doubled=sorted(payment_id for payment_id, times in on_topics.items() if times > 1),
        wrong=[
            *complaints,
            *_altered(sent, raw),
            *(
                f"{payment_id} is in the ledger another number of times"
                for payment_id in sorted((ledger - on_topics).keys())
            ),
            *_wrong_cases(raw, cases),
            *_wrongly_shown(cases, shown),
        ],
    )


def _altered(sent: Mapping[str, tuple[str, Payment]], raw: Iterable[Raw]) -> Iterable[str]:
    for topic, _, payment in raw:
        if sent.get(payment.id) != (topic, payment):
            yield f"{payment.id} was never sent so to {topic}: {payment}"


def _wrong_cases(raw: Iterable[Raw], cases: Mapping[str, Case]) -> Iterable[str]:
    due = _due(raw)
    shown = {
        (*case["group"].values(), case["window_start"]): case
        for case in cases.values()
        if case["rule"] == "structuring"
    }
    for key in due.keys() | shown.keys():
        payments, case = due.get(key), shown.get(key)
        if payments is None or case is None:
            yield f"case {key} {'is missing' if case is None else 'should not be'}"
        elif (wrong := _differences(payments, case)) is not None:
            yield f"case {key}: {wrong}"


def _due(raw: Iterable[Raw]) -> dict[tuple[Any, ...], list[Payment]]:
    """The rule `structuring` put as plainly as can be: by payor, payee and UTC day."""
    together: dict[tuple[Any, ...], list[Payment]] = defaultdict(list)
    for _, timestamp, payment in raw:
        if payment.payment_amount <= LINE:
            day = timestamp // DAY_MS * DAY_MS
            payee = fold_bank(payment.payee_bank), payment.payee_account_no
            together[payment.payor_account_no, *payee, day].append(payment)
    return {key: payments for key, payments in together.items() if _total(payments) > LINE}


def _total(payments: Iterable[Payment]) -> Decimal:
    return sum((Decimal(str(payment.payment_amount)) for payment in payments), Decimal(0))


def _differences(payments: list[Payment], case: Case) -> str | None:
    """Figures of a case that are not those of its payments; of its list, whether it holds them, the first 1,000."""
    due = {"payment_count": len(payments), "total_amount": f"{_total(payments):.2f}"}
    if wrong := {name: case[name] for name, value in due.items() if case[name] != value}:
        return f"{wrong}, not {due}"
    listed = Counter(listed_payment["id"] for listed_payment in case["payments"])
    if listed.total() != min(len(payments), MAX_LISTED) or not listed <= Counter(payment.id for payment in payments):
        return "it lists other payments"
    return None


def _wrongly_shown(cases: Mapping[str, Case], shown: Mapping[str, Case]) -> Iterable[str]:
    for case_id in cases.keys() | shown.keys():
        on_topic, on_page = cases.get(case_id), shown.get(case_id)
        if on_topic is None or on_page is None or any(on_topic[name] != on_page[name] for name in FIGURES):
            yield f"case {case_id} is shown as {on_page}, on the topic it is {on_topic}"
