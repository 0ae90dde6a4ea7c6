"""What every reconcile of the hub operator works with."""

from dataclasses import dataclass

from wardround.hub.settings import Settings
from wardround.hub.vault import Identity
from wardround.kube.client import Client
from wardround.kube.events import Reporter
from wardround.store.presign import Presigner
from wardround.store.transfer import Store


@dataclass(frozen=True)
class Context:
    """`external` signs URLs for sites, `internal` for the hub and its Jobs: one store, two ways to it."""

    client: Client
    settings: Settings
    identity: Identity
    store: Store
    external: Presigner
    internal: Presigner
    reporter: Reporter
