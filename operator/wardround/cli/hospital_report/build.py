"""Builds the document of a hospital's own report from typed objects. Pure."""

from wardround.api.times import to_seconds
from wardround.cli.hospital_report import course, data, numbers
from wardround.cli.hospital_report.seen import ReportInput
from wardround.cli.report.document import Document, Facts

NOTICE = (
    "Keep this file in the hospital. It holds numbers of this hospital alone, also numbers over few people, so send "
    "it to nobody outside."
)


def document(seen: ReportInput) -> Document:
    """The whole report."""
    subject = seen.groups[0].title if len(seen.groups) == 1 else "all models"
    facts = (
        ("hospital", seen.hospital),
        ("about", subject),
        ("namespace of the site", seen.namespace),
        ("tasks", f"{len(seen.tasks)}, all that this site still holds"),
        ("written", f"{to_seconds(seen.now)}, from the objects of the hospital's API server"),
    )
    sections = (
        *(numbers.section(group, position) for position, group in enumerate(seen.groups, 1)),
        course.participation(seen),
        data.quality(seen),
        course.left(seen),
        course.times(seen),
    )
    return Document(f"Hospital {seen.hospital}: own report", Facts(facts), sections, NOTICE)
