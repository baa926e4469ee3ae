"""What the application holds, by typed key."""

import asyncio

from aiohttp import web

from fraud.rules import Rule
from service.access import Access, Identity
from service.bodies import BodyBudget
from service.catch_up import CatchUp
from service.client_connections import Connections
from service.connection import ProducerConnection
from service.decision_log import DecisionLog
from service.formats import Formats
from service.jwk_set import FetchedKeys
from service.metrics import Metrics
from service.once import Once
from service.producer import PaymentProducer
from service.progress import EngineProgress
from service.queue_reader import QueueReader
from service.queue_view import QueueView
from service.rates import Rates
from service.settings import Settings
from service.traffic import Traffic

SETTINGS = web.AppKey("settings", Settings)
RULES = web.AppKey("rules", tuple[Rule, ...])
ENGINE_PROGRESS = web.AppKey("engine_progress", EngineProgress)
CONNECTIONS = web.AppKey("connections", Connections)
RATES = web.AppKey("rates", Rates)
FORMATS = web.AppKey("formats", Formats)
CONNECTION = web.AppKey("connection", ProducerConnection)
ONCE = web.AppKey("once", Once)
CATCH_UP = web.AppKey("catch_up", CatchUp)
PRODUCER = web.AppKey("producer", PaymentProducer)
BODY_BUDGET = web.AppKey("body_budget", BodyBudget)
QUEUE_VIEW = web.AppKey("queue_view", QueueView)
QUEUE_READER = web.AppKey("queue_reader", QueueReader)
METRICS = web.AppKey("metrics", Metrics)
DECISION_LOG = web.AppKey("decision_log", DecisionLog)
TRAFFIC = web.AppKey("traffic", Traffic)
STOPPING = web.AppKey("stopping", asyncio.Event)
ACCESS = web.AppKey("access", Access)
JWT_KEYS = web.AppKey("jwt_keys", FetchedKeys)
IDENTITY = web.RequestKey("identity", Identity)
"""Who sent a request, where access is controlled."""
