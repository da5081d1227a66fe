"""Numbers of another checkpoint, of other weights or of another split never stand for a run's."""

import json

import pytest
from faults.tiny import words

FEW = (
    "metrics.extractors=[pixels]",
    "metrics.n_samples=100",
    "metrics.metrics=[frechet,likelihood]",
)


@pytest.mark.parametrize("way", ["weights=raw", "checkpoint=last", "split=val"])
def test_another_way_has_a_row_and_a_file_of_its_own(genlab, tmp_path, way):
    assert genlab("train", *words("vae_mlp", "metrics.metrics=[frechet]"), "name=r")[0] == 0
    run = tmp_path / "runs" / "r"
    assert genlab("evaluate", "run=r", *FEW)[0] == 0
    before = json.loads((run / "summary.json").read_text())["metrics"]
    files = set((run / "evaluation").glob("*.json"))
    code, _, err = genlab("evaluate", "run=r", *FEW, way)
    assert code == 0, err
    assert json.loads((run / "summary.json").read_text())["metrics"] == before
    assert len(set((run / "evaluation").glob("*.json"))) == len(files) + 1
    code, out, err = genlab("compare", "runs", "--runs", "--json")
    assert code == 0, err
    rows = json.loads(out[out.index("{") :])["runs"]
    assert sorted(row["name"] for row in rows) == ["r", f"r [{way}]"]
