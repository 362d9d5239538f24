#include "common/model/packed_linear.h"

#include "gtest/gtest.h"

namespace automot::model {
namespace {

struct Shape {
  int64_t rows, in, out;
};

// Relative to the largest value: bfloat16 keeps 8 bits.
double Tolerance(at::ScalarType dtype) { return dtype == at::kBFloat16 ? 0.02 : 1e-5; }

class PackedLinearTest : public testing::TestWithParam<at::ScalarType> {
 protected:
  void ExpectEqual(const at::Tensor& actual, const at::Tensor& wide) {
    ASSERT_EQ(actual.scalar_type(), GetParam());
    ASSERT_EQ(actual.sizes(), wide.sizes());
    const double worst = (actual.to(at::kFloat) - wide).abs().max().item<double>();
    EXPECT_LT(worst, Tolerance(GetParam()) * wide.abs().max().item<double>());
  }
  at::Tensor Random(at::IntArrayRef shape) { return at::randn(shape).to(GetParam()); }
};

TEST_P(PackedLinearTest, AgreesWithThePlainProductAndWhatRidesOnIt) {
  for (const Shape& shape : {Shape{101, 160, 120}, {34, 224, 160}, {1, 20, 33}, {808, 64, 96}}) {
    const at::Tensor weight = Random({shape.out, shape.in}), rows = Random({shape.rows, shape.in});
    const at::Tensor other = Random({shape.rows, shape.out});
    const at::Tensor plain = at::linear(rows.to(at::kFloat), weight.to(at::kFloat));
    const PackedLinear packed(weight);
    EXPECT_EQ(packed.out_features(), shape.out);
    ExpectEqual(packed.Apply(rows), plain);
    ExpectEqual(packed.ApplySilu(rows), at::silu(plain));
    ExpectEqual(packed.ApplyTimes(rows, other), plain * other.to(at::kFloat));
    ExpectEqual(packed.ApplyPlus(rows, other), plain + other.to(at::kFloat));
  }
}

TEST_P(PackedLinearTest, ABiasRidesAlong) {
  const at::Tensor weight = Random({120, 160}), bias = Random({120}), rows = Random({101, 160});
  const at::Tensor other = Random({101, 120});
  const at::Tensor plain =
      at::linear(rows.to(at::kFloat), weight.to(at::kFloat), bias.to(at::kFloat));
  const PackedLinear packed(weight, bias);
  ExpectEqual(packed.Apply(rows), plain);
  ExpectEqual(packed.ApplySilu(rows), at::silu(plain));
  ExpectEqual(packed.ApplyTimes(rows, other), plain * other.to(at::kFloat));
  ExpectEqual(packed.ApplyPlus(rows, other), plain + other.to(at::kFloat));
}

TEST_P(PackedLinearTest, LeavesItsArgumentsAlone) {
  const at::Tensor rows = Random({101, 160}), residual = Random({101, 120});
  const at::Tensor rows_before = rows.clone(), residual_before = residual.clone();
  const PackedLinear packed(Random({120, 160}));
  packed.ApplyPlus(rows, residual);
  packed.ApplyTimes(rows, residual);
  EXPECT_TRUE(rows.equal(rows_before));
  EXPECT_TRUE(residual.equal(residual_before));
}

INSTANTIATE_TEST_SUITE_P(Types, PackedLinearTest, testing::Values(at::kFloat, at::kBFloat16),
                         [](const auto& info) { return std::string(c10::toString(info.param)); });

}  // namespace
}  // namespace automot::model
