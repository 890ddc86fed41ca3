"""lm-evaluation-harness in process, offline, on a task file and data that the test brings."""

import json
import sys

import pytest
import torch
from tests.evaluation.tasks.suites import by_id, outcome_of, predictions, read_task

from ablate.config.errors import ConfigError
from ablate.evaluation.tasks.language_model import causal_language_model
from ablate.evaluation.tasks.load import load_task

lm_eval = pytest.importorskip("lm_eval")

QUESTIONS = ("what?", "what shape is there?", "which colour has the thing in the corner?")
OPTIONS = ("red", "blue", "circle", "square")
TASK_FILE = """
task: {name}
dataset_path: json
dataset_kwargs:
  data_files: {{test: {data}, train: {data}}}
test_split: test
training_split: train
output_type: {output_type}
doc_to_text: "USER: {{{{question}}}} ASSISTANT:"
doc_to_target: {target}
metric_list:
  - metric: {metric}
    aggregation: mean
    higher_is_better: true
metadata:
  version: 1.0
"""


@pytest.fixture
def folder(tmp_path):
    """A folder with one task of choices, one of generated answers, and their data."""
    rows = [
        {
            "question": f"{QUESTIONS[number % 3]} {number}",
            "choices": list(OPTIONS),
            "label": number % 4,
            "word": OPTIONS[number % 4],
        }
        for number in range(18)
    ]
    data = tmp_path / "rows.jsonl"
    data.write_text("\n".join(map(json.dumps, rows)) + "\n", encoding="utf-8")
    choices = TASK_FILE.format(
        name="own_choices", data=data, output_type="multiple_choice", target="label", metric="acc"
    )
    (tmp_path / "choices.yaml").write_text(choices + "doc_to_choice: choices\n", encoding="utf-8")
    answers = TASK_FILE.format(
        name="own_answers",
        data=data,
        output_type="generate_until",
        target="word",
        metric="exact_match",
    )
    generation = "generation_kwargs: {until: ['\\n'], max_gen_toks: 5}\n"
    (tmp_path / "answers.yaml").write_text(answers + generation, encoding="utf-8")
    return tmp_path


def own_task(folder, task="own_choices", **changes):
    values = {
        "task": task,
        "metric": "acc",
        "shots": 0,
        "chance": 0.25,
        "include_path": str(folder),
    }
    return read_task("lm-eval", **{**values, **changes})


def plain_choice(vlm, question):
    """Choose by one full forward pass of the whole LLaVA per option."""
    tokenizer = vlm.tokenizer
    prompt = tokenizer(f"USER: {question} ASSISTANT:")["input_ids"]
    scores = []
    for option in OPTIONS:
        answer = tokenizer(f" {option}", add_special_tokens=False)["input_ids"]
        with torch.no_grad():
            logits = vlm.llava(input_ids=torch.tensor([prompt + answer])).logits[0]
        steps = logits.log_softmax(-1)[len(prompt) - 1 : -1]
        scores.append(sum(steps[i, token].item() for i, token in enumerate(answer)))
    return OPTIONS[scores.index(max(scores))]


def test_choices_are_those_of_the_model_in_memory(tiny_random_vlm, folder):
    task = load_task("own", own_task(folder))
    tiny_random_vlm.train()
    modes = [module.training for module in tiny_random_vlm.modules()]
    outcome = outcome_of(task, tiny_random_vlm)
    assert [module.training for module in tiny_random_vlm.modules()] == modes
    tiny_random_vlm.eval()
    assert (task.kind, task.n) == ("text", 18)
    plain = [plain_choice(tiny_random_vlm, f"{QUESTIONS[i % 3]} {i}") for i in range(18)]
    assert len(set(plain)) > 1
    assert predictions(outcome) == plain
    assert [item.answer for item in outcome.items] == [OPTIONS[number % 4] for number in range(18)]
    right = [p == OPTIONS[i % 4] for i, p in enumerate(plain)]
    assert [item.score for item in outcome.items] == right
    assert outcome.result.value == pytest.approx(sum(right) / 18)
    again = outcome_of(task, tiny_random_vlm)
    assert again.items == outcome.items
    # What trains the language model moves the answers.
    with torch.no_grad():
        tiny_random_vlm.llava.lm_head.weight.neg_()
    moved = outcome_of(task, tiny_random_vlm)
    assert predictions(moved) != predictions(outcome)


def test_a_task_whose_functions_do_not_import_is_refused(folder):
    """As lm-eval 0.4.13's CoQA: it imports transformers.data.metrics, which transformers 5 no longer has."""
    with (folder / "choices.yaml").open("a") as file:
        file.write("process_results: !function broken.results\n")
    (folder / "broken.py").write_text("import transformers.no_longer\n")
    with pytest.raises(ConfigError) as caught:
        load_task("own", own_task(folder, allow_task_code=True))
    assert "'own_choices' cannot be loaded with the packages installed here" in str(caught.value)
    assert "No module named 'transformers.no_longer'" in str(caught.value)
    assert "~task@tasks.tasks.own, and out of tasks.stable.text" in str(caught.value)


