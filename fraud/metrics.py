"""Metrics of the stages, in Prometheus' format. Figures of tasks are those of tasks that run here."""

from prometheus_client import Counter, Gauge, Histogram

import schemas

READ = Counter("underten_records_read_total", "Records read and committed.", ["stage", "topic"])
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
TASKS = Gauge("underten_tasks", "Tasks that are running here.", ["stage"])
LEDGER = Gauge("underten_ledger_payments", "Payments in memory.", ["stage", "task"])
WINDOWS = Gauge("underten_windows_open", "Windows in memory: of groups that fire, or come near it.", ["rule", "task"])
COVERED_SINCE = Gauge(
    "underten_rule_covered_since_seconds",
    "Unix time; windows that begin before are left alone, as the rule is younger than their payments.",
    ["rule", "task"],
)
COMMITS = Counter("underten_commits_total", "Transactions committed.", ["stage"])
COMMIT_SECONDS = Histogram("underten_commit_seconds", "From the first output of a transaction to its end.", ["stage"])
RESTORED = Counter("underten_changelog_records_restored_total", "Changelog records read on assignment.", ["stage"])
RESTORE_SECONDS = Histogram(
    "underten_restore_seconds",
    "How long a task took to get its state back from the changelog.",
    ["stage"],
    buckets=(0.1, 0.5, 1, 2.5, 5, 10, 30, 60, 300),
)
SESSIONS = Counter("underten_sessions_total", "Times a worker joined its group anew.", ["stage"])
LAG = Gauge("underten_lag_records", "Records of assigned partitions not read yet.", ["stage", "topic", "partition"])
BUILD = Gauge("underten_build_info", "Always 1; the version that runs is in the label.", ["version"])
BUILD.labels(schemas.__version__).set(1)
