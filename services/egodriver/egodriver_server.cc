#include "services/egodriver/egodriver_server.h"

#include <grpcpp/server_context.h>

#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/rpc/status_conversion.h"
#include "common/status/status_macros.h"
#include "egodriver/egodriver.grpc.pb.h"
#include "services/egodriver/handlers/drive_handler.h"
#include "services/egodriver/handlers/observation_conversion.h"
#include "services/egodriver/handlers/session_conversion.h"
#include "services/egodriver/handlers/start_session_handler.h"

namespace automot::egodriver {

namespace wire = ::egodriver;
using grpc::CallbackServerContext;
using grpc::ServerUnaryReactor;

namespace {

constexpr uint32_t kApiMajor = 0, kApiMinor = 55;

}  // namespace

// Only routes; the method names are the contract's.
// NOLINTBEGIN(readability-identifier-naming)
class EgodriverServer::Service final : public wire::EgodriverService::CallbackService {
 public:
  explicit Service(const EgodriverContext& context) : context_(context) {}

  ServerUnaryReactor* get_version(CallbackServerContext* call, const ::common::Empty* request,
                                  ::common::VersionId* response) override {
    call->AddInitialMetadata(kContractKey, absl::StrCat(kContractRevision));
    return Answer(call, Method::kGetVersion, "get_version", *request,
                  [&] { return FillVersion(response); });
  }
  ServerUnaryReactor* start_session(CallbackServerContext* call,
                                    const wire::DriveSessionRequest* request,
                                    ::common::SessionRequestStatus*) override {
    const absl::Status allowed = context_.admission.Check(call, "start_session", *request);
    return allowed.ok() ? HandleStartSession(context_, call, request)
                        : Refuse(call, Method::kStartSession, allowed);
  }
  ServerUnaryReactor* close_session(CallbackServerContext* call,
                                    const wire::DriveSessionCloseRequest* request,
                                    ::common::Empty*) override {
    return Answer(call, Method::kCloseSession, "close_session", *request, [&] {
      context_.engine->Close(request->session_uuid());
      return absl::OkStatus();
    });
  }
  ServerUnaryReactor* submit_image_observation(CallbackServerContext* call,
                                               const wire::RolloutCameraImage* request,
                                               ::common::Empty*) override {
    return Answer(call, Method::kSubmitImageObservation, "submit_image_observation", *request,
                  [&] { return TakeFrame(*request); });
  }
  ServerUnaryReactor* submit_egomotion_observation(CallbackServerContext* call,
                                                   const wire::RolloutEgoTrajectory* request,
                                                   ::common::Empty*) override {
    return Answer(call, Method::kSubmitEgomotionObservation, "submit_egomotion_observation",
                  *request, [&] { return TakePoses(*request); });
  }
  ServerUnaryReactor* submit_route(CallbackServerContext* call, const wire::RouteRequest* request,
                                   ::common::Empty*) override {
    return Answer(call, Method::kSubmitRoute, "submit_route", *request,
                  [&] { return TakeRoute(*request); });
  }
  // Where the recording went is not the driver's to know: taken and left.
  ServerUnaryReactor* submit_recording_ground_truth(CallbackServerContext* call,
                                                    const wire::GroundTruthRequest* request,
                                                    ::common::Empty*) override {
    return Answer(call, Method::kSubmitRecordingGroundTruth, "submit_recording_ground_truth",
                  *request,
                  [&] { return context_.engine->Find(request->session_uuid()).status(); });
  }
  ServerUnaryReactor* drive(CallbackServerContext* call, const wire::DriveRequest* request,
                            wire::DriveResponse* response) override {
    const absl::Status allowed = context_.admission.Check(call, "drive", *request);
    return allowed.ok() ? HandleDrive(context_, request, response)
                        : Refuse(call, Method::kDrive, allowed);
  }

 private:
  // The same on every replica: no host, no time.
  absl::Status FillVersion(::common::VersionId* response) const {
    if (context_.engine->draining()) {
      return absl::UnavailableError("the egodriver service is draining");
    }
    response->set_version_id(absl::StrCat("automot-serve ", AUTOMOT_VERSION, " model ",
                                          context_.engine->engine().model().model_revision));
    response->set_git_hash(AUTOMOT_GIT_HASH);
    response->mutable_grpc_api_version()->set_major(kApiMajor);
    response->mutable_grpc_api_version()->set_minor(kApiMinor);
    return absl::OkStatus();
  }

  absl::Status TakeFrame(const wire::RolloutCameraImage& request) const {
    AUTOMOT_ASSIGN_OR_RETURN(const auto rollout, context_.engine->Find(request.session_uuid()));
    const wire::RolloutCameraImage::CameraImage& image = request.camera_image();
    AUTOMOT_ASSIGN_OR_RETURN(const SessionTimeUs time_us,
                             TimeFromProto("camera_image.frame_end_us", image.frame_end_us()));
    return rollout->TakeFrame(image.logical_id(), time_us, image.image_bytes());
  }
  absl::Status TakePoses(const wire::RolloutEgoTrajectory& request) const {
    AUTOMOT_ASSIGN_OR_RETURN(const auto rollout, context_.engine->Find(request.session_uuid()));
    AUTOMOT_ASSIGN_OR_RETURN(std::vector<TimedPose> poses, PosesFromProto(request));
    rollout->TakePoses(std::move(poses));
    return absl::OkStatus();
  }
  absl::Status TakeRoute(const wire::RouteRequest& request) const {
    AUTOMOT_ASSIGN_OR_RETURN(const auto rollout, context_.engine->Find(request.session_uuid()));
    AUTOMOT_ASSIGN_OR_RETURN(RouteReport route, RouteFromProto(request.route()));
    rollout->TakeRoute(std::move(route));
    return absl::OkStatus();
  }

  ServerUnaryReactor* Finish(CallbackServerContext* call, Method method, absl::Duration arrived,
                             const absl::Status& status) const {
    context_.metrics->ObserveRpc(method, status.code(),
                                 absl::ToDoubleSeconds(context_.clock->Now() - arrived));
    ServerUnaryReactor* reactor = call->DefaultReactor();
    reactor->Finish(rpc::ToGrpcStatus(status));
    return reactor;
  }
  ServerUnaryReactor* Refuse(CallbackServerContext* call, Method method,
                             const absl::Status& status) const {
    return Finish(call, method, context_.clock->Now(), status);
  }
  template <typename Work>
  ServerUnaryReactor* Answer(CallbackServerContext* call, Method method, const char* name,
                             const google::protobuf::MessageLite& request, Work work) const {
    const absl::Duration arrived = context_.clock->Now();
    absl::Status status = context_.admission.Check(call, name, request);
    if (status.ok()) status = work();
    return Finish(call, method, arrived, status);
  }

  const EgodriverContext& context_;
};
// NOLINTEND(readability-identifier-naming)

EgodriverServer::EgodriverServer(const EgodriverContext& context)
    : context_(context), service_(std::make_unique<Service>(context_)) {}
EgodriverServer::~EgodriverServer() = default;

grpc::Service* EgodriverServer::service() { return service_.get(); }

}  // namespace automot::egodriver
