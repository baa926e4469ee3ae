"""The file of a view: replaced where it is none, rebuilt where it is damaged."""

import sqlite3
from pathlib import Path

import pytest

from schemas.errors import SettingsError
from service.queue import counts
from service.queue.database import Damaged
from service.queue.view import QueueView
from tests.unit.service.queue.records import (
    SOURCE,
    Q,
    case,
    read_cases,
    record,
)


def test_a_view_of_another_layout_begins_anew(tmp_path: Path) -> None:
    file = tmp_path / "queue.sqlite"
    old = QueueView(file)
    old.apply([record(case())], {Q[0]: 5})
    old.close()
    with sqlite3.connect(file) as connection:
        connection.execute("UPDATE meta SET value = '0' WHERE name = 'layout'")
    connection.close()
    new = QueueView(file)
    assert (counts.count(new), new.positions(SOURCE)) == (0, {})
    new.close()


@pytest.mark.parametrize("content", [b"garbage" * 1000, b"SQLite format 3\0" + b"\xff" * 8000])
def test_a_file_that_is_no_view_is_replaced(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "queue.sqlite"
    file.write_bytes(content)
    view = QueueView(file)
    assert counts.count(view) == 0
    view.close()


def test_another_programs_database_stays_and_is_named(tmp_path: Path) -> None:
    file = tmp_path / "books.sqlite"
    with sqlite3.connect(file) as connection:
        connection.execute("CREATE TABLE books (title TEXT)")
    connection.close()
    before = file.read_bytes()
    with pytest.raises(SettingsError, match=r"queue_view .*books\.sqlite"):
        QueueView(file)
    assert file.read_bytes() == before


def change_and_list_all(view: QueueView) -> None:
    for number in range(2000):
        view.apply([record(case(number, payment_count=5))], {Q[0]: 2})
        read_cases(view, sort="total")


def test_a_file_damaged_while_it_is_open_says_so_and_can_be_rebuilt(tmp_path: Path) -> None:
    file = tmp_path / "queue.sqlite"
    QueueView(file).close()
    view = QueueView(file)
    view.apply([record(case(number)) for number in range(2000)], {Q[0]: 1})
    view.close()
    view = QueueView(file)
    with file.open("r+b") as handle:
        handle.seek(4096)
        handle.write(b"\xaa" * (file.stat().st_size - 4096))
    with pytest.raises(Damaged):
        change_and_list_all(view)
    view.rebuild()
    assert (counts.count(view), view.positions(SOURCE)) == (0, {})
    view.apply([record(case())], {Q[0]: 1})
    assert len(read_cases(view)) == 1
    view.close()


def test_text_that_is_no_utf_8_is_damage(view: QueueView) -> None:
    view.apply([record(case())], {Q[0]: 1})
    with view.write() as file:
        file.execute("UPDATE cases SET rule = CAST(x'ff' AS TEXT)")
    with pytest.raises(Damaged):
        read_cases(view)
