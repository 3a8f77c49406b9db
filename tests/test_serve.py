import contextlib
import csv
import http.client
import io
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
import xml.etree.ElementTree as ElementTree
from contextlib import contextmanager
from urllib.parse import quote, urlencode

import numpy as np
import pandas as pd
import pytest
from markupsafe import escape

from tailwise._checks import InputError
from tailwise._numbers import error_change
from tailwise.cli.main import run
from tailwise.metrics.errors import mean_absolute_error
from tailwise.runs.folder import MANIFEST, finish_run
from tailwise.serve import templating
from tailwise.serve.chart_series import Plot, Series
from tailwise.serve.library import Library
from tailwise.serve.server import RunServer
from tailwise.training.epoch import Epoch

NASTY = "<script>alert(1)<b>\"'&"


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """Two finished runs on the same test rows and one on others."""
    from conftest import toy_frame

    folder = tmp_path_factory.mktemp("trained")
    toy_frame().to_csv(folder / "toy.csv", index=False)
    for name, more in {
        "vanilla": ["--method", "vanilla", "--epochs", "3"],
        "deep/lds": ["--method", "sqinv+lds", "--epochs", "2"],
        "other-rows": ["--method", "vanilla", "--model", "lightgbm", "--seed", "5"],
    }.items():
        out = ["--out", str(folder / "runs" / name)]
        assert run(["train", str(folder / "toy.csv"), "--target", "price", "--shots", "20,8", *more, *out]) == 0
    return folder / "runs"


@pytest.fixture
def runs(trained, tmp_path):
    """A copy of the finished runs that a test may change."""
    return shutil.copytree(trained, tmp_path / "runs")


@pytest.fixture(scope="module")
def full(trained, tmp_path_factory):
    """Runs of every state, with a name that is not harmless, and pages of other commands."""
    folder = shutil.copytree(trained, tmp_path_factory.mktemp("full") / "runs")
    shutil.copytree(trained / "vanilla", folder / NASTY)
    shutil.copytree(trained / "vanilla", folder / "cut")
    (folder / "cut" / "metrics.json").unlink()
    unfinished(trained, folder / "going", epochs=4)
    (folder / "a").mkdir()
    shutil.copy(trained / "vanilla" / "report.html", folder / "a" / "comparison.html")
    (folder / "a" / "foreign.html").write_text("<title>nothing of ours</title>")
    (folder / "foreign").mkdir()
    (folder / "foreign" / "config.json").write_text('{"model_type": "bert"}')
    return folder


@pytest.fixture(scope="module")
def served(full):
    with serving(full) as server:
        yield server


@contextmanager
def serving(folder, **options):
    with RunServer(folder, **options) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()


def unfinished(trained, folder, epochs):
    """A run that is training."""
    folder.mkdir()
    config = json.loads((trained / "vanilla" / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | {"label": "still going"}))
    (folder / "history.jsonl").write_text("".join(epoch(i) for i in range(epochs)))
    return folder


def epoch(i):
    errors = {"mae": 9.0 - i / 10, "bmae": 12.0, "many": 3.0 + i, "few": 20.0 - i}
    line = {"stage": 0, "epoch": i, "of": 30, "terms": {"loss": 1.0}, "validation": errors, "lr": 0.1}
    return json.dumps({**line, "seconds": 2.0, "best": True}) + "\n"


def ask(server, path, method="GET", host=None, body=None):
    """Status, headers and body of an answer; the path is sent as it is."""
    connection = http.client.HTTPConnection("127.0.0.1", server.server_port, timeout=20)
    try:
        connection.putrequest(method, path, skip_host=True, skip_accept_encoding=True)
        for name in [f"127.0.0.1:{server.server_port}"] if host is None else host:
            connection.putheader("Host", name)
        if body is not None:
            connection.putheader("Content-Length", str(len(body)))
        connection.endheaders(body)
        answer = connection.getresponse()
        return answer.status, answer.headers, answer.read()
    finally:
        connection.close()


def text(server, path, status=200):
    found, _, body = ask(server, path)
    assert found == status, body
    return body.decode()


def address(path, **query):
    return path + "?" + urlencode(query, doseq=True)


def listed(page):
    """Runs of the list, in its order."""
    return re.findall(r'<th scope="row"><a href="[^"]*">([^<]*)</a>', page)


