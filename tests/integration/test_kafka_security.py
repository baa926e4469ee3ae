"""Every way to reach Kafka: each leads there, and each that does not says what to do."""

import json
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import httpx
import pytest
import stamina
import trustme
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    PrivateFormat,
    load_pem_private_key,
)

from compose.addresses import free_port
from schemas.errors import BrokerError, SettingsError
from schemas.kafka.provisioning import TopicSettings, create_topics
from schemas.kafka.reading import read_to_end
from schemas.kafka.settings import KafkaSettings
from schemas.kafka.topics import PAYMENTS
from tests.conftest import Servers
from tests.integration.processes import producer, running
from tests.integration.secured import MECHANISMS, PASSWORD, TOKENS, USER, Secured, environment, unsigned_token
from tests.integration.serving import payment, payor_of_this_test

WAYS: list[tuple[str, dict[str, Any]]] = [
    ("SSL", {}),
    ("MUTUAL", {}),
    *(
        (f"SASL_{over}", {"kafka_sasl_mechanism": option})
        for over in ("PLAINTEXT", "SSL")
        for option in (*MECHANISMS, TOKENS)
    ),
]
WHOLE = [("MUTUAL", {}), ("SASL_PLAINTEXT", {"kafka_sasl_mechanism": "SCRAM-SHA-256"}), WAYS[-1]]

every_way = pytest.mark.parametrize(
    ("listener", "changes"), WAYS, ids=lambda option: "-".join(option.values()) if isinstance(option, dict) else option
)


@every_way
async def test_our_clients_reach_kafka(secured: Secured, listener: str, changes: dict[str, Any]) -> None:
    kafka = secured.settings(listener, **changes)
    assert await create_topics(kafka, TopicSettings()) == []
    async with producer(kafka) as client:
        sent = await client.send_and_wait(PAYMENTS, listener.encode())
    stored = [record async for records in read_to_end(kafka, [PAYMENTS]) for record in records]
    assert (sent.partition, sent.offset, listener.encode()) in {
        (record.partition, record.offset, record.value) for record in stored
    }


@pytest.mark.parametrize(("listener", "changes"), WHOLE)
def test_a_payment_becomes_a_case(
    secured: Secured, servers: Servers, tmp_path: Path, listener: str, changes: dict[str, Any]
) -> None:
    port, payor = free_port(), payor_of_this_test()
    address = f"http://127.0.0.1:{port}"
    variables = {**environment(secured.settings(listener, **changes)), "FRAUD_APP": f"app-{payor}"}
    service = {"SERVICE_PORT": str(port), "QUEUE_VIEW": str(tmp_path / "view.sqlite")}
    with (
        running(servers, tmp_path / "service.log", "service", **variables, **service),
        running(servers, tmp_path / "fraud.log", "fraud", "run", **variables),
        httpx.Client(base_url=address, timeout=30) as client,
    ):
        for attempt in stamina.retry_context(on=httpx.HTTPError, timeout=60, wait_max=0.3, attempts=None):
            with attempt:
                client.get("/health/ready").raise_for_status()
        for form in ("json", "avro", "protobuf"):
            client.post(f"/payment_{form}", json=payment(payor_account_no=payor)).raise_for_status()
        for attempt in stamina.retry_context(on=AssertionError, timeout=60, wait_max=0.3, attempts=None):
            with attempt:
                items = client.get("/review-queue", params={"payor": payor, "rule": "structuring"}).json()["items"]
                assert [item["payment_count"] for item in items] == [3]


