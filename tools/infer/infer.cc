#include "tools/infer/infer.h"

#include <ATen/Parallel.h>

#include <cstdio>

#include "common/model/torch_status.h"
#include "common/status/status_macros.h"
#include "tools/infer/action_stages.h"
#include "tools/infer/stage_timer.h"
#include "tools/infer/understanding_stages.h"

namespace automot::infer {
namespace {

absl::Status RunStages(const InferOptions& options, const StagePlan& plan, const Inputs& inputs,
                       Outputs& outputs) {
  AUTOMOT_ASSIGN_OR_RETURN(
      const auto checkpoint,
      model::Checkpoint::Open(options.checkpoint, {.use_ema = options.use_ema}));
  AUTOMOT_ASSIGN_OR_RETURN(const auto tokenizer,
                           model::Tokenizer::Load(checkpoint->tokenizer_path()));
  Contexts contexts;
  if (plan.understanding_runs()) {
    AUTOMOT_ASSIGN_OR_RETURN(const auto stages,
                             UnderstandingStages::Load(*checkpoint, *tokenizer, options));
    const StageTimer timer(options.timings, "run understanding expert");
    AUTOMOT_ASSIGN_OR_RETURN(contexts, stages.Run(plan, inputs, outputs));
  }
  if (plan.context == ContextSource::kGiven) {
    AUTOMOT_ASSIGN_OR_RETURN(contexts, ReadContexts(checkpoint->geometry(), inputs));
  }
  at::Tensor bev_feature;
  if (plan.bev_runs()) {
    AUTOMOT_ASSIGN_OR_RETURN(bev_feature,
                             RunBevEncoder(*checkpoint, options, plan.bev, inputs, outputs));
  } else if (plan.bev == BevSource::kGiven) {
    bev_feature = inputs.Get("bev_feature");
  }
  if (!plan.action) return absl::OkStatus();
  return RunActionExpert(*checkpoint, *tokenizer, options, bev_feature, contexts, inputs, outputs);
}

}  // namespace

absl::Status Infer(const InferOptions& options) {
  return model::CatchTorch("automot-infer", [&]() -> absl::Status {
    if (options.threads > 0) at::set_num_threads(options.threads);
    AUTOMOT_ASSIGN_OR_RETURN(const Inputs inputs, Inputs::Read(options.inputs));
    AUTOMOT_ASSIGN_OR_RETURN(
        const StagePlan plan,
        PlanStages([&](const char* name) { return inputs.Has(name); }, options));
    for (const std::string& note : plan.notes) {
      std::fprintf(stderr, "automot-infer: note: %s\n", note.c_str());
    }
    Outputs outputs;
    AUTOMOT_RETURN_IF_ERROR(RunStages(options, plan, inputs, outputs));
    return outputs.Write(options.outputs);
  });
}

}  // namespace automot::infer
