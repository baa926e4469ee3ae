"""Metrics of detection, in Prometheus' format; gauges are those of the tasks that run in this process."""

from prometheus_client import Counter, Gauge, Histogram

REJECTED = Counter("underten_records_rejected_total", "Records set aside in payment_rejected.", ["topic"])
LATE = Counter("underten_payments_late_total", "Payments that came after their window had closed.", ["rule"])
REPEATED = Counter(
    "underten_payments_repeated_total", "Payments that came again with an id that was counted already.", ["rule"]
)
CASES = Counter("underten_cases_written_total", "Cases written to review_queue, new or grown.", ["rule"])
CASE_AGE = Histogram(
    "underten_case_age_seconds",
    "From the time of a case's last payment to the commit of the case.",
    ["rule"],
    buckets=(0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 3600),
)
LEDGER = Gauge("underten_ledger_payments", "Payments in memory.", ["stage", "task"])
WINDOWS = Gauge("underten_windows_open", "Windows in memory: of groups with many payments.", ["rule", "task"])
COVERED_SINCE = Gauge(
    "underten_rule_covered_since_seconds",
    "Unix time; windows that begin before are left alone, as the rule is younger than their payments.",
    ["rule", "task"],
)
