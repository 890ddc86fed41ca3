"""Bad words and bad files: one line, exit code 2, nothing made."""

import sys

import pytest

from ablate.cli.run import run

HEADER = "# @package _global_\n"
ABLATION = """
ablation:
  name: x
  question: How?
  key: method.rank
  values: [8, 16]
  baseline: 8
  metrics: [accuracy]
  source: me
  cost: little
  value: null
"""
FILE = HEADER + ABLATION
RANK = "+ablation=rank"
GROUPS_OF_7 = ("~method.options.d_initial", "+method.options.group_size=7")


def ablation(**changed: str) -> str:
    """Write an ablation file in which some lines of the ablation are others."""
    lines = [line for line in FILE.splitlines() if line.split(":")[0].strip() not in changed]
    return "\n".join([*lines, *(f"  {key}: {value}" for key, value in changed.items())]) + "\n"


def laughs(levels: int) -> str:
    """Aliases of aliases: ten to the power of `levels` values in a few lines."""
    lines = [f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 10)}]" for i in range(1, levels)]
    return "\n".join(["a0: &a0 [1, 1, 1, 1, 1, 1, 1, 1, 1, 1]", *lines])


WORDS = {
    "flag for a key": (["--rank=8"], "There is no flag '--rank=8'. Fix: write method.rank=8"),
    "flag for a key, apart": (["--epochs", "3"], "Fix: write train.epochs=VALUE"),
    "unknown flag": (["--foo"], "There is no flag '--foo'"),
    "unknown short flag": (["-x"], "There is no flag '-x'"),
    "flag without its value": (["--config-dir"], "expected one argument"),
    "no folder": (["--config-dir", "nope"], "--config-dir is 'nope', which is not a folder"),
    "no folder, joined": (["--config-dir=nope"], "which is not a folder"),
    "no such thing to show": (["--cfg", "foo"], "choose from"),
    "resolve nothing": (["--resolve"], "--resolve"),
    "two commands": (["--cfg", "job", "-m"], "Only one of"),
    "pickle": (["--experimental-rerun", "x"], "can run code"),
    "other configs": (["--config-path", "/tmp"], "Fix: --config-dir FOLDER"),
    "no primary config": (["--config-name", "nope"], "nope"),
    "no value": (["method.rank"], "KEY=VALUE"),
    "no key": (["=5"], "KEY=VALUE"),
    "open list": (["seeds=[0"], "cannot be parsed"),
    "open quote": (["name='a"], "cannot be parsed"),
    "not in the grammar": (["name=é"], "quotes"),
    "no function": (["train.epochs=foo(3)"], "foo"),
    "no choice": (["-m", "train.epochs=choice()"], "choice"),
    "group twice": (["method=lora", "method=lorsu"], "-m method=lora,lorsu"),
    "key twice": (["train.epochs=1", "train.epochs=2"], "train.epochs is given twice"),
    "ablation twice": ([RANK, "+ablation=heads"], "-m +ablation=rank,heads"),
    "model null": (
        ["model=null"],
        "model is null, but every run needs one. Available: language, llava",
    ),
    "too few steps": (
        ["method=adalora", "train.epochs=1", "train.batch_size=999", "data.shots=1"],
        "Training has 1 optimiser step, but method 'adalora' needs at least 2. Fix: train.epochs=2",
    ),
    "method null": (["method=null"], "Available: adalora"),
    "data null": (["data=null"], "Available: aircraft, choices"),
    "train null": (["train=null"], "train is null"),
    "launcher null": (["hydra/launcher=null"], "hydra/launcher is null"),
    "encoder null is fine": (["encoder=null", "train.epochs=0"], "train.epochs is 0"),
    "tasks null is fine": (["tasks=null", "train.epochs=0"], "train.epochs is 0"),
    "control null is fine": (["data@controls.source=null", "train.epochs=0"], "train.epochs is 0"),
    "words on both sides of a flag": (["method=lora", "-m", "seed=-1"], "seed is -1"),
    "rq": (["hydra/launcher=rq"], "pip install hydra-rq-launcher"),
    "joblib": (["hydra/launcher=joblib"], "pip install hydra-joblib-launcher"),
    "cluster null": (["cluster=null"], "Available: box, none, slurm"),
    "cluster misspelt": (["cluster=slum"], "Did you mean 'slurm'"),
    "key of another cluster": (["cluster.partition=gpu"], "add cluster=slurm"),
    "cluster and launcher": (["cluster=slurm", "hydra/launcher=basic"], "Fix: give one of them"),
    "sweep over clusters": (["-m", "cluster.kind=none,slurm"], "give cluster.kind one value"),
    "cluster as axis": (["+ablation=rank", "ablation.key=cluster.kind"], "no values to compare"),
    "launcher misspelt": (["hydra/launcher=basc"], "Did you mean 'basic'"),
    "other sweeper": (["hydra/sweeper=basic"], "leave hydra/sweeper out"),
    "sweeper no mapping": (["hydra.sweeper=3"], "int"),
    "single run": (["hydra.mode=RUN"], "leave hydra.mode out"),
    "launcher by hand": (["hydra.launcher._target_=foo.bar"], "foo.bar"),
    "logging no mapping": (["hydra.job_logging=5"], "hydra.job_logging=5"),
    "verbosity": (["hydra.verbose=5.5"], "Fix"),
    "search path": (["hydra.searchpath=[file:///nope]"], "which is not a folder"),
    "search path no list": (["hydra.searchpath=5"], "list of strings"),
    "glob matches nothing": (["-m", "method=glob(lorz*)"], "matches nothing"),
    "empty range": (["-m", "method.rank=range(5,1)"], "matches nothing"),
    "endless sweep": (["-m", "seed=range(0,100000000)"], "more than 10000 runs"),
    "interval": (["-m", "method.rank=interval(1,2)"], "INTERVAL_SWEEP"),
    "path up": (["+ablation=../ablation/rank"], "is outside the config folders"),
    "path from the root": (["+ablation=/tmp/x"], "Unknown ablation"),
    "surrogate": (["+ablation=caf\udce9"], "not UTF-8"),
    "NUL": (["+ablation=a\0b"], "NUL"),
    "digits": (["train.epochs=" + "9" * 5000], "a number of 5000 digits"),
    "nested lists": (["name=" + "[" * 3000], "nested deeper than 64 levels"),
    "nested mappings": (["name=" + "{a:" * 3000], "nested deeper than 64 levels"),
    "entry of a mapping": (
        ["data=imagefolder", "data.path=.", "data.class_names.cat=x"],
        "data.class_names has no entry 'cat'. Fix: write +data.class_names.cat=...",
    ),
    "below a value": (["seeds.x=1"], "Unknown key 'seeds.x'"),
    "exists": (["+train.epochs=3"], "train.epochs exists already"),
    "delete nothing": (["~nope"], "nope"),
    "pair of one": (["train.betas=[0.9]"], "train.betas.1"),
    "switch for a number": (["train.learning_rate=true"], "train.learning_rate is True"),
    "text for a number": (["train.learning_rate='1e-3'"], "train.learning_rate is '1e-3'"),
    "no number": (["train.learning_rate=nan"], "finite"),
    "large seed": (["seed=99999999999"], "seed is 99999999999"),
    "switch for a seed": (["seeds=[0,true]"], "seeds.1 is True"),
    "seeds no list": (["seeds=5"], "Fix: seeds=[0,1,2]"),
    "number for a switch": (["fail_fast=1"], "fail_fast is 1"),
    "minimum above the peak": (
        ["train.minimum_learning_rate=1"],
        "train.minimum_learning_rate is 1.0, above train.learning_rate",
    ),
    "empty model name": (["model.name=''"], "model.name is ''"),
    "blank data name": (["data.name=' '"], "data.name is"),
    "empty question": (["data.question=''"], "data.question is ''"),
    "question with an image": (["data.question='<image> what?'"], "a second image"),
    "one word for yes and no": (
        ["data=yes-no", "data.path=x", "data.negative=' Yes'"],
        "data.positive is 'yes' and data.negative is ' Yes'",
    ),
    "a word within the other": (
        ["data=vsr", "data.negative=untrue"],
        "data.reading=lenient cannot tell apart",
    ),
    "empty question of an ablation": ([RANK, "ablation.question=''"], "ablation.question is ''"),
    "empty name of an ablation": ([RANK, "ablation.name=''", "name=a"], "ablation.name is ''"),
    "ablation out of a mapping": (["+ablation={a:1}"], "ablation"),
    "ablation by key": (["+ablation.x=1"], "ablation.key is None"),
    "no plus": (["ablation=rank"], "+ablation"),
    "peft type misspelt": (["method=vera", "method.peft_type=VEAR"], "Did you mean 'VERA'"),
    "peft type for prompts": (
        ["method=vera", "method.peft_type=PREFIX_TUNING"],
        "wraps no layers that it could be merged into",
    ),
    "peft option misspelt": (
        ["method=vera", "+method.options.d_inital=0.1"],
        "Unknown option in method.options 'd_inital'. Did you mean 'd_initial'",
    ),
    "peft option of another type": (
        ["method=vera", "method.options.d_initial=high"],
        "method.options.d_initial is 'high'; allowed: a valid number",
    ),
    "peft option that fits no layer": (
        ["method=vera", "method.peft_type=ROAD", "method.rank=null", *GROUPS_OF_7],
        "peft refuses method 'vera' (ROAD)",
    ),
    "layer of the language model": (
        ["method=lora-l", "method.target_modules.language_model=[q_prj]"],
        "Did you mean 'q_proj'",
    ),
    "blocks of the language model": (["method=lorsu-l", "method.blocks=9"], "has only 3"),
    "values twice": ([RANK, "ablation.values=[8,8]"], "ablation.values has 8 twice"),
    "values alike": ([RANK, "ablation.values=[8,8.0]"], "ablation.values has 8.0 twice"),
    "values of two kinds": (
        [RANK, "ablation.values=[1,true]", "ablation.baseline=1"],
        "true and false only, or neither",
    ),
    "null value": ([RANK, "ablation.values=[8,null]"], "ablation.values has None"),
    "list value": ([RANK, "ablation.values=[8,[9]]"], "ablation.values has [9]"),
    "values no list": ([RANK, "ablation.values=8"], "at least one value"),
    "values deleted": ([RANK, "~ablation.values"], "ablation.values is None"),
    "baseline of another kind": (
        [RANK, "ablation.values=[1,2]", "ablation.baseline=true"],
        "not among the values",
    ),
    "unknown metric": ([RANK, "ablation.metrics=[acuracy]"], "Did you mean 'accuracy'"),
    "metric no number": (
        [RANK, "ablation.metrics=[status]"],
        "not a numeric column of results.csv",
    ),
    "no metric": ([RANK, "ablation.metrics=[]"], "ablation.metrics is []"),
    "environment in a name": (["name=${oc.env:HOME}"], "name takes its value from the environment"),
    "environment in a seed": (["seeds=${oc.env:HOME}"], "seeds takes its value"),
    "interpolation of itself": (["name=${name}"], "(key: name)"),
    "interpolation of nothing": (["name=${nope}"], "(key: name)"),
}

