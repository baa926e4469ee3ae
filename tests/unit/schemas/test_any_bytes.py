"""Whatever the bytes: a result, or the one error that is documented, soon. FUZZ_EXAMPLES says how many of each."""

import asyncio
import base64
import json
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

import pytest
from aiokafka import TopicPartition
from aiokafka.structs import ConsumerRecord
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from fraud.comparison.rows import RowError, of_ksqldb, of_python, window_of_late
from fraud.detection.changelog import ChangelogError, Segments, progress
from fraud.detection.detect import stages
from fraud.detection.ledger import Ledger
from fraud.detection.packed import array_of
from fraud.detection.partition_keys import account_of
from fraud.detection.restore import Restore
from fraud.detection.topology import BY_PAYEE, BY_PAYOR, INPUTS, OUTPUTS
from fraud.payment_files import decode_line
from fraud.rules import load, parse
from schemas import avro, payment_pb2, wire_format
from schemas.codecs import SCHEMAS, AvroCodec, JsonCodec, ProtobufCodec, decode_posted
from schemas.errors import PaymentError, SchemaError, SettingsError, UnknownSchema
from schemas.kafka.topics import (
    PAYMENT_AVRO,
    PAYMENT_JSON,
    PAYMENT_LATE,
    PAYMENT_PROTOBUF,
    PAYMENTS,
    PAYMENTS_BY_PAYEE,
    RAW_TOPICS,
    REVIEW_QUEUE,
)
from schemas.payment import FIELDS, ForeignPayment, Payment
from schemas.payment_reader import PaymentReader
from schemas.registry import Reference, WriterSchema
from service.http.bodies import media_type
from service.queue.batch import TopicRecord
from service.queue.query import InvalidCursor, decode_cursor
from service.queue.view import QueueView
from tests.unit.service.queue.records import case, decision

EXAMPLES = int(os.environ.get("FUZZ_EXAMPLES", "100"))
SECONDS = 5.0
RULES = {rule.name: rule for rule in load()}
CODECS = {
    PAYMENT_JSON: JsonCodec(wire_format.header(1)),
    PAYMENT_AVRO: AvroCodec(wire_format.header(2)),
    PAYMENT_PROTOBUF: ProtobufCodec(wire_format.header(3) + b"\0"),
}
fuzzed = settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=list(HealthCheck))

texts = st.text(
    st.characters(exclude_categories=["Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"]), min_size=1, max_size=35
).filter(lambda text: bool(text.strip()))
payments = st.builds(
    Payment,
    st.uuids().map(str),
    texts,
    st.integers(0, 2**31 - 1),
    st.integers(1, 10**14).map(lambda cents: cents / 100),
    texts,
    st.integers(0, 2**31 - 1),
)
values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.sampled_from([2**31, -1, 10**400, "NaN"]),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=4),
    max_leaves=8,
)
DEEP = [opening * 100_000 for opening in (b"[", b'{"a":', b'{"id":[', b"\x91", b"\x0b", b"\x02")]


def like(content: dict[str, Any]) -> st.SearchStrategy[bytes]:
    """JSON of this content with some members changed, or gone; lone surrogates, NaN and huge numbers among them."""
    changes = st.dictionaries(st.sampled_from([*content, "more"]), values, max_size=3)
    missing = st.sets(st.sampled_from([*content]), max_size=1)
    return st.builds(
        lambda changed, left_out: json.dumps(
            {name: value for name, value in {**content, **changed}.items() if name not in left_out}
        ).encode(),
        changes,
        missing,
    )


def broken(whole: st.SearchStrategy[bytes]) -> st.SearchStrategy[bytes]:
    """The bytes cut short, or with others among them."""
    return st.builds(
        lambda text, at, more, rest: text[: at % (len(text) + 1)] + more + text[at % (len(text) + 1) + rest :],
        whole,
        st.integers(0, 10_000),
        st.binary(max_size=12)
        | st.sampled_from(
            [b"\xff" * 9 + b"\x01", b"\x80" * 9 + b"\x7f", b"\xfe\xff\xff\xff\x0f", b"e-9999999999999999999"]
        ),
        st.integers(0, 4),
    )


