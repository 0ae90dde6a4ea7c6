"""The register: a ConfigMap for each round and each push of which the hub may have Secrets. Decides nothing.

Names of Secrets follow from UIDs, so the hub operator finds them by the entries of the register. It may not list
Secrets: an account that may list them can ask the API server for old revisions, and so for keys that are deleted.

An entry is made before the first Secret of its round or push, and deleted after the last one. It holds nothing secret.
"""

from collections.abc import AsyncIterator, Mapping

from wardround.api import names
from wardround.kube.errors import NotFound
from wardround.kube.index import annotations_of
from wardround.ports import Api, Object

KIND = "ConfigMap"


async def enter(client: Api, uid: str, labels: Mapping[str, str], notes: Mapping[str, str]) -> None:
    """Makes the entry of a round or a push, unless it exists. `notes`: its annotations."""
    metadata = {"name": names.register_entry(uid), "namespace": client.namespace}
    marks = {"labels": dict(labels), "annotations": dict(notes)}
    await client.create_if_absent({"apiVersion": "v1", "kind": KIND, "metadata": metadata | marks})


async def note_numbers(client: Api, key: Object, numbers: str) -> None:
    """Notes the numbers of a round's aggregations, for the time after somebody has deleted the Secret of the round's
    key. `key`: this Secret. If somebody has deleted the entry, it is made anew."""
    labels, annotations = key["metadata"]["labels"], key["metadata"]["annotations"]
    uid, noted = labels[names.ROUND_UID], {names.AGGREGATIONS: numbers}
    try:
        await client.patch(KIND, names.register_entry(uid), {"metadata": {"annotations": noted}})
    except NotFound:
        await enter(client, uid, labels, {names.ROUND_REF: annotations[names.ROUND_REF], **noted})


async def entry(client: Api, uid: str) -> Object | None:
    return await client.get_if_exists(KIND, names.register_entry(uid))


def entries(client: Api, labels: str) -> AsyncIterator[Object]:
    """The entries with these labels. `labels`: a selector."""
    return client.each(KIND, labels=labels)


async def rounds_by_name(client: Api, namespace: str, name: str) -> tuple[str, ...]:
    """UIDs of the rounds that have or had this name, and of which there may be Secrets."""
    ref = names.round_ref(namespace, name)
    labelled = entries(client, f"{names.ROUND}={names.label_value(name)},{names.ROUND_UID}")
    mine = [each["metadata"] async for each in labelled if ref.items() <= annotations_of(each).items()]
    return tuple(each["labels"][names.ROUND_UID] for each in mine)


async def remove(client: Api, uid: str) -> None:
    """Nothing is left of a round or push: no Secret, and nothing in the store."""
    await client.delete_if_exists(KIND, names.register_entry(uid))
