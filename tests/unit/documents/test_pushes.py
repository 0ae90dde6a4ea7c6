"""Where a person may put a pushed file: each address takes one object of one length, once, until the push expires."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from urllib.parse import parse_qs, urlsplit

import pytest

from wardround.api.meta import Meta
from wardround.api.modelpush import ModelPush, ModelPushSpec
from wardround.api.times import read_time, to_seconds
from wardround.clock import system_clock
from wardround.documents import pushes
from wardround.documents.keys import Identity
from wardround.documents.pushes import SealedPush
from wardround.presign import Credentials, Presigner
from wardround.sealing.body import PART, new_file_key, part_lengths
from wardround.sealing.grants import open_offer, open_push
from wardround.sealing.keys import DecryptionKey
from wardround.sealing.refused import Refused
from wardround.wire import canonical
from wardround.wire.grants import PushGrants

SIGNER = Presigner("https://store.example", "bucket", "us-east-1", Credentials("access", "secret"))
HUB, PERSON = Identity.generate(), DecryptionKey.generate()
DIGEST = "sha256:" + "d" * 64
NOW = system_clock().replace(microsecond=0)
LENGTH = PART + 5
PUSH = ModelPush(
    metadata=Meta(name="pretrained", namespace="breast", uid="push-uid", creation_timestamp=to_seconds(NOW)),
    spec=ModelPushSpec(
        schema_name="breast-v1",
        digest=DIGEST,
        bytes=LENGTH,
        tensors_digest=DIGEST,
        public_key=canonical.encode(PERSON.public.raw),
        requested_by="wanda",
    ),
)


def offered(push: ModelPush, seconds: float, *, reader: str = "wanda", key: DecryptionKey = PERSON) -> PushGrants:
    """What the holder of a key finds in an offer that the hub made so many seconds after the push."""
    fresh = new_file_key()
    sealed = SealedPush(fresh, pushes.header(push, fresh))
    made = pushes.offer(push, sealed, HUB, SIGNER, "ca", NOW + timedelta(seconds=seconds))
    offer = open_offer(made.offer, HUB.key.public_key())
    return open_push(offer.grants, key, push_uid=push.metadata.uid, requested_by=reader, digest=DIGEST)


@pytest.mark.parametrize("seconds", [0, 100, 599])
def test_an_address_takes_one_object_of_one_length_once_until_the_push_expires(seconds: int) -> None:
    grants = offered(PUSH, seconds)
    puts = (*grants.parts, grants.segments)
    assert [each.bytes for each in grants.parts] == part_lengths(LENGTH)
    places = [urlsplit(each.url).path for each in puts]
    assert len(set(places)) == len(puts) == 3
    for put in puts:
        assert put.headers == {"If-None-Match": "*", "Content-Length": str(put.bytes)}
        signed = parse_qs(urlsplit(put.url).query)
        assert {"content-length", "if-none-match"} <= set(signed["X-Amz-SignedHeaders"][0].split(";"))
        assert int(signed["X-Amz-Expires"][0]) == PUSH.spec.seconds - seconds
        assert "/push-uid/" in urlsplit(put.url).path
    assert read_time(grants.expires) == NOW + timedelta(seconds=PUSH.spec.seconds)


def test_only_the_person_who_asked_opens_the_addresses() -> None:
    with pytest.raises(Refused):
        offered(PUSH, 0, key=DecryptionKey.generate())
    with pytest.raises(Refused):
        offered(PUSH, 0, reader="mallory")
    other = replace(PUSH, metadata=replace(PUSH.metadata, uid="another"))
    assert not {each.url for each in offered(other, 0).parts} & {each.url for each in offered(PUSH, 0).parts}
