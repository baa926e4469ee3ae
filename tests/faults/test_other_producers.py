"""Records of other producers by the thousand, among garbage: the good ones are detected, the others set aside in short.

What was set aside for a schema that the registry did not have comes back once it has it: just that, and once.
GUEST_RECORDS: how many there are, and GARBAGE_RECORDS of garbage at most.
"""

import asyncio
import json
import os
import random
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from decimal import Decimal
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pytest
from confluent_kafka.schema_registry import SchemaRegistryClient
from confluent_kafka.schema_registry.avro import AvroSerializer
from confluent_kafka.serialization import MessageField, SerializationContext
from google.protobuf import descriptor_pool, message_factory
from google.protobuf.descriptor_pb2 import FileDescriptorSet
from grpc_tools import protoc

from fraud.comparison.lag import python_lag
from schemas import wire_format
from schemas.codecs import case_header, payment_codecs
from schemas.kafka.settings import KafkaSettings
from schemas.kafka.topics import PAYMENT_AVRO, PAYMENT_JSON, PAYMENT_PROTOBUF, PAYMENT_REJECTED, PAYMENTS
from schemas.registry import Registry, RegistrySettings, WriterSchema
from tests.conftest import Servers
from tests.faults.test_garbage import FOR_EVER, Record, bad, send, structuring
from tests.integration.processes import make_topics, read_all, running, until
from tests.unit.schemas.test_payment_reader import AVRO_TYPES, DECIMALS, PROTO, avro_payload, avro_schema

RECORDS = int(os.environ.get("GUEST_RECORDS", "2000"))
EARLY_PAYORS = range(2, 2 + RECORDS // 10)
LATE_PAYORS = range(1_000_000, 1_000_000 + RECORDS // 20)
JUDGED_SECONDS = 60 + RECORDS / 100
METHOD = {"type": "enum", "name": "Method", "symbols": ["ACH", "WIRE"]}
AVRO_SCHEMAS = {
    "name": avro_schema("io.confluent.connect.avro.ConnectDefault"),
    "enum": avro_schema("Enum", payment_method=METHOD),
    "long": avro_schema("Long", payee_account_no="long", payor_account_no="long"),
    "null": avro_schema("Null", **{name: ["null", kind] for name, kind in AVRO_TYPES.items()}),
    "decimal": avro_schema("Decimal", payment_amount=DECIMALS["bytes"]),
    "fixed": avro_schema("Fixed", payment_amount=["null", DECIMALS["fixed"]]),
}
WRAPPERS = PROTO.replace("message", 'import "google/protobuf/wrappers.proto";\nmessage').replace(
    "double payment_amount", "google.protobuf.DoubleValue payment_amount"
)
SYMBOLS = PROTO.replace("string payment_method", "Method payment_method") + "enum Method { WIRE = 0; ACH = 3; }"
DEFAULTS = (
    PROTO.replace("proto3", "proto2")
    .replace("  ", "  optional ")
    .replace("payment_method = 5", 'payment_method = 5 [default = "ACH"]')
)
Fields = dict[str, Any]
Write = Callable[[Fields], Record]


def avro_writer(client: SchemaRegistryClient, name: str) -> Write:
    """Confluent's serializer, which registers the schema in a subject of its own."""
    serializer = AvroSerializer(client, json.dumps(AVRO_SCHEMAS[name]), lambda fields, _: fields)
    context = SerializationContext(f"guest-{name}", MessageField.VALUE)

    def write(fields: Fields) -> Record:
        if name in {"decimal", "fixed"}:
            fields = {**fields, "payment_amount": Decimal(str(fields["payment_amount"]))}
        return Record(PAYMENT_AVRO, serializer(fields, context))

    return write


def proto_writer(schema_id: int, schema: str, folder: Path, change: Callable[[Fields], Fields]) -> Write:
    """Google's own Protobuf."""
    folder.mkdir()
    (folder / "guest.proto").write_text(schema)
    well_known = Path(protoc.__file__).with_name("_proto")
    compiled = folder / "compiled.pb"
    arguments = ["protoc", f"-I{folder}", f"-I{well_known}", "--include_imports", f"--descriptor_set_out={compiled}"]
    assert protoc.main([*arguments, "guest.proto"]) == 0
    pool = descriptor_pool.DescriptorPool()
    for file in FileDescriptorSet.FromString(compiled.read_bytes()).file:
        pool.Add(file)
    message = message_factory.GetMessageClass(pool.FindMessageTypeByName("Wire"))
    header = wire_format.header(schema_id) + b"\0"
    return lambda fields: Record(PAYMENT_PROTOBUF, header + message(**change(fields)).SerializeToString())


def with_wrapped_amount(fields: Fields) -> Fields:
    return {**fields, "payment_amount": {"value": fields["payment_amount"]}}


def without_method(fields: Fields) -> Fields:
    return {name: value for name, value in fields.items() if name != "payment_method"}


async def writers(registry: Registry, client: SchemaRegistryClient, folder: Path) -> list[Write]:
    """A writer of each kind."""
    by_header = await registry.register("guest-header", WriterSchema(json.dumps(avro_schema("Header")), "AVRO"))
    header = ("__value_schema_id", wire_format.header(by_header))

    async def proto(name: str, schema: str, change: Callable[[Fields], Fields]) -> Write:
        schema_id = await registry.register(f"guest-{name}", WriterSchema(schema, "PROTOBUF"))
        return proto_writer(schema_id, schema, folder / name, change)

    return [
        *(avro_writer(client, name) for name in AVRO_SCHEMAS),
        await proto("wrappers", WRAPPERS, with_wrapped_amount),
        await proto("symbols", SYMBOLS, lambda fields: {**fields, "payment_method": 3}),
        await proto("defaults", DEFAULTS, without_method),
        lambda fields: Record(PAYMENT_AVRO, avro_payload(avro_schema(), **fields), headers=[header]),
        lambda fields: Record(PAYMENT_JSON, b" " + json.dumps({**fields, "branch": 7}).encode()),
    ]


def payments(payors: range, some: random.Random) -> Iterator[Fields]:
    """Two payments of $6,000 from each payor to one payee: a case of `structuring` each."""
    for payor in payors:
        for _ in range(2):
            yield {
                "id": str(UUID(int=some.getrandbits(128))),
                "payee_bank": "First National",
                "payee_account_no": 200,
                "payment_amount": 6000.0,
                "payment_method": "ACH",
                "payor_account_no": payor,
            }


def origin(record: Any) -> tuple[str, int, int]:
    """The place at which a rejected record came."""
    headers = dict(record.headers)
    return headers["topic"].decode(), int(headers["partition"]), int(headers["offset"])


async def redrive(servers: Servers, app: str) -> str:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "fraud", "redrive", "--yes"),
        env={**os.environ, **servers.environment, "FRAUD_APP": app},
        stdout=asyncio.subprocess.PIPE,
    )
    output, _ = await process.communicate()
    assert process.returncode == 0
    return output.decode()


