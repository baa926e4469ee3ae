"""Heads: what is kept of a request's head is found again by the same bytes, and by no others."""

from aiohttp import HttpVersion11
from aiohttp.http import RawRequestMessage
from multidict import CIMultiDict, CIMultiDictProxy
from yarl import URL

from service.http import heads
from service.http.heads import Heads, head_of

HEAD = b"POST /pay HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\n"
MESSAGE = RawRequestMessage(
    "POST",
    "/pay",
    HttpVersion11,
    CIMultiDictProxy(CIMultiDict()),
    (),
    should_close=False,
    compression=None,
    upgrade=False,
    chunked=False,
    url=URL("/pay"),
)


def test_a_head_is_found_before_any_body_of_its_length() -> None:
    kept = Heads()
    kept.keep(HEAD, MESSAGE, 4)
    for data in (HEAD, HEAD + b"abc", HEAD + b"abcd", HEAD + b"\r\n\r\n"):
        head = kept.find(data)
        assert head is not None
        assert (head.message, head.size, head.whole_size) == (MESSAGE, len(HEAD), len(HEAD) + 4)


def test_no_other_data_have_a_head() -> None:
    kept = Heads()
    kept.keep(HEAD, MESSAGE, 4)
    for data in (b"", HEAD[:-1], HEAD + b"abcde", HEAD.replace(b"a", b"b") + b"abcd", b"\r\n" + HEAD, HEAD.lower()):
        assert kept.find(data) is None


def test_large_heads_and_heads_of_large_requests_are_not_kept() -> None:
    kept = Heads()
    large = HEAD[:-2] + b"X: " + b"x" * heads.MAX_HEAD_BYTES + b"\r\n\r\n"
    kept.keep(large, MESSAGE, 4)
    kept.keep(HEAD, MESSAGE, heads.MAX_REQUEST_BYTES)
    assert kept.find(large) is kept.find(HEAD) is None


def test_there_are_never_more_heads_than_are_allowed() -> None:
    kept = Heads()
    for number in range(heads.MAX_HEADS + 1):
        kept.keep(HEAD[:-2] + b"X: %d\r\n\r\n" % number, MESSAGE, 4)
        assert len(kept._heads) <= heads.MAX_HEADS
    assert kept.find(HEAD[:-2] + b"X: %d\r\n\r\n" % heads.MAX_HEADS) is not None


def test_the_head_of_one_request_is_what_stands_before_its_body() -> None:
    for body in (b"", b"ab", b"abcd", b"\r\n\r\n"):
        assert head_of(HEAD + body, 4) == HEAD


def test_data_that_may_be_more_than_one_request_have_no_head() -> None:
    assert head_of(HEAD + b"abcdP", 4) is None
    assert head_of(HEAD.replace(b"\r\n", b"\n") + b"\r\n\r\n", 4) is None, (
        "lines may end otherwise than its end is sought"
    )
