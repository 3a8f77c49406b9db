"""CatBoost is tested in a process of its own: after its trainings, long-lived processes that use torch were aborted."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from conftest import APART


@pytest.mark.slow
def test_every_test_of_catboost_passes_in_a_process_of_its_own():
    pytest.importorskip("catboost", reason="the extra catboost is not installed")
    words = [sys.executable, "-m", "pytest", "-q", "-k", "catboost", "-p", "no:cacheprovider", "-p", "no:xdist"]
    files = ["tests/test_classical.py", "tests/test_estimators.py", "tests/test_cli.py"]
    environment = {**os.environ, APART: "1"}
    root = Path(__file__).resolve().parents[1]
    ended = subprocess.run([*words, *files], cwd=root, env=environment, capture_output=True, text=True)
    assert ended.returncode == 0, ended.stdout[-4000:] + ended.stderr[-2000:]
    assert " passed" in ended.stdout or "100%" in ended.stdout
