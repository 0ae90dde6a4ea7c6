"""The section with the card that the hub has signed, once somebody has verified it. Pure.

As everywhere in the report, no number of a single hospital and no exact number of samples of a round stands in it.
"""

from wardround.cli.objects import printable
from wardround.cli.report.card import NOT_STATED
from wardround.cli.report.document import Block, Facts, Paragraph, Section, Table
from wardround.cli.report.seen import ReportInput, SignedCard, version_of_card
from wardround.cli.shared_numbers import FEWEST_HOSPITALS
from wardround.metrics.digits import rounded_count
from wardround.wire import card as cards
from wardround.wire.card import CardField, ModelCard
from wardround.wire.model_folder import pull_command

GAPS = {"NoPrediction": "the row gets no prediction", "Allowed": "allowed"}
ROLES = {"Feature": "input", "Target": "target", "Ignored": "not read by the model"}


def signed_card(signed: SignedCard, seen: ReportInput) -> Section:
    """What the hub says of the model. The page does not carry the signature, so it says how to verify the card."""
    card = signed.card
    use, code = card.use, card.code
    pull = printable(pull_command(f"federatedround/{card.round_name}", card.round_namespace))
    facts = (
        ("intended use", use.intended_use or NOT_STATED),
        ("limits", use.limits or NOT_STATED),
        ("licence", use.licence or NOT_STATED),
        ("contact", use.contact or NOT_STATED),
        ("model", f"{seen.model.model_name(card.round_name)}, made by round {card.round_name}"),
        ("digest of the model's file", card.model.digest),
        ("revision of the card", f"{card.revision}, of {card.issued}"),
        ("newest card", _newest(card, seen)),
        ("who may get the model", card.release),
        ("hospitals in its last training round", hospitals(card)),
        ("people in its last training round", _people(card)),
        ("architecture", _architecture(card)),
        ("training image", code.image),
        ("command", " ".join(code.command)),
        ("parameters", ", ".join(f"{name}={value}" for name, value in sorted(code.parameters.items()))),
        ("compression of updates", card.compression),
    )
    blocks: list[Block] = [
        Paragraph(
            f"This section shows the card that the hub has signed (key fingerprint {signed.fingerprint}). The "
            "command that wrote this page has verified the signature. Nobody has signed the page itself. To verify "
            f"the card yourself, pull the model ({pull}). People wrote the first four "
            "entries, and Wardround has not checked them."
        ),
        Facts(tuple((name, printable(value)) for name, value in facts if value)),
    ]
    if card.fields is not None:
        columns = ("field", "role", "type", "unit", "allowed", "without a value")
        blocks.append(Table("Fields on the card", columns, tuple(map(_field, card.fields))))
    blocks += [_metrics(card), _parents(card)]
    return Section("card", "Card that the hub has signed", tuple(blocks))


def hospitals(card: ModelCard) -> str:
    """`3: North Hospital, West Clinic and 1 that the card does not name`."""
    names, others = ", ".join(card.hospital_names), card.hospitals - len(card.hospital_names)
    if not names:
        return f"{card.hospitals}. The card names none of them"
    return f"{card.hospitals}: {names}" + (f" and {others} that the card does not name" if others > 0 else "")


def _people(card: ModelCard) -> str:
    """Rounded anew: the card of an older hub has the exact number of samples."""
    return str(rounded_count(card.people)) if card.hospitals >= FEWEST_HOSPITALS else ""


def _newest(card: ModelCard, seen: ReportInput) -> str:
    """The ModelVersion names the hub's newest card. A person may have pulled the model before a later measurement."""
    version = version_of_card(card, seen.model)
    named = version.status.card if version else None
    if named is None:
        return ""
    if named.digest == cards.digest(card):
        return "this one"
    return f"revision {named.revision}, digest {named.digest}. This page shows another one. Pull the model again"


def _architecture(card: ModelCard) -> str:
    known = card.architecture
    if known is None:
        return ""
    if not known.hidden:
        return f"no hidden layer, output {known.output}"
    return f"hidden layers of {', '.join(map(str, known.hidden))} units, {known.activation}, output {known.output}"


def _field(field: CardField) -> tuple[str, ...]:
    ends = (("from", field.minimum), ("to", field.maximum))
    bounds = " ".join(f"{word} {end}" for word, end in ends if end is not None)
    allowed = ", ".join(field.categories) or bounds
    shown = (field.name, ROLES[field.role], field.type, field.unit, allowed, GAPS[field.gap])
    return tuple(map(printable, shown))


def _metrics(card: ModelCard) -> Table:
    rows = tuple(
        (
            each.name,
            each.value,
            f"{each.low} to {each.high}" if each.low is not None and each.high is not None else "",
            each.better or "",
            str(each.people),
            str(each.hospitals),
            each.rows,
            each.round_name,
        )
        for each in card.metrics
        if each.hospitals >= FEWEST_HOSPITALS
    )
    caption = "Metrics on the card" if rows else f"The card has no metric over at least {FEWEST_HOSPITALS} hospitals"
    columns = ("metric", "value", "95 % interval", "better", "people", "hospitals", "rows", "measured by")
    return Table(caption, columns, rows, numbers=("value", "people", "hospitals"))


def _parents(card: ModelCard) -> Table:
    rows = tuple((each.round_name, each.task, each.digest) for each in card.parents)
    omitted = f". The card leaves out {card.parents_omitted} before the last one" if card.parents_omitted else ""
    caption = f"Results from which the model was made, the newest first{omitted}"
    return Table(caption if rows else "The card names no earlier result", ("round", "task", "digest"), rows)
