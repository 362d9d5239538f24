#include "services/reasoning/reasoning_metrics.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

#include "absl/strings/str_cat.h"
#include "common/logging/log.h"
#include "tests/unit/common/context/snapshot_fixture.h"

namespace automot::reasoning {
namespace {

using ::testing::HasSubstr;
using ::testing::IsEmpty;

class ReasoningMetricsTest : public ::testing::Test {
 protected:
  ReasoningMetricsTest() {
    logging::SetSink([this](std::string_view line) { log_.append(line); });
  }
  ~ReasoningMetricsTest() override { logging::SetSink(nullptr); }

  void ExpectLine(const std::string& line) {
    EXPECT_THAT(absl::StrCat("\n", registry_.Text()), HasSubstr(absl::StrCat("\n", line, "\n")));
  }

  metrics::Registry registry_;
  ManualClock clock_;
  PrometheusReasoningEvents events_{&registry_, &clock_};
  const context::AttachRequest owner_{
      .session = 4, .episode = 2, .epoch = 9, .session_name = "car", .reasoning_rate_hz = 5.0};
  std::string log_;
};

TEST_F(ReasoningMetricsTest, IsReadyOnceTheExpertIs) {
  ExpectLine("automot_ready{loop=\"reasoning\"} 0");
  events_.OnReady(absl::DataLossError("checkpoint"));
  ExpectLine("automot_ready{loop=\"reasoning\"} 0");
  EXPECT_THAT(log_, HasSubstr("\"level\":\"error\",\"event\":\"reasoning_not_ready\""));
  UnderstandingExpertInfo info;
  info.model_revision = "abc";
  events_.OnReady(info);
  ExpectLine("automot_ready{loop=\"reasoning\"} 1");
  ExpectLine(
      "automot_model_info{loop=\"reasoning\",model_revision=\"abc\",weights=\"untrained\"} 1");
}

TEST_F(ReasoningMetricsTest, APublishedSnapshotCountsStagesBytesHitsAndPace) {
  context::ContextSnapshot snapshot;
  snapshot.header = context::SmallHeader();
  snapshot.kv = context::KvBuffer::Allocate(snapshot.header.layout).value();
  snapshot.timings = {.encode_ms = 20, .prefill_ms = 100, .total_ms = 130};
  events_.OnRefreshBegun(owner_, 0.004, 0.25);
  events_.OnPublished(owner_, snapshot, 3);
  clock_.Advance(absl::Milliseconds(500));
  snapshot.header.capture_time_us += 400'000;
  snapshot.timings.decision_ms = 30;
  events_.OnPublished(owner_, snapshot, 3);

  ExpectLine("automot_refreshes_total{outcome=\"published\"} 2");
  const std::string stage = "automot_stage_seconds_count{loop=\"reasoning\",stage=\"";
  ExpectLine(stage + "queue\",rate_hz=\"5\"} 1");
  ExpectLine(stage + "total\",rate_hz=\"5\"} 2");
  ExpectLine(stage + "decision\",rate_hz=\"5\"} 1");
  ExpectLine("automot_refresh_lateness_seconds_sum{rate_hz=\"5\"} 0.25");
  ExpectLine("automot_vision_cache_hits_total 6");
  ExpectLine("automot_snapshot_bytes_count{loop=\"reasoning\"} 2");
  ExpectLine("automot_loop_period_seconds_sum{loop=\"reasoning\",rate_hz=\"5\"} 0.5");
  ExpectLine("automot_loop_missed_ticks_total{loop=\"reasoning\",rate_hz=\"5\"} 1");
}

TEST_F(ReasoningMetricsTest, TellsARefreshDroppedOnPurposeFromAFailedOne) {
  events_.OnRefreshFailed(owner_, absl::AbortedError("reset"));
  events_.OnRefreshFailed(owner_, absl::InternalError("expert"));
  ExpectLine("automot_refreshes_total{outcome=\"dropped\"} 1");
  ExpectLine("automot_refreshes_total{outcome=\"failed\"} 1");
  EXPECT_THAT(log_, HasSubstr("\"level\":\"warning\",\"event\":\"refresh_failed\""));
  EXPECT_THAT(log_, HasSubstr("\"level\":\"info\",\"event\":\"refresh_dropped\""));
}

TEST_F(ReasoningMetricsTest, CountsSessionsObservationsAndQuestions) {
  events_.OnAttached(owner_);
  events_.OnAttached(owner_);
  events_.OnDetached(owner_, true);
  events_.OnSubmitted(false);
  log_.clear();
  events_.OnSubmitted(true);
  EXPECT_THAT(log_, IsEmpty());
  events_.OnAnswered(1.5, absl::OkStatus());
  events_.OnAnswered(0.0, absl::ResourceExhaustedError("queue"));
  ExpectLine("automot_attachments 1");
  ExpectLine("automot_attachments_total 2");
  ExpectLine("automot_attachments_fenced_total 1");
  ExpectLine("automot_slow_observations_total 2");
  ExpectLine("automot_slow_observations_superseded_total 1");
  ExpectLine("automot_asks_total{code=\"ok\"} 1");
  ExpectLine("automot_asks_total{code=\"resource_exhausted\"} 1");
  ExpectLine("automot_ask_seconds_count 2");
}

}  // namespace
}  // namespace automot::reasoning
