"""Small random networks and losses to train them with."""

import torch
from torch import nn
from torch.nn import functional
from transformers import (
    CLIPVisionConfig,
    CLIPVisionModel,
    LlamaConfig,
    LlamaModel,
    SiglipVisionConfig,
    SiglipVisionModel,
    ViTConfig,
    ViTModel,
)

N_TOKENS = 5


class Encoder(nn.Module):
    """A CLIP tower and its projection in a plain module, without a Hugging Face config."""

    def __init__(self, tower, width, n_features=6):
        super().__init__()
        self.vision_model = tower
        self.visual_projection = nn.Linear(width, n_features, bias=False)

    def forward(self, pixel_values):
        output = self.vision_model(pixel_values=pixel_values, output_hidden_states=True)
        return self.visual_projection(output.pooler_output), output.hidden_states[-2]


def vision_sizes(width, n_heads, mlp_width, n_layers):
    return {
        "hidden_size": width,
        "num_attention_heads": n_heads,
        "intermediate_size": mlp_width,
        "num_hidden_layers": n_layers,
        "image_size": 8,
        "patch_size": 4,
    }


def spread(network):
    """Draw weights large enough for every layer to matter."""
    for parameter in network.parameters():
        nn.init.normal_(parameter, std=0.3)
    return network.double().eval()


def clip_encoder(seed, width=16, n_heads=4, mlp_width=20, n_layers=3):
    torch.manual_seed(seed)
    sizes = vision_sizes(width, n_heads, mlp_width, n_layers)
    return spread(Encoder(CLIPVisionModel(CLIPVisionConfig(**sizes)), width))


def siglip():
    return SiglipVisionModel(SiglipVisionConfig(**vision_sizes(16, 4, 20, 2)))


def vit():
    return ViTModel(ViTConfig(**vision_sizes(16, 4, 20, 2)))


def clip():
    return CLIPVisionModel(CLIPVisionConfig(**vision_sizes(16, 4, 20, 2)))


def llama(n_key_heads=2):
    return LlamaModel(
        LlamaConfig(
            hidden_size=16,
            intermediate_size=20,
            num_attention_heads=4,
            num_key_value_heads=n_key_heads,
            num_hidden_layers=3,
            vocab_size=11,
        )
    )


def images(seed, n=4):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(n, 3, 8, 8, generator=generator, dtype=torch.float64)


def token_ids(seed, n=4):
    return torch.randint(11, (n, N_TOKENS), generator=torch.Generator().manual_seed(seed))


def clip_loss(network, batch):
    """Symmetric InfoNCE with one fixed text embedding an image."""
    features = functional.normalize(network(batch)[0], dim=-1)
    generator = torch.Generator().manual_seed(7)
    texts = torch.randn(features.shape, generator=generator, dtype=features.dtype)
    logits = 10 * features @ functional.normalize(texts, dim=-1).t()
    labels = torch.arange(len(batch))
    both = functional.cross_entropy(logits, labels) + functional.cross_entropy(logits.t(), labels)
    return both / 2


def lm_loss(network, batch):
    """Next-token loss of a fixed random head that reads the second-to-last hidden states."""
    hidden = network(batch)[1]
    generator = torch.Generator().manual_seed(8)
    head = torch.randn(hidden.shape[-1], 9, generator=generator, dtype=hidden.dtype)
    labels = torch.randint(9, hidden.shape[:2], generator=generator)
    return functional.cross_entropy((hidden @ head).flatten(0, 1), labels.flatten())


def output_loss(network, batch):
    """Loss on the last hidden states, whatever the network."""
    return (network(batch).last_hidden_state - 0.3).square().mean()
