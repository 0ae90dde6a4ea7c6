"""Every command in README and docs runs on real clusters, or is on a list with the reason why not."""

import shutil

import pytest
import yaml

from lab import demo_ending, demo_rounds
from lab.install import HUB_SERVER, SITE_NAMESPACE, WRITTEN
from lab.topology import named
from tests.documentation import Shell, section, tools
from tests.e2e.federation import DATASET, NAMESPACE, Federation

# tests/unit/test_documentation.py compares these lists with the pages.
# The blocks that are run, by page and heading.
FIRST_ROUND = ("README.md", "Wardround")
OWN_HUB = ("docs/federation.md", "Install the hub and enrol a hospital")
OWN_HOSPITAL = ("docs/join.md", "Install")
OWN_ROUNDS = ("docs/federation.md", "Approve and run rounds")
LOOKING = ("docs/operations.md", "Looking")
LINK_LOCAL = ("docs/operations.md", "IPv6 link-local")  # by tests/e2e/test_isolation.py
OWN_IMAGE = ("docs/training-image.md", "An image of your own")  # by tests/unit/examples
SIMULATE = ("docs/try.md", "Simulate")  # by tests/unit/examples
DEMO_CLUSTERS = ("docs/try.md", "Look around in the clusters")
APPROVER = ("docs/operations.md", "A role that only approves")  # by tests/integration/api/test_approver.py
TRIED = {
    FIRST_ROUND,
    APPROVER,
    OWN_HUB,
    OWN_HOSPITAL,
    OWN_ROUNDS,
    LOOKING,
    LINK_LOCAL,
    OWN_IMAGE,
    SIMULATE,
    DEMO_CLUSTERS,
}
UPGRADED = "tests/e2e/test_rounds.py upgrades all charts"
# The blocks that are not run, by page and first line. docs/one-cluster.md has its own test and list.
NOT_RUN = {
    ("README.md", "make demo     # three hospitals train one model and use it; ends with two tables and a report"): (
        "make test is what runs this; the demo takes minutes, and tests/e2e tries what it is made of"
    ),
    ("README.md", "HUB CLUSTER                                        A HOSPITAL'S CLUSTER (as many as there are)"): (
        "a picture"
    ),
    ("docs/contracts.md", "apiVersion: wardround.io/v1alpha1"): (
        "all kinds at once, with `...` in them: tests/integration/api/test_kinds.py tries the kinds"
    ),
    ("docs/federation.md", "apiVersion: wardround.io/v1alpha1"): (
        "a round with a server optimizer: tests/unit/test_documentation.py reads it"
    ),
    ("docs/training-image.md", "{"): "a task.json: tests/unit/pod/test_prepare.py compares it with one of `prepare`",
    ("docs/operations.md", "helm upgrade wardround-crds charts/crds -n wardround-site --wait"): UPGRADED,
    ("docs/operations.md", "helm upgrade wardround-crds charts/crds -n wardround-hub --wait"): UPGRADED,
    ("docs/operations.md", "kubectl delete secret hub-signing-key -n wardround-hub"): (
        "would end the federation that runs: tests/integration/hub/test_hub_key.py renews a hub's key"
    ),
    (
        "docs/data-file.md",
        "spec:",
    ): "a part of a Dataset: tests/unit/tabular/test_data_file_page.py reads a file with it",
    ("docs/operations.md", "- level: Request"): (
        "a rule for the audit policy that a cluster's API server reads when it starts; the lab's has none"
    ),
}
# Inline commands, with placeholders filled. `kubectl wardround ...` is only parsed.
RUN_INLINE = {
    "python -m lab --help": "python -m lab --help",
    "kubectl wardround": "kubectl wardround --help",
    "kubectl explain federatedround.spec": "kubectl explain federatedround.spec",
    "kubectl describe dataset DATASET -n SITE_NAMESPACE": f"kubectl describe dataset breast -n {SITE_NAMESPACE}",
    "kubectl describe dataset NAME -n SITE_NAMESPACE": f"kubectl describe dataset breast -n {SITE_NAMESPACE}",
    "openssl rand -hex 16": "openssl rand -hex 16",
    "kubectl describe": f"kubectl describe site site -n {SITE_NAMESPACE}",
    # kubectl describe finds the pod by the beginning of its name, which is its Job's name.
    "kubectl describe job TASK -n SITE_NAMESPACE": f"kubectl describe job $TASK -n {SITE_NAMESPACE}",
    "kubectl describe pod TASK -n SITE_NAMESPACE": f"kubectl describe pod $TASK -n {SITE_NAMESPACE}",
    "kubectl describe sitetask TASK -n SITE_NAMESPACE": f"kubectl describe sitetask $TASK -n {SITE_NAMESPACE}",
    "kubectl get dataset breast -n hospital-a -o yaml": f"kubectl get dataset breast -n {SITE_NAMESPACE} -o yaml",
    "kubectl get dataset -n SITE_NAMESPACE": f"kubectl get dataset -n {SITE_NAMESPACE}",
    "kubectl get prediction -n SITE_NAMESPACE": f"kubectl get prediction -n {SITE_NAMESPACE} && echo listed",
    "kubectl get sitetask -n hospital-a": f"kubectl get sitetask -n {SITE_NAMESPACE}",
    "kubectl get site site -n SITE_NAMESPACE -o yaml": f"kubectl get site site -n {SITE_NAMESPACE} -o yaml",
    "kubectl get sitetasks -n SITE_NAMESPACE": f"kubectl get sitetasks -n {SITE_NAMESPACE}",
    "kubectl delete dataset NAME -n SITE_NAMESPACE": (
        f"kubectl delete dataset {DATASET} -n {SITE_NAMESPACE} --dry-run=server"
    ),
    "kubectl delete jobs -n SITE_NAMESPACE -l wardround.io/dataset=NAME": (
        f"kubectl delete jobs -n {SITE_NAMESPACE} -l wardround.io/dataset={DATASET} --dry-run=server"
    ),
    "kubectl get pods -n SITE_NAMESPACE -l wardround.io/role=training -o "
    "'custom-columns=POD:.metadata.name,OWNER:.metadata.ownerReferences[0].name'": (
        f"kubectl get pods -n {SITE_NAMESPACE} -l wardround.io/role=training -o "
        "'custom-columns=POD:.metadata.name,OWNER:.metadata.ownerReferences[0].name'"
    ),
    "kubectl logs deployment/courier -n SITE_NAMESPACE": f"kubectl logs deployment/courier -n {SITE_NAMESPACE}",
    "kubectl logs deployment/site-operator -n SITE_NAMESPACE": (
        f"kubectl logs deployment/site-operator -n {SITE_NAMESPACE}"
    ),
    "kubectl logs job/TASK -n SITE_NAMESPACE -c train": f"kubectl logs job/$TASK -n {SITE_NAMESPACE} -c train",
    "kubectl get nodes -o name | cut -d/ -f2 | xargs -I{} kubectl get --raw /api/v1/nodes/{}/proxy/configz": (
        "kubectl get nodes -o name | cut -d/ -f2 | xargs -I{} kubectl get --raw /api/v1/nodes/{}/proxy/configz"
    ),
    # The same filter in Python, because jq may be missing.
    "kubectl get sitetask TASK -n SITE_NAMESPACE -o jsonpath='{.spec.assignment}' | jq -r .payload | base64 -d | "
    "jq .": (
        f"kubectl get sitetask $TASK -n {SITE_NAMESPACE} -o jsonpath='{{.spec.assignment}}' | python -c "
        '\'import base64, json, sys; found = json.loads(base64.b64decode(json.load(sys.stdin)["payload"])); '
        'print({name: found[name] for name in ("task", "roundNamespace", "image", "command", "parameters")})\''
    ),
    """kubectl patch secret courier-keys -n SITE_NAMESPACE --type merge -p '{"data":null}'""": (
        f"""kubectl patch secret courier-keys -n {SITE_NAMESPACE} --type merge -p '{{"data":null}}' --dry-run=server"""
    ),
    "kubectl rollout restart deployment/courier -n SITE_NAMESPACE": (
        f"kubectl rollout restart deployment/courier -n {SITE_NAMESPACE} && "
        f"kubectl rollout status deployment/courier -n {SITE_NAMESPACE} --timeout=5m"
    ),
    "kubectl rollout restart deployment/site-operator -n SITE_NAMESPACE": (
        f"kubectl rollout restart deployment/site-operator -n {SITE_NAMESPACE} && "
        f"kubectl rollout status deployment/site-operator -n {SITE_NAMESPACE} --timeout=5m"
    ),
    "kubectl get site site -n SITE_NAMESPACE -o jsonpath='{.status.courier.fingerprint}'": (
        f"kubectl get site site -n {SITE_NAMESPACE} -o jsonpath='{{.status.courier.fingerprint}}'"
    ),
    "kubectl drain NODE --ignore-daemonsets --delete-emptydir-data": (
        "kubectl drain $(kubectl get nodes -o jsonpath='{.items[0].metadata.name}') --ignore-daemonsets "
        "--delete-emptydir-data --dry-run=server"
    ),
    "kubectl uncordon NODE": (
        "kubectl uncordon $(kubectl get nodes -o jsonpath='{.items[0].metadata.name}') --dry-run=server"
    ),
    "helm history wardround-site -n SITE_NAMESPACE": f"helm history wardround-site -n {SITE_NAMESPACE}",
    "helm rollback wardround-site -n SITE_NAMESPACE": f"helm rollback wardround-site -n {SITE_NAMESPACE} --dry-run",
    "helm uninstall wardround-site -n SITE_NAMESPACE": f"helm uninstall wardround-site -n {SITE_NAMESPACE} --dry-run",
    **{
        f"kubectl scale deployment/site-operator deployment/courier -n SITE_NAMESPACE --replicas={replicas}": (
            f"kubectl scale deployment/site-operator deployment/courier -n {SITE_NAMESPACE} --replicas={replicas} "
            "--dry-run=server"
        )
        for replicas in (0, 1)
    },
    "kubectl delete jobs -n SITE_NAMESPACE -l wardround.io/role=training": (
        f"kubectl delete jobs -n {SITE_NAMESPACE} -l wardround.io/role=training --dry-run=server"
    ),
    "kubectl get pods -n SITE_NAMESPACE -l wardround.io/role=training": (
        f"kubectl get pods -n {SITE_NAMESPACE} -l wardround.io/role=training"
    ),
    # There may be none, and then kubectl prints nothing.
    "kubectl get approvals -n SITE_NAMESPACE": f"kubectl get approvals -n {SITE_NAMESPACE} && echo listed",
}
MINUTES = "takes minutes and asserts nothing: docs/figures.md is written from it"
NOT_RUN_INLINE = {
    "python -m lab --help": "python -m lab --help",
    "helm upgrade": UPGRADED,
    "helm install": "the tests of the charts run it",
    "helm template": "the tests of the charts run it",
    "helm upgrade wardround-hub charts/hub -n wardround-hub -f hub.yaml": UPGRADED,
    "helm upgrade wardround-site charts/site -n SITE_NAMESPACE -f from-hub.yaml -f site.yaml": UPGRADED,
    f"{demo_ending.UPGRADE} --set policy.approval=Manual": (
        "tests/e2e/test_demo_ending.py runs it with another change of the policy"
    ),
    "helm rollback wardround-hub -n wardround-hub": "its twin at a site is run",
    "kubectl get configmap wardround-hub -n wardround-hub -o jsonpath='{.data.fingerprint}'": (
        "the ConfigMap is the hub's, and these commands run at a site: `enrol` reads it in all tests"
    ),
    "kubectl get fm -n FEDERATION": (
        "the kind is the hub's, and these commands run at a site: tests/integration/hub/test_models.py reads it"
    ),
    "kubectl edit dataset DATASET -n SITE_NAMESPACE": "opens an editor",
    "kubectl describe prediction NAME -n SITE_NAMESPACE": "the site has no Prediction: `kubectl get prediction` is run",
    "kubectl delete modelversion NAME -n FEDERATION": "tests/integration/hub/test_pushes.py deletes one",
    "kubectl delete federatedmodel NAME -n FEDERATION": "tests/integration/hub/test_lost_keys.py deletes one",
    "kubectl delete federatedmodels,federatedrounds,modelversions --all -n FEDERATION": (
        "would end the federation that runs: tests/integration/hub deletes each of these kinds"
    ),
    "kubectl get roundtasks -A": "the kind is the hub's, and these commands run at a site",
    "kubectl describe pod -l job-name=JOB -n HUB_NAMESPACE": "the Job is the hub's, and these commands run at a site",
    "kubectl describe job/JOB -n HUB_NAMESPACE": "the Job is the hub's, and these commands run at a site",
    "kubectl logs deployment/hub-operator -n HUB_NAMESPACE": (
        "the Deployment is the hub's, and these commands run at a site"
    ),
    "kubectl logs job/JOB -n HUB_NAMESPACE": "the Job is the hub's, and these commands run at a site",
    "helm uninstall wardround-hub -n wardround-hub": "docs/one-cluster.md has it in a block, which is run",
    "kubectl delete flowschema,prioritylevelconfiguration -l wardround.io/participant": (
        "docs/one-cluster.md has it in a block, which is run"
    ),
    "kubectl get crd -o name | grep wardround.io | xargs kubectl delete": (
        "would delete the federation that runs, as in docs/one-cluster.md"
    ),
    "kubectl get validatingadmissionpolicy,validatingadmissionpolicybinding -o name | "
    "grep '\\.NAMESPACE\\.wardround\\.io$' | xargs kubectl delete": (
        "tests/integration/api/test_unknown_kinds.py runs it"
    ),
    "kubectl delete federatedround ROUND -n FEDERATION": "tests/integration/hub/test_lost_keys.py deletes one",
    "kubectl diff -f -": "reads what `enrol` prints, which tests/integration/api/test_enrolment.py applies",
    "kind load": "no command of ours: says what does not work",
    "kubectl delete flowschema,prioritylevelconfiguration wardround-participant-NAME": (
        "would take a hospital's turns away; docs/one-cluster.md has it by label, and is run"
    ),
    "kubectl apply -n SITE_NAMESPACE -f FILE": "its twin stands in the block of docs/join.md",
    "make bench": MINUTES,
    "make demo": "as in its block",
    "make down": "would stop the clusters of these tests",
    "make lab": "what the fixture `lab` does",
    "make -s bench-accuracy ARGS='--case wisconsin'": MINUTES,
    "make -s bench-accuracy ARGS='--case wisconsin-skewed'": MINUTES,
    "make -s bench-accuracy ARGS='--case wisconsin-small --splits 20'": MINUTES,
    "make -s bench-accuracy ARGS='--case mixed --splits 20'": MINUTES,
    "make -s bench-accuracy ARGS='--case diabetes --splits 20'": MINUTES,
    "make -s bench-aggregation ARGS='--participants 20 --parameters 25600000'": MINUTES,
    "python -m bench.large --mebibytes 1024 --seconds 30 --segments 3": MINUTES,
    "python -m bench.large --mebibytes 16": MINUTES,
    "python -m bench.large --mebibytes 17 --participants 128 --tensors 10000": MINUTES,
    "python -m bench.sealing 512 11": MINUTES,
    "python -m bench.aggregation_pod": MINUTES,
    "make lint unit": "part of make test",
    "make test": "runs this",
    "pip install '.[cli]'": "tests.documentation.tools does, without fetching the dependencies again",
    "pip install '.[cli,data]'": "as above, and tests/unit/cli/test_dataset_check.py runs what it is for",
    "pip install '.[cli,models]'": "as above, and tests/integration/hub/test_transfers.py runs what it is for",
    "pip install '.[mlflow]'": "as above, and tests/integration/cli/test_mlflow.py installs its pins",
    "pip install '.[models]'": "as above, and tests/unit/card runs what it is for",
    "pip install '.[simulate]'": "as above",
    "pip install torch safetensors": "hundreds of megabytes: tests/e2e/test_rounds.py simulates in the trainer image",
    "pip install '.[operator]'": "as above, and tests/unit/examples runs what it is for",
    "pytest -s tests/e2e/test_one_cluster.py": "part of make test",
    "pytest -s tests/integration/hub/test_history.py": "part of make test",
    "pytest tests/integration/site": "part of make test",
    "pytest tests/unit/simulation/test_ten_rounds.py": "part of make test",
    "python -c 'from tests.unit.plans_hub.test_reasons import *; PAGE.write_text(as_markdown())'": (
        "tests/unit/plans_hub/test_reasons.py compares the page with the same text"
    ),
    "python -c 'from tests.unit.tabular.test_data_file_page import write; write()'": (
        "tests/unit/tabular/test_data_file_page.py compares the page with the same text"
    ),
    "python -m bench.choice": MINUTES,
    "python -m bench.gate --case demo": MINUTES,
    "python -m bench.gate --case faults --gate-alone": MINUTES,
    "python -m bench.gate --case faults": MINUTES,
    "python -m bench.units": MINUTES,
    "python -m bench.models": "takes hours and asserts nothing: docs/figures.md is written from it",
    "python -m bench.robustness --splits 10": MINUTES,
    "python -m bench.optimizers --splits 20": MINUTES,
    "python -m bench.compression --case wisconsin-skewed --splits 100": MINUTES,
    "python -m bench.federation": MINUTES,
    "python -m bench.simulate": MINUTES,
    "python -m lab.images": MINUTES,
    "python -m wardround": "what pods run: tests/unit/golden",
    "python -m wardround_trainer": "what pods run: tests/unit/golden",
    "python -m wardround_trainer init": "what pods run: tests/unit/golden",
}


