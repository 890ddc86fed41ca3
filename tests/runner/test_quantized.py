"""A run on a language model in 4 bit: its row says so, its caches are its own, and nothing may train what is frozen."""

import pytest
from tests.conftest import read_results

TINY = ["model.llava=tiny:llava", "model.clip=tiny:clip"]
FEW = ["data.shots=1", "data.test_items=8"]


def test_a_run_on_four_bits_says_so(ablate_run):
    code, outputs = ablate_run(*TINY, *FEW, "model.quantization=4bit,null", "-m")
    assert code == 0
    rows = read_results(outputs / "run").set_index("quantization", drop=False)
    assert rows["quantization"].fillna("").tolist() in (["4bit", ""], ["", "4bit"])
    assert rows["run_id"].nunique() == rows["config_id"].nunique() == 2
    # Neither read what the other had left in the cache.
    assert len(list((outputs / ".cache").glob("importance-*"))) == 2
    assert len(list((outputs / ".cache").glob("answers-*"))) == 2


@pytest.mark.parametrize(
    ("bits", "word", "message"),
    [
        ("4bit", "method=lora-f", "method is 'lora-f', which trains the language model"),
        ("8bit", "save_model=true", "save_model is true, but model.quantization is '8bit'"),
        ("3bit", "seed=0", "model.quantization is '3bit'"),
    ],
)
def test_what_needs_the_weights_as_they_were_is_refused(bits, word, message, ablate_run, capsys):
    code, outputs = ablate_run(f"model.quantization={bits}", word)
    assert code == 2
    assert message in capsys.readouterr().err
    assert not outputs.exists()
