"""Tables as CSV text: a first line with the names of the columns, then a row per line."""

import csv
import io
from dataclasses import dataclass

from darkpose.errors import DarkposeError


@dataclass(frozen=True)
class Table:
    """A table.

    Attributes:
        columns: their names, without spaces at the ends; all different.
        rows: of every row that is not empty, its place for messages and its cells.
        separator: of the cells.
    """

    columns: tuple[str, ...]
    rows: tuple[tuple[str, list[str]], ...]
    separator: str

    def named(self, where: str, cells: list[str], *texts: str) -> dict[str, str]:
        """The cells of a row by their columns, without spaces at the ends.

        Where commas do not separate the cells, those of the numbers are decimal points; `texts` are other columns.

        Raises:
            DarkposeError: the row has another number of cells.
        """
        if len(cells) != len(self.columns):
            raise DarkposeError(f"{where}: expected {len(self.columns)} fields as in the first line, got {len(cells)}")
        named = {column: cell.strip() for column, cell in zip(self.columns, cells, strict=True)}
        if self.separator == ",":
            return named
        return {column: cell if column in texts else cell.replace(",", ".") for column, cell in named.items()}


def parse_table(text: str, file: object) -> Table:
    """The table of a CSV text, separated by commas; or by semicolons or tabs, then with decimal points or commas.

    Raises:
        DarkposeError: two columns have the same name, a field is longer than 131,072 characters, or the text has a NUL
            character; the message names the file and the line.
    """
    separator = max(",;\t", key=text.partition("\n")[0].count)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=separator)
    try:
        columns = tuple(name.strip() for name in next(reader, []))
        rows = tuple((f"{file}:{reader.line_num}", row) for row in reader if any(row))
    except csv.Error as error:
        raise DarkposeError(f"{file}:{reader.line_num}: not a row of a CSV table ({error})") from error
    if "\0" in text:
        raise DarkposeError(f"{file}:{text.count(chr(10), 0, text.index(chr(0))) + 1}: it has a NUL character")
    if twice := sorted({name for name in columns if columns.count(name) > 1}):
        raise DarkposeError(f"{file}:1: two columns are called {', '.join(map(repr, twice))[:200]}")
    return Table(columns, rows, separator)
