"""The results as tables: one CSV each, and what can be printed as Markdown and as LaTeX."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Sequence

from mint.reproduction.report.table import Checked, Table, Value
from mint.reproduction.report.tables import ALL, comparison_tables
from mint.reproduction.results import Results

_LATEX = str.maketrans(
    {
        "\\": r"\textbackslash{}",
        **{c: f"\\{c}" for c in "&%$#_{}"},
        "~": r"\textasciitilde{}",
        "^": r"\textasciicircum{}",
        "−": "$-$",
        "–": "--",
        "≥": r"$\geq$",
        "→": r"$\to$",
    }
)


def files(results: Results) -> dict[str, str]:
    """File name -> content of every table file."""
    tables = [make(results) for make in ALL]
    # Every pair of systems is too long to print, so comparisons are CSV only.
    long = comparison_tables(results)
    found = {f"csv/{table.name}.csv": as_csv(table) for table in (*tables, *long)}
    found["tables.md"] = "\n".join(as_markdown(table) for table in tables)
    found["tables.tex"] = "\n".join(as_latex(table) for table in tables)
    return found


def as_csv(table: Table) -> str:
    """Plain values with full precision; empty where there is none."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow([column.key for column in table.columns])
    for row in table.rows:
        writer.writerow([_plain(value) for value in row])
    return out.getvalue()


def as_markdown(table: Table) -> str:
    """A titled table; a published cell that reproduces carries a tick."""
    lines = [f"## {table.title}", "", table.note, ""] if table.note else [f"## {table.title}", ""]
    lines.append(_markdown_row([column.title for column in table.columns]))
    lines.append("|" + "|".join("---" if c.digits is None else "--:" for c in table.columns) + "|")
    lines += [_markdown_row(_shown(table, row, " ✓", " ✗ {published}")) for row in table.rows]
    return "\n".join(lines) + "\n"


def as_latex(table: Table) -> str:
    """A booktabs table; a published cell that does not reproduce carries an asterisk."""
    alignment = "".join("l" if column.digits is None else "r" for column in table.columns)
    head = [column.title.translate(_LATEX) for column in table.columns]
    rows = [
        " & ".join(cell.translate(_LATEX) for cell in _shown(table, row, "", "*")) + r" \\"
        for row in table.rows
    ]
    return "\n".join(
        [
            r"\begin{table}",
            r"\centering",
            rf"\caption{{{(table.title + '. ' + table.note).strip().translate(_LATEX)}}}",
            rf"\label{{tab:{table.name.replace('_', '-')}}}",
            rf"\begin{{tabular}}{{{alignment}}}",
            r"\toprule",
            " & ".join(head) + r" \\",
            r"\midrule",
            *rows,
            r"\bottomrule",
            r"\end{tabular}",
            r"\end{table}",
            "",
        ]
    )


def _markdown_row(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cell.replace("|", r"\|") for cell in cells) + " |"


def _shown(table: Table, row: Sequence[Value], same: str, differs: str) -> list[str]:
    """Cells with the marks of a published value that reproduces and of one that does not."""
    return [
        _show(value, column.digits or 0, same, differs)
        for value, column in zip(row, table.columns, strict=True)
    ]


def _show(value: Value, digits: int, same: str, differs: str) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, Checked):
        mark = same if value.reproduces else differs
        return f"{value.observed:.{digits}f}" + mark.format(
            published=f"{value.published:.{digits}f}"
        )
    return "–" if value is None or math.isnan(value) else f"{value:.{digits}f}"


def _plain(value: Value) -> str | float:
    if isinstance(value, Checked):
        return value.observed
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return ""
    return value
