"""Compare the evaluation of a data set with its floor: one pass of the image encoder and one prefill an item.

    python scripts/bench_evaluation.py
    python scripts/bench_evaluation.py --scoring letters --items 256

One process evaluates the tiny model's target, through the language model and zero-shot, and computes the floor in
the same batches, in turns; the ratio is the median over rounds of one's processor time over the other's in the same
round. By `answers`, options of several tokens take a second pass over what follows their first token.
"""

import argparse
import statistics
import time
from collections.abc import Callable

import torch
from hydra import compose, initialize_config_dir

from ablate.config.folder import config_folder
from ablate.config.reading import read_run_config
from ablate.config.schema import ShapesData
from ablate.evaluation.progress import Progress
from ablate.evaluation.tasks.classification import ClassificationTask
from ablate.evaluation.verbs.inference import inference
from ablate.evaluation.verbs.multiple_choice import encode_prompts
from ablate.evaluation.verbs.prompts import ImageTokens, embed
from ablate.models.compute import choose_compute
from ablate.models.held import load_vlm
from ablate.models.vlm import VisionLanguageModel
from ablate.recipes.data import load_data


def floor(vlm: VisionLanguageModel, task: ClassificationTask, batch_size: int) -> None:
    """Encode every image once and read every prompt once."""
    with inference(vlm):
        tokens = ImageTokens(vlm, task._pixels.reader(vlm))
        prompts = encode_prompts(vlm, task._items, task._scoring)
        for start in range(0, task.n, batch_size):
            batch = embed(vlm, prompts[start : start + batch_size], tokens)
            vlm.llava.model.language_model(
                inputs_embeds=batch.embeddings,
                attention_mask=batch.mask,
                position_ids=batch.positions,
                use_cache=True,
            )


def seconds(call: Callable[[], object]) -> float:
    """Return the processor seconds of a call: other work on the machine does not count."""
    start = time.process_time()
    call()
    return time.process_time() - start


def main() -> None:
    """Print the seconds of both and their ratio."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--items", type=int, default=768)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--scoring", choices=["answers", "letters"], default="answers")
    arguments = parser.parse_args()
    words = [f"data.test_items={arguments.items}", f"data.scoring={arguments.scoring}"]
    with initialize_config_dir(str(config_folder()), version_base="1.3"):
        run = read_run_config(compose("config", overrides=words))
    assert isinstance(run.data, ShapesData)
    vlm = load_vlm(run, choose_compute("cpu", "fp32"))
    task = ClassificationTask(load_data(run.data), run.data, "target", run.eval, has_clip=True)
    ratios, own = [], []
    for number in range(arguments.rounds + 1):
        sides = {
            "evaluation": lambda: task.evaluate(vlm, run.eval, Progress()),
            "floor": lambda: floor(vlm, task, run.eval.batch_size),
        }
        names = list(sides) if number % 2 else list(sides)[::-1]
        took = {name: seconds(sides[name]) for name in names}
        if number:  # the first round decodes the images
            ratios.append(took["evaluation"] / took["floor"])
            own.append(took["evaluation"])
    print(
        f"{arguments.scoring}, {task.n} items, {torch.get_num_threads()} threads: evaluation "
        f"{statistics.median(own):.2f} s, evaluation / floor {statistics.median(ratios):.2f}"
    )


if __name__ == "__main__":
    main()
