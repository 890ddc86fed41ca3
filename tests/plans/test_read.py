"""A plan's file: every form it may come in, and what is refused."""

import json
from dataclasses import replace

import pytest
from tests.plans.plans import PUBLISHED, STABLE, markdown

from ablate.config.errors import ConfigError
from ablate.plans.plan import PlannedAblation
from ablate.plans.read import read_plan

RANK = {
    "ablated_part": "rank",
    "action": "REPLACE",
    "replacement": ["8", 16],
    "metrics": "accuracy",
}
READ = PlannedAblation("R", "rank", "REPLACE", ("8", "16"), ("accuracy",))


def read(tmp_path, text, name="plan.md"):
    file = tmp_path / name
    file.write_bytes(text if isinstance(text, bytes) else text.encode())
    return read_plan(file)


def test_the_published_plans():
    plan = read_plan(PUBLISHED / "encoder-plan.md")
    assert plan.title == "lm-planner/gpt-4o/Should_VLMs_be_Pre_trained_with_Image_Data_"
    encoder, freeze = plan.ablations
    assert encoder.heading == "Ablation Study on Image Encoder Choice"
    assert encoder.replacements == ("DINO-SigLIP", "ResNet", "ViT")
    assert (freeze.part, freeze.metrics) == (
        "Freezing of image encoder weights during training",
        STABLE,
    )
    rank, heads = read_plan(PUBLISHED / "lorsu-plan.md").ablations
    assert rank.replacements == ("8", "16", "32", "64", "128", "256")
    assert (heads.part, heads.action) == ("Number of attention heads", "REPLACE")


FORMS = {
    "plan.json": json.dumps({"title": "T", "plan": [{"name": "R", **RANK}]}),
    "list.json": json.dumps([{"name": "R", **RANK}]),
    "one.json": json.dumps({"name": "R", **RANK}),
    "plan.jsonl": json.dumps({"name": "R", **RANK}) + "\n\n",
    "plan.yaml": "name: R\nAblated Part: rank\nAction: REPLACE\nReplacement: ['8', 16]\nMetrics: accuracy\n",
    "list.md": "### R\n- **Ablated Part**: rank\n- **Action**: REPLACE\n- **Replacement**:\n  - 8\n  - 16\n"
    "- **Metrics**: accuracy\n",
    "deep.md": "### R\n* **Ablated Part:** rank\n* **Action:** REPLACE\n* **Replacement:**\n      * 8\n      * 16\n"
    "* __Metrics__: accuracy\n",
    "paragraphs.md": "### R\n**Ablated Part**: rank\n**Action**: REPLACE\n\n**Replacement**:\n\n1. 8\n2. 16\n\n"
    "Metrics: accuracy\n\nThis is prose.\n- So is this: no field\n",
    "column.md": "### R\nAblated Part: rank\n\nAction: REPLACE\n\nReplacement:\n\n|rank|\n|-|\n|8|\n|16|\n\n"
    "Metrics: accuracy\n",
    "html.md": "<div><h2>Plan</h2>\n### <b>R</b>\n- **Ablated Part**: <i>rank</i>\n- **Action**: REPLACE\n"
    "- **Replacement**:\n  - 8<br>\n  - 16\n- **Metrics**: accuracy\n</div>",
    "hidden.md": "<style>\n- **Ablated Part**: x\n</style>\n<!--\n- **Ablated Part**: y\n-->\n### R\n"
    "- **Ablated Part**: rank\n- **Action**: REPLACE\n- **Replacement**:\n  - 8\n  - 16\n- **Metrics**: accuracy\n",
    "page.md": "<h3>R</h3>\n<ul>\n<li><b>Ablated Part</b>: rank</li>\n<li><b>Action</b>: REPLACE</li>\n"
    "<li><b>Replacement</b>: 8</li>\n<li>Metrics: accuracy</li></ul>\n",
    "fence.md": "```markdown\n### R\n- **Ablated Part**: rank\n- **Action**: REPLACE\n- **Replacement**:\n  - 8\n"
    "  - 16\n- **Rationale**: because\n- **Metrics**: accuracy\n```\n",
    "crlf.md": "### R\r\n- **Ablated Part**: rank\r\n- **Action**: REPLACE\r\n- **Replacement**:\r\n  - 8\r\n  - 16\r\n"
    "- **Metrics**: accuracy\r\n",
}


