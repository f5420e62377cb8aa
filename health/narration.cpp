#include "health/narration.hpp"

#include <algorithm>
#include <utility>

namespace fairlead::health {

namespace {

using resp::to_string;

std::string join(const std::vector<std::string>& parts, const char* separator) {
  std::string text;
  for (const auto& part : parts) {
    if (!text.empty()) text += separator;
    text += part;
  }
  return text;
}

std::string in_brackets(const std::string& text) {
  return text.empty() ? std::string() : " (" + text + ")";
}

std::string unknown_master(const resp::Address& address, const SentinelReport& report,
                           const Options& options) {
  const auto known = report.known_masters.empty() ? std::string("it knows none")
                                                  : "it knows: " + join(report.known_masters, ", ");
  return "Sentinel " + to_string(address) + " does not know a master named '" + options.master_name + "' (" +
         known + "); check [backend] master-name";
}

std::string sentinel_login(const resp::Address& address, const SentinelReport& report) {
  return "Sentinel " + to_string(address) + " refused the login (" + report.last_error +
         "); check [backend] sentinel-username and sentinel-password";
}

std::string server_login(const resp::Address& address, const ServerReport& report) {
  return to_string(address) + " refused the password (" + report.last_error +
         "); check [backend] username and password";
}

std::string refused_by_sentinel(const resp::Address& address, const SentinelReport& report) {
  return to_string(address) + " does not answer as a Sentinel (" + report.last_error +
         "); check [backend] sentinels";
}

// What each Sentinel says, as the parts of one sentence; unreachable ones are gathered into one part.
std::vector<std::string> sentinel_faults(const Options& options, const SentinelReports& sentinels) {
  std::vector<std::string> parts;
  std::vector<std::string> unreachable;
  std::string reason;
  for (const auto& [address, report] : sentinels) {
    switch (report.status) {
      case SentinelStatus::unheard:
        unreachable.push_back(to_string(address));
        if (reason.empty()) reason = "no answer yet";
        break;
      case SentinelStatus::unreachable:
        if (report.failure == LinkFailure::login_refused) {
          parts.push_back(sentinel_login(address, report));
          break;
        }
        unreachable.push_back(to_string(address));
        reason = report.last_error;
        break;
      case SentinelStatus::unknown_master:
        parts.push_back(unknown_master(address, report, options));
        break;
      case SentinelStatus::refused:
        parts.push_back(refused_by_sentinel(address, report));
        break;
      case SentinelStatus::ok:
        if (report.tilt)
          parts.push_back("Sentinel " + to_string(address) + " is in TILT mode, check its host's clock");
        break;
    }
  }
  if (!unreachable.empty()) {
    const bool all = unreachable.size() == sentinels.size();
    parts.push_back((all ? "no Sentinel of " : "not reachable: Sentinel ") + join(unreachable, ", ") +
                    (all ? " is reachable" : "") + in_brackets(reason) + "; check [backend] sentinels");
  }
  return parts;
}

std::size_t votes_for(const SentinelReports& sentinels, const resp::Address& address) {
  return static_cast<std::size_t>(std::count_if(sentinels.begin(), sentinels.end(), [&](const auto& entry) {
    return entry.second.usable() && entry.second.vote == address;
  }));
}

std::string explain_servers_mode(const Options& options, const ServerReports& servers) {
  std::vector<std::string> masters;
  std::vector<std::string> parts;
  for (const auto& address : options.servers) {
    const auto found = servers.find(address);
    if (found == servers.end()) continue;
    const auto& report = found->second;
    if (report.reachable && report.role == Role::master) masters.push_back(to_string(address));
    const auto fault = fault_of_master(address, report);
    if (!fault.empty()) parts.push_back(fault);
  }
  if (masters.size() > 1) {
    return "more than one server says it is the master: " + join(masters, ", ") +
           "; nothing is sent to any; make all but one a replica (REPLICAOF)";
  }
  if (masters.size() == 1)
    parts.insert(parts.begin(), masters.front() + " says it is the master and is not trusted yet");
  return join(parts, "; ");
}

}  // namespace

bool can_serve(const ServerReport& report) {
  return report.reachable && report.role == Role::master && !report.loading && !report.run_id.empty();
}

std::string fault_of_master(const resp::Address& address, const ServerReport& report) {
  if (report.attempts == 0) return to_string(address) + " has not answered yet";
  if (!report.reachable) {
    if (report.failure == LinkFailure::login_refused) return server_login(address, report);
    return to_string(address) + " is not reachable" + in_brackets(report.last_error);
  }
  if (report.role == Role::replica) {
    return to_string(address) + " says it is a replica of " + to_string(report.replica_of) +
           "; nothing is sent to it";
  }
  if (report.role != Role::master) {
    return to_string(address) + " did not say that it is a master" + in_brackets(report.last_error);
  }
  if (report.loading) return to_string(address) + " is loading its data set; it is used once that is done";
  if (report.run_id.empty()) {
    return to_string(address) + " does not tell its run id" + in_brackets(report.last_error) +
           "; the login must allow INFO";
  }
  return {};
}

void narrate_server(const resp::Address& address, const ServerReport& before, const ServerReport& after,
                    std::vector<Event>& events) {
  const auto say = [&](EventKind kind, Severity severity, std::string text) {
    events.push_back({kind, severity, address, std::move(text)});
  };
  const auto name = to_string(address);
  if (!after.reachable) {
    const bool login = after.failure == LinkFailure::login_refused;
    const bool was_login = before.failure == LinkFailure::login_refused;
    if (before.attempts > 0 && !before.reachable && login == was_login) return;
    if (login) {
      say(EventKind::server_login_failed, Severity::error, server_login(address, after));
    } else {
      say(EventKind::server_down, Severity::warning,
          name + " is not reachable" + in_brackets(after.last_error));
    }
    return;
  }
  if (!before.reachable) {
    say(EventKind::server_up, Severity::info, name + " answers, role " + to_string(after.role));
  } else if (before.role != after.role) {
    say(EventKind::server_role_changed, Severity::info,
        name + " was " + to_string(before.role) + " and says now it is " + to_string(after.role) +
            in_brackets(after.last_error));
  }
  if (after.loading && !before.loading) {
    say(EventKind::server_loading, Severity::warning,
        name + " is loading its data set and refuses commands until then");
  }
}

void narrate_sentinel(const resp::Address& address, const SentinelReport& before, const SentinelReport& after,
                      const Options& options, std::vector<Event>& events) {
  const auto say = [&](EventKind kind, Severity severity, std::string text) {
    events.push_back({kind, severity, address, std::move(text)});
  };
  const auto name = "Sentinel " + to_string(address);
  const bool changed = before.status != after.status || before.failure != after.failure;
  if (changed) {
    switch (after.status) {
      case SentinelStatus::unheard:
        break;
      case SentinelStatus::unreachable:
        if (after.failure == LinkFailure::login_refused) {
          say(EventKind::sentinel_login_failed, Severity::error, sentinel_login(address, after));
        } else if (before.status != SentinelStatus::unreachable ||
                   before.failure == LinkFailure::login_refused) {
          say(EventKind::sentinel_down, Severity::warning,
              name + " is not reachable" + in_brackets(after.last_error));
        }
        break;
      case SentinelStatus::unknown_master:
        say(EventKind::sentinel_unknown_master, Severity::error, unknown_master(address, after, options));
        break;
      case SentinelStatus::refused:
        say(EventKind::sentinel_down, Severity::error, refused_by_sentinel(address, after));
        break;
      case SentinelStatus::ok:
        say(EventKind::sentinel_up, Severity::info,
            name + " answers: master " + to_string(after.vote) + " at config-epoch " +
                std::to_string(after.config_epoch));
        break;
    }
  }
  if (after.status == SentinelStatus::ok && after.tilt != before.tilt) {
    say(EventKind::sentinel_tilt, after.tilt ? Severity::warning : Severity::info,
        name + (after.tilt
                    ? " entered TILT mode: its word is not counted until it leaves it; check its host's clock"
                    : " left TILT mode"));
  }
}

std::string explain_waiting(const Options& options, const ServerReports& servers,
                            const SentinelReports& sentinels, const Waiting& waiting) {
  if (options.sentinels.empty()) {
    const auto text = explain_servers_mode(options, servers);
    return "no master: " + (text.empty() ? waiting.why_suspect : text);
  }
  std::vector<std::string> parts;
  if (waiting.wanted) {
    const auto found = servers.find(*waiting.wanted);
    const ServerReport report = found == servers.end() ? ServerReport{} : found->second;
    const auto votes = votes_for(sentinels, *waiting.wanted);
    const auto named = " is named master by " + std::to_string(votes) + " of " +
                       std::to_string(sentinels.size()) + " Sentinels";
    const auto fault = fault_of_master(*waiting.wanted, report);
    if (report.reachable && report.role == Role::replica) {
      parts.push_back(to_string(*waiting.wanted) + named + " but says it is a replica of " +
                      to_string(report.replica_of) + "; nothing is sent to it");
    } else if (!fault.empty()) {
      parts.push_back(fault + "; it" + named);
    }
  }
  if (parts.empty() && !waiting.why_suspect.empty()) parts.push_back(waiting.why_suspect);
  for (auto& fault : sentinel_faults(options, sentinels)) parts.push_back(std::move(fault));
  if (parts.empty()) parts.emplace_back("the Sentinels name none yet");
  return "no master: " + join(parts, "; ");
}

}  // namespace fairlead::health
