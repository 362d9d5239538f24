#include "common/model/joint_sequence.h"

namespace automot::model {
namespace {

void Append(const std::vector<int64_t>& from, std::vector<int64_t>* to) {
  to->insert(to->end(), from.begin(), from.end());
}

}  // namespace

JointSequence Join(absl::Span<const SequenceInput> sequences) {
  JointSequence joint;
  for (const SequenceInput& input : sequences) {
    const int64_t begin = joint.all.tokens();
    joint.parts.push_back({begin, input.sequence->tokens()});
    for (const int64_t row : input.sequence->image_rows) {
      joint.all.image_rows.push_back(begin + row);
    }
    Append(input.sequence->ids, &joint.all.ids);
    for (size_t axis = 0; axis < joint.all.positions.size(); ++axis) {
      Append(input.sequence->positions[axis], &joint.all.positions[axis]);
    }
    joint.features.insert(joint.features.end(), input.features.begin(), input.features.end());
  }
  return joint;
}

}  // namespace automot::model
