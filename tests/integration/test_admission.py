"""What the API server refuses, with nothing but the CRDs to tell it, and what it says then."""

import re

import pytest

from integration.control_plane import JSON, Answer, Api
from integration.inputs import BAD_INPUTS, VALID, changed

pytestmark = pytest.mark.integration

CASES = {
    f"{table['object']['kind']}: {case['name']}": (table["object"], case)
    for table in BAD_INPUTS
    for case in table["cases"]
}
EACH_MISTAKE = pytest.mark.parametrize(("target", "case"), CASES.values(), ids=CASES)


def mistaken(target: JSON, case: JSON) -> JSON:
    return changed(target, case.get("set"), case.get("remove", ()))


def explains(answer: Answer, want_path: str, want_message: str) -> bool:
    return any(want_path in problem and want_message in problem for problem in answer.problems)


@EACH_MISTAKE
def test_a_mistake_is_refused_with_its_path_and_what_to_write_instead(api: Api, target: JSON, case: JSON) -> None:
    answer = api.try_create(mistaken(target, case), dryRun="All")
    assert 400 <= answer.status < 500, answer.body
    assert explains(answer, case["want_path"], case["want_message"]), "\n".join(answer.problems)


@EACH_MISTAKE
def test_server_side_apply_refuses_the_same_mistakes(api: Api, target: JSON, case: JSON) -> None:
    # in words of its own, and as error 500, where the object does not fit the schema at all
    answer = api.try_apply(mistaken(target, case), dryRun="All")
    assert answer.status >= 400, answer.body
    assert re.split(r"[.\[]", case["want_path"].rstrip("0123456789[]"))[-1] in answer.body["message"]


def test_there_are_enough_mistakes_and_each_is_another() -> None:
    assert len(CASES) == sum(len(table["cases"]) for table in BAD_INPUTS) >= 60


@pytest.mark.parametrize("kind", sorted(VALID))
def test_what_the_mistakes_are_made_in_is_valid(api: Api, kind: str) -> None:
    assert api.try_create(VALID[kind], dryRun="All").accepted
    assert api.try_apply(VALID[kind], dryRun="All").accepted


def test_the_name_of_the_model_may_not_change(api: Api, namespace: str) -> None:
    deployment = changed(VALID["InferenceDeployment"], {"metadata.namespace": namespace})
    api.apply(deployment)
    answer = api.try_apply(changed(deployment, {"spec.model.name": "letters"}))
    assert answer.status == 422
    assert explains(answer, "spec.model.name", "create a new InferenceDeployment for another model")


def test_all_else_of_a_deployment_may_change(api: Api, namespace: str) -> None:
    deployment = changed(VALID["InferenceDeployment"], {"metadata.namespace": namespace})
    api.apply(deployment)
    volume = {"persistentVolumeClaim": {"claimName": "models"}}
    later = changed(
        deployment,
        {
            "spec.model.version": "2",
            "spec.model.source": volume,
            "spec.objective.latency": {"percentile": 95, "milliseconds": 20},
            "spec.paused": True,
        },
        remove=("spec.classes.0", "spec.traffic"),
    )
    spec = api.apply(later)["spec"]
    assert spec["model"] == {"name": "digits", "version": "2", "source": volume}
    assert [used["name"] for used in spec["classes"]] == ["gpu-l4"]
