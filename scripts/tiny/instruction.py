"""Second stage: the projector and the language model learn to answer, on the frozen encoder."""

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional
from tqdm import trange
from transformers import LlavaForConditionalGeneration, PreTrainedTokenizerFast

from ablate.world import glyphs
from ablate.world.questions import ONE_OBJECT_QUESTIONS, QUESTIONS
from ablate.world.rendering import render
from ablate.world.scenes import Scenes, sample_scenes
from tiny.config import BuildConfig
from tiny.contrastive import normalise
from tiny.text import EOS_ID, GLYPH_QUESTION, IMAGE_ID, PAD_ID
from tiny.training import train

_ENCODER_BATCH = 256


@dataclass(frozen=True)
class Conversation:
    """One question and answer as tokens.

    Attributes:
        ids: Prompt and answer, `</s>` included; one id for every image token.
        n_prompt: Tokens before the answer, which are not trained on.
    """

    ids: list[int]
    n_prompt: int


class Mix:
    """Images with all questions about them.

    Attributes:
        features: `[images, 16, width]` what LLaVA reads, in half precision.
        kinds: Name of every kind of question.
        weights: `[kinds]` weight of every kind.
        conversations: Per image, its conversation of every kind that fits it.
    """

    def __init__(
        self,
        llava: LlavaForConditionalGeneration,
        tokenizer: PreTrainedTokenizerFast,
        config: BuildConfig,
    ) -> None:
        """Draw the images, encode them and write the conversations."""
        self._tokenizer, self._config = tokenizer, config
        self._cache: dict[tuple[str, str], Conversation] = {}
        self.weights = config.instruction.questions
        self.conversations: list[dict[str, Conversation]] = []
        images = [self._scenes(style) for style in config.instruction.styles]
        images.append(self._glyphs())
        self.features = encode(llava, np.concatenate(images), config)

    def _scenes(self, style: str) -> NDArray[np.uint8]:
        stage = self._config.instruction
        indices = np.arange(stage.scenes // len(stage.styles))
        n_objects = np.array(stage.objects)[indices % len(stage.objects)]
        scenes = sample_scenes(f"instruction-{self._config.seed}-{style}", indices, n_objects)
        self.conversations += [self._ask(scenes, i, style) for i in range(len(scenes))]
        return render(scenes, style)

    def _ask(self, scenes: Scenes, scene: int, style: str) -> dict[str, Conversation]:
        single = len(scenes.objects(scene)) == 1
        kinds = [kind for kind in self.weights if single or kind not in ONE_OBJECT_QUESTIONS]
        if style != "textured":
            kinds = [kind for kind in kinds if kind != "texture"]
        items = {kind: QUESTIONS[kind](scenes, scene) for kind in kinds}
        return {kind: self._write(item.text, item.answer) for kind, item in items.items()}

    def _glyphs(self) -> NDArray[np.uint8]:
        indices = np.arange(self._config.instruction.glyphs)
        images, names = glyphs.draw_glyphs(f"instruction-{self._config.seed}", indices)
        for name in names:
            self.conversations.append({"shape": self._write(GLYPH_QUESTION, glyphs.NAMES[name])})
        return images

    def _write(self, question: str, answer: str) -> Conversation:
        if (question, answer) not in self._cache:
            prompt = self._config.prompt.format(question=question)
            prompt = prompt.replace("<image>", "<image>" * self._config.n_image_tokens)
            ids = self._tokenizer(f"{prompt} {answer}")["input_ids"]
            n_prompt = len(self._tokenizer(prompt)["input_ids"])
            self._cache[question, answer] = Conversation([*ids, EOS_ID], n_prompt)
        return self._cache[question, answer]

    def draw(self, image: int, chance: float, describes: bool) -> Conversation:
        """Choose one of an image's conversations.

        Args:
            image: Which image.
            chance: Uniform in 0..1, spread over the kinds by weight.
            describes: Whether to take the description, if the image has one; it is never taken
                otherwise.

        Returns:
            The conversation.
        """
        fitting = self.conversations[image]
        if describes and "describe" in fitting:
            return fitting["describe"]
        bounds = np.cumsum([self.weights[kind] for kind in fitting if kind != "describe"])
        chosen = int(np.searchsorted(bounds, chance * bounds[-1], side="right"))
        return [item for kind, item in fitting.items() if kind != "describe"][chosen]


@torch.no_grad()
def encode(
    llava: LlavaForConditionalGeneration, images: NDArray[np.uint8], config: BuildConfig
) -> Tensor:
    """Return what LLaVA reads of images `[n, 32, 32, 3]`: `[n, 16, width]` in half precision."""
    features = []
    for start in trange(0, len(images), _ENCODER_BATCH, desc="encoding", mininterval=5):
        pixel_values = normalise(images[start : start + _ENCODER_BATCH], config)
        states = llava.model.vision_tower(pixel_values=pixel_values, output_hidden_states=True)
        layer = states.hidden_states[llava.config.vision_feature_layer]
        features.append(layer[:, 1:].half())
    return torch.cat(features)


def answer_loss(
    llava: LlavaForConditionalGeneration, features: Tensor, conversations: list[Conversation]
) -> Tensor:
    """Return the mean loss per answer token, given encoded images `[batch, 16, width]`."""
    length = max(len(item.ids) for item in conversations)
    ids = torch.full((len(conversations), length), PAD_ID)
    labels = torch.full_like(ids, -100)
    for row, item in enumerate(conversations):
        ids[row, : len(item.ids)] = torch.tensor(item.ids)
        labels[row, item.n_prompt : len(item.ids)] = torch.tensor(item.ids[item.n_prompt :])
    embeds = llava.get_input_embeddings()(ids)
    images = llava.model.multi_modal_projector(features.float())
    embeds = embeds.masked_scatter((ids == IMAGE_ID).unsqueeze(-1), images)
    states = llava.model.language_model(
        inputs_embeds=embeds, attention_mask=(ids != PAD_ID).long(), use_cache=False
    ).last_hidden_state
    answered = labels[:, 1:] != -100
    logits = llava.lm_head(states[:, :-1][answered])
    return functional.cross_entropy(logits, labels[:, 1:][answered])


def train_llava(
    llava: LlavaForConditionalGeneration, tokenizer: PreTrainedTokenizerFast, config: BuildConfig
) -> None:
    """Train projector and language model in place; the encoder stays as it is."""
    llava.requires_grad_(True)
    llava.model.vision_tower.requires_grad_(False)
    mix = Mix(llava, tokenizer, config)
    batch_size = config.instruction.optimiser.batch_size
    random = np.random.default_rng(config.seed)
    weights = config.instruction.questions
    describe_share = weights["describe"] / sum(weights.values())

    def loss_of_step(_: int) -> Tensor:
        # Descriptions are twice as long as the rest: batches of their own save a third of the time.
        describes = bool(random.random() < describe_share)
        images = random.integers(len(mix.features), size=batch_size)
        chances = random.random(batch_size)
        drawn = [
            mix.draw(int(image), float(chance), describes)
            for image, chance in zip(images, chances, strict=True)
        ]
        return answer_loss(llava, mix.features[torch.from_numpy(images)], drawn)

    llava.train()
    train("instruction", llava.parameters(), config.instruction.optimiser, loss_of_step)
    llava.eval()
    llava.requires_grad_(True)
