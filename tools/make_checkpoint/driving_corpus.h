// The text that the tokenizer of generated checkpoints is trained on.
#pragma once

#include <string_view>

namespace automot::model {

std::string_view DrivingCorpus();

}  // namespace automot::model
