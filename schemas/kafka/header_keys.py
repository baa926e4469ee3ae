"""Header keys that are not UTF-8, read as Kafka's own clients do: with U+FFFD in place of what is not.

aiokafka raises UnicodeDecodeError for such a record, to whoever reads it, each time anew: nobody gets past it. Nothing
public replaces its parser, so what its fetcher unpacks with is replaced. A fetch is parsed as ever until that fails;
what is left of it, by aiokafka's parser in Python, which is slower and can be told how to decode.
"""

from collections.abc import Iterator
from typing import Any

from aiokafka.consumer import fetcher
from aiokafka.record.default_records import DefaultRecordBatch, _DefaultRecordBatchPy
from aiokafka.record.memory_records import MemoryRecords, _MemoryRecordsPy
from aiokafka.structs import ConsumerRecord


def tolerate_any() -> None:
    """Read any header keys from now on, in every consumer of this process."""
    fetcher.MemoryRecords = _RememberedBatches
    fetcher.PartitionRecords = _TolerantPartition


class _RememberedBatches(MemoryRecords):  # type: ignore[misc]
    """Batches that remember the bytes that they come from."""

    def __init__(self, data: bytes) -> None:
        super().__init__(data)
        self.data = data


class _TolerantPartition(fetcher.PartitionRecords):  # type: ignore[misc]
    _records: Any

    def _unpack_records(self) -> Iterator[ConsumerRecord]:
        try:
            yield from super()._unpack_records()
        except UnicodeDecodeError:
            self._records = _TolerantBatches(self._records.data, self.next_fetch_offset)
            yield from super()._unpack_records()


class _TolerantBatches(_MemoryRecordsPy):  # type: ignore[misc]
    """The batches from this offset on."""

    def __init__(self, data: bytes, offset: int) -> None:
        super().__init__(data)
        while self.has_next() and _DefaultRecordBatchPy(self._next_slice).next_offset <= offset:
            self._cache_next()

    def next_batch(self) -> Any:
        raw, batch = self._next_slice, super().next_batch()
        has_headers = isinstance(batch, DefaultRecordBatch) and not batch.is_control_batch
        return _TolerantBatch(raw) if has_headers else batch


class _TolerantBatch(_DefaultRecordBatchPy):  # type: ignore[misc]
    _buffer: bytearray

    def _maybe_uncompress(self) -> None:
        super()._maybe_uncompress()
        self._buffer = _DecodableBytes(self._buffer)


class _DecodableBytes(bytearray):
    """Bytes of which every part can be decoded."""

    def __getitem__(self, at: Any) -> Any:
        part = super().__getitem__(at)
        return _DecodableBytes(part) if isinstance(at, slice) else part

    def decode(self, encoding: str = "utf-8", errors: str = "replace") -> str:
        return super().decode(encoding, errors)
