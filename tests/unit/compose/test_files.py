"""The files for Docker agree with the project, with each other, and with what a careful operator expects.

No Docker is needed: what only Docker itself can tell (that an image can be had, that its tools are there) is not here.
"""

import dataclasses
import re
import shlex
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from fnmatch import fnmatch
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread
from typing import Any, ClassVar

import cyclopts
import pytest
import yaml
from load_settings import LoadSettings, read_settings

from fraud.__main__ import cli as fraud_cli
from fraud.ksqldb.client import KsqldbSettings
from fraud.settings import FraudSettings
from schemas.kafka.provisioning import TopicSettings
from schemas.kafka.settings import KafkaSettings
from schemas.logs import LogSettings
from schemas.registry import RegistrySettings
from service.__main__ import cli as service_cli
from service.access_settings import AccessSettings
from service.settings import ServiceSettings

LOCAL, CLUSTER = "compose/docker-compose.yml", "compose/docker-compose.cluster.yml"
FILES = {name: yaml.safe_load(Path(name).read_text(encoding="utf-8")) for name in (LOCAL, CLUSTER)}
CONTAINERS = [(file, name) for file, content in FILES.items() for name in content["services"]]
OURS = [(file, name) for file, name in CONTAINERS if "build" in FILES[file]["services"][name]]
STAYING = [(file, name) for file, name in OURS if "healthcheck" in FILES[file]["services"][name]]
FOREIGN = [entry for entry in CONTAINERS if entry not in OURS]
# Those that reach only what is in their own file; the others reach the operator's servers, wherever they are.
INSIDE = [(file, name) for file, name in CONTAINERS if "env_file" not in FILES[file]["services"][name]]
DOCKERFILE = Path("compose/Dockerfile").read_text(encoding="utf-8")
IGNORED = Path(".dockerignore").read_text(encoding="utf-8").splitlines()
EXAMPLE = Path("compose/credentials.env.example").read_text(encoding="utf-8")

SHIPPED = (".py", ".txt")
CONNECTIONS = (KafkaSettings, RegistrySettings, KsqldbSettings)
GROUPS = (*CONNECTIONS, ServiceSettings, AccessSettings, FraudSettings, TopicSettings, LogSettings, LoadSettings)
# Read by the HTTP clients, which would take Docker's proxy for addresses inside the file otherwise.
DIRECT = {"NO_PROXY", "no_proxy"}
ONE_SHOT = {"ksql-deploy"}
WITHOUT_HEALTH = {"ksqldb-cli": "only waits for somebody to run the CLI in it"}
# What an operator of a cluster seldom has reason to change; the passwords come by their own variables.
RARE = {"SCHEMA_REGISTRY_TIMEOUT", "KSQLDB_TIMEOUT"}

every_container = pytest.mark.parametrize(("file", "name"), CONTAINERS)
every_one_of_ours = pytest.mark.parametrize(("file", "name"), OURS)
every_file = pytest.mark.parametrize("file", FILES)


def container(file: str, name: str) -> dict[str, Any]:
    service: dict[str, Any] = FILES[file]["services"][name]
    return service


def names(groups: tuple[type[Any], ...]) -> set[str]:
    return {field.name.upper() for group in groups for field in dataclasses.fields(group)}


def secrets() -> set[str]:
    """The variables that the project itself reads a secret from."""
    sources = [path for folder in ("schemas", "service", "fraud") for path in Path(folder).rglob("*.py")]
    return {name for path in sources for name in re.findall(r'\bsecret\("(\w+)"', path.read_text(encoding="utf-8"))}


def in_example() -> dict[str, str]:
    """The example's variables, also those that are commented out."""
    return {name: shlex.split(value)[0] for name, value in re.findall(r"^#?([A-Z_]+)=(.+)$", EXAMPLE, re.MULTILINE)}


def environment(file: str, name: str) -> dict[str, str]:
    """The variables of a container; in the cluster's file with those of the example, filled in as it is."""
    fixed = {key: value for key, value in container(file, name).get("environment", {}).items() if value is not None}
    return {**(in_example() if "env_file" in container(file, name) else {}), **fixed}


