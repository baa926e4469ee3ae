"""The addresses: each under one scope, and open to everybody only where there is nothing to see."""

from collections import Counter

from aiohttp import web

from schemas.kafka.topics import RAW_TOPICS
from service.app import routes, routes_by_scope


def heads() -> set[str]:
    """Addresses that answer HEAD."""
    app = web.Application()
    app.add_routes(routes())
    return {route.resource.canonical for route in app.router.routes() if route.method == "HEAD" and route.resource}


def test_each_address_stands_under_one_scope() -> None:
    counts = Counter((route.method, route.path) for route in routes())
    assert set(counts.values()) == {1}


def test_whatever_changes_something_takes_a_scope_that_writes() -> None:
    writing = {
        route.path
        for scope, guarded in routes_by_scope().items()
        if scope is None or not scope.endswith(":write")
        for route in guarded
        if route.method != "GET"
    }
    assert writing == {"/login", "/logout"}


def test_a_sample_is_not_produced_by_head() -> None:
    assert not heads() & {f"/{topic}" for topic in RAW_TOPICS}


def test_what_is_sent_in_pieces_or_drawn_has_no_head() -> None:
    assert "/review-queue" in heads()
    assert not heads() & {"/review-queue.csv", "/review-queue/events", "/review-queue/{case_id}/chart.svg"}
