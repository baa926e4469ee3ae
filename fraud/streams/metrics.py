"""Metrics of stages and their tasks, in Prometheus' format: those that run in this process."""

from prometheus_client import Counter, Gauge, Histogram

import schemas

READ = Counter("underten_records_read_total", "Records read and committed.", ["stage", "topic"])
TASKS = Gauge("underten_tasks", "Tasks that are running here.", ["stage"])
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