@pytest.mark.timeout(300 + RECORDS // 50)
async def test_guests_are_detected_and_those_whose_schema_comes_later_come_back(
    servers: Servers, kafka: KafkaSettings, registry: RegistrySettings, tmp_path: Path
) -> None:
    some, app, schema_registry = random.Random(1), uuid4().hex, Registry(registry)
    await make_topics(kafka, **FOR_EVER)
    codecs = await payment_codecs(schema_registry)
    await case_header(schema_registry)
    with SchemaRegistryClient({"url": registry.schema_registry_url}) as client:
        kinds = await writers(schema_registry, client, tmp_path)
        early = [some.choice(kinds)(fields) for fields in payments(EARLY_PAYORS, some)]
    late_schema = avro_schema("Late", payment_method=METHOD)
    placeholder = WriterSchema(json.dumps(avro_schema("Placeholder")), "AVRO")
    late_id = 1 + await schema_registry.register("guest-placeholder", placeholder)
    late = [
        Record(PAYMENT_AVRO, wire_format.header(late_id) + avro_payload(late_schema, **fields))
        for fields in payments(LATE_PAYORS, some)
    ]
    garbage = [record for record, _ in zip(bad(codecs, some), range(RECORDS), strict=False)]
    # The registry of these tests has no GUIDs.
    garbage += [
        Record(PAYMENT_AVRO, avro_payload(avro_schema()), headers=[("__value_schema_id", b"\1" + some.randbytes(16))])
        for _ in range(5)
    ]
    mixed = [*early, *late, *garbage]
    some.shuffle(mixed)
    rejected = len(late) + len(garbage)
    with running(servers, tmp_path / "fraud.log", "fraud", "run", FRAUD_APP=app) as fraud:
        places = await send(kafka, mixed)
        unreadable = {id(record) for record in (*late, *garbage)}
        expected = {place[:3] for place, record in zip(places, mixed, strict=True) if id(record) in unreadable}

        async def payors() -> set[int]:
            return {case["group"]["payor_account_no"] for case in await structuring(kafka)}

        async def all_judged() -> bool:
            fraud.check()
            return await python_lag(kafka, app) == 0

        async def early_have_come() -> bool:
            return len(await payors()) >= len(EARLY_PAYORS) and len(await read_all(kafka, PAYMENT_REJECTED)) >= rejected

        async def late_have_come() -> bool:
            return len(await payors()) >= len(EARLY_PAYORS) + len(LATE_PAYORS)

        await until(all_judged, JUDGED_SECONDS)
        with suppress(
            TimeoutError
        ):  # a transaction's end comes to its topics one by one; what is missing is said below
            await until(early_have_come)
        assert await payors() == set(EARLY_PAYORS)
        records = await read_all(kafka, PAYMENT_REJECTED)
        assert {origin(record) for record in records} == expected
        assert len(records) == rejected
        assert max(len(dict(record.headers)["reason"].decode()) for record in records) <= 300
        before = len(await read_all(kafka, PAYMENTS))

        assert await schema_registry.register("guest-late", WriterSchema(json.dumps(late_schema), "AVRO")) == late_id
        assert (await redrive(servers, app)).startswith(f"{len(late)} payments sent")
        assert (await redrive(servers, app)).startswith("0 payments sent")
        assert len(await read_all(kafka, PAYMENTS)) == before + len(late)

        await until(all_judged, JUDGED_SECONDS)
        with suppress(TimeoutError):
            await until(late_have_come)
        assert await payors() == {*EARLY_PAYORS, *LATE_PAYORS}
    assert {(case["total_amount"], case["payment_count"]) for case in await structuring(kafka)} == {("12000.00", 2)}
