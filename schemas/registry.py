"""The schema registry: registering our schemas, and finding the schema that a record was written with.

Built on python-schema-registry-client's requests. Its own `register` cannot carry Protobuf, and it neither caches a
failed look-up nor shares one between tasks, so those three are here: one request in flight per id, answers kept
for good (an id never changes its schema), and an id that is of no use remembered for a while, so that a flood of
garbage records does not become a flood of requests.
"""

import asyncio
import math
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, TypeVar, get_args
from uuid import UUID

import httpx
import msgspec
import structlog
from cyclopts import Parameter
from schema_registry.client import AsyncSchemaRegistryClient

from schemas.errors import (
    RegistryUnavailable,
    SchemaClash,
    SchemaError,
    SettingsError,
    UnknownSchema,
    UnusableSchema,
    reason_of,
)
from schemas.secrets import secret, trust, without_password
from schemas.wire_format import SchemaReference

SchemaType = Literal["AVRO", "PROTOBUF", "JSON"]
READABLE_FOREVER = "BACKWARD_TRANSITIVE"
"""Readers with today's schema read every record that was ever written."""
READERS_GO_ON = "FORWARD_TRANSITIVE"
"""Readers with any earlier schema read what is written from now on: members may be added, which JSON Schema's open
objects otherwise forbid."""
REFUSED_FOR_SECONDS = 30.0
AT_ONCE = 16
LATER = {httpx.codes.REQUEST_TIMEOUT, httpx.codes.TOO_MANY_REQUESTS}
MAX_REFUSED = 10_000

log = structlog.get_logger(__name__)


@Parameter(name="*")
@dataclass(frozen=True, kw_only=True)
class RegistrySettings:
    """Address of the schema registry. The password comes from SCHEMA_REGISTRY_PASSWORD or a file, never a flag."""

    schema_registry_url: str = "http://127.0.0.1:8081/apis/ccompat/v7"
    """Address of the registry's Confluent API."""

    schema_registry_username: str | None = None
    """User name for basic authentication; the password is read from SCHEMA_REGISTRY_PASSWORD or a file."""

    schema_registry_password_file: Path | None = None
    """File that holds the password."""

    schema_registry_ca_file: Path | None = None
    """PEM file of the authorities that sign the registry's certificate; without it the system's own."""

    schema_registry_timeout: float = 10.0
    """Seconds to wait for one answer."""

    def __post_init__(self) -> None:
        """Raises SettingsError for what is no address, or one with a password in it, and for a time that is none."""
        if not self.schema_registry_url:
            raise SettingsError("schema_registry_url must be an address such as http://HOST:PORT")
        without_password("schema_registry_url", self.schema_registry_url)
        if not 0 < self.schema_registry_timeout < math.inf:
            raise SettingsError("schema_registry_timeout must be above 0, and finite")


class Reference(msgspec.Struct, frozen=True):
    """Another subject's schema that a schema imports under `name`."""

    name: str
    subject: str
    version: int


class WriterSchema(msgspec.Struct, frozen=True, rename="camel"):
    """A schema as the registry holds it: its text, its kind, and what it imports."""

    schema: str
    schema_type: SchemaType = "AVRO"
    references: tuple[Reference, ...] = ()


class _Registered(msgspec.Struct, frozen=True):
    id: int


class _Level(msgspec.Struct, frozen=True, rename="camel"):
    compatibility_level: str


T = TypeVar("T", bound=msgspec.Struct)


