"""Starting Kafka's clients, and saying why that fails.

aiokafka logs why a broker could not be reached, but raises only that it could not. So the broker is asked once more.
"""

import asyncio
import socket
import ssl
import traceback
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, TypeVar

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.conn import AIOKafkaConnection, collect_hosts, create_conn
from aiokafka.errors import (
    AuthenticationFailedError,
    IllegalSaslStateError,
    KafkaConnectionError,
    SaslAuthenticationFailed,
    UnsupportedSaslMechanismError,
)
from aiokafka.protocol.metadata import MetadataRequest

from schemas.kafka.settings import KafkaSettings
from schemas.kafka.stop import stop_client

PROBE_SECONDS = 5.0
OTHER_NAME = (62, 64)
"""OpenSSL's X509_V_ERR_HOSTNAME_MISMATCH and X509_V_ERR_IP_ADDRESS_MISMATCH."""
REFUSED = "refuses user {kafka_username} or the password: set KAFKA_USERNAME and KAFKA_PASSWORD"
REFUSED_AS_HOLDER = "refuses the token: look at KAFKA_TOKEN_FILE"
CLOSED = "closes the connection: KAFKA_SECURITY_PROTOCOL may have to be another than {kafka_security_protocol}"
MEANINGS: dict[type[BaseException], str] = {
    **dict.fromkeys((SaslAuthenticationFailed, AuthenticationFailedError), REFUSED),
    UnsupportedSaslMechanismError: "does not take {kafka_sasl_mechanism}: set KAFKA_SASL_MECHANISM",
    IllegalSaslStateError: "takes no password at this port: KAFKA_SECURITY_PROTOCOL is {kafka_security_protocol}",
    socket.gaierror: "is no known host: set KAFKA_BOOTSTRAP_SERVERS",
    ConnectionRefusedError: "is not listening",
    TimeoutError: f"does not answer within {PROBE_SECONDS:g} s",
    **dict.fromkeys((KafkaConnectionError, EOFError, ConnectionError), CLOSED),
}
"""The first that fits."""


class Unreachable(KafkaConnectionError):  # type: ignore[misc]
    """Kafka cannot be reached with these settings; the text says why, and which setting to look at."""

    def __str__(self) -> str:
        return str(self.args[0])


Client = TypeVar("Client", AIOKafkaConsumer, AIOKafkaProducer, AIOKafkaAdminClient)


@asynccontextmanager
async def started(client: Client, kafka: KafkaSettings) -> AsyncIterator[Client]:
    """A client that has reached Kafka, and is given up at the end; raises as `start_client` does."""
    try:
        await start_client(client, kafka)
        yield client
    finally:
        await stop_client(client)


async def start_client(client: AIOKafkaConsumer | AIOKafkaProducer | AIOKafkaAdminClient, kafka: KafkaSettings) -> None:
    """Start a client that outlives the block; raises Unreachable, and whatever else aiokafka does."""
    try:
        await client.start()
    except KafkaConnectionError:
        raise Unreachable(f"Kafka cannot be reached: {await why_unreachable(kafka)}") from None
    except asyncio.CancelledError as cancellation:
        _close_first_connection(cancellation)
        raise


def _close_first_connection(cancellation: asyncio.CancelledError) -> None:
    """Close what aiokafka (0.14) leaves open where it is cancelled in bootstrap(): only that frame knows it."""
    for frame, _ in traceback.walk_tb(cancellation.__traceback__):
        if isinstance(connection := frame.f_locals.get("bootstrap_conn"), AIOKafkaConnection):
            connection.close()


async def why_unreachable(kafka: KafkaSettings) -> str:
    """Reasons of the brokers to ask first, each of which is asked once more."""
    hosts = collect_hosts(kafka.kafka_bootstrap_servers)
    options = kafka.client_options()
    del options["bootstrap_servers"]
    reasons = await asyncio.gather(*(_why(host, port, options, kafka) for host, port, _ in hosts))
    failures = [f"{host}:{port} {reason}" for (host, port, _), reason in zip(hosts, reasons, strict=True) if reason]
    return "; ".join(failures) or "a moment ago nobody answered, now somebody does"


async def _why(host: str, port: int, options: dict[str, Any], kafka: KafkaSettings) -> str | None:
    try:
        async with asyncio.timeout(PROBE_SECONDS):
            connection: AIOKafkaConnection = await create_conn(host, port, **options)
            try:
                await connection.send(MetadataRequest([]))
            finally:
                connection.close()
    except Exception as error:  # noqa: BLE001 - whatever it is, it is the reason
        return _meaning(error, kafka)
    return None


def _meaning(error: BaseException, kafka: KafkaSettings) -> str:
    """Meaning of an error for the settings; aiokafka hangs the cause of a closed connection to its own error.

    The cause of a timeout is only how it was kept.
    """
    cause = error if isinstance(error, TimeoutError) else error.__cause__ or error
    if isinstance(cause, ssl.SSLError):
        return _meaning_of_tls(cause, kafka)
    meaning = next((text for kind, text in MEANINGS.items() if isinstance(cause, kind)), None)
    if meaning is REFUSED and kafka.kafka_sasl_mechanism == "OAUTHBEARER":
        return REFUSED_AS_HOLDER
    return meaning.format_map(vars(kafka)) if meaning else f"cannot be reached: {type(cause).__name__}"


def _meaning_of_tls(error: ssl.SSLError, kafka: KafkaSettings) -> str:
    if isinstance(error, ssl.SSLCertVerificationError):
        if error.verify_code in OTHER_NAME:
            return f"has a certificate for another name ({error.verify_message}): set KAFKA_BOOTSTRAP_SERVERS"
        return f"has a certificate that is not trusted ({error.verify_message}): set KAFKA_CA_FILE"
    if "CERTIFICATE" in (error.reason or ""):
        return "misses our certificate, or does not trust it: set KAFKA_CERTIFICATE_FILE and KAFKA_KEY_FILE"
    return f"does not speak TLS as we do: KAFKA_SECURITY_PROTOCOL is {kafka.kafka_security_protocol}"
