// The client against a planning service whose answers the test writes: what is sent again, under
// which sequence, and what never is.
#include "client/planner_client.h"

#include <gmock/gmock.h>
#include <google/protobuf/arena.h>
#include <grpcpp/server_builder.h>
#include <gtest/gtest.h>

#include <deque>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "common/rpc/rendezvous_hash.h"
#include "tests/support/cutting_proxy.h"

namespace automot::client {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

// Answers each call with the next status of its script, OK when that is empty. Thread-safe.
class ScriptedService final : public v1::PlanningService::Service {
 public:
  struct Answer {
    grpc::Status status;
    int64_t retry_after_ms = 0;
  };

  grpc::Status GetPlanningStatus(grpc::ServerContext*, const v1::GetPlanningStatusRequest*,
                                 v1::GetPlanningStatusResponse* response) override {
    const std::lock_guard lock(mutex_);
    response->set_ready(not_ready_-- <= 0);
    return grpc::Status::OK;
  }
  grpc::Status OpenSession(grpc::ServerContext* call, const v1::OpenSessionRequest* request,
                           v1::OpenSessionResponse* response) override {
    {
      const std::lock_guard lock(mutex_);
      last_open_ = *request;
    }
    response->set_lease(3);
    response->set_episode(1);
    response->set_resume_token("token");
    return Next(call, &opens_);
  }
  grpc::Status ResetSession(grpc::ServerContext*, const v1::ResetSessionRequest* request,
                            v1::ResetSessionResponse* response) override {
    response->set_episode(request->lease() == 3 ? 2 : 0);
    response->set_resume_token("token of 2");
    return grpc::Status::OK;
  }
  grpc::Status CloseSession(grpc::ServerContext*, const v1::CloseSessionRequest*,
                            v1::CloseSessionResponse*) override {
    const std::lock_guard lock(mutex_);
    ++closed_;
    return grpc::Status::OK;
  }
  grpc::Status Plan(grpc::ServerContext* call, const v1::PlanRequest* request,
                    v1::PlanResponse* response) override {
    {
      const std::lock_guard lock(mutex_);
      requests_.push_back(*request);
      const auto left = call->deadline() - std::chrono::system_clock::now();
      deadlines_s_.push_back(std::chrono::duration<double>(left).count());
    }
    response->set_sequence(request->sequence());
    return Next(call, &plans_);
  }

  void ScriptPlans(std::deque<Answer> answers) { Script(&plans_, std::move(answers)); }
  void ScriptOpens(std::deque<Answer> answers) { Script(&opens_, std::move(answers)); }
  void set_not_ready(int count) {
    const std::lock_guard lock(mutex_);
    not_ready_ = count;
  }
  std::vector<uint64_t> sequences() const {
    const std::lock_guard lock(mutex_);
    std::vector<uint64_t> sequences;
    for (const v1::PlanRequest& request : requests_) sequences.push_back(request.sequence());
    return sequences;
  }
  v1::PlanRequest last_request() const {
    const std::lock_guard lock(mutex_);
    return requests_.back();
  }
  v1::OpenSessionRequest last_open() const {
    const std::lock_guard lock(mutex_);
    return last_open_;
  }
  double last_deadline_s() const {
    const std::lock_guard lock(mutex_);
    return deadlines_s_.back();
  }
  int closed() const {
    const std::lock_guard lock(mutex_);
    return closed_;
  }

 private:
  void Script(std::deque<Answer>* to, std::deque<Answer> answers) {
    const std::lock_guard lock(mutex_);
    *to = std::move(answers);
  }
  grpc::Status Next(grpc::ServerContext* call, std::deque<Answer>* script) {
    const std::lock_guard lock(mutex_);
    if (script->empty()) return grpc::Status::OK;
    const Answer answer = script->front();
    script->pop_front();
    if (answer.retry_after_ms > 0) {
      call->AddTrailingMetadata("automot-retry-after-ms", std::to_string(answer.retry_after_ms));
    }
    return answer.status;
  }

