"""Ends of topics as one process has written them, known to the others."""

from pathlib import Path

from service.queue.shared_ends import MAX_PARTITIONS, SharedEnds


def test_what_one_has_put_the_other_gets(tmp_path: Path) -> None:
    one, other = SharedEnds(tmp_path / "ends"), SharedEnds(tmp_path / "ends")
    assert other.get("topic") == {}
    one.put("topic", {0: 5, 3: 2**40})
    assert other.get("topic") == {0: 5, 3: 2**40}
    one.close()
    other.close()


def test_an_end_never_moves_back(tmp_path: Path) -> None:
    ends = SharedEnds(tmp_path)
    ends.put("topic", {0: 5})
    ends.put("topic", {0: 4, MAX_PARTITIONS: 1})
    assert ends.get("topic") == {0: 5}
    ends.close()


def test_another_topic_of_the_name_begins_anew_and_what_was_put_outlives_a_restart(tmp_path: Path) -> None:
    ends = SharedEnds(tmp_path)
    ends.put("topic", {0: 5})
    ends.close()
    again = SharedEnds(tmp_path)
    assert (again.get("topic"), again.get("made-anew")) == ({0: 5}, {})
    again.close()


def test_what_is_mapped_is_on_the_disk_so_that_a_full_one_cannot_end_the_process(tmp_path: Path) -> None:
    ends = SharedEnds(tmp_path)
    ends.get("topic")
    assert (tmp_path / "topic").stat().st_blocks * 512 >= MAX_PARTITIONS * 8
    ends.close()
