// automot-parity-resize: drives the resampling from outside, for tests/parity.
//
// stdin, repeated: a line "WIDTH HEIGHT NEW_WIDTH NEW_HEIGHT lanczos|bicubic", then the RGB bytes.
// stdout: the RGB bytes of each result. Ends with status 1 at the first bad picture.
#include <cstdio>
#include <iostream>
#include <sstream>
#include <string>

#include "common/image/resize.h"

int main() {
  std::ios::sync_with_stdio(false);
  std::string line, filter;
  while (std::getline(std::cin, line)) {
    automot::RgbImage source;
    automot::image::ImageSize size;
    std::istringstream(line) >> source.width >> source.height >> size.width >> size.height >>
        filter;
    source.pixels.resize(size_t{3} * source.width * source.height);
    std::cin.read(reinterpret_cast<char*>(source.pixels.data()),
                  static_cast<std::streamsize>(source.pixels.size()));
    const auto resized =
        automot::image::ResizeImage(source, size,
                                    filter == "bicubic" ? automot::image::ResizeFilter::kBicubic
                                                        : automot::image::ResizeFilter::kLanczos);
    if (!resized.ok()) {
      std::cerr << resized.status().message() << '\n';
      return 1;
    }
    std::cout.write(reinterpret_cast<const char*>(resized->pixels.data()),
                    static_cast<std::streamsize>(resized->pixels.size()));
  }
  return std::cout.flush() ? 0 : 1;
}
