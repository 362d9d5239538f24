"""The action expert as plain eager PyTorch: what automot-bench-action compares our own with.

An independent reading of the model's description (spec 3 and 5.1), written the way the published code runs:
own heads padded to the understanding expert's number and width, prefix and own keys joined in every layer,
the constant queries projected anew, decision logits over the whole vocabulary. Every operation is a stock
PyTorch call on whole tensors.

    eager_action_expert.py check DIR
        Compares with the golden cases d and e in DIR; exit status 1 if one differs.
    eager_action_expert.py serve CHECKPOINT INPUTS --dtype D --threads N
        Answers each line of standard input, a number of steps, with a JSON list of [wall seconds, CPU
        seconds].
"""

import argparse
import itertools
import json
import sys
from pathlib import Path

import torch
from safetensors import safe_open
from timed_steps import answer_lines, faster
from torch.nn import functional

GOLDEN_TOLERANCE = {"hidden": 5e-5, "logits": 1e-4, "route": 1e-4, "waypoints": 1e-4}
OBSERVATION_TOKENS_BESIDE_BEV = 3  # two target points and the speed


class Checkpoint:
    """Tensors of a checkpoint's action half, in one dtype."""

    def __init__(self, directory: Path, dtype: torch.dtype):
        self.config = json.loads((directory / "config.json").read_text())
        self.dtype = dtype
        self.file = safe_open(directory / "model.safetensors", "pt")

    def get(self, name: str) -> torch.Tensor:
        """A copy: mapped tensors are not aligned as the matrix kernels like it."""
        return self.file.get_tensor(name).to(self.dtype, copy=True)

    def linear(self, prefix: str) -> tuple[torch.Tensor, torch.Tensor]:
        return self.get(prefix + ".weight"), self.get(prefix + ".bias")


def rms_norm(x: torch.Tensor, weight: torch.Tensor, eps: float) -> torch.Tensor:
    wide = x.float()
    wide = wide * torch.rsqrt(wide.pow(2).mean(-1, keepdim=True) + eps)
    return weight * wide.to(x.dtype)


def rotate(x: torch.Tensor, cos: torch.Tensor, sin: torch.Tensor) -> torch.Tensor:
    low, high = x.chunk(2, -1)
    return x * cos + torch.cat([-high, low], -1) * sin


def repeat_heads(x: torch.Tensor, times: int) -> torch.Tensor:
    """[batch, heads, tokens, dim] -> every head `times` times in a row."""
    batch, heads, tokens, dim = x.shape
    return (
        x[:, :, None]
        .expand(batch, heads, times, tokens, dim)
        .reshape(batch, heads * times, tokens, dim)
    )


def fused_attention(q, k, v, mask, scale):
    return functional.scaled_dot_product_attention(q, k, v, attn_mask=mask, scale=scale)


def plain_attention(q, k, v, mask, scale):
    """Products and softmax apart, the softmax in float32."""
    scores = torch.matmul(q, k.transpose(2, 3)) * scale
    scores = scores.masked_fill(~mask, float("-inf"))
    return torch.matmul(torch.softmax(scores, -1, dtype=torch.float32).to(q.dtype), v)


ATTENTIONS = {"fused": fused_attention, "plain": plain_attention}


class Layer:
    def __init__(self, checkpoint: Checkpoint, index: int):
        prefix = f"language_model.model.layers.{index}."
        get = lambda name: checkpoint.get(prefix + name + ".weight")  # noqa: E731
        self.input_norm = get("input_layernorm_mot_gen")
        self.post_norm = get("post_attention_layernorm_mot_gen")
        self.q, self.k, self.v, self.o = (get(f"self_attn.{p}_proj_mot_gen") for p in "qkvo")
        self.q_norm, self.k_norm = get("self_attn.q_norm_mot_gen"), get("self_attn.k_norm_mot_gen")
        self.gate, self.up, self.down = (
            get(f"mlp_mot_gen.{p}_proj") for p in ("gate", "up", "down")
        )