any_bytes = st.binary() | st.sampled_from(DEEP)
PAYMENT = {
    name: getattr(Payment("6f1c2a34-5b6d-4e7f-8a9b-0c1d2e3f4a5b", "B", 2, 1.5, "ACH", 1), name) for name in FIELDS
}


@contextmanager
def soon(*errors: type[Exception]) -> Iterator[None]:
    """Check that the block ends with a result or one of these errors, within `SECONDS`."""
    started = time.monotonic()
    with suppress(*errors):
        yield
    assert time.monotonic() - started < SECONDS


@pytest.mark.parametrize("topic", RAW_TOPICS)
@fuzzed
@given(payments)
def test_every_payment_comes_back_from_each_format_the_same(topic: str, payment: Payment) -> None:
    codec = CODECS[topic]
    posted = codec.decode_body(codec.encode(payment))
    assert {name: getattr(posted, name) for name in FIELDS} == {name: getattr(payment, name) for name in FIELDS}


@fuzzed
@given(st.dictionaries(st.sampled_from(FIELDS), values, max_size=2))
def test_what_one_format_takes_as_a_payment_the_others_take(changed: dict[str, Any]) -> None:
    fields = {**PAYMENT, **changed}
    try:
        posted = decode_posted(json.dumps(fields).encode())
    except PaymentError:
        # Where the binary formats can say it at all, they are refused for it, too.
        with suppress(TypeError, ValueError, AttributeError, OverflowError):
            message = payment_pb2.Payment(**fields)
            decoded = {name: getattr(message, name) for name in FIELDS}
            is_same = decoded == fields and not any(isinstance(value, bool) for value in fields.values())  # True is 1.0
            assert not is_same or refused(message.SerializeToString())
    else:
        for codec in CODECS.values():
            again = codec.decode_body(codec.encode(posted))
            assert [getattr(again, name) for name in FIELDS] == [getattr(posted, name) for name in FIELDS]


def refused(body: bytes) -> bool:
    with suppress(PaymentError):
        CODECS[PAYMENT_PROTOBUF].decode_body(body)
        return False
    return True


@pytest.mark.parametrize("topic", RAW_TOPICS)
@fuzzed
@given(body=any_bytes | like(PAYMENT) | broken(payments.map(CODECS[PAYMENT_AVRO].encode)))
def test_any_body_is_a_payment_or_a_payment_error(topic: str, body: bytes) -> None:
    with soon(PaymentError):
        CODECS[topic].decode_body(body)
    with soon(PaymentError):
        decode_posted(body)


class Writers:
    """A registry of these writers' schemas, by id from 1."""

    def __init__(self, *schemas: WriterSchema, **imports: str) -> None:
        self.schemas = schemas
        self.imports = imports

    async def writer(self, schema_id: int) -> WriterSchema:
        if not 0 < schema_id <= len(self.schemas):
            raise UnknownSchema("unknown")
        return self.schemas[schema_id - 1]

    async def resolve(self, reference: Reference) -> WriterSchema:
        return WriterSchema(self.imports.get(reference.name, ""), "PROTOBUF")


def read(writers: Writers, topic: str, value: bytes | None) -> None:
    reader = PaymentReader(writers)  # type: ignore[arg-type]
    record = consumed(topic, value, 0)
    asyncio.run(reader.learn([record]))
    with soon(PaymentError):
        reader.read(record)


@pytest.mark.parametrize("topic", RAW_TOPICS)
@fuzzed
@given(
    schema_id=st.integers(0, 4),
    value=any_bytes
    | like(PAYMENT)
    | st.sampled_from(sorted(CODECS)).flatmap(lambda of: broken(payments.map(CODECS[of].encode))),
    framed=st.booleans(),
)
def test_any_record_of_any_schema_is_a_payment_or_a_payment_error(
    topic: str, schema_id: int, value: bytes, *, framed: bool
) -> None:
    writers = Writers(*(SCHEMAS[raw_topic] for raw_topic in (PAYMENT_JSON, PAYMENT_AVRO, PAYMENT_PROTOBUF)))
    read(writers, topic, wire_format.header(schema_id) + value if framed else value)


