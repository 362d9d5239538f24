"""The understanding expert by `transformers`: what automot-bench-prefill compares our own with.

eager_understanding.py serve CHECKPOINT INPUTS --dtype D --threads N
    Answers each line of standard input, a number of prefills from pixels to keys and values, with a JSON list
    of [wall seconds, CPU seconds].
"""

import argparse
import json
import sys
from pathlib import Path

import torch
from safetensors import safe_open
from timed_steps import answer_lines, faster
from transformers import DynamicCache, Qwen3VLConfig, Qwen3VLModel

IMPLEMENTATIONS = ("eager", "sdpa")


def load_model(directory: Path, dtype: torch.dtype) -> Qwen3VLModel:
    config = Qwen3VLConfig.from_dict(json.loads((directory / "config.json").read_text()))
    torch.set_default_dtype(dtype)
    model = Qwen3VLModel(config).eval()
    torch.set_default_dtype(torch.float32)
    state = {}
    with safe_open(directory / "model.safetensors", "pt") as file:
        for name in file.keys():  # noqa: SIM118
            if name.startswith("language_model.model.") and "_mot_gen" not in name:
                state[name.replace(".model.", ".", 1)] = file.get_tensor(name)
            elif name.startswith("vision_model."):
                state[name.replace("vision_model.", "visual.", 1)] = file.get_tensor(name)
    model.load_state_dict(state)
    return model


class EagerUnderstanding:
    def __init__(self, model: Qwen3VLModel, inputs: dict[str, torch.Tensor], dtype: torch.dtype):
        self.model = model
        self.pixel_values = inputs["pixel_values"].to(dtype)
        self.grid_thw = inputs["grid_thw"]
        self.ids = inputs["input_ids"][None]
        self.positions = inputs["position_ids"][:, None]
        self.images = self.ids[0] == model.config.image_token_id
        allowed = inputs["mask_allowed"].bool()
        self.mask = torch.zeros(allowed.shape, dtype=dtype).masked_fill(~allowed, float("-inf"))

    @torch.inference_mode()
    def prefill(self) -> DynamicCache:
        vision = self.model.visual(self.pixel_values, grid_thw=self.grid_thw, return_dict=True)
        embeds = self.model.get_input_embeddings()(self.ids)
        embeds[0, self.images] = vision.pooler_output
        cache = DynamicCache(config=self.model.config.text_config)
        self.model.language_model(
            inputs_embeds=embeds,
            attention_mask=self.mask[None, None],
            position_ids=self.positions,
            visual_pos_masks=self.images[None],
            deepstack_visual_embeds=vision.deepstack_features,
            past_key_values=cache,
            use_cache=True,
        )
        return cache

    def use(self, implementation: str) -> None:
        self.model.set_attn_implementation(implementation)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("verb", choices=["serve"])
    parser.add_argument("checkpoint", type=Path)
    parser.add_argument("inputs", type=Path)
    parser.add_argument("--dtype", choices=["float32", "bfloat16"], default="float32")
    parser.add_argument("--threads", type=int, default=1)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    dtype = getattr(torch, options.dtype)
    with safe_open(options.inputs, "pt") as file:
        inputs = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    expert = EagerUnderstanding(load_model(options.checkpoint, dtype), inputs, dtype)
    chosen = faster(IMPLEMENTATIONS, expert.use, expert.prefill)
    last_keys = expert.prefill().layers[-1].keys[0, 0, -1]
    print(json.dumps({"check": last_keys.tolist(), "attention": chosen}), flush=True)
    answer_lines(expert.prefill)
    return 0


if __name__ == "__main__":
    sys.exit(main())
