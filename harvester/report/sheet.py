"""A table that never cuts a number: a narrow terminal loses whole columns, then words are folded."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from rich import box
from rich.cells import cell_len
from rich.console import Console, ConsoleOptions
from rich.table import Table
from rich.text import Text

_GAP = 2  # columns of the terminal between two columns of the table
_LEAST = 8  # width to which a column of words may be folded


class Sheet:
    """Rows under headings, laid out when it is printed. Cells are safe to show already."""

    def __init__(self, columns: Sequence[str], *, right: Sequence[str], dispensable: Sequence[str]) -> None:
        self._columns = list(columns)
        self._right = frozenset(right)
        self._dispensable = tuple(dispensable)
        self._rows: list[tuple[Text, ...]] = []

    def add_row(self, *cells: str | Text) -> None:
        """One row: a cell for each column, numbers as they are to be read."""
        self._rows.append(tuple(Text(cell) if isinstance(cell, str) else cell for cell in cells))

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> Iterator[Table | Text]:
        widths = self._widths(options.max_width)
        if widths is None:
            # Not even numbers and folded names fit: lines, which the terminal may break between two cells.
            yield Text("  ".join(self._columns), style="bold")
            for row in self._rows:
                yield Text("  ").join(row)
            return
        table = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False, header_style="bold", padding=(0, 1, 0, 0))
        for name, width in widths.items():
            number = name in self._right
            justify = "right" if number else "left"
            table.add_column(name, width=width, justify=justify, no_wrap=number, overflow="fold")  # type: ignore[arg-type]
        shown = [self._columns.index(name) for name in widths]
        for row in self._rows:
            table.add_row(*(row[at] for at in shown))
        yield table

    def _widths(self, available: int) -> dict[str, int] | None:
        """The columns to show and how wide each is; None: it cannot be done."""
        widths = {
            name: max(cell_len(name), *(cell_len(row[at].plain) for row in self._rows), 0)
            for at, name in enumerate(self._columns)
        }
        for name in self._dispensable:
            if _total(widths) <= available:
                break
            del widths[name]
        words = [name for name in widths if name not in self._right]
        while (excess := _total(widths) - available) > 0:
            widest = max(words, key=lambda name: widths[name])
            second = max((widths[name] for name in words if widths[name] < widths[widest]), default=0)
            # Only down to the next widest: what is short is read first and stays whole.
            width = max(_LEAST, second, widths[widest] - excess)
            if width >= widths[widest]:
                return None
            widths[widest] = width
        return widths


def _total(widths: dict[str, int]) -> int:
    return sum(widths.values()) + _GAP * (len(widths) - 1)