def test_the_round_in_the_readme_is_valid(federation: Federation) -> None:
    [block] = section(*FIRST_ROUND)
    text = block.filled({"…": "0" * 64, "namespace: breast-cancer": f"namespace: {NAMESPACE}"})
    assert "created" in federation.kubectl("hub")("apply", "--dry-run=server", "-f", "-", stdin=text)


@pytest.fixture(scope="module")
def shell(federation: Federation, tmp_path_factory: pytest.TempPathFactory) -> Shell:
    """A reader's shell, with the files that the reader has written: the lab's values, DataSchema and Dataset."""
    made = Shell(tmp_path_factory.mktemp("reader"), tools())
    shutil.copy(WRITTEN / "values-hub-wardround-hub.yaml", made.folder / "hub.yaml")
    own = yaml.safe_load((WRITTEN / "values-site-a-wardround-site.yaml").read_text())
    # These come from the hub (from-hub.yaml).
    del own["hub"], own["store"]
    (made.folder / "site.yaml").write_text(yaml.safe_dump(own))
    (made.folder / "dataschema.yaml").write_text(yaml.safe_dump(demo_rounds.data_schema()))
    (made.folder / "dataset.yaml").write_text(yaml.safe_dump(demo_rounds.dataset()))
    for name in ("hub", "site-a"):
        (made.folder / f"{name}.kubeconfig").symlink_to(named(name).kubeconfig)
    # A round of an earlier run is Complete already.
    federation.kubectl("hub")("delete", "fr", "statistics", "-n", demo_rounds.NAMESPACE, "--ignore-not-found")
    return made