def record(*fields: Any, name: str = "Payment") -> dict[str, Any]:
    return {
        "type": "record",
        "name": name,
        "fields": [{"name": f"f{n}", "type": field_type} for n, field_type in enumerate(fields)],
    }


def doubled(depth: int) -> Any:
    """A record of two of a record of two of...: 2**depth of nothing."""
    kind: Any = "null"
    for level in range(depth):
        kind = record(record(kind, name=f"L{level}"), f"L{level}", name=f"R{level}")
    return record(kind)


HOSTILE: dict[str, Any] = {
    "itself": record("Payment"),
    "itself or null": record(["null", "Payment"]),
    "a list of itself": record({"type": "array", "items": "Payment"}),
    "nothing, many times": record({"type": "array", "items": "null"}),
    "empty records, many times": record({"type": "array", "items": record(name="Empty")}),
    "fixed of no size, many times": record({"type": "array", "items": {"type": "fixed", "name": "F", "size": 0}}),
    "many nothings for a byte": record({"type": "map", "values": record(*["null"] * 500, name="Wide")}),
    "twice of twice of": doubled(40),
    "a huge fixed": record({"type": "fixed", "name": "F", "size": 2**60}),
    "strings": record("string", "bytes"),
    "lists of lists": record({"type": "array", "items": {"type": "array", "items": "string"}}),
    "maps": record({"type": "map", "values": {"type": "map", "values": "bytes"}}),
    "a decimal": record({"type": "bytes", "logicalType": "decimal", "precision": 10**6, "scale": 10**6}),
    "a time": record({"type": "long", "logicalType": "timestamp-millis"}),
}
HUGE = [
    b"\xfe\xff\xff\xff\xff\xff\xff\xff\xff\x01",
    b"\x80" * 8 + b"\x20",
    b"\xff" * 9 + b"\x01",
    b"\x01" + b"\xff" * 9 + b"\x01",
]


@pytest.mark.parametrize("payload", [b"", *HUGE, *(huge + b"\0" * 50 for huge in HUGE), b"\x02" * 1_000_000])
@pytest.mark.parametrize("kind", HOSTILE)
def test_a_hostile_avro_schema_neither_stops_nor_fills_the_reader(kind: str, payload: bytes) -> None:
    writers = Writers(WriterSchema(json.dumps(HOSTILE[kind]), "AVRO"))
    read(writers, PAYMENT_AVRO, wire_format.header(1) + payload)


@fuzzed
@given(st.text() | values.map(json.dumps) | like(json.loads(SCHEMAS[PAYMENT_AVRO].schema)).map(bytes.decode))
@example('{"type":"array","items":' * 5_000)
@example("9" * 5_000)
@example('"\\ud800"')
def test_any_text_is_an_avro_schema_or_a_schema_error(text: str) -> None:
    with soon(SchemaError):
        avro.field_reader(text)


@pytest.mark.parametrize(
    ("kind", "logical"), [("string", "uuid"), ("bytes", "decimal"), ("string", "iban"), ("fixed", "duration")]
)
def test_a_field_that_says_how_it_is_to_be_shown_is_read_as_what_it_is(kind: str, logical: str) -> None:
    more = {"type": kind, "logicalType": logical, "precision": 4} | (
        {"name": "F", "size": 0} if kind == "fixed" else {}
    )
    schema = json.loads(SCHEMAS[PAYMENT_AVRO].schema)
    schema["fields"][0]["type"] = {"type": "string", "logicalType": "uuid"}
    schema["fields"].append({"name": "more", "type": more})
    payment = ForeignPayment(**PAYMENT)
    reader = PaymentReader(Writers(WriterSchema(json.dumps(schema), "AVRO")))  # type: ignore[arg-type]
    value = AvroCodec(wire_format.header(1)).encode(payment) + (b"" if kind == "fixed" else b"\0")
    record = consumed(PAYMENT_AVRO, value, 0)
    asyncio.run(reader.learn([record]))
    assert reader.read(record) == payment


