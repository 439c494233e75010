"""The main job on screen: one model on three hardware classes of a real cluster, loaded, scaled, and a node killed.

`make demo` makes the cluster and installs the operator before it. Exit status: 0 when everything came about as told,
1 when something did not (what, is said), 2 when something to start with is missing.
"""

import argparse
import asyncio
import contextlib
import json
import shutil
import sys
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

from rich.console import Console

from kit import arguments, client, digits, exam
from kit.cluster import HACK, NAME, NAMESPACE, Cluster, View, addresses, connect, kubectl, node
from kit.errors import UsageError, told
from kit.load import Load
from kit.watch import Watch, following, total

CALM_RATE = 40.0
READY_SECONDS = 120.0
GROWN_SECONDS = 45.0
MOVED_SECONDS = 90.0
BACK_SECONDS = 180.0
FINISH_SECONDS = 10.0
DEAD_CLASS = "gpu-l4"
LOG_WIDTH = 150

LAST_WORDS = """
The cluster stays up. Try next:
  kubectl get infd,hwc -A                        what is served, how loaded, and what it costs
  kubectl -n {namespace} describe infd {name}         each class, and the last decisions with their reasons
  kubectl explain infd.spec                      what can be asked for
  PYTHONPATH=hack .venv/bin/python -m kit.load --url {gateway} --protocol both --rate 120 --seconds 60
  hack/cluster/node.sh kill heteroserve-worker5  takes the fpga node away; `restore` brings it back
  Prometheus: {prometheus}
Remove everything (what was built stays cached): make cluster-delete
"""


@dataclass
class Story:
    """How the demo goes: what it says, and what did not come about."""

    console: Console
    cluster: Cluster
    watch: Watch
    missed: list[str] = field(default_factory=list)

    def chapter(self, text: str) -> None:
        """A heading."""
        self.console.print(f"\n[bold]{text}[/bold]")

    def expect(self, true: object, what: str) -> None:
        """Notes what did not come about; the story goes on."""
        if not true:
            self.missed.append(what)
            self.console.print(f"[bold red]not as expected:[/bold red] {what}")


def main(words: list[str] | None = None) -> int:
    """The command line."""
    parser = argparse.ArgumentParser(
        prog="kit.demo", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--rate", type=arguments.above_zero, default=50.0, metavar="PER_SECOND", help="load to begin with (default: 50)"
    )
    given = parser.parse_args(words)
    return told(lambda: asyncio.run(demo(given.rate)))


async def demo(rate: float) -> int:
    """Tells the whole story; returns the exit status."""
    console = Console(width=None if sys.stdout.isatty() else LOG_WIDTH)
    where = await addresses()
    async with connect() as cluster, asking(where["GATEWAY"]) as askers:
        story = Story(console=console, cluster=cluster, watch=Watch(cluster))
        await apply(story)
        await answer_everything(story, askers)
        load = Load(askers, digits.questions(), rate=rate)
        story.watch.load = load
        running = asyncio.create_task(load.run(3600))
        try:
            await under_load(story, load, rate)
            await load.finish(FINISH_SECONDS)
        finally:
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)
    return end(story, load, where)


@contextlib.asynccontextmanager
async def asking(gateway: str) -> AsyncIterator[list[client.Asker]]:
    """Tritonclient over HTTP and gRPC through the gateway."""
    target = client.Target(http=gateway, grpc=gateway)
    async with contextlib.AsyncExitStack() as stack:
        yield [await stack.enter_async_context(asker) for asker in client.askers(target, "both")]


async def apply(story: Story) -> None:
    """The InferenceDeployment, until all three classes serve it."""
    story.chapter("1  A trained model, applied as one InferenceDeployment")
    accuracy = json.loads((digits.HELD_OUT.parent / "accuracy.json").read_text())
    story.console.print(f"accuracy on images that it never saw: {describe(accuracy)}")
    await kubectl("apply", "--server-side", "--force-conflicts", "-k", str(HACK / "demo"))
    async with following(story.watch, story.console):
        took = await story.watch.until(serving_everywhere, within=READY_SECONDS)
        story.watch.tell("all classes serve", "ReplicasReady", seconds=took)
    if took is None:
        status = story.watch.view.condition("Ready")
        raise UsageError(f"not served on three classes after {READY_SECONDS:.0f} s: {' '.join(status)}")


def describe(accuracy: dict[str, object]) -> str:
    """One line out of the trainer's accuracy.json."""
    variants = accuracy.get("variants", accuracy)
    if not isinstance(variants, dict):
        return str(accuracy)
    figures = ((name, v["accuracy"]) for name, v in variants.items() if isinstance(v, dict) and "accuracy" in v)
    return ", ".join(f"{name} {figure:.2%}" for name, figure in figures)


def serving_everywhere(view: View) -> bool:
    """Whether every class serves and gets traffic."""
    return view.condition("Ready")[0] == "True" and view.settled and all(view.weights.values())


