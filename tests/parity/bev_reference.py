"""The BEV encoder: timm's RegNetY trunks, and the fusion between them read from the model's
description (spec 3.6)."""

from __future__ import annotations

import timm
import torch
import torch.nn.functional as F
from geometries import Geometry
from timm.models.regnet import RegNet, RegNetCfg

Tensors = dict[str, torch.Tensor]
LIDAR_GRID = (8, 8)
HISTOGRAM_LIMIT = 5.0
IMAGENET_MEAN = torch.tensor([0.485, 0.456, 0.406])
IMAGENET_STD = torch.tensor([0.229, 0.224, 0.225])


def _stages(geometry: Geometry):
    """A RegNet whose stages are given, where timm derives them from four numbers."""

    class GivenStages(RegNet):
        def _get_stage_args(self, cfg, default_stride=2, output_stride=32, drop_path_rate=0.0):
            stages, common = [], None
            for width, depth in zip(geometry.sizes["bev.widths"], geometry.sizes["bev.depths"]):
                stages.append(
                    {
                        "out_chs": width,
                        "stride": 2,
                        "dilation": 1,
                        "depth": depth,
                        "bottle_ratio": 1.0,
                        "group_size": geometry["bev.group_width"],
                        "drop_path_rates": [0.0] * depth,
                    }
                )
            common = {
                "downsample": cfg.downsample,
                "se_ratio": cfg.se_ratio,
                "linear_out": cfg.linear_out,
                "act_layer": cfg.act_layer,
                "norm_layer": cfg.norm_layer,
            }
            return stages, common

    return GivenStages


def _trunk(geometry: Geometry, tensors: Tensors, prefix: str, channels: int) -> RegNet:
    if geometry.whole_regnet:
        trunk = timm.create_model("regnety_032", pretrained=False, in_chans=channels)
    else:
        config = RegNetCfg(stem_width=geometry["bev.stem_width"], se_ratio=0.25)
        trunk = _stages(geometry)(config, in_chans=channels, num_classes=0)
    state = {k.removeprefix(prefix): v for k, v in tensors.items() if k.startswith(prefix)}
    missing, unexpected = trunk.load_state_dict(state, strict=False)
    missing = [name for name in missing if not name.startswith("head.")]
    if missing or unexpected:
        raise RuntimeError(f"{prefix} and timm's RegNetY differ: {missing}, {unexpected}")
    return trunk.eval()


class BevReference:
    def __init__(self, geometry: Geometry, tensors: Tensors) -> None:
        self.image = _trunk(geometry, tensors, "bev_encoder.image_encoder.", 3)
        self.lidar = _trunk(geometry, tensors, "bev_encoder.lidar_encoder.", 1)
        self.heads = geometry["bev.fusion_heads"]
        self.blocks = geometry["bev.fusion_blocks"]
        self.grid = (geometry["preprocess.crop_rows"] // 32, geometry["preprocess.crop_cols"] // 32)
        self.tensors = tensors

    def _linear(self, name: str, x: torch.Tensor) -> torch.Tensor:
        t = self.tensors
        return F.linear(x, t[f"{name}.weight"], t[f"{name}.bias"])

    def _norm(self, name: str, x: torch.Tensor) -> torch.Tensor:
        t = self.tensors
        return F.layer_norm(x, x.shape[-1:], t[f"{name}.weight"], t[f"{name}.bias"])

    def _convolve(self, name: str, x: torch.Tensor) -> torch.Tensor:
        t = self.tensors
        return F.conv2d(x, t[f"{name}.weight"], t[f"{name}.bias"])

    def _attend(self, name: str, x: torch.Tensor) -> torch.Tensor:
        batch, tokens, width = x.shape
        split = (batch, tokens, self.heads, width // self.heads)
        query, key, value = (
            self._linear(f"{name}.{part}", x).view(split).transpose(1, 2)
            for part in ("query", "key", "value")
        )
        weights = (query @ key.transpose(2, 3) / split[-1] ** 0.5).softmax(-1)
        return self._linear(f"{name}.proj", (weights @ value).transpose(1, 2).reshape(x.shape))

    def _fuse(self, stage: int, image: torch.Tensor, lidar: torch.Tensor):
        """Both maps after they have exchanged what they see."""
        name = f"bev_encoder.transformers.{stage}"
        small_image = F.adaptive_avg_pool2d(image, self.grid)
        small_lidar = F.adaptive_avg_pool2d(lidar, LIDAR_GRID)
        small_lidar = self._convolve(f"bev_encoder.lidar_channel_to_img.{stage}", small_lidar)
        x = torch.cat([m.flatten(2).transpose(1, 2) for m in (small_image, small_lidar)], dim=1)
        x = x + self.tensors[f"{name}.pos_emb"]
        for block in range(self.blocks):
            part = f"{name}.blocks.{block}"
            x = x + self._attend(f"{part}.attn", self._norm(f"{part}.ln1", x))
            inner = self._linear(f"{part}.mlp.0", self._norm(f"{part}.ln2", x)).relu()
            x = x + self._linear(f"{part}.mlp.2", inner)
        x = self._norm(f"{name}.ln_f", x).transpose(1, 2)
        tokens = self.grid[0] * self.grid[1]
        image_part = x[..., :tokens].unflatten(2, self.grid)
        lidar_part = x[..., tokens:].unflatten(2, LIDAR_GRID)
        lidar_part = self._convolve(f"bev_encoder.img_channel_to_lidar.{stage}", lidar_part)
        return image + _resize(image_part, image), lidar + _resize(lidar_part, lidar)

    @torch.no_grad()
    def feature(self, rgb: torch.Tensor, counts: torch.Tensor) -> torch.Tensor:
        """uint8 [B, rows, cols, 3] and [B, 1, rows, cols]: [B, C, 8, 8]."""
        image = (rgb.float() / 255 - IMAGENET_MEAN) / IMAGENET_STD
        image = self.image.stem(image.permute(0, 3, 1, 2))
        lidar = self.lidar.stem(counts.float() / HISTOGRAM_LIMIT)
        for stage in range(4):
            image = getattr(self.image, f"s{stage + 1}")(image)
            lidar = getattr(self.lidar, f"s{stage + 1}")(lidar)
            image, lidar = self._fuse(stage, image, lidar)
        return lidar


def _resize(small: torch.Tensor, like: torch.Tensor) -> torch.Tensor:
    return F.interpolate(small, size=like.shape[2:], mode="bilinear", align_corners=False)