def test_generated_answers(tiny_random_vlm, folder):
    task = load_task("own", own_task(folder, "own_answers", metric="exact_match", chance=0.0))
    outcome = outcome_of(task, tiny_random_vlm)
    assert outcome.result.value == 0.0
    tokenizer = tiny_random_vlm.tokenizer
    ids = tokenizer(f"USER: {QUESTIONS[0]} 0 ASSISTANT:", return_tensors="pt")["input_ids"]
    generated = tiny_random_vlm.llava.generate(
        input_ids=ids,
        attention_mask=torch.ones_like(ids),
        do_sample=False,
        max_new_tokens=5,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
    )[0, ids.shape[1] :]
    text = tokenizer.decode(generated, skip_special_tokens=True).split("\n")[0]
    assert outcome.items[0].prediction == text


def test_a_part_of_the_items_gets_the_same_answers(tiny_random_vlm, folder):
    whole = load_task("own", own_task(folder))
    part = load_task("own", own_task(folder, items=5))
    assert (part.n, part.fingerprint != whole.fingerprint) == (5, True)
    answers = by_id(outcome_of(whole, tiny_random_vlm))
    few = by_id(outcome_of(part, tiny_random_vlm))
    assert len(few) == 5
    assert all(item.prediction == answers[id_].prediction for id_, item in few.items())


def test_shots_stand_in_the_prompt_and_in_the_fingerprint(tiny_random_vlm, folder):
    none, two = (load_task("own", own_task(folder, shots=shots)) for shots in (0, 2))
    assert none.fingerprint != two.fingerprint
    for task, n in ((none, 1), (two, 3)):
        outcome_of(task, tiny_random_vlm)
        assert task._task.instances[0].args[0].count("USER:") == n
    prompts = [instance.args[0] for instance in two._task.instances]
    outcome_of(two, tiny_random_vlm)
    assert [instance.args[0] for instance in two._task.instances] == prompts


def test_the_causal_model_is_the_vlms_own(tiny_random_vlm):
    causal = causal_language_model(tiny_random_vlm)
    own = {id(parameter) for parameter in tiny_random_vlm.llava.parameters()}
    assert {id(parameter) for parameter in causal.parameters()} <= own
    ids = torch.tensor([[1, 20, 30, 40]])
    with torch.no_grad():
        assert torch.equal(causal(ids).logits, tiny_random_vlm.llava(input_ids=ids).logits)
    before = tiny_random_vlm.llava.lm_head.weight
    causal.tie_weights()
    assert tiny_random_vlm.llava.lm_head.weight is before


def test_nothing_of_lm_eval_reaches_the_terminal(tiny_random_vlm, folder, capfd):
    task = load_task("own", own_task(folder))
    capfd.readouterr()
    outcome_of(task, tiny_random_vlm)
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"task": "own_choises"}, ["Unknown lm-eval task 'own_choises'", "'own_choices'?"]),
        ({"task": "arc_eazy"}, ["Unknown lm-eval task 'arc_eazy'", "Did you mean 'arc_easy'?"]),
        ({"task": "mmlu"}, ["'mmlu' is a group of tasks"]),
        ({"metric": "accc"}, ["metric", "'accc'", "Did you mean 'acc'?"]),
        ({"filter": "nome"}, ["filter", "'nome'", "Did you mean 'none'?"]),
        ({"include_path": "/nowhere"}, ["include_path is '/nowhere'", "Fix:"]),
    ],
)
def test_a_mistake_is_one_line_before_any_model_is_loaded(folder, changes, words):
    with pytest.raises(ConfigError) as caught:
        load_task("own", own_task(folder, **changes))
    text = str(caught.value)
    assert "\n" not in text
    for word in words:
        assert word in text, text


def test_data_that_are_not_there_are_one_line(folder):
    (folder / "rows.jsonl").unlink()
    with pytest.raises(ConfigError) as caught:
        load_task("own", own_task(folder))
    assert "The data of lm-eval task 'own_choices' cannot be loaded" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_without_lm_eval_the_fix_is_named(folder, monkeypatch):
    monkeypatch.setitem(sys.modules, "lm_eval", None)
    with pytest.raises(ConfigError, match=r"pip install 'ablate-vlm\[lm-eval\]'"):
        load_task("own", own_task(folder))


def test_autocast_around_the_run_reaches_the_language_model(tiny_random_vlm, folder):
    task = load_task("own", own_task(folder))
    seen = set()
    hook = tiny_random_vlm.llava.lm_head.register_forward_hook(
        lambda _module, _inputs, output: seen.add(output.dtype)
    )
    with torch.autocast("cpu", dtype=torch.bfloat16):
        outcome_of(task, tiny_random_vlm)
    hook.remove()
    assert seen == {torch.bfloat16}