class TestList:
    def test_shows_every_run_and_page_of_ours_with_its_state(self, served):
        page = text(served, "/")
        names = listed(page)
        assert len(names) == 6
        assert {"vanilla", "deep/lds", "other-rows", "cut", "going"} <= set(names)
        assert "missing &#39;metrics.json&#39;" in page
        for shown in ("sqinv+lds", "lightgbm", "toy.csv", "price", "in progress", "broken"):
            assert shown in page
        assert re.findall(r'href="/page\?page=([^"]*)"', page) == ["a%2Fcomparison.html"]

    def test_shows_the_errors_of_the_run(self, served, full):
        metrics = json.loads((full / "deep/lds" / "metrics.json").read_text())
        rows = list(csv.DictReader(io.StringIO(text(served, "/runs.csv?q=deep"))))
        assert len(rows) == 1
        shown = [("all", "as_rows_come"), ("all", "bmae"), ("many", "mae"), ("medium", "mae"), ("few", "mae")]
        for region, metric in shown:
            for end, key in (("", "value"), (".low", "low"), (".high", "high")):
                known = metrics[region][metric][key]
                assert rows[0][f"{region}.{metric}{end}"] == ("" if known is None else repr(known))

    @pytest.mark.parametrize("order", ["asc", "desc"])
    def test_sorts_by_an_error_with_runs_that_have_none_last(self, served, order):
        rows = list(csv.DictReader(io.StringIO(text(served, f"/runs.csv?sort=few.mae&order={order}"))))
        known = [float(row["few.mae"]) for row in rows if row["few.mae"]]
        assert len(known) == 4
        assert len(set(known)) == 3
        assert known == sorted(known, reverse=order == "desc")
        assert not any(row["few.mae"] for row in rows[4:])

    def test_every_heading_sorts(self, served):
        headings = re.findall(r'<th scope="col"[^>]*><a href="([^"]*)"', text(served, "/"))
        assert len(headings) >= 11
        for heading in headings:
            sort = re.search(r"sort=([\w.]+)", heading)[1]
            page = text(served, heading.replace("&amp;", "&"))
            assert page.count('aria-sort="') == 1
            assert f"sort={sort}&amp;order=desc" in page or f"sort={sort}&amp;order=asc" in page
            assert len(listed(page)) == 6

    def test_filters_by_words_and_by_region(self, served):
        assert listed(text(served, "/?q=lds")) == ["deep/lds"]
        assert listed(text(served, "/?q=LDS+price")) == ["deep/lds"]
        assert "No run matches" in text(served, "/?q=nothing-like-it")
        page = text(served, "/?region=few&sort=few.rmse")
        assert "RMSE" in page
        rows = list(csv.DictReader(io.StringIO(text(served, "/runs.csv?region=few&sort=few.rmse"))))
        errors = [float(row["few.rmse"]) for row in rows if row["few.rmse"]]
        assert errors == sorted(errors)
        assert listed(page)[0] == str(escape(rows[0]["run"]))
        assert "'rare'" in text(served, "/?region=rare", status=400).replace("&#39;", "'")

    def test_filters_by_data_and_shows_its_file_name(self, trained, tmp_path):
        runs = shutil.copytree(trained, tmp_path / "runs")
        config = json.loads((runs / "vanilla" / "config.json").read_text())
        config["data"]["name"] = "far/away/houses.csv"
        (runs / "vanilla" / "config.json").write_text(json.dumps(config))
        finish_run(runs / "vanilla")
        with serving(runs) as server:
            page = text(server, "/")
            assert 'title="far/away/houses.csv">houses.csv</td>' in page
            assert listed(text(server, address("/", data="far/away/houses.csv"))) == ["vanilla"]
            assert "data=far%2Faway%2Fhouses.csv" in text(server, address("/", data="far/away/houses.csv"))

    def test_ranks_are_those_of_runs_on_the_same_rows(self, served, full):
        rows = {row["run"]: row for row in csv.DictReader(io.StringIO(text(served, "/runs.csv")))}
        both = {
            name: float(row["all.as_rows_come"]) * float(row["all.bmae"]) for name, row in rows.items() if row["rank"]
        }
        assert {"vanilla", "deep/lds"} <= set(both)
        assert rows["other-rows"]["rank"] == ""
        for name, score in both.items():
            assert int(rows[name]["rank"]) == 1 + sum(other < score for other in both.values())

    def test_no_runs_is_said_kindly(self, tmp_path):
        with serving(tmp_path) as server:
            assert "There are no runs here yet" in text(server, "/")

    @pytest.mark.slow
    def test_a_thousand_runs_are_listed_at_once(self, trained, tmp_path):
        for i in range(1000):
            folder = tmp_path / f"group{i % 10}" / f"run{i:04d}"
            folder.mkdir(parents=True)
            for name in ("config.json", "metrics.json", "history.jsonl"):
                os.link(trained / "vanilla" / name, folder / name)
            (folder / MANIFEST).write_text('{"format": "tailwise-run-1", "sha256": {"metrics.json": ""}}')
        with serving(tmp_path) as server:
            for most in (6.0, 2.0):  # read for the first time, and again; several times what a quiet machine takes
                started = time.perf_counter()
                assert len(listed(text(server, "/?sort=all.bmae"))) == 1000
                assert time.perf_counter() - started < most

    def test_what_has_not_changed_is_not_read_again(self, runs, monkeypatch):
        library = Library(runs)
        assert len(library.look()[0]) == 3
        read = []
        monkeypatch.setattr("tailwise.serve.library.read_bytes", lambda *a: read.append(a))
        monkeypatch.setattr("tailwise.serve.runs.read_object", lambda *a: read.append(a))
        assert len(library.look()[0]) == 3
        assert read == []

    @pytest.mark.parametrize(
        ("name", "content", "reason"),
        [
            ("metrics.json", "[1]", "is not a JSON object"),
            ("metrics.json", "[" * 100_000, "is not JSON"),
            ("config.json", "{", "is not JSON"),
            ("history.jsonl", "half\n", "line 1 of history.jsonl is not JSON"),
            ("manifest.json", "{", "is not JSON"),
        ],
    )
    def test_a_broken_run_does_not_stop_the_others(self, runs, name, content, reason):
        (runs / "vanilla" / name).write_text(content)
        found = {run.id: run for run in Library(runs).look()[0]}
        assert found["vanilla"].state == "broken"
        assert reason in found["vanilla"].reason
        assert found["deep/lds"].state == "finished"

    def test_an_altered_run_is_not_listed_as_finished(self, runs):
        library = Library(runs)
        assert {run.state for run in library.look()[0]} == {"finished"}
        model = runs / "vanilla" / "model" / "model.json"
        model.write_text(model.read_text() + " ")
        states = {run.id: (run.state, run.reason) for run in library.look()[0]}
        assert states["vanilla"] == ("broken", "altered after it finished: 'model/model.json'")
        assert states["deep/lds"][0] == "finished"

    def test_numbers_that_are_none_are_left_out(self, runs):
        metrics = {
            "all": {"n": "many", "mae": {"value": "x"}},
            "many": 3,
            "few": {"n": 2, "mae": {"value": float("nan")}},
        }
        (runs / "vanilla" / "metrics.json").write_text(json.dumps(metrics))
        finish_run(runs / "vanilla")
        with serving(runs) as server:
            assert "vanilla" in listed(text(server, "/"))
            assert "Open the report" in text(server, "/run?run=vanilla")


