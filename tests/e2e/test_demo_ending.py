"""The demo's last text: each of its commands runs on real clusters."""

import copy
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from shutil import rmtree

import pytest

import lab.shell
from lab import demo_data, demo_ending, demo_rounds, install
from lab.demo_rounds import AGAIN, FURTHER
from lab.install import SITE_NAMESPACE, WRITTEN
from lab.topology import STATE
from tests.documentation import Shell
from tests.e2e.federation import Federation, data_schema

LAST = "train-5"
# The command that must fail, as the text says.
REFUSED = f"kubectl wardround watch federatedround/{AGAIN} -n {demo_rounds.NAMESPACE}"


@pytest.fixture(scope="module")
def theirs(federation: Federation) -> Iterator[Federation]:
    """The demo's federation, with a Complete round in place of the demo's last, and the file for a further round."""
    federation_of_demo = replace(federation, namespace=demo_rounds.NAMESPACE)
    hub = federation.kubectl("hub")
    hub.apply(*demo_rounds.documents("federation.yaml"), data_schema(federation_of_demo.namespace))
    together = demo_rounds.federated(federation.images.trainer.reference)
    last = copy.deepcopy(together.training[-1])
    del last["spec"]["base"]
    last["spec"]["initial"] = {}
    last["spec"]["parameters"]["epochs"] = "0"  # what is learnt is no matter here
    last["spec"]["release"] = "Readers"
    assert last["metadata"]["name"] == LAST
    names = (LAST, FURTHER, AGAIN)
    # Rounds of an earlier run have ended already.
    hub("delete", "fr", *names, "-n", federation_of_demo.namespace, "--ignore-not-found")
    federation_of_demo.run_rounds(last)
    (WRITTEN / demo_ending.FURTHER_FILE).write_text(demo_ending.further_text(together, LAST), encoding="utf-8")
    demo_data.write(demo_data.new_patient(demo_data.tables()), WRITTEN / demo_ending.PATIENT_FILE)
    rmtree(WRITTEN / demo_ending.PULLED, ignore_errors=True)
    yield federation_of_demo
    hub("delete", "fr", *names, "-n", federation_of_demo.namespace, "--ignore-not-found")


@pytest.fixture
def commands(federation: Federation) -> list[str]:
    return demo_ending.commands(demo_ending.text(LAST, "summary.json", install.fingerprint(federation.hub)))


@pytest.fixture
def shell(tmp_path: Path, commands: list[str]) -> Iterator[Shell]:
    """A shell in a folder with the demo's files. Afterwards, restores the releases that the commands upgrade."""
    lab.shell.write()
    made = Shell(tmp_path, lab.shell.FOLDER)
    for name, there in (("bin", lab.shell.FOLDER), ("lab", STATE), ("demo", WRITTEN)):
        (tmp_path / "build" / name).symlink_to(there)
    yield made
    made.run(commands[-1])


def test_the_demos_last_commands_get_a_model_run_a_round_and_then_refuse_it(
    theirs: Federation, shell: Shell, commands: list[str]
) -> None:
    assert [REFUSED in each for each in commands].count(True) == 1
    assert commands[-1].startswith("helm upgrade")
    ended = shell.run("\n".join(commands).replace(REFUSED, f"{REFUSED} || [ $? = 1 ]"))
    assert f"Wrote build/demo/{demo_ending.PULLED}: the model of round {LAST}, 3 hospitals" in ended
    assert "row,identifier,probability,recalibrated" in ended
    assert "round: complete, 3 aggregated" in ended
    assert f"FederatedRound {theirs.namespace}/{AGAIN} has failed: QuorumNotMet." in ended
    assert "site-a: QuorumTooSmall" in ended
    policy = theirs.kubectl("site-a").get("site", "site", "-n", SITE_NAMESPACE)["spec"]["policy"]
    assert policy["minQuorum"] == 1


def test_the_log_of_a_training_job_is_the_training_codes_output(theirs: Federation) -> None:
    """Without -c, kubectl logs shows the training code's container. By default it would show `check`."""
    name = theirs.completed(LAST).task("site-a")["metadata"]["name"]
    site = theirs.kubectl("site-a")
    shown, train, check = (
        site("logs", f"job/{name}", "-n", SITE_NAMESPACE, *flags) for flags in ((), ("-c", "train"), ("-c", "check"))
    )
    assert shown == train != check
