"""The video of a run: camera with the trajectory drawn on it, beside the bird's-eye view."""

from __future__ import annotations

import base64
import dataclasses
import io
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from automot_client.bridge.projection import NEAR_M, CameraModel
from automot_client.geometry import Box, Pose
from automot_client.reporting import palette
from automot_client.reporting.birds_eye import BirdsEye
from automot_client.reporting.record import RunRecord

FRAME_HEIGHT = 384
_EGO_SIZE_M = (4.51, 1.85)
_ROUTE_HALF_WIDTH_M = 0.45
_RIBBON_BEGIN_M = 1.0
_FALLBACK_FRAMES = 160


@dataclass(frozen=True)
class EmbeddedVideo:
    """A video ready for a page: data URI and the tag that shows it ('video' or 'img')."""

    uri: str
    tag: str
    poster: str
    seconds: float


def make_video(record: RunRecord) -> EmbeddedVideo | None:
    """H.264 where ffmpeg is found, else an animated WebP; None when the record has no frame."""
    ticks = [tick for tick in record.ticks if tick["frame"]]
    if not ticks:
        return None
    every = max(1, ticks[1]["tick"] - ticks[0]["tick"]) if len(ticks) > 1 else 1
    rate = 1.0 / (record.tick_s * every)
    poster = _jpeg(next(_frames(record, ticks[len(ticks) // 2 :][:1])))
    seconds = len(ticks) / rate
    encoder = find_ffmpeg()
    if encoder is not None:
        data = _encode_h264(encoder, record, ticks, rate)
        return EmbeddedVideo(_uri("video/mp4", data), "video", _uri("image/jpeg", poster), seconds)
    thin = ticks[:: max(1, len(ticks) // _FALLBACK_FRAMES)]
    data = _encode_webp(_frames(record, thin), 1000 * seconds / len(thin))
    return EmbeddedVideo(_uri("image/webp", data), "img", _uri("image/jpeg", poster), seconds)


def find_ffmpeg() -> str | None:
    """The system's ffmpeg, else the one that imageio-ffmpeg carries."""
    found = shutil.which("ffmpeg")
    if found:
        return found
    try:
        import imageio_ffmpeg
    except ImportError:
        return None
    return str(imageio_ffmpeg.get_ffmpeg_exe())


def _frames(record: RunRecord, ticks: list[dict[str, Any]]) -> Iterator[Image.Image]:
    episode, view = -1, None
    for tick in ticks:
        if tick["episode"] != episode or view is None:
            episode = tick["episode"]
            view = BirdsEye(record.scene(episode), FRAME_HEIGHT)
        yield compose_frame(record, tick, view)


def compose_frame(record: RunRecord, tick: dict[str, Any], view: BirdsEye) -> Image.Image:
    """One frame of the video."""
    stem = record.folder / "frames" / f"{tick['tick']:06d}"
    lidar_file = stem.with_suffix(".npy")
    lidar = np.load(lidar_file) if lidar_file.exists() else np.zeros((0, 2))
    plan = tick["plan"] or {"route": [], "waypoints": []}
    route, waypoints = (
        np.array(plan[key], dtype=np.float64).reshape(-1, 2) for key in ("route", "waypoints")
    )
    targets = np.array(tick["target_points"])
    picture = draw_on_camera(
        Image.open(stem.with_suffix(".jpg")), shown_camera(record), route, waypoints, targets
    )
    _draw_status(picture, tick, _alerts(record, tick))
    bird = view.draw(
        Pose(*tick["pose"]),
        _EGO_SIZE_M,
        [Box(*values) for values in tick["vehicles"]],
        lidar,
        targets,
        route,
        waypoints,
    )
    frame = Image.new("RGB", frame_size(record))
    frame.paste(picture, (0, 0))
    frame.paste(bird, (picture.width, 0))
    return frame


def shown_camera(record: RunRecord) -> CameraModel:
    """The record's camera, scaled to the video's height; the width is even, as encoders want it."""
    camera = record.camera
    width = 2 * round(camera.width * FRAME_HEIGHT / camera.height / 2)
    return dataclasses.replace(camera, width=width, height=FRAME_HEIGHT)


def frame_size(record: RunRecord) -> tuple[int, int]:
    """Width and height of the video."""
    return shown_camera(record).width + FRAME_HEIGHT, FRAME_HEIGHT


def draw_on_camera(
    picture: Image.Image,
    model: CameraModel,
    route: np.ndarray,
    waypoints: np.ndarray,
    targets: np.ndarray,
) -> Image.Image:
    """The picture at `model`'s size with route ribbon, waypoints and target points (ego frame, metres)."""
    size = (model.width, model.height)
    picture = picture.convert("RGB").resize(size, Image.Resampling.BILINEAR)
    draw = ImageDraw.Draw(picture, "RGBA")
    ahead = route[np.hypot(*route.T) > _RIBBON_BEGIN_M + 0.5] if len(route) else route
    if len(ahead):
        outline = _ground_pixels(_ribbon(np.vstack([[_RIBBON_BEGIN_M, 0.0], ahead])), model)
        if len(outline) >= 3:
            draw.polygon(outline.ravel().tolist(), fill=(*palette.PREDICTED_ROUTE, 120))
    for x, y in _ground_pixels(targets, model):
        draw.polygon([x, y - 9, x + 9, y, x, y + 9, x - 9, y], outline=palette.TARGET, width=3)
    for x, y in _ground_pixels(waypoints, model):
        draw.ellipse((x - 5, y - 5, x + 5, y + 5), fill=palette.WAYPOINT)
    return picture


def _ribbon(points: np.ndarray) -> np.ndarray:
    """Outline [2n, 2] of a band along a path [n, 2]."""
    tangent = np.gradient(points, axis=0)
    normal = np.stack([-tangent[:, 1], tangent[:, 0]], axis=1)
    normal = (
        normal
        / np.maximum(np.hypot(normal[:, 0], normal[:, 1])[:, None], 1e-6)
        * _ROUTE_HALF_WIDTH_M
    )
    return np.concatenate([points - normal, (points + normal)[::-1]])


def _ground_pixels(ego: np.ndarray, model: CameraModel) -> np.ndarray:
    points = model.to_camera(ego, 0.0, Pose(0.0, 0.0, 0.0))
    return model.to_pixels(points[points[:, 2] > NEAR_M])


def _alerts(record: RunRecord, tick: dict[str, Any]) -> str:
    """What a viewer must not miss: random weights, a fault made on purpose."""
    now_s = tick["tick"] * record.tick_s
    words = [what for begin, end, what in record.fault_spans if begin <= now_s < end]
    if not record.run["server"]["weights_trained"]:
        words.append("untrained weights")
    return "   ".join(words).upper()


def _draw_status(picture: Image.Image, tick: dict[str, Any], alerts: str) -> None:
    draw = ImageDraw.Draw(picture, "RGBA")
    font = ImageFont.load_default(size=15)
    draw.rectangle((0, 0, picture.width, 46), fill=(16, 20, 26, 170))
    plan = tick["plan"]
    head = "   ".join(
        (
            f"{tick['time_us'] / 1e6:.2f} s",
            f"episode {tick['episode']}",
            f"{tick['speed_mps']:.1f} m/s",
            f"route {tick['route_completion']:.0%}",
            f"plan {tick['latency_ms']:.0f} ms",
        )
    )
    draw.text((10, 4), head, fill=palette.TEXT, font=font)
    draw.text((picture.width - 10, 4), alerts, fill=palette.ALERT, font=font, anchor="ra")
    if plan is None:
        draw.text((10, 24), f"no answer: {tick['error']}"[:100], fill=palette.ALERT, font=font)
        return
    age = (
        "no context"
        if plan["staleness_s"] is None
        else f"context v{plan['snapshot']['version']}, {plan['staleness_s']:.2f} s old"
    )
    words = ", ".join(slot["action"].lower() for slot in plan["decision"]) or "no decision"
    draw.text((10, 24), f"{age}   decision: {words}", fill=palette.TEXT, font=font)
    reasons = "  ".join(plan["reasons"])
    if reasons:
        draw.text((picture.width - 10, 24), reasons, fill=palette.ALERT, font=font, anchor="ra")


def _encode_h264(
    encoder: str, record: RunRecord, ticks: list[dict[str, Any]], rate: float
) -> bytes:
    path = record.folder / "video.mp4"
    width, height = frame_size(record)
    command = [encoder, "-y", "-loglevel", "error", "-f", "rawvideo", "-pix_fmt", "rgb24"]
    command += ["-s", f"{width}x{height}"]
    command += ["-r", f"{rate:g}", "-i", "-", "-c:v", "libx264", "-preset", "medium", "-crf", "25"]
    command += ["-pix_fmt", "yuv420p", "-movflags", "+faststart", str(path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdin is not None and process.stderr is not None
        try:
            for frame in _frames(record, ticks):
                process.stdin.write(frame.tobytes())
        except BrokenPipeError:
            pass  # The encoder's own message below says why.
        _, message = process.communicate()
    if process.returncode != 0:
        raise RuntimeError(f"ffmpeg failed: {message.decode(errors='replace').strip()}")
    return path.read_bytes()


def _encode_webp(frames: Iterator[Image.Image], frame_ms: float) -> bytes:
    pictures = [frame.reduce(2) for frame in frames]
    out = io.BytesIO()
    pictures[0].save(
        out,
        format="WEBP",
        save_all=True,
        append_images=pictures[1:],
        duration=int(frame_ms),
        loop=0,
        quality=60,
    )
    return out.getvalue()


def _jpeg(image: Image.Image) -> bytes:
    out = io.BytesIO()
    image.save(out, format="JPEG", quality=80)
    return out.getvalue()


def _uri(kind: str, data: bytes) -> str:
    return f"data:{kind};base64,{base64.b64encode(data).decode()}"
