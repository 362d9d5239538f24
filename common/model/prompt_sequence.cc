#include "common/model/prompt_sequence.h"

#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "common/status/status_macros.h"

namespace automot::model {
namespace {

class SequenceBuilder {
 public:
  explicit SequenceBuilder(const TokenIds& tokens, int64_t first_position = 0) : tokens_(tokens) {
    out_.next_position = first_position;
  }

  void AddText(absl::Span<const int64_t> ids, SpanMode mode) {
    if (ids.empty()) return;
    for (const int64_t id : ids) AddToken(id);
    out_.spans.push_back({static_cast<int64_t>(ids.size()), mode});
  }

  // The markers are text; the image's tokens share one t, and the counter goes on after its larger
  // side.
  void AddImage(const ImageGrid& grid) {
    AddToken(tokens_.vision_start);
    const int64_t base = out_.next_position;
    for (int64_t row = 0; row < grid.rows; ++row) {
      for (int64_t col = 0; col < grid.cols; ++col) {
        out_.image_rows.push_back(out_.tokens());
        Append(tokens_.image_pad, base, base + row, base + col);
      }
    }
    out_.next_position = base + std::max(grid.rows, grid.cols);
    AddToken(tokens_.vision_end);
    out_.spans.push_back({grid.tokens() + 2, SpanMode::kFull});
  }

  PromptSequence Take() { return std::move(out_); }

 private:
  void AddToken(int64_t id) {
    const int64_t position = out_.next_position++;
    Append(id, position, position, position);
  }

  void Append(int64_t id, int64_t t, int64_t h, int64_t w) {
    out_.ids.push_back(id);
    out_.positions[0].push_back(t);
    out_.positions[1].push_back(h);
    out_.positions[2].push_back(w);
  }

  TokenIds tokens_;
  PromptSequence out_;
};

absl::Status CheckText(const ModelGeometry& geometry, absl::string_view field,
                       absl::Span<const int64_t> ids) {
  for (size_t i = 0; i < ids.size(); ++i) {
    if (ids[i] < 0 || ids[i] >= geometry.text.vocab) {
      return absl::InvalidArgumentError(absl::StrCat(
          field, "[", i, "] is ", ids[i], ", must be in [0, ", geometry.text.vocab, ")"));
    }
    if (ids[i] == geometry.tokens.image_pad) {
      return absl::InvalidArgumentError(absl::StrCat(field, "[", i, "] is the image token ", ids[i],
                                                     ", which text may not hold"));
    }
  }
  return absl::OkStatus();
}

absl::Status CheckSize(absl::Span<const int64_t> prefix, absl::Span<const ImageGrid> images,
                       absl::Span<const int64_t> instruction) {
  uint64_t tokens = prefix.size() + instruction.size();
  for (size_t i = 0; i < images.size(); ++i) {
    const ImageGrid& grid = images[i];
    if (grid.rows < 1 || grid.cols < 1 || grid.rows > kMaxSequenceTokens ||
        grid.cols > kMaxSequenceTokens) {
      return absl::InvalidArgumentError(
          absl::StrCat("image ", i, " has ", grid.rows, "x", grid.cols,
                       " tokens, each side must be in [1, ", kMaxSequenceTokens, "]"));
    }
    tokens += static_cast<uint64_t>(grid.tokens()) + 2;
  }
  if (tokens > kMaxSequenceTokens) {
    return absl::InvalidArgumentError(
        absl::StrCat("the prompt has ", tokens, " tokens, the limit is ", kMaxSequenceTokens));
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<PromptSequence> BuildSequence(const ModelGeometry& geometry,
                                             absl::Span<const int64_t> prefix_ids,
                                             absl::Span<const ImageGrid> images,
                                             absl::Span<const int64_t> instruction_ids,
                                             InstructionMask mask) {
  if (instruction_ids.empty()) return absl::InvalidArgumentError("instruction_ids is empty");
  AUTOMOT_RETURN_IF_ERROR(CheckSize(prefix_ids, images, instruction_ids));
  AUTOMOT_RETURN_IF_ERROR(CheckText(geometry, "prefix_ids", prefix_ids));
  AUTOMOT_RETURN_IF_ERROR(CheckText(geometry, "instruction_ids", instruction_ids));
  SequenceBuilder builder(geometry.tokens);
  builder.AddText(prefix_ids, SpanMode::kCausal);
  for (const ImageGrid& image : images) builder.AddImage(image);
  builder.AddText(instruction_ids,
                  mask == InstructionMask::kBidirectional ? SpanMode::kFull : SpanMode::kCausal);
  return builder.Take();
}

absl::StatusOr<PromptSequence> BuildScene(const ModelGeometry& geometry,
                                          absl::Span<const int64_t> prefix_ids,
                                          absl::Span<const ImageGrid> images) {
  if (prefix_ids.empty() && images.empty()) {
    return absl::InvalidArgumentError("the scene has neither prefix_ids nor an image");
  }
  AUTOMOT_RETURN_IF_ERROR(CheckSize(prefix_ids, images, {}));
  AUTOMOT_RETURN_IF_ERROR(CheckText(geometry, "prefix_ids", prefix_ids));
  SequenceBuilder builder(geometry.tokens);
  builder.AddText(prefix_ids, SpanMode::kCausal);
  for (const ImageGrid& image : images) builder.AddImage(image);
  return builder.Take();
}

absl::StatusOr<PromptSequence> BuildContinuation(const ModelGeometry& geometry,
                                                 int64_t first_position,
                                                 absl::Span<const int64_t> ids) {
  if (ids.empty()) return absl::InvalidArgumentError("ids is empty");
  AUTOMOT_RETURN_IF_ERROR(CheckSize(ids, {}, {}));
  AUTOMOT_RETURN_IF_ERROR(CheckText(geometry, "ids", ids));
  SequenceBuilder builder(geometry.tokens, first_position);
  builder.AddText(ids, SpanMode::kCausal);
  return builder.Take();
}

}  // namespace automot::model
