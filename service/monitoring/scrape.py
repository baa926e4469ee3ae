"""GET /metrics: the service's figures, as Prometheus reads them."""

from aiohttp import web
from prometheus_client import CONTENT_TYPE_LATEST

from service.metrics import METRICS


async def show_metrics(request: web.Request) -> web.Response:
    """The text exposition."""
    return web.Response(body=request.app[METRICS].exposition(), headers={"Content-Type": CONTENT_TYPE_LATEST})
