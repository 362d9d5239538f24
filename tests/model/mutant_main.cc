// A program of every mutant: runs the searches on a store with one rule taken out (mutate.py): one
// of them must fail. Exit status 0 where the mutant is caught.
#include <iostream>
#include <string>
#include <utility>

#include "tests/model/explorer.h"
#include "tests/model/store_scenario.h"

int main() {
  using namespace automot::model;
  const std::pair<std::string, Explorer::Maker> searches[] = {
      {"close and reuse", CloseAndReuse(1)},
      {"read and drain", ReadAndDrain()},
      {"publish, read, retire: one reader", PublishReadRetire({1, 2, 1, 3})},
      {"the same, entering the view", PublishReadRetire({1, 2, 1, 3, true})},
      {"close and reuse, two readers", CloseAndReuse(2)},
      {"publish, read, retire: two readers, two writers", PublishReadRetire({2, 1, 2, 3})},
      {"the same, entering the view", PublishReadRetire({2, 1, 2, 3, true})},
  };
  for (const auto& [name, make] : searches) {
    Explorer explorer;
    const Exploration result = explorer.Explore({.most_preemptions = 3}, make);
    std::cout << name << ": " << result.ToString() << "\n";
    if (!result.failure.empty()) return 0;
  }
  std::cout << "NOT CAUGHT\n";
  return 1;
}
