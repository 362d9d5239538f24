// The tiny checkpoint's action model with contexts of any length and observations, all random.
#pragma once

#include <ATen/ATen.h>

#include <memory>
#include <vector>

#include "common/model/action_model.h"

namespace automot::model {

// Opened once per process; throws std::runtime_error where the checkpoint is not there.
const Checkpoint& TinyCheckpoint();
const ActionModel& TinyActionModel();
std::unique_ptr<const ActionModel> LoadTinyActionModel(const ModelOptions& options);

// A context with the memory that it borrows.
struct OwnedContext {
  std::vector<at::Tensor> keys, values;
  ActionContext context;
};
OwnedContext RandomContext(int64_t tokens, const ActionModel& model = TinyActionModel());

ActionInputs RandomInputs(int64_t batch);
// Observation `index` of a batch as a batch of one.
ActionInputs Observation(const ActionInputs& inputs, int64_t index);

}  // namespace automot::model
