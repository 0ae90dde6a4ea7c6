"""The demo's last text: how to look around, and what to try next. Pure.

A line that begins with blanks is a command, and tests/e2e runs it.
"""

from lab import demo_rounds
from lab.demo_rounds import AGAIN, FURTHER, MODEL, NAMESPACE, Chain

SITE = "site-a"
FURTHER_FILE = f"{FURTHER}.yaml"
REPORT = "report.html"
# The new patient of the demo, in build/demo, and the folder of the model that the first command below gets.
PATIENT_FILE = "patient.csv"
PULLED = "pulled"
_RELEASE = "wardround-site"
_PULL = "in-lab kubectl wardround model pull"
_DATASET = "examples/breast-cancer/dataset.yaml"
UPGRADE = (
    f"helm upgrade {_RELEASE} charts/site -n wardround-site --kubeconfig build/lab/{SITE}/kubeconfig "
    f"-f build/demo/values-{SITE}-{_RELEASE}.yaml"
)


def text(last: str, summary: str, fingerprint: str) -> str:
    """`last`: the round from which FURTHER starts. `summary`: the name of the file with the result. `fingerprint`: of
    the hub's key."""
    return f"""
This result as JSON: build/demo/{summary}.
The YAML that was applied: build/demo/model.yaml, rounds-*.yaml, values-*.yaml.
The clusters stay up. Look around:
  export PATH="$PWD/build/bin:$PATH" KUBECONFIG="$PWD/build/lab/hub/kubeconfig"   # or site-a, site-b, site-c
  kubectl get wardround -A                                                      # rounds, tasks, hospitals
  kubectl explain federatedround.spec
  kubectl wardround watch federatedround/{last} -n {NAMESPACE}
  kubectl wardround explain federatedround/{last} -n {NAMESPACE}
  kubectl --kubeconfig build/lab/{SITE}/kubeconfig get validatingadmissionpolicies  # bind every account
`kubectl wardround results federatedmodel/{MODEL} -n {NAMESPACE}` prints the numbers of all rounds, with intervals.
Get the model of {last} out of the hub. The name of the hub's store is known only in the lab. So `in-lab` runs the
command in the lab:
  {_PULL} federatedround/{last} -n {NAMESPACE} -o build/demo/{PULLED} --hub-fingerprint {fingerprint}
Use this model on this machine, for the new patient of the clinic:
  wardround predict build/demo/{PULLED} build/demo/{PATIENT_FILE} --dataset {_DATASET} --hub-fingerprint {fingerprint}
Make a round yourself. This one goes on from {last}:
  kubectl apply -f build/demo/{FURTHER_FILE}
  kubectl wardround watch federatedround/{FURTHER} -n {NAMESPACE}
Then let a hospital ask for more partners than there are, and the same round under another name is refused:
  {UPGRADE} --set policy.minQuorum=4
  sed s/{FURTHER}/{AGAIN}/ build/demo/{FURTHER_FILE} | kubectl apply -f -
  kubectl wardround watch federatedround/{AGAIN} -n {NAMESPACE}               # exit code 1, Failed
  kubectl wardround explain federatedround/{AGAIN} -n {NAMESPACE}             # why, and whose problem it is
What else a hospital decides stands in charts/site/values.yaml under `policy`. To take it back:
  {UPGRADE}
`make down` stops the clusters and takes away all that the lab made.
The report of the model, for a browser: build/demo/{REPORT}"""


def further_text(together: Chain, base: str) -> str:
    """The content of FURTHER_FILE."""
    comment = (
        "# One more round. You may change it. The spec of an applied round is fixed: give a further round a new name.\n"
    )
    return comment + demo_rounds.text([demo_rounds.further(together, base)])


def commands(ending: str) -> list[str]:
    return [line.strip() for line in ending.splitlines() if line.startswith("  ")]
