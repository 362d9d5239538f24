// Holds a vehicle's keys and values in a planner of its own: attaches to a reasoning service, hands
// it one picture, and prints what came.
//   automot-hold-context ADDRESS MODEL_REVISION FRONT.jpg
// The picture has the size of the checkpoint's front camera; automot-reasoning logs its revision.
#include <condition_variable>
#include <cstdio>
#include <fstream>
#include <iterator>
#include <mutex>
#include <string>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "client/context_subscriber.h"

namespace v1 = automot::v1;
using automot::SnapshotId;
using automot::client::ContextSubscriber;

namespace {

absl::StatusOr<std::string> ReadFile(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  if (!file) return absl::InvalidArgumentError(absl::StrCat("cannot read '", path, "'"));
  return std::string(std::istreambuf_iterator<char>(file), {});
}

v1::Observation See(const std::string& jpeg) {
  v1::Observation seen;
  v1::CameraImage* camera = seen.add_camera_images();
  camera->set_data(jpeg);
  seen.mutable_ego_state()->set_speed_mps(4.0);
  v1::RouteTarget* target = seen.mutable_route_target();
  target->mutable_current_target_point()->set_x(8.0);
  target->mutable_next_target_point()->set_x(20.0);
  return seen;
}

// Set by the subscriber's thread.
class Arrival {
 public:
  void Notify() {
    const std::lock_guard lock(mutex_);
    there_ = true;
    changed_.notify_all();
  }
  bool Wait() {
    std::unique_lock lock(mutex_);
    return changed_.wait_for(lock, std::chrono::minutes(2), [this] { return there_; });
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  bool there_ = false;
};

// [readme-begin]
absl::Status HoldOnce(const std::string& address, const std::string& revision,
                      const std::string& jpeg) {
  Arrival arrival;
  ContextSubscriber::Options options;
  options.address = address;
  options.session = "car-1";
  options.model_revision = revision;
  options.on_snapshot = [&arrival](const SnapshotId&) { arrival.Notify(); };
  auto contexts = ContextSubscriber::Connect(options);
  if (!contexts.ok()) return contexts.status();
  auto reader = (*contexts)->RegisterReader("planner");  // one for each thread that reads
  if (!reader.ok()) return reader.status();
  const absl::Status taken = (*contexts)->Submit(See(jpeg), ContextSubscriber::Refresh::kNow);
  if (!taken.ok()) return taken;
  if (!arrival.Wait()) return absl::DeadlineExceededError("no snapshot came");
  const auto snapshot = (*contexts)->Latest(*reader);  // wait-free; pinned while it lives
  if (!snapshot) return absl::NotFoundError("it was replaced by none");
  const auto keys = snapshot->kv.Tensor(0, automot::context::TensorKind::kKey);
  std::printf("version %llu, captured at %lld us: %s; layer 0 has %zu bytes of keys\n",
              static_cast<unsigned long long>(snapshot->header.id.version),
              static_cast<long long>(snapshot->header.capture_time_us),
              snapshot->kv.layout().ToString().c_str(), keys.size());
  return absl::OkStatus();
}
// [readme-end]

int Run(const std::string& address, const std::string& revision, const std::string& picture) {
  const auto jpeg = ReadFile(picture);
  const absl::Status status = jpeg.ok() ? HoldOnce(address, revision, *jpeg) : jpeg.status();
  if (status.ok()) return 0;
  std::fprintf(stderr, "automot-hold-context: %s\n", status.ToString().c_str());
  return 1;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 4) {
    std::fprintf(stderr, "usage: automot-hold-context ADDRESS MODEL_REVISION FRONT.jpg\n");
    return 2;
  }
  return Run(argv[1], argv[2], argv[3]);
}
