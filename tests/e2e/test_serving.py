"""One deployment on three classes of real nodes: answers, weights, and an operator that is quiet when all is well."""

import asyncio
import time

from e2e.conftest import Served, lost, serving_everywhere
from kit import client, exam
from kit.cluster import Cluster, kubectl

OPERATOR_MEMORY_BYTES = 150e6
OPERATOR = "{namespace='heteroserve-system',pod=~'heteroserve-.*'}"
SETTLING_SECONDS = 120.0
QUIET_SECONDS = 20.0
SILENT_SECONDS = 120.0


async def test_a_thousand_different_images_are_answered_rightly_over_http_and_over_grpc(digits_served: Served) -> None:
    questions = exam.questions()
    assert len({question.image.tobytes() for question in questions}) == 1000
    for asker in client.askers(digits_served.target, "both"):
        async with asker:
            result = await exam.take(asker, questions)
        print(f"{asker.protocol}: {result}")  # noqa: T201 -- the README's figures
        assert result.wrong == 0
        assert result.labelled > 970, "the model is as right as the trainer found it"


async def test_every_class_gets_its_share(digits_served: Served) -> None:
    one_each = [c | {"minReplicas": 1, "maxReplicas": 1} for c in digits_served.manifest["spec"]["classes"]]
    await digits_served.apply(classes=one_each)  # so that no weight changes while shares are counted
    await digits_served.until(lambda view: serving_everywhere(view) and view.status["replicas"] == 3, within=60)
    async with digits_served.load(40) as load:
        await asyncio.sleep(25)
        rows = await digits_served.cluster.rows(await digits_served.look(), digits_served.namespace)
    assert lost(load) == (0, 0, 0)
    rates = {row.name: row.requests_per_second or 0 for row in rows}
    weights = {row.name: row.weight for row in rows}
    for name, rate in rates.items():
        assert abs(100 * rate / sum(rates.values()) - weights[name]) < 12, (rates, weights)


async def test_only_inference_is_routed(digits_served: Served) -> None:
    host = f"Host: {digits_served.namespace}.test"
    codes = {}
    for path in ("v2/models/digits/ready", "v2/models/digits", "v2/repository/index", "v2/models/digits/trace/setting"):
        url = f"http://{digits_served.gateway}/{path}"
        process = await asyncio.create_subprocess_exec(
            "curl", "-s", "-o", "/dev/null", "-w", "%{http_code}", "-H", host, url, stdout=asyncio.subprocess.PIPE
        )
        codes[path] = (await process.communicate())[0].decode()
    assert codes == {
        "v2/models/digits/ready": "200",
        "v2/models/digits": "200",
        "v2/repository/index": "404",
        "v2/models/digits/trace/setting": "404",
    }


async def test_the_pods_spread_over_the_nodes(digits_served: Served) -> None:
    classes = digits_served.manifest["spec"]["classes"]
    two = [c | {"minReplicas": 2} if c["name"] in {"cpu-x86", "gpu-l4"} else c for c in classes]
    await digits_served.apply(classes=two)
    await digits_served.until(lambda view: view.settled and len(view.nodes("gpu-l4")) == 2, within=60)
    view = await digits_served.look()
    assert [len(view.nodes(name)) for name in ("cpu-x86", "gpu-l4")] == [2, 2]


async def test_the_operator_is_small_and_silent_when_nothing_happens(digits_served: Served, cluster: Cluster) -> None:
    before = await settled(digits_served, cluster)
    await asyncio.sleep(SILENT_SECONDS)
    after = await writes(cluster)
    memory = await cluster.query(f"process_resident_memory_bytes{OPERATOR}")
    print(f"operator: {memory} bytes resident")  # noqa: T201 -- the README's figures
    print(f"writes in {SILENT_SECONDS:.0f} s: {before} -> {after}")  # noqa: T201 -- likewise
    assert before, "Prometheus knows no operator"
    assert after == before
    assert max(memory.values()) < OPERATOR_MEMORY_BYTES


async def writes(cluster: Cluster) -> dict[str, float]:
    """The writes to the API server so far, by pod of the operator."""
    return await cluster.query(f"heteroserve_api_writes_total{OPERATOR}")


async def settled(served: Served, cluster: Cluster) -> dict[str, float]:
    """The writes so far, once what earlier tests left is over: replicas that go, namespaces that are deleted.

    The replicas must come to rest in time. Writes that go on are only waited for: the caller counts them.
    """
    end = time.monotonic() + SETTLING_SECONDS
    await served.until(
        lambda view: serving_everywhere(view) and all(c["replicas"] == 1 for c in view.classes.values()),
        within=SETTLING_SECONDS,
    )
    last = await writes(cluster)
    while True:
        await asyncio.sleep(QUIET_SECONDS)
        now = await writes(cluster)
        if now == last or time.monotonic() > end:
            return now
        last = now


async def test_kubectl_shows_what_people_look_for(digits_served: Served) -> None:
    table = await kubectl("-n", digits_served.namespace, "get", "infd")
    assert "digits" in table
    assert table.splitlines()[0].split()[:4] == ["NAME", "MODEL", "READY", "REPLICAS"]
    described = await kubectl("-n", digits_served.namespace, "describe", "infd", "digits")
    assert "MinReplicas" in described
    explained = await kubectl("explain", "infd.spec.classes.minReplicas")
    assert "Replicas that are kept on this class whatever the demand" in explained


async def test_a_deleted_deployment_leaves_nothing(digits_served: Served) -> None:
    kinds = "deploy,rs,pod,svc,endpointslice,httproute,grpcroute,backendtrafficpolicy,pdb,networkpolicy"
    await kubectl("-n", digits_served.namespace, "delete", "infd", "digits")
    for _ in range(60):
        left = await kubectl("-n", digits_served.namespace, "get", kinds, "-o", "name")
        if not left.strip():
            return
        await asyncio.sleep(1)
    raise AssertionError(f"left after a minute: {left}")
