"""What was asked for on the command line, and what is refused before anything is looked at.

A refusal names the field, what was given, and what to write instead. Nothing here asks the cluster.
"""

import argparse
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

from heteroserve import __version__
from heteroserve.cli.forecast import Target, What

SHORTEST, LONGEST = timedelta(seconds=30), timedelta(hours=1)
DURATION = re.compile(r"(?:(\d{1,6})h)?(?:(\d{1,6})m)?(?:(\d{1,6})s)?")
SERVICE = re.compile(r"([a-z0-9-]{1,63})/([a-z0-9-]{1,63}):([a-z0-9-]{1,63})")
NO_PROMETHEUS = "none"

DESCRIPTION = """\
Rehearses the loss of a node or of a hardware class on your own cluster. It says beforehand what would happen to each
InferenceDeployment, takes the node's or the class's pods out of the traffic, measures, puts them back, and reports.

No pod is stopped and nothing is replaced. The drill is one annotation with a time on the Node or the HardwareClass, so
it ends by itself, also when this command is killed. Ctrl-C ends it at once.

What the forecast knows of the demand is what the operator wrote into the status last.
"""

EXAMPLES = """\
examples:
  kubectl heteroserve drill --class gpu-l4 --dry-run       what would happen; changes nothing
  kubectl heteroserve drill --node worker-3 --for 2m       asks first, then does it for two minutes
  kubectl heteroserve drill --class gpu-l4 --yes --prometheus none

exit status:
  0    done, or a dry run; no failed request was seen, from the beginning until the traffic was back
  1    requests failed, the traffic did not move in 10 s or is not back as it was, or the drill was broken off
  2    refused: nothing was done, the message says why
  3    refused: what stays may not carry the demand within the objective; --force does it all the same
  4    the traffic went and came, but what became of the requests was not measured, or not until the traffic was back
  130  ended with Ctrl-C, or by another signal
"""


class Refused(Exception):
    """What cannot be done as it was asked for: nothing was changed."""

    def __init__(self, message: str, status: int = 2) -> None:
        super().__init__(message)
        self.status = status


@dataclass(frozen=True, slots=True, kw_only=True)
class Service:
    """A Service that the API server leads to."""

    namespace: str
    name: str
    port: str

    def __str__(self) -> str:
        return f"{self.namespace}/{self.name}:{self.port}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """A drill as it was asked for."""

    target: Target
    length: timedelta
    dry_run: bool = False
    yes: bool = False
    force: bool = False
    context: str | None = None
    kubeconfig: str | None = None
    prometheus: Service | None = None
    operator_namespace: str = "heteroserve-system"


def parse(argv: Sequence[str] | None) -> Request:
    """The request. Raises `Refused`."""
    parser, drill = _parsers()
    given, unknown = parser.parse_known_args(argv)
    if unknown:  # the parser itself would show the usage of `kubectl heteroserve`, which has no flags to choose from
        drill.error(f"unrecognized arguments: {' '.join(unknown)}")
    return Request(
        target=_target(given.node, given.hardware_class),
        length=parse_length(given.length),
        dry_run=given.dry_run,
        yes=given.yes,
        force=given.force,
        context=given.context,
        kubeconfig=given.kubeconfig,
        prometheus=parse_service(given.prometheus),
        operator_namespace=given.operator_namespace,
    )


def parse_length(text: str) -> timedelta:
    """A time such as 90s, 5m, 1h or 1m30s. Raises `Refused`."""
    found = DURATION.fullmatch(text)
    if not text or found is None:
        raise Refused(f"--for: {text!r} is no time: write hours, minutes and seconds, such as 90s, 5m or 1h")
    hours, minutes, seconds = (int(part or 0) for part in found.groups())
    length = timedelta(hours=hours, minutes=minutes, seconds=seconds)
    if not SHORTEST <= length <= LONGEST:
        why = "a shorter one is not seen in the metrics, a longer one is no drill"
        raise Refused(f"--for: {text!r} is not between 30s and 1h: {why}")
    return length


def parse_service(text: str) -> Service | None:
    """Where Prometheus is; `None` when it is not to be asked. Raises `Refused`."""
    if text == NO_PROMETHEUS:
        return None
    found = SERVICE.fullmatch(text)
    if found is None:
        example = "such as monitoring/prometheus:9090"
        raise Refused(f"--prometheus: {text!r} is no Service: write <namespace>/<service>:<port>, {example}, or none")
    return Service(namespace=found[1], name=found[2], port=found[3])


def _target(node: str | None, hardware_class: str | None) -> Target:
    if (node is None) == (hardware_class is None):
        what = "both were given" if node is not None else "neither was given"
        raise Refused(f"--node, --class: {what}: name one, such as --class gpu-l4 or --node worker-3")
    if node is not None:
        return Target(what=What.NODE, name=node)
    return Target(what=What.CLASS, name=hardware_class or "")


def _parsers() -> tuple[argparse.ArgumentParser, argparse.ArgumentParser]:
    """The whole command line's, and the drill's own."""
    parser = argparse.ArgumentParser(
        "kubectl heteroserve", description="What people do with heteroserve besides kubectl.", allow_abbrev=False
    )
    parser.add_argument("--version", action="version", version=f"heteroserve {__version__}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    drill = commands.add_parser(
        "drill",
        help="rehearse the loss of a node or a hardware class",
        description=DESCRIPTION,
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    _add_flags(drill)
    return parser, drill


def _add_flags(drill: argparse.ArgumentParser) -> None:
    add = drill.add_argument
    add("--node", metavar="NODE", help="the node that is lost")
    add("--class", dest="hardware_class", metavar="CLASS", help="the HardwareClass that is lost, with all its nodes")
    add("--for", dest="length", metavar="TIME", default="5m", help="how long: 30s to 1h. Default: 5m")
    add("--dry-run", action="store_true", help="only say what would happen")
    add("--yes", action="store_true", help="do not ask first; needed where there is no terminal")
    add("--force", action="store_true", help="also when what stays may not carry the demand within the objective")
    add(
        "--prometheus",
        metavar="SERVICE",
        default="monitoring/prometheus:9090",
        help="where the gateway's metrics are, as <namespace>/<service>:<port>, asked through the API server; none: "
        "nothing is measured. Default: monitoring/prometheus:9090",
    )
    add("--context", metavar="NAME", help="context of the kubeconfig. Default: the current one")
    add("--kubeconfig", metavar="FILE", help="default: KUBECONFIG, or ~/.kube/config")
    add(
        "--operator-namespace",
        metavar="NAMESPACE",
        default="heteroserve-system",
        help="where the switch that pauses everything is. Default: heteroserve-system",
    )
