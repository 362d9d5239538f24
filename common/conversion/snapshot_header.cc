#include "common/conversion/snapshot_header.h"

#include <cmath>

#include "absl/strings/str_cat.h"
#include "common/context/header_check.h"
#include "common/conversion/geometry.h"
#include "common/conversion/reasons.h"
#include "common/status/status_macros.h"

namespace automot::conversion {
namespace {

using context::ContextLayout;

constexpr char kCausal[] = "causal";
constexpr char kBidirectional[] = "bidirectional";

void LayoutToProto(const ContextLayout& layout, v1::TensorSpec* proto) {
  proto->set_layout(KvLayoutToProto(layout.kind));
  proto->set_element_type(ElementTypeToProto(layout.element_type));
  proto->set_num_layers(static_cast<uint32_t>(layout.layers));
  proto->set_num_tokens(static_cast<uint32_t>(layout.tokens));
  proto->set_num_kv_heads(static_cast<uint32_t>(layout.kv_heads));
  proto->set_key_head_dim(static_cast<uint32_t>(layout.k_head_dim));
  proto->set_value_head_dim(static_cast<uint32_t>(layout.v_head_dim));
}

absl::Status Dimension(const char* field, uint32_t value, int limit, int* out) {
  if (value == 0 || value > static_cast<uint32_t>(limit)) {
    return absl::InvalidArgumentError(
        absl::StrCat("tensor_spec.", field, " is ", value, "; it must be 1 to ", limit));
  }
  *out = static_cast<int>(value);
  return absl::OkStatus();
}

absl::StatusOr<ContextLayout> LayoutFromProto(const v1::TensorSpec& proto) {
  ContextLayout layout;
  AUTOMOT_ASSIGN_OR_RETURN(layout.kind, KvLayoutFromProto(proto.layout()));
  AUTOMOT_ASSIGN_OR_RETURN(layout.element_type, ElementTypeFromProto(proto.element_type()));
  AUTOMOT_RETURN_IF_ERROR(
      Dimension("num_layers", proto.num_layers(), ContextLayout::kMaxLayers, &layout.layers));
  AUTOMOT_RETURN_IF_ERROR(
      Dimension("num_tokens", proto.num_tokens(), ContextLayout::kMaxTokens, &layout.tokens));
  AUTOMOT_RETURN_IF_ERROR(Dimension("num_kv_heads", proto.num_kv_heads(),
                                    ContextLayout::kMaxKvHeads, &layout.kv_heads));
  AUTOMOT_RETURN_IF_ERROR(Dimension("key_head_dim", proto.key_head_dim(),
                                    ContextLayout::kMaxHeadDim, &layout.k_head_dim));
  AUTOMOT_RETURN_IF_ERROR(Dimension("value_head_dim", proto.value_head_dim(),
                                    ContextLayout::kMaxHeadDim, &layout.v_head_dim));
  return layout;
}

void PromptToProto(const context::SnapshotPrompt& prompt, v1::SnapshotPrompt* proto) {
  ToProto(prompt.target_points[0], proto->mutable_current_target_point());
  ToProto(prompt.target_points[1], proto->mutable_next_target_point());
  proto->set_speed_mps(prompt.speed_mps);
  if (prompt.pose) ToProto(*prompt.pose, proto->mutable_pose());
  proto->set_route_revision(prompt.route_revision);
}

context::SnapshotPrompt PromptFromProto(const v1::SnapshotPrompt& proto) {
  context::SnapshotPrompt prompt;
  prompt.target_points = {FromProto(proto.current_target_point()),
                          FromProto(proto.next_target_point())};
  prompt.speed_mps = proto.speed_mps();
  if (proto.has_pose()) prompt.pose = FromProto(proto.pose());
  prompt.route_revision = proto.route_revision();
  return prompt;
}

absl::StatusOr<std::string> MaskFromProto(v1::InstructionMask mask) {
  switch (mask) {
    case v1::INSTRUCTION_MASK_UNSPECIFIED:
    case v1::INSTRUCTION_MASK_CAUSAL:
      return std::string(kCausal);
    case v1::INSTRUCTION_MASK_BIDIRECTIONAL:
      return std::string(kBidirectional);
    default:
      return absl::InvalidArgumentError(
          absl::StrCat("instruction_mask is ", mask, ", which is unknown"));
  }
}

}  // namespace

void SnapshotIdToProto(const SnapshotId& id, const std::string& session_name,
                       v1::SnapshotId* proto) {
  proto->set_session(session_name);
  proto->set_episode(id.episode);
  proto->set_epoch(id.epoch);
  proto->set_version(id.version);
}

SnapshotId SnapshotIdFromProto(const v1::SnapshotId& proto, uint64_t session) {
  return {.session = session,
          .episode = proto.episode(),
          .epoch = proto.epoch(),
          .version = proto.version()};
}

v1::ElementType ElementTypeToProto(ContextLayout::ElementType type) {
  switch (type) {
    case ContextLayout::ElementType::kFloat32:
      return v1::ELEMENT_TYPE_FLOAT32;
    case ContextLayout::ElementType::kBFloat16:
      return v1::ELEMENT_TYPE_BFLOAT16;
    case ContextLayout::ElementType::kFloat8E4M3:
      return v1::ELEMENT_TYPE_FLOAT8_E4M3;
    case ContextLayout::ElementType::kInt8:
      return v1::ELEMENT_TYPE_INT8;
  }
  return v1::ELEMENT_TYPE_UNSPECIFIED;
}

absl::StatusOr<ContextLayout::ElementType> ElementTypeFromProto(v1::ElementType type) {
  switch (type) {
    case v1::ELEMENT_TYPE_FLOAT32:
      return ContextLayout::ElementType::kFloat32;
    case v1::ELEMENT_TYPE_BFLOAT16:
      return ContextLayout::ElementType::kBFloat16;
    case v1::ELEMENT_TYPE_FLOAT8_E4M3:
      return ContextLayout::ElementType::kFloat8E4M3;
    case v1::ELEMENT_TYPE_INT8:
      return ContextLayout::ElementType::kInt8;
    default:
      return absl::InvalidArgumentError(
          absl::StrCat("element_type is ", type, ", which is unknown"));
  }
}

v1::KvLayout KvLayoutToProto(ContextLayout::Kind kind) {
  return kind == ContextLayout::Kind::kFull ? v1::KV_LAYOUT_FULL : v1::KV_LAYOUT_COMPACT;
}

absl::StatusOr<ContextLayout::Kind> KvLayoutFromProto(v1::KvLayout kind) {
  switch (kind) {
    case v1::KV_LAYOUT_FULL:
      return ContextLayout::Kind::kFull;
    case v1::KV_LAYOUT_UNSPECIFIED:
    case v1::KV_LAYOUT_COMPACT:
      return ContextLayout::Kind::kCompact;
    default:
      return absl::InvalidArgumentError(absl::StrCat("layout is ", kind, ", which is unknown"));
  }
}

void SnapshotHeaderToProto(const context::SnapshotHeader& header, const std::string& session_name,
                           v1::SnapshotHeader* proto) {
  SnapshotIdToProto(header.id, session_name, proto->mutable_id());
  proto->set_capture_time_us(header.capture_time_us);
  for (SessionTimeUs time : header.frame_capture_times_us) proto->add_frame_capture_times_us(time);
  proto->set_history_error_us(header.history_spacing_error_us);
  PromptToProto(header.prompt, proto->mutable_prompt());
  proto->set_position_start(header.position_start);
  LayoutToProto(header.layout, proto->mutable_tensor_spec());
  proto->set_model_revision(header.model_revision);
  proto->set_instruction_mask(header.instruction_mask == kBidirectional
                                  ? v1::INSTRUCTION_MASK_BIDIRECTIONAL
                                  : v1::INSTRUCTION_MASK_CAUSAL);
  proto->set_prompt_template(header.prompt_template);
  proto->set_history_spacing_us(std::llround(header.history_spacing_s * 1e6));
  ReasonsToProto(header.reasons, proto->mutable_reasons());
}

absl::StatusOr<context::SnapshotHeader> SnapshotHeaderFromProto(const v1::SnapshotHeader& proto,
                                                                uint64_t session) {
  const auto frames = static_cast<std::size_t>(proto.frame_capture_times_us_size());
  if (frames > context::kMaxHistoryFrames) {
    return absl::InvalidArgumentError(absl::StrCat("frame_capture_times_us has ", frames,
                                                   " values; the limit is ",
                                                   context::kMaxHistoryFrames));
  }
  context::SnapshotHeader header;
  header.id = SnapshotIdFromProto(proto.id(), session);
  header.capture_time_us = proto.capture_time_us();
  header.frame_capture_times_us.assign(proto.frame_capture_times_us().begin(),
                                       proto.frame_capture_times_us().end());
  header.history_spacing_error_us = proto.history_error_us();
  header.prompt = PromptFromProto(proto.prompt());
  header.position_start = proto.position_start();
  AUTOMOT_ASSIGN_OR_RETURN(header.layout, LayoutFromProto(proto.tensor_spec()));
  header.model_revision = proto.model_revision();
  AUTOMOT_ASSIGN_OR_RETURN(header.instruction_mask, MaskFromProto(proto.instruction_mask()));
  header.prompt_template = proto.prompt_template();
  header.history_spacing_s = static_cast<double>(proto.history_spacing_us()) / 1e6;
  header.reasons = ReasonsFromProto(proto.reasons());
  return header;
}

}  // namespace automot::conversion
