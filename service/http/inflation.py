"""Inflation of compressed bodies (RFC 9110, section 8.4.1): gzip and deflate, each with its end.

aiohttp (3.14) does not ask whether a gzip body has its end, and takes what it does not know as if nothing were
compressed: half a batch would be a whole one.
"""

import zlib

from aiohttp import hdrs, web

from service.http.problems import Problem

MAX_MEMBERS = 1_000
"""Limit of gzip files one after the other in a body, which are one (RFC 1952, section 2.2)."""
_GZIP_WBITS = 31
_ZLIB_WBITS = 15
_DEFLATE_METHOD = 8
_CODINGS = {"gzip": _GZIP_WBITS, "x-gzip": _GZIP_WBITS, "deflate": _ZLIB_WBITS}
_TAKEN = "gzip, deflate"


class Inflation:
    """A body that is inflated as it comes."""

    def __init__(self, wbits: int) -> None:
        self._wbits = wbits
        self._stream: zlib._Decompress | None = None
        self._members = 0

    def inflate(self, data: bytes, most: int) -> bytes:
        """Inflate what has come; it stops after `most` bytes, at least one. Raises Problem where it is damaged."""
        inflated = b""
        while data and len(inflated) < most:
            if self._stream is None:
                self._stream = self._begin(data[0])
            try:
                inflated += self._stream.decompress(data, most - len(inflated))
            except zlib.error:
                raise _damaged() from None
            data = b""
            if self._stream.eof:
                data, self._stream = self._stream.unused_data, None
        return inflated

    def end(self) -> None:
        """Raises Problem where the end is missing of what has come."""
        if self._stream is not None:
            raise _damaged()

    def _begin(self, first: int) -> "zlib._Decompress":
        self._members += 1
        if self._members > (MAX_MEMBERS if self._wbits == _GZIP_WBITS else 1):
            raise _damaged()
        # Some clients leave out what RFC 1950 puts before a deflated body.
        is_bare = self._wbits == _ZLIB_WBITS and first & 0xF != _DEFLATE_METHOD
        return zlib.decompressobj(-_ZLIB_WBITS if is_bare else self._wbits)


def inflation_of(request: web.Request) -> Inflation | None:
    """The way to inflate a request's body, None where it is not compressed; raises Problem 415 for other codings."""
    codings = ",".join(request.headers.getall(hdrs.CONTENT_ENCODING, ())).strip().lower()
    if codings in ("", "identity"):
        return None
    wbits = _CODINGS.get(codings)
    if wbits is None:
        raise Problem(
            415,
            "unsupported-media-type",
            f"a body may be compressed by one of {_TAKEN}; Content-Encoding names another, or several",
            headers={"Accept-Encoding": _TAKEN},
        )
    return Inflation(wbits)


def _damaged() -> Problem:
    return Problem(400, "malformed-request", "the body is not whole, or not compressed as Content-Encoding says")