def at(cluster: str, shell: Shell, script: str) -> str:
    return shell.run(f"export KUBECONFIG=$PWD/{cluster}.kubeconfig\n{script}")


@pytest.fixture(scope="module")
def statistics(shell: Shell, federation: Federation) -> str:
    """Runs the commands for separate clusters on the installed federation. Returns the last command's output."""
    [hub], [check, hospital], [rounds] = section(*OWN_HUB), section(*OWN_HOSPITAL), section(*OWN_ROUNDS)
    before = _generation(federation)
    # An upgrade with the same values changes nothing.
    again = {"helm install": "helm upgrade --install"}
    at(
        "hub",
        shell,
        hub.filled(
            {
                **again,
                "https://hub.example:6443": HUB_SERVER,
                "--federation breast-cancer": f"--federation breast-cancer --federation {NAMESPACE}",
            }
        ),
    )
    assert HUB_SERVER in at("no-cluster", shell, check.text)
    at("site-a", shell, hospital.filled(again))
    assert _generation(federation) == before, "what enrol prints is not what was there"
    return at("hub", shell, rounds.text)


def _generation(federation: Federation) -> int:
    return int(federation.kubectl("hub").get("participant", "site-a", "-n", "site-a")["metadata"]["generation"])


def test_the_commands_for_clusters_apart_lead_to_a_complete_round(statistics: str) -> None:
    assert "round: complete, 3 aggregated" in statistics
    assert "breast-cancer/statistics is complete" in statistics


