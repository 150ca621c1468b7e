"""A data model as tables: its resources, and the fields of one of them."""

from __future__ import annotations

from rich.console import Console

from harvester.data_model import DataModel, DeclaredField, DeclaredType, Navigation
from harvester.report import units
from harvester.report.render import safe, table_of, write_line

SHOWN_NAVIGATION = 5  # of a resource, beside the others
SHOWN_VALUES = 12  # of a list


def write_resources(model: DataModel, console: Console) -> None:
    """One row a resource, and what else the model declares in a line."""
    types = model.types_by_name()
    numbers = ("fields",)
    columns = ("resource", "key", "modified by", *numbers, "leads to")
    table = table_of(*columns, right=numbers, dispensable=("modified by", "fields"))
    for resource in model.resources:
        declared = types.get(resource.type)
        table.add_row(
            safe(resource.name),
            safe(", ".join(declared.key) or "-" if declared else "?"),
            safe(resource.modified or "-"),
            units.count(len(declared.fields)) if declared else "?",
            safe(_leads(declared) if declared else "?"),
        )
    console.print(table)
    served = {resource.type for resource in model.resources}
    others = [each for each in model.types if each.name not in served]
    line = f"{units.number_of(len(model.resources), 'resource')}"
    if others:
        line += f", {units.number_of(len(others), 'type')} without one"
    if model.lookups:
        line += f", {units.number_of(len(model.lookups), 'list')} of values"
    write_line(console, line, "bold")
    for remark in model.remarks:
        write_line(console, remark, "yellow")


def write_type(name: str, declared: DeclaredType, model: DataModel, console: Console) -> None:
    """The fields of the type behind the resource *name*, its navigation, and the lists its values come from."""
    told = f"{name}: {declared.name}, key {', '.join(declared.key) or 'none'}"
    write_line(console, told + (", open to fields that are not declared" if declared.open else ""), "bold")
    labels = ("label",) if any(field.label for field in declared.fields) else ()
    table = table_of("field", *labels, "type", "null", "values", dispensable=("null", *labels))
    for field in declared.fields:
        table.add_row(
            safe(field.name),
            *(safe(field.label or "-") for _ in labels),
            safe(type_text(field) + (f" ≤ {units.count(field.max_length)}" if field.max_length else "")),
            "yes" if field.nullable else "never",
            safe(short_name(field.lookup) or "-"),
        )
    for leads in declared.navigation:
        table.add_row(safe(leads.name), *("-" for _ in labels), safe(f"leads to {type_text(leads)}"), "-", "-")
    console.print(table)
    lookups = model.lookups_by_name()
    for lookup in dict.fromkeys(field.lookup for field in declared.fields if field.lookup in lookups):
        values = lookups[lookup].values
        shown = ", ".join(
            f"{each.value} ({each.label})" if each.label else each.value for each in values[:SHOWN_VALUES]
        )
        more = f" and {units.count(len(values) - SHOWN_VALUES)} more" if len(values) > SHOWN_VALUES else ""
        write_line(console, f"{short_name(lookup)}: {shown}{more}")


def _leads(declared: DeclaredType) -> str:
    names = [each.name for each in declared.navigation]
    more = len(names) - SHOWN_NAVIGATION
    shown = ", ".join(names[:SHOWN_NAVIGATION]) or "-"
    return f"{shown} and {more} more" if more > 0 else shown


def type_text(field: DeclaredField | Navigation) -> str:
    """``Decimal``, ``list of Media``: without namespace."""
    return f"list of {short_name(field.type)}" if field.many else short_name(field.type)


def short_name(name: str) -> str:
    """A full name without its namespace."""
    return name.rpartition(".")[2]
