"""What operators see of the stages, in Prometheus' format."""

from prometheus_client import Counter, Gauge, Histogram

READ = Counter("underten_records_read_total", "Records read and committed.", ["stage", "topic"])
REJECTED = Counter("underten_records_rejected_total", "Records set aside in payment_rejected.", ["topic"])
LATE = Counter("underten_payments_late_total", "Payments that came after their window had closed.", ["rule"])
CASES = Counter("underten_cases_written_total", "Cases written to review_queue, new or grown.", ["rule"])
TASKS = Gauge("underten_tasks", "Tasks that are running here.", ["stage"])
WINDOWS = Gauge("underten_windows_open", "Windows in memory.", ["rule", "task"])
COMMITS = Counter("underten_commits_total", "Transactions committed.", ["stage"])
COMMIT_SECONDS = Histogram("underten_commit_seconds", "From the first output of a transaction to its end.", ["stage"])
RESTORED = Counter("underten_changelog_records_restored_total", "Changelog records read on assignment.", ["stage"])
SESSIONS = Counter("underten_sessions_total", "Times a worker joined its group anew.", ["stage"])
LAG = Gauge("underten_lag_records", "Records not read yet.", ["stage", "topic", "partition"])
"""Partitions assigned to this process only."""
