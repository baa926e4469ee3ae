"""The deployment, on a server that answers as ksqlDB's documentation has it."""

from collections.abc import AsyncIterator

import pytest

from fraud.ksqldb.client import Ksqldb, KsqldbSettings, StatementError, connect
from fraud.ksqldb.deployment import deploy
from fraud.ksqldb.statements import Statement, statements
from fraud.rules import load
from tests.ksqldb_answers import Answers, answering


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


async def test_streams_with_other_columns_are_replaced_and_their_topics_kept(server: Ksqldb, answers: Answers) -> None:
    await deployed(server, ("BIGINT", "INTEGER"))
    steps = await deployed(server, replace=True)
    assert steps == ["replaced"] * len(steps)
    sources = {"DROP STREAM PAYMENT_JSON;", "DROP STREAM PAYMENT_AVRO;", "DROP STREAM PAYMENT_PROTOBUF;"}
    assert sources < {*dropped(answers)}
    assert set(await deployed(server)) == {"unchanged"}


def inserts(answers: Answers) -> list[str]:
    return [query["id"] for query in answers.queries if query["id"].startswith("INSERT")]


async def test_an_insert_reads_from_the_beginning_if_its_sink_is_new_and_goes_on_where_it_was_else(
    server: Ksqldb, answers: Answers
) -> None:
    await deployed(server)
    before = inserts(answers)
    answers.queries = [query for query in answers.queries if not query["id"].startswith("INSERT")]
    await deployed(server)
    assert inserts(answers) == before, "an id that ksqlDB knows goes on at its offsets"
    await deployed(server, (FROM_AVRO, FROM_AVRO + " WHERE payment_amount > 0"), replace=True)
    assert set(inserts(answers)).isdisjoint(before)
    assert [name.rpartition("_")[0] for name in inserts(answers)] == [name.rpartition("_")[0] for name in before]


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


async def test_where_the_stream_of_payments_has_lost_its_query_what_needs_it_differs_too(
    server: Ksqldb, answers: Answers
) -> None:
    await deployed(server)
    answers.queries = [query for query in answers.queries if "ALL_PAYMENTS" not in query["sinks"]]
    assert (await deployed(server)).count("differs") == 3, "the stream, and two INSERTs into it"
    assert "differs" not in await deployed(server, replace=True)
    assert set(await deployed(server)) == {"unchanged"}
