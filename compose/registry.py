"""A schema registry on loopback: Apicurio, which speaks Confluent's API, with its schemas in a file."""

from pathlib import Path

import httpx

from compose.child import Child, await_condition
from compose.java import java
from compose.parts import registry_jar

READY_SECONDS = 90.0
API = "/apis/ccompat/v7"


def start_registry(home: Path, *, port: int, parts: Path, log: Path) -> Child:
    """Start a registry at http://127.0.0.1:`port`/apis/ccompat/v7, wait until it answers; raises PartsError, ChildDied.

    Without the canonical hash, Confluent's own JSON and Protobuf deserialisers would not find their schemas. The file
    matters as much: ids that are given anew after a restart would no longer be those on the topics. So does the delay
    of its writes (half a second by default): a registry that is killed would forget ids that are on the topics.
    """
    home.mkdir(parents=True, exist_ok=True)
    jar = registry_jar(parts)
    options = {
        "quarkus.http.host": "127.0.0.1",
        "quarkus.http.port": port,
        "quarkus.log.console.level": "WARN",
        "apicurio.ccompat.use-canonical-hash": "true",
        "apicurio.storage.kind": "sql",
        "apicurio.storage.sql.kind": "h2",
        "apicurio.datasource.url": f"jdbc:h2:file:{home / 'registry'};WRITE_DELAY=0",
    }
    command = [*java("384m"), *(f"-D{name}={value}" for name, value in options.items()), "-jar", str(jar)]
    registry = Child("the schema registry", command, log)
    try:
        await_condition("it answered", lambda: _answers(port), registry, READY_SECONDS)
    except BaseException:
        registry.kill()
        raise
    return registry


def _answers(port: int) -> bool:
    try:
        url = f"http://127.0.0.1:{port}{API}/subjects"
        return httpx.get(url, timeout=2.0, trust_env=False).status_code == httpx.codes.OK  # no proxy in between
    except httpx.HTTPError:
        return False