PROTO = 'syntax = "proto3";\n'
PROTOS = {
    "garbage": "garbage",
    "nothing": "",
    "no text": "\ud800\0",
    "deep": PROTO + "message P {" + "message Q {" * 5_000,
    "itself": PROTO + 'import "schema.proto"; message P {}',
    "a file of ours": PROTO + 'import "/etc/passwd"; import "../../etc/passwd"; message P {}',
    "too many fields": PROTO + "message P {" + "".join(f"string f{n} = {n};" for n in range(1, 18_000)) + "}",
    "names of methods": PROTO + "message P { string DESCRIPTOR = 1; string HasField = 2; string ParseFromString = 3; }",
    "other types": PROTO
    + "message P { repeated string id = 1; P payee_bank = 2; map<string, string> payment_method = 5; }",
    "recursive": PROTO + "message P { P id = 1; repeated P more = 2; }",
    "required": 'syntax = "proto2"; message P { required string id = 1; optional group G = 2 {} }',
}
PROTO_VALUES = [
    b"",
    b"\0",
    b"\2\2",
    b"\0\x0a\x02\xff\xfe",
    b"\0" + b"\x0a\xff\xff\xff\xff\x0f",
    b"\0" + b"\x0b" * 100_000,
]


@pytest.mark.parametrize("value", PROTO_VALUES)
@pytest.mark.parametrize("kind", PROTOS)
def test_a_hostile_protobuf_schema_neither_stops_nor_fills_the_reader(kind: str, value: bytes) -> None:
    read(Writers(WriterSchema(PROTOS[kind], "PROTOBUF")), PAYMENT_PROTOBUF, wire_format.header(1) + value)


@pytest.mark.parametrize("name", ["", ".", "a", "a/b", "/etc/x", "../x", "a\0b", "\ud800", "x" * 300, "schema.proto"])
def test_an_import_of_any_name_is_a_file_or_a_schema_error(name: str) -> None:
    imports = (Reference(name, "s", 1), Reference("a/b", "s", 1), Reference("a", "s", 1))
    writers = Writers(WriterSchema(PROTO + "message P {}", "PROTOBUF", imports), a=PROTO)
    read(writers, PAYMENT_PROTOBUF, wire_format.header(1) + b"\0")


@fuzzed
@given(any_bytes | st.binary(max_size=40).map(lambda more: wire_format.header(1) + more))
def test_any_bytes_have_a_schema_id_and_message_indexes_or_not(value: bytes) -> None:
    with soon(PaymentError):
        wire_format.message_indexes(wire_format.split(value)[1])


LINE = {**PAYMENT, "topic": "payments", "partition": 0, "offset": 0, "timestamp": 0}
KEYS = [b'["by-payor",20000,0]', b'["by-payor"]', b'["fan_out",[1],0]', b'["fan_out",[1],0,2]', b'["gone"]']
PROGRESS = progress(BY_PAYOR, Ledger(load()), 1, ())[1]


@fuzzed
@given(any_bytes | like(LINE) | broken(like(LINE)))
def test_any_line_is_a_recorded_payment_or_a_payment_error(line: bytes) -> None:
    with soon(PaymentError):
        decode_line(line)


@fuzzed
@given(
    st.lists(
        st.tuples(
            any_bytes | st.sampled_from(KEYS) | broken(st.sampled_from(KEYS)),
            st.none() | any_bytes | st.just(PROGRESS) | broken(st.just(PROGRESS)) | broken(st.just(array_of(0, ()))),
        )
    )
)
def test_any_changelog_is_restored_or_a_changelog_error(log: list[tuple[bytes, bytes | None]]) -> None:
    restore = Restore(BY_PAYOR, Ledger(load()), account_of(PAYMENTS), 1)
    with soon(ChangelogError):
        for key, value in log:
            restore.take(key, value)
        assert sum(restore.fill(Segments(BY_PAYOR))) >= 0
        restore.finish()