@pytest.mark.parametrize("name", FORMS)
def test_every_form_is_the_same_plan(tmp_path, name):
    (ablation,) = read(tmp_path, FORMS[name], name).ablations
    if name == "page.md":
        ablation = replace(ablation, heading="R", replacements=(*ablation.replacements, "16"))
    assert ablation == READ


def test_a_table_of_ablations(tmp_path):
    rows = ("|R|rank|REPLACE|8|accuracy|", "|S|loss|REMOVE||x, y|")
    table = "\n".join(["|Name|Ablated Part|Action|Replacement|Metrics|", "|-|-|-|-|-|", *rows])
    one, two = read(tmp_path, table).ablations
    assert (one.heading, one.part, one.replacements) == ("R", "rank", ("8",))
    assert (two.action, two.replacements, two.metrics) == ("REMOVE", (), ("x", "y"))


def test_fields_that_say_none_are_empty(tmp_path):
    for text in ("N/A", "None", "-", "n/a."):
        plan = read(tmp_path, markdown(Ablated_Part="rank", Action="REMOVE", Replacement=text))
        assert plan.ablations[0].replacements == ()


PROBLEMS = {
    "no action": (markdown(Ablated_Part="rank"), "it has no Action"),
    "no part": (markdown(Action="REMOVE"), "it has no Ablated Part"),
    "two columns": (
        "Ablated Part: rank\n\nAction: REPLACE\n\nReplacement:\n\n|a|b|\n|-|-|\n|8|9|\n",
        "its replacement is a table of 2 columns",
    ),
}


@pytest.mark.parametrize("case", PROBLEMS)
def test_what_cannot_be_read_of_an_ablation(tmp_path, case):
    text, problem = PROBLEMS[case]
    (ablation,) = read(tmp_path, text).ablations
    assert problem in ablation.problem


def test_a_mapping_in_the_place_of_a_text(tmp_path):
    text = json.dumps({**RANK, "replacement": [{"rank": 8}]})
    assert "holds a dict" in read(tmp_path, text, "plan.json").ablations[0].problem


REFUSED = {
    "empty.md": ("", "holds no ablation"),
    "prose.md": ("# Plan\nMetrics: what matters.\n- **Action** is needed\n", "holds no ablation"),
    "list.yaml": ("- 1\n- a\n", "holds no ablation"),
    "bad.json": ("{", "is not JSON"),
    "deep.json": ("[" * 100_000, "is not JSON"),
    "number.json": ('{"action": ' + "9" * 5000 + "}", "is not JSON"),
    "bad.yaml": ("a: [1\nb: 2\n", "is not YAML"),
    "code.yaml": ("action: !!python/object/apply:os.getcwd []\n", "has the tag"),
    "bytes.md": (b"\xff\xfe", "is not UTF-8"),
    "plan.pdf": ("x", "ends in '.pdf'"),
    "plan.jsonn": ("x", "Did you mean '.json'"),
    "large.md": ("x" * (1 << 20) + "y", "larger than"),
    "lines.md": ("- a\n" * 30_000, "more than 20000 lines"),
    "many.md": (markdown(Ablated_Part="rank", Action="REMOVE") * 201, "holds 201 ablations"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_no_plan_is_one_line(tmp_path, name):
    text, said = REFUSED[name]
    with pytest.raises(ConfigError, match=said) as refused:
        read(tmp_path, text, name)
    assert "\n" not in str(refused.value)


def test_a_file_that_is_not_there(tmp_path):
    with pytest.raises(ConfigError, match="cannot be read"):
        read_plan(tmp_path / "no.md")


@pytest.mark.parametrize(
    "text", ["word " * 200_000, "<!--" * 250_000, "*a" * 500_000, "- " * 500_000, "[" * 1_000_000]
)
def test_a_megabyte_around_a_plan(tmp_path, text):
    plan = markdown(Ablated_Part="rank", Action="REMOVE") + "\n" + text
    assert [one.part for one in read(tmp_path, plan[: 1 << 20]).ablations] == ["rank"]


def test_a_megabyte_in_a_field(tmp_path):
    (ablation,) = read(
        tmp_path, markdown(Ablated_Part="rank " * 200_000, Action="REMOVE")
    ).ablations
    assert len(ablation.part) <= 500
