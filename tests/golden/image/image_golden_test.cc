// Pictures against the reference's Pillow and image processor (tests/golden/data/README.md).
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstring>

#include "common/checkpoint/safetensors.h"
#include "common/image/crop.h"
#include "common/image/patches.h"
#include "common/image/resize.h"

namespace automot::image {
namespace {

using model::SafetensorsFile;
using model::TensorView;

std::unique_ptr<SafetensorsFile> OpenCase(const std::string& name) {
  auto file =
      SafetensorsFile::Open(AUTOMOT_SOURCE_DIR "/tests/golden/data/cases/" + name + ".safetensors");
  EXPECT_TRUE(file.ok()) << file.status();
  return file.ok() ? *std::move(file) : nullptr;
}

// Picture `index` of a tensor [..., rows, cols, 3].
RgbImage ImageOf(const TensorView& tensor, int64_t index = 0) {
  const size_t axes = tensor.shape.size();
  RgbImage image{
      static_cast<int>(tensor.shape[axes - 2]), static_cast<int>(tensor.shape[axes - 3]), {}};
  const size_t bytes = size_t{3} * image.width * image.height;
  const auto* first = reinterpret_cast<const uint8_t*>(tensor.bytes.data()) + index * bytes;
  image.pixels.assign(first, first + bytes);
  return image;
}

class GoldenResize : public ::testing::TestWithParam<const char*> {};

TEST_P(GoldenResize, LanczosEqualsPillowExactly) {
  const auto file = OpenCase("b_resize");
  ASSERT_NE(file, nullptr);
  const RgbImage source = ImageOf(*file->Find(std::string(GetParam()) + "_in"));
  const RgbImage expected = ImageOf(*file->Find(std::string(GetParam()) + "_out"));
  const auto resized =
      ResizeImage(source, {expected.width, expected.height}, ResizeFilter::kLanczos);
  ASSERT_TRUE(resized.ok()) << resized.status();
  EXPECT_EQ(resized->pixels, expected.pixels);
}

INSTANTIATE_TEST_SUITE_P(Ratios, GoldenResize, ::testing::Values("half", "odd", "up"));

class GoldenSlowPath : public ::testing::TestWithParam<const char*> {};

TEST_P(GoldenSlowPath, FramesAreResizedExactly) {
  const auto file = OpenCase(GetParam());
  ASSERT_NE(file, nullptr);
  const TensorView& raw = *file->Find("raw_frames");
  const TensorView& expected = *file->Find("resized_frames");
  Resizer resizer({96, 64}, ResizeFilter::kLanczos);
  RgbImage resized;
  for (int64_t frame = 0; frame < raw.shape[0]; ++frame) {
    ASSERT_TRUE(resizer.Resize(ImageOf(raw, frame), resized).ok());
    EXPECT_EQ(resized.pixels, ImageOf(expected, frame).pixels) << "frame " << frame;
  }
}

TEST_P(GoldenSlowPath, PatchesEqualTheImageProcessors) {
  const auto file = OpenCase(GetParam());
  ASSERT_NE(file, nullptr);
  const TensorView& frames = *file->Find("resized_frames");
  const TensorView& expected = *file->Find("pixel_values");
  const auto patchifier = Patchifier::Create();
  ASSERT_TRUE(patchifier.ok());
  std::vector<float> values(expected.bytes.size() / sizeof(float));
  const size_t per_frame = values.size() / frames.shape[0];
  for (int64_t frame = 0; frame < frames.shape[0]; ++frame) {
    const auto target = absl::MakeSpan(values).subspan(frame * per_frame, per_frame);
    const absl::Status status = patchifier->Write(ImageOf(frames, frame), target);
    ASSERT_TRUE(status.ok()) << status;
  }
  float worst = 0;
  for (size_t i = 0; i < values.size(); ++i) {
    float wanted;
    std::memcpy(&wanted, expected.bytes.data() + i * sizeof(float), sizeof(float));
    worst = std::max(worst, std::abs(values[i] - wanted));
  }
  RecordProperty("max_abs_difference", std::to_string(worst));
  EXPECT_LE(worst, 1e-6F);
}

TEST_P(GoldenSlowPath, GridIsThatOfTheImageProcessor) {
  const auto file = OpenCase(GetParam());
  ASSERT_NE(file, nullptr);
  const TensorView& expected = *file->Find("grid_thw");
  const auto grid = Patchifier::Create()->Grid({96, 64});
  ASSERT_TRUE(grid.ok());
  std::vector<int64_t> thw(expected.bytes.size() / sizeof(int64_t));
  std::memcpy(thw.data(), expected.bytes.data(), expected.bytes.size());
  for (size_t image = 0; image < thw.size(); image += 3) {
    EXPECT_EQ(*grid, (PatchGrid{thw[image], thw[image + 1], thw[image + 2]}));
  }
}

INSTANTIATE_TEST_SUITE_P(Contexts, GoldenSlowPath, ::testing::Values("b_slow_A", "b_slow_B"));

TEST(GoldenCrop, TopRowsOfTheCameraPictureFeedTheBevEncoder) {
  const auto file = OpenCase("c_bev");
  ASSERT_NE(file, nullptr);
  const auto cropped = CropTopRows(ImageOf(*file->Find("camera_rgb")), 64);
  ASSERT_TRUE(cropped.ok());
  EXPECT_EQ(cropped->pixels, ImageOf(*file->Find("rgb"), 0).pixels);
}

}  // namespace
}  // namespace automot::image