SINK_KEY = json.dumps({"K_PAYOR_ACCOUNT_NO": 1, "K_PAYEE_BANK": "B", "K_PAYEE_ACCOUNT_NO": 2}).encode()
SUNK = {"WINDOW_END": 1, "PAYMENT_COUNT": 2, "TOTAL_AMOUNT": 1.5, "MAX_AMOUNT": 1, "PAYMENT_IDS": ["a"]}


@fuzzed
@given(
    any_bytes | like(case()) | like(SUNK),
    st.binary() | st.just(SINK_KEY + bytes(8)) | broken(st.just(SINK_KEY + bytes(8))),
)
@example(json.dumps({**SUNK, "TOTAL_AMOUNT": "NaN"}).encode(), SINK_KEY + bytes(8))
def test_any_record_is_a_row_or_a_row_error(value: bytes, key: bytes) -> None:
    for reading in (
        lambda: of_ksqldb(RULES["structuring"], key, value),
        lambda: of_python(value),
        lambda: window_of_late(value),
    ):
        with soon(RowError):
            reading()  # type: ignore[no-untyped-call]


@fuzzed
@given(st.text() | values.map(lambda value: f'[[rule]]\nname = {json.dumps(str(value))}\nwindow = "24h"\n'))
@example("a = " + "[" * 50_000)
@example("a = " + "9" * 5_000)
@example('[[rule]]\nname = "a"\ngroup_by = ["payor_account_no"]\nwindow = "1h"\ntotal_above = 1e999999999')
@example('[[rule]]\nname = "a"\ngroup_by = ["payor_account_no"]\nwindow = "1h"\ntotal_above = nan')
def test_any_text_is_rules_or_a_settings_error(text: str) -> None:
    with soon(SettingsError):
        parse(text, "rules.toml")


@fuzzed
@given(st.text() | any_bytes.map(lambda raw: base64.urlsafe_b64encode(raw).decode()) | values.map(json.dumps))
def test_any_text_is_a_cursor_or_a_problem(text: str) -> None:
    with soon(InvalidCursor):
        decode_cursor(text)


@fuzzed
@example("application/json;charset*")
@example("application/json\x85")
@given(st.text() | st.text(';*="=?<>()\\0 ').map("application/json;charset{}".format))
def test_any_text_is_a_media_type_or_none(text: str) -> None:
    with soon():
        media_type(text)


DECISION = json.loads(decision(1).value or b"")


@pytest.mark.parametrize("topic", [REVIEW_QUEUE, PAYMENT_LATE])
def test_any_record_is_taken_into_the_view_or_counted_as_bad(topic: str, tmp_path: Any) -> None:
    view = QueueView(tmp_path / "queue.sqlite")

    @fuzzed
    @given(st.lists(st.tuples(st.none() | any_bytes, st.none() | any_bytes | like(case()) | like(DECISION))))
    def take(records: list[tuple[bytes | None, bytes | None]]) -> None:
        batch = [TopicRecord(0, offset, *content) for offset, content in enumerate(records)]
        with soon():
            view.compared_until = 0
            assert view.apply(batch, {TopicPartition(topic, 0): 1}, decisions=batch) <= 2 * len(batch)

    try:
        take()
    finally:
        view.close()


@fuzzed
@given(any_bytes | like({**PAYMENT, "source": "payment_json", "partition": 0, "offset": 0}), st.integers(-1, 2**62))
@example(json.dumps({**PAYMENT, "source": "payment_json", "partition": 0, "offset": 2**64}).encode(), 0)
def test_any_normalised_record_is_judged_or_rejected(value: bytes, timestamp: int) -> None:
    both = stages(load(), None, 0)  # type: ignore[arg-type]
    for stage, topic in ((BY_PAYOR, PAYMENTS), (BY_PAYEE, PAYMENTS_BY_PAYEE)):
        partitions = dict.fromkeys({*INPUTS[stage], *OUTPUTS[stage]}, 1)
        with soon():
            both[stage].processor(0, partitions).process([consumed(topic, value, timestamp)], 0.0)


def consumed(topic: str, value: bytes | None, timestamp: int) -> Any:
    return ConsumerRecord(topic, 0, 0, timestamp, 0, b"k", value, None, 1, len(value or b""), [("h", None)])
