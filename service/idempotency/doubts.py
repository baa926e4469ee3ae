"""Doubtful payments: sent, and never answered by Kafka; only the topics can tell whether they are there."""

from collections.abc import Iterable

from service.producer.records import Records


class Doubts:
    """Doubtful payments, each as single-row records, by payment id."""

    def __init__(self) -> None:
        self._records: dict[bytes, Records] = {}

    def add(self, records: Records) -> None:
        """Doubt each row of the records."""
        for row, payment_id in enumerate(records.ids):
            self._records[payment_id] = records.select([row])

    def all(self) -> list[Records]:
        """List the doubtful payments of this moment."""
        return list(self._records.values())

    def confirm(self, payment_id: bytes, fingerprint: bytes) -> Records | None:
        """Remove and return the doubtful payment that a record on the topics is, if it is one."""
        record = self._records.get(payment_id)
        if record is None or record.fingerprints != [fingerprint]:
            return None
        return self._records.pop(payment_id)

    def deny(self, doubtful: Iterable[Records]) -> list[Records]:
        """Remove and return those of an earlier list that are doubtful still: they are not on the topics."""
        absent = [record for record in doubtful if self._records.get(record.ids[0]) is record]
        for record in absent:
            del self._records[record.ids[0]]
        return absent
