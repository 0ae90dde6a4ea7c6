"""The lists in tests/e2e of commands that are run, and of those that are not, cover all of README and docs."""

from tests.documentation import PAGES, blocks, inline_commands
from tests.e2e import test_one_cluster
from tests.e2e.test_documentation import NOT_RUN, NOT_RUN_INLINE, RUN_INLINE, TRIED
from wardround.cli.__main__ import parser


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
