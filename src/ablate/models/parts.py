"""The parts that a method may train, and where the model keeps them."""

PART_PATHS = {
    "encoder": "llava.model.vision_tower",
    "projector": "llava.model.multi_modal_projector",
    "language_model": "llava.model.language_model",
}
"""Where LLaVA keeps its parts; CLIP's text tower, whose layers share their names, is in none."""

_BESIDE = (("language_model", "llava.lm_head"), ("visual_projection", "clip.visual_projection"))


def part_of(path: str) -> str | None:
    """Return the part of the model that a parameter belongs to by its path; None for one of CLIP's text tower.

    The output layer counts as the language model's, as it does where both share their weights. CLIP's
    `visual_projection` is a part that no answer depends on.
    """
    for part, prefix in (*PART_PATHS.items(), *_BESIDE):
        if path.startswith(f"{prefix}."):
            return part
    return None
