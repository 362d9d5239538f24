// One HTTP request to an IPv4 address, for tests of what is served over HTTP.
#pragma once

#include <string>

namespace automot::test_support {

// The whole answer, header and body, to GET `path` at `address` ("127.0.0.1:9464"); empty where
// nothing listens.
std::string HttpGet(const std::string& address, const std::string& path);

}  // namespace automot::test_support
