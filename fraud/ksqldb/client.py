"""A client of ksqlDB's REST API, as far as this project needs it.

Source: ksqlDB's documentation, "REST API reference": /info, /ksql, and the statements LIST QUERIES, LIST STREAMS,
LIST TABLES, DESCRIBE ... EXTENDED.
"""

import math
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import aiohttp
import msgspec
import stamina
from cyclopts import Parameter

from schemas.errors import SettingsError, UndertenError, reason_of
from schemas.secrets import secret, trust, without_password

T = TypeVar("T")

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


class Info(msgspec.Struct, rename="camel"):
    """A server: `server_status` is RUNNING once it takes statements."""

    version: str
    server_status: str = "RUNNING"


class SourceTopic(msgspec.Struct):
    """A stream or table: its name in capitals, and STREAM or TABLE."""

    name: str
    type: str


class Query(msgspec.Struct, rename="camel"):
    """A query; `sinks` are the stream or table that it writes."""

    id: str
    query_string: str
    sinks: list[str]
    state: str = "UNKNOWN"
    query_type: str = "PERSISTENT"


class Offsets(msgspec.Struct, rename="camel"):
    """Progress of a query in a partition; `consumer_offset` is 0 before it has read any."""

    consumer_offset: int
    log_start_offset: int
    log_end_offset: int

    @property
    def lag(self) -> int:
        """Records that it has not read."""
        return max(0, self.log_end_offset - max(self.log_start_offset, self.consumer_offset))


class TopicSummary(msgspec.Struct):
    """A topic that a query reads."""

    offsets: list[Offsets]


class OffsetSummary(msgspec.Struct, rename="camel"):
    """Progress of a query, by topics of which it has committed offsets; the group's name ends with its id."""

    group_id: str
    topic_summaries: list[TopicSummary]


class Description(msgspec.Struct, rename="camel"):
    """A stream or table: its statement, and the queries that write it."""

    statement: str
    write_queries: list[Query] = []
    query_offset_summaries: list[OffsetSummary] = []


class CommandStatus(msgspec.Struct):
    """Outcome of a statement that changes something."""

    status: str
    message: str = ""


class _Server(msgspec.Struct):
    info: Info = msgspec.field(name="KsqlServerInfo")


class _Streams(msgspec.Struct):
    streams: list[SourceTopic]


class _Tables(msgspec.Struct):
    tables: list[SourceTopic]


class _Queries(msgspec.Struct):
    queries: list[Query]


class _Described(msgspec.Struct, rename="camel"):
    source_description: Description


class _Done(msgspec.Struct, rename="camel"):
    command_status: CommandStatus


@Parameter(name="*")
@dataclass(frozen=True, kw_only=True)
class KsqldbSettings:
    """Address of ksqlDB. The password comes from KSQLDB_PASSWORD or a file, never a flag."""

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
        """Raises SettingsError for an address with a password in it, and for a time that would never be over."""
        without_password("ksqldb_url", self.ksqldb_url or "")
        if not 0 < self.ksqldb_timeout < math.inf:
            raise SettingsError("ksqldb_timeout must be above 0, and finite")


class Ksqldb:
    """A server. Made by `connect`."""

    def __init__(self, url: str, session: aiohttp.ClientSession) -> None:
        self.url = url.rstrip("/")
        self._session = session

    async def info(self) -> Info:
        """Raises KsqldbUnavailable unless the server is RUNNING."""
        info = self._as(_Server, await self._request("GET", "/info")).info
        if info.server_status != "RUNNING":
            raise KsqldbUnavailable(f"ksqlDB at {self.url} is {info.server_status}")
        return info

    async def wait(self, seconds: float) -> Info:
        """`info`, as soon as the server runs; raises KsqldbUnavailable after that many seconds."""
        async for attempt in stamina.retry_context(on=KsqldbUnavailable, attempts=None, timeout=seconds, wait_max=2.0):
            with attempt:
                return await self.info()
        raise AssertionError("unreachable: the last attempt raises")

    async def execute(self, statement: str) -> CommandStatus:
        """Run one statement; raises StatementError, KsqldbUnavailable."""
        return (await self._entity(_Done, statement)).command_status

    async def sources(self) -> dict[str, str]:
        """The streams and tables by name, in capitals: STREAM or TABLE."""
        streams = (await self._entity(_Streams, "LIST STREAMS;")).streams
        tables = (await self._entity(_Tables, "LIST TABLES;")).tables
        return {source.name: source.type for source in [*streams, *tables]}

    async def queries(self) -> list[Query]:
        """The persistent queries."""
        listed = (await self._entity(_Queries, "LIST QUERIES;")).queries
        return [query for query in listed if query.query_type == "PERSISTENT"]

    async def describe(self, source: str) -> Description:
        """A stream's or table's description."""
        return (await self._entity(_Described, f"DESCRIBE {source} EXTENDED;")).source_description

    async def _entity(self, kind: type[T], statement: str) -> T:
        body = {"ksql": statement, "streamsProperties": EARLIEST}
        answers = await self._request("POST", "/ksql", body, statement)
        return self._as(kind, answers[-1] if answers and isinstance(answers, list) else answers)

    def _as(self, kind: type[T], answer: object) -> T:
        try:
            return msgspec.convert(answer, kind)
        except msgspec.ValidationError as error:
            raise KsqldbUnavailable(f"{self.url} does not answer as ksqlDB does: {error}") from None

    async def _request(self, method: str, path: str, body: dict[str, Any] | None = None, statement: str = "") -> Any:
        try:
            async with self._session.request(method, self.url + path, json=body) as response:
                if response.status in (401, 403):
                    raise SettingsError(f"ksqlDB at {self.url} refuses us ({response.status}): set KSQLDB_USERNAME")
                answer = await response.json(content_type=None)
        except (aiohttp.ClientError, TimeoutError, ValueError, RecursionError) as error:
            reason = reason_of(error)
            raise KsqldbUnavailable(f"ksqlDB at {self.url} does not answer: {reason}") from error
        if response.status < 400:
            return answer
        reason = answer.get("message", str(answer)) if isinstance(answer, dict) else str(answer)
        if response.status >= 500 or not statement or not isinstance(answer, dict):
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
