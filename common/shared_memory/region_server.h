// The producer's end of the shared-memory lane: a Unix socket at which consumers of this machine
// authenticate and get the descriptors of snapshot regions.
//
// A caller is judged by the kernel's credentials, proves by a probe region that descriptors really
// arrive and can be mapped, and holds a token from then on that no other process can guess. The
// token in a gRPC subscription ties that subscription to the connection. Regions are named by the
// server alone; a consumer only says which uses are over.
//
// One thread of its own, at low load: it reads the socket and never touches K/V bytes. Thread-safe.
#pragma once

#include <sys/types.h>

#include <atomic>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "common/shared_memory/region_loans.h"

namespace automot::shared_memory {

struct RegionServerOptions {
  std::string path;                  // of the socket
  std::vector<uid_t> allowed_users;  // beside the user of this process
  std::size_t consumers = 64;        // connections at once
  absl::Duration handshake = absl::Seconds(5);
  LoanLimits limits;
};

struct RegionServerStats {
  uint64_t accepted = 0;  // connections that proved themselves
  uint64_t refused = 0;   // wrong user, too many, failed probe
  std::size_t consumers = 0;
};

class RegionServer {
 public:
  // Listens when it returns. INVALID_ARGUMENT: the path. ALREADY_EXISTS: it is taken.
  // UNIMPLEMENTED: this system cannot seal regions. UNAVAILABLE: no socket there.
  static absl::StatusOr<std::unique_ptr<RegionServer>> Start(const RegionServerOptions& options);
  // Ends every connection; the accounts outlive the server and say kEnded.
  ~RegionServer();

  const std::string& path() const { return options_.path; }
  // Said on the socket and by the service, so that a consumer knows whose socket it has found.
  uint64_t producer() const { return producer_; }

  // The account of a subscription of the consumer that holds `token`. FAILED_PRECONDITION: nobody
  // does. INVALID_ARGUMENT, CANCELLED: the number, see RegionConsumer::Open.
  absl::StatusOr<std::shared_ptr<RegionLoans>> Open(std::string_view token, uint64_t subscription);
  RegionServerStats stats() const;

 private:
  struct Connection;

  RegionServer(const RegionServerOptions& options, UniqueDescriptor listener, UniqueDescriptor wake,
               std::shared_ptr<context::MemoryRegion> probe, uint64_t producer);
  void Main();
  void AcceptAll();
  void Admit(UniqueDescriptor socket);
  bool Serve(Connection& connection);  // false: it is over
  bool Take(Connection& connection, const RegionMessage& message);
  void End(std::size_t index, const char* why);
  int PollTimeoutMs() const;
  bool Allowed(uid_t user) const;

  const RegionServerOptions options_;
  const UniqueDescriptor listener_;
  const UniqueDescriptor wake_;  // readable: stop
  const std::shared_ptr<context::MemoryRegion> probe_;
  const uint64_t producer_;
  std::vector<std::unique_ptr<Connection>> connections_;  // of the thread alone

  mutable std::mutex mutex_;
  std::map<std::string, std::shared_ptr<RegionConsumer>, std::less<>> by_token_
      ABSL_GUARDED_BY(mutex_);  // proved
  RegionServerStats stats_ ABSL_GUARDED_BY(mutex_);

  std::thread thread_;  // last: uses everything above
};

}  // namespace automot::shared_memory
