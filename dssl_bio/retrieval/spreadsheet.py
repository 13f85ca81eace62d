"""Hits as a spreadsheet file, in which every text stays a text."""

import importlib.util
import io

import pandas as pd

from dssl_bio.errors import QueryError

INSTALLED = importlib.util.find_spec("openpyxl") is not None
MAX_ROWS = 1_048_575
"""Of a sheet, below its header."""


def xlsx(table: pd.DataFrame, sheet: str = "hits") -> bytes:
    """A table as an XLSX file; a text that begins like a formula is stored as text and never computed.

    Raises:
        QueryError: the package that writes it is not installed, or the table is longer than a sheet.
    """
    if not INSTALLED:
        raise QueryError("openpyxl is not installed: pip install openpyxl, or take CSV")
    if len(table) > MAX_ROWS:
        raise QueryError(f"{len(table):,} rows are more than a sheet holds; take CSV or Parquet")
    from openpyxl import Workbook
    from openpyxl.cell import WriteOnlyCell
    from openpyxl.utils.exceptions import IllegalCharacterError

    book = Workbook(write_only=True)
    page = book.create_sheet(sheet)
    page.append(list(map(str, table.columns)))
    for row in table.itertuples(index=False):
        cells = []
        for value in row:
            plain = None if pd.isna(value) else value.item() if hasattr(value, "item") else value
            try:
                cell = WriteOnlyCell(page, plain)
            except IllegalCharacterError:
                cell = WriteOnlyCell(page, "".join(c if c.isprintable() else " " for c in str(plain)))
            if isinstance(plain, str):
                cell.data_type = "s"  # "=1+1" would become a formula
            cells.append(cell)
        page.append(cells)
    buffer = io.BytesIO()
    book.save(buffer)
    return buffer.getvalue()
