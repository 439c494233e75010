"""What a fault pulls: kubectl, the scripts that break nodes and devices, commands inside a node.

Everything goes through one function, ``run``, so that a test sees the commands and no cluster is needed for it.
"""

import asyncio
import shlex
import shutil
from collections.abc import Awaitable
from dataclasses import dataclass
from typing import Protocol, TypeVar

from kit import cluster

T = TypeVar("T")
CONTROL_PLANE = "heteroserve-control-plane"

# the process that a container started, by its id: `ctr` is in every kind of node, `crictl` is not
_PROCESS = "pid=$(ctr -n k8s.io tasks list | awk -v id={} '$1 == id {{print $2}}'); test -n \"$pid\"; "


class Run(Protocol):
    """Runs a program and returns what it says; its complaint is an error."""

    async def __call__(self, *command: str, stdin: str = "") -> str:
        """One call, one program."""
        ...


async def _run(*command: str, stdin: str = "") -> str:
    return await to_its_end(cluster.run(*command, stdin=stdin))


async def to_its_end(work: Awaitable[T]) -> T:
    """Waits for the end of what it began even when it is cancelled: what undoes it must come after it."""
    task = asyncio.ensure_future(work)
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        await asyncio.gather(task, return_exceptions=True)
        raise


async def together(*works: Awaitable[T]) -> list[T]:
    """All at once. An error is told when all have ended: nothing must be on its way while they are undone."""
    ended = await asyncio.gather(*works, return_exceptions=True)
    for each in ended:
        if isinstance(each, BaseException):
            raise each
    return [each for each in ended if not isinstance(each, BaseException)]


@dataclass(frozen=True, slots=True)
class Levers:
    """The levers of the local cluster."""

    run: Run = _run

    async def kubectl(self, *words: str, stdin: str = "") -> str:
        """What kubectl says of the local cluster."""
        return await self.run(*kubectl(*words), stdin=stdin)

    async def node(self, verb: str, node: str) -> None:
        """Kills, freezes, thaws or restores a node."""
        await self.run(str(cluster.HACK / "cluster/node.sh"), verb, node)

    async def inside(self, node: str, *command: str) -> str:
        """A command inside a node."""
        return await self.run(*inside(node, *command))

    async def device(self, node: str, device: str, health: str) -> None:
        """Turns an emulated device `healthy` or `unhealthy`."""
        await self.run(str(cluster.HACK / "device-plugin/switch.sh"), node, device, health)

    async def with_process(self, node: str, container: str, script: str) -> str:
        """A shell script in a node where ``$pid`` is the first process of a container."""
        return await self.inside(node, "sh", "-ec", of_process(container, script))


def kubectl(*words: str) -> tuple[str, ...]:
    """The command line of kubectl for the local cluster."""
    program = shutil.which("kubectl", path=cluster.environment()["PATH"]) or "kubectl"
    return program, "--context", cluster.CONTEXT, *words


def inside(node: str, *command: str) -> tuple[str, ...]:
    """The command line that runs a command in a node."""
    return str(cluster.HACK / "cluster/node.sh"), "exec", node, *command


def of_process(container: str, script: str) -> str:
    """A script that first finds the process of a container."""
    return _PROCESS.format(shlex.quote(container)) + script
