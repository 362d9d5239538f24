// automot-tokenize: text to ids and back with a checkpoint's tokenizer, one JSON request a line on
// stdin, one JSON answer a line on stdout.
//
//   {"encode": "text"}   -> {"ids": [...]}; added tokens in the text count, unless "plain": true
//   {"decode": [ids]}    -> {"text": "..."}; "skip_special": true leaves special tokens out
//   {"stream": [ids]}    -> {"pieces": [...]}: what each token makes certain, then the rest
//   anything else, or text that cannot be encoded -> {"error": "..."}
#include <CLI/CLI.hpp>
#include <cstdio>
#include <iostream>
#include <string>

#include "common/runtime/program_exit.h"
#include "common/tokenizer/text_stream.h"
#include "common/tokenizer/tokenizer.h"
#include "nlohmann/json.hpp"

namespace automot::model {
namespace {

using Json = nlohmann::json;

Json Encode(const Tokenizer& tokenizer, const Json& request) {
  const auto ids = tokenizer.Encode(request.at("encode").get_ref<const std::string&>(),
                                    /*allow_special=*/!request.value("plain", false));
  if (!ids.ok()) return {{"error", std::string(ids.status().message())}};
  return {{"ids", *ids}};
}

Json Stream(const Tokenizer& tokenizer, const Json& request) {
  TextStream stream(tokenizer, request.value("skip_special", false));
  Json pieces = Json::array();
  for (const int64_t id : request.at("stream").get<std::vector<int64_t>>()) {
    pieces.push_back(stream.Add(id));
  }
  pieces.push_back(stream.Finish());
  return {{"pieces", std::move(pieces)}};
}

// nlohmann::json reports what is wrong with a request by exceptions.
Json Answer(const Tokenizer& tokenizer, const std::string& line) {
  try {
    const Json request = Json::parse(line);
    if (request.contains("encode")) return Encode(tokenizer, request);
    if (request.contains("stream")) return Stream(tokenizer, request);
    const auto ids = request.at("decode").get<std::vector<int64_t>>();
    return {{"text", tokenizer.Decode(ids, request.value("skip_special", false))}};
  } catch (const Json::exception& bad) {
    return {{"error", bad.what()}};
  }
}

int Run(const std::string& path) {
  const auto tokenizer = Tokenizer::Load(path);
  if (!tokenizer.ok()) return EndProgram("automot-tokenize", kExitFailed, tokenizer.status());
  std::ios::sync_with_stdio(false);
  std::string line;
  while (std::getline(std::cin, line)) {
    std::cout << Answer(**tokenizer, line)
                     .dump(-1, ' ', /*ensure_ascii=*/false, Json::error_handler_t::replace)
              << '\n';
  }
  return std::cout.flush() ? 0 : kExitFailed;
}

}  // namespace
}  // namespace automot::model

int main(int argc, char** argv) {
  CLI::App app("Encodes and decodes text, one JSON request a line on standard input.");
  std::string checkpoint, file;
  auto* const source = app.add_option_group("tokenizer");
  source->add_option("--checkpoint", checkpoint, "Directory that holds tokenizer.json");
  source->add_option("--tokenizer", file, "The file itself");
  source->require_option(1);
  CLI11_PARSE(app, argc, argv);
  return automot::model::Run(file.empty() ? checkpoint + "/tokenizer.json" : file);
}
