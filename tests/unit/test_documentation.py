"""What the pages list is all that there is: commands, which tests/e2e run or list, and rights of the hub operator."""

import re
from itertools import product
from typing import Any

import pytest
import yaml

from lab import demo_data, demo_rounds, install
from lab.topology import ROOT, STATE
from tests.documentation import PAGES, blocks, inline_commands, section
from tests.e2e import test_one_cluster
from tests.e2e.test_documentation import NOT_RUN, NOT_RUN_INLINE, RUN_INLINE, TRIED
from wardround.api import federatedround
from wardround.kubectl import parser
from wardround.wire import strategy_terms


def test_every_command_in_the_documentation_is_listed() -> None:
    here = [block for page in PAGES if page != test_one_cluster.PAGE for block in blocks(page)]
    assert {(each.page, each.heading) for each in here} >= TRIED
    untried = {(each.page, each.first) for each in here if (each.page, each.heading) not in TRIED}
    assert untried == set(NOT_RUN), "blocks that are neither tried nor listed, or listed and gone"

    inline = {command for page in PAGES for command in inline_commands(page)}
    own = {command for command in inline if command.startswith("kubectl wardround ")}
    assert inline - own == set(RUN_INLINE) | set(NOT_RUN_INLINE)
    for command in own:
        # Sentences name `enrol --bootstrap` without its arguments.
        verb, *rest = command.removesuffix(" --bootstrap").split()[2:]
        assert parser().parse_args([verb, *(rest or ["NAME"])]), command


def test_helm_gets_the_hospitals_own_values_after_those_of_the_hub() -> None:
    """Helm takes a value of a later file first, and a dishonest hub would choose the hospital's policy."""
    texts = [text for page in PAGES for text in (*(each.text for each in blocks(page)), *inline_commands(page))]
    commands = [each for text in texts for each in text.replace("\\\n", "").split("\n") if "from-hub" in each]
    files = [re.findall(r"-f \S*?(from-hub|site)\b", each) for each in commands if "helm " in each]
    assert len(files) > 4
    assert [each for each in files if each != ["from-hub", "site"]] == []


def test_the_page_for_trying_names_the_kubeconfigs_and_namespaces_of_the_demo() -> None:
    page = (ROOT / "docs" / "try.md").read_text()
    rows = {row.split("|")[2].strip(" `"): row for row in page.splitlines() if row.startswith("| the ")}
    hospitals = [each.name for each in demo_data.HOSPITALS]
    for name, namespaces in {
        "hub": [install.HUB_NAMESPACE, demo_rounds.NAMESPACE, *hospitals],
        **{hospital: [install.SITE_NAMESPACE] for hospital in hospitals},
    }.items():
        row = rows[f"{STATE.relative_to(ROOT)}/{name}/kubeconfig"]
        assert [each for each in namespaces if f"`{each}`" not in row] == []
    for hospital in hospitals:
        assert f"`build/demo/values-{hospital}-wardround-site.yaml`" in page


def test_the_round_with_a_server_optimizer_has_all_parameters_of_its_strategy() -> None:
    (block,) = section("docs/federation.md", "Server optimizers")
    aggregation = federatedround.parse(yaml.safe_load(block.text)).spec.aggregation
    assert strategy_terms.moments(aggregation.strategy) > 0
    assert strategy_terms.unknown(aggregation.strategy, aggregation.parameters) == ""


# Where a right applies, its objects, their names ("": all), and the verb.
Right = tuple[str, str, str, str]


def rights_of_the_hub_operator() -> set[Right]:
    """What the chart's two roles allow."""
    text = re.sub(r"\{\{.*?\}\}", "chart", (ROOT / "charts/hub/templates/rbac.yaml").read_text())
    items: list[Any] = [each for each in yaml.safe_load_all(text) if each]
    roles = {(each["kind"], each["metadata"]["name"]): each.get("rules", ()) for each in items}
    places = {"all namespaces": ("ClusterRole", "wardround-hub-operator-chart")}
    places["namespace of the hub"] = ("Role", "hub-operator")
    return {
        (place, *right)
        for place, role in places.items()
        for rule in roles[role]
        for right in product(rule["resources"], rule.get("resourceNames", [""]), rule["verbs"])
    }


def documented_rights() -> list[Right]:
    """What the table about an attacker who controls the hub operator lists."""
    lines = [line.strip() for line in (ROOT / "docs/security.md").read_text().splitlines()]
    begin = lines.index("| objects | where | verbs | what an attacker can do with these rights |") + 2
    rights: list[Right] = []
    for line in lines[begin : lines.index("", begin)]:
        objects, where, verbs, can = (each.strip() for each in line.strip("|").split("|"))
        assert can
        kinds, _, named = objects.partition(" named ")
        names = re.findall("`(.+?)`", named) or [""]
        rights += [(where, *each) for each in product(re.findall("`(.+?)`", kinds), names, verbs.split(", "))]
    return rights


def test_the_security_page_lists_every_right_of_the_hub_operator() -> None:
    documented = documented_rights()
    assert len(documented) == len(set(documented))
    assert set(documented) == rights_of_the_hub_operator()


def cells(row: str) -> int:
    """`\\|` is a character of a cell."""
    return len(re.split(r"(?<!\\)\|", row.strip().removeprefix("|").removesuffix("|")))


@pytest.mark.parametrize("page", PAGES)
def test_each_row_of_a_table_has_the_cells_of_its_head(page: str) -> None:
    """Two rows in one line once lost the second one."""
    tables: list[list[str]] = [[]]
    for line in (ROOT / page).read_text().splitlines():
        if line.startswith("|"):
            tables[-1].append(line)
        elif tables[-1]:
            tables.append([])
    for head, *rows in filter(None, tables):
        assert [row for row in rows if cells(row) != cells(head) or not row.endswith("|")] == []