class Registry:
    """The registry's answers, each asked for once."""

    def __init__(self, settings: RegistrySettings) -> None:
        self.url = settings.schema_registry_url
        auth = None
        if settings.schema_registry_username:
            password = secret("SCHEMA_REGISTRY_PASSWORD", settings.schema_registry_password_file)
            auth = httpx.BasicAuth(settings.schema_registry_username, password)
        self._client = AsyncSchemaRegistryClient(
            self.url, auth=auth, timeout=httpx.Timeout(settings.schema_registry_timeout)
        )
        # Its own way to name authorities works only together with a client's certificate.
        self._client.client_kwargs["verify"] = trust(settings.schema_registry_ca_file, "SCHEMA_REGISTRY_CA_FILE")
        # Garbage names ids by the hundred, and each request has a connection of its own.
        self._requests = asyncio.Semaphore(AT_ONCE)
        self._writers: dict[SchemaReference, asyncio.Task[WriterSchema]] = {}
        self._refused: dict[SchemaReference, tuple[float, str]] = {}

    async def ping(self) -> None:
        """Raises RegistryUnavailable unless the registry answers."""
        await self._ask("get_subjects")

    async def register(self, subject: str, schema: WriterSchema, compatibility: str = READABLE_FOREVER) -> int:
        """The id of the schema under the subject, registered if it is new there.

        A subject without a compatibility level, or with NONE, gets this one first; so does one with
        BACKWARD_TRANSITIVE, which this project once set on all of its subjects. Any other level holds.

        Raises:
            SchemaClash: the schema clashes with a registered one; the text says in what.
            RegistryUnavailable: no answer.
        """
        body = {"schema": schema.schema, "schemaType": schema.schema_type}
        answer, status = await self._ask("check_version", body, subject=subject)
        if status == httpx.codes.OK:
            return self._understood(answer, _Registered).id
        level, status = await self._ask("get_compatibility", subject=subject)
        present = "NONE" if status == httpx.codes.NOT_FOUND else self._understood(level, _Level).compatibility_level
        if present in ("NONE", READABLE_FOREVER) and present != compatibility:
            await self._ask("update_compatibility", {"compatibility": compatibility}, subject=subject)
            log.info("compatibility level set", subject=subject, compatibility=compatibility)
        answer, status = await self._ask("register", body, subject=subject)
        if status != httpx.codes.OK:
            raise SchemaClash(f"{subject}: the registry refused our schema: {_reason(answer)}")
        schema_id = self._understood(answer, _Registered).id
        log.info("schema registered", subject=subject, id=schema_id)
        return schema_id

    async def writer(self, reference: SchemaReference) -> WriterSchema:
        """The schema with this id, or GUID.

        Raises:
            UnknownSchema: the registry does not know the id, or does not give it out.
            UnusableSchema: it is of another kind.
            RegistryUnavailable: no answer; nothing is known about the id.
        """
        until, reason = self._refused.get(reference, (0.0, ""))
        if until > time.monotonic():
            raise UnknownSchema(reason)
        request = self._writers.get(reference)
        if request is None:
            request = self._writers[reference] = asyncio.create_task(self._fetch_writer(reference))
        try:
            return await asyncio.shield(request)
        except Exception as error:
            self._writers.pop(reference, None)
            if isinstance(error, SchemaError):
                if len(self._refused) >= MAX_REFUSED:
                    self._refused.clear()
                self._refused[reference] = time.monotonic() + REFUSED_FOR_SECONDS, str(error)
            raise

    async def _fetch_writer(self, reference: SchemaReference) -> WriterSchema:
        async with self._requests:
            if isinstance(reference, UUID):
                # Of an address that it does not have, as registries without GUIDs, Apicurio says nothing.
                answer, status = await self._request(f"{self.url}/schemas/guids/{reference}", "GET", may_be_empty=True)
                return self._as_writer(f"schema GUID {reference}", answer, status)
            answer, status = await self._ask("get_by_id", schema_id=reference)
            return self._as_writer(f"schema id {reference}", answer, status)

    async def resolve(self, reference: Reference) -> WriterSchema:
        """The schema that a reference names; raises UnknownSchema, UnusableSchema, RegistryUnavailable."""
        answer, status = await self._ask("get_schema", subject=reference.subject, version=reference.version)
        return self._as_writer(f"{reference.subject} version {reference.version}", answer, status)

    def _as_writer(self, what: str, answer: Any, status: int) -> WriterSchema:
        if status == httpx.codes.NOT_FOUND:
            raise UnknownSchema(f"{what} is unknown to the registry")
        if status >= httpx.codes.BAD_REQUEST:
            raise UnknownSchema(f"{what} is refused by the registry: {_reason(answer)}")
        kind = answer.get("schemaType", "AVRO") if isinstance(answer, dict) else None
        if isinstance(kind, str) and kind not in get_args(SchemaType):
            raise UnusableSchema(f"{what} is {kind}, which no payment is written in")
        return self._understood(answer, WriterSchema)

    def _understood(self, answer: Any, kind: type[T]) -> T:
        try:
            return msgspec.convert(answer, kind)
        except msgspec.ValidationError as error:
            raise RegistryUnavailable(f"schema registry at {self.url} answered nonsense: {error}") from None

    async def _ask(
        self, call: str, body: dict[str, Any] | None = None, params: dict[str, str] | None = None, **names: Any
    ) -> tuple[Any, int]:
        """A request, by the client's name for it: the decoded answer and its status."""
        url, method = self._client.url_manager.url_for(call, **names)
        return await self._request(url, method, body, params)

    async def _request(
        self,
        url: str,
        method: str,
        body: dict[str, Any] | None = None,
        params: dict[str, str] | None = None,
        *,
        may_be_empty: bool = False,
    ) -> tuple[Any, int]:
        try:
            response = await self._client.request(url, method, body=body, params=params)
        except httpx.HTTPError as error:
            reason = reason_of(error)
            if "CERTIFICATE_VERIFY_FAILED" in reason:
                reason += "; set SCHEMA_REGISTRY_CA_FILE"
            raise RegistryUnavailable(f"schema registry at {self.url} does not answer: {reason}") from error
        status = response.status_code
        if status in (401, 403):
            raise RegistryUnavailable(
                f"schema registry at {self.url} refuses us ({status}): set SCHEMA_REGISTRY_USERNAME and "
                "SCHEMA_REGISTRY_PASSWORD"
            )
        try:
            answer = None if may_be_empty and not response.content else response.json()
        except (ValueError, RecursionError):
            # No JSON, or not even text: a proxy's error page is as little an answer as none at all.
            raise RegistryUnavailable(
                f"schema registry at {self.url} answered {method.upper()} {url.removeprefix(self.url)} with {status} "
                "and no JSON"
            ) from None
        if status in LATER or status >= httpx.codes.INTERNAL_SERVER_ERROR:
            raise RegistryUnavailable(f"schema registry at {self.url} answered {status}: {_reason(answer)}")
        return answer, status


def _reason(answer: Any) -> str:
    return str(answer.get("message", answer)) if isinstance(answer, dict) else str(answer)