class EagerActionExpert:
    def __init__(self, checkpoint: Checkpoint):
        text = checkpoint.config["text_config"]
        self.heads, self.kv_heads = text["num_attention_heads"], text["num_key_value_heads"]
        self.head_dim, self.eps, self.theta = (
            text["head_dim"],
            text["rms_norm_eps"],
            text["rope_theta"],
        )
        self.dtype = checkpoint.dtype
        self.layers = [Layer(checkpoint, i) for i in range(text["num_hidden_layers"])]
        self.norm = checkpoint.get("language_model.model.norm_mot_gen.weight")
        self.vocabulary = checkpoint.get("language_model.model.embed_tokens.weight")
        self.bev_projection = checkpoint.linear("bev_encoder_proj")
        self.point_mlp = [checkpoint.linear(f"target_point_encoder.mlp.{i}") for i in (0, 2, 4)]
        self.speed_mlp = [checkpoint.linear(f"velocity_encoder.{i}") for i in (0, 2, 4)]
        self.queries = [
            self._query_group(checkpoint, g) for g in ("reasoning", "route", "waypoint")
        ]
        self.route_head = self._head(checkpoint, "route_head")
        self.waypoint_head = self._head(checkpoint, "waypoints_head")
        self.own_mask = None
        self.attention = fused_attention  # or another of ATTENTIONS

    @staticmethod
    def _query_group(checkpoint, group):
        return checkpoint.get(f"{group}_queries.weight"), *(
            checkpoint.linear(f"{group}_projector.{fc}") for fc in ("fc1", "fc2")
        )

    @staticmethod
    def _head(checkpoint, name):
        last = checkpoint.get(f"{name}.mlp.4.weight"), None
        return [*(checkpoint.linear(f"{name}.mlp.{i}") for i in (0, 2)), last]

    def embed(self, bev_feature, target_points, speed):
        """[batch, C, rows, cols], [batch, 2, 2], [batch] -> [batch, tokens, hidden]."""
        batch = speed.shape[0]
        cells = bev_feature.to(self.dtype).flatten(2).transpose(1, 2)
        parts = [functional.linear(cells, *self.bev_projection)]
        for mlp, x in ((self.point_mlp, target_points), (self.speed_mlp, speed.view(batch, 1, 1))):
            x = x.to(self.dtype)
            x = functional.relu(functional.linear(x, *mlp[0]))
            x = functional.relu(functional.linear(x, *mlp[1]))
            parts.append(functional.linear(x, *mlp[2]))
        for embedding, fc1, fc2 in self.queries:
            wide = functional.gelu(functional.linear(embedding, *fc1), approximate="tanh")
            parts.append(functional.linear(wide, *fc2).expand(batch, -1, -1))
        return torch.cat(parts, 1)

    def mask(self, past: int, blocks: list[int]) -> torch.Tensor:
        """[tokens, past + tokens], bool: all of the prefix, then full blocks, no later block."""
        if self.own_mask is None or self.own_mask.shape[1] != past + sum(blocks):
            block = torch.repeat_interleave(torch.arange(len(blocks)), torch.tensor(blocks))
            own = block[:, None] >= block[None, :]
            self.own_mask = torch.cat([torch.ones(len(block), past, dtype=torch.bool), own], 1)
        return self.own_mask

    def rotary(self, first: int, tokens: int):
        frequency = self.theta ** -(torch.arange(0, self.head_dim, 2).float() / self.head_dim)
        angles = torch.arange(first, first + tokens).float()[:, None] * frequency
        angles = torch.cat([angles, angles], -1)
        return angles.cos().to(self.dtype), angles.sin().to(self.dtype)

    def pad(self, x: torch.Tensor, heads: int) -> torch.Tensor:
        """[batch, tokens, own heads, own dim] -> [batch, heads, tokens, head_dim], zeros on the right."""
        x = functional.pad(x, (0, self.head_dim - x.shape[3], 0, heads - x.shape[2]))
        return x.transpose(1, 2)

    def attend(self, layer: Layer, x, past_keys, past_values, cos, sin, mask):
        batch, tokens, _ = x.shape
        own_dim = layer.q_norm.shape[0]
        split = lambda w: functional.linear(x, w).view(batch, tokens, -1, own_dim)  # noqa: E731
        q = rms_norm(split(layer.q), layer.q_norm, self.eps)
        k = rms_norm(split(layer.k), layer.k_norm, self.eps)
        own_heads = q.shape[2]
        q = rotate(self.pad(q, self.heads), cos, sin)
        k = rotate(self.pad(k, self.kv_heads), cos, sin)
        k[..., own_dim:] = 0
        v = self.pad(split(layer.v), self.kv_heads)
        keys = torch.cat([past_keys.expand(batch, -1, -1, -1), k], 2)
        values = torch.cat([past_values.expand(batch, -1, -1, -1), v], 2)
        group = self.heads // self.kv_heads
        keys, values = repeat_heads(keys, group), repeat_heads(values, group)
        out = self.attention(q, keys, values, mask, self.head_dim**-0.5)
        out = (
            out[:, :own_heads, :, :own_dim]
            .transpose(1, 2)
            .reshape(batch, tokens, own_heads * own_dim)
        )
        return functional.linear(out, layer.o)

    @torch.inference_mode()
    def step(self, bev_feature, target_points, speed, past_keys, past_values, first_position):
        """past_keys, past_values: per layer [1, kv_heads, prefix, head_dim]. Names are the golden cases'."""
        x = self.embed(bev_feature, target_points, speed)
        counts = [len(group[0]) for group in self.queries]
        beside = OBSERVATION_TOKENS_BESIDE_BEV
        blocks = [x.shape[1] - sum(counts) - beside, beside, *counts]
        mask = self.mask(past_keys[0].shape[2], blocks)
        cos, sin = self.rotary(first_position, x.shape[1])
        for layer, keys, values in zip(self.layers, past_keys, past_values, strict=True):
            normed = rms_norm(x, layer.input_norm, self.eps)
            x = x + self.attend(layer, normed, keys, values, cos, sin, mask)
            normed = rms_norm(x, layer.post_norm, self.eps)
            gate = functional.silu(functional.linear(normed, layer.gate))
            x = x + functional.linear(gate * functional.linear(normed, layer.up), layer.down)
        hidden = rms_norm(x, self.norm, self.eps)
        # As matrices: of a strided [batch, n, hidden], `linear` copies the transposed vocabulary each time.
        groups = hidden.split([sum(blocks[:2]), *counts], 1)[1:]
        decision, route, waypoints = (group.flatten(0, 1) for group in groups)
        batched = lambda rows: rows.unflatten(0, (x.shape[0], -1))  # noqa: E731
        logits = batched(functional.linear(decision, self.vocabulary).float())
        return {
            "hidden": hidden,
            "logits": logits,
            "pred_ids": logits.argmax(-1),
            "route": batched(self.run_head(self.route_head, route)).cumsum(-1),
            "waypoints": batched(self.run_head(self.waypoint_head, waypoints)).cumsum(-2),
        }

    @staticmethod
    def run_head(head, x):
        for weight, bias in head[:2]:
            x = functional.silu(functional.linear(x, weight, bias))
        return functional.linear(x, head[2][0]).float()


