"""No secret of ours, or of whoever asks, is ever in a log, a metric, an error or the list of processes."""

import base64
from collections.abc import Iterator
from contextlib import ExitStack
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread

import httpx
import pytest
import stamina

from compose.addresses import free_port
from compose.child import Child
from service.access.authentication import COOKIE
from service.access.opaque_tokens import new_token
from tests.conftest import Servers
from tests.integration.processes import running
from tests.integration.secured import PASSWORD, Secured, environment
from tests.integration.serving import payment
from tests.issuer import AUDIENCE, ISSUER, Key, jwk_set

WRONG = "wrong-kafka-e41d"
REGISTRY = "registry-pass-90ab"
KSQLDB = "ksqldb-pass-77c0"
GUESSED = "guessed-token-5f5f"
KEY = Key()


class Refusing(BaseHTTPRequestHandler):
    """A server that lets nobody in."""

    def do_GET(self) -> None:
        body = b'{"message": "not you"}'
        self.send_response(401)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    do_POST = do_GET  # noqa: N815

    def log_message(self, *arguments: object) -> None:
        """Nothing."""


@pytest.fixture
def refusing() -> Iterator[str]:
    with HTTPServer(("127.0.0.1", 0), Refusing) as server:
        thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def basic(user: str, password: str) -> str:
    return base64.b64encode(f"{user}:{password}".encode()).decode()


Commands = dict[str, tuple[list[str], dict[str, str]]]


def of_group(child: Child) -> str:
    """The command lines of a process and of those that it started: they share its group."""
    lines = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            group = stat.read_text().rpartition(") ")[2].split()[2]
            if int(group) == child.process.pid:
                lines.append(stat.with_name("cmdline").read_text().replace("\0", " "))
        except OSError:  # it has ended
            continue
    return "\n".join(lines)


def commands(secured: Secured, refusing: str, folder: Path, ports: dict[str, int]) -> Commands:
    """A service, a fraud, and one with a wrong password, at these ports: their arguments and variables by name."""
    variables = {
        **environment(secured.settings("SASL_SSL", kafka_password_file=None)),
        "KAFKA_PASSWORD": PASSWORD,
        "SCHEMA_REGISTRY_URL": refusing,
        "SCHEMA_REGISTRY_USERNAME": "underten",
        "SCHEMA_REGISTRY_PASSWORD": REGISTRY,
        "LOG_LEVEL": "debug",
    }
    service = {
        **variables,
        "SERVICE_PORT": str(ports["service"]),
        "QUEUE_VIEW": str(folder / "view.sqlite"),
        "ACCESS_FILE": str(folder / "access.toml"),
        "ACCESS_LOG": "all",
        "JWT_KEYS": str(folder / "keys.json"),
        "JWT_ISSUER": ISSUER,
        "JWT_AUDIENCE": AUDIENCE,
        "KSQLDB_URL": refusing,
        "KSQLDB_USERNAME": "underten",
        "KSQLDB_PASSWORD": KSQLDB,
    }
    return {
        "service": (["service"], service),
        "fraud": (["fraud", "run"], {**variables, "FRAUD_METRICS_PORT": str(ports["fraud"])}),
        "wrong": (["fraud", "run"], {**variables, "FRAUD_METRICS_PORT": str(ports["wrong"]), "KAFKA_PASSWORD": WRONG}),
    }


def test_secrets_are_kept(secured: Secured, refusing: str, tmp_path: Path) -> None:
    token, entry = new_token("ann", ("payments:write", "reviews:read", "metrics:read"))
    signed, forged = KEY.token("reviews:read"), Key().token("reviews:read")
    (tmp_path / "access.toml").write_text(entry)
    (tmp_path / "keys.json").write_bytes(jwk_set(KEY))
    ports = {name: free_port() for name in ("service", "fraud", "wrong")}
    texts: list[str] = []
    with ExitStack() as stack:
        children = [
            stack.enter_context(running(Servers(tmp_path), tmp_path / f"{name}.log", *command, **env))
            for name, (command, env) in commands(secured, refusing, tmp_path, ports).items()
        ]
        with httpx.Client(base_url=f"http://127.0.0.1:{ports['service']}", timeout=30) as client:
            texts += ask(client, token, signed, forged)
        for name in ("fraud", "wrong"):
            texts.append(get(f"http://127.0.0.1:{ports[name]}/metrics").text)
        expected = {"service": "(401)", "fraud": "(401)", "wrong": "refuses user"}
        for name, text in expected.items():
            wait_for(text, tmp_path / f"{name}.log")
        texts += [of_group(child) for child in children]
        assert "fraud run" in texts[-1]
    texts += [(tmp_path / f"{name}.log").read_text() for name in ports]
    secrets = [PASSWORD[-4:], WRONG, REGISTRY, KSQLDB, GUESSED, token, signed, forged]
    secrets += [basic("underten", secret) for secret in (REGISTRY, KSQLDB)]
    secrets += [secret.split(".")[2] for secret in (signed, forged)]
    assert [(secret, excerpt(secret, text)) for secret in secrets for text in texts if secret in text] == []


@stamina.retry(on=httpx.TransportError, timeout=60, wait_max=0.3, attempts=None)
def get(url: str) -> httpx.Response:
    """An answer of a process that may still be starting."""
    return httpx.get(url)


def ask(client: httpx.Client, token: str, signed: str, forged: str) -> list[str]:
    """Answers of the service to those who may come, and to those who may not."""
    get(f"{client.base_url}/health/live")
    answers = [client.get("/health/ready")]
    for credential in (token, signed, forged, GUESSED):
        bearer = {"Authorization": f"Bearer {credential}"}
        answers += [
            client.get(path, headers=bearer) for path in ("/session", "/review-queue", "/metrics", "/comparison")
        ]
        answers += [
            client.post("/payment_json", json=payment(), headers=bearer),
            client.post("/payment_json", json={"id": credential}, headers=bearer),
            client.get("/review-queue", headers={"Cookie": f"{COOKIE}={credential}"}),
            client.post("/login", json={"token": credential}),
            client.post("/login", content=credential),
            client.get("/review-queue", params={"access_token": credential}, headers=bearer),
            client.get("/review-queue", headers={"Authorization": f"Basic {credential}"}),
        ]
    assert {401, 403, 503} <= {answer.status_code for answer in answers}
    return [answer.text for answer in answers]


def wait_for(text: str, log: Path) -> None:
    for attempt in stamina.retry_context(on=AssertionError, timeout=60, wait_max=0.3, attempts=None):
        with attempt:
            assert text in log.read_text()


def excerpt(secret: str, text: str) -> str:
    at = text.index(secret)
    return text[max(0, at - 200) : at + 50]
