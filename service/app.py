"""The service's table of contents: every address, and everything it holds."""

from functools import partial

from aiohttp import web

from schemas.kafka.topics import RAW_TOPICS
from service import contexts
from service.access import login
from service.access.authentication import Scope
from service.access.guard import make_guard, passes_at_once
from service.http import docs, pages, request_ids, security_headers
from service.http.connections import CONNECTIONS, Connections
from service.http.exchanges import EXCHANGES, Exchanges
from service.http.middleware import make_middleware
from service.metrics import METRICS, Metrics
from service.monitoring import gauges, health, scrape, status
from service.payments import handlers
from service.payments.rate_limit import RATE_LIMITER, RateLimiter
from service.review import cases, chart, comparison, decide, events, exempt, export, payment_record, report
from service.settings import SETTINGS, Settings


def make_app(settings: Settings) -> web.Application:
    """The application, for one process."""
    metrics = Metrics()
    app = web.Application(middlewares=[make_middleware(metrics, make_guard(routes_by_scope()))])
    app[SETTINGS] = settings
    app[METRICS] = metrics
    service = settings.service
    app[CONNECTIONS] = Connections(service.max_connections, service.header_timeout)
    app[EXCHANGES] = Exchanges(
        metrics,
        partial(passes_at_once, scope="payments:write"),
        {f"/{topic}": handlers.take_payment(topic) for topic in RAW_TOPICS},
    )
    if service.rate_limit:
        app[RATE_LIMITER] = RateLimiter(service.rate_limit / service.workers)
    app.cleanup_ctx.extend([contexts.access, contexts.formats, contexts.producer, contexts.review_queue, gauges.gauges])
    app.on_response_prepare.extend([request_ids.add_header, security_headers.add_headers])
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
            *(web.post(f"/{topic}", handlers.post_payment(topic)) for topic in RAW_TOPICS),
            # No HEAD: it would produce a payment that nobody sees.
            *(web.get(f"/{topic}", handlers.get_sample(topic), allow_head=False) for topic in RAW_TOPICS),
        ],
        "reviews:read": [
            web.get("/review-queue", cases.list_cases),
            web.get("/review-queue.csv", export.export_queue, allow_head=False),
            web.get("/review-queue/counts", cases.count_cases),
            web.get("/review-queue/events", events.follow, allow_head=False),
            web.get("/review-queue/subjects/{subject_id}", cases.show_subject),
            web.get("/review-queue/subjects/{subject_id}/chart.svg", chart.show_subject_chart, allow_head=False),
            web.get("/review-queue/subjects/{subject_id}/payments.csv", export.export_payments, allow_head=False),
            web.get("/review-queue/subjects/{subject_id}/report", report.show_report, allow_head=False),
            web.get("/review-queue/exemptions", exempt.list_exemptions),
            web.get("/review-queue/{case_id}", cases.show_case),
            web.get("/review-queue/{case_id}/payments/{payment_id}", payment_record.show_payment),
            web.get("/review-queue/{case_id}/chart.svg", chart.show_case_chart, allow_head=False),
            web.get("/comparison", comparison.show_comparison),
            web.get("/status", status.show_status),
            web.get("/session", login.show_session),
        ],
        "reviews:write": [
            web.post("/review-queue/decisions", decide.decide_many),
            web.post("/review-queue/exemptions", exempt.make_exemption),
            web.post("/review-queue/exemptions/{exemption_id}/end", exempt.end_exemption),
            web.post("/review-queue/subjects/{subject_id}/decisions", decide.decide_subject),
            web.post("/review-queue/{case_id}/decisions", decide.decide_case),
        ],
        "metrics:read": [web.get("/metrics", scrape.show_metrics)],
        None: [
            web.get("/", pages.show_queue),
            web.get("/comparison.html", pages.show_comparison),
            web.get("/web/{file}", pages.serve_asset),
            web.get("/login", login.show_login),
            web.post("/login", login.sign_in),
            web.post("/logout", login.sign_out),
            web.get("/health/live", health.live),
            web.get("/health/ready", health.ready),
            web.get("/openapi.json", docs.show_openapi),
            web.get("/docs", docs.show_docs),
            web.get("/docs/{file}", docs.serve_asset),
        ],
    }
