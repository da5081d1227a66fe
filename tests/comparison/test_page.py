"""The report: one file with everything in it, and what a browser makes of that."""

import base64
import html
import json
import re

import pytest
from browser import browse, needs_chromium

from genlab.cli import entry as cli
from genlab.comparison.reading import read_leaderboard
from genlab.comparison.report import vega as bundle
from genlab.comparison.report.page import direction, json_text, policy

from .synthetic import make_run, make_sweep, value

pytest.importorskip("vl_convert")
pytestmark = pytest.mark.usefixtures("plotting")

HOSTILE = "<script>document.title='taken'<script>"
LINK = "</script><a href='https:evil.example'>x"


def make(tmp_path, *words):
    file = tmp_path / "report.html"
    assert cli.main(["compare", str(tmp_path / "runs"), "--html", str(file), *words]) == 0
    return file.read_text()


def data_of(page):
    return json.loads(
        re.search(r'<script type="application/json" id="data">(.*?)</script>', page)[1]
    )


def body_of(page):
    return page[: page.index('<script type="application/json"')]


@pytest.fixture
def runs(tmp_path):
    """Two families under two seeds, a run on other data, and one with a hostile name."""
    root = tmp_path / "runs"
    for i, model in enumerate(("vae", "gan")):
        for seed in (0, 1):
            make_run(root, f"{model}{seed}", value("fd_digits", 10.0 + i + seed / 10), model=model,
                seed=seed, end=10.0 + i, samples_per_second=100.0)  # fmt: skip
    make_run(root, "clothes", value("fd_digits", 5.0), data="fashion")
    make_run(root, HOSTILE, value("fd_digits", 30.0), settings={"model.latent": LINK})
    return root


def test_a_page_holds_all_and_asks_for_nothing(runs, tmp_path):
    page = make(tmp_path)
    assert len(page) < 3_000_000
    for name in ("vae0 +1", "gan0 +1", "clothes"):
        assert name in body_of(page)
    assert "not comparable with the first: other data (fashion, not mnist)" in page
    assert not re.search(r"""(?:src|href)\s*=\s*["'](?!#|data:)""", body_of(page))
    assert "url(" not in body_of(page)
    assert "default-src &#x27;none&#x27;" in page
    found = {c["name"]: c["group"] for c in data_of(page)["configs"]}
    assert found["vae0 +1"] == found["gan0 +1"] != found["clothes"]


def test_a_name_is_never_markup(runs, tmp_path):
    page = make(tmp_path)
    assert html.escape(HOSTILE) in body_of(page)
    assert HOSTILE not in page
    assert LINK not in page
    assert html.escape(LINK) in body_of(page)
    assert "<" not in json_text({"<a>": "</script>&"})
    assert json.loads(json_text({"<a>": "</script>&"})) == {"<a>": "</script>&"}
    assert page.count("</script>") == 3  # our data, the library, our script


def test_the_policy_allows_these_scripts_alone():
    # printf 'alert(1)' | openssl dgst -sha256 -binary | base64
    digest = "bhHHL3z2vDgxUt0W3dWQOrprscmda2Y5pLsLg4GF+pI="
    assert f"script-src 'sha256-{digest}';" in policy("alert(1)")
    assert "unsafe-eval" not in policy("a")


def test_pictures_are_those_of_the_runs(runs, tmp_path):
    page = make(tmp_path, "--where", "model=vae", "--where", "data=mnist", "--where", "seed=0",
        "--where", "model.width=16")  # fmt: skip
    held = {base64.b64decode(x) for x in re.findall(r'src="data:image/png;base64,([^"]+)"', page)}
    there = {file.read_bytes() for file in (runs / "vae0" / "samples").glob("*.png")}
    # 1 and 3 minutes of 200 seconds, and the end: 20, 60 and 80 thousand images
    assert len(there & held) == 3
    assert "60,000 images · 2.5 min" in page


def test_the_table_of_times_is_that_of_the_histories(runs, tmp_path):
    page = make(tmp_path, "--where", "model=gan")
    lines = (runs / "gan0" / "metrics.jsonl").read_text().splitlines()
    rows = [json.loads(line) for line in lines]
    key = "quick/fd_digits_2k"
    at_3 = [min(r[key] for r in rows if key in r and r["seconds"] <= 189)]
    rows = [json.loads(x) for x in (runs / "gan1" / "metrics.jsonl").read_text().splitlines()]
    at_3.append(min(r[key] for r in rows if key in r and r["seconds"] <= 189))
    table = re.search(r"<h3>quick/fd_digits_2k on mnist.*?</table>", page, re.DOTALL)[0]
    assert "what you get in 1 min, 3 min" in table
    cells = re.findall(r'<td class="n[^>]*>(.*?)</td>', table)
    assert re.sub("<[^>]*>", "", cells[1]).split(" ± ")[0] == f"{sum(at_3) / 2:.4g}"


