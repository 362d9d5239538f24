// automot-bench-plan-rpc: gRPC's callback server against its completion-queue server for the Plan
// call. Each serves from a process of its own; rounds are interleaved, and the callback server is
// measured twice in each: the difference of the two is what this machine cannot resolve.
#include <grpcpp/create_channel.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <fstream>
#include <iostream>
#include <map>
#include <memory>
#include <stdexcept>
#include <thread>

#include "CLI/CLI.hpp"
#include "automot/v1/planning_service.grpc.pb.h"
#include "tests/benchmark/comparison/child_process.h"
#include "tests/benchmark/plan_rpc/plan_answer.h"

namespace {

using namespace automot::benchmarks;  // NOLINT(google-build-using-namespace): this program's own
namespace v1 = automot::v1;
using Clock = std::chrono::steady_clock;

struct Options {
  int rounds = 9;
  double slice_s = 0.5;
  int queue_threads = 2;
  std::string json_file, role;
};

struct Figures {
  std::vector<double> p50_us, p99_us, per_s, cpu_us;  // one of each round
};

double Seconds(Clock::duration duration) { return std::chrono::duration<double>(duration).count(); }

double At(std::vector<double> values, double share) {
  std::sort(values.begin(), values.end());
  return values.at(static_cast<std::size_t>(share * static_cast<double>(values.size() - 1)));
}

v1::PlanRequest MakeRequest() {
  constexpr int kChannels = 756;  // 189 KiB
  v1::PlanRequest request;
  request.set_session("benchmark");
  auto* observation = request.mutable_observation();
  observation->set_capture_time_us(0);
  observation->mutable_ego_state()->set_speed_mps(8.0);
  observation->mutable_route_target()->mutable_current_target_point()->set_x(8.0);
  observation->mutable_route_target()->mutable_next_target_point()->set_x(20.0);
  const std::vector<float> values(std::size_t{kChannels} * 64, 0.5F);
  observation->mutable_bev_feature()->set_channels(kChannels);
  observation->mutable_bev_feature()->set_values(reinterpret_cast<const char*>(values.data()),
                                                 values.size() * sizeof(float));
  return request;
}

std::vector<double> CallFor(v1::PlanningService::Stub* stub, double limit_s) {
  v1::PlanRequest request = MakeRequest();
  std::vector<double> seconds;
  for (const Clock::time_point began = Clock::now(); Seconds(Clock::now() - began) < limit_s;) {
    request.set_sequence(request.sequence() + 1);
    grpc::ClientContext context;
    v1::PlanResponse response;
    const Clock::time_point sent = Clock::now();
    const grpc::Status status = stub->Plan(&context, request, &response);
    seconds.push_back(Seconds(Clock::now() - sent));
    if (!status.ok() || response.sequence() != request.sequence()) {
      throw std::runtime_error("a plan failed: " + status.error_message());
    }
  }
  return seconds;
}

// A server's process and a connection of its own for each client.
class Side {
 public:
  Side(const std::string& program, const std::string& role, int threads)
      : child_({program, "--role", role, "--queue-threads", std::to_string(threads)}),
        port_(child_.Read().at("port").get<int>()) {
    for (int i = 0; i < 4; ++i) {
      grpc::ChannelArguments arguments;
      arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
      stubs_.push_back(v1::PlanningService::NewStub(grpc::CreateCustomChannel(
          "127.0.0.1:" + std::to_string(port_), grpc::InsecureChannelCredentials(), arguments)));
    }
  }

  void Run(int clients, double limit_s, Figures* figures) {
    const double cpu_before = CpuSeconds();
    std::vector<std::vector<double>> seconds(static_cast<std::size_t>(clients));
    std::vector<std::thread> threads;
    for (std::size_t i = 0; i < seconds.size(); ++i) {
      threads.emplace_back([&, i] { seconds[i] = CallFor(stubs_[i].get(), limit_s); });
    }
    for (std::thread& thread : threads) thread.join();
    std::vector<double> all;
    for (const auto& part : seconds) all.insert(all.end(), part.begin(), part.end());
    const auto calls = static_cast<double>(all.size());
    figures->cpu_us.push_back(1e6 * (CpuSeconds() - cpu_before) / calls);
    figures->p50_us.push_back(1e6 * At(all, 0.50));
    figures->p99_us.push_back(1e6 * At(all, 0.99));
    figures->per_s.push_back(calls / limit_s);
  }

 private:
  double CpuSeconds() { return child_.Ask(nlohmann::json::object()).at("cpu_s").get<double>(); }

  ChildProcess child_;
  const int port_;
  std::vector<std::unique_ptr<v1::PlanningService::Stub>> stubs_;
};

void Print(const std::map<std::string, Figures>& all, nlohmann::json* json) {
  std::printf("| %-32s | p50 us | p99 us |  per s | server CPU us a call |\n", "server, clients");
  std::printf("| %s | -----: | -----: | -----: | -------------------: |\n",
              std::string(32, '-').c_str());
  for (const auto& [name, figures] : all) {
    std::printf("| %-32s | %6.0f | %6.0f | %6.0f | %20.0f |\n", name.c_str(),
                At(figures.p50_us, 0.5), At(figures.p99_us, 0.5), At(figures.per_s, 0.5),
                At(figures.cpu_us, 0.5));
    (*json)[name] = {{"p50_us", figures.p50_us},
                     {"p99_us", figures.p99_us},
                     {"per_s", figures.per_s},
                     {"cpu_us", figures.cpu_us}};
  }
}

void Compare(const std::string& program, const Options& options) {
  Side callback(program, "callback", 0), queue(program, "queue", options.queue_threads);
  std::map<std::string, Figures> all;
  for (const int clients : {1, 4}) {
    const std::string suffix = ", " + std::to_string(clients);
    Figures warm_up;
    for (Side* side : {&callback, &queue}) side->Run(clients, options.slice_s, &warm_up);
    for (int round = 0; round < options.rounds; ++round) {
      callback.Run(clients, options.slice_s, &all["callback" + suffix]);
      queue.Run(clients, options.slice_s, &all["completion queue" + suffix]);
      callback.Run(clients, options.slice_s, &all["callback again" + suffix]);
    }
  }
  nlohmann::json json;
  Print(all, &json);
  if (!options.json_file.empty()) std::ofstream(options.json_file) << json.dump(1) << '\n';
}

}  // namespace

int main(int argc, char** argv) {
  Options options;
  CLI::App app{"gRPC's callback server against its completion-queue server for the Plan call"};
  app.add_option("--rounds", options.rounds, "Interleaved rounds")->check(CLI::Range(1, 1000));
  app.add_option("--slice-s", options.slice_s, "One side's turn, seconds");
  app.add_option("--queue-threads", options.queue_threads, "Queues, each with a thread of its own");
  app.add_option("--json", options.json_file, "Where the figures of every round go");
  app.add_option("--role", options.role, "A child's: callback or queue");
  CLI11_PARSE(app, argc, argv);
  if (options.role == "callback") return ServeWithCallbacks();
  if (options.role == "queue") return ServeWithQueues(options.queue_threads);
  try {
    Compare(argv[0], options);
  } catch (const std::exception& error) {
    std::cerr << "automot-bench-plan-rpc: " << error.what() << '\n';
    return 1;
  }
  return 0;
}
