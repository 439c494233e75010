"""The command line: what a user reads, and what happens with what cannot be used. Nothing here reaches a cluster."""

from pathlib import Path

import pytest
from kubernetes.aio import config
from kubernetes.aio.client import Configuration

import builders
from heteroserve import __main__ as command
from heteroserve import telemetry
from heteroserve.settings import Settings


@pytest.fixture(autouse=True)
def started(monkeypatch: pytest.MonkeyPatch) -> list[Settings]:
    """With which settings the operator would have started; there is no pod around it, and no logging of ours."""
    found: list[Settings] = []

    def start(settings: Settings, _: object) -> None:
        found.append(settings)
        raise config.ConfigException("stop")

    monkeypatch.delenv("KUBERNETES_SERVICE_HOST", raising=False)
    for name in Settings.model_fields:
        monkeypatch.delenv(f"HETEROSERVE_{name.upper()}", raising=False)
    monkeypatch.setattr(telemetry, "configure_logging", lambda _: None)
    monkeypatch.setattr(Configuration, "_default", None)
    monkeypatch.setattr(command, "start_http_server", lambda _: None)
    monkeypatch.setattr(command, "Loop", start)
    return found


def kubeconfig(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(config.kube_config, "KUBE_CONFIG_DEFAULT_LOCATION", str(path))
    monkeypatch.setattr(config, "KUBE_CONFIG_DEFAULT_LOCATION", str(path))


CONTEXT = "current-context: a\ncontexts: [{name: a, context: {cluster: a, user: a}}]\nusers: [{name: a, user: {}}]\n"
USABLE = CONTEXT + "clusters: [{name: a, cluster: {server: 'http://127.0.0.1:1'}}]\n"
UNUSABLE: dict[str, bytes | None] = {
    "nothing there": None,
    "an empty file": b"",
    "words": b"just words",
    "a list": b"- 1",
    "YAML that breaks off": b"clusters: [",
    "no text at all": b"\xff\xfe\x00",
    "no context": b"current-context: a\ncontexts: []\n",
    "a cluster that is a number": (CONTEXT + "clusters: [{name: a, cluster: 5}]\n").encode(),
    "a certificate that is none": (
        CONTEXT
        + "clusters: [{name: a, cluster: {server: 'https://127.0.0.1:1', certificate-authority-data: 'AAAA'}}]\n"
    ).encode(),
}


@builders.table(UNUSABLE)
def test_a_kubeconfig_that_cannot_be_used_is_said_in_one_line(
    case: bytes | None,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    started: list[Settings],
) -> None:
    if case is not None:
        (tmp_path / "config").write_bytes(case)
    kubeconfig(tmp_path / "config", monkeypatch)
    assert command.main(["run"]) == 2
    refuses(
        capsys.readouterr().err, f"error: no cluster: not in a pod, and the kubeconfig {tmp_path / 'config'} cannot"
    )
    assert started == []


def test_a_metrics_port_that_somebody_has_is_said_in_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, started: list[Settings]
) -> None:
    def taken(_: int) -> None:
        raise OSError(98, "Address already in use")

    (tmp_path / "config").write_text(USABLE)
    kubeconfig(tmp_path / "config", monkeypatch)
    monkeypatch.setattr(command, "start_http_server", taken)
    with pytest.raises(SystemExit, match=r"^error: --metrics-port: 9095: Address already in use: choose another port$"):
        command.main(["run"])
    assert started == []


def test_a_folder_is_no_kubeconfig(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    kubeconfig(tmp_path, monkeypatch)
    assert command.main(["run"]) == 2
    refuses(capsys.readouterr().err, "error: no cluster:")


def refuses(error: str, start: str) -> None:
    assert error.startswith(start)
    assert error.count("\n") == 1


WRONG: dict[str, tuple[list[str], str]] = {
    "a gateway in words": (["--default-gateway", "A B/c"], "--default-gateway: write <namespace>/<name> or"),
    "a namespace in capitals": (["--metrics-namespaces", "a", "B"], "--metrics-namespaces: write names of namespaces"),
    "a word for a number": (["--tick-seconds", "often"], "--tick-seconds: Input should be a valid number"),
}


@builders.table(WRONG)
def test_a_wrong_setting_is_said_with_its_flag_and_what_to_write(
    case: tuple[list[str], str], capsys: pytest.CaptureFixture[str]
) -> None:
    given, want = case
    assert command.main(["run", *given]) == 2
    refuses(capsys.readouterr().err, f"error: {want}")


# text of the variable: the namespaces
LISTS: dict[str, tuple[str, tuple[str, ...]]] = {
    "one": ("envoy", ("envoy",)),
    "several": ("envoy,istio", ("envoy", "istio")),
    "with spaces": (" envoy, istio ,", ("envoy", "istio")),
    "none": ("", ()),
}


@builders.table(LISTS)
def test_lists_in_the_environment(
    case: tuple[str, tuple[str, ...]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, started: list[Settings]
) -> None:
    text, want = case
    monkeypatch.setenv("HETEROSERVE_INGRESS_NAMESPACES", text)
    (tmp_path / "config").write_text(USABLE)
    kubeconfig(tmp_path / "config", monkeypatch)
    command.main(["run"])
    assert [settings.ingress_namespaces for settings in started] == [want]


def test_a_flag_goes_before_its_variable(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, started: list[Settings]
) -> None:
    monkeypatch.setenv("HETEROSERVE_TICK_SECONDS", "7")
    monkeypatch.setenv("HETEROSERVE_METRICS_NAMESPACES", "a")
    (tmp_path / "config").write_text(USABLE)
    kubeconfig(tmp_path / "config", monkeypatch)
    command.main(["run", "--tick-seconds", "9"])
    assert [(settings.tick_seconds, settings.metrics_namespaces) for settings in started] == [(9.0, ("a",))]


@pytest.mark.parametrize("asked", [["--help"], ["run", "--help"]], ids=" ".join)
def test_the_help_keeps_the_lines_of_its_texts(asked: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        command.main(asked)
    assert ended.value.code == 0
    shown = capsys.readouterr().out
    assert command.DESCRIPTION in shown
    assert command.EXAMPLES in shown
