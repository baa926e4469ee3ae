"""A broker that is reached in every way that ours may be told to, and what it takes to be let in."""

import base64
import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import trustme
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, load_pem_private_key

from compose.addresses import free_port
from compose.kafka import Listener, start_kafka
from schemas.kafka.settings import KafkaSettings
from tests.conftest import PARTS

USER, PASSWORD = "underten", "Kafka's=own;secret 7f3a"
MECHANISMS = ("PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512")
"""Those with a password."""
TOKENS = "OAUTHBEARER"


OAUTH = "org.apache.kafka.common.security.oauthbearer.OAuthBearerLoginModule"


@dataclass(frozen=True)
class Secured:
    """Ports by the name of the listener, and PEM files."""

    ports: dict[str, int]
    authority: Path
    certificate: Path
    key: Path
    password: Path
    token: Path

    def settings(self, listener: str, **changes: Any) -> KafkaSettings:
        """Settings that lead through a listener: named as its protocol, or MUTUAL: SSL that asks for a certificate."""
        options: dict[str, Any] = {
            "kafka_bootstrap_servers": f"127.0.0.1:{self.ports[listener]}",
            "kafka_security_protocol": "SSL" if listener == "MUTUAL" else listener,
        }
        if listener in {"SSL", "MUTUAL", "SASL_SSL"}:
            options["kafka_ca_file"] = self.authority
        if listener == "MUTUAL":
            options |= {"kafka_certificate_file": self.certificate, "kafka_key_file": self.key}
        if changes.get("kafka_sasl_mechanism") == TOKENS:
            options |= {"kafka_token_file": self.token}
        elif listener.startswith("SASL"):
            options |= {"kafka_username": USER, "kafka_password_file": self.password}
        return KafkaSettings(**{**options, **changes})


def environment(kafka: KafkaSettings) -> dict[str, str]:
    """For processes of ours."""
    return {name.upper(): str(value) for name, value in vars(kafka).items() if value is not None}


@contextmanager
def secured_kafka(home: Path) -> Iterator[Secured]:
    """Run a broker with every kind of listener until the end of the block."""
    authority = trustme.CA()
    store, client = authority.issue_cert("127.0.0.1"), authority.issue_cert("underten@bank.example")
    paths = {name: home / f"{name}.pem" for name in ("authority", "store", "certificate", "key")}
    authority.cert_pem.write_to_path(paths["authority"])
    chain = b"".join(blob.bytes() for blob in store.cert_chain_pems)
    paths["store"].write_bytes(_pkcs8(store.private_key_pem.bytes()) + chain)
    paths["certificate"].write_bytes(client.cert_chain_pems[0].bytes())
    paths["key"].write_bytes(client.private_key_pem.bytes())
    password = home / "password"
    password.write_text(PASSWORD + "\n")
    token = home / "token"
    token.write_text(unsigned_token() + "\n")
    ports = {name: free_port() for name in ("PLAINTEXT", "SSL", "MUTUAL", "SASL_PLAINTEXT", "SASL_SSL")}
    broker = start_kafka(
        home / "kafka",
        port=ports["PLAINTEXT"],
        controller_port=free_port(),
        parts=PARTS,
        log=home / "kafka.log",
        listeners=_listeners(ports, paths["store"], paths["authority"]),
        scram=[f'{mechanism}=[name={USER},password="{PASSWORD}"]' for mechanism in MECHANISMS[1:]],
    )
    try:
        yield Secured(ports, paths["authority"], paths["certificate"], paths["key"], password, token)
    finally:
        broker.kill()


def unsigned_token(seconds: float = 3600) -> str:
    """A token that Kafka takes which has been told of no issuer: nobody has signed it (KIP-255)."""
    claims = {"sub": USER, "iat": time.time(), "exp": time.time() + seconds}
    parts = (
        base64.urlsafe_b64encode(json.dumps(part).encode()).decode().rstrip("=") for part in ({"alg": "none"}, claims)
    )
    return ".".join((*parts, ""))


def _listeners(ports: dict[str, int], store: Path, authority: Path) -> list[Listener]:
    tls = {"ssl.keystore.type": "PEM", "ssl.keystore.location": str(store)}
    mutual = {"ssl.client.auth": "required", "ssl.truststore.type": "PEM", "ssl.truststore.location": str(authority)}
    plain = f'org.apache.kafka.common.security.plain.PlainLoginModule required user_{USER}="{PASSWORD}";'
    scram = "org.apache.kafka.common.security.scram.ScramLoginModule required;"
    sasl = {
        "sasl.enabled.mechanisms": ",".join((*MECHANISMS, TOKENS)),
        "oauthbearer.sasl.jaas.config": f'{OAUTH} required unsecuredLoginStringClaim_sub="broker";',
        "plain.sasl.jaas.config": plain,
        "scram-sha-256.sasl.jaas.config": scram,
        "scram-sha-512.sasl.jaas.config": scram,
    }
    return [
        Listener(name="SSL", port=ports["SSL"], protocol="SSL", properties=tls),
        Listener(name="MUTUAL", port=ports["MUTUAL"], protocol="SSL", properties={**tls, **mutual}),
        Listener(name="SASL_PLAINTEXT", port=ports["SASL_PLAINTEXT"], protocol="SASL_PLAINTEXT", properties=sasl),
        Listener(name="SASL_SSL", port=ports["SASL_SSL"], protocol="SASL_SSL", properties={**tls, **sasl}),
    ]


def _pkcs8(key: bytes) -> bytes:
    """As Kafka wants it."""
    return load_pem_private_key(key, None).private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
