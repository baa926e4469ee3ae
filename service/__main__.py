"""`python -m service`: the command line."""

import sys

from fraud.ksqldb.client import KsqldbSettings
from fraud.settings import EngineSettings
from schemas.cli import command_line, exit_status
from schemas.kafka.provisioning import TopicSettings
from schemas.kafka.settings import KafkaSettings
from schemas.logs import LogSettings
from schemas.registry import RegistrySettings
from service.access.authentication import Scope
from service.access.opaque_tokens import new_token
from service.access_settings import AccessSettings
from service.settings import ServiceSettings, Settings
from service.supervisor import serve_all

cli = command_line("service", "Takes payments over HTTP onto Kafka, and serves the queue of cases to review.")


@cli.default
def run(
    service: ServiceSettings | None = None,
    access: AccessSettings | None = None,
    kafka: KafkaSettings | None = None,
    topics: TopicSettings | None = None,
    registry: RegistrySettings | None = None,
    ksqldb: KsqldbSettings | None = None,
    engine: EngineSettings | None = None,
    logs: LogSettings | None = None,
) -> int:
    """Serve until SIGTERM or Ctrl-C; then answer what is under way, and end.

    Each setting is an environment variable, too: --service-port is SERVICE_PORT. A flag comes first. Passwords have no
    flag: KAFKA_PASSWORD, SCHEMA_REGISTRY_PASSWORD and KSQLDB_PASSWORD, or the files that --kafka-password-file,
    --schema-registry-password-file and --ksqldb-password-file name.
    """
    settings = Settings(
        service=service or ServiceSettings(),
        access=access or AccessSettings(),
        kafka=kafka or KafkaSettings(),
        topics=topics or TopicSettings(),
        registry=registry or RegistrySettings(),
        ksqldb=ksqldb or KsqldbSettings(),
        engine=engine or EngineSettings(),
        logs=logs or LogSettings(),
    )
    settings.kafka.client_options()
    return serve_all(settings)


@cli.command
def token(name: str, *, scope: tuple[Scope, ...]) -> int:
    """Make a token: itself to standard error, once, for whom it is; its entry for ACCESS_FILE to standard output.

    Parameters
    ----------
    name
        Whose it is; it stands beside each decision.
    scope
        What it allows; may be given several times.
    """
    text, entry = new_token(name, scope)
    sys.stderr.write(f"{text}\n")
    sys.stdout.buffer.write(entry.encode())
    return 0


def main() -> int:
    """The exit status: 0 after a drain, 1 where it could not serve."""
    return exit_status(cli, failed=1)


if __name__ == "__main__":
    sys.exit(main())