def wrongs(secured: Secured, home: Path) -> list[tuple[KafkaSettings, str]]:
    """Settings that do not lead to Kafka, and what is said of each."""
    (home / "password").write_text("not the password")
    trustme.CA().cert_pem.write_to_path(home / "ca.pem")
    (home / "token").write_text(unsigned_token(-60))
    wrong: dict[str, Any] = {"kafka_password_file": home / "password"}
    stranger: dict[str, Any] = {"kafka_username": "stranger", "kafka_sasl_mechanism": "SCRAM-SHA-512"}
    tls, mutual, sasl = (f"127.0.0.1:{secured.ports[name]}" for name in ("SSL", "MUTUAL", "SASL_PLAINTEXT"))
    return [
        *((secured.settings("SASL_SSL", kafka_sasl_mechanism=name, **wrong), "KAFKA_PASSWORD") for name in MECHANISMS),
        (secured.settings("SASL_SSL", **stranger), "refuses user stranger"),
        (
            secured.settings("SASL_SSL", kafka_sasl_mechanism=TOKENS, kafka_token_file=home / "token"),
            "KAFKA_TOKEN_FILE",
        ),
        (secured.settings("SASL_SSL", kafka_ca_file=home / "ca.pem"), "KAFKA_CA_FILE"),
        (secured.settings("SSL", kafka_bootstrap_servers=tls.replace("127.0.0.1", "localhost")), "another name"),
        (secured.settings("SSL", kafka_bootstrap_servers=mutual), "KAFKA_CERTIFICATE_FILE"),
        (secured.settings("PLAINTEXT", kafka_bootstrap_servers=tls), "KAFKA_SECURITY_PROTOCOL"),
        (secured.settings("PLAINTEXT", kafka_bootstrap_servers=sasl), "KAFKA_SECURITY_PROTOCOL"),
        (secured.settings("SASL_SSL", kafka_bootstrap_servers=tls), "KAFKA_SECURITY_PROTOCOL"),
        (secured.settings("SSL", kafka_bootstrap_servers=f"127.0.0.1:{secured.ports['PLAINTEXT']}"), "PROTOCOL"),
        (secured.settings("SSL", kafka_bootstrap_servers=f"127.0.0.1:{free_port()}"), "not listening"),
        (secured.settings("SSL", kafka_bootstrap_servers="nowhere.invalid:9092"), "KAFKA_BOOTSTRAP_SERVERS"),
    ]


async def test_what_does_not_lead_to_kafka_says_what_to_do(secured: Secured, tmp_path: Path) -> None:
    for kafka, advice in wrongs(secured, tmp_path):
        with pytest.raises(BrokerError) as refused:
            await create_topics(kafka, TopicSettings())
        assert advice in str(refused.value)
        assert "not the password" not in str(refused.value)
        assert PASSWORD not in str(refused.value)


def test_a_wrong_password_is_said_in_the_log_and_by_readiness(
    secured: Secured, servers: Servers, tmp_path: Path
) -> None:
    port = free_port()
    variables = {
        **environment(secured.settings("SASL_SSL", kafka_sasl_mechanism="SCRAM-SHA-256", kafka_password_file=None)),
        "KAFKA_PASSWORD": "not the password",
        "SERVICE_PORT": str(port),
        "QUEUE_VIEW": str(tmp_path / "view.sqlite"),
    }
    logs = [tmp_path / "service.log", tmp_path / "fraud.log"]
    with ExitStack() as stack:
        for log, command in zip(logs, (["service"], ["fraud", "run"]), strict=True):
            stack.enter_context(running(servers, log, *command, **variables))
        for attempt in stamina.retry_context(
            on=(httpx.TransportError, AssertionError), timeout=60, wait_max=0.3, attempts=None
        ):
            with attempt:
                answer = httpx.get(f"http://127.0.0.1:{port}/health/ready", timeout=30)
                checks = answer.json()["checks"]
                for name in ("kafka", "review_queue"):
                    assert f"refuses user {USER}" in checks[name]["reason"]
                    assert "set KAFKA_USERNAME and KAFKA_PASSWORD" in checks[name]["reason"]
                for log in logs:
                    assert any(f"refuses user {USER}" in line for line in log.read_text().splitlines())
        assert answer.status_code == 503
    for log in logs:
        lines = [json.loads(line) for line in log.read_text().splitlines() if line.startswith("{")]
        assert all("not the password" not in json.dumps(name) for name in lines)


@pytest.mark.parametrize(
    "changes",
    [
        {"kafka_ca_file": Path("nowhere.pem")},
        {"kafka_ca_file": Path("README.md")},
        {"kafka_certificate_file": Path("nowhere.pem")},
        {"kafka_certificate_file": Path("README.md")},
    ],
)
def test_a_file_that_is_none_is_said(changes: dict[str, Path]) -> None:
    [(setting, file)] = changes.items()
    with pytest.raises(SettingsError, match=rf"{setting.upper()}.*{file}"):
        KafkaSettings(kafka_security_protocol="SSL", **changes).client_options()


def test_an_encrypted_key_is_refused_and_not_asked_for(secured: Secured, tmp_path: Path) -> None:
    key = load_pem_private_key(secured.key.read_bytes(), None)
    encrypted = tmp_path / "key.pem"
    encrypted.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"x")))
    with pytest.raises(SettingsError, match="encrypted"):
        secured.settings("MUTUAL", kafka_key_file=encrypted).client_options()


def test_a_key_without_its_certificate_is_refused() -> None:
    with pytest.raises(SettingsError, match="kafka_certificate_file"):
        KafkaSettings(kafka_key_file=Path("key.pem"))
