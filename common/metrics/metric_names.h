// Every metric that the services export: name and help text. docs/metrics.md has the table; a test
// compares the two with what is scraped. Base units; counters end in _total.
#pragma once

namespace automot::metrics {

struct MetricName {
  const char* name;
  const char* help;
};

namespace names {

// Both loops.
inline constexpr MetricName kStageSeconds{
    "automot_stage_seconds", "Wall time of one stage of a planning tick or a context refresh."};
inline constexpr MetricName kLoopPeriodSeconds{
    "automot_loop_period_seconds",
    "Achieved period: wall time between successive results of one session."};
inline constexpr MetricName kLoopJitterSeconds{
    "automot_loop_jitter_seconds",
    "Distance of the achieved period from the declared one, sessions in real time only."};
inline constexpr MetricName kLoopMissedTicksTotal{
    "automot_loop_missed_ticks_total",
    "Ticks of the declared rate, in session time, that no result was made for."};
inline constexpr MetricName kSnapshotBytes{
    "automot_snapshot_bytes",
    "Size of the keys and values of snapshots received by planning or published by reasoning."};
inline constexpr MetricName kReady{"automot_ready",
                                   "1 once weights are loaded and warmed up, else 0."};
inline constexpr MetricName kModelInfo{"automot_model_info", "The model that serves; always 1."};
inline constexpr MetricName kBuildInfo{"automot_build_info", "The build that runs; always 1."};

// Planning: answers.
inline constexpr MetricName kPlansTotal{"automot_plans_total", "Accepted plans by outcome."};
inline constexpr MetricName kPlanRefusalsTotal{
    "automot_plan_refusals_total", "Plans refused before they were accepted, by status code."};
inline constexpr MetricName kPlanReasonsTotal{"automot_plan_reasons_total",
                                              "Answered plans that carry a reason, by reason."};
inline constexpr MetricName kPlanDeadlineMissesTotal{
    "automot_plan_deadline_misses_total",
    "Accepted plans whose deadline passed before their answer was ready."};
inline constexpr MetricName kContextStalenessSeconds{
    "automot_context_staleness_seconds",
    "Staleness of the context that a plan used: session time between both captures."};
inline constexpr MetricName kContextVersionGap{
    "automot_context_version_gap", "Newest announced version less the version that a plan used."};
inline constexpr MetricName kDecisionAgreementTotal{
    "automot_decision_agreement_total",
    "Plans by agreement of the tick's decision with its context's."};
inline constexpr MetricName kDecisionConsistencyTotal{
    "automot_decision_consistency_total", "Plans by consistency of decision and trajectory."};

// Planning: load.
inline constexpr MetricName kPlansWaiting{"automot_plans_waiting",
                                          "Accepted plans without an answer, by state."};
inline constexpr MetricName kAdmissionTickSeconds{
    "automot_admission_tick_seconds",
    "Longest time of a plan of late, which admission reckons with."};
inline constexpr MetricName kPlanRunsTotal{
    "automot_plan_runs_total", "Runs of the planning thread, each of one plan or of several."};
inline constexpr MetricName kSessions{"automot_sessions", "Open planning sessions."};
inline constexpr MetricName kSessionsAdoptedTotal{
    "automot_sessions_adopted_total", "Sessions taken over from another planning replica."};
inline constexpr MetricName kEpisodesTotal{"automot_episodes_total",
                                           "Episodes begun by resetting a session."};
inline constexpr MetricName kClientQuotaRefusalsTotal{
    "automot_client_quota_refusals_total",
    "Calls refused because their client had used up a quota, by quota."};
inline constexpr MetricName kConnectionsRefusedTotal{
    "automot_connections_refused_total",
    "Connections to the planning port closed because there were as many as there may be."};

// Planning: the link to the reasoning service.
inline constexpr MetricName kLaneInfo{"automot_lane_info",
                                      "The snapshot lane in use, by name; always 1."};
inline constexpr MetricName kLinkState{"automot_link_state",
                                       "1 for the state that the reasoning link is in, else 0."};
inline constexpr MetricName kLinkTransitionsTotal{
    "automot_link_transitions_total", "Changes of a session's link state, by the new state."};
inline constexpr MetricName kLinkReconnectsTotal{"automot_link_reconnects_total",
                                                 "Reconnections of the reasoning link."};
inline constexpr MetricName kLinkRehomesTotal{
    "automot_link_rehomes_total",
    "Sessions that went on at another reasoning replica than before, by reason."};
inline constexpr MetricName kLinkReceivedBytesTotal{
    "automot_link_received_bytes_total", "Bytes of snapshots that the reasoning link brought."};
inline constexpr MetricName kLinkReusedBytesTotal{
    "automot_link_reused_bytes_total",
    "Bytes of snapshots that were not sent because the one before had them."};
inline constexpr MetricName kLinkCopiedBytesTotal{
    "automot_link_copied_bytes_total",
    "Bytes of keys and values that this process copied on their way from the reasoning link."};
inline constexpr MetricName kLinkRefusalsTotal{
    "automot_link_refusals_total",
    "Snapshots refused while they were received and verified, by reason."};
inline constexpr MetricName kLinkObservationsTotal{
    "automot_link_observations_total", "Observations handed to the reasoning link, by outcome."};
inline constexpr MetricName kForwardFailuresTotal{
    "automot_forward_failures_total",
    "Observations that the reasoning link did not take, by status code."};
inline constexpr MetricName kSnapshotsReceivedTotal{
    "automot_snapshots_received_total", "Complete snapshots that fit the action expert."};
inline constexpr MetricName kSnapshotsRejectedTotal{
    "automot_snapshots_rejected_total", "Snapshots that did not become visible, by reason."};
inline constexpr MetricName kSnapshotRefreshSeconds{
    "automot_snapshot_refresh_seconds",
    "Wall time of the refresh behind a received snapshot, by stage, as its producer reports it."};
inline constexpr MetricName kSnapshotTransferSeconds{
    "automot_snapshot_transfer_seconds",
    "Wall time of a received snapshot's transfer, and of its part after the last layer."};
inline constexpr MetricName kRefreshFailuresTotal{
    "automot_refresh_failures_total", "Due refreshes that brought planning no snapshot."};

// Planning: memory.
inline constexpr MetricName kContextMemoryBytes{
    "automot_context_memory_bytes", "Bytes of the context versions that planning holds, by scope."};
inline constexpr MetricName kContextMemoryLimitBytes{
    "automot_context_memory_limit_bytes",
    "Budget of context versions, by scope; 0 where a scope has none of its own."};
inline constexpr MetricName kContextMemoryRefusalsTotal{
    "automot_context_memory_refusals_total",
    "Sessions and context versions that did not fit the memory budget."};

// Planning: recording.
inline constexpr MetricName kRecordedRecordsTotal{
    "automot_recorded_records_total", "Records of a recording (--record), by what became of them."};
inline constexpr MetricName kRecordedBytesTotal{"automot_recorded_bytes_total",
                                                "Bytes written to a recording."};

// Reasoning.
inline constexpr MetricName kRefreshesTotal{"automot_refreshes_total",
                                            "Context refreshes by outcome."};
inline constexpr MetricName kRefreshLatenessSeconds{
    "automot_refresh_lateness_seconds",
    "Wall time by which a refresh began after its deadline; 0 where in time."};
inline constexpr MetricName kDecisionFailuresTotal{
    "automot_decision_failures_total", "Snapshots published without a decision that was wanted."};
inline constexpr MetricName kVisionCacheHitsTotal{
    "automot_vision_cache_hits_total", "Camera frames whose vision features were reused."};
inline constexpr MetricName kRefreshRunsTotal{
    "automot_refresh_runs_total",
    "Runs of the understanding expert for refreshes, each of one vehicle or of several."};
inline constexpr MetricName kRefreshesStreamedTotal{
    "automot_refreshes_streamed_total",
    "Refreshes whose layers were sent to a consumer, one by one or together."};
inline constexpr MetricName kSnapshotsReplacedTotal{
    "automot_snapshots_replaced_total",
    "Complete snapshots that gave way to a newer one before any of it was sent."};
inline constexpr MetricName kSharedMemoryLoansTotal{
    "automot_shared_memory_loans_total",
    "Attempts to lend a snapshot to a consumer of shared memory, by outcome."};
inline constexpr MetricName kSlowObservationsTotal{"automot_slow_observations_total",
                                                   "Observations accepted by reasoning."};
inline constexpr MetricName kSlowObservationsSupersededTotal{
    "automot_slow_observations_superseded_total",
    "Observations replaced by a newer one before their refresh began."};
inline constexpr MetricName kSnapshotPoolBytes{"automot_snapshot_pool_bytes",
                                               "Bytes of reasoning's snapshot buffers, by state."};
inline constexpr MetricName kSnapshotPoolLimitBytes{"automot_snapshot_pool_limit_bytes",
                                                    "Budget of reasoning's snapshot buffers."};
inline constexpr MetricName kSnapshotPoolRefusalsTotal{
    "automot_snapshot_pool_refusals_total",
    "Snapshot buffers refused by reasoning because the budget was spent."};
inline constexpr MetricName kAttachments{"automot_attachments",
                                         "Sessions attached to the reasoning service."};
inline constexpr MetricName kAttachmentsTotal{"automot_attachments_total",
                                              "Attachments accepted by the reasoning service."};
inline constexpr MetricName kAttachmentsFencedTotal{
    "automot_attachments_fenced_total", "Attachments ended by another consumer's newer epoch."};
inline constexpr MetricName kAskSeconds{"automot_ask_seconds",
                                        "Wall time of a scene question, waiting included."};
inline constexpr MetricName kAsksTotal{"automot_asks_total", "Scene questions by status code."};

// The egodriver service.
inline constexpr MetricName kEgodriverRpcSeconds{
    "automot_egodriver_rpc_seconds",
    "Wall time of an egodriver call from its arrival to its answer, by method."};
inline constexpr MetricName kEgodriverRpcsTotal{"automot_egodriver_rpcs_total",
                                                "Egodriver calls by method and status code."};
inline constexpr MetricName kEgodriverRollouts{
    "automot_egodriver_rollouts", "Rollouts that run, and those held until there is room."};
inline constexpr MetricName kEgodriverRolloutsEndedTotal{"automot_egodriver_rollouts_ended_total",
                                                         "Rollouts that ended, by how."};
inline constexpr MetricName kEgodriverDriveRetriesTotal{
    "automot_egodriver_drive_retries_total",
    "Drives that the planning queue had no room for, and that were asked for again."};

// The process: the names that Prometheus' own client libraries use.
inline constexpr MetricName kProcessCpuSecondsTotal{"process_cpu_seconds_total",
                                                    "User and system CPU time spent."};
inline constexpr MetricName kProcessResidentMemoryBytes{"process_resident_memory_bytes",
                                                        "Resident memory size."};
inline constexpr MetricName kProcessVirtualMemoryBytes{"process_virtual_memory_bytes",
                                                       "Virtual memory size."};
inline constexpr MetricName kProcessOpenFds{"process_open_fds", "Open file descriptors."};
inline constexpr MetricName kProcessMaxFds{"process_max_fds", "Limit of open file descriptors."};
inline constexpr MetricName kProcessThreads{"process_threads", "Threads."};
inline constexpr MetricName kProcessStartTimeSeconds{"process_start_time_seconds",
                                                     "Start of the process since the Unix epoch."};

}  // namespace names
}  // namespace automot::metrics
