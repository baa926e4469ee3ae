"""A client as integrators are told to be: whatever has no definite answer is sent again, with the same id."""

import asyncio
import json
import time
from collections import Counter
from collections.abc import Iterator

import aiohttp
import msgspec

from schemas.payment import Payment
from tests.soak.traffic import Request

ANSWER_SECONDS = 15.0
MAX_REQUESTS = 1_000
"""That may wait for their answers; then nothing new is sent."""
CONNECTIONS = 100
FIRST_PAUSE, MAX_PAUSE = 0.2, 3.0
TICK_SECONDS = 0.05
PASSING = {408, 429}


class Client:
    """Sends payments, and remembers what became of them."""

    def __init__(self, url: str) -> None:
        self.sent: dict[str, tuple[str, Payment]] = {}
        """By id: to which topic, and what."""
        self.acknowledged: set[str] = set()
        self.refused: dict[str, str] = {}
        """By id: answers that should never have been given."""
        self.again: Counter[str] = Counter()
        """Why payments were sent again."""
        self._url = url
        self._requests: set[asyncio.Task[None]] = set()
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=CONNECTIONS), timeout=aiohttp.ClientTimeout(total=ANSWER_SECONDS)
        )

    @property
    def unanswered(self) -> int:
        """Payments without an answer."""
        return len(self.sent) - len(self.acknowledged) - len(self.refused)

    async def send(self, traffic: Iterator[Request], rate: float, seconds: float) -> None:
        """`rate` payments a second for so long; fewer while too many wait."""
        end = time.monotonic() + seconds
        due = 0.0
        while time.monotonic() < end:
            due = min(due + rate * TICK_SECONDS, rate)
            while due > 0 and len(self._requests) < MAX_REQUESTS:
                request = next(traffic)
                due -= len(request.payments)
                self.sent |= {payment.id: (request.topic, payment) for payment in request.payments}
                task = asyncio.create_task(self._deliver(request))
                self._requests.add(task)
                task.add_done_callback(self._requests.discard)
            await asyncio.sleep(TICK_SECONDS)

    async def finish(self, seconds: float) -> None:
        """Wait for the answers that are missing, but no longer than that."""
        if self._requests:
            await asyncio.wait(self._requests, timeout=seconds)

    async def close(self) -> None:
        """Ask no more."""
        for task in self._requests:
            task.cancel()
        await asyncio.gather(*self._requests, return_exceptions=True)
        await self._session.close()

    async def _deliver(self, request: Request) -> None:
        """Until every payment has its answer."""
        pause = FIRST_PAUSE
        unanswered = request.payments
        while unanswered:
            try:
                unanswered = await self._post(request.topic, unanswered, batch=request.batch)
            except (aiohttp.ClientError, TimeoutError) as error:
                self.again[type(error).__name__] += len(unanswered)
            if unanswered:
                await asyncio.sleep(pause)
                pause = min(2 * pause, MAX_PAUSE)

    async def _post(self, topic: str, payments: tuple[Payment, ...], *, batch: bool) -> tuple[Payment, ...]:
        """Make an attempt; returns the payments that have no definite answer."""
        kind = "application/x-ndjson" if batch else "application/json"
        body = b"\n".join(map(msgspec.json.encode, payments))
        async with self._session.post(f"{self._url}/{topic}", data=body, headers={"Content-Type": kind}) as response:
            text = await response.text()
            if batch and response.status == 200:
                answers = [json.loads(line) for line in text.splitlines()]
            else:
                answers = [json.loads(text) | {"status": response.status}] * len(payments)
        return tuple(
            payment for payment, answer in zip(payments, answers, strict=True) if not self._settled(payment, answer)
        )

    def _settled(self, payment: Payment, answer: dict[str, object]) -> bool:
        status = answer["status"]
        assert isinstance(status, int)
        if status < 300:
            self.acknowledged.add(payment.id)
        elif status >= 500 or status in PASSING:
            self.again[f"{status} {str(answer.get('type')).rpartition(':')[2]}"] += 1
            return False
        else:
            self.refused[payment.id] = f"{status} {answer}"
        return True
