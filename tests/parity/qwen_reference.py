"""The understanding expert by `transformers`: its own Qwen3-VL, with the checkpoint's weights."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from tokenizers import Tokenizer
from transformers import DynamicCache, Qwen3VLConfig, Qwen3VLForConditionalGeneration
from transformers.models.qwen2_vl.image_processing_pil_qwen2_vl import (
    Qwen2VLImageProcessorPil,
    smart_resize,
)

PREFIX = (
    "<|im_start|>system\nYou are a mature and professional driver.<|im_end|>\n<|im_start|>user\n"
)
ANSWER_HEAD = "\n<|im_start|>assistant\n"


@dataclass
class Prompt:
    ids: list[int]
    grid_thw: torch.Tensor  # [images, 3], patches
    prefix: int  # tokens before the first image
    instruction: int  # tokens after the last


class QwenReference:
    def __init__(self, folder: Path, tensors: dict[str, torch.Tensor]) -> None:
        config = json.loads((folder / "config.json").read_text())
        self.config = Qwen3VLConfig.from_dict(config)
        self.merge = self.config.vision_config.spatial_merge_size
        self.im_end = config["im_end_token_id"]
        self.model = Qwen3VLForConditionalGeneration(self.config).eval().float()
        self._load(tensors)
        processor = json.loads((folder / "preprocessor_config.json").read_text())
        processor.pop("image_processor_type")
        self.processor = Qwen2VLImageProcessorPil(**processor)
        dims = json.loads((folder / "automot_dims.json").read_text())
        self.frame_size = (dims["slow_image_width"], dims["slow_image_height"])
        self.tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))

    def _load(self, tensors: dict[str, torch.Tensor]) -> None:
        state = {}
        for name, value in tensors.items():
            if name.startswith("language_model.model.") and "_mot_gen" not in name:
                state[f"model.{name.replace('.model.', '.', 1)}"] = value
            elif name.startswith("vision_model."):
                state[name.replace("vision_model.", "model.visual.", 1)] = value
        missing, unexpected = self.model.load_state_dict(state, strict=False)
        if unexpected or set(missing) - {"lm_head.weight"}:
            raise RuntimeError(f"checkpoint and Qwen3-VL differ: {missing}, {unexpected}")
        self.model.tie_weights()

    def resize(self, frames: np.ndarray) -> np.ndarray:
        """uint8 [N, H, W, 3]: the published agent's own resize of its frames."""
        lanczos = Image.Resampling.LANCZOS
        return np.stack(
            [np.asarray(Image.fromarray(f).resize(self.frame_size, lanczos)) for f in frames]
        )

    def by_rule(self, frames: np.ndarray) -> np.ndarray:
        """Frames after Qwen's size rule, as the processor's next step takes them."""
        height, width = smart_resize(
            *frames.shape[1:3],
            factor=self.processor.patch_size * self.merge,
            min_pixels=self.processor.size["shortest_edge"],
            max_pixels=self.processor.size["longest_edge"],
        )
        bicubic = Image.Resampling.BICUBIC
        return np.stack(
            [np.asarray(Image.fromarray(f).resize((width, height), bicubic)) for f in frames]
        )

    def pixels(self, pictures: list[np.ndarray]) -> tuple[torch.Tensor, torch.Tensor]:
        """uint8 [H, W, 3] each, of any size: pixel_values and grid_thw."""
        out = self.processor([Image.fromarray(p) for p in pictures], return_tensors="pt")
        return out["pixel_values"], out["image_grid_thw"]

    @torch.no_grad()
    def features(self, pixel_values: torch.Tensor, grid_thw: torch.Tensor):
        """image_embeds [tokens, hidden] and one such tensor per tap."""
        out = self.model.model.visual(pixel_values, grid_thw=grid_thw, return_dict=True)
        return out.pooler_output, list(out.deepstack_features)

    def prompt(self, text: str, grid_thw: torch.Tensor, answer: bool = False) -> Prompt:
        """Prefix, images and instruction are encoded apart (spec 2.2)."""
        prefix = self.tokenizer.encode(PREFIX, add_special_tokens=False).ids
        instruction = [*self.tokenizer.encode(text, add_special_tokens=False).ids, self.im_end]
        if answer:
            instruction += self.tokenizer.encode(ANSWER_HEAD, add_special_tokens=False).ids
        ids = list(prefix)
        for _, rows, cols in grid_thw.tolist():
            tokens = rows * cols // self.merge**2
            ids += [self.config.vision_start_token_id]
            ids += [self.config.image_token_id] * tokens + [self.config.vision_end_token_id]
        return Prompt(ids + instruction, grid_thw, len(prefix), len(instruction))

    def _token_types(self, prompt: Prompt) -> torch.Tensor:
        return torch.tensor([[int(i == self.config.image_token_id) for i in prompt.ids]])

    def positions(self, prompt: Prompt) -> torch.Tensor:
        """[3, tokens]"""
        ids = torch.tensor([prompt.ids])
        positions, _ = self.model.model.get_rope_index(
            ids, self._token_types(prompt), image_grid_thw=prompt.grid_thw
        )
        return positions[:, 0]

    def allowed(self, prompt: Prompt, bidirectional: bool) -> torch.Tensor:
        """[tokens, tokens], true where the row's token may see the column's (spec 2.4)."""
        total = len(prompt.ids)
        allowed = torch.ones(total, total, dtype=torch.bool).tril()
        begin = prompt.prefix
        for _, rows, cols in prompt.grid_thw.tolist():
            end = begin + rows * cols // self.merge**2 + 2
            allowed[begin:end, begin:end] = True
            begin = end
        if bidirectional:
            allowed[begin:, begin:] = True
        return allowed

    @torch.no_grad()
    def context(self, prompt: Prompt, features, allowed: torch.Tensor):
        """Keys and values, each [layers, tokens, kv heads, head_dim]."""
        embeds, taps = features
        ids = torch.tensor([prompt.ids])
        inputs = self.model.get_input_embeddings()(ids)
        images = ids[0] == self.config.image_token_id
        inputs[0, images] = embeds
        additive = torch.zeros(allowed.shape).masked_fill(~allowed, float("-inf"))
        cache = DynamicCache(config=self.config.text_config)
        self.model.model.language_model(
            inputs_embeds=inputs,
            attention_mask=additive[None, None],
            position_ids=self.positions(prompt)[:, None],
            visual_pos_masks=images[None],
            deepstack_visual_embeds=taps,
            past_key_values=cache,
            use_cache=True,
        )
        layers = cache.layers
        keys = torch.stack([layer.keys[0].transpose(0, 1) for layer in layers])
        values = torch.stack([layer.values[0].transpose(0, 1) for layer in layers])
        return keys, values

    @torch.no_grad()
    def answer(self, prompt: Prompt, pixel_values: torch.Tensor, max_tokens: int):
        """Greedy tokens without the end mark, and the smallest lead of a chosen token's logit."""
        ids = torch.tensor([prompt.ids])
        out = self.model.generate(
            input_ids=ids,
            attention_mask=torch.ones_like(ids),
            pixel_values=pixel_values,
            image_grid_thw=prompt.grid_thw,
            mm_token_type_ids=self._token_types(prompt),
            max_new_tokens=max_tokens,
            do_sample=False,
            eos_token_id=self.im_end,
            pad_token_id=self.im_end,
            return_dict_in_generate=True,
            output_scores=True,
        )
        tokens = out.sequences[0, len(prompt.ids) :].tolist()
        leads = [float(top[0] - top[1]) for top in (s[0].topk(2).values for s in out.scores)]
        return [t for t in tokens if t != self.im_end], min(leads)
