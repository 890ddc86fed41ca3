"""Blocks through torch.compile: the same numbers, and only where one compilation serves many passes."""

import copy
import os

import pytest
import torch
from tests.conftest import read_results
from torch._dynamo.utils import counters
from transformers import DynamicCache

from ablate.models.compiled import compile_blocks
from ablate.training.memory import recomputing

# Torch's compiler imports what torch calls out of date, and looks at gradients that there are none of.
pytestmark = [
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore:The .grad attribute:UserWarning"),
]


@pytest.fixture
def models(tiny_random_vlm):
    """The same model twice, the second compiled; nothing else is."""
    torch.compiler.reset()
    counters.clear()
    compiled = copy.deepcopy(tiny_random_vlm)
    compile_blocks(compiled)
    yield tiny_random_vlm, compiled
    torch.compiler.reset()


def read(vlm, n_prompts, length):
    ids = torch.randint(20, 300, (n_prompts, length), generator=torch.Generator().manual_seed(0))
    embeddings = vlm.llava.get_input_embeddings()(ids).detach().requires_grad_(True)
    mask = torch.ones_like(ids)
    mask[0, : length // 3] = 0
    hidden = vlm.llava.model.language_model(
        inputs_embeds=embeddings, attention_mask=mask, use_cache=False
    ).last_hidden_state
    hidden = hidden[mask.bool()]
    (hidden * torch.linspace(-1, 1, hidden.numel()).view_as(hidden)).sum().backward()
    return hidden.detach(), embeddings.grad


def near(one, other):
    return float((one - other).abs().max()) <= 1e-4 * float(one.abs().max())


def n_compiled():
    return counters["stats"]["unique_graphs"]


def test_a_frozen_language_model_computes_the_same_for_prompts_of_any_number_and_length(models):
    plain, compiled = models
    for vlm in models:
        vlm.requires_grad_(False)
    for shape in ((2, 12), (3, 30), (5, 21), (4, 40)):
        for one, other in zip(read(plain, *shape), read(compiled, *shape), strict=True):
            assert near(one, other)
    # One graph for all blocks and shapes.
    assert 1 <= n_compiled() <= 2


def test_a_block_that_is_trained_recomputed_or_keeps_what_it_reads_is_left_alone(models):
    _, vlm = models
    language = vlm.llava.model.language_model
    ids = torch.tensor([[5, 6, 7, 8]])
    vlm.requires_grad_(False).eval()
    language(input_ids=ids, past_key_values=DynamicCache(), use_cache=True)
    with recomputing(vlm, wanted=True):
        read(vlm.train(), 2, 8)
    vlm.eval()
    language.requires_grad_(True)
    read(vlm, 2, 8)
    assert n_compiled() == 0
    language.requires_grad_(False)
    read(vlm, 2, 8)
    assert n_compiled() == 1


def test_a_run_that_compiles_is_another_run_and_says_so(ablate_run):
    words = ["method=lorsu", "data.test_items=8"]
    code, outputs = ablate_run(*words, "model.compile=false,true", "-m")
    assert code == 0
    rows = read_results(outputs / "run")
    assert rows["status"].tolist() == ["ok", "ok"]
    assert rows["config_id"].nunique() == 2
    assert set(rows["model.compile"]) == {False, True}


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (
            ["model.compile=true", "model.quantization=4bit"],
            "model.compile is true, but model.quantization is '4bit'",
        ),
        (["model.compile=2"], "model.compile is 2"),
    ],
)
def test_what_cannot_be_compiled_is_refused(words, message, ablate_run, capsys):
    code, outputs = ablate_run(*words)
    assert code == 2
    assert message in capsys.readouterr().err
    assert not outputs.exists()


def test_without_a_compiler_nothing_begins(ablate_run, capsys, monkeypatch, tmp_path):
    monkeypatch.delenv("CXX", raising=False)
    monkeypatch.setenv("PATH", str(tmp_path))
    code, outputs = ablate_run("model.compile=true")
    assert code == 2
    assert "needs a C++ compiler, but 'g++' is not on the path" in capsys.readouterr().err
    assert not outputs.exists()


@pytest.mark.filterwarnings("ignore:Failed to load the CUDA extension")
@pytest.mark.filterwarnings("ignore:Setting boft_n_butterfly_factor to 1")
def test_no_method_changes_which_compiler_is_called(ablate_run, capsys):
    """Peft's BOFT sets `CXX` for good; the names of all methods are tried where one is misspelt, too."""
    before = dict(os.environ)
    boft = ["method=vera", "method.peft_type=BOFT", "method.rank=null"]
    options = ["~method.options.d_initial", "+method.options.boft_block_size=4"]
    code, _ = ablate_run(*boft, *options)
    printed = capsys.readouterr()
    assert code == 0, printed.out + printed.err
    assert ablate_run("method=vera", "method.peft_type=VEAR")[0] == 2
    assert [os.environ.get(name) for name in ("CC", "CXX")] == [
        before.get(name) for name in ("CC", "CXX")
    ]
