"""A model that is not what its place says is refused by name before anything is loaded."""

import dataclasses
import json
import shutil

import pytest
import torch
from tests.conftest import instead
from tests.models import damage
from tests.models.encoders import small
from transformers import (
    BertConfig,
    BertModel,
    LlavaNextConfig,
    LlavaOnevisionConfig,
    PaliGemmaConfig,
    Qwen2VLConfig,
    SmolVLMConfig,
)

from ablate.cli.run import run
from ablate.config.errors import ConfigError
from ablate.models.check import check_parts
from ablate.models.encoders.check import vision_config
from ablate.models.loading import load_model
from ablate.models.weights import VISION, skeleton


def first_of(name):
    """Put one value that is not a number into a tensor."""

    def change(tensors):
        tensors[name].view(-1)[0] = float("nan") if "norm" in name else float("inf")

    return change


def dropped(part):
    def change(tensors):
        for name in [name for name in tensors if part in name]:
            del tensors[name]

    return change


def added(tensors):
    name = next(name for name in tensors if "language_model" in name and "layers.1." in name)
    tensors[name.replace("layers.1.", "layers.2.")] = tensors[name].clone()


def narrowed(tensors):
    name = "multi_modal_projector.linear_2.weight"
    tensors[name] = tensors[name][:-1].clone()


def without_a_shard(folder):
    damage.sharded(folder)
    (folder / "b.safetensors").unlink()


def without_an_entry(folder):
    damage.sharded(folder)
    index = folder / "model.safetensors.index.json"
    entries = json.loads(index.read_text())["weight_map"]
    entries.pop("language_model.lm_head.weight")
    index.write_text(json.dumps({"metadata": {}, "weight_map": entries}))


def with_a_path(folder):
    damage.sharded(folder)
    index = folder / "model.safetensors.index.json"
    index.write_text(index.read_text().replace("a.safetensors", "../a.safetensors"))