class TestSlowRequests:
    def test_a_request_has_a_total_time(self, runs, monkeypatch):
        monkeypatch.setattr("tailwise.serve.handler._MOST_SECONDS", 0.3)
        with serving(runs) as server, socket.create_connection(("127.0.0.1", server.server_port), timeout=10) as client:
            sent = 0
            with contextlib.suppress(OSError):  # the server closes the connection
                for _ in range(100):
                    client.sendall(b"G")
                    sent += 1
                    time.sleep(0.05)
        assert sent < 100

    def test_a_connection_answers_several_requests(self, runs):
        with serving(runs) as server:
            connection = http.client.HTTPConnection("127.0.0.1", server.server_port, timeout=10)
            for _ in range(3):
                connection.request("GET", "/")
                assert connection.getresponse().read()
            connection.close()


def test_cells_of_a_chart_are_no_formulas():
    one = Series("=a", [0.0], [1.0], [np.nan], [np.nan], "red", "o")
    lines = Plot("regions", "@x", "=y", (one,), names=("+all",)).csv().splitlines()
    assert lines == ["series,'@x,'=y,low,high", "'=a,'+all,1.0,,"]


class TestSafety:
    @pytest.mark.parametrize(
        "path",
        [
            "/../secret.txt",
            "/..%2fsecret.txt",
            "/static/../server.py",
            "/static/%2e%2e/server.py",
            "/run?run=../secret",
            "/run?run=..%2fsecret",
            "/run?run=",
            "/run?run=%00",
            "/run?run=vanilla%00",
            "/report?run=vanilla/../../secret",
            "/report?run=%2fetc",
            "/report?run=vanilla%2Freport.html",
            "/page?page=../secret.html",
            "/page?page=%2e%2e%2fsecret.html",
            "/page?page=/etc/passwd",
            "/page?page=a/foreign.html",
            "/page?page=vanilla/report.html",
            "/page?page=%00",
            "//etc/passwd",
            "/vanilla/config.json",
            "/%",
            "/?" + "a" * 20_000,
        ],
    )
    def test_no_address_leads_out_of_what_is_listed(self, served, full, path):
        (full.parent / "secret").mkdir(exist_ok=True)
        for name in ("secret.txt", "secret.html", "secret/report.html"):
            (full.parent / name).write_text("<footer>tailwise</footer> top secret")
        status, _, body = ask(served, path)
        assert status == 404
        assert b"secret.txt" not in body or b"top secret" not in body
        assert b"top secret" not in body
        assert b"Traceback" not in body

    def test_links_out_of_the_folder_are_not_followed(self, runs, tmp_path):
        secret = tmp_path / "secret.html"
        secret.write_text("<title>top secret</title><footer>tailwise</footer>")
        shutil.move(runs / "deep", tmp_path / "deep")
        (runs / "linked-folder").symlink_to(tmp_path / "deep")
        (runs / "page.html").symlink_to(secret)
        (runs / "vanilla" / "report.html").unlink()
        (runs / "vanilla" / "report.html").symlink_to(secret)
        (runs / "other-rows" / "metrics.json").unlink()
        (runs / "other-rows" / "metrics.json").symlink_to("/etc/hostname")
        with serving(runs) as server:
            page = text(server, "/")
            assert sorted(listed(page)) == ["other-rows", "vanilla"]
            assert "metrics.json is a link that leads out of the served folder" in page
            assert "page.html" not in page
            assert "leads out of the served folder" in text(server, "/report?run=vanilla", status=400)
            assert "top secret" not in text(server, "/page?page=page.html", status=404)

    def test_what_is_no_ordinary_file_does_not_hang_the_server(self, runs):
        (runs / "vanilla" / "metrics.json").unlink()
        os.mkfifo(runs / "vanilla" / "metrics.json")
        os.mkfifo(runs / "pipe.html")
        with serving(runs) as server:
            assert "broken" in text(server, "/")

    @pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "CONNECT", "BREW"])
    def test_only_reads(self, served, method):
        status, headers, _ = ask(served, "/", method, body=b"run=vanilla")
        assert status == 405
        assert headers["Allow"] == "GET, HEAD"

    def test_head_is_get_without_a_body(self, served):
        status, headers, body = ask(served, "/run?run=vanilla", "HEAD")
        assert (status, body) == (200, b"")
        assert int(headers["Content-Length"]) == len(ask(served, "/run?run=vanilla")[2])

    @pytest.mark.parametrize("host", [["evil.example"], ["evil.example:80"], [], ["127.0.0.1"], ["localhost:1"]])
    def test_another_name_is_refused(self, served, host):
        status, _, body = ask(served, "/", host=host)
        assert status == 421
        assert b"vanilla" not in body

    def test_two_names_are_refused_and_own_names_are_not(self, served):
        own = f"127.0.0.1:{served.server_port}"
        assert ask(served, "/", host=[own, "evil.example"])[0] == 421
        for name in ("localhost", "LOCALHOST", "[::1]"):
            assert ask(served, "/", host=[f"{name}:{served.server_port}"])[0] == 200

    @pytest.mark.parametrize("path", ["/", "/nothing", "/static/serve.js", "/runs.csv", "/report?run=vanilla"])
    def test_headers_forbid_everything_remote(self, served, path):
        _, headers, _ = ask(served, path)
        assert headers["X-Content-Type-Options"] == "nosniff"
        assert headers["Referrer-Policy"] == "no-referrer"
        policy = headers["Content-Security-Policy"]
        assert policy.startswith("default-src 'none'")
        assert "frame-ancestors 'none'" in policy
        assert not re.search(r"https?:|\*", policy)
        assert "Python" not in headers["Server"]

    def test_scripts_of_this_server_are_listed_and_those_of_reports_reach_nothing(self, served):
        own = ask(served, "/")[1]["Content-Security-Policy"]
        assert "script-src 'self'" in own
        assert "'unsafe-inline'" not in re.search(r"script-src ([^;]*)", own)[1]
        report = ask(served, "/report?run=vanilla")[1]["Content-Security-Policy"]
        assert re.search(r"sandbox (?!.*allow-same-origin)", report)
        assert "connect-src" not in report

    @pytest.mark.parametrize("path", ["/", address("/run", run=NASTY), address("/compare", run=[NASTY, "deep/lds"])])
    def test_names_are_escaped(self, served, path):
        page = text(served, path)
        assert "<script>alert" not in page
        assert "&lt;script&gt;alert(1)&lt;b&gt;&#34;&#39;&amp;" in page

    def test_what_configs_say_is_escaped(self, runs):
        config = json.loads((runs / "vanilla" / "config.json").read_text())
        config |= {
            "target": NASTY,
            "label": NASTY + "\ud800",
            "method": {"name": NASTY},
            "data": {"name": "=1+1\ud800"},
        }
        (runs / "vanilla" / "config.json").write_text(json.dumps(config))
        finish_run(runs / "vanilla")
        with serving(runs) as server:
            for path in ("/", "/run?run=vanilla", "/compare?run=vanilla&run=deep/lds", "/?q=" + quote(NASTY)):
                assert "<script>alert" not in text(server, path)
            picture = text(server, "/chart?kind=training&format=svg&run=vanilla")
            assert "<script" not in picture
            ElementTree.fromstring(picture)
            assert ",'=1+1" in text(server, "/runs.csv")

    def test_a_fault_of_ours_is_one_line(self, served, monkeypatch, capsys):
        monkeypatch.setattr("tailwise.serve.pages.list_page", lambda *a: 1 / 0)
        page = text(served, "/", status=500)
        assert "ZeroDivisionError while making this page" in page
        assert capsys.readouterr().err.splitlines() == ["tailwise: /: ZeroDivisionError: division by zero"]


