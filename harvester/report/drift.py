"""Records held against their data model, as tables and lines."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Console
from rich.text import Text

from harvester.data_model import FieldFinding, ResourceDrift, Unchecked
from harvester.report import units
from harvester.report.render import safe, table_of, write_line

SHOWN_MISSING = 12  # names of fields
SHOWN_VALUES = 5  # of those outside their list
_WORDS = ("new", "missing", "retyped", "null", "too_long", "outside_lookup")


def write_drift(
    resources: Sequence[ResourceDrift], unchecked: Sequence[Unchecked], console: Console, *, fields: bool = False
) -> None:
    """A row a resource, a line for each field that differs, and one that sums up.

    Args:
        fields: a table of every field with its fill rate before those lines.
    """
    if fields:
        for each in resources:
            _write_fields(each, console)
    numbers = ("records", "fields", "new", "missing", "retyped", "other", "filled")
    table = table_of("resource", "run", *numbers, right=numbers, dispensable=("run", "filled", "fields"))
    for each in resources:
        counts = [sum(word in field.drift for field in each.fields) for word in _WORDS]
        table.add_row(
            safe(each.resource),
            safe(each.run),
            units.count(each.records),
            units.count(len(each.fields)),
            *(_count(number) for number in counts[:3]),
            _count(sum(counts[3:])),
            _share(_mean(each)),
        )
    if resources:
        console.print(table)
    for each in resources:
        if missing := [field for field in each.fields if "missing" in field.drift]:
            write_line(console, f"{each.resource} {_missing(missing, each)}", "yellow")
        for field in each.fields:
            for word in field.drift:
                if word == "missing":
                    continue
                write_line(console, f"{each.resource} {_said(field, word)}", "yellow")
        if each.unnamed:
            write_line(
                console, f"{each.resource}: {units.count(each.unnamed)} more members were not told apart", "yellow"
            )
        if each.unreadable:
            write_line(console, f"{each.resource}: {units.number_of(each.unreadable, 'line')} cannot be read", "red")
    for other in unchecked:
        write_line(console, f"{other.resource}: not checked: {other.reason}", "yellow")
    write_line(console, _summary(resources), "bold")


def _write_fields(drift: ResourceDrift, console: Console) -> None:
    numbers = ("seen", "filled")
    labels = ("label",) if any(field.label for field in drift.fields) else ()
    table = table_of("field", *labels, "type", *numbers, "differs", right=numbers, dispensable=(*labels, "seen"))
    for field in drift.fields:
        table.add_row(
            safe(field.name),
            *(safe(field.label or "-") for _ in labels),
            safe(_type(field.type) or "-"),
            units.count(field.seen),
            _share(field.fill_rate),
            Text(", ".join(field.drift).replace("_", " "), "yellow") if field.drift else Text("-"),
        )
    write_line(console, f"{drift.resource}, run {drift.run}", "bold")
    console.print(table)


def _missing(fields: Sequence[FieldFinding], drift: ResourceDrift) -> str:
    """The fields that never come, in one line: a credential may not be shown hundreds of them."""
    names = ", ".join(field.name for field in fields[:SHOWN_MISSING])
    more = f" and {units.count(len(fields) - SHOWN_MISSING)} more" if len(fields) > SHOWN_MISSING else ""
    are = "1 declared field is" if len(fields) == 1 else f"{units.count(len(fields))} declared fields are"
    return f"{are} in none of {units.number_of(drift.records, 'record')}: {names}{more}"


def _said(field: FieldFinding, word: str) -> str:
    """One difference in words, the name of the field in front."""
    name = f"{field.name} ({field.label})" if field.label else field.name
    match word:
        case "new":
            return f"{name}: is not declared; in {units.number_of(field.seen, 'record')}, {_kinds(field)}"
        case "retyped":
            return f"{name}: is declared as {_type(field.type)}, but {_kinds(field)}"
        case "null":
            return f"{name}: is never null by declaration, but is in {units.number_of(field.nulls, 'record')}"
        case "too_long":
            return f"{name}: is longer than declared in {units.number_of(field.too_long, 'record')}"
        case _:
            shown = ", ".join(f"{each.value} ({units.count(each.records)})" for each in field.strange[:SHOWN_VALUES])
            more = field.strange_values - SHOWN_VALUES
            return f"{name}: outside its list: {shown}" + (f" and {units.count(more)} more values" if more > 0 else "")


def _kinds(field: FieldFinding) -> str:
    if not field.kinds:
        return "always null"
    kinds = ", ".join(f"{kind} in {units.count(number)}" for kind, number in field.kinds.items())
    return f"{kinds}, such as {field.example}"


def _summary(resources: Sequence[ResourceDrift]) -> str:
    records = units.number_of(sum(each.records for each in resources), "record")
    limited = " (the first ones of each run)" if any(each.records < each.of for each in resources) else ""
    drifts = sum(each.drifts for each in resources)
    what = (
        "no field differs"
        if not drifts
        else "1 field differs"
        if drifts == 1
        else f"{units.count(drifts)} fields differ"
    )
    return f"{records} of {units.number_of(len(resources), 'resource')} read{limited}: {what} from the data model."


def _mean(drift: ResourceDrift) -> float:
    rates = [field.fill_rate for field in drift.fields if field.type and "." not in field.name]
    return sum(rates) / len(rates) if rates else 0.0


def _type(declared: str) -> str:
    """``Collection(Edm.String)`` as ``list of String``."""
    inner = declared.removeprefix("Collection(").removesuffix(")")
    short = inner.rpartition(".")[2]
    return f"list of {short}" if inner != declared else short


def _share(share: float) -> str:
    return f"{100 * share:.1f} %"


def _count(number: int) -> Text:
    return Text(units.count(number), "yellow" if number else "")
