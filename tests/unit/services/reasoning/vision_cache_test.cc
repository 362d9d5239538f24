#include "services/reasoning/vision_cache.h"

#include <gtest/gtest.h>

namespace automot::reasoning {
namespace {

struct Feature final : VisionFeature {};

TEST(VisionCache, FindsByCaptureTimeAndEvictsTheOldestFrame) {
  VisionCache cache(2);
  const auto first = std::make_shared<Feature>(), second = std::make_shared<Feature>(),
             third = std::make_shared<Feature>();
  cache.Insert(100, first);
  cache.Insert(300, third);
  EXPECT_EQ(cache.Find(100), first);
  EXPECT_EQ(cache.Find(200), nullptr);
  cache.Insert(200, second);
  EXPECT_EQ(cache.size(), 2U);
  EXPECT_EQ(cache.Find(100), nullptr);
  EXPECT_EQ(cache.Find(200), second);
  EXPECT_EQ(cache.Find(300), third);
}

}  // namespace
}  // namespace automot::reasoning
