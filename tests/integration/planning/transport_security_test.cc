// Who may reach the planning service, and how: loopback, Unix sockets, TLS, and client certificates
// with an allow-list per method.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <optional>

#include "client/planner_client.h"
#include "tests/integration/planning/planning_fixture.h"
#include "tests/support/certificates.h"
#include "tests/support/health_check.h"

namespace automot {
namespace {

using ::testing::HasSubstr;

class TransportSecurityTest : public PlanningTest {
 protected:
  // Skips the test where certificates cannot be made.
  void MakeCertificates() {
    auto made = TestCertificates::Create();
    if (absl::IsUnavailable(made.status())) GTEST_SKIP() << made.status();
    ASSERT_TRUE(made.ok()) << made.status();
    certificates_.emplace(*std::move(made));
    ASSERT_TRUE(certificates_->Make("server", "IP:127.0.0.1,DNS:localhost").ok());
  }
  PlanningProcess::Options WithTls() const {
    PlanningProcess::Options options;
    options.server.tls.certificate_file = certificates_->certificate("server");
    options.server.tls.key_file = certificates_->key("server");
    return options;
  }
  // A client that shows the certificate of `name`, or none where it is empty.
  absl::StatusOr<std::unique_ptr<client::PlannerClient>> Connect(
      const std::string& name, absl::Duration patience = absl::Seconds(30)) const {
    client::PlannerClient::Options options;
    options.address = planning_->server().address();
    options.connect_timeout = patience;
    options.tls.ca_file = certificates_->ca();
    if (!name.empty()) {
      options.tls.certificate_file = certificates_->certificate(name);
      options.tls.key_file = certificates_->key(name);
    }
    return client::PlannerClient::Connect(options);
  }
  static void ExpectPlans(client::PlannerClient& client, const std::string& name) {
    auto session = client.OpenSession(name, OptionsOf(v1::TIME_MODE_REALTIME));
    ASSERT_TRUE(session.ok()) << session.status();
    EXPECT_TRUE((*session)->Plan(SeenAt(0), {.timeout = absl::Seconds(60)}).ok());
  }
  // A lane to `address` that shows the certificate of `name`.
  std::unique_ptr<planning::GrpcSnapshotChannel> LaneTo(const std::string& address,
                                                        const std::string& name) const {
    planning::GrpcSnapshotChannelOptions lane;
    lane.addresses = {address};
    lane.credentials =
        *rpc::ChannelCredentialsFor({.ca_file = certificates_->ca(),
                                     .certificate_file = certificates_->certificate(name),
                                     .key_file = certificates_->key(name)});
    lane.pool.prefault = false;
    return *planning::GrpcSnapshotChannel::Create(lane);
  }
  absl::Status StartAt(const std::string& address, const rpc::TlsOptions& tls = {}) {
    const planning::PlanningContext context{
        &planning_->engine(), &clock_, &metrics_, {&allow_list_}};
    return planning::PlanningServer::Start({.address = address, .tls = tls}, context).status();
  }

