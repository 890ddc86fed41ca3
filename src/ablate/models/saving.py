"""The trained model as Hugging Face folders, merged and ready for use elsewhere."""

from pathlib import Path

from transformers import CLIPProcessor, LlavaProcessor

from ablate.models.encoders import SequenceEncoderConfig
from ablate.models.pretrained import quiet_transformers
from ablate.models.vlm import VisionLanguageModel


def save_model(vlm: VisionLanguageModel, folder: Path, partial: Path) -> None:
    """Write the merged model: LLaVA into `folder`, CLIP around the same image encoder, if any, into `folder/clip`.

    `LlavaForConditionalGeneration.from_pretrained(folder)` and
    `CLIPModel.from_pretrained(folder / "clip")` give the same logits as `vlm`; both folders hold
    their processors. With a swapped encoder, `import ablate.models.encoders` has to come first. The
    folder is there whole or not at all.

    Args:
        vlm: The merged model.
        folder: Where to write it; must not exist.
        partial: Where to write until all is there.
    """
    swapped = isinstance(vlm.vision_config, SequenceEncoderConfig)
    with quiet_transformers():
        vlm.llava.save_pretrained(partial)
        if vlm.clip is not None:
            vlm.clip.save_pretrained(partial / "clip")
    LlavaProcessor(
        image_processor=vlm.image_processor,
        tokenizer=vlm.tokenizer,
        patch_size=vlm.patch_size_px,
        vision_feature_select_strategy=vlm.llava.config.vision_feature_select_strategy,
        # CLIP's class token; a swapped encoder leaves such tokens out itself.
        num_additional_image_tokens=0 if swapped else 1,
    ).save_pretrained(partial)
    if vlm.clip is not None:
        CLIPProcessor(vlm.image_processor, vlm.clip_tokenizer).save_pretrained(partial / "clip")
    partial.rename(folder)
