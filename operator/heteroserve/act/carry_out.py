"""Carrying out: a plan's writes in an order in which none waits for what it does not need.

1. The routes, where they stand already and lead to Services that all exist: moved weights are what a failure is
   answered with, and nothing that some webhook puts off may stand between.
2. The pods that come into the traffic, in case a Service asks for their mark from now on.
3. The manifests, in the order of `render`.
4. The pods that leave the traffic, or are the first to go: none is told so before what is asked for in its place.

Invariant: what is put off ends this, but for the routes, and is told.
"""

import time
from dataclasses import replace

from heteroserve.act.apply import Writer
from heteroserve.act.mark import mark_pods
from heteroserve.errors import Retry
from heteroserve.kube import Kube
from heteroserve.model.outcome import Outcome, Refusal
from heteroserve.model.plan import Plan, PodMark
from heteroserve.model.snapshot import Snapshot
from heteroserve.observe.store import Store
from heteroserve.render import render


async def carry_out(api: Kube, store: Store, writer: Writer, snapshot: Snapshot, plan: Plan) -> Outcome:
    """Everything that the plan asks for, as far as the cluster lets us."""
    deployment, manifests, now = snapshot.deployment, render(snapshot, plan), time.monotonic()
    entering = tuple(m for m in plan.marks if m.mark.out_since is None and not m.mark.goes_first)
    moved = await writer.move_weights(deployment, manifests, now)
    entered = await _mark(api, store, deployment.key.namespace, entering)
    if moved.postponed:
        return replace(moved, refused=(*moved.refused, *entered.refused))
    untouched = frozenset(c.name for c in plan.classes if not c.render)
    acted = await writer.act(deployment, manifests, untouched, now, before=entered)
    outcome = replace(acted, written=(*moved.written, *acted.written))  # what was refused before is told by both
    if outcome.postponed:
        return outcome
    leaving = tuple(m for m in plan.marks if m not in entering)
    left = await _mark(api, store, deployment.key.namespace, leaving)
    return replace(outcome, refused=(*outcome.refused, *left.refused), postponed=left.postponed)


async def _mark(api: Kube, store: Store, namespace: str, marks: tuple[PodMark, ...]) -> Outcome:
    try:
        refusal = await mark_pods(api, store, namespace, marks)
    except Retry as retry:
        return Outcome(postponed=Refusal(reason=retry.reason, message=retry.message))
    return Outcome(refused=(refusal,) if refusal else ())
