"""The least that an aiohttp service could do: decode a payment, and answer. `python -m benchmarks.bare PORT`."""

import sys

import msgspec
import uvloop
from aiohttp import web

from schemas.codecs import AvroCodec, ProtobufCodec, decode_posted
from service.payments.results import PaymentReceipt

_encode = msgspec.json.Encoder().encode
_decode = {
    "application/json": decode_posted,
    "avro/binary": AvroCodec(b"").decode_body,
    "application/x-protobuf": ProtobufCodec(b"").decode_body,
}


async def answer(request: web.Request) -> web.Response:
    """A receipt for a payment that goes nowhere."""
    payment = _decode[request.headers["Content-Type"]](await request.read())
    receipt = PaymentReceipt(payment.id, "payment_json", 3, 12_345, 1_795_492_000_000)
    return web.Response(body=_encode(receipt), status=201, headers={"Content-Type": "application/json"})


if __name__ == "__main__":
    app = web.Application()
    app.router.add_post("/{topic}", answer)
    uvloop.install()
    web.run_app(app, host="127.0.0.1", port=int(sys.argv[1]), access_log=None, print=None)