class TestCompare:
    def test_the_change_is_paired_by_row(self, served, full):
        page = text(served, address("/compare", run=["vanilla", "deep/lds", "other-rows"]))
        first, second = (
            pd.read_parquet(full / name / "predictions.parquet").query("split == 'test'").sort_values("row")
            for name in ("vanilla", "deep/lds")
        )
        mae = [mean_absolute_error(one["target"], one["prediction"]) for one in (first, second)]
        percent = error_change(mae[1] / mae[0])
        row = page[page.index(">deep/lds<") : page.index(">other-rows<")]
        assert percent in row or "no difference" in row
        assert "change " in row
        assert "other test rows: no paired change" in page[page.index(">other-rows<") :]

    def test_the_headlines_come_first(self, served, full):
        page = text(served, address("/compare", run=["vanilla", "deep/lds"]))
        heads = page[page.index("<thead>") : page.index("</thead>")]
        assert heads.index("As rows come") < heads.index("Evenly over values") < heads.index("All<")
        for name in ("vanilla", "deep/lds"):
            metrics = json.loads((full / name / "metrics.json").read_text())["all"]
            assert f"<td>{templating._short(metrics['as_rows_come']['value'])}<small>" in page
            assert f"<td>{templating._short(metrics['bmae']['value'])}<small>" in page
        row = page[page.index(">deep/lds<") : page.index("</tbody>")]
        changed = row.count("no difference") + row.count(" lower error<") + row.count(" higher error<")
        assert changed == row.count("<td>") - row.count('class="none"')

    def test_any_run_can_be_the_reference(self, served):
        page = text(served, address("/compare", run=["vanilla", "deep/lds"]))
        turned = re.search(r'href="(/compare[^"]*)">make it the reference', page)[1].replace("&amp;", "&")
        assert turned.index("deep") < turned.index("vanilla")
        assert "the change against sqinv+lds" in text(served, turned)

    def test_runs_of_one_label_are_told_apart(self, served):
        page = text(served, address("/compare", run=["vanilla", NASTY]))
        assert ">vanilla</a>" in page
        assert "&lt;script&gt;alert(1)&lt;b&gt;&#34;&#39;&amp;</a>" in page
        assert "no difference" in page  # it is the same run

    def test_an_altered_run_is_not_compared(self, runs):
        frame = pd.read_parquet(runs / "vanilla" / "predictions.parquet")
        frame["prediction"] = frame["target"]
        frame.to_parquet(runs / "vanilla" / "predictions.parquet", index=False)
        with serving(runs) as server:
            assert "altered after it finished" in text(server, "/")
            page = text(server, address("/compare", run=["deep/lds", "vanilla"]), 400)
            assert "is broken: altered after it finished" in page

    def test_another_target_stays_out_of_the_charts(self, runs):
        config = json.loads((runs / "other-rows" / "config.json").read_text())
        (runs / "other-rows" / "config.json").write_text(json.dumps(config | {"target": "weight"}))
        finish_run(runs / "other-rows")
        with serving(runs) as server:
            query = {"run": ["vanilla", "deep/lds", "other-rows"]}
            assert "another target than vanilla" in text(server, address("/compare", **query))
            numbers = text(server, address("/chart", kind="regions", format="csv", **query))
            assert {line.split(",")[0] for line in numbers.splitlines()[1:]} == {"vanilla", "sqinv+lds"}

    def test_an_unfinished_run_has_only_its_curve(self, served):
        page = text(served, address("/compare", run=["vanilla", "going"]))
        assert "is not finished" in page
        numbers = text(served, address("/chart", kind="training", format="csv", run=["vanilla", "going"], curve="many"))
        assert "still going,4.0,6.0" in numbers

    @pytest.mark.parametrize(
        ("chosen", "said"),
        [
            ([], "at least two runs"),
            (["vanilla"], "at least two runs"),
            (["vanilla", "vanilla"], "at least two runs"),
            (["vanilla", "cut"], "is broken: missing"),
        ],
    )
    def test_what_cannot_be_compared_is_said(self, served, chosen, said):
        assert said in text(served, address("/compare", run=chosen), status=400)

    def test_too_many_runs_are_refused(self, trained, tmp_path):
        for i in range(9):
            unfinished(trained, tmp_path / f"r{i}", epochs=1)
        with serving(tmp_path) as server:
            chosen = [f"r{i}" for i in range(9)]
            assert "at most 8 runs" in text(server, address("/compare", run=chosen), status=400)
            assert "r7" in text(server, address("/compare", run=chosen[:8]))

    def test_settings_that_differ_are_shown(self, served):
        page = text(served, address("/compare", run=["vanilla", "deep/lds"]))
        section = page[page.index("<h2>Settings that differ") :]
        rows = dict(re.findall(r'<tr><th scope="row">([^<]*)</th>(.*?)</tr>', section))
        assert re.findall(r">([^<]*)</td>", rows["recipe.epochs"]) == ["3", "2"]
        assert re.findall(r">([^<]*)</td>", rows["method.name"]) == ["vanilla", "sqinv+lds"]
        assert "recipe.seed" not in rows
        assert "SERA" not in text(served, "/run?run=vanilla")