WRONG_KIND = {
    "smolvlm": SmolVLMConfig,
    "paligemma": PaliGemmaConfig,
    "llava_next": LlavaNextConfig,
    "llava_onevision": LlavaOnevisionConfig,
    "qwen2_vl": Qwen2VLConfig,
}
DEEP = '{"a":' * 10_000 + "1" + "}" * 10_000
HEADS = "vision_config__num_attention_heads"
CASES = {
    # Weights
    "no projector": (
        damage.with_tensors(dropped("multi_modal_projector")),
        "'model.multi_modal_projector.linear_1.bias' is missing",
    ),
    "no layer": (
        damage.with_tensors(dropped("language_model.model.layers.1.")),
        "'model.language_model.layers.1.input_layernorm.weight' is missing",
    ),
    "a layer too many": (
        damage.with_tensors(added),
        "'model.language_model.layers.2.input_layernorm.weight' is unexpected",
    ),
    "another shape": (
        damage.with_tensors(narrowed),
        "'model.multi_modal_projector.linear_2.weight' is [31, 32] instead of [32, 32]",
    ),
    "nan": (
        damage.with_tensors(first_of("vision_tower.pre_layrnorm.weight")),
        "NaN or infinity in 'vision_tower.pre_layrnorm.weight'",
    ),
    "inf": (
        damage.with_tensors(first_of("language_model.lm_head.weight")),
        "NaN or infinity in 'language_model.lm_head.weight'",
    ),
    "a shard lost": (without_a_shard, "names the file 'b.safetensors', which is not beside it"),
    "not in the index": (without_an_entry, "'language_model.lm_head.weight' is only in a.safe"),
    "a shard elsewhere": (with_a_path, "names the file '../a.safetensors'"),
    "an empty index": (
        lambda folder: (
            damage.without("model.safetensors")(folder),
            damage.written("model.safetensors.index.json", "{}")(folder),
        ),
        "has no weight_map",
    ),
    # Code
    "auto_map": (
        damage.with_values("config.json", auto_map={"AutoModel": "evil.Model"}),
        "brings code of its own: 'auto_map' in its config.json",
    ),
    "auto_map inside": (
        damage.with_values("config.json", vision_config__auto_map={"AutoModel": "evil.Model"}),
        "brings code of its own: 'auto_map' in its config.json",
    ),
    "tokenizer code": (
        damage.with_values("tokenizer_config.json", auto_map={"AutoTokenizer": ["evil.T", None]}),
        "'auto_map' in its tokenizer_config.json",
    ),
    "processor code": (
        damage.with_values("processor_config.json", auto_map={"AutoProcessor": "evil.P"}),
        "'auto_map' in its processor_config.json",
    ),
    "preprocessor code": (
        damage.with_values("preprocessor_config.json", auto_map={"AutoImageProcessor": "evil.P"}),
        "'auto_map' in its preprocessor_config.json",
    ),
    "code of CLIP": (
        damage.with_values("clip/config.json", auto_map={"AutoModel": "evil.Model"}),
        "clip' brings code of its own",
    ),
    "generate code": (
        damage.with_values("generation_config.json", custom_generate="evil/repo"),
        "'custom_generate' in its generation_config.json",
    ),
    "generate file": (
        damage.written("custom_generate/generate.py", "raise SystemExit(3)"),
        "custom_generate/generate.py, which is never run",
    ),
    "a kernel": (
        damage.with_values("config.json", text_config__attn_implementation="evil/kernel"),
        "'attn_implementation' in its config.json",
    ),
    "an adapter": (damage.written("adapter_config.json", "{}"), "holds an adapter"),
    "quantised": (
        damage.with_values("config.json", quantization_config={"quant_method": "bitsandbytes"}),
        "are quantised; allowed: float32",
    ),
    # Settings
    "deep": (damage.written("config.json", DEEP), "config.json is nested too deeply"),
    "long": (damage.written("config.json", '{"a": ' + "9" * 5000 + "}"), "is not JSON (Exceeds"),
    "latin": (damage.written("config.json", b'{"a": "\xe9"}'), "is not JSON ('utf-8' codec"),
    "a list": (damage.written("config.json", "[1]"), "config.json holds a list"),
    "broken generation": (
        damage.written("generation_config.json", "{,"),
        "generation_config.json is not JSON",
    ),
    "hot generation": (
        damage.with_values("generation_config.json", max_new_tokens="many"),
        "damaged generation_config.json",
    ),
    "no kind": (
        damage.with_values("config.json", model_type=None),
        "is not a LLaVA, but of type null",
    ),
    "vision null": (damage.with_values("config.json", vision_config=None), "vision_config in its"),
    "vision text": (damage.with_values("config.json", vision_config="x"), "config.json is 'x'"),
    "vision list": (damage.with_values("config.json", vision_config=[1]), "config.json is [1]"),
    "heads text": (damage.with_values("config.json", **{HEADS: "many"}), "expected int, got str"),
    "heads null": (
        damage.with_values("config.json", **{HEADS: None}),
        "expected int, got NoneType",
    ),
    "heads 0": (damage.with_values("config.json", **{HEADS: 0}), "modulo by zero"),
    "heads 5": (
        damage.with_values("config.json", **{HEADS: 5}),
        "is not a multiple of the number",
    ),
    "language heads 0": (
        damage.with_values("config.json", text_config__num_attention_heads=0),
        "config.json",
    ),
    "language heads 5": (
        damage.with_values("config.json", text_config__num_attention_heads=5),
        "config.json",
    ),
    "a layer that is not there": (
        damage.with_values("config.json", vision_feature_layer=-9),
        "cannot process an image of 16 pixels",
    ),
    "another image size": (
        damage.with_values(
            "processor_config.json",
            image_processor__size={"shortest_edge": 24},
            image_processor__crop_size={"height": 24, "width": 24},
        ),
        "cannot process an image of 24 pixels",
    ),
    # Tokenizer, preprocessing and the image token
    "no tokenizer": (
        damage.without("tokenizer.json", "tokenizer_config.json"),
        "has no tokenizer that can be read",
    ),
    "no vocabulary": (damage.without("tokenizer.json"), "has no tokenizer that can be read"),
    "tokenizer garbage": (damage.written("tokenizer.json", "{,"), "has no tokenizer that can be"),
    "tokenizer empty": (damage.written("tokenizer.json", "{}"), "has no tokenizer that can be"),
    "no preprocessing": (damage.without("processor_config.json"), "has no image preprocessing"),
    "preprocessing garbage": (
        damage.written("processor_config.json", "garbage"),
        "processor_config.json is not JSON",
    ),
    "no CLIP tokenizer": (damage.without("clip/tokenizer.json"), "clip' has no tokenizer that can"),
    "another image token": (
        damage.with_values("config.json", image_token_index=5),
        "is 5, which is",
    ),
    "image token too high": (
        damage.with_values("config.json", image_token_index=100_000),
        "is 100000, which is none of its tokenizer's tokens",
    ),
    "image token text": (
        damage.with_values("config.json", image_token_index="<image>"),
        "config.json that cannot be used",
    ),
    "a larger tokenizer": (
        damage.with_values("config.json", text_config__vocab_size=100),
        "instead of [100, 32]",
    ),
}