  mutable std::mutex mutex_;
  std::deque<Answer> plans_, opens_;
  std::vector<v1::PlanRequest> requests_;
  std::vector<double> deadlines_s_;
  v1::OpenSessionRequest last_open_;
  int not_ready_ = 0;
  int closed_ = 0;
};

const grpc::Status kGone(grpc::UNAVAILABLE, "gone");
const grpc::Status kRepeated(grpc::ALREADY_EXISTS, "sequence 1 was accepted already");
const grpc::Status kFull(grpc::RESOURCE_EXHAUSTED, "full");

class PlannerClientTest : public ::testing::Test {
 protected:
  void SetUp() override {
    server_ = Serve(&service_, &options_.address);
    options_.plan_timeout = absl::Seconds(60);
    options_.call_timeout = absl::Seconds(60);
    options_.retry.initial_backoff = absl::Milliseconds(1);
    options_.retry.max_backoff = absl::Milliseconds(1);
  }
  static std::unique_ptr<grpc::Server> Serve(ScriptedService* service, std::string* address) {
    grpc::ServerBuilder builder;
    int port = 0;
    builder.AddListeningPort("127.0.0.1:0", grpc::InsecureServerCredentials(), &port);
    builder.RegisterService(service);
    auto server = builder.BuildAndStart();
    *address = "127.0.0.1:" + std::to_string(port);
    return server;
  }
  std::unique_ptr<PlannerSession> Open() {
    client_ = *PlannerClient::Connect(options_);
    return *client_->OpenSession("car", v1::SessionOptions());
  }