class TestCharts:
    @pytest.mark.parametrize("kind", ["regions", "dial", "error", "training"])
    def test_each_is_picture_and_numbers(self, served, kind):
        query = {"kind": kind, "run": ["vanilla", "deep/lds"]}
        _, headers, body = ask(served, address("/chart", format="svg", **query))
        assert headers["Content-Type"] == "image/svg+xml"
        assert headers["Content-Disposition"] == f'attachment; filename="{kind}.svg"'
        assert ElementTree.fromstring(body).tag.endswith("svg")
        assert b"var(" not in body
        assert ask(served, address("/chart", format="png", **query))[2].startswith(b"\x89PNG")
        rows = list(csv.reader(io.StringIO(text(served, address("/chart", format="csv", **query)))))
        assert {row[0] for row in rows[1:]} == {"vanilla", "sqinv+lds"}
        assert all(float(row[2]) == float(row[2]) for row in rows[1:])

    def test_numbers_are_those_of_the_run(self, served, full):
        numbers = text(served, address("/chart", kind="training", format="csv", run="vanilla"))
        history = [json.loads(line) for line in (full / "vanilla" / "history.jsonl").read_text().splitlines()]
        rows = [row for row in csv.reader(io.StringIO(numbers)) if row[0] == "few"]
        assert [float(row[2]) for row in rows] == [line["validation"]["few"] for line in history]

    def test_the_dial_is_that_of_the_run(self, served, full):
        query = {"kind": "dial", "format": "csv", "run": ["vanilla", "deep/lds"]}
        rows = [row for row in csv.reader(io.StringIO(text(served, address("/chart", **query)))) if row[0] == "vanilla"]
        curve = json.loads((full / "vanilla" / "trade_off.json").read_text())["curve"]
        assert [(float(row[1]), float(row[2])) for row in rows] == [
            tuple(point["mae"][name]["value"] for name in ("many", "few")) for point in curve
        ]

    @pytest.mark.parametrize("query", ["kind=pie&format=svg", "kind=error&format=exe", "kind=error&format=svg&curve=x"])
    def test_unknown_ones_are_refused(self, served, query):
        assert "must be one of" in text(served, f"/chart?{query}&run=vanilla&run=deep/lds", status=400)


