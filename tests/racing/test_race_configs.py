"""The configs of the group race/, and what is typed beside them; nothing is trained."""

import re

import pytest

from genlab.cli.entry import main
from genlab.commands import race as command
from genlab.config.folders import config_dir
from genlab.errors import ConfigError
from genlab.launch.race_run import machine_share, misfits_of
from genlab.racing.directory_of_race import RaceDirectory
from genlab.racing.fitting_data import Facts, why_out
from genlab.racing.race_settings import Budget, RaceRecord, read_race_config
from racing.fake import FACTS

NAMES = sorted(file.stem for file in (config_dir() / "race").glob("*.yaml"))
MNIST = Facts.of(FACTS | {"train_images": 55_000, "classes": 10})


@pytest.fixture
def genlab(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)

    def run(*words):
        capsys.readouterr()
        code = main(["race", *words])
        return code, *capsys.readouterr()

    return run


def read(name, **given):
    return read_race_config(name, [config_dir()], given)


@pytest.mark.parametrize("name", NAMES)
def test_every_candidate_composes_and_suits_mnist(name):
    asked = RaceRecord(read(name), Budget(600, "seconds"), ("data=mnist",))
    assert misfits_of(asked) == {}
    assert [n for n, c in asked.candidates.items() if why_out(c, MNIST)] == []
    assert len(asked.candidates) >= 4


@pytest.mark.parametrize("name", NAMES)
def test_every_config_says_its_promise_its_command_and_what_was_measured(name):
    lines = (config_dir() / "race" / f"{name}.yaml").read_text().splitlines()
    assert re.fullmatch(r"# [A-Z].*\.", lines[0])
    assert lines[1].startswith("# command: genlab race ")
    assert lines[2].startswith("# measured: ")


def test_a_record_comes_back_as_it_was():
    asked = RaceRecord(read("quick"), Budget(2e5, "images"), ("data=mnist",), 3, 2, 1, "/x", "/y")
    assert RaceRecord.of(asked.plain()) == asked


def test_words_come_after_the_candidates_own():
    asked = RaceRecord(read("quick"), Budget(1, "seconds"), ("data=mnist", "model.latent=3"), 5)
    words = asked.overrides("vae", 7)
    assert words.index("model=vae") < words.index("model.latent=3") < words.index("seed=7")
    assert words[0] == "scheduler=constant"


@pytest.mark.parametrize(
    ("text", "budget"),
    [
        ("30m", Budget(1800, "seconds")),
        ("90s", Budget(90, "seconds")),
        ("2h", Budget(7200, "seconds")),
        ("200000images", Budget(200_000, "images")),
        ("200_000 images", Budget(200_000, "images")),
    ],
)
def test_budgets_are_read(text, budget):
    assert command.budget_of(text) == budget
    assert command.budget_of(budget.text) == budget


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["data=mnist"], "budget: no value; budget=30m, or budget=200000images"),
        (["data=mnist", "budget=soon"], "budget=soon: a time such as 90s, 30m or 2h"),
        (["data=mnist", "budget=0images"], "budget=0images: at least one image"),
        (["budget=3m"], "data: no value; what is to be modelled. data=celeba"),
        (["data=mnist", "budget=3m", "race=quik"], "race=quik: families, quick, thorough are"),
        (["data=mnist", "budget=3m", "only=vae,flw"], "only=flw: .*did you mean 'flow'"),
        (["data=mnist", "budget=3m", "only=vae"], "1 candidate; a race needs two"),
        (["data=mnist", "budget=3m", "eta=1"], "race.eta=1: an integer >= 2"),
        (["data=mnist", "budget=3m", "seeds=x"], "race.seeds=.?x.?: an integer >= 1"),
        (["data=mnist", "budget=3m", "workers=0"], "workers=0: an integer >= 1"),
        (["data=mnist", "budget=3m", "workers=4096"], "this machine has"),
        (["data=mnist", "budget=3m", "trainer.epochs=3"], "trainer.epochs=3: the race sets it"),
        (["data=mnist", "budget=3m", "budgt=3m"], "budgt=3m: unknown key.*'budget'"),
        (["data=mnist", "budget=3m", "scheduler=cosine"], "scheduler=cosine: no run of a race"),
        (["data=mnist", "budget=3m", "quick"], "quick: key=value is needed"),
        (["data=mnist", "budget=3m", "data.limt=3"], "data.limt.*did you mean 'limit'"),
        (["data=mnst", "budget=3m"], "data=mnst.*mnist"),
        (["data=mnist", "budget=3m", "name=../x"], "name"),
        (["status", "nothing"], "nothing: there is no such race"),
        (["resume", "last"], "there is no race under runs"),
    ],
)
def test_what_is_wrong_is_answered_in_a_line_before_anything_is_made(genlab, tmp_path, words, said):
    code, _, err = genlab(*words)
    assert code == 2, err
    assert re.search(said, err), err
    assert not (tmp_path / "runs").exists()