NAMES = ["..", ".", "a/b", "a\\b", ".cache", "' a'", "'a\nb'", "'a\x1b[31m'", "''", "a" * 256]

NO_AXES = ["name", "output_dir", "force", "seed", "seeds", "device", "save_model", "fail_fast"]

FILES = {
    "not UTF-8": (b"\xff\xfe# hi\n", "is not UTF-8"),
    "set": (FILE + "train: !!set {a, b}\n", "line 13, has the tag !!set"),
    "unknown tag": (FILE + "train: !foo bar\n", "has the tag !foo"),
    "python tag": (FILE + "train: !!python/object/apply:os.getcwd []\n", "has the tag"),
    "defaults name itself": ("defaults: [x]\n", "refers to itself"),
    "anchor in itself": ("a: &a [*a]\n", "refers to itself by *a"),
    "anchor in its mapping": ("a: &a {b: *a}\n", "refers to itself by *a"),
    "billion laughs": (laughs(10), "its aliases counted"),
    "many values": ("".join(f"a{i}: 1\n" for i in range(20_000)), "more than 20000 values"),
    "large": ("a: " + "x" * (1 << 20), "larger than 1048576 bytes"),
    "deep": ("a: " + "[" * 10_000, "nested deeper than 64 levels"),
    "digits": (ablation(baseline="8" * 5000), "a number of 5000 characters"),
    "digits, base 16": (ablation(baseline="0x" + "8" * 5000), "a number of 5002 characters"),
    "digits, base 60": (ablation(baseline="1" + ":1" * 5000), "a number of 10001 characters"),
    "surrogate key": ('"\\ud800": 1\n', "surrogate"),
    "surrogate text": (ablation(question='"\\ud800"'), "surrogate"),
    "number as a key": (FILE + "1: x\n", "has the key 1"),
    "control character": ("a: \x01\n", "is not YAML"),
    "open list": ("a: [1\nb: 2\n", "line 2, is not YAML"),
    "tab": ("a:\n\t- 1\n", "line 2, is not YAML"),
    "key twice": ("a: 1\na: 2\n", "duplicate key a"),
    "two documents": ("a: 1\n---\na: 2\n", "is not YAML"),
    "list": ("- a\n", "holds a list"),
    "empty": ("", "ablation.key is None"),
    "open interpolation": (FILE + "name: ${nope\n", "'${nope'"),
    "unknown resolver": (FILE + "name: ${foo:bar}\n", "(key: name)"),
    "header of two": ("# @package a b\nx: 1\n", "Too many components"),
    "header without a value": ("# @package\nx: 1\n", "# @package _global_"),
    "no header": (ABLATION, "'# @package _global_' as its first line"),
    "ablation is a text": (HEADER + "ablation: rank\n", "ablation is 'rank'"),
    "ablation is a list": (HEADER + "ablation: [rank]\n", "ablation is ['rank']"),
    "ablation is null": (HEADER + "ablation: null\n", "defines no ablation"),
    "no ablation": (HEADER + "seeds: [0]\n", "defines no ablation"),
    "missing default": (FILE + "defaults: [nope]\n", "There is no config 'ablation/nope'"),
    "default of two": (FILE + "defaults: [{a: b, c: d}]\n", "in its defaults"),
    "default is a number": (FILE + "defaults: [{a: 1}]\n", "in its defaults"),
    "default is null": (FILE + "defaults: [null]\n", "in its defaults"),
    "default is empty": (FILE + "defaults: ['']\n", "in its defaults"),
    "defaults are a text": (FILE + "defaults: nope\n", "in its defaults"),
    "name leads out": (FILE + "name: ..\n", "name is '..'"),
    "name of the ablation leads out": (ablation(name=".."), "name is '..'"),
    "line break in a name": (ablation(name='"a\\nb"'), "name is 'a\\nb'"),
    "environment": (FILE + "model: {name: '${oc.env:HOME}'}\n", "model.name takes its value"),
    "environment by another key": (
        FILE + "data: {name: '${model.llava}'}\nmodel: {llava: '${oc.env:HOME}'}\n",
        "data.name takes its value",
    ),
    "environment by a built name": (
        FILE + "name: ${${train.optimizer}:HOME}\ntrain: {optimizer: oc.env}\n",
        "name takes its value",
    ),
}