def load_case(path: Path) -> dict[str, torch.Tensor]:
    with safe_open(path, "pt") as file:
        return {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118


def by_layer(cache: torch.Tensor, dtype: torch.dtype) -> list[torch.Tensor]:
    """[layers, tokens, kv_heads, dim] -> per layer [1, kv_heads, tokens, dim]."""
    return [layer.to(dtype).transpose(0, 1).contiguous()[None] for layer in cache]


def arguments_of(case, context, dtype, first_position):
    batched = case["bev_feature"].dim() == 4
    inputs = [case["bev_feature"], case["target_points"], case["speed"]]
    if not batched:
        inputs = [inputs[0][None], inputs[1][None], inputs[2].view(1)]
    return (
        *inputs,
        by_layer(context["k_cache"], dtype),
        by_layer(context["v_cache"], dtype),
        first_position,
    )


def check(data: Path) -> bool:
    """Every golden value of cases d and e within the golden README's tolerance."""
    expert = EagerActionExpert(Checkpoint(data / "tiny", torch.float32))
    runs = []
    fast = load_case(data / "cases/d_fast.safetensors")
    for reuse in (0, 1, 3):
        runs.append((fast, fast, f"k{reuse}_", int(fast[f"k{reuse}_position_ids"][0, 0])))
    batch = load_case(data / "cases/e_batch.safetensors")
    for context in "AB":
        slow = load_case(data / f"cases/b_slow_{context}.safetensors")
        first = json.loads((data / f"cases/b_slow_{context}.json").read_text())["next_position"]
        runs.append((batch, slow, f"cache{context}_", first))
    good = True
    for (case, context, prefix, first), attention in itertools.product(runs, ATTENTIONS):
        expert.attention = ATTENTIONS[attention]
        result = expert.step(*arguments_of(case, context, torch.float32, first))
        for name, value in result.items():
            expected = case[prefix + name]
            worst = (value.view(expected.shape).double() - expected.double()).abs().max().item()
            fits = worst <= GOLDEN_TOLERANCE.get(name, 0)
            good = good and fits
            print(
                f"{attention} {prefix}{name}: {worst:.1e} {'ok' if fits else 'DIFFERS'}",
                file=sys.stderr,
            )
    return good


def serve(options) -> None:
    torch.set_num_threads(options.threads)
    dtype = getattr(torch, options.dtype)
    expert = EagerActionExpert(Checkpoint(options.checkpoint, dtype))
    case = load_case(options.inputs)
    arguments = arguments_of(case, case, dtype, int(case["position_start"]))
    use = lambda name: setattr(expert, "attention", ATTENTIONS[name])  # noqa: E731
    chosen = faster(tuple(ATTENTIONS), use, lambda: expert.step(*arguments))
    waypoints = expert.step(*arguments)["waypoints"].flatten().tolist()
    print(json.dumps({"check": waypoints, "attention": chosen}), flush=True)
    answer_lines(lambda: expert.step(*arguments))


def main() -> int:
    raw = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=raw)
    verbs = parser.add_subparsers(dest="verb", required=True)
    verb = verbs.add_parser("check")
    verb.add_argument("golden", type=Path)
    verb = verbs.add_parser("serve")
    verb.add_argument("checkpoint", type=Path)
    verb.add_argument("inputs", type=Path)
    verb.add_argument("--dtype", choices=["float32", "bfloat16"], default="float32")
    verb.add_argument("--threads", type=int, default=1)
    options = parser.parse_args()
    if options.verb == "check":
        return 0 if check(options.golden) else 1
    serve(options)
    return 0


if __name__ == "__main__":
    sys.exit(main())
