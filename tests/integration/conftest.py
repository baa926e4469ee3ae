"""What several test files share and start once."""

import asyncio
from collections.abc import Iterator

import pytest

from tests.integration.processes import make_topics
from tests.integration.secured import Secured, secured_kafka


@pytest.fixture(scope="package")
def secured(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Secured]:
    """A broker that asks who one is; its topics have two partitions."""
    with secured_kafka(tmp_path_factory.mktemp("secured")) as found:
        asyncio.run(make_topics(found.settings("PLAINTEXT"), partitions=2))
        yield found
