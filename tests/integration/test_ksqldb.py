"""The client and the deployment, against a server that answers as ksqlDB's documentation has it, and a live one."""

import os
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
from aiohttp import web

from fraud.comparison.engine_status import RUNNING
from fraud.comparison.ksqldb_engine import KsqldbEngine
from fraud.ksqldb.client import Ksqldb, KsqldbSettings, KsqldbUnavailable, StatementError, connect
from fraud.ksqldb.deployment import deploy, health
from fraud.ksqldb.statements import Statement, statements
from fraud.rules import load
from schemas.errors import SettingsError
from schemas.kafka.settings import KafkaSettings
from schemas.kafka.topics import PAYMENT_AVRO
from tests.integration.ksqldb_answers import Answers, answering
from tests.integration.processes import make_topics, producer


@pytest.fixture
def answers() -> Answers:
    return Answers()


@pytest.fixture
async def server(answers: Answers) -> AsyncIterator[Ksqldb]:
    async with answering(answers) as url, connect(KsqldbSettings(ksqldb_url=url)) as client:
        yield client


TEN, ELEVEN = "COUNT(*) >= 10", "COUNT(*) >= 11"
FROM_AVRO = "FROM payment_avro"


async def deployed(server: Ksqldb, change: tuple[str, str] = ("", ""), *, replace: bool = False) -> list[str]:
    """Deploy the shipped statements; the end of each. `change` is a text in them, and the one that takes its place."""
    shipped = [
        Statement(statement.file, statement.line, statement.text.replace(*change)) for statement in statements(load())
    ]
    return [step.did async for step in deploy(server, shipped, replace=replace)]


def dropped(answers: Answers) -> list[str]:
    return [statement for statement in answers.statements if statement.startswith("DROP")]


async def test_what_is_missing_is_created_and_what_is_there_is_left_alone(server: Ksqldb, answers: Answers) -> None:
    everything = len(statements(load()))
    assert await deployed(server) == ["created"] * everything
    before = len(answers.statements)
    assert await deployed(server) == ["unchanged"] * everything
    assert not [
        statement for statement in answers.statements[before:] if statement.startswith(("CREATE", "INSERT", "DROP"))
    ]


async def test_what_differs_is_named_and_replaced_only_when_asked(server: Ksqldb, answers: Answers) -> None:
    await deployed(server)
    assert (await deployed(server, (TEN, ELEVEN))).count("differs") == 1
    assert (await deployed(server, (TEN, ELEVEN), replace=True)).count("replaced") == 1
    assert ">= 11" in answers.sources["KSQLDB_VELOCITY"]["statement"]
    assert dropped(answers) == ["DROP TABLE KSQLDB_VELOCITY DELETE TOPIC;"]
    assert "differs" not in await deployed(server, (TEN, ELEVEN))


async def test_where_what_all_tables_read_differs_every_query_is_replaced_and_no_payment_deleted(
    server: Ksqldb, answers: Answers
) -> None:
    change = FROM_AVRO, FROM_AVRO + " WHERE payment_amount > 0"
    await deployed(server)
    assert (await deployed(server, change)).count("differs") == 1
    steps = await deployed(server, change, replace=True)
    assert (steps.count("replaced"), steps.count("unchanged")) == (len(load()) + 3, 3)
    assert {"DROP STREAM ALL_PAYMENTS DELETE TOPIC;"} == {
        statement for statement in dropped(answers) if "STREAM" in statement
    }
    assert "differs" not in await deployed(server, change)


async def test_a_replacement_that_was_cut_off_goes_on_where_it_was(server: Ksqldb, answers: Answers) -> None:
    await deployed(server)
    answers.failing = "^DROP"
    with pytest.raises(StatementError):
        await deployed(server, (TEN, ELEVEN), replace=True)
    answers.failing = "$^"
    assert (await deployed(server)).count("differs") == 1, "no query writes it any more"
    assert (await deployed(server, replace=True)).count("replaced") == 1
    assert dropped(answers)[-1] == "DROP TABLE KSQLDB_VELOCITY DELETE TOPIC;"


