"""The tiny language model: a Llama trained from scratch on the tiny world's texts alone."""

from pathlib import Path

import torch
from torch import Tensor
from torch.nn import functional
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

from ablate.world.topics import TOPICS
from ablate.world.words import word_items
from tiny.config import BuildConfig
from tiny.language_data import TextBatch, TextWorld, embed
from tiny.text import BOS_ID, EOS_ID, PAD_ID
from tiny.training import train


def make_language_model(config: BuildConfig, n_tokens: int) -> LlamaForCausalLM:
    """Make an untrained language model."""
    return LlamaForCausalLM(
        LlamaConfig(
            **config.language_model.model,
            vocab_size=n_tokens,
            pad_token_id=PAD_ID,
            bos_token_id=BOS_ID,
            eos_token_id=EOS_ID,
            tie_word_embeddings=True,
        )
    )


def answer_losses(model: LlamaForCausalLM, batch: TextBatch) -> Tensor:
    """Return every conversation's mean loss per answer token `[batch]`.

    A mean over the tokens of all would leave little to one-word answers beside descriptions.
    """
    states = model.model(
        inputs_embeds=embed(model.get_input_embeddings(), batch),
        attention_mask=(batch.ids != PAD_ID).long(),
        use_cache=False,
    ).last_hidden_state
    labels = batch.labels[:, 1:]
    answered = labels != -100
    logits = model.lm_head(states[:, :-1][answered])
    losses = functional.cross_entropy(logits, labels[answered], reduction="none")
    rows = answered.nonzero()[:, 0]
    return torch.zeros(len(labels)).index_add(0, rows, losses) / answered.sum(dim=1)


def train_language_model(
    model: LlamaForCausalLM, tokenizer: PreTrainedTokenizerFast, config: BuildConfig
) -> None:
    """Train `model` in place to answer; no image is ever drawn."""
    world = TextWorld(tokenizer, config)

    def loss_of_step(step: int) -> Tensor:
        batches = world.batches(step)
        return torch.cat([answer_losses(model, batch) for batch in batches]).mean()

    model.train()
    train("language", model.parameters(), config.language_model.optimiser, loss_of_step)
    model.eval()


@torch.no_grad()
def topic_accuracy(
    model: LlamaForCausalLM, tokenizer: PreTrainedTokenizerFast, config: BuildConfig, topic: str
) -> float:
    """Return the share of a topic's development items whose correct option is the likeliest."""
    world = TextWorld(tokenizer, config)
    n_right = 0
    items = word_items(topic, "development", range(config.language_model.check_items))
    for item in items:
        prompt = tokenizer(world.prompt(item.text))["input_ids"]
        scores = []
        for option in item.options:
            answer = tokenizer(f" {option}", add_special_tokens=False)["input_ids"]
            logits = model(input_ids=torch.tensor([prompt + answer])).logits[0, len(prompt) - 1 :]
            chosen = logits.log_softmax(-1)[torch.arange(len(answer)), torch.tensor(answer)]
            scores.append(float(chosen.sum()))
        n_right += item.options[scores.index(max(scores))] == item.answer
    return n_right / len(items)


def build_language_model(
    tokenizer: PreTrainedTokenizerFast, config: BuildConfig, folder: Path
) -> None:
    """Train the language model, print what it knows and write it."""
    torch.set_num_threads(config.language_model.threads)
    torch.manual_seed(config.seed)
    model = make_language_model(config, len(tokenizer))
    train_language_model(model, tokenizer, config)
    model.half().save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    model.float()
    for topic in TOPICS:
        chance = 1 / len(word_items(topic, "development", [0])[0].options)
        accuracy = topic_accuracy(model, tokenizer, config, topic)
        print(f"Language model, {topic}: {accuracy:.3f} (chance {chance:.2f})")
