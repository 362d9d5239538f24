#include "common/rpc/snapshot_transport.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <set>
#include <string>

namespace automot::rpc {
namespace {

constexpr char kVariable[] = "GRPC_EXPERIMENTS";

TEST(SnapshotTransport, ArgumentsAreDistinct) {
  std::set<std::string> names;
  for (const IntegerArgument& argument : SnapshotTransportArguments()) names.insert(argument.name);
  EXPECT_EQ(names.size(), SnapshotTransportArguments().size());
  EXPECT_THAT(names, testing::Contains("grpc.http2.max_frame_size"));
}

TEST(SnapshotTransport, AnOperatorsChoiceOfExperimentsHolds) {
  ::unsetenv(kVariable);
  PrepareProcessForSnapshots();
  EXPECT_THAT(std::getenv(kVariable), testing::HasSubstr("tcp_rcv_lowat"));
  ::setenv(kVariable, "", 1);
  PrepareProcessForSnapshots();
  EXPECT_STREQ(std::getenv(kVariable), "");
  ::unsetenv(kVariable);
}

}  // namespace
}  // namespace automot::rpc