@pytest.fixture
def refused_alone(capsys, tmp_path):
    """Run and check that it ends with one line, code 2, and no results."""

    def check(*words):
        capsys.readouterr()
        code = run([*words, f"output_dir={tmp_path / 'outputs'}"])
        shown = capsys.readouterr()
        assert code == 2, shown
        assert shown.err.count("\n") == 1, shown.err
        assert "Fix: " in shown.err
        assert not (tmp_path / "outputs").exists()
        return shown.err

    return check


@pytest.fixture
def refused(arguments, refused_alone):
    """As `refused_alone`, of the random model on digits."""
    return lambda *words: refused_alone(*instead(arguments, words))


@pytest.mark.parametrize("case", CASES)
def test_a_damaged_llava(case, model_folder, tmp_path, refused):
    change, message = CASES[case]
    folder = damage.copy(model_folder, tmp_path / "m", change)
    assert message in refused(f"model.llava={folder}", f"model.clip={folder / 'clip'}")


@pytest.mark.parametrize("kind", WRONG_KIND)
def test_what_is_no_llava(kind, model_folder, tmp_path, refused):
    folder = damage.copy(model_folder, tmp_path / "m")
    WRONG_KIND[kind]().save_pretrained(folder)
    message = refused(f"model.llava={folder}", "model.clip=null")
    assert f"is not a LLaVA, but of type '{kind}'; allowed: 'llava'" in message


@pytest.mark.parametrize("kind", ["siglip", "llava"])
def test_what_is_no_clip(kind, model_folder, tmp_path, refused):
    folder = model_folder
    if kind == "siglip":
        folder = tmp_path / "siglip"
        small.save("siglip", folder)
    assert f"is not a CLIP, but of type '{kind}'" in refused(f"model.clip={folder}")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (dropped("text_projection"), "'text_projection.weight' is missing"),
        (dropped("text_model.encoder.layers.1"), "'text_model.encoder.layers.1."),
    ],
)
def test_a_clip_without_a_weight(change, message, model_folder, tmp_path, refused):
    folder = damage.copy(model_folder / "clip", tmp_path / "clip", damage.with_tensors(change))
    assert message in refused(f"model.clip={folder}")


def test_clips_own_vision_tower_is_not_read(model_folder, tmp_path, ablate_run):
    own = damage.with_tensors(dropped("vision_model."))
    folder = damage.copy(model_folder / "clip", tmp_path / "clip", own)
    assert ablate_run(f"model.clip={folder}", "method=frozen")[0] == 0


INSTRUCT = (
    "model=language",
    "model.prompt='<image>{question}'",
    "model.turn='{question}'",
    "data=shapes-instruct",
    "~data@controls.source",
    "method=frozen",
    "method@language=full-l",
    "tasks=tiny",
)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (damage.with_tensors(dropped("layers.1.")), "'model.layers.1."),
        (damage.with_tensors(dropped("lm_head")), "'lm_head.weight' is missing"),
        (damage.with_values("config.json", model_type="bert"), "but of type 'bert'"),
        (damage.with_values("config.json", num_attention_heads="x"), "expected int, got str"),
        (damage.with_values("config.json", auto_map={"AutoModel": "evil.M"}), "code of its own"),
        (damage.without("tokenizer.json"), "has no tokenizer that can be read"),
        (damage.written("generation_config.json", "[]"), "generation_config.json holds a list"),
    ],
)
def test_a_damaged_language_model(change, message, tmp_path, refused_alone):
    small.language(tmp_path / "whole")
    folder = damage.copy(tmp_path / "whole", tmp_path / "m", change)
    assert message in refused_alone(*INSTRUCT, "encoder=tiny-patches", f"model.language={folder}")


def test_a_model_that_reads_both_ways_is_no_language_model(tmp_path, refused_alone):
    small.language(tmp_path)
    sizes = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2}
    config = BertConfig(**sizes, vocab_size=300, intermediate_size=16)
    BertModel(config).save_pretrained(tmp_path)
    message = refused_alone(*INSTRUCT, "encoder=tiny-patches", f"model.language={tmp_path}")
    assert "is not a causal language model, but of type 'bert'" in message


