"""Hydra still has what is patched, and each patch does what it says; without it, Hydra does not."""

import sys
from contextlib import nullcontext
from pathlib import Path

import hydra
import pytest
from hydra.core.config_store import ConfigStore
from omegaconf import OmegaConf

from genlab.errors import ConfigError
from genlab.launch.hydra_app import versioned
from genlab.launch.hydra_patches import (
    limited_packages,
    no_multirun_file,
    parse_arguments,
    parse_overrides,
    prefer_own_configs,
    wrapped_config_loader,
    wrapped_launcher,
)
from genlab.system.patching import replaced


@pytest.fixture
def app(tmp_path, monkeypatch):
    """Runs a command line of a small application of Hydra's; gives the configs of its jobs."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HYDRA_FULL_ERROR", "1")
    monkeypatch.syspath_prepend(tmp_path)
    Path("configs").mkdir()
    Path("configs/main.yaml").write_text(
        "defaults: [_self_, override hydra/job_logging: none, override hydra/hydra_logging: none]\n"
        "seed: 0\nhydra: {output_subdir: null, run: {dir: .}, sweep: {dir: sweep, subdir: .}}\n"
    )
    Path("planted.py").write_text("")

    def run(*words):
        seen = []
        main = hydra.main(
            config_path=str(tmp_path / "configs"), config_name="main", **versioned(())
        )
        with replaced(sys, "argv", ["app", *words]):
            main(seen.append)()
        return [cfg.seed for cfg in seen]

    return run


class Recorder:
    """A config loader or a launcher that notes what it is asked for."""

    def __init__(self, inner, calls):
        self.inner, self.calls = inner, calls

    def __getattr__(self, name):
        def called(*args, **named):
            self.calls.append((name, args, named))
            return getattr(self.inner, name)(*args, **named)

        return called


def test_hydra_composes_with_the_wrapped_loader(app):
    calls = []
    with wrapped_config_loader(lambda loader: Recorder(loader, calls)):
        assert app("--cfg", "job") == []
        assert [name for name, _, _ in calls] == ["load_configuration"]
        assert calls[0][2]["overrides"] == []
    calls.clear()
    app("--cfg", "job")
    assert calls == []


def test_only_known_packages_are_searched(app):
    words = ["--cfg", "job", "hydra.searchpath=[pkg://planted]"]
    with limited_packages(("hydra",)), pytest.raises(ConfigError, match="pkg://planted"):
        app(*words)
    assert "planted" not in sys.modules
    with pytest.warns(UserWarning, match="planted"):  # which is no package, and was imported
        app(*words)
    assert sys.modules.pop("planted")


def test_a_sweeper_launches_with_the_wrapped_launcher(app):
    calls, parts = [], []

    def wrap(launcher, loader, config):
        parts.extend([loader, config])
        return Recorder(launcher, calls)

    with wrapped_launcher(wrap):
        assert app("-m", "seed=1,2") == [1, 2]
    (name, args, named) = calls[0]
    assert (name, *args, named) == ("launch", [["seed=1"], ["seed=2"]], {"initial_job_idx": 0})
    assert parts[0].load_sweep_config(parts[1], ["seed=3"]).seed == 3


@pytest.mark.parametrize("patched", [True, False])
def test_what_was_typed_is_kept_in_no_file(app, patched):
    with no_multirun_file() if patched else nullcontext():
        app("-m", "seed=1,2")
        OmegaConf.save({"best": 1}, "sweep/optimization_results.yaml")
    assert Path("sweep/optimization_results.yaml").read_text() == "best: 1\n"
    assert Path("sweep/multirun.yaml").exists() is not patched


def test_own_configs_stand_before_those_of_plugins():
    store = ConfigStore.instance()
    for name in ("joblib", "of_another_plugin"):
        store.store(group="hydra/launcher", name=name, node={"a": 1})
    prefer_own_configs()
    assert "joblib.yaml" not in store.repo["hydra"]["launcher"]
    assert store.repo["hydra"]["launcher"].pop("of_another_plugin.yaml").node == {"a": 1}


def test_flags_are_parsed_wherever_they_stand():
    args = parse_arguments(["seed=1,2", "-m", "a=b", "--config-dir", "mine", "c=d"])
    assert args.overrides == ["seed=1,2", "a=b", "c=d"]
    assert args.flags == ["--multirun", "--config-dir", "mine"]
    assert (args.multirun, args.config_dir, args.cfg, args.info) == (True, "mine", None, None)
    for words in (["--nope"], ["--cfg"], ["--experimental-rerun", "x.pickle"]):
        with pytest.raises(ConfigError, match=words[0]):
            parse_arguments(words)


def test_overrides_are_parsed_as_hydra_does():
    fixed, chosen, ranged, interval = parse_overrides(
        ["+a=1", "b=x,y", "c=range(1,9,4)", "d=interval(0,1)"]
    )
    assert (fixed.get_key_element(), fixed.input_line) == ("+a", "+a=1")
    assert not fixed.is_sweep_override()
    for sweep, values in ((chosen, ["x", "y"]), (ranged, ["1", "5"])):
        assert sweep.is_sweep_override()
        assert sweep.is_discrete_sweep()
        assert list(sweep.sweep_string_iterator()) == values
    assert ranged.is_range_sweep()
    assert interval.is_interval_sweep()
    assert (interval.value().start, interval.value().end) == (0, 1)
