"""`fraud ksql`: what it prints, and its exit status, on a server that answers as ksqlDB's documentation has it."""

import asyncio
import os
import subprocess
import sys

import pytest

from fraud.commands.ksql import DIFFERENT, deploy, render, status
from fraud.ksqldb.client import KsqldbSettings
from fraud.rules import load
from tests.ksqldb_answers import Answers, answering

EVERYTHING = 3 + 1 + 2 + len(load())
"""Sources, the stream of all payments, what is inserted into it, and the rules' tables."""


def test_the_sql_is_printed_as_the_cli_takes_it(capsys: pytest.CaptureFixture[str]) -> None:
    render()
    sql = capsys.readouterr().out
    assert sql.startswith("SET 'auto.offset.reset' = 'earliest';\n")
    assert sql.count(";\n") == 1 + EVERYTHING


async def test_deploying_says_of_each_statement_what_it_did(capsys: pytest.CaptureFixture[str]) -> None:
    async with answering(Answers()) as url:
        ksqldb = KsqldbSettings(ksqldb_url=url)
        assert await asyncio.to_thread(deploy, ksqldb) == 0
        first = capsys.readouterr().out.splitlines()
        assert await asyncio.to_thread(deploy, ksqldb) == 0
        second = capsys.readouterr().out.splitlines()
    assert first[0] == f"ksqlDB 7.9.0 at {url}"
    assert [line.split()[0] for line in first[1:]] == ["created"] * EVERYTHING
    assert [line.split()[0] for line in second[1:]] == ["unchanged"] * EVERYTHING


async def test_what_differs_is_an_exit_status_until_it_is_replaced(capsys: pytest.CaptureFixture[str]) -> None:
    answers = Answers().deploy()
    table = answers.sources["KSQLDB_VELOCITY"]
    table["statement"] = table["statement"].replace("COUNT(*) >= 10", "COUNT(*) >= 9")
    async with answering(answers) as url:
        ksqldb = KsqldbSettings(ksqldb_url=url)
        assert await asyncio.to_thread(deploy, ksqldb) == DIFFERENT
        said = capsys.readouterr().out
        assert await asyncio.to_thread(lambda: deploy(ksqldb, replace=True)) == 0
    assert "differs    TABLE KSQLDB_VELOCITY" in said
    assert "--replace puts it right" in said
    assert "replaced   TABLE KSQLDB_VELOCITY" in capsys.readouterr().out


async def test_the_status_is_good_while_every_query_runs(capsys: pytest.CaptureFixture[str]) -> None:
    answers = Answers().deploy()
    async with answering(answers) as url:
        ksqldb = KsqldbSettings(ksqldb_url=url)
        assert await asyncio.to_thread(status, ksqldb) == 0
        assert "RUNNING" in capsys.readouterr().out
        answers.queries[0]["state"] = "ERROR"
        assert await asyncio.to_thread(status, ksqldb) == DIFFERENT
        answers.queries.clear()
        assert await asyncio.to_thread(status, ksqldb) == DIFFERENT, "without queries nothing runs"


def test_a_server_that_is_waited_for_in_vain_is_one_line_on_standard_error() -> None:
    command = [sys.executable, "-m", "fraud", "ksql", "deploy", "--wait", "0.5"]
    environment = {**os.environ, "KSQLDB_URL": "http://127.0.0.1:1"}
    ended = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert (ended.returncode, ended.stdout) == (2, "")
    [line] = ended.stderr.splitlines()
    assert "does not answer" in line
