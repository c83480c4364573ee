"""Notebooks are true: each runs from top to bottom, and was committed with its outputs."""

from __future__ import annotations

from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

NOTEBOOKS = sorted((Path(__file__).parents[1] / "notebooks").glob("*.ipynb"))


@pytest.mark.model
@pytest.mark.filterwarnings("ignore")  # of the kernel's own machinery
@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_runs_and_prints_what_it_printed(path, minilm):
    notebook = nbformat.read(path, as_version=4)
    printed = texts(notebook)
    assert printed
    NotebookClient(notebook, timeout=120).execute()
    assert texts(notebook) == printed


def texts(notebook) -> list[str]:
    """Return what each cell printed, in however many pieces it came."""
    cells = (cell.outputs for cell in notebook.cells if cell.cell_type == "code")
    said = ("".join(one.text for one in outputs if one.output_type == "stream") for outputs in cells)
    return [text for text in said if text]
