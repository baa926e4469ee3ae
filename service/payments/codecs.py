"""The codecs of the three payment formats, once the registry has accepted our schemas."""

import asyncio
import sys

import stamina
import structlog
from aiohttp import web

from schemas.codecs import PaymentCodec, payment_codecs
from schemas.errors import RegistryUnavailable, SchemaClash
from schemas.registry import Registry

log = structlog.get_logger(__name__)


class Codecs:
    """The codecs, from the moment on at which the registry has our schemas.

    `failed` is resolved with the SchemaClash of a schema that clashes with what is registered: nothing that is sent
    could be trusted then, so the service has to end.
    """

    def __init__(self, registry: Registry) -> None:
        self.registry = registry
        self.failed: asyncio.Future[SchemaClash] = asyncio.get_running_loop().create_future()
        self._codecs: dict[str, PaymentCodec] = {}
        self._reason = "still registering the schemas"

    @property
    def registered(self) -> bool:
        """True where payments can be encoded."""
        return bool(self._codecs)

    def codec(self, topic: str) -> PaymentCodec:
        """Return the codec of a topic; raises RegistryUnavailable while the schemas are not registered."""
        try:
            return self._codecs[topic]
        except KeyError:
            raise RegistryUnavailable(f"the payment was not accepted: {self._reason}") from None

    async def register(self) -> None:
        """Register them, for as long as that takes."""
        try:
            async for attempt in stamina.retry_context(
                on=RegistryUnavailable, attempts=None, timeout=None, wait_max=2.0, wait_jitter=0.2
            ):
                with attempt:
                    try:
                        self._codecs = await payment_codecs(self.registry)
                    except RegistryUnavailable as error:
                        self._reason = str(error)
                        raise
        except SchemaClash as error:
            self._reason = str(error)
            self.failed.set_result(error)
        except Exception:
            log.critical("registering the schemas failed for no known reason", exc_info=sys.exc_info())
            raise


CODECS = web.AppKey("codecs", Codecs)
