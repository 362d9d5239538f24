#include "tests/support/certificates.h"

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/status/status_macros.h"

namespace automot {
namespace {

absl::Status Run(const std::string& folder, const std::string& arguments) {
  const std::string command =
      absl::StrCat("cd '", folder, "' && openssl ", arguments, " >openssl.log 2>&1");
  if (std::system(command.c_str()) == 0) return absl::OkStatus();
  return absl::InternalError(absl::StrCat("failed: openssl ", arguments));
}

}  // namespace

absl::StatusOr<TestCertificates> TestCertificates::Create() {
  std::string folder = (std::filesystem::temp_directory_path() / "automot-certificates-XXXXXX");
  if (mkdtemp(folder.data()) == nullptr) return absl::InternalError("mkdtemp failed");
  TestCertificates certificates(std::move(folder));
  if (!Run(certificates.folder_, "version").ok()) {
    return absl::UnavailableError("the openssl program is not installed");
  }
  AUTOMOT_RETURN_IF_ERROR(Run(certificates.folder_,
                              "req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=test-ca "
                              "-keyout ca.key -out ca.pem"));
  return certificates;
}

TestCertificates::TestCertificates(TestCertificates&& other) noexcept
    : folder_(std::exchange(other.folder_, "")) {}

TestCertificates::~TestCertificates() {
  std::error_code ignored;
  if (!folder_.empty()) std::filesystem::remove_all(folder_, ignored);
}

absl::Status TestCertificates::Make(const std::string& name,
                                    const std::string& alternatives) const {
  std::ofstream extensions(Path(name + ".ext"));
  extensions << "basicConstraints=CA:FALSE\n";
  if (!alternatives.empty()) extensions << "subjectAltName=" << alternatives << "\n";
  extensions.close();
  AUTOMOT_RETURN_IF_ERROR(
      Run(folder_, absl::StrCat("req -newkey rsa:2048 -nodes -subj /CN=", name, " -keyout ", name,
                                ".key -out ", name, ".csr")));
  return Run(folder_,
             absl::StrCat("x509 -req -in ", name, ".csr -CA ca.pem -CAkey ca.key ",
                          "-CAcreateserial -days 2 -extfile ", name, ".ext -out ", name, ".pem"));
}

}  // namespace automot
