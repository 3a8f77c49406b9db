"""The pages of docs/how-to run: Python blocks as one script, and the commands on the tables that the script has."""

import re
import shlex
from pathlib import Path

import pandas as pd
import pytest

from tailwise.cli.main import run

PAGES = sorted((Path(__file__).resolve().parents[1] / "docs" / "how-to").glob("*.md"))
TABLES = {
    "row-weights": {"claims.csv": "claims"},
    "many-outputs": {"plant.csv": "plant"},
    "time-series": {"load.csv": "load", "next-hours.csv": "next_hours"},
}


def blocks(page, language):
    return re.findall(rf"```{language}\n(.*?)```", page.read_text(encoding="utf-8"), flags=re.S)


@pytest.mark.slow
@pytest.mark.parametrize("page", [page for page in PAGES if page.stem in TABLES], ids=lambda page: page.stem)
def test_a_page_runs(page, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    names = {}
    exec(compile("\n".join(blocks(page, "python")), page.name, "exec"), names)
    for file, name in TABLES[page.stem].items():
        pd.DataFrame(names[name]).to_csv(tmp_path / file, index=False)
    lines = [line for block in blocks(page, "bash") for line in block.splitlines()]
    assert lines
    for line in lines:
        words = shlex.split(line)
        assert words[0] == "tailwise"
        quick = ["--model", "linear"] if words[1] == "train" and not {"--model", "--method"} & set(words) else []
        assert run([*words[1:], *quick]) == 0, line
