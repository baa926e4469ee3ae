"""The place where a payment is judged: at home, wherever its record lies and whatever its key; and what is sent on."""

import asyncio
import json
import re
from uuid import UUID

import pytest
from aiokafka.structs import ConsumerRecord

from fraud.detection.packed import Origin
from fraud.detection.partition_keys import payee_key, payor_key
from fraud.detection.sources import Arrival, PayeeSource, PayorSource
from fraud.detection.topology import BY_PAYOR, INPUTS, OUTPUTS
from fraud.rules import parse
from schemas.errors import BrokerError, PaymentError
from schemas.kafka.partitioning import partition_of
from schemas.kafka.topics import FRAUD_STATE, PAYMENT_JSON, PAYMENTS, PAYMENTS_BY_PAYEE
from schemas.payment import FIELDS, LATEST, ForeignPayment, encode_json
from schemas.payment_reader import PaymentReader
from schemas.registry import Registry, RegistrySettings, WriterSchema
from schemas.wire_format import SchemaReference, header

BY_PAYEE_RULES = parse(
    """
    [[rule]]
    name = "fan_in"
    group_by = ["payee_bank", "payee_account_no"]
    amount_from = 3000.00
    amount_below = 10000.00
    window = "24h"
    min_payments = 2
    """,
    "rules.toml",
)


class Schemas(Registry):
    """A registry that has a schema for JSON, and no server."""

    async def writer(self, reference: SchemaReference) -> WriterSchema:
        return WriterSchema("{}", "JSON")


REGISTRY = Schemas(RegistrySettings())
PARTITIONS = dict.fromkeys((*INPUTS[BY_PAYOR], *OUTPUTS[BY_PAYOR]), 6)


def source(number: int, **partitions: int) -> PayorSource:
    return PayorSource(number, BY_PAYEE_RULES, PaymentReader(REGISTRY), {**PARTITIONS, **partitions})


def payment(payor: int = 100, amount: float = 1.0) -> ForeignPayment:
    return ForeignPayment(str(UUID(int=payor)), "First National", 200, amount, "ACH", payor)


def record(
    value: bytes, partition: int = 0, topic: str = PAYMENT_JSON, key: bytes = b"any", timestamp: int = 5
) -> ConsumerRecord:
    headers = [("request_id", b"r")]
    return ConsumerRecord(topic, partition, 7, timestamp, 0, key, value, None, len(key), len(value), headers)


@pytest.mark.parametrize("raw_partitions", [1, 4, 6, 12])
@pytest.mark.parametrize("payor", range(20))
def test_one_task_judges_a_payment_whatever_partition_of_however_many_it_is_read_from(
    payor: int, raw_partitions: int
) -> None:
    home = partition_of(payor_key(payor), 6)
    for partition in range(raw_partitions):
        arrival = source(partition, payment_json=raw_partitions).read_one(
            record(encode_json(payment(payor)), partition)
        )
        if partition == home:
            assert arrival == Arrival(payment(payor), Origin(PAYMENT_JSON, partition, 7))
        else:
            (sent,) = arrival.outputs
            assert arrival.payment is None
            assert (sent.topic, sent.partition, sent.key, sent.timestamp) == (PAYMENTS, home, payor_key(payor), 5)
            back = record(sent.value or b"", home, PAYMENTS)
            assert source(home).read_one(back).origin == Origin(PAYMENT_JSON, partition, 7)
            judged = source(home).read_one(back).payment
            assert judged is not None
            assert [getattr(judged, name) for name in FIELDS] == [getattr(payment(payor), name) for name in FIELDS]


@pytest.mark.parametrize(("amount", "sent"), [(2999.99, False), (3000.0, True), (9999.99, True), (10000.0, False)])
def test_only_what_a_rule_grouped_by_payee_counts_is_sent_on_once_and_from_where_it_was_read_first(
    amount: float,
    sent: bool,  # noqa: FBT001 - a column of the table above
) -> None:
    for partition in range(6):
        arrival = source(partition).read_one(record(encode_json(payment(amount=amount)), partition))
        by_payee = [output for output in arrival.outputs if output.topic == PAYMENTS_BY_PAYEE]
        assert len(by_payee) == sent
        for output in by_payee:
            assert output.partition == partition_of(payee_key("First National", 200), 6)
            assert (output.timestamp, output.headers) == (5, [("request_id", b"r")])
            assert json.loads(output.value or b"")["offset"] == 7
        for output in arrival.outputs:
            if output.topic == PAYMENTS:
                assert source(output.partition).read_one(record(output.value or b"", 0, PAYMENTS)).outputs == ()


def test_homes_are_the_partitions_of_fraud_state_however_many_the_topics_between_have() -> None:
    wide = source(0, payments=12, payments_by_payee=12, fraud_state=3)
    outputs = [wide.read_one(record(encode_json(payment(payor, 5000.0)))).outputs for payor in range(30)]
    assert {output.partition for sent in outputs for output in sent} <= {0, 1, 2}


@pytest.mark.parametrize("topic", [PAYMENTS, PAYMENTS_BY_PAYEE])
def test_a_topic_with_fewer_partitions_than_there_are_homes_is_an_error_that_names_it(topic: str) -> None:
    with pytest.raises(BrokerError, match=f"{topic} has 5 partitions, {FRAUD_STATE} 6"):
        source(0, **{topic: 5})


def test_a_normalised_payment_of_an_earlier_version_is_judged_with_no_partition_and_offset() -> None:
    value = {**json.loads(encode_json(payment())), "source": "payment_avro"}
    for topic, reader in ((PAYMENTS, source(0)), (PAYMENTS_BY_PAYEE, PayeeSource())):
        (arrival,) = reader.read([record(json.dumps(value).encode(), 0, topic)])
        assert isinstance(arrival, Arrival)
        assert arrival.origin == Origin("payment_avro", -1, -1)


@pytest.mark.parametrize("timestamp", [-1, LATEST + 1])
def test_a_record_whose_time_is_none_in_ms_is_no_payment(timestamp: int) -> None:
    value = encode_json(payment())
    with pytest.raises(PaymentError, match="is no time in ms"):
        source(0).read_one(record(value, timestamp=timestamp))


def test_records_that_are_read_together_are_read_as_each_by_itself() -> None:
    records = [framed(encode_json(payment(payor))) for payor in range(50)]
    records += [record(encode_json(payment(7))), framed(b"{}"), record(b"", 0, PAYMENTS), framed(b""), records[0]]
    for together in (records[:50], records):
        reader = source(0)
        asyncio.run(reader.prepare(together))
        for arrival, alone in zip(reader.read(together), together, strict=True):
            if isinstance(arrival, PaymentError):
                with pytest.raises(PaymentError, match=re.escape(str(arrival))):
                    reader.read_one(alone)
            else:
                assert comparable(arrival) == comparable(reader.read_one(alone))


def framed(value: bytes) -> ConsumerRecord:
    """A record of JSON in the wire format, as the service writes it."""
    return record(header(1) + value)


def comparable(arrival: Arrival) -> object:
    """An arrival, whatever kind of payment it has."""
    payment = arrival.payment
    return payment and [getattr(payment, name) for name in FIELDS], arrival.origin, arrival.outputs