class TestFollow:
    def test_a_growing_history_is_seen_without_its_unfinished_line(self, trained, tmp_path):
        folder = unfinished(trained, tmp_path / "going", epochs=2)
        with serving(tmp_path) as server:
            assert "epoch 2 of at most 30" in text(server, "/live?run=going")
            with (folder / "history.jsonl").open("a") as file:
                file.write(epoch(2) + epoch(3)[:40])
            assert "epoch 3 of at most 30" in text(server, "/live?run=going")
            assert 'data-state="in progress"' in text(server, "/live?run=going")
            token = re.search(r'data-token="([^"]*)"', text(server, "/live?run=going"))[1]
            assert ask(server, address("/live", run="going", seen=token))[::2] == (204, b"")

    def test_a_run_without_news_has_stopped(self, trained, tmp_path):
        folder = unfinished(trained, tmp_path / "going", epochs=2)
        past = time.time() - 3600
        for name in ("config.json", "history.jsonl"):
            os.utime(folder / name, (past, past))
        with serving(tmp_path) as server:
            page = text(server, "/run?run=going")
            assert "stopped" in page
            assert time.strftime("on %Y-%m-%d", time.localtime(past)) in page
            assert "--resume" in page

    def test_no_epoch_and_no_validation_are_no_fault(self, trained, tmp_path):
        folder = unfinished(trained, tmp_path / "going", epochs=0)
        with serving(tmp_path) as server:
            assert "nothing is finished yet" in text(server, "/run?run=going")
            first = {"stage": 0, "epoch": 0, "of": 5, "terms": {"loss": 1.0}, "validation": {}, "seconds": 1.0}
            (folder / "history.jsonl").write_text(json.dumps(first) + "\n" + json.dumps({}) + "\n")
            assert "<h2>Training</h2>" in text(server, "/run?run=going")

    @pytest.mark.parametrize(
        ("line", "word"),
        [
            ({"terms": {"mse": 1.0}, "lr": 0.01}, "epoch"),
            ({"terms": {}, "lr": 0.05}, "round"),
            ({"terms": {}, "lr": 0.0}, "model"),
        ],
    )
    def test_steps_have_the_word_of_the_progress_bar(self, trained, tmp_path, line, word):
        folder = unfinished(trained, tmp_path / "going", epochs=0)
        one = {"stage": 0, "epoch": 0, "of": 5, "validation": {"mae": 1.0}, "seconds": 1.0, "best": True, **line}
        (folder / "history.jsonl").write_text(json.dumps(one) + "\n")
        assert Epoch(**{"seconds": 1.0, **one}).step == word
        with serving(tmp_path) as server:
            page = text(server, "/run?run=going")
        assert f"{word} 1 of at most 5" in page
        assert f'aria-label="{word.capitalize()}s done"' in page
        assert page.count(f"Last {word}s") == 2
        assert word == "epoch" or "epoch" not in page.lower().split("<main")[-1]

    def test_a_finished_run_opens_its_report(self, served, full):
        assert 'href="/report?run=deep%2Flds"' in text(served, "/run?run=deep/lds")
        assert text(served, "/report?run=deep%2Flds") == (full / "deep/lds" / "report.html").read_text()

    def test_a_run_that_came_later_is_found(self, trained, tmp_path):
        with serving(tmp_path) as server:
            assert "no run &#39;new&#39;" in text(server, "/run?run=new", status=404)
            unfinished(trained, tmp_path / "new", epochs=1)
            assert "epoch 1" in text(server, "/run?run=new")


