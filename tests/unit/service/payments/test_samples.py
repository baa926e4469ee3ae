"""Sample payments are ones that anybody might post."""

from schemas.codecs import decode_posted
from schemas.payment import FIELDS, encode_json
from service.payments.samples import sample_payment


def test_each_sample_is_taken_as_it_is_and_has_an_id_of_its_own() -> None:
    samples = [sample_payment() for _ in range(200)]
    for sample in samples:
        posted = decode_posted(encode_json(sample))
        assert all(getattr(posted, name) == getattr(sample, name) for name in FIELDS)
    assert len({sample.id for sample in samples}) == 200
