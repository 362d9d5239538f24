// What the engine tells whoever measures it: each transition once.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <future>
#include <mutex>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "tests/unit/services/reasoning/engine_fixture.h"

namespace automot::reasoning {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

// Thread-safe.
class RecordingEvents final : public ReasoningEvents {
 public:
  void OnAttached(const context::AttachRequest& owner) override {
    Add(absl::StrCat("attached ", owner.session, " ", owner.session_name));
  }
  void OnDetached(const context::AttachRequest& owner, bool fenced) override {
    Add(absl::StrCat(fenced ? "fenced " : "detached ", owner.session));
  }
  void OnRefreshBegun(const context::AttachRequest& owner, double, double) override {
    Add(absl::StrCat("begun ", owner.session));
  }
  void OnPublished(const context::AttachRequest& owner, const context::ContextSnapshot&,
                   uint64_t) override {
    Add(absl::StrCat("published ", owner.session));
  }
  void OnRefreshFailed(const context::AttachRequest& owner, const absl::Status& why) override {
    Add(absl::StrCat("failed ", owner.session, " ", absl::StatusCodeToString(why.code())));
  }
  void OnAnswered(double, const absl::Status& status) override {
    Add(absl::StrCat("answered ", absl::StatusCodeToString(status.code())));
  }

  // What came since the last call.
  std::vector<std::string> Take() {
    std::lock_guard lock(mutex_);
    return std::exchange(events_, {});
  }

 private:
  void Add(std::string event) {
    std::lock_guard lock(mutex_);
    events_.push_back(std::move(event));
  }

  std::mutex mutex_;
  std::vector<std::string> events_;
};

class EngineEventsTest : public EngineTest {
 protected:
  EngineEventsTest() { events_ = &recorder_; }
  ~EngineEventsTest() override { engine_.reset(); }

  static std::unique_ptr<SceneQuestion> Question(std::promise<void>* done) {
    auto question = std::make_unique<SceneQuestion>();
    question->session = "car1";
    question->question = "What is ahead?";
    question->on_text = [](std::string_view) { return true; };
    question->on_done = [done](const absl::StatusOr<bool>&) { done->set_value(); };
    return question;
  }

  RecordingEvents recorder_;
  fakes::RecordingReceiver receiver_;
};

TEST_F(EngineEventsTest, ASessionIsAttachedAndDetachedOnce) {
  Start();
  ASSERT_TRUE(engine_->Attach(Request(1), &receiver_).ok());
  EXPECT_THAT(recorder_.Take(), ElementsAre("attached 1 car1"));
  engine_->Detach(1);
  engine_->Detach(1);
  EXPECT_THAT(recorder_.Take(), ElementsAre("detached 1"));
}

TEST_F(EngineEventsTest, AFencedConsumerIsNotDetachedAgainWhenItLeaves) {
  Start();
  context::AttachRequest newer = Request(2, /*epoch=*/5);
  newer.session_name = "car1";
  fakes::RecordingReceiver other;
  ASSERT_TRUE(engine_->Attach(Request(1), &receiver_).ok());
  ASSERT_TRUE(engine_->Attach(newer, &other).ok());
  EXPECT_THAT(recorder_.Take(), ElementsAre("attached 1 car1", "fenced 1", "attached 2 car1"));
  engine_->Detach(1);
  EXPECT_THAT(recorder_.Take(), IsEmpty());
  engine_->Detach(2);
  EXPECT_THAT(recorder_.Take(), ElementsAre("detached 2"));
}

TEST_F(EngineEventsTest, ARefreshBeginsAndIsPublishedOrFails) {
  Start();
  ASSERT_TRUE(engine_->Attach(Request(1), &receiver_).ok());
  recorder_.Take();
  ASSERT_TRUE(SubmitAt(1, 1'000'000).ok());
  ASSERT_TRUE(receiver_.WaitForSnapshots(1));
  EXPECT_THAT(recorder_.Take(), ElementsAre("begun 1", "published 1"));

  control_->prefill_gate.Close();
  clock_.Advance(absl::Seconds(1));
  ASSERT_TRUE(SubmitAt(1, 2'000'000).ok());
  ASSERT_TRUE(AwaitPrefill(2));
  ASSERT_TRUE(engine_->Reset(1, 2).ok());
  control_->prefill_gate.Open();
  ASSERT_TRUE(receiver_.WaitForFailures(1));
  EXPECT_THAT(recorder_.Take(), ElementsAre("begun 1", "failed 1 ABORTED"));
}

TEST_F(EngineEventsTest, AQuestionEndsOnceAnsweredOrRefused) {
  Start();
  std::promise<void> refused;
  EXPECT_TRUE(absl::IsNotFound(engine_->Ask(Question(&refused)).status()));
  EXPECT_THAT(recorder_.Take(), ElementsAre("answered NOT_FOUND"));
  EXPECT_EQ(refused.get_future().wait_for(std::chrono::seconds(0)), std::future_status::timeout);

  ASSERT_TRUE(engine_->Attach(Request(1), &receiver_).ok());
  ASSERT_TRUE(SubmitAt(1, 1'000'000).ok());
  ASSERT_TRUE(receiver_.WaitForSnapshots(1));
  recorder_.Take();
  std::promise<void> done;
  ASSERT_TRUE(engine_->Ask(Question(&done)).ok());
  ASSERT_EQ(done.get_future().wait_for(absl::ToChronoSeconds(fakes::RecordingReceiver::kPatience)),
            std::future_status::ready);
  EXPECT_THAT(recorder_.Take(), ElementsAre("answered OK"));
}

}  // namespace
}  // namespace automot::reasoning
