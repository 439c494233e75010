"""The composition root: settings, clients, loop, Kopf. No logic."""

import argparse
import asyncio
import os
import sys

import yaml
from kubernetes.aio import config
from kubernetes.aio.client import ApiClient
from prometheus_client import start_http_server
from pydantic import ValidationError

from heteroserve import __version__, handlers, telemetry
from heteroserve.kube import Kube
from heteroserve.loop import Loop
from heteroserve.settings import Settings

DESCRIPTION = """\
heteroserve serves one model from CPU, GPU, FPGA and ASIC nodes at once: it keeps Triton pods on every hardware class of
an InferenceDeployment, decides how many, and splits the traffic between them.

`run` starts the operator: in a pod on that pod's cluster, anywhere else at once on the current context of your
kubeconfig (KUBECONFIG, or ~/.kube/config). One operator per cluster. Install its CRDs first.

Every flag of `run` can also be set as a variable: --log-level is HETEROSERVE_LOG_LEVEL. A flag goes before its
variable. Lists are separated by spaces behind a flag, and by commas in a variable.
"""

EXAMPLES = """\
examples:
  heteroserve run --prometheus-url http://prometheus.monitoring.svc:9090 --default-gateway gateways/public
  HETEROSERVE_LOG_LEVEL=DEBUG heteroserve run
"""

UNUSABLE = (OSError, yaml.YAMLError, ValueError, LookupError, TypeError, AttributeError)
"""What the client raises for a kubeconfig that is no file, no YAML, or something else in YAML."""


def main(argv: list[str] | None = None) -> int:
    """The command line; returns the exit status."""
    arguments = _parser().parse_args(argv)
    given = {name: value for name, value in vars(arguments).items() if name != "command" and value is not None}
    try:
        settings = Settings.model_validate({**_environment(), **given})
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        flag, message = "--" + str(first["loc"][0]).replace("_", "-"), first["msg"].removeprefix("Value error, ")
        print(f"error: {flag}: {message} (given: {first['input']!r})", file=sys.stderr)  # noqa: T201
        return 2
    telemetry.configure_logging(settings.log_level)
    try:
        asyncio.run(run(settings))
    except config.ConfigException as error:
        where = config.KUBE_CONFIG_DEFAULT_LOCATION
        print(f"error: no cluster: not in a pod, and the kubeconfig {where} cannot be used: {error}", file=sys.stderr)  # noqa: T201
        return 2
    return 0


async def run(settings: Settings) -> None:
    """The operator, until a signal ends it. Raises `ConfigException` when there is no cluster to work in."""
    client = await _client()
    try:
        start_http_server(settings.metrics_port)
    except OSError as error:
        sys.exit(f"error: --metrics-port: {settings.metrics_port}: {error.strerror}: choose another port")
    async with client:
        await handlers.serve(Loop(settings, Kube(client)), health_port=settings.health_port)


async def _client() -> ApiClient:
    """A client of the pod's cluster, else of the kubeconfig's. Raises `ConfigException` for whatever is wrong there."""
    try:
        try:
            config.load_incluster_config()  # type: ignore[no-untyped-call]
        except config.ConfigException:
            await config.load_kube_config()  # type: ignore[no-untyped-call]
        return ApiClient()
    except UNUSABLE as error:
        what = " ".join(str(error).split())  # where a YAML file breaks is told in several lines
        raise config.ConfigException(f"{type(error).__name__}: {what}") from error


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        "heteroserve", description=DESCRIPTION, epilog=EXAMPLES, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--version", action="version", version=f"heteroserve {__version__}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    start = commands.add_parser(
        "run",
        help="start the operator",
        description=DESCRIPTION,
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    for name, field in Settings.model_fields.items():
        many = isinstance(field.default, tuple)
        shown = " ".join(field.default) if many else field.default
        start.add_argument(
            f"--{name.replace('_', '-')}",
            nargs="*" if many else None,
            metavar=name.rpartition("_")[2].upper().removesuffix("S" if many else ""),
            help=f"{field.description} Default: {shown or 'none'}.",
        )
    return parser


def _environment() -> dict[str, str | list[str]]:
    """What the environment sets; lists are separated by commas, and an empty text is an empty list."""
    given = {name: os.environ.get(f"HETEROSERVE_{name.upper()}") for name in Settings.model_fields}
    many = {name for name, field in Settings.model_fields.items() if isinstance(field.default, tuple)}
    return {name: _items(value) if name in many else value for name, value in given.items() if value is not None}


def _items(text: str) -> list[str]:
    return [item.strip() for item in text.split(",") if item.strip()]


if __name__ == "__main__":
    sys.exit(main())