  std::optional<TestCertificates> certificates_;
  MonotonicClock clock_;
  planning::PlanningMetrics metrics_;
  rpc::ClientAllowList allow_list_{rpc::TlsOptions()};
};

TEST_F(TransportSecurityTest, AddressBeyondLoopbackIsRefusedByName) {
  StartInProcess();
  absl::Status status = StartAt("0.0.0.0:0");
  EXPECT_TRUE(absl::IsInvalidArgument(status));
  EXPECT_THAT(std::string(status.message()), HasSubstr("'0.0.0.0:0' is reachable beyond loopback"));
  status = StartAt("nowhere");
  EXPECT_THAT(std::string(status.message()), HasSubstr("--address is 'nowhere'"));
}

TEST_F(TransportSecurityTest, PortThatIsTakenIsNamed) {
  StartInProcess();
  const absl::Status status = StartAt(planning_->server().address());
  EXPECT_TRUE(absl::IsUnavailable(status));
  EXPECT_THAT(std::string(status.message()), HasSubstr(planning_->server().address()));
}

TEST_F(TransportSecurityTest, UnixSocketServesPlans) {
  const std::string path =
      std::filesystem::temp_directory_path() / ("automot-" + std::to_string(::getpid()) + ".sock");
  PlanningProcess::Options options;
  options.server.address = "unix:" + path;
  StartInProcess(options);
  EXPECT_EQ(planning_->server().address(), "unix:" + path);
  EXPECT_FALSE(Has(OpenWithContext("car").PlanAt(100'000), v1::REASON_FALLBACK));
  planning_.reset();
  std::filesystem::remove(path);
}

TEST_F(TransportSecurityTest, TlsServerIsReachedByTlsOnly) {
  ASSERT_NO_FATAL_FAILURE(MakeCertificates());
  if (IsSkipped()) return;
  StartInProcess(WithTls());
  const auto client = Connect("");
  ASSERT_TRUE(client.ok()) << client.status();
  ExpectPlans(**client, "car");
  client::PlannerClient::Options plain;
  plain.address = planning_->server().address();
  plain.connect_timeout = absl::Milliseconds(300);
  EXPECT_FALSE(client::PlannerClient::Connect(plain).ok());
}

TEST_F(TransportSecurityTest, ServerOfAnotherCaIsNotTrusted) {
  ASSERT_NO_FATAL_FAILURE(MakeCertificates());
  if (IsSkipped()) return;
  StartInProcess(WithTls());
  const auto others = TestCertificates::Create();
  ASSERT_TRUE(others.ok());
  client::PlannerClient::Options options;
  options.address = planning_->server().address();
  options.connect_timeout = absl::Milliseconds(300);
  options.tls.ca_file = others->ca();
  EXPECT_FALSE(client::PlannerClient::Connect(options).ok());
}

TEST_F(TransportSecurityTest, ClientsWithoutACertificateOfTheCaAreTurnedAway) {
  ASSERT_NO_FATAL_FAILURE(MakeCertificates());
  if (IsSkipped()) return;
  PlanningProcess::Options options = WithTls();
  options.server.tls.client_ca_file = certificates_->ca();
  StartInProcess(options);
  ASSERT_TRUE(certificates_->Make("anyone").ok());
  EXPECT_FALSE(Connect("", absl::Milliseconds(300)).ok());
  const auto client = Connect("anyone");
  ASSERT_TRUE(client.ok()) << client.status();
  ExpectPlans(**client, "car");
}

TEST_F(TransportSecurityTest, AllowListNamesWhoMayCallWhat) {
  ASSERT_NO_FATAL_FAILURE(MakeCertificates());
  if (IsSkipped()) return;
  PlanningProcess::Options options = WithTls();
  options.server.tls.client_ca_file = certificates_->ca();
  options.server.tls.allowed_clients = {"fleet", "GetPlanningStatus=dashboard",
                                        "GetSessionStatus=dashboard"};
  StartInProcess(options);
  ASSERT_TRUE(certificates_->Make("fleet").ok());
  ASSERT_TRUE(certificates_->Make("dashboard", "DNS:dashboard").ok());
  ASSERT_TRUE(certificates_->Make("stranger").ok());

  const auto fleet = Connect("fleet");
  ASSERT_TRUE(fleet.ok()) << fleet.status();
  ExpectPlans(**fleet, "car");

  const auto dashboard = Connect("dashboard");
  ASSERT_TRUE(dashboard.ok()) << dashboard.status();
  const absl::Status refused =
      (*dashboard)->OpenSession("mine", OptionsOf(v1::TIME_MODE_REALTIME)).status();
  EXPECT_TRUE(absl::IsPermissionDenied(refused));
  EXPECT_THAT(std::string(refused.message()),
              HasSubstr("client 'dashboard' is not on the allow-list of OpenSession"));

  const absl::Status stranger = Connect("stranger").status();
  EXPECT_THAT(std::string(stranger.message()),
              HasSubstr("client 'stranger' is not on the allow-list of GetPlanningStatus"));
}

TEST_F(TransportSecurityTest, StreamsAndBatchesAskTheAllowListToo) {
  ASSERT_NO_FATAL_FAILURE(MakeCertificates());
  if (IsSkipped()) return;
  PlanningProcess::Options options = WithTls();
  options.server.tls.client_ca_file = certificates_->ca();
  options.server.tls.allowed_clients = {"fleet"};
  StartInProcess(options);
  ASSERT_TRUE(certificates_->Make("stranger").ok());
  const auto credentials =
      rpc::ChannelCredentialsFor({.ca_file = certificates_->ca(),
                                  .certificate_file = certificates_->certificate("stranger"),
                                  .key_file = certificates_->key("stranger")});
  ASSERT_TRUE(credentials.ok());
  const auto channel = grpc::CreateChannel(planning_->server().address(), *credentials);
  const auto stub = v1::PlanningService::NewStub(channel);

  grpc::ClientContext stream_call;
  SetPatience(&stream_call);
  const auto stream = stub->StreamPlans(&stream_call);
  v1::StreamPlansResponse response;
  EXPECT_FALSE(stream->Read(&response));
  EXPECT_EQ(stream->Finish().error_code(), grpc::PERMISSION_DENIED);

  grpc::ClientContext batch_call, plan_call;
  SetPatience(&batch_call);
  SetPatience(&plan_call);
  v1::PlanBatchResponse batch;
  EXPECT_EQ(stub->PlanBatch(&batch_call, v1::PlanBatchRequest(), &batch).error_code(),
            grpc::PERMISSION_DENIED);
  v1::PlanResponse plan;
  EXPECT_EQ(stub->Plan(&plan_call, v1::PlanRequest(), &plan).error_code(), grpc::PERMISSION_DENIED);
  EXPECT_EQ(CheckHealth(channel, "live"), HealthStatus::kServing) << "probes name no method";
}

TEST_F(TransportSecurityTest, LaneShowsItsCertificateToTheReasoningService) {
  ASSERT_NO_FATAL_FAILURE(MakeCertificates());
  if (IsSkipped()) return;
  ASSERT_TRUE(certificates_->Make("planner").ok());
  ASSERT_TRUE(certificates_->Make("stranger").ok());
  StartReasoning("127.0.0.1:0");
  rpc::TlsOptions tls = WithTls().server.tls;
  tls.client_ca_file = certificates_->ca();
  tls.allowed_clients = {"SubscribeContexts=planner", "SubmitObservation=planner"};
  auto guarded = reasoning::ReasoningServer::Start({.address = "127.0.0.1:0", .tls = tls},
                                                   &reasoning_->engine());
  ASSERT_TRUE(guarded.ok()) << guarded.status();

  lane_ = LaneTo((*guarded)->address(), "planner");
  StartPlanning({}, lane_.get());
  EXPECT_FALSE(Has(OpenWithContext("car").PlanAt(100'000), v1::REASON_FALLBACK));
  planning_.reset();

  lane_ = LaneTo((*guarded)->address(), "stranger");
  StartPlanning({}, lane_.get());
  Car car = Open("car");
  EXPECT_TRUE(Has(car.PlanAt(0), v1::REASON_FALLBACK)) << "planned for all the same";
  EXPECT_TRUE(car.WaitFor([](const auto& status) {
    return status.link_message() ==
           "client 'stranger' is not on the allow-list of SubscribeContexts";
  }));
  planning_.reset();
  lane_.reset();
}

}  // namespace
}  // namespace automot
