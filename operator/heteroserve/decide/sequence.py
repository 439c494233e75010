"""Sequence: the order in which a change may become true.

Pure. A class loses its last replica only after the route was seen without traffic for it: a class with no endpoint
at all is answered 503 for its share, whatever the gateway retries. The same goes for a class that was taken out of
the spec: it is drained first and forgotten after.
"""

from collections.abc import Mapping

from heteroserve.decide.stabilise import Settled
from heteroserve.model.plan import Why


def drain_before_removal(
    settled: Mapping[str, Settled], replicas: Mapping[str, int], routed: Mapping[str, int]
) -> dict[str, Settled]:
    """Keeps what would go to zero while the route still sends it traffic."""
    return {
        name: _hold(wish, replicas.get(name, 0)) if _still_used(name, wish, replicas, routed) else wish
        for name, wish in settled.items()
    }


def _still_used(name: str, wish: Settled, replicas: Mapping[str, int], routed: Mapping[str, int]) -> bool:
    return wish.replicas == 0 and replicas.get(name, 0) > 0 and routed.get(name, 0) > 0


def _hold(wish: Settled, current: int) -> Settled:
    message = "its traffic is taken away first, its last replica after"
    return Settled(replicas=current, why=Why.DRAINING, message=message, pending=wish.pending)
