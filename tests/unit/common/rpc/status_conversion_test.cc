#include "common/rpc/status_conversion.h"

#include <gtest/gtest.h>

namespace automot::rpc {
namespace {

TEST(StatusConversionTest, CodesAndMessagesSurviveBothWays) {
  for (int code = 1; code <= 16; ++code) {
    const absl::Status status(static_cast<absl::StatusCode>(code), "why");
    const grpc::Status sent = ToGrpcStatus(status);
    EXPECT_EQ(sent.error_code(), code);
    EXPECT_EQ(FromGrpcStatus(sent), status);
  }
  EXPECT_TRUE(ToGrpcStatus(absl::OkStatus()).ok());
  EXPECT_TRUE(FromGrpcStatus(grpc::Status::OK).ok());
}

TEST(StatusConversionTest, LongMessagesAreCut) {
  const absl::Status status = absl::InternalError(std::string(100'000, 'x'));
  EXPECT_EQ(ToGrpcStatus(status).error_message().size(), 4096U);
  EXPECT_EQ(BoundedMessage(status).size(), 4096U);
}

}  // namespace
}  // namespace automot::rpc
