"""genlab card: what the run's files say, all of it, and nothing else."""

import hashlib
import json
import shutil

import pytest
import yaml
from faults.probes import train_in

from genlab.experiment.cards.markdown import code, plain


@pytest.fixture(scope="module")
def original(tmp_path_factory):
    return train_in(tmp_path_factory.mktemp("original"), "model=vae_mlp", "model.hidden=16")


@pytest.fixture
def run(original, genlab, tmp_path):
    return shutil.copytree(original, tmp_path / "runs" / "tiny")


@pytest.fixture
def carded(run, genlab):
    code, out, err = genlab("card", "run=tiny")
    assert (code, err) == (0, ""), err
    assert out.startswith("tiny: 3 numbers: ")
    return run


def report_of(run):
    (file,) = (run / "evaluation").glob("*.json")
    return file, json.loads(file.read_text())


def test_it_has_the_numbers_of_the_report(carded):
    _, report = report_of(carded)
    text, record = (carded / "CARD.md").read_text(), json.loads((carded / "card.json").read_text())
    head = yaml.safe_load(text.split("---\n")[1])
    said = {one["type"]: one["value"] for one in head["model-index"][0]["results"][0]["metrics"]}
    told = {one["metric"]: one for one in record["numbers"]}
    assert len(report["values"]) == 3
    for value in report["values"]:
        key = value["key"]
        assert said[key] == told[key]["value"] == value["value"]
        kept = ("floor", "floor_n", "n", "split", "low", "high", "better")
        assert [told[key][name] for name in kept] == [value[name] for name in kept]
        (line,) = (line for line in text.splitlines() if line.startswith(f"| `{key}` |"))
        assert f"| {value['value']:.6g} |" in line
        if value["floor"] is not None:
            assert f"| {value['floor']:.6g} | {value['n']} ({value['floor_n']}) |" in line


def test_it_has_what_else_the_run_knows(carded):
    text, record = (carded / "CARD.md").read_text(), json.loads((carded / "card.json").read_text())
    identity = json.loads((carded / "run.json").read_text())
    assert identity["fingerprint"] in text
    assert "genlab train data=synthetic data.limit=128" in text
    assert "energy: not measured" in text
    assert "Memorization was not measured" in text
    assert "![samples, as they came](samples/000000128.png)" in text
    for which in ("best", "last"):
        content = (carded / "checkpoints" / f"{which}.ckpt").read_bytes()
        assert record["checkpoints"][f"{which}.ckpt"] == hashlib.sha256(content).hexdigest()
    assert record["data"]["images"] == {"train": 128, "val": 32, "test": 128}


def test_the_hub_reads_it(carded):
    hub = pytest.importorskip("huggingface_hub")
    _, report = report_of(carded)
    card = hub.ModelCard.load(carded / "CARD.md")
    assert card.data.library_name == "genlab"
    found = {result.metric_type: result.metric_value for result in card.data.eval_results}
    assert found == {value["key"]: value["value"] for value in report["values"]}


def test_a_card_that_is_right_passes(genlab, carded):
    code, out, _ = genlab("card", "run=tiny", "--check")
    assert (code, out.count("says what the run's files say")) == (0, 1)
    page = carded / "CARD.md"
    page.write_text(page.read_text() + "\n## Intended use\n\nA lesson, of 12 hours.\n")
    assert genlab("card", "run=tiny", "--check")[0] == 0


@pytest.mark.parametrize(
    "where", ["table", "metadata", "json", "report", "row", "twice", "weights"]
)
def test_a_card_that_differs_fails(genlab, carded, where):
    file, report = report_of(carded)
    key, value = report["values"][0]["key"], report["values"][0]["value"]
    page, record = carded / "CARD.md", carded / "card.json"
    text = page.read_text()
    line = next(line for line in text.splitlines(True) if line.startswith(f"| `{key}` |"))
    better = line.replace(f"{value:.6g}", "0.5")
    if where == "table":
        page.write_text(text.replace(line, better))
    elif where == "metadata":
        page.write_text(text.replace(f"value: {value}", "value: 0.5"))
    elif where == "json":
        record.write_text(record.read_text().replace(str(value), "0.5"))
    elif where == "report":
        report["values"][0]["value"] = 0.5
        file.write_text(json.dumps(report))
    elif where == "row":
        page.write_text(text.replace(line, ""))
    elif where == "twice":
        page.write_text(text.replace(line, better + line))
    else:
        (carded / "checkpoints" / "best.ckpt").write_bytes(b"other")
    code, out, err = genlab("card", "run=tiny", "--check")
    assert (code, err) == (2, "")
    assert ("best.ckpt" if where == "weights" else key) in out


def test_a_page_edited_by_hand_is_kept(genlab, carded):
    page = carded / "CARD.md"
    page.write_text(page.read_text() + "mine")
    code, _, err = genlab("card", "run=tiny")
    assert (code, len(err.splitlines())) == (2, 1)
    assert "edited by hand" in err
    assert page.read_text().endswith("mine")
    assert genlab("card", "run=tiny", "out=other")[0] == 0