@pytest.fixture
def refused(capsys, monkeypatch, tmp_path):
    """Call `ablate run` on something bad; return the one line it says."""
    monkeypatch.setattr(sys, "argv", ["ablate"])
    monkeypatch.delenv("HYDRA_FULL_ERROR", raising=False)
    monkeypatch.chdir(tmp_path)

    def call(*words: str) -> str:
        before = sorted(tmp_path.rglob("*"))
        code = run(list(words))
        shown = capsys.readouterr()
        assert code == 2, shown
        assert shown.err.startswith("ablate run: ")
        assert shown.err.count("\n") == 1, shown.err
        assert "Traceback" not in shown.err
        assert shown.out == ""
        assert sorted(tmp_path.rglob("*")) == before
        return shown.err

    return call


@pytest.mark.parametrize("case", WORDS)
def test_words(refused, case):
    words, said = WORDS[case]
    assert said in refused(*words)


def test_data_for_which_memory_does_not_suffice(refused, monkeypatch):
    def load(*_):
        raise MemoryError("Unable to allocate 24.0 GiB")

    monkeypatch.setattr("ablate.runner.prepare.load_data", load)
    assert "The data do not fit into memory (Unable to allocate 24.0 GiB). Fix: fewer" in refused()


@pytest.mark.parametrize("name", NAMES)
def test_a_name_is_one_plain_folder_name(refused, name):
    assert "allowed: a plain folder name" in refused(f"name={name}")


