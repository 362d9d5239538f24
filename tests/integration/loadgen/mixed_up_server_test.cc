// The wrong counter can count: a server that answers with another vehicle's plan is caught.
#include <grpcpp/create_channel.h>
#include <grpcpp/server_builder.h>

#include <mutex>
#include <utility>

#include "automot/v1/planning_service.grpc.pb.h"
#include "tests/integration/loadgen/synthetic_fixture.h"

namespace automot::loadgen {
namespace {

namespace v1 = automot::v1;
using Stub = v1::PlanningService::Stub;

// In front of a correct server. Every `period`-th answer has the trajectory of the one before it,
// under its own names: identity alone does not tell.
class MixedUpServer final : public v1::PlanningService::Service {
 public:
  MixedUpServer(const std::string& behind, int period)
      : period_(period),
        stub_(v1::PlanningService::NewStub(
            grpc::CreateChannel(behind, grpc::InsecureChannelCredentials()))) {
    int port = 0;
    grpc::ServerBuilder builder;
    builder.AddListeningPort("127.0.0.1:0", grpc::InsecureServerCredentials(), &port);
    builder.RegisterService(this);
    server_ = builder.BuildAndStart();
    address_ = "127.0.0.1:" + std::to_string(port);
  }
  const std::string& address() const { return address_; }
  uint64_t mixed_up() const { return mixed_up_; }

  grpc::Status OpenSession(grpc::ServerContext*, const v1::OpenSessionRequest* request,
                           v1::OpenSessionResponse* response) override {
    return Pass(&Stub::OpenSession, *request, response);
  }
  grpc::Status CloseSession(grpc::ServerContext*, const v1::CloseSessionRequest* request,
                            v1::CloseSessionResponse* response) override {
    return Pass(&Stub::CloseSession, *request, response);
  }
  grpc::Status Plan(grpc::ServerContext*, const v1::PlanRequest* request,
                    v1::PlanResponse* response) override {
    const grpc::Status status = Pass(&Stub::Plan, *request, response);
    if (!status.ok()) return status;
    const auto& reasons = response->provenance().reasons();
    if (std::find(reasons.begin(), reasons.end(), v1::REASON_FALLBACK) != reasons.end()) {
      return status;
    }
    const std::lock_guard lock(mutex_);
    const v1::Trajectory own = response->trajectory();
    const bool due = ++answers_ % period_ == 0;
    if (due && last_.route_size() > 0) {
      *response->mutable_trajectory() = last_;
      ++mixed_up_;
    }
    last_ = own;
    return status;
  }

 private:
  template <typename Request, typename Response>
  grpc::Status Pass(grpc::Status (Stub::*method)(grpc::ClientContext*, const Request&, Response*),
                    const Request& request, Response* response) {
    grpc::ClientContext call;
    return (stub_.get()->*method)(&call, request, response);
  }

  const int period_;
  std::unique_ptr<Stub> stub_;
  std::string address_;
  std::mutex mutex_;
  v1::Trajectory last_;  // under mutex_
  int answers_ = 0;      // under mutex_
  uint64_t mixed_up_ = 0;
  std::unique_ptr<grpc::Server> server_;  // last: it uses the members above
};

TEST(MixedUpServer, EveryAnswerThatIsAnothersIsCounted) {
  SyntheticServer behind({"--reasoning-ms", "5"});
  MixedUpServer server(behind.address(), /*period=*/10);
  LoadOptions options = SmallLoad(server.address());
  options.requests = 600;
  const auto result = RunLoad(options, nullptr, nullptr);
  ASSERT_TRUE(result.ok()) << result.status();
  EXPECT_GT(server.mixed_up(), 10U);
  EXPECT_EQ(result->tally.wrong, server.mixed_up());
  EXPECT_GT(result->tally.wrong_fields.at("proof.whole"), 0U);
  EXPECT_NE(result->tally.wrong_example, "");
}

}  // namespace
}  // namespace automot::loadgen
