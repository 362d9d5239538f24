// Resampling on pictures that Pillow resampled: every byte.
#include <gtest/gtest.h>

#include <cstring>
#include <fstream>

#include "common/checkpoint/safetensors.h"
#include "common/image/resize.h"
#include "nlohmann/json.hpp"

namespace automot::image {
namespace {

const std::string kStem = AUTOMOT_SOURCE_DIR "/tests/golden/data/parity/resize";

RgbImage PictureOf(const model::SafetensorsFile& file, const std::string& name) {
  const model::TensorView* const view = file.Find(name);
  if (view == nullptr) throw std::runtime_error("no tensor " + name);
  RgbImage picture{.width = static_cast<int>(view->shape[1]),
                   .height = static_cast<int>(view->shape[0])};
  picture.pixels.resize(view->bytes.size());
  std::memcpy(picture.pixels.data(), view->bytes.data(), view->bytes.size());
  return picture;
}

TEST(ResizeVectorsTest, EqualsPillowInEveryByte) {
  const auto file = model::SafetensorsFile::Open(kStem + ".safetensors");
  ASSERT_TRUE(file.ok()) << file.status();
  std::ifstream in(kStem + ".json");
  const auto cases = nlohmann::json::parse(in)["cases"];
  ASSERT_GT(cases.size(), 20U);
  for (const auto& item : cases) {
    const RgbImage expected = PictureOf(**file, item["target"]);
    const auto resized =
        ResizeImage(PictureOf(**file, item["source"]), {expected.width, expected.height},
                    item["filter"] == "bicubic" ? ResizeFilter::kBicubic : ResizeFilter::kLanczos);
    ASSERT_TRUE(resized.ok()) << resized.status();
    EXPECT_TRUE(resized->pixels == expected.pixels) << item.dump();
  }
}

}  // namespace
}  // namespace automot::image