async def answer_everything(story: Story, askers: list[client.Asker]) -> None:
    """Different real images through the gateway, the same over both protocols, every answer checked."""
    questions = exam.questions()
    count, never_seen = len(questions), len(digits.questions())
    story.chapter(f"2  {count} different images over HTTP, and again over gRPC, every answer checked")
    story.console.print(f"{never_seen} of them the model never saw; on {count - never_seen} it was trained")
    for asker in askers:
        start = time.monotonic()
        story.console.print(f"{asker.protocol}: {count} images, about {count / CALM_RATE:.0f} s ...")
        # at a pace that is no load yet: a burst would be demand, and replicas would come before their chapter
        result = await exam.take(asker, questions, per_second=CALM_RATE)
        story.console.print(f"{asker.protocol}: {result}; {time.monotonic() - start:.1f} s")
        story.expect(result.wrong == 0, f"{result.wrong} wrong answers over {asker.protocol}")


async def under_load(story: Story, load: Load, rate: float) -> None:
    """Steady load, double load, a killed node, and the way back."""
    story.chapter(f"3  Load: {rate:.0f} requests/s, then double; then a worker is killed")
    async with following(story.watch, story.console):
        story.watch.tell(f"load: {rate:.0f} requests/s", "demo")
        await asyncio.sleep(20)
        await double(story, load, rate)
        await kill(story, load)
        await calm_down(story, load)


async def double(story: Story, load: Load, rate: float) -> None:
    """The load doubles: replicas are added from what Prometheus sees."""
    before = total(story.watch.rows)
    since = time.time()
    load.set_rate(2 * rate)
    story.watch.tell(f"load: {2 * rate:.0f} requests/s", "demo")
    took = await story.watch.until(lambda _: total(story.watch.rows) > before, within=GROWN_SECONDS)
    story.expect(took is not None, f"replicas added within {GROWN_SECONDS:.0f} s")
    ready = await story.watch.until(lambda view: view.settled, within=60)
    failed = load.summary(since).failed
    story.watch.tell(
        "replicas follow the load", "DemandCovered", seconds=None if ready is None else took, failed=failed
    )
    story.expect(failed == 0, f"no request lost while growing (lost: {failed})")


async def kill(story: Story, load: Load) -> None:
    """A worker dies under load: its traffic moves, its replicas come back elsewhere."""
    victim = "heteroserve-" + next(row.nodes[0] for row in story.watch.rows if row.name == DEAD_CLASS)
    since = time.time()
    try:
        await node("kill", victim)
        story.watch.tell(f"node {victim} is killed", "demo")
        await outlive(story, load, victim, since)
    finally:  # an interrupt or an error must not leave a dead node in the cluster that stays up
        story.console.print(f"restoring {victim} ...")
        await node("restore", victim)
    story.watch.tell(f"node {victim} is restored", "demo")


async def outlive(story: Story, load: Load, victim: str, since: float) -> None:
    """The class of a worker that died at ``since`` leaves the traffic and comes back on another node."""
    moved = await story.watch.until(lambda view: view.weights.get(DEAD_CLASS) == 0, within=MOVED_SECONDS)
    story.watch.tell(
        f"{DEAD_CLASS} is out of the traffic", "NoReadyReplica", seconds=moved, failed=load.summary(since).failed
    )
    story.expect(moved is not None, f"the weight of {DEAD_CLASS} is 0 within {MOVED_SECONDS:.0f} s")
    back = await story.watch.until(
        lambda view: view.settled and bool(view.nodes(DEAD_CLASS)) and victim not in view.nodes(DEAD_CLASS),
        within=BACK_SECONDS,
    )
    took = time.time() - since
    failed = load.summary(since).failed
    story.watch.tell(
        f"{DEAD_CLASS} is ready on another node, and trusted with traffic when it has been for 2 minutes",
        "TrustedSlowly",
        seconds=took if back else None,
        failed=failed,
    )
    story.expect(back is not None, f"the replicas of {DEAD_CLASS} are back within {BACK_SECONDS:.0f} s")
    story.expect(failed == 0, f"no request lost with the node (lost: {failed}: {load.summary(since).errors})")


async def calm_down(story: Story, load: Load) -> None:
    """The load falls: replicas go after the stabilisation window, and no request with them."""
    since = time.time()
    before = total(story.watch.rows)
    load.set_rate(10)
    story.watch.tell("load: 10 requests/s", "demo")
    took = await story.watch.until(lambda _: total(story.watch.rows) < before, within=180)
    await asyncio.sleep(20)  # what leaves needs some seconds to be gone
    failed = load.summary(since).failed
    story.watch.tell("replicas go again", "DemandCovered", seconds=took, failed=failed)
    story.expect(took is not None, "replicas go when the load is gone")
    story.expect(failed == 0, f"no request lost while shrinking (lost: {failed}: {load.summary(since).errors})")


def end(story: Story, load: Load, where: dict[str, str]) -> int:
    """The sums, and what to try next."""
    summary = load.summary()
    story.chapter("4  In all")
    story.console.print(str(summary))
    for each in load.failures()[:10]:
        story.console.print(f"  {each}", markup=False)
    story.expect(summary.wrong == 0, f"{summary.wrong} wrong answers")
    if shutil.which("kubectl") is None:
        story.console.print(f"kubectl is not on your PATH; there is one at {where['KUBECTL'].split()[0]}", markup=False)
    words = {"gateway": where["GATEWAY"], "prometheus": where["PROMETHEUS"], "namespace": NAMESPACE, "name": NAME}
    story.console.print(LAST_WORDS.format(**words), markup=False, highlight=False, soft_wrap=True)
    if story.missed:
        story.console.print("[bold red]not as expected:[/bold red] " + "; ".join(story.missed))
    return 1 if story.missed else 0


if __name__ == "__main__":
    sys.exit(main())
