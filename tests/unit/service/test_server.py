"""The module that serves, before it serves."""

import subprocess
import sys

NAMES = (
    "import service.server; from prometheus_client import REGISTRY; print(*(each.name for each in REGISTRY.collect()))"
)


def test_the_service_registers_no_metric_of_fraud_s() -> None:
    process = subprocess.run([sys.executable, "-c", NAMES], capture_output=True, text=True, check=True)
    names = process.stdout.split()
    assert names
    assert [name for name in names if name.startswith("underten")] == []
