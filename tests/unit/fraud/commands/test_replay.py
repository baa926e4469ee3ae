"""`fraud replay` on a table: the same rows as of JSON lines, and an exit status that tells whether all was read."""

import json
from pathlib import Path

import pytest

from fraud.commands.replay import replay

FIELDS = {
    "timestamp": "1767225600000",
    "id": "6f1c2a34-5b6d-4e7f-8a9b-{:012d}",
    "payee_bank": "First National",
    "payee_account_no": "200",
    "payment_amount": "5.00",
    "payment_method": "ACH",
    "payor_account_no": "100",
}


def csv_line(offset: int | None = None, **changes: str) -> str:
    """A row; without `offset` the header."""
    cells = FIELDS.keys() if offset is None else [text.format(offset) for text in (FIELDS | changes).values()]
    return ",".join(cells) + "\n"


@pytest.mark.parametrize(("amount", "status"), [("4000.01", 0), ("4000,01", 1)])
def test_three_payments_of_a_table_are_one_case_of_structuring(
    amount: str, status: int, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "payments.csv"
    file.write_text(csv_line() + "".join(csv_line(at, payment_amount=amount) for at in range(3)))
    assert replay(file) == status
    output = capfd.readouterr()
    rows = [json.loads(line) for line in output.out.splitlines()]
    totals = [(row["payment_count"], row["total_amount"]) for row in rows if row["rule"] == "structuring"]
    assert totals == ([(3, "12000.03")] if status == 0 else [])
    assert f"lines rejected: {3 * status}" in output.err
