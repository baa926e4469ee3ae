"""Header keys that are not UTF-8, among batches that are as ever: nothing is lost, doubled or out of order."""

import struct

import pytest
from aiokafka.consumer import fetcher
from aiokafka.record.default_records import _DefaultRecordBatchBuilderPy
from aiokafka.structs import ConsumerRecord, TopicPartition

import schemas.kafka  # noqa: F401 - what every client of Kafka has to do with


class NotUtf8(str):
    __slots__ = ()

    def encode(self, *_: object) -> bytes:
        return b"a\xff"


GZIP = 1
EACH = 5


def batch(base_offset: int, bad: int | None, compression: int) -> bytes:
    builder = _DefaultRecordBatchBuilderPy(
        magic=2,
        compression_type=compression,
        is_transactional=1,
        producer_id=7,
        producer_epoch=0,
        base_sequence=base_offset,
        batch_size=100_000,
    )
    for number in range(EACH):
        headers = [("good", b"1"), (NotUtf8("bad"), None)] if number == bad else [("good", b"1")]
        builder.append(number, timestamp=1_000, key=b"key", value=b"%d" % (base_offset + number), headers=headers)
    built = builder.build()
    struct.pack_into(">q", built, 0, base_offset)
    return bytes(built)


def read(data: bytes, offset: int = 0, aborted: list[tuple[int, int]] | None = None) -> list[ConsumerRecord]:
    unpacked = fetcher.PartitionRecords(
        TopicPartition("t", 0),
        fetcher.MemoryRecords(data),
        aborted,
        offset,
        key_deserializer=None,
        value_deserializer=None,
        check_crcs=True,
        isolation_level=fetcher.READ_COMMITTED,
    )
    return list(unpacked)


@pytest.mark.parametrize("compression", [0, GZIP])
@pytest.mark.parametrize("bad", range(EACH))
def test_a_header_key_that_is_not_utf_8_is_read_with_a_replacement_in_it(bad: int, compression: int) -> None:
    batches = [batch(EACH * number, bad if number == 1 else None, compression) for number in range(4)]
    for offset in range(2 * EACH):
        records = read(b"".join(batches[offset // EACH :]), offset)
        assert [record.offset for record in records] == list(range(offset, 4 * EACH))
        assert [record.value for record in records] == [b"%d" % record.offset for record in records]
        assert {record.key for record in records} == {b"key"}
        keys = {record.offset: [name for name, _ in record.headers] for record in records}
        assert {at: names for at, names in keys.items() if names != ["good"]} == (
            {EACH + bad: ["good", "a\ufffd"]} if offset <= EACH + bad else {}
        )


def test_what_was_aborted_stays_unread() -> None:
    data = b"".join(batch(EACH * number, 2 if number == 1 else None, 0) for number in range(4))
    assert [record.offset for record in read(data, aborted=[(7, 2 * EACH)])] == list(range(2 * EACH))
