"""The page as text: what it says, and that no name from outside becomes markup, script or template."""

import base64
import hashlib
import json
import re
from html.parser import HTMLParser

import pytest
from tests.report.hostile import NAMES, fail, hostile_sweep
from tests.report.sweeps import finished, right, task

from ablate.report.compare import report_of
from ablate.report.html import write_page
from ablate.report.html.policy import as_json
from ablate.report.load import load


class Page(HTMLParser):
    """Elements, attributes and texts of a page as a browser's parser sees them."""

    def __init__(self, text):
        super().__init__()
        self.elements, self.raw, self.text, self._open = [], {}, "", None
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        self.elements.append((tag, dict(attributes)))
        self._open = tag if tag in ("script", "style") else None

    def handle_endtag(self, tag):  # noqa: ARG002  # the parser's own signature
        self._open = None

    def handle_data(self, data):
        if self._open:
            self.raw.setdefault(self._open, []).append(data)
        else:
            self.text += data


def page_of(sweep, folder):
    return Page(write_page(report_of(load([sweep])), folder).read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def hostile(tmp_path_factory):
    folder = tmp_path_factory.mktemp("hostile")
    hostile_sweep(folder / "s")
    return page_of(folder / "s", folder)


def test_no_name_becomes_an_element_or_an_attribute(hostile):
    allowed = {
        *(
            "html",
            "head",
            "meta",
            "title",
            "style",
            "script",
            "body",
            "main",
            "section",
            "div",
            "p",
        ),
        *(
            "h1",
            "h2",
            "h3",
            "table",
            "thead",
            "tbody",
            "tr",
            "th",
            "td",
            "details",
            "summary",
            "ul",
        ),
        *("li", "figure", "figcaption", "noscript", "span", "strong", "br", "code", "a", "img"),
    }
    assert {tag for tag, _ in hostile.elements} <= allowed
    attributes = {name for _, given in hostile.elements for name in given}
    assert not any(name.startswith("on") or name == "style" for name in attributes)
    images = [given["src"] for tag, given in hostile.elements if tag == "img"]
    assert all(source.startswith("data:image/png;base64,") for source in images)
    assert [given["href"] for tag, given in hostile.elements if tag == "a"] == ["figures/"]
    assert [given.get("type") for tag, given in hostile.elements if tag == "script"] == [
        "application/json",
        None,
        None,
    ]


def test_names_are_shown_as_they_are_and_not_computed(hostile):
    assert "</script><script>window.hacked = 1</script>" in hostile.text
    assert "{{7*7}}{% raw %}" in hostile.text
    assert "$x_{1$ \\frac{" in hostile.text
    assert "abc\\u202egnp.exe" in hostile.text
    assert "two\\nlines\\u2028and\\x1b[31mred" in hostile.text


def test_what_hides_or_turns_text_is_nowhere_on_the_page(hostile):
    everything = hostile.text + hostile.raw["script"][0] + repr(hostile.elements)
    assert not set("\u202e\u2066\u200f\u2028\x1b") & set(everything)
    assert "n" * 1000 not in everything


def test_the_data_of_the_pictures_cannot_end_their_script(hostile):
    content = hostile.raw["script"][0]
    assert not set("<>&") & set(content)
    assert isinstance(json.loads(content), list)


def test_json_holds_any_text():
    texts = [*NAMES, "<!--", "\u2029"]
    assert json.loads(as_json(texts)) == texts
    with pytest.raises(ValueError, match="JSON"):
        as_json([float("nan")])


def test_the_policy_lets_its_own_scripts_run_and_nothing_else(hostile):
    (policy,) = [
        given["content"]
        for tag, given in hostile.elements
        if tag == "meta" and given.get("http-equiv") == "Content-Security-Policy"
    ]
    rules = {rule.split()[0]: rule.split()[1:] for rule in policy.split("; ")}
    _, *scripts = hostile.raw["script"]

    def source(text):
        return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"

    assert rules == {
        "default-src": ["'none'"],
        "script-src": [source(text) for text in scripts],
        "style-src": [source(text) for text in hostile.raw["style"]],
        "img-src": ["data:"],
        "base-uri": ["'none'"],
        "form-action": ["'none'"],
    }


def test_failed_and_damaged_runs_are_named_with_their_reasons(hostile):
    assert "ValueError: </script>" in hostile.text
    assert "result.json is damaged" in hostile.text


def test_the_page_says_what_is_asked_and_what_came_of_it(tmp_path):
    for value, share in ((8, 0.3), (16, 0.9)):
        for seed in (0, 1, 2):
            tasks = [task("barred", "target", right(share, seed), right(0.3, 9))]
            columns = {
                "git_commit": "0123456789abcdef",
                "git_dirty": seed == 2,
                "device": "cpu",
                "threads": 2,
            }
            folder = finished(tmp_path / "s", value, seed, tasks, **columns)
    fail(finished(tmp_path / "s", 64, 0), "RuntimeError: no space")
    record = folder.read()
    record.composed_from = ["+ablation=rank", "method.rank=16", "ablation.value=16", "seed=2"]
    folder.rewrite(record)
    report = report_of(load([tmp_path / "s"]))
    text = page_of(tmp_path / "s", tmp_path).text
    assert "Which rank?" in text
    for sentence in report.ablations[0].answer:
        assert sentence in text
    words = " ".join(text.split())
    for one in report.ablations[0].comparisons:
        assert one.sentence in words
    assert "RuntimeError: no space" in text
    assert "0123456789ab (changed)" in text
    assert "cpu, 2 threads" in text
    command = "ablate run +ablation=rank 'ablation.values=[16]' ablation.baseline=16 'seeds=[2]'"
    assert command in words


def test_a_sweep_of_which_nothing_finished_has_a_page(tmp_path):
    fail(finished(tmp_path / "s", 8, 0), "RuntimeError: no space")
    text = page_of(tmp_path / "s", tmp_path).text
    assert "No run has finished" in text
    assert "RuntimeError: no space" in text


def test_a_number_that_is_none_is_left_out_of_the_pictures(tmp_path):
    for value, accuracy in ((8, 0.5), (16, float("inf")), (64, 0.25)):
        finished(tmp_path / "s", value, 0, accuracy=accuracy, trainable_parameters=value)
    json.loads(page_of(tmp_path / "s", tmp_path).raw["script"][0], parse_constant=pytest.fail)


def test_what_was_not_measured_is_empty(tmp_path):
    finished(tmp_path / "s", 8, 0, [task("t", "target", right(0.5, 0), chance=None)])
    finished(tmp_path / "s", 16, 0)
    page = page_of(tmp_path / "s", tmp_path)
    assert not re.search(r"\b(nan|None|NaN)\b", page.text)
