from dataclasses import dataclass

import builders
from heteroserve.decide.sequence import drain_before_removal
from heteroserve.decide.stabilise import Settled
from heteroserve.model.plan import Why


@dataclass(frozen=True, kw_only=True)
class Drain:
    """A class on its way from so many replicas to so many, with a weight in the route as it stands."""

    replicas: int
    wish: int
    routed: int | None
    want_replicas: int
    want_why: Why = Why.DEMAND


DRAINS = {
    "the last replica stays while traffic is routed to it": Drain(
        replicas=1, wish=0, routed=1, want_replicas=1, want_why=Why.DRAINING
    ),
    "several that would all go stay as well": Drain(
        replicas=3, wish=0, routed=40, want_replicas=3, want_why=Why.DRAINING
    ),
    "once the route let go the last replica goes": Drain(replicas=1, wish=0, routed=0, want_replicas=0),
    "without a route there is nothing to wait for": Drain(replicas=1, wish=0, routed=None, want_replicas=0),
    "while others of the class remain nobody waits": Drain(replicas=3, wish=1, routed=40, want_replicas=1),
    "what is not there is not kept": Drain(replicas=0, wish=0, routed=40, want_replicas=0),
    "growth is none of its business": Drain(replicas=0, wish=2, routed=0, want_replicas=2),
}


@builders.table(DRAINS)
def test_traffic_leaves_before_the_last_replica(case: Drain) -> None:
    wait = builders.pending(300, 0)
    wish = Settled(replicas=case.wish, why=Why.DEMAND, message="wished", pending=wait)
    routed = {} if case.routed is None else {"cpu": case.routed}
    found = drain_before_removal({"cpu": wish}, {"cpu": case.replicas}, routed)
    message = "its traffic is taken away first, its last replica after" if case.want_why is Why.DRAINING else "wished"
    assert found == {"cpu": Settled(replicas=case.want_replicas, why=case.want_why, message=message, pending=wait)}