async def test_a_statements_error_names_its_file_and_line(server: Ksqldb, answers: Answers) -> None:
    answers.failing = "ksqldb_velocity"
    with pytest.raises(StatementError, match=r"ksql/17_velocity\.sql, line 3: line 2:3: bad"):
        await deployed(server)


async def test_an_unreachable_server_is_an_error_that_names_its_address() -> None:
    async with connect(KsqldbSettings(ksqldb_url="http://127.0.0.1:9")) as client:
        with pytest.raises(KsqldbUnavailable, match=r"127\.0\.0\.1:9"):
            await client.info()
        with pytest.raises(KsqldbUnavailable):
            await client.wait(0.2)


@pytest.mark.parametrize(
    ("status", "error"), [(500, KsqldbUnavailable), (503, KsqldbUnavailable), (401, SettingsError)]
)
async def test_a_server_that_fails_is_told_apart_from_one_that_refuses_us(
    status: int, error: type[Exception], aiohttp_server: Any
) -> None:
    async def fail(request: web.Request) -> web.Response:
        return web.json_response({"message": "no"}, status=status)

    app = web.Application()
    app.add_routes([web.post("/ksql", fail)])
    running = await aiohttp_server(app)
    async with connect(KsqldbSettings(ksqldb_url=str(running.make_url("/")))) as client:
        with pytest.raises(error):
            await client.queries()


@pytest.mark.parametrize("status", [200, 404])
@pytest.mark.parametrize("body", [b"null", b"[]", b"[1]", b'["no"]', b'[{"queries": [{}]}]', b"7", b"\xff"])
async def test_an_answer_that_is_none_of_ksqldbs_is_an_error_that_names_the_server(
    body: bytes, status: int, aiohttp_server: Any
) -> None:
    async def answer(request: web.Request) -> web.Response:
        return web.Response(body=body, status=status)

    app = web.Application()
    app.add_routes([web.post("/ksql", answer), web.get("/info", answer)])
    running = await aiohttp_server(app)
    async with connect(KsqldbSettings(ksqldb_url=str(running.make_url("/")))) as client:
        for asking in (client.info, client.queries, client.sources):
            with pytest.raises(KsqldbUnavailable, match=client.url):
                await asking()


async def test_without_an_address_the_setting_is_named() -> None:
    with pytest.raises(SettingsError, match="KSQLDB_URL"):
        async with connect(KsqldbSettings()):
            pass


async def test_queries_that_run_are_as_far_behind_as_they_say(kafka: KafkaSettings) -> None:
    async with answering(Answers().deploy()) as url:
        assert (await KsqldbEngine(kafka, KsqldbSettings(ksqldb_url=url), load()).status()).lag == 0


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


def without(answers: Answers) -> None:
    answers.queries.clear()


def without_one(answers: Answers) -> None:
    del answers.queries[-1]


def without_the_payments_in_avro(answers: Answers) -> None:
    answers.queries = [query for query in answers.queries if query["id"] != "INSERT_PAYMENT_AVRO"]


def with_one_that_has_failed(answers: Answers) -> None:
    answers.queries[-1]["state"] = "ERROR"


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (without, "CSAS_ALL_PAYMENTS"),
        (without_one, "CTAS_KSQLDB_VELOCITY"),
        (without_the_payments_in_avro, "INSERT_PAYMENT_AVRO"),
        (with_one_that_has_failed, "ERROR"),
    ],
)
async def test_a_ksqldb_of_which_too_little_is_known_has_not_caught_up(
    change: Callable[[Answers], None], reason: str
) -> None:
    answers = Answers().deploy()
    change(answers)
    async with answering(answers) as url:
        status = await KsqldbEngine(KafkaSettings(), KsqldbSettings(ksqldb_url=url), load()).status()
    assert status.state != RUNNING
    assert status.lag is None
    assert reason in (status.reason or "")


@pytest.mark.skipif("KSQLDB_URL" not in os.environ, reason="KSQLDB_URL names no live ksqlDB")
async def test_a_live_ksqldb_takes_every_statement_and_runs_every_query() -> None:
    async with connect(KsqldbSettings(ksqldb_url=os.environ["KSQLDB_URL"])) as client:
        await client.wait(60)
        await deployed(client)
        assert set(await deployed(client)) == {"unchanged"}
        assert {query.state for query in await health(client)} == {"RUNNING"}
