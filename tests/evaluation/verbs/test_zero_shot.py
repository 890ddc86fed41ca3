import pytest
import torch

from ablate.evaluation.verbs.zero_shot import class_embeddings, nearest_classes

pytestmark = pytest.mark.numerical

NAMES = ("circle", "red square", "blue square", "small triangle")


@pytest.fixture
def pixels():
    generator = torch.Generator().manual_seed(2)
    return torch.randint(0, 256, (30, 3, 16, 16), dtype=torch.uint8, generator=generator)


def predict(vlm, pixels, embeddings, batch_size) -> list[int]:
    with torch.no_grad():
        passes = [vlm.encode_images(vlm.normalise(part)) for part in pixels.split(batch_size)]
        return [row for part in passes for row in nearest_classes(vlm, part.pooled, embeddings)]


def test_one_template_gives_the_argmax_of_clip_itself(tiny_random_vlm, pixels):
    vlm = tiny_random_vlm
    texts = [f"a photo of {name}" for name in NAMES]
    with torch.no_grad():
        logits = vlm.clip(
            pixel_values=vlm.normalise(pixels),
            **vlm.clip_tokenizer(texts, padding=True, return_tensors="pt"),
        ).logits_per_image
    embeddings = class_embeddings(vlm, NAMES, ["a photo of {}"])
    predictions = predict(vlm, pixels, embeddings, 8)
    assert predictions == logits.argmax(1).tolist()
    assert len(set(predictions)) > 1


def test_templates_are_averaged_as_unit_vectors(tiny_random_vlm):
    templates = ["a photo of {}", "{} there", "A. {}"]
    embeddings = class_embeddings(tiny_random_vlm, NAMES, templates)
    for name, embedding in zip(NAMES, embeddings, strict=True):
        mean = torch.zeros_like(embedding)
        for template in templates:
            tokens = tiny_random_vlm.clip_tokenizer(template.format(name), return_tensors="pt")
            with torch.no_grad():
                features = tiny_random_vlm.clip.get_text_features(**tokens).pooler_output[0]
            mean += features / features.norm() / len(templates)
        torch.testing.assert_close(embedding, mean / mean.norm(), rtol=1e-5, atol=1e-6)


def test_batch_size_changes_no_prediction(tiny_random_vlm, pixels):
    embeddings = class_embeddings(tiny_random_vlm, NAMES, ["a photo of {}"])
    one, seven, all_at_once = (
        predict(tiny_random_vlm, pixels, embeddings, size) for size in (1, 7, 64)
    )
    assert one == seven == all_at_once


def test_class_embeddings_can_enter_a_training_loss(tiny_random_vlm):
    embeddings = class_embeddings(tiny_random_vlm, NAMES, ["a photo of {}"])
    weight = torch.ones(24, requires_grad=True)
    (embeddings @ weight).sum().backward()
    assert weight.grad is not None