@pytest.mark.parametrize(
    ("kind", "change", "message"),
    [
        ("siglip", dropped("vision_model.encoder.layers.1."), "'encoder.layers.1."),
        ("resnet", dropped("running_mean"), "running_mean' is missing"),
    ],
)
def test_a_damaged_encoder(kind, change, message, tmp_path, refused_alone):
    small.language(tmp_path / "language")
    part = small.save(kind, tmp_path / kind)
    damage.with_tensors(change)(tmp_path / kind)
    values = {"source": part.source, "revision": "null", "layer": part.layer}
    values["prefix_tokens"] = part.prefix_tokens
    entry = ", ".join(f"{key}: {value}" for key, value in values.items())
    words = ["encoder=tiny-siglip", f"encoder.parts=[{{{entry}}}]"]
    language = f"model.language={tmp_path / 'language'}"
    assert message in refused_alone(*INSTRUCT, *words, language)


@pytest.mark.parametrize("kind", ["clip", "siglip", "dinov2", "vit"])
def test_a_layer_that_the_config_leaves_out_is_refused(kind, tmp_path):
    part = small.save(kind, tmp_path / "whole")
    skeleton(VISION, part.source, vision_config(part))
    folder = damage.copy(tmp_path / "whole", tmp_path / "m")
    file = folder / "config.json"
    config = json.loads(file.read_text())
    inner = config.get("vision_config", config)
    inner["num_hidden_layers"] = 2
    for key in ("stage_names", "out_features", "out_indices"):
        inner.pop(key, None)
    file.write_text(json.dumps(config))
    part = dataclasses.replace(part, source=str(folder))
    with pytest.raises(ConfigError, match=r"layers?\.2\.\S+' is unexpected"):
        skeleton(VISION, part.source, vision_config(part))


def test_a_layout_of_the_hub_is_the_same_model(model_folder, tmp_path):
    """As llava-hf/llava-1.5-7b-hf has its names: the language model's prefix, and CLIP's within the tower."""

    def rename(tensors):
        for name in list(tensors):
            if name.startswith("vision_tower."):
                tensors[name.replace("vision_tower.", "vision_tower.vision_model.")] = tensors.pop(
                    name
                )
        ids = torch.arange(5)[None]
        tensors["vision_tower.vision_model.embeddings.position_ids"] = ids
        tensors["language_model.model.layers.0.self_attn.rotary_emb.inv_freq"] = torch.ones(4)

    folder = damage.copy(model_folder, tmp_path / "hub", damage.with_tensors(rename))
    given = small.model(llava=str(folder), clip=str(folder / "clip"))
    check_parts(given, None)
    ours, theirs = (
        load_model(small.model(llava=str(place)), small.FP32).state_dict()
        for place in (folder, model_folder)
    )
    assert ours.keys() == theirs.keys()
    assert all(torch.equal(ours[name], theirs[name]) for name in ours)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (dropped("multi_modal_projector"), r"linear_1\.bias' is missing"),
        (narrowed, r"is \[31, 32\] instead of \[32, 32\]"),
        (added, r"layers\.2\.\S+' is unexpected"),
        (first_of("vision_tower.pre_layrnorm.weight"), r"NaN or infinity in 'model\.vision_tower"),
    ],
)
def test_loading_checks_again(change, message, model_folder, tmp_path):
    """The files of a hub model are there only then."""
    folder = damage.copy(model_folder, tmp_path / "m", damage.with_tensors(change))
    with pytest.raises(ConfigError, match=message):
        load_model(small.model(llava=str(folder)), small.FP32)


def test_shards_are_the_same_model(model_folder, tmp_path, ablate_run):
    folder = damage.copy(model_folder, tmp_path / "m", damage.sharded)
    assert ablate_run(f"model.llava={folder}", "method=frozen")[0] == 0


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["model=tiny", "model.llava={m}"], "Fix: model=llava model.llava="),
        (["model=tiny", "model.language={m}"], "Fix: model=language model.language="),
        (["model=tiny-lm", "model.language={m}"], "Fix: model=language model.language="),
    ],
)
def test_the_words_of_a_tiny_model_are_for_it_alone(words, message, model_folder, refused_alone):
    words = [word.format(m=model_folder) for word in words]
    assert message in refused_alone(*words, "data=digits")


def test_a_local_copy_of_a_hub_model_keeps_its_words(model_folder, tmp_path, ablate_run):
    shutil.copytree(model_folder, tmp_path / "copy")
    words = ["model=llava-1.5-7b", f"model.llava={tmp_path / 'copy'}", "model.clip=null"]
    assert ablate_run(*words, "model.name=llava-1.5-7b", "method=frozen")[0] == 0
