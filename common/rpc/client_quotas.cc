#include "common/rpc/client_quotas.h"

#include <algorithm>

#include "absl/strings/str_cat.h"

namespace automot::rpc {
namespace {

constexpr double kMib = 1 << 20;

// At least one request, or one byte, whatever the rate.
double BucketSize(double per_second) { return std::max(1.0, per_second); }

double Filled(double level, double per_second, double seconds) {
  return std::min(BucketSize(per_second), level + per_second * seconds);
}

}  // namespace

ClientQuotas::ClientQuotas(const ClientQuotaOptions& options, const Clock* clock,
                           std::function<void(ClientQuota)> on_refused)
    : options_(options), clock_(clock), on_refused_(std::move(on_refused)) {}

ClientQuotas::Client& ClientQuotas::Find(const std::string& name, absl::Duration now) {
  if (const auto place = places_.find(name); place != places_.end()) {
    recent_.splice(recent_.begin(), recent_, place->second);
    Client& client = recent_.front();
    const double seconds = absl::ToDoubleSeconds(std::max(now - client.filled, absl::Duration()));
    client.requests = Filled(client.requests, options_.requests_per_second, seconds);
    client.bytes = Filled(client.bytes, options_.bytes_per_second, seconds);
    client.filled = now;
    return client;
  }
  if (recent_.size() >= std::max<std::size_t>(options_.clients, 1)) {
    places_.erase(recent_.back().name);
    recent_.pop_back();
  }
  recent_.push_front(
      {name, BucketSize(options_.requests_per_second), BucketSize(options_.bytes_per_second), now});
  places_[name] = recent_.begin();
  return recent_.front();
}

ClientQuotas::Verdict ClientQuotas::Refuse(ClientQuota quota, const Client& client) const {
  const bool requests = quota == ClientQuota::kRequests;
  const double rate = requests ? options_.requests_per_second : options_.bytes_per_second;
  // The bucket passes the next one as soon as there is a whole request, or any byte, in it.
  const double missing = requests ? 1.0 - client.requests : 1.0 - client.bytes;
  // Whole milliseconds, as clients are told; never too short by a rounding.
  const absl::Duration retry_after =
      absl::Ceil(absl::Seconds(std::max(missing, 0.0) / rate), absl::Milliseconds(1));
  const std::string limit =
      requests ? absl::StrCat("requests per second are over the limit of ", rate)
               : absl::StrCat("MiB per second are over the limit of ", rate / kMib);
  const double over = requests ? std::max(0.0, -client.requests) : std::max(0.0, -client.bytes);
  return {absl::ResourceExhaustedError(
              absl::StrCat("client '", client.name.substr(0, 256), "': ", limit, ", ",
                           requests ? over : over / kMib, requests ? " requests" : " MiB",
                           " ahead of it; retry after ", absl::FormatDuration(retry_after))),
          retry_after};
}

ClientQuotas::Verdict ClientQuotas::Charge(const std::string& client, uint32_t requests,
                                           std::size_t bytes) {
  if (!enabled()) return {absl::OkStatus(), absl::ZeroDuration()};
  ClientQuota refused = ClientQuota::kRequests;
  Verdict verdict;
  {
    const std::lock_guard lock(mutex_);
    Client& known = Find(client, clock_->Now());
    const bool no_requests = options_.requests_per_second > 0.0 && known.requests < 1.0;
    const bool no_bytes = options_.bytes_per_second > 0.0 && known.bytes < 1.0;
    if (!no_requests && !no_bytes) {
      known.requests -= requests;
      known.bytes -= static_cast<double>(bytes);
      return {absl::OkStatus(), absl::ZeroDuration()};
    }
    refused = no_requests ? ClientQuota::kRequests : ClientQuota::kBytes;
    verdict = Refuse(refused, known);
  }
  if (on_refused_ != nullptr) on_refused_(refused);
  return verdict;
}

std::size_t ClientQuotas::clients_remembered() const {
  const std::lock_guard lock(mutex_);
  return recent_.size();
}

}  // namespace automot::rpc