def test_a_card_is_written_anew_after_an_evaluation(genlab, carded):
    file, report = report_of(carded)
    report["values"][0]["value"], report["created"] = 0.25, "2999"
    (file.parent / "full-000000128.json").write_text(json.dumps(report))
    assert genlab("card", "run=tiny", "--check")[0] == 2
    assert genlab("card", "run=tiny")[0] == 0
    assert genlab("card", "run=tiny", "--check")[0] == 0
    assert "| 0.25 |" in (carded / "CARD.md").read_text()


def test_numbers_of_other_sampling_are_not_mixed_in(genlab, run):
    file, report = report_of(run)
    report["sampling"], report["created"] = {"temperature": 0.1}, "2999"
    report["values"][0]["value"] = 0.25
    (file.parent / "full-x.json").write_text(json.dumps(report))
    assert genlab("card", "run=tiny")[0] == 0
    text = (run / "CARD.md").read_text()
    assert "| 0.25 |" not in text
    assert "with other sampling, not in this table: `full-x.json`" in text


def test_a_run_without_an_evaluation_says_so(genlab, run):
    shutil.rmtree(run / "evaluation")
    code, out, _ = genlab("card", "run=tiny")
    assert (code, out.startswith("tiny: no numbers: genlab evaluate measures some")) == (0, True)
    text = (run / "CARD.md").read_text()
    assert "Nothing was measured: this run has no evaluation." in text
    assert "model-index" not in text
    assert genlab("card", "run=tiny", "--check")[0] == 0


def test_words_of_a_run_are_no_markup(genlab, run):
    identity = json.loads((run / "run.json").read_text())
    identity["classes"] = ["<script>alert(1)</script>", "a|b\n# head", "[x](http://x)"]
    identity["command"] = ["genlab", "train", "name=```\n# head\n<b>"]
    (run / "run.json").write_text(json.dumps(identity))
    assert genlab("card", "run=tiny")[0] == 0
    text = (run / "CARD.md").read_text()
    assert "<script>" not in text
    assert "\n# head" not in text
    assert text.count("```") == 2
    assert "[x]" not in text
    assert (plain("a*b"), code("a`b")) == ("a\\*b", "a'b")


def test_an_export_has_its_card(genlab, run, tmp_path):
    assert genlab("export", "run=tiny", "out=x")[0] == 0
    assert "](samples.png)" in (tmp_path / "x" / "CARD.md").read_text()
    sums = (tmp_path / "x" / "SHA256SUMS").read_text()
    assert all(name in sums for name in ("CARD.md", "card.json", "samples.png"))
    assert genlab("card", "run=tiny", "out=x", "--check")[0] == 0
    assert genlab("verify", "x")[0] == 0


def test_the_datasheet_of_a_data_set(genlab, tmp_path):
    code, out, err = genlab("card", "data=mnist", "data.limit=500")
    assert (code, out, err) == (0, "mnist: cards/mnist/CARD.md\n", "")
    text = (tmp_path / "cards" / "mnist" / "CARD.md").read_text()
    record = json.loads((tmp_path / "cards" / "mnist" / "card.json").read_text())
    head = yaml.safe_load(text.split("---\n")[1])
    assert head["license"] == "cc-by-sa-3.0"
    counts = {one["name"]: one["num_examples"] for one in head["dataset_info"]["splits"]}
    assert counts == record["images"] == {"train": 500, "val": 500, "test": 500}
    assert record["fingerprint"] in text
    assert "Yann LeCun" in text
    for title in ("Motivation", "Composition", "Collection", "Uses", "Distribution", "Maintenance"):
        assert f"\n## {title}\n" in text


def test_nothing_is_fetched_for_a_datasheet(genlab, tmp_path):
    code, out, _ = genlab("card", "data=celeba", f"data.root={tmp_path}", "out=c")
    assert (code, "without fingerprint: to download" in out) == (0, True)
    assert "not known, as the data are not on this machine" in (tmp_path / "c/CARD.md").read_text()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ([], "run=VALUE"),
        (["run=tniy"], "did you mean 'tiny'"),
        (["data=mnits"], "did you mean 'mnist'"),
        (["run=tiny", "data=mnist"], "not both"),
        (["run=tiny", "rnu=tiny"], "did you mean 'run'"),
        (["run=tiny", "data.limit=3"], "is for data=NAME"),
        (["data=mnist", "--check"], "is for run="),
        (["run=tiny", "--check"], "there is no card yet"),
        (["run=tiny", "out=/proc/x"], "cannot be written to"),
        (["run=tiny", "trust=[os]"], "your own"),
    ],
)
def test_mistakes_are_a_line(genlab, run, words, message):
    code, _, err = genlab("card", *words)
    assert (code, len(err.splitlines())) == (2, 1)
    assert message in err


def test_a_damaged_report_is_named(genlab, run):
    file, _ = report_of(run)
    file.write_text("{")
    code, _, err = genlab("card", "run=tiny")
    assert (code, f"{file.name}: is no report" in err) == (2, True)
