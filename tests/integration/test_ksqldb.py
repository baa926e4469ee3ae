"""The second engine's lag, on a real Kafka; and the statements, on a ksqlDB that is live."""

import os

import pytest

from fraud.comparison.ksqldb_engine import KsqldbEngine
from fraud.ksqldb.client import KsqldbSettings, connect
from fraud.ksqldb.deployment import deploy, health
from fraud.ksqldb.statements import statements
from fraud.rules import load
from schemas.kafka.settings import KafkaSettings
from schemas.kafka.topics import PAYMENT_AVRO
from tests.integration.processes import make_topics, producer
from tests.ksqldb_answers import Answers, answering


async def test_queries_that_have_committed_nothing_are_behind_where_there_is_something_to_read(
    kafka: KafkaSettings,
) -> None:
    answers = Answers().deploy()
    answers.fresh = True
    await make_topics(kafka)
    async with answering(answers) as url:
        engine = KsqldbEngine(kafka, KsqldbSettings(ksqldb_url=url), load())
        assert (await engine.status()).lag == 0
        async with producer(kafka) as client:
            await client.send_and_wait(PAYMENT_AVRO, b"a payment")
        status = await engine.status()
        assert status.lag == 1
        assert status.obstacle == "ksqlDB has 1 records to read"


@pytest.mark.skipif("KSQLDB_URL" not in os.environ, reason="KSQLDB_URL names no live ksqlDB")
async def test_a_live_ksqldb_takes_every_statement_and_runs_every_query() -> None:
    async with connect(KsqldbSettings(ksqldb_url=os.environ["KSQLDB_URL"])) as client:
        await client.wait(60)
        shipped = statements(load())
        _ = [step async for step in deploy(client, shipped, replace=False)]
        assert {step.did async for step in deploy(client, shipped, replace=False)} == {"unchanged"}
        assert {query.state for query in await health(client)} == {"RUNNING"}
