"""The files of docs/cluster, against the schemas of what reads them.

KubeRay's own fields are those of the API `ray.io/v1` as its reference documents them (1.6); what stands in a
pod is Kubernetes' own schema, strictly: a field that it does not have is a fault.
"""

import json
import subprocess
from copy import deepcopy
from pathlib import Path
from typing import Any

import jsonschema
import kubernetes_validate
import pytest
import ray.autoscaler
import yaml

from seqtune.config.yaml_file import parse_yaml
from seqtune.sweep.execution.driver import read_plan

FOLDER = Path(__file__).parents[2] / "docs" / "cluster"
KUBERNETES = "1.31"
WORDS = {"type": "object", "additionalProperties": {"type": "string"}}


def closed(required: tuple[str, ...], **properties: Any) -> dict[str, Any]:
    """The schema of an object that has these fields and no other."""
    return {
        "type": "object",
        "properties": properties,
        "required": list(required),
        "additionalProperties": False,
    }


TEXT, COUNT, FLAG, POD = (
    {"type": "string"},
    {"type": "integer", "minimum": 0},
    {"type": "boolean"},
    {"type": "object"},
)
HEAD = closed(
    ("template",),
    serviceType={"enum": ["ClusterIP", "NodePort", "LoadBalancer", "ExternalName"]},
    headService=POD,
    enableIngress=FLAG,
    labels=WORDS,
    resources=WORDS,
    rayStartParams=WORDS,
    template=POD,
)
WORKERS = closed(
    ("groupName", "template"),
    groupName=TEXT,
    suspend=FLAG,
    replicas=COUNT,
    minReplicas=COUNT,
    maxReplicas=COUNT,
    numOfHosts=COUNT,
    idleTimeoutSeconds=COUNT,
    labels=WORDS,
    resources=WORDS,
    rayStartParams=WORDS,
    scaleStrategy=POD,
    template=POD,
)
CLUSTER = closed(
    ("headGroupSpec",),
    rayVersion=TEXT,
    authOptions=closed(
        (), mode={"enum": ["disabled", "token"]}, secretName=TEXT, enableK8sTokenAuth=FLAG
    ),
    suspend=FLAG,
    enableInTreeAutoscaling=FLAG,
    autoscalerOptions=POD,
    gcsFaultToleranceOptions=POD,
    headServiceAnnotations=WORDS,
    managedBy=TEXT,
    headGroupSpec=HEAD,
    workerGroupSpecs={"type": "array", "items": WORKERS},
)
JOB = closed(
    ("apiVersion", "kind", "metadata", "spec"),
    apiVersion={"const": "ray.io/v1"},
    kind={"const": "RayJob"},
    metadata=closed(
        ("name",),
        name={"type": "string", "maxLength": 47},
        namespace=TEXT,
        labels=WORDS,
        annotations=WORDS,
    ),
    spec=closed(
        ("entrypoint", "rayClusterSpec"),
        activeDeadlineSeconds=COUNT,
        backoffLimit=COUNT,
        rayClusterSpec=CLUSTER,
        submitterPodTemplate=POD,
        submitterConfig=POD,
        metadata=WORDS,
        clusterSelector=WORDS,
        managedBy=TEXT,
        deletionStrategy=POD,
        entrypoint=TEXT,
        runtimeEnvYAML=TEXT,
        jobId=TEXT,
        submissionMode={"enum": ["K8sJobMode", "HTTPMode", "InteractiveMode", "SidecarMode"]},
        entrypointResources=TEXT,
        entrypointNumCpus={"type": "number"},
        entrypointNumGpus={"type": "number"},
        ttlSecondsAfterFinished=COUNT,
        shutdownAfterJobFinishes=FLAG,
        suspend=FLAG,
    ),
)


@pytest.fixture
def job() -> dict[str, Any]:
    return yaml.safe_load((FOLDER / "rayjob.yaml").read_text())


def check_job(job: dict[str, Any]) -> None:
    """Checks a RayJob with all of its pods."""
    jsonschema.validate(job, JOB)
    cluster = job["spec"]["rayClusterSpec"]
    for group in (cluster["headGroupSpec"], *cluster["workerGroupSpecs"]):
        pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "a"}, **group["template"]}
        kubernetes_validate.validate(pod, KUBERNETES, strict=True)


def test_the_rayjob_fits_the_operators_fields_and_kubernetes_schema(job: dict[str, Any]):
    check_job(job)


@pytest.mark.parametrize(
    ("place", "value"),
    [
        (("spec", "entrypiont"), "seqtune"),
        (("spec", "rayClusterSpec", "authOptions"), {"mode": "tokens"}),
        (("spec", "rayClusterSpec", "headGroupSpec", "rayStartParams"), {"num-cpus": 0}),
        (("spec", "rayClusterSpec", "headGroupSpec", "template", "spec", "container"), []),
        (("spec", "rayClusterSpec", "headGroupSpec", "template", "spec", "volumes"), {"name": "a"}),
    ],
)
def test_a_fault_in_a_rayjob_is_found(job: dict[str, Any], place: tuple[str, ...], value: Any):
    wrong = deepcopy(job)
    inner = wrong
    for key in place[:-1]:
        inner = inner[key]
    inner[place[-1]] = value
    with pytest.raises(jsonschema.ValidationError):
        check_job(wrong)


def test_the_commands_name_a_sweep_that_is_shipped(job: dict[str, Any]):
    words = job["spec"]["entrypoint"].split()
    assert words[:2] == ["seqtune", "sweep"]
    path = FOLDER.parents[1] / "sweeps" / Path(words[2]).name
    read_plan(parse_yaml(path.read_text(), name=path.name))


def test_the_cloud_file_fits_rays_own_schema():
    config = yaml.safe_load((FOLDER / "ray-up.yaml").read_text())
    schema = json.loads((Path(ray.autoscaler.__file__).parent / "ray-schema.json").read_text())
    jsonschema.validate(config, schema)
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate({**config, "max_workers": "four"}, schema)


def test_the_slurm_script_is_one_that_bash_reads():
    subprocess.run(["bash", "-n", FOLDER / "slurm.sbatch"], check=True)