def listeners(file: str, name: str) -> set[int]:
    """The ports that a container listens on, by its own environment or command."""
    env, command = environment(file, name), container(file, name).get("command", [])
    urls = " ".join(env.get(key, "") for key in ("KAFKA_LISTENERS", "SCHEMA_REGISTRY_LISTENERS", "KSQL_LISTENERS"))
    ports = {int(port) for port in re.findall(r"//0\.0\.0\.0:(\d+)", urls)}
    if command[:3] == ["python", "-m", "service"] and env["SERVICE_HOST"] == "0.0.0.0":
        ports.add(int(env["SERVICE_PORT"]))
    if command[:4] == ["python", "-m", "fraud", "run"] and env["FRAUD_METRICS_HOST"] == "0.0.0.0":
        ports.add(int(env["FRAUD_METRICS_PORT"]))
    if command[:1] == ["locust"]:
        ports.add(8089)
    ports |= {int(port) for port in re.findall(r"--web\.listen-address=0\.0\.0\.0:(\d+)", " ".join(command))}
    ports |= {int(env[key]) for key in ("GF_SERVER_HTTP_PORT",) if key in env}
    return ports


def settings_of(file: str, name: str, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """The settings that our command makes of a container's environment, by class."""
    python, flag, module, *arguments = container(file, name)["command"]
    assert (python, flag) == ("python", "-m")
    for setting in names(GROUPS):
        monkeypatch.delenv(setting, raising=False)
    for variable, value in environment(file, name).items():
        monkeypatch.setenv(variable, value)
    app: cyclopts.App = {"service": service_cli, "fraud": fraud_cli}[module]
    _, bound, _ = app.parse_args(arguments, exit_on_error=False, print_error=False)
    settings: dict[str, Any] = {}
    for value in bound.arguments.values():
        parts = [getattr(value, field.name) for field in dataclasses.fields(value)]
        for part in (value, *(field_value for field_value in parts if dataclasses.is_dataclass(field_value))):
            settings[type(part).__name__] = part
    return settings


@pytest.mark.parametrize(("file", "name"), FOREIGN)
def test_each_image_is_pinned_to_an_exact_version(file: str, name: str) -> None:
    assert re.fullmatch(r"[\w./-]+:v?\d+\.\d+\.\d+", container(file, name)["image"])


def test_each_image_of_the_dockerfile_is_pinned_to_an_exact_version() -> None:
    stages = re.findall(r"^FROM .+ AS (\w+)$", DOCKERFILE, re.MULTILINE)
    images = set(re.findall(r"^FROM (\S+)", DOCKERFILE, re.MULTILINE)) - set(stages)
    assert images
    assert [image for image in images if not re.fullmatch(r"python:3\.13\.\d+-slim-\w+", image)] == []


def test_kafka_is_the_version_of_the_local_stack() -> None:
    parts = tomllib.loads(Path("compose/parts.toml").read_text(encoding="utf-8"))["kafka"]
    [version] = [part["version"] for part in parts if part["name"] == "kafka_2.13"]
    assert container(LOCAL, "kafka")["image"] == f"apache/kafka:{version}"


def test_ksqldb_and_the_registry_are_of_the_7_9_line() -> None:
    confluent = [
        service["image"] for service in FILES[LOCAL]["services"].values() if "confluentinc/" in service.get("image", "")
    ]
    assert len(confluent) == 3
    assert len({image.rpartition(":")[2] for image in confluent}) == 1
    assert all(":7.9." in image for image in confluent)


@every_one_of_ours
def test_our_containers_are_told_only_what_the_project_knows(file: str, name: str) -> None:
    variables = names(GROUPS) | secrets() | DIRECT
    assert set(environment(file, name)) - variables == set()


@pytest.mark.parametrize(("file", "name"), [entry for entry in OURS if entry[1] != "locust"])
def test_our_commands_take_their_environment_as_it_stands(
    file: str, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    variables = environment(file, name)
    settings = settings_of(file, name, monkeypatch)
    effective = {
        field.name.upper(): in_variable(getattr(group, field.name))
        for group in settings.values()
        for field in dataclasses.fields(group)
    }
    # The command of one-shot containers knows ksqlDB alone; whoever knows Kafka must know the registry.
    assert (
        "KSQLDB_URL" in effective
        if name in ONE_SHOT
        else {"KAFKA_BOOTSTRAP_SERVERS", "SCHEMA_REGISTRY_URL"} <= set(effective)
    )
    assert {key: effective[key] for key in effective if key in variables} == {
        key: variables[key] for key in effective if key in variables
    }


def in_variable(value: Any) -> str:
    """A setting as its variable has it."""
    return " ".join(value) if isinstance(value, tuple) else str(value)


@every_file
def test_the_load_may_reach_the_service_and_write_its_truth(file: str) -> None:
    settings = read_settings(environment(file, "locust"))
    assert settings.load_anywhere
    assert str(Path(settings.truth).parent) == container(file, "locust")["tmpfs"][0].partition(":")[0]


def test_everybody_uses_the_same_kafka_registry_and_ksqldb() -> None:
    of = {name: environment(LOCAL, name) for name in FILES[LOCAL]["services"]}
    clients = ("service", "fraud", "ksql-deploy")
    assert {
        of["ksqldb-server"]["KSQL_BOOTSTRAP_SERVERS"],
        of["schema-registry"]["SCHEMA_REGISTRY_KAFKASTORE_BOOTSTRAP_SERVERS"].removeprefix("PLAINTEXT://"),
        *(of[client]["KAFKA_BOOTSTRAP_SERVERS"] for client in clients),
    } == {"kafka:29092"}
    assert {
        of["ksqldb-server"]["KSQL_KSQL_SCHEMA_REGISTRY_URL"],
        *(of[client]["SCHEMA_REGISTRY_URL"] for client in clients),
    } == {"http://schema-registry:8081"}
    assert {of[client]["KSQLDB_URL"] for client in clients} == {"http://ksqldb-server:8088"}


@pytest.mark.parametrize(("file", "name"), INSIDE)
def test_each_address_is_a_container_that_listens_there(file: str, name: str) -> None:
    services = FILES[file]["services"]
    values = [*environment(file, name).values(), *container(file, name).get("command", [])]
    addresses = re.findall(rf"\b({'|'.join(services)}):(\d+)", " ".join(values))
    assert [(host, port) for host, port in addresses if int(port) not in listeners(file, host)] == []
    hosts = {host for host, _ in re.findall(r"//([a-z][\w.-]*):(\d+)", " ".join(values))}
    assert hosts <= set(services)


def test_kafka_advertises_a_listener_to_containers_and_one_to_this_machine() -> None:
    env = environment(LOCAL, "kafka")
    advertised = dict(re.findall(r"(\w+)://([\w.:]+)", env["KAFKA_ADVERTISED_LISTENERS"]))
    listening = dict(re.findall(r"(\w+)://([\w.:]+)", env["KAFKA_LISTENERS"]))
    protocols = dict(pair.split(":") for pair in env["KAFKA_LISTENER_SECURITY_PROTOCOL_MAP"].split(","))
    assert sorted(advertised.values()) == ["127.0.0.1:9092", "kafka:29092"]
    assert {name: at.rpartition(":")[2] for name, at in advertised.items()} == {
        name: at.rpartition(":")[2] for name, at in listening.items() if name != "CONTROLLER"
    }
    assert set(protocols) == set(listening)
    assert env["KAFKA_CONTROLLER_QUORUM_VOTERS"] == f"{env['KAFKA_NODE_ID']}@{listening['CONTROLLER']}"
    assert env["KAFKA_LOG_DIRS"] in [mount.split(":")[1] for mount in container(LOCAL, "kafka")["volumes"]]


@pytest.mark.parametrize(("file", "name"), [entry for entry in INSIDE if entry in OURS])
def test_no_proxy_stands_between_containers_of_one_file(file: str, name: str) -> None:
    variables = environment(file, name)
    assert variables["NO_PROXY"] == variables["no_proxy"]
    hosts = re.findall(r"//([a-z][\w-]*):\d", " ".join([*variables.values(), *container(file, name)["command"]]))
    assert set(hosts) <= set(variables["NO_PROXY"].split(","))


@every_file
def test_the_service_answers_to_the_name_that_other_containers_call_it(file: str) -> None:
    assert environment(file, "service")["ALLOWED_HOSTS"] == "service"


@every_container
def test_ports_are_published_on_loopback_alone_and_lead_to_a_listener(file: str, name: str) -> None:
    for port in container(file, name).get("ports", []):
        match = re.fullmatch(r"127\.0\.0\.1:(\d+):(\d+)", port)
        assert match
        assert int(match[2]) in listeners(file, name)


@every_file
def test_no_port_is_published_twice(file: str) -> None:
    ports = [port for service in FILES[file]["services"].values() for port in service.get("ports", [])]
    assert ports
    assert len(ports) == len(set(ports))


@every_container
def test_whatever_stays_has_a_health_check(file: str, name: str) -> None:
    has = "healthcheck" in container(file, name)
    assert has is (name not in ONE_SHOT and name not in WITHOUT_HEALTH)
    if has:
        check = container(file, name)["healthcheck"]
        assert {"test", "interval", "timeout", "retries", "start_period"} <= set(check)
        ports = {int(port) for port in re.findall(r"\b(?:8\d{3}|\d{4,5})\b", " ".join(check["test"][1:]))}
        assert ports & listeners(file, name)


class Answer(BaseHTTPRequestHandler):
    """A server's answers by path; 404 elsewhere."""

    says: ClassVar[dict[str, tuple[int, str]]] = {}

    def do_GET(self) -> None:
        status, text = self.says.get(self.path, (404, ""))
        self.send_response(status)
        self.end_headers()
        self.wfile.write(text.encode())

    def log_message(self, *arguments: object) -> None:
        """Nothing: the test's output is its result."""


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[HTTPServer]:
    monkeypatch.setattr(Answer, "says", {})
    with HTTPServer(("127.0.0.1", 0), Answer) as running:
        thread = Thread(target=running.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield running
        running.shutdown()
        thread.join()


def well(file: str, name: str, port: int) -> bool:
    """Run the container's health check against a server on another port."""
    [usual] = listeners(file, name) - {9092, 29092}
    kind, *command = container(file, name)["healthcheck"]["test"]
    assert kind == "CMD"
    program = [part.replace("$$", "$").replace(str(usual), str(port)) for part in command]  # $$: as Compose does
    assert program != command
    program[0] = {"python": sys.executable}.get(program[0], program[0])
    return subprocess.run(program, check=False, capture_output=True).returncode == 0


@pytest.mark.parametrize(("file", "name"), [(LOCAL, "schema-registry"), (LOCAL, "ksqldb-server"), *STAYING])
def test_a_health_check_tells_a_server_that_is_well_from_one_that_is_not(
    file: str, name: str, server: HTTPServer
) -> None:
    paths = ("/subjects", "/healthcheck", "/health/ready", "/")
    assert not well(file, name, server.server_port)
    Answer.says = dict.fromkeys(paths, (200, ""))
    assert well(file, name, server.server_port)
    Answer.says = dict.fromkeys(paths, (503, ""))
    assert not well(file, name, server.server_port)


@every_container
def test_what_a_container_waits_for_exists_and_can_be_met(file: str, name: str) -> None:
    services = FILES[file]["services"]
    for other, how in container(file, name).get("depends_on", {}).items():
        assert other in services
        expected = "service_completed_successfully" if other in ONE_SHOT else "service_healthy"
        assert how == {"condition": expected}
        assert "healthcheck" in services[other] or other in ONE_SHOT


@every_file
def test_the_sql_is_deployed_only_after_its_topics_and_schemas_are_there(file: str) -> None:
    assert "service" in container(file, "ksql-deploy")["depends_on"]


@every_file
def test_nothing_waits_in_a_circle(file: str) -> None:
    pending = {name: set(service.get("depends_on", {})) for name, service in FILES[file]["services"].items()}
    while ready := {name for name, others in pending.items() if not others}:
        pending = {name: others - ready for name, others in pending.items() if name not in ready}
    assert pending == {}


def test_who_watches_waits_for_nobody_and_nobody_waits_for_it() -> None:
    services = FILES[LOCAL]["services"]
    watchers = {name for name, service in services.items() if service.get("profiles") == ["monitoring"]}
    assert watchers == {"prometheus", "grafana"}
    assert [name for name in watchers if "depends_on" in services[name]] == []
    assert [name for name, service in services.items() if watchers & set(service.get("depends_on", {}))] == []


def test_no_container_reports_to_its_maker() -> None:
    assert environment(LOCAL, "ksqldb-server")["KSQL_CONFLUENT_SUPPORT_METRICS_ENABLE"] == "false"
    grafana = environment(LOCAL, "grafana")
    assert {value for name, value in grafana.items() if name.startswith("GF_ANALYTICS_")} == {"false"}


@every_container
def test_no_container_runs_as_root_or_can_become_it(file: str, name: str) -> None:
    assert re.fullmatch(r"appuser|[1-9]\d*:[1-9]\d*", container(file, name)["user"])
    assert container(file, name)["cap_drop"] == ["ALL"]
    assert container(file, name)["security_opt"] == ["no-new-privileges:true"]
    assert not container(file, name).keys() & {"privileged", "cap_add", "network_mode", "pid", "ipc"}


@every_one_of_ours
def test_ours_write_only_to_their_volume_and_to_tmp(file: str, name: str) -> None:
    assert container(file, name)["read_only"] is True
    assert container(file, name)["tmpfs"][0].startswith("/tmp:")
    view = environment(file, name).get("QUEUE_VIEW")
    mounts = [mount.split(":") for mount in container(file, name).get("volumes", [])]
    writable = [mount[1] for mount in mounts if mount[2:] != ["ro"]]
    assert writable == ([] if view is None else [str(Path(view).parent)])


@every_file
def test_the_view_is_on_a_volume_that_its_user_may_write_to(file: str) -> None:
    user = container(file, "service")["user"]
    folder = str(Path(environment(file, "service")["QUEUE_VIEW"]).parent)
    assert f"USER {user}\n" in DOCKERFILE
    assert f"install -d -o {user.split(':')[0]} -g {user.split(':')[1]} {folder}\n" in DOCKERFILE


@every_file
def test_each_named_volume_is_declared_and_used(file: str) -> None:
    mounts = [mount for service in FILES[file]["services"].values() for mount in service.get("volumes", [])]
    assert {mount.split(":")[0] for mount in mounts if not mount.startswith(".")} == set(FILES[file]["volumes"])


@every_container
def test_each_container_has_limits_and_ends_and_restarts_as_it_should(file: str, name: str) -> None:
    limits = container(file, name)["deploy"]["resources"]["limits"]
    assert float(limits["cpus"]) > 0
    assert re.fullmatch(r"\d+[mg]", limits["memory"])
    assert container(file, name)["restart"] == ("no" if name in ONE_SHOT else "unless-stopped")
    assert container(file, name)["init"] is True
    assert "stop_grace_period" in container(file, name) or name in ONE_SHOT


@every_container
def test_a_java_heap_leaves_a_quarter_of_the_memory_to_what_is_beside_it(file: str, name: str) -> None:
    size = {"m": 1, "g": 1024}
    heaps = [value for key, value in environment(file, name).items() if key.endswith("_HEAP_OPTS")]
    limit = container(file, name)["deploy"]["resources"]["limits"]["memory"]
    for heap in heaps:
        assert int(heap[4:-1]) * size[heap[-1]] <= 0.75 * int(limit[:-1]) * size[limit[-1]]
    assert heaps or name not in {"kafka", "schema-registry", "ksqldb-server"}


@every_file
def test_the_service_is_given_the_time_to_answer_what_is_under_way(file: str) -> None:
    grace = int(container(file, "service")["stop_grace_period"].removesuffix("s"))
    assert grace >= 2 * ServiceSettings().deadline


@every_one_of_ours
def test_what_is_built_is_a_stage_of_the_dockerfile_with_extras_that_exist(file: str, name: str) -> None:
    build = container(file, name)["build"]
    top = (Path(file).parent / build["context"]).resolve()
    assert (top / build["dockerfile"]).resolve() == Path("compose/Dockerfile").resolve()
    assert f" AS {build['target']}\n" in DOCKERFILE
    extras = build.get("args", {})
    assert extras == ({"EXTRAS": "load"} if build["target"] == "load" else {})
    assert (build["target"] == "load") is (container(file, name)["command"][0] == "locust")
    assert all(f"ARG {name}=" in DOCKERFILE for name in extras)
    setup = Path("setup.cfg").read_text(encoding="utf-8")
    assert all(f"\n{extra} =\n" in setup.partition("[options.extras_require]")[2] for extra in extras.values())


def copied() -> list[str]:
    lines = [line.split()[1:-1] for line in DOCKERFILE.splitlines() if line.startswith("COPY ")]
    return [source for sources in lines for source in sources if not sources[0].startswith("--from=")]


def reaches_the_build(path: str) -> bool:
    """By .dockerignore: the last line that names the path, or a folder above it, decides."""
    above = [Path(path), *(folder for folder in Path(path).parents if folder.name)]
    reaches = True
    for line in IGNORED:
        if line and not line.startswith("#") and any(named_by(line.removeprefix("!"), name) for name in above):
            reaches = line.startswith("!")
    return reaches


def named_by(pattern: str, path: Path) -> bool:
    """As Docker has it: an asterisk goes no deeper, two do."""
    if pattern.startswith("**/"):
        return fnmatch(path.name, pattern.removeprefix("**/"))
    parts = pattern.split("/")
    return len(parts) == len(path.parts) and all(map(fnmatch, path.parts, parts))


@pytest.mark.parametrize("path", copied())
def test_what_the_dockerfile_copies_exists_and_reaches_the_build(path: str) -> None:
    assert Path(path).exists()
    shipped = (
        [path]
        if Path(path).is_file()
        else [str(source) for source in Path(path).glob("*.*") if source.suffix in SHIPPED]
    )
    assert shipped
    assert [source for source in shipped if not reaches_the_build(source)] == []


def test_each_package_and_its_data_get_into_the_image() -> None:
    setup = Path("setup.cfg").read_text(encoding="utf-8")
    listed = re.search(r"^include =\n((?: +\w+\*?\n)+)", setup, re.MULTILINE)
    data = re.search(r"^\[options\.package_data\]\n((?:.+\n)+)", setup, re.MULTILINE)
    assert listed
    assert data
    packages = {pattern.rstrip("*") for pattern in listed[1].split()}
    assert packages <= set(copied())
    folders = {source.parent for package in packages for source in Path(package).rglob("*.py")}
    assert [folder for folder in folders if not (folder / "__init__.py").exists()] == []
    patterns = [(line.split(" = ")[0], line.split(" = ")[1].split(", ")) for line in data[1].splitlines()]
    files = [str(file) for package, globs in patterns for pattern in globs for file in Path(package).glob(pattern)]
    assert files
    assert [file for file in files if not reaches_the_build(file)] == []


@pytest.mark.parametrize(
    "path",
    [
        "compose/credentials.env",
        "compose/certificates/ca.pem",
        "compose/rules/rules.toml",
        ".git/config",
        ".local/kafka",
        "tests/conftest.py",
    ],
)
def test_nothing_else_reaches_the_build(path: str) -> None:
    assert not reaches_the_build(path)


def test_each_stage_takes_from_stages_that_exist_and_the_last_is_what_runs() -> None:
    stages = re.findall(r"^FROM (\S+) AS (\w+)$", DOCKERFILE, re.MULTILINE)
    targets = [name for _, name in stages]
    assert set(re.findall(r"--from=(\w+)", DOCKERFILE)) <= set(targets)
    assert [base for base, _ in stages if ":" not in base and base not in targets] == []
    assert targets[-1] == "runtime"
    assert "USER" in DOCKERFILE.partition(" AS base\n")[2].partition("\nFROM ")[0]


def test_each_variable_of_the_example_is_one_that_the_project_reads() -> None:
    assert set(in_example()) - names(GROUPS) - secrets() == set()


def test_the_example_names_all_that_leads_to_a_cluster() -> None:
    files = {name for name in names(CONNECTIONS) if name.endswith(("_PASSWORD_FILE", "_TOKEN_FILE"))}
    assert secrets() == {file.removesuffix("_FILE") for file in files}
    assert (names(CONNECTIONS) | secrets() | names((TopicSettings,))) - files - RARE <= set(in_example())


def test_each_variable_of_the_example_says_what_it_is_for() -> None:
    lines = EXAMPLE.splitlines()
    variable = re.compile(r"#?[A-Z_]+=")
    silent = [
        line
        for line, before in zip(lines[1:], lines, strict=False)
        if variable.match(line) and not before.startswith("# ") and not variable.match(before)
    ]
    assert silent == []


def test_the_example_leads_to_sasl_over_tls_and_to_basic_authentication(monkeypatch: pytest.MonkeyPatch) -> None:
    service = settings_of(CLUSTER, "service", monkeypatch)
    deploy = settings_of(CLUSTER, "ksql-deploy", monkeypatch)
    files = dict.fromkeys(("kafka_ca_file", "kafka_certificate_file", "kafka_key_file"))
    kafka = dataclasses.replace(service["KafkaSettings"], **files).client_options()
    assert kafka["security_protocol"] == "SASL_SSL"
    assert kafka["sasl_plain_password"] == in_example()["KAFKA_PASSWORD"]
    assert service["RegistrySettings"].schema_registry_username
    assert deploy["KsqldbSettings"].ksqldb_username
    assert all(in_example()[name].startswith("https://") for name in ("SCHEMA_REGISTRY_URL", "KSQLDB_URL"))


def test_whoever_reads_the_rules_is_told_of_others_by_whoever_runs_compose() -> None:
    for file, name in OURS:
        mounted = "./rules:/rules:ro" in container(file, name).get("volumes", [])
        assert mounted is (name != "locust")
        if mounted and file == LOCAL:
            assert container(file, name)["environment"]["FRAUD_RULES"] is None  # taken from where Compose runs
    assert "FRAUD_RULES" in in_example()


def test_the_files_that_the_example_names_are_mounted_read_only() -> None:
    named = {value for name, value in in_example().items() if name.endswith(("_FILE", "_RULES"))}
    assert named
    for name in ("service", "fraud", "ksql-deploy"):
        mounts = [mount.split(":") for mount in container(CLUSTER, name)["volumes"]]
        folders = [mount[1] for mount in mounts if mount[2:] == ["ro"]]
        assert {str(Path(path).parent) for path in named} == set(folders)


def test_credentials_are_in_no_file_that_is_committed() -> None:
    ignored = set(Path(".gitignore").read_text(encoding="utf-8").splitlines())
    assert {"compose/credentials.env", "compose/certificates/", "compose/rules/", "access.toml", "/*.ndjson"} <= ignored
    for file, name in CONTAINERS:
        assert not set(container(file, name).get("environment", {})) & secrets()
    assert {in_example()[name] for name in secrets()} == {"change me"}


@every_one_of_ours
def test_only_those_who_need_the_credentials_have_them(file: str, name: str) -> None:
    expected = ["credentials.env"] if file == CLUSTER and name != "locust" else None
    assert container(file, name).get("env_file") == expected
