#include "services/reasoning/session_table.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/types/session_time.h"

namespace automot::reasoning {
namespace {

// Consumers without a name (in process) are told apart by their number.
std::string NameOf(const context::AttachRequest& request) {
  return request.session_name.empty() ? absl::StrCat("#", request.session) : request.session_name;
}

RefreshQueue::Options QueueOptions(const context::AttachRequest& request,
                                   const SessionLimits& limits) {
  return {.lossless = request.lossless,
          .capacity = limits.lossless_queue,
          .period_us = PeriodUs(request.reasoning_rate_hz),
          .staleness_budget_us = request.staleness_budget_us};
}

bool MayBegin(const ReasoningSession& session) {
  if (!session.refreshes || session.refreshes->empty()) return false;
  return !session.owner->request().lossless || session.owner->HasRoom();
}

}  // namespace

absl::StatusOr<ReasoningSession*> SessionTable::Attach(const context::AttachRequest& request,
                                                       context::SnapshotReceiver* receiver,
                                                       SnapshotSink* sink,
                                                       AttachmentPtr* replaced) {
  const std::string name = NameOf(request);
  ReasoningSession* session = FindByName(name);
  if (session == nullptr && by_name_.size() >= limits_.sessions) {
    return absl::ResourceExhaustedError(absl::StrCat("attached sessions: ", by_name_.size(), " of ",
                                                     limits_.sessions, " are in use"));
  }
  if (session != nullptr && request.epoch <= session->newest_epoch) {
    return absl::AbortedError(absl::StrCat(
        "epoch ", request.epoch, " of session '", name, "' is not above the epoch ",
        session->owner != nullptr ? "in force, " : "of its last owner, ", session->newest_epoch));
  }
  if (const ReasoningSession* taken = FindByConsumer(request.session);
      taken != nullptr && taken != session) {
    return absl::AlreadyExistsError(
        absl::StrCat("session ", request.session, " is attached as '", taken->name, "'"));
  }
  if (session == nullptr) session = &by_name_[name];
  session->name = name;
  *replaced = session->owner;
  std::shared_ptr<context::ReceiverGate> gate = TakeOver(*session, request.session);
  session->owner = std::make_shared<Attachment>(request, receiver, sink, std::move(gate));
  session->newest_epoch = request.epoch;
  session->next_version = 1;
  session->superseded = 0;
  StartEpisode(*session, request.episode);
  by_consumer_[request.session] = session;
  return session;
}

absl::StatusOr<AttachmentPtr> SessionTable::Listen(const context::AttachRequest& request,
                                                   context::SnapshotReceiver* receiver,
                                                   SnapshotSink* sink) {
  const std::string name = NameOf(request);
  ReasoningSession* session = FindByName(name);
  if (session == nullptr) {
    return absl::NotFoundError(
        absl::StrCat("session '", name, "' has no subscription to listen to"));
  }
  if (session->listeners.size() >= limits_.listeners_per_session) {
    return absl::ResourceExhaustedError(absl::StrCat("listeners of session '", name,
                                                     "': ", session->listeners.size(), " of ",
                                                     limits_.listeners_per_session, " are in use"));
  }
  auto listener = std::make_shared<Attachment>(request, receiver, sink,
                                               std::make_shared<context::ReceiverGate>());
  session->listeners.push_back(listener);
  by_consumer_[request.session] = session;
  return listener;
}

// Ends what the session's owner and `consumer` had before; returns the gate of the latter's calls.
std::shared_ptr<context::ReceiverGate> SessionTable::TakeOver(ReasoningSession& session,
                                                              uint64_t consumer) {
  if (session.owner != nullptr) {
    const uint64_t before = session.owner->request().session;
    by_consumer_.erase(before);
    fenced_[before] = session.owner;
  }
  const auto earlier = fenced_.find(consumer);
  if (earlier == fenced_.end()) return std::make_shared<context::ReceiverGate>();
  earlier->second->pass().Revoke();
  auto gate = earlier->second->pass().gate();
  fenced_.erase(earlier);
  return gate;
}

AttachmentPtr SessionTable::Remove(uint64_t consumer) {
  if (const auto fenced = fenced_.find(consumer); fenced != fenced_.end()) {
    AttachmentPtr removed = std::move(fenced->second);
    fenced_.erase(fenced);
    return removed;
  }
  ReasoningSession* session = FindByConsumer(consumer);
  if (session == nullptr) return nullptr;
  by_consumer_.erase(consumer);
  AttachmentPtr removed;
  if (session->owner != nullptr && session->owner->request().session == consumer) {
    removed = std::exchange(session->owner, nullptr);
    StartEpisode(*session, session->episode);
  } else {
    const auto at = std::find_if(
        session->listeners.begin(), session->listeners.end(),
        [consumer](const AttachmentPtr& l) { return l->request().session == consumer; });
    removed = std::move(*at);
    session->listeners.erase(at);
  }
  if (session->owner == nullptr && session->listeners.empty()) by_name_.erase(session->name);
  return removed;
}

void SessionTable::StartEpisode(ReasoningSession& session, uint32_t episode) {
  session.episode = episode;
  session.history = CameraHistory(limits_.history_frames);
  session.cache = std::make_shared<VisionCache>(limits_.cached_features);
  session.newest_sequence = 0;
  session.refreshes.reset();
  if (session.owner != nullptr) {
    session.refreshes.emplace(QueueOptions(session.owner->request(), limits_));
  }
}

const ReasoningSession* SessionTable::Find(const context::AttachRequest& request) const {
  const auto at = by_name_.find(NameOf(request));
  return at == by_name_.end() ? nullptr : &at->second;
}

ReasoningSession* SessionTable::FindByName(const std::string& name) {
  const auto at = by_name_.find(name);
  return at == by_name_.end() ? nullptr : &at->second;
}

ReasoningSession* SessionTable::FindByConsumer(uint64_t consumer) {
  const auto at = by_consumer_.find(consumer);
  return at == by_consumer_.end() ? nullptr : at->second;
}

std::vector<ReasoningSession*> SessionTable::ByDeadline() {
  std::vector<ReasoningSession*> waiting;
  for (auto& [name, session] : by_name_) {
    if (MayBegin(session)) waiting.push_back(&session);
  }
  std::stable_sort(waiting.begin(), waiting.end(), [](const auto* a, const auto* b) {
    return a->refreshes->deadline() < b->refreshes->deadline();
  });
  return waiting;
}

bool SessionTable::HasWork() const {
  return std::any_of(by_name_.begin(), by_name_.end(),
                     [](const auto& entry) { return MayBegin(entry.second); });
}

double SessionTable::declared_rate_hz() const {
  double sum = 0.0;
  for (const auto& [name, session] : by_name_) {
    if (session.owner != nullptr) sum += session.owner->request().reasoning_rate_hz;
  }
  return sum;
}

std::vector<AttachmentPtr> SessionTable::All() const {
  std::vector<AttachmentPtr> all;
  for (const auto& [name, session] : by_name_) {
    if (session.owner != nullptr) all.push_back(session.owner);
    all.insert(all.end(), session.listeners.begin(), session.listeners.end());
  }
  return all;
}

std::size_t SessionTable::owners() const {
  return static_cast<std::size_t>(
      std::count_if(by_name_.begin(), by_name_.end(),
                    [](const auto& entry) { return entry.second.owner != nullptr; }));
}

}  // namespace automot::reasoning