@pytest.mark.usefixtures("statistics")
def test_the_commands_for_watching_show_the_round(shell: Shell) -> None:
    _name_task(shell)
    [block] = section(*LOOKING)
    here = {
        "federatedround/NAME -n FEDERATION": "federatedround/statistics -n breast-cancer",
        "KIND/NAME -n NAMESPACE": "federatedround/statistics -n breast-cancer",
        "kubectl describe sitetask TASK": "KUBECONFIG=site-a.kubeconfig kubectl describe sitetask $TASK",
        "kubectl logs": "KUBECONFIG=site-a.kubeconfig kubectl logs",
        "job/TASK": "job/$TASK",
    }
    shown = at("hub", shell, block.filled(here).replace("SITE_NAMESPACE", SITE_NAMESPACE))
    for kind in (
        "participant.wardround.io/site-a",
        "round: complete",
        "hospitals combined",
        "statistics is complete",
        "SiteTask",
    ):
        assert kind in shown


@pytest.mark.usefixtures("statistics")
def test_the_commands_for_the_clusters_of_the_demo_show_their_objects(shell: Shell) -> None:
    (shell.folder / "build" / "lab").symlink_to(named("hub").state.parent)
    [block] = section(*DEMO_CLUSTERS)
    shown = shell.run(block.text)
    for each in ("federatedround.wardround.io/statistics", "participant.wardround.io/site-a", "dataset.wardround.io"):
        assert each in shown
    assert f"Dataset {SITE_NAMESPACE}/breast is ready." in shown


@pytest.mark.usefixtures("statistics")
def test_inline_commands_succeed(shell: Shell) -> None:
    _name_task(shell)
    for command in RUN_INLINE.values():
        assert at("site-a", shell, command), command


def _name_task(shell: Shell) -> None:
    """Sets TASK to the task at site-a of the pages' round. Tasks of earlier rounds of that name exist, too."""
    at("hub", shell, "export ROUND=$(kubectl get fr statistics -n breast-cancer -o jsonpath='{.metadata.uid}')")
    find = f"kubectl get -n {SITE_NAMESPACE} -o jsonpath='{{.items[0].metadata.name}}'"
    at("site-a", shell, f"export TASK=$({find} sitetask -l wardround.io/round-uid=$ROUND)")
