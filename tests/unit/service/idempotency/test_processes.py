"""Processes that share a folder."""

import time
from pathlib import Path

from service.idempotency.processes import Processes, forget_folders, join_folder


def test_folders_of_other_settings_go_once_nobody_lives_in_them(tmp_path: Path) -> None:
    own, dead, alive = tmp_path / "1-600", tmp_path / "1-60", tmp_path / "0-600"
    Processes(dead).leave()
    living = Processes(alive)
    Processes(own)
    forget_folders(own)
    assert sorted(tmp_path.iterdir()) == [alive, own]
    living.leave()


def test_whoever_keeps_receipts_for_another_time_joins_those_that_run(tmp_path: Path) -> None:
    parent = tmp_path / "8000"
    assert join_folder(parent, "1-{}", 60) == (parent / "1-60", 60)
    before, elsewhere = Processes(parent / "1-600"), Processes(parent / "0-30")
    assert join_folder(parent, "1-{}", 60) == (parent / "1-600", 600)
    joined = Processes(parent / "1-600")
    before.leave()
    assert join_folder(parent, "1-{}", 60) == (parent / "1-600", 600)
    joined.leave()
    assert join_folder(parent, "1-{}", 60) == (parent / "1-60", 60)
    elsewhere.leave()


def test_processes_know_who_is_alive_and_what_the_dead_left_unwritten(tmp_path: Path) -> None:
    one, two = Processes(tmp_path), Processes(tmp_path)
    assert one.is_alive(two.token)
    assert not one.has_current_peers()
    two.mark(time.time())
    assert one.has_current_peers()
    assert one.dead() == {}
    two.mark(1_795_492_000.5)
    two.leave()
    assert not one.is_alive(two.token)
    assert not one.is_forgotten(two.token)
    assert not one.has_current_peers()
    assert list(one.dead().values()) == [1_795_492_000.5]
    one.forget(one.dead())
    assert one.is_forgotten(two.token)
    assert one.dead() == {}
    one.leave()
