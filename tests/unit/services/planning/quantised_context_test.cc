// Quantised contexts are asked for, dequantised before they are published, and refused by type.
#include <cstring>

#include "common/context/quantisation.h"
#include "tests/unit/services/planning/engine_fixture.h"

namespace automot::planning {
namespace {

using context::ContextLayout;
using context::TensorKind;
using Element = ContextLayout::ElementType;

constexpr ContextLayout kLayout{
    .layers = 2, .tokens = 4, .kv_heads = 2, .k_head_dim = 8, .v_head_dim = 8};

// Keeps what it prepares.
class KeepingExpert final : public ActionExpert {
 public:
  explicit KeepingExpert(FakeActionExpert* fake) : fake_(fake) {}
  const ActionExpertInfo& info() const override { return fake_->info(); }
  absl::StatusOr<std::unique_ptr<const PreparedContext>> Prepare(
      context::SnapshotPtr snapshot) const override {
    prepared.push_back(snapshot);
    return fake_->Prepare(std::move(snapshot));
  }
  absl::Status WarmUp(int max_batch) override { return fake_->WarmUp(max_batch); }
  absl::Status Plan(const PlanFeatures& features, const PreparedContext& context,
                    PlanOutput* output) override {
    return fake_->Plan(features, context, output);
  }
  mutable std::vector<context::SnapshotPtr> prepared;

 private:
  FakeActionExpert* const fake_;
};

struct RejectionMetrics final : PlanningMetrics {
  void CountRejectedSnapshot(std::string_view reason) override { reasons.emplace_back(reason); }
  void ObserveSnapshot(const context::ContextSnapshot& snapshot) override {
    received.push_back(snapshot.kv.layout().element_type);
  }
  std::vector<std::string> reasons;
  std::vector<Element> received;
};

class QuantisedContextTest : public EngineTest {
 protected:
  void SetUp() override {}
  void StartWith(std::optional<Element> type) {
    engine_.reset();
    PlanningEngineOptions options;
    options.context_element_type = type;
    auto engine = PlanningEngine::Create(options, &keeping_, &channel_, &clock_, &rejections_);
    ASSERT_TRUE(engine.ok()) << engine.status();
    engine_ = *std::move(engine);
    Open();
  }
  // Publishes `native_` quantised to `type`.
  bool Publish(Element type, bool damaged = false) {
    return channel_.Publish(100'000, [&](context::ContextSnapshot& snapshot) {
      snapshot.header.layout = context::WithElementType(kLayout, type);
      snapshot.kv = context::KvBuffer::Allocate(snapshot.header.layout).value();
      for (int layer = 0; layer < kLayout.layers; ++layer) {
        ASSERT_TRUE(context::QuantiseLayer(native_, layer, snapshot.kv).ok());
      }
      if (damaged) snapshot.kv.Tensor(1, TensorKind::kValue)[3] = std::byte{0x7f};
    });
  }
  static context::KvBuffer MakeNative() {
    context::KvBuffer native = context::KvBuffer::Allocate(kLayout).value();
    for (int layer = 0; layer < kLayout.layers; ++layer) {
      for (const TensorKind tensor : {TensorKind::kKey, TensorKind::kValue}) {
        const std::span<std::byte> bytes = native.Tensor(layer, tensor);
        for (std::size_t i = 0; i < bytes.size(); i += 4) {
          const float value = 0.25F * static_cast<float>(i % 29) - 2.0F;
          std::memcpy(bytes.data() + i, &value, sizeof(value));
        }
      }
    }
    return native;
  }

  const context::KvBuffer native_ = MakeNative();
  KeepingExpert keeping_{&expert_};
  RejectionMetrics rejections_;
};

TEST_F(QuantisedContextTest, IsAskedForAsConfigured) {
  StartWith(Element::kFloat8E4M3);
  EXPECT_EQ(channel_.request().element_type, Element::kFloat8E4M3);
  StartWith(std::nullopt);
  EXPECT_EQ(channel_.request().element_type, std::nullopt);
}

TEST_F(QuantisedContextTest, TheExpertGetsItsOwnTypeAndTheBudgetCountsThat) {
  for (const Element own : {Element::kFloat32, Element::kBFloat16}) {
    for (const Element type : {Element::kFloat8E4M3, Element::kInt8}) {
      expert_.mutable_info().context_element_type = own;
      StartWith(type);
      ASSERT_TRUE(Publish(type));
      ASSERT_FALSE(keeping_.prepared.empty());
      const context::SnapshotPtr prepared = keeping_.prepared.back();
      const ContextLayout expected = context::WithElementType(kLayout, own);
      EXPECT_EQ(prepared->header.layout, expected);
      EXPECT_EQ(prepared->kv.layout(), expected);
      EXPECT_EQ(engine_->memory_stats().used_bytes, expected.total_bytes());
      context::KvBuffer codes =
          context::KvBuffer::Allocate(context::WithElementType(kLayout, type)).value();
      for (int layer = 0; layer < kLayout.layers; ++layer) {
        ASSERT_TRUE(context::QuantiseLayer(native_, layer, codes).ok());
      }
      context::KvBuffer values = context::KvBuffer::Allocate(expected).value();
      ASSERT_TRUE(context::Dequantise(codes, values).ok());
      EXPECT_TRUE(std::ranges::equal(prepared->kv.Tensor(1, TensorKind::kValue),
                                     values.Tensor(1, TensorKind::kValue)));
      EXPECT_EQ(rejections_.received.back(), type) << "metrics see what crossed the lane";
    }
  }
  EXPECT_TRUE(rejections_.reasons.empty());
}

TEST_F(QuantisedContextTest, WhatWasNotAskedForAndWhatIsDamagedIsRefusedAndTheLastServes) {
  StartWith(Element::kFloat8E4M3);
  ASSERT_TRUE(Publish(Element::kFloat8E4M3));
  ASSERT_TRUE(Publish(Element::kInt8));
  ASSERT_TRUE(Publish(Element::kFloat8E4M3, /*damaged=*/true));
  EXPECT_EQ(rejections_.reasons, (std::vector<std::string>{"does_not_fit", "does_not_fit"}));
  EXPECT_EQ(keeping_.prepared.size(), 1U);
  EXPECT_EQ(engine_->memory_stats().used_bytes, kLayout.total_bytes());
}

}  // namespace
}  // namespace automot::planning