class TestCommand:
    @pytest.mark.parametrize(
        ("arguments", "said"),
        [
            (["missing"], "no folder 'missing'; name the folder that holds your runs, such as runs"),
            (["a-file"], "'a-file' is a file; name the folder that holds your runs"),
            ([".", "--port", "70000"], "--port must be a whole number from 0 to 65,535, got 70000"),
            ([".", "--port", "-1"], "--port must be a whole number from 0 to 65,535, got -1"),
            ([".", "--host", " "], "--host must name an address, such as 127.0.0.1, got nothing"),
            ([".", "--host", "203.0.113.7", "--port", "0"], "--host '203.0.113.7'"),
        ],
    )
    def test_mistakes_are_one_line(self, tmp_path, monkeypatch, capsys, arguments, said):
        monkeypatch.chdir(tmp_path)
        (tmp_path / "a-file").write_text("")
        assert run(["serve", *arguments]) == 2
        lines = capsys.readouterr().err.splitlines()
        assert len(lines) == 1
        assert said in lines[0]

    def test_a_taken_port_is_said(self, tmp_path):
        with serving(tmp_path) as server, pytest.raises(InputError, match="is taken; choose another, or 0"):
            RunServer(tmp_path, port=server.server_port)

    def test_beyond_loopback_any_name_is_answered(self, tmp_path):
        with serving(tmp_path, host="0.0.0.0") as server:
            assert not server.loopback
            assert server.url == f"http://127.0.0.1:{server.server_port}/"
            assert ask(server, "/", host=["machine.example"])[0] == 200

    @pytest.mark.slow
    def test_says_its_address_and_ends_with_ctrl_c(self, full):
        # A suite that runs in the background of a shell ignores Ctrl-C, and what it starts would too.
        heeding = "import signal; signal.signal(signal.SIGINT, signal.default_int_handler)"
        code = f"{heeding}; from tailwise.cli.main import main; main()"
        command = [sys.executable, "-c", code, "serve", str(full), "--port", "0"]
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
            overdue = threading.Timer(60, process.kill)
            overdue.start()
            line = process.stdout.readline()
            port = int(re.search(r"http://127\.0\.0\.1:(\d+)/", line)[1])
            connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
            connection.request("GET", "/")
            assert b"deep/lds" in connection.getresponse().read()
            connection.close()
            process.send_signal(signal.SIGINT)
            assert process.wait() == 0
            overdue.cancel()
            assert process.stderr.read() == "stopped\n"

    def test_nothing_is_written(self, runs):
        before = {path: path.stat().st_mtime_ns for path in runs.rglob("*")}
        with serving(runs) as server:
            for path in ("/", "/run?run=vanilla", address("/compare", run=["vanilla", "deep/lds"])):
                text(server, path)
        assert {path: path.stat().st_mtime_ns for path in runs.rglob("*")} == before


PAGES = {
    "list": "/",
    "region": "/?region=few",
    "nothing": "/?q=nothing",
    "run": "/run?run=vanilla",
    "going": "/run?run=going",
    "broken": "/run?run=cut",
    "compare": address("/compare", run=["vanilla", "deep/lds", "other-rows"]),
    "message": "/nothing",
}


@pytest.fixture(scope="module")
def chromium():
    sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    found = shutil.which("chromium")
    if found is None:
        pytest.skip("chromium is not installed: pages are not looked at in a browser")
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=found, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture
def visit(chromium, served):
    """A function that opens a page; console errors and requests to others fail the test."""
    contexts, faults = [], []

    def opened(path, server=served, **options):
        context = chromium.new_context(**options)
        contexts.append(context)
        page = context.new_page()
        page.on("console", lambda said: faults.append(said.text) if said.type in ("error", "warning") else None)
        page.on("pageerror", lambda error: faults.append(str(error)))
        page.on("request", lambda asked: None if asked.url.startswith(server.url) else faults.append(asked.url))
        page.goto(server.url.rstrip("/") + path)
        return page

    yield opened
    for context in contexts:
        context.close()
    assert [fault for fault in faults if "404" not in fault] == []


