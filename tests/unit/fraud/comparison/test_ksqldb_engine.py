"""ksqlDB as the second engine: how far it is, or what keeps it from being compared."""

from collections.abc import Callable

import pytest

from fraud.comparison.engine_status import RUNNING
from fraud.comparison.ksqldb_engine import KsqldbEngine
from fraud.ksqldb.client import KsqldbSettings
from fraud.rules import load
from schemas.kafka.settings import KafkaSettings
from tests.ksqldb_answers import Answers, answering


async def test_queries_that_run_are_as_far_behind_as_they_say() -> None:
    async with answering(Answers().deploy()) as url:
        assert (await KsqldbEngine(KafkaSettings(), KsqldbSettings(ksqldb_url=url), load()).status()).lag == 0


def without(answers: Answers) -> None:
    answers.queries.clear()


def without_one(answers: Answers) -> None:
    del answers.queries[-1]


def without_the_payments_in_avro(answers: Answers) -> None:
    answers.queries = [query for query in answers.queries if not query["id"].startswith("INSERT_PAYMENT_AVRO")]


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
