"""The things that every reconcile of the hub operator works with."""

from dataclasses import dataclass, field

from wardround.api.participant import Participant
from wardround.clock import Clock, RandomBytes
from wardround.documents.keys import Identity
from wardround.hub.gone_rounds import GoneRounds
from wardround.hub.refusals import Refusals
from wardround.hub.round_tasks import RoundTasks
from wardround.hub.series_memory import SeriesMemory
from wardround.hub.settings import Settings
from wardround.hub.store_looks import StoreLooks
from wardround.kube.events import Reporter
from wardround.kube.index import Index
from wardround.ports import AdministeredStore, Api
from wardround.presign import Presigner


@dataclass(frozen=True)
class Context:
    """`external` signs URLs for sites, and `internal` for the hub and its Jobs. Both lead to one store.

    `participants`: all Participants. `tasks`: the RoundTasks of rounds that are not over. Both are as a watch shows
    them, so they may be some seconds old. `gone`: deleted rounds of which something may be left.
    """

    client: Api
    settings: Settings
    identity: Identity
    store: AdministeredStore
    external: Presigner
    internal: Presigner
    reporter: Reporter
    clock: Clock
    random_bytes: RandomBytes
    participants: Index[Participant]
    tasks: RoundTasks
    gone: GoneRounds = field(default_factory=GoneRounds)
    refusals: Refusals = field(default_factory=Refusals)
    assigned_series: SeriesMemory = field(default_factory=SeriesMemory)
    store_looks: StoreLooks = field(default_factory=StoreLooks)
