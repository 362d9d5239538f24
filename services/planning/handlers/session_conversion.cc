#include "services/planning/handlers/session_conversion.h"

#include "absl/strings/str_cat.h"
#include "common/status/status_macros.h"

namespace automot::planning {

namespace v1 = automot::v1;

namespace {

absl::Status UnknownValue(const char* field, int value) {
  return absl::InvalidArgumentError(
      absl::StrCat(field, " is ", value, "; this version does not know that value"));
}

absl::StatusOr<TimeMode> TimeModeFromProto(v1::TimeMode proto) {
  switch (proto) {
    case v1::TIME_MODE_UNSPECIFIED:
    case v1::TIME_MODE_REALTIME:
      return TimeMode::kRealtime;
    case v1::TIME_MODE_STEPPED:
      return TimeMode::kStepped;
    case v1::TIME_MODE_LOCKSTEP:
      return TimeMode::kLockstep;
    default:
      return UnknownValue("options.time_mode", proto);
  }
}

absl::StatusOr<OnRouteChange> OnRouteChangeFromProto(v1::OnRouteChange proto) {
  switch (proto) {
    case v1::ON_ROUTE_CHANGE_USE:
      return OnRouteChange::kUse;
    case v1::ON_ROUTE_CHANGE_UNSPECIFIED:
    case v1::ON_ROUTE_CHANGE_FLAG:
      return OnRouteChange::kFlag;
    case v1::ON_ROUTE_CHANGE_FALLBACK:
      return OnRouteChange::kFallback;
    default:
      return UnknownValue("options.on_route_change", proto);
  }
}

absl::StatusOr<OnMissingModality> OnMissingModalityFromProto(v1::OnMissingModality proto) {
  switch (proto) {
    case v1::ON_MISSING_MODALITY_UNSPECIFIED:
    case v1::ON_MISSING_MODALITY_REJECT:
      return OnMissingModality::kReject;
    case v1::ON_MISSING_MODALITY_FLAG:
      return OnMissingModality::kFlag;
    default:
      return UnknownValue("options.on_missing_modality", proto);
  }
}

absl::StatusOr<OnNoContext> OnNoContextFromProto(v1::OnNoContext proto, TimeMode mode) {
  switch (proto) {
    case v1::ON_NO_CONTEXT_UNSPECIFIED:
      return mode == TimeMode::kRealtime ? OnNoContext::kFallback : OnNoContext::kPark;
    case v1::ON_NO_CONTEXT_FALLBACK:
      return OnNoContext::kFallback;
    case v1::ON_NO_CONTEXT_REJECT:
      return OnNoContext::kReject;
    case v1::ON_NO_CONTEXT_PARK:
      return OnNoContext::kPark;
    default:
      return UnknownValue("options.on_no_context", proto);
  }
}

}  // namespace

absl::StatusOr<OnExpired> OnExpiredFromProto(const char* field, v1::OnExpired proto,
                                             OnExpired fallback) {
  switch (proto) {
    case v1::ON_EXPIRED_UNSPECIFIED:
      return fallback;
    case v1::ON_EXPIRED_FALLBACK:
      return OnExpired::kFallback;
    case v1::ON_EXPIRED_ANSWER:
      return OnExpired::kAnswer;
    case v1::ON_EXPIRED_REJECT:
      return OnExpired::kReject;
    case v1::ON_EXPIRED_WAIT:
      return OnExpired::kWait;
    default:
      return UnknownValue(field, proto);
  }
}

absl::StatusOr<SessionOptions> SessionOptionsFromProto(const v1::SessionOptions& proto) {
  SessionOptions options;
  options.planning_rate_hz = proto.planning_rate_hz();
  options.reasoning_rate_hz = proto.reasoning_rate_hz();
  AUTOMOT_ASSIGN_OR_RETURN(options.time_mode, TimeModeFromProto(proto.time_mode()));
  options.simulated_latency_us = proto.simulated_latency_us();
  if (proto.lockstep_ticks() != 0) options.lockstep_ticks = proto.lockstep_ticks();
  if (proto.has_soft_staleness_us()) options.soft_staleness_us = proto.soft_staleness_us();
  if (proto.has_hard_staleness_us()) options.hard_staleness_us = proto.hard_staleness_us();
  if (proto.has_retention_us()) options.retention_us = proto.retention_us();
  AUTOMOT_ASSIGN_OR_RETURN(
      options.on_expired,
      OnExpiredFromProto("options.on_expired", proto.on_expired(), OnExpired::kFallback));
  AUTOMOT_ASSIGN_OR_RETURN(options.on_route_change,
                           OnRouteChangeFromProto(proto.on_route_change()));
  AUTOMOT_ASSIGN_OR_RETURN(options.on_missing_modality,
                           OnMissingModalityFromProto(proto.on_missing_modality()));
  AUTOMOT_ASSIGN_OR_RETURN(options.on_no_context,
                           OnNoContextFromProto(proto.on_no_context(), options.time_mode));
  options.run_controller = proto.run_controller();
  options.required_model_revision = proto.required_model_revision();
  AUTOMOT_RETURN_IF_ERROR(ValidateSessionOptions(options));
  return options;
}

// Every enumerator has the wire's number less one.
static_assert(static_cast<int>(TimeMode::kLockstep) + 1 == v1::TIME_MODE_LOCKSTEP);
static_assert(static_cast<int>(OnExpired::kWait) + 1 == v1::ON_EXPIRED_WAIT);
static_assert(static_cast<int>(OnRouteChange::kFallback) + 1 == v1::ON_ROUTE_CHANGE_FALLBACK);
static_assert(static_cast<int>(OnMissingModality::kFlag) + 1 == v1::ON_MISSING_MODALITY_FLAG);
static_assert(static_cast<int>(OnNoContext::kPark) + 1 == v1::ON_NO_CONTEXT_PARK);

v1::OnExpired OnExpiredToProto(OnExpired on_expired) {
  return static_cast<v1::OnExpired>(static_cast<int>(on_expired) + 1);
}

void SessionOptionsToProto(const SessionOptions& options, v1::SessionOptions* proto) {
  proto->set_planning_rate_hz(options.planning_rate_hz);
  proto->set_reasoning_rate_hz(options.reasoning_rate_hz);
  proto->set_time_mode(static_cast<v1::TimeMode>(static_cast<int>(options.time_mode) + 1));
  proto->set_simulated_latency_us(options.simulated_latency_us);
  proto->set_lockstep_ticks(options.lockstep_ticks);
  proto->set_soft_staleness_us(options.soft_staleness_us);
  proto->set_hard_staleness_us(options.hard_staleness_us);
  proto->set_retention_us(options.retention_us);
  proto->set_on_expired(OnExpiredToProto(options.on_expired));
  proto->set_on_route_change(
      static_cast<v1::OnRouteChange>(static_cast<int>(options.on_route_change) + 1));
  proto->set_on_missing_modality(
      static_cast<v1::OnMissingModality>(static_cast<int>(options.on_missing_modality) + 1));
  proto->set_on_no_context(
      static_cast<v1::OnNoContext>(static_cast<int>(options.on_no_context) + 1));
  proto->set_run_controller(options.run_controller);
  proto->set_required_model_revision(options.required_model_revision);
}

}  // namespace automot::planning