@pytest.mark.parametrize("key", [*NO_AXES, "ablation.name", "hydra.mode"])
def test_a_key_that_determines_no_result_is_no_axis(refused, key):
    assert f"ablation.key is '{key}'" in refused(RANK, f"ablation.key={key}")


@pytest.mark.parametrize("case", FILES)
def test_files(refused, tmp_path, case):
    text, said = FILES[case]
    file = tmp_path / "my" / "ablation" / "x.yaml"
    file.parent.mkdir(parents=True)
    file.write_bytes(text if isinstance(text, bytes) else text.encode())
    assert said in refused("--config-dir", "my", "+ablation=x")


def test_two_files_whose_defaults_name_each_other(refused, tmp_path):
    folder = tmp_path / "my" / "ablation"
    folder.mkdir(parents=True)
    (folder / "x.yaml").write_text("defaults: [y]\n")
    (folder / "y.yaml").write_text("defaults: [x]\n")
    assert "refers to itself" in refused("--config-dir", "my", "+ablation=x")


def test_a_shipped_config_is_not_taken_for_a_users_of_the_same_name(refused, tmp_path):
    folder = tmp_path / "my" / "method"
    folder.mkdir(parents=True)
    (folder / "lora.yaml").write_text("name: lora\nrank: 3\n")
    assert "Fix: give it another name" in refused("--config-dir", "my", "method=lora")