@pytest.mark.slow
class TestBrowser:
    @pytest.mark.slow
    @pytest.mark.parametrize(("scheme", "width"), [("light", 1280), ("dark", 1280), ("dark", 390)])
    def test_pages_fit_and_have_no_faults_of_access(self, visit, served, scheme, width):
        from axe_playwright_python.sync_playwright import Axe

        page = visit("/", color_scheme=scheme, viewport={"width": width, "height": 800})
        for name, path in PAGES.items():
            page.goto(served.url.rstrip("/") + path)
            assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), name
            found = Axe().run(page).response["violations"]
            serious = [fault["id"] for fault in found if fault["impact"] in ("serious", "critical")]
            assert serious == [], (name, found)
            paper = page.evaluate("getComputedStyle(document.body).backgroundColor")
            assert (max(map(int, re.findall(r"\d+", paper)[:3])) < 100) == (scheme == "dark")

    @pytest.mark.parametrize(("width", "wanted"), [(1280, {"Many", "Medium", "Few"}), (390, {"Few"})])
    def test_the_regions_are_on_screen(self, visit, width, wanted):
        page = visit("/", viewport={"width": width, "height": 800})
        seen = set()
        for heading in page.locator("thead th").all():
            box = heading.bounding_box()
            if box and box["width"] and box["x"] >= 0 and box["x"] + box["width"] <= width:
                seen.add(heading.inner_text().strip(" ▲▼"))
        assert wanted <= seen

    def test_headings_sort_and_turn(self, visit):
        page = visit("/")
        page.click("thead >> text=Few")
        assert page.get_attribute("th[aria-sort]", "aria-sort") == "ascending"
        rising = page.locator("tbody tr td:last-child").all_inner_texts()
        page.click("thead >> text=Few")
        assert page.get_attribute("th[aria-sort]", "aria-sort") == "descending"
        falling = page.locator("tbody tr td:last-child").all_inner_texts()
        known = [float(cell) for cell in rising if cell != "–"]
        assert known == sorted(known)
        assert [float(cell) for cell in falling if cell != "–"] == known[::-1]

    def test_filter_tick_compare_and_back(self, visit):
        page = visit("/")
        compare = page.get_by_role("button", name="Compare the ticked runs")
        assert compare.is_disabled()
        page.fill("input[name=q]", "toy.csv")
        page.click("button:text-is('Filter')")
        page.check("input[value=vanilla]")
        page.check("input[value='deep/lds']")
        assert page.inner_text("[data-ticked]") == "2 ticked."
        compare.click()
        page.wait_for_selector("section:nth-of-type(3) figure svg")
        assert page.locator("table.beside tbody tr").count() == 2
        page.select_option("select[name=curve]", "few")
        page.click("button:text-is('Show')")
        page.wait_for_selector("section:has(#training):has-text('validation MAE, few')")
        page.click("text=All runs")
        assert page.inner_text("h1") == "Runs"

    def test_charts_show_their_values_under_the_pointer_and_can_be_saved(self, visit):
        page = visit(PAGES["compare"])
        page.locator("figure svg").first.focus()
        page.keyboard.press("Home")
        assert re.match(r"vanilla, All: [\d.]+ \([\d.]+ to [\d.]+\)", page.inner_text("#tip"))
        with page.expect_download() as download:
            page.click("section:has(#regions) >> text=PNG")
        assert download.value.suggested_filename == "regions.png"

    def test_a_training_is_followed_without_loading_the_page_again(self, visit, trained, tmp_path):
        folder = unfinished(trained, tmp_path / "going", epochs=2)
        with serving(tmp_path) as server:
            page = visit("/run?run=going", server)
            page.evaluate("window.here = true")
            assert "epoch 2 of" in page.inner_text("#live")
            with (folder / "history.jsonl").open("a") as file:
                file.write(epoch(2))
            page.wait_for_selector("#live:has-text('epoch 3 of')", timeout=10_000)
            for name in os.listdir(trained / "vanilla"):
                source = trained / "vanilla" / name
                (shutil.copytree if source.is_dir() else shutil.copy)(source, folder / name)
            page.wait_for_selector("text=Open the report", timeout=10_000)
            assert page.evaluate("window.here")
            page.close()

    def test_without_scripts_everything_is_there(self, visit, served):
        page = visit("/run?run=going", java_script_enabled=False)
        assert page.get_by_role("link", name="Refresh").is_visible()
        assert page.locator("figure svg").count() == 1
        page.get_by_role("link", name="Refresh").click()
        page.click("text=All runs")
        page.check("input[value=vanilla]")
        page.check("input[value='deep/lds']")
        page.click("text=Compare the ticked runs")
        page.wait_for_selector("section:nth-of-type(3) figure svg")

    def test_a_report_opens_in_a_box_of_its_own(self, chromium, served):
        with chromium.new_context() as context:
            page, said = context.new_page(), []
            page.on("console", lambda message: said.append(message.text))
            page.goto(served.url + "run?run=vanilla")
            page.click("text=Open the report")
            page.wait_for_url("**/report?**")
            assert page.locator("svg").count() >= 3
            assert said == []
            assert page.evaluate("origin") == "null"
            assert page.evaluate("fetch('/').then(() => 'reached', () => 'refused')") == "refused"

    def test_a_name_with_a_script_does_nothing(self, visit):
        page = visit(address("/run", run=NASTY))
        assert page.inner_text("h1") == NASTY
        assert page.locator("h1 *").count() == 0
