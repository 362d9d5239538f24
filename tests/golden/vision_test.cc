// Case a: the vision tower alone.
#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"
#include "tests/golden/understanding_fixture.h"

namespace automot::golden {
namespace {

class VisionGolden : public testing::Test {
 protected:
  VisionGolden() : golden_("a_vision"), grid_(golden_.Input("grid_thw")) {}

  int64_t rows() const { return grid_[0][1].item<int64_t>(); }
  int64_t cols() const { return grid_[0][2].item<int64_t>(); }

  static at::Tensor Join(const std::vector<model::ImageFeature>& features, int tap) {
    std::vector<at::Tensor> parts;
    for (const model::ImageFeature& feature : features) {
      parts.push_back(tap < 0 ? feature.embeds : feature.deepstack.at(static_cast<size_t>(tap)));
    }
    return at::cat(parts);
  }

  void ExpectFeatures(const std::vector<model::ImageFeature>& features) const {
    ExpectClose(Join(features, -1), golden_.Expected("image_embeds"), kVisionTolerance,
                "image_embeds");
    for (int tap = 0; tap < 3; ++tap) {
      const std::string name = absl::StrCat("deepstack_", tap);
      ExpectClose(Join(features, tap), golden_.Expected(name), kVisionTolerance, name);
    }
  }

  GoldenCase golden_;
  at::Tensor grid_;
};

TEST_F(VisionGolden, ImagesOfOneCallAgreeWithTheReference) {
  const auto features =
      TinyUnderstandingModel().EncodePatches(golden_.Input("pixel_values"), rows(), cols());
  ASSERT_TRUE(features.ok()) << features.status();
  ASSERT_EQ(features->size(), 4U);
  EXPECT_EQ((*features)[0].grid, (model::ImageGrid{2, 3}));
  ExpectFeatures(*features);
}

TEST_F(VisionGolden, ImagesEncodedOneByOneAgreeWithTheReference) {
  const at::Tensor pixels = golden_.Input("pixel_values");
  const int64_t patches = rows() * cols();
  std::vector<model::ImageFeature> features;
  for (int64_t i = 0; i < grid_.size(0); ++i) {
    const auto feature = TinyUnderstandingModel().EncodePatches(
        pixels.narrow(0, i * patches, patches), rows(), cols());
    ASSERT_TRUE(feature.ok()) << feature.status();
    features.push_back(feature->front());
  }
  ExpectFeatures(features);
}

}  // namespace
}  // namespace automot::golden
