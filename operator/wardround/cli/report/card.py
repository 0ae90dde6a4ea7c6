"""The section with the model's card: use, limits, inputs, code and origin, as the API objects say them. Pure."""

from wardround.api.dataschema import DataSchemaSpec, SchemaField
from wardround.api.federatedround import base_name, base_version
from wardround.api.modelversion import ModelVersion
from wardround.cli.report.document import Block, Facts, Paragraph, Section, Table
from wardround.cli.report.seen import ReportInput
from wardround.wire.model_folder import pull_command

NOT_STATED = "not stated"
# Only numbers are inputs of a model.
INPUT_TYPES = ("number", "integer")


def card(seen: ReportInput) -> Section:
    """What a person has to know before using the model."""
    model = seen.model.model
    use, template, version = model.spec.card, model.spec.round, seen.model.current
    pull = pull_command(f"federatedmodel/{model.metadata.name}", model.metadata.namespace)
    result = _result_of(seen, version.spec.round_name) if version else None
    facts = (
        ("intended use", use.intended_use or NOT_STATED),
        ("limits", use.limits or NOT_STATED),
        ("licence", use.licence or NOT_STATED),
        ("contact", use.contact or NOT_STATED),
        ("who may get the model", model.spec.release),
        ("digest of the current version", version.spec.digest if version else "no current version"),
        ("newest card of the current version", newest_card(version) if version else ""),
        ("hospitals in its last training round", str(result) if result else ""),
        ("training image", template.image),
        ("command", " ".join(template.command)),
        ("parameters", ", ".join(f"{name}={value}" for name, value in sorted(model.spec.series.parameters.items()))),
        ("seed", str(model.spec.initial.seed)),
        ("combined by", f"{template.aggregation.strategy}, weighted by {template.aggregation.weighting}"),
        ("compression of updates", template.aggregation.compression),
    )
    blocks: list[Block] = [
        Paragraph(
            "People wrote the first four entries of this table, and Wardround has not checked them. Nobody has "
            "signed this page. To show the card that the hub has signed, pull the model "
            f"({pull}), and write the report with --card."
        ),
        Facts(tuple((name, value) for name, value in facts if value)),
    ]
    if seen.schema is not None:
        blocks.append(_inputs(model.spec.schema_name, seen.schema.spec))
    if version is not None:
        blocks.append(_origin(seen, version.spec.round_name))
    return Section("card", "Card", tuple(blocks))


def newest_card(version: ModelVersion) -> str:
    """The card as the ModelVersion names it. Nobody has signed that."""
    card = version.status.card
    return f"revision {card.revision}, digest {card.digest}, signed by the hub's key {card.signed_by}" if card else ""


def _result_of(seen: ReportInput, round_name: str) -> int | None:
    live = seen.model.round(round_name)
    return live.status.participants.aggregated if live and live.status.participants else None


def _inputs(name: str, spec: DataSchemaSpec) -> Table:
    rows = tuple(
        (
            each.name,
            "target" if each.name == spec.target else "input" if each.type in INPUT_TYPES else "not read by the model",
            each.type,
            each.unit or "",
            _allowed(each),
            each.description or "",
        )
        for each in spec.fields
    )
    return Table(f"Fields of DataSchema {name}", ("field", "role", "type", "unit", "allowed", "description"), rows)


def _allowed(field: SchemaField) -> str:
    if field.categories:
        return ", ".join(field.categories)
    ends = [
        *([f"from {field.minimum}"] if field.minimum is not None else []),
        *([f"to {field.maximum}"] if field.maximum is not None else []),
    ]
    return " ".join(ends)


def _origin(seen: ReportInput, round_name: str) -> Table:
    """The rounds that led to the current version, the newest first. Rounds that were deleted are missing."""
    rows: list[tuple[str, ...]] = []
    name: str | None = round_name
    while name is not None and (live := seen.model.round(name)) is not None and len(rows) <= len(seen.model.rounds):
        result = live.status.result
        rows.append((name, live.spec.task, live.metadata.creation_timestamp or "", result.digest if result else ""))
        if version := base_version(live):
            rows.append((version, "pushed by a person", "", ""))
        name = base_name(live)
    if name is not None:
        rows.append((name, "deleted", "", ""))
    return Table(
        "Rounds that led to the current version, the newest first", ("round", "task", "begun", "digest"), tuple(rows)
    )