def test_help_says_what_there_is(genlab):
    code, out, _ = genlab("--help")
    assert code == 0
    assert all(key in out for key in command.KEYS if key not in ("profile",))


def test_a_config_of_ones_own_is_checked(tmp_path):
    (tmp_path / "race").mkdir()
    file = tmp_path / "race" / "mine.yaml"
    text = (config_dir() / "race" / "quick.yaml").read_text()
    file.write_text(text.replace("finalists: 2", "finalists: 1").replace("most_dims", "most_dim"))
    with pytest.raises(ConfigError) as error:
        read_race_config("mine", [config_dir(), tmp_path], {})
    assert "race.finalists=1: an integer >= 2" in str(error.value)
    assert "did you mean 'most_dims'" in str(error.value)
    file.write_text(text.replace("vae: [model=vae]", "vae: 3"))
    with pytest.raises(ConfigError, match=r"race.candidates.vae: a list of overrides is needed"):
        read_race_config("mine", [config_dir(), tmp_path], {})


def test_the_machine_is_divided(monkeypatch):
    monkeypatch.setattr("os.sched_getaffinity", lambda pid: set(range(8)))
    monkeypatch.setattr("genlab.launch.race_run.gpus", list)
    monkeypatch.setattr("genlab.launch.race_run.available_mib", lambda: 1e6)
    assert machine_share(5, None, None) == (5, 1)
    assert machine_share(2, None, None) == (2, 4)
    assert machine_share(9, None, 4) == (2, 4)
    assert machine_share(9, 1, None) == (1, 8)
    monkeypatch.setattr("genlab.launch.race_run.gpus", lambda: ["0", "1"])
    assert machine_share(9, None, None) == (2, 4)
    monkeypatch.setattr("genlab.launch.race_run.available_mib", lambda: 3000.0)
    assert machine_share(9, None, None) == (1, 8)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["eta=2"], "eta=2: a resumed race keeps its settings; seeds=N may grow"),
        (["seeds=2"], "seeds=2: the finalists have 3 each; more can be added"),
        (["seeds=6", "seeds=7"], "seeds=7: a resumed race keeps"),
    ],
)
def test_only_seeds_can_be_added_to_a_race(genlab, tmp_path, words, said):
    asked = RaceRecord(read("quick"), Budget(600, "seconds"), ("data=mnist",), folder=str(tmp_path))
    RaceDirectory.create(tmp_path / "runs", "r", asked, ["genlab", "race"])
    code, _, err = genlab("resume", "r", *words)
    assert code == 2
    assert said in err


def test_a_race_that_exists_is_resumed_and_not_made_anew(genlab, tmp_path):
    asked = RaceRecord(read("quick"), Budget(600, "seconds"), ("data=mnist",))
    RaceDirectory.create(tmp_path / "runs", "r", asked, ["genlab", "race"])
    code, _, err = genlab("data=mnist", "budget=3m", "race=quick", "name=r")
    assert code == 2
    assert "runs/r exists; resume it: genlab race resume runs/r" in err
    assert genlab("status", "r")[1].startswith("runs/r: stopped, 0 s of budget=10m\n  vae ")
