#include "tools/infer/infer_options.h"

#include <CLI/CLI.hpp>
#include <cstdlib>
#include <vector>

#include "tools/infer/input_names.h"

namespace automot::infer {
namespace {

// What the flags fill before it becomes options.
struct Raw {
  std::string instruction_mask = "causal";
  std::string position_policy = "anchored";
  int64_t reuse = 0;
  std::string decision_logits = "full";
  std::string jpeg_roundtrip = "on";
  std::string dtype = "float32";
  std::string kv_layout = "full";
  std::vector<std::string> enter_at;
};

void AddChoice(CLI::App& app, const std::string& flag, std::string& value,
               const std::vector<std::string>& choices, const std::string& help) {
  app.add_option(flag, value, help)->check(CLI::IsMember(choices))->capture_default_str();
}

void AddFileFlags(CLI::App& app, InferOptions& options, Raw& raw) {
  app.add_option("--checkpoint", options.checkpoint, "Checkpoint directory")->required();
  app.add_option("--inputs", options.inputs, "safetensors file to read")->required();
  app.add_option("--outputs", options.outputs, "safetensors file to write, whole or not at all")
      ->required();
  app.add_flag("--use-ema", options.use_ema, "Take weights from ema.safetensors where it has them");
  app.add_option("--enter-at", raw.enter_at,
                 "Start a chain here although earlier inputs are present; one per chain")
      ->check(CLI::IsMember({"pixels", "context", "bev_feature"}))
      ->delimiter(',');
}

void AddTextFlags(CLI::App& app, InferOptions& options) {
  CLI::Option* const prompt =
      app.add_option("--prompt", options.prompt,
                     "Instruction text, tokenised in place of instruction_ids; without prefix_ids "
                     "the model's own prefix precedes the images");
  app.add_flag("--answer", options.answer,
               "Also answer --prompt greedily from the pictures: text on stdout, answer_ids")
      ->needs(prompt);
  app.add_option("--max-tokens", options.max_tokens, "Longest answer")
      ->check(CLI::Range(1, 8192))
      ->capture_default_str();
}

void AddModelFlags(CLI::App& app, InferOptions& options, Raw& raw) {
  AddChoice(app, "--instruction-mask", raw.instruction_mask, {"causal", "bidirectional"},
            "Attention within the instruction: as published inference, or as published training");
  AddChoice(app, "--position-policy", raw.position_policy, {"anchored", "reference_drift"},
            "Positions of the action tokens: always after the context, or moved on by --reuse");
  app.add_option("--reuse", raw.reuse, "Earlier uses of the context, under reference_drift")
      ->check(CLI::Range(int64_t{0}, int64_t{1} << 20))
      ->capture_default_str();
  AddChoice(app, "--decision-logits", raw.decision_logits, {"full", "lexicon"},
            "Decision logits over the vocabulary, or over the decision words only");
  AddChoice(app, "--jpeg-roundtrip", raw.jpeg_roundtrip, {"on", "off"},
            "Encode and decode camera_rgb as JPEG once, as the training data was");
  AddChoice(app, "--dtype", raw.dtype, {"float32", "bfloat16"},
            "Arithmetic of the model; results are written as float32");
  AddChoice(app, "--kv-layout", raw.kv_layout, {"full", "compact"},
            "What k_cache and v_cache hold: everything, or what the action expert reads");
  app.add_option("--device", options.device, "cpu, cuda or cuda:N")->capture_default_str();
  app.add_flag("--timings", options.timings,
               "Say on stderr how long loading and running each part took");
  app.add_option("--threads", options.threads,
                 "Threads of one operation; 0 takes LibTorch's choice")
      ->check(CLI::Range(0, 1024))
      ->capture_default_str();
}

absl::Status ReadEntryPoints(const Raw& raw, InferOptions& options) {
  for (const std::string& name : raw.enter_at) {
    options.enter_at.insert(name == "pixels"    ? EntryPoint::kPixels
                            : name == "context" ? EntryPoint::kContext
                                                : EntryPoint::kBevFeature);
  }
  if (options.enter_at.count(EntryPoint::kPixels) != 0 &&
      options.enter_at.count(EntryPoint::kContext) != 0) {
    return absl::InvalidArgumentError(
        "--enter-at names both pixels and context, which are one chain; name one");
  }
  return absl::OkStatus();
}

void ReadChoices(const Raw& raw, InferOptions& options) {
  options.bidirectional_instruction = raw.instruction_mask == "bidirectional";
  options.reuse = raw.position_policy == "reference_drift" ? raw.reuse : 0;
  options.lexicon_logits = raw.decision_logits == "lexicon";
  options.jpeg_roundtrip = raw.jpeg_roundtrip == "on";
  options.bfloat16 = raw.dtype == "bfloat16";
  options.compact_context = raw.kv_layout == "compact";
}

}  // namespace

absl::StatusOr<InferOptions> ParseInferOptions(int argc, char** argv) {
  InferOptions options;
  Raw raw;
  CLI::App app{
      "Runs the parts of an AutoMoT checkpoint whose inputs are in a file, and writes the result "
      "of every stage."};
  app.set_config("--config", "", "Flags from a TOML or INI file");
  app.footer("Input tensors:\n" + DescribeInputs());
  AddFileFlags(app, options, raw);
  AddTextFlags(app, options);
  AddModelFlags(app, options, raw);
  try {
    app.parse(argc, argv);
  } catch (const CLI::CallForHelp& help) {
    std::exit(app.exit(help));
  } catch (const CLI::ParseError& error) {
    return absl::InvalidArgumentError(error.what());
  }
  ReadChoices(raw, options);
  const absl::Status status = ReadEntryPoints(raw, options);
  if (!status.ok()) return status;
  return options;
}

}  // namespace automot::infer