  ScriptedService service_;
  std::unique_ptr<grpc::Server> server_;
  PlannerClient::Options options_;
  std::unique_ptr<PlannerClient> client_;
};

TEST_F(PlannerClientTest, ConnectWaitsUntilTheServiceIsReady) {
  service_.set_not_ready(3);
  EXPECT_TRUE(PlannerClient::Connect(options_).ok());
}

TEST_F(PlannerClientTest, ConnectEndsWithItsTimeoutAndNamesTheAddress) {
  service_.set_not_ready(1'000'000);
  options_.connect_timeout = absl::Milliseconds(60);
  absl::Status status = PlannerClient::Connect(options_).status();
  EXPECT_TRUE(absl::IsDeadlineExceeded(status));
  EXPECT_THAT(std::string(status.message()), HasSubstr("still warming up"));
  options_.address = "127.0.0.1:1";
  status = PlannerClient::Connect(options_).status();
  EXPECT_TRUE(absl::IsDeadlineExceeded(status));
  EXPECT_THAT(std::string(status.message()), HasSubstr("127.0.0.1:1"));
}

TEST_F(PlannerClientTest, BadOptionsAreRefusedByName) {
  options_.retry.max_attempts = 0;
  EXPECT_TRUE(absl::IsInvalidArgument(PlannerClient::Connect(options_).status()));
  options_.retry.max_attempts = 1;
  options_.address = "nowhere";
  EXPECT_TRUE(absl::IsInvalidArgument(PlannerClient::Connect(options_).status()));
  options_.address = "127.0.0.1:1";
  options_.tls.ca_file = "/nowhere.pem";
  const absl::Status status = PlannerClient::Connect(options_).status();
  EXPECT_TRUE(absl::IsInvalidArgument(status));
  EXPECT_THAT(std::string(status.message()), HasSubstr("/nowhere.pem"));
}

TEST_F(PlannerClientTest, PlansCarryLeaseSequencePolicyAndDeadline) {
  auto session = Open();
  PlannerSession::PlanOptions plan;
  plan.timeout = absl::Seconds(30);
  plan.on_expired = v1::ON_EXPIRED_ANSWER;
  plan.context.set_at_least_version(4);
  v1::Observation seen;
  seen.set_capture_time_us(5);
  const auto answer = session->Plan(seen, plan);
  ASSERT_TRUE(answer.ok()) << answer.status();
  EXPECT_EQ(answer->sequence(), 1U);
  const v1::PlanRequest request = service_.last_request();
  EXPECT_EQ(request.session(), "car");
  EXPECT_EQ(request.lease(), 3U);
  EXPECT_EQ(request.observation().capture_time_us(), 5);
  EXPECT_EQ(request.context().at_least_version(), 4U);
  EXPECT_EQ(request.on_expired(), v1::ON_EXPIRED_ANSWER);
  EXPECT_LE(service_.last_deadline_s(), 31.0);
  ASSERT_TRUE(session->Plan(seen).ok());
  EXPECT_THAT(service_.sequences(), ElementsAre(1, 2));
  EXPECT_GT(service_.last_deadline_s(), 31.0) << "plan_timeout of the client's options";
}

// The request borrows it: it is sent whole at each attempt and stays the caller's.
TEST_F(PlannerClientTest, ObservationStaysTheCallersThroughRetries) {
  auto session = Open();
  google::protobuf::Arena arena;
  v1::Observation on_heap;
  v1::Observation& on_arena = *google::protobuf::Arena::CreateMessage<v1::Observation>(&arena);
  for (v1::Observation* seen : {&on_heap, &on_arena}) {
    seen->add_camera_images()->set_data(std::string(200'000, 'x'));
    const std::string before = seen->SerializeAsString();
    const char* const picture = seen->camera_images(0).data().data();
    service_.ScriptPlans({{kGone}, {kFull, 1}, {kRepeated}});
    EXPECT_FALSE(session->Plan(*seen).ok());
    ASSERT_TRUE(session->Plan(*seen).ok());
    EXPECT_EQ(service_.last_request().observation().SerializeAsString(), before);
    EXPECT_EQ(seen->SerializeAsString(), before);
    EXPECT_EQ(seen->camera_images(0).data().data(), picture);
  }
}

TEST_F(PlannerClientTest, BrokenConnectionIsTriedAgainUnderTheSameSequence) {
  auto session = Open();
  service_.ScriptPlans({{kGone}, {kGone}});
  const auto answer = session->Plan(v1::Observation());
  ASSERT_TRUE(answer.ok()) << answer.status();
  EXPECT_THAT(service_.sequences(), ElementsAre(1, 1, 1));
}

TEST_F(PlannerClientTest, PlanThatWasAcceptedBeforeTheBreakIsNeverPlannedTwice) {
  auto session = Open();
  service_.ScriptPlans({{kGone}, {kRepeated}});
  const absl::Status status = session->Plan(v1::Observation()).status();
  EXPECT_TRUE(absl::IsUnavailable(status));
  EXPECT_THAT(std::string(status.message()), HasSubstr("its answer is lost"));
  EXPECT_THAT(service_.sequences(), ElementsAre(1, 1));
  ASSERT_TRUE(session->Plan(v1::Observation()).ok());
  EXPECT_THAT(service_.sequences(), ElementsAre(1, 1, 2));
}

TEST_F(PlannerClientTest, RepeatedSequenceWithoutABreakIsToldAsItIs) {
  auto session = Open();
  service_.ScriptPlans({{kRepeated}});
  EXPECT_TRUE(absl::IsAlreadyExists(session->Plan(v1::Observation()).status()));
  EXPECT_EQ(service_.sequences().size(), 1U);
}

TEST_F(PlannerClientTest, RefusedForLoadIsTriedAgainUnderTheNextSequence) {
  auto session = Open();
  service_.ScriptPlans({{kFull, 1}, {kGone}, {kFull, 2}});
  ASSERT_TRUE(session->Plan(v1::Observation()).ok());
  EXPECT_THAT(service_.sequences(), ElementsAre(1, 2, 2, 3));
  service_.ScriptPlans({{kFull}});
  EXPECT_TRUE(absl::IsResourceExhausted(session->Plan(v1::Observation()).status()))
      << "without a delay there is no use in trying";
}

TEST_F(PlannerClientTest, AttemptsAreBounded) {
  options_.retry.max_attempts = 3;
  auto session = Open();
  service_.ScriptPlans({{kGone}, {kGone}, {kGone}, {kGone}});
  EXPECT_TRUE(absl::IsUnavailable(session->Plan(v1::Observation()).status()));
  EXPECT_EQ(service_.sequences().size(), 3U);
}

TEST_F(PlannerClientTest, SessionThatWasOpenedBeforeTheBreakIsNotClaimed) {
  client_ = *PlannerClient::Connect(options_);
  service_.ScriptOpens({{kGone}, {grpc::Status(grpc::ALREADY_EXISTS, "open")}});
  absl::Status status = client_->OpenSession("car", v1::SessionOptions()).status();
  EXPECT_TRUE(absl::IsUnavailable(status));
  EXPECT_THAT(std::string(status.message()), HasSubstr("its token is lost"));
  service_.ScriptOpens({{grpc::Status(grpc::ALREADY_EXISTS, "open")}});
  status = client_->OpenSession("car", v1::SessionOptions()).status();
  EXPECT_TRUE(absl::IsAlreadyExists(status)) << "somebody else's";
}

TEST_F(PlannerClientTest, SessionClosesOnceWhenItDies) {
  {
    auto session = Open();
    EXPECT_EQ(session->resume_token(), "token");
    ASSERT_TRUE(session->Reset().ok());
    EXPECT_EQ(session->episode(), 2U);
    EXPECT_EQ(session->resume_token(), "token of 2");
    ASSERT_TRUE(session->Close().ok());
  }
  EXPECT_EQ(service_.closed(), 1);
}

// Two replicas, each with a script of its own.
class ReplicasTest : public PlannerClientTest {
 protected:
  void SetUp() override {
    PlannerClientTest::SetUp();
    second_server_ = Serve(&second_service_, &second_address_);
    options_.addresses = {options_.address, second_address_};
  }
  // The session's first choice and the other one.
  ScriptedService& home(const PlannerSession& session) {
    return session.address() == second_address_ ? second_service_ : service_;
  }
  ScriptedService& other(const PlannerSession& session) {
    return session.address() == second_address_ ? service_ : second_service_;
  }

  ScriptedService second_service_;
  std::string second_address_;
  std::unique_ptr<grpc::Server> second_server_;
};

TEST_F(ReplicasTest, EachSessionIsOpenedAtItsOwnFirstChoice) {
  client_ = *PlannerClient::Connect(options_);
  for (int i = 0; i < 16; ++i) {
    const std::string name = "car" + std::to_string(i);
    const auto session = *client_->OpenSession(name, v1::SessionOptions());
    const std::size_t choice = rpc::RendezvousChoice(name, options_.addresses);
    EXPECT_EQ(session->address(), options_.addresses.at(choice));
  }
}

TEST_F(ReplicasTest, PlanGoesOnAtTheNextReplicaWithTheToken) {
  const auto session = Open();
  ScriptedService &home = this->home(*session), &other = this->other(*session);
  ASSERT_TRUE(session->Plan(v1::Observation()).ok());
  home.ScriptPlans({{kGone}});
  const auto answer = session->Plan(v1::Observation());
  ASSERT_TRUE(answer.ok()) << answer.status();
  EXPECT_THAT(home.sequences(), ElementsAre(1, 2));
  EXPECT_THAT(other.sequences(), ElementsAre(1)) << "of the lease there";
  EXPECT_EQ(other.last_open().resume_token(), "token");
  EXPECT_EQ(other.last_open().session(), "car");
  EXPECT_EQ(&this->home(*session), &other);
  ASSERT_TRUE(session->Plan(v1::Observation()).ok());
  EXPECT_THAT(other.sequences(), ElementsAre(1, 2)) << "it stays there";
}

TEST_F(ReplicasTest, AfterAResetTheNextReplicaIsShownTheTokenOfTheNewEpisode) {
  const auto session = Open();
  ScriptedService &home = this->home(*session), &other = this->other(*session);
  ASSERT_TRUE(session->Reset().ok());
  home.ScriptPlans({{kGone}});
  ASSERT_TRUE(session->Plan(v1::Observation()).ok());
  EXPECT_EQ(other.last_open().resume_token(), "token of 2");
}

TEST_F(ReplicasTest, CallThatAnEndingServerCancelledGoesOnAtTheNext) {
  const auto session = Open();
  ScriptedService& other = this->other(*session);
  this->home(*session).ScriptPlans({{grpc::Status(grpc::CANCELLED, "")}});
  EXPECT_TRUE(session->Plan(v1::Observation()).ok());
  EXPECT_THAT(other.sequences(), ElementsAre(1));
}

TEST_F(ReplicasTest, ReplicaThatLostTheSessionAdoptsItAgain) {
  const auto session = Open();
  ScriptedService& home = this->home(*session);
  home.ScriptPlans({{grpc::Status(grpc::NOT_FOUND, "session 'car' is not open")}});
  ASSERT_TRUE(session->Plan(v1::Observation()).ok());
  EXPECT_EQ(home.last_open().resume_token(), "token");
  EXPECT_THAT(home.sequences(), ElementsAre(1, 1));
}

TEST_F(ReplicasTest, ReplicaThatIsAwayIsPassedOverWhenASessionIsOpened) {
  client_ = *PlannerClient::Connect(options_);
  service_.ScriptOpens({{kGone}});
  second_service_.ScriptOpens({});
  for (int i = 0; i < 8; ++i) {
    EXPECT_TRUE(client_->OpenSession("car" + std::to_string(i), v1::SessionOptions()).ok());
  }
}

TEST_F(ReplicasTest, MovesAreBoundedByTheRetryPolicy) {
  const auto session = Open();
  ScriptedService &home = this->home(*session), &other = this->other(*session);
  home.ScriptPlans({{kGone}, {kGone}, {kGone}, {kGone}});
  other.ScriptPlans({{kGone}, {kGone}, {kGone}, {kGone}});
  EXPECT_TRUE(absl::IsUnavailable(session->Plan(v1::Observation()).status()));
  EXPECT_EQ(home.sequences().size() + other.sequences().size(),
            static_cast<std::size_t>(options_.retry.max_attempts));
}

TEST_F(ReplicasTest, ReplicaThatDoesNotAdoptIsSaid) {
  const auto session = Open();
  this->home(*session).ScriptPlans({{kGone}});
  this->other(*session).ScriptOpens({{grpc::Status(grpc::UNIMPLEMENTED, "--session-key-file")}});
  EXPECT_TRUE(absl::IsUnimplemented(session->Plan(v1::Observation()).status()));
}

// A host without power or network says nothing, so that no call to it ends by itself.
class SilentReplicaTest : public ReplicasTest {
 protected:
  void SetUp() override {
    ReplicasTest::SetUp();
    proxy_.Serve(options_.address);
    options_.addresses = {proxy_.address(), second_address_};
    while (rpc::RendezvousChoice(name_, options_.addresses) != 0) name_ += "'";
    client_ = *PlannerClient::Connect(options_);
  }
  std::string name_ = "car";  // whose first choice is behind the proxy
  support::CuttingProxy proxy_;
};

TEST_F(SilentReplicaTest, PlanGoesOnAtTheNextWhenAReplicaFallsSilent) {
  const auto session = *client_->OpenSession(name_, v1::SessionOptions());
  ASSERT_TRUE(session->Plan(v1::Observation()).ok());
  ASSERT_EQ(session->address(), proxy_.address());
  proxy_.Freeze();
  const auto answer = session->Plan(v1::Observation());
  ASSERT_TRUE(answer.ok()) << answer.status();
  EXPECT_EQ(session->address(), second_address_);
  EXPECT_EQ(second_service_.last_open().resume_token(), "token");
}

TEST_F(SilentReplicaTest, SessionIsOpenedAtTheNextWhenTheFirstChoiceIsSilent) {
  proxy_.Freeze();
  options_.call_timeout = absl::Seconds(19);  // gRPC itself gives a connection 20 s
  const auto client = *PlannerClient::Connect(options_);
  const auto session = client->OpenSession(name_, v1::SessionOptions());
  ASSERT_TRUE(session.ok()) << session.status();
  EXPECT_EQ((*session)->address(), second_address_);
}

TEST_F(ReplicasTest, OneReplicaIsEnoughToConnect) {
  second_server_->Shutdown();
  const auto client = PlannerClient::Connect(options_);
  ASSERT_TRUE(client.ok()) << client.status();
  for (int i = 0; i < 8; ++i) {
    EXPECT_TRUE((*client)->OpenSession("car" + std::to_string(i), v1::SessionOptions()).ok());
  }
}

}  // namespace
}  // namespace automot::client
