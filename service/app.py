"""The service's table of contents: every address, and everything it holds."""

from aiohttp import web

from schemas.topics import RAW_TOPICS
from service import (
    chart,
    comparison,
    contexts,
    desk,
    docs,
    events,
    export,
    gauges,
    health,
    login,
    page,
    payments,
    request_ids,
    review_queue,
    scrape,
    security_headers,
    status,
)
from service.access import Scope
from service.answers import answers
from service.client_connections import Connections
from service.guard import guard
from service.keys import CONNECTIONS, METRICS, RATES, SETTINGS
from service.metrics import Metrics
from service.rates import Rates
from service.settings import Settings


def make_app(settings: Settings) -> web.Application:
    """The application, for one process."""
    metrics = Metrics()
    app = web.Application(middlewares=[answers(metrics, guard(routes_by_scope()))])
    app[SETTINGS] = settings
    app[METRICS] = metrics
    service = settings.service
    app[CONNECTIONS] = Connections(service.max_connections, service.header_timeout)
    if service.rate_limit:
        app[RATES] = Rates(service.rate_limit / service.workers)
    app.cleanup_ctx.extend([contexts.access, contexts.formats, contexts.producer, contexts.review_queue, gauges.gauges])
    app.on_response_prepare.extend([request_ids.show, security_headers.protect])
    app.on_shutdown.append(contexts.stop_streams)
    app.add_routes(routes())
    return app


def routes() -> list[web.RouteDef]:
    """Every address and its view."""
    return [route for guarded in routes_by_scope().values() for route in guarded]


def routes_by_scope() -> dict[Scope | None, list[web.RouteDef]]:
    """Every address by the scope that it takes; None: anybody may come. The pages have no data in them."""
    return {
        "payments:write": [
            *(web.post(f"/{topic}", payments.post_payment(topic)) for topic in RAW_TOPICS),
            # No HEAD: it would produce a payment that nobody sees.
            *(web.get(f"/{topic}", payments.get_sample(topic), allow_head=False) for topic in RAW_TOPICS),
        ],
        "reviews:read": [
            web.get("/review-queue", review_queue.list_cases),
            web.get("/review-queue.csv", export.export_cases, allow_head=False),
            web.get("/review-queue/counts", review_queue.count_cases),
            web.get("/review-queue/events", events.follow, allow_head=False),
            web.get("/review-queue/{case_id}", review_queue.show_case),
            web.get("/review-queue/{case_id}/chart.svg", chart.show_chart, allow_head=False),
            web.get("/comparison", comparison.show_comparison),
            web.get("/status", status.show_status),
            web.get("/session", login.show_session),
        ],
        "reviews:write": [
            web.post("/review-queue/decisions", desk.decide_many),
            web.post("/review-queue/{case_id}/decisions", desk.decide),
        ],
        "metrics:read": [web.get("/metrics", scrape.show_metrics)],
        None: [
            web.get("/", page.queue),
            web.get("/comparison.html", page.comparison),
            web.get("/web/{file}", page.asset),
            web.get("/login", login.show_login),
            web.post("/login", login.sign_in),
            web.post("/logout", login.sign_out),
            web.get("/health/live", health.live),
            web.get("/health/ready", health.ready),
            web.get("/openapi.json", docs.openapi),
            web.get("/docs", docs.page),
            web.get("/docs/{file}", docs.asset),
        ],
    }
