// Certificates for a test, made by the openssl program in a folder that goes with the object.
#pragma once

#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace automot {

class TestCertificates {
 public:
  // A CA of its own. UNAVAILABLE where there is no openssl program: the test is then to be skipped.
  static absl::StatusOr<TestCertificates> Create();
  TestCertificates(TestCertificates&& other) noexcept;
  TestCertificates& operator=(TestCertificates&&) = delete;
  ~TestCertificates();

  // Makes NAME.pem and NAME.key, signed by the CA, for subject CN `name` and, where it is not
  // empty, the subject alternative names `alternatives` ("IP:127.0.0.1,DNS:localhost").
  absl::Status Make(const std::string& name, const std::string& alternatives = "") const;

  std::string ca() const { return Path("ca.pem"); }
  std::string certificate(const std::string& name) const { return Path(name + ".pem"); }
  std::string key(const std::string& name) const { return Path(name + ".key"); }
  // A path in the folder.
  std::string Path(const std::string& name) const { return folder_ + "/" + name; }

 private:
  explicit TestCertificates(std::string folder) : folder_(std::move(folder)) {}

  std::string folder_;  // empty once moved from
};

}  // namespace automot
