import dataclasses

import builders
from heteroserve import kube
from heteroserve.act.events import MESSAGE_LENGTH, Announcement, Regarding, announce
from heteroserve.errors import Reject

DIGITS = Regarding(kind="InferenceDeployment", namespace="demo", name="digits", uid="uid-digits")
CPU = Regarding(kind="HardwareClass", namespace="", name="cpu", uid="uid-cpu")
NEWS = Announcement(warning=False, reason="DemandCovered", action="Decide", message="cpu: 1 replicas -> 2 replicas")
BAD = Announcement(warning=True, reason="ModelLoadFailed", action="Observe", message="m" * 5000)


class Api:
    """Takes Events, or refuses every one."""

    def __init__(self, error: Exception | None = None) -> None:
        self.created: list[builders.JSON] = []
        self.asked, self.error = 0, error

    async def create(self, kind: kube.Kind, body: builders.JSON) -> builders.JSON:
        assert kind is kube.EVENT
        self.asked += 1
        if self.error:
            raise self.error
        self.created.append(body)
        return body


async def test_an_event_in_full() -> None:
    api = Api()
    await announce(api, DIGITS, (NEWS,), builders.NOW)  # type: ignore[arg-type]
    (event,) = api.created
    name = event["metadata"].pop("name")
    assert name.startswith("digits.")
    assert event == {
        "apiVersion": "events.k8s.io/v1",
        "kind": "Event",
        "metadata": {"namespace": "demo"},
        "eventTime": "2026-01-02T12:00:00.000000Z",
        "reportingController": "heteroserve.dev/operator",
        "reportingInstance": "heteroserve",
        "type": "Normal",
        "reason": "DemandCovered",
        "action": "Decide",
        "note": "cpu: 1 replicas -> 2 replicas",
        "regarding": {
            "apiVersion": "heteroserve.dev/v1alpha1",
            "kind": "InferenceDeployment",
            "namespace": "demo",
            "name": "digits",
            "uid": "uid-digits",
        },
    }


async def test_what_is_bad_is_a_warning_of_a_length_that_the_api_takes() -> None:
    api = Api()
    await announce(api, DIGITS, (BAD,), builders.NOW)  # type: ignore[arg-type]
    assert (api.created[0]["type"], len(api.created[0]["note"])) == ("Warning", MESSAGE_LENGTH)


async def test_events_of_one_moment_have_names_of_their_own() -> None:
    api = Api()
    await announce(api, DIGITS, (NEWS, BAD, NEWS), builders.NOW)  # type: ignore[arg-type]
    assert len({event["metadata"]["name"] for event in api.created}) == 3


async def test_what_has_no_namespace_is_told_in_the_default_one() -> None:
    api = Api()
    await announce(api, CPU, (dataclasses.replace(BAD, message="no nodes"),), builders.NOW)  # type: ignore[arg-type]
    assert (api.created[0]["metadata"]["namespace"], api.created[0]["regarding"]["namespace"]) == ("default", "")


async def test_a_refusal_is_not_worth_a_retry() -> None:
    api = Api(Reject("Forbidden", "no"))
    await announce(api, DIGITS, (NEWS, BAD), builders.NOW)  # type: ignore[arg-type]
    assert api.asked == 1
