"""A client of ksqlDB's REST API, as far as this project needs it.

Source: ksqlDB's documentation, "REST API reference": /info, /ksql, and the statements LIST QUERIES, LIST STREAMS,
LIST TABLES, DESCRIBE ... EXTENDED.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import stamina
from cyclopts import Parameter

from schemas.errors import SettingsError, UndertenError
from schemas.kafka import secret, trust, without_password

MEDIA_TYPE = "application/vnd.ksql.v1+json"
EARLIEST = {"ksql.streams.auto.offset.reset": "earliest"}


class KsqldbUnavailable(UndertenError):
    """ksqlDB did not answer, or not as ksqlDB does; asking again later may help."""


class StatementError(UndertenError):
    """ksqlDB refused a statement; `reason` is its own words."""

    def __init__(self, reason: str, statement: str) -> None:
        super().__init__(f"{reason}\n  in: {statement}")
        self.reason = reason
        self.statement = statement


@Parameter(name="*")
@dataclass(frozen=True, kw_only=True)
class KsqldbSettings:
    """Where ksqlDB is. The password comes from KSQLDB_PASSWORD or a file, never a flag."""

    ksqldb_url: str | None = None
    """Address of a ksqlDB server, such as http://127.0.0.1:8088; without it there is no second engine."""

    ksqldb_username: str | None = None
    """User name for basic authentication; the password is read from KSQLDB_PASSWORD or a file."""

    ksqldb_password_file: Path | None = None
    """File that holds the password."""

    ksqldb_ca_file: Path | None = None
    """PEM file of the authorities that sign the server's certificate; without it the system's own."""

    ksqldb_timeout: float = 60.0
    """Seconds to wait for one answer; creating a query takes the server a while."""

    def __post_init__(self) -> None:
        """Raises SettingsError for an address with a password in it."""
        without_password("ksqldb_url", self.ksqldb_url or "")


class Ksqldb:
    """One server. Made by `connect`."""

    def __init__(self, url: str, session: aiohttp.ClientSession) -> None:
        self.url = url.rstrip("/")
        self._session = session

    async def info(self) -> dict[str, Any]:
        """Version, cluster and service id, `serverStatus`; raises KsqldbUnavailable unless the server is RUNNING."""
        info: dict[str, Any] = (await self._request("GET", "/info"))["KsqlServerInfo"]
        if info.get("serverStatus", "RUNNING") != "RUNNING":
            raise KsqldbUnavailable(f"ksqlDB at {self.url} is {info['serverStatus']}")
        return info

    async def wait(self, seconds: float) -> dict[str, Any]:
        """`info`, as soon as the server runs; raises KsqldbUnavailable after that many seconds."""
        async for attempt in stamina.retry_context(on=KsqldbUnavailable, attempts=None, timeout=seconds, wait_max=2.0):
            with attempt:
                return await self.info()
        raise AssertionError("unreachable: the last attempt raises")

    async def execute(self, statement: str) -> dict[str, Any]:
        """Run one statement and return its entity; raises StatementError, KsqldbUnavailable."""
        body = {"ksql": statement, "streamsProperties": EARLIEST}
        answers = await self._request("POST", "/ksql", body, statement)
        entity: dict[str, Any] = answers[-1] if answers else {}
        return entity

    async def sources(self) -> dict[str, str]:
        """The streams and tables by name, in capitals: STREAM or TABLE."""
        streams = await self.execute("LIST STREAMS;")
        tables = await self.execute("LIST TABLES;")
        return {each["name"]: each["type"] for each in [*streams["streams"], *tables["tables"]]}

    async def queries(self) -> list[dict[str, Any]]:
        """The persistent queries: `id`, `sinks`, `state`, `queryString`."""
        listed = await self.execute("LIST QUERIES;")
        return [each for each in listed["queries"] if each.get("queryType", "PERSISTENT") == "PERSISTENT"]

    async def describe(self, source: str) -> dict[str, Any]:
        """A stream's or table's description, with its statement and its queries' offsets."""
        described: dict[str, Any] = (await self.execute(f"DESCRIBE {source} EXTENDED;"))["sourceDescription"]
        return described

    async def _request(self, method: str, path: str, body: dict[str, Any] | None = None, statement: str = "") -> Any:
        try:
            async with self._session.request(method, self.url + path, json=body) as response:
                if response.status in (401, 403):
                    raise SettingsError(f"ksqlDB at {self.url} refuses us ({response.status}): set KSQLDB_USERNAME")
                answer = await response.json(content_type=None)
        except (aiohttp.ClientError, TimeoutError, ValueError) as error:
            reason = str(error) or type(error).__name__
            raise KsqldbUnavailable(f"ksqlDB at {self.url} does not answer: {reason}") from error
        if response.status < 400:
            return answer
        reason = answer.get("message", str(answer)) if isinstance(answer, dict) else str(answer)
        if response.status >= 500 or not statement:
            raise KsqldbUnavailable(f"ksqlDB at {self.url} answered {response.status}: {reason}")
        raise StatementError(reason, answer.get("statementText") or statement)


@asynccontextmanager
async def connect(settings: KsqldbSettings) -> AsyncIterator[Ksqldb]:
    """A client of the server that the settings name; raises SettingsError if they name none."""
    if not settings.ksqldb_url:
        raise SettingsError("no ksqlDB: set KSQLDB_URL, such as http://127.0.0.1:8088")
    headers = {"Accept": MEDIA_TYPE, "Content-Type": MEDIA_TYPE}
    if settings.ksqldb_username:
        password = secret("KSQLDB_PASSWORD", settings.ksqldb_password_file)
        headers["Authorization"] = aiohttp.encode_basic_auth(settings.ksqldb_username, password)
    async with aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(ssl=trust(settings.ksqldb_ca_file, "KSQLDB_CA_FILE")),
        timeout=aiohttp.ClientTimeout(total=settings.ksqldb_timeout),
        headers=headers,
    ) as session:
        yield Ksqldb(settings.ksqldb_url, session)