def test_a_sweep_has_its_hyperparameters_and_a_front(tmp_path):
    jobs = [
        (
            [f"optimizer.lr={lr}", f"model.latent={latent}"],
            "done",
            (
                [value("fd_digits", 1 / lr / latent)],
                {
                    "seconds": 10.0 * latent,
                    "settings": {"optimizer.lr": lr, "model.latent": latent},
                },
            ),
        )
        for lr in (1e-4, 1e-3)
        for latent in (4, 8)
    ]
    make_sweep(tmp_path / "runs", "grid", jobs)
    data = data_of(make(tmp_path, "--pareto", "fd_digits,seconds"))
    assert data["settings"] == {
        "model.latent": [8, 4, 8, 4],
        "optimizer.lr": [1e-3, 1e-3, 1e-4, 1e-4],
    }
    assert [c["front"] for c in data["configs"]] == [True, True, False, False]
    assert data["numbers"]["fd_digits"][0] == [125.0, None, 0]
    assert data["pareto"] == ["fd_digits", "train_seconds"]


def test_which_way_is_better_is_known_of_quick_metrics(tmp_path):
    make_run(tmp_path, "a", value("fd_digits", 1.0), value("vendi_digits", 2.0, better="higher"))
    board = read_leaderboard([tmp_path])
    for metric, way in {
        "quick/fd_digits_2k": "lower",
        "quick/vendi_digits_2k": "higher",
        "quick/cs_digits_2k": "higher",
        "val/bpd": "lower",
        "train/loss": "lower",
    }.items():
        assert direction(board, metric) == way


def test_without_the_library_there_is_one_line(runs, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(bundle.importlib.util, "find_spec", lambda name: None)
    assert cli.main(["compare", str(runs), "--html", str(tmp_path / "x.html")]) == 2
    err = capsys.readouterr().err
    assert "pip install 'genlab[report]'" in err
    assert err.count("\n") == 1
    assert not (tmp_path / "x.html").exists()


def test_the_library_is_kept_and_a_cache_that_cannot_be_written_is_only_slower(
    tmp_path, monkeypatch
):
    import vl_convert

    made = []
    monkeypatch.setattr(
        vl_convert, "javascript_bundle", lambda snippet: made.append(snippet) or "a</script>"
    )
    monkeypatch.setenv("GENLAB_CACHE", str(tmp_path / "cache"))
    assert bundle.library() == bundle.library() == "a<\\/script>"
    assert len(made) == 1
    (tmp_path / "file").touch()
    monkeypatch.setenv("GENLAB_CACHE", str(tmp_path / "file"))
    assert bundle.library() == "a<\\/script>"
    assert len(made) == 2


def test_runs_without_histories_or_pictures_have_a_page(tmp_path):
    path = make_run(tmp_path / "runs", "a", value("fd_digits", 1.0), pictures=False)
    (path / "metrics.jsonl").unlink()
    page = make(tmp_path)
    assert 'id="leaderboard"' in page
    assert 'id="samples"' not in page
    assert 'id="time"' not in page


@pytest.mark.slow
@needs_chromium
def test_a_browser_draws_it_and_asks_nobody(runs, tmp_path):
    make_run(runs, "third", value("fd_digits", 20.0), settings={"model.latent": 8})
    make(tmp_path, "--pareto", "fd_digits,seconds")
    dom, said, asked = browse((tmp_path / "report.html").as_uri(), tmp_path)
    assert asked == set()
    assert said == []
    assert "could not be drawn" not in dom
    assert "<title>taken" not in dom
    for name in ("vae0 +1", "gan0 +1", html.escape(HOSTILE, quote=False)):
        assert name in dom
    for chart in ("time-chart", "scatter-chart", "parallel-chart"):
        drawn = dom[dom.index(f'id="{chart}"') :]
        drawn = drawn[: drawn.index("</svg>")]
        assert re.search(r'role="graphics-symbol"[^>]* d="M[^"]*[LA]', drawn), chart
    curve = dom[dom.index('id="time-chart"') :]
    for name in ("vae0 +1", "gan0 +1"):
        assert f"configuration: {name}; seed: 0; quick/fd_digits_2k: " in curve
    curves = dom[dom.index('id="curve-charts"') : dom.index('id="samples"')]
    assert curves.count("<svg") == len(data_of((tmp_path / "report.html").read_text())["curves"])
    assert dom.count('<img src="data:image/png;base64,') >= 6


@pytest.mark.slow
@needs_chromium
def test_a_request_would_be_seen_and_the_policy_stops_it(runs, tmp_path):
    page = make(tmp_path).replace("<footer", '<img src="http://127.0.0.1:9/x.png"><footer')
    (tmp_path / "leak.html").write_text(page)
    _, said, asked = browse((tmp_path / "leak.html").as_uri(), tmp_path)
    assert asked == set()
    assert len(said) == 1
    assert "violates the following Content Security Policy" in said[0]
    without = re.sub('<meta http-equiv="Content-Security-Policy"[^>]*>', "", page)
    (tmp_path / "leak.html").write_text(without)
    assert browse((tmp_path / "leak.html").as_uri(), tmp_path)[2] == {"http://127.0.0.1:9/x.png"}
