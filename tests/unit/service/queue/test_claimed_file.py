"""No two processes write to one view file."""

from pathlib import Path

from service.queue.claimed_file import own_file


def test_each_takes_the_first_file_that_nobody_uses(tmp_path: Path) -> None:
    first = tmp_path / "views" / "queue.sqlite"
    with own_file(first) as one, own_file(first) as two:
        with own_file(first) as three:
            assert [file.name for file in (one, two, three)] == ["queue.sqlite", "queue.2.sqlite", "queue.3.sqlite"]
        with own_file(first) as again:
            assert again == three
    with own_file(first) as after:
        assert after == first
