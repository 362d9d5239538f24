// What automot-inspect says of a recording, as JSON and as text.
#include <gmock/gmock.h>

#include <cmath>
#include <limits>

#include "common/context/quantisation.h"
#include "tests/unit/tools/replay/recorded_engine.h"
#include "tools/inspect/layer_statistics.h"
#include "tools/inspect/recording_report.h"
#include "tools/inspect/text_report.h"

namespace automot::planning {
namespace {

using ::testing::HasSubstr;
using Json = nlohmann::ordered_json;

class InspectTest : public RecordedEngineTest {
 protected:
  // Two vehicles; "car" has a snapshot, then a stale one.
  void Drive() {
    Open();
    Open("other", OptionsOf(TimeMode::kRealtime));
    PlanAt(0);
    ASSERT_TRUE(Publish(100'000));
    PlanAt(100'000);
    PlanAt(800'000);
    EXPECT_FALSE(PlanAt(700'000).status.ok()) << "time runs back";
  }
  Json Report(const tools::ReportOptions& options = {}) {
    StopRecording();
    auto reader = tools::EntryReader::Open(options_.folder);
    EXPECT_TRUE(reader.ok()) << reader.status();
    auto report = tools::ReportOn(*reader, options);
    EXPECT_TRUE(report.ok()) << report.status();
    return *std::move(report);
  }
};

TEST_F(InspectTest, CountsWhatEachSessionDid) {
  Drive();
  const Json report = Report();
  EXPECT_EQ(report["recording"]["tail"], "ended");
  EXPECT_EQ(report["recording"]["start"]["model_revision"], "revision");
  ASSERT_EQ(report["sessions"].size(), 2U);
  const Json& car = report["sessions"][0];
  EXPECT_EQ(car["session"], "car");
  EXPECT_EQ(car["plans"], 3);
  EXPECT_EQ(car["answered"], 3);
  EXPECT_EQ(car["refused"], 1);
  EXPECT_EQ(car["snapshots"], 1);
  EXPECT_EQ(car["closed"], true);
  EXPECT_FALSE(report.contains("plans"));
}

TEST_F(InspectTest, TablesPlansWithTheirAgesAndReasons) {
  Drive();
  const Json report = Report({.plans = true});
  ASSERT_EQ(report["plans"].size(), 3U);
  EXPECT_FALSE(report["plans"][0].contains("context_age_us"));
  EXPECT_EQ(report["plans"][2]["snapshot"]["version"], 1);
  EXPECT_EQ(report["plans"][2]["context_age_us"], 700'000);
  EXPECT_EQ(report["plans"][2]["reasons"][0], "REASON_STALE");
  const std::string text = tools::ToText(report);
  EXPECT_THAT(text, HasSubstr(" NO_CONTEXT"));
  EXPECT_THAT(text, HasSubstr("700000"));
}

TEST_F(InspectTest, GivesStatisticsOfEachLayer) {
  Drive();
  const Json report = Report({.snapshots = true});
  ASSERT_EQ(report["snapshots"].size(), 1U);
  const Json& snapshot = report["snapshots"][0];
  EXPECT_EQ(snapshot["layers"].size(), 3U);
  EXPECT_EQ(snapshot["layers"][0]["keys"]["values"], 96 * 2 * 128);
  EXPECT_EQ(snapshot["layers"][2]["keys"]["max"], 0.0) << "the fixture fills the first one only";
  EXPECT_EQ(snapshot["header"]["capture_time_us"], "100000");
  EXPECT_TRUE(snapshot.contains("decision"));
  EXPECT_THAT(tools::ToText(report), HasSubstr("layer   2 values"));
}

TEST_F(InspectTest, OneSessionAlone) {
  Drive();
  const Json report = Report({.plans = true, .session = "other"});
  ASSERT_EQ(report["sessions"].size(), 1U);
  EXPECT_TRUE(report["plans"].empty());
}

TEST_F(InspectTest, WhatIsBeforeDamageIsShown) {
  Drive();
  StopRecording();
  const std::string path = options_.folder + "/run-0001/0001.rec";
  std::fstream file(path, std::ios::in | std::ios::out | std::ios::binary);
  file.seekp(static_cast<std::streamoff>(std::filesystem::file_size(path) - 40));
  file.put('\x5a').put('\xa5').put('\x5a');
  file.close();
  const Json report = Report();
  EXPECT_EQ(report["recording"]["tail"], "damaged");
  EXPECT_EQ(report["sessions"][0]["answered"], 3);
  EXPECT_THAT(tools::ToText(report), HasSubstr("damaged, where: "));
}

TEST(LayerStatistics, OfEachElementType) {
  context::ContextLayout layout{
      .layers = 1, .tokens = 1, .kv_heads = 1, .k_head_dim = 4, .v_head_dim = 4};
  auto plain = context::KvBuffer::Allocate(layout).value();
  const float values[] = {1.0F, -3.0F, 2.0F, std::numeric_limits<float>::infinity()};
  std::memcpy(plain.Tensor(0, context::TensorKind::kKey).data(), values, sizeof(values));
  const auto statistics = tools::StatisticsOf(plain, 0, context::TensorKind::kKey);
  EXPECT_EQ(statistics.min, -3.0);
  EXPECT_EQ(statistics.max, 2.0);
  EXPECT_EQ(statistics.mean, 0.0);
  EXPECT_DOUBLE_EQ(statistics.rms, std::sqrt(14.0 / 3.0));
  EXPECT_EQ(statistics.not_finite, 1U);

  layout.element_type = context::ContextLayout::ElementType::kBFloat16;
  auto half = context::KvBuffer::Allocate(layout).value();
  const uint16_t bits[] = {0x3f80, 0xc040, 0x4000, 0x7f80};  // the same
  std::memcpy(half.Tensor(0, context::TensorKind::kValue).data(), bits, sizeof(bits));
  EXPECT_EQ(tools::StatisticsOf(half, 0, context::TensorKind::kValue).min, -3.0);

  std::memset(plain.Tensor(0, context::TensorKind::kKey).data() + 12, 0, 4);
  auto codes = context::KvBuffer::Allocate(
                   context::WithElementType(layout, context::ContextLayout::ElementType::kInt8))
                   .value();
  ASSERT_TRUE(context::QuantiseLayer(plain, 0, codes).ok());
  const auto back = tools::Dequantised(codes);
  ASSERT_TRUE(back.ok()) << back.status();
  EXPECT_NEAR(tools::StatisticsOf(*back, 0, context::TensorKind::kKey).min, -3.0, 0.03);
}

}  // namespace
}  // namespace automot::planning
