"""The action expert, written from its description alone (spec 3, 5.1): with the padded heads that
the compact kernels do without, one observation at a time, float32."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from geometries import Geometry

Tensors = dict[str, torch.Tensor]
TOKENS = {"bev": 64, "numbers": 3, "decision": 8, "route": 20, "waypoint": 6}
TOTAL = sum(TOKENS.values())
THETA, EPS = 5e6, 1e-6
LAYERS = "language_model.model.layers"


@dataclass
class Observation:
    bev_feature: torch.Tensor  # [C, 8, 8]
    target_points: torch.Tensor  # [2, 2], metres
    speed: torch.Tensor  # [], metres per second


def own_mask() -> torch.Tensor:
    """[101, 101]: each block sees itself and all before it (spec 3.3)."""
    block = torch.repeat_interleave(torch.arange(len(TOKENS)), torch.tensor([*TOKENS.values()]))
    return block[:, None] >= block[None, :]


def _rms_norm(x: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
    return x * (x.pow(2).mean(-1, keepdim=True) + EPS).rsqrt() * weight


class ActionReference:
    def __init__(self, geometry: Geometry, tensors: Tensors) -> None:
        self.t = tensors
        self.layers = geometry["text.layers"]
        self.text_heads, self.text_kv = geometry["text.heads"], geometry["text.kv_heads"]
        self.width = geometry["text.head_dim"]
        self.heads, self.kv = geometry["action.heads"], geometry["action.kv_heads"]
        self.own_width = geometry["action.head_dim"]

    def _linear(self, name: str, x: torch.Tensor) -> torch.Tensor:
        return F.linear(x, self.t[f"{name}.weight"], self.t.get(f"{name}.bias"))

    def _chain(self, names: tuple[str, ...], x: torch.Tensor, between) -> torch.Tensor:
        for i, name in enumerate(names):
            x = self._linear(name, x if i == 0 else between(x))
        return x

    def _queries(self, name: str) -> torch.Tensor:
        inner = self._linear(f"{name}_projector.fc1", self.t[f"{name}_queries.weight"])
        return self._linear(f"{name}_projector.fc2", F.gelu(inner, approximate="tanh"))

    def embed(self, observation: Observation) -> torch.Tensor:
        """[101, hidden] (spec 3.2)."""
        bev = observation.bev_feature.flatten(1).transpose(0, 1)
        points = tuple(f"target_point_encoder.mlp.{i}" for i in (0, 2, 4))
        speed = tuple(f"velocity_encoder.{i}" for i in (0, 2, 4))
        return torch.cat(
            [
                self._linear("bev_encoder_proj", bev),
                self._chain(points, observation.target_points, F.relu),
                self._chain(speed, observation.speed.reshape(1, 1), F.relu),
                self._queries("reasoning"),
                self._queries("route"),
                self._queries("waypoint"),
            ]
        )

    def _rotate(self, x: torch.Tensor, first_position: int) -> torch.Tensor:
        """Rotary over the whole padded width: dimension i pairs with i + width / 2."""
        half = self.width // 2
        positions = first_position + torch.arange(TOTAL, dtype=torch.float32)
        frequencies = 1.0 / THETA ** (torch.arange(half, dtype=torch.float32) * 2 / self.width)
        angles = torch.outer(positions, frequencies)[:, None]
        low, high = x[..., :half], x[..., half:]
        cos, sin = angles.cos(), angles.sin()
        return torch.cat([low * cos - high * sin, high * cos + low * sin], dim=-1)

    def _heads(self, layer: str, part: str, x: torch.Tensor, padded_heads: int) -> torch.Tensor:
        """[101, padded heads, width]: zeros beyond the action expert's own heads and width."""
        projected = self._linear(f"{layer}.self_attn.{part}_proj_mot_gen", x)
        heads = projected.view(TOTAL, -1, self.own_width)
        if part != "v":
            heads = _rms_norm(heads, self.t[f"{layer}.self_attn.{part}_norm_mot_gen.weight"])
        return F.pad(heads, (0, self.width - self.own_width, 0, padded_heads - heads.shape[1]))

    def _attend(
        self, layer: str, x: torch.Tensor, keys: torch.Tensor, values: torch.Tensor, first: int
    ) -> torch.Tensor:
        query = self._rotate(self._heads(layer, "q", x, self.text_heads), first)
        key = self._rotate(self._heads(layer, "k", x, self.text_kv), first)
        key[..., self.own_width :] = 0
        value = self._heads(layer, "v", x, self.text_kv)
        group = self.text_heads // self.text_kv
        key = torch.cat([keys, key]).repeat_interleave(group, dim=1).permute(1, 2, 0)
        value = torch.cat([values, value]).repeat_interleave(group, dim=1).transpose(0, 1)
        scores = query.transpose(0, 1) @ key / math.sqrt(self.width)
        allowed = F.pad(own_mask(), (keys.shape[0], 0), value=True)
        mixed = scores.masked_fill(~allowed, float("-inf")).softmax(-1) @ value
        mixed = mixed.transpose(0, 1)[:, : self.heads, : self.own_width]
        return self._linear(f"{layer}.self_attn.o_proj_mot_gen", mixed.reshape(TOTAL, -1))

    def _feed_forward(self, layer: str, x: torch.Tensor) -> torch.Tensor:
        gate, up = (self._linear(f"{layer}.mlp_mot_gen.{n}_proj", x) for n in ("gate", "up"))
        return self._linear(f"{layer}.mlp_mot_gen.down_proj", F.silu(gate) * up)

    @torch.no_grad()
    def hidden(
        self, observation: Observation, keys: torch.Tensor, values: torch.Tensor, first: int
    ) -> torch.Tensor:
        """[101, hidden] after the final norm. keys, values: [layers, tokens, kv heads, width]."""
        x = self.embed(observation)
        for i in range(self.layers):
            layer = f"{LAYERS}.{i}"
            normed = _rms_norm(x, self.t[f"{layer}.input_layernorm_mot_gen.weight"])
            x = x + self._attend(layer, normed, keys[i], values[i], first)
            normed = _rms_norm(x, self.t[f"{layer}.post_attention_layernorm_mot_gen.weight"])
            x = x + self._feed_forward(layer, normed)
        return _rms_norm(x, self.t["language_model.model.norm_mot_gen.weight"])

    @torch.no_grad()
    def heads_of(self, hidden: torch.Tensor) -> dict[str, torch.Tensor]:
        """What follows from hidden [101, hidden] (spec 5.1)."""
        decision, route, waypoint = hidden[67:75], hidden[75:95], hidden[95:101]
        raw = self._chain(tuple(f"route_head.mlp.{i}" for i in (0, 2, 4)), route, F.silu)
        steps = self._chain(tuple(f"waypoints_head.mlp.{i}" for i in (0, 2, 4)), waypoint, F.silu)
        logits = F.linear(decision, self.t["language_model.model.embed_tokens.weight"])
        return {
            "logits": logits,
            "pred_ids": logits.argmax(-1),
            "route_raw": raw,
            "route": raw.cumsum(1),  # over x and y, not over the points
            "wp_offsets": steps,
            "waypoints": steps.cumsum(0),
        }
